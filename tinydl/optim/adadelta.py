"""Adadelta."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, finite, require


class Adadelta(FusedOptimizer):
    """Steps in the unit of the parameter: a running size of the steps over a running size of the gradients.

    With ``g`` the gradient (negated to ``maximize``)::

        d = g + weight_decay * p
        v = rho * v + (1 - rho) * d**2
        y = sqrt(u + eps) / sqrt(v + eps) * d
        u = rho * u + (1 - rho) * y**2
        p = p - lr * y

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701, 2012.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay: finite numbers >= 0.
        rho: in [0, 1].
        maximize: ascend instead.
        foreach, capturable, differentiable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step`` (0-d float32), ``square_avg`` (v) and ``acc_delta`` (u), with the shape and dtype of ``p``.
    They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "adadelta_"

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        require(0 <= group["rho"] <= 1, f"Invalid rho value: {group['rho']}")
        require(finite(group["eps"]), f"Invalid epsilon value: {group['eps']}")

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("square_avg", "acc_delta")

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), group["rho"], group["eps"], group["weight_decay"], sign
