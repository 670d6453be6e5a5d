"""Scans along a dimension: cumulative sums, products, extrema, log-sum-exp; differences and areas.

All derivatives come from one family. ``recurrence`` solves s_j = b_j + a_j s_(j-1); its gradient is the same recurrence
run backwards, so cumulative products (also with zeros among the factors) and log-sum-exps have exact derivatives of
every order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import needed_dim, one_axis, pick_dim
from tinydl.ops.casting import cast
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import exp, where
from tinydl.ops.extrema import ValuesIndices, put_at
from tinydl.ops.indexing import take_slice
from tinydl.ops.padding import pad_constant
from tinydl.ops.reducing import as_dtype_of, sum
from tinydl.ops.shaping import cat, reshape_to


@primitive(input=lambda g, axis: cumsum(g, axis))
def reverse_cumsum(input: Any, *, axis: int) -> Any:
    """Cumulative sum from the end along ``axis``: the transpose of :func:`cumsum`."""
    if not input.ndim:
        return np.array(input)
    back = (slice(None),) * axis + (slice(None, None, -1),)
    return np.add.accumulate(input[back], axis)[back]


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


# ------------------------------------------------------------------------------------------------ PyTorch's functions


_running_sum, _running_product = np.add.accumulate, np.multiply.accumulate
_running_logaddexp = np.logaddexp.accumulate


def _scan(name: str, accumulate: Any, input: Any, dtype: Any, dim: Any) -> Any:
    """An accumulation along ``dim``; integers and booleans as int64."""
    if dtype is None and type(dim) is int and -input.ndim <= dim < input.ndim and input.dtype.kind == "f":
        return accumulate(input, dim)  # the usual case
    at = one_axis(needed_dim(name, dim, None) if dim is None else dim, input.ndim)
    if dtype is not None:
        dtype = dtypes.as_dtype(dtype)
    elif input.dtype.kind != "f":
        dtype = dtypes.int64
    return accumulate(input, at, dtype) if input.ndim else np.array(input, dtype)


def _axis(dim: Any, axis: Any, x: Any) -> int:
    return one_axis(pick_dim(dim, axis), len(x.shape))


@primitive(settings="dim", input=lambda g, input_dtype, dim, axis: _from_cumsum(g, input_dtype, _axis(dim, axis, g)))
def cumsum(input: Any, dim: Any = None, *, dtype: Any = None, axis: Any = None) -> Any:
    """y_k = x_0 + ... + x_k along ``dim``; integers and booleans as int64."""
    return _scan("cumsum", _running_sum, input, dtype, dim if axis is None else axis)


def _from_cumsum(g: Any, dtype: Any, axis: int) -> Any:
    found = reverse_cumsum(g, axis=axis)
    return found if found.dtype == dtype else cast(found, dtype=dtype)


@primitive(
    settings="dim", input=lambda g, input, input_dtype, dim, axis: _from_cumprod(g, input, input_dtype, dim, axis)
)
def cumprod(input: Any, dim: Any = None, *, dtype: Any = None, axis: Any = None) -> Any:
    """y_k = x_0 ... x_k along ``dim``; integers and booleans as int64. The derivatives are right beside zeros."""
    return _scan("cumprod", _running_product, input, dtype, dim if axis is None else axis)


def _from_cumprod(g: Any, x: Any, dtype: Any, dim: Any, axis: Any) -> Any:
    """dp_k/dx_j: the product of what stands before j, times that of what stands between j and k."""
    if not x.shape:
        found = g
    else:
        at, x = _axis(dim, axis, x), as_dtype_of(x, g)
        found = shifted(cumprod(x, at), axis=at, by=1, fill=1) * _pulled(g, x, at, False)
    return found if found.dtype == dtype else cast(found, dtype=dtype)


_LOWEST = {np.dtype(t): float(np.finfo(t).min) for t in (np.float16, np.float32, np.float64)}


@primitive(
    settings="dim",
    input=lambda g, input, out, dim, axis: _from_logcumsumexp(g, input, out, dim, axis),
)
def logcumsumexp(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
    """y_k = log(e^x_0 + ... + e^x_k) along ``dim``, without overflow; floating dtypes only."""
    if input.dtype.kind != "f":
        raise RuntimeError(f"logcumsumexp is not implemented for {input.dtype}; convert it with .float() first")
    return _scan("logcumsumexp", _running_logaddexp, input, None, dim if axis is None else axis)


def _from_logcumsumexp(g: Any, x: Any, out: Any, dim: Any, axis: Any) -> Any:
    """sum_(k >= j) g_k e^(x_j - out_k) as e^(x_j - out_j) r_j with r_j = g_j + e^(out_j - out_(j+1)) r_(j+1): no
    exponent is positive. An out of -inf counts as the lowest finite number: -inf - -inf is no number."""
    if not x.shape:
        return reshape_to(g, shape=())
    at = _axis(dim, axis, x)
    low = where(eq(out, -np.inf), _LOWEST[out.dtype], out)
    decay = exp(low - shifted(low, axis=at, by=-1, fill=np.inf))
    return exp(x - low) * recurrence(decay, g, axis=at, reverse=True)


_RUNNING_EXTREME = by_dtype("running_extreme")


def _running_extreme(name: str, lowest: bool, says: str) -> Any:
    def function(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
        at = one_axis(needed_dim(name, dim, axis), input.ndim)
        if not input.ndim:
            return np.array(input), np.zeros((), np.int64)
        return _RUNNING_EXTREME[input.dtype](input, at, lowest)

    function.__doc__ = (
        f"The {says} so far along ``dim``, and where it stands (the last of equal ones), to which gradients go."
    )
    return primitive(
        function,
        name=name,
        settings="dim",
        outputs=("values", "indices"),
        plain="indices",
        result=ValuesIndices,
        input=lambda g, indices, dim, axis: (
            put_at(g, indices, axis=_axis(dim, axis, g), shape=g.shape) if g.shape else reshape_to(g, shape=())
        ),
    )


cummax = _running_extreme("cummax", False, "greatest")
cummin = _running_extreme("cummin", True, "smallest")


def _between(input: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return take_slice(input, index=(slice(None),) * axis + (slice(start, stop),))


@primitive(input=lambda g, axis, input_shape: _from_difference(g, axis, input_shape))
def difference(input: Any, *, axis: int) -> Any:
    """x_(k+1) - x_k along ``axis``; for booleans, exclusive or."""
    lead = (slice(None),) * axis
    later, earlier = input[(*lead, slice(1, None))], input[(*lead, slice(None, -1))]
    return np.not_equal(later, earlier) if input.dtype == np.bool_ else np.subtract(later, earlier)


def _from_difference(g: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """g_(k-1) - g_k, with zeros outside: minus the difference of what has a zero before and behind."""
    if not shape[axis]:
        return g
    pads = tuple([(int(d == axis), int(d == axis)) for d in range(len(shape))])
    return -difference(pad_constant(g, pads=pads, value=0), axis=axis)


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *, axis: Any = None) -> Any:
    """x_(k+1) - x_k along ``dim``, ``n`` times over, after joining ``prepend`` and ``append``; for booleans, exclusive
    or."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    at = one_axis(pick_dim(dim, axis), input.ndim)
    for ends in (prepend, append):
        if ends is not None and ends.ndim != input.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
        if ends is not None and any(d != at and ends.shape[d] != size for d, size in enumerate(input.shape)):
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; got {tuple(ends.shape)} for an input {tuple(input.shape)} and dim {at}"
            )
    if n and (prepend is not None or append is not None):
        input = cat([x for x in (prepend, input, append) if x is not None], at)
    for _ in range(n):
        input = difference(input, axis=at)
    return reshape_to(input, shape=input.shape) if not n else input


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1, axis: Any = None) -> Any:
    """The area under ``y`` along ``dim`` by the trapezoidal rule: sum (y_k + y_(k+1)) (x_(k+1) - x_k) / 2.

    ``x`` holds the places (one-dimensional, or of y's shape); without it they lie ``dx`` apart.
    """
    at = one_axis(pick_dim(dim, axis), y.ndim)
    if not y.ndim:
        raise IndexError(f"trapezoid: Dimension specified as {dim} but y has no dimensions")
    if x is not None and x.ndim == 1:
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
