"""Stochastic gradient descent, with momentum and Nesterov's variant."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, finite, require


class SGD(FusedOptimizer):
    """``p = p - lr * d``, where ``d`` is the gradient, or with momentum a running sum of gradients.

    With ``g`` the gradient (negated to ``maximize``)::

        d = g + weight_decay * p
        b = momentum * b + (1 - dampening) * d          (b = d at the first step)
        p = p - lr * (d + momentum * b if nesterov else b)

    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, momentum, dampening, weight_decay: numbers >= 0; ``dampening`` may be any finite number.
        nesterov: needs ``momentum > 0`` and ``dampening == 0``.
        maximize: ascend instead.
        foreach, differentiable, fused: PyTorch's; every step is one fused kernel here, and ``differentiable=True`` is
            refused.

    ``state[p]``: ``momentum_buffer``, with the shape and dtype of ``p``, if ``momentum`` is not 0.
    """

    _op = "sgd_"
    _numbers = (None,)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        momentum, dampening = group["momentum"], group["dampening"]
        require(finite(momentum), f"Invalid momentum value: {momentum}")
        require(finite(abs(dampening)), f"Invalid dampening value: {dampening}")
        require(
            not group["nesterov"] or (momentum > 0 and dampening == 0),
            "Nesterov momentum requires a momentum and zero dampening",
        )

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("momentum_buffer" if group["momentum"] != 0 else None,)

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        return (
            float(group["lr"]), group["momentum"], group["dampening"], group["weight_decay"], group["nesterov"], sign,
        )  # fmt: skip
