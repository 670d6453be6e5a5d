"""RAdam."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, check_moments


class RAdam(FusedOptimizer):
    """Adam whose first steps, when the mean of squares is that of few gradients, are not divided by it.

    With ``g`` the gradient (negated to ``maximize``) and ``t`` the number of the parameter's step, from 1::

        d = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * d
        v = beta2 * v + (1 - beta2) * d**2
        L = 2 / (1 - beta2) - 1                                    (how many gradients v averages in the end)
        l = L - 2 * t * beta2**t / (1 - beta2**t)                  (and now)
        r = sqrt((l - 4) * (l - 2) * L / ((L - 4) * (L - 2) * l))
        y = r * sqrt(1 - beta2**t) / (sqrt(v) + eps) if l > 5, else 1
        p = p - lr * m / (1 - beta1**t) * y

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay: finite numbers >= 0.
        betas: two numbers in [0, 1).
        decoupled_weight_decay: shrink ``p`` by ``1 - lr * weight_decay`` instead of adding to ``g``.
        maximize: ascend instead.
        foreach, capturable, differentiable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step`` (0-d float32), ``exp_avg`` (m) and ``exp_avg_sq`` (v), with the shape and dtype of ``p``.
    They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "radam_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        check_moments(group)

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay = group["weight_decay"]
        l2, decoupled = (0.0, decay) if group["decoupled_weight_decay"] else (decay, 0.0)
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), beta1, beta2, group["eps"], l2, decoupled, sign
