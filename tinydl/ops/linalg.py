"""Linear algebra under PyTorch's names: checks and conventions here, LAPACK and the rules in :mod:`factors`.

Matrices are the last two dimensions, batches stand before them. float32 stays float32. A matrix that cannot be inverted
or factored raises RuntimeError in PyTorch's words.
"""

from __future__ import annotations

import functools
import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinydl.autograd.mode import mode
from tinydl.devices import beside, on_host
from tinydl.errors import LinAlgError
from tinydl.ops import factors, lapack
from tinydl.ops.arranging import triangle
from tinydl.ops.axes import by_axis
from tinydl.ops.casting import clone
from tinydl.ops.elementwise import where
from tinydl.ops.extrema import constant
from tinydl.ops.extrema import data_of as _raw
from tinydl.ops.products import cross as _cross
from tinydl.ops.products import mm, swap_last
from tinydl.ops.reducing import reduce_sum, sum
from tinydl.ops.shaping import expand_to, reshape_to, stack
from tinydl.ops.slicing import diagonal as _diagonal
from tinydl.ops.slicing import take_slice

F = TypeVar("F", bound=Callable[..., Any])

SlogdetResult = namedtuple("SlogdetResult", "sign logabsdet")
EighResult = namedtuple("EighResult", "eigenvalues eigenvectors")
QRResult = namedtuple("QRResult", "Q R")
SVDResult = namedtuple("SVDResult", "U S Vh")
OlderSVDResult = namedtuple("OlderSVDResult", "U S V")
LstsqResult = namedtuple("LstsqResult", "solution residuals rank singular_values")


_USUAL = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


def _matrix(name: str, A: Any, square: bool = True) -> None:
    x = _raw(A)
    if x.ndim > 1 and x.dtype in _USUAL and (not square or x.shape[-1] == x.shape[-2]):
        return
    if A.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions, but has shape {tuple(A.shape)}."
        )
    if square and A.shape[-1] != A.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} matrices"
        )
    if A.dtype.kind != "f":
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {A.dtype}")
    if A.dtype == np.float16:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {A.dtype}; use float32 or float64")


def _first_bad(A: Any, bad: Callable[[Any], bool]) -> str:
    """While LAPACK's refusal is handled: which of a batch it was."""
    matrices = _raw(A)
    if matrices.ndim == 2:
        return ""
    flat = matrices.reshape(-1, *matrices.shape[-2:])
    return f"(Batch element {next((i for i, a in enumerate(flat) if bad(a)), 0)}): "


def _fails(function: Callable[..., Any]) -> Callable[[Any], bool]:
    def fails(a: Any) -> bool:
        try:
            function(a)
        except np.linalg.LinAlgError:
            return True
        return False

    return fails


def _refusing(name: str, words: str) -> Callable[[F], F]:
    """Turn LAPACK's refusal into PyTorch's error."""

    def wrap(function: F) -> F:
        @functools.wraps(function)
        def call(A: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return function(A, *args, **kwargs)
            except np.linalg.LinAlgError:
                raise LinAlgError(f"{name}: {_first_bad(A, _fails(np.linalg.inv))}{words}") from None

        return call  # type: ignore[return-value]

    return wrap


# ------------------------------------------------------------------------------------------------- solving, inverting


@_refusing("linalg.inv", "The inversion could not be completed because the input matrix is singular.")
def inv(A: Any) -> Any:
    """A^-1. Raises RuntimeError for a singular matrix."""
    _matrix("linalg.inv", A)
    return factors.inverse_of(A)


inverse = inv


@_refusing("linalg.solve", "The solver failed because the input matrix is singular.")
def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """X with A X = B (``left``), or X A = B: A[..., n, n], B[..., n, k] or [..., n] (vectors, when B's batch is A's).

    Raises RuntimeError for a singular matrix.
    """
    _matrix("linalg.solve", A)
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    if vector:
        if not left:
            raise RuntimeError(
                "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case "
                "linalg.solve is equivalent to B / A.squeeze(-1)"
            )
        B = reshape_to(B, shape=(*B.shape, 1))
    _fits("linalg.solve", A, B, left)
    if not left:
        return swap_last(factors.solved(swap_last(A), swap_last(B)))
    X = factors.solved(A, B)
    return reshape_to(X, shape=X.shape[:-1]) if vector else X


def _fits(name: str, A: Any, B: Any, left: bool) -> None:
    x, y = _raw(A), _raw(B)
    if x.dtype is y.dtype and x.ndim == y.ndim == 2 and y.shape[0 if left else 1] == x.shape[0]:
        return
    if A.dtype != B.dtype:
        raise RuntimeError(f"{name}: Expected A and B to have the same dtype, but got {A.dtype} and {B.dtype}")
    if B.ndim < 2 or B.shape[-2 if left else -1] != A.shape[-1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {'x'.join(str(n) for n in B.shape[-2:])})"
        )
    try:
        if A.shape[:-2] != B.shape[:-2]:
            np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    except ValueError:
        raise RuntimeError(f"{name}: the batches of {tuple(A.shape)} and {tuple(B.shape)} do not broadcast") from None


def solve_triangular(A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """X with A X = B (``left``), or X A = B, for triangular A; the other triangle is not read, and with
    ``unitriangular`` neither is the diagonal, which counts as 1. A zero on it gives infinities, as in PyTorch."""
    _matrix("linalg.solve_triangular", A)
    _fits("linalg.solve_triangular", A, B, left)
    return factors.solved_triangle(A, B, upper=upper, unit=unitriangular, left=left)


def cholesky_solve(input: Any, other: Any, upper: bool = False) -> Any:
    """X with A X = ``input`` [..., n, k], of a symmetric A whose factor :func:`cholesky` gave as ``other``."""
    for name, x in (("b", input), ("u", other)):
        if x.ndim < 2:
            raise RuntimeError(f"{name} should have at least 2 dimensions, but has {x.ndim} dimensions instead")
    first = solve_triangular(swap_last(other) if upper else other, input, upper=False)
    return solve_triangular(other if upper else swap_last(other), first, upper=True)


def pinv(A: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    """The Moore-Penrose inverse; singular values up to max(atol, rtol s_max) count as 0 (rtol: max(m, n) eps, unless
    one of the two is given). Differentiable where the rank is constant."""
    _matrix("linalg.pinv", A, square=hermitian)
    if 0 in A.shape:
        return swap_last(A) * 1
    source = _symmetric(A, "L") if hermitian else A
    return factors.pinv_of(source, atol=_raw(atol), rtol=_raw(rtol))[0]


def _rank(raw: Any, S: Any, atol: Any, rtol: Any) -> Any:
    """How many of the singular values S (None of a matrix of nothing) count."""
    if not raw.size:
        return constant(beside(np.zeros(raw.shape[:-2], np.int64), raw))
    S = on_host(S)
    large = S > factors.cut_of(S, raw.shape, on_host(atol), on_host(rtol))
    return constant(beside(np.asarray(np.add.reduce(large, axis=-1, dtype=np.int64)), raw))


def matrix_rank(A: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    """How many singular values are larger than max(atol, rtol s_max): int64. Defaults as for :func:`pinv`."""
    _matrix("linalg.matrix_rank", A, square=hermitian)
    raw = _raw(_symmetric(A, "L") if hermitian else A)
    return _rank(raw, lapack.svdvals(on_host(raw)) if raw.size else None, _raw(atol), _raw(rtol))


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """X of least norm among those that minimise |A X - B|: A[..., m, n], B[..., m, k] (or [..., m]).

    Returns (solution, residuals, rank, singular_values). X is pinv(A) B, whatever the ``driver``, and differentiable as
    that is. The driver says what else there is, as in PyTorch: squared errors per column for all but ``"gelsy"`` (the
    default) where m > n and the rank is full, the rank for all but ``"gels"``, singular values for ``"gelsd"`` and
    ``"gelss"``; the rest is empty.
    """
    from tinydl.autograd import primitives as _p

    _matrix("linalg.lstsq", A, square=False)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            f"linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got {driver}"
        )
    if A.dtype != B.dtype:
        raise RuntimeError(
            f"linalg.lstsq: Expected input and other to have the same dtype, but got {A.dtype} and {B.dtype}"
        )
    vector = A.ndim == B.ndim + 1 and B.shape == A.shape[:-1]
    if vector:
        B = reshape_to(B, shape=(*B.shape, 1))
    m, n = A.shape[-2:]
    if B.ndim < 2 or B.shape[-2] != m:
        raise RuntimeError(
            f"linalg.lstsq: input.size(-2) should match other.size(-2), got {tuple(A.shape)} and {tuple(B.shape)}"
        )
    raw = _raw(A)
    inverse, S = factors.pinv_of(A, atol=None, rtol=rcond) if raw.size else (swap_last(A) * 1, None)
    X = mm(inverse, B)
    rank = _rank(raw, _raw(S), None, rcond)
    tensor = _p.Tensor  # type: ignore[attr-defined]
    residuals = values = tensor._wrap(np.zeros_like(raw, shape=(0,)))
    if driver not in (None, "gelsy") and m > n and bool((rank.array == n).all()):
        error = mm(A, X) - B
        residuals = reduce_sum(error * error, axis=(error.ndim - 2,), keepdims=False)
    if driver in ("gelsd", "gelss"):
        values = svdvals(A) if S is None else S
    if driver == "gels":
        rank = tensor._wrap(np.zeros_like(raw, np.int64, shape=(0,)))
    return LstsqResult(reshape_to(X, shape=X.shape[:-1]) if vector else X, residuals, rank, values)


# ------------------------------------------------------------------------------------------------ powers, determinants


def matrix_power(A: Any, n: int) -> Any:
    """A multiplied ``n`` times (repeated squaring); the inverse's powers for negative ``n``, the identity for 0."""
    _square("linalg.matrix_power", A)
    if n < 0:
        A, n = inv(A), -n
    if n == 0:
        return expand_to(A * 0 + beside(np.eye(A.shape[-1], dtype=A.dtype), _raw(A)), shape=A.shape)
    if n == 1:
        return clone(A)
    out: Any = None
    square = A
    while True:
        if n & 1:
            out = square if out is None else mm(out, square)
        n >>= 1
        if not n:
            return out
        square = mm(square, square)


def _square(name: str, A: Any) -> None:
    shape = _raw(A).shape
    if len(shape) > 1 and shape[-1] == shape[-2]:
        return
    raise RuntimeError(f"{name}: A must be batches of square matrices, but its shape is {tuple(A.shape)}")


def det(A: Any) -> Any:
    """The determinant; differentiable at singular matrices too (once)."""
    _matrix("linalg.det", A)
    return factors.determinant(A)


def slogdet(A: Any) -> Any:
    """(sign, log |det A|): 0 and -inf for a singular matrix."""
    _matrix("linalg.slogdet", A)
    return SlogdetResult(*factors.sign_log_determinant(A))


def logdet(input: Any) -> Any:
    """log det A: NaN where the determinant is negative."""
    _matrix("logdet", input)
    sign, log = factors.sign_log_determinant(input)
    return where(sign < 0, float("nan"), log)


# ------------------------------------------------------------------------------------------------------------ factors


def _is_symmetric(raw: Any) -> bool:
    turned = raw.swapaxes(-1, -2)
    if raw.size < 1024 and raw.tobytes() == turned.tobytes() or not np.count_nonzero(raw != turned):
        return True
    return bool(np.isnan(raw).any()) and np.array_equal(raw, turned, equal_nan=True)


def _symmetric(A: Any, UPLO: str) -> Any:
    """A itself if it is symmetric; else the matrix that one triangle stands for.

    PyTorch reads one triangle and spreads the gradient over both as if the input were symmetric. So do we when it is;
    when it is not, the gradient is that of what was computed: of the triangle alone.
    """
    if _is_symmetric(_raw(A)):
        return A
    lower = UPLO == "L"
    strict = triangle(A, diagonal=-1 if lower else 1, lower=lower)
    return triangle(A, diagonal=0, lower=lower) + swap_last(strict)


def cholesky(A: Any, upper: bool = False) -> Any:
    """L, lower triangular, with L L^T = A for a symmetric positive definite A; with ``upper`` its transpose.

    Raises RuntimeError for a matrix that is not positive definite.
    """
    _matrix("linalg.cholesky", A)
    try:
        L = factors.cholesky_of(_symmetric(A, "U" if upper else "L"), symmetric=True)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"linalg.cholesky: {_first_bad(A, _fails(np.linalg.cholesky))}The factorization could not be completed "
            "because the input is not positive-definite."
        ) from None
    return swap_last(L) if upper else L


def eigh(A: Any, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of a symmetric A, ascending: A = V diag(L) V^T. Only the triangle ``UPLO`` is read.

    Gradients through the vectors need distinct eigenvalues, and a loss that does not depend on the vectors' signs.
    """
    _matrix("linalg.eigh", A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return EighResult(*factors.eigh_of(_symmetric(A, UPLO.upper()), symmetric=True))


def qr(A: Any, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R, Q orthonormal, R upper triangular.

    mode
        ``"reduced"``: Q[..., m, k], R[..., k, n], k = min(m, n); ``"complete"``: Q[..., m, m], R[..., m, n]
        (differentiable for m <= n); ``"r"``: an empty Q.
    """
    from tinydl.autograd import primitives as _p

    _matrix("linalg.qr", A, square=False)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    m, n = _raw(A).shape[-2:]
    tensor = _p.Tensor  # type: ignore[attr-defined]
    if mode == "complete" and m > n:
        if hasattr(A, "node") and A.requires_grad:
            raise NotImplementedError(
                "The QR decomposition is not differentiable when mode='complete' and nrows > ncols; use mode='reduced'"
            )
        return QRResult(*(tensor._wrap(beside(x, _raw(A))) for x in np.linalg.qr(on_host(_raw(A)), mode="complete")))
    if m >= n:
        Q, R = factors.qr_of(A)
    else:  # A = [A1 A2] with a square A1 = Q R1: R = [R1 Q^T A2], and every derivative with it
        from tinydl.ops.shaping import cat

        Q, R1 = factors.qr_of(take_slice(A, index=(..., slice(0, m))))
        R = cat([R1, mm(swap_last(Q), take_slice(A, index=(..., slice(m, None))))], -1)
    return QRResult(tensor._wrap(np.zeros_like(_raw(A), shape=(0,))) if mode == "r" else Q, R)


def eigvalsh(A: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric A, ascending; only the triangle ``UPLO`` is read."""
    return eigh(A, UPLO)[0]


def svd(A: Any, full_matrices: bool = True) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh for A[..., m, n]: U and Vh orthogonal, S descending, k = min(m, n) of them.

    ``full_matrices``: U is [m, m] and Vh [n, n]; otherwise their first k columns and rows. Gradients through U and Vh
    need distinct singular values (nonzero ones where A is not square) and a loss that does not depend on the vectors'
    signs; what a full matrix has beyond k has none.
    """
    _matrix("linalg.svd", A, square=False)
    U, S, Vh = factors.svd_of(A)
    m, n = A.shape[-2:]
    if full_matrices and m != n:
        from tinydl.ops.shaping import cat

        k = min(m, n)
        raw = _raw(A)
        whole_U, _, whole_V = (beside(x, raw) for x in np.linalg.svd(on_host(raw)))
        U, Vh = (cat([U, whole_U[..., k:]], -1), Vh) if m > n else (U, cat([Vh, whole_V[..., k:, :]], -2))
    return SVDResult(U, S, Vh)


def older_svd(input: Any, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with input = U diag(S) V^T; not ``some``: square U and V; without ``compute_uv`` they are zeros."""
    U, S, Vh = svd(input, full_matrices=not some)
    if not compute_uv:
        m, n = input.shape[-2:]
        batch = tuple(input.shape[:-2])
        U, Vh = (constant(np.zeros_like(_raw(input), shape=(*batch, size, size))) for size in (m, n))
    return OlderSVDResult(U, S, swap_last(Vh))


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """:func:`pinv` under its older name: singular values up to ``rcond`` times the largest count as 0."""
    return pinv(input, rtol=rcond)


def cond(A: Any, p: Any = None) -> Any:
    """The condition number |A|_p |A^-1|_p; for p None or 2 the largest singular value over the least, for -2 the
    other way round. Infinite for a singular matrix, 0 for one of no elements."""
    _matrix("linalg.cond", A, square=p not in (None, 2, -2))
    if not math.prod(A.shape):
        return constant(np.zeros_like(_raw(A), shape=A.shape[:-2]))
    if p in (None, 2, -2):
        S = svdvals(A)
        most, least = S[..., 0], S[..., -1]
        return most / least if p != -2 else least / most
    from tinydl.ops.norms import matrix_norm

    try:
        return matrix_norm(A, p) * matrix_norm(inv(A), p)
    except LinAlgError:
        if A.ndim == 2:
            return constant(beside(np.asarray(np.inf, A.dtype), _raw(A)))
        return stack([cond(A[i], p) for i in range(len(A))])


def svdvals(A: Any) -> Any:
    """The singular values of A[..., m, n], descending: [..., min(m, n)]."""
    _matrix("linalg.svdvals", A, square=False)
    if not (mode.on and getattr(A, "needs_grad", False)):  # the vectors are for the gradient
        raw = _raw(A)
        return constant(beside(lapack.svdvals(on_host(raw)), raw))
    return factors.svd_of(A)[1]


# -------------------------------------------------------------------------------------------------------------- small


@by_axis
def vecdot(x: Any, y: Any, dim: int = -1) -> Any:
    """The inner products of x and y (broadcast) along ``dim``."""
    if x.dtype != y.dtype:
        raise RuntimeError(f"linalg.vecdot: Expected x and y to have the same dtype, but got {x.dtype} and {y.dtype}")
    return sum(x * y, dim)


@by_axis
def cross(input: Any, other: Any, dim: int = -1) -> Any:
    """The vector product along a dimension of size 3."""
    return _cross(input, other, dim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices, as the last dimension: a view."""
    return _diagonal(A, offset, dim1, dim2)
