"""Normalisation: (x - mean) / sqrt(variance + eps), with a weight and a bias.

Layer normalisation (Ba, Kiros and Hinton, arXiv:1607.06450) over the last dimension of [N, D].

``layer_norm_forward(x, weight, bias, eps) -> (y, mean, rstd)``
    With the mean and the (biased) variance of each row::

        mean = sum_d x_d / D        rstd = 1 / sqrt(sum_d (x_d - mean)^2 / D + eps)
        h = (x - mean) * rstd       y = h * weight + bias

    ``x`` [N, D]; ``weight``, ``bias`` [D] or None (one, zero); ``mean``, ``rstd`` [N] of x's dtype.

``layer_norm_backward(g, x, weight, mean, rstd) -> (dx, dweight, dbias)``
    With q = g * weight. Since h depends on x through mean and rstd, whose derivatives are dmean/dx_d = 1 / D and
    drstd/dx_d = -rstd^2 h_d / D::

        dx = rstd * (q - mean_d(q) - h * mean_d(q * h))        dweight = sum_n g * h        dbias = sum_n g

Root mean square normalisation (Zhang and Sennrich, arXiv:1910.07467) over the last dimension of [N, D].

``rms_norm_forward(x, weight, eps) -> (y, scale)``
    scale = 1 / sqrt(sum_d x_d^2 / D + eps) and y = x * scale * weight; ``weight`` [D] or None, ``scale`` [N].

``rms_norm_backward(g, x, weight, scale) -> (dx, dweight)``
    With h = x * scale and q = g * weight: dx = scale * (q - h * mean_d(q * h)), dweight = sum_n g * h.

Batch normalisation (Ioffe and Szegedy, arXiv:1502.03167) of x [B, C, L], each channel over the batch and its L places.

``batch_norm_forward(x, weight, bias, eps) -> (y, mean, variance)``
    As above with the mean and the biased variance over b and l; ``weight``, ``bias``, ``mean``, ``variance`` [C].

``batch_norm_backward(g, x, weight, mean, variance, eps) -> (dx, dweight, dbias)``
    As above with means over b and l in place of those over d.

``fixed_norm_forward(x, mean, variance, weight, bias, eps) -> y``
    The same with the mean and the variance given, running averages of a training that is over.

``fixed_norm_backward(g, x, mean, variance, weight, eps) -> (dx, dweight, dbias)``
    They do not depend on x, so dx is g times the channel's scale.

``moving_average(average, value, momentum, factor) -> r``
    r = (1 - momentum) average + momentum factor value. The factor makes the unbiased variance of the biased one.

Group normalisation (Wu and He, arXiv:1803.08494) of x [B, C, L], G groups of C / G channels each.

``group_norm_forward(x, weight, bias, groups, eps) -> (y, mean, variance)``
    As above with the mean and the variance over the channels of a group and their places; both are [B, G].
    With a group for each channel it is instance normalisation (Ulyanov et al., arXiv:1607.08022).

``group_norm_backward(g, x, weight, mean, variance, groups, eps) -> (dx, dweight, dbias)``
    As above with means over the group.

The variance is taken about the mean, in a second pass: sum x^2 - mean^2 would cancel when the mean is large.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.kernels import rivals
from tinydl.kernels.card import Card, describe
from tinydl.kernels.registry import register

Array = NDArray[Any]
Ints = tuple[int, ...]

# Against the float64 reference, relative to the largest value; dweight sums over up to a thousand rows.
TOLERANCE = {"float32": 5e-6, "float64": 1e-12}


@register(op="layer_norm_forward", name="numpy")
def layer_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise rows; see the head of the file."""
    with np.errstate(divide="ignore", invalid="ignore"):  # D = 0: rows of nothing
        mean = x.mean(axis=1, dtype=np.float64).astype(x.dtype) if x.shape[1] else np.zeros(len(x), x.dtype)
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


@register(op="rms_norm_forward", name="numpy")
def rms_norm_forward(x: Array, weight: Array | None, eps: float) -> tuple[Array, Array]:
    """Scale rows; see the head of the file."""
    power = np.square(x).sum(axis=1) / x.dtype.type(max(x.shape[1], 1))
    scale = (1 / np.sqrt(power + x.dtype.type(eps))).astype(x.dtype, copy=False)
    y = x * scale[:, None]
    return (y if weight is None else y * weight), scale


@register(op="rms_norm_backward", name="numpy")
def rms_norm_backward(g: Array, x: Array, weight: Array | None, scale: Array) -> tuple[Array, Array]:
    """Gradients of the sum of ``g * y``; see the head of the file."""
    h = x * scale[:, None]
    q = g if weight is None else g * weight
    mean = (q * h).sum(axis=1, keepdims=True) / x.dtype.type(max(x.shape[1], 1))
    return (q - h * mean) * scale[:, None], (g * h).sum(axis=0)


@register(op="batch_norm_forward", name="numpy")
def batch_norm_forward(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """Normalise channels; see the head of the file."""
    count = x.dtype.type(max(x.shape[0] * x.shape[2], 1))
    mean = (x.sum(axis=(0, 2), dtype=np.float64) / count).astype(x.dtype)
    centred = x - mean[:, None]
    variance = np.square(centred).sum(axis=(0, 2)) / count
    rstd = (1 / np.sqrt(variance + x.dtype.type(eps))).astype(x.dtype, copy=False)
    y = centred * (rstd if weight is None else rstd * weight)[:, None]
    return (y if bias is None else y + bias[:, None]), mean, variance


@register(op="batch_norm_backward", name="numpy")
def batch_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, variance: Array, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the sum of ``g * y``; see the head of the file."""
    count = x.dtype.type(max(x.shape[0] * x.shape[2], 1))
    rstd = (1 / np.sqrt(variance + x.dtype.type(eps))).astype(x.dtype, copy=False)
    h = (x - mean[:, None]) * rstd[:, None]
    dbias, dweight = g.sum(axis=(0, 2)), (g * h).sum(axis=(0, 2))
    dx = g - (dbias / count)[:, None] - h * (dweight / count)[:, None]
    return dx * (rstd if weight is None else rstd * weight)[:, None], dweight, dbias


def _scale(variance: Array, weight: Array | None, eps: float) -> Array:
    """weight / sqrt(variance + eps), beside the places of each channel."""
    rstd = 1 / np.sqrt(variance + variance.dtype.type(eps))
    scale: Array = rstd if weight is None else rstd * weight
    return scale[:, None]


@register(op="fixed_norm_forward", name="numpy")
def fixed_norm_forward(
    x: Array, mean: Array, variance: Array, weight: Array | None, bias: Array | None, eps: float
) -> Array:
    """Scale and shift channels; see the head of the file."""
    y: Array = (x - mean[:, None]) * _scale(variance, weight, eps)
    return y if bias is None else y + bias[:, None]


@register(op="fixed_norm_backward", name="numpy")
def fixed_norm_backward(
    g: Array, x: Array, mean: Array, variance: Array, weight: Array | None, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the sum of ``g * y``; see the head of the file."""
    h = (x - mean[:, None]) * _scale(variance, None, eps)
    return g * _scale(variance, weight, eps), (g * h).sum(axis=(0, 2)), g.sum(axis=(0, 2))


@register(op="moving_average", name="numpy")
def moving_average(average: Array, value: Array, momentum: float, factor: float) -> Array:
    """See the head of the file."""
    return (1 - momentum) * average + momentum * (factor * value)


@register(op="group_norm_forward", name="numpy")
def group_norm_forward(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Normalise groups of channels; see the head of the file."""
    B, C, L = x.shape
    y, mean, variance = batch_norm_forward(x.reshape(1, B * groups, C // groups * L), None, None, eps)
    y = y.reshape(x.shape)
    if weight is not None:
        y = y * weight[:, None]
    if bias is not None:
        y = y + bias[:, None]
    return y, mean.reshape(B, groups), variance.reshape(B, groups)


@register(op="group_norm_backward", name="numpy")
def group_norm_backward(
    g: Array, x: Array, weight: Array | None, mean: Array, variance: Array, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients of the sum of ``g * y``; see the head of the file."""
    B, C, L = x.shape
    each = 1, B * groups, C // groups * L
    q = g if weight is None else g * weight[:, None]
    dx, _, _ = batch_norm_backward(
        q.reshape(each), x.reshape(each), None, mean.reshape(-1), variance.reshape(-1), eps
    )
    spread = np.repeat(mean, C // groups, axis=1)[:, :, None], np.repeat(variance, C // groups, axis=1)[:, :, None]
    h = (x - spread[0]) / np.sqrt(spread[1] + x.dtype.type(eps))
    return dx.reshape(x.shape), (g * h).sum(axis=(0, 2)), g.sum(axis=(0, 2))


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
        yield x, None, bias, 1e-5


def channel_samples(dtype: Any = np.float64) -> Iterator[tuple[Any, ...]]:
    """(x [B, C, L], weight, bias, groups, eps): one place, one channel, odd sizes, a large mean, no affine part."""
    rng = np.random.default_rng(2)
    for B, C, L, groups in ((4, 6, 1, 2), (1, 1, 5, 1), (3, 4, 7, 4), (2, 8, 129, 2), (0, 4, 3, 2), (16, 12, 400, 3)):
        x = rng.standard_normal((B, C, L)).astype(dtype)
        weight, bias = rng.standard_normal((2, C)).astype(dtype)
        yield x, weight, bias, groups, 1e-5
        yield x[:, :, ::-1] + dtype(100), None, None, groups, 1e-3
        yield x, weight, None, groups, 1e-5
        yield x, None, bias, groups, 1e-5


# -- cards ------------------------------------------------------------------------------------------------------------


def _layer_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, bias, eps = arguments
    y, mean, rstd = layer_norm_forward(x, weight, bias, eps)
    return np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype), x, weight, mean, rstd


def _batch_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, bias, eps = arguments
    y, mean, variance = batch_norm_forward(x, weight, bias, eps)
    return np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype), x, weight, mean, variance, eps


def _group_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, bias, groups, eps = arguments
    y, mean, variance = group_norm_forward(x, weight, bias, groups, eps)
    return np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype), x, weight, mean, variance, groups, eps


def _rms_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, eps = arguments
    y, scale = rms_norm_forward(x, weight, eps)
    return np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype), x, weight, scale


def _fixed_backward(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, mean, variance, weight, _, eps = arguments
    return np.random.default_rng(1).standard_normal(x.shape).astype(x.dtype), x, mean, variance, weight, eps


def _each(turn: Callable[..., Any], make: Callable[[Any], Any], dtype: Any) -> Iterator[tuple[Any, ...]]:
    return map(turn, make(dtype))


def _one(turn: Callable[..., Any], make: Callable[[Any], Any], dtype: Any) -> tuple[Any, ...]:
    return turn(make(dtype))  # type: ignore[no-any-return]


def _batch_samples(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for x, weight, bias, _, eps in channel_samples(dtype):
        if x.shape[0] * x.shape[2] > 1:  # of one number there is no variance
            yield x, weight, bias, eps


def _without_bias(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, _, eps = arguments
    return x, weight, eps


def _fixed(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    x, weight, bias, eps = arguments[0], *arguments[1:3], arguments[-1]
    mean, variance = np.random.default_rng(3).random((2, x.shape[1])).astype(x.dtype)
    return x, mean, variance, weight, bias, eps


def _drawn(*shape: int, channels: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        return (rng.standard_normal(shape).astype(dtype), *rng.standard_normal((2, channels)).astype(dtype), 1e-5)

    return case


def _grouped(make: Callable[[Any], tuple[Any, ...]], dtype: Any) -> tuple[Any, ...]:
    return *make(dtype)[:3], 8, 1e-5


def _drawn_average(count: int) -> Callable[[Any], tuple[Any, ...]]:
    def case(dtype: Any) -> tuple[Any, ...]:
        return (*np.random.default_rng(0).standard_normal((2, count)).astype(dtype), 0.1, 1.25)

    return case


def _averages(dtype: Any) -> Iterator[tuple[Any, ...]]:
    for count in (0, 1, 7, 65):
        average, value, *rest = _drawn_average(count)(dtype)
        yield average, value, *rest
        yield average[::-1], np.stack([value, value])[1], 1.0, 1.0


_LAYERS = {f"{m}x{n}": _drawn(m, n, channels=n) for m, n in ((32, 64), (512, 256), (4096, 256))}
_RMS = {name: functools.partial(_one, _without_bias, make) for name, make in _LAYERS.items()}
_IMAGES = {
    f"{b}x{c}x{h}x{h}": _drawn(b, c, h * h, channels=c) for b, c, h in ((4, 8, 8), (8, 32, 16), (32, 64, 32))
}
_FIXED = {name: functools.partial(_one, _fixed, make) for name, make in _IMAGES.items()}
_GROUPS = {name: functools.partial(_grouped, make) for name, make in _IMAGES.items()}
_SAYS = "y = (x - mean) / sqrt(var + eps) weight + bias over "
_VECTORS, _PLACES = (3, 6), (3, 6, 4)
for _op, _says, _arguments, _back, _cases, _shape, _settings in (
    ("layer_norm", _SAYS + "the last dimension", samples, _layer_backward, _LAYERS, _VECTORS, {}),
    ("rms_norm", "y = x / sqrt(mean(x^2) + eps) weight over the last dimension",
     functools.partial(_each, _without_bias, samples), _rms_backward, _RMS, _VECTORS, {}),
    ("batch_norm", _SAYS + "batch and places of each channel", _batch_samples, _batch_backward, _IMAGES, _PLACES, {}),
    ("fixed_norm", "y = (x - mean) / sqrt(var + eps) weight + bias with given mean and var of each channel",
     functools.partial(_each, _fixed, channel_samples), _fixed_backward, _FIXED, _PLACES, {}),
    ("group_norm", _SAYS + "each group of channels", channel_samples, _group_backward, _GROUPS, _PLACES, {"groups": 2}),
):  # fmt: skip

    def _gradient(
        rng: np.random.Generator, op: str = _op, shape: Ints = _shape, settings: Mapping[str, int] = _settings
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        arguments = [rng.standard_normal(shape), rng.standard_normal(6)]
        if op == "fixed_norm":
            arguments[1:1] = rng.random((2, 6))
        if op != "rms_norm":
            arguments.append(rng.standard_normal(6))
        return tuple(arguments), {"eps": 1e-5, **settings}

    for _direction in ("forward", "backward"):
        _forward = _direction == "forward"
        describe(
            Card(
                op=f"{_op}_{_direction}",
                says=("" if _forward else "gradients of ") + _says,
                samples=_arguments if _forward else functools.partial(_each, _back, _arguments),
                tolerance={name: 4 * value for name, value in TOLERANCE.items()},
                flops=lambda *a, f=_forward: (7 if f else 13) * a[0].size,
                bytes=lambda *a, f=_forward: (2 if f else 3) * a[0].nbytes,
                cases={
                    name: make if _forward else functools.partial(_one, _back, make) for name, make in _cases.items()
                },
                rivals={"torch": (rivals.norm_forward if _forward else rivals.norm_backward)(_op)},
                serves=f"tinydl.ops.norm.{_op}",
                gradient=_gradient,
            )
        )

describe(
    Card(
        op="moving_average", says="(1 - momentum) average + momentum factor value", samples=_averages,
        tolerance=TOLERANCE, flops=lambda average, *_: 4 * average.size, bytes=lambda average, *_: 3 * average.nbytes,
        cases={str(count): _drawn_average(count) for count in (64, 1024, 10_000)},
    )
)  # fmt: skip
