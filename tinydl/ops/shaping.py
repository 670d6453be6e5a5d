"""Shapes: reshape, permute, expand, and joins: views of one memory wherever PyTorch's are.

A view shares its base's version, so that a write through one is noticed by all. Parts are taken in :mod:`slicing`;
:mod:`arranging` copies elements to other places.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import LOCKS, axis_of, by_axis, one_axis, remembered, sizes_of
from tinydl.ops.casting import cast
from tinydl.ops.slicing import LEAD, cuts_of, take_slice
from tinydl.ops.slicing import chunk as chunk
from tinydl.ops.slicing import split as split
from tinydl.ops.slicing import unbind as unbind


@primitive(view=True, input=lambda g, input_shape: reshape_to(g, shape=input_shape))
def reshape_to(input: Any, *, shape: Any) -> Any:
    """The same elements in another shape."""
    return input.reshape(shape)


@primitive(view=True, input=lambda g, axes: permute_axes(g, axes=_inverse(axes)))
def permute_axes(input: Any, *, axes: Any) -> Any:
    """Dimensions in another order."""
    return input.transpose(axes)


@remembered
def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    order = [0] * len(axes)
    for i, a in enumerate(axes):
        order[a] = i
    return tuple(order)


@primitive(view=True, input=lambda g: g)
def expand_to(input: Any, *, shape: Any) -> Any:
    """Broadcast without copying; the engine sums the gradient back."""
    return _wide(input, shape)


def _wide(input: Any, shape: tuple[int, ...]) -> Any:
    old = input.shape
    if shape == old:
        return input.view()
    try:  # of contiguous memory the same view as broadcast_to's, at a quarter of its time
        out: Any = np.ndarray(shape, input.dtype, input, 0, _strides(old, input.strides, shape))
    except (ValueError, TypeError):
        return np.broadcast_to(input, shape)
    out.setflags(write=False)  # several elements are one
    return out


if not LOCKS:

    def _wide(input: Any, shape: tuple[int, ...]) -> Any:
        return np.broadcast_to(input, shape)


@remembered
def _strides(shape: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    lead = len(wanted) - len(shape)
    if not broadcasts(shape, wanted):
        raise ValueError(f"shape {shape} does not broadcast to {wanted}")
    return (0,) * lead + tuple(t if s == w else 0 for s, t, w in zip(shape, strides, wanted[lead:]))


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def _back(g: Any, input_shape: tuple[int, ...]) -> Any:
    """The gradient of every other shape of the same elements."""
    return reshape_to(g, shape=input_shape)


@primitive(view=True, settings="shape", input=_back)
def reshape(input: Any, *shape: Any) -> Any:
    """The same elements in another shape; one size may be -1. A view when memory allows, else a copy."""
    sizes = sizes_of(shape)
    try:
        out = input.reshape(sizes)
    except ValueError:
        _refuse_shape(sizes, input.shape)
    if out.shape != sizes:
        _refuse_negative(sizes)
    return out


def _refuse_negative(sizes: tuple[int, ...]) -> None:
    """NumPy reads any negative size as -1."""
    for i, s in enumerate(sizes):
        if s < -1:
            raise RuntimeError(f"invalid shape dimension {s} at index {i} of shape {list(sizes)}")


def reshape_result(result: Any, shape: Any) -> Any:
    """A fresh result in another shape. Nobody else holds it, so it is no view, and ``relu_`` may follow."""
    out = reshape_to(result, shape=tuple(shape))
    out.taken = None
    return out


def _refuse_shape(sizes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    count = math.prod(shape)
    if sizes.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred, but the shape is {list(sizes)}") from None
    _refuse_negative(sizes)
    if not count and -1 in sizes and 0 in sizes:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(sizes)} because the unspecified dimension size -1 "
            "can be any value and is ambiguous"
        ) from None
    raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {count}") from None


def view(input: Any, *shape: Any) -> Any:
    """As :func:`reshape`, but never a copy: raises RuntimeError when the strides do not allow a view. A dtype is
    refused."""
    sizes = sizes_of(shape)
    try:
        out = reshape_to(input, shape=sizes)
    except ValueError:
        _refuse_shape(sizes, input.shape)
    if out.taken is None and out.array.size:  # not marked as a view: NumPy copied
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous "
            "subspaces). Use .reshape(...) instead."
        )
    if out.array.shape != sizes:
        _refuse_negative(sizes)
    return out


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Join the dimensions from ``start_dim`` to ``end_dim`` into one."""
    shape = _flattened(input.shape, start_dim, end_dim)
    return input if len(shape) == len(input.shape) else reshape_to(input, shape=shape)


@remembered
def _flattened(shape: tuple[int, ...], start_dim: int, end_dim: int) -> tuple[int, ...]:
    a, b = one_axis(start_dim, len(shape)), one_axis(end_dim, len(shape))
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return shape[:a] + (math.prod(shape[a : b + 1]),) + shape[b + 1 :]


@primitive(view=True, input=_back)
def ravel(input: Any) -> Any:
    """All elements in one dimension."""
    return input.ravel()


@by_axis
def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    """Spread dimension ``dim`` over ``sizes``, one of which may be -1."""
    return reshape_to(input, shape=_unflattened(input.shape, dim, tuple(sizes)))


@remembered
def _unflattened(shape: tuple[int, ...], dim: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    axis = one_axis(dim, len(shape))
    if not shape:
        raise IndexError(f"unflatten: Dimension specified as {dim} but tensor has no dimensions")
    wanted = sizes_of((sizes,))
    if not wanted:
        raise RuntimeError("unflatten: sizes must be non-empty")
    if wanted.count(-1) > 1:
        raise RuntimeError("unflatten: only one dimension can be inferred")
    known = math.prod(s for s in wanted if s != -1)
    n = shape[axis]
    if -1 in wanted and known and n % known == 0:
        wanted = tuple(n // known if s == -1 else s for s in wanted)
    if math.prod(wanted) != n or -1 in wanted:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({n}) in the input "
            "tensor"
        )
    return (*shape[:axis], *wanted, *shape[axis + 1 :])


@primitive(view=True, settings="dims", input=lambda g, dims: _unpermuted(g, dims))
def permute(input: Any, *dims: Any) -> Any:
    """Dimensions in the order ``dims``."""
    return input.transpose(_permuted(sizes_of(dims), input.ndim))


def _unpermuted(g: Any, dims: Any) -> Any:
    return permute_axes(g, axes=_inverse(_permuted(sizes_of(dims), len(g.shape))))


@remembered
def _permuted(order: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    if len(order) != ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
            "dimensions "
            f"i.e. input.dim() = {ndim} is not equal to len(dims) = {len(order)}"
        )
    return axis_of(order, ndim) or ()


@primitive(view=True, settings="dim0 dim1", input=lambda g, dim0, dim1: transpose(g, dim0, dim1))
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions."""
    return input.transpose(_exchanged(dim0, dim1, input.ndim))


swapaxes = swapdims = transpose


@remembered
def _exchanged(dim0: int, dim1: int, ndim: int) -> tuple[int, ...]:
    a, b = one_axis(dim0, ndim), one_axis(dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[a], order[b] = b, a
    return tuple(order)


@primitive(view=True, input=lambda g: t(g))
def t(input: Any) -> Any:
    """The transpose of a matrix (a vector or a number is returned as it is)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D; use transpose or permute"
        )
    return input.transpose()


@primitive(
    view=True, settings="source destination",
    input=lambda g, source, destination: movedim(g, destination, source),
)  # fmt: skip
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """The dimensions ``source`` moved to the places ``destination``; the others keep their order."""
    if type(source) is not int or type(destination) is not int:
        source, destination = (tuple(d) if isinstance(d, (tuple, list)) else (d,) for d in (source, destination))
    return input.transpose(_moved(source, destination, input.ndim))


moveaxis = movedim


@remembered
def _moved(source: Any, destination: Any, ndim: int) -> tuple[int, ...]:
    if type(source) is int:
        source, destination = (source,), (destination,)
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should contain the same number "
            f"of dims as destination ({list(destination)} dims)"
        )
    a, b = axis_of(source, ndim) or (), axis_of(destination, ndim) or ()
    rest = iter([d for d in range(ndim) if d not in a])
    return tuple(a[b.index(place)] if place in b else next(rest) for place in range(ndim))


@primitive(view=True, settings="sizes", input=lambda g: g)
def expand(input: Any, *sizes: Any) -> Any:
    """Broadcast to ``sizes`` (-1 keeps a size) without copying."""
    return _wide(input, _expanded(input.shape, sizes_of(sizes)))


@remembered
def _expanded(old: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    shape = list(sizes)
    lead = len(shape) - len(old)
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(shape)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(old)})"
        )
    for i, s in enumerate(shape):
        if s == -1:
            if i < lead:
                raise RuntimeError(
                    "expand: the expanded size of the tensor (-1) isn't allowed in a leading, "
                    f"non-existing dimension {i}"
                )
            shape[i] = old[i - lead]
        elif i >= lead and old[i - lead] not in (1, s):
            raise RuntimeError(
                f"The expanded size of the tensor ({s}) must match the existing size ({old[i - lead]}) at "
                f"non-singleton dimension {i}. "
                f"Target sizes: {shape}. Tensor sizes: {list(old)}"
            )
    return tuple(shape)


def broadcast_to(input: Any, size: Any) -> Any:
    """As :func:`expand`."""
    return expand(input, size)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of ``shapes`` broadcast to. Raises RuntimeError when they do not."""
    return _broadcast(tuple([(s,) if isinstance(s, int) else tuple(s) for s in shapes]))


@remembered
def _broadcast(wanted: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*wanted)
    except ValueError:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape; the shapes are "
            f"{', '.join(map(str, wanted))}"
        ) from None


def broadcasts(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether ``shape`` expands to ``wanted``."""
    lead = len(wanted) - len(shape)
    return lead >= 0 and all(s in (1, w) for s, w in zip(shape, wanted[lead:]))


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Views of all ``tensors`` in the shape that they broadcast to."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    shape = broadcast_shapes(*[x.shape for x in tensors])
    return tuple(expand_to(x, shape=shape) for x in tensors)


@primitive(view=True, settings="dim", input=_back)
def squeeze(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
    """Drop dimensions of size 1 (all, or those in ``dim``)."""
    if axis is not None:
        dim = axis
    return input.reshape(_squeezed(input.shape, tuple(dim) if type(dim) is list else dim))


@remembered
def _squeezed(shape: tuple[int, ...], dim: Any) -> tuple[int, ...]:
    n = len(shape)
    axes = range(n) if dim is None else (axis_of(dim, n) or ())
    return tuple(s for i, s in enumerate(shape) if s != 1 or i not in axes)


@primitive(view=True, settings="dim", input=_back)
def unsqueeze(input: Any, dim: Any = None, *, axis: Any = None) -> Any:
    """Insert a dimension of size 1 at ``dim``."""
    return input.reshape(_unsqueezed(input.shape, dim if axis is None else axis))


@remembered
def _unsqueezed(shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    at = one_axis(dim, len(shape) + 1)
    return shape[:at] + (1,) + shape[at:]


def atleast_1d(*tensors: Any) -> Any:
    """A number as a vector of one; all else as it is. Of several tensors, a tuple."""
    return _each(tensors, lambda x: x if x.ndim else reshape_to(x, shape=(1,)))


def atleast_2d(*tensors: Any) -> Any:
    """A number as [1, 1], a vector [N] as [1, N]. Of several tensors, a tuple."""
    return _each(tensors, lambda x: x if x.ndim > 1 else reshape_to(x, shape=(1,) * (2 - x.ndim) + x.shape))


def atleast_3d(*tensors: Any) -> Any:
    """A number as [1, 1, 1], [N] as [1, N, 1], [M, N] as [M, N, 1]. Of several tensors, a tuple."""

    def lifted(x: Any) -> Any:
        return x if x.ndim > 2 else reshape_to(x, shape=((1,) * (2 - x.ndim) + x.shape + (1,))[-3:])

    return _each(tensors, lifted)


def _each(tensors: tuple[Any, ...], function: Any) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return function(tensors[0])
    return tuple(function(x) for x in (tensors[0] if len(tensors) == 1 else tensors))


# ------------------------------------------------------------------------------------------------------------ joining


def _pieces(needs: tuple[bool, ...], g: Any, shapes: Any, axis: int) -> tuple[Any, ...]:
    cuts = cuts_of(tuple([s[axis] for s in shapes]), axis)
    return tuple([take_slice(g, index=cut) if need else None for need, cut in zip(needs, cuts)])


@primitive(joint=_pieces)
def concatenate(*tensors: Any, axis: int) -> Any:
    """Arrays joined along an existing ``axis``."""
    return np.concatenate(tensors, axis)


def _layers(needs: tuple[bool, ...], g: Any, axis: int) -> tuple[Any, ...]:
    return tuple([take_slice(g, index=LEAD[axis] + (i,)) if need else None for i, need in enumerate(needs)])


@primitive(joint=_layers)
def stacked(*tensors: Any, axis: int) -> Any:
    """Arrays of one shape joined along a new ``axis``."""
    first = tensors[0]
    shape = first.shape
    out = np.empty(shape[:axis] + (len(tensors),) + shape[axis:], first.dtype)
    if axis:
        for i, x in enumerate(tensors):
            out[LEAD[axis] + (i,)] = x
    else:
        for i, x in enumerate(tensors):
            out[i] = x
    return out


def cat(tensors: Any, dim: int = 0, *, axis: Any = None) -> Any:
    """Join tensors along an existing dimension; dtypes are promoted."""
    if type(tensors) is not list:
        tensors = list(tensors)
    if axis is not None:
        dim = axis
    if not tensors:
        raise RuntimeError("cat(): expected a non-empty list of Tensors")
    first = tensors[0]
    try:  # a tensor's array costs less to look at than the tensor
        kind = first.array.dtype
        for x in tensors:
            if x.array.dtype is not kind:
                return _cat_slow(tensors, dim)
    except AttributeError:  # an array among them
        if any(x.dtype is not first.dtype for x in tensors):
            return _cat_slow(tensors, dim)
    try:
        return concatenate(*tensors, axis=dim if dim >= 0 else one_axis(dim, first.ndim))
    except (ValueError, IndexError):  # an empty tensor among others, or to be said in PyTorch's words
        return _cat_slow(tensors, dim)


concat = cat


def _cat_slow(tensors: list[Any], dim: int) -> Any:
    """Several dtypes, an empty tensor among others, or a mistake."""
    tensors = promoted(tensors)
    # PyTorch lets an empty 1-d tensor join anything.
    real = [x for x in tensors if x.shape != (0,)] or tensors
    first = real[0]
    if first.ndim == 1:
        real = tensors
    if not first.ndim:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated; use stack")
    axis = one_axis(dim, first.ndim)
    for i, x in enumerate(real):
        if x.ndim != first.ndim or any(a != b for k, (a, b) in enumerate(zip(x.shape, first.shape)) if k != axis):
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {axis}. Expected shape {list(first.shape)} but got "
                f"{list(x.shape)} "
                f"for tensor number {i} in the list."
            ) from None
    return concatenate(*real, axis=axis)


def promoted(tensors: list[Any]) -> list[Any]:
    """``tensors`` in the one dtype that PyTorch's table gives them (0-d tensors and numbers count less)."""
    first = tensors[0].dtype if tensors else None
    if all(x.dtype is first for x in tensors):
        return tensors
    want = dtypes.result_type(*tensors)
    return [x if x.dtype == want else cast(x, dtype=want) for x in tensors]


def stack(tensors: Any, dim: int = 0, *, axis: Any = None) -> Any:
    """Join tensors of one shape along a new dimension; dtypes are promoted."""
    if type(tensors) is not list:
        tensors = list(tensors)
    if axis is not None:
        dim = axis
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0].array
    kind, shape = first.dtype, first.shape
    for i, x in enumerate(tensors):
        array = x.array
        if array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(x.shape)} at "
                f"entry {i}"
            )
        if array.dtype is not kind and array.dtype != kind:
            return stack(promoted(tensors), dim)
    return stacked(*tensors, axis=one_axis(dim, len(shape) + 1))
