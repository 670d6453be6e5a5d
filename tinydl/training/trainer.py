"""A model in training: one step, one validation, and the state that makes both repeatable. No files, no clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinydl
from tinydl import nn, optim
from tinydl.devices import beside, on_host
from tinydl.errors import DataError, TinydlError
from tinydl.random import Generator
from tinydl.training.checkpoint import weights_of
from tinydl.training.evaluation import validation_loss
from tinydl.training.recipe import Batch, Game, Player, Recipe, chunks, collate
from tinydl.utils.data import BucketBatchSampler

WINDOW = 4  # batches among which pieces are sorted by length: little padding, and still another mixture every epoch


class Diverged(TinydlError):
    """The loss or the gradient is not finite any more."""


class Trainer:
    """A model in training: optimizer, schedule, data order, running average, best weights: all that resume restores.

    A :class:`~tinydl.training.Game` has an optimizer and a schedule for every player; any other model is one player,
    whose name is ``""``.

    Args:
        model: built and, on a fresh run, prepared.
        train, valid: pieces, as the model reads them.
        seed: of data order and dropout.
        steps, epochs: training ends at the first of these that is given, else at the recipe's ``steps``.
        horizon: where a cosine schedule reaches 0 (default: where training ends).
    """

    def __init__(
        self,
        model: Any,
        train: list[NDArray[Any]],
        valid: list[NDArray[Any]],
        *,
        seed: int,
        steps: int | None = None,
        epochs: int | None = None,
        horizon: int | None = None,
    ) -> None:
        self.model, self.train, self.valid = model, train, valid
        recipe: Recipe = model.config
        self.recipe = recipe
        if not train:
            raise DataError("the train split is empty: there is nothing to learn from")
        self.chunks = chunks([len(piece) for piece in train], recipe.chunk, recipe.context)
        # The order of an epoch is a pure function of (seed, epoch), and the position in it of the step.
        self.sampler = BucketBatchSampler(
            [len(chunk) for chunk in self.chunks], recipe.batch, window=WINDOW, generator=Generator(seed).fork("order")
        )
        self.parameters = dict(model.named_parameters())
        self.game = isinstance(model, Game)
        self.players = dict(model.players()) if self.game else {"": Player(list(self.parameters.values()), recipe.lr)}
        self.batches = max(player.updates for player in self.players.values())  # that a step takes
        self.epoch_length = math.ceil(len(self.sampler) / self.batches)
        self._epoch, self._order = -1, list[list[int]]()
        given = [n for n in (steps, epochs and epochs * self.epoch_length) if n is not None]
        self.limit = min(given, default=recipe.steps)
        self.horizon = self.limit if horizon is None else horizon
        tinydl.default_generator.set_state(Generator(seed).fork("training").state())  # what dropout draws from

        self.optimizers = {name: self._optimizer(player) for name, player in self.players.items()}
        self.schedulers = {name: self._scheduler(optimizer) for name, optimizer in self.optimizers.items()}

        self.step = 0
        self.average = {name: p.array.copy() for name, p in self.parameters.items()} if recipe.average else None
        self.best: dict[str, Any] | None = None  # {"step", "valid", "weights"}
        self.stale = 0  # validations since the best one
        self.losses: list[float] = []  # since the last row of the log
        self.each: dict[str, list[float]] = {name: [] for name in self.players}  # the same of every player of a game
        self.newest: dict[str, tuple[float, float]] = {}  # of every player: loss, and norm of the gradient

    def _optimizer(self, player: Player) -> optim.AdamW:
        matrices = [p for p in player.parameters if p.ndim > 1]
        vectors = [p for p in player.parameters if p.ndim <= 1]
        decay = self.recipe.weight_decay
        groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
        return optim.AdamW([group for group in groups if group["params"]], lr=player.lr, betas=player.betas)

    def _scheduler(self, optimizer: optim.AdamW) -> Any:
        if self.recipe.schedule == "cosine":
            return optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.horizon)
        if self.recipe.schedule == "plateau":
            return optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=self.recipe.patience // 4)
        return None

    @property
    def optimizer(self) -> optim.AdamW:
        """The optimizer; of a game, the last player's."""
        return list(self.optimizers.values())[-1]

    @property
    def lr(self) -> float:
        """The learning rate of the next step; of a game, the last player's."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for ``patience`` times."""
        return self.stale >= self.recipe.patience

    def batch(self, n: int) -> Batch:
        """The ``n``-th batch, counted from 0; a step takes ``batches`` of them."""
        epoch, index = divmod(n, len(self.sampler))
        if epoch != self._epoch:
            self.sampler.set_epoch(epoch)
            self._epoch, self._order = epoch, list(self.sampler)
        members = [self.chunks[i] for i in self._order[index]]
        batch = collate([self.train[c.piece][c.start : c.stop] for c in members], [c.skip for c in members])
        return replace(batch, step=n // self.batches)

    def advance(self) -> tuple[float, float]:
        """One step: returns its loss in nats per frame, and the norm of its gradient before clipping.

        In a game every player has moved then, as often as it may. The two figures are those of the last player: where
        it sat out, of its newest update, and NaN before it had one.

        Raises:
            Diverged: one of the two is not finite; the weights are as they were before that update.
        """
        self.model.train()
        moved = dict.fromkeys(self.players, False)
        for name, player in self.players.items():
            with self._others_still(name):
                for update in range(player.updates):
                    figures = self._update(name, self.batch(self.step * self.batches + update))
                    if figures is not None:
                        self.newest[name], moved[name] = figures, True
        if not any(moved.values()):
            raise RuntimeError(f"every player of {self.model.model_name!r} sat step {self.step + 1} out")
        last = list(self.players)[-1]
        self.step += 1
        if self.recipe.schedule == "cosine" and self.step < self.horizon:
            for scheduler in self.schedulers.values():
                scheduler.step()
        if self.average is not None:
            self._update_average()
        if moved[last]:
            self.losses.append(self.newest[last][0])
        return self.newest.get(last, (math.nan, math.nan))

    @contextmanager
    def _others_still(self, name: str) -> Iterator[None]:
        """Inside, the parameters of every player but this one are constants."""
        still = [p for other in self.players if other != name for p in self.players[other].parameters]
        still = [p for p in still if p.requires_grad]  # what the model froze itself stays frozen
        for parameter in still:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in still:
                parameter.requires_grad_(True)

    def _update(self, name: str, batch: Batch) -> tuple[float, float] | None:
        """One update of a player: its loss, and the norm of its gradient; None when it sat out."""
        player, optimizer = self.players[name], self.optimizers[name]
        optimizer.zero_grad()
        norm = math.nan
        with np.errstate(all="ignore"):  # what is not finite is found below, and said in one sentence
            loss = self.model.loss(batch, name) if self.game else self.model.loss(batch)
            if loss is None:
                return None
            value = float(loss.item())
            if math.isfinite(value):
                loss.backward()
                norm = float(nn.utils.clip_grad_norm_(player.parameters, self.recipe.clip or math.inf).item())
        if not math.isfinite(norm):
            whose = f" of the {name}" if name else ""
            what = f"the gradient{whose} is not finite" if math.isfinite(value) else f"the loss{whose} is {value}"
            option = "lr" if optimizer is self.optimizer else f"{name}_lr"
            smaller = f"-o {option}={float(optimizer.param_groups[0]['lr']) / 3:.2g}"
            at = f"training diverged at step {self.step + 1}"
            raise Diverged(f"{at}: {what}; try a smaller learning rate ({smaller})")
        optimizer.step()
        if self.game:
            self.each[name].append(value)
        return value, norm

    def _update_average(self) -> None:
        """a <- a + (1 - d)(w - a), with a shorter memory d = (1 + n) / (10 + n) at the beginning."""
        assert self.average is not None
        rate = 1 - min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, parameter in self.parameters.items():
            difference = parameter.array - self.average[name]
            difference *= rate
            self.average[name] += difference

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model has the averaged weights."""
        if self.average is None:
            yield
            return
        current = {name: p.array.copy() for name, p in self.parameters.items()}
        try:
            self.assign(self.average)
            yield
        finally:
            self.assign(current)

    def assign(self, values: dict[str, Any]) -> None:
        """Copy values into the parameters."""
        with tinydl.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tinydl.as_tensor(values[name]))

    def validate(self) -> dict[str, Any]:
        """Measure the (averaged) weights on the validation split, keep them if they are the best; a row for the log.

        Without validation pieces, or a figure to compare weights by, the newest are the best.
        """
        with self.averaged():
            valid = validation_loss(self.model, self.valid) if self.valid else None
            if valid is not None and not math.isfinite(valid):
                raise Diverged(f"training diverged: at step {self.step} the validation loss is {valid}; try a lower lr")
            if valid is not None and self.recipe.schedule == "plateau":
                for scheduler in self.schedulers.values():
                    scheduler.step(valid)
            better = valid is None or self.best is None or valid < self.best["valid"]
            if better:
                self.best = {"step": self.step, "valid": valid, "weights": weights_of(self.model)}
        self.stale = 0 if better else self.stale + 1
        return {"step": self.step, "valid": valid, "best": better}

    def log_row(self, norm: float, lr: float) -> dict[str, Any]:
        """The row of the newest step; its loss is the mean since the row before, and so are those of the players. What
        is of a player that sat out all the while is None."""
        loss, self.losses = math.fsum(self.losses) / len(self.losses) if self.losses else None, []
        row: dict[str, Any] = {
            "step": self.step,
            "epoch": (self.step * self.batches - 1) // len(self.sampler),
            "loss": loss,
            "grad_norm": norm if math.isfinite(norm) else None,
            "lr": lr,
        }
        if self.game:
            row["players"] = {name: math.fsum(x) / len(x) if x else None for name, x in self.each.items()}
            self.each = {name: [] for name in self.players}
        return row

    def state(self) -> dict[str, Any]:
        """Everything but the weights."""
        scheduled = {name: scheduler and scheduler.state_dict() for name, scheduler in self.schedulers.items()}
        state = {
            "step": self.step,
            "horizon": self.horizon,
            "optimizer": self._one_or_each({name: o.state_dict() for name, o in self.optimizers.items()}),
            "scheduler": self._one_or_each(scheduled),
            "random": tinydl.default_generator.state(),
            "average": self.average and {name: on_host(array) for name, array in self.average.items()},
            "best": self.best,
            "stale": self.stale,
            "losses": self.losses,
        }
        return {**state, "each": self.each, "newest": self.newest} if self.game else state

    def _one_or_each(self, states: dict[str, Any]) -> Any:
        """What a checkpoint holds: the states of all players of a game, or the one of an ordinary model."""
        return states if self.game else states[""]

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`; KeyError, ValueError or TypeError when ``state`` is not of this model."""
        self.step, self.stale, self.losses = int(state["step"]), int(state["stale"]), list(state["losses"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizer"][name] if self.game else state["optimizer"])
            scheduler = self.schedulers[name]
            if scheduler is not None:
                scheduler.load_state_dict(state["scheduler"][name] if self.game else state["scheduler"])
        if self.game:
            self.each = {name: list(state["each"][name]) for name in self.players}
            self.newest = {name: tuple(figures) for name, figures in state["newest"].items()}
        tinydl.default_generator.set_state(state["random"])
        if self.average is not None:
            for name, array in self.average.items():
                if array.shape != state["average"][name].shape:
                    raise ValueError(
                        f"the running average of {name!r} has shape {state['average'][name].shape}, not {array.shape}"
                    )
                array[...] = beside(state["average"][name], array)
        self.best = state["best"]
