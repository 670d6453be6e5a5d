"""Rprop."""

from __future__ import annotations

from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Params, require


class Rprop(FusedOptimizer):
    """Resilient backpropagation: only the signs of the gradient count. For full batches.

    With ``g`` the gradient (negated to ``maximize``) and ``b`` the one before::

        e = e * (etas[1] if g * b > 0, etas[0] if g * b < 0, else 1), limited to step_sizes       (e begins at lr)
        b = 0 if g * b < 0, else g
        p = p - sign(b) * e

    Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning", ICNN 1993.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr: the first step size, a finite number >= 0; later changes of it have no effect.
        etas: the factors ``0 < etas[0] < 1 < etas[1]``.
        step_sizes: the least and the largest step.
        maximize: ascend instead.
        capturable, foreach, differentiable: PyTorch's; every step is one fused kernel here, and
            ``differentiable=True`` is refused.

    ``state[p]``: ``step`` (0-d float32), ``prev`` (b) and ``step_size`` (e), with the shape and dtype of ``p``. They
    are views of the optimizer's memory: write into them, do not replace them.
    """

    _op = "rprop_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        shrink, grow = group["etas"]
        require(0 < shrink < 1 < grow, f"Invalid eta values: {shrink}, {grow}")
        least, most = group["step_sizes"]
        require(0 <= least <= most, f"Invalid step_sizes values: {least}, {most}")

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("prev", "step_size")

    def _initial(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step_size": float(group["lr"])}

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        return (*group["etas"], *group["step_sizes"], -1.0 if group["maximize"] else 1.0)
