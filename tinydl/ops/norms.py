"""Norms of matrices, and what is built on norms: distances, cosines, normalisation, covariance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import dtypes
from tinydl.autograd.primitives import primitive
from tinydl.ops.axes import kept, one_axis, remembered
from tinydl.ops.casting import cast
from tinydl.ops.elementwise import clamp_between, div, where
from tinydl.ops.extrema import amax, amin, data_of
from tinydl.ops.products import mm, swap_last
from tinydl.ops.reducing import reduce_sum, root
from tinydl.ops.shaping import broadcast_shapes, expand_to, permute_axes, reshape_to
from tinydl.ops.vector_norms import extreme_sums, vector_norm


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, axis: Any = None,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The norm of matrices in the dimensions ``dim``.

    ord
        ``"fro"`` (root of the sum of squares), ``"nuc"`` (sum of singular values), 2 or -2 (largest, least singular
        value), 1 or -1 (largest, least sum of a column's magnitudes), inf or -inf (of a row's).
    """
    if dtype is not None:
        A = cast(A, dtype=dtypes.as_dtype(dtype))
    x, keepdim = data_of(A), keepdim or keepdims
    if x.dtype.kind != "f":
        raise RuntimeError(f"linalg.matrix_norm: Expected a floating point or complex tensor as input. Got {A.dtype}")
    dim = dim if axis is None else axis
    a, b = _two_of(x.shape, tuple(dim) if type(dim) is list else dim)
    if ord == "fro":
        return vector_norm(A, 2, None if x.ndim == 2 else (a, b), keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        over, then = (a, b) if ord in (1, -1) else (b, a)
        if x.size:
            return extreme_sums(A, over=over, then=then, largest=ord > 0, keepdim=keepdim)
        sums = vector_norm(A, 1, over, keepdim)
        return _extreme(ord, sums, then if keepdim or then < over else then - 1, keepdim)
    if ord not in ("nuc", 2, -2):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    from tinydl.ops.linalg import svdvals

    n = x.ndim
    if (a, b) != (n - 2, n - 1):
        A = permute_axes(A, axes=(*[d for d in range(n) if d not in (a, b)], a, b))
    singular = svdvals(A)
    out = reduce_sum(singular, -1) if ord == "nuc" else _extreme(ord, singular, n - 2, False)
    if not keepdim:
        return out
    return reshape_to(out, shape=kept(x.shape, (a, b)))


@remembered
def _two_of(shape: tuple[int, ...], dim: Any) -> tuple[int, int]:
    """The two dimensions of a matrix, checked."""
    n = len(shape)
    if n < 2:
        raise RuntimeError(
            f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, got shape {tuple(shape)}"
        )
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    a, b = one_axis(dim[0], n), one_axis(dim[1], n)
    if a == b:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got ({dim[0]}, {dim[1]})")
    return a, b


def _extreme(ord: float, sizes: Any, axis: int, keepdim: bool) -> Any:
    """The largest size for an ``ord`` above 0, and 0 of nothing; the least for one below."""
    if ord < 0:
        return amin(sizes, axis, keepdim)
    if not data_of(sizes).shape[axis]:
        return reduce_sum(sizes, axis=(axis,), keepdims=keepdim)
    return amax(sizes, axis, keepdim)


def norm(
    A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """A vector's norm (``dim`` one number, or nothing given), or a matrix's (``dim`` two numbers, or ``ord`` given for
    a matrix)."""
    if axis is not None:
        dim = axis
    rank = data_of(A).ndim
    if dim is None and ord is not None and rank not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {rank}D."
        )
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if isinstance(dim, (tuple, list)) and len(dim) > 2:
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}")
    if ord is not None and (pair or (dim is None and rank == 2)):
        return matrix_norm(A, ord, dim if pair else (-2, -1), keepdim or keepdims, dtype=dtype)
    if isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: the order {ord!r} is one of matrices; give two dimensions, or a number")
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim or keepdims, dtype=dtype)


# --------------------------------------------------------------------------------------------- distances and directions


@primitive(
    promote="same",
    input=lambda g: reduce_sum(g, axis=(len(g.shape) - 2,), keepdims=False),
    other=lambda g: -reduce_sum(g, axis=(len(g.shape) - 3,), keepdims=False),
)
def differences(input: Any, other: Any) -> Any:
    """Every row of input [..., P, M] less every row of other [..., R, M]: [..., P, R, M]."""
    return input[..., None, :] - other[..., None, :, :]


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """The p-norm distance of every row of x1 [..., P, M] to every row of x2 [..., R, M]: [..., P, R].

    Differences are taken first in every ``compute_mode``: PyTorch's product form loses half of the digits of small
    distances.
    """
    a, b = data_of(x1).shape, data_of(x2).shape
    if len(a) < 2 or len(b) < 2:
        raise RuntimeError(f"cdist only supports at least 2D tensors, got {len(a)}D and {len(b)}D")
    if a[-1] != b[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {a[-1]} X2: {b[-1]}")
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    difference = differences(x1, x2)
    if not a[-1]:
        return reduce_sum(difference, axis=(difference.ndim - 1,), keepdims=False)
    return vector_norm(difference, p, -1)


def pdist(input: Any, p: float = 2.0) -> Any:
    """The p-norm distances of the pairs i < j of rows of [N, M], in order: [N (N - 1) / 2]."""
    from tinydl.ops.indexing import take_along

    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    first, second = np.triu_indices(input.shape[0], 1)
    difference = take_along(input, first, axis=0) - take_along(input, second, axis=0)
    if not input.shape[1]:
        return reduce_sum(difference, axis=(1,), keepdims=False)
    return vector_norm(difference, p, -1)


def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """``input`` with every slice along ``dim`` whose p-norm exceeds ``maxnorm`` scaled down to it."""
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions, shape {tuple(input.shape)}"
        )
    if not p > 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p={p}")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    at = one_axis(dim, input.ndim)
    size = vector_norm(input, p, tuple(d for d in range(input.ndim) if d != at), True)
    return input * where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8, *, axis: int | None = None) -> Any:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along ``dim``."""
    x1, x2 = _float_pair(x1, x2)
    a, b = data_of(x1).shape, data_of(x2).shape
    shape = a if a == b else broadcast_shapes(a, b)
    over = one_axis(dim if axis is None else axis, len(shape)) if shape else None
    if a != b:
        x1, x2 = (x if x.shape == shape else expand_to(x, shape=shape) for x in (x1, x2))
    n1 = clamp_between(vector_norm(x1, 2, over, True), min=eps, max=None)
    n2 = clamp_between(vector_norm(x2, 2, over, True), min=eps, max=None)
    return reduce_sum((x1 / n1) * (x2 / n2), over)


def _float_pair(x1: Any, x2: Any) -> tuple[Any, Any]:
    a, b = data_of(x1).dtype, data_of(x2).dtype
    if a is b and a.kind == "f":
        return x1, x2
    want = dtypes.result_type(x1, x2)
    if want.kind != "f":
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {want}")
    first, second = (x if x.dtype == want else cast(x, dtype=want) for x in (x1, x2))
    return first, second


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """|x1 - x2 + eps|_p over the last dimension."""
    difference = x1 - x2 + eps
    return vector_norm(difference, p, -1, keepdim)


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, *, axis: Any = None) -> Any:
    """x / max(|x|_p, eps) along ``dim``."""
    size = vector_norm(input, p, dim if axis is None else axis, True)
    return input / clamp_between(size, min=eps, max=None)


# ------------------------------------------------------------------------------------------------------- statistics


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariance matrix of variables (rows) over observations (columns).

    fweights, aweights
        How often each observation counts (integers), and how reliable it is (floating).
    """
    if input.ndim > 2:
        raise RuntimeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim}")
    x = reshape_to(input, shape=(1, math.prod(input.shape))) if input.ndim < 2 else input
    n = x.shape[1]
    w: Any = None
    for name, given, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if given is None:
            continue
        if given.ndim > 1 or given.dtype.kind not in kinds:
            raise RuntimeError(
                f"cov(): expected {name} to be a vector of {'integers' if kinds == 'iu' else 'floating point numbers'}"
                f", got shape {tuple(given.shape)} and dtype {given.dtype}"
            )
        if math.prod(given.shape) != n:
            raise RuntimeError(f"cov(): expected {name} to have the same numel as there are observations, {n}")
        if np.count_nonzero(data_of(given) < 0):
            raise RuntimeError(f"cov(): {name} cannot be negative")
        w = given if w is None else w * given
    if w is None:
        total: Any = n
        mean = reduce_sum(x, axis=(1,), keepdims=True) / n
        weighted = centred = x - mean
    else:
        w = cast(w, dtype=x.dtype)
        total = reduce_sum(w, axis=None, keepdims=False)
        if not np.count_nonzero(data_of(w)):
            raise RuntimeError("cov(): weights sum to zero, can't be normalized")
        mean = reduce_sum(x * w, axis=(1,), keepdims=True) / total
        centred = x - mean
        weighted = centred * w
    freedom = total - correction
    if w is not None and aweights is not None and correction:
        extra = aweights if aweights.dtype == x.dtype else cast(aweights, dtype=x.dtype)
        freedom = total - correction * (reduce_sum(w * extra, axis=None, keepdims=False) / total)
    if w is None:
        freedom = float(max(freedom, 0))
        found = mm(weighted, swap_last(centred))
        out = found / freedom if freedom else div(found, np.zeros((), x.dtype))
    else:
        out = mm(weighted, swap_last(centred)) / clamp_between(freedom, min=0, max=None)
    return reshape_to(out, shape=()) if input.ndim < 2 else out


def corrcoef(input: Any) -> Any:
    """The correlation matrix of variables (rows) over observations (columns)."""
    from tinydl.ops.slicing import diagonal_of

    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input.ndim}"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    deviation = root(diagonal_of(c, offset=0, axis1=0, axis2=1))
    n = c.shape[0]
    scaled = c / reshape_to(deviation, shape=(n, 1)) / reshape_to(deviation, shape=(1, n))
    return clamp_between(scaled, min=-1, max=1)
