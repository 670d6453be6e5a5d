"""Initial values for parameters. Every function fills its tensor in place, outside any recording, and returns it.

Fans: a weight of shape ``[out, in, *kernel]`` has ``fan_in = in * prod(kernel)`` and ``fan_out = out * prod(kernel)``.
Every random fill takes ``generator=`` (default: tinydl's default one) and draws in the dtype of the tensor.

>>> import tinydl
>>> tinydl.nn.init.constant_(tinydl.empty(2), 0.5)
tensor([0.5000, 0.5000])
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinydl.devices import beside
from tinydl.errors import say_absent
from tinydl.random import Generator, default_generator
from tinydl.tensor import Tensor

say_absent(__name__)

if TYPE_CHECKING:
    from tinydl.nn.module import Module

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "lsuv_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def _fill(tensor: Tensor, values: NDArray[Any] | float) -> Tensor:
    if not hasattr(tensor, "node"):  # scripts write `normal_(layer.weight.array)`, and our .array is the array
        tensor[...] = values
        return tensor
    tensor.array[...] = beside(values, tensor.array)
    tensor.bump()
    return tensor


def _stream(generator: Generator | None) -> Generator:
    return default_generator if generator is None else generator


def _dtype(tensor: Tensor) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(tensor.dtype)
    if dtype.kind != "f":
        raise TypeError(f"a tensor of dtype {dtype} cannot be given random weights: use float32 or float64")
    return dtype if dtype == np.float64 else np.dtype(np.float32)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight. Raises ValueError for fewer than two dimensions."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions: "
            f"the shape is {tuple(tensor.shape)}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fan(tensor: Tensor, mode: str) -> int:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return fan_in if mode == "fan_in" else fan_out


def _over(numerator: float, fan: float) -> float:
    """``numerator / fan``, with 0 for a tensor without elements."""
    return numerator / fan if fan else 0.0


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must grow so that a layer with this nonlinearity keeps the variance.

    1 for linear and convolutions and sigmoid, 5/3 for tanh, sqrt(2) for relu, ``sqrt(2 / (1 + slope**2))`` for
    leaky_relu (``param`` is its slope, 0.01 by default), 3/4 for selu. Raises ValueError for any other name.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2.0 / (1.0 + slope**2))
    transposed = [f"conv_transpose{n}d" for n in (1, 2, 3)]
    gains = dict.fromkeys(["linear", "conv1d", "conv2d", "conv3d", *transposed, "sigmoid"], 1.0)
    gains |= {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: known are {', '.join(sorted(gains))}, leaky_relu")
    return gains[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform on [a, b)."""
    draws = _stream(generator).random(tensor.shape, _dtype(tensor))
    return _fill(tensor, a + (b - a) * draws)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with the given mean and standard deviation."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    draws = _stream(generator).normal(tensor.shape, _dtype(tensor))
    return _fill(tensor, mean + std * draws)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal with mean ``mean`` and standard deviation ``std`` (before the cut), limited to [a, b] by drawing again."""
    if not std > 0:
        raise RuntimeError(f"trunc_normal_ expects std > 0.0, but found std {std}")
    if not a < b:
        raise RuntimeError(f"trunc_normal_ expects a < b, but found the bounds {a} and {b}")
    dtype, generator = _dtype(tensor), _stream(generator)
    inside = (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2
    peak = max(a, min(mean, b))

    def propose(count: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if inside > 0.3:
            draws = mean + std * generator.normal((count,), dtype)
            return draws, (draws >= a) & (draws <= b)
        # Far out in a tail a normal draw would hardly ever do: uniform ones, taken in proportion to the density.
        draws = a + (b - a) * generator.random((count,), dtype)
        log_density = ((peak - mean) ** 2 - (draws - mean) ** 2) / (2 * std**2)
        return draws, np.log1p(-generator.random((count,), dtype)) <= log_density

    values, missing = np.empty(tensor.numel(), dtype), np.arange(tensor.numel())
    while len(missing):
        draws, taken = propose(len(missing))
        values[missing[taken]] = draws[taken]
        missing = missing[~taken]
    return _fill(tensor, np.clip(values, a, b).reshape(tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """``val`` everywhere."""
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return _fill(tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, for a tensor of two dimensions."""
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, not the shape {tuple(tensor.shape)}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weight that passes its input on: 1 at the middle of the kernel where channels in and out agree.

    ``tensor`` is [out, in, *kernel] with 3, 4 or 5 dimensions; each of the ``groups`` of ``out`` channels begins anew
    with the first channel.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, not the shape {tuple(tensor.shape)}")
    if tensor.shape[0] % groups != 0:
        raise ValueError(f"dim 0 must be divisible by groups: {tensor.shape[0]} channels, {groups} groups")
    each = tensor.shape[0] // groups
    channel = np.arange(min(each, tensor.shape[1]))
    middle: tuple[Any, ...] = tuple(size // 2 for size in tensor.shape[2:])
    values = np.zeros(tensor.shape, tensor.dtype)
    if values.size:
        for group in range(groups):
            values[(group * each + channel, channel, *middle)] = 1
    return _fill(tensor, values)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation ``std``, but in each column ``ceil(sparsity * rows)`` elements are 0.

    They are drawn anew for each column of the tensor, which has two dimensions. Martens, "Deep learning via
    Hessian-free optimization", ICML 2010.
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, not the shape {tuple(tensor.shape)}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a fraction between 0 and 1, not {sparsity}")
    generator = _stream(generator)
    normal_(tensor, 0.0, std, generator)
    zeros = math.ceil(sparsity * tensor.shape[0])
    order = np.argsort(generator.random(tensor.shape, np.float64), axis=0, kind="stable")
    np.put_along_axis(tensor.array, order[:zeros], 0, axis=0)
    return tensor


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform on [-a, a) with ``a = gain * sqrt(6 / (fan_in + fan_out))``.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    """
    bound = gain * math.sqrt(_over(6.0, sum(_calculate_fan_in_and_fan_out(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with ``std = gain * sqrt(2 / (fan_in + fan_out))``; paper as :func:`xavier_uniform_`."""
    return normal_(tensor, 0.0, gain * math.sqrt(_over(2.0, sum(_calculate_fan_in_and_fan_out(tensor)))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform on [-b, b) with ``b = gain * sqrt(3 / fan)``, ``gain = calculate_gain(nonlinearity, a)``.

    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers", ICCV 2015.
    """
    bound = calculate_gain(nonlinearity, a) * math.sqrt(_over(3.0, _fan(tensor, mode)))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with ``std = gain / sqrt(fan)``; gain and paper as :func:`kaiming_uniform_`."""
    std = calculate_gain(nonlinearity, a) * math.sqrt(_over(1.0, _fan(tensor, mode)))
    return normal_(tensor, 0.0, std, generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Uniform on [-b, b) with ``b = sqrt(3 / fan_in)``: variance ``1 / fan_in``.

    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6.
    """
    bound = math.sqrt(_over(3.0, _fan(tensor, "fan_in")))
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Normal with ``std = 1 / sqrt(fan_in)``; paper as :func:`lecun_uniform_`."""
    return normal_(tensor, 0.0, math.sqrt(_over(1.0, _fan(tensor, "fan_in"))), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """``gain`` times a random matrix with orthonormal rows or columns (the fewer of the two), uniform among them.

    The tensor counts as a matrix [size of dimension 0, all the rest]. Q of a QR decomposition of normal draws, its
    columns multiplied by the signs of R's diagonal: without that the distribution is not uniform (Mezzadri, Notices
    of the AMS 54, 2007). Saxe, McClelland and Ganguli, ICLR 2014. Computed in float64.
    """
    _calculate_fan_in_and_fan_out(tensor)  # refuses fewer than two dimensions
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    draws = _stream(generator).normal((max(rows, columns), min(rows, columns)), np.float64)
    q, r = np.linalg.qr(draws)
    q *= np.sign(np.diag(r))
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def lsuv_(
    module: Module, *batch: Any, tol: float = 0.1, max_iter: int = 10, generator: Generator | None = None
) -> Module:
    """Layer-sequential unit variance: every layer's output, measured on a batch, gets a variance of 1.

    Each layer's weight is first made orthonormal (:func:`orthogonal_`) and its bias 0. Then, in the order in which
    ``module(*batch)`` calls the layers: while ``|Var(output) - 1| >= tol``, at most ``max_iter`` times, the weight is
    divided by ``sqrt(Var(output))``. Mishkin and Matas, "All you need is a good init", ICLR 2016, arXiv:1511.06422,
    algorithm 1.

    Layers are the submodules that own a parameter ``weight`` of two or more dimensions, as linear layers and
    convolutions do, embeddings excepted. The batch passes through in evaluation mode, unrecorded.

    Raises ValueError, and changes nothing, when there is no such layer, or when the variance of a layer's output is 0
    or not finite. Returns ``module``.
    """
    from tinydl.autograd import no_grad

    names = {id(layer): name for name, layer in module.named_modules() if _is_layer(layer)}
    modes = [(layer, layer.training) for layer in module.modules()]
    outputs: dict[int, NDArray[Any]] = {}

    def measure(layer: Module, args: tuple[Any, ...], output: Any) -> None:
        outputs.setdefault(id(layer), output.array)

    layers = [layer for layer in module.modules() if id(layer) in names]
    before = [(param, param.array.copy()) for layer in layers for param in layer.parameters(recurse=False)]
    hooks = [layer.register_forward_hook(measure) for layer in layers]
    try:
        module.eval()
        with no_grad():
            for layer in layers:
                orthogonal_(layer.get_parameter("weight"), generator=generator)
                if getattr(layer, "bias", None) is not None:
                    zeros_(layer.get_parameter("bias"))
            module(*batch)
            by_id = {id(layer): layer for layer in layers}
            called = [by_id[key] for key in outputs]
            if not called:
                raise ValueError("lsuv_ found no layer with a weight of two or more dimensions in the module's forward")
            for layer in called:
                _to_unit_variance(module, batch, layer, names[id(layer)], outputs, tol, max_iter)
    except BaseException:
        for param, values in before:
            _fill(param, values)
        raise
    finally:
        for hook in hooks:
            hook.remove()
        for layer, training in modes:
            layer.training = training
    return module


def _to_unit_variance(
    module: Module, batch: tuple[Any, ...], layer: Module, name: str, outputs: dict[int, Any], tol: float, most: int
) -> None:
    weight = layer.get_parameter("weight")
    for _ in range(most):
        outputs.clear()
        module(*batch)
        variance = float(np.var(outputs[id(layer)], dtype=np.float64))
        if not 0 < variance < math.inf:
            raise ValueError(
                f"lsuv_ cannot scale layer {name!r}: the variance of its output on the batch is {variance}"
            )
        if abs(variance - 1) < tol:
            return
        _fill(weight, weight.array / math.sqrt(variance))


def _is_layer(module: Module) -> bool:
    from tinydl.nn.sparse import Embedding

    weight = dict(module.named_parameters(recurse=False)).get("weight")
    return weight is not None and weight.ndim >= 2 and not isinstance(module, Embedding)


def _older(function: Any) -> Callable[..., Tensor]:
    """``function`` under the name that it had before its underscore."""
    name: str = function.__name__

    @functools.wraps(function)
    def older(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)  # type: ignore[no-any-return]

    older.__name__ = older.__qualname__ = name[:-1]
    older.__doc__ = f"The older name of :func:`{name}`."
    return older


uniform, normal, constant, eye, dirac, sparse = map(_older, (uniform_, normal_, constant_, eye_, dirac_, sparse_))
xavier_uniform, xavier_normal, orthogonal = map(_older, (xavier_uniform_, xavier_normal_, orthogonal_))
kaiming_uniform, kaiming_normal = map(_older, (kaiming_uniform_, kaiming_normal_))
