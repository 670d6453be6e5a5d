"""Shapes: reshape, permute, expand, join and split. Results share memory wherever NumPy's do."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive


@primitive(view=True, input=lambda g, input_shape: reshape_to(g, shape=input_shape))
def reshape_to(input: Any, *, shape: Any) -> Any:
    """The same elements in another shape."""
    return input.reshape(shape)


@primitive(view=True, input=lambda g, axes: permute_axes(g, axes=_inverse(axes)))
def permute_axes(input: Any, *, axes: Any) -> Any:
    """Dimensions in another order."""
    return np.transpose(input, axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    order = [0] * len(axes)
    for i, a in enumerate(axes):
        order[a] = i
    return tuple(order)


@primitive(view=True, input=lambda g: g)
def expand_to(input: Any, *, shape: Any) -> Any:
    """Broadcast without copying; the engine sums the gradient back."""
    return np.broadcast_to(input, shape)


@primitive(view=True, input=lambda g, axes: reverse(g, axes=axes))
def reverse(input: Any, *, axes: Any) -> Any:
    """Elements in reverse order along ``axes``."""
    return np.flip(input, axes)


def _split_sizes(needs: tuple[bool, ...], g: Any, shapes: Any, axis: int) -> tuple[Any, ...]:
    from tinydl.ops.indexing import take_slice

    out, at = [], 0
    for need, shape in zip(needs, shapes):
        n = shape[axis]
        index = (slice(None),) * axis + (slice(at, at + n),)
        out.append(take_slice(g, index=index) if need else None)
        at += n
    return tuple(out)


@primitive(name="concatenate", joint=_split_sizes)
def concatenate(*tensors: Any, axis: int) -> Any:
    """Arrays joined along an existing ``axis``."""
    return np.concatenate(tensors, axis=axis)


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) == 1 and type(shape[0]) is tuple:
        shape = shape[0]
    for s in shape:
        if type(s) is not int:
            break
    else:
        return shape  # the usual case
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return tuple(int(s) for s in shape)


def reshape(input: Any, *shape: Any) -> Any:
    """The same elements in another shape; one size may be -1. A view when memory allows, else a copy."""
    sizes = _sizes(shape)
    try:
        return reshape_to(input, shape=sizes)
    except ValueError:
        raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {int(np.prod(input.shape))}") from None


def view(input: Any, *shape: Any) -> Any:
    """As :func:`reshape`, but never a copy: raises RuntimeError when the strides do not allow a view. A dtype is
    refused."""
    sizes = _sizes(shape)
    out = reshape(input, sizes)
    if out.data.size and not np.may_share_memory(out.data, input.data):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous "
            "subspaces). Use .reshape(...) instead."
        )
    return out


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Join the dimensions from ``start_dim`` to ``end_dim`` into one."""
    from tinydl.ops.reducing import one_axis

    if input.ndim == 0:
        return reshape_to(input, shape=(1,))
    a, b = one_axis(start_dim, input.ndim), one_axis(end_dim, input.ndim)
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if a == b:
        return input
    shape = input.shape
    return reshape_to(input, shape=shape[:a] + (int(np.prod(shape[a : b + 1])),) + shape[b + 1 :])


def permute(input: Any, *dims: Any) -> Any:
    """Dimensions in the order ``dims``."""
    from tinydl.ops.reducing import axis_of

    order = _sizes(dims)
    if len(order) != input.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
            "dimensions "
            f"i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
        )
    return permute_axes(input, axes=axis_of(order, input.ndim) or ())


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions."""
    from tinydl.ops.reducing import one_axis

    if not input.ndim:
        return permute_axes(input, axes=())
    a, b = one_axis(dim0, input.ndim), one_axis(dim1, input.ndim)
    order = list(range(input.ndim))
    order[a], order[b] = b, a
    return permute_axes(input, axes=tuple(order))


def t(input: Any) -> Any:
    """The transpose of a matrix (a vector or a number is returned as it is)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D; use transpose or permute"
        )
    return permute_axes(input, axes=tuple(range(input.ndim))[::-1])


def expand(input: Any, *sizes: Any) -> Any:
    """Broadcast to ``sizes`` (-1 keeps a size) without copying."""
    shape = list(_sizes(sizes))
    lead = len(shape) - input.ndim
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(shape)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({input.ndim})"
        )
    for i, s in enumerate(shape):
        if s == -1:
            if i < lead:
                raise RuntimeError(
                    "expand: the expanded size of the tensor (-1) isn't allowed in a leading, "
                    f"non-existing dimension {i}"
                )
            shape[i] = input.shape[i - lead]
        elif i >= lead and input.shape[i - lead] not in (1, s):
            raise RuntimeError(
                f"The expanded size of the tensor ({s}) must match the existing size ({input.shape[i - lead]}) at "
                f"non-singleton dimension {i}. "
                f"Target sizes: {shape}. Tensor sizes: {list(input.shape)}"
            )
    return expand_to(input, shape=tuple(shape))


def broadcast_to(input: Any, size: Any) -> Any:
    """As :func:`expand`."""
    return expand(input, size)


def squeeze(input: Any, dim: Any = None) -> Any:
    """Drop dimensions of size 1 (all, or those in ``dim``)."""
    from tinydl.ops.reducing import axis_of

    axes = range(input.ndim) if dim is None else (axis_of(dim, input.ndim) or ())
    gone = {a for a in axes if input.ndim and input.shape[a] == 1}
    return reshape_to(input, shape=tuple(s for i, s in enumerate(input.shape) if i not in gone))


def unsqueeze(input: Any, dim: int) -> Any:
    """Insert a dimension of size 1 at ``dim``."""
    limit = input.ndim + 1
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    at = dim % limit
    return reshape_to(input, shape=input.shape[:at] + (1,) + input.shape[at:])


def flip(input: Any, *dims: Any) -> Any:
    """A copy with the elements in reverse order along ``dims``."""
    from tinydl.ops.casting import contiguous
    from tinydl.ops.reducing import axis_of

    return contiguous(reverse(input, axes=axis_of(_sizes(dims), input.ndim) or ()))


def cat(tensors: Any, dim: int = 0) -> Any:
    """Join tensors along an existing dimension; dtypes are promoted."""
    from tinydl import dtypes
    from tinydl.ops.casting import cast
    from tinydl.ops.reducing import one_axis

    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("cat(): expected a non-empty list of Tensors")
    kinds = {x.dtype for x in tensors}
    if len(kinds) > 1:
        want = None
        for k in kinds:
            want = k if want is None else dtypes.promote_types(want, k)
        tensors = [x if x.dtype == want else cast(x, dtype=want) for x in tensors]
    # PyTorch lets an empty 1-d tensor join anything.
    real = [x for x in tensors if x.shape != (0,)] or tensors[:1]
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
            )
    return concatenate(*real, axis=axis)


def stack(tensors: Any, dim: int = 0) -> Any:
    """Join tensors of one shape along a new dimension."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = tensors[0].shape
    for i, x in enumerate(tensors):
        if x.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(x.shape)} at "
                f"entry {i}"
            )
    at = dim if dim >= 0 else dim + len(shape) + 1
    return cat([unsqueeze(x, dim) for x in tensors], at)


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Pieces of a size (the last may be smaller), or of the given sizes, along ``dim``."""
    from tinydl.ops.indexing import take_slice
    from tinydl.ops.reducing import one_axis

    axis = one_axis(dim, tensor.ndim)
    total = tensor.shape[axis]
    if isinstance(split_size_or_sections, int):
        if split_size_or_sections < 0 or (split_size_or_sections == 0 and total):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={split_size_or_sections}")
        step = split_size_or_sections or 1
        sizes = [min(step, total - i) for i in range(0, total, step)] or [0]
    else:
        sizes = [int(s) for s in split_size_or_sections]
        if sum(sizes) != total:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {total} (input tensor's size at dimension "
                f"{axis}), but got split_sizes={sizes}"
            )
    out, at = [], 0
    for n in sizes:
        out.append(take_slice(tensor, index=(slice(None),) * axis + (slice(at, at + n),)))
        at += n
    return tuple(out)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most ``chunks`` pieces of equal size (the last may be smaller)."""
    from tinydl.ops.reducing import one_axis

    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    total = input.shape[one_axis(dim, input.ndim)]
    return split(input, max(1, -(-total // chunks)), dim)


def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along ``dim``, which disappears."""
    from tinydl.ops.indexing import take_slice
    from tinydl.ops.reducing import one_axis

    axis = one_axis(dim, input.ndim)
    return tuple(take_slice(input, index=(slice(None),) * axis + (i,)) for i in range(input.shape[axis]))
