"""Layers that add elements at the ends of the last dimensions; see :func:`tinydl.nn.functional.pad`.

``padding`` is one number for every end, or (left, right, top, bottom, front, back); negative numbers cut off.
"""

from __future__ import annotations

from typing import Any

from tinydl.nn import functional as F
from tinydl.nn.functional.checks import per_dimension
from tinydl.nn.module import Module
from tinydl.tensor import Tensor


class _Pad(Module):
    """Padding of ``rank`` dimensions in one of :func:`tinydl.nn.functional.pad`'s modes."""

    rank: int
    mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = per_dimension(type(self).__name__, "padding", padding, 2 * self.rank)

    def forward(self, input: Tensor) -> Tensor:
        """[..., *old] -> [..., *new]."""
        return F.pad(input, self.padding, self.mode)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """One value everywhere."""

    mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """[..., *old] -> [..., *new]."""
        return F.pad(input, self.padding, "constant", self.value)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """``value`` at both ends of the last dimension."""

    rank = 1


class ConstantPad2d(_ConstantPad):
    """``value`` around the last two dimensions."""

    rank = 2


class ConstantPad3d(_ConstantPad):
    """``value`` around the last three dimensions."""

    rank = 3


class _ZeroPad(_ConstantPad):
    """Zeros everywhere."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Zeros at both ends of the last dimension."""

    rank = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two dimensions."""

    rank = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three dimensions."""

    rank = 3


class ReflectionPad1d(_Pad):
    """The elements next to the border mirrored at it."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The elements next to the borders mirrored at them."""

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The elements next to the borders mirrored at them."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The border again and again."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The borders again and again."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The borders again and again."""

    rank, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The elements of the other end."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The elements of the other ends."""

    rank, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The elements of the other ends."""

    rank, mode = 3, "circular"
