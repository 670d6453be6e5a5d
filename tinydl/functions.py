"""PyTorch's functions as ``tinydl.exp``, ``tinydl.cat``, ...: the operations, with arrays and numbers converted to
tensors first.

A primitive given plain arrays returns arrays, which is what rules need; the public function of the same name always
returns a Tensor.
"""

from __future__ import annotations

import functools
from typing import Any

from tinydl.creation import as_tensor
from tinydl.ops import (
    arranging,
    elementwise,
    indexing,
    joining,
    linalg,
    norms,
    products,
    reducing,
    scattering,
    shaping,
    slicing,
    spectral,
)
from tinydl.ops import (
    einsum as _einsum,
)
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
    def converted(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        return function([x if isinstance(x, Tensor) else as_tensor(x) for x in tensors], *args, **kwargs)

    return converted


def _converting_each(function: Any) -> Any:
    """``function`` of any number of tensors (or one sequence of them), each converted."""

    @functools.wraps(function)
    def converted(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            return function([x if isinstance(x, Tensor) else as_tensor(x) for x in tensors[0]])
        return function(*[x if isinstance(x, Tensor) else as_tensor(x) for x in tensors])

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
    shaping: "reshape flatten unflatten ravel permute transpose swapaxes swapdims t movedim moveaxis broadcast_to "
    "squeeze unsqueeze",
    slicing: "select narrow diagonal split chunk unbind tensor_split hsplit vsplit",
    arranging: "flip fliplr flipud roll rot90 tile repeat_interleave tril triu diag diag_embed diagflat trace",
    joining: "combinations",
    indexing: "gather index_select take masked_fill masked_select masked_scatter nonzero argwhere",
    scattering: "scatter scatter_add scatter_reduce index_add index_copy index_fill index_put take_along_dim",
    products: "matmul mv bmm outer ger dot vdot inner tensordot kron cross addmm addmv addr addbmm baddbmm",
    linalg: "matrix_power det slogdet logdet inverse cholesky",
    norms: "cdist cov corrcoef",
    spectral: "stft istft",
}
_SEQUENCES = {shaping: "cat concat stack", joining: "hstack vstack row_stack dstack column_stack"}
_EACH = {
    shaping: "broadcast_tensors atleast_1d atleast_2d atleast_3d",
    joining: "block_diag",
    products: "chain_matmul",
}

for _name, _meaning in _ELEMENTWISE.items():
    globals()[_name] = _public(getattr(elementwise, _name))
    globals()[_name].__doc__ = f"Elementwise: {_meaning}."
for _room, _names in _FUNCTIONS.items():
    for _name in _names.split():
        globals()[_name] = _converting(getattr(_room, _name))
for _form, _table in ((_converting_all, _SEQUENCES), (_converting_each, _EACH)):
    for _room, _names in _table.items():
        for _name in _names.split():
            globals()[_name] = _form(getattr(_room, _name))
concatenate = globals()["cat"]
mm = _converting(products.matrix_product)
einsum, broadcast_shapes = _einsum.einsum, shaping.broadcast_shapes


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` (bool) holds, else ``other``; without them the indices where it holds."""
    out = elementwise.where(condition if isinstance(condition, Tensor) else as_tensor(condition), input, other)
    return out if isinstance(out, (Tensor, tuple)) else as_tensor(out)


atan, multiply, subtract, divide, true_divide, clip = (
    globals()["arctan"], globals()["mul"], globals()["sub"], globals()["div"], globals()["div"], globals()["clamp"],
)  # fmt: skip

__all__ = [
    *_ELEMENTWISE, *" ".join((*_FUNCTIONS.values(), *_SEQUENCES.values(), *_EACH.values())).split(), "concatenate",
    "einsum", "broadcast_shapes", "where", "atan", "multiply", "subtract", "divide", "true_divide", "mm", "clip",
]  # fmt: skip
