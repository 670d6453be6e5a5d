"""Progress of training, introduced: what is trained on what is said once it is known that training can begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinydl.cli._output import note
from tinydl.training import Progress


def note_compilation() -> None:
    """Say that kernels will be compiled, where none are cached: the first steps then take long, once."""
    from tinydl.kernels import cache

    folder = cache.folder()
    if folder is None or not any(folder.rglob("*.nbi")):
        note("compiling the kernels, once on this machine: the first steps take a while")


class Introduced(Progress):
    """``inner``, with ``introduce()`` called before its first line: a run that is refused is one line, not a page."""

    def __init__(self, inner: Progress, introduce: Callable[[], None]) -> None:
        super().__init__(inner.stream)
        self.inner, self.introduce = inner, introduce

    def start(self, total: int) -> None:
        self.introduce()
        self.inner.start(total)

    def tick(self, step: int, loss: float, grad_norm: float, lr: float, rate: float, eta: float) -> None:
        self.inner.tick(step, loss, grad_norm, lr, rate, eta)

    def row(self, row: dict[str, Any], rate: float, eta: float) -> None:
        self.inner.row(row, rate, eta)

    def message(self, text: str) -> None:
        self.inner.message(text)

    def close(self) -> None:
        self.inner.close()
