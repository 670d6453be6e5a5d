"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, check_moments


class Adam(FusedOptimizer):
    """Steps scaled by running moments of the gradient.

    With ``g`` the gradient (negated to ``maximize``) and ``t`` the number of the parameter's step, from 1::

        d = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * d
        v = beta2 * v + (1 - beta2) * d**2
        p = p - lr / (1 - beta1**t) * m / (sqrt(v / (1 - beta2**t)) + eps)

    With ``amsgrad`` the largest ``v`` so far stands in the last line. Kingma and Ba, "Adam: A Method for Stochastic
    Optimization", ICLR 2015; Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps, weight_decay: finite numbers >= 0.
        betas: two numbers in [0, 1).
        amsgrad, maximize: see above.
        foreach, capturable, differentiable, fused: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.
        decoupled_weight_decay: shrink ``p`` by ``1 - lr * weight_decay`` instead of adding to ``g``: AdamW.

    ``state[p]``: ``step`` (0-d float32), ``exp_avg`` (m), ``exp_avg_sq`` (v) and with amsgrad ``max_exp_avg_sq``, with
    the shape and dtype of ``p``. They are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "adam_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        check_moments(group)

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        decay = group["weight_decay"]
        l2, decoupled = (0.0, decay) if group["decoupled_weight_decay"] else (decay, 0.0)
        sign = -1.0 if group["maximize"] else 1.0
        return float(group["lr"]), beta1, beta2, group["eps"], l2, decoupled, sign, group["amsgrad"]


class AdamW(Adam):
    """Adam with the weight decay taken out of the moments: ``p`` first shrinks by ``1 - lr * weight_decay``.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. Arguments and state as :class:`Adam`,
    with ``weight_decay=1e-2``.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As :meth:`Optimizer.load_state_dict`; a state of Adam's does not turn AdamW into Adam."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
