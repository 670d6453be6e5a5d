"""tinydl: a from-scratch numerical engine. Autodiff, kernels, layers, optimizers and generative music models, by hand.

The names are PyTorch's: a small script runs with ``import tinydl as torch``.
"""

from __future__ import annotations

from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from tinydl import autograd, ops
from tinydl.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.creation import (
    arange,
    as_tensor,
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
from tinydl.devices import device
from tinydl.dtypes import (
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
from tinydl.errors import TinydlError
from tinydl.functions import *  # noqa: F403 - PyTorch's functions, listed in functions.__all__
from tinydl.functions import __all__ as _functions
from tinydl.limits import can_cast, finfo, iinfo
from tinydl.printing import set_printoptions
from tinydl.size import Size
from tinydl.tensor import Tensor
from tinydl.version import __version__
from tinydl.windows import bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window

if TYPE_CHECKING:
    from tinydl import (
        cuda,
        data,
        distributions,
        fft,
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
    from tinydl.random import (
        Generator,
        bernoulli,
        default_generator,
        get_rng_state,
        manual_seed,
        multinomial,
        normal,
        rand,
        rand_like,
        randint,
        randint_like,
        randn,
        randn_like,
        randperm,
        set_rng_state,
    )
    from tinydl.serialization import load, save

# Rooms and names that are imported when first used: `import tinydl` stays quick.
_ROOMS = {
    "cuda", "data", "distributions", "fft", "generation", "kernels", "linalg", "models", "nn", "optim", "random",
    "render", "special", "training", "utils",
}  # fmt: skip
_RANDOM = {
    "Generator", "bernoulli", "default_generator", "get_rng_state", "manual_seed", "multinomial", "normal", "rand",
    "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "set_rng_state",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"tinydl.{name}")
    if name in ("save", "load"):
        return getattr(importlib.import_module("tinydl.serialization"), name)
    if name in _RANDOM:
        return getattr(importlib.import_module("tinydl.random"), name)
    raise AttributeError(f"module 'tinydl' has no attribute {name!r}")


def is_tensor(obj: Any) -> Any:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


__all__ = [
    "Generator", "Tensor", "TinydlError", "__version__", "arange", "as_tensor", "autograd", "bernoulli", "bool", "data",
    "distributions",
    "default_generator", "double", "empty", "empty_like", "enable_grad", "eye", "float", "float16", "float32",
    "float64", "from_dlpack",
    "from_numpy", "full", "full_like", "generation", "get_default_dtype", "get_rng_state", "half", "inference_mode",
    "int", "int16", "int32",
    "int64", "int8", "is_grad_enabled", "is_tensor", "kernels", "linspace", "long", "manual_seed", "models",
    "multinomial", "nn", "no_grad", "normal",
    "ones", "ones_like", "ops", "optim", "promote_types", "rand", "randint", "randn", "randperm", "random", "render",
    "result_type",
    "Size", "can_cast", "cartesian_prod", "cuda", "device", "dtype", "e", "finfo", "iinfo", "inf", "load", "logspace",
    "meshgrid", "nan", "pi", "rand_like", "randint_like", "randn_like", "save", "set_printoptions", "tril_indices",
    "triu_indices",
    "set_default_dtype", "set_grad_enabled", "set_rng_state", "short", "special", "tensor", "training", "uint8",
    "utils", "zeros", "zeros_like",
]  # fmt: skip
__all__ += ["fft", "linalg"]
__all__ += ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]
__all__ += _functions
