"""A compiled function as a builtin of Python's, for kernels that are called on a few numbers.

Numba's dispatcher looks up a signature and takes every argument apart: 0.4 us and 0.1 us more for each array. A builtin
is handed the addresses of its arguments' objects, and machine code reads from an array's head where its elements lie:
0.1 us for all. Nothing is looked at twice, so the caller sees to it that arrays are of the dtype and
:func:`~tinydl.kernels.workspace.plain`.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels.cache import cfunc, njit

_TEXT = """
def {name}(self, given, count):
    return {made}(body({arguments}))
"""
_ARGUMENTS = {
    "T": "elements(given[{0}], size_of(given[{0}]), like)",
    "l": "elements(given[{0}], size_of(given[{0}]), whole)",
    "d": "elements(given[{0}], size_of(given[{0}]), double)",
    "i": "integer(given[{0}])",
    "x": "real(given[{0}])",
    "o": "given[{0}]",
}
_FASTCALL = 0x80  # METH_FASTCALL of Python's methodobject.h: (self, array of arguments, how many) -> new reference


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (("name", ctypes.c_char_p), ("address", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("doc", ctypes.c_char_p))  # fmt: skip


class Builtin(dict[Any, Callable[..., Any]]):
    """``function`` by the dtype of its arrays, compiled when that is first asked for: ``Builtin(f, "TTi")[x.dtype](x,
    y, 3)``.

    arguments: a letter for each parameter: T an array of the dtype asked for, d one of float64, l one of int64, all
    flat; i an integer, x a float; o any object, by its address, for :mod:`~tinydl.kernels.heads` to look at.
    result: i or x.
    options: of ``numba.njit``, where ``function`` is not compiled by it already.
    """

    def __init__(self, function: Callable[..., Any], arguments: str, result: str = "i", **options: Any) -> None:
        super().__init__()
        self.function, self.arguments, self.result, self.options = function, arguments, result, options

    def __missing__(self, dtype: Any) -> Callable[..., Any]:
        self[dtype] = found = self._made(np.dtype(dtype))
        return found

    def _made(self, dtype: np.dtype[Any]) -> Callable[..., Any]:
        from numba import types

        from tinydl.kernels import heads

        plain = getattr(self.function, "py_func", self.function)
        body = self.function if plain is not self.function else njit(plain, error_model="numpy", **self.options)
        if not heads.AVAILABLE:  # also where nothing is compiled
            flat = [letter in "Tdl" for letter in self.arguments]
            return lambda *given: body(*[x.reshape(-1) if f else x for x, f in zip(given, flat)])
        external, address = types.ExternalFunction, types.intp
        namespace: dict[str, Any] = {
            "__name__": __name__, "body": body, "elements": heads.elements, "size_of": heads.size_of,
            "like": np.empty(0, dtype), "whole": np.empty(0, np.int64), "double": np.empty(0),
            "integer": external("PyLong_AsLongLong", types.int64(address)),
            "real": external("PyFloat_AsDouble", types.float64(address)),
            "made_i": external("PyLong_FromLongLong", address(types.int64)),
            "made_x": external("PyFloat_FromDouble", address(types.float64)),
        }  # fmt: skip
        label = f"{plain.__module__}.{plain.__qualname__}"
        name = re.sub(r"\W", "_", f"{label}_{dtype.name}")
        listed = ", ".join(_ARGUMENTS[letter].format(at) for at, letter in enumerate(self.arguments))
        # The text is made of the names above. It is given this file's name, so that Numba finds a source whose date it
        # can look at.
        text = _TEXT.format(name=name, arguments=listed, made=f"made_{self.result}")
        exec(compile(text, __file__, "exec"), namespace)
        compiled = cfunc(address(address, types.CPointer(address), address), namespace[name], label, dtype.name)
        method = _Method(name.encode(), compiled.address, _FASTCALL, (plain.__doc__ or "").encode())
        _alive.append((compiled, method))
        return _new(ctypes.byref(method), None, None)  # type: ignore[no-any-return]


_alive: list[Any] = []  # Python keeps addresses only
_new = ctypes.pythonapi.PyCFunction_NewEx
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
