"""Generated elementwise kernels: what makes machine code of their text, and cuts their work into parts.

The text (``tinydl/fusion`` writes it) is one loop over *parts*: a part is some rows, or some columns of all rows, of
the common index space of the operands. How the space is cut depends on its size alone. A sum over a part goes to a
place of that part's own, and the places are added at the end, so that a result has the same bits on every number of
threads.

A kernel has two twins of one text. The serial one answers small work at once; the parallel one gives each thread of
the pool its share of the parts.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.kernels import elementary, threads
from tinydl.kernels.cache import njit
from tinydl.kernels.sharing import Shared

#: Operations (a function call counts as :data:`CALL`, a number read or written as one) from which on the parallel twin
#: runs. Lower than ``threads.SERIAL``: tanh(a x + b) sigmoid(c) of 10^5 elements, 4.8 million of them, takes 71 us on
#: one thread and 38 on two of an idle machine; a x + b of 4 10^5 elements, 2.4 million, 90 and 57. Beside a busy
#: neighbour it may wait milliseconds for its core, as that constant says.
PARALLEL = 2_000_000
CALL = 20

#: Elements of a part: enough that cutting costs nothing beside them, few enough that 10^5 elements fall evenly to two
#: threads, and that a sum of so many numbers, a vector at a time, loses little.
PART = 4_096
#: Rows of a part, at most: their sum is formed one after the other.
ROWS = 512
#: Columns from which on it pays to cut columns and not rows.
WIDE = 4_096

_NAMES: dict[str, Any] = {
    **{t.__name__: t for t in (np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8)},
    "inf": np.inf, "nan": np.nan, **elementary.FUNCTIONS,
}  # fmt: skip

_lock = threading.Lock()


def cut(sizes: tuple[int, ...]) -> tuple[int, bool, tuple[int, ...]]:
    """(parts, whether columns were cut, the leading numbers that a kernel takes) for an index space of ``sizes``.

    A line takes (elements of a part, elements); more dimensions take (rows of a part, columns of a part, rows, sizes).
    """
    *outer, columns = sizes
    if not outer:
        return -(-columns // PART), True, (PART, columns)
    rows = int(np.prod(outer))
    if rows <= ROWS and columns >= WIDE:
        across = max(PART // rows, WIDE // 4)
        return -(-columns // across), True, (rows, across, rows, *sizes)
    height = min(max(PART // columns, 1), ROWS)
    if columns >= WIDE:
        height = max(height, rows // 64)  # the places of the parts' sums, each a row, stay few
    return -(-rows // height), False, (height, columns, rows, *sizes)


class Kernel:
    """The two twins of one text, compiled when they are first called, and kept on the disk.

    name: of the function that the text defines; work: operations for each element.
    """

    def __init__(self, name: str, text: str, work: int) -> None:
        self.name, self.text, self.work = name, text, work

    def chosen(self, elements: int, parts: int) -> Callable[..., None]:
        """What to call for so many elements: ``f(parts, *arguments)``, the arguments as the text names them from the
        third on. No shape is checked there."""
        return self._shared_out if parts > 1 and elements * self.work >= PARALLEL else self._all_in_one

    def _shared_out(self, parts: int, *arguments: Any) -> None:
        count = threads.get_num_threads()
        if count > 1:
            self._parallel(min(count, parts), parts, *arguments)
        else:
            self._serial(0, parts, *arguments)

    @functools.cached_property
    def _all_in_one(self) -> Callable[..., None]:
        return functools.partial(self._serial, 0)

    @functools.cached_property
    def _serial(self) -> Any:
        return self._compiled(self.text, self.name, _NAMES)

    @functools.cached_property
    def _parallel(self) -> Any:
        first, last, *rest = inspect.signature(self._serial.py_func).parameters
        arguments = ", ".join(rest)
        text = (
            f"def {self.name}_part(thread, threads, parts, {arguments}):\n"
            f"    {self.name}(parts * thread // threads, parts * (thread + 1) // threads, {arguments})\n"
        )
        return Shared(self._defined(text, f"{self.name}_part", {self.name: self._serial}), error_model="numpy")

    def _compiled(self, text: str, name: str, names: dict[str, Any]) -> Any:
        return njit(self._defined(text, name, names), error_model="numpy")

    def _defined(self, text: str, name: str, names: dict[str, Any]) -> Any:
        # The text holds numbers and identifiers that its writer chose; nothing else of a user's enters it. It is given
        # this file's name, so that Numba finds a source whose date it can look at, and a name of its own on the disk,
        # where Numba would tell two functions apart by their instructions but not by the constants in them.
        namespace: dict[str, Any] = {"__name__": __name__, **names}
        exec(compile(text, __file__, "exec"), namespace)
        function = namespace[name]
        digest = hashlib.sha256((self.text + text).encode()).hexdigest()[:16]
        function.__qualname__ = f"{name}_{digest}"
        return function


_kernels: dict[str, Kernel] = {}


def kernel(name: str, text: str, work: int) -> Kernel:
    """The kernel of a text: one for all who ask with the same."""
    with _lock:
        found = _kernels.get(text)
        if found is None:
            found = _kernels[text] = Kernel(name, text, work)
        return found
