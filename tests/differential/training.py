"""Rows of initial values and helpers on parameters; what draws, and optimizers, have tests of their own."""

from __future__ import annotations

from typing import Any

from tests.differential.rows import draw, row

GAINS = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
         "sigmoid", "tanh", "relu", "leaky_relu", "selu"]  # fmt: skip
for _name in GAINS:
    row("nn.init.calculate_gain", _name)
row("nn.init.calculate_gain", "leaky_relu", 0.3)
row("nn.init.calculate_gain", "leaky_relu", 2)


def _filled(name: str, *shape: int, **options: Any) -> None:
    """A row of a fill that draws nothing: the result is the very tensor that came in."""

    def call(t: Any, x: Any) -> Any:
        fill = getattr(t.nn.init, name)
        x = x.detach().clone()
        result = fill(x, **options)
        return result, result is x

    row(f"nn.init.{name}", draw(*shape), call=call, grad=False)


_filled("constant_", 2, 3, val=-1.5)
_filled("constant_", val=2.0)
_filled("constant_", 0, 3, val=2.0)
_filled("ones_", 2, 3)
_filled("zeros_", 4)
_filled("eye_", 3, 5)
_filled("eye_", 5, 3)
_filled("eye_", 0, 2)
_filled("dirac_", 4, 3, 5)
_filled("dirac_", 2, 3, 4, 3)
_filled("dirac_", 3, 2, 3, 2, 1)
_filled("dirac_", 6, 4, 3, groups=3)
_filled("dirac_", 6, 1, 3, groups=2)

row("nn.utils.parameters_to_vector", draw(2, 3), draw(4), draw(), call=lambda t, *x: t.nn.utils.parameters_to_vector(x))
row("nn.utils.parameters_to_vector", draw(2, 0), draw(1), call=lambda t, *x: t.nn.utils.parameters_to_vector(x))


def _from_vector(t: Any, vector: Any) -> Any:
    params = [t.zeros(2, 2, dtype=vector.dtype), t.zeros(3, dtype=vector.dtype), t.zeros((), dtype=vector.dtype)]
    t.nn.utils.vector_to_parameters(vector, params)
    return params


row("nn.utils.vector_to_parameters", draw(8), call=_from_vector, grad=False)


def _norm(**options: Any) -> None:
    row(
        "nn.utils.get_total_norm", draw(3, 4), draw(5), draw(), grad=False,
        call=lambda t, *x: t.nn.utils.get_total_norm(x, **options),
    )  # fmt: skip


for _p in (2.0, 1.0, 3.5, float("inf"), 2):
    _norm(norm_type=_p)
row("nn.utils.get_total_norm", draw(2, 3), call=lambda t, x: t.nn.utils.get_total_norm(x), grad=False)
row("nn.utils.get_total_norm", call=lambda t: t.nn.utils.get_total_norm([]), note="nothing")


def _clipped(name: str, *options: Any, missing: bool = False) -> None:
    """Gradients after a clipping, and what it returned."""

    def call(t: Any, *gradients: Any) -> Any:
        params = [t.zeros_like(g).requires_grad_() for g in gradients]
        for param, gradient in zip(params, gradients):
            param.grad = gradient.detach().clone()
        if missing:
            params[1].grad = None
        result = getattr(t.nn.utils, name)(params, *(o(t) if callable(o) else o for o in options))
        return [result, *(param.grad for param in params)]

    row(f"nn.utils.{name}", draw(3, 4), draw(5), draw(), call=call, grad=False)


for _bound in (0.5, 1e6):
    for _p in (2.0, 1.0, 3.5, float("inf")):
        _clipped("clip_grad_norm_", _bound, _p)
_clipped("clip_grad_norm_", 0.5, missing=True)
_clipped("clip_grads_with_norm_", 0.5, lambda t: t.tensor(2.0))
_clipped("clip_grads_with_norm_", 3.0, lambda t: t.tensor(2.0))
_clipped("clip_grad_value_", 0.4)
_clipped("clip_grad_value_", 100, missing=True)
