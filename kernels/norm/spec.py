"""Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) over the last dimension of [N, D].

``layer_norm_forward(x, weight, bias, eps) -> (y, mean, rstd)``
    With the mean and the (biased) variance of each row::

        mean = sum_d x_d / D        rstd = 1 / sqrt(sum_d (x_d - mean)^2 / D + eps)
        h = (x - mean) * rstd       y = h * weight + bias

    ``x`` [N, D]; ``weight``, ``bias`` [D] or None (one, zero); ``mean``, ``rstd`` [N] of x's dtype.

``layer_norm_backward(g, x, weight, mean, rstd) -> (dx, dweight, dbias)``
    With q = g * weight. Since h depends on x through mean and rstd, whose derivatives are dmean/dx_d = 1 / D and
    drstd/dx_d = -rstd^2 h_d / D::

        dx = rstd * (q - mean_d(q) - h * mean_d(q * h))        dweight = sum_n g * h        dbias = sum_n g

The variance is taken about the mean, in a second pass: sum x^2 - mean^2 would cancel when the mean is large.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels.registry import register

Array = NDArray[Any]

# Against the float64 reference, relative to the largest value; dweight sums over up to a thousand rows.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}


@register(op="layer_norm_forward", name="numpy")
def layer_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise rows; see the head of the file."""
    with np.errstate(divide="ignore", invalid="ignore"):  # D = 0: rows of nothing
        mean = x.mean(axis=1) if x.shape[1] else np.zeros(len(x), x.dtype)
        centred = x - mean[:, None]
        variance = np.square(centred).mean(axis=1) if x.shape[1] else np.zeros(len(x), x.dtype)
    rstd = (1 / np.sqrt(variance + x.dtype.type(eps))).astype(x.dtype, copy=False)
    y = centred * rstd[:, None]
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y, mean, rstd


@register(op="layer_norm_backward", name="numpy")
def layer_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, rstd: Array
) -> tuple[Array, Array, Array]:
    """Gradients of the sum of ``g * y``; see the head of the file."""
    h = (x - mean[:, None]) * rstd[:, None]
    q = g if weight is None else g * weight
    dimension = x.dtype.type(max(x.shape[1], 1))
    means = q.sum(axis=1, keepdims=True) / dimension, (q * h).sum(axis=1, keepdims=True) / dimension
    dx = (q - means[0] - h * means[1]) * rstd[:, None]
    return dx, (g * h).sum(axis=0), g.sum(axis=0)


def flops(x: Array, *_: Any) -> int:
    """Forward 7 an element, backward 13; this is the sum."""
    return 20 * x.size


def bytes(x: Array, *_: Any) -> int:
    """Forward reads x and writes y; backward reads x and g and writes dx."""
    return 5 * x.nbytes


def samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """Arguments of ``layer_norm_forward``: no rows, one column, odd and large sizes, a large mean, no affine part."""
    rng = np.random.default_rng(2)
    for rows, columns in ((0, 4), (1, 1), (3, 7), (33, 64), (130, 257), (1024, 256)):
        x = rng.standard_normal((rows, columns)).astype(dtype)
        weight, bias = rng.standard_normal((2, columns)).astype(dtype)
        yield x, weight, bias, 1e-5
        yield x[:, ::-1] + dtype(100), None, None, 1e-3
        yield x, weight, None, 1e-5
