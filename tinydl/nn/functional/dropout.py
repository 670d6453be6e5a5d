"""Dropout: noise that multiplies. Outside training each function here is the identity.

The bits come from ``generator``, tinydl's default one when None, so that ``tinydl.manual_seed`` repeats them.
``inplace=True`` replaces the value of ``input`` itself. Every function raises ValueError unless 0 <= p <= 1.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tinydl.devices import beside
from tinydl.nn.functional.checks import drawing_from
from tinydl.ops import elementwise
from tinydl.random import Generator
from tinydl.tensor import Tensor


def _probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def keep_mask(
    shape: tuple[int, ...], p: float, dtype: Any, generator: Generator | None = None, like: Any = None
) -> Any:
    """0 with probability ``p``, else 1 / (1 - p): an array of ``shape``, whose expectation is one, on the device of the
    array ``like``."""
    kept = drawing_from(generator).random(shape, np.float32, like=like) >= p
    return kept * np.dtype(dtype).type(1 / (1 - p) if p < 1 else 0)


def _times(input: Tensor, mask: Any, inplace: bool) -> Tensor:
    mask = beside(mask, input.array)
    return input._in_place(elementwise.mul, mask) if inplace else input * mask  # type: ignore[no-any-return]


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Each element is zero with probability ``p``, else divided by ``1 - p``. Hinton et al., arXiv:1207.0580."""
    _probability(p)
    if not training or p == 0:
        return input
    return _times(input, keep_mask(input.shape, p, input.dtype, generator, input.array), inplace)


def _by_channel(input: Tensor, batched: bool) -> tuple[int, ...]:
    """The shape of one number for each channel: [N, C, 1, ...], or [C, 1, ...] without a batch."""
    lead = 2 if batched else 1
    return input.shape[:lead] + (1,) * (input.ndim - lead)


def _drop_channels(
    input: Tensor, batched: bool, p: float, training: bool, inplace: bool, generator: Generator | None
) -> Tensor:
    if not training or p == 0:
        return input
    return _times(input, keep_mask(_by_channel(input, batched), p, input.dtype, generator, input.array), inplace)


def dropout1d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """:func:`dropout` of whole channels: [N, C, L] or [C, L]. Tompson et al., arXiv:1411.4280.

    Raises RuntimeError for an input of another number of dimensions.
    """
    _probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input of shape {tuple(input.shape)}. "
            "Note that dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel "
            "dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _drop_channels(input, input.ndim == 3, p, training, inplace, generator)


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """:func:`dropout` of whole channels: [N, C, H, W]; a three-dimensional input counts as [N, C, L], with a warning
    (PyTorch's)."""
    _probability(p)
    if input.ndim not in (3, 4):
        _refuse_or_warn("dropout2d", input, "2 spatial dimensions")
    elif input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim. Use dropout1d instead.",
            stacklevel=2,
        )
    return _drop_channels(input, True, p, training, inplace, generator)


def dropout3d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """:func:`dropout` of whole channels: [N, C, D, H, W] or [C, D, H, W]."""
    _probability(p)
    if input.ndim not in (4, 5):
        _refuse_or_warn("dropout3d", input, "3 spatial dimensions")
    return _drop_channels(input, input.ndim != 4, p, training, inplace, generator)


def _refuse_or_warn(name: str, input: Tensor, wanted: str) -> None:
    """Too few dimensions have no channels; any other number is taken, with a warning, as PyTorch takes it."""
    if input.ndim < 2:
        raise RuntimeError(
            f"Feature dropout requires at least 2 dimensions in the input: {name} got shape {tuple(input.shape)}"
        )
    warnings.warn(
        f"{name}: Received a {input.ndim}-D input to {name}, which is deprecated: {name} exists for inputs with "
        f"{wanted}. To drop elements and not channels, use dropout instead.",
        stacklevel=3,
    )


# The limit of SELU far to the left: -SCALE * ALPHA.
_SATURATED = -1.7580993408473766


def _alpha(
    input: Tensor, shape: tuple[int, ...], p: float, training: bool, inplace: bool, generator: Generator | None
) -> Tensor:
    """a (x m + alpha (1 - m)) + b with m = 1 of probability 1 - p; a and b restore mean 0 and variance 1."""
    _probability(p)
    if not training or p == 0:
        return input
    if p == 1:
        return _times(input, np.zeros(shape, input.dtype), inplace)
    kept = drawing_from(generator).random(shape, np.float32) >= p
    a = 1 / math.sqrt((_SATURATED**2 * p + 1) * (1 - p))
    one = input.dtype.type
    factor = kept * one(a)
    shift = np.where(kept, one(0), one(_SATURATED * a)) - one(_SATURATED * a * p)
    if inplace:
        return _times(input, factor, True).add_(beside(shift, input.array))  # type: ignore[no-any-return]
    return _times(input, factor, False) + beside(shift, input.array)  # type: ignore[no-any-return]


def alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Dropout for SELU networks: dropped elements take SELU's lowest value, and an affine map restores mean and
    variance. Klambauer et al., arXiv:1706.02515."""
    return _alpha(input, input.shape, p, training, inplace, generator)


def feature_alpha_dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """:func:`alpha_dropout` of whole channels: [N, C, ...]. Raises RuntimeError for fewer than two dimensions."""
    if training and input.ndim < 2:
        raise RuntimeError(
            "Feature dropout requires at least 2 dimensions in the input: feature_alpha_dropout got shape "
            f"{tuple(input.shape)}"
        )
    return _alpha(input, _by_channel(input, True), p, training, inplace, generator)


# ---------------------------------------------------------------------------------------------- of recurrent networks


def variational_dropout(
    input: Tensor, p: float = 0.5, training: bool = True, dim: int = 0, *, generator: Generator | None = None
) -> Tensor:
    """:func:`dropout` with one mask for all steps of a sequence: ``dim`` is the time dimension.

    Gal and Ghahramani, arXiv:1512.05287. Raises IndexError for a ``dim`` that the input does not have.
    """
    from tinydl.ops.reducing import one_axis

    _probability(p)
    axis = one_axis(dim, input.ndim)
    if not training or p == 0:
        return input
    shape = tuple(1 if k == axis else size for k, size in enumerate(input.shape))
    return _times(input, keep_mask(shape, p, input.dtype, generator, input.array), False)


def zoneout(
    old: Tensor, new: Tensor, p: float = 0.5, training: bool = True, *, generator: Generator | None = None
) -> Tensor:
    """Each element of a recurrent state keeps its ``old`` value with probability ``p``, else takes the ``new`` one.

    Outside training the expectation, p old + (1 - p) new. Krueger et al., arXiv:1606.01305. Raises RuntimeError,
    naming both shapes, when they differ.
    """
    _probability(p)
    if old.shape != new.shape:
        raise RuntimeError(
            f"zoneout: the old state has shape {tuple(old.shape)} and the new one {tuple(new.shape)}; they must "
            "be equal"
        )
    if not training:
        return new + (old - new) * p  # type: ignore[no-any-return]
    kept = drawing_from(generator).random(new.shape, np.float32, like=new.array) < p
    return elementwise.where(Tensor._wrap(kept), old, new)  # type: ignore[no-any-return]
