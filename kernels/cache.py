"""Compiled kernels on disk, in a folder that changes whenever any source in ``kernels/`` does.

Numba's ``cache=True`` watches the file of a function only: when a helper that lives in *another* file changes, the old
machine code is loaded and gives the old result. The cache folder is therefore named by a hash of all sources here, of
the versions of Numba and NumPy, and of the host CPU.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import PickleError
from types import MappingProxyType
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

#: What reading a damaged file of compiled code raises.
DAMAGED = (EOFError, ValueError, AttributeError, ImportError, IndexError, KeyError, PickleError)

_lock = threading.RLock()


def source_hash(root: Path | None = None) -> str:
    """Hash (16 hexadecimal digits) of every ``.py`` file below ``root`` (default: this package), names included."""
    root = Path(__file__).parent if root is None else root
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
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

    return _cached(lambda **cache: numba.njit(function, **cache, **options), options)


def cfunc(signature: Any, function: Callable[..., Any]) -> Any:
    """``numba.cfunc`` (compiled at once, called through its ``address``), kept in :func:`folder` as well."""
    import numba

    return _cached(lambda **cache: numba.cfunc(signature, **cache)(function))


def _cached(compiled: Callable[..., Any], options: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """``compiled(cache=True)`` with our cache folder, or ``compiled()`` where there is none.

    Numba's cache does not look at options: of one function compiled twice, serial and parallel, the second would be
    loaded as the first. So each choice of options has a folder of its own.
    """
    import numba

    where = folder()
    if where is None:
        return compiled()
    # A compiled function fixes its cache folder when it is made. The setting is put back at once, so that the user's
    # own cached functions stay where they were.
    with _lock:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(where / _name_of(options))
        try:
            result = compiled(cache=True)
        except DAMAGED:  # a C function is read from the disk when it is made
            result = compiled()
        finally:
            numba.config.CACHE_DIR = before
    cache = getattr(result, "_cache", None)
    if cache is not None and hasattr(cache, "save_overload"):  # not so under NUMBA_DISABLE_JIT
        cache.save_overload = _forgiving(cache.save_overload, cache)
        cache.load_overload = _forgiving(cache.load_overload, cache)
    return result


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
