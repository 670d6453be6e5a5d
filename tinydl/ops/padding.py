"""Padding, and windows that slide: each is linear, and the transpose of each stands beside it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops.axes import lock, one_axis, remembered, sizes_of
from tinydl.ops.elementwise import number
from tinydl.ops.indexing import add_along, sources, take_along, take_flat
from tinydl.ops.shaping import permute_axes, reshape_to
from tinydl.ops.slicing import put_slice, take_slice

_PUT_POSITIONS, _PAD_ROWS = by_dtype("put_positions"), by_dtype("pad_rows")

_LARGE = 1 << 18  # elements from which on a kernel pads rows, in half of NumPy's time and, with bad luck, a tenth


@primitive(input=lambda g, pads: pad_constant(g, pads=_undone(pads), value=0))
def pad_constant(input: Any, *, pads: Any, value: Any) -> Any:
    """``input`` with (before, after) elements of ``value`` added per dimension; negative numbers cut off.

    Its gradient is itself, with the signs of ``pads`` reversed.
    """
    shape, into, where = _plan(input.shape, pads)
    if input.size >= _LARGE and input.dtype.kind == "f" and not any(a or b for a, b in pads[:-1]):
        return _PAD_ROWS[input.dtype](input, *pads[-1], value)
    out = np.full(shape, number(value, input.dtype)) if value else np.zeros(shape, input.dtype)
    out[into] = input[where]
    return out


@remembered
def _plan(old: tuple[int, ...], pads: tuple[tuple[int, int], ...]) -> tuple[Any, Any, Any]:
    """The shape of what is padded, the place of the input in it, and what of the input goes there."""
    shape = tuple(n + a + b for n, (a, b) in zip(old, pads))
    into = tuple(slice(max(a, 0), max(n - max(b, 0), 0)) for n, (a, b) in zip(shape, pads))
    where = tuple(slice(max(-a, 0), max(n - max(-b, 0), 0)) for n, (a, b) in zip(old, pads))
    return shape, into, where


def _undone(pads: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return tuple((-a, -b) for a, b in pads)


@primitive(view=True, input=lambda g, axis, step, input_shape: overlap_add(g, axis=axis, step=step, shape=input_shape))
def windows(input: Any, *, axis: int, size: int, step: int) -> Any:
    """All windows of ``size`` elements along ``axis``, ``step`` apart, their elements as a new last dimension: a view.

    out[..., i, ..., k] = input[..., i * step + k, ...].
    """
    shape, strides = input.shape, input.strides
    count, stride = (shape[axis] - size) // step + 1, strides[axis]
    shape = shape[:axis] + (count,) + shape[axis + 1 :] + (size,)
    return _strided(input, shape, strides[:axis] + (stride * step,) + strides[axis + 1 :] + (stride,))


def _strided(array: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """A view of other sizes and strides from the same first element on."""
    if array.flags.c_contiguous and array.size:
        return np.ndarray(shape, array.dtype, array, 0, strides)  # a tenth of the time
    return np.lib.stride_tricks.as_strided(array, shape, strides)


@primitive(input=lambda g, axis, step, input_shape: windows(g, axis=axis, size=input_shape[-1], step=step))
def overlap_add(input: Any, *, axis: int, step: int, shape: Any) -> Any:
    """Windows added at their places into zeros of ``shape``: the transpose of :func:`windows`."""
    out = np.zeros(shape, input.dtype)
    count, size = input.shape[axis], input.shape[-1]
    if not (count and out.size):
        return out
    if axis == input.ndim - 2 and count * size <= _FEW:
        rows, index = math.prod(shape[:axis]), _places(count, size, step)
        return _PUT_POSITIONS[input.dtype](input.reshape(1, rows, -1), index, shape[axis]).reshape(shape)
    strides = out.strides
    strides = strides[:axis] + (strides[axis] * step,) + strides[axis + 1 :] + (strides[axis],)
    for k in range(0, size, step):  # one addition per stretch of a window that no other stretch overlaps
        width = min(step, size - k)
        places = np.ndarray(input.shape[:-1] + (width,), out.dtype, out, k * out.strides[axis], strides)
        places += input[..., k : k + width]
    return out


_FEW = 4096  # of so many places the index is remembered


@remembered
def _places(count: int, size: int, step: int) -> Any:
    """Where each element of each window is added: [1, 1, count size]."""
    return (np.arange(count)[:, None] * step + np.arange(size)).reshape(1, 1, -1)


# ------------------------------------------------------------------------------------------------ PyTorch's functions


def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """All windows of ``size`` along ``dimension``, ``step`` apart, their elements in a new last dimension: a view."""
    axis = one_axis(dimension, input.ndim)
    n = input.shape[axis] if input.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {axis} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not input.ndim:
        return (
            reshape_to(input, shape=(size,))
            if size
            else pad_constant(reshape_to(input, shape=(1,)), pads=((0, -1),), value=0)
        )
    return windows(input, axis=axis, size=size, step=step)


MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """``input`` with elements added at the ends of its last dimensions.

    pad
        (left, right, top, bottom, ...): two numbers per dimension, from the last one forwards; negative numbers cut.
    mode
        ``"constant"`` (``value``, 0 by default), ``"reflect"`` (without the border itself), ``"replicate"`` (the
        border) or ``"circular"``; the last three pad the last one, two or three dimensions of a batch [N, C, ...] or
        one item [C, ...].

    Raises ValueError for an odd number of pads or an unknown mode, RuntimeError when one is too large.
    """
    pads = sizes_of((tuple(pad),))
    per_axis = _per_axis(input.shape, pads, mode == "constant")
    if mode == "constant":
        return pad_constant(input, pads=per_axis, value=0 if value is None else value)
    if mode not in MODES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}; use one of {', '.join(MODES)}")
    if value:
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    count = len(per_axis)
    if not 1 <= count <= 3 or input.ndim not in (count + 1, count + 2):
        raise NotImplementedError(
            f"Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: {count} dimensions of a "
            f"tensor of shape {tuple(input.shape)} cannot be padded with mode {mode!r}"
        )
    places = sources(_bordered, input.shape, per_axis, mode)
    return _bordered(input, per_axis, mode) if places is None else take_flat(input, places)


def _bordered(input: Any, per_axis: tuple[tuple[int, int], ...], mode: str) -> Any:
    for axis, (a, b) in enumerate(per_axis, input.ndim - len(per_axis)):
        if a or b:
            input = take_along(input, _source(input.shape[axis], a, b, mode, axis), axis=axis)
    return input


@remembered
def _per_axis(shape: tuple[int, ...], pads: tuple[int, ...], every: bool) -> tuple[tuple[int, int], ...]:
    """(before, after) for the padded dimensions, or for ``every`` one, from the first on."""
    if len(pads) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, but got {len(pads)} numbers")
    count = len(pads) // 2
    if count > len(shape):
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pads)} and input of dimension {len(shape)}"
        )
    found = tuple((pads[2 * k], pads[2 * k + 1]) for k in range(count - 1, -1, -1))
    if not every:
        return found
    wide = ((0, 0),) * (len(shape) - count) + found
    for axis, (n, (a, b)) in enumerate(zip(shape, wide)):
        if n + a + b < 0:
            raise RuntimeError(
                f"The input size {n}, plus negative padding {a} and {b} resulted in a negative output size, which "
                f"is invalid. Check dimension {axis} of your input."
            )
    return wide


@remembered
def _source(n: int, before: int, after: int, mode: str, axis: int) -> Any:
    """Where each element of a padded dimension comes from."""
    if n + before + after < 0 or (not n and (before > 0 or after > 0)):
        raise RuntimeError(f"{mode} padding ({before}, {after}) of dimension {axis} of size {n} leaves nothing to take")
    at = np.arange(-before, n + after)
    if mode == "replicate":
        found = at.clip(0, max(n - 1, 0))
    elif mode == "circular":
        if before > n or after > n:
            raise RuntimeError(
                f"Padding value causes wrapping around more than once: ({before}, {after}) at dimension {axis} of size "
                f"{n}"
            )
        first, last = max(-before, 0), n - max(-after, 0)  # what is cut is cut first
        found = first + (at - first) % max(last - first, 1)
    else:
        if before >= n or after >= n:
            raise RuntimeError(
                "Padding size should be less than the corresponding input dimension, but got: padding "
                f"({before}, {after}) at dimension {axis} of input size {n}"
            )
        found = np.abs(at)
        found = np.where(found >= n, 2 * (n - 1) - found, found)
    lock(found)
    return found


# ------------------------------------------------------------------------------------------------------ image columns


Two = tuple[int, int]


def _pair(x: Any) -> Two:
    if isinstance(x, int):
        return x, x
    if len(x) != 2:
        raise RuntimeError(f"expected one number or two, for rows and columns, but got {tuple(x)}")
    return int(x[0]), int(x[1])


def _refuse_windows(kernel: Two, dilation: Two, padding: Two, stride: Two) -> None:
    for name, numbers in (("kernel_size", kernel), ("dilation", dilation), ("stride", stride)):
        if min(numbers) < 1:
            raise RuntimeError(f"{name} should be greater than zero, but got {name}={numbers}")
    if min(padding) < 0:
        raise RuntimeError(f"padding should be non-negative, but got padding={padding}")


def unfold_image(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The patches of images as columns: [N, C, H, W] -> [N, C kH kW, L], or without N.

    Patch l holds input[c, h stride + i dilation, w stride + j dilation]; L counts the places (h, w), row by row.
    A product of kernels with the columns is a convolution. Raises RuntimeError when no patch fits.
    """
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor for input with possibly 0 batch size, but got {tuple(input.shape)}"
        )
    kernel, dilation, (ph, pw), stride = _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride)
    _refuse_windows(kernel, dilation, (ph, pw), stride)
    if ph or pw:
        pads = ((0, 0), (0, 0), (ph, ph), (pw, pw))
        input = pad_constant(input, pads=pads if input.ndim == 4 else pads[1:], value=0)
    places = sources(_patches, input.shape, kernel, dilation, (ph, pw), stride)
    return _patches(input, kernel, dilation, (ph, pw), stride) if places is None else take_flat(input, places)


def _patches(input: Any, kernel: Two, dilation: Two, padding: Two, stride: Two) -> Any:
    """The patches of padded images."""
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = kernel, dilation, padding, stride
    x = input if input.ndim == 4 else reshape_to(input, shape=(1, *input.shape))
    n, c, h, w = x.shape
    rows, columns = (h - dh * (kh - 1) - 1) // sh + 1, (w - dw * (kw - 1) - 1) // sw + 1
    if rows < 1 or columns < 1:
        raise RuntimeError(
            f"Given input with spatial size ({h - 2 * ph}, {w - 2 * pw}), kernel_size={(kh, kw)}, dilation={(dh, dw)}, "
            f"padding={(ph, pw)}, calculated shape of the array of sliding blocks as ({rows}, {columns}), but its "
            "components must be at least one."
        )
    x = windows(x, axis=2, size=dh * (kh - 1) + 1, step=sh)  # [n, c, rows, w, kh]
    x = windows(x, axis=3, size=dw * (kw - 1) + 1, step=sw)  # [n, c, rows, columns, kh, kw]
    if dh > 1 or dw > 1:
        x = take_slice(x, index=(..., slice(None, None, dh), slice(None, None, dw)))
    x = reshape_to(permute_axes(x, axes=(0, 1, 4, 5, 2, 3)), shape=(n, c * kh * kw, rows * columns))
    return x if input.ndim == 4 else reshape_to(x, shape=x.shape[1:])


def fold_image(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """Columns of patches added at their places: [N, C kH kW, L] -> [N, C, H, W], or without N: the transpose of
    :func:`unfold_image`. Raises RuntimeError when the number of columns is not that of the patches of ``output_size``.
    """
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {list(input.shape)}"
        )
    size, kernel, dilation, padding, stride = (
        _pair(v) for v in (output_size, kernel_size, dilation, padding, stride)
    )
    _refuse_windows(kernel, dilation, padding, stride)
    return _folded(input, size, kernel, dilation, padding, stride)


def _folded(input: Any, size: Two, kernel: Two, dilation: Two, padding: Two, stride: Two) -> Any:
    (oh, ow), (kh, kw), (dh, dw), (ph, pw), (sh, sw) = size, kernel, dilation, padding, stride
    x = input if input.ndim == 3 else reshape_to(input, shape=(1, *input.shape))
    n, columns_of_patch, length = x.shape
    if columns_of_patch % (kh * kw):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={columns_of_patch} and kernel_size={(kh, kw)}."
        )
    c, h, w = columns_of_patch // (kh * kw), oh + 2 * ph, ow + 2 * pw
    rows, columns = (h - dh * (kh - 1) - 1) // sh + 1, (w - dw * (kw - 1) - 1) // sw + 1
    if rows * columns != length or rows < 1 or columns < 1:
        raise RuntimeError(
            f"Given output_size={(oh, ow)}, kernel_size={(kh, kw)}, dilation={(dh, dw)}, padding={(ph, pw)}, "
            f"stride={(sh, sw)}, expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{rows} * {columns} = {rows * columns}, but got input.size(2)={length}."
        )
    places = sources(_patches, (n, c, h, w), kernel, dilation, padding, stride)
    if places is not None:
        x = reshape_to(add_along(x, places, axis=0, size=n * c * h * w), shape=(n, c, h, w))
    else:
        x = permute_axes(reshape_to(x, shape=(n, c, kh, kw, rows, columns)), axes=(0, 1, 4, 5, 2, 3))
        if dh > 1 or dw > 1:
            spread = (n, c, rows, columns, dh * (kh - 1) + 1, dw * (kw - 1) + 1)
            x = put_slice(x, index=(..., slice(None, None, dh), slice(None, None, dw)), shape=spread)
        x = overlap_add(x, axis=3, step=sw, shape=(n, c, rows, w, x.shape[4]))
        x = overlap_add(x, axis=2, step=sh, shape=(n, c, h, w))
    if ph or pw:
        x = pad_constant(x, pads=((0, 0), (0, 0), (-ph, -ph), (-pw, -pw)), value=0)
    return x if input.ndim == 3 else reshape_to(x, shape=x.shape[1:])


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """[..., C r^2, H, W] -> [..., C, H r, W r]: channels become pixels (Shi et al., arXiv:1609.05158)."""
    places = sources(_shuffled, input.shape, upscale_factor)
    return _shuffled(input, upscale_factor) if places is None else take_flat(input, places)


def _shuffled(input: Any, upscale_factor: int) -> Any:
    r = int(upscale_factor)
    if input.ndim < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={c} is not divisible by {r * r}"
        )
    k = len(lead)
    x = reshape_to(input, shape=(*lead, c // (r * r), r, r, h, w))
    x = permute_axes(x, axes=(*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return reshape_to(x, shape=(*lead, c // (r * r), h * r, w * r))


def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels [B, C, ...] read across ``groups``: g * (C / groups) + k goes to k * groups + g (Zhang et al.,
    "ShuffleNet", arXiv:1707.01083)."""
    places = sources(_across, input.shape, groups)
    return _across(input, groups) if places is None else take_flat(input, places)


def _across(input: Any, groups: int) -> Any:
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    batch, c, *space = input.shape
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    x = reshape_to(input, shape=(batch, groups, c // groups, *space))
    x = permute_axes(x, axes=(0, 2, 1, *range(3, x.ndim)))
    return reshape_to(x, shape=tuple(input.shape))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """[..., C, H r, W r] -> [..., C r^2, H, W]: the inverse of :func:`pixel_shuffle`."""
    places = sources(_unshuffled, input.shape, downscale_factor)
    return _unshuffled(input, downscale_factor) if places is None else take_flat(input, places)


def _unshuffled(input: Any, downscale_factor: int) -> Any:
    r = int(downscale_factor)
    if input.ndim < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input.shape
    for what, n, at in (("height", h, -2), ("width", w, -1)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but input.size({at})={n} is not "
                f"divisible by {r}"
            )
    k = len(lead)
    x = reshape_to(input, shape=(*lead, c, h // r, r, w // r, r))
    x = permute_axes(x, axes=(*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return reshape_to(x, shape=(*lead, c * r * r, h // r, w // r))
