"""Scatter along a dimension: elements written to, added and reduced at places that an index names.

Where an index names one place several times, additions are made in the order of the index (the same bits every time);
of several values written, the last one stays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import by_axis, one_axis
from tinydl.ops.casting import cast
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import mask, nothing
from tinydl.ops.indexing import (
    add_along,
    at_axis,
    checked,
    flat_places,
    gather,
    gather_along,
    index_of,
    overwrite,
    positions,
    put_index,
    refuse_place,
    scatter_zeros,
    take_both,
)
from tinydl.ops.padding import pad_constant
from tinydl.ops.shaping import broadcasts, expand_to, reshape_to
from tinydl.ops.slicing import take_slice


@primitive(input=lambda g, index, axis: filled_at(g, index, axis=axis, value=0))
def filled_at(input: Any, index: Any, *, axis: int, value: Any) -> Any:
    """A copy of ``input`` with the number ``value`` written at ``index`` along ``axis``."""
    out = np.array(input, order="C", copy=True)
    if index.size:
        out.reshape(-1)[flat_places(index, input.shape, axis)] = value
    return out


@primitive(
    input=lambda g, index, axis: filled_at(g, index, axis=axis, value=0),
    src=lambda g, index, axis, src_shape: _fitted(gather_along(g, index, axis=axis), src_shape),
)
def scattered(input: Any, src: Any, index: Any, *, axis: int) -> Any:
    """A copy of ``input`` with the elements of ``src`` written at ``index`` along ``axis``."""
    out = np.array(input, order="C", copy=True)
    if index.size:
        out.reshape(-1)[flat_places(index, input.shape, axis)] = _region(src, index)
    return out


def _fitted(found: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of a source: the part of it that the index does not reach gets none."""
    if found.shape == shape:
        return found
    return pad_constant(found, pads=tuple([(0, n - m) for n, m in zip(shape, found.shape)]), value=0)


@primitive(
    input=lambda g: g,
    src=lambda g, index, axis, src_shape: _fitted(gather_along(g, index, axis=axis), src_shape),
)
def added_at(input: Any, src: Any, index: Any, *, axis: int) -> Any:
    """A copy of ``input`` with the elements of ``src`` added at ``index`` along ``axis``, in order."""
    out = np.array(input, order="C", copy=True)
    if index.size:
        np.add.at(out.reshape(-1), flat_places(index, input.shape, axis).reshape(-1), _region(src, index).reshape(-1))
    return out


@primitive(
    smooth=False,
    input=lambda g, input, src, index, out, axis: _extreme_input(g, input, src, index, out, axis),
    src=lambda g, input, src, index, out, axis: _extreme_src(g, input, src, index, out, axis),
)
def scatter_extreme(input: Any, src: Any, index: Any, *, axis: int, largest: bool) -> Any:
    """The largest (or least) of ``input`` and of the elements of ``src`` that ``index`` sends to its place; ties share
    the gradient evenly."""
    out = np.array(input, order="C", copy=True)
    if index.size:
        at = (np.maximum if largest else np.minimum).at
        at(out.reshape(-1), flat_places(index, input.shape, axis).reshape(-1), _region(src, index).reshape(-1))
    return out


@primitive(
    smooth=False,
    input=lambda g, input, src, index, axis: g * _others(input, src, index, axis),
    src=lambda g, input, src, index, axis: _product_src(g, input, src, index, axis),
)
def scatter_product(input: Any, src: Any, index: Any, *, axis: int) -> Any:
    """``input`` times the elements of ``src`` that ``index`` sends to its place."""
    out = np.array(input, order="C", copy=True)
    if index.size:
        np.multiply.at(
            out.reshape(-1), flat_places(index, input.shape, axis).reshape(-1), _region(src, index).reshape(-1)
        )
    return out


def _region(x: Any, index: Any) -> Any:
    """The part of ``x`` that an index of a smaller shape reaches."""
    return x if x.shape == index.shape else take_slice(x, index=tuple([slice(0, n) for n in index.shape]))


def _extreme_hits(g: Any, x: Any, src: Any, index: Any, out: Any, axis: int) -> tuple[Any, Any, Any]:
    """Where ``x`` and where the source equal the result, and the gradient shared by them."""
    mine = mask(eq(x, out), g)
    theirs = mask(eq(_region(src, index), gather_along(out, index, axis=axis)), g)
    count = mine + scatter_zeros(theirs, index, axis=axis, shape=x.shape)
    return mine, theirs, g / count


def _extreme_input(g: Any, x: Any, src: Any, index: Any, out: Any, axis: int) -> Any:
    mine, _, share = _extreme_hits(g, x, src, index, out, axis)
    return mine * share


def _extreme_src(g: Any, x: Any, src: Any, index: Any, out: Any, axis: int) -> Any:
    _, theirs, share = _extreme_hits(g, x, src, index, out, axis)
    return _fitted(theirs * gather_along(share, index, axis=axis), src.shape)


def _others(x: Any, src: Any, index: Any, axis: int) -> Any:
    """The product of the source's elements alone."""
    return scatter_product(nothing(x) + 1, src, index, axis=axis)


def _product_src(g: Any, x: Any, src: Any, index: Any, axis: int) -> Any:
    """g times the product of all other factors at the same place. A single zero among them leaves only its own
    gradient, two leave none."""
    part = _region(src, index)
    zero = mask(eq(part, 0), g)
    zeros = gather_along(scatter_zeros(zero, index, axis=axis, shape=x.shape), index, axis=axis)
    without = scatter_product(x, part + zero, index, axis=axis)  # zeros counted as ones
    others = gather_along(g * without, index, axis=axis) / (part + zero)
    alone = mask(eq(zeros, zero), g)  # no zero among the other factors
    return _fitted(others * alone, src.shape)


# ------------------------------------------------------------------------------------------------ PyTorch's functions


@by_axis
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """As :func:`gather`, with ``indices`` and ``input`` broadcast apart from ``dim``; without it, of the flattened
    ``input``."""
    from tinydl.ops.shaping import broadcast_shapes

    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    axis = one_axis(dim, input.ndim)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    a = (*input.shape[:axis], 1, *input.shape[axis + 1 :])
    b = (*indices.shape[:axis], 1, *indices.shape[axis + 1 :])
    both = broadcast_shapes(a, b)
    wide = expand_to(input, shape=(*both[:axis], input.shape[axis], *both[axis + 1 :]))
    return gather(wide, axis, expand_to(indices, shape=(*both[:axis], indices.shape[axis], *both[axis + 1 :])))


@by_axis
def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """``input`` with src[i][j] (or one number) written at [index[i][j]][j] along ``dim``; ``reduce`` "add" or
    "multiply" combines instead (numbers only are differentiated through)."""
    src = value if src is None else src
    tensor = hasattr(src, "dtype")
    if tensor and not len(src.shape) and len(index.shape):
        src = expand_to(src, shape=index.shape)
    axis = checked("scatter", input, dim, index, src if tensor else None)
    if tensor and src.dtype != input.dtype:
        raise RuntimeError(f"scatter(): Expected self.dtype to be equal to src.dtype; got {input.dtype}, {src.dtype}")
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}")
        if not tensor:
            src = expand_to(_number(src, input), shape=index.shape)
        if reduce == "add":
            return scatter_add(input, axis, index, src)
        return scatter_reduce(input, axis, index, src, "prod")
    try:
        if tensor:
            return scattered(input, src, index, axis=axis)
        return filled_at(input, index, axis=axis, value=src)
    except (ValueError, IndexError):
        refuse_place(input, axis, index)


def _number(value: Any, like: Any) -> Any:
    from tinydl.autograd import primitives as _p

    return _p.Tensor._wrap(np.asarray(value, like.dtype))  # type: ignore[attr-defined]


@by_axis
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """``input`` with src[i][j] added at [index[i][j]][j] along ``dim``; repeated places add up, in order."""
    axis = checked("scatter_add", input, dim, index, src)
    if src.dtype != input.dtype:
        raise RuntimeError(
            f"scatter_add(): Expected self.dtype to be equal to src.dtype; got {input.dtype}, {src.dtype}"
        )
    try:
        return added_at(input, src, index, axis=axis)
    except (ValueError, IndexError):
        refuse_place(input, axis, index)


@by_axis
def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """The elements of ``src`` that ``index`` sends to one place along ``dim``, reduced.

    reduce
        ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``; ties share the gradient evenly.
    include_self
        Whether the element of ``input`` is one of those reduced. Places that nothing is sent to keep it anyway.
    """
    axis = checked("scatter_reduce", input, dim, index, src)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if src.dtype != input.dtype:
        raise RuntimeError(f"scatter(): Expected self.dtype to be equal to src.dtype; got {input.dtype}, {src.dtype}")
    try:
        start = input
        if not include_self:
            integral = input.dtype.kind != "f"
            least, most = (np.iinfo(input.dtype).min, np.iinfo(input.dtype).max) if integral else (-np.inf, np.inf)
            neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": least, "amin": most}[reduce]
            start = filled_at(input, index, axis=axis, value=neutral)
        if reduce in ("amax", "amin"):
            return scatter_extreme(start, src, index, axis=axis, largest=reduce == "amax")
        if reduce == "prod":
            return scatter_product(start, src, index, axis=axis)
        total = added_at(start, src, index, axis=axis)
        if reduce == "sum":
            return total
        ones = np.ones(index.shape, input.dtype)
        count = scatter_zeros(ones, index.array if hasattr(index, "node") else index, axis=axis, shape=input.shape)
        count = count + 1 if include_self else np.maximum(count, 1)
        return total / count if input.dtype.kind == "f" else total // count
    except (ValueError, IndexError):
        refuse_place(input, axis, index)


# ---------------------------------------------------------------------------------------------- whole slices at once


def _slices(name: str, input: Any, dim: int, index: Any, source: Any) -> tuple[int, Any]:
    axis = one_axis(dim, input.ndim)
    if index.ndim > 1:
        raise RuntimeError(f"{name}(): Index should have dimension 1 or 0 (got {index.ndim})")
    size = input.shape[axis] if input.ndim else 1
    at = positions(index, size, axis, name)
    if source is not None:
        if source.dtype != input.dtype:
            raise RuntimeError(
                f"{name}(): self ({input.dtype}) and source ({source.dtype}) must have the same scalar type"
            )
        wanted = (*input.shape[:axis], len(at), *input.shape[axis + 1 :]) if input.ndim else ()
        if tuple(source.shape) != wanted:
            raise RuntimeError(
                f"{name}(): source tensor shape must match self tensor shape, excluding the specified dimension. Got "
                f"self.shape = {list(input.shape)} source.shape = {list(source.shape)}; expected {list(wanted)}"
            )
    return axis, at


@by_axis
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """``input`` with ``alpha`` times the slices of ``source`` added at ``index`` along ``dim``, in order."""
    axis, at = _slices("index_add", input, dim, index, source)
    if not input.ndim:
        return input + source * alpha * len(at)
    added = add_along(source, at, axis=axis, size=input.shape[axis])
    return input + (added if alpha == 1 else added * alpha)


@by_axis
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """``input`` with the slices of ``source`` written at ``index`` along ``dim``."""
    axis, at = _slices("index_copy", input, dim, index, source)
    if not input.ndim:
        return overwrite(input, source, index=())
    return overwrite(input, source, index=(), then=at_axis(axis, at))


@by_axis
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """``input`` with ``value`` (a number or a 0-d tensor) at ``index`` along ``dim``."""
    axis, at = _slices("index_fill", input, dim, index, None)
    if hasattr(value, "dtype"):
        at = np.unique(at % (input.shape[axis] if input.ndim else 1))  # in its gradient each place counts once
        if len(value.shape):
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {len(value.shape)} "
                "dimension(s)."
            )
        value = value if value.dtype == input.dtype else cast(value, dtype=input.dtype)
    else:
        value = np.asarray(value, input.dtype)
    if not input.ndim:
        return overwrite(input, value, index=()) if len(at) else input * 1
    return overwrite(input, value, index=(), then=at_axis(axis, at))


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """``input`` with ``values`` (broadcast) written at the tuple ``indices`` of index tensors; with ``accumulate``,
    added there, in order."""
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put(): argument 'indices' must be tuple of Tensors, not {type(indices).__name__}")
    if values.dtype != input.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{input.dtype} for the destination and {values.dtype} for the source."
        )
    view, arrays = index_of(tuple(slice(None) if i is None else i for i in indices), input.shape)
    if not accumulate:
        try:
            return overwrite(input, values, index=view, then=arrays)
        except ValueError:
            pass  # said below
    size = math.prod(input.shape)
    places = take_both(np.arange(size).reshape(input.shape), view, arrays)
    if not broadcasts(values.shape, places.shape):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of "
            f"shape {list(places.shape)}"
        )
    wide = reshape_to(expand_to(values, shape=places.shape), shape=(places.size,))
    added = put_index(wide, index=(places.reshape(-1),), shape=(size,))
    return input + reshape_to(added, shape=input.shape)


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """``input`` with ``source`` written (or added, with ``accumulate``) at places of the flattened input, one of
    ``index`` an element."""
    at = index.array if hasattr(index, "node") else index
    if at.dtype.kind not in "iu":
        raise RuntimeError(f"put(): Expected a long tensor for index, but got {at.dtype}")
    if at.size != (given := math.prod(source.shape)):
        raise RuntimeError(
            "put(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{given}, index.numel() = {at.size}"
        )
    flat = reshape_to(input, shape=(math.prod(input.shape),))
    changed = index_put(flat, (at.reshape(-1),), reshape_to(source, shape=(at.size,)), accumulate)
    return reshape_to(changed, shape=input.shape)
