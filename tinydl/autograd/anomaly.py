"""``detect_anomaly``: name the operation and the user's line behind a NaN gradient."""

from __future__ import annotations

from typing import Any

from tinydl.autograd.mode import ANOMALY, mode


def _switch(on: bool) -> None:
    mode.anomaly = on
    if mode.on:
        mode.on = ANOMALY if on else True


class detect_anomaly:
    """Inside, every recorded call remembers the user's line, and a NaN born in backward raises with it. Slow: for
    debugging.

    Run the forward call *and* ``backward`` inside. Raises RuntimeError naming operation, argument, file and line.
    ``check_nan=False`` looks at nothing. It holds for this thread.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check = check_nan
        self._before: list[tuple[bool | str, bool]] = []

    def __enter__(self) -> detect_anomaly:
        self._before.append((mode.on, mode.anomaly))
        _switch(self._check)
        return self

    def __exit__(self, *exc: Any) -> None:
        mode.on, mode.anomaly = self._before.pop()


class set_detect_anomaly:
    """Switch :class:`detect_anomaly` on or off, at once and, used as a context manager, until the block ends."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = _state()
        _switch(mode and check_nan)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: Any) -> None:
        mode.on, mode.anomaly = self._before


def _state() -> tuple[bool | str, bool]:
    return mode.on, mode.anomaly
