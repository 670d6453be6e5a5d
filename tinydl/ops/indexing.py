"""Indexing: views by slices, copies by index arrays, gather and scatter. Each reading has the writing that is its
transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive


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


@primitive(input=lambda g, index, input_shape: put_index(g, index=index, shape=input_shape))
def take_index(input: Any, *, index: Any) -> Any:
    """``input[index]`` with integer or boolean arrays in ``index``: a copy."""
    return input[index]


@primitive(input=lambda g, index: take_index(g, index=index))
def put_index(input: Any, *, index: Any, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``input`` is *added* at ``index`` (repeated positions add up)."""
    out = np.zeros(shape, input.dtype)
    np.add.at(out, index, input)
    return out


@primitive(
    input=lambda g, index: overwrite(g, 0.0, index=index),
    value=lambda g, index: take_any(g, index),
)
def overwrite(input: Any, value: Any, *, index: Any) -> Any:
    """A copy of ``input`` with ``value`` at ``index``: what a recorded ``x[index] = value`` computes."""
    out = np.array(input, order="C", copy=True)
    out[index] = value
    return out


@primitive(input=lambda g, index, axis, input_shape: scatter_zeros(g, index, axis=axis, shape=input_shape))
def gather_along(input: Any, index: Any, *, axis: int) -> Any:
    """out[i, j] = input[index[i, j], j] for axis 0, and so on."""
    region = tuple(slice(0, n) if k != axis else slice(None) for k, n in enumerate(index.shape))
    return np.take_along_axis(input[region], index, axis)


@primitive(input=lambda g, index, axis: gather_along(g, index, axis=axis))
def scatter_zeros(input: Any, index: Any, *, axis: int, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``input`` is added at ``index`` along ``axis``: the transpose of
    :func:`gather_along`."""
    out = np.zeros(shape, input.dtype)
    where = [np.arange(n).reshape((1,) * k + (n,) + (1,) * (index.ndim - k - 1)) for k, n in enumerate(index.shape)]
    where[axis] = index
    np.add.at(out, tuple(where), input[tuple(slice(0, n) for n in index.shape)])
    return out


@primitive(weight=lambda g, index, weight_shape: add_rows(g, index, rows=weight_shape[0]))
def take_rows(weight: Any, index: Any) -> Any:
    """weight[V, D], index[...] -> [..., D]: an embedding."""
    return weight[index]


@primitive(input=lambda g, index: take_rows(g, index))
def add_rows(input: Any, index: Any, *, rows: int) -> Any:
    """Rows of ``input``[..., D] added at ``index``[...] into zeros [rows, D]: the transpose of :func:`take_rows`.

    Sorted by row and summed in segments, which is far faster than an indexed add and does not depend on threads.
    """
    width = input.shape[-1]
    flat, at = input.reshape(-1, width), np.asarray(index).reshape(-1)
    out = np.zeros((rows, width), input.dtype)
    if at.size:
        at = np.where(at < 0, at + rows, at)
        order = np.argsort(at, kind="stable")
        sorted_at = at[order]
        first = np.flatnonzero(np.r_[True, sorted_at[1:] != sorted_at[:-1]])
        out[sorted_at[first]] = np.add.reduceat(flat[order], first, axis=0)
    return out


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def _plain(item: Any) -> Any:
    data = getattr(item, "data", None) if hasattr(item, "node") else None
    if data is None:
        return np.asarray(item) if isinstance(item, list) else item
    if data.ndim == 0 and data.dtype.kind in "iu":
        return int(data)
    return data


def index_of(index: Any, shape: tuple[int, ...]) -> tuple[Any, bool]:
    """An index with its tensors as arrays, and whether NumPy copies for it. Raises IndexError in PyTorch's words."""
    items = tuple(_plain(i) for i in index) if isinstance(index, tuple) else (_plain(index),)
    advanced = False
    dim = 0
    spent = sum(
        (i.ndim if isinstance(i, np.ndarray) and i.dtype.kind == "b" else 1)
        for i in items
        if i is not None and i is not Ellipsis and not isinstance(i, (bool, np.bool_))
    )
    if spent > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}; the shape is {tuple(shape)}")
    for i in items:
        if i is None or isinstance(i, (bool, np.bool_)):
            advanced = advanced or i is not None
            continue
        if i is Ellipsis:
            dim = len(shape) - (spent - dim)
            continue
        if isinstance(i, slice):
            if i.step is not None and _plain(i.step) <= 0:
                raise ValueError("step must be greater than zero")
            dim += 1
        elif isinstance(i, np.ndarray):
            advanced = True
            if i.dtype.kind == "b":
                if i.shape != tuple(shape[dim : dim + i.ndim]):
                    raise IndexError(
                        f"The shape of the mask {list(i.shape)} at index {dim} does not match the shape of the indexed "
                        f"tensor {list(shape)} at index {dim}"
                    )
                dim += i.ndim
            else:
                if i.dtype.kind not in "iu" and i.size:
                    raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
                if i.size and (int(i.max()) >= shape[dim] or int(i.min()) < -shape[dim]):
                    bad = int(i.max()) if int(i.max()) >= shape[dim] else int(i.min())
                    raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {shape[dim]}")
                dim += 1
        else:
            try:
                k = i.__index__()
            except (AttributeError, TypeError):
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or bool tensors are valid indices "
                    f"(got {type(i).__name__})"
                ) from None
            if not -shape[dim] <= k < shape[dim]:
                raise IndexError(f"index {k} is out of bounds for dimension {dim} with size {shape[dim]}")
            dim += 1
    if advanced:
        # Copies: what is saved of an index has no version that could tell of a later change.
        items = tuple(
            i.astype(bool if i.dtype.kind == "b" else np.int64) if isinstance(i, np.ndarray) else i for i in items
        )
    return items, advanced


def getitem(input: Any, index: Any) -> Any:
    """``input[index]``: a view for integers and slices, a copy for index tensors."""
    kind = type(index)
    if kind is int:
        shape = input.data.shape
        if shape and -shape[0] <= index < shape[0]:
            return take_slice(input, index=(index,))
    elif kind is slice and input.data.ndim and (index.step is None or index.step > 0):
        return take_slice(input, index=(index,))
    items, advanced = index_of(index, input.shape)
    return take_index(input, index=items) if advanced else take_slice(input, index=items)


def take_any(g: Any, index: Any) -> Any:
    """``g[index]`` for rules, whose index was normalised in the forward call."""
    if any(isinstance(i, (np.ndarray, bool, np.bool_)) for i in index):
        return take_index(g, index=index)
    return take_slice(g, index=index)


def gather(input: Any, dim: int, index: Any) -> Any:
    """out[i][j] = input[index[i][j]][j] along ``dim``; ``index`` is an int64 tensor no larger than ``input``
    elsewhere."""
    from tinydl.ops.reducing import one_axis

    if index.dtype.kind not in "iu":
        raise RuntimeError("gather(): Expected dtype int64 for index")
    if index.ndim != input.ndim:
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor; got {tuple(index.shape)} and "
            f"{tuple(input.shape)}"
        )
    axis = one_axis(dim, input.ndim)
    for k, (a, b) in enumerate(zip(index.shape, input.shape)):
        if k != axis and a > b:
            raise RuntimeError(
                f"Size does not match at dimension {k} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {axis}"
            )
    plain = index.data if hasattr(index, "node") else index
    if plain.size and (plain.max() >= input.shape[axis] or plain.min() < 0):
        bad = int(plain.max()) if plain.max() >= input.shape[axis] else int(plain.min())
        raise RuntimeError(f"index {bad} is out of bounds for dimension {axis} with size {input.shape[axis]}")
    return gather_along(input, index, axis=axis)


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of ``input`` at ``index`` (1-d, integer) along ``dim``."""
    from tinydl.ops.reducing import one_axis

    axis = one_axis(dim, input.ndim)
    return getitem(input, (slice(None),) * axis + (index,))


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """``value`` where ``mask`` (bool, broadcast) holds, ``input`` elsewhere."""
    from tinydl.ops.elementwise import select

    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype}")
    filled = value if hasattr(value, "dtype") else np.asarray(value, input.dtype)
    return select(mask, filled, input)


def masked_select(input: Any, mask: Any) -> Any:
    """The elements of ``input`` where ``mask`` holds, as a 1-d tensor."""
    from tinydl.ops.shaping import expand_to

    shape = np.broadcast_shapes(input.shape, mask.shape)
    return getitem(expand_to(input, shape=shape), expand_to(mask, shape=shape))


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Indices of the elements that are not zero: [count, ndim] int64, or a tuple of one index tensor per dimension."""
    from tinydl.autograd import primitives as _p

    tensor = _p.Tensor  # type: ignore[attr-defined]
    found = np.nonzero(input.data if hasattr(input, "node") else input)
    if as_tuple:
        return tuple(tensor(i.astype(np.int64)) for i in found)
    return tensor(np.stack([i.astype(np.int64) for i in found], axis=1) if found else np.zeros((1, 0), np.int64))
