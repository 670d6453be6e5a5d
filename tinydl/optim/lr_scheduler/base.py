"""What all schedules share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from tinydl.optim.optimizer import Optimizer

__all__ = ["LRScheduler"]


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def per_group(name: str, optimizer: Any, value: Any) -> list[Any]:
    """An option given once, or once per group, as a list."""
    check_optimizer(optimizer)
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups "
            f"has {groups}."
        )
    return list(value)


def functions_per_group(optimizer: Any, functions: Any) -> list[Callable[[int], float]]:
    """One function for all groups, or a list of one per group."""
    check_optimizer(optimizer)
    groups = len(optimizer.param_groups)
    found = list(functions) if isinstance(functions, (list, tuple)) else [functions] * groups
    if len(found) != groups:
        raise ValueError(f"Expected {groups} lr_lambdas, but got {len(found)}")
    for function in found:
        if not callable(function):
            raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
    return found


def packed(function: Any) -> Any:
    """What a state says of a function: nothing, or of a callable object its attributes."""
    return None if function is None or isinstance(function, FunctionType) else dict(function.__dict__)


def warn_of_epoch() -> None:
    """PyTorch's warning of ``step(epoch)``."""
    warnings.warn(
        "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please "
        "use `scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the "
        "closed form is used instead of the new chainable form, where available.",
        stacklevel=3,
    )


class LRScheduler:
    """The base. A subclass answers in ``get_lr`` with one rate per group for the step ``last_epoch``.

    Args:
        optimizer: whose groups get the rates.
        last_epoch: the last step done; -1 starts afresh and writes ``initial_lr`` into every group. Any other value
            resumes and needs ``initial_lr`` there (loading a ``state_dict`` is the simpler way).
    """

    _is_initial = False  # while the constructor takes the first step
    _not_saved: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming scheduler with "
                    "last_epoch >= 0: load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[float]:
        """The rates for step ``last_epoch``, computed from those that the groups have now."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The rates set by the last step."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go one step on and set the rates; with ``epoch`` (deprecated) go to that step, by the closed form of the
        schedule where it has one."""
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
            self._set(self.get_lr())
        else:
            warn_of_epoch()
            self.last_epoch = epoch
            self._set(self._get_closed_form_lr())

    def _get_closed_form_lr(self) -> list[float]:
        """The rates for step ``last_epoch``, whatever those before were; by default :meth:`get_lr`."""
        return self.get_lr()

    def restart(self) -> None:
        """Set the rates of step 0, as :class:`SequentialLR` does when this schedule's turn comes."""
        self.last_epoch = 0
        self._set(self.get_lr())

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer (and but functions): numbers and lists, fit for JSON."""
        return {name: value for name, value in self.__dict__.items() if name not in self._not_saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave. The groups' ``lr`` comes with the optimizer's own state."""
        self.__dict__.update({name: value for name, value in state_dict.items() if name not in self._not_saved})
