"""Windows for spectra: Hann, Hamming, Blackman, Bartlett, Kaiser.

A window of N elements is a function on n = 0 ... N - 1, with the divisor D = N - 1, or D = N when ``periodic``: then it
is the first N elements of the symmetric one of N + 1, which is what a Fourier transform of overlapping frames wants.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.kernels import by_dtype
from tinydl.tensor import Tensor

_BESSEL_I, _FLOAT64 = by_dtype("bessel_i"), np.dtype(np.float64)


def _window(
    name: str, length: int, periodic: bool, dtype: Any, requires_grad: bool, shape: Any, *parameters: float
) -> Tensor:
    """A window whose values are ``shape(n / D, *parameters)``; those of short ones are remembered."""
    want = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if want.kind != "f":
        raise RuntimeError(f"{name} expects floating point dtypes, got: {want}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    values = _remembered if length <= _SHORT else _values
    array = values(shape, length, bool(periodic), want, *parameters).copy()  # the user's own
    window = Tensor._from_array(array)
    if requires_grad:
        window.requires_grad = True
    return window


def _values(shape: Any, length: int, periodic: bool, dtype: Any, *parameters: float) -> Any:
    if length < 2:
        return np.ones(length, dtype)
    points = np.arange(length) / (length if periodic else length - 1)
    return shape(points, *parameters).astype(dtype)


_SHORT = 4096
_remembered = functools.lru_cache(maxsize=128)(_values)


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """(1 - cos(2 pi n / D)) / 2."""
    return _window("hann_window", window_length, periodic, dtype, requires_grad, _raised_cosine, 0.5, 0.5)


def _raised_cosine(x: Any, alpha: float, beta: float) -> Any:
    return alpha - beta * np.cos(2 * np.pi * x)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - beta cos(2 pi n / D)."""
    return _window("hamming_window", window_length, periodic, dtype, requires_grad, _raised_cosine, alpha, beta)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / D) + 0.08 cos(4 pi n / D)."""
    return _window("blackman_window", window_length, periodic, dtype, requires_grad, _blackman)


def _blackman(x: Any) -> Any:
    return 0.42 - 0.5 * np.cos(2 * np.pi * x) + 0.08 * np.cos(4 * np.pi * x)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """1 - |2 n / D - 1|: a triangle."""
    return _window("bartlett_window", window_length, periodic, dtype, requires_grad, _triangle)


def _triangle(x: Any) -> Any:
    return 1 - np.abs(2 * x - 1)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """I0(beta sqrt(1 - (2 n / D - 1)^2)) / I0(beta), I0 the modified Bessel function of order 0."""
    return _window("kaiser_window", window_length, periodic, dtype, requires_grad, _kaiser, beta)


def _kaiser(x: Any, beta: float) -> Any:
    i0 = _BESSEL_I[_FLOAT64]
    return i0(beta * np.sqrt(np.maximum(1 - (2 * x - 1) ** 2, 0)), 0) / i0(np.float64(beta), 0)
