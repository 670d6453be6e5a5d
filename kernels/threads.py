"""The one thread pool: Numba's. Every parallel kernel runs on it, with no BLAS inside.

A second pool (OpenBLAS's, spinning between calls) takes the same cores and more than doubles the time of a recurrent
net, so work that is worth several threads is done by kernels of ours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Operations below which one thread does it all. On an idle machine two threads win sooner (a product of 1 MFLOP takes
#: 18 us instead of 22, one of 8 MFLOP 42 instead of 65); but where another program has the core that one of them is to
#: run on, all wait for that core's next time slice, milliseconds, which small work must not risk.
SERIAL = 8_000_000


def worthwhile(operations: int) -> int:
    """How many threads to use for so many arithmetic operations: 1 below ``SERIAL``, else :func:`get_num_threads`."""
    return 1 if operations < SERIAL else get_num_threads()


@functools.cache
def _pool() -> Any:
    """Numba's module of threads, which are started. Its public functions take two locks at every call, which is longer
    (2.6 us) than starting a kernel."""
    from numba.np.ufunc import parallel

    parallel._launch_threads()
    return parallel


def max_threads() -> int:
    """The size of the pool (``NUMBA_NUM_THREADS``, by default the number of cores this process may use)."""
    import numba

    return int(numba.config.NUMBA_NUM_THREADS)


def get_num_threads() -> int:
    """How many threads the kernels called from this thread use."""
    return int(_pool()._get_num_threads())


def set_num_threads(count: int) -> None:
    """Use ``count`` threads for the kernels called from this thread.

    Raises ValueError unless 1 <= count <= :func:`max_threads`.
    """
    if not 1 <= count <= max_threads():
        raise ValueError(f"the number of threads must be between 1 and {max_threads()}, got {count}")
    _pool()._set_num_threads(count)


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Use ``count`` threads inside the ``with`` block."""
    before = get_num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)
