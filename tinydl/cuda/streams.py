"""Streams and events: CuPy's under PyTorch's names.

Work of one stream happens in its order. Tensors are computed on the current stream, that of this thread, which
``with stream(s):`` chooses.
"""

from __future__ import annotations

from typing import Any

from tinydl.errors import say_absent

say_absent(__name__)


def _cuda() -> Any:
    from tinydl.elsewhere import of

    return of("cuda").kernels.xp.cuda  # type: ignore[union-attr]


def synchronize(device: Any = None) -> None:
    """Wait until all that was queued on the GPU is done. Raises RuntimeError where there is none."""
    _cuda().Device(0).synchronize()


class Event:
    """A mark in a stream: ``enable_timing`` to measure between two of them."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        self.event = _cuda().Event(block=blocking, disable_timing=not enable_timing)

    def record(self, stream: Stream | None = None) -> None:
        """Set the mark behind all that was queued on ``stream``, the current one when None."""
        self.event.record(None if stream is None else stream.stream)

    def synchronize(self) -> None:
        """Wait until the stream has come here."""
        self.event.synchronize()

    def query(self) -> bool:
        """Whether the stream has come here."""
        return bool(self.event.done)

    def wait(self, stream: Stream | None = None) -> None:
        """Let what is queued on ``stream`` from now on, the current one when None, wait for this mark."""
        (current_stream() if stream is None else stream).wait_event(self)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from here to ``end_event``; both are with ``enable_timing``."""
        return float(_cuda().get_elapsed_time(self.event, end_event.event))


class Stream:
    """A queue of work, beside the others. A context manager, as in :func:`stream`."""

    def __init__(self, device: Any = None, priority: int = 0, *, stream: Any = None) -> None:
        self.stream = _cuda().Stream(non_blocking=True, priority=priority) if stream is None else stream

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.stream == other.stream

    def __hash__(self) -> int:
        return hash(self.stream.ptr)

    def __enter__(self) -> Stream:
        self.stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stream.__exit__(*error)

    def synchronize(self) -> None:
        """Wait until all that was queued here is done."""
        self.stream.synchronize()

    def query(self) -> bool:
        """Whether all that was queued here is done."""
        return bool(self.stream.done)

    def record_event(self, event: Event | None = None) -> Event:
        """Set a mark behind what was queued here, and return it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let what is queued here from now on wait for a mark."""
        self.stream.wait_event(event.event)

    def wait_stream(self, stream: Stream) -> None:
        """Let what is queued here from now on wait for what was queued there."""
        self.wait_event(stream.record_event())


def current_stream(device: Any = None) -> Stream:
    """That on which this thread's tensors are computed."""
    return Stream(stream=_cuda().get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """That on which they are computed unless another is chosen."""
    return Stream(stream=_cuda().Stream.null)


def stream(stream: Stream) -> Stream:
    """``with tinydl.cuda.stream(s):``: compute on ``s`` inside the block, in this thread."""
    return stream
