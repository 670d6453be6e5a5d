"""Progress of training, introduced: what is trained on what is said once it is known that training can begin, and that
kernels are compiled when they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tinydl.training import Progress


@contextmanager
def compilation_said(say: Callable[[str], None]) -> Iterator[None]:
    """Inside, the first kernel that no cache holds and that is compiled now is announced: what waits takes a while."""
    try:
        from numba.core import event
    except ImportError:  # nothing is compiled without Numba
        yield
        return

    class Once(event.Listener):  # type: ignore[misc]
        def __init__(self) -> None:
            self.said = False

        def on_start(self, _: object) -> None:
            if not self.said:
                self.said = True
                say("compiling kernels, once on this machine: this step takes a while")

        def on_end(self, _: object) -> None:
            pass

    listener = Once()
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)


class Introduced(Progress):
    """``inner``, with ``introduce()`` called before its first line: a run that is refused is one line, not a page."""

    def __init__(self, inner: Progress, introduce: Callable[[], None]) -> None:
        super().__init__(inner.stream)
        self.inner, self.introduce = inner, introduce
        self.inside = ExitStack()

    def start(self, total: int) -> None:
        self.introduce()
        self.inner.start(total)
        self.inside.enter_context(compilation_said(self.message))

    def tick(self, step: int, loss: float, grad_norm: float, lr: float, rate: float, eta: float) -> None:
        self.inner.tick(step, loss, grad_norm, lr, rate, eta)

    def row(self, row: dict[str, Any], rate: float, eta: float) -> None:
        self.inner.row(row, rate, eta)

    def message(self, text: str) -> None:
        self.inner.message(text)

    def close(self) -> None:
        self.inside.close()
        self.inner.close()
