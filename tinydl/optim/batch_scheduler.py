"""Batch-size schedules: grow the batch where others shrink the learning rate.

The noise of a gradient step is about ``lr * N / B`` (``N`` items, batches of ``B``), so that a batch ``factor`` times
as large does what a rate ``factor`` times smaller does, with fewer updates. Smith, Kindermans, Ying and Le, "Don't
Decay the Learning Rate, Increase the Batch Size", ICLR 2018, arXiv:1711.00489. Call ``step()`` between two passes over
the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tinydl.optim.optimizer import Optimizer, require

__all__ = ["BatchSizeScheduler", "MultiStepBatchSize", "StepBatchSize"]


class BatchSizeScheduler:
    """The base. A subclass answers in ``factor`` by how much the batch grows at step ``last_epoch``.

    Args:
        data: a ``DataLoader``, or a batch sampler: what has a ``batch_size`` and makes batches of that size.
        max_batch_size: a bound; the paper takes a tenth of the data set. None for no bound.
        optimizer: whose learning rates are divided by what is left of a factor at the bound. None leaves them alone.
    """

    def __init__(self, data: Any, max_batch_size: int | None = None, optimizer: Optimizer | None = None) -> None:
        sampler = getattr(data, "batch_sampler", data)
        size = getattr(sampler, "batch_size", None)
        if not isinstance(size, int):
            raise TypeError(f"a {type(data).__name__} has no batch size: give a DataLoader or a batch sampler")
        require(
            max_batch_size is None or max_batch_size >= size,
            f"max_batch_size is {max_batch_size}, but batches have {size} items already",
        )
        self._data, self._sampler, self._optimizer = data, sampler, optimizer
        self.max_batch_size = max_batch_size
        self.batch_size: int = size
        self.last_epoch = 0

    def factor(self) -> float:
        """What the batch size is multiplied with at step ``last_epoch``: 1 or more."""
        raise NotImplementedError

    def step(self) -> None:
        """Go one step on: grow the batches, or shrink the learning rate where they cannot grow."""
        self.last_epoch += 1
        factor = self.factor()
        grown = round(self.batch_size * factor)
        if self.max_batch_size is not None and grown >= self.max_batch_size:
            left = self.batch_size * factor / self.max_batch_size
            grown = self.max_batch_size
            if self._optimizer is not None:
                for group in self._optimizer.param_groups:
                    group["lr"] = group["lr"] / left
        self._set(grown)

    def _set(self, size: int) -> None:
        self.batch_size = self._sampler.batch_size = size
        if self._data is not self._sampler:
            self._data.batch_size = size

    def state_dict(self) -> dict[str, int]:
        """``last_epoch`` and ``batch_size``. The rates come with the optimizer's own state."""
        return {"last_epoch": self.last_epoch, "batch_size": self.batch_size}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take over what :meth:`state_dict` gave, and set the batch size."""
        epoch, size = state_dict["last_epoch"], state_dict["batch_size"]
        require(isinstance(size, int) and size > 0, f"batch_size should be a positive integer, but got {size}")
        self.last_epoch = epoch
        self._set(size)


class StepBatchSize(BatchSizeScheduler):
    """``batch_size *= gamma`` every ``step_size`` steps; the rest as :class:`BatchSizeScheduler`."""

    def __init__(
        self,
        data: Any,
        step_size: int,
        gamma: float = 2.0,
        max_batch_size: int | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        require(step_size >= 1, f"StepBatchSize needs a step_size of 1 or more, got {step_size}")
        require(gamma >= 1, f"gamma should be 1 or more, got {gamma}")
        super().__init__(data, max_batch_size, optimizer)
        self.step_size, self.gamma = step_size, gamma

    def factor(self) -> float:
        return self.gamma if self.last_epoch % self.step_size == 0 else 1.0


class MultiStepBatchSize(BatchSizeScheduler):
    """``batch_size *= gamma`` at each step in ``milestones``; the rest as :class:`BatchSizeScheduler`.

    The paper's experiments have ``gamma=5`` where the schedule of the learning rate has 0.2.
    """

    def __init__(
        self,
        data: Any,
        milestones: Iterable[int],
        gamma: float = 5.0,
        max_batch_size: int | None = None,
        optimizer: Optimizer | None = None,
    ) -> None:
        require(gamma >= 1, f"gamma should be 1 or more, got {gamma}")
        super().__init__(data, max_batch_size, optimizer)
        self.milestones, self.gamma = Counter(milestones), gamma

    def factor(self) -> float:
        return float(self.gamma ** self.milestones[self.last_epoch])
