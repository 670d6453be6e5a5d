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


# Elementwise functions and what they compute; operands broadcast, and PyTorch's table promotes their dtypes.
_ELEMENTWISE = {
    "add": "input + other",
    "sub": "input - other",
    "mul": "input * other",
    "div": "input / other; integers give the default floating dtype",
    "neg": "-input",
    "remainder": "input - other * floor(input / other): the sign is that of other",
    "floor_divide": "floor(input / other); not differentiable",
    "pow": "input ** exponent",
    "square": "input ** 2",
    "sqrt": "the square root of input",
    "rsqrt": "1 / sqrt(input)",
    "reciprocal": "1 / input",
    "abs": "the absolute value of input; its derivative at 0 is 0",
    "sign": "-1, 0 or 1 by the sign of input; its derivative is 0",
    "floor": "the greatest integer not above input; its derivative is 0",
    "ceil": "the least integer not below input; its derivative is 0",
    "round": "the nearest integer, halves to the even one; its derivative is 0",
    "exp": "e ** input",
    "expm1": "e ** input - 1, precise near 0",
    "log": "the natural logarithm of input",
    "log2": "the logarithm of input to base 2",
    "log10": "the logarithm of input to base 10",
    "log1p": "log(1 + input), precise near 0",
    "sin": "the sine of input, in radians",
    "cos": "the cosine of input, in radians",
    "tan": "the tangent of input, in radians",
    "arctan": "the angle in (-pi/2, pi/2) whose tangent is input",
    "sinh": "(e ** input - e ** -input) / 2",
    "cosh": "(e ** input + e ** -input) / 2",
    "tanh": "sinh(input) / cosh(input)",
    "sigmoid": "1 / (1 + e ** -input)",
    "relu": "max(input, 0); its derivative at 0 is 0",
    "maximum": "the greater of input and other; at a tie each gets half of the gradient",
    "minimum": "the lesser of input and other; at a tie each gets half of the gradient",
    "eq": "whether input == other",
    "ne": "whether input != other",
    "lt": "whether input < other",
    "le": "whether input <= other",
    "gt": "whether input > other",
    "ge": "whether input >= other",
    "logical_and": "whether both are true (not zero)",
    "logical_or": "whether one is true (not zero)",
    "logical_not": "whether input is zero",
    "isnan": "whether input is not a number",
    "isfinite": "whether input is neither infinite nor not a number",
    "isinf": "whether input is infinite",
}
_FUNCTIONS = {
    elementwise: "clamp",
    reducing: "sum mean var std amax amin max min argmax argmin any all logsumexp softmax log_softmax cumsum",
    shaping: "reshape flatten permute transpose t broadcast_to squeeze unsqueeze flip split chunk unbind",
    indexing: "gather index_select masked_select nonzero",
    products: "matmul bmm outer dot",
}

for _name, _meaning in _ELEMENTWISE.items():
    globals()[_name] = _public(getattr(elementwise, _name))
    globals()[_name].__doc__ = f"Elementwise: {_meaning}."
for _room, _names in _FUNCTIONS.items():
    for _name in _names.split():
        globals()[_name] = _converting(getattr(_room, _name))
cat = concat = _converting_all(shaping.cat)
stack = _converting_all(shaping.stack)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` (bool) holds, else ``other``; without them the indices where it holds."""
    out = elementwise.where(condition if isinstance(condition, Tensor) else as_tensor(condition), input, other)
    return out if isinstance(out, (Tensor, tuple)) else as_tensor(out)


atan, multiply, subtract, divide, true_divide, mm, clip = (
    globals()["arctan"], globals()["mul"], globals()["sub"], globals()["div"], globals()["div"], globals()["matmul"],
    globals()["clamp"],
)  # fmt: skip

__all__ = [
    *_ELEMENTWISE, *" ".join(_FUNCTIONS.values()).split(), "cat", "concat", "stack", "where", "atan", "multiply",
    "subtract", "divide",
    "true_divide", "mm", "clip",
]  # fmt: skip
