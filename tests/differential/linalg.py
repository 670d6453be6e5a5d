"""Rows of products, decompositions, norms and distances."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tests.differential.rows import Array, draw, ints, row


def regular(x: Array) -> Array:
    """Square matrices far from singular ones."""
    return x + 3 * np.eye(x.shape[-1])


def symmetric(x: Array) -> Array:
    """Symmetric, with the eigenvalues 1, 2, 3, ...: apart from each other."""
    Q, _ = np.linalg.qr(x)
    y = (Q * np.arange(1.0, x.shape[-1] + 1)) @ Q.swapaxes(-1, -2)
    return (y + y.swapaxes(-1, -2)) / 2


def definite(x: Array) -> Array:
    """Symmetric positive definite, to the last bit of float32."""
    y = x @ x.swapaxes(-1, -2) + np.eye(x.shape[-1])
    return ((y + y.swapaxes(-1, -2)) / 2).astype(np.float32).astype(np.float64)


def apart(x: Array) -> Array:
    """Singular values 1, 2, 3, ..."""
    U, _, Vh = np.linalg.svd(x, full_matrices=False)
    return (U * np.arange(1.0, min(x.shape[-2:]) + 1)[::-1]) @ Vh


def low_rank(x: Array) -> Array:
    """The last row a sum of the others."""
    x = x.copy()
    x[..., -1, :] = x[..., :-1, :].sum(-2)
    return x


def quiet(function: Any) -> Any:
    """A call in which PyTorch says that the name is deprecated."""

    def call(*args: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args)

    return call


# ----------------------------------------------------------------------------------------------------------- products

for _a, _b in (
    ((3, 4), (4, 2)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 2)), ((2, 3, 4), (4, 2)), ((2, 1, 3, 4), (5, 4, 2)),
    ((4,), (2, 4, 3)), ((2, 3, 4), (4,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
):  # fmt: skip
    row("matmul", draw(*_a), draw(*_b), note=f"{_a} {_b}")
for _a, _b in (((3, 4), (4, 2)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2))):
    row("matmul", ints(*_a), ints(*_b), note=f"ints {_a} {_b}")
row("mm", draw(3, 4), draw(4, 2))
row("bmm", draw(2, 3, 4), draw(2, 4, 2))
row("mv", draw(3, 4), draw(4))
row("dot", draw(4), draw(4))
row("vdot", draw(4), draw(4))
row("inner", draw(2, 3), draw(4, 3))
row("inner", draw(3), draw(3), note="vectors")
row("inner", draw(), draw(2, 3), note="a number")
row("outer", draw(3), draw(2))
row("ger", draw(3), draw(2))
for _keywords in ({}, {"beta": 0.5, "alpha": -2}, {"beta": 0}):  # type: dict[str, Any]
    _note = " ".join(f"{k} {v}" for k, v in _keywords.items())
    row("addmm", draw(3, 2), draw(3, 4), draw(4, 2), note=_note, **_keywords)
    row("addmv", draw(3), draw(3, 4), draw(4), note=_note, **_keywords)
    row("addr", draw(3, 2), draw(3), draw(2), note=_note, **_keywords)
    row("addbmm", draw(3, 2), draw(2, 3, 4), draw(2, 4, 2), note=_note, **_keywords)
    row("baddbmm", draw(2, 3, 2), draw(2, 3, 4), draw(2, 4, 2), note=_note, **_keywords)
row("addmm", draw(2), draw(3, 4), draw(4, 2), note="broadcast", in_place=False)
row("addmm", ints(3, 2), ints(3, 4), ints(4, 2), note="ints")
for _equation, *_shapes in (
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ii->i", (3, 3)),
    ("ii", (3, 3)), ("i,j->ij", (2,), (3,)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("...ij,...jk->...ik", (2, 3, 4), (4, 2)), ("b...,b...->...", (2, 3, 4), (2, 3, 4)), ("...i,i", (2, 3), (3,)),
    ("bn,anm,bm->ba", (2, 5), (3, 5, 4), (2, 4)), ("ij,ij->ij", (2, 3), (2, 3)), ("ij,j->i", (2, 3), (3,)),
    ("ba", (2, 3)), ("aB,Bc", (2, 3), (3, 2)), ("i,i,i->i", (3,), (3,), (3,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("ijj->ij", (2, 3, 3)), ("iij,jk->ik", (2, 2, 3), (3, 2)),
    ("ij,kl->", (2, 3), (2, 2)), ("...->...", (2, 3)), ("i...->...", (2, 3)), ("ij,ij", (2, 1), (2, 3)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), (",ij->ij", (), (2, 3)), ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 3)), (" i j , j k -> i k ", (2, 3), (3, 2)), ("...a,...b->...ab", (3, 1, 2), (4, 3)),
    ("ab...,b...->a...", (2, 3, 4), (3, 1)), ("aabb->ab", (2, 2, 3, 3)),
):  # fmt: skip
    row(
        "einsum",
        *[draw(*s) for s in _shapes],
        call=lambda t, *xs, e=_equation: t.einsum(e, *xs),
        note=_equation.replace(" ", ""),
    )
row("einsum", draw(2, 3), draw(3, 4), call=lambda t, a, b: t.einsum(a, [0, 1], b, [1, 2], [0, 2]), note="lists")
row("einsum", draw(2, 3), draw(3, 4), call=lambda t, a, b: t.einsum("ij,jk", [a, b]), note="a list of operands")
row("einsum", draw(3), call=lambda t, a: t.einsum("i,i->", a, a), note="one twice")
row("tensordot", draw(2, 3, 4), draw(3, 4, 2))
row("tensordot", draw(2, 3, 4), draw(4, 2), dims=1)
row("tensordot", draw(2, 3), draw(2), dims=0)
row("tensordot", draw(2, 3, 4), draw(4, 5, 2), dims=([0, 2], [2, 0]))
row("kron", draw(2, 3), draw(2, 2))
row("kron", draw(3), draw(2, 2), note="a vector")
row("cross", draw(2, 3), draw(2, 3), dim=1)
row("cross", draw(3, 2), draw(3, 2), dim=0, note="first")
row("linalg.cross", draw(2, 3), draw(2, 3))
row("linalg.cross", draw(1, 3), draw(4, 3), note="broadcast")
row("chain_matmul", draw(2, 3), draw(3, 4), draw(4, 2), call=quiet(lambda t, *xs: t.chain_matmul(*xs)))
row("linalg.multi_dot", draw(2, 3), draw(3, 4), draw(4, 2), call=lambda t, *xs: t.linalg.multi_dot(xs))
row("linalg.multi_dot", draw(3), draw(3, 4), draw(4), call=lambda t, *xs: t.linalg.multi_dot(xs), note="vectors")
row("linalg.vecdot", draw(2, 3), draw(2, 3))
row("linalg.vecdot", draw(2, 3), draw(1, 3), dim=0)
row("linalg.diagonal", draw(2, 3, 4))
row("linalg.diagonal", draw(2, 3, 4), offset=1)

# -------------------------------------------------------------------------------------------- inverses, determinants

for _shape in ((3, 3), (2, 3, 3)):
    _note = "batch" if len(_shape) == 3 else ""
    for _name in ("inverse", "linalg.inv", "det", "linalg.det", "slogdet", "linalg.slogdet"):
        row(_name, draw(*_shape, make=regular), note=_note)
    row("logdet", draw(*_shape, make=definite), note=_note)
    for _n in (0, 1, 2, 3, 5, -2):
        row("matrix_power", draw(*_shape, make=regular), _n, note=f"{_n} {_note}", loose=20)  # cond^n
    row("linalg.matrix_power", draw(*_shape, make=regular), 3, note=_note)
    row("matrix_power", draw(2, *_shape, make=regular), 2, note=f"batches {_note}", loose=20)
    row("linalg.matrix_rank", draw(*_shape, make=low_rank), note=_note)
    row("linalg.pinv", draw(*_shape, make=regular), note=_note)
    for _upper in (False, True):
        row(
            "cholesky",
            draw(*_shape, make=definite),
            call=quiet(lambda t, x, u=_upper: (t.cholesky(x, u), x.cholesky(upper=u))),
            note=f"{_upper} {_note}",
            loose=5,
        )
        row("linalg.cholesky", draw(*_shape, make=definite), upper=_upper, note=f"{_upper} {_note}", loose=5)
row("det", draw(3, 3, make=low_rank), note="singular", smooth=False)
row("det", draw(0, 0), note="empty")
row("det", draw(1, 1), note="one")
row("logdet", draw(2, 2, make=lambda x: np.array([[1.0, 2.0], [2.0, 1.0]])), note="negative", grad=False)
row("linalg.solve", draw(3, 3, make=regular), draw(3, 2))
row("linalg.solve", draw(3, 3, make=regular), draw(3), note="a vector")
row("linalg.solve", draw(2, 3, 3, make=regular), draw(2, 3), note="vectors")
row("linalg.solve", draw(2, 1, 3, 3, make=regular), draw(4, 3, 2), note="broadcast")
row("linalg.solve", draw(3, 3, make=regular), draw(2, 3), left=False, note="from the right")
for _upper in (False, True):
    for _left in (False, True):
        for _unit in (False, True):
            row(
                "linalg.solve_triangular",
                draw(3, 3, make=regular),
                draw(3, 3),
                upper=_upper,
                left=_left,
                unitriangular=_unit,
                note=f"{_upper} {_left} {_unit}",
                loose=5,  # a unit triangle of numbers up to 2 is badly conditioned
            )
row("linalg.solve_triangular", draw(2, 1, 3, 3, make=regular), draw(4, 3, 2), upper=True, note="broadcast")
for _upper in (False, True):
    row("cholesky_solve", draw(3, 2), draw(3, 3, make=regular), note=str(_upper), loose=5,
        call=lambda t, b, x, u=_upper: t.cholesky_solve(b, x.triu() if u else x.tril(), u))  # fmt: skip
row("cholesky_solve", draw(4, 3, 1), draw(2, 1, 3, 3, make=regular), note="broadcast", loose=5,
    call=lambda t, b, x: b.cholesky_solve(x.tril()))  # fmt: skip
row("linalg.pinv", draw(4, 2, make=apart), note="tall")
row("linalg.pinv", draw(2, 4, make=apart), note="wide")
row("linalg.pinv", draw(3, 3, make=apart), rtol=0.5, note="rtol", smooth=False)
row("linalg.pinv", draw(3, 3, make=symmetric), hermitian=True, note="hermitian")
row("linalg.matrix_rank", draw(4, 3))
row("linalg.matrix_rank", draw(3, 3, make=apart), atol=1.5, note="atol")
row("linalg.matrix_rank", draw(3, 3, make=symmetric), hermitian=True, note="hermitian")
for _a, _b in (((4, 2), (4, 3)), ((2, 4), (2, 3)), ((3, 3), (3, 1)), ((2, 4, 2), (2, 4, 3))):
    row(
        "linalg.lstsq",
        draw(*_a, make=apart),
        draw(*_b),
        call=lambda t, A, B: t.linalg.lstsq(A, B).solution,
        note=f"{_a}",
    )
for _driver in (None, "gels", "gelsy", "gelsd", "gelss"):
    row(
        "linalg.lstsq",
        draw(4, 2, make=apart),
        draw(4, 3),
        call=lambda t, A, B, d=_driver: tuple(t.linalg.lstsq(A, B, driver=d)),
        note=f"all of {_driver}",
        grad=False,
    )
row(
    "linalg.lstsq",
    draw(4, 2, make=apart),
    draw(4),
    call=lambda t, A, B: t.linalg.lstsq(A, B.unsqueeze(1))[0],
    note="a vector",
)

# ---------------------------------------------------------------------------------------------------------- factors


def _up_to_signs(t: Any, L: Any, V: Any) -> Any:
    """Eigenvectors without their signs."""
    return L, V * V, t.matmul(V * L.unsqueeze(-2), V.transpose(-1, -2))


for _uplo in ("L", "U"):
    row(
        "linalg.eigh",
        draw(3, 3, make=symmetric),
        call=lambda t, A, u=_uplo: _up_to_signs(t, *t.linalg.eigh((A + A.T) / 2, UPLO=u)),
        note=_uplo,
        loose=5,
    )
row(
    "linalg.eigh",
    draw(2, 3, 3, make=symmetric),
    call=lambda t, A: _up_to_signs(t, *t.linalg.eigh((A + A.transpose(1, 2)) / 2)),
    note="batch",
    loose=5,
)
row("linalg.eigh", draw(3, 3), call=lambda t, A: t.linalg.eigh(A).eigenvalues, note="one triangle", grad=False)
row("linalg.eigh", draw(3, 3), call=lambda t, A: t.linalg.eigh(A, "U")[0], note="the other triangle", grad=False)
for _shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2)):
    row("linalg.qr", draw(*_shape, make=apart), note=f"{_shape}", loose=5)
    row("linalg.svdvals", draw(*_shape, make=apart), note=f"{_shape}", loose=5)
row("linalg.qr", draw(2, 3, make=apart), mode="complete", note="complete", loose=5)
row("linalg.qr", draw(4, 2, make=apart), mode="complete", note="complete, tall", grad=False)
row("linalg.qr", draw(4, 2, make=apart), mode="r", note="r", grad=False)

# --------------------------------------------------------------------------------------------------------------- norms

for _ord in (2, 1, 3, 0.5, 1.5, 0, math.inf, -math.inf, -1):
    row("linalg.vector_norm", draw(3, 4, away=(0.0,)), _ord, note=f"{_ord}", loose=5 if _ord == 0.5 else 1)
    row("linalg.vector_norm", draw(3, 4, away=(0.0,)), _ord, dim=1, keepdim=True, note=f"{_ord} dim")
row("linalg.vector_norm", draw(3, make=np.zeros_like), note="zeros", smooth=False)
row("linalg.vector_norm", draw(3, make=np.zeros_like), 3, note="zeros 3", smooth=False)
row("linalg.vector_norm", draw(2, 3, 4), dim=(0, 2), note="two dims")
row("linalg.vector_norm", draw(), note="0-d")
row("linalg.vector_norm", draw(0, 3), dim=0, note="empty")
for _ord in ("fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf):
    _smooth = _ord == "fro"
    row("linalg.matrix_norm", draw(3, 3, make=apart), _ord, note=f"{_ord}", smooth=_smooth)
    row("linalg.matrix_norm", draw(2, 3, 4), _ord, dim=(2, 0), keepdim=True, note=f"{_ord} dims", smooth=_smooth)
for _ord, _shape in (("fro", (0, 0)), ("nuc", (2, 0, 3)), (1, (3, 0)), (2, (0, 3)), (math.inf, (2, 0, 3))):
    for _keep in (False, True):
        row("linalg.matrix_norm", draw(*_shape), _ord, keepdim=_keep, note=f"{_ord} of nothing", grad=False)
row("linalg.norm", draw(3, 4))
row("linalg.norm", draw(4), 3, note="a vector")
row("linalg.norm", draw(3, 4), "nuc", note="a matrix", smooth=False)
row("linalg.norm", draw(2, 3, 4), dim=1, note="dim")
row("linalg.norm", draw(2, 3, 4), ord=1, dim=(0, 2), note="ord and dims", smooth=False)
for _p in (2.0, 1.0, 3.0, math.inf, 0.0):
    row("cdist", draw(3, 4), draw(2, 4), p=_p, note=f"p {_p}", smooth=False)
row("cdist", draw(2, 3, 4), draw(2, 5, 4), note="batch", smooth=False)
row("cdist", draw(3, 2), draw(3, 2, make=lambda x: x * 0), note="zero", smooth=False)
row("cov", draw(3, 5))
row("cov", draw(5), note="a vector")
row("cov", draw(3, 5), correction=0, note="correction")
row(
    "cov",
    draw(3, 4),
    fweights=None,
    call=lambda t, x, fweights: t.cov(x, fweights=t.tensor([1, 2, 3, 1])),
    note="fweights",
)
row("cov", draw(3, 4), draw(4, low=0.1), call=lambda t, x, w: t.cov(x, aweights=w), constant=(1,), note="aweights")
row("corrcoef", draw(3, 5))
row("corrcoef", draw(5), note="a vector", loose=20)  # a gradient of zero, up to rounding

# ------------------------------------------------------------------------------------------------- nn.functional

row("nn.functional.linear", draw(2, 3), draw(4, 3), draw(4))
row("nn.functional.linear", draw(3), draw(4, 3), note="one vector, no bias")
row("nn.functional.linear", draw(2, 5, 3), draw(4, 3), bias=None, note="3-d")
row("nn.functional.bilinear", draw(2, 3), draw(2, 4), draw(5, 3, 4), draw(5))
row("nn.functional.bilinear", draw(2, 2, 3), draw(2, 2, 4), draw(5, 3, 4), note="3-d, no bias")
row("nn.functional.cosine_similarity", draw(3, 4), draw(3, 4))
row("nn.functional.cosine_similarity", draw(3, 4), draw(1, 4), dim=-1, note="broadcast")
row("nn.functional.cosine_similarity", draw(4), draw(4), dim=0, note="vectors")
row("nn.functional.cosine_similarity", draw(2, 4, make=lambda x: x * [[0], [1]]), draw(2, 4), note="zero", smooth=False)
row("nn.functional.pairwise_distance", draw(3, 4), draw(3, 4))
row("nn.functional.pairwise_distance", draw(3, 4), draw(3, 4), p=1.0, keepdim=True, note="p 1")
row("nn.functional.pairwise_distance", draw(4), draw(4), p=3.0, note="p 3")
row("nn.functional.normalize", draw(3, 4))
row("nn.functional.normalize", draw(3, 4), p=1.0, dim=0, note="p 1")
row("nn.functional.normalize", draw(2, 4, make=lambda x: x * [[0], [1]]), note="zero", smooth=False)

# Batches of batches, of sizes that are not the matrices'.
for _name, _make in (
    ("inverse", regular), ("det", regular), ("slogdet", regular), ("logdet", definite), ("linalg.cholesky", definite),
    ("linalg.eigvalsh", definite), ("linalg.svdvals", regular), ("linalg.pinv", regular),
    ("trapezoid", regular), ("linalg.matrix_norm", regular), ("tril", regular), ("triu", regular),
):  # fmt: skip
    row(_name, draw(2, 4, 3, 3, make=_make), note="batches", smooth=False, in_place=False, loose=50)
row("linalg.solve", draw(2, 4, 3, 3, make=regular), draw(2, 4, 3, 2), note="batches", loose=20)
row("linalg.multi_dot", draw(3), draw(3, 4), draw(4, 2), call=lambda t, *xs: t.linalg.multi_dot(xs), note="a row")
row("linalg.multi_dot", draw(2, 3), draw(3, 4), draw(4), call=lambda t, *xs: t.linalg.multi_dot(xs), note="a column")
