"""tinydl: a from-scratch numerical engine. Autodiff, kernels, layers, optimizers and generative music models, by hand.

The names are PyTorch's: a small script runs with ``import tinydl as torch``.
"""

from __future__ import annotations

import warnings
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from tinydl import autograd, ops
from tinydl.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.creation import (
    arange,
    as_tensor,
    asarray,
    cartesian_prod,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    meshgrid,
    ones,
    ones_like,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from tinydl.devices import STRIDED as strided
from tinydl.devices import device, layout, memory_format
from tinydl.dtypes import (
    bfloat16,
    bool,
    double,
    dtype,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    result_type,
    set_default_dtype,
    short,
    uint8,
)
from tinydl.errors import TinydlError, absent
from tinydl.functions import *  # noqa: F403 - PyTorch's functions, listed in functions.__all__
from tinydl.functions import __all__ as _functions
from tinydl.kernels.workspace import keep_memory
from tinydl.limits import can_cast, finfo, iinfo
from tinydl.printing import set_printoptions
from tinydl.settings import (
    compile,
    get_num_threads,
    set_default_device,
    set_default_tensor_type,
    set_float32_matmul_precision,
    set_num_threads,
    use_deterministic_algorithms,
)
from tinydl.size import Size
from tinydl.tensor import Tensor
from tinydl.version import __version__
from tinydl.windows import bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window

if TYPE_CHECKING:
    from tinydl import (
        accelerator,
        amp,
        backends,
        cuda,
        data,
        distributed,
        distributions,
        fft,
        func,
        fusion,
        generation,
        kernels,
        linalg,
        models,
        nn,
        optim,
        random,
        render,
        special,
        training,
        utils,
    )  # fmt: skip
    from tinydl.amp import autocast
    from tinydl.fusion import fuse
    from tinydl.nn.functional import (
        conv1d,
        conv2d,
        conv3d,
        conv_transpose1d,
        conv_transpose2d,
        conv_transpose3d,
        layer_norm,
    )
    from tinydl.random import (
        Generator,
        bernoulli,
        default_generator,
        get_rng_state,
        initial_seed,
        manual_seed,
        multinomial,
        normal,
        poisson,
        rand,
        rand_like,
        randint,
        randint_like,
        randn,
        randn_like,
        randperm,
        seed,
        set_rng_state,
    )
    from tinydl.serialization import load, save
    from tinydl.typed import (
        BoolTensor,
        ByteTensor,
        CharTensor,
        DoubleTensor,
        FloatTensor,
        HalfTensor,
        IntTensor,
        LongTensor,
        ShortTensor,
    )

# log(-1) is nan, 1 / 0 is inf: results, as in PyTorch, and no news. NumPy would warn of a line of ours.
_SILENT = r"tinydl\.(primitives|ops|autograd|kernels|nn|optim)\b"
warnings.filterwarnings("ignore", category=RuntimeWarning, module=_SILENT)
keep_memory()

# Every tensor keeps the layout that its operation gives it: these change nothing.
preserve_format, contiguous_format = memory_format("preserve_format"), memory_format("contiguous_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")

# Rooms and names that are imported when first used: `import tinydl` stays quick.
_ROOMS = {
    "accelerator", "amp", "backends", "cuda", "data", "distributed", "distributions", "fft", "func", "fusion",
    "generation", "kernels", "linalg", "models", "nn", "optim", "random", "render", "special", "training", "utils",
}  # fmt: skip
_NAMES = {
    "amp": "autocast",
    "fusion": "fuse",
    "random": "Generator bernoulli default_generator get_rng_state initial_seed manual_seed multinomial normal poisson "
    "rand rand_like randint randint_like randn randn_like randperm seed set_rng_state",
    "serialization": "load save",
    "typed": "BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor LongTensor ShortTensor",
    "nn.functional": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d layer_norm",
}
_HOMES = {name: room for room, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"tinydl.{name}")
    if name in _HOMES:
        room = importlib.import_module(f"tinydl.{_HOMES[name]}")
        globals()[name] = found = getattr(room, name)  # the next time it is simply there
        return found
    raise absent("tinydl", name)


def is_tensor(obj: Any) -> Any:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


__all__ = [
    "__version__", "accelerator", "amp", "arange", "as_tensor", "asarray", "autocast", "autograd", "backends",
    "bartlett_window", "bernoulli", "bfloat16", "blackman_window", "bool", "BoolTensor", "ByteTensor", "can_cast",
    "cartesian_prod", "channels_last", "channels_last_3d", "CharTensor", "compile", "contiguous_format", "conv1d",
    "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cuda", "data",
    "default_generator", "device", "distributed", "distributions", "double", "DoubleTensor", "dtype", "e", "empty",
    "empty_like", "enable_grad", "eye", "fft", "finfo", "float", "float16", "float32", "float64", "FloatTensor",
    "from_dlpack", "from_numpy", "full", "full_like", "func", "fuse", "fusion", "generation", "Generator",
    "get_default_dtype", "get_num_threads", "get_rng_state", "half", "HalfTensor", "hamming_window", "hann_window",
    "iinfo", "inf", "inference_mode", "initial_seed", "int", "int16", "int32", "int64", "int8", "IntTensor",
    "is_grad_enabled", "is_tensor", "kaiser_window", "kernels", "layer_norm", "layout", "linalg", "linspace",
    "load", "logspace", "long", "LongTensor", "manual_seed", "memory_format", "meshgrid", "models", "multinomial",
    "nan", "nn", "no_grad", "normal", "ones", "ones_like", "ops", "optim", "pi", "poisson", "preserve_format",
    "promote_types", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "random", "randperm",
    "render", "result_type", "save", "seed", "set_default_device", "set_default_dtype", "set_default_tensor_type",
    "set_float32_matmul_precision", "set_grad_enabled", "set_num_threads", "set_printoptions", "set_rng_state",
    "short", "ShortTensor", "Size", "special", "strided", "Tensor", "tensor", "TinydlError", "training",
    "tril_indices", "triu_indices", "uint8", "use_deterministic_algorithms", "utils", "zeros", "zeros_like",
]  # fmt: skip
__all__ += _functions
