"""A stand-in for CuPy: NumPy inside, and none of what a GPU would not do.

It runs the whole op table without a GPU, so that mistakes in code for CuPy show: an array of NumPy's beside one of the
device, a conversion that nobody wrote, a function, a method or an argument that CuPy lacks. It keeps CuPy's habits too:

- a reduction gives an array without dimensions, never a number;
- ``get()`` is the way out; ``int()``, ``float()``, ``bool()``, ``item()`` and ``tolist()`` wait for the device, which
  :data:`waits` counts;
- an index beyond the end wraps around instead of raising, and of several values written to one place any may stay
  (here the first: NumPy keeps the last);
- memory that nobody has written is poison; broadcast and diagonal views may be written.

``tinydl.lab.standin.connected()`` makes it the device ``"cuda"`` for a while. What it does not model: the
speed of a GPU, that its work is queued, its memory's end, and the last digit of CuPy's functions.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import re
import time
from collections.abc import Callable, Iterator
from types import GenericAlias, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tinydl.lab.cupy_names import NAMES

_SCALARS = (int, float, bool, complex, np.generic)


class _Counter:
    """How often the program waited for the device, and how often host memory was copied to it."""

    def __init__(self) -> None:
        self.waits = self.uploads = 0


count = _Counter()


def _signature(text: str) -> inspect.Signature:
    named: list[inspect.Parameter] = []
    given = [p.strip() for p in text.split(",") if p.strip()]
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for p in given:
        if p == "/":
            named = [old.replace(kind=inspect.Parameter.POSITIONAL_ONLY) for old in named]
        elif p == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif p.startswith("**"):
            named.append(inspect.Parameter(p[2:], inspect.Parameter.VAR_KEYWORD))
        elif p.startswith("*"):
            named.append(inspect.Parameter(p[1:], inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            default = None if p.endswith("=") else inspect.Parameter.empty
            named.append(inspect.Parameter(p.rstrip("="), kind, default=default))
    return inspect.Signature(named)


_FUNCTIONS = {m[1]: _signature(m[2]) for m in re.finditer(r"^([\w.]+)\((.*)\)$", NAMES, re.M)}
_UFUNCS = {m[1] for m in re.finditer(r"^([\w.]+) ufunc", NAMES, re.M)}
_PASSED_ON = {m[1] for m in re.finditer(r"^([\w.]+) (?:type|value)$", NAMES, re.M)}


def _refuse(x: Any) -> None:
    raise TypeError(f"Unsupported type {type(x)}")


def _inside(x: Any, lists: bool = True) -> Any:
    """The host memory behind an argument; NumPy's own arrays are refused."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray):
        _refuse(x)
    if isinstance(x, (list, tuple)):
        if not lists:
            _refuse(x)
        return type(x)([_inside(part) for part in x])
    return x


def _outside(x: Any, of: ndarray | None = None) -> Any:
    """A result of NumPy's as the device has it."""
    if isinstance(x, np.generic):
        return ndarray._of(np.asarray(x), None)
    if isinstance(x, np.ndarray):
        if of is not None and x is of._host:
            return of
        if of is None or x.base is None or not np.may_share_memory(x, of._host):
            return ndarray._of(x, None)
        if not x.flags.writeable:
            x.flags.writeable = True
        return ndarray._of(x, of if of._base is None else of._base)
    if isinstance(x, (list, tuple)):
        parts = [_outside(part, of) for part in x]
        return parts if isinstance(x, list) else tuple(parts)
    return x


class _Flags(NamedTuple):
    c_contiguous: bool
    f_contiguous: bool
    owndata: bool


class ndarray:
    """An array of the device."""

    __slots__ = ("_base", "_host", "__weakref__")
    _base: Any
    _host: Any
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    def __init__(self, shape: Any, dtype: Any = float) -> None:
        self._host, self._base = _poison(shape, dtype), None

    @classmethod
    def _of(cls, host: Any, base: Any) -> ndarray:
        self = object.__new__(ndarray)
        self._host, self._base = host, base
        return self

    @classmethod
    def __class_getitem__(cls, item: Any) -> Any:
        return GenericAlias(cls, item)

    # -- what it says of itself

    shape = property(lambda self: self._host.shape, lambda self, shape: setattr(self._host, "shape", shape))
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    base = property(lambda self: self._base)
    T = property(lambda self: _outside(self._host.T, self))
    mT = property(lambda self: _outside(self._host.mT, self))
    real = property(lambda self: _outside(self._host.real, self))
    imag = property(lambda self: _outside(self._host.imag, self))
    device = property(lambda self: SimpleNamespace(id=0))

    @property
    def flags(self) -> Any:
        """CuPy knows three."""
        flags = self._host.flags
        return _Flags(flags.c_contiguous, flags.f_contiguous, self._base is None)

    @property
    def data(self) -> Any:
        """With ``ptr``, the address."""
        return SimpleNamespace(ptr=self._host.__array_interface__["data"][0], device=self.device)

    # -- the ways out

    def get(self, stream: Any = None, order: Any = "C", out: Any = None, blocking: bool = True) -> Any:
        """A copy in NumPy's memory."""
        count.waits += 1
        return np.array(self._host, order=order)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def item(self) -> Any:
        """The only element."""
        count.waits += 1
        return self._host.item()

    def tolist(self) -> Any:
        """Nested lists."""
        count.waits += 1
        return self._host.tolist()

    def __bool__(self) -> bool:
        count.waits += 1
        return bool(self._host)

    def __int__(self) -> int:
        count.waits += 1
        return int(self._host)

    def __float__(self) -> float:
        count.waits += 1
        return float(self._host)

    def __repr__(self) -> str:
        return repr(self._host)

    def __format__(self, spec: str) -> str:
        return format(self._host, spec)

    def __reduce__(self) -> Any:
        return array, (self._host,)

    def __deepcopy__(self, memo: Any) -> Any:
        return ndarray._of(self._host.copy(), None)

    # -- a container

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(len(self))])

    def __contains__(self, value: Any) -> bool:
        raise TypeError("argument of type 'ndarray' is not iterable")

    def __getitem__(self, index: Any) -> Any:
        return _outside(self._host[_index(self._host, index)], self)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray):
            _refuse(value)
        host, at = _inside(value), _index(self._host, index)
        parts = at if isinstance(at, tuple) else (at,)
        if any(isinstance(p, np.ndarray) and p.dtype.kind != "b" and p.size > 1 for p in parts):
            _write_backwards(self._host, at, host)
        else:
            self._host[at] = host

    # -- NumPy's protocols, as CuPy answers them

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if "out" in options:
            (options["out"],) = options["out"]
        found = getattr(xp, ufunc.__name__, None)
        found = getattr(found, method, None) if found is not None and method != "__call__" else found
        if found is None or not all(isinstance(x, (*_SCALARS, ndarray, np.ndarray)) for x in inputs):
            return NotImplemented
        if ufunc.__name__ in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
            inputs = tuple(x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x for x in inputs)
        return found(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        try:
            module = functools.reduce(getattr, function.__module__.split(".")[1:], xp)
            found = getattr(module, function.__name__)
        except AttributeError:
            return NotImplemented
        if not all(issubclass(t, ndarray) for t in types):
            return NotImplemented
        return found(*args, **kwargs)


def _index(host: Any, index: Any) -> Any:
    """An index as NumPy takes it, its whole numbers brought around into the array."""
    parts = list(index) if isinstance(index, tuple) else [index]
    spent = 0
    for p in parts:
        spent += 0 if p is None or p is Ellipsis else np.ndim(_raw(p)) if _is_mask(p) else 1
    axis = 0
    for k, p in enumerate(parts):
        if p is None:
            continue
        if p is Ellipsis:
            axis += host.ndim - spent
            continue
        if _is_mask(p):
            parts[k] = _raw(p)
            axis += parts[k].ndim
            continue
        if isinstance(p, (ndarray, np.ndarray, list)):
            raw = np.asarray(_raw(p) if not isinstance(p, list) else _inside(p))
            raw = raw.astype(np.int32) if isinstance(p, list) and not raw.size else raw
            if raw.dtype.kind not in "iu":
                raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {raw.dtype})")
            size = host.shape[axis] if axis < host.ndim else 1
            parts[k] = raw % size if size else raw
        axis += 1
    return tuple(parts) if isinstance(index, tuple) else parts[0]


def _raw(p: Any) -> Any:
    if isinstance(p, np.ndarray):
        count.uploads += 1
        return p
    return p._host if isinstance(p, ndarray) else p


def _is_mask(p: Any) -> bool:
    return isinstance(p, (bool, np.bool_)) or (isinstance(p, (ndarray, np.ndarray)) and p.dtype.kind == "b")


def _write_backwards(host: Any, at: Any, value: Any) -> None:
    """``host[at] = value`` that leaves the first of several values at one place: which one stays is not promised."""
    places = np.arange(host.size).reshape(host.shape)[at]
    values = np.broadcast_to(np.asarray(value).astype(host.dtype), places.shape)
    first: Any = host if host.flags.c_contiguous else np.ascontiguousarray(host)
    first.reshape(-1)[places.reshape(-1)[::-1]] = values.reshape(-1)[::-1]
    if first is not host:
        host[...] = first


def _poison(shape: Any, dtype: Any) -> Any:
    made = np.empty(shape, dtype)
    made.reshape(-1).view(np.uint8)[...] = 0xFF
    return made if made.dtype.kind != "b" else np.ones_like(made)


# -- methods -----------------------------------------------------------------------------------------------------------


def _method(name: str, signature: inspect.Signature) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **options: Any) -> Any:
        signature.bind(*args, **options)
        return _outside(getattr(self._host, name)(*_inside(args), **{k: _inside(v) for k, v in options.items()}), self)

    method.__name__ = name
    return method


for _key, _given in _FUNCTIONS.items():
    _owner, _, _name = _key.rpartition(".")
    if _owner == "ndarray" and _name not in ndarray.__dict__ and hasattr(np.ndarray, _name):
        setattr(ndarray, _name, _method(_name, _given))


def _take(self: ndarray, indices: Any, axis: Any = None, out: Any = None) -> Any:
    at, size = np.asarray(_inside(indices)), self.size if axis is None else self.shape[axis]
    if not size and np.size(at):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    at = at.astype(int) % (size or 1)
    return ndarray._of(np.asarray(self._host.take(at, axis)), None)


ndarray.take = _take  # type: ignore[attr-defined]


def _operand(x: Any) -> Any:
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, (np.ndarray, list, tuple)):
        _refuse(x)
    return x if isinstance(x, _SCALARS) else NotImplemented


def _operator(name: str) -> Callable[..., Any]:
    function, in_place = getattr(np.ndarray, name), name.startswith("__i") and name != "__invert__"

    def apply(self: ndarray, *others: Any) -> Any:
        given = [_operand(x) for x in others]
        if any(x is NotImplemented for x in given):
            return NotImplemented
        found = function(self._host, *given)
        return self if in_place else found if found is NotImplemented else _outside(found, self)

    apply.__name__ = name
    return apply


_PAIRS = "add sub mul truediv floordiv mod pow matmul lshift rshift and or xor divmod"
for _name in (
    *(f"__{side}{n}__" for n in _PAIRS.split() for side in ("", "r", "i") if side + n not in ("imatmul", "idivmod")),
    *(f"__{n}__" for n in "lt le eq ne gt ge neg pos invert abs".split()),
):
    setattr(ndarray, _name, _operator(_name))


# -- the module --------------------------------------------------------------------------------------------------------


class ufunc:
    """An elementwise function."""

    def __init__(self, name: str, function: Any, reduces: bool = False) -> None:
        self.__name__, self.name, self._function = name, f"cupy_{name}", function
        self.nin, self.nout, self.nargs = function.nin, function.nout, function.nargs

    def __call__(self, *args: Any, out: Any = None, **options: Any) -> Any:
        if set(options) - {"dtype", "casting"}:
            raise TypeError(f"Wrong arguments {options}")
        if len(args) > self.nin:
            *args, out = args  # type: ignore[assignment]
        given = [_inside(x, lists=False) for x in args]
        if out is None:
            return _outside(self._function(*given, **options))
        host = out._host if isinstance(out, ndarray) else out
        if not isinstance(host, np.ndarray) or isinstance(out, np.ndarray):
            _refuse(out)
        self._function(*given, out=host, **options)
        return out

    def _only(self, what: str, *names: str) -> None:
        if self.__name__ not in names:
            raise NotImplementedError(f"`{self.name}.{what}` is not supported yet")

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Of sums and products."""
        self._only("reduce", "add", "multiply")
        return _outside(self._function.reduce(array._host, axis, dtype, None, keepdims))

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Of sums and products."""
        self._only("accumulate", "add", "multiply")
        return _outside(self._function.accumulate(array._host, axis, dtype))

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Of sums."""
        self._only("reduceat", "add")
        return _outside(self._function.reduceat(array._host, _inside(indices), axis, dtype))

    def outer(self, a: Any, b: Any) -> Any:
        """Of all pairs."""
        return _outside(self._function.outer(_inside(a), _inside(b)))

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        """In place, at the places of an index, in any order; in the dtypes that have such instructions."""
        self._only("at", "add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor")
        kinds = {"add": "int32 int64 float16 float32 float64 uint32 uint64", "subtract": "int32 uint32"}
        wide = "int32 int64 float32 float64 uint32 uint64"
        if not isinstance(a, ndarray) or isinstance(b, np.ndarray):
            _refuse(b)
        if a.dtype.name not in kinds.get(self.__name__, wide):
            raise TypeError(f"cupy.{self.__name__}.at does not support {a.dtype} as data type")
        self._function.at(a._host, _index(a._host, indices), _inside(b))


_ON_THE_HOST = frozenset(
    "ndim shape size may_share_memory shares_memory broadcast_shapes result_type promote_types can_cast isscalar "
    "issubdtype isdtype iscomplexobj isrealobj iterable min_scalar_type".split()
)
_SAID = frozenset(("allclose", "array_equal", "array_equiv", "all", "any"))  # NumPy gives a bool, CuPy an array


def _function(name: str, function: Any, signature: inspect.Signature) -> Callable[..., Any]:
    last = name.rpartition(".")[2]

    def call(*args: Any, **options: Any) -> Any:
        signature.bind(*args, **options)
        options.pop("blocking", None)
        given, named = _inside(args), {k: _inside(v) for k, v in options.items()}
        found = function(*given, **named)
        if last in _ON_THE_HOST:
            return found
        owner = args[0] if args and isinstance(args[0], ndarray) else None
        return _outside(np.asarray(found) if last in _SAID or last == "count_nonzero" else found, owner)

    call.__name__ = last
    return call


def array(obj: Any, dtype: Any = None, copy: Any = True, order: Any = "K", **options: Any) -> Any:
    """From the host, or from the device."""
    _FUNCTIONS["array"].bind(obj, dtype, copy, order, **options)
    options.pop("blocking", None)
    if isinstance(obj, ndarray):
        if copy:
            return _outside(np.array(obj._host, dtype, order=order, **options))
        return _outside(np.asarray(obj._host, dtype, order=order), obj)
    if isinstance(obj, np.ndarray):
        count.uploads += 1
        return _outside(np.array(obj, dtype, order=order, **options))
    return _outside(np.array(_inside(obj), dtype, order=order, **options))


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> Any:
    """From the host, or the array itself."""
    return array(a, dtype, bool(copy), order or "K")


def _inner(name: str, original: Any) -> ModuleType:
    """A module with the names that CuPy's has, as far as it was asked for: they are made here at once, and few."""
    module = ModuleType(f"tinydl.lab.standin.{name}" if name else "tinydl.lab.standin.xp")
    lead = f"{name}." if name else ""
    for key in sorted(_UFUNCS | set(_FUNCTIONS) | _PASSED_ON):
        owner, _, last = key.rpartition(".")
        if owner != name or not hasattr(original, last):
            continue
        there = getattr(original, last)
        if key in _UFUNCS and isinstance(there, np.ufunc):
            setattr(module, last, ufunc(last, there))
        elif key in _UFUNCS or key in _FUNCTIONS:
            given = _FUNCTIONS.get(key, inspect.Signature([inspect.Parameter("x", inspect.Parameter.VAR_POSITIONAL)]))
            setattr(module, last, _function(lead + last, there, given))
        else:
            setattr(module, last, there)
    return module


xp: Any = _inner("", np)
xp.linalg, xp.fft = _inner("linalg", np.linalg), _inner("fft", np.fft)
xp.lib = ModuleType("tinydl.lab.standin.lib")
xp.lib.stride_tricks = _inner("lib.stride_tricks", np.lib.stride_tricks)
xp.ndarray, xp.array, xp.asarray, xp.asanyarray = ndarray, array, asarray, asarray
xp.empty = lambda shape, dtype=float, order="C": ndarray._of(_poison(shape, dtype), None)
xp.asnumpy = lambda a, *args, **options: a.get() if isinstance(a, ndarray) else np.asarray(a)
del xp.vectorize  # CuPy's compiles the text of a Python function, which is not modelled


def _ascontiguous(a: Any, dtype: Any = None) -> Any:
    """CuPy's takes arrays of the device; NumPy's makes one dimension of none."""
    return _outside(np.require(_inside(a), dtype, "C") if np.ndim(_inside(a)) else np.asarray(_inside(a), dtype), a)


def _empty_like(prototype: Any, dtype: Any = None, order: Any = "K", subok: Any = None, shape: Any = None) -> Any:
    out = np.empty_like(_inside(prototype), dtype, order, shape=shape)
    if out.dtype.kind == "f":
        out[...] = np.nan
    return ndarray._of(out, None)


def _broadcast_to(array: Any, shape: Any) -> Any:
    host = _inside(array)
    return _outside(np.lib.stride_tricks.as_strided(host, shape, np.broadcast_to(host, shape).strides), array)


def _broadcast_arrays(*arrays: Any) -> Any:
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return [_broadcast_to(x, shape) for x in arrays]


def _take_function(a: Any, indices: Any, axis: Any = None, out: Any = None) -> Any:
    return _take(a, indices, axis, out)


xp.ascontiguousarray, xp.empty_like, xp.take = _ascontiguous, _empty_like, _take_function
xp.broadcast_to, xp.broadcast_arrays = _broadcast_to, _broadcast_arrays

#: Whether linear algebra refuses what it cannot factor; CuPy gives NaN instead, unless it is told to look.
_looking = False


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """``cupyx.errstate(linalg="raise")``."""
    global _looking
    before, _looking = _looking, True
    try:
        yield
    finally:
        _looking = before


def _unlooked(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except np.linalg.LinAlgError:
            if _looking:
                raise
            return ndarray._of(np.full(args[0].shape, np.nan, args[0].dtype), None)

    return call


for _name in ("cholesky", "inv", "solve"):
    setattr(xp.linalg, _name, _unlooked(getattr(xp.linalg, _name)))


lib = xp.lib


# -- what is not arrays ------------------------------------------------------------------------------------------------


class _Stream:
    """Work is done when it is queued, so a stream has nothing to wait for; which one is current is kept."""

    null: Any
    _current: list[Any] = []

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        self.ptr, self.done = 0 if null else id(self), True

    def __enter__(self) -> _Stream:
        self._current.append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        self._current.pop()

    def synchronize(self) -> None:
        """Wait."""
        count.waits += 1

    def record(self, event: Any = None) -> Any:
        """Set a mark."""
        event = _Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Any) -> None:
        """Nothing: it is done."""


class _Event:
    """A mark in a stream, with the time at which it was set."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.timed, self.done, self.at = not disable_timing, True, 0.0

    def record(self, stream: Any = None) -> None:
        """Now."""
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """Wait."""
        count.waits += 1


def _elapsed(start: Any, stop: Any) -> float:
    if not (start.timed and stop.timed):
        raise RuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
    return float(stop.at - start.at) * 1e3


class _Device:
    """The only one."""

    id, compute_capability, attributes = 0, "90", {"MultiProcessorCount": 1}

    def __init__(self, device: Any = None) -> None:
        if device not in (None, 0):
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def synchronize(self) -> None:
        """Wait."""
        count.waits += 1


class _Pool:
    """Counts what is alive by asking the garbage collector, so that nothing else pays for it."""

    def used_bytes(self) -> int:
        """Of all arrays that are alive, each piece of memory once."""
        found = {}
        for x in gc.get_objects():
            if type(x) is ndarray and x._base is None:
                found[id(x._host)] = x._host.nbytes
        return sum(found.values())

    def total_bytes(self) -> int:
        """Nothing is held for later."""
        return self.used_bytes()

    def free_all_blocks(self, stream: Any = None) -> None:
        """Nothing."""


class _Hook:
    """Is told of nothing: the peak is then what is alive when one asks."""

    def __enter__(self) -> _Hook:
        return self

    def __exit__(self, *error: Any) -> None:
        pass


_Stream.null = _Stream(null=True)
_POOL, _TOTAL = _Pool(), 1 << 34
xp.cuda = SimpleNamespace(
    Stream=_Stream, Event=_Event, Device=_Device, MemoryHook=_Hook, get_elapsed_time=_elapsed,
    get_current_stream=lambda: _Stream._current[-1] if _Stream._current else _Stream.null,
    runtime=SimpleNamespace(
        getDeviceCount=lambda: 1, memGetInfo=lambda: (_TOTAL - _POOL.used_bytes(), _TOTAL),
        getDeviceProperties=lambda device: {
            "name": b"stand-in", "major": 9, "minor": 0, "totalGlobalMem": _TOTAL, "multiProcessorCount": 1,
        },
    ),
)  # fmt: skip
xp.get_default_memory_pool = lambda: _POOL
xp.get_default_pinned_memory_pool = lambda: _POOL


# -- the device --------------------------------------------------------------------------------------------------------


_modules: dict[str, Any] = {}  # what sources were compiled to, by their text


def _module(kernel: Any, call: Any) -> Any:
    from tinydl.kernels import nvrtc, simt
    from tinydl.kernels.gpu import folders

    source = call.source or kernel.source
    text = kernel.text() if source == kernel.source else source.read_text(encoding="utf-8")
    if text not in _modules:
        made = nvrtc.compile_cuda(
            text, source.name, architecture=nvrtc.ARCHITECTURES[-1], assemble=False, include=folders(source), keep=True
        )
        _modules[text] = simt.parse(made.ptx)
    return _modules[text]


def run(kernel: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """A CUDA kernel, executed on the virtual GPU: right, and slow. Its plan sees the device's arrays, as on a GPU."""
    from tinydl.kernels import simt
    from tinydl.kernels.gpu import Table

    made: list[Any] = []

    def empty(shape: Any, dtype: Any) -> Any:
        made.append(xp.empty(shape, dtype))
        return made[-1]

    def passed(argument: Any, written: set[int]) -> Any:
        if isinstance(argument, Table):
            return simt.Table(argument.numbers, [(at, passed(array, written)) for at, array in argument.addresses])
        if not isinstance(argument, ndarray):
            return 0 if argument is None else argument
        if argument._base is None or id(argument._base) in written:
            return argument._host
        return argument._host.copy()  # the virtual GPU takes no two arrays that overlap, and this one is only read

    calls, results = kernel.plan(empty, *arguments)
    for call in calls:
        written = {id(x if x._base is None else x._base) for x in (*made, *call.writes)}
        given = [passed(a, written) for a in call.args]
        simt.launch(_module(kernel, call), call.entry, call.grid, call.block, given, shared=call.shared)
    return results  # type: ignore[no-any-return]


@contextlib.contextmanager
def connected(kernels: Any = (), fuses: bool = False) -> Iterator[Any]:
    """For a while tensors can be on the device ``"cuda"``, which is this stand-in.

    kernels: CUDA kernels that run unasked, on the virtual GPU; the others when :func:`tinydl.kernels.use` names them.
    fuses: fused functions run there as well.
    """
    from tinydl import elsewhere
    from tinydl.kernels.devices import Device

    there = elsewhere.connect(Device("cuda", xp, run, kernels, raising=raising, fuses=fuses))
    try:
        yield there
    finally:
        elsewhere.disconnect(there)
