"""Images of another size, and images read at the points of a grid."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydl.devices import beside
from tinydl.nn.functional.checks import one_dtype
from tinydl.ops import pool as _pool
from tinydl.ops import products as _products
from tinydl.ops import resample as _resample
from tinydl.ops import sampling as _sampling
from tinydl.ops import shaping as _shaping
from tinydl.ops.axes import remembered
from tinydl.tensor import Tensor

# The number of dimensions that a mode is for.
_RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", *_RANKS)


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """An image, a sequence or a volume in another size: [B, C, *old] -> [B, C, *size].

    ``size``, or ``floor(old * scale_factor)``. ``mode``: "nearest" (the element at floor(i old / new)), "nearest-exact"
    (that at the nearest centre), "linear", "bilinear", "trilinear" (the 2, 4 or 8 neighbours), "bicubic" (16, Keys
    1981) or "area" (the means of :func:`adaptive_avg_pool2d`). ``align_corners`` puts the centres of the corner
    elements on each other, else their outer corners. A given ``scale_factor`` is the ratio of the grids unless
    ``recompute_scale_factor``. ``antialias`` smooths what is made smaller (bilinear and bicubic).

    Raises ValueError when not exactly one of ``size`` and ``scale_factor`` is given or they have another number of
    dimensions, NotImplementedError for an input that the mode is not for.
    """
    if type(size) is list:
        size = tuple(size)
    if type(scale_factor) is list:
        scale_factor = tuple(scale_factor)
    x = input.array
    try:
        windows = _windows(x.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    except TypeError:  # what has no hash, such as arrays
        windows = _windows.__wrapped__(
            x.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        )
    if x.dtype.kind != "f":
        raise RuntimeError(f"interpolate: not implemented for {input.dtype}; convert the input with .float()")
    return _pool.window_sum(input, windows=windows)  # type: ignore[no-any-return]


@remembered
def _windows(
    shape: tuple[int, ...], size: Any, scale_factor: Any, mode: str, align_corners: bool | None, recompute: Any,
    antialias: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Per dimension of space the windows that an interpolation sums; the same object each time."""
    rank = len(shape) - 2
    if rank not in (1, 2, 3) or mode not in _MODES:
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported "
            f"(got {len(shape)}D) for the modes: {' | '.join(_MODES)} (got {mode})"
        )
    if _RANKS.get(mode, rank) != rank:
        raise NotImplementedError(f"Got {len(shape)}D input, but {mode} mode needs {_RANKS[mode] + 2}D input")
    if mode not in _RANKS and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(
            "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input"
        )
    old = shape[2:]
    new, factors = _new_size(old, size, scale_factor, bool(recompute))
    if min(*old, *new) < 1:
        raise RuntimeError(
            f"interpolate: Input and output sizes should be greater than 0, but got input {list(old)} and output "
            f"{list(new)}"
        )
    align = bool(align_corners)
    windows: list[Any] = []
    for n, m, factor in zip(old, new, factors):
        if antialias:
            windows.append(_resample.smoothed(n, m, mode, align, factor))
        elif mode == "area":
            windows.append(_pool.adaptive_windows(n, m))
        elif mode == "bicubic":
            windows.append(_resample.cubic(n, m, align, factor))
        elif mode in _RANKS:
            windows.append(_resample.linear(n, m, align, factor))
        else:
            windows.append(_resample.nearest(n, m, mode == "nearest-exact", factor))
    return tuple(windows)


def _new_size(
    old: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool
) -> tuple[tuple[int, ...], list[float | None]]:
    """The new size, and per dimension the factor that the ratio of the grids is made of (None: the sizes)."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    given = scale_factor if size is None else size
    if given is None:
        raise ValueError("either size or scale_factor should be defined")
    what = "scale_factor" if size is None else "output size"
    values = tuple(given) if isinstance(given, Sequence) else (given,) * len(old)
    if len(values) != len(old):
        raise ValueError(
            f"Input and {what} must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(old)} and {what} of shape {values}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
            f"format and {what} with one number for each of d1, d2, ...,dK."
        )
    if size is not None:
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return tuple(int(n) for n in values), [None] * len(old)
    new = tuple(math.floor(n * float(f)) for n, f in zip(old, values))
    return new, [None if recompute else float(f) for f in values]


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The points that :func:`grid_sample` reads an image at to move, turn and stretch it.

    ``theta`` [B, 2, 3] (or [B, 3, 4]) maps (x, y, 1), each of x and y from -1 to 1 over ``size`` = (B, C, H, W), to
    the point read: -> [B, H, W, 2]. With ``align_corners`` -1 and 1 are the centres of the corner elements, else
    their outer corners. Jaderberg et al., arXiv:1506.02025.
    """
    size = tuple(int(n) for n in size)
    rank = len(size) - 2
    if rank not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {size}."
        )
    if theta.dtype.kind != "f":
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if theta.ndim != 3 or theta.shape[1:] != (rank, rank + 1) or theta.shape[0] != size[0]:
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size {size}. "
            f"Got {tuple(theta.shape)}."
        )
    if min(size) < 1:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    base = Tensor._wrap(beside(_corners(size[2:], bool(align_corners), theta.dtype), theta.array))
    grid = _products.mm(base, _products.swap_last(theta))
    return _shaping.reshape_to(grid, shape=(size[0], *size[2:], rank))  # type: ignore[no-any-return]


@remembered
def _corners(space: tuple[int, ...], align: bool, dtype: Any) -> Any:
    """The points (x, y, 1) or (x, y, z, 1) of a whole image or volume [D H W, 3 or 4]."""
    axes, rank = [], len(space)
    for n in space:
        ends = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        axes.append(ends if align else ends * (n - 1) / n)
    base = np.ones((math.prod(space), rank + 1), dtype)
    for dim, points in enumerate(np.meshgrid(*axes, indexing="ij")):
        base[:, rank - 1 - dim] = points.reshape(-1)  # x, which runs along the last dimension, comes first
    return base


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """``input`` [B, C, H, W] read at ``grid`` [B, h, w, 2] -> [B, C, h, w]; volumes likewise with grids [..., 3].

    A point (x, y) lies in [-1, 1]; -1 and 1 are the centres of the corner elements with ``align_corners``, else
    their outer corners. ``mode``: "bilinear" (of a volume too), "nearest" or "bicubic" (images only).
    ``padding_mode`` says what is outside: "zeros", the "border", or its "reflection". Differentiable in both
    arguments. Jaderberg et al., arXiv:1506.02025.
    """
    x, points = input.array, grid.array
    if x.dtype is not points.dtype or not _can_sample(x.dtype.kind, x.shape, points.shape, mode, padding_mode):
        _refuse_sampling(input, grid, mode, padding_mode)
    return _sampling.grid_sample(  # type: ignore[no-any-return]
        input, grid, interpolation=mode, padding=padding_mode, align=bool(align_corners)
    )


@remembered
def _can_sample(kind: str, shape: tuple[int, ...], points: tuple[int, ...], mode: str, padding_mode: str) -> bool:
    rank = len(shape) - 2
    return (
        kind == "f" and len(shape) == len(points) and shape[0] == points[0] and points[-1] == rank
        and mode in _SAMPLED.get(rank, ()) and padding_mode in _PADDINGS and 0 not in shape[2:]
    )  # fmt: skip


# By the number of dimensions of space, the modes of sampling; and the paddings.
_SAMPLED = {2: ("bilinear", "nearest", "bicubic"), 3: ("bilinear", "nearest")}
_PADDINGS = ("zeros", "border", "reflection")


def _refuse_sampling(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    """What is wrong with the arguments of :func:`grid_sample`, as an error."""
    if mode not in _SAMPLED[2]:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    one_dtype("grid_sample", input=input, grid=grid)
    rank = input.ndim - 2
    sizes = f"but got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
    if rank not in (2, 3) or grid.ndim != input.ndim:
        raise RuntimeError(f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, {sizes}")
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {sizes}")
    if grid.shape[-1] != rank:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {rank} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if min(input.shape[2:]) < 1:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
            f"{list(input.shape)}"
        )
    if mode == "bicubic" and rank != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if input.dtype.kind != "f":
        raise RuntimeError(f"grid_sampler: not implemented for {input.dtype}; convert the input with .float()")


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """The older name of :func:`interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)
