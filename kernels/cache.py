"""Compiled kernels on disk, in a folder that changes whenever any source in ``kernels/`` does.

Numba's ``cache=True`` watches the file of a function only: when a helper that lives in *another* file changes, the old
machine code is loaded and gives the old result. The cache folder is therefore named by a hash of all sources here, of
the versions of Numba and NumPy, and of the host CPU.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import gc
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import PickleError
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

#: What reading a damaged file of compiled code raises.
DAMAGED = (EOFError, ValueError, AttributeError, ImportError, IndexError, KeyError, PickleError)

#: Files and folders that no kernel of the CPU calls: GPUs, real and virtual, and how kernels are launched there.
ELSEWHERE = frozenset({
    "simt", "launches.py", "gpu.py", "launcher.py", "nvrtc.py", "numba_cuda.py", "devices.py", "arrays.py", "twins.py",
})  # fmt: skip

_lock = threading.RLock()


def source_hash(root: Path | None = None) -> str:
    """Hash (16 hexadecimal digits) of every ``.py`` file below ``root`` (default: this package), names included, but
    :data:`ELSEWHERE`."""
    root = Path(__file__).parent if root is None else root
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if ELSEWHERE & {path.name, path.relative_to(root).parts[0]}:
            continue
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


@functools.lru_cache(maxsize=1)
def folder() -> Path | None:
    """Where compiled kernels are kept: ``$XDG_CACHE_HOME/tinydl/kernels/<hash>`` (``~/.cache`` by default).

    When that cannot be written (a read-only home), a temporary folder that is removed at exit; None when not even that.
    """
    import llvmlite.binding
    import numba
    import numpy

    key = "\0".join((source_hash(), numba.__version__, numpy.__version__, llvmlite.binding.get_host_cpu_name()))
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
        wanted = home / "tinydl" / "kernels" / name
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except (OSError, RuntimeError):  # RuntimeError: there is no home at all
        pass
    try:
        temporary = Path(tempfile.mkdtemp(prefix="tinydl-kernels-"))
    except OSError:
        return None
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary


@overload
def njit(function: F, **options: Any) -> F: ...


@overload
def njit(**options: Any) -> Callable[[F], F]: ...


def njit(function: Any = None, **options: Any) -> Any:
    """``numba.njit`` whose machine code is kept in :func:`folder`; used as ``@njit`` or ``@njit(parallel=True)``.

    A helper with ``fastmath`` needs ``forceinline=True``. Else the process that compiled it calls the helper's own
    machine code, while one that loads its callers from the disk calls the copies inside them, which were optimised
    apart: the first run on a machine would give other last bits than all later ones.

    Numba is imported by the first decorated function, which stands in a module that is itself imported at the first
    lookup of its operation. A full or failing disk costs the cache, never the result.
    """
    if function is None:
        return functools.partial(njit, **options)

    import numba

    # Without the entry for C, by which functions are kept in containers: a seventh of the compilation of a kernel.
    compiled = numba.njit(function, no_cfunc_wrapper=True, **options)
    return _kept(compiled, f"{function.__module__}.{function.__qualname__}", options)


def cfunc(signature: Any, function: Callable[..., Any], kernel: str, form: str) -> Any:
    """``numba.cfunc`` (compiled at once, called through its ``address``), kept in :func:`folder` as well.

    kernel, form: what :func:`costs` calls it.
    """
    from numba.core import ccallback, sigutils

    # What numba.cfunc does, but that the cache is made ours before it is asked.
    compiled = ccallback.CFunc(function, sigutils.normalize_signature(signature), locals={}, options={})
    _kept(compiled, kernel, form=form).compile()
    return compiled


def _kept(compiled: Any, kernel: str, options: Mapping[str, Any] = MappingProxyType({}), form: str = "") -> Any:
    """``compiled``, whose machine code is kept in our cache folder from now on, if there is one.

    Numba's cache does not look at options: of one function compiled twice, serial and parallel, the second would be
    loaded as the first. So each choice of options has a folder of its own.
    """
    import numba

    where = folder()
    if where is None or not hasattr(compiled, "enable_caching"):  # a plain function under NUMBA_DISABLE_JIT
        return compiled
    # A compiled function fixes its cache folder when it is told to have one. The setting is put back at once, so that
    # the user's own cached functions stay where they were.
    with _lock:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(where / _name_of(options))
        try:
            compiled.enable_caching()
        finally:
            numba.config.CACHE_DIR = before
    compiled._compiler.compile = _undisturbed(compiled._compiler.compile)
    cache = compiled._cache
    save, load = _forgiving(cache.save_overload, cache), _forgiving(_loading(cache), cache)
    cache.save_overload, cache.load_overload = _timed(kernel, form, save, load)
    return compiled


def _loading(cache: Any) -> Callable[..., Any]:
    """``cache.load_overload`` for who only runs kernels.

    Numba's own first imports all that a compiler needs to know (and SciPy, where it is installed), 0.4 s in every
    process. Machine code needs the memory manager alone; what is compiled later still sees to the rest itself.
    """
    if not (hasattr(cache, "_load_overload") and hasattr(cache, "_guard_against_spurious_io_errors")):
        return cache.load_overload  # type: ignore[no-any-return]  # a later Numba, which may do otherwise
    from numba.core.runtime import rtsys

    def load(form: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(form, context)

    return load


def _undisturbed(compilation: Callable[..., Any]) -> Callable[..., Any]:
    """The same without Python's collector of cycles, which would walk all of a compiler's objects every now and then:
    about a tenth of its time."""

    @functools.wraps(compilation)
    def undisturbed(*args: Any) -> Any:
        if not gc.isenabled():  # switched off by the program, or by the compilation that needs this one
            return compilation(*args)
        gc.disable()
        try:
            return compilation(*args)
        finally:
            gc.enable()

    return undisturbed


def _name_of(options: Mapping[str, Any]) -> str:
    plain = [(key, sorted(value) if isinstance(value, (set, frozenset)) else value) for key, value in options.items()]
    return hashlib.sha256(repr(sorted(plain)).encode()).hexdigest()[:8]


def _forgiving(action: Callable[..., Any], cache: Any) -> Callable[..., Any]:
    """The same action, answering None when the disk fails or a file is damaged, which is then emptied."""

    @functools.wraps(action)
    def forgiving(*args: Any) -> Any:
        try:
            return action(*args)
        except OSError:  # full, read-only, gone
            return None
        except DAMAGED:
            with contextlib.suppress(OSError):
                cache.flush()
            return None

    return forgiving


# -- what it cost ------------------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """Seconds of one form of a kernel: the types it was compiled for, without the helpers compiled meanwhile."""

    kernel: str
    form: str
    seconds: float


@dataclasses.dataclass
class _Clock:
    owner: object
    started: float
    inside: float = 0.0  # what was compiled meanwhile, which has clocks of its own


#: Of what is being compiled, callers before their helpers. Numba compiles one at a time.
_clocks: list[_Clock] = []
#: What this process read from the disk.
loaded: list[Cost] = []


def costs() -> list[Cost]:
    """What compiling cost on this machine, for everything that the folder holds, in the order of its compilation."""
    where = folder()
    if where is None or not (path := where / _COSTS).is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError, TypeError):  # a line that a full disk cut
            found.append(Cost(*json.loads(line)))
    return found


_COSTS = "costs.jsonl"


def _timed(kernel: str, form: str, save: Callable[..., Any], load: Callable[..., Any]) -> tuple[Any, Any]:
    """Numba asks for the machine code for some types on the disk, and hands it over when it had to compile it."""
    owner = object()

    def timed_load(types: Any, context: Any) -> Any:
        started = time.perf_counter()
        found = load(types, context)
        if found is None:
            _clocks.append(_Clock(owner, started))
        else:
            loaded.append(Cost(kernel, form or _words(types), time.perf_counter() - started))
        return found

    def timed_save(types: Any, result: Any) -> None:
        seconds = _stopped(owner)
        save(types, result)
        _write(Cost(kernel, form or _words(types), seconds))

    return timed_save, timed_load


def _stopped(owner: object) -> float:
    """The seconds of the last clock of ``owner``, less what was compiled inside; clocks above it had no success."""
    while _clocks:
        clock = _clocks.pop()
        if clock.owner is owner:
            seconds = time.perf_counter() - clock.started
            if _clocks:
                _clocks[-1].inside += seconds
            return seconds - clock.inside
    return 0.0


def _words(types: Any) -> str:
    return ", ".join(map(str, types))


def _write(cost: Cost) -> None:
    """One line more; short, so that what several processes append does not mix."""
    if (where := folder()) is not None:
        with contextlib.suppress(OSError), open(where / _COSTS, "a", encoding="utf-8") as file:
            file.write(json.dumps([cost.kernel, cost.form, round(cost.seconds, 4)]) + "\n")
