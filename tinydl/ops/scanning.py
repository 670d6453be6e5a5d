"""Scans along a dimension: cumulative sums, products, extrema, log-sum-exp; differences and areas.

All derivatives come from one family. ``recurrence`` solves s_j = b_j + a_j s_(j-1); its gradient is the same recurrence
run backwards, so cumulative products (also with zeros among the factors) and log-sum-exps have exact derivatives of
every order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import needed_dim, one_axis, pick_dim
from tinydl.ops.comparing import eq, logical_xor
from tinydl.ops.elementwise import exp, where
from tinydl.ops.extrema import ValuesIndices, constant, data_of, take_at
from tinydl.ops.indexing import take_slice
from tinydl.ops.reducing import sum, widened
from tinydl.ops.shaping import cat, reshape_to


@primitive(input=lambda g, axis: reverse_cumsum(g, axis=axis))
def running_sum(input: Any, *, axis: int) -> Any:
    """Cumulative sum along ``axis``."""
    return np.add.accumulate(input, axis)


@primitive(input=lambda g, axis: running_sum(g, axis=axis))
def reverse_cumsum(input: Any, *, axis: int) -> Any:
    """Cumulative sum from the end along ``axis``: the transpose of :func:`running_sum`."""
    return np.flip(np.cumsum(np.flip(input, axis), axis=axis), axis)


@primitive(input=lambda g, axis, by: shifted(g, axis=axis, by=-by, fill=0))
def shifted(input: Any, *, axis: int, by: int, fill: float) -> Any:
    """The elements moved on by one place along ``axis`` (``by`` 1 or -1); ``fill`` moves in."""
    out = np.full_like(input, fill)
    to, from_ = (slice(1, None), slice(None, -1))[::by]
    lead = (slice(None),) * axis
    out[(*lead, to)] = input[(*lead, from_)]
    return out


@primitive(
    factor=lambda g, factor, out, axis, reverse: (
        _pulled(g, factor, axis, reverse) * shifted(out, axis=axis, by=-1 if reverse else 1, fill=0)
    ),
    term=lambda g, factor, axis, reverse: _pulled(g, factor, axis, reverse),
)
def recurrence(factor: Any, term: Any, *, axis: int, reverse: bool) -> Any:
    """s_j = term_j + factor_j s_(j-1) along ``axis``, or with s_(j+1) if ``reverse``; before the first, s is 0."""
    out = np.empty_like(term)
    a, b, s = (np.moveaxis(x, axis, 0) for x in (factor, term, out))
    order = range(len(b))[:: -1 if reverse else 1]
    for i, j in enumerate(order):
        s[j] = b[j] + a[j] * s[order[i - 1]] if i else b[j]
    return out


def _pulled(g: Any, factor: Any, axis: int, reverse: bool) -> Any:
    """r_j = g_j + factor_(j+1) r_(j+1): the gradient of ``term``."""
    following = shifted(factor, axis=axis, by=1 if reverse else -1, fill=0)
    return recurrence(following, g, axis=axis, reverse=not reverse)


@primitive(
    input=lambda g, input, axis: (
        # dp_k/dx_j: the product of what stands before j, times that of what stands between j and k
        shifted(running_product(input, axis=axis), axis=axis, by=1, fill=1) * _pulled(g, input, axis, False)
    )
)
def running_product(input: Any, *, axis: int) -> Any:
    """Cumulative product along ``axis``."""
    return np.multiply.accumulate(input, axis)


_LOWEST = {np.dtype(t): float(np.finfo(t).min) for t in (np.float16, np.float32, np.float64)}


@primitive(input=lambda g, input, out, axis: _from_logcumsumexp(g, input, out, axis))
def running_logsumexp(input: Any, *, axis: int) -> Any:
    """log of the cumulative sum of e^x along ``axis``, without overflow."""
    return np.logaddexp.accumulate(input, axis=axis)


def _from_logcumsumexp(g: Any, x: Any, out: Any, axis: int) -> Any:
    """sum_(k >= j) g_k e^(x_j - out_k) as e^(x_j - out_j) r_j with r_j = g_j + e^(out_j - out_(j+1)) r_(j+1): no
    exponent is positive. An out of -inf counts as the lowest finite number: -inf - -inf is no number."""
    low = where(eq(out, -np.inf), _LOWEST[out.dtype], out)
    decay = exp(low - shifted(low, axis=axis, by=-1, fill=np.inf))
    return exp(x - low) * recurrence(decay, g, axis=axis, reverse=True)


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def _scan(name: str, over: Any, input: Any, dim: Any, axis: Any) -> Any:
    at = one_axis(needed_dim(name, dim, axis), input.ndim)
    return over(input, axis=at) if input.ndim else reshape_to(input, shape=())


def cumsum(input: Any, dim: Any = None, *, dtype: Any = None, axis: Any = None) -> Any:
    """y_k = x_0 + ... + x_k along ``dim``; integers and booleans as int64."""
    return _scan("cumsum", running_sum, widened(input, dtype), dim, axis)


def cumprod(input: Any, dim: Any = None, *, dtype: Any = None, axis: Any = None) -> Any:
    """y_k = x_0 ... x_k along ``dim``; integers and booleans as int64. The derivatives are right beside zeros."""
    return _scan("cumprod", running_product, widened(input, dtype), dim, axis)


def logcumsumexp(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
    """y_k = log(e^x_0 + ... + e^x_k) along ``dim``, without overflow; floating dtypes only."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"logcumsumexp is not implemented for {input.dtype}; convert it with .float() first")
    return _scan("logcumsumexp", running_logsumexp, input, dim, axis)


def _running_extreme(name: str, extreme: Any, input: Any, dim: Any, axis: Any) -> ValuesIndices:
    at = one_axis(needed_dim(name, dim, axis), input.ndim)
    if not input.ndim:
        return ValuesIndices(reshape_to(input, shape=()), constant(np.zeros((), np.int64)))
    x = data_of(input)
    best = extreme.accumulate(x, axis=at)
    here = (x == best) | (x != x)  # at a tie the later one; from a NaN on, NaN
    place = np.arange(x.shape[at]).reshape((-1,) + (1,) * (x.ndim - at - 1))
    index = constant(np.maximum.accumulate(np.where(here, place, 0), axis=at))
    return ValuesIndices(take_at(input, index, axis=at), index)


def cummax(input: Any, dim: Any = None, *, axis: Any = None) -> ValuesIndices:
    """The greatest so far along ``dim``, and where it stands (the last of equal ones), to which gradients go."""
    return _running_extreme("cummax", np.maximum, input, dim, axis)


def cummin(input: Any, dim: Any = None, *, axis: Any = None) -> ValuesIndices:
    """The smallest so far along ``dim``, and where it stands (the last of equal ones), to which gradients go."""
    return _running_extreme("cummin", np.minimum, input, dim, axis)


def _between(input: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return take_slice(input, index=(slice(None),) * axis + (slice(start, stop),))


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *, axis: Any = None) -> Any:
    """x_(k+1) - x_k along ``dim``, ``n`` times over, after joining ``prepend`` and ``append``; for booleans, exclusive
    or."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    at = one_axis(pick_dim(dim, axis), input.ndim)
    if n and (prepend is not None or append is not None):
        input = cat([x for x in (prepend, input, append) if x is not None], at)
    for _ in range(n):
        later, earlier = _between(input, at, 1, None), _between(input, at, None, -1)
        input = logical_xor(later, earlier) if input.dtype == np.bool_ else later - earlier
    return reshape_to(input, shape=input.shape) if not n else input


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1, axis: Any = None) -> Any:
    """The area under ``y`` along ``dim`` by the trapezoidal rule: sum (y_k + y_(k+1)) (x_(k+1) - x_k) / 2.

    ``x`` holds the places (one-dimensional, or of y's shape); without it they lie ``dx`` apart.
    """
    at = one_axis(pick_dim(dim, axis), y.ndim)
    if x is not None and x.ndim == 1 and y.ndim > 1:
        if x.shape[0] != y.shape[at]:
            raise RuntimeError(
                f"trapezoid: There must be one `x` value for each sample point; got {tuple(x.shape)} for y of shape "
                f"{tuple(y.shape)} along dim {at}"
            )
        x = reshape_to(x, shape=(-1,) + (1,) * (y.ndim - at - 1))
    both = _between(y, at, 1, None) + _between(y, at, None, -1)
    if x is not None:
        where_x = at - y.ndim + x.ndim
        both = both * (_between(x, where_x, 1, None) - _between(x, where_x, None, -1))
        return sum(both, at) / 2
    return sum(both, at) * (dx / 2)
