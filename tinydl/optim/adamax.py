"""Adamax."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, check_moments


class Adamax(FusedOptimizer):
    """Adam with the largest gradient of late, decaying, in place of the running mean of squares.

    With ``g`` the gradient (negated to ``maximize``) and ``t`` the number of the parameter's step, from 1::

        d = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * d
        u = max(beta2 * u, |d| + eps)
        p = p - lr / (1 - beta1**t) * m / u

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, section 7.1.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay: finite numbers >= 0.
        betas: two numbers in [0, 1).
        maximize: ascend instead.
        foreach, differentiable, capturable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step`` (0-d float32), ``exp_avg`` (m) and ``exp_inf`` (u), with the shape and dtype of ``p``.
    They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "adamax_"

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        check_moments(group)

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_inf")

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), beta1, beta2, group["eps"], group["weight_decay"], sign
