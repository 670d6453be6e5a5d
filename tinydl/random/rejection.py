"""Numbers that no formula draws from one uniform: gamma's and Poisson's, by rejection, in float64.

Every round draws for those alone that the rounds before have rejected, so a draw eats as many counters as it needs:
the same for the same seed and parameters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.ops.special import lgamma
from tinydl.random.generator import Generator

Array = NDArray[Any]

_SMALL = 10.0  # rates below it are inverted


def standard_gamma(shape: Array, generator: Generator) -> Array:
    """Gamma(a, 1) for every a > 0 of ``shape``.

    G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", ACM Trans. Math. Softw. 26, 2000:
    ``d v`` with ``d = a - 1/3``, ``v = (1 + z / sqrt(9 d))**3`` and a normal z, accepted when
    ``ln u < z**2 / 2 + d (1 - v + ln v)``; for a < 1 Gamma(a + 1) times ``u**(1 / a)``.
    """
    a = np.asarray(shape, np.float64).reshape(-1)
    boosted = np.where(a < 1, a + 1, a)
    out = np.full(a.shape, np.nan)
    waiting = np.flatnonzero(a > 0)
    while len(waiting):
        d = boosted[waiting] - 1 / 3
        z, u = generator.normal(len(waiting), np.float64), generator.random(len(waiting), np.float64)
        v = (1 + z / np.sqrt(9 * d)) ** 3
        with np.errstate(invalid="ignore", divide="ignore"):
            fits = (v > 0) & (np.log1p(-u) < z * z / 2 + d * (1 - v + np.log(v)))
        out[waiting[fits]] = (d * v)[fits]
        waiting = waiting[~fits]
    small = np.flatnonzero(a < 1)
    if len(small):
        with np.errstate(divide="ignore"):
            out[small] *= (1 - generator.random(len(small), np.float64)) ** (1 / a[small])
    return out.reshape(np.shape(shape))


def poisson(rate: Array, generator: Generator) -> Array:
    """Poisson counts for every rate >= 0, as float64.

    Rates below 10: inversion, ``the first k with u < P(X <= k)``. Others: W. Hormann, "The transformed rejection method
    for generating Poisson random variables", Insurance: Math. and Econ. 12, 1993, algorithm PTRS.
    """
    rates = np.asarray(rate, np.float64).reshape(-1)
    out = np.zeros(rates.shape)
    small = rates < _SMALL
    out[small] = _inverted(rates[small], generator)
    out[~small] = _transformed(rates[~small], generator)
    return out.reshape(np.shape(rate))


def _inverted(rates: Array, generator: Generator) -> Array:
    u = generator.random(len(rates), np.float64)
    out = np.zeros(len(rates))
    chance = np.exp(-rates)
    below = chance.copy()
    k = 0
    # 100 terms of a rate below 10 leave 1e-60 out: u cannot lie there, but rounding of the sum could
    while k < 100 and (above := u >= below).any():
        k += 1
        out[above] = k
        chance = chance * rates / k
        below += chance
    return out


def _transformed(rates: Array, generator: Generator) -> Array:
    out = np.full(len(rates), np.nan)
    waiting = np.flatnonzero(np.isfinite(rates))
    while len(waiting):
        rate = rates[waiting]
        b = 0.931 + 2.53 * np.sqrt(rate)
        a = -0.059 + 0.02483 * b
        u, v = generator.random(len(waiting), np.float64) - 0.5, 1 - generator.random(len(waiting), np.float64)
        edge = 0.5 - np.abs(u)
        with np.errstate(divide="ignore", invalid="ignore"):
            k = np.floor((2 * a / edge + b) * u + rate + 0.43)
            sure = (edge >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
            never = (k < 0) | ((edge < 0.013) & (v > edge)) | ~np.isfinite(k)
            left = np.log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (edge * edge) + b))
            fits = sure | (~never & (left <= k * np.log(rate) - rate - lgamma(np.maximum(k, 0) + 1)))
        out[waiting[fits]] = k[fits]
        waiting = waiting[~fits]
    return out
