"""PyTorch's functions that return random tensors. Their numbers are those of :mod:`tinydl.random.generator`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.creation import sized, tensor, there
from tinydl.devices import on_host
from tinydl.random import rejection
from tinydl.random.generator import Generator, Shape, given
from tinydl.tensor import Tensor


def floating(dtype: Any, name: str) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtype asked for (the default one for None), and the one to draw in. Raises TypeError unless floating."""
    want = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if want.kind != "f":
        raise TypeError(f"{name}: random numbers of a floating dtype were expected, got {want}; use randint")
    return want, np.dtype(np.float64) if want == np.float64 else np.dtype(np.float32)


@sized
def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False, on: Any = np
) -> Tensor:
    """Uniforms in [0, 1) of shape ``size``."""
    want, draw = floating(dtype, "rand")
    return tensor(given(generator).random(size, draw, like=on.empty(0)), want, requires_grad)


@sized
def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False, on: Any = np
) -> Tensor:
    """Standard normals of shape ``size``."""
    want, draw = floating(dtype, "randn")
    return tensor(given(generator).normal(size, draw, like=on.empty(0)), want, requires_grad)


def randint(
    low: Any = None, high: Any = None, size: Shape | None = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers, uniform on ``low <= x < high``: ``randint(high, size)`` or ``randint(low, high, size)``."""
    there(device)
    if size is None and isinstance(high, (tuple, list)):  # randint(high, size)
        low, high, size = None, low, high
    if low is not None and high is None:
        low, high = None, low
    if size is None or high is None:
        bounds = ", ".join(str(v) for v in (low, high) if v is not None)
        raise TypeError(f"randint({bounds}) lacks the size: randint(high, size) or randint(low, high, size)")
    first, end = 0 if low is None else operator.index(low), operator.index(high)
    if first >= end:
        raise RuntimeError(f"randint expects 'from' to be less than 'to', but got from={first} >= to={end}")
    values = given(generator).integers(first, end, size)
    return tensor(values, dtypes.int64 if dtype is None else dtype, requires_grad, device=device)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A random order of 0 ... n-1."""
    there(device)
    return tensor(
        given(generator).permutation(n), dtypes.int64 if dtype is None else dtype, requires_grad, device=device
    )


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniforms in [0, 1) in the shape and dtype of ``input``."""
    kind = input.dtype if dtype is None else dtype
    where = device or input.device
    return rand(input.shape, generator=generator, dtype=kind, device=where, requires_grad=requires_grad)


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Standard normals in the shape and dtype of ``input``."""
    kind = input.dtype if dtype is None else dtype
    where = device or input.device
    return randn(input.shape, generator=generator, dtype=kind, device=where, requires_grad=requires_grad)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers on ``low <= x < high`` (``randint_like(x, high)`` from 0) in the shape and dtype of ``input``."""
    low, high = (0, low) if high is None else (low, high)
    kind = input.dtype if dtype is None else dtype
    return randint(
        low, high, input.shape, generator=generator, dtype=kind, device=device or input.device,
        requires_grad=requires_grad,
    )  # fmt: skip


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``input`` (or ``p``), else 0; shape and dtype of ``input``."""
    if p is not None:
        return tensor(given(generator).bernoulli(p, input.shape), input.dtype, device=input.device)
    return tensor(given(generator).bernoulli(on_host(input.array)), input.dtype, device=input.device)


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson counts of the rates ``input``, in its shape and dtype. Raises RuntimeError for a negative rate."""
    want, _ = floating(input.dtype, "poisson")
    rates = on_host(input.array)
    if not np.all(rates >= 0):
        raise RuntimeError(f"invalid Poisson rate, expected rate to be non-negative, got {rates.min()}")
    return tensor(rejection.poisson(rates, given(generator)), want, device=input.device)


def normal(
    mean: Tensor | float = 0.0, std: Tensor | float = 1.0, size: Shape | None = None, *,
    generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``mean + std * z`` with standard normal ``z``: of shape ``size`` or that of ``mean`` and ``std``."""
    mean_array, std_array = (
        np.asarray(on_host(value.array) if isinstance(value, Tensor) else value) for value in (mean, std)
    )
    if np.any(std_array < 0):
        raise RuntimeError(f"normal expects all elements of std >= 0.0, got a least of {std_array.min()}")
    if size is None:
        tensors = [value for value in (mean, std) if isinstance(value, Tensor)]
        if not tensors:
            raise TypeError("normal of two numbers lacks the size: normal(mean, std, size)")
        size, dtype = np.broadcast_shapes(mean_array.shape, std_array.shape), tensors[0].dtype
        device = tensors[0].device if device is None else device
    want, draw = floating(dtype, "normal")
    draws = given(generator).normal(size, draw) * std_array.astype(draw) + mean_array.astype(draw)
    return tensor(draws, want, requires_grad, device=device)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """``num_samples`` indices per row of weights ``input`` [V] or [B, V]: int64 [num_samples] or [B, num_samples].

    Without ``replacement`` the indices of a row differ: the largest of ``ln w_i - ln(-ln u_i)`` (Gumbel top-k, Vieira
    2014), which draws one after the other with the remaining weights. Raises RuntimeError when a row has fewer
    nonzero weights than ``num_samples``.
    """
    generator = given(generator)
    weights = np.asarray(on_host(input.array), np.float64)
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"multinomial needs weights of shape [V] or [B, V], not {weights.shape}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: num_samples is {num_samples}")
    if replacement:
        rows = np.broadcast_to(weights[..., None, :], (*weights.shape[:-1], num_samples, weights.shape[-1]))
        return tensor(generator.categorical(rows), device=input.device)
    if not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise RuntimeError("probability tensor contains either inf, nan or element < 0")
    if np.any(np.count_nonzero(weights, axis=-1) < num_samples):
        raise RuntimeError(
            f"multinomial cannot draw {num_samples} different indices from weights of shape {weights.shape} with fewer "
            "nonzero entries in a row: pass replacement=True or fewer num_samples"
        )
    uniforms = generator.random(weights.shape, np.float64)
    with np.errstate(divide="ignore"):
        keys = np.log(weights) - np.log(-np.log1p(-uniforms))
    found = np.argsort(-keys, axis=-1, kind="stable")[..., :num_samples].astype(np.int64)
    return tensor(found, device=input.device)
