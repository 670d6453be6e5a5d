"""Schedules that go down and up: cosines, with and without restarts, triangles, and one cycle."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from tinydl.optim.lr_scheduler.base import LRScheduler, packed, per_group
from tinydl.optim.optimizer import Optimizer

PerGroup = float | Sequence[float]


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from ``initial_lr`` down to ``eta_min`` in ``T_max`` steps (and up again after that)::

        lr_t = eta_min + (initial_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2

    computed from ``lr_{t-1}``. Loshchilov and Hutter, "SGDR", ICLR 2017 (without its restarts).
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR needs a T_max of 1 or more, got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        t, turn, floor = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial or t == 0:
            return self._rates()
        if (t - 1 - turn) % (2 * turn) == 0:  # the factor before was 0: the recurrence cannot leave it
            up = (1 - math.cos(math.pi / turn)) / 2
            return [rate + (base - floor) * up for base, rate in zip(self.base_lrs, self._rates())]
        ratio = (1 + math.cos(math.pi * t / turn)) / (1 + math.cos(math.pi * (t - 1) / turn))
        return [ratio * (rate - floor) + floor for rate in self._rates()]

    def _get_closed_form_lr(self) -> list[float]:
        cosine = math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (base - self.eta_min) * (1 + cosine) / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines one after another, each ``T_mult`` times as long as the one before, the first of ``T_0`` steps::

        lr = eta_min + (initial_lr - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    with ``T_cur`` the steps since the last restart and ``T_i`` those between two. Loshchilov and Hutter, "SGDR", ICLR
    2017.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        cosine = math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * (1 + cosine) / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go one step on, or to ``epoch``, which may be a fraction: ``step(epoch + batch / batches)``."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur = self.T_cur % self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        elif epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**n
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _check_momentum(optimizer: Optimizer) -> None:
    if not {"momentum", "betas"} & set(optimizer.defaults):
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")


class CyclicLR(LRScheduler):
    """Up from ``base_lr`` to ``max_lr`` in ``step_size_up`` steps and down again in ``step_size_down``, for ever::

        x = 1 + t / (step_size_up + step_size_down) - cycle
        h = x / ratio if x <= ratio, else (x - 1) / (ratio - 1)
        lr = base_lr + (max_lr - base_lr) * h * scale(cycle or t)

    where ``cycle`` counts from 1 and ``ratio`` is the part of the way up. Smith, "Cyclical Learning Rates for Training
    Neural Networks", WACV 2017.

    Args:
        optimizer: whose groups get the rates.
        base_lr, max_lr: one number, or one per group. ``base_lr`` is written into the groups at once.
        step_size_up, step_size_down: steps of the two halves; the second is as long as the first by default.
        mode: ``scale`` is 1 (``"triangular"``), ``1 / 2**(cycle - 1)`` (``"triangular2"``) or ``gamma**t``
            (``"exp_range"``).
        scale_fn, scale_mode: a ``scale`` of your own, of the ``"cycle"`` or of the ``"iterations"`` t.
        cycle_momentum: move the momentum (or beta1) from ``max_momentum`` down to ``base_momentum`` as the rate goes
        up. last_epoch: see :class:`LRScheduler`.
    """

    _not_saved = ("optimizer", "_scale_fn_custom")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: PerGroup,
        max_lr: PerGroup,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.8,
        max_momentum: PerGroup = 0.9,
        last_epoch: int = -1,
    ) -> None:
        base_lrs, self.max_lrs = per_group("base_lr", optimizer, base_lr), per_group("max_lr", optimizer, max_lr)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        down = step_size_up if step_size_down is None else step_size_down
        if step_size_up <= 0 or down <= 0:
            raise ValueError(f"CyclicLR needs step sizes above 0, got {step_size_up} up and {down} down")
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self._scale_fn_custom = mode, gamma, scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _check_momentum(optimizer)
            self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for number, group in enumerate(optimizer.param_groups):
                group["lr"] = base_lrs[number]
                if cycle_momentum:
                    group["max_momentum"] = self.max_momentums[number]
                    group["base_momentum"] = self.base_momentums[number]
                    _set_momentum(group, group["max_momentum"])
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The scale of cycle or step ``x``."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return float(0.5 ** (x - 1) if self.mode == "triangular2" else self.gamma**x)

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, base, most in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                _set_momentum(group, most - (most - base) * height * scale)
        return [base + (most - base) * height * scale for base, most in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        """A ``scale_fn`` of your own is not saved: build the schedule with the same one before loading."""
        return {**super().state_dict(), "_scale_fn_custom": packed(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        if state_dict["_scale_fn_custom"] is not None:
            self._scale_fn_custom.__dict__.update(state_dict["_scale_fn_custom"])


class OneCycleLR(LRScheduler):
    """One cycle for a whole training: from ``max_lr / div_factor`` up to ``max_lr``, and down to almost nothing.

    The way up takes ``pct_start`` of the steps, the way down the rest; with ``three_phase`` the way down first takes as
    many steps as the way up, to the rate of the start, and the last phase the rest. Smith and Topin,
    "Super-Convergence", arXiv:1708.07120, 2017 (which has three phases).

    Args:
        optimizer: whose groups get the rates.
        max_lr: the highest rate, one or one per group.
        total_steps: steps of the cycle; or ``epochs`` and ``steps_per_epoch``, whose product it is. A step beyond
            raises ValueError.
        pct_start: a number between 0 and 1.
        anneal_strategy: ``"cos"`` or ``"linear"``, the way between two rates.
        cycle_momentum, base_momentum, max_momentum: move the momentum (or beta1) against the rate.
        div_factor, final_div_factor: the first rate is ``max_lr / div_factor``, the last is that divided by
            ``final_div_factor``.
        three_phase: see above.
        last_epoch: see :class:`LRScheduler`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: PerGroup,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.85,
        max_momentum: PerGroup = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        max_lrs = per_group("max_lr", optimizer, max_lr)
        numbers = {"total_steps": total_steps}
        if total_steps is None:
            numbers = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        if None in numbers.values():
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        for name, number in numbers.items():
            if not isinstance(number, int) or number <= 0:
                raise ValueError(f"Expected positive integer {name}, but got {number}")
        self.total_steps = math.prod(number for number in numbers.values() if number)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        peak, rates, momenta = pct_start * self.total_steps, ["initial_lr", "max_lr"], ["max_momentum", "base_momentum"]
        ends = [peak - 1, 2 * peak - 2] if three_phase else [peak - 1]
        if three_phase:
            rates, momenta = [*rates, "initial_lr"], [*momenta, "max_momentum"]
        rates, momenta = [*rates, "min_lr"], [*momenta, "max_momentum"]
        self._schedule_phases: list[dict[str, Any]] = [
            {"end_step": end, "start_lr": a, "end_lr": b, "start_momentum": m, "end_momentum": n}
            for end, a, b, m, n in zip([*ends, self.total_steps - 1], rates, rates[1:], momenta, momenta[1:])
        ]
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            _check_momentum(optimizer)
            most, least = (
                per_group("max_momentum", optimizer, max_momentum), per_group("base_momentum", optimizer, base_momentum)
            )  # fmt: skip
        if last_epoch == -1:
            for number, group in enumerate(optimizer.param_groups):
                group["initial_lr"] = max_lrs[number] / div_factor
                group["max_lr"] = max_lrs[number]
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    group["max_momentum"], group["base_momentum"] = most[number], least[number]
                    _set_momentum(group, most[number])
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)

    def get_lr(self) -> list[float]:
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"Tried to step {t} times. The specified number of total steps is {self.total_steps}")
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if t <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        part = (t - start) / (phase["end_step"] - start)
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                momenta = group[phase["start_momentum"]], group[phase["end_momentum"]]
                _set_momentum(group, self._between(*momenta, part))
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], part) for group in groups]
