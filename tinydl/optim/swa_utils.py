"""Averages of weights along a training: stochastic weight averaging (SWA) and exponential moving averages (EMA)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Literal

from tinydl.autograd import no_grad
from tinydl.creation import tensor
from tinydl.errors import say_absent
from tinydl.nn import Module
from tinydl.optim.lr_scheduler import LRScheduler
from tinydl.optim.lr_scheduler.base import per_group
from tinydl.optim.optimizer import Optimizer, require
from tinydl.tensor import Tensor

say_absent(__name__)

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Any]
MultiAverage = Callable[[list[Tensor], list[Tensor], Any], None]


def get_swa_avg_fn() -> Average:
    """``a + (p - a) / (n + 1)``: the mean of all models so far."""

    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return no_grad()(swa_update)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * a + (1 - decay) * p``: later models count more (Polyak averaging with exponential weights)."""
    _check_decay(decay)

    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return no_grad()(ema_update)


def get_swa_multi_avg_fn() -> MultiAverage:
    """:func:`get_swa_avg_fn` for lists, in place."""
    return _in_place(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """:func:`get_ema_avg_fn` for lists, in place."""
    return _in_place(get_ema_avg_fn(decay))


def _check_decay(decay: float) -> None:
    require(0.0 <= decay <= 1.0, f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def _in_place(average: Average) -> MultiAverage:
    def update(averaged_params: list[Tensor], current_params: list[Tensor], num_averaged: Any) -> None:
        for averaged, current in zip(averaged_params, current_params):
            averaged.copy_(average(averaged, current, num_averaged))

    return no_grad()(update)


class AveragedModel(Module):
    """A copy of ``model`` whose parameters are a running average of the model's.

    The first :meth:`update_parameters` copies them, each later one averages. Calling the averaged model calls the copy,
    which is ``module``; ``n_averaged`` is a buffer. Izmailov et al., "Averaging Weights Leads to Wider Optima and
    Better Generalization", UAI 2018; Polyak and Juditsky, 1992.

    Args:
        model: what is averaged.
        device: ``"cpu"``, the only one, or None.
        avg_fn: ``fn(averaged, current, n_averaged) -> averaged`` for one tensor; by default the mean (SWA).
        multi_avg_fn: the same for lists of tensors, in place, instead; all tensors of one dtype come in one call.
        use_buffers: average the buffers too, else they are copied at each update.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: str | None = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The averaged model's own forward."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the present parameters of ``model`` into the average."""
        ours, theirs = self._tensors(self.module), self._tensors(model)
        shapes = [[t.array.shape for t in ours], [t.array.shape for t in theirs]]
        require(shapes[0] == shapes[1], f"the model has tensors of shapes {shapes[1]}, the average of {shapes[0]}")
        count = self.n_averaged.clone()
        with no_grad():
            if count.item() == 0:
                for averaged, current in zip(ours, theirs):
                    averaged.copy_(current)
            elif self.multi_avg_fn is not None:
                for dtype in dict.fromkeys(t.dtype for t in ours):
                    chosen = [i for i, t in enumerate(ours) if t.dtype == dtype]
                    self.multi_avg_fn([ours[i] for i in chosen], [theirs[i] for i in chosen], count)
            else:
                average = self.avg_fn or get_swa_avg_fn()
                for averaged, current in zip(ours, theirs):
                    averaged.copy_(average(averaged, current, count))
            if not self.use_buffers:
                for mine, other in zip(self.module.buffers(), model.buffers()):
                    mine.copy_(other)
            self.n_averaged += 1

    def _tensors(self, model: Module) -> list[Tensor]:
        found = chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()
        return [t.detach() for t in found]


def update_bn(loader: Iterable[Any], model: Module, device: str | None = None) -> None:
    """Recompute the running statistics of all batch normalisations of ``model`` in one pass over ``loader``.

    They do not fit averaged weights. A batch is a tensor, or a list or tuple that begins with one. Statistics are means
    over all batches; modes and momenta are as before afterwards.
    """
    layers: list[Any] = [
        module for module in model.modules() if any("BatchNorm" in kind.__name__ for kind in type(module).__mro__)
    ]
    if not layers:
        return
    training, momenta = model.training, [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    model.train()
    try:
        with no_grad():
            for batch in loader:
                given = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(given if device is None else given.to(device))
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the rates there are to ``swa_lr`` (one, or one per group) in ``anneal_epochs`` steps, then constant::

        lr_t = swa_lr * a(t) + lr_0 * (1 - a(t)),    a(t) = t / anneal_epochs, or (1 - cos(pi t / anneal_epochs)) / 2

    Args:
        optimizer: whose groups get the rates.
        swa_lr: the final rate.
        anneal_epochs: steps to get there, 0 or more.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        last_epoch: see :class:`LRScheduler`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = per_group("swa_lr", optimizer, swa_lr)
        require(
            anneal_strategy in ("cos", "linear"),
            f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}",
        )
        require(
            isinstance(anneal_epochs, int) and anneal_epochs >= 0,
            f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}",
        )
        for rate, group in zip(rates, optimizer.param_groups):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _weight(self, step: int) -> float:
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._weight(step - 1), self._weight(step)
        rates = []
        for group in self.optimizer.param_groups:
            final = group["swa_lr"]
            first = final if before == 1 else (group["lr"] - before * final) / (1 - before)
            rates.append(final * now + first * (1 - now))
        return rates
