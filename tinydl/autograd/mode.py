"""Whether operations are recorded: per thread, as a context manager or a decorator."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
ANOMALY = "anomaly"  # a third, true value of ``mode.on``: record, and remember the user's line


class _Mode(threading.local):
    """``on`` is True (record), False (do not) or :data:`ANOMALY`; one read on the hot path serves both questions."""

    on: bool | str = True
    anomaly: bool = False  # detect_anomaly() is active in this thread


mode = _Mode()


class _Setting:
    """Sets ``mode.on`` for a ``with`` block or for each call of a decorated function; re-entrant."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._before: list[bool | str] = []

    def _enter(self) -> bool | str:
        return ANOMALY if self._on and mode.anomaly else self._on

    def __enter__(self) -> None:
        self._before.append(mode.on)
        mode.on = self._enter()

    def __exit__(self, *exc: object) -> None:
        mode.on = self._before.pop()

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            before, mode.on = mode.on, self._enter()
            try:
                return function(*args, **kwargs)
            finally:
                mode.on = before

        return inside  # type: ignore[return-value]


class no_grad(_Setting):
    """Record nothing inside: results do not require a gradient, in-place operations write memory.

    >>> import tinydl
    >>> x = tinydl.ones(2, requires_grad=True)
    >>> with tinydl.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        _Setting.__init__(self, False)  # @no_grad without parentheses
        return self(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__(False)


class inference_mode(_Setting):
    """As :class:`no_grad` (``inference_mode(False)`` records). Tensors made inside are ordinary tensors afterwards."""

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if isinstance(mode, bool):
            return self
        _Setting.__init__(self, False)  # @inference_mode without parentheses
        return self(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__(not mode)


class enable_grad(_Setting):
    """Record inside, also within an outer ``no_grad``."""

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_Setting):
    """Record or not, at once and, used as a context manager, until the block ends."""

    def __init__(self, enabled: bool) -> None:
        super().__init__(bool(enabled))
        self._before.append(mode.on)
        mode.on = bool(enabled)

    def __enter__(self) -> None:
        pass  # set since construction

    def __call__(self, function: F) -> F:
        mode.on = self._before.pop()
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return bool(mode.on)
