"""``Tensor(...)`` and its older kin, one for each dtype: ``FloatTensor``, ``LongTensor``, ...; and ``Variable``.

Scripts of PyTorch's first years are full of them. A name stands for the tensors of one dtype: called, it makes one of
sizes or of data (the numbers are converted to the dtype, unlike by :func:`tinydl.tensor`), and ``isinstance`` and
``x.type(...)`` take it as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import creation, dtypes
from tinydl.size import Size
from tinydl.tensor import Tensor, as_array


def contents(name: str, dtype: Any, data: tuple[Any, ...]) -> Any:
    """What ``name(*data)`` holds: a new array of ``dtype``, or the tensor of that dtype whose memory is shared.

    Raises TypeError for what is neither sizes nor data.
    """
    if not data or all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in data):
        return creation.empty(*(data or (0,)), dtype=dtype).array
    if len(data) > 1:
        raise TypeError(
            f"{name}({', '.join(type(d).__name__ for d in data)}) makes a tensor of sizes, which are integers, or of "
            "one sequence of data; for a dtype or requires_grad use tinydl.tensor()"
        )
    (value,) = data
    if isinstance(value, Size):
        return creation.empty(*value, dtype=dtype).array
    if isinstance(value, Tensor):
        if value.dtype != dtype:
            raise TypeError(f"{name}: expected a tensor of dtype {dtype} (got {value.dtype}); convert it with .to()")
        return value
    if not isinstance(value, (list, tuple, range, np.ndarray)) and not hasattr(value, "__array__"):
        raise TypeError(
            f"{name}: data must be a sequence (got {type(value).__name__}); for a tensor of one number use "
            "tinydl.tensor()"
        )
    return np.array(as_array(value, dtype), copy=True, order="C")


class Typed(type):
    """A class of which the tensors of one dtype are the instances."""

    dtype: np.dtype[Any]

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        made = contents(cls.__name__, cls.dtype, data)
        return made.detach() if isinstance(made, Tensor) else Tensor._from_array(made)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype


class _Variable(type):
    """A class of which every tensor is an instance."""

    def __call__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        """``data`` itself without its history, requiring a gradient or not."""
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_Variable):
    """A tensor, under the name it had when tensors had no gradients: ``Variable(x, requires_grad=True)``."""


def _typed(word: str, name: str) -> Any:
    doc = f"The tensors of dtype {name}: ``{word}Tensor(2, 3)`` makes one of sizes, ``{word}Tensor([1, 2])`` of data."
    return Typed(f"{word}Tensor", (), {"__doc__": doc, "__module__": __name__, "dtype": dtypes.as_dtype(name)})


HalfTensor, FloatTensor = _typed("Half", "float16"), _typed("Float", "float32")
DoubleTensor, BoolTensor = _typed("Double", "float64"), _typed("Bool", "bool")
ByteTensor, CharTensor = _typed("Byte", "uint8"), _typed("Char", "int8")
ShortTensor, IntTensor = _typed("Short", "int16"), _typed("Int", "int32")
LongTensor = _typed("Long", "int64")
TYPED = {t.__name__: t for t in (
    HalfTensor, FloatTensor, DoubleTensor, BoolTensor, ByteTensor, CharTensor, ShortTensor, IntTensor, LongTensor,
)}  # fmt: skip
