"""Gradients against finite differences: the checker everything in this project stands on.

For a function f and float64 inputs x, the Jacobian J that backward computes row by row is compared with central
differences, entry by entry:

    J[:, i] ~ (f(x + h e_i) - f(x - h e_i)) / 2h

refined by one step of Richardson extrapolation, D = (4 D(h/2) - D(h)) / 3, whose error is O(h^4): that is what lets the
tolerances be 1e-6 (relative) and 1e-8 (absolute) instead of the customary 1e-3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydl.autograd import primitives as _primitives
from tinydl.autograd.engine import grad
from tinydl.devices import beside, on_host


class GradcheckError(RuntimeError):
    """Raised when an analytic gradient disagrees with the numeric one."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-3,
    atol: float = 1e-8,
    rtol: float = 1e-6,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of ``func`` at ``inputs`` with central differences.

    func
        Takes the inputs, returns a Tensor or a tuple of them (integer results are ignored).
    inputs
        A tensor or a tuple; those with ``requires_grad`` are checked and must be float64.
    eps
        Step h (scaled by max(1, |x_i|)).

    Returns True, or raises :class:`GradcheckError` naming input, entry, analytic and numeric value (returns False with
    ``raise_exception=False``). Raises ValueError when no input requires a gradient or one is not float64.
    """
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    xs = [inputs] if isinstance(inputs, tensor) else list(inputs)
    checked = [i for i, x in enumerate(xs) if isinstance(x, tensor) and x.requires_grad]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them have "
            "requires_grad=True."
        )
    for i in checked:
        if xs[i].dtype != np.float64:
            raise ValueError(
                f"gradcheck: input {i} is {xs[i].dtype}, but finite differences need float64; convert it with .double()"
            )
    try:
        _check(func, xs, checked, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-3,
    atol: float = 1e-7,
    rtol: float = 1e-5,
    raise_exception: bool = True,
) -> bool:
    """Compare second derivatives of ``func`` with central differences of its first (recorded) gradients.

    ``grad_outputs`` are the weights v of the vector-Jacobian product that is differentiated once more (random, fixed,
    by
    default); they are checked inputs themselves. Arguments and errors as :func:`gradcheck`.
    """
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    xs = [inputs] if isinstance(inputs, tensor) else list(inputs)
    checked = [i for i, x in enumerate(xs) if isinstance(x, tensor) and x.requires_grad]
    outs = _floating(func(*xs))
    if grad_outputs is None:
        draw = np.random.default_rng(7)
        vs = [
            tensor._wrap(
                beside(draw.uniform(0.5, 1.5, o.shape) * draw.choice([-1.0, 1.0], o.shape), o.array), requires_grad=True
            )
            for o in outs
        ]
    else:
        vs = [grad_outputs] if isinstance(grad_outputs, tensor) else list(grad_outputs)

    def first(*args: Any) -> tuple[Any, ...]:
        ins, weights = args[: len(xs)], args[len(xs) :]
        ys = _floating(func(*ins))
        kept = [(y, v) for y, v in zip(ys, weights) if y.requires_grad]
        found = grad(
            [y for y, _ in kept], [ins[i] for i in checked], [v for _, v in kept], create_graph=True, allow_unused=True
        )
        return tuple(d for d in found if d is not None)

    return gradcheck(first, tuple(xs) + tuple(vs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)


def _floating(out: Any) -> list[Any]:
    return [o for o in (out if isinstance(out, (tuple, list)) else (out,)) if o is not None and o.dtype.kind == "f"]


def _check(
    func: Callable[..., Any], xs: Sequence[Any], checked: list[int], eps: float, atol: float, rtol: float
) -> None:
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    outs = _floating(func(*xs))
    # Numeric first: functions of plain copies, so that neither side can see the other's arrays.
    base = [np.array(on_host(x.array)) if isinstance(x, tensor) else x for x in xs]

    def at(i: int, flat: int, delta: float) -> list[np.ndarray[Any, Any]]:
        args = []
        for k, x in enumerate(xs):
            if not isinstance(x, tensor):
                args.append(x)
                continue
            array = base[k].copy()
            if k == i:
                array.reshape(-1)[flat] += delta
            t = tensor._wrap(beside(array, x.array))
            t.requires_grad = x.requires_grad  # the function may differentiate inside
            args.append(t)
        return [np.array(on_host(o.array), copy=True) for o in _floating(func(*args))]

    numeric: dict[tuple[int, int], list[np.ndarray[Any, Any]]] = {}
    for i in checked:
        for f in range(base[i].size):
            h = eps * max(1.0, abs(float(base[i].reshape(-1)[f])))

            def central(h: float, i: int = i, f: int = f) -> list[np.ndarray[Any, Any]]:
                return [(p - m) / (2 * h) for p, m in zip(at(i, f, h), at(i, f, -h))]

            numeric[i, f] = [(4 * fine - coarse) / 3 for fine, coarse in zip(central(h / 2), central(h))]

    for k, o in enumerate(outs):
        size = int(np.prod(o.shape))
        for row in range(size):
            seed = np.zeros(o.shape)
            seed.reshape(-1)[row] = 1.0
            if o.requires_grad:
                one = tensor._wrap(beside(seed, o.array))
                found = grad(o, [xs[i] for i in checked], one, retain_graph=True, allow_unused=True)
            else:
                found = (None,) * len(checked)
            for i, d in zip(checked, found):
                analytic = np.zeros(base[i].size) if d is None else on_host(d.array).reshape(-1)
                for f in range(base[i].size):
                    n = float(numeric[i, f][k].reshape(-1)[row])
                    a = float(analytic[f])
                    if not abs(a - n) <= atol + rtol * abs(n):
                        raise GradcheckError(
                            f"gradient of output {k}{_index(row, o.shape)} with respect to input "
                            f"{i}{_index(f, base[i].shape)}: "
                            f"analytic {a!r}, numeric {n!r}"
                        )
        if size == 0 and o.requires_grad:  # nothing to compare, but backward must run
            none = tensor._wrap(np.zeros_like(o.array))
            grad(o, [xs[i] for i in checked], none, retain_graph=True, allow_unused=True)
    if not outs:
        raise GradcheckError("the function returned no floating-point tensor; gradcheck has nothing to compare")


def _index(flat: int, shape: tuple[int, ...]) -> str:
    return str([int(i) for i in np.unravel_index(flat, shape)]) if shape else ""


__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]
