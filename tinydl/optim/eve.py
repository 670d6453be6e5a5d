"""Eve: Adam with feedback from the loss."""

from __future__ import annotations

import math
from typing import Any

from tinydl.optim.fused import FusedOptimizer
from tinydl.optim.optimizer import Closure, Params, check_moments, finite, require


class Eve(FusedOptimizer):
    """Adam whose rate for all parameters is divided by how much the loss changes from step to step.

    With ``f`` the loss of this step and ``F`` its smoothed value before (at the first step ``F = f`` and ``d = 1``)::

        c = f / F, limited to [1 + k, 1 + K] if f >= F, else to [1 / (1 + K), 1 / (1 + k)]
        r = |c * F - F| / min(c * F, F)
        d = beta3 * d + (1 - beta3) * r
        F = c * F
        p = p - lr * m' / (d * sqrt(v') + eps)

    ``m'`` and ``v'`` are Adam's moments with their bias corrected. A loss that jumps makes steps small, one that hardly
    moves lets them grow. Koushik and Hayashi, "Improving Stochastic Gradient Descent with Feedback", 2016,
    arXiv:1611.01505v1.

    Args:
        params: tensors or groups, see :class:`tinydl.optim.Optimizer`; float32 or float64.
        lr, eps: finite numbers >= 0.
        betas: three numbers in [0, 1).
        k, K: the limits, ``0 < k < K``.

    :meth:`step` needs the loss, from a closure: ``optimizer.step(lambda: loss)`` after ``loss.backward()``, or
    PyTorch's kind that computes it. Raises ValueError, and changes nothing, unless it is a positive finite number: the
    rule compares losses by their ratio.

    ``state[p]`` is Adam's: ``step`` (0-d float32), ``exp_avg`` (m) and ``exp_avg_sq`` (v); ``d`` and ``F`` stand in
    every group, as ``"d"`` and ``"loss"``, and so in ``state_dict``.
    """

    _op = "adam_"

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.999),
        eps: float = 1e-8,
        k: float = 0.1,
        K: float = 10.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "k": k, "K": K, "d": 1.0, "loss": None})

    def _validate(self, group: dict[str, Any]) -> None:
        super()._validate(group)
        check_moments(group)
        require(len(group["betas"]) == 3, f"Eve needs three betas, got {group['betas']}")
        require(0 < group["k"] < group["K"] < math.inf, f"Invalid limits k and K: {group['k']}, {group['K']}")
        require(finite(group["d"]), f"Invalid d value: {group['d']}")

    def step(self, closure: Closure | None = None) -> Any:
        """One update with the loss that ``closure`` returns, which is given back."""
        if closure is None:
            raise TypeError("Eve.step needs the loss: pass a closure, as in step(lambda: loss)")
        result = self._evaluate(closure)
        loss = float(result)
        require(finite(loss) and loss > 0, f"Eve needs a positive finite loss, got {loss}")
        for group in self.param_groups:
            last = group["loss"]
            if last is None:
                group["loss"] = loss
            else:
                low, high = 1 + group["k"], 1 + group["K"]
                if loss < last:
                    low, high = 1 / high, 1 / low
                group["loss"] = min(max(loss / last, low), high) * last
                change = abs(group["loss"] - last) / min(group["loss"], last)
                beta3 = group["betas"][2]
                group["d"] = beta3 * group["d"] + (1 - beta3) * change
        super().step()
        return result

    def _buffers(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _scalars(self, group: dict[str, Any]) -> tuple[float, ...]:
        # m / (d sqrt(v) + eps) is m / d / (sqrt(v) + eps / d): Adam's step with another rate and eps
        beta1, beta2, _ = group["betas"]
        return float(group["lr"]) / group["d"], beta1, beta2, group["eps"] / group["d"], 0.0, 0.0, 1.0, 0.0
