"""Elements at other places: reversed, rolled, repeated, in triangles and on diagonals: copies, as PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.devices import beside, on_host
from tinydl.ops.axes import axis_of, by_axis, lock, one_axis, remembered, sizes_of
from tinydl.ops.casting import contiguous
from tinydl.ops.indexing import masked_fill, sources, take_along, take_flat
from tinydl.ops.reducing import reduce_sum
from tinydl.ops.shaping import expand_to, permute_axes, ravel, reshape_to
from tinydl.ops.slicing import diagonal_of, diagonal_put


@primitive(input=lambda g, axes: reverse(g, axes=axes))
def reverse(input: Any, *, axes: Any) -> Any:
    """Elements in reverse order along ``axes``."""
    return input[_backwards(axes, input.ndim)].copy()


@primitive(input=lambda g, shifts, axes: rolled(g, shifts=tuple([-s for s in shifts]), axes=axes))
def rolled(input: Any, *, shifts: Any, axes: Any) -> Any:
    """Elements moved by ``shifts`` along ``axes``; what leaves at one end comes in at the other."""
    if 0 < input.size <= _FEW:
        return input.take(_rolled_index(input.shape, shifts, axes))
    for s, a in zip(shifts, axes):
        n = input.shape[a]
        if n:
            lead, cut = (slice(None),) * a, -s % n
            input = np.concatenate((input[(*lead, slice(cut, None))], input[(*lead, slice(0, cut))]), a)
    return input


_FEW = 4096  # of so few elements the index is remembered


@remembered
def _rolled_index(shape: tuple[int, ...], shifts: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Where each element of the result of :func:`rolled` comes from, counted through."""
    return np.roll(np.arange(math.prod(shape)).reshape(shape), shifts, axes)


@primitive(input=lambda g, input_shape, repeats: _folded(g, input_shape, repeats))
def tiled(input: Any, *, repeats: Any) -> Any:
    """The array ``repeats`` times along each dimension (as many numbers as dimensions, or more)."""
    shape = (1,) * (len(repeats) - input.ndim) + input.shape
    inner = tuple(n for s in shape for n in (1, s))
    whole = tuple(n for r, s in zip(repeats, shape) for n in (r, s))
    out = np.empty(whole, input.dtype)
    out[...] = input.reshape(inner)
    return out.reshape([r * s for r, s in zip(repeats, shape)])


def _folded(g: Any, shape: tuple[int, ...], repeats: tuple[int, ...]) -> Any:
    old = (1,) * (len(repeats) - len(shape)) + shape
    whole = reshape_to(g, shape=tuple([n for r, s in zip(repeats, old) for n in (r, s)]))
    return reshape_to(reduce_sum(whole, axis=tuple(range(0, 2 * len(old), 2)), keepdims=False), shape=shape)


@primitive(input=lambda g, diagonal, lower: triangle(g, diagonal=diagonal, lower=lower))
def triangle(input: Any, *, diagonal: int, lower: bool) -> Any:
    """The elements on and below (or above) a diagonal of each matrix, zeros elsewhere."""
    return _cleared(input, diagonal, lower)


def _cleared(input: Any, diagonal: int, lower: bool) -> Any:
    out = input.copy("C")
    outside = _outside(input.shape[-2], input.shape[-1], diagonal, lower)
    if out.ndim == 2:
        out[outside] = 0
    else:
        out[..., outside] = 0
    return out


@remembered
def _outside(rows: int, columns: int, diagonal: int, lower: bool) -> Any:
    distance = np.arange(columns) - np.arange(rows)[:, None]
    found = distance > diagonal if lower else distance < diagonal
    lock(found)
    return found


# ------------------------------------------------------------------------------------------------ PyTorch's functions


@primitive(settings="dims", input=lambda g, dims: flip(g, sizes_of(dims)))
def flip(input: Any, *dims: Any) -> Any:
    """A copy with the elements in reverse order along ``dims``."""
    return input[_backwards(sizes_of(dims), input.ndim)].copy()


@remembered
def _backwards(dims: tuple[int, ...], ndim: int) -> tuple[slice, ...]:
    axes = axis_of(dims, ndim) or ()
    return tuple([slice(None, None, -1 if k in axes else None) for k in range(ndim)])


def fliplr(input: Any) -> Any:
    """The columns in reverse order."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return reverse(input, axes=(1,))


def flipud(input: Any) -> Any:
    """The rows in reverse order."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return reverse(input, axes=(0,))


@by_axis
def roll(input: Any, shifts: Any, dims: Any = None, dim: Any = None) -> Any:
    """Elements moved by ``shifts`` along ``dims`` (of the flattened tensor without them), round the end."""
    dims = dim if dims is None else dims
    steps = tuple(shifts) if isinstance(shifts, (tuple, list)) else (int(shifts),)
    if dims is None or dims in ((), []):
        if len(steps) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:0")
        flat = rolled(reshape_to(input, shape=(-1,) if input.size else (0,)), shifts=steps, axes=(0,))
        return reshape_to(flat, shape=input.shape)
    axes = tuple(one_axis(d, input.ndim) for d in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    if len(axes) != len(steps):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}")
    return rolled(input, shifts=steps, axes=axes)


def rot90(input: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """A plane turned by ``k`` quarters, from the first of ``dims`` towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    places = sources(_turned, input.shape, k % 4, *dims)
    return _turned(input, k % 4, *dims) if places is None else take_flat(input, places)


def _turned(input: Any, turns: int, *dims: int) -> Any:
    a, b = (one_axis(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    order = list(range(input.ndim))
    order[a], order[b] = b, a
    if turns == 0:
        return contiguous(input)
    if turns == 2:
        return reverse(input, axes=(a, b))
    flipped = reverse(input, axes=(b,) if turns == 1 else (a,))
    return permute_axes(flipped, axes=tuple(order))


def repeat(input: Any, *repeats: Any) -> Any:
    """The tensor ``repeats`` times along each dimension; further numbers make new dimensions in front. A copy."""
    times = sizes_of(repeats)
    places = sources(_copies, input.shape, times)
    return _copies(input, times) if places is None else take_flat(input, places)


def _copies(input: Any, times: tuple[int, ...]) -> Any:
    if len(times) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: got "
            f"{list(times)} for a tensor of shape {list(input.shape)}"
        )
    if any(r < 0 for r in times):
        raise RuntimeError(f"Repeats must be non-negative, got {list(times)}")
    return tiled(input, repeats=times)


def tile(input: Any, *dims: Any) -> Any:
    """As :func:`repeat`, with ones put before too few numbers."""
    times = sizes_of(dims)
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


@by_axis
def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each element along ``dim`` (of the flattened tensor without it) ``repeats`` times: a number, or one per element.

    Given one integer tensor alone: the index i, input[i] times. Raises RuntimeError for negative repeats and when there
    is not one per element.
    """
    if repeats is None:
        from tinydl.autograd import primitives as _p

        counts = on_host(input.array)
        if counts.ndim != 1 or counts.dtype.kind not in "iu":
            raise RuntimeError("repeat_interleave only accepts 1D vector of int64 or int32 as repeat")
        _refuse_negative(counts)
        places = np.repeat(np.arange(len(counts)), counts).astype(counts.dtype)
        return _p.Tensor._wrap(beside(places, input.array))  # type: ignore[attr-defined]
    if dim is not None and not input.ndim:
        raise IndexError(f"repeat_interleave: Dimension specified as {dim} but tensor has no dimensions")
    if type(repeats) is int and repeats >= 0 and output_size is None:
        places = sources(_each_repeated, input.shape, repeats, dim)
        if places is not None:
            return take_flat(input, places)
    if dim is None:
        input, dim = reshape_to(input, shape=(-1,) if input.size else (0,)), 0
    axis = one_axis(dim, input.ndim)
    n = input.shape[axis]
    counts = np.asarray(on_host(repeats.array) if hasattr(repeats, "node") else repeats)
    if counts.dtype.kind not in "iu":
        raise RuntimeError("repeats has to be Long or Int tensor")
    _refuse_negative(counts)
    if counts.ndim > 1 or (counts.ndim and counts.size not in (1, n)):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats of shape {list(counts.shape)} and "
            f"{n} elements along dim {dim}"
        )
    where = np.repeat(np.arange(n), counts)
    if output_size is not None and output_size != len(where):
        raise RuntimeError(f"repeat_interleave: allocated size {output_size} does not match the required {len(where)}")
    return take_along(input, where, axis=axis)


def _each_repeated(places: Any, repeats: int, dim: int | None) -> Any:
    return places.repeat(repeats, None if dim is None else one_axis(dim, places.ndim))


def _refuse_negative(counts: Any) -> None:
    if counts.size and counts.min() < 0:
        raise RuntimeError(f"repeats can not be negative, got {int(counts.min())}")


@primitive(settings="diagonal", input=lambda g, diagonal: tril(g, diagonal))
def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle of each matrix: elements [i, j] with j - i <= ``diagonal``, zeros elsewhere."""
    if input.ndim < 2:
        raise RuntimeError("tril: input tensor must have at least 2 dimensions")
    return _cleared(input, diagonal, True)


@primitive(settings="diagonal", input=lambda g, diagonal: triu(g, diagonal))
def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle of each matrix: elements [i, j] with j - i >= ``diagonal``, zeros elsewhere."""
    if input.ndim < 2:
        raise RuntimeError("triu: input tensor must have at least 2 dimensions")
    return _cleared(input, diagonal, False)


def diag(input: Any, diagonal: int = 0) -> Any:
    """A vector as the diagonal of a matrix of zeros; the diagonal of a matrix as a vector."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return contiguous(diagonal_of(input, offset=diagonal, axis1=0, axis2=1))


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices of zeros in the dimensions ``dim1`` and ``dim2``, with the last dimension of ``input`` on a diagonal."""
    shape, a, b = _embedded(input.shape, offset, dim1, dim2)
    return diagonal_put(input, shape=shape, offset=offset, axis1=a, axis2=b)


@remembered
def _embedded(old: tuple[int, ...], offset: int, dim1: int, dim2: int) -> tuple[tuple[int, ...], int, int]:
    rank = len(old) + 1
    a, b = one_axis(dim1, rank), one_axis(dim2, rank)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = old[-1] + abs(offset)
    shape = list(old[:-1])
    for axis in sorted((a, b)):
        shape.insert(axis, n)
    return tuple(shape), a, b


def diagflat(input: Any, offset: int = 0) -> Any:
    """All elements on the diagonal of a matrix of zeros."""
    return diag_embed(ravel(input), offset)


@primitive(input=lambda g, input_shape: _along_diagonal(g, input_shape))
def trace(input: Any) -> Any:
    """The sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return np.add.reduce(input.diagonal(), None, None if input.dtype.kind == "f" else np.int64)


def _along_diagonal(g: Any, shape: tuple[int, ...]) -> Any:
    return diagonal_put(expand_to(g, shape=(min(shape),)), shape=shape, offset=0, axis1=0, axis2=1)


def fill_diagonal(input: Any, fill_value: Any, wrap: bool = False) -> Any:
    """``input`` with ``fill_value`` on the main diagonal; with ``wrap`` again after each block of a tall matrix."""
    shape = input.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"fill_diagonal_: dimensions must larger than 1, but the shape is {tuple(shape)}; use fill_ for a vector"
        )
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(
            f"fill_diagonal_: all dimensions of input must be of equal length, but the shape is {tuple(shape)}"
        )
    places = np.zeros(shape, np.bool_)
    np.fill_diagonal(places, True, wrap=wrap)
    return masked_fill(input, places, fill_value)
