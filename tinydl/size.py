"""``Size``: a tuple of sizes that can count."""

from __future__ import annotations

import math
import operator
from typing import Any


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


def sizes_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """``(2, 3)`` of ``f(2, 3)`` or ``f((2, 3))``. Raises TypeError for what is no integer, RuntimeError below 0."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    found = []
    for s in size:
        try:
            found.append(operator.index(s))
        except TypeError:
            raise TypeError(
                f"argument 'size' must be a tuple of ints, but found an element of type {type(s).__name__}: {s!r} in "
                f"{tuple(size)}"
            ) from None
    if any(s < 0 for s in found):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(found)}: {found}")
    return tuple(found)
