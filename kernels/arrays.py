"""NumPy's functions on a device's arrays: CuPy's, and what CuPy lacks written in those.

:mod:`~tinydl.kernels.twins` imports an :class:`ArrayModule` under NumPy's name. A function that is missing here too is
an AttributeError that names it, never NumPy's own, which would take device memory for host memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

#: What has nothing to do with arrays is NumPy's own.
_NUMPYS = frozenset(("errstate", "typecodes", "polynomial", "geterr", "seterr", "True_", "False_"))

_SCANNED = ("maximum", "minimum", "fmax", "fmin", "logaddexp", "logical_or", "logical_and")
_REDUCED = {"maximum": "max", "minimum": "min", "logical_or": "any", "logical_and": "all"}


class ArrayModule:
    """``xp`` (CuPy, or what stands in for it) as NumPy."""

    def __init__(self, xp: Any, raising: Callable[[], Any] | None = None) -> None:
        self.xp, self.ndarray = xp, _Array(xp)
        self.linalg, self.fft = _Part(xp.linalg, np.linalg, raising), _Part(xp.fft, np.fft)

    def __getattr__(self, name: str) -> Any:
        if name in _SCANNED or name == "multiply":
            found: Any = _Ufunc(self.xp, name)
        elif name in _NUMPYS:
            found = getattr(np, name)
        else:
            found = getattr(self.xp, name, None)
            if found is None:
                raise AttributeError(f"there is no {name!r} for arrays on a GPU: CuPy has none")
        setattr(self, name, found)
        return found

    def vectorize(self, function: Any, otypes: Any = None) -> Any:
        """Refused: a Python function of each number does not run on a GPU."""
        raise NotImplementedError(f"{function} is called number by number, which a GPU does not do")


    def max(self, a: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        """With ``initial``, which CuPy's has not."""
        return _Ufunc(self.xp, "maximum").reduce(a, axis, keepdims=keepdims, initial=initial)


class _Array:
    """``np.ndarray``: the type, and what lays another shape on an array's memory."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp.ndarray, name)

    def __getitem__(self, item: Any) -> Any:
        return self._xp.ndarray

    def __instancecheck__(self, x: Any) -> bool:
        return isinstance(x, self._xp.ndarray)

    def __call__(self, shape: Any, dtype: Any, buffer: Any, offset: int, strides: Any) -> Any:
        if offset:  # of a contiguous array
            buffer = buffer.reshape(-1)[offset // buffer.itemsize :]
        return self._xp.lib.stride_tricks.as_strided(buffer, shape, strides)


class _Part:
    """A submodule: the errors that it raises are NumPy's, and where CuPy gives NaN unless told to raise, it is."""

    def __init__(self, xp: Any, numpys: Any, raising: Callable[[], Any] | None = None) -> None:
        self._xp, self._numpys, self._raising = xp, numpys, raising
        self.LinAlgError = np.linalg.LinAlgError

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._xp, name, None)
        if found is None:
            raise AttributeError(f"there is no {self._numpys.__name__}.{name} for arrays on a GPU: CuPy has none")
        raising = self._raising
        if raising is None:
            return found

        @functools.wraps(found)
        def call(*args: Any, **options: Any) -> Any:
            with raising():
                return found(*args, **options)

        setattr(self, name, call)
        return call


class _Ufunc:
    """A ufunc with the ways of calling it that CuPy has for sums and products only."""

    def __init__(self, xp: Any, name: str) -> None:
        self.xp, self.__name__ = xp, name
        self.ufunc: Callable[..., Any] = getattr(xp, name)

    def at(self, x: Any, index: Any, values: Any) -> None:
        """In place, at places that may repeat: CuPy has it for sums and extremes. A product is written in rounds, each
        over places of which none comes twice."""
        if self.__name__ != "multiply":
            self.ufunc.at(x, index, values)  # type: ignore[attr-defined]
            return
        order = self.xp.argsort(index, kind="stable")
        placed, place = index[order], self.xp.arange(len(order))
        new = self.xp.ones(len(order), bool)
        new[1:] = placed[1:] != placed[:-1]
        rank = place - _Ufunc(self.xp, "maximum").accumulate(self.xp.where(new, place, 0))
        for r in range(int(rank.max()) + 1 if len(order) else 0):
            chosen = order[rank == r]
            x[index[chosen]] = self.ufunc(x[index[chosen]], values[chosen])

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.ufunc(*args, **options)

    def reduce(self, x: Any, axis: Any = 0, dtype: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
        """Of all elements along ``axis``, a tuple of dimensions or None."""
        name = _REDUCED.get(self.__name__)
        if self.__name__ == "multiply":
            return self.ufunc.reduce(x, axis, dtype, None, keepdims)  # type: ignore[attr-defined]
        if name is None:
            return self._folded(x, axis, keepdims)
        if initial is not None and not x.size:
            shape = np.zeros(x.shape, bool).any(axis=axis, keepdims=keepdims).shape
            return self.xp.full(shape, initial, x.dtype)
        out = getattr(self.xp, name)(x, axis=axis, keepdims=keepdims)
        return out if initial is None else self.ufunc(out, out.dtype.type(initial))

    def _folded(self, x: Any, axis: Any, keepdims: bool) -> Any:
        """In halves: of one dimension."""
        x = self.xp.moveaxis(x, axis, 0)
        while len(x) > 1:
            half = (len(x) + 1) // 2
            x = self.xp.concatenate([self.ufunc(x[: len(x) - half], x[half:]), x[len(x) - half : half]])
        return self.xp.moveaxis(x, 0, axis) if keepdims else x[0]

    def accumulate(self, x: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Of all elements up to each: in log2(n) steps, each over what lies twice as far (Hillis and Steele, 1986)."""
        if self.__name__ == "multiply":
            return self.ufunc.accumulate(x, axis, dtype)  # type: ignore[attr-defined]
        dtype = bool if self.__name__.startswith("logical") else dtype
        y = self.xp.moveaxis(x if dtype is None else x.astype(dtype), axis, 0)
        step = 1
        while step < len(y):
            y = self.xp.concatenate([y[:step], self.ufunc(y[step:], y[:-step])])
            step *= 2
        y = self.xp.moveaxis(y, 0, axis)
        if out is None:
            return y
        out[...] = y
        return out

    def reduceat(self, x: Any, begins: Any, axis: int = 0) -> Any:
        """Of each stretch, from one of the increasing ``begins`` to the next; along the first dimension."""
        if axis:
            raise NotImplementedError(f"{self.__name__}.reduceat along dimension {axis} of arrays on a GPU")
        starts = self.xp.zeros(len(x), np.int64)
        starts[begins] = 1
        stretch = self.xp.cumsum(starts) - 1
        out = x[begins]
        self.at(out, stretch, x)
        return out
