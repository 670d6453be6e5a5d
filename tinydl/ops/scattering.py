"""Scatter along a dimension: elements written to, added and reduced at places that an index names.

Where an index names one place several times, additions are made in the order of the index (the same bits every time);
of several values written, the last one stays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.kernels.indexing import ADD, GREATER, LESSER, MULTIPLY
from tinydl.ops.axes import by_axis, one_axis, remembered
from tinydl.ops.casting import cast, held
from tinydl.ops.comparing import eq
from tinydl.ops.elementwise import mask, nothing
from tinydl.ops.extrema import data_of
from tinydl.ops.indexing import (
    corner,
    flat_places,
    gather_along,
    index_of,
    overwrite,
    parts_of,
    scatter_zeros,
    take_along,
    take_both,
    take_flat,
)
from tinydl.ops.padding import pad_constant
from tinydl.ops.shaping import broadcasts, expand_to, reshape_to
from tinydl.ops.slicing import LEAD, take_slice

_combine, _add_slices = by_dtype("combine_at_"), by_dtype("add_slices_")
_ZERO = np.zeros(())


def _copied(x: Any) -> Any:
    """A contiguous copy: an array, where a rule was given a number of NumPy's."""
    return x.copy() if x.ndim else np.array(x)


def _refuse_source(input: Any, src: Any) -> None:
    if src.dtype != input.dtype:
        raise RuntimeError(
            f"scatter(): Expected self.dtype to be equal to src.dtype; got {input.dtype}, {src.dtype}"
        )


@primitive(input=lambda g, index, axis: filled_at(g, index, axis=axis, value=0))
def filled_at(input: Any, index: Any, *, axis: int, value: Any) -> Any:
    """A copy of ``input`` with the number ``value`` written at ``index`` along ``axis``."""
    places = flat_places("scatter", input.shape, axis, index)
    out = _copied(input)
    out.put(places, value)
    return out


@primitive(
    input=lambda g, index, axis: filled_at(g, index, axis=axis, value=0),
    src=lambda g, index, axis, src_shape: _fitted(gather_along(g, index, axis=axis), src_shape),
)
def scattered(input: Any, src: Any, index: Any, *, axis: int) -> Any:
    """A copy of ``input`` with the elements of ``src`` written at ``index`` along ``axis``."""
    places = flat_places("scatter", input.shape, axis, index, src.shape)
    if src.dtype is not input.dtype:
        _refuse_source(input, src)
    out = _copied(input)
    if places.size:
        out.put(places, src if src.shape == index.shape else _region(src, index))
    return out


def _fitted(found: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of a source: the part of it that the index does not reach gets none."""
    if found.shape == shape:
        return found
    if len(found.shape) != len(shape):  # one is a number, the other a vector
        found = reshape_to(found, shape=(1,) * len(shape))
    return pad_constant(found, pads=tuple([(0, n - m) for n, m in zip(shape, found.shape)]), value=0)


def _combined(name: str, input: Any, src: Any, index: Any, axis: int, how: int) -> Any:
    places = flat_places(name, input.shape, axis, index, src.shape)
    if src.dtype is not input.dtype:
        _refuse_source(input, src)
    if not places.size:
        return _copied(input)
    return _combine[input.dtype](_copied(input), places, src if src.shape == index.shape else _region(src, index), how)


@primitive(
    input=lambda g: g,
    src=lambda g, index, axis, src_shape: _fitted(gather_along(g, index, axis=axis), src_shape),
)
def added_at(input: Any, src: Any, index: Any, *, axis: int) -> Any:
    """A copy of ``input`` with the elements of ``src`` added at ``index`` along ``axis``, in order."""
    return _combined("scatter_add", input, src, index, axis, ADD)


@primitive(
    input=lambda g, input, src, index, out, axis: _extreme_input(g, input, src, index, out, axis),
    src=lambda g, input, src, index, out, axis: _extreme_src(g, input, src, index, out, axis),
)
def scatter_extreme(input: Any, src: Any, index: Any, *, axis: int, largest: bool) -> Any:
    """The largest (or least) of ``input`` and of the elements of ``src`` that ``index`` sends to its place; ties share
    the gradient evenly."""
    return _combined("scatter_reduce", input, src, index, axis, GREATER if largest else LESSER)


@primitive(
    input=lambda g, input, src, index, axis: g * _others(input, src, index, axis),
    src=lambda g, input, src, index, axis: _product_src(g, input, src, index, axis),
)
def scatter_product(input: Any, src: Any, index: Any, *, axis: int) -> Any:
    """``input`` times the elements of ``src`` that ``index`` sends to its place."""
    return _combined("scatter_reduce", input, src, index, axis, MULTIPLY)


def _region(x: Any, index: Any) -> Any:
    """The part of ``x`` that an index of a smaller shape reaches."""
    if x.shape == index.shape:
        return x
    return take_slice(x, index=corner(index.shape)) if len(x.shape) else reshape_to(x, shape=index.shape)


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
    if dim is None:
        input, indices, dim = reshape_to(input, shape=(-1,)), reshape_to(indices, shape=(-1,)), 0
    elif (shapes := _matched(tuple(input.shape), tuple(indices.shape), dim)) is not None:
        input, indices = expand_to(input, shape=shapes[0]), expand_to(indices, shape=shapes[1])
    return gather_along(input, indices, axis=dim)


@remembered
def _matched(shape: tuple[int, ...], reach: tuple[int, ...], dim: int) -> Any:
    """The shapes that both broadcast to apart from ``dim``; None where they have them."""
    from tinydl.ops.shaping import broadcast_shapes

    axis = one_axis(dim, len(shape))
    if not shape and not reach:
        raise IndexError(f"take_along_dim(): Dimension specified as {dim} but tensor has no dimensions")
    if len(shape) != len(reach):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{len(shape)} dimensions for input, and {len(reach)} dimensions for indices"
        )
    both = broadcast_shapes((*shape[:axis], 1, *shape[axis + 1 :]), (*reach[:axis], 1, *reach[axis + 1 :]))
    wide = tuple((*both[:axis], n, *both[axis + 1 :]) for n in (shape[axis], reach[axis]))
    return None if wide == (shape, reach) else wide


@by_axis
def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """``input`` with src[i][j] (or one number) written at [index[i][j]][j] along ``dim``; ``reduce`` "add" or
    "multiply" combines instead (numbers only are differentiated through)."""
    src = value if src is None else src
    tensor = hasattr(src, "dtype")
    if tensor and not len(src.shape) and len(index.shape):
        src = expand_to(src, shape=index.shape)
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}")
        if not tensor:
            src = np.full_like(data_of(input), src, shape=index.shape)
        return (added_at if reduce == "add" else scatter_product)(input, src, index, axis=dim)
    return scattered(input, src, index, axis=dim) if tensor else filled_at(input, index, axis=dim, value=src)


@by_axis
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """``input`` with src[i][j] added at [index[i][j]][j] along ``dim``; repeated places add up, in order."""
    return added_at(input, src, index, axis=dim)


@by_axis
def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """The elements of ``src`` that ``index`` sends to one place along ``dim``, reduced.

    reduce
        ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``; ties share the gradient evenly.
    include_self
        Whether the element of ``input`` is one of those reduced. Places that nothing is sent to keep it anyway.
    """
    if reduce not in _NEUTRAL:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if not include_self:
        input = filled_at(input, index, axis=dim, value=_NEUTRAL[reduce](input.dtype))
    if reduce == "amax" or reduce == "amin":
        return scatter_extreme(input, src, index, axis=dim, largest=reduce == "amax")
    if reduce == "prod":
        return scatter_product(input, src, index, axis=dim)
    total = added_at(input, src, index, axis=dim)
    if reduce == "sum":
        return total
    count = added_at(
        (np.ones_like if include_self else np.zeros_like)(data_of(total), shape=input.shape),
        np.ones_like(data_of(total), shape=index.shape),
        index.array if hasattr(index, "node") else index,
        axis=dim,
    )
    if not include_self:
        np.maximum(count, 1, out=count)
    return total / count if total.dtype.kind == "f" else total // count


def _limit(dtype: Any, largest: bool) -> Any:
    if dtype.kind == "f":
        return np.inf if largest else -np.inf
    about = np.iinfo(dtype)
    return about.max if largest else about.min


# What changes nothing where ``input`` is not one of the elements reduced.
_NEUTRAL: dict[str, Any] = {
    "sum": lambda dtype: 0,
    "mean": lambda dtype: 0,
    "prod": lambda dtype: 1,
    "amax": lambda dtype: _limit(dtype, False),
    "amin": lambda dtype: _limit(dtype, True),
}


# ---------------------------------------------------------------------------------------------- whole slices at once


@remembered
def _slabs(name: str, shape: Any, reach: Any, source: Any, dim: Any) -> tuple[int, int, int, int]:
    """The axis, and the sizes before, along and behind it, for a vector of indices of the shape ``reach``."""
    axis = one_axis(dim, len(shape))
    if len(reach) > 1:
        raise RuntimeError(f"{name}(): Index should have dimension 1 or 0 (got {len(reach)})")
    before, size, behind = shape[:axis], shape[axis] if shape else 1, shape[axis + 1 :]
    if source is not None:
        wanted = (*before, *(reach or (1,)), *behind) if shape else ()
        if tuple(source) != wanted:
            raise RuntimeError(
                f"{name}(): source tensor shape must match self tensor shape, excluding the specified dimension. Got "
                f"self.shape = {list(shape)} source.shape = {list(source)}; expected {list(wanted)}"
            )
    return axis, math.prod(before), size, math.prod(behind)


def _refuse_dtypes(name: str, input: Any, index: Any, source: Any) -> None:
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, but got {index.dtype}")
    if source is not None and source.dtype != input.dtype:
        raise RuntimeError(f"{name}(): self ({input.dtype}) and source ({source.dtype}) must have the same scalar type")


def _refuse_slice(name: str, index: Any, axis: int, size: int) -> None:
    """Say which index is outside."""
    bad = int(index.max()) if index.max() >= size else int(index.min())
    raise IndexError(f"{name}(): index {bad} is out of bounds for dimension {axis} with size {size}") from None


@primitive(
    input=lambda g: g,
    source=lambda g, index, dim, alpha: _at_slices(g, index, dim, alpha),
)
def added_slices(input: Any, source: Any, index: Any, *, dim: int, alpha: Any) -> Any:
    """A copy of ``input`` with ``alpha`` times the slices of ``source`` added at ``index`` along ``dim``, in order."""
    axis, lead, size, step = _slabs("index_add", input.shape, index.shape, source.shape, dim)
    _refuse_dtypes("index_add", input, index, source)
    if not input.ndim:  # of a number there is one slice, added for each index
        source = np.full(index.size, source)
    try:
        return _add_slices[input.dtype](np.array(input, order="C", copy=True), index, source, lead, size, step, alpha)
    except IndexError:
        _refuse_slice("index_add", index, axis, size)


def _at_slices(g: Any, index: Any, dim: int, alpha: Any) -> Any:
    if g.shape:
        found = take_along(g, index if index.shape else reshape_to(index, shape=(1,)), axis=one_axis(dim, len(g.shape)))
    else:
        found = g * math.prod(index.shape)
    return found if alpha == 1 else found * alpha


def _written(name: str, input: Any, dim: int, index: Any, value: Any, source: Any = None) -> Any:
    """A copy of ``input`` with ``value`` at ``index`` along ``dim``."""
    at = index.array if hasattr(index, "node") else index
    axis, _, size, _ = _slabs(name, input.shape, at.shape, None if source is None else source.shape, dim)
    _refuse_dtypes(name, input, at, source)
    if source is not None and at.size and at.min() < 0:  # places to fill may count from the end
        _refuse_slice(name, at, axis, size)
    try:
        if input.ndim:
            return overwrite(input, value, index=(), then=(*LEAD[axis], at.reshape(-1).astype(np.int64)))
    except IndexError:
        _refuse_slice(name, at, axis, size)
    if not at.size:
        return input * 1
    if not (at.max() < 1 and at.min() >= -1):
        _refuse_slice(name, at, axis, size)
    return overwrite(input, value, index=())


@by_axis
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """``input`` with ``alpha`` times the slices of ``source`` added at ``index`` along ``dim``, in order."""
    at = index.array if hasattr(index, "node") else index
    if at.size and at.min() < 0:
        axis = one_axis(dim, input.ndim)
        _refuse_slice("index_add", at, axis, input.shape[axis] if input.ndim else 1)
    return added_slices(input, source, index, dim=dim, alpha=alpha)


@by_axis
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """``input`` with the slices of ``source`` written at ``index`` along ``dim``."""
    return _written("index_copy", input, dim, index, source, source)


@by_axis
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """``input`` with ``value`` (a number or a 0-d tensor) at ``index`` along ``dim``."""
    if hasattr(value, "dtype"):
        if len(value.shape):
            raise RuntimeError(
                f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {len(value.shape)} "
                "dimension(s)."
            )
        value = value if value.dtype == input.dtype else cast(value, dtype=input.dtype)
        if getattr(value, "needs_grad", False):  # in its gradient each place counts once
            at = index.array if hasattr(index, "node") else index
            axis, _, size, _ = _slabs("index_fill", input.shape, at.shape, None, dim)
            if at.size and not (at.min() >= -size and at.max() < size):
                _refuse_slice("index_fill", at, axis, size)
            index = np.unique(at % size) if at.size else at
    else:
        value = held(value, input.dtype)
    return _written("index_fill", input, dim, index, value)


@primitive(
    input=lambda g: g,
    value=lambda g, index, then: take_both(g, index, then),
)
def added_index(input: Any, value: Any, *, index: Any, then: Any = None) -> Any:
    """A copy of ``input`` with ``value`` (broadcast) added at ``index`` (and ``then`` the index arrays), in order."""
    out = np.array(input, order="C", copy=True)
    at = np.arange(out.size).reshape(out.shape)
    at = at[index] if then is None else (at[index] if index else at)[then]
    if value.shape != at.shape:
        if not broadcasts(value.shape, at.shape):
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of "
                f"shape {list(at.shape)}"
            )
        value = np.broadcast_to(value, at.shape)
    return _combine[out.dtype](out, at, value, ADD)


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
    at = tuple([slice(None) if i is None else i for i in indices])
    write = added_index if accumulate else overwrite
    parts = parts_of(at, True)
    try:
        if parts is not None:
            return write(input, values, index=parts[0], then=parts[1])
    except (IndexError, ValueError):
        pass  # said below
    view, arrays = index_of(at, input.shape)
    try:
        return write(input, values, index=view, then=arrays)
    except ValueError:
        return added_index(input, values, index=view, then=arrays)  # which says what does not broadcast


@primitive(
    input=lambda g, index, accumulate: g if accumulate else put_flat(g, _ZERO, index, accumulate=False),
    source=lambda g, index, source_shape: reshape_to(take_flat(g, index), shape=source_shape),
)
def put_flat(input: Any, source: Any, index: Any, *, accumulate: bool) -> Any:
    """A copy of ``input`` with ``source`` written or added at the places ``index`` of its flat memory."""
    out = np.array(input, order="C", copy=True)
    if accumulate:
        return _combine[out.dtype](out, index, source, ADD)
    if index.size:
        out.put(index, source)
    return out


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """``input`` with ``source`` written (or added, with ``accumulate``) at places of the flattened input, one of
    ``index`` an element."""
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"put(): Expected a long tensor for index, but got {index.dtype}")
    if (given := math.prod(source.shape)) != (count := math.prod(index.shape)):
        raise RuntimeError(
            "put(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{given}, index.numel() = {count}"
        )
    if source.dtype != input.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{input.dtype} for the destination and {source.dtype} for the source."
        )
    try:
        return put_flat(input, source, index, accumulate=accumulate)
    except IndexError:
        at, size = index.array if hasattr(index, "node") else index, math.prod(input.shape)
        bad = int(at.max()) if at.max() >= size else int(at.min())
        raise IndexError(f"index {bad} is out of bounds for dimension 0 with size {size}") from None
