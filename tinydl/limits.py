"""What a dtype can hold: ``finfo``, ``iinfo``, ``can_cast``."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl import dtypes

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2}


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a result of dtype ``from_`` may be written into a tensor of dtype ``to``: never into a lower category
    (bool < integer < floating).

    >>> can_cast("float64", "float32"), can_cast("float32", "int64")
    (True, False)
    """
    return _CATEGORY[dtypes.as_dtype(from_).kind] <= _CATEGORY[dtypes.as_dtype(to).kind]


class finfo:
    """The limits of a floating dtype (default: the default dtype), as Python floats. Raises TypeError for others.

    >>> finfo("float32").eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None) -> None:
        dtype = dtypes.get_default_dtype() if type is None else dtypes.as_dtype(type)
        if dtype.kind != "f":
            raise TypeError(f"finfo describes floating-point dtypes, not {dtype.name}; use iinfo")
        found = np.finfo(dtype)
        self.dtype, self.bits = dtype.name, int(found.bits)
        self.eps, self.max, self.min = float(found.eps), float(found.max), float(found.min)
        self.tiny = self.smallest_normal = float(found.smallest_normal)
        self.resolution = float(f"1e-{found.precision}")

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype. Raises TypeError for others.

    >>> iinfo("int8").max
    127
    """

    def __init__(self, type: Any) -> None:
        dtype = dtypes.as_dtype(type)
        if dtype.kind not in "iu":
            raise TypeError(f"iinfo describes integer dtypes, not {dtype.name}; use finfo")
        found = np.iinfo(dtype)
        self.dtype, self.bits, self.min, self.max = dtype.name, int(found.bits), int(found.min), int(found.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
