"""Parts of a tensor, as views: slices, diagonals, pieces. Each reading has the writing that is its transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import LOCKS, by_axis, one_axis, remembered

LEAD = [(slice(None),) * k for k in range(65)]  # the index of everything along k leading dimensions; NumPy allows 64


@primitive(view=True, input=lambda g, index, input_shape: put_slice(g, index=index, shape=input_shape))
def take_slice(input: Any, *, index: Any) -> Any:
    """``input[index]`` for integers, slices, None and Ellipsis: a view."""
    return input[index if Ellipsis in index else (*index, ...)]  # with it NumPy gives a 0-d view, not a scalar


@primitive(input=lambda g, index: take_slice(g, index=index))
def put_slice(input: Any, *, index: Any, shape: Any) -> Any:
    """Zeros of ``shape`` with ``input`` at ``index``: the transpose of :func:`take_slice`."""
    out = np.zeros(shape, input.dtype)
    out[index] = input
    return out


@primitive(
    view=True,
    input=lambda g, input_shape, offset, axis1, axis2: diagonal_put(
        g, shape=input_shape, offset=offset, axis1=axis1, axis2=axis2
    ),
)
def diagonal_of(input: Any, *, offset: int, axis1: int, axis2: int) -> Any:
    """The elements [..., i, i + offset] of two dimensions, as the last one: a view."""
    view = input.diagonal(offset, axis1, axis2)
    if LOCKS and input.flags.writeable:
        view.setflags(write=True)  # NumPy's is read-only, PyTorch's is not
    return view


@primitive(
    input=lambda g, offset, axis1, axis2: diagonal_of(g, offset=offset, axis1=axis1, axis2=axis2),
)
def diagonal_put(input: Any, *, shape: Any, offset: int, axis1: int, axis2: int) -> Any:
    """Zeros of ``shape`` with ``input`` on a diagonal: the transpose of :func:`diagonal_of`."""
    out = np.zeros(shape, input.dtype)
    if len(shape) == 2 and not axis1:  # in flat memory, at a third of the time
        step = shape[1] + 1
        start = max(offset, -offset * shape[1])
        out.reshape(-1)[start : start + input.shape[0] * step : step] = input
        return out
    place = out.diagonal(offset, axis1, axis2)
    if LOCKS:
        place.flags.writeable = True
    place[...] = input
    return out


@primitive(
    view=True,
    input=lambda g, steps, start, input_shape: strided_put(g, shape=input_shape, steps=steps, start=start),
)
def strided(input: Any, *, size: Any, steps: Any, start: int) -> Any:
    """The elements ``start + i * steps[0] + j * steps[1] + ...`` of the memory of ``input``, in row-major order, as an
    array of shape ``size``: a view of a contiguous ``input``. What any chain of views is."""
    return _strided(np.ascontiguousarray(input), size, steps, start)


@primitive(
    input=lambda g, input_shape, steps, start: strided(g, size=input_shape, steps=steps, start=start),
)
def strided_put(input: Any, *, shape: Any, steps: Any, start: int) -> Any:
    """Zeros of ``shape`` with ``input`` added at its strided places: the transpose of :func:`strided`."""
    out = np.zeros(shape, input.dtype)
    places = _strided(np.arange(out.size), input.shape, steps, start)
    np.add.at(out.reshape(-1), places.reshape(-1), input.reshape(-1))
    return out


@primitive(
    input=lambda g, size, steps, start: strided_overwrite(g, 0.0, size=size, steps=steps, start=start),
    value=lambda g, size, steps, start: strided(g, size=size, steps=steps, start=start),
)
def strided_overwrite(input: Any, value: Any, *, size: Any, steps: Any, start: int) -> Any:
    """A copy of ``input`` with ``value`` at strided places: what a recorded change of a view makes of its base."""
    out = np.array(input, order="C", copy=True)
    _strided(out, size, steps, start)[...] = value
    return out


def _strided(memory: Any, size: Any, steps: Any, start: int) -> Any:
    if 0 in size:
        return np.zeros(size, memory.dtype)
    width = memory.itemsize
    return np.ndarray(size, memory.dtype, memory, start * width, [step * width for step in steps])


# ------------------------------------------------------------------------------------------------ PyTorch's functions


@primitive(
    name="selected", view=True, settings="dim index",
    input=lambda g, input_shape, dim, index, axis: put_slice(
        g, index=_selected(input_shape, dim if axis is None else axis, index), shape=input_shape
    ),
)  # fmt: skip
def select(input: Any, dim: Any = None, index: Any = None, *, axis: Any = None) -> Any:
    """The slice at ``index`` along ``dim``, which disappears: a view."""
    return input[_selected(input.shape, dim if axis is None else axis, index)]


@remembered
def _selected(shape: tuple[int, ...], dim: Any, index: Any) -> tuple[Any, ...]:
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    a = one_axis(dim, len(shape))
    if not -shape[a] <= index < shape[a]:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {a}")
    return (*LEAD[a], int(index), ...)


@primitive(
    view=True, settings="dim start length",
    input=lambda g, input_shape, dim, start, length, axis: put_slice(
        g, index=_narrowed(input_shape, dim if axis is None else axis, start, length), shape=input_shape
    ),
)  # fmt: skip
def narrow(input: Any, dim: Any = None, start: Any = None, length: Any = None, *, axis: Any = None) -> Any:
    """``length`` elements from ``start`` (negative: from the end) along ``dim``: a view."""
    return input[_narrowed(input.shape, dim if axis is None else axis, start, length)]


def _narrowed(shape: tuple[int, ...], dim: Any, start: Any, length: int) -> tuple[Any, ...]:
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    a = one_axis(dim, len(shape))
    n, start = shape[a], int(start)
    if length < 0:
        raise RuntimeError(f"narrow(): length must be non-negative, got {length}")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    if start < 0:
        start += n
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return (*LEAD[a], slice(start, start + length))


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The elements [..., i, i + offset] of the dimensions ``dim1`` and ``dim2``, as the last dimension: a view."""
    a, b = one_axis(dim1, input.ndim), one_axis(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_of(input, offset=offset, axis1=a, axis2=b)


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0, *, axis: Any = None) -> tuple[Any, ...]:
    """Pieces of a size (the last may be smaller), or of the given sizes, along ``dim``: views."""
    sections = split_size_or_sections
    if type(sections) is not int:
        sections = tuple(int(s) for s in sections) if isinstance(sections, (tuple, list)) else int(sections)
    cuts = _cuts(tensor.shape, sections, dim if axis is None else axis)
    return tuple([take_slice(tensor, index=cut) for cut in cuts])


@remembered
def _cuts(shape: tuple[int, ...], sections: Any, dim: int) -> list[tuple[Any, ...]]:
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    axis = one_axis(dim, len(shape))
    total = shape[axis]
    if isinstance(sections, int):
        if sections < 0 or (sections == 0 and total):
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={sections}")
        step = sections or 1
        sizes = [min(step, total - i) for i in range(0, total, step)] or [0]
    else:
        sizes = list(sections)
        if sum(sizes) != total or min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {total} (input tensor's size at dimension "
                f"{axis}), but got split_sizes={sizes}"
            )
    return cuts_of(tuple(sizes), axis)


@remembered
def cuts_of(sizes: tuple[int, ...], axis: int) -> list[tuple[Any, ...]]:
    """The indices of consecutive pieces of ``sizes`` along ``axis``."""
    out, at = [], 0
    for n in sizes:
        out.append((*LEAD[axis], slice(at, at + n), ...))
        at += n
    return out


def chunk(input: Any, chunks: int, dim: int = 0, *, axis: Any = None) -> tuple[Any, ...]:
    """At most ``chunks`` pieces of equal size (the last may be smaller): views."""
    dim = dim if axis is None else axis
    return split(input, _chunk_size(input.shape, chunks, dim), dim)


@remembered
def _chunk_size(shape: tuple[int, ...], chunks: int, dim: int) -> Any:
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    total = shape[one_axis(dim, len(shape))]
    return -(-total // chunks) if total else (0,) * chunks


@by_axis
def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """``n`` pieces whose sizes differ by at most one, or the pieces between given indices, along ``dim``: views."""
    if not input.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    given = indices_or_sections
    if hasattr(given, "tolist"):
        given = given.tolist()
    given = tuple([int(i) for i in given]) if isinstance(given, (tuple, list)) else int(given)
    return tuple([take_slice(input, index=cut) for cut in _even_cuts(input.shape, given, dim)])


@remembered
def _even_cuts(shape: tuple[int, ...], given: Any, dim: int) -> list[tuple[Any, ...]]:
    axis = one_axis(dim, len(shape))
    total = shape[axis]
    if isinstance(given, tuple):
        borders = [0, *given, total]
    else:
        if given <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {given}")
        whole, more = divmod(total, given)
        borders = [k * whole + min(k, more) for k in range(given + 1)]
    return [(*LEAD[axis], slice(a, b), ...) for a, b in zip(borders, borders[1:])]


def hsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """:func:`tensor_split` along the columns (of a vector, along its only dimension)."""
    if not input.ndim:
        raise RuntimeError("torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 dims")
    return _equal_split("hsplit", input, indices_or_sections, 1 if input.ndim > 1 else 0)


def vsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """:func:`tensor_split` along the rows."""
    if input.ndim < 2:
        raise RuntimeError(
            f"torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with {input.ndim} dims"
        )
    return _equal_split("vsplit", input, indices_or_sections, 0)


def _equal_split(name: str, input: Any, sections: Any, axis: int) -> tuple[Any, ...]:
    if isinstance(sections, int) and (sections <= 0 or input.shape[axis] % sections):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {axis}, but the size of the dimension "
            f"{input.shape[axis]} is not divisible by the split_size {sections}!"
        )
    return tensor_split(input, sections, axis)


def unbind(input: Any, dim: int = 0, *, axis: Any = None) -> tuple[Any, ...]:
    """The slices along ``dim``, which disappears: views."""
    return tuple([take_slice(input, index=at) for at in _slices(input.shape, dim if axis is None else axis)])


@remembered
def _slices(shape: tuple[int, ...], dim: int) -> list[tuple[Any, ...]]:
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = one_axis(dim, len(shape))
    return [(*LEAD[axis], i, ...) for i in range(shape[axis])]


def as_strided(input: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """The memory of a contiguous tensor with other sizes and strides, in elements: a view, in which several elements
    may be one (it is read-only then).

    ``storage_offset`` counts from where the memory begins that ``input`` is part of; by default the view begins where
    ``input`` does. Raises RuntimeError for elements outside ``input``, and for a tensor that is not contiguous.
    """
    size, stride = tuple(int(s) for s in size), tuple(int(s) for s in stride)
    if len(size) != len(stride):
        raise RuntimeError(f"mismatch in length of strides and shape: as_strided got size {size} and stride {stride}")
    if any(s < 0 for s in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    if any(n < 0 for n in size):
        raise RuntimeError(f"as_strided: sizes must not be negative, but got {list(size)}")
    if storage_offset is not None and storage_offset < 0:
        raise RuntimeError(f"as_strided: invalid storage offset {storage_offset}")
    if not input.is_contiguous():
        raise RuntimeError(
            f"as_strided reads a contiguous tensor; make this one of shape {tuple(input.shape)} contiguous()"
        )
    start = 0 if storage_offset is None else storage_offset - input.storage_offset()
    last = start + sum((n - 1) * s for n, s in zip(size, stride))
    if 0 not in size and not (0 <= start and last < input.numel()):
        raise RuntimeError(
            f"as_strided: sizes {list(size)}, strides {list(stride)} and storage offset {storage_offset} are out of "
            f"bounds for a tensor of {input.numel()} elements"
        )
    out = strided(input, size=size, steps=stride, start=0 if 0 in size else start)
    if out.array.size > len(np.unique(_strided(np.arange(start, last + 1), size, stride, 0))):
        if isinstance(out.array, np.ndarray):
            out.array.setflags(write=False)  # several elements are one
    return out
