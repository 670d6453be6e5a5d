"""``detect_anomaly``: name the operation and the user's line behind a NaN gradient."""

from __future__ import annotations

from typing import Any

from tinydl.autograd.mode import ANOMALY, mode


class detect_anomaly:
    """Inside, every recorded call remembers the user's line, and a NaN born in backward raises with it. Slow: for
    debugging.

    Run the forward call *and* ``backward`` inside. Raises RuntimeError naming operation, argument, file and line.
    """

    def __init__(self) -> None:
        self._before: list[tuple[bool | str, bool]] = []

    def __enter__(self) -> detect_anomaly:
        self._before.append((mode.on, mode.anomaly))
        mode.anomaly = True
        if mode.on:
            mode.on = ANOMALY
        return self

    def __exit__(self, *exc: Any) -> None:
        mode.on, mode.anomaly = self._before.pop()
