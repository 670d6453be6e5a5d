"""Whether operations are recorded: per thread, as a context manager or a decorator."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
ANOMALY = "anomaly"  # a third, true value of ``mode.on``: record, and remember the user's line


class _Mode(threading.local):
    """``on`` is True (record), False (do not) or :data:`ANOMALY`; one read on the hot path serves both questions."""

    on: bool | str = True
    anomaly: bool = False  # detect_anomaly() is active in this thread
    line: str | None = None  # then, while backward itself is recorded: the user's line behind the node it is at

    def __init__(self) -> None:
        self.before: list[bool | str] = []  # what the open ``with`` blocks of this thread found


mode = _Mode()


class _Setting:
    """Sets ``mode.on`` for a ``with`` block or for each call of a decorated function; re-entrant, in any thread."""

    _on: bool

    def __init__(self, on: bool) -> None:
        self._on = on

    def __enter__(self) -> None:
        mode.before.append(mode.on)
        mode.on = ANOMALY if self._on and mode.anomaly else self._on

    def __exit__(self, *exc: object) -> None:
        mode.on = mode.before.pop()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)  # type: ignore[return-value]

        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The setting holds while the generator runs, not while its caller does between two values."""

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            advance, given = inner.send, None
            while True:
                try:
                    with self:
                        value = advance(given)
                except StopIteration as end:
                    return end.value
                try:
                    given, advance = (yield value), inner.send
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:
                    given, advance = error, inner.throw

        return generator


class _Fixed(_Setting):
    """A setting without arguments, which decorates with and without parentheses."""

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __init__(self, function: Any = None) -> None:  # ``_on`` is the class's
        pass


class no_grad(_Fixed):
    """Record nothing inside: results do not require a gradient, in-place operations write memory.

    >>> import tinydl
    >>> x = tinydl.ones(2, requires_grad=True)
    >>> with tinydl.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _on = False


class enable_grad(_Fixed):
    """Record inside, also within an outer ``no_grad``."""

    _on = True


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


class set_grad_enabled(_Setting):
    """Record or not, at once and, used as a context manager, until the block ends."""

    def __init__(self, enabled: bool) -> None:
        super().__init__(bool(enabled))
        self._found: list[bool | str] = [mode.on]  # for the first ``with`` block, or for a decorated function
        mode.on = ANOMALY if enabled and mode.anomaly else bool(enabled)

    def __enter__(self) -> None:
        super().__enter__()
        if self._found:
            mode.before[-1] = self._found.pop()

    def __call__(self, function: F) -> F:
        if self._found:
            mode.on = self._found.pop()
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return bool(mode.on)
