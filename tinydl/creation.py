"""Making tensors: from data, filled, in sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.tensor import Tensor, as_array


def _leaf(array: Any, requires_grad: bool) -> Tensor:
    out = Tensor._from_array(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    found = tuple(int(s) for s in size)
    if any(s < 0 for s in found):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(found)}: {list(found)}")
    return found


def _dtype(dtype: Any) -> Any:
    return dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A new leaf with a copy of ``data`` (numbers, nested lists, arrays, tensors).

    >>> tensor([[1, 2], [3, 4]]).dtype.name, tensor([1.0, 2.0]).dtype.name
    ('int64', 'float32')
    """
    array = as_array(data, dtype)
    return _leaf(
        np.array(array, copy=True, order="C") if isinstance(array, np.ndarray) else array.copy(), requires_grad
    )


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """``data`` as a tensor, sharing memory when possible; a tensor of that dtype is returned as it is."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return _leaf(as_array(data, dtype), False)


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    return _leaf(as_array(array), False)


def from_dlpack(x: Any) -> Tensor:
    """A tensor on the memory of any object with ``__dlpack__``."""
    return _leaf(as_array(np.from_dlpack(x)), False)


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with 0."""
    return _leaf(np.zeros(_sizes(size), _dtype(dtype)), requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with 1."""
    return _leaf(np.ones(_sizes(size), _dtype(dtype)), requires_grad)


def empty(*size: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uninitialised memory."""
    return _leaf(np.empty(_sizes(size), _dtype(dtype)), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with ``fill_value``, whose type gives the dtype unless named."""
    want = dtypes.scalar_dtype(fill_value) if dtype is None else dtypes.as_dtype(dtype)
    return _leaf(np.full(_sizes((size,)) if not isinstance(size, int) else (size,), fill_value, want), requires_grad)


def zeros_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with 0, in the shape and dtype of ``input``."""
    return zeros(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with 1, in the shape and dtype of ``input``."""
    return ones(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def empty_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uninitialised, in the shape and dtype of ``input``."""
    return empty(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Filled with ``fill_value``, in the shape and dtype of ``input``."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """start, start + step, ... below ``end``; int64 for integers, else the default dtype."""
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            f"upper bound and larger bound inconsistent with step sign: start {start}, end {end}, step {step}"
        )
    integral = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
    want = (dtypes.int64 if integral else dtypes.get_default_dtype()) if dtype is None else dtypes.as_dtype(dtype)
    return _leaf(np.arange(start, end, step).astype(want), requires_grad)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``steps`` values from ``start`` to ``end``, both included."""
    return _leaf(np.linspace(start, end, steps).astype(_dtype(dtype)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """1 on the diagonal of an n x m matrix."""
    return _leaf(np.eye(n, m, dtype=_dtype(dtype)), requires_grad)
