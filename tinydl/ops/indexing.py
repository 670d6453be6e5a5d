"""Indexing: ``x[...]`` in every form, gather, masks. Each reading has the writing that is its transpose.

An index has two parts. What NumPy answers by a view (integers, slices, None, Ellipsis) is applied first, index arrays
second: that is PyTorch's order, and so ``x[0, :, [1, 2]]`` has the shape PyTorch gives it, not NumPy's. What
writes along a dimension is in :mod:`scattering`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tinydl.autograd import primitives as _p
from tinydl.autograd.primitives import misfit, primitive
from tinydl.devices import ELSEWHERE, by_the_host
from tinydl.kernels import by_dtype
from tinydl.kernels.indexing import ADD
from tinydl.ops.axes import lock, one_axis, remembered
from tinydl.ops.casting import cast
from tinydl.ops.elementwise import filled_where, select
from tinydl.ops.slicing import LEAD
from tinydl.ops.slicing import put_slice as put_slice
from tinydl.ops.slicing import take_slice as take_slice

WHOLE = slice(None)
FEW = 4096  # elements, of which the places of a rearrangement are remembered
_FEW = 64  # numbers, of which Python finds the least one sooner than NumPy
_INT64 = np.dtype(np.int64)
_flat_places, _combine, _add_slices = by_dtype("flat_places"), by_dtype("combine_at_"), by_dtype("add_slices_")


@primitive(input=lambda g, index, input_shape: put_index(g, index=index, shape=input_shape))
def take_index(input: Any, *, index: Any) -> Any:
    """``input[index]`` with integer or boolean arrays in ``index``: a copy, in row-major order as PyTorch's."""
    found = input[index]
    return found if found.flags.c_contiguous else found.copy("C")


@primitive(input=lambda g, index: take_index(g, index=index))
def put_index(input: Any, *, index: Any, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``input`` is *added* at ``index`` (repeated positions add up, in order)."""
    if not any(hasattr(i, "dtype") and i.dtype.kind != "b" for i in index):  # masks repeat nothing
        out = np.zeros(shape, input.dtype)
        out[index] = input
        return out
    out = np.zeros(shape, input.dtype)
    at = np.arange(out.size).reshape(shape)[index]
    return _combine[input.dtype](out, at, input if input.shape == at.shape else np.broadcast_to(input, at.shape), ADD)


@primitive(
    input=lambda g, index, then: overwrite(g, 0.0, index=index, then=then),
    value=lambda g, index, then: take_both(g, index, then),
)
def overwrite(input: Any, value: Any, *, index: Any, then: Any = None) -> Any:
    """A copy of ``input`` with ``value`` at ``index`` (and ``then`` the index arrays): what a recorded ``x[index] =
    value`` computes."""
    out = np.array(input, order="C", copy=True)
    if then is None:
        out[index] = value
    else:
        (out[(*index, ...)] if index else out)[then] = value
    return out


def take_both(x: Any, index: Any, then: Any) -> Any:
    """``x[index][then]`` for the two parts of an index, either of which may be missing."""
    if index:
        x = take_slice(x, index=index)
    return x if then is None else take_index(x, index=then)


@primitive(input=lambda g, index, axis, input_shape: add_along(g, index, axis=axis, size=input_shape[axis]))
def take_along(input: Any, index: Any, *, axis: int) -> Any:
    """The slices of ``input`` at ``index``[...] along ``axis``, whose place the dimensions of the index take."""
    return input.take(index, axis)


@primitive(input=lambda g, index, axis: take_along(g, index, axis=axis))
def add_along(input: Any, index: Any, *, axis: int, size: int) -> Any:
    """Zeros, ``size`` long along ``axis``, with slices added at ``index``: the transpose of :func:`take_along`."""
    lead, step, shape = _slabs(input.shape, index.ndim, axis, size)
    return _add_slices[input.dtype](np.zeros(shape, input.dtype), index, input, lead, size, step, 1)


@remembered
def _slabs(shape: tuple[int, ...], rank: int, axis: int, size: int) -> tuple[int, int, tuple[int, ...]]:
    """The sizes before and behind ``rank`` dimensions from ``axis`` on, and the shape with ``size`` in their place."""
    before, behind = shape[:axis], shape[axis + rank :]
    return math.prod(before), math.prod(behind), (*before, size, *behind)


@primitive(input=lambda g, index, input_shape: _untaken(g, index, input_shape))
def take_flat(input: Any, index: Any) -> Any:
    """The elements of the flattened ``input`` at ``index``, in the index's shape."""
    return input.take(index)


def _untaken(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """The transpose of :func:`take_flat`."""
    from tinydl.ops.shaping import reshape_to

    return reshape_to(add_along(g, index, axis=0, size=math.prod(shape)), shape=shape)


@functools.lru_cache(maxsize=256)
def _sources(rearrange: Any, shape: tuple[int, ...], settings: tuple[Any, ...]) -> Any:
    found = rearrange(np.arange(math.prod(shape)).reshape(shape), *settings)
    lock(found)
    return found if found.size <= 4 * FEW else None


def sources(rearrange: Any, shape: tuple[int, ...], *settings: Any) -> Any:
    """Where in flat memory each element comes from in ``rearrange(array, *settings)``, which brings the elements of an
    array of ``shape`` to other places and computes none; None for more than a few elements.

    To take them from there costs less than several operations do on a few numbers.
    """
    return _sources(rearrange, shape, settings) if math.prod(shape) <= FEW else None


@primitive(weight=lambda g, index, weight_shape, padding: _all_but(add_rows(g, index, rows=weight_shape[0]), padding))
def take_rows(weight: Any, index: Any, *, padding: int | None = None) -> Any:
    """weight[V, D], index[...] -> [..., D]: an embedding. The row ``padding`` gets no gradient."""
    return weight.take(index, 0)


def _all_but(rows: Any, row: int | None) -> Any:
    """Zero in one row."""
    return rows if row is None else overwrite(rows, 0.0, index=(row,))


@primitive(input=lambda g, index: take_rows(g, index))
def add_rows(input: Any, index: Any, *, rows: int) -> Any:
    """Rows of ``input``[..., D] added at ``index``[...] into zeros [rows, D]: the transpose of :func:`take_rows`."""
    width = input.shape[-1]
    return _add_slices[input.dtype](np.zeros((rows, width), input.dtype), np.asarray(index), input, 1, rows, width, 1)


@remembered
def _grid(shape: tuple[int, ...], axis: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The coordinates of an index of ``shape`` in the dimensions before and after ``axis``."""
    rank = len(shape)
    lines = [np.arange(n).reshape((1,) * k + (n,) + (1,) * (rank - k - 1)) for k, n in enumerate(shape)]
    return tuple(lines[:axis]), tuple(lines[axis + 1 :])


def flat_places(name: str, shape: tuple[int, ...], dim: Any, index: Any, source: Any = None) -> Any:
    """The places that ``index`` names along ``dim`` of an array of ``shape``, as places in its flat memory: a vector.

    Raises in PyTorch's words for an index that does not fit (nor does the shape of the ``source``, if there is one), or
    is outside.
    """
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"{name}(): Expected dtype int64 for index")
    axis, lead, size, step, whole = _reached(name, shape, index.shape, source, dim)
    try:
        if whole:
            return _flat_places[_INT64](index, lead, size, step)
        before, after = _grid(index.shape, axis)
        return np.ravel_multi_index((*before, index, *after), shape).reshape(-1)
    except (IndexError, ValueError):
        bad = int(index.max()) if index.max() >= size else int(index.min())
        raise RuntimeError(f"index {bad} is out of bounds for dimension {axis} with size {size}") from None


@primitive(input=lambda g, index, axis, input_shape: scatter_zeros(g, index, axis=axis, shape=input_shape))
def gather_along(input: Any, index: Any, *, axis: int) -> Any:
    """out[i, j] = input[index[i, j], j] for dimension 0, and so on."""
    places = flat_places("gather", input.shape, axis, index)
    if not places.size:
        return np.empty(index.shape, input.dtype)
    found = input.take(places)
    return found if len(index.shape) == 1 else found.reshape(index.shape)


@primitive(input=lambda g, index, axis: gather_along(g, index, axis=axis))
def scatter_zeros(input: Any, index: Any, *, axis: int, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``input`` is added at ``index`` along ``axis``: the transpose of
    :func:`gather_along`."""
    places = flat_places("scatter_add", shape, axis, index, input.shape)
    return _combine[input.dtype](np.zeros(shape, input.dtype), places, input, ADD)


@remembered
def corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The index of the first elements, as many as ``shape`` says."""
    return tuple([slice(0, n) for n in shape])


# --------------------------------------------------------------------------------------------------------- an index


def _plain(item: Any) -> Any:
    data = getattr(item, "array", None) if hasattr(item, "node") else None
    if data is None:
        if isinstance(item, (list, tuple, range)):
            data = np.asarray(item) if len(item) else np.zeros(0, np.int64)
        else:
            return item
    if data.ndim == 0:
        return int(data) if data.dtype.kind in "iu" else bool(data) if data.dtype.kind == "b" else data
    return data.astype(np.bool_) if data.dtype == np.uint8 else data  # PyTorch reads bytes as a mask


def simple(index: Any) -> bool:
    """Whether ``index`` is made of integers, slices, None and Ellipsis, which NumPy reads as PyTorch does."""
    for i in index if type(index) is tuple else (index,):
        kind = type(i)
        if not (
            kind is int
            or i is None
            or i is Ellipsis
            or (kind is slice and (i.step is None or type(i.step) is int and i.step > 0))
        ):
            return False
    return True


def parts_of(index: Any, keep: bool) -> tuple[tuple[Any, ...], tuple[Any, ...] | None] | None:
    """What :func:`index_of` gives, for the usual kinds of index and unchecked: NumPy finds what is wrong. None for
    others.

    Where no integer stands beside index arrays both libraries read an index alike, and all of it is the second part.
    ``keep`` copies the arrays, for a gradient: what is saved of an index has no version that could tell of a later
    change.
    """
    items: list[Any] = []
    integer = False
    arrays = before = ellipses = 0
    for i in index if type(index) is tuple else (index,):
        if i is None:
            pass
        elif i is Ellipsis:
            ellipses += 1
            before = arrays
        else:
            kind = type(i)
            if kind is int:
                integer = True
            elif kind is slice:
                if not (i.step is None or type(i.step) is int and i.step > 0):
                    return None
            else:
                if hasattr(i, "node"):
                    i = i.array
                elif kind is list or kind is tuple:
                    i = np.array(i) if i else np.zeros(0, np.int64)
                elif kind is not np.ndarray:
                    return None
                letter = i.dtype.kind
                if letter != "i" and letter != "b":
                    return None
                if i.ndim:
                    arrays += 1
                    if keep:
                        i = i.copy()
                elif letter == "b":
                    return None
                else:
                    i = int(i)
                    integer = True
        items.append(i)
    if not arrays:
        return tuple(items), None
    if ellipses > 1 or 0 < before < arrays:  # an ellipsis of nothing parts two arrays for NumPy, not for PyTorch
        return None
    if not integer:
        return (), tuple(items)
    view: list[Any] = []
    then: list[Any] = []
    for i in items:
        if type(i) is np.ndarray or type(i) in ELSEWHERE:
            view += LEAD[i.ndim if i.dtype.kind == "b" else 1]
            then.append(i)
        else:
            view.append(i)
            if type(i) is not int:
                then.append(i if i is Ellipsis else WHOLE)
    return tuple(view), tuple(then)


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray) or type(x) in ELSEWHERE


def index_of(index: Any, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """An index in two parts: what gives a view, and index arrays for that view (or None).

    Raises IndexError in PyTorch's words.
    """
    items = [_plain(i) for i in index] if isinstance(index, tuple) else [_plain(index)]
    spent = sum(
        (i.ndim if _is_array(i) and i.dtype.kind == "b" else 1)
        for i in items
        if i is not None and i is not Ellipsis and not isinstance(i, (bool, np.bool_))
    )
    if spent > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}; the shape is {tuple(shape)}")
    whole = slice(None)
    view: list[Any] = []
    arrays: list[Any] = []
    dim = 0
    for i in items:
        if i is None:
            view.append(None)
            arrays.append(whole)
        elif isinstance(i, (bool, np.bool_)):
            view.append(None)
            arrays.append(np.array([bool(i)]))
        elif i is Ellipsis:
            n = len(shape) - spent
            spent = len(shape)  # for another there is nothing left
            view += [whole] * n
            arrays += [whole] * n
            dim += n
        elif isinstance(i, slice):
            if i.step is not None and int(_plain(i.step)) <= 0:
                raise ValueError("step must be greater than zero")
            view.append(slice(*(None if v is None else int(v) for v in (i.start, i.stop, i.step))))
            arrays.append(whole)
            dim += 1
        elif _is_array(i) and i.dtype.kind == "b":
            if i.shape != tuple(shape[dim : dim + i.ndim]):
                raise IndexError(
                    f"The shape of the mask {list(i.shape)} at index {dim} does not match the shape of the indexed "
                    f"tensor {list(shape)} at index {dim}"
                )
            view += [whole] * i.ndim
            arrays.append(i.copy())  # what is saved of an index has no version that could tell of a later change
            dim += i.ndim
        elif _is_array(i):
            if i.dtype.kind not in "iu" and i.size:
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            if i.size and (int(i.max()) >= shape[dim] or int(i.min()) < -shape[dim]):
                bad = int(i.max()) if int(i.max()) >= shape[dim] else int(i.min())
                raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {shape[dim]}")
            view.append(whole)
            arrays.append(i.astype(np.int64))
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
            view.append(k)
            dim += 1
    advanced = [a for a in arrays if a is not whole]
    if not advanced:
        return tuple(view), None
    first = tuple(view) if any(v is not whole for v in view) else ()
    _refuse_apart(advanced)
    return first, tuple(arrays)


def _refuse_apart(arrays: list[Any]) -> None:
    """Index arrays must broadcast together."""
    shapes = [(int(np.count_nonzero(a)),) if a.dtype.kind == "b" else a.shape for a in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes "
            f"{', '.join(str(list(s)) for s in shapes)}"
        ) from None


def getitem(input: Any, index: Any) -> Any:
    """``input[index]``: a view for integers and slices, a copy for index tensors."""
    if simple(index):
        try:
            return take_slice(input, index=index if type(index) is tuple else (index,))
        except IndexError:
            pass  # said below, in PyTorch's words
    elif hasattr(index, "node") and index.array.ndim and input.array.ndim:
        at = index.array.copy()  # later changes do not matter
        if at.dtype.kind == "i":
            try:
                return take_along(input, at, axis=0)
            except IndexError:
                pass
        elif at.dtype.kind == "b" and at.shape == input.array.shape[: at.ndim]:
            return take_index(input, index=(at,))
    # Only a recorded index is kept; a symbol of a function that is followed looks like a stale view.
    parts = parts_of(index, input.needs_grad or input.taken is not None)
    if parts is not None:
        try:
            return take_both(input, *parts)
        except (IndexError, ValueError):
            pass
    view, arrays = index_of(index, input.shape)
    return take_both(input, view, arrays)


# ------------------------------------------------------------------------------------------------ PyTorch's functions


@remembered
def _reached(name: str, shape: Any, reach: Any, source: Any, dim: Any) -> tuple[int, int, int, int, bool]:
    """The axis, the sizes before, along and behind it, and whether the index reaches all of the other dimensions."""
    axis = one_axis(dim, len(shape))
    rank = len(shape) or 1
    if (len(reach) or 1) != rank:
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as {'input' if name == 'gather' else 'self'} tensor"
            f"; got {tuple(reach)} and {tuple(shape)}"
        )
    before, size, behind = shape[:axis], shape[axis] if shape else 1, shape[axis + 1 :]
    whole = reach[:axis] == before and reach[axis + 1 :] == behind
    found = (axis, math.prod(before), size, math.prod(behind), whole or 0 in reach)
    if 0 in reach:
        return found
    for k, (a, b) in enumerate(zip(reach, shape)):
        if k != axis and a > b:
            raise RuntimeError(
                f"Size does not match at dimension {k} expected index {list(reach)} to be no larger than self "
                f"{list(shape)} apart from dimension {axis}"
            )
    if source is not None and source != reach:
        if (len(source) or 1) != rank:
            raise RuntimeError(
                f"Index tensor must have the same number of dimensions as src tensor; got {tuple(reach)} and "
                f"{tuple(source)}"
            )
        if any(a > b for a, b in zip(reach, source or (1,))):
            raise RuntimeError(
                f"Expected index {list(reach)} to be no larger than self {list(shape)} apart from dimension {axis} "
                f"and to be no larger than src {list(source)}"
            )
    return found


def gather(input: Any, dim: Any = None, index: Any = None, *, sparse_grad: bool = False, axis: Any = None) -> Any:
    """out[i][j] = input[index[i][j]][j] along ``dim``; ``index`` is an int64 tensor no larger than ``input``
    elsewhere."""
    return gather_along(input, index, axis=dim if axis is None else axis)


def index_select(input: Any, dim: Any = None, index: Any = None, *, axis: Any = None) -> Any:
    """The slices of ``input`` at ``index`` (1-d, integer) along ``dim``."""
    at = index.array if hasattr(index, "node") else index
    if at.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, got shape {tuple(at.shape)}")
    if at.dtype.kind != "i":
        raise RuntimeError(f"index_select(): Expected dtype int32 or int64 for index, but got {at.dtype}")
    a = one_axis(dim if axis is None else axis, input.ndim)
    if not at.ndim:
        index, at = index.reshape(1), at.reshape(1)
    if at.size and (min(at.tolist()) if at.size <= _FEW else at.min()) < 0:
        raise IndexError(f"index_select(): index {int(at.min())} is out of range for dimension {a}")
    try:
        if not input.ndim:
            return take_along(input.reshape(1), index, axis=0).reshape(())
        return take_along(input, index, axis=a)
    except IndexError:
        raise IndexError(
            f"index out of range in self: index_select(): index {int(at.max())} is out of bounds for dimension {a} "
            f"with size {input.shape[a] if input.ndim else 1}"
        ) from None


def take(input: Any, index: Any) -> Any:
    """The elements of the flattened ``input`` at ``index``, in the index's shape."""
    at = index.array if hasattr(index, "node") else index
    if at.dtype.kind not in "iu":
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {at.dtype}")
    try:
        return take_flat(input, index)
    except IndexError:
        n = math.prod(input.shape)
        bad = int(at.max()) if at.max() >= n else int(at.min())
        raise IndexError(f"out of range: tried to access index {bad} on a tensor of {n} elements.") from None


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """``value`` (a number or a 0-d tensor) where ``mask`` (bool, broadcast) holds, ``input`` elsewhere."""
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype}")
    if hasattr(value, "dtype") and len(value.shape):
        raise RuntimeError(
            "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
            f"{len(value.shape)} dimension(s)."
        )
    try:
        if not hasattr(value, "dtype"):
            return filled_where(input, mask, value=value)
        return select(mask, value if value.dtype == input.dtype else cast(value, dtype=input.dtype), input)
    except ValueError:
        raise RuntimeError(
            f"masked_fill: a mask of shape {tuple(mask.shape)} does not broadcast with a tensor of shape "
            f"{tuple(input.shape)}; each dimension must match or be 1"
        ) from None


def masked_select(input: Any, mask: Any) -> Any:
    """The elements of ``input`` where ``mask`` holds (both broadcast), as a 1-d tensor."""
    from tinydl.ops.shaping import broadcast_shapes, expand_to

    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, but got {mask.dtype}")
    if mask.shape != input.shape:
        shape = broadcast_shapes(input.shape, mask.shape)
        input, mask = expand_to(input, shape=shape), expand_to(mask, shape=shape)
    return getitem(input, mask)


@primitive(
    input=lambda g, mask: filled_where(g, mask, value=0),
    source=lambda g, mask, source_shape: _given(g, mask, source_shape),
)
def masked_write(input: Any, mask: Any, source: Any) -> Any:
    """``input`` with the first elements of ``source``, in order, where ``mask`` (broadcast) holds."""
    if mask.shape != input.shape:
        shape = np.broadcast_shapes(input.shape, mask.shape)
        input, mask = np.broadcast_to(input, shape), np.broadcast_to(mask, shape)
    out = np.array(input, order="C", copy=True)
    count = int(np.count_nonzero(mask))
    if count > source.size:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same size: the mask holds at {count} places, but source "
            f"has {source.size} elements"
        )
    out[mask] = source.reshape(-1)[:count]
    return out


def _given(g: Any, mask: Any, shape: tuple[int, ...]) -> Any:
    """The elements of ``g`` where ``mask`` holds, as the first ones of zeros of ``shape``."""
    from tinydl.ops.shaping import expand_to, reshape_to

    found = take_index(g, index=(expand_to(mask, shape=g.shape),))
    return reshape_to(put_slice(found, index=(slice(0, found.shape[0]),), shape=(math.prod(shape),)), shape=shape)


def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """``input`` with the first elements of ``source``, in order, where ``mask`` (bool, broadcast) holds."""
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    if source.dtype != input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input.dtype} and {source.dtype}"
        )
    try:
        return masked_write(input, mask, source)
    except ValueError as error:
        misfit("masked_scatter", error, (input, mask))


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Indices of the elements that are not zero: [count, ndim] int64, or a tuple of one index tensor per dimension."""
    tensor = _p.Tensor  # type: ignore[attr-defined]
    array = input.array if hasattr(input, "node") else input
    if type(array) in ELSEWHERE:
        return by_the_host(nonzero, input, as_tuple=as_tuple)
    if not array.ndim:
        if as_tuple:  # of a number PyTorch makes a vector first
            return (tensor._from_array(array.reshape(1).nonzero()[0]),)
        return tensor._from_array(np.empty((int(array != 0), 0), np.int64))
    found = array.nonzero()
    if as_tuple:
        return tuple([tensor._from_array(i) for i in found])
    out = np.empty((found[0].size, len(found)), np.int64)
    for k, i in enumerate(found):
        out[:, k] = i
    return tensor._from_array(out)


def argwhere(input: Any) -> Any:
    """Indices of the elements that are not zero: [count, ndim] int64."""
    return nonzero(input)
