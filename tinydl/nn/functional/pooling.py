"""Pooling: one number for each window of the last one, two or three dimensions."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.nn.functional.checks import per_dimension
from tinydl.nn.functional.sparse import largest
from tinydl.ops import elementwise as _elementwise
from tinydl.ops import pool as _pool
from tinydl.tensor import Tensor

Sizes = int | Sequence[int]
Ints = tuple[int, ...]


def _settled(value: Any) -> Any:
    """A list as a tuple: what can be remembered."""
    return tuple(value) if isinstance(value, list) else value


def _planned(plan: Any) -> Any:
    """``plan``, remembered; a list of sizes, which cannot be, is the tuple of them."""
    known = functools.lru_cache(maxsize=1024)(plan)

    @functools.wraps(plan)
    def call(*arguments: Any) -> Any:
        try:
            return known(*arguments)
        except TypeError:
            return known(*map(_settled, arguments))

    return call


def _floating(name: str, dtype: Any) -> None:
    if dtype.kind != "f":
        raise RuntimeError(f"{name}: not implemented for {dtype}; convert the input with .float()")


def _space(name: str, rank: int, shape: Ints) -> Ints:
    """Channels and space of an input with or without a batch."""
    space = shape[len(shape) - rank - 1 :]
    if len(shape) not in (rank + 1, rank + 2) or 0 in space:
        raise RuntimeError(
            f"{name}: Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(shape)}"
        )
    return space


def _pooled(name: str, rank: int, shape: Ints, dtype: Any, kernel_size: Sizes, stride: Sizes | None, padding: Sizes,
            dilation: Sizes, ceil_mode: bool) -> list[Ints]:  # fmt: skip
    """Per dimension (size, size of the output, kernel, stride, padding, dilation), checked."""
    _floating(name, dtype)
    size = _space(name, rank, shape)
    space = size[1:]
    kernel = per_dimension(name, "kernel_size", kernel_size, rank)
    # An empty stride is PyTorch's way of saying None in older scripts.
    steps = kernel if stride is None or stride == () else per_dimension(name, "stride", stride, rank)
    pads = per_dimension(name, "padding", padding, rank)
    gaps = per_dimension(name, "dilation", dilation, rank)
    if min(kernel) < 1:
        raise RuntimeError(f"{name}: kernel size should be greater than zero, but got kernel_size={list(kernel)}")
    if min(steps) < 1:
        raise RuntimeError(f"{name}: stride should not be zero or negative, but got stride={list(steps)}")
    if min(gaps) < 1:
        raise RuntimeError(f"{name}: dilation should be greater than zero, but got dilation={list(gaps)}")
    for k, p, d in zip(kernel, pads, gaps):
        if p < 0:
            raise RuntimeError(f"{name}: pad must be non-negative, but got pad: {p}")
        if p > ((k - 1) * d + 1) // 2:
            raise RuntimeError(
                f"{name}: pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                f"dilation={d}"
            )
    settings = zip(space, kernel, steps, pads, gaps)
    out = tuple(_pool.pooled_size(n, k, s, p, d, ceil_mode) for n, k, s, p, d in settings)
    if min(out) < 1:
        raise RuntimeError(
            f"{name}: Given input size: ({'x'.join(map(str, size))}). Calculated output size: "
            f"({'x'.join(map(str, (size[0], *(max(n, 0) for n in out))))}). Output size is too small"
        )
    return list(zip(space, out, kernel, steps, pads, gaps))


@_planned
def _max_plan(*arguments: Any) -> tuple[Any, ...]:
    """The windows of a maximum; the arguments are those of :func:`_pooled`."""
    return tuple(_pool.max_windows(*setting) for setting in _pooled(*arguments))


def _max_pool(name: str, rank: int, input: Tensor, *arguments: Any) -> Any:
    x = input.array
    return _pool.max_pool_values(input, windows=_max_plan(name, rank, x.shape, x.dtype, *arguments))


def max_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest of input[..., i stride - padding + k dilation], k < kernel_size: [..., L] -> [..., (L + 2 padding -
    dilation (kernel_size - 1) - 1) // stride + 1].

    ``stride`` is kernel_size by default. Padding never wins, and a window that sees nothing else is -inf, its place -1
    (PyTorch gives one that is not in the window); a NaN does win. The gradient goes to the first of equal
    elements. ``ceil_mode`` adds a last window that reaches over the end; ``return_indices`` gives, besides, the
    places in the input, int64. Raises RuntimeError where no window fits.
    """
    x = input.array
    windows = _max_plan("max_pool1d", 1, x.shape, x.dtype, kernel_size, stride, padding, dilation, ceil_mode)
    return _pool.max_pool(input, windows=windows) if return_indices else _pool.max_pool_values(input, windows=windows)


def max_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """:func:`max_pool1d` in two dimensions; indices count through the plane, row by row."""
    x = input.array
    windows = _max_plan("max_pool2d", 2, x.shape, x.dtype, kernel_size, stride, padding, dilation, ceil_mode)
    return _pool.max_pool(input, windows=windows) if return_indices else _pool.max_pool_values(input, windows=windows)


def max_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """:func:`max_pool1d` in three dimensions; indices count through the volume."""
    x = input.array
    windows = _max_plan("max_pool3d", 3, x.shape, x.dtype, kernel_size, stride, padding, dilation, ceil_mode)
    return _pool.max_pool(input, windows=windows) if return_indices else _pool.max_pool_values(input, windows=windows)


@_planned
def _avg_plan(
    name: str, rank: int, shape: Ints, dtype: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor: int | None,
) -> tuple[Any, ...]:  # fmt: skip
    """The windows of a mean, or with a ``divisor`` of a sum divided by it."""
    pooled = _pooled(name, rank, shape, dtype, kernel_size, stride, padding, 1, ceil_mode)
    settings = [setting[:-1] for setting in pooled]
    if divisor == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    if divisor is None:
        return tuple(_pool.mean_windows(*setting, count_include_pad) for setting in settings)
    (first, last, ones), *others = (_pool.sum_windows(*setting) for setting in settings)
    return ((first, last, ones / divisor), *others)


def _avg_pool(name: str, rank: int, input: Tensor, *arguments: Any) -> Tensor:
    x = input.array
    return _pool.window_sum(  # type: ignore[no-any-return]
        input, windows=_avg_plan(name, rank, x.shape, x.dtype, *arguments)
    )


def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of input[..., i stride - padding + k], k < kernel_size: [..., L] -> [..., (L + 2 padding -
    kernel_size) // stride + 1].

    ``stride`` is kernel_size by default. Zeros of the padding count in the mean unless ``count_include_pad`` is
    False. ``ceil_mode`` adds a last window that reaches over the end. Raises RuntimeError where no window fits.
    """
    x = input.array
    windows = _avg_plan(
        "avg_pool1d", 1, x.shape, x.dtype, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """:func:`avg_pool1d` in two dimensions; ``divisor_override`` is what the sums are divided by instead."""
    x = input.array
    windows = _avg_plan(
        "avg_pool2d", 2, x.shape, x.dtype, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


def avg_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """:func:`avg_pool1d` in three dimensions; ``divisor_override`` is what the sums are divided by instead."""
    x = input.array
    windows = _avg_plan(
        "avg_pool3d", 3, x.shape, x.dtype, kernel_size, stride, padding, ceil_mode, count_include_pad,
        divisor_override,
    )  # fmt: skip
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


# ------------------------------------------------------------------------------------------------------------ adaptive


@_planned
def _adaptive_plan(name: str, rank: int, shape: Ints, dtype: Any, output_size: Any) -> tuple[tuple[Any, ...], ...]:
    """A window sum's windows per dimension; a size of None keeps that of the input."""
    _floating(name, dtype)
    if len(shape) not in (rank + 1, rank + 2):
        raise RuntimeError(f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor, but got {list(shape)}")
    for dim in range(len(shape) - rank - 1, len(shape)):
        if not shape[dim]:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(shape)} with dimension {dim} being empty"
            )
    given = output_size if isinstance(output_size, tuple) else (output_size,) * rank
    if len(given) != rank:
        raise RuntimeError(f"{name}: output_size must have {rank} elements, but got {list(given)}")
    space = shape[len(shape) - rank :]
    size = [n if m is None else int(m) for n, m in zip(space, given)]
    if min(size) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {list(given)}"
        )
    return tuple(_pool.adaptive_windows(n, m) for n, m in zip(space, size))


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of ``output_size`` windows, as equal as can be: [..., L] -> [..., output_size].

    Window i reaches from floor(i L / output_size) to ceil((i + 1) L / output_size).
    """
    x = input.array
    windows = _adaptive_plan("adaptive_avg_pool1d", 1, x.shape, x.dtype, output_size)
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """:func:`adaptive_avg_pool1d` in two dimensions; None keeps a size."""
    x = input.array
    windows = _adaptive_plan("adaptive_avg_pool2d", 2, x.shape, x.dtype, output_size)
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """:func:`adaptive_avg_pool1d` in three dimensions; None keeps a size."""
    x = input.array
    windows = _adaptive_plan("adaptive_avg_pool3d", 3, x.shape, x.dtype, output_size)
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


@_planned
def _adaptive_max_plan(*arguments: Any) -> tuple[Any, ...]:
    """The windows of :func:`_adaptive_plan` for a maximum, looked at element by element."""
    return tuple((first, last, 1) for first, last, _ in _adaptive_plan(*arguments))


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The greatest elements of ``output_size`` windows, those of :func:`adaptive_avg_pool1d`; with
    ``return_indices`` their places too."""
    x = input.array
    windows = _adaptive_max_plan("adaptive_max_pool1d", 1, x.shape, x.dtype, output_size)
    return _pool.max_pool(input, windows=windows) if return_indices else _pool.max_pool_values(input, windows=windows)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool1d` in two dimensions; None keeps a size."""
    x = input.array
    windows = _adaptive_max_plan("adaptive_max_pool2d", 2, x.shape, x.dtype, output_size)
    return _pool.max_pool(input, windows=windows) if return_indices else _pool.max_pool_values(input, windows=windows)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool1d` in three dimensions; None keeps a size."""
    x = input.array
    windows = _adaptive_max_plan("adaptive_max_pool3d", 3, x.shape, x.dtype, output_size)
    return _pool.max_pool(input, windows=windows) if return_indices else _pool.max_pool_values(input, windows=windows)


# ----------------------------------------------------------------------------------------------------- powers, inverse


def _lp_pool(
    name: str, rank: int, input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None, ceil_mode: bool
) -> Tensor:
    if math.isinf(norm_type):
        sign = 1.0 if norm_type > 0 else -1.0
        size = _elementwise.abs(input) * sign
        return _max_pool(name, rank, size, kernel_size, stride, 0, 1, ceil_mode) * sign  # type: ignore[no-any-return]
    kernel = per_dimension(name, "kernel_size", kernel_size, rank)
    mean = _avg_pool(name, rank, input**norm_type, kernel_size, stride, 0, ceil_mode, True, None)
    # The root of a positive number; a window whose sum is negative (odd powers) gives 0 as in PyTorch.
    total = _elementwise.sign(mean) * _elementwise.relu(_elementwise.abs(mean)) * float(math.prod(kernel))
    return _elementwise.pow(total, 1.0 / norm_type)  # type: ignore[no-any-return]


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """(sum over the window of x^p)^(1/p), p = ``norm_type`` (infinity: the maximum of abs(x)).

    Windows are those of :func:`avg_pool1d` without padding.
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """:func:`lp_pool1d` in two dimensions."""
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """:func:`lp_pool1d` in three dimensions."""
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


@functools.lru_cache(maxsize=1024)
def _unpooled(name: str, rank: int, shape: Ints, kernel_size: Any, stride: Any, padding: Any, output_size: Any) -> Ints:
    """The space that was pooled, checked."""
    if len(shape) not in (rank + 1, rank + 2):
        raise RuntimeError(
            f"{name}: Input to {name} should be a {rank + 1}d or {rank + 2}d Tensor, but got {list(shape)}"
        )
    kernel = per_dimension(name, "kernel_size", kernel_size, rank)
    steps = kernel if stride is None or stride == () else per_dimension(name, "stride", stride, rank)
    pads = per_dimension(name, "padding", padding, rank)
    space = shape[len(shape) - rank :]
    usual = tuple((n - 1) * s + k - 2 * p for n, k, s, p in zip(space, kernel, steps, pads))
    size = usual if output_size is None else tuple(int(n) for n in output_size)
    if len(size) == rank + 2:
        size = size[2:]
    if len(size) != rank:
        raise ValueError(
            f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it has a length of "
            f"'{len(size)}'"
        )
    for dim, (n, want, s) in enumerate(zip(size, usual, steps)):
        if output_size is not None and not want - s < n < want + s:
            raise ValueError(f'invalid output_size "{size}" (dim {dim} must be between {want - s} and {want + s})')
    return size


def _max_unpool(name: str, rank: int, input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None,
                padding: Sizes, output_size: Any) -> Tensor:  # fmt: skip
    at = indices.array
    if at.shape != input.array.shape:
        raise RuntimeError(
            f"{name}: Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got "
            f"indices tensor with shape: {list(indices.shape)}"
        )
    if at.dtype != np.int64:
        raise RuntimeError(f"{name}: elements in indices should be type int64 but got: {indices.dtype}")
    try:
        size = _unpooled(name, rank, at.shape, kernel_size, stride, padding, output_size)
    except TypeError:  # a list of sizes
        size = _unpooled(name, rank, at.shape, *map(_settled, (kernel_size, stride, padding, output_size)))
    volume = math.prod(size)
    if at.size and largest(at.view(np.uint64)) >= volume:  # a negative one is a large one
        wrong = int(at.min()) if at.min() < 0 else int(at.max())
        raise RuntimeError(
            f"{name}: Found an invalid max index: {wrong} (output volumes are of size {'x'.join(map(str, size))})"
        )
    return _pool.write_positions(input, at, size=size)  # type: ignore[no-any-return]


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
                 output_size: Any = None) -> Tensor:  # fmt: skip
    """Zeros with each element of ``input`` at its index: what :func:`max_pool1d` with ``return_indices`` took.

    The size is (L - 1) stride - 2 padding + kernel_size, or ``output_size`` where several sizes pool to L. Of two
    elements with one index the last remains. Raises RuntimeError for an index outside, ValueError for a size that
    cannot be.
    """
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
                 output_size: Any = None) -> Tensor:  # fmt: skip
    """:func:`max_unpool1d` in two dimensions."""
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
                 output_size: Any = None) -> Tensor:  # fmt: skip
    """:func:`max_unpool1d` in three dimensions."""
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
