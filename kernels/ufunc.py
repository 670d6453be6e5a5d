"""A function of numbers as a NumPy ufunc: NumPy broadcasts, allocates and walks strides, our machine code does lines.

A call on a few numbers costs what one of NumPy's own ufuncs does (0.4 us), however long the formula; a chain of ufuncs
costs that for each. The inner loop is compiled with the formula inlined, so that a formula without a branch or a
library call (see ``scalar.py``) becomes vectors.

``numba.vectorize`` does the same, but its objects answer calls in Python (1.4 us), and part of their loops is compiled
anew in every process (70 ms for each), which the disk cache of :func:`tinydl.kernels.cache.cfunc` spares.

Long lines are shared among the threads of the pool (``sharing.py``).
"""

from __future__ import annotations

import ctypes
import importlib
import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# A ufunc calls this for every innermost line: addresses and steps in bytes of the inputs and the result. Lines without
# gaps become vectors, also where all inputs but the first one or two are a number (parameters); others go by their
# steps.
_LOOP = """
def {name}(pointers, dimensions, steps, data):
    n = dimensions[0]
    {arrays}
    if {contiguous}:
        for i in range(n):
            x{last}[i] = body({elements})
{parametric}
    else:
        {strided}
        for i in range(n):
            x{last}[i] = body({elements})
    forgive(everything)
"""
_PARAMETRIC = """
    elif {constant}:
        {constants}
        for i in range(n):
            x{last}[i] = body({mixed})"""

# FE_ALL_EXCEPT of the C library. A formula that computes both of two ways and takes one meets overflows and NaN that
# are no news to anybody; NumPy looks at the processor's flags after every ufunc and would warn.
_ALL_EXCEPTIONS = 0x3D if platform.machine().lower() in ("x86_64", "amd64", "i686") else 0x1F


class Ufunc:
    """``function`` of some numbers, to be compiled when it is first asked for.

    dtypes: for each loop the dtypes of the inputs and, last, of the result, as letters (``"ff"``: float32 to float32).
    fastmath: as ``numba.njit``'s.
    """

    def __init__(self, function: Callable[..., Any], *dtypes: str, fastmath: Any = False) -> None:
        self.py_func, self.dtypes, self.fastmath = function, dtypes, fastmath
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__  # who registered it
        self._function: Any = None

    def ready(self) -> Any:
        """What computes it on arrays; compiled, or read from the disk, at the first call.

        Its attribute ``ufunc`` is NumPy's object, with ``out=`` and all.
        """
        if self._function is None:
            loops = [self._loop(d) for d in self.dtypes]
            ufunc = _from_addresses(self.py_func.__name__, self.py_func.__doc__ or "", self.dtypes, loops)
            self._function = _on_threads(ufunc, dict(zip(self.dtypes, loops)))
        return self._function

    def _loop(self, dtypes: str) -> int:
        """The address of the machine code for one tuple of dtypes."""
        import numba
        from numba import types

        from tinydl.kernels.cache import cfunc, njit

        every, inputs, last = range(len(dtypes)), range(len(dtypes) - 1), len(dtypes) - 1
        sizes = [np.dtype(d).itemsize for d in dtypes]
        parametric = "".join(
            _PARAMETRIC.format(
                last=last,
                constant=" and ".join(f"steps[{i}] == {0 if lead <= i < last else sizes[i]}" for i in every),
                constants="; ".join(f"c{i} = x{i}[0]" for i in inputs[lead:]),
                mixed=", ".join(f"x{i}[i]" if i < lead else f"c{i}" for i in inputs),
            )
            for lead in range(1, min(last, 3))
        )  # fmt: skip
        label = f"{self.py_func.__module__}.{self.py_func.__qualname__}"
        name = f"{label}_{dtypes}".replace(".", "_").replace("?", "bool")
        text = _LOOP.format(
            name=name,
            last=last,
            arrays="; ".join(f"x{i} = carray(pointers[{i}], (n,), d{i})" for i in every),
            contiguous=" and ".join(f"steps[{i}] == {sizes[i]}" for i in every),
            parametric=parametric,
            strided="; ".join(f"x{i} = as_strided(x{i}, (n,), (steps[{i}],))" for i in every),
            elements=", ".join(f"x{i}[i]" for i in inputs),
        )
        namespace: dict[str, Any] = {"__name__": __name__} | {f"d{i}": np.dtype(d).type for i, d in enumerate(dtypes)}
        namespace["body"] = njit(self.py_func, error_model="numpy", fastmath=self.fastmath, forceinline=True)
        namespace["forgive"] = types.ExternalFunction("feclearexcept", types.int32(types.int32))
        namespace["everything"] = np.int32(_ALL_EXCEPTIONS)
        namespace["carray"], namespace["as_strided"] = numba.carray, np.lib.stride_tricks.as_strided
        # The text is made of numbers and the names above. It is given this file's name, so that Numba finds a source
        # whose date it can look at.
        exec(compile(text, __file__, "exec"), namespace)
        addresses = types.CPointer(types.voidptr), types.CPointer(types.intp), types.CPointer(types.intp), types.voidptr
        signature = types.void(*addresses)
        # The disk's key is the hash of kernels/ and the name, which do not change with somebody else's formula.
        ours = self.py_func.__module__.startswith(f"{__package__}.")
        loop = namespace[name]
        compiled = cfunc(signature, loop, label, dtypes) if ours else numba.cfunc(signature)(loop)
        _alive.append(compiled)
        return int(compiled.address)


#: Elements from which on two threads do not lose: a relu of so many takes 75 us on one and 72 on two, a sigmoid 368 and
#: 209; of a quarter, 26 and 48, 123 and 93. Beside a neighbour, waiting for its core costs half a millisecond.
LONG = 1 << 19


def _on_threads(ufunc: Any, loops: dict[str, int]) -> Callable[..., Any]:
    """``ufunc``, which cuts what is long; everything else costs 0.1 us more. loops: their addresses by dtypes."""

    results = {kinds[:-1]: kinds[-1] for kinds in loops}

    def shared(x: Any, *others: Any) -> Any:
        from tinydl.kernels import sharing, threads

        operands = (x, *[o if hasattr(o, "dtype") else np.asarray(o, x.dtype) for o in others])  # numbers among them
        kinds = "".join([o.dtype.char for o in operands])
        whole = [o.shape == x.shape and o.flags.c_contiguous for o in operands]
        count = threads.get_num_threads() if kinds in results and _compiled() else 1
        if count == 1 or not all(w or o.ndim == 0 for w, o in zip(whole, operands)):
            return ufunc(x, *others)
        out = np.empty(x.shape, results[kinds])
        pointers = np.array([a.__array_interface__["data"][0] for a in (*operands, out)], np.int64)
        steps = np.array([a.itemsize * w for a, w in zip((*operands, out), (*whole, True))], np.int64)
        sharing.share(count, loops[kinds + results[kinds]], x.size, pointers, steps)
        return out

    # Written out for the number of inputs: passing ``*others`` on would cost as much as the call.
    inputs = ", ".join(f"x{i}" for i in range(ufunc.nin))
    namespace: dict[str, Any] = {"__name__": __name__, "ufunc": ufunc, "shared": shared, "LONG": LONG}
    exec(f"def call({inputs}): return ufunc({inputs}) if x0.size < LONG else shared({inputs})", namespace)
    call = namespace["call"]
    call.ufunc = ufunc
    return call  # type: ignore[no-any-return]


def _compiled() -> bool:
    import numba

    return not numba.config.DISABLE_JIT


_alive: list[Any] = []  # NumPy keeps addresses only; a ufunc lives as long as the process


def _from_addresses(name: str, doc: str, dtypes: Sequence[str], loops: Sequence[int]) -> Any:
    """``PyUFunc_FromFuncAndData`` of NumPy's C interface, which extension modules reach through the same capsule."""
    numpy = importlib.import_module("numpy._core._multiarray_umath")
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    table = ctypes.cast(pointer(numpy._UFUNC_API, None), ctypes.POINTER(ctypes.c_void_p))
    text, number, address = ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p
    make = ctypes.PYFUNCTYPE(
        ctypes.py_object, address, address, address, number, number, number, number, text, text, number
    )(table[1])
    functions = (address * len(loops))(*loops)
    data = (address * len(loops))()
    kinds = bytes(np.dtype(d).num for signature in dtypes for d in signature)
    codes = (ctypes.c_char * len(kinds)).from_buffer_copy(kinds)
    words = text(name.encode()), text(doc.encode())
    _alive.append((functions, data, codes, words))
    inputs = len(dtypes[0]) - 1
    none = -1  # PyUFunc_None: no identity, so no reduction over nothing
    where = (ctypes.addressof(x) for x in (functions, data, codes))
    return make(*where, len(loops), inputs, 1, none, *words, 0)
