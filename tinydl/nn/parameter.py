"""``Parameter``: a tensor that a Module registers when it is assigned as an attribute."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.tensor import Tensor, as_array


class Parameter(Tensor):
    """A leaf tensor that requires a gradient and belongs to a module.

    ``data`` is a tensor or array (its memory is shared) or anything else that makes one; none gives an empty parameter.
    What is computed from a Parameter is an ordinary Tensor.

    >>> Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        self._hold(np.empty(0, dtypes.get_default_dtype()) if data is None else as_array(data))
        self.requires_grad = requires_grad
        if isinstance(data, Tensor):
            self.ver = data.cell()  # one memory, one count of writes to it

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[Any, Any]) -> Parameter:
        new: Parameter = object.__new__(type(self))
        new._hold(self.array.copy())  # without the gradient, as PyTorch's
        new.needs_grad = self.needs_grad
        memo[id(self)] = new
        vars_of = getattr(self, "__dict__", None)  # a subclass's
        if vars_of:
            new.__dict__.update(copy.deepcopy(vars_of, memo))
        return new
