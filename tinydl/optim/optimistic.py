"""Optimistic mirror descent and optimistic Adam, for games: two players whose losses oppose each other."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, check_moments


class OMD(FusedOptimizer):
    """Optimistic mirror descent with the Euclidean mirror map: gradient descent that expects the last gradient again.

    With ``g`` the gradient (negated to ``maximize``) and ``b`` the one before, 0 at first::

        p = p - 2 * lr * g + lr * b

    In the game ``min_x max_y x * y`` plain gradient steps circle outwards; these come to rest at (0, 0). Daskalakis,
    Ilyas, Syrgkanis and Zeng, "Training GANs with Optimism", ICLR 2018, arXiv:1711.00141.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr: a finite number >= 0.
        maximize: ascend instead.

    ``state[p]``: ``step`` (0-d float32) and ``prev`` (b), with the shape and dtype of ``p``. They are views of the
    optimizer's memory: write into them, do not replace them.
    """

    _op = "omd_"

    def __init__(self, params: Params, lr: float = 1e-2, *, maximize: bool = False) -> None:
        super().__init__(params, {"lr": lr, "maximize": maximize})

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("prev",)

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        return float(group["lr"]), -1.0 if group["maximize"] else 1.0


class OptimisticAdam(FusedOptimizer):
    """Adam that takes twice the present step and takes back the last: optimistic Adam.

    With ``g`` the gradient (negated to ``maximize``), ``t`` the number of the parameter's step, from 1, and ``b`` the
    step before, 0 at first::

        d = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * d
        v = beta2 * v + (1 - beta2) * d**2
        y = m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)
        p = p - 2 * lr * y + lr * b
        b = y

    Daskalakis, Ilyas, Syrgkanis and Zeng, "Training GANs with Optimism", ICLR 2018, arXiv:1711.00141, algorithm 1.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay: finite numbers >= 0.
        betas: two numbers in [0, 1).
        maximize: ascend instead.

    ``state[p]``: ``step`` (0-d float32), ``exp_avg`` (m), ``exp_avg_sq`` (v) and ``prev_step`` (b), with the shape and
    dtype of ``p``. They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "optimistic_adam_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        )

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        check_moments(group)

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq", "prev_step")

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), beta1, beta2, group["eps"], group["weight_decay"], sign
