"""tinydl: a from-scratch numerical engine. Autodiff, kernels, layers, optimizers and generative music models, by hand.

The names are PyTorch's: a small script runs with ``import tinydl as torch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinydl import autograd, ops
from tinydl.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from tinydl.dtypes import (
    bool,
    double,
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
from tinydl.tensor import Tensor
from tinydl.version import __version__

if TYPE_CHECKING:
    from tinydl import data, generation, kernels, models, nn, optim, random, render, special, training, utils
    from tinydl.random import (
        Generator,
        bernoulli,
        default_generator,
        get_rng_state,
        manual_seed,
        multinomial,
        normal,
        rand,
        randint,
        randn,
        randperm,
        set_rng_state,
    )

# Rooms and names that are imported when first used: `import tinydl` stays quick.
_ROOMS = {"data", "generation", "kernels", "models", "nn", "optim", "random", "render", "special", "training", "utils"}
_RANDOM = {
    "Generator", "bernoulli", "default_generator", "get_rng_state", "manual_seed", "multinomial", "normal", "rand",
    "randint",
    "randn", "randperm", "set_rng_state",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib

    if name in _ROOMS:
        return importlib.import_module(f"tinydl.{name}")
    if name in _RANDOM:
        return getattr(importlib.import_module("tinydl.random"), name)
    raise AttributeError(f"module 'tinydl' has no attribute {name!r}")


def is_tensor(obj: Any) -> Any:
    """Whether ``obj`` is a Tensor."""
    return isinstance(obj, Tensor)


__all__ = [
    "Generator", "Tensor", "TinydlError", "__version__", "arange", "as_tensor", "autograd", "bernoulli", "bool", "data",
    "default_generator", "double", "empty", "empty_like", "enable_grad", "eye", "float", "float16", "float32",
    "float64", "from_dlpack",
    "from_numpy", "full", "full_like", "generation", "get_default_dtype", "get_rng_state", "half", "inference_mode",
    "int", "int16", "int32",
    "int64", "int8", "is_grad_enabled", "is_tensor", "kernels", "linspace", "long", "manual_seed", "models",
    "multinomial", "nn", "no_grad", "normal",
    "ones", "ones_like", "ops", "optim", "promote_types", "rand", "randint", "randn", "randperm", "random", "render",
    "result_type",
    "set_default_dtype", "set_grad_enabled", "set_rng_state", "short", "special", "tensor", "training", "uint8",
    "utils", "zeros", "zeros_like",
]  # fmt: skip
__all__ += _functions
