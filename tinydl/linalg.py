"""Linear algebra: PyTorch's ``torch.linalg``, on matrices in the last two dimensions.

>>> import tinydl
>>> A = tinydl.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
>>> tinydl.linalg.det(A).backward()
>>> A.grad
tensor([[ 3., -1.],
        [-1.,  2.]])
"""

from __future__ import annotations

from tinydl.errors import LinAlgError, say_absent
from tinydl.functions import _converting
from tinydl.ops import linalg as _linalg
from tinydl.ops import norms, products, vector_norms

say_absent(__name__)

norm, vector_norm, matrix_norm = (
    _converting(norms.norm),
    _converting(vector_norms.vector_norm),
    _converting(norms.matrix_norm),
)
det, slogdet, matrix_power, matrix_rank = (
    _converting(f) for f in (_linalg.det, _linalg.slogdet, _linalg.matrix_power, _linalg.matrix_rank)
)
inv, solve, solve_triangular, pinv, lstsq = (
    _converting(f) for f in (_linalg.inv, _linalg.solve, _linalg.solve_triangular, _linalg.pinv, _linalg.lstsq)
)
cholesky, eigh, qr, svdvals = (_converting(f) for f in (_linalg.cholesky, _linalg.eigh, _linalg.qr, _linalg.svdvals))
eigvalsh, svd, cond = (_converting(f) for f in (_linalg.eigvalsh, _linalg.svd, _linalg.cond))
cross, vecdot, diagonal = (_converting(f) for f in (_linalg.cross, _linalg.vecdot, _linalg.diagonal))
multi_dot = products.multi_dot

__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "lstsq", "matrix_norm",
    "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "svdvals", "vecdot", "vector_norm",
]  # fmt: skip
