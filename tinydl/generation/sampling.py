"""Drawing from a model's outputs: temperature, top-k, top-p, and frames of Bernoulli notes.

Everything here is computed in float64 from logits z; p_i(τ) = exp(z_i / τ) / sum_j exp(z_j / τ) at temperature τ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinydl.errors import ConfigError

COLD = 1e-6  # a temperature at or below this picks the most probable outcome


def check(temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> None:
    """Raise :class:`ConfigError`, in one sentence, for a setting that means nothing."""
    if not 0 <= temperature < np.inf:
        raise ConfigError(f"temperature must be 0 (the most probable) or more, but is {temperature}")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k must be at least 1, but is {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ConfigError(f"top_p must be above 0 and at most 1, but is {top_p}")


def token_probabilities(
    logits: ArrayLike, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> NDArray[np.float64]:
    """The distribution to draw a token from, float64 [V], of logits [V].

    First the temperature; then ``top_k`` keeps the k most probable tokens (Fan, Lewis, Dauphin 2018, arXiv:1805.04833;
    of equals, the one with the lower index); then ``top_p`` keeps the fewest most probable ones that together have at
    least the probability p, at least one (Holtzman et al. 2020, arXiv:1904.09751); what is left is scaled to sum 1. A
    logit of -inf is a token that cannot come.
    """
    check(temperature, top_k, top_p)
    z = np.asarray(logits, np.float64)
    if temperature <= COLD:
        certain = np.zeros(z.shape)
        certain[np.argmax(z)] = 1.0
        return certain
    z = z / temperature
    p: NDArray[np.float64] = np.exp(z - z.max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
        p /= p.sum()
    if top_p is not None:
        before = np.cumsum(p[order]) - p[order]  # a token is kept if those before it do not reach p yet
        p[order[before >= top_p]] = 0.0
        p /= p.sum()
    return p


def draw(p: NDArray[np.float64], u: float) -> int:
    """The index whose share of [0, 1) holds ``u``: index i with probability p_i for uniform u; never one with p_i =
    0."""
    total = np.cumsum(p)
    i = int(np.searchsorted(total, u * total[-1], side="right"))
    return min(i, int(np.flatnonzero(p)[-1]))


def draw_each(logits: ArrayLike, u: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.int64]:
    """Of each row of logits [..., V] one index, int64 [...]: the one whose share of [0, 1) holds u [...], as
    :func:`draw` of its :func:`token_probabilities`."""
    check(temperature)
    z = np.asarray(logits, np.float64)
    drawn: NDArray[np.int64]
    if temperature <= COLD:
        drawn = z.argmax(-1)
        return drawn
    p = np.exp((z - z.max(-1, keepdims=True)) / temperature)
    total = p.cumsum(-1)
    drawn = (total <= u[..., None] * total[..., -1:]).sum(-1)
    last = z.shape[-1] - 1 - (p > 0)[..., ::-1].argmax(-1)  # rounding may leave u above all: never one with p = 0
    drawn = np.minimum(drawn, last)
    return drawn


def bernoulli_frame(
    logits: ArrayLike, u: NDArray[np.float64], temperature: float = 1.0, *, sounding: bool = False
) -> NDArray[np.bool_]:
    """A frame x, bool [P], of independent notes x_k ~ Bernoulli(sigmoid(z_k / τ)), from uniforms ``u`` [P].

    With ``sounding`` the frame is drawn from the same distribution given that it is not silent. That needs no
    rejection: let s_k be the probability that notes k, k+1, ... are all silent; while no note has sounded yet, note k
    sounds with
    probability p_k / (1 - s_k), and after one has, with p_k.

    At temperature 0 a note sounds where z_k > 0; with ``sounding``, at least the most probable one.
    """
    check(temperature)
    z = np.asarray(logits, np.float64)
    if temperature <= COLD:
        x: NDArray[np.bool_] = z > 0
        if sounding and not x.any():
            x[np.argmax(z)] = True
        return x
    z = z / temperature
    p = np.exp(-np.logaddexp(0.0, -z))
    x = u < p
    if sounding:
        log_silent = np.cumsum(-np.logaddexp(0.0, z)[::-1])[::-1]  # ln s_k
        # p_k / (1 - s_k), which is 1 at the last note; 1 - s_k = -expm1(ln s_k) is exact for s_k near 1
        found = np.flatnonzero(u * -np.expm1(log_silent) < p)
        first = int(found[0] if len(found) else np.argmax(z))  # none only where rounding leaves nothing of any p_k
        x[: first + 1] = False
        x[first] = True
    return x
