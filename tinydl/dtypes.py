"""Dtypes and PyTorch's promotion table.

NumPy and PyTorch disagree on mixed dtypes: NumPy gives ``float64`` for ``float32[3] * float64[]``, for
``float32[3] * np.int64(3)`` and for ``int64[] / 2``, PyTorch gives ``float32``. The engine follows PyTorch (a float32
model must not drift
to float64 because of one scalar), so operands are brought to one dtype *before* NumPy sees them.

The rule (PyTorch, "Type promotion"): operands fall in three ranks: tensors with dimensions, 0-d tensors, Python
scalars. A lower rank changes the result only when its *category* (bool < integer < floating) is higher.
"""

from __future__ import annotations

from typing import Any

import numpy as np

dtype = np.dtype  # what isinstance(x.dtype, tinydl.dtype) asks for
float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
uint8 = np.dtype(np.uint8)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
bool = np.dtype(np.bool_)


class _NameAlone:
    """A dtype of PyTorch's that NumPy has not: scripts compare with it and list it, and a tensor of it is refused."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"tinydl.{self.name}"


bfloat16 = _NameAlone("bfloat16")
_builtin_float, _builtin_int, _builtin_bool = (1.0).__class__, (1).__class__, True.__class__
_NAMES = {"float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"}
# What is usually asked for; a dtype's ``name`` is made anew by each question, in 3 us.
_KNOWN: dict[Any, np.dtype[Any]] = {
    form: np.dtype(name) for name in _NAMES for form in (np.dtype(name), np.dtype(name).type, name)
}
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}
_default = float32


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """The NumPy dtype of ``dtype`` (a dtype, a type or a name); Python's float is float64, as in PyTorch.

    Raises TypeError for what the engine does not compute with (complex, objects, strings).
    """
    try:
        return _KNOWN[dtype]
    except (KeyError, TypeError):
        pass
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        found = None  # type: ignore[assignment]
    if found is None or found.name not in _NAMES:
        name = getattr(dtype, "name", dtype) if found is None else found.name
        raise TypeError(f"tinydl has no dtype {name!r}; use one of {', '.join(sorted(_NAMES))}")
    return found


def is_name(text: str) -> Any:
    """Whether ``text`` names a dtype ("float32", "double")."""
    try:
        return np.dtype(text).name in _NAMES
    except TypeError:
        return False


def get_default_dtype() -> np.dtype[Any]:
    """The floating dtype of new tensors made from Python numbers (float32 unless changed)."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of new floating tensors; raises TypeError unless ``dtype`` is floating."""
    global _default
    found = as_dtype(dtype)
    if found.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, got {found.name}")
    _default = found


def promote_types(a: Any, b: Any) -> np.dtype[Any]:
    """The dtype of an operation on two tensors with dimensions: PyTorch's table.

    >>> promote_types("float32", "int64").name, promote_types("uint8", "int8").name
    ('float32', 'int16')
    """
    first, second = as_dtype(a), as_dtype(b)
    if first.kind == "f" and second.kind != "f":
        return first
    if second.kind == "f" and first.kind != "f":
        return second
    return np.promote_types(first, second)


def _combine(higher: np.dtype[Any] | None, lower: np.dtype[Any] | None) -> np.dtype[Any] | None:
    """The dtype of a higher rank joined by a lower one: the lower counts only by category."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if higher.kind != "f" and (higher.kind == "b" or lower.kind == "f"):
        return promote_types(higher, lower)
    return higher


def scalar_dtype(value: Any) -> np.dtype[Any]:
    """The dtype a Python scalar counts as: bool, int64, or the default floating dtype."""
    if isinstance(value, (_builtin_bool, np.bool_)):
        return bool
    if isinstance(value, (_builtin_int, np.integer)):
        return int64
    if isinstance(value, (_builtin_float, np.floating)):
        return _default
    raise TypeError(f"unsupported operand of type {type(value).__name__!r}; use a tensor, an array or a number")


def result_type(*operands: Any) -> np.dtype[Any]:
    """The dtype that an operation on ``operands`` (arrays, tensors or Python scalars) computes in.

    >>> result_type(np.ones(3, "float32"), np.float64(2)).name, result_type(np.ones(3, "int64"), 2.5).name
    ('float32', 'float32')
    """
    dim: np.dtype[Any] | None = None
    zero: np.dtype[Any] | None = None
    scalar: np.dtype[Any] | None = None
    for x in operands:
        if isinstance(x, np.generic) or not hasattr(x, "dtype"):
            d = scalar_dtype(x)
            scalar = d if scalar is None else promote_types(scalar, d)
        elif not isinstance(x.dtype, np.dtype):
            kind = f"{type(x).__module__}.{type(x).__name__}"
            raise TypeError(f"unsupported operand of type '{kind}'; convert it with tinydl.from_dlpack()")
        elif len(x.shape) == 0:
            zero = x.dtype if zero is None else promote_types(zero, x.dtype)
        else:
            dim = x.dtype if dim is None else promote_types(dim, x.dtype)
    found = _combine(dim, _combine(zero, scalar))
    if found is None:
        raise TypeError("result_type needs at least one operand")
    return found
