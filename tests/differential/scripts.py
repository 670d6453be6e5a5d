"""Rows of names that scripts use beside the usual ones: layers as functions, older names, and small functions."""

from __future__ import annotations

import functools

import numpy as np

from tests.differential.rows import draw, ints, module, row


def spread(x):  # type: ignore[no-untyped-def]
    """Matrices with distinct singular values, 1, 2, ..."""
    U, _, Vh = np.linalg.svd(x, full_matrices=False)
    return (U * np.arange(1.0, U.shape[-1] + 1)[::-1]) @ Vh


def even(x):  # type: ignore[no-untyped-def]
    """Symmetric matrices with distinct eigenvalues."""
    Q = np.linalg.qr(x)[0]
    found = (Q * np.arange(1.0, x.shape[-1] + 1)) @ Q.swapaxes(-1, -2)
    return (found + found.swapaxes(-1, -2)) / 2


# ------------------------------------------------------------------------------------------- layers as functions

row("conv1d", draw(2, 3, 7), draw(4, 3, 3), draw(4), padding=1)
row("conv2d", draw(2, 4, 6, 5), draw(4, 2, 3, 2), draw(4), stride=(2, 1), groups=2)
row("conv3d", draw(1, 2, 4, 5, 3), draw(2, 2, 2, 3, 2), draw(2), padding=1)
row("conv_transpose1d", draw(2, 3, 5), draw(3, 4, 3), draw(4), stride=2)
row("conv_transpose2d", draw(2, 3, 4, 3), draw(3, 2, 4, 4), draw(2), stride=2, padding=1)
row("conv_transpose3d", draw(1, 2, 3, 2, 3), draw(2, 3, 2, 2, 2))
row("dropout", draw(3, 4), 0.5, False, method=False, in_place=False)
row("dropout", draw(3, 4), 1.0, True, method=False, in_place=False, note="everything")
row("embedding", draw(5, 3), ints(2, 4), method=False, in_place=False)
row("embedding", draw(5, 3), ints(4), padding_idx=2, method=False, in_place=False, note="padding")
row("layer_norm", draw(2, 3, 4), (4,), draw(4), draw(4))
row("layer_norm", draw(2, 3), [3], note="without weights")
row("cosine_similarity", draw(4, 3), draw(4, 3))
row("cosine_similarity", draw(4, 3), draw(3), dim=-1, note="broadcast")
row("clone", draw(2, 3))
row("nn.functional.channel_shuffle", draw(2, 6, 3), 3)
row("nn.functional.channel_shuffle", draw(2, 4, 2, 3), 2)
row("nn.functional.channel_shuffle", draw(0, 4, 2), 2, note="no batch")
module("ChannelShuffle", 2, inputs=[draw(2, 6, 2, 2)])


@functools.cache
def quiet():  # type: ignore[no-untyped-def]
    """Calls with the warnings of older names left aside; that they warn is tested in tests/nn/test_init.py."""
    import warnings

    def call(function, *args, **kwargs):  # type: ignore[no-untyped-def]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return call


row(
    "nn.functional.upsample", draw(1, 2, 3, 4),
    call=lambda t, x: [
        quiet()(t.nn.functional.upsample, x, scale_factor=2),
        quiet()(t.nn.functional.upsample, x, (5, 3), None, "bilinear", True),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------------------------ small functions

for p in (2.0, 1.0, 3.0, float("inf")):
    row("pdist", draw(5, 3), p, smooth=False, note=f"{p}")  # PyTorch's has no second derivative
# PyTorch's process ends in the gradient of no distance
row("pdist", draw(1, 3), note="one row", grad=False)
row("pdist", draw(0, 3), note="no row", grad=False)
row("nn.functional.pdist", draw(4, 2), smooth=False)
for p, dim in ((2, 0), (1, 1), (3, -1), (float("inf"), 0)):
    row("renorm", draw(3, 4), p, dim, 1.5, note=f"{p} {dim}", smooth=p == 3)
row("renorm", draw(3, 2, 4), 2, 1, 1.0, note="three dimensions", smooth=False)
row("renorm", draw(3, 4), 2, 0, 100.0, note="small enough")
row("renorm", draw(3, 4), 2, 0, 0.0, note="to nothing", smooth=False)
row("trapz", draw(3, 4))
row("trapz", draw(3, 4), draw(4), note="places")
row("trapz", draw(3, 4), dx=0.5, dim=0, note="steps")
row("isin", ints(3, 4), ints(3))
row("isin", ints(3, 4), ints(3), invert=True)
row("isin", draw(4), ints(3), note="mixed dtypes")
row("isin", ints(3), call=lambda t, x: [t.isin(x, 2), t.isin(2, x), t.isin(x, x[:0]), t.isin(x, x, assume_unique=True)])
row("asarray", call=lambda t: [t.asarray([1, 2.5]), t.asarray(3), t.asarray([[1], [2]], dtype=t.float64)])
row(
    "asarray", draw(3), note="tensors",
    call=lambda t, x: [
        quiet()(t.asarray, x) is x, t.asarray(x, copy=True), t.asarray(x, dtype=t.float64),
        t.asarray(x * 2).requires_grad,
        t.asarray(x.detach(), requires_grad=True).is_leaf, t.asarray(x.detach(), copy=True).data_ptr() == x.data_ptr(),
    ],
)  # fmt: skip
row(
    "asarray", note="memory",
    call=lambda t: [
        (a := np.zeros(2)) is not None, t.asarray(a).fill_(1.0), a.tolist(), t.asarray(a, copy=True).fill_(2.0),
        a.tolist(), t.asarray(a, dtype=t.float32).fill_(3.0), a.tolist(),
    ],
)  # fmt: skip
for note, shape, places in (
    ("plain", (12,), ((3, 4), (4, 1))), ("offset", (4, 5), ((2, 3), (7, 2), 3)),
    ("overlapping", (12,), ((5, 4), (2, 1))),
    ("0-d", (6,), ((), (), 2)), ("empty", (6,), ((0, 2), (1, 1))),
):  # fmt: skip
    row("as_strided", draw(*shape), call=lambda t, x, p=places: t.as_strided((x * 1).contiguous(), *p), note=note)
row("as_strided", draw(4, 5), call=lambda t, x: (x * 1).contiguous()[1:].as_strided((2, 2), (5, 2)), note="a part")
row("as_strided", draw(4, 5), call=lambda t, x: (x * 1).contiguous()[1:].as_strided((2, 2), (5, 2), 6), note="later")
row(
    "as_strided", draw(6), note="writes",
    call=lambda t, x: [(y := x.detach().clone()).as_strided((2, 2), (3, 1)).zero_(), y, y._version],
)  # fmt: skip
row("poisson", draw(3, low=0, high=0), call=lambda t, x: t.poisson(x.detach()), note="never")
row("poisson", draw(2, 3, low=1, high=30), call=lambda t, x: (y := t.poisson(x.detach())) - y + (y >= 0), note="dtype")

# --------------------------------------------------------------------------------------------------------- matrices

for shape in ((3, 3), (4, 3), (2, 4), (2, 4, 3)):
    k = min(shape[-2:])
    for full in (False, True):
        # signs of singular vectors are each library's own: products in which they cancel
        row(
            "linalg.svd", draw(*shape, make=spread), full_matrices=full, note=f"{shape} {full}", loose=20,
            call=lambda t, x, full_matrices, k=k: [
                (f := t.linalg.svd(x, full_matrices))[1], f.U[..., :k] @ f.Vh[..., :k, :], f.U[..., :k] ** 2,
                f.Vh[..., :k, :] ** 2, f.U.detach().abs() * 0, f.Vh.detach().abs() * 0,
            ],
        )  # fmt: skip
    row(
        "svd", draw(*shape, make=spread), note=f"{shape}", loose=20,
        call=lambda t, x: [(f := t.svd(x)).S, f.U @ f.V.mT, f.V ** 2, t.svd(x.detach(), some=False).V.abs() * 0],
    )  # fmt: skip
row("svd", draw(4, 3, make=spread), call=lambda t, x: list(t.svd(x, compute_uv=False)), note="values alone", loose=20)
row("linalg.eigvalsh", draw(3, 3, make=even), loose=20)
row("linalg.eigvalsh", draw(2, 4, 4, make=even), UPLO="U", loose=20)
for p in (None, 2, -2, "fro", 1, -1, float("inf"), -float("inf"), "nuc"):
    # PyTorch's own gradient fails where the inverse is asked for: it was changed in place
    row("linalg.cond", draw(3, 3, make=spread), p, note=f"{p}", smooth=False, grad=p in (None, 2, -2), loose=20)
row("linalg.cond", draw(4, 3, make=spread), note="not square", smooth=False, loose=20)
row("linalg.cond", draw(2, 3, 3, make=spread), 1, note="batch", grad=False, loose=20)
row("linalg.cond", draw(2, 2, low=0, high=0), 1, note="singular", grad=False)
for p in (None, -2, 1, "fro"):
    row("linalg.cond", draw(0, 0), p, note=f"{p} of nothing", grad=False)
    row("linalg.cond", draw(2, 3, 3, make=spread), p, note=f"{p} batch", smooth=False, grad=False, loose=20)
_singular = np.array([[[1.0, 2.0], [2.0, 4.0]], [[2.0, 0.0], [1.0, 1.0]]])
row("linalg.cond", _singular, float("inf"), note="singular in a batch", grad=False)
row("linalg.cond", _singular[None], 1, note="singular in a batch", grad=False)
row("pinverse", draw(4, 3, make=spread), loose=20)
row("pinverse", draw(3, 4, make=spread), 0.4, note="cut", loose=20, smooth=False)
row("linalg.LinAlgError", call=lambda t: [issubclass(t.linalg.LinAlgError, RuntimeError)])


def refused(t, use):  # type: ignore[no-untyped-def]
    """Whether a matrix is refused as PyTorch does."""
    try:
        use(t.zeros(2, 2) - 1)
    except t.linalg.LinAlgError:
        return True
    return False


row("linalg.LinAlgError", call=lambda t: [refused(t, t.linalg.inv), refused(t, t.linalg.cholesky)], note="raised")

# ---------------------------------------------------------------------------------------------------- what it is

row("Tensor.is_sparse", draw(2), call=lambda t, x: [x.is_sparse, x.layout == t.strided, str(t.strided)[-7:]])
row("Tensor.layout", draw(2), call=lambda t, x: repr(x.layout).partition(".")[2])
row("strided", call=lambda t: isinstance(t.strided, t.layout))
row(
    "Tensor._version", draw(3),
    call=lambda t, x: [
        (y := x.detach().clone())._version, y.add_(1)._version, y.mul_(y)._version, y[0].zero_()._version,
        y.__setitem__(1, 2.0), y._version, y.copy_(y * 1)._version, y.detach()._version, (y + 1)._version,
        y.exp_()._version, y.fill_(1)._version,
    ],
)  # fmt: skip
