"""NADE as a fused operation: the likelihood of binary frames, a state for each note instead of one for each pitch.

The equations and the papers stand on the card, :mod:`tinydl.kernels.nade.spec`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.elementwise import sigmoid, softplus, where
from tinydl.ops.losses import plain
from tinydl.ops.reducing import reduce_sum
from tinydl.ops.shaping import stack

_NADE_BACKWARD = by_dtype("nade_backward")
_NADE_FORWARD = by_dtype("nade_forward")
_NADE_SAMPLE = by_dtype("nade_sample")


def nade_definition(x: Any, b: Any, c: Any, w: Any, v: Any) -> Any:
    """log p(x) = -sum_i softplus(-z_i if x_i else z_i), z_i = b_i + V_i . h_i, h_i = sigmoid(c + sum_{j<i} x_j W_j):
    as it stands in the paper, one pitch after another (Larochelle and Murray, AISTATS 2011)."""
    x = plain(x)
    log_prob, a = [], c
    for i in range(x.shape[1]):
        z = b[:, i] + reduce_sum(sigmoid(a) * v[i], axis=1, keepdims=False)
        log_prob.append(-softplus(where(x[:, i], -z, z)))
        a = a + where(x[:, i, None], w[i], np.zeros((), w.dtype))
    return reduce_sum(stack(log_prob), axis=0, keepdims=False)


def _gradients(
    needs: tuple[bool, ...], g: Any, x: Any, b: Any, c: Any, w: Any, v: Any, slope: Any
) -> tuple[Any, ...]:  # fmt: skip
    backward = _NADE_BACKWARD[b.dtype]
    return (None, *backward(g, x, b, c, w, v, slope, needs[1:]))


@primitive(
    outputs=("log_prob", "slope"), aux=("slope",), composite=nade_definition, joint=_gradients, constants="x"
)  # fmt: skip
def nade(x: Any, b: Any, c: Any, w: Any, v: Any) -> Any:
    """log p of frames x, bool [N, P]; b [N, P], c [N, D], w and v [P, D] of one dtype -> [N]."""
    return _NADE_FORWARD[b.dtype](x, b, c, w, v)


@primitive(differentiable=False)
def nade_sample(u: Any, b: Any, c: Any, w: Any, v: Any, *, temperature: Any, sounding: Any) -> Any:
    """Frames x, bool [N, P], drawn with uniform numbers u, float64 [N, P]; ``sounding`` bool [N]: not a silent one."""
    return _NADE_SAMPLE[b.dtype](u, b, c, w, v, temperature, sounding)
