"""The base of every optimizer: parameter groups, state, and PyTorch's ``state_dict``.

An optimizer of your own derives from :class:`Optimizer` and writes ``step`` with array arithmetic; those that tinydl
brings derive from :class:`tinydl.optim.fused.FusedOptimizer`, where one kernel does a whole step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from tinydl.autograd import enable_grad
from tinydl.creation import tensor
from tinydl.devices import on_host
from tinydl.tensor import Tensor

Params: TypeAlias = "Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]"
Closure: TypeAlias = Callable[[], Any]
StateDict: TypeAlias = "dict[str, Any]"


def require(condition: bool, message: str) -> None:
    """Raise ValueError with ``message`` unless ``condition``."""
    if not condition:
        raise ValueError(message)


def finite(value: Any, least: float = 0.0, below: float = math.inf) -> bool:
    """Whether ``least <= value < below``: false for NaN and infinity too."""
    return least <= float(value) < below


def check_moments(group: dict[str, Any]) -> None:
    """Refuse an ``eps`` or ``betas`` that make no sense: the options that Adam's relatives share."""
    require(finite(group["eps"]), f"Invalid epsilon value: {group['eps']}")
    betas = group["betas"]
    if not isinstance(betas, (tuple, list)):
        raise TypeError(f"betas should be a tuple of two numbers, but got {betas!r}")
    for index, beta in enumerate(betas):
        require(finite(beta, below=1.0), f"Invalid beta parameter at index {index}: {beta}")


class Optimizer:
    """Keeps ``param_groups`` and ``state``; a subclass adds ``step``.

    Args:
        params: tensors, or ``(name, tensor)`` pairs, or dictionaries with a ``"params"`` entry and options of
            the group's own.
        defaults: the options of a group that does not give its own.

    ``param_groups`` is a list of dictionaries (``"params"`` and the options), open to change between steps, as a
    schedule does with ``"lr"``. ``state`` maps each parameter to its dictionary of tensors.

    Raises TypeError for what is no tensor and ValueError for an empty list, a parameter that is no leaf, or one that
    appears twice (PyTorch only warns when both are in one group).
    """

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups: list[Any] = list(params)
        require(bool(groups), "optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, ``{"params": ..., option: value, ...}``, for instance layers that thaw late in training."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections: use a list, not a set")
        entries: list[Any] = [params] if isinstance(params, Tensor) else list(params)
        group: dict[str, Any] = {"params": entries}
        if entries and isinstance(entries[0], tuple):
            group["param_names"] = [name for name, _ in entries]
            group["params"] = entries = [param for _, param in entries]
        for param in entries:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            require(param.is_leaf, "can't optimize a non-leaf Tensor")
        seen = {id(param) for other in self.param_groups for param in other["params"]}
        require(seen.isdisjoint(map(id, entries)), "some parameters appear in more than one parameter group")
        require(
            len({id(param) for param in entries}) == len(entries),
            "optimizer contains a parameter group with duplicate parameters: give each tied parameter once",
        )
        group.update({name: value for name, value in param_group.items() if name != "params"})
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        self._validate(group)
        self.param_groups.append(group)

    def _validate(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense. A subclass that has such options overrides this."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients: ``None`` (skipped by ``step``), or zeros in place (not skipped) when asked."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad = param.grad.detach()
                    param.grad.zero_()

    def step(self, closure: Closure | None = None) -> Any:
        """One update of every parameter whose ``grad`` is not None; returns what ``closure`` returns.

        ``closure``, if given, is called first with recording on: it clears the gradients, computes the loss, calls
        ``backward`` and returns the loss.
        """
        raise NotImplementedError

    @staticmethod
    def _evaluate(closure: Closure) -> Any:
        with enable_grad():
            return closure()

    # --- saving and loading ---------------------------------------------------------------------------------------

    def _numbered(self) -> Iterator[tuple[int, Tensor]]:
        """The parameters with the numbers that ``state_dict`` gives them: in order, through all groups."""
        return enumerate(param for group in self.param_groups for param in group["params"])

    def state_dict(self) -> StateDict:
        """``{"state": {number: {name: tensor}}, "param_groups": [{option: value, "params": [numbers]}]}``.

        The tensors are the live ones, not copies, as in PyTorch.
        """
        groups = []
        start = 0
        for group in self.param_groups:
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = list(range(start, start + len(group["params"])))
            start += len(group["params"])
            groups.append(packed)
        state = {number: dict(self.state[param]) for number, param in self._numbered() if self.state.get(param)}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Take over what :meth:`state_dict` gave: the state is copied, in the dtype of each parameter.

        Raises ValueError, and changes nothing, when groups or shapes do not fit.
        """
        require(
            "param_groups" in state_dict and "state" in state_dict,
            "loaded state dict has no 'param_groups' and 'state': it is not what the state_dict() of an optimizer gave",
        )
        saved = state_dict["param_groups"]
        require(
            len(saved) == len(self.param_groups),
            f"loaded state dict has a different number of parameter groups: {len(saved)}, "
            f"where the optimizer has {len(self.param_groups)}",
        )
        for ours, theirs in zip(self.param_groups, saved):
            require(
                len(ours["params"]) == len(theirs["params"]),
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                f"{len(theirs['params'])} parameters against {len(ours['params'])}",
            )
        groups = []
        numbers: dict[Any, tuple[Tensor, dict[str, Any]]] = {}
        for ours, theirs in zip(self.param_groups, saved):
            groups.append({**ours, **{name: value for name, value in theirs.items() if name != "params"}})
            self._validate(groups[-1])
            numbers.update((number, (param, groups[-1])) for number, param in zip(theirs["params"], ours["params"]))
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, entry in state_dict["state"].items():
            found = numbers.get(number, numbers.get(_integer(number)))
            require(found is not None, f"loaded state dict has state for parameter {number!r}, which is in no group")
            assert found is not None
            state[found[0]] = self._loaded(number, entry, *found)
        self.param_groups, self.state = groups, state

    def _loaded(self, number: Any, entry: dict[str, Any], param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """What ``state[param]`` becomes when ``entry`` is loaded; raises ValueError when it does not fit."""
        return {name: _copied(number, name, value, param) for name, value in entry.items()}

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for number, group in enumerate(self.param_groups):
            options = "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
            text += f"\nParameter Group {number}\n{options}"
        return text + ")"


def _integer(number: Any) -> Any:
    """JSON has only text for keys: "3" is parameter 3."""
    return int(number) if isinstance(number, str) and number.isdecimal() else number


def _copied(number: Any, name: str, value: Any, param: Tensor) -> Any:
    """A state entry for ``param``: moments in its dtype, ``step`` in float32 (PyTorch's), anything else as it is."""
    if value is None or isinstance(value, (str, bool)):
        return value
    array = np.asarray(on_host(getattr(value, "array", value)))
    require(
        array.dtype.kind in "fiub",
        f"loaded state {name!r} of parameter {number} is no tensor but a {type(value).__name__}",
    )
    if name == "step":
        require(array.size == 1, f"loaded state 'step' of parameter {number} is no number but has shape {array.shape}")
        return tensor(np.array(array.reshape(()), np.float32))
    require(
        array.shape in ((), param.shape),
        f"loaded state {name!r} of parameter {number} has shape {array.shape}, but the parameter has {param.shape}",
    )
    return tensor(np.array(array, param.dtype if array.dtype.kind == "f" else array.dtype))
