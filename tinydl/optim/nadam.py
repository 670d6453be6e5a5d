"""NAdam."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, check_moments, finite, require


class NAdam(FusedOptimizer):
    """Adam that looks ahead as Nesterov's momentum does, with a momentum that warms up.

    With ``g`` the gradient (negated to ``maximize``) and ``t`` the number of the parameter's step, from 1::

        mu(t) = beta1 * (1 - 0.96**(t * momentum_decay) / 2)
        c = c * mu(t)                                                           (c begins at 1)
        d = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * d
        v = beta2 * v + (1 - beta2) * d**2
        q = sqrt(v / (1 - beta2**t)) + eps
        p = p - lr * (1 - mu(t)) / (1 - c) * d / q - lr * mu(t + 1) / (1 - c * mu(t + 1)) * m / q

    Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay, momentum_decay: finite numbers >= 0.
        betas: two numbers in [0, 1).
        decoupled_weight_decay: shrink ``p`` by ``1 - lr * weight_decay`` instead of adding to ``g``.
        maximize: ascend instead.
        foreach, capturable, differentiable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step`` and ``mu_product`` (c), 0-d float32; ``exp_avg`` (m) and ``exp_avg_sq`` (v), with the shape
    and dtype of ``p``. They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "nadam_"
    _numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        check_moments(group)
        require(finite(group["momentum_decay"]), f"Invalid momentum_decay value: {group['momentum_decay']}")

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _initial(self, group: dict[str, Any]) -> dict[str, float]:
        return {"mu_product": 1.0}

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay = group["weight_decay"]
        l2, decoupled = (0.0, decay) if group["decoupled_weight_decay"] else (decay, 0.0)
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), beta1, beta2, group["eps"], l2, decoupled, group["momentum_decay"], sign
