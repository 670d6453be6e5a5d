"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params


class ASGD(FusedOptimizer):
    """Gradient descent with a decaying rate that keeps the average of its path, which is the better answer.

    With ``g`` the gradient (negated to ``maximize``) and ``t`` the number of the parameter's step, from 1::

        d = g + weight_decay * p
        p = (1 - lambd * eta) * p - eta * d                                     (eta begins at lr)
        a = p if mu == 1, else a + mu * (p - a)                                 (mu begins at 1)
        eta = lr / (1 + lambd * lr * t)**alpha
        mu = 1 / max(1, t - t0)

    The average ``a`` is ``state[p]["ax"]``; it begins at step ``t0``. Polyak and Juditsky, "Acceleration of Stochastic
    Approximation by Averaging", SIAM Journal on Control and Optimization 30, 1992.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, weight_decay: finite numbers >= 0.
        lambd, alpha, t0: numbers, see above.
        maximize: ascend instead.
        foreach, differentiable, capturable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step``, ``eta`` and ``mu``, 0-d float32; ``ax`` (a), with the shape and dtype of ``p``. They are
    views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "asgd_"
    _numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("ax",)

    def _initial(self, group: dict[str, Any]) -> dict[str, float]:
        return {"eta": float(group["lr"]), "mu": 1.0}

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        return (
            float(group["lr"]), group["lambd"], group["alpha"], group["t0"], group["weight_decay"], sign,
        )  # fmt: skip
