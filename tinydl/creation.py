"""Making tensors: from data, filled, in sequence."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.devices import CPU
from tinydl.ops import shaping
from tinydl.ops.casting import held
from tinydl.size import sizes_of
from tinydl.tensor import Tensor, as_array


def there(device: Any) -> Any:
    """NumPy as the device has it: on the CPU, and for None, NumPy. Raises RuntimeError for what is not there."""
    if device is None or device == CPU:
        return np
    from tinydl.elsewhere import of

    found = of(device)
    return np if found is None else found.np


def _leaf(array: Any, requires_grad: bool) -> Tensor:
    out = Tensor._from_array(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _on(array: Any, device: Any) -> Any:
    """An array on a device; itself for None."""
    if device is None or (device == CPU and isinstance(array, np.ndarray)):
        return array
    from tinydl.elsewhere import moved

    return moved(array, device)


def _dtype(dtype: Any) -> Any:
    return dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)


def sized(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(size=(2, 3))`` are the same; a device that is not there, and what does not
    fit into memory, is refused in one sentence."""

    @functools.wraps(function)
    def made(*size: Any, device: Any = None, **options: Any) -> Tensor:
        if device is not None and device != CPU:
            options["on"] = there(device)
        if "size" in options:
            size = (*size, options.pop("size"))
        sizes = sizes_of(size)
        try:
            return function(*sizes, **options)
        except (MemoryError, ValueError) as error:
            _refuse_too_large(function.__name__, sizes, options.get("dtype"), error)
            raise

    return made


def _refuse_too_large(name: str, size: tuple[int, ...], dtype: Any, error: Exception) -> None:
    """While an error of NumPy is handled: if memory is what lacks, say how much of it."""
    want = _dtype(dtype)
    if isinstance(error, MemoryError) or math.prod(size) * want.itemsize >= 2**63:
        raise MemoryError(
            f"{name}: there is no memory for {math.prod(size) * want.itemsize} bytes (shape {size}, {want.name}); "
            "make it smaller"
        ) from None


# ------------------------------------------------------------------------------------------------------- from data


def tensor(
    data: Any, dtype: Any = None, requires_grad: bool = False, *, device: Any = None, pin_memory: bool = False
) -> Tensor:
    """A new leaf with a copy of ``data`` (numbers, nested lists, arrays, tensors). ``pin_memory`` changes nothing here.

    >>> tensor([[1, 2], [3, 4]]).dtype.name, tensor([1.0, 2.0]).dtype.name
    ('int64', 'float32')
    """
    array = as_array(data, dtype)
    if device is not None or not isinstance(array, np.ndarray):
        moved = _on(array, device)
        return _leaf(moved.copy() if moved is array else moved, requires_grad)
    return _leaf(np.array(array, copy=True, order="C"), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, sharing memory when possible; a tensor of that dtype is returned as it is."""
    if isinstance(data, Tensor):
        return data if dtype is None and device is None else data.to(device, dtype)
    return _leaf(_on(as_array(data, dtype), device), False)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """``obj`` (numbers, lists, arrays, tensors) as a tensor, on its memory where that is possible.

    ``copy=True`` always copies; ``copy=False`` raises ValueError where a copy cannot be avoided. A tensor keeps its
    history unless ``requires_grad`` is given.
    """
    source = obj.array if isinstance(obj, Tensor) else obj
    out = as_tensor(obj, dtype, device)
    shares = isinstance(source, np.ndarray) and isinstance(out.array, np.ndarray)
    shares = shares and np.may_share_memory(out.array, source)
    if copy is False and not shares:
        what = f"tensor with dtype '{source.dtype}'" if isinstance(source, np.ndarray) else "arbitrary sequence"
        raise ValueError(f"can't alias {what} into a tensor of dtype {out.dtype}; leave copy=False out")
    if copy and shares:
        out = out.clone()
    if requires_grad is None or requires_grad == out.requires_grad:
        return out
    return out.detach().requires_grad_(requires_grad)


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    return _leaf(as_array(array), False)


def from_dlpack(x: Any) -> Tensor:
    """A tensor on the memory of any object with ``__dlpack__`` (a PyTorch tensor, an array): a write to one is seen in
    the other, unless the owner says that its memory is read-only. Raises TypeError for anything else."""
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack expects an object with __dlpack__, got a {type(x).__name__}")
    return _leaf(as_array(np.from_dlpack(x)), False)


# ---------------------------------------------------------------------------------------------------------- filled


@sized
def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False, on: Any = np) -> Tensor:
    """Filled with 0: shape ``size``, the default dtype unless another is named."""
    return _leaf(on.zeros(size, _dtype(dtype)), requires_grad)


@sized
def ones(*size: Any, dtype: Any = None, requires_grad: bool = False, on: Any = np) -> Tensor:
    """Filled with 1: shape ``size``, the default dtype unless another is named."""
    return _leaf(on.ones(size, _dtype(dtype)), requires_grad)


@sized
def empty(*size: Any, dtype: Any = None, requires_grad: bool = False, pin_memory: bool = False, on: Any = np) -> Tensor:
    """Uninitialised memory: shape ``size``, the default dtype unless another is named."""
    return _leaf(on.empty(size, _dtype(dtype)), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with ``fill_value``, whose type gives the dtype unless named."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    given = fill_value.dtype if isinstance(fill_value, Tensor) else dtypes.scalar_dtype(value)
    out = empty(size, dtype=given if dtype is None else dtype, device=device)
    out.array.fill(held(value, out.dtype)[()])
    out.requires_grad = requires_grad
    return out


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Filled with 0, in the shape and dtype of ``input``."""
    return zeros(input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Filled with 1, in the shape and dtype of ``input``."""
    return ones(input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Uninitialised, in the shape and dtype of ``input``."""
    return empty(input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Filled with ``fill_value``, in the shape and dtype of ``input``."""
    return full(
        input.shape, fill_value, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad
    )


# ----------------------------------------------------------------------------------------------------- in sequence


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... below ``end``; int64 for integers, else the default dtype."""
    xp = there(device)
    start, end, step = (_number(v) for v in ((0, start, step) if end is None else (start, end, step)))
    if step == 0:
        raise RuntimeError(f"arange: step must be nonzero, got start {start}, end {end}, step {step}")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and lower bound inconsistent with step sign: start {start}, end {end}, step {step}"
        )
    integral = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    want = (dtypes.int64 if integral else dtypes.get_default_dtype()) if dtype is None else dtypes.as_dtype(dtype)
    return _leaf(xp.arange(start, end, step).astype(want), requires_grad)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` values from ``start`` to ``end``, both included, in equal steps."""
    xp = there(device)
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    return _leaf(xp.linspace(_number(start), _number(end), steps).astype(_dtype(dtype)), requires_grad)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``base`` to the powers :func:`linspace` gives."""
    xp = there(device)
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    powers = xp.power(float(base), xp.linspace(_number(start), _number(end), steps))
    return _leaf(powers.astype(_dtype(dtype)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """1 on the diagonal of an n x m matrix (m = n by default), 0 elsewhere."""
    xp = there(device)
    return _leaf(xp.eye(*sizes_of((n, n if m is None else m)), dtype=_dtype(dtype)), requires_grad)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None) -> Tensor:
    """Rows and columns [2, n] of the elements on and below the ``offset``-th diagonal of a row x col matrix."""
    xp = there(device)
    return _leaf(xp.stack(xp.tril_indices(row, offset, col)).astype(dtypes.as_dtype(dtype)), False)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None) -> Tensor:
    """Rows and columns [2, n] of the elements on and above the ``offset``-th diagonal of a row x col matrix."""
    xp = there(device)
    return _leaf(xp.stack(xp.triu_indices(row, offset, col)).astype(dtypes.as_dtype(dtype)), False)


# -------------------------------------------------------------------------------------------------- grids of values


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: the i-th result repeats the i-th vector along every other dimension (a view).

    ``indexing="xy"`` exchanges the first two dimensions of the grid. Raises RuntimeError for a tensor of more than one
    dimension, for different dtypes and for another ``indexing``.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise ValueError("meshgrid expects at least one tensor")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', got {indexing!r}")
    for x in tensors:
        if x.ndim > 1:
            raise RuntimeError(f"meshgrid: expected 0-d or 1-d tensors, got one of shape {tuple(x.shape)}")
        if x.dtype != tensors[0].dtype:
            raise RuntimeError(f"meshgrid expects all tensors to have the same dtype, got {x.dtype}")
    if indexing == "xy" and len(tensors) > 1:
        first, second, *rest = meshgrid(tensors[1], tensors[0], *tensors[2:])
        return (second, first, *rest)
    sizes = tuple(x.numel() for x in tensors)
    return tuple(x.reshape((1,) * i + (-1,) + (1,) * (len(sizes) - i - 1)).expand(sizes) for i, x in enumerate(tensors))


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All tuples of one element from each vector, in order: [n, len(tensors)] (the vector itself when alone)."""
    for x in tensors:
        if x.ndim != 1:
            raise RuntimeError(f"cartesian_prod: expected 1-d tensors, got one of shape {tuple(x.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    columns = [grid.reshape(-1) for grid in meshgrid(*tensors)]
    return shaping.stack(columns, 1)  # type: ignore[no-any-return]
