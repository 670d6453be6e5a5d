"""L-BFGS, with the line search of PyTorch's (both are ports of minFunc, by way of Torch7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinydl.creation import from_numpy, tensor
from tinydl.optim.optimizer import Closure, Optimizer, Params, finite, require
from tinydl.tensor import Tensor

Vector = NDArray[Any]


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last ``history_size`` changes of point ``s`` and gradient ``y``.

    With ``g`` the gradient of all parameters as one vector::

        d = -H g,    H the BFGS approximation of the inverse Hessian: the two-loop recursion over the pairs (s, y),
                     from H0 = (s.y / y.y) I of the last pair; pairs with s.y <= 1e-10 are left out
        p = p + t d

    where ``t`` is ``lr`` (at the very first step ``min(1, 1 / sum|g|) * lr``), or with
    ``line_search_fn="strong_wolfe"`` a step that satisfies the strong Wolfe conditions ``f(p + t d) <= f + 1e-4 t g.d``
    and ``|g(p + t d).d| <= 0.9 |g.d|``, found by bracketing and cubic interpolation. Nocedal and Wright, "Numerical
    Optimization", algorithms 7.4, 3.5 and 3.6; Schmidt's minFunc.

    Args:
        params: tensors, in a single group; those without gradient count as having a gradient of 0.
        lr: a finite number >= 0.
        max_iter, max_eval: iterations and evaluations of the closure in one :meth:`step` (``max_iter * 5 // 4``).
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when no parameter, or the loss, changes by more.
        history_size: pairs to keep.
        line_search_fn: ``"strong_wolfe"`` or None.

    The state is that of the first parameter, as in PyTorch: ``d``, ``t``, ``old_dirs`` (y), ``old_stps`` (s), ``ro``,
    ``H_diag``, ``al``, ``prev_flat_grad``, ``prev_loss``, ``n_iter``, ``func_evals``.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        require(not self.param_groups, "LBFGS doesn't support per-parameter options (parameter groups)")
        super().add_param_group(param_group)

    def _validate(self, group: dict[str, Any]) -> None:
        require(finite(group["lr"]), f"Invalid learning rate: {group['lr']}")
        require(group["history_size"] >= 1, f"Invalid history_size value: {group['history_size']}")
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported, got line_search_fn={group['line_search_fn']!r}")

    def step(self, closure: Closure | None = None) -> Any:
        """Iterate until a limit or tolerance is reached; returns what ``closure`` returned first.

        ``closure`` clears the gradients, computes the loss, calls ``backward`` and returns the loss; it is called once
        and more.
        """
        if closure is None:
            raise TypeError("LBFGS.step needs a closure that computes the loss and its gradient anew")
        with np.errstate(all="ignore"):  # an overflow shows in the numbers, as in PyTorch
            return self._iterate(closure)

    def _iterate(self, closure: Closure) -> Any:
        group = self.param_groups[0]
        max_iter, max_eval, lr = group["max_iter"], group["max_eval"], float(group["lr"])
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = self._evaluate(closure)
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        g = self._gradient()
        if max_iter < 1 or _largest(g) <= group["tolerance_grad"]:
            return first_loss
        memory = _Memory(state, group["history_size"])
        d, t, last_g, last_loss = memory.d, memory.t, memory.last_g, memory.last_loss

        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            fresh = state["n_iter"] == 1
            if fresh:
                d = -g
                memory.forget()
            else:
                memory.add(g - last_g, d * t)
                d = memory.direction(g)
            last_g, last_loss = g.copy(), loss
            t = min(1.0, 1.0 / np.abs(g).sum()) * lr if fresh else lr
            slope = g.dot(d)
            if slope > -group["tolerance_change"]:
                break

            calls = 0
            if group["line_search_fn"] is not None:
                found, calls = _strong_wolfe(
                    self._along(d, closure), t, d, loss, g, slope, most=max_eval - evaluations
                )  # fmt: skip
                t, loss, g = found.t, found.f, found.g
                self._move(t, d)
            else:
                self._move(t, d)
                if iteration != max_iter:  # after the last, a stochastic closure would be called in vain
                    loss = float(self._evaluate(closure))
                    g = self._gradient()
                    calls = 1
            evaluations += calls
            state["func_evals"] += calls
            if (
                iteration == max_iter
                or evaluations >= max_eval
                or _largest(g) <= group["tolerance_grad"]
                or _largest(d * t) <= group["tolerance_change"]
                or abs(loss - last_loss) < group["tolerance_change"]
            ):
                break
        memory.keep(state, d, t, last_g, last_loss)
        return first_loss

    # --- all parameters as one vector -----------------------------------------------------------------------------

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _gradient(self) -> Vector:
        return np.concatenate(
            [np.zeros(p.numel(), p.dtype) if p.grad is None else p.grad.array.reshape(-1) for p in self._params]
        )

    def _move(self, t: Any, d: Vector) -> None:
        start = 0
        for param in self._params:
            stretch = d[start : start + param.numel()].reshape(param.shape)
            param.array += (stretch * t).astype(param.dtype, copy=False)
            param.bump()
            start += param.numel()

    def _along(self, d: Vector, closure: Closure) -> Callable[[Any], _Point]:
        """Loss and gradient at ``p + t d`` as a function of ``t``; ``p`` comes back after each evaluation."""
        points = [param.array.copy() for param in self._params]

        def evaluate(t: Any) -> _Point:
            self._move(t, d)
            loss = float(self._evaluate(closure))
            g = self._gradient()
            for param, point in zip(self._params, points):
                param.array[...] = point
                param.bump()
            return _Point(t, loss, g, g.dot(d))

        return evaluate

    def _loaded(self, number: Any, entry: dict[str, Any], param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        total = sum(p.numel() for p in self._params)
        loaded = {name: _copy(value, param.dtype) for name, value in entry.items()}
        for name in ("d", "prev_flat_grad", "old_dirs", "old_stps"):
            values = loaded.get(name)
            for value in values if isinstance(values, list) else [values]:
                shape = getattr(value, "shape", None)
                require(
                    value is None or shape == (total,),
                    f"loaded state {name!r} of parameter {number} has shape {tuple(shape or ())}, but the parameters "
                    f"have {total} elements",
                )
        return loaded


class _Memory:
    """The pairs and what else a step hands on to the next, as arrays and numbers."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        self.size = size
        self.y: list[Vector] = _arrays(state.get("old_dirs"))
        self.s: list[Vector] = _arrays(state.get("old_stps"))
        self.ro: list[Any] = [ro[()] for ro in _arrays(state.get("ro"))]
        self.scale: Any = _array(state.get("H_diag"))
        self.al: list[Any] = [None if al is None else _array(al)[()] for al in state.get("al", [None] * size)]
        self.d: Any = _array(state.get("d"))
        self.t: Any = _array(state.get("t"))
        self.last_g: Any = _array(state.get("prev_flat_grad"))
        self.last_loss: Any = state.get("prev_loss")

    def forget(self) -> None:
        self.y, self.s, self.ro, self.scale = [], [], [], 1

    def add(self, y: Vector, s: Vector) -> None:
        ys = y.dot(s)
        if ys > 1e-10:
            if len(self.y) == self.size:
                del self.y[0], self.s[0], self.ro[0]
            self.y.append(y)
            self.s.append(s)
            self.ro.append(1.0 / ys)
            self.scale = ys / y.dot(y)

    def direction(self, g: Vector) -> Vector:
        """-H g by the two-loop recursion."""
        q, pairs = -g, len(self.y)
        for i in reversed(range(pairs)):
            self.al[i] = self.s[i].dot(q) * self.ro[i]
            q -= self.al[i] * self.y[i]
        r: Vector = q * self.scale
        for i in range(pairs):
            r += (self.al[i] - self.y[i].dot(r) * self.ro[i]) * self.s[i]
        return r

    def keep(self, state: dict[str, Any], d: Vector, t: Any, last_g: Vector, last_loss: float) -> None:
        state.update(
            d=from_numpy(d),
            t=float(t),
            old_dirs=[from_numpy(y) for y in self.y],
            old_stps=[from_numpy(s) for s in self.s],
            ro=[tensor(ro) for ro in self.ro],
            H_diag=self.scale if isinstance(self.scale, int) else tensor(self.scale),
            prev_flat_grad=from_numpy(last_g),
            prev_loss=last_loss,
        )
        if state["n_iter"] > 1:
            state["al"] = [None if al is None else tensor(al) for al in self.al]


def _array(value: Any) -> Any:
    return value.array if isinstance(value, Tensor) else value


def _arrays(values: Any) -> list[Any]:
    return [_array(value) for value in values or []]


def _copy(value: Any, dtype: Any) -> Any:
    """A loaded value: tensors and arrays copied in ``dtype``, also in lists; numbers and None as they are."""
    if isinstance(value, (list, tuple)):
        return [_copy(v, dtype) for v in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    array = np.asarray(getattr(value, "array", value))
    require(array.dtype.kind in "fiub", f"a loaded state is no tensor but a {type(value).__name__}")
    return tensor(np.array(array, dtype))


def _largest(x: Vector) -> Any:
    return np.abs(x).max(initial=0.0)


# --- the line search ------------------------------------------------------------------------------------------------


class _Point(NamedTuple):
    """A step size with the loss and gradient there, and the slope along the direction."""

    t: Any
    f: float
    g: Vector
    slope: Any


def _between(one: _Point, other: _Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where the cubic through two points with their slopes is least, limited to ``bounds``."""
    (x1, f1, _, g1), (x2, f2, _, g2) = one, other
    low, high = bounds if bounds is not None else ((x1, x2) if x1 <= x2 else (x2, x1))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = np.sqrt(square)
    if x1 <= x2:
        least = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        least = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(least, low), high)


def _strong_wolfe(
    evaluate: Callable[[Any], _Point],
    t: Any,
    d: Vector,
    f: float,
    g: Vector,
    slope: Any,
    *,
    most: int,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
) -> tuple[_Point, int]:
    """A point that satisfies the strong Wolfe conditions (or the best met), and the evaluations it took."""
    start = last = _Point(0, f, g, slope)
    new = evaluate(t)
    bracket, done, iteration = [start, new], False, 0
    while iteration < most:  # walk until two points bracket a good one, or one is good
        if new.f > f + c1 * new.t * slope or (iteration > 1 and new.f >= last.f):
            bracket = [last, new]
            break
        if abs(new.slope) <= -c2 * slope:
            bracket, done = [new], True
            break
        if new.slope >= 0:
            bracket = [last, new]
            break
        t = _between(last, new, (new.t + 0.01 * (new.t - last.t), new.t * 10))
        last, new = new, evaluate(t)
        iteration += 1
    if iteration == most:
        bracket = [start, new]

    low, high = (0, 1) if bracket[0].f <= bracket[-1].f else (1, 0)
    near = False  # whether the trial before lay close to an end
    while not done and iteration < most:  # then make the bracket smaller
        ends = sorted(point.t for point in bracket)
        if (ends[1] - ends[0]) * _largest(d) < tolerance_change:
            break
        t = _between(bracket[0], bracket[1])
        margin = 0.1 * (ends[1] - ends[0])
        if min(ends[1] - t, t - ends[0]) < margin:
            if near or t >= ends[1] or t <= ends[0]:
                t = ends[1] - margin if abs(t - ends[1]) < abs(t - ends[0]) else ends[0] + margin
                near = False
            else:
                near = True
        else:
            near = False
        new = evaluate(t)
        iteration += 1
        if new.f > f + c1 * t * slope or new.f >= bracket[low].f:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
        else:
            if abs(new.slope) <= -c2 * slope:
                done = True
            elif new.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = new
    return bracket[low], 1 + iteration
