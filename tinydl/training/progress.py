"""What a person sees while a model trains: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import Any, TextIO


class Progress:
    """Plain lines, one per logged step and per validation::

    step 40 loss 8.9134 grad 0.41 lr 0.003 31.2 steps/s ETA 2:10
    step 100 valid 8.7723 (best)
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream

    def start(self, total: int) -> None:
        """Called before the first step; ``total`` is the step at which training ends at the latest."""

    def tick(self, step: int, loss: float, grad_norm: float, lr: float, rate: float, eta: float) -> None:
        """Called after every step; ``rate`` in steps per second, ``eta`` in seconds (NaN: not known yet)."""

    def row(self, row: dict[str, Any], rate: float, eta: float) -> None:
        """Called with every row that goes to the log."""
        if "loss" in row:
            players = "".join(f" {k} {v:.4f}" for k, v in row.get("players", {}).items() if v is not None)
            grad = "" if row["grad_norm"] is None else f" grad {row['grad_norm']:.3g}"
            figures = f"loss{players or format(row['loss'], ' .4f')}{grad} lr {row['lr']:.3g}"
            self.message(f"step {row['step']} {figures}{pace(rate, eta)}")
        else:
            self.message(f"step {row['step']} valid {row['valid']:.4f}{' (best)' if row['best'] else ''}")

    def message(self, text: str) -> None:
        """One line of its own."""
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Called when training has ended, however it did."""


class LiveProgress(Progress):
    """One line that is redrawn, by rich; validations and messages stand above it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(bar_width=20),
            TextColumn("{task.description}"),
        )
        self._bar = RichProgress(*columns, console=Console(file=self.stream), refresh_per_second=5)
        self._valid = ""
        self._smooth: float | None = None

    def start(self, total: int) -> None:
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def tick(self, step: int, loss: float, grad_norm: float, lr: float, rate: float, eta: float) -> None:
        if self._smooth is None or self._smooth != self._smooth:
            self._smooth = loss
        elif loss == loss:
            self._smooth = 0.95 * self._smooth + 0.05 * loss
        text = f"loss {self._smooth:.3f}{self._valid} grad {grad_norm:.2g} lr {lr:.2g}{pace(rate, eta)}"
        self._bar.update(self._task, completed=step, description=text)

    def row(self, row: dict[str, Any], rate: float, eta: float) -> None:
        if "valid" in row:
            self._valid = f" valid {row['valid']:.3f}"
            super().row(row, rate, eta)

    def message(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self._bar.stop()


class Silent(Progress):
    """Says nothing."""

    def message(self, text: str) -> None:
        pass


def progress_for(stream: TextIO | None = None) -> Progress:
    """A live line where ``stream`` (default: stderr) is a terminal, plain lines where it is not."""
    stream = sys.stderr if stream is None else stream
    return LiveProgress(stream) if stream.isatty() else Progress(stream)


def pace(rate: float, eta: float) -> str:
    """`` 31.2 steps/s ETA 2:10``; nothing while the rate is not known.

    >>> pace(31.24, 130.0), pace(float("nan"), float("nan"))
    (' 31.2 steps/s ETA 2:10', '')
    """
    return f" {rate:.1f} steps/s ETA {clock(eta)}" if rate == rate else ""


def clock(seconds: float) -> str:
    """``2:05`` or ``1:02:05``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
