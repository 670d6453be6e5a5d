"""The one training loop. It knows no model: see :class:`tinydl.training.GenerativeModel`.

What happens at step n is a function of the seed, the data, the options and n: the batch, the dropout masks, when to
log, to validate, to save. The clock only *stops* a run. So a run that was killed at any moment and resumed ends with
the same bits as one that was not.
"""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.errors import CheckpointError, ConfigError, DataError, TinydlError
from tinydl.training import checkpoint as files
from tinydl.training.checkpoint import Card, Checkpoint
from tinydl.training.log import Log
from tinydl.training.progress import Progress, progress_for
from tinydl.training.recipe import Demanding
from tinydl.training.trainer import Trainer
from tinydl.utils.files import temporary

if TYPE_CHECKING:
    from tinydl.data import Splits


class Interrupted(TinydlError):
    """Training was asked to stop (Ctrl-C, SIGTERM) and has saved; the message says at which step and how to go on."""


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
        step: steps taken in all.
        best_step, valid: when the weights that were kept stood, and their validation loss in nats per frame (None: no
            validation took place).
        seconds: of this call.
        reason: ``steps``, ``minutes`` or ``patience``.
    """

    step: int
    best_step: int
    valid: float | None
    seconds: float
    reason: str


def fit(
    model: Any,
    splits: Splits,
    out: str | Path,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    resume: bool = False,
    checkpoint_every: int | None = None,
    log_every: int = 10,
    progress: Progress | None = None,
) -> Result:
    """Train a model on a corpus, into a folder (:mod:`tinydl.training.checkpoint`); it ends up with its best weights.

    Training ends at the first of: ``steps`` (default: the recipe's), ``epochs``, ``minutes`` of this call behind its
    first step, which on a new machine compiles kernels, or the recipe's patience. Ctrl-C and SIGTERM save after the
    step at hand and raise :class:`Interrupted`.

    Args:
        model: a :class:`tinydl.training.GenerativeModel` that was built with the same seed.
        splits: from :func:`tinydl.data.load`.
        out: the run's folder, new or empty; with ``resume``, the folder of a run. A run without a checkpoint starts
        afresh.
        checkpoint_every: steps between checkpoints (default: the recipe's ``eval_every``).
        log_every: steps between rows of the log.
        progress: default: a live line on a terminal, plain lines elsewhere, on stderr.

    Raises:
        ConfigError: the folder is in use, or a number makes no sense.
        CheckpointError: the checkpoint is damaged or of another model, or cannot be written (the one before is kept).
        DataError: nothing to learn from, or other data than the run's.
        Diverged: the loss is not finite; the last checkpoint is kept.
        Interrupted: after Ctrl-C or SIGTERM.
    """
    counts = {"steps": steps, "epochs": epochs, "checkpoint_every": checkpoint_every, "log_every": log_every}
    for name, value in {**counts, "minutes": minutes}.items():
        if value is not None and not value > 0:
            raise ConfigError(f"{name} must be above 0, but is {value}")
    out = Path(out)
    progress = progress_for() if progress is None else progress
    check_folder(out, resume)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {out}: {error.strerror or error}") from error
    log = Log(out / files.LOG)
    try:
        run = _Run(model, splits, out, log, progress, seed, {"steps": steps, "epochs": epochs, "minutes": minutes})
        run.begin(resume)
        return run.go(minutes, checkpoint_every or model.config.eval_every, log_every)
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {out}: {error.strerror or error}; the last checkpoint is kept"
        ) from error
    finally:
        log.close()
        progress.close()


class _Run:
    """A Trainer and the files of its run."""

    def __init__(
        self,
        model: Any,
        splits: Splits,
        out: Path,
        log: Log,
        progress: Progress,
        seed: int,
        limits: dict[str, Any],
    ) -> None:
        self.model, self.out, self.log, self.progress, self.seed = model, out, log, progress, seed
        self.splits = splits
        self.limits = limits
        self.card = Card(
            model=model.model_name,
            config=dataclasses.asdict(model.config),
            representation=dict(splits.representation.config()),
            source=str(splits.source),
            fingerprint=splits.fingerprint,
            seed=seed,
        )
        self.seconds_before = 0.0
        self.saved: int | None = None  # the step of last.safetensors

    def begin(self, resume: bool) -> None:
        """Make the Trainer: from ``last.safetensors`` when resuming, else from the start."""
        for name in (files.CONFIG, files.LAST, files.BEST):  # left half written by a killed run; the log is locked
            temporary(self.out / name).unlink(missing_ok=True)
        last = self.out / files.LAST
        found = files.load(last) if resume and last.exists() else None
        if self.splits.valid and isinstance(self.model, Demanding):
            self.model.demand(self.splits.valid)
        if found is None:
            if resume:
                self.progress.message(f"{self.out} holds no checkpoint yet: training starts afresh")
            self.log.cut(0)
            (self.out / files.BEST).unlink(missing_ok=True)  # of a run that was killed before its first checkpoint
            if self.splits.train:  # the Trainer refuses an empty corpus
                self.model.prepare(self.splits.train)
            self.trainer = self._trainer(None)
            files.write_config(self.out, self.card, self.limits, 0.0)
        else:
            self._check_same(found.card, last)
            files.install(self.model, found.weights, last)
            try:
                self.trainer = self._trainer(int(found.state["horizon"]))
                self.trainer.load_state(found.state)
                length = int(found.state["log_bytes"])
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise CheckpointError(f"{last} does not fit the model {self.card.model!r}: {error}") from None
            self.saved = self.trainer.step
            if not self.log.cut(length):
                self.progress.message(
                    f"{self.log.path} is shorter than at step {self.saved}: its missing rows stay missing"
                )
            self._restore_best()
            self.seconds_before = _trained_before(self.out)
            self.progress.message(f"resuming at step {self.trainer.step}")

    def _trainer(self, horizon: int | None) -> Trainer:
        steps, epochs = self.limits["steps"], self.limits["epochs"]
        train, valid = self.splits.train, self.splits.valid
        return Trainer(self.model, train, valid, seed=self.seed, steps=steps, epochs=epochs, horizon=horizon)

    def _check_same(self, card: Card, path: Path) -> None:
        mine = self.card
        if card.model != mine.model:
            raise CheckpointError(
                f"{path} is of the model {card.model!r}, not {mine.model!r}: resume with that, or choose another folder"
            )
        for key, value in mine.config.items():
            if key not in card.config or card.config[key] != value:
                raise CheckpointError(
                    f"{path} was trained with {key}={card.config.get(key)}, not {value}: resume with the same options"
                )
        if card.seed != mine.seed:
            raise CheckpointError(f"{path} was trained with seed {card.seed}, not {mine.seed}: resume with that seed")
        if card.fingerprint != mine.fingerprint:
            what = f"the data of {mine.source!r} are not those that {path} was trained on"
            raise DataError(f"{what} ({card.source!r}): put them back, or train in another folder")

    def _restore_best(self) -> None:
        """Make ``best.safetensors`` what ``last.safetensors`` says: after a kill it may be missing, or newer."""
        path, best = self.out / files.BEST, self.trainer.best
        if best is None:
            path.unlink(missing_ok=True)
            return
        try:
            if files.load(path).card.step == best["step"]:
                return
        except CheckpointError:
            pass
        self._save_best()

    def _save_best(self) -> None:
        best = self.trainer.best
        assert best is not None
        card = dataclasses.replace(self.card, step=best["step"], valid=best["valid"])
        files.save(self.out / files.BEST, Checkpoint(card, best["weights"]))

    def _save_last(self, seconds: float) -> None:
        """The log reaches the disk before the checkpoint that counts its bytes."""
        state = {**self.trainer.state(), "log_bytes": self.log.sync()}
        valid = self.trainer.best["valid"] if self.trainer.best else None
        card = dataclasses.replace(self.card, step=self.trainer.step, valid=valid)
        files.save(self.out / files.LAST, Checkpoint(card, files.weights_of(self.model), state))
        self.saved = self.trainer.step
        files.write_config(self.out, self.card, self.limits, self.seconds_before + seconds)

    def go(self, minutes: float | None, checkpoint_every: int, log_every: int) -> Result:
        """Train until a limit is reached."""
        trainer, recipe = self.trainer, self.trainer.recipe
        deadline = math.inf if minutes is None else 60 * minutes
        first, started, warm = trainer.step, time.monotonic(), 0.0
        self.progress.start(self.trainer.limit)
        with _stop_requests() as stop:
            while True:
                seconds = time.monotonic() - started
                reason = self._reason(seconds - warm >= deadline, bool(stop))
                if reason:
                    break
                lr = trainer.lr
                loss, norm = trainer.advance()
                step = trainer.step
                seconds = time.monotonic() - started
                if step == first + 1:
                    warm = seconds  # the first step compiles kernels: it says nothing about the others, nor counts
                rate = (step - first - 1) / max(seconds - warm, 1e-9) if step > first + 1 else math.nan
                eta = min((self.trainer.limit - step) / rate, deadline + warm - seconds)
                self.progress.tick(step, loss, norm, lr, rate, eta)
                if step == 1 or step % log_every == 0:
                    self._row(trainer.log_row(norm, lr), rate, eta)
                if step % recipe.eval_every == 0 or step == self.trainer.limit:
                    row = trainer.validate()
                    if row["best"]:
                        self._save_best()
                    if row["valid"] is not None:
                        self._row(row, rate, eta)
                if step % checkpoint_every == 0:
                    self._save_last(time.monotonic() - started)
            if self.saved != trainer.step:
                self._save_last(seconds)
            if trainer.best is None:  # stopped before the first validation: something must be there to listen to
                with trainer.averaged():
                    card = dataclasses.replace(self.card, step=trainer.step)
                    files.save(self.out / files.BEST, Checkpoint(card, files.weights_of(self.model)))
            if reason == "interrupted":
                raise Interrupted(
                    f"interrupted at step {trainer.step} and saved; the same command with --resume goes on from there"
                )
        best = trainer.best
        if best is not None:
            files.install(self.model, best["weights"])
        elif trainer.average is not None:
            trainer.assign(trainer.average)
        self.model.eval()
        kept = (best["step"], best["valid"]) if best else (trainer.step, None)
        return Result(trainer.step, kept[0], kept[1], seconds, reason)

    def _reason(self, late: bool, asked: bool) -> str:
        """Why to stop now, or nothing."""
        if self.trainer.step >= self.trainer.limit:
            return "steps"
        if self.trainer.exhausted:
            return "patience"
        if asked:
            return "interrupted"
        return "minutes" if late else ""

    def _row(self, row: dict[str, Any], rate: float, eta: float) -> None:
        self.log.append(row)
        self.progress.row(row, rate, eta)


def check_folder(out: str | Path, resume: bool) -> None:
    """Raise :class:`ConfigError` for a folder in which no run can begin or go on; changes nothing."""
    out = Path(out)
    ours = {files.CONFIG, files.LOG, files.LAST, files.BEST}
    leftovers = {temporary(out / name).name for name in ours}
    try:
        present = {path.name for path in out.iterdir()} if out.exists() else set()
    except NotADirectoryError:
        raise ConfigError(f"{out} is a file: give a new or empty folder for the run") from None
    except OSError as error:
        raise ConfigError(f"cannot read the folder {out}: {error.strerror or error}") from error
    if not resume and present & ours:
        raise ConfigError(f"{out} holds a run already: --resume goes on with it, or choose another folder")
    if present - leftovers and not present & ours:
        if resume:
            raise ConfigError(f"{out} holds other files and no run: there is nothing to resume")
        raise ConfigError(f"{out} is not empty: give a new or empty folder for the run")


def _trained_before(out: Path) -> float:
    try:
        return float(files.read_config(out).get("train_seconds", 0.0))
    except (CheckpointError, TypeError, ValueError):
        return 0.0


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collects Ctrl-C and SIGTERM in a list, so that a step is never cut in two; a second Ctrl-C stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield asked
        return
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
