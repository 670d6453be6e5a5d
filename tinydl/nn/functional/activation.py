"""Activations, elementwise unless they say otherwise; floating dtypes, shape and dtype kept.

``inplace=True`` replaces the value of ``input`` itself (recorded, where a gradient is needed) and returns it; as every
recorded in-place operation it is refused on leaves and on views.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.devices import beside, on_host
from tinydl.nn.functional.checks import drawing_from
from tinydl.ops import activations, elementwise, indexing, reducing, shaping
from tinydl.random import Generator
from tinydl.tensor import Tensor


def _floating(name: str, input: Tensor) -> None:
    if input.array.dtype.kind != "f":
        activations.refuse_whole_numbers(name, input.array)


# Self-normalising networks: the fixed point of mean 0 and variance 1, equations 14 of the paper.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


tanh = elementwise.tanh
sigmoid = elementwise.sigmoid
logsigmoid = elementwise.logsigmoid
logsigmoid.__doc__ = "Elementwise: log(1 / (1 + e ** -input)), without overflow."


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); the gradient at 0 is 0."""
    return input._in_place(elementwise.relu) if inplace else elementwise.relu(input)  # type: ignore[no-any-return]


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """min(max(x, min_val), max_val); the gradient at both bounds is 0.

    Raises ValueError when ``min_val`` exceeds ``max_val``.
    """
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, but they are {min_val} and {max_val}")
    if input.array.dtype.kind != "f":  # PyTorch's keeps integers, and its bounds become integers too
        min_val, max_val = int(min_val), int(max_val)
    if inplace:
        return input._in_place(activations.hardtanh, min_val=min_val, max_val=max_val)  # type: ignore[no-any-return]
    return activations.hardtanh(input, min_val=min_val, max_val=max_val)  # type: ignore[no-any-return]


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else ``value``."""
    if inplace:
        return input._in_place(activations.threshold, threshold=threshold, value=value)  # type: ignore[no-any-return]
    return activations.threshold(input, threshold=threshold, value=value)  # type: ignore[no-any-return]


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope x (Maas et al. 2013)."""
    return input._in_place(activations.prelu, negative_slope) if inplace else activations.prelu(input, negative_slope)  # type: ignore[no-any-return]


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else w x, with one learnt w or one for each channel (dimension 1). He et al., arXiv:1502.01852.

    ``weight`` [1] or [C] for an ``input`` [N, C, ...]. Raises RuntimeError, naming both sizes, when they do not fit.
    """
    _floating("prelu", input)
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}, shape "
            f"{tuple(weight.shape)}"
        )
    if weight.dtype != input.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}; use .to()")
    if weight.array.size != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if not input.ndim or weight.shape[0] != channels:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.array.size} "
                f"and channel size = {channels}: the input has shape {tuple(input.shape)}"
            )
        weight = shaping.reshape_to(weight, shape=(channels,) + (1,) * max(0, input.ndim - 2))
    elif weight.ndim:
        weight = shaping.reshape_to(weight, shape=())
    return activations.prelu(input, weight)  # type: ignore[no-any-return]


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """x where x > 0, else r x: r is drawn from U(lower, upper) for each element in training, else (lower + upper) / 2.

    The draws come from ``generator`` (tinydl's default one when None). Xu et al., arXiv:1505.00853.
    """
    if not lower <= upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound, but got {lower} and {upper}")
    _floating("rrelu", input)
    slope: Any = (lower + upper) / 2
    if training:
        slope = drawing_from(generator).random(input.shape, input.dtype) * (upper - lower) + lower
        slope = beside(slope.astype(input.dtype, copy=False), input.array)
    return input._in_place(activations.prelu, slope) if inplace else activations.prelu(input, slope)  # type: ignore[no-any-return]


def srelu(input: Tensor, t_right: Tensor, a_right: Tensor, t_left: Tensor, a_left: Tensor) -> Tensor:
    """The S-shaped rectifier: t_r + a_r (x - t_r) from t_r up, t_l + a_l (x - t_l) from t_l down, x between.

    Thresholds and slopes broadcast against ``input`` [N, C, ...] along dimension 1 when they are [C]. Jin et al.,
    arXiv:1512.07030, equation 1.
    """
    _floating("srelu", input)
    along = (-1,) + (1,) * max(0, input.ndim - 2)
    t_r, a_r, t_l, a_l = (shaping.reshape(t, along) if t.ndim == 1 else t for t in (t_right, a_right, t_left, a_left))
    low = elementwise.where(input <= t_l, t_l + a_l * (input - t_l), input)
    return elementwise.where(input >= t_r, t_r + a_r * (input - t_r), low)  # type: ignore[no-any-return]


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1). Clevert et al., arXiv:1511.07289."""
    if inplace:
        return input._in_place(activations.elu, alpha=alpha, scale=1.0, rate=1.0)  # type: ignore[no-any-return]
    return activations.elu(input, alpha=alpha, scale=1.0, rate=1.0)  # type: ignore[no-any-return]


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 times :func:`elu` with alpha 1.6733, which keeps mean 0 and variance 1. Klambauer et al.,
    arXiv:1706.02515."""
    if inplace:
        return input._in_place(activations.elu, alpha=SELU_ALPHA, scale=SELU_SCALE, rate=1.0)  # type: ignore[no-any-return]
    return activations.elu(input, alpha=SELU_ALPHA, scale=SELU_SCALE, rate=1.0)  # type: ignore[no-any-return]


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1): smooth for every alpha. Barron, arXiv:1704.07483.

    Raises RuntimeError for ``alpha`` 0.
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    if inplace:
        return input._in_place(activations.elu, alpha=alpha, scale=1.0, rate=1 / alpha)  # type: ignore[no-any-return]
    return activations.elu(input, alpha=alpha, scale=1.0, rate=1 / alpha)  # type: ignore[no-any-return]


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi being the normal distribution's; with ``approximate="tanh"`` its approximation by tanh.

    Hendrycks and Gimpel, arXiv:1606.08415. Raises RuntimeError for another ``approximate``.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh. Got {approximate!r}")
    return activations.gelu_tanh(input) if approximate == "tanh" else activations.gelu(input)  # type: ignore[no-any-return]


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish. Elfwing et al., arXiv:1702.03118."""
    return input._in_place(activations.silu) if inplace else activations.silu(input)  # type: ignore[no-any-return]


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)). Misra, arXiv:1908.08681."""
    return input._in_place(activations.mish) if inplace else activations.mish(input)  # type: ignore[no-any-return]


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold."""
    return activations.softplus_beta(input, beta=beta, threshold=threshold)  # type: ignore[no-any-return]


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|); integers become the default floating dtype."""
    return activations.softsign(_as_floating(input))  # type: ignore[no-any-return]


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - tanh(input)  # type: ignore[no-any-return]


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6; the gradient at both bounds is 0."""
    return input._in_place(activations.hardsigmoid) if inplace else activations.hardsigmoid(input)  # type: ignore[no-any-return]


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x min(max(x + 3, 0), 6) / 6. Howard et al., arXiv:1905.02244."""
    return input._in_place(activations.hardswish) if inplace else activations.hardswish(input)  # type: ignore[no-any-return]


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0."""
    return activations.hardshrink(input, lambd=lambd)  # type: ignore[no-any-return]


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by ``lambd`` towards 0, and 0 where |x| <= lambd. Raises RuntimeError for a negative ``lambd``."""
    if lambd < 0:
        largest = np.finfo(input.dtype).max
        raise RuntimeError(
            f"lambda must be in range [0, {largest:g}] for input dtype {activations.KINDS[input.dtype.name]}, but "
            f"found {lambd:g}"
        )
    return activations.softshrink(input, lambd=lambd)  # type: ignore[no-any-return]


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b) for the two halves a and b of ``input`` along ``dim``. Dauphin et al., arXiv:1612.08083.

    Raises RuntimeError, naming the size, when it is odd.
    """
    if not input.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = reducing.one_axis(dim, input.ndim)
    size = input.shape[axis]
    if size % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {size}: the shape is {tuple(input.shape)}"
        )
    lead, half = (slice(None),) * axis, size // 2
    a = indexing.take_slice(input, index=(*lead, slice(0, half)))
    b = indexing.take_slice(input, index=(*lead, slice(half, size)))
    return a * sigmoid(b)  # type: ignore[no-any-return]


# ---------------------------------------------------------------------------------------------- along one dimension


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along ``dim``, after a conversion to ``dtype`` where one is given."""
    if dim is None or dtype is not None:
        input, dim = _along("softmax", input, dim, _stacklevel, dtype)
    return reducing.softmax(input, dim)  # type: ignore[no-any-return]


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log of :func:`softmax`, without overflow."""
    if dim is None or dtype is not None:
        input, dim = _along("log_softmax", input, dim, _stacklevel, dtype)
    return reducing.log_softmax(input, dim)  # type: ignore[no-any-return]


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """:func:`softmax` of -x."""
    input, dim = _along("softmin", input, dim, _stacklevel, dtype)
    return reducing.softmax(-input, dim)  # type: ignore[no-any-return]


def _along(name: str, input: Tensor, dim: int | None, stacklevel: int, dtype: Any) -> tuple[Tensor, int]:
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an "
            "argument.",
            stacklevel=stacklevel,
        )
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return input if dtype is None else input.to(dtype), dim


def gumbel_softmax(
    logits: Tensor,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau) along ``dim``: a differentiable draw from the categorical distribution.

    ``hard=True`` returns the one-hot vector of the largest entry and passes the gradient of the soft one (straight
    through). The noise comes from ``generator`` (tinydl's default one when None); ``eps`` is PyTorch's and unused.
    Jang et al., arXiv:1611.01144; Maddison et al., arXiv:1611.00712.
    """
    _floating("gumbel_softmax", logits)
    # -log of an exponential variable; the smallest uniform is 0, whose logarithm is kept finite.
    waiting = -np.log1p(-drawing_from(generator).random(logits.shape, np.float64))
    noise = -np.log(np.maximum(waiting, np.finfo(np.float64).tiny))
    soft: Tensor = reducing.softmax((logits + beside(noise.astype(logits.dtype), logits.array)) / tau, dim)
    if not hard:
        return soft
    axis = reducing.one_axis(dim, logits.ndim)
    largest = np.argmax(on_host(soft.array), axis=axis, keepdims=True) if logits.ndim else np.asarray(0)
    places = np.arange(soft.shape[axis]).reshape((-1,) + (1,) * (soft.ndim - axis - 1)) if logits.ndim else 0
    one_hot = Tensor._wrap(beside(np.asarray(places == largest).astype(soft.dtype), soft.array))
    straight: Tensor = one_hot - soft.detach() + soft
    return straight


def _as_floating(input: Tensor) -> Tensor:
    return input if input.array.dtype.kind == "f" else input.to(dtypes.get_default_dtype())


def _written(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``function`` with ``inplace=True``, under its name with an underscore."""

    def form(input: Tensor, *args: Any, **options: Any) -> Tensor:
        return function(input, *args, **options, inplace=True)

    form.__name__ = form.__qualname__ = f"{function.__name__}_"
    form.__doc__ = f"In place: :func:`{function.__name__}` with ``inplace=True``."
    return form


relu_, elu_, leaky_relu_, hardtanh_ = _written(relu), _written(elu), _written(leaky_relu), _written(hardtanh)
selu_, celu_, rrelu_, threshold_ = _written(selu), _written(celu), _written(rrelu), _written(threshold)
