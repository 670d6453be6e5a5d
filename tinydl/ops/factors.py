"""Inverses and factors of matrices, by LAPACK through NumPy, and their rules in matrix products.

Every function takes one matrix or a batch [..., n, n]. In the rules g is the gradient of the result and ^T exchanges
the last two dimensions. Each rule is made of operations with rules, so second derivatives come from the same lines.

[G] M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
    differentiation", 2008.
[M] I. Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527.
[W] S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions", 2018.
[T] J. Townsend, "Differentiating the singular value decomposition", 2016.
[P] G. Golub and V. Pereyra, "The differentiation of pseudo-inverses ...", SIAM J. Numer. Anal. 10, 1973.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.autograd.primitives import primitive
from tinydl.kernels import by_dtype
from tinydl.ops import lapack
from tinydl.ops.arranging import triangle
from tinydl.ops.elementwise import nothing
from tinydl.ops.products import mm, swap_last
from tinydl.ops.reducing import reduce_sum
from tinydl.ops.shaping import reshape_to
from tinydl.ops.slicing import diagonal_put

_substitute = by_dtype("substitute_")

# ------------------------------------------------------------------------------------------------- solving, inverting


@primitive(input=lambda g, out: -mm(swap_last(out), mm(g, swap_last(out))))
def inverse_of(input: Any) -> Any:
    """A^-1. [G, 2.2.3]: gA = -A^-T g A^-T."""
    return lapack.inv(input)


def _solved_rule(needs: tuple[bool, ...], g: Any, A: Any, out: Any) -> tuple[Any, ...]:
    """[G, 2.3.1]: gB = A^-T g, gA = -gB X^T."""
    d_right = solved(swap_last(A), g)
    return (-mm(d_right, swap_last(out)) if needs[0] else None, d_right if needs[1] else None)


@primitive(joint=_solved_rule)
def solved(A: Any, B: Any) -> Any:
    """X with A X = B: A[..., n, n], B[..., n, k]; batches broadcast."""
    return lapack.solve(A, B)


def _solved_triangle_rule(
    needs: tuple[bool, ...], g: Any, A: Any, out: Any, upper: bool, unit: bool, left: bool
) -> tuple[Any, ...]:
    """As for :func:`solved`, within the triangle that is read; gA = -X^T gB on the right."""
    d_right = solved_triangle(swap_last(A), g, upper=not upper, unit=unit, left=left)
    if not needs[0]:
        return (None, d_right if needs[1] else None)
    whole = mm(d_right, swap_last(out)) if left else mm(swap_last(out), d_right)
    return (_kept(-whole, upper, unit), d_right if needs[1] else None)


@primitive(joint=_solved_triangle_rule)
def solved_triangle(A: Any, B: Any, *, upper: bool, unit: bool, left: bool = True) -> Any:
    """X with A X = B (or X A = B) by substitution, row by row; the other triangle (and with ``unit`` the diagonal,
    taken as 1) is not read. A zero on the diagonal divides, as in PyTorch.
    """
    if not left:
        A, B, upper = A.swapaxes(-1, -2), B.swapaxes(-1, -2), not upper
    if A.ndim == B.ndim == 2 or A.shape[:-2] == B.shape[:-2]:
        X = B.copy("C")
    else:
        shape = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
        A = np.broadcast_to(A, (*shape, *A.shape[-2:]))
        X = np.array(np.broadcast_to(B, (*shape, *B.shape[-2:])), order="C")
    if X.size:
        _substitute[X.dtype](A, X, upper, unit)
    return X if left else X.swapaxes(-1, -2)


def _kept(x: Any, upper: bool, unit: bool) -> Any:
    """The part of a gradient that a triangular solve reads."""
    return triangle(x, diagonal=(1 if unit else 0) * (1 if upper else -1), lower=not upper)


# ------------------------------------------------------------------------------------------------------- determinants


@primitive(input=lambda g, input: _scaled(g, cofactor(input)))
def determinant(input: Any) -> Any:
    """det A. [G, 2.2.4]: gA = g C with the cofactors C = det(A) A^-T, which exist for singular A too."""
    return lapack.det(input)


def _scaled(g: Any, x: Any) -> Any:
    """Per matrix, a number times a matrix."""
    return reshape_to(g, shape=(*g.shape, 1, 1)) * x


@primitive(input=lambda g, input, out: _cofactor_rule(g, input, out))
def cofactor(input: Any) -> Any:
    """The cofactors det(A) A^-T, from A = U S V^T as det(U) det(V) U diag(products of the other s) V^T."""
    if not input.size:
        return np.zeros_like(input)
    U, s, Vh = np.linalg.svd(input)
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate((ones, s[..., :-1]), -1), -1)
    after = np.cumprod(np.concatenate((ones, s[..., :0:-1]), -1), -1)[..., ::-1]
    others = before * after
    sign = lapack.det(U) * lapack.det(Vh)
    return np.asarray(np.matmul(U * (np.round(sign)[..., None] * others)[..., None, :], Vh), input.dtype)


def _cofactor_rule(g: Any, A: Any, out: Any) -> Any:
    """Differentiating C = det(A) A^-T: gA = (<g, C> C - C g^T C) / det(A). Needs an A that can be inverted."""
    inner = reduce_sum(g * out, axis=(-2, -1), keepdims=False)
    return _scaled(1 / determinant(A), _scaled(inner, out) - mm(out, mm(swap_last(g), out)))


def _slogdet_rule(needs: tuple[bool, ...], g: Any, input: Any) -> tuple[Any, ...]:
    """d log|det A| = tr(A^-1 dA): gA = g A^-T [G, 2.2.4]. The sign has slope 0."""
    d_log = g[1]
    return (nothing(input) if d_log is None else _scaled(d_log, swap_last(inverse_of(input))),)


@primitive(outputs=("sign", "logabsdet"), joint=_slogdet_rule)
def sign_log_determinant(input: Any) -> Any:
    """(sign, log |det A|)."""
    sign, log = lapack.slogdet(input)
    return np.asarray(sign, input.dtype), np.asarray(log, input.dtype)


# ------------------------------------------------------------------------------------------------------------ factors


@primitive(input=lambda g, out: _cholesky_rule(g, out))
def cholesky_of(input: Any, *, symmetric: bool) -> Any:
    """L, lower triangular, with L L^T = (A + A^T) / 2, for a positive definite A; which is A if it is ``symmetric``."""
    return lapack.cholesky(input if symmetric else (input + input.swapaxes(-1, -2)) / 2)


def _cholesky_rule(g: Any, L: Any) -> Any:
    """[M, eq. 10]: S = L^-T P(L^T g) L^-1, P the lower triangle with half of the diagonal; gA = (S + S^T) / 2."""
    inner = _half_diagonal(mm(swap_last(L), g))
    left = solved_triangle(swap_last(L), inner, upper=True, unit=False)
    S = swap_last(solved_triangle(swap_last(L), swap_last(left), upper=True, unit=False))
    return (S + swap_last(S)) / 2


def _half_diagonal(x: Any) -> Any:
    return (triangle(x, diagonal=0, lower=True) + triangle(x, diagonal=-1, lower=True)) / 2


def _eigh_rule(needs: tuple[bool, ...], g: Any, values: Any, vectors: Any) -> tuple[Any, ...]:
    """[G, 3.1]: gA = V (diag(gL) + F o V^T gV) V^T with F_ij = 1 / (l_j - l_i) off the diagonal, made symmetric."""
    d_values, d_vectors = g
    inner = None if d_values is None else diagonal_matrix(d_values)
    if d_vectors is not None:
        turn = mm(swap_last(vectors), d_vectors) * gaps(values)
        inner = turn if inner is None else inner + turn
    found = mm(vectors, mm(inner, swap_last(vectors)))
    return ((found + swap_last(found)) / 2,)


def diagonal_matrix(x: Any) -> Any:
    """Vectors [..., n] as diagonal matrices."""
    n, rank = x.shape[-1], len(x.shape)
    return diagonal_put(x, shape=(*x.shape, n), offset=0, axis1=rank - 1, axis2=rank)


@primitive(input=lambda g, input, out: _gaps_rule(g, out))
def gaps(input: Any) -> Any:
    """F_ij = 1 / (l_j - l_i), and 0 on the diagonal. Equal values give infinities: no derivative exists there."""
    difference = input[..., None, :] - input[..., :, None]
    n = input.shape[-1]
    difference[..., range(n), range(n)] = 1
    with np.errstate(divide="ignore"):
        out = 1 / difference
    out[..., range(n), range(n)] = 0
    return out


def _gaps_rule(g: Any, F: Any) -> Any:
    """dF_ij = -F_ij^2 (dl_j - dl_i)."""
    slope = g * F * F
    return reduce_sum(slope, axis=(len(g.shape) - 1,), keepdims=False) - reduce_sum(
        slope, axis=(len(g.shape) - 2,), keepdims=False
    )


@primitive(outputs=("values", "vectors"), joint=_eigh_rule)
def eigh_of(input: Any, *, symmetric: bool) -> Any:
    """(L, V) with (A + A^T) / 2 = V diag(L) V^T, L ascending; that is A if it is ``symmetric``."""
    return lapack.eigh(input if symmetric else (input + input.swapaxes(-1, -2)) / 2)


def _qr_rule(needs: tuple[bool, ...], g: Any, Q: Any, R: Any) -> tuple[Any, ...]:
    """[W]: with M = R gR^T - gQ^T Q, gA = (gQ + Q copyltu(M)) R^-T; copyltu mirrors the lower triangle upwards."""
    dQ, dR = g
    M = None
    if dR is not None:
        M = mm(R, swap_last(dR))
    if dQ is not None:
        turn = mm(swap_last(dQ), Q)
        M = -turn if M is None else M - turn
    mirrored = triangle(M, diagonal=0, lower=True) + swap_last(triangle(M, diagonal=-1, lower=True))
    inner = mm(Q, mirrored)
    if dQ is not None:
        inner = inner + dQ
    return (swap_last(solved_triangle(R, swap_last(inner), upper=True, unit=False)),)


@primitive(outputs=("Q", "R"), joint=_qr_rule)
def qr_of(input: Any) -> Any:
    """(Q, R) with A = Q R for A[..., m, n], m >= n: Q[..., m, n] orthonormal, R[..., n, n] upper triangular."""
    return lapack.qr(input)


def _svd_rule(needs: tuple[bool, ...], g: Any, U: Any, S: Any, Vh: Any) -> tuple[Any, ...]:
    """[T], with E_ij = 1 / (s_j^2 - s_i^2) off the diagonal and skew(X) = X - X^T:

    gA = U [diag(gS) + (E o skew(U^T gU)) S + S (E o skew(V^T gV))] V^T
         + (I - U U^T) gU S^-1 V^T + U S^-1 gV^T (I - V V^T).
    """
    dU, dS, dVh = g
    V, Uh = swap_last(Vh), swap_last(U)
    row = reshape_to(S, shape=(*S.shape[:-1], 1, S.shape[-1]))
    column = reshape_to(S, shape=(*S.shape, 1))
    inner = nothing(mm(Uh, U)) if dS is None else diagonal_matrix(dS)
    E = None if dU is None and dVh is None else gaps(S * S)
    if dU is not None:
        turn = mm(Uh, dU)
        inner = inner + (turn - swap_last(turn)) * E * row
    if dVh is not None:
        dV = swap_last(dVh)
        spin = mm(Vh, dV)
        inner = inner + column * ((spin - swap_last(spin)) * E)
    found = mm(U, mm(inner, Vh))
    if dU is not None and U.shape[-2] > S.shape[-1]:
        found = found + mm((dU - mm(U, turn)) / row, Vh)
    if dVh is not None and Vh.shape[-1] > S.shape[-1]:
        found = found + mm(U, swap_last((dV - mm(V, spin)) / row))
    return (found,)


@primitive(outputs=("U", "S", "Vh"), joint=_svd_rule)
def svd_of(input: Any) -> Any:
    """(U, S, V^T) with A = U diag(S) V^T, S descending; k = min(m, n) columns and rows."""
    return lapack.svd(input)


def cut_of(S: Any, shape: tuple[int, ...], atol: Any, rtol: Any) -> Any:
    """The size up to which the singular values S[..., k] of matrices of this shape count as 0: max(atol, rtol s_max)
    [..., 1], where rtol is max(m, n) eps unless one of the two is given."""
    if atol is None and S.shape[-1] and (rtol is None or type(rtol) is float and rtol >= 0):  # they descend
        return S[..., :1] * (max(shape[-2:]) * EPS[S.dtype] if rtol is None else rtol)
    if rtol is None:
        rtol = 0.0 if atol is not None and np.any(np.asarray(atol) > 0) else max(shape[-2:]) * EPS[S.dtype]
    largest = np.maximum.reduce(S, axis=-1, initial=0)
    return np.asarray(np.maximum(0.0 if atol is None else atol, rtol * largest))[..., None]


EPS = {np.dtype(t): float(np.finfo(t).eps) for t in (np.float32, np.float64)}


def _pinv_and_values_rule(needs: tuple[bool, ...], g: Any, input: Any, P: Any) -> tuple[Any, ...]:
    """[P], and gA = U diag(gS) V^T for the singular values."""
    dP, dS = g
    found = None if dP is None else _pinv_rule(dP, input, P)
    if dS is not None:
        U, _, Vh = svd_of(input)
        turned = mm(U, mm(diagonal_matrix(dS), Vh))
        found = turned if found is None else found + turned
    return (found,)


@primitive(outputs=("P", "S"), joint=_pinv_and_values_rule)
def pinv_of(input: Any, *, atol: Any, rtol: Any) -> Any:
    """(P, S): the Moore-Penrose inverse, in which singular values up to :func:`cut_of` count as 0, and all of them,
    descending."""
    U, S, Vh = lapack.svd(input)
    large = S > cut_of(S, input.shape, atol, rtol)
    inverse = np.where(large, 1 / np.where(large, S, 1), 0)  # CuPy's functions have no where=
    return np.matmul(Vh.swapaxes(-1, -2) * inverse[..., None, :], U.swapaxes(-1, -2)), S


def _pinv_rule(g: Any, A: Any, P: Any) -> Any:
    """[P], where the rank is constant: the transpose of dP = -P dA P + P P^T dA^T (I - A P) + (I - P A) dA^T P^T P."""
    Pt, gt = swap_last(P), swap_last(g)
    first = mm(Pt, mm(g, Pt))
    second = mm(gt - mm(A, mm(P, gt)), mm(P, Pt))
    third = mm(mm(Pt, P), gt - mm(gt, mm(P, A)))
    return second + third - first
