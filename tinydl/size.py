"""``Size``: a tuple of sizes that can count."""

from __future__ import annotations

import math


class Size(tuple[int, ...]):
    """What ``Tensor.shape`` and ``Tensor.size()`` are: a tuple, with ``numel()``. (A slice of it is a plain tuple.)

    >>> Size((2, 3)).numel(), Size((2, 3)) == (2, 3)
    (6, True)
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this size."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"tinydl.Size({list(self)})"


class _Sizes(dict[tuple[int, ...], Size]):
    """Sizes made so far: looking one up takes half as long as making one, and ``x.shape`` is asked for all the time."""

    def __missing__(self, shape: tuple[int, ...]) -> Size:
        if len(self) >= 4096:
            self.clear()
        self[shape] = found = Size(shape)
        return found


SIZES = _Sizes()
