"""Fourier transforms of real signals as real operations.

There is no complex dtype: a spectrum is a real tensor whose last dimension, of size 2, holds (real, imaginary), as
``torch.view_as_real`` shows it. With that, the transform and its transpose are linear maps of real numbers, each the
gradient of the other, and all derivatives of every order come from the pair:

    spectrum   F(x)_k = sum_t x_t exp(-2 pi i k t / n),    k = 0 ... n // 2
    signal     T(c)_t = sum_k Re(c_k exp(2 pi i k t / n)),  t = 0 ... n - 1.

The inverse of F is T with the weights 1, 2, 2, ... (and 1 at n / 2 for even n) over n: every other frequency stands for
its negative, too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.devices import beside, on_host
from tinydl.ops.arranging import reverse, rolled
from tinydl.ops.axes import by_axis, lock, one_axis, remembered
from tinydl.ops.casting import cast
from tinydl.ops.extrema import data_of
from tinydl.ops.padding import overlap_add, pad, pad_constant, windows
from tinydl.ops.shaping import cat, permute_axes, reshape_to
from tinydl.ops.slicing import take_slice


@primitive(
    input=lambda g, axis, length, scale, weighted, input_shape: _resized(
        signal(g, axis=axis, length=length, scale=scale, weighted=weighted), input_shape[axis], axis
    )
)
def spectrum(input: Any, *, axis: int, length: int, scale: float = 1.0, weighted: bool = False) -> Any:
    """scale F along ``axis``, of the input cut or filled with zeros to ``length`` elements:
    [..., N, ...] -> [..., length // 2 + 1, ..., 2]. With ``weighted`` every frequency counts as often as it
    stands for others."""
    size, last = input.shape[axis], input.ndim - 1
    if 0 < size <= _SMALL and length <= _SMALL and input.size <= _FEW:
        matrix = _matrix(size, length, scale, weighted, input.dtype)
        if axis == last:
            return np.dot(input.reshape(-1, size), matrix).reshape(input.shape[:-1] + (length // 2 + 1, 2))
        x = input.swapaxes(axis, last)
        found = np.dot(x.reshape(-1, size), matrix).reshape(x.shape[:-1] + (length // 2 + 1, 2))
        return np.ascontiguousarray(found.swapaxes(axis, last))
    found = np.ascontiguousarray(np.fft.rfft(input, length, axis=axis))
    found = found.view(found.real.dtype).reshape(*found.shape, 2)
    if weighted:
        found = found * _along(_weights(length, found.dtype), input.ndim - axis)
    return (found if scale == 1 else found * scale).astype(input.dtype, copy=False)


@primitive(
    input=lambda g, axis, length, scale, weighted, input_shape: _resized(
        spectrum(g, axis=axis, length=length, scale=scale, weighted=weighted), input_shape[axis], axis
    )
)
def signal(input: Any, *, axis: int, length: int, scale: float = 1.0, weighted: bool = False) -> Any:
    """The transpose of :func:`spectrum`, scale T along ``axis``: [..., M, ..., 2] -> [..., length, ...]. Frequencies
    beyond length // 2 are left out, and missing ones are zero."""
    bins, last = input.shape[axis], input.ndim - 2
    if 0 < bins <= _SMALL and length <= _SMALL and input.size <= _FEW:
        matrix = _matrix_back(bins, length, scale, weighted, input.dtype)
        if axis == last:
            return np.dot(input.reshape(-1, 2 * bins), matrix).reshape(input.shape[:-2] + (length,))
        x = input.swapaxes(axis, last)
        found = np.dot(x.reshape(-1, 2 * bins), matrix).reshape(x.shape[:-2] + (length,))
        return np.ascontiguousarray(found.swapaxes(axis, last))
    parts = np.ascontiguousarray(_resized(input, length // 2 + 1, axis))
    complexes = parts.view(np.result_type(parts.dtype, np.complex64)).reshape(parts.shape[:-1])
    if not weighted:  # irfft weighs, which is divided out; halves are exact
        complexes = complexes / _along(_weights(length, input.dtype), last - axis)
    found = np.fft.irfft(complexes, length, axis=axis, norm="forward")
    return (found if scale == 1 else found * scale).astype(input.dtype, copy=False)


# Up to this length, and of so few numbers, a transform is a product with its matrix: NumPy takes 7 us to begin one.
_SMALL, _FEW = 32, 4096


@remembered
def _matrix(size: int, n: int, scale: float, weighted: bool, dtype: Any) -> Any:
    """:func:`spectrum` of ``size`` elements as a matrix [size, 2 (n // 2 + 1)]."""
    found = np.fft.rfft(np.eye(size), n) * scale
    if weighted:
        found = found * _weights(n, np.float64)
    return found.view(np.float64).astype(dtype)


@remembered
def _matrix_back(bins: int, n: int, scale: float, weighted: bool, dtype: Any) -> Any:
    """:func:`signal` of ``bins`` frequencies as a matrix [2 bins, n]."""
    matrix = np.zeros((2 * bins, n), dtype)
    whole = _matrix(n, n, scale, weighted, dtype).T
    matrix[: len(whole)] = whole[: 2 * bins]
    return matrix


def _along(weights: Any, behind: int) -> Any:
    """A number for each frequency, beside spectra with ``behind`` dimensions after theirs."""
    return weights.reshape((-1,) + (1,) * behind)


@remembered
def _weights(n: int, dtype: Any) -> Any:
    """How many frequencies each of the half stands for."""
    weights = np.full(n // 2 + 1, 2, dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    lock(weights)
    return weights


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def _scale(norm: str | None, n: int, forward: bool) -> float:
    if norm is None:
        return 1.0 if forward else 1 / n
    if norm not in ("backward", "forward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1.0 if (norm == "forward") != forward else 1 / n


def _real(name: str, x: Any) -> Any:
    dtype = x.dtype
    if dtype is dtypes.float32 or dtype is dtypes.float64:
        return x
    if dtype.kind != "f":
        return cast(x, dtype=dtypes.get_default_dtype())
    if dtype == np.float16:
        raise RuntimeError(f"{name}: Unsupported dtype Half; convert it with .float()")
    return x


def _resized(x: Any, n: int, axis: int) -> Any:
    """Cut, or filled with zeros, to ``n`` elements along ``axis``."""
    more = n - x.shape[axis]
    if not more:
        return x
    return pad_constant(x, pads=tuple((0, more if k == axis else 0) for k in range(x.ndim)), value=0)


def _one_of_some(dim: int, rank: int) -> int:
    """The axis of a tensor that has one."""
    if not rank:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return one_axis(dim, rank)


@by_axis
def rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The spectrum of a real signal along ``dim``: [..., N, ...] -> [..., n // 2 + 1, ..., 2].

    X_k = sum_t x_t exp(-2 pi i k t / n), for k = 0 ... n // 2, as (real, imaginary) in the last dimension: what
    ``torch.view_as_real(torch.fft.rfft(x))`` gives.

    n
        The signal is cut or filled with zeros to this length first.
    norm
        ``"backward"`` (no factor), ``"ortho"`` (1 / sqrt(n)) or ``"forward"`` (1 / n).
    """
    x = _real("rfft", input)
    shape = x.shape
    axis = _one_of_some(dim, len(shape))
    n = shape[axis] if n is None else int(n)
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return spectrum(x, axis=axis, length=n, scale=_scale(norm, n, True))


@by_axis
def irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None) -> Any:
    """The real signal of half a spectrum: [..., M, ..., 2] -> [..., n, ...], the inverse of :func:`rfft`.

    ``dim`` counts without the last dimension, which holds (real, imaginary). Imaginary parts at frequency 0 (and n / 2
    for even n) are ignored.

    n
        The length of the signal, 2 (M - 1) unless given: an odd length must be. The spectrum is cut or filled to fit.
    norm
        ``"backward"`` (1 / n), ``"ortho"`` (1 / sqrt(n)) or ``"forward"`` (no factor).
    """
    x = _real("irfft", input)
    shape = x.shape
    if len(shape) < 2 or shape[-1] != 2:
        raise RuntimeError(
            f"irfft: expected (real, imaginary) in a last dimension of size 2, but the shape is {tuple(shape)}"
        )
    axis = one_axis(dim, len(shape) - 1)
    n = 2 * (shape[axis] - 1) if n is None else int(n)
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return signal(x, axis=axis, length=n, scale=_scale(norm, n, False), weighted=True)


def fftfreq(n: int, d: float = 1.0, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """The frequencies of a transform of length ``n`` at the spacing ``d``: 0, 1, ..., -2, -1 over (n d)."""
    return _frequencies(np.fft.fftfreq, n, d, dtype, requires_grad)


def rfftfreq(n: int, d: float = 1.0, *, dtype: Any = None, requires_grad: bool = False) -> Any:
    """The frequencies of :func:`rfft` of length ``n`` at the spacing ``d``: 0, 1, ..., n // 2 over (n d)."""
    return _frequencies(np.fft.rfftfreq, n, d, dtype, requires_grad)


def _frequencies(function: Any, n: int, d: float, dtype: Any, requires_grad: bool) -> Any:
    from tinydl.autograd.primitives import Tensor  # type: ignore[attr-defined]

    want = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    if type(n) is int and type(d) is float and n <= _FEW:
        return Tensor._wrap(_remembered_frequencies(function, n, d, want).copy(), requires_grad=requires_grad)
    return Tensor._wrap(function(n, d).astype(want), requires_grad=requires_grad)


@remembered
def _remembered_frequencies(function: Any, n: int, d: float, dtype: Any) -> Any:
    return function(n, d).astype(dtype)


@by_axis
def fftshift(input: Any, dim: Any = None) -> Any:
    """Rolled by half of each dimension in ``dim`` (all without it): frequency 0 comes to the middle."""
    return _shifted(input, dim, lambda n: n // 2)


@by_axis
def ifftshift(input: Any, dim: Any = None) -> Any:
    """The inverse of :func:`fftshift`."""
    return _shifted(input, dim, lambda n: (n + 1) // 2)


def _shifted(x: Any, dim: Any, by: Any) -> Any:
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = tuple(_one_of_some(d, x.ndim) for d in dims)
    if not axes:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return rolled(x, shifts=tuple(by(x.shape[a]) for a in axes), axes=axes)


# --------------------------------------------------------------------------------------------------------- short time


def _window(name: str, window: Any, win_length: int, n_fft: int, like: Any) -> Any:
    """The window, in the middle of ``n_fft`` elements; ones without it."""
    if window is None:
        window = np.ones_like(data_of(like), shape=(win_length,))
    elif tuple(window.shape) != (win_length,):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={win_length}, but got window with size "
            f"{list(window.shape)}"
        )
    elif window.dtype != like.dtype:
        window = cast(window, dtype=like.dtype)
    left = (n_fft - win_length) // 2
    if win_length == n_fft:
        return window
    return pad_constant(window, pads=((left, n_fft - win_length - left),), value=0)


def _lengths(name: str, n_fft: int, hop_length: int | None, win_length: int | None) -> tuple[int, int]:
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got win_length={length} and n_fft={n_fft}")
    return hop, length


def _no_complex(name: str, return_complex: bool | None) -> None:
    if return_complex:
        raise RuntimeError(
            f"{name}: tinydl has no complex dtype; leave return_complex out, and the last dimension holds (real, "
            "imaginary)"
        )


def stft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
) -> Any:
    """The spectra of windows that slide over a signal: [..., L] (at most one batch) -> [..., K, T, 2].

    X[k, t] = sum_j window[j] x[t hop + j] exp(-2 pi i k j / n_fft), as (real, imaginary) in the last dimension: what
    ``torch.view_as_real(torch.stft(..., return_complex=True))`` gives. K is n_fft // 2 + 1, or n_fft unless
    ``onesided``.

    hop_length, win_length, window
        n_fft // 4, n_fft, and ones unless given; a shorter window stands in the middle of n_fft elements.
    center, pad_mode
        Pad by n_fft // 2 at both ends, so that frame t is centred at t hop.
    normalized
        Divide by sqrt(n_fft).

    Raises RuntimeError for sizes that do not fit and for ``return_complex=True``.
    """
    _no_complex("stft", return_complex)
    x = _real("stft", input)
    if x.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, but got shape {tuple(x.shape)}")
    hop, length = _lengths("stft", n_fft, hop_length, win_length)
    single = x.ndim == 1
    if single:
        x = reshape_to(x, shape=(1, *x.shape))
    if center:
        half = n_fft // 2
        x = reshape_to(pad(reshape_to(x, shape=(1, *x.shape)), (half, half), pad_mode), shape=(x.shape[0], -1))
    if not 0 < n_fft <= x.shape[1]:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {x.shape[1]}, but got n_fft={n_fft}")
    frames = windows(x, axis=1, size=n_fft, step=hop) * _window("stft", window, length, n_fft, x)
    scale = 1 / math.sqrt(n_fft) if normalized else 1.0
    found = permute_axes(spectrum(frames, axis=2, length=n_fft, scale=scale), axes=(0, 2, 1, 3))  # [B, K, T, 2]
    if onesided is False:
        found = cat([found, _mirrored(found, n_fft)], 1)
    return reshape_to(found, shape=found.shape[1:]) if single else found


def _mirrored(x: Any, n: int) -> Any:
    """The negative frequencies of a real signal: conjugates, from the last to the first."""
    part = take_slice(x, index=(slice(None), slice(1, (n + 1) // 2)))
    return reverse(part, axes=(1,)) * beside(np.array([1, -1], x.dtype), data_of(x))


def istft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """The signal whose :func:`stft` comes nearest to the spectra [..., K, T, 2] (Griffin and Lim, IEEE Trans. ASSP 32,
    1984): windowed frames are added and divided by the sum of the squared windows.

    Arguments as for :func:`stft`; ``length`` cuts or fills the signal. Raises RuntimeError for sizes that do not
    fit, and where the squared windows add up to less than 1e-11.
    """
    _no_complex("istft", return_complex)
    x = _real("istft", input)
    if x.ndim not in (3, 4) or x.shape[-1] != 2:
        raise RuntimeError(
            f"istft: expected [..., frequencies, frames, 2] with at most one batch dimension, but got {tuple(x.shape)}"
        )
    hop, win = _lengths("istft", n_fft, hop_length, win_length)
    single = x.ndim == 3
    if single:
        x = reshape_to(x, shape=(1, *x.shape))
    bins = n_fft // 2 + 1
    if x.shape[1] != (n_fft if onesided is False else bins):
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 = "
            f"{bins} when onesided=True (n_fft otherwise), but got {x.shape[1]}"
        )
    count = x.shape[2]
    frames = irfft(permute_axes(x, axes=(0, 2, 1, 3)), n_fft, 2, "ortho" if normalized else None)
    w = _window("istft", window, win, n_fft, frames)
    total = n_fft + hop * (count - 1)
    out = overlap_add(frames * w, axis=1, step=hop, shape=(frames.shape[0], total))
    if hasattr(w, "node") and not w.needs_grad:
        w = w.array
    squares = reshape_to(w * w, shape=(1, n_fft)) + np.zeros_like(data_of(frames), shape=(count, 1))
    envelope = overlap_add(squares, axis=0, step=hop, shape=(total,))
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else (total - n_fft // 2 if center else total)
    keep = (slice(start, min(end, total)),)
    envelope = take_slice(envelope, index=keep)
    least = np.abs(on_host(data_of(envelope))).min(initial=np.inf)
    if least < 1e-11:
        raise RuntimeError(f"istft: window overlap add min: {least} is below 1e-11; the window leaves gaps")
    out = take_slice(out, index=(slice(None), *keep)) / envelope
    if end > total:
        out = pad_constant(out, pads=((0, 0), (0, end - total)), value=0)
    return reshape_to(out, shape=out.shape[1:]) if single else out
