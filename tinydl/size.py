"""``Size``: a tuple of sizes that can count."""

from __future__ import annotations

import math


class Size(tuple[int, ...]):
    """What ``Tensor.size()`` returns: a tuple, with ``numel()``. (``Tensor.shape`` is a plain tuple.)

    >>> Size((2, 3)).numel(), Size((2, 3)) == (2, 3)
    (6, True)
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of a tensor of this size."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"tinydl.Size({list(self)})"
