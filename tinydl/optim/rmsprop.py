"""RMSprop."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, finite, require


class RMSprop(FusedOptimizer):
    """Steps divided by a running root mean square of the gradient.

    With ``g`` the gradient (negated to ``maximize``)::

        d = g + weight_decay * p
        v = alpha * v + (1 - alpha) * d**2
        a = alpha * a + (1 - alpha) * d                                   (if centered)
        u = d / (sqrt(v - a**2 if centered else v) + eps)
        b = momentum * b + u                                              (if momentum)
        p = p - lr * (b if momentum else u)

    Tieleman and Hinton, "Neural Networks for Machine Learning", lecture 6.5, 2012; centered: Graves, "Generating
    Sequences with Recurrent Neural Networks", arXiv:1308.0850, 2013.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay, momentum: finite numbers >= 0.
        alpha: in [0, 1).
        centered, maximize: see above.
        capturable, foreach, differentiable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step`` (0-d float32), ``square_avg`` (v), ``momentum_buffer`` (b), ``grad_avg`` (a), with the shape
    and dtype of ``p``. They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "rmsprop_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        require(finite(group["eps"]), f"Invalid epsilon value: {group['eps']}")
        require(finite(group["momentum"]), f"Invalid momentum value: {group['momentum']}")
        require(finite(group["alpha"], below=1.0), f"Invalid alpha value: {group['alpha']}")

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return (
            "square_avg",
            "grad_avg" if group["centered"] else None,
            "momentum_buffer" if group["momentum"] != 0 else None,
        )

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        return (
            float(group["lr"]), group["alpha"], group["eps"], group["momentum"], group["weight_decay"],
            group["centered"], sign,
        )  # fmt: skip
