"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.creation import from_numpy
from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, finite, require


class Adagrad(FusedOptimizer):
    """Steps divided by the root of the sum of all squared gradients: what has moved much moves less.

    With ``g`` the gradient (negated to ``maximize``) and ``t`` the number of the parameter's step, from 1::

        d = g + weight_decay * p
        v = v + d**2                                            (v begins at initial_accumulator_value)
        p = p - lr / (1 + (t - 1) * lr_decay) * d / (sqrt(v) + eps)

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12,
    2011.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, lr_decay, weight_decay, initial_accumulator_value, eps: finite numbers >= 0.
        maximize: ascend instead.
        foreach, differentiable, fused: PyTorch's; every step is one fused kernel here, and ``differentiable=True`` is
            refused.

    ``state[p]``, there before the first step: ``step`` (0-d float32) and ``sum`` (v), with the shape and dtype of
    ``p``. From the first step on they are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "adagrad_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:  # PyTorch's begins with state; for a group added later it comes with a gradient
            for param in group["params"]:
                first = np.full(param.shape, initial_accumulator_value, param.dtype)
                self.state[param] = {"step": from_numpy(np.zeros((), np.float32)), "sum": from_numpy(first)}

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        require(finite(group["lr_decay"]), f"Invalid lr_decay value: {group['lr_decay']}")
        first = group["initial_accumulator_value"]
        require(finite(first), f"Invalid initial_accumulator_value value: {first}")
        require(finite(group["eps"]), f"Invalid epsilon value: {group['eps']}")

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("sum",)

    def _initial(self, group: dict[str, Any]) -> dict[str, float]:
        return {"sum": self.defaults["initial_accumulator_value"]}

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), group["lr_decay"], group["eps"], group["weight_decay"], sign
