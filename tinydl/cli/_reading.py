"""What a person sees while a folder is read: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import deque
from types import TracebackType
from typing import Any

from tinydl.cli._output import clock, is_terminal, note

EVERY = 5.0  # seconds between plain lines; what is read sooner is not spoken of
_DRAWN = 0.1  # seconds between looks at the bar
_WINDOW = 10.0  # seconds that the rate is taken over: files in the cache come a hundred times faster than others


class Reading:
    """The ``progress`` of :func:`tinydl.data.load`, in a ``with`` block::

    reading 3120/10000 files, 812 files/s, 8.5 s left
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._marks: deque[tuple[float, int]] = deque()  # (time, files done), some of the last seconds
        self._next = 0.0

    def __enter__(self) -> Reading:
        if is_terminal(sys.stderr):
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
            self._bar = Progress(*columns, console=Console(file=sys.stderr), transient=True)
            self._task = self._bar.add_task("", total=None, visible=False, pace="files")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, name: str) -> None:
        now = time.monotonic()
        if not self._marks:
            self._marks.append((now, done))
            self._next = now + (EVERY if self._bar is None else _DRAWN)
        if now < self._next or total == 1:
            return
        self._next = now + (EVERY if self._bar is None else _DRAWN)
        self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] <= now - _WINDOW:
            self._marks.popleft()
        (then, before) = self._marks[0]
        rate = (done - before) / (now - then)
        pace = f"{rate:.0f} files/s, {clock((total - done) / rate)} left" if rate else "0 files/s"
        if self._bar is None:
            note(f"reading {done}/{total} files, {pace}")
        else:
            self._bar.update(self._task, completed=done, total=total, visible=True, pace=f"files, {pace}")
