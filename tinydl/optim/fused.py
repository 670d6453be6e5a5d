"""Optimizers whose step is one kernel (per group and dtype), whatever the number of parameters.

Parameters and gradients stay where they are, each an array of its own; the moments are the optimizer's, rows of one
flat array, and ``state[param]["exp_avg"]`` is a view of its stretch, as ``state[param]["step"]`` is of the numbers that
each parameter has one of. The kernel finds parameters and gradients
through a table that names their *array objects*, and reads addresses, shapes and flags from there, so that all Python
does for a parameter at each step is write two identities into the table. See ``tinydl.kernels.optim`` for the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import is_not
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tinydl.creation import there
from tinydl.devices import ELSEWHERE, beside, on_host
from tinydl.kernels import lookup
from tinydl.kernels.optim.table import COLUMNS, DTYPE, GRAD, NUMEL, OFFSET, PARAM
from tinydl.optim.optimizer import Closure, Optimizer, StateDict, finite, require
from tinydl.tensor import Tensor

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_ndarray = np.ndarray  # a global is found twice as fast as an attribute of the module


class FusedOptimizer(Optimizer):
    """The plan-keeping half of all optimizers but LBFGS. A subclass names its kernel, buffers and scalars."""

    _op: ClassVar[str]
    _plans: list[_Plan] | None
    # What a user may have replaced since the last step: the parameters of the groups, and the tensors of the state.
    _params_then: list[Any]
    _state_then: list[Any] | None
    _numbers: ClassVar[tuple[str | None, ...]] = ("step",)  # names in state of the kernel's numbers; None: not shown

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        """Names in ``state[param]`` of the kernel's rows; None for a row that this group's options leave unused."""
        raise NotImplementedError

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        """The options of ``group`` as the kernel wants them (kept in a small float64 array)."""
        raise NotImplementedError

    def _initial(self, group: dict[str, Any]) -> dict[str, float]:
        """First values, by name, of the buffers and numbers that do not begin at 0."""
        return {}

    def _validate(self, group: dict[str, Any]) -> None:
        for name in self.defaults:
            if isinstance(group[name], str):
                raise TypeError(
                    f"{type(self).__name__}: {name} should be a number, but got {group[name]!r} of type str; convert "
                    "it with float()"
                )
        require(finite(group["lr"]), f"Invalid learning rate: {group['lr']}")
        require(finite(group.get("weight_decay", 0)), f"Invalid weight_decay value: {group.get('weight_decay')}")
        require(not group.get("differentiable"), "differentiable=True is not supported: the step is a kernel")

    def step(self, closure: Closure | None = None) -> Any:
        loss = None if closure is None else self._evaluate(closure)
        for plan in self._current_plans():
            plan.step()
        if self._state_then is None:
            self._state_then = list(self._state_now())
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        self._plans = None  # made at the next step; they take over the state there is
        self._params_then, self._state_then = [], None

    def load_state_dict(self, state_dict: StateDict) -> None:
        super().load_state_dict(state_dict)
        self._plans = None

    def _loaded(self, number: Any, entry: dict[str, Any], param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        loaded = super()._loaded(number, entry, param, group)
        if self._numbers[0] is not None:  # else a buffer that is missing has not begun
            for name in (*self._numbers, *self._buffers(group)):
                require(
                    name is None or isinstance(loaded.get(name), Tensor),
                    f"loaded state of parameter {number} has no {name!r}, only {', '.join(map(repr, loaded))}: it is "
                    f"of another optimizer than {type(self).__name__}, or of other options",
                )
        return loaded

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave the plans behind: they hold the identities of this optimizer's arrays."""
        return {**self.__dict__, "_plans": None, "_params_then": [], "_state_then": None}

    def _params_now(self) -> Iterator[Any]:
        """The groups and their parameters."""
        return chain(self.param_groups, *[group["params"] for group in self.param_groups])

    def _state_now(self) -> Iterator[Any]:
        """The tensors of the state. All in C: it is asked in every step."""
        return chain.from_iterable(map(dict.values, self.state.values()))

    def _current_plans(self) -> list[_Plan]:
        if self._plans is not None and (
            _differ(self._params_now(), self._params_then)
            or (self._state_then is not None and _differ(self._state_now(), self._state_then))
        ):
            self._plans = None
        if self._plans is None:
            self._plans = [
                _Plan(self, group, params, dtype)
                for group in self.param_groups
                for (dtype, _), params in _alike(group["params"]).items()
            ]
            self._params_then, self._state_then = list(self._params_now()), None
        return self._plans


def _differ(now: Iterable[Any], then: list[Any]) -> bool:
    """Whether these are other objects, or more or fewer."""
    found = list(now)
    return len(found) != len(then) or any(map(is_not, found, then))


def _alike(params: list[Tensor]) -> dict[tuple[np.dtype[Any], type], list[Tensor]]:
    """Parameters of one dtype and device together."""
    split: defaultdict[tuple[np.dtype[Any], type], list[Tensor]] = defaultdict(list)
    for param in params:
        if param.dtype not in _FLOATS:
            raise TypeError(f"a parameter of dtype {param.dtype} cannot be optimized: use float32 or float64")
        split[_FLOATS[_FLOATS.index(param.dtype)], type(param.array)].append(param)
    return split


def _array(value: Any) -> Any:
    """Of what a user has put into the state: a tensor, or a number."""
    return value.array if isinstance(value, Tensor) else np.asarray(value)


class _Plan:
    """Parameters of one group and dtype, with their table, moments, step counts and scalars."""

    def __init__(
        self, optimizer: FusedOptimizer, group: dict[str, Any], params: list[Tensor], dtype: np.dtype[Any]
    ) -> None:
        self.optimizer, self.group, self.params, self.dtype = optimizer, group, params, dtype
        self.kind = type(params[0].array)  # the array type, and so the device; the table stays on the host
        self.np: Any = there(params[0].device)
        self.table = np.zeros((len(params), COLUMNS), np.int64)
        sizes = np.array([param.array.size for param in params], np.int64)
        self.table[:, NUMEL] = sizes
        self.table[:, OFFSET] = np.cumsum(sizes) - sizes
        self.table[:, DTYPE] = dtype.num
        self.cells: memoryview[int] = self.table.reshape(-1).data  # writes from Python cost half of the array's
        self.numbers = self.np.zeros((len(optimizer._numbers), len(params)), np.float32)
        self.scalars = np.zeros(0, np.float64)
        self.given: tuple[float, ...] = ()
        self.buffers: tuple[str | None, ...] = ()
        self.moments: NDArray[Any] = self.np.zeros((0, 0), dtype)
        self._refresh(optimizer._scalars(group))
        self._take_over()

    def step(self) -> None:
        scalars = self.optimizer._scalars(self.group)
        if scalars != self.given:
            self._refresh(scalars)
        cells, cell, kind = self.cells, 0, self.kind
        for param in self.params:
            grad = param.grad
            if grad is None:
                cells[cell + 1] = 0
            else:
                array = param.array
                # The kernel reads memory through these identities: whatever is no array that lives on must not pass.
                if type(array) is not kind or not isinstance(grad, Tensor) or type(grad.array) is not kind:
                    raise self._unreadable(cell // COLUMNS)
                cells[cell], cells[cell + 1] = id(array), id(grad.array)
                if (version := param.ver) is None:
                    param.bump()
                else:
                    version[0] += 1  # as bump does: a call less
            cell += COLUMNS
        if self.stateless:
            for row in [row for row in self.stateless if self.table[row, GRAD]]:
                self._adopt(row)
                self.stateless.discard(row)
        kernel = lookup(self.optimizer._op, device="cpu", dtype=self.dtype)
        if kernel(self.table, self.moments, self.numbers, self.scalars) >= 0:
            self._step_through_copies(kernel)

    def _unreadable(self, row: int) -> TypeError:
        param, grad = self.params[row], self.params[row].grad
        number = next(n for n, other in enumerate(self.group["params"]) if other is param)
        if isinstance(grad, Tensor) and {type(param.array), type(grad.array)} <= {np.ndarray, *ELSEWHERE}:
            return TypeError(
                f"parameter {number} of shape {tuple(param.shape)} is on {param.device} and its gradient on "
                f"{grad.device}, but the optimizer began on {self.params[0].device if row else 'another device'}: move "
                "the module before its optimizer is made"
            )
        got = f"Tensor of {type(grad.array).__name__}" if isinstance(grad, Tensor) else type(grad).__name__
        return TypeError(
            f"parameter {number} of shape {tuple(np.shape(param.array))} and its gradient must both be Tensors of "
            f"NumPy arrays, but they are a Tensor of {type(param.array).__name__} and a {got}: convert with "
            "tinydl.tensor()"
        )

    def _refresh(self, scalars: tuple[float, ...]) -> None:
        """An option changed: renew the kernel's scalars, and the moments when the option adds or drops one."""
        self.given = scalars
        self.scalars = self.np.asarray(np.array(scalars, np.float64))
        buffers = self.optimizer._buffers(self.group)
        if buffers != self.buffers:
            total = int(self.table[:, NUMEL].sum())
            old, had, self.buffers = self.moments, self.buffers, buffers
            self.moments = self.np.zeros((len(buffers), total), self.dtype)
            for row, name in enumerate(buffers):
                if name is not None and name in had:
                    self.moments[row] = old[had.index(name)]
            if had:
                self._take_over()

    def _take_over(self) -> None:
        """Adopt the rows that have state; the others are adopted at their first gradient."""
        if self.optimizer._numbers[0] is None:
            self.numbers[0] = 0
        self.stateless = {row for row, param in enumerate(self.params) if not self.optimizer.state.get(param)}
        for row in range(len(self.params)):
            if row not in self.stateless:
                self._adopt(row)

    def _adopt(self, row: int) -> None:
        """Make ``state[param]`` a dictionary of views of this plan's memory, keeping the values that it has."""
        param, entry = self.params[row], self.optimizer.state[self.params[row]]
        views: dict[str, NDArray[Any]] = {}
        for number, name in enumerate(self.optimizer._numbers):
            if name is not None:
                views[name] = self.numbers[number, row : row + 1].reshape(())
        if "step" not in views and any(entry.get(name) is not None for name in self.buffers if name is not None):
            self.numbers[0, row] = 1.0  # not shown, but it says that the buffers have begun
        start, stop = self.table[row, OFFSET], self.table[row, OFFSET] + self.table[row, NUMEL]
        for buffer, name in enumerate(self.buffers):
            if name is not None:
                views[name] = self.moments[buffer, start:stop].reshape(param.shape)
        initial = self.optimizer._initial(self.group)
        for name, view in views.items():
            given = _array(entry[name]) if entry.get(name) is not None else initial.get(name, 0.0)
            view[...] = on_host(given) if self.kind is _ndarray else beside(given, view)
            entry[name] = Tensor._from_array(view)
        self.optimizer._state_then = None
        if not entry:
            del self.optimizer.state[param]

    def _step_through_copies(self, kernel: Any) -> None:
        """The step when an array is not the plain one the kernel needs: strided, or of a foreign gradient's dtype.

        Such arrays are copied, the same kernel runs on the copies, and parameters are written back.
        """
        copies: list[NDArray[Any]] = []
        back: list[tuple[NDArray[Any], NDArray[Any]]] = []
        for row, param in enumerate(self.params):
            if param.grad is None:
                continue
            array, grad = param.array, param.grad.array
            if array.dtype != self.dtype or array.size != self.table[row, NUMEL]:
                raise RuntimeError(
                    f"a parameter of {self.dtype} with {self.table[row, NUMEL]} elements became one of {array.dtype} "
                    f"with shape {array.shape} since the optimizer's first step: build a new optimizer for it"
                )
            if grad.shape != array.shape:
                raise RuntimeError(
                    f"a parameter of shape {array.shape} has a gradient of shape {grad.shape}: they must be equal"
                )
            copies += [self.np.array(array, self.dtype, order="C"), self.np.array(grad, self.dtype, order="C")]
            back.append((array, copies[-2]))
            self.table[row, PARAM], self.table[row, GRAD] = id(copies[-2]), id(copies[-1])
        failed = kernel(self.table, self.moments, self.numbers, self.scalars)
        assert failed < 0, f"row {failed} of the optimizer's table is not plain even as a copy"
        for array, copy in back:
            array[...] = copy
