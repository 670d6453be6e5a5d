"""PyTorch's functions as ``tinydl.exp``, ``tinydl.cat``, ...: the operations, with arrays and numbers converted to
tensors first.

A primitive given plain arrays returns arrays, which is what rules need; the public function of the same name always
returns a Tensor.
"""

from __future__ import annotations

import functools
from typing import Any

from tinydl.autograd.primitives import converting
from tinydl.creation import as_tensor
from tinydl.ops import (
    arranging,
    casting,
    comparing,
    counting,
    elementwise,
    extrema,
    formulas,
    indexing,
    joining,
    linalg,
    norms,
    products,
    reducing,
    rounding,
    scanning,
    scattering,
    shaping,
    slicing,
    sorting,
    special,
    spectral,
    variance,
    vector_norms,
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
    return converting(function, as_tensor)


def _converting_all(function: Any) -> Any:
    """``function`` of a sequence of tensors, each converted."""
    name = function.__name__

    @functools.wraps(function)
    def converted(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tensors, Tensor):
            raise TypeError(
                f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor; write {name}([a, b])"
            )
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


# Primitives that are public as they are, and what they compute; operands broadcast, and PyTorch's table promotes their
# dtypes.
_PRIMITIVES: dict[Any, dict[str, str]] = {
    elementwise: {
        "mul": "input * other",
        "true_divide": "input / other; integers give the default floating dtype",
        "floor_divide": "floor(input / other); not differentiable",
        "remainder": "input - other * floor(input / other): the sign is that of other",
        "neg": "-input",
        "positive": "input",
        "pow": "input ** exponent",
        "square": "input ** 2",
        "sqrt": "the square root of input",
        "rsqrt": "1 / sqrt(input)",
        "reciprocal": "1 / input",
        "abs": "the absolute value of input; its derivative at 0 is 0",
        "sign": "-1, 0 or 1 by the sign of input; its derivative is 0",
        "copysign": "input with the sign of other; its derivative at input 0 is 0",
        "hypot": "sqrt(input ** 2 + other ** 2), without overflow; its derivative at 0, 0 is 0",
        "exp": "e ** input",
        "exp2": "2 ** input",
        "expm1": "e ** input - 1, precise near 0",
        "log": "the natural logarithm of input",
        "log2": "the logarithm of input to base 2",
        "log10": "the logarithm of input to base 10",
        "log1p": "log(1 + input), precise near 0",
        "logaddexp": "log(e ** input + e ** other), without overflow",
        "logaddexp2": "log2(2 ** input + 2 ** other), without overflow",
        "xlogy": "input * log(other), and 0 where input is 0 and other a number",
        "sin": "the sine of input, in radians",
        "cos": "the cosine of input, in radians",
        "tan": "the tangent of input, in radians",
        "asin": "the angle in [-pi/2, pi/2] whose sine is input",
        "acos": "the angle in [0, pi] whose cosine is input",
        "atan": "the angle in (-pi/2, pi/2) whose tangent is input",
        "atan2": "the angle in [-pi, pi] of the point (other, input)",
        "sinh": "(e ** input - e ** -input) / 2",
        "cosh": "(e ** input + e ** -input) / 2",
        "tanh": "sinh(input) / cosh(input)",
        "asinh": "the inverse of sinh",
        "acosh": "the inverse of cosh for input >= 1",
        "atanh": "the inverse of tanh for |input| < 1",
        "deg2rad": "input * pi / 180",
        "rad2deg": "input * 180 / pi",
        "sigmoid": "1 / (1 + e ** -input)",
        "relu": "max(input, 0); its derivative at 0 is 0",
        "maximum": "the greater of input and other, or NaN; at a tie each gets half of the gradient",
        "minimum": "the lesser of input and other, or NaN; at a tie each gets half of the gradient",
        "fmax": "the greater of input and other; a number beats NaN; at a tie input gets the gradient",
        "fmin": "the lesser of input and other; a number beats NaN; at a tie input gets the gradient",
    },
    rounding: {
        "floor": "the greatest integer not above input; its derivative is 0",
        "ceil": "the least integer not below input; its derivative is 0",
        "trunc": "the integer part of input; its derivative is 0",
        "fmod": "input - other * trunc(input / other): the sign is that of input",
    },
    special: {
        "erf": "2 / sqrt(pi) times the integral of e ** -t ** 2 from 0 to input",
        "erfc": "1 - erf(input), precise where that is small",
        "erfinv": "the inverse of erf; infinite at -1 and 1",
        "lgamma": "the logarithm of |gamma(input)|",
        "digamma": "the derivative of lgamma",
    },
    comparing: {
        "eq": "whether input == other",
        "ne": "whether input != other",
        "lt": "whether input < other",
        "le": "whether input <= other",
        "gt": "whether input > other",
        "ge": "whether input >= other",
        "logical_and": "whether both are true (not zero)",
        "logical_or": "whether one is true (not zero)",
        "logical_xor": "whether just one is true (not zero)",
        "logical_not": "whether input is zero",
        "bitwise_and": "the bits that both have; for booleans, logical and",
        "bitwise_or": "the bits that one of the two has; for booleans, logical or",
        "bitwise_xor": "the bits that just one of the two has; for booleans, exclusive or",
        "bitwise_not": "every bit flipped; for booleans, not",
        "bitwise_left_shift": "input * 2 ** other, on whole numbers",
        "bitwise_right_shift": "floor(input / 2 ** other), on whole numbers",
        "isnan": "whether input is not a number",
        "isfinite": "whether input is neither infinite nor not a number",
        "isinf": "whether input is infinite",
    },
}
_FUNCTIONS = {
    elementwise: "clamp clamp_min clamp_max",
    formulas: "add sub addcmul addcdiv lerp float_power logit nan_to_num heaviside",
    rounding: "div round frac",
    special: "sinc",
    comparing: "isposinf isneginf isreal signbit isclose allclose equal is_nonzero is_floating_point numel",
    casting: "clone",
    reducing: "sum nansum mean nanmean prod count_nonzero any all logsumexp softmax log_softmax",
    variance: "var std var_mean std_mean",
    vector_norms: "norm dist",
    extrema: "amax amin aminmax max min argmax argmin",
    scanning: "cumsum cumprod cummax cummin logcumsumexp diff trapezoid",
    sorting: "sort argsort msort topk kthvalue median nanmedian mode quantile",
    counting: "unique unique_consecutive bincount histc searchsorted bucketize isin",
    shaping: "reshape flatten unflatten ravel permute transpose swapaxes swapdims t movedim moveaxis broadcast_to "
    "squeeze unsqueeze",
    slicing: "select narrow diagonal split chunk unbind tensor_split hsplit vsplit as_strided",
    arranging: "flip fliplr flipud roll rot90 tile repeat_interleave tril triu diag diag_embed diagflat trace",
    joining: "combinations",
    indexing: "gather index_select take masked_fill masked_select masked_scatter nonzero argwhere",
    scattering: "scatter scatter_add scatter_reduce index_add index_copy index_fill index_put put take_along_dim",
    products: "matmul mv bmm outer ger dot vdot inner tensordot kron cross addmm addmv addr addbmm baddbmm",
    linalg: "matrix_power det slogdet logdet inverse pinverse cholesky cholesky_solve",
    norms: "cdist pdist cosine_similarity renorm cov corrcoef",
    spectral: "stft istft",
}
_SEQUENCES = {shaping: "cat concat stack", joining: "hstack vstack row_stack dstack column_stack"}
_EACH = {
    shaping: "broadcast_tensors atleast_1d atleast_2d atleast_3d",
    joining: "block_diag",
    products: "chain_matmul",
}
_ALIASES = {
    "sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "abs": "absolute", "sign": "sgn",
    "trunc": "fix", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "clamp": "clip", "gt": "greater", "ge": "greater_equal", "lt": "less",
    "le": "less_equal", "ne": "not_equal", "cat": "concatenate", "trapezoid": "trapz",
}  # fmt: skip

for _room, _meanings in _PRIMITIVES.items():
    for _name, _meaning in _meanings.items():
        _call = getattr(_room, "div" if _name == "true_divide" else _name)  # the method; its twin is the function
        globals()[_name] = _public(_call)
        _call.__doc__ = globals()[_name].__doc__ = f"Elementwise: {_meaning}."
for _room, _names in _FUNCTIONS.items():
    for _name in _names.split():
        globals()[_name] = _converting(getattr(_room, _name))
for _form, _table in ((_converting_all, _SEQUENCES), (_converting_each, _EACH)):
    for _room, _names in _table.items():
        for _name in _names.split():
            globals()[_name] = _form(getattr(_room, _name))
for _name, _alias in _ALIASES.items():
    globals()[_alias] = globals()[_name]
mm, svd = _converting(products.matrix_product), _converting(linalg.older_svd)
einsum, broadcast_shapes = _einsum.einsum, shaping.broadcast_shapes


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` (bool) holds, else ``other``; without them the indices where it holds."""
    out = elementwise.where(condition if isinstance(condition, Tensor) else as_tensor(condition), input, other)
    return out if isinstance(out, (Tensor, tuple)) else as_tensor(out)


def polygamma(n: int, input: Any) -> Any:
    """The n-th derivative of :func:`digamma`, elementwise."""
    return special.polygamma(n, input if isinstance(input, Tensor) else as_tensor(input))


def embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """:func:`tinydl.nn.functional.embedding` with the table first; ``padding_idx`` -1 means none."""
    from tinydl.nn.functional.sparse import embedding

    return embedding(indices, weight, None if padding_idx < 0 else padding_idx, None, 2.0, scale_grad_by_freq, sparse)


def dropout(input: Any, p: float, train: bool) -> Any:
    """:func:`tinydl.nn.functional.dropout`."""
    from tinydl.nn.functional.dropout import dropout

    return dropout(input, p, train)


__all__ = [
    *(name for meanings in _PRIMITIVES.values() for name in meanings),
    *" ".join((*_FUNCTIONS.values(), *_SEQUENCES.values(), *_EACH.values())).split(),
    *_ALIASES.values(), "mm", "svd", "einsum", "broadcast_shapes", "where", "polygamma", "embedding", "dropout",
]  # fmt: skip
