"""A tensor's memory read with sizes and strides of one's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import remembered
from tinydl.ops.indexing import scatter_zeros
from tinydl.ops.shaping import reshape_to


@primitive(view=True, input=lambda g, input_shape, size, stride, start: _added(g, input_shape, size, stride, start))
def strided_view(input: Any, *, size: Any, stride: Any, start: int) -> Any:
    """``out[i, j, ...] = input.flat[start + i * stride[0] + j * stride[1] + ...]``: a view of a contiguous array."""
    step = input.itemsize
    memory = input if input.flags.c_contiguous else np.ascontiguousarray(input)
    out: Any = np.ndarray(size, input.dtype, memory, start * step, tuple(s * step for s in stride))
    if out.size > len(np.unique(_places(size, stride, start))):
        out.setflags(write=False)  # several elements are one
    return out


def _added(g: Any, shape: Any, size: Any, stride: Any, start: int) -> Any:
    """Every element's gradient, added at its place."""
    flat = reshape_to(g, shape=(-1,))
    return reshape_to(scatter_zeros(flat, _places(size, stride, start), axis=0, shape=(math.prod(shape),)), shape=shape)


@remembered
def _places(size: tuple[int, ...], stride: tuple[int, ...], start: int) -> Any:
    grid = np.full(size, start, np.int64)
    for axis, (count, step) in enumerate(zip(size, stride)):
        grid += (np.arange(count) * step).reshape(-1, *(1,) * (len(size) - axis - 1))
    return grid.reshape(-1)


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
    return strided_view(input, size=size, stride=stride, start=0 if 0 in size else start)
