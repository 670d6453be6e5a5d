"""What fills a tensor with random numbers: ``Tensor.uniform_`` and its kin.

Each draws one uniform (or normal) a number and transforms it, in float64 unless the stream itself is meant
(``uniform_``, ``normal_``, ``bernoulli_``, whose numbers are those of ``rand``, ``randn`` and ``bernoulli``). All work
in place, on the value alone: under recording, the old value gets a gradient of zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.devices import beside, on_host
from tinydl.random.functions import floating
from tinydl.random.generator import Generator, given
from tinydl.tensor import Tensor

# The integers that a floating dtype holds without gaps end here; random_() draws below.
_WHOLE = {"float16": 2**11, "float32": 2**24, "float64": 2**53}


def _put(x: Tensor, values: Any, name: str) -> Tensor:
    return x._replace(Tensor._wrap(beside(np.asarray(values).astype(x.dtype), x.array)), name)  # type: ignore[no-any-return]


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Uniforms in [from, to): ``from + (to - from) u``."""
    if not from_ <= to:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={from_} > to={to}")
    _, draw = floating(self.dtype, "uniform_")
    values = given(generator).random(self.shape, draw) * draw.type(to - from_) + draw.type(from_)
    if from_ < to:  # rounding must not reach the open end
        values = np.minimum(values, np.nextafter(self.dtype.type(to), self.dtype.type(from_)))
    return _put(self, values, "uniform_")


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Normals: ``mean + std z``."""
    if not std >= 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    _, draw = floating(self.dtype, "normal_")
    return _put(self, given(generator).normal(self.shape, draw) * draw.type(std) + draw.type(mean), "normal_")


def bernoulli_(self: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``p`` (a number, or a tensor that is broadcast), else 0. Any dtype."""
    chances = on_host(p.array) if isinstance(p, Tensor) else float(p)
    return _put(self, given(generator).bernoulli(chances, self.shape), "bernoulli_")


def random_(self: Tensor, from_: int = 0, to: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Integers on ``from <= x < to``, ``random_(to)`` from 0; without bounds, all that the dtype holds from 0 on (for
    floating dtypes up to the end of the gapless integers)."""
    if to is None and from_ == 0:
        if self.dtype.kind == "b":
            to = 2
        else:
            to = _WHOLE[self.dtype.name] + 1 if self.dtype.kind == "f" else int(np.iinfo(self.dtype).max) + 1
    elif to is None:
        from_, to = 0, from_
    if not from_ < to:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={from_} >= to={to}")
    return _put(self, given(generator).integers(from_, to, self.shape), "random_")


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Exponentials of rate ``lambd``: ``-ln(1 - u) / lambd``, above 0."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    floating(self.dtype, "exponential_")
    values = -np.log1p(-given(generator).random(self.shape, np.float64)) / lambd
    return _put(self, np.maximum(values, float(np.finfo(self.dtype).smallest_normal)), "exponential_")


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """``e ** (mean + std z)``: mean and std are those of the logarithm."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    floating(self.dtype, "log_normal_")
    return _put(self, np.exp(given(generator).normal(self.shape, np.float64) * std + mean), "log_normal_")


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Cauchy's distribution: ``median + sigma tan(pi (u - 1/2))``."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    floating(self.dtype, "cauchy_")
    angles = math.pi * (given(generator).random(self.shape, np.float64) - 0.5)
    return _put(self, np.tan(angles) * sigma + median, "cauchy_")


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """The number of trials up to the first success, each of probability ``p``: ``ceil(ln(1 - u) / ln(1 - p))``."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    trials = np.ceil(np.log1p(-given(generator).random(self.shape, np.float64)) / math.log1p(-p))
    return _put(self, np.maximum(trials, 1), "geometric_")
