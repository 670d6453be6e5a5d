"""PyTorch's functions as ``tinydl.exp``, ``tinydl.cat``, ...: the operations, with arrays and numbers converted to
tensors first.

A primitive given plain arrays returns arrays, which is what rules need; the public function of the same name always
returns a Tensor.
"""

from __future__ import annotations

import functools
from typing import Any

from tinydl.creation import as_tensor
from tinydl.ops import elementwise, indexing, products, reducing, shaping
from tinydl.tensor import Tensor


def _public(call: Any) -> Any:
    """The twin of a primitive's call that makes tensors of arrays."""
    return call.op.public_call


def _converting(function: Any) -> Any:
    """``function`` with its first argument made a tensor."""

    @functools.wraps(function)
    def converted(input: Any, *args: Any, **kwargs: Any) -> Any:
        return function(input if isinstance(input, Tensor) else as_tensor(input), *args, **kwargs)

    return converted


def _converting_all(function: Any) -> Any:
    """``function`` of a sequence of tensors, each converted."""

    @functools.wraps(function)
    def converted(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Any:
        return function([x if isinstance(x, Tensor) else as_tensor(x) for x in tensors], dim if axis is None else axis)

    return converted


_PRIMITIVES = (
    "add sub mul div neg remainder floor_divide pow square sqrt rsqrt reciprocal abs sign floor ceil round "
    "exp expm1 log log2 log10 log1p sin cos tan arctan sinh cosh tanh sigmoid relu "
    "maximum minimum eq ne lt le gt ge logical_and logical_or logical_not isnan isfinite isinf"
).split()
_FUNCTIONS = {
    elementwise: "clamp",
    reducing: "sum mean var std amax amin max min argmax argmin any all logsumexp softmax log_softmax cumsum",
    shaping: "reshape flatten permute transpose t broadcast_to squeeze unsqueeze flip split chunk unbind",
    indexing: "gather index_select masked_select nonzero",
    products: "matmul bmm outer dot",
}

for _name in _PRIMITIVES:
    globals()[_name] = _public(getattr(elementwise, _name))
for _room, _names in _FUNCTIONS.items():
    for _name in _names.split():
        globals()[_name] = _converting(getattr(_room, _name))
cat = concat = _converting_all(shaping.cat)
stack = _converting_all(shaping.stack)
where = elementwise.where
atan, multiply, subtract, divide, true_divide, mm, clip = (
    globals()["arctan"], globals()["mul"], globals()["sub"], globals()["div"], globals()["div"], globals()["matmul"],
    globals()["clamp"],
)  # fmt: skip

__all__ = [
    *_PRIMITIVES, *" ".join(_FUNCTIONS.values()).split(), "cat", "concat", "stack", "where", "atan", "multiply",
    "subtract", "divide",
    "true_divide", "mm", "clip",
]  # fmt: skip
