"""LAPACK on arrays [..., m, n], through the ufuncs inside ``numpy.linalg`` without the functions around them.

Those functions look at what the callers here know (that the matrices are square and floating) and take 3 us of the 7 us
that a 3 x 3 matrix costs. As there, everything is computed in float64. LAPACK's refusals raise ``LinAlgError``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    from numpy.linalg import _umath_linalg as gufuncs
except ImportError:  # another NumPy keeps them elsewhere
    gufuncs = None  # type: ignore[assignment]


def _refuse(what: str, flag: int) -> None:
    raise np.linalg.LinAlgError("LAPACK refuses the matrix")


#: LAPACK says what it refuses by the processor's flag for invalid operations.
_watched = np.errstate(call=_refuse, invalid="call", over="ignore", divide="ignore", under="ignore")


def _routine(name: str, signature: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """The ufunc ``name`` on matrices of one dtype, its result in theirs; the function of ``numpy.linalg`` where there
    is no such ufunc."""
    gufunc = getattr(gufuncs, name, None)
    if gufunc is None:
        return otherwise

    @_watched
    def call(*matrices: Any) -> Any:
        dtype, found = matrices[0].dtype, gufunc(*matrices, signature=signature)
        if type(found) is tuple:
            return tuple([x.astype(dtype, copy=False) for x in found])
        return found.astype(dtype, copy=False)

    return call


inv = _routine("inv", "d->d", np.linalg.inv)
solve = _routine("solve", "dd->d", np.linalg.solve)
det = _routine("det", "d->d", np.linalg.det)
slogdet = _routine("slogdet", "d->dd", np.linalg.slogdet)
cholesky = _routine("cholesky_lo", "d->d", np.linalg.cholesky)
eigh = _routine("eigh_lo", "d->dd", np.linalg.eigh)
svd = _routine("svd_s", "d->ddd", lambda a: np.linalg.svd(a, full_matrices=False))
svdvals = _routine("svd", "d->d", lambda a: np.linalg.svd(a, compute_uv=False))


@_watched
def _qr(a: Any) -> tuple[Any, Any]:
    """(Q, R), Q[..., m, n] and R[..., n, n], of [..., m, n] with m >= n: Householder's vectors stand below R."""
    work = a.astype(np.float64)  # a copy in any case, which LAPACK writes to
    tau = gufuncs.qr_r_raw(work, signature="d->d")
    Q = gufuncs.qr_reduced(work, tau, signature="dd->d")
    n = a.shape[-1]
    R = np.where(_upper(n), work[..., :n, :], 0.0)
    return Q.astype(a.dtype, copy=False), R.astype(a.dtype, copy=False)


@functools.lru_cache(maxsize=256)
def _upper(n: int) -> Any:
    return np.tri(n, dtype=bool).T


qr: Callable[..., Any] = _qr if hasattr(gufuncs, "qr_reduced") else np.linalg.qr
