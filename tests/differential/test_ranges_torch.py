"""Shapes, places, products, windows: every small argument, in its range and beyond, in all combinations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

from tests.differential.grids import Grids, is_tensor, x, xs  # noqa: E402 - it needs PyTorch

TABLE = Grids()
grid, functions = TABLE.grid, TABLE.functions

FEW_DIMS = [(), (1,), (3,), (2, 3), (2, 1, 3), (0,), (2, 0)]
XS = xs(*FEW_DIMS)
DIMS = range(-4, 4)

functions("sum mean prod logsumexp softmax log_softmax cumsum cumprod all any count_nonzero argsort", XS, DIMS)
functions("amax amin argmax argmin sort max min median nanmedian mode logcumsumexp unbind", XS, DIMS)
functions("cummax cummin", XS[:-2], DIMS)
functions("nansum nanmean diff squeeze unsqueeze", XS, DIMS)
functions("flip", XS, [(), (0,), (1,), (-1,), (0, 1), (1, 0), (0, 0), (-1, 0), (2,), (0, -3)])
SEVERAL = [(), (0,), (0, 1), (1, 0), (-1, 0), (0, 0), (2, 1), (-3, 2)]
for _keep in (False, True):
    functions("sum mean amax amin nansum nanmean", xs((2, 3), (2, 3, 4), ()), SEVERAL, keepdim=_keep)
    functions("logsumexp all any", xs((2, 3), (2, 3, 4), ()), SEVERAL[1:], keepdim=_keep)
functions("count_nonzero", xs((2, 3), (2, 3, 4), ()), SEVERAL)
functions("var std var_mean std_mean", XS, [None, 0, 1, -1, (0, 1), (1, -2)], correction=0)
functions("var std", xs((3,), (2, 3)), [None, 0, 1, -1, (0, 1)], correction=0.5, keepdim=True)

# shapes
SIZES = [(), (1,), (6,), (-1,), (2, 3), (3, -1), (-1, -1), (0,), (0, -1), (2, 2), (-2, 3), (1, 6, 1), (2, -1, 3)]
functions("reshape", xs((), (1,), (6,), (2, 3), (0,), (0, 3)), SIZES)
grid("Tensor.view", lambda t, a, s: a.view(s), xs((), (1,), (6,), (2, 3), (0,)), SIZES)
grid("view of a transpose", lambda t, a, s: a.t().view(s), xs((2, 3), (1, 6), (6, 1), (2, 0)), SIZES)
functions("flatten", xs((), (3,), (2, 3), (2, 1, 3)), DIMS, DIMS)
functions("unflatten", xs((6,), (2, 6), ()), range(-3, 3), [(2, 3), (-1, 3), (-1, -1), (), (6,), (4, -1), (1,)])
functions("transpose", xs((), (3,), (2, 3), (2, 1, 3)), DIMS, DIMS)
functions("t", XS)
functions("permute", xs((), (3,), (2, 3), (2, 1, 3)), [
    (), (0,), (1,), (0, 1), (1, 0), (-1, 0), (1, 1), (0, 1, 2), (2, 0, 1), (-1, 0, 1), (0, 0, 1), (0, 1, 3),
])  # fmt: skip
functions("movedim", xs((3,), (2, 3), (2, 1, 3)), [0, 1, -1, 3, (0, 1), (1, 0)], [0, -1, 2, (1, 0), (0, 2), (0, 0)],
          but=lambda a, b, c: isinstance(b, int) != isinstance(c, int))
grid("Tensor.expand", lambda t, a, s: a.expand(s), xs((), (1,), (3,), (1, 3), (2, 3), (0,)), [
    (), (1,), (3,), (-1,), (2, 3), (2, -1), (-1, 3), (4, -1, -1), (-1, -1, 3), (2, 2, 3), (0, 3), (0,), (1, 0), (-2, 3),
])  # fmt: skip
grid(
    "broadcast_shapes", lambda t, a, b, c: tuple(t.broadcast_shapes(a, b, c)),
    *[[(), (1,), (2,), (0,), (2, 1), (3, 2)]] * 3,
)  # fmt: skip
grid("Tensor.repeat", lambda t, a, s: a.repeat(s), xs((), (2,), (2, 3), (0,)), [
    (), (1,), (2,), (0,), (-1,), (2, 1), (1, 3), (0, 2), (2, 1, 2), (1, -1),
], but=lambda a, s: not a.size and min(s, default=0) < 0)  # fmt: skip
functions("tile", xs((), (2,), (2, 3)), [(), (1,), (2,), (0,), (2, 1), (1, 3), (2, 1, 2), (-1,)])
TIMES = [0, 1, 2, -1, *map(np.array, (2, [2], [1, 0, 2], [1, 2]))]
functions("repeat_interleave", xs((), (3,), (2, 3), (0,)), TIMES)
for _dim in (0, 1, -1, 2, -3):
    functions("repeat_interleave", xs((), (3,), (2, 3), (2, 0)), TIMES, dim=_dim)
COUNTS = [np.array(v) for v in (2, [2], [2, 0, 1], [[1, 2]], [-1, 1], [1.0, 2.0], [True])]
grid("repeat_interleave of counts", lambda t, a: t.repeat_interleave(a), [*COUNTS, np.array([1, 2], np.int32)])
grid("repeat_interleave into a size", lambda t, a, n, size: t.repeat_interleave(a, n, 0, output_size=size),
     xs((2,), (2, 3)), [np.array(2), np.array([1, 2])], range(2, 6))  # fmt: skip
functions("atleast_1d atleast_2d atleast_3d trace diagflat ravel fliplr flipud msort nonzero argwhere", [*XS, x(2, 2)])
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    grid(f"{_name} of several", lambda t, *a, name=_name: getattr(t, name)(*a), XS[:5], XS[:5])
    grid(f"{_name} of lists", lambda t, a, n, name=_name: getattr(t, name)([a] * n), XS[:5], [1, 2])
grid(
    "nonzero as_tuple", lambda t, a: t.nonzero(a, as_tuple=True),
    [np.array(v) for v in (0, 1, 2.5, [0, 3], [[1, 0], [2, 2]])],
)  # fmt: skip
for _name in ("hstack", "vstack", "dstack", "column_stack"):
    grid(_name, lambda t, a, b, name=_name: getattr(t, name)((a, b)), XS, XS)
grid("cat", lambda t, a, b, d: t.cat((a, b), d), XS, XS, range(-4, 4), but=lambda a, b, d: a.shape == b.shape == (0,))
grid("stack", lambda t, a, b, d: t.stack((a, b), d), XS, XS, range(-4, 4))
functions("block_diag", XS[:4], XS)
functions("combinations", xs((0,), (1,), (4,), (2, 2)), range(1, 5), [False, True])

# pieces
functions("split", xs((5,), (2, 3), (0,), ()), [0, 1, 2, 3, 7, -1, (2, 3), (1, 1), (0, 2), (5,), (6, -1)], range(-3, 3))
functions("chunk", xs((5,), (2, 3), (0,), ()), range(-1, 7), range(-2, 2))
functions(
    "tensor_split", xs((5,), (2, 3), (0,), ()), [0, 1, 2, 3, 7, -1, (), (1,), (2, 4), (3, 1), (-2,), (9,)],
    range(-2, 2),
)  # fmt: skip
functions("hsplit vsplit", xs((6,), (2, 6), (4, 3), (4, 2, 2), ()), [0, 1, 2, 3, (1,), (1, 3), (-1, 9)])
functions("narrow", xs((5,), (2, 3), ()), range(-2, 3), range(-6, 7), range(-1, 4))
functions("select", xs((5,), (2, 3), (), (0,)), range(-3, 3), range(-6, 6))
functions("diagonal", xs((), (3,), (2, 3), (2, 3, 4), (0, 2)), range(-4, 5), range(-3, 3), range(-3, 3))
functions("diag", xs((), (1,), (3,), (2, 3), (3, 2), (2, 2, 2), (0,)), range(-4, 5))
functions("diag_embed", xs((), (3,), (2, 3)), range(-2, 3), range(-4, 4), [-1, 0, 1, 2])
functions("diagflat", xs((), (3,), (2, 2)), range(-3, 4))
functions("tril triu", xs((3,), (2, 3), (3, 2), (2, 2, 3), (0, 2)), range(-4, 5))
functions("roll", xs((5,), (2, 3), (), (0,)), range(-7, 8))
grid("roll along", lambda t, a, s, d: t.roll(a, s, d), xs((5,), (2, 3)), [1, -2, 7, (1,), (1, 2), ()],
     [0, 1, -1, (0,), (0, 1), (1, -2), (), (0, 0), 2])  # fmt: skip
functions(
    "rot90", xs((3,), (2, 3), (2, 3, 4)), range(-5, 6),
    [(0, 1), (1, 0), (-1, 0), (0, 0), (1, 2), (0, 2), (0,), (0, 1, 2), (0, 3), (-1, 1)],
)  # fmt: skip
grid(
    "Tensor.unfold", lambda t, a, d, size, step: a.unfold(d, size, step), xs((5,), (3, 4), ()), range(-3, 3),
    range(-1, 7), range(-1, 4),
)  # fmt: skip
grid(
    "as_strided", lambda t, a, size, stride, start: t.as_strided(a, size, stride, start), xs((6,), (2, 3), (0,), ()),
    [(), (1,), (2,), (2, 2), (1, 2), (0,), (2, 0), (3, 2), (-1,)],
    [(), (1,), (2,), (3, 1), (1, 1), (0, 1), (2, 0), (-1,), (0,)],
    [0, 1, 3, 5, 6, -1],
)  # fmt: skip
grid(
    "as_strided where it is", lambda t, a, size, stride: t.as_strided(a, size, stride), xs((6,), (2, 3)),
    [(2,), (2, 2), (3, 3)], [(1,), (3,), (2, 1), (1, 2), (5,), (6,)],
)  # fmt: skip

# products
VECTORS = xs((), (1,), (2,), (3,), (2, 3), (3, 2), (1, 3), (2, 3, 2), (1, 2, 3), (0,), (0, 3), (3, 0))
functions("matmul inner dot mv mm bmm outer kron vdot", VECTORS, VECTORS)
functions(
    "tensordot", xs((), (2,), (2, 3), (3, 2), (2, 3, 2), (3, 2, 2)), xs((), (2,), (2, 3), (3, 2), (2, 3, 2)),
    range(-1, 5),
)  # fmt: skip
grid("tensordot along", lambda t, a, b, d: t.tensordot(a, b, d), xs((2, 3), (2, 3, 2)), xs((3, 2), (2, 3, 2)), [
    ([0], [1]), ([1], [0]), ([-1], [-2]), ([], []), ([0, 1], [1, 0]), ([0], [0, 1]), ([5], [0]), ([1, 2], [0, 1]),
])  # fmt: skip
for _count in range(4):
    _of = xs((2, 3), (3, 2), (2,), (3,), (3, 4), (1, 1, 1))
    grid(f"multi_dot of {_count}", lambda t, *a: t.linalg.multi_dot(list(a)), *[_of] * _count)
    grid(f"chain_matmul of {_count}", lambda t, *a: t.chain_matmul(*a), *[_of] * _count)
grid("multi_dot by sizes", lambda t, a, b, c, d: t.linalg.multi_dot([a, b, c, d]), xs((1, 5), (5,)), xs((5, 2)),
     xs((2, 4), (2, 2)), xs((4, 3), (2, 7), (4,), (2,)))  # fmt: skip
for _name, _shapes in {
    "addmm": [(2, 3), (3, 2), (2, 2)], "addbmm": [(2, 2, 3), (2, 3, 2), (1, 2, 3)],
    "baddbmm": [(2, 2, 3), (2, 3, 2), (1, 2, 3)], "addmv": [(2, 3), (3,), (2,)], "addr": [(2,), (3,), (1, 2)],
}.items():  # fmt: skip
    for _beta, _alpha in ((1, 1), (0, 2), (2, 0.5), (0.5, 1)):
        functions(_name, xs((), (1,), (2,), (2, 2), (2, 1), (2, 2, 2), (3, 3), (2, 3)), xs(*_shapes), xs(*_shapes),
                  beta=_beta, alpha=_alpha)  # fmt: skip

# places
I = [np.array(v) for v in (0, [0], [1, 0], [0, 1, 1], [-1], [2], [3], [[0, 1]], [[0], [1]], [[0, 1, 0], [1, 0, 1]], [])]
I[-1] = I[-1].astype(np.int64)
functions("index_select", xs((), (3,), (2, 3), (2, 0)), range(-3, 3), I)
functions(
    "gather", xs((), (3,), (2, 3), (2, 2, 2)), range(-3, 3),
    [*I[:-1], np.zeros((1, 1, 1), np.int64), np.zeros((2, 4), np.int64)],
)  # fmt: skip
functions("take", xs((), (3,), (2, 3), (0,)), I)
functions(
    "take_along_dim", xs((3,), (2, 3)), I, [0, 1, -1, None, 2],
    but=lambda a, i, d: i.size and not -1 < i.min() <= i.max() < 2,
)  # fmt: skip
functions("take_along_dim", xs((2, 1)), I[1:-1], [0, -2], but=lambda a, i, d: not -1 < i.min() <= i.max() < 2)
SOURCES = [np.asarray(a + 0.3) for a in xs((), (1,), (3,), (2, 3), (1, 3))]
functions("scatter_add index_add", xs((3,), (2, 3)), range(-2, 3), I[:-1], SOURCES)
functions("scatter index_copy", xs((3,), (2, 3)), range(-2, 3), I[:-1], SOURCES[1:])
functions("scatter scatter_add index_add", xs(()), range(-2, 2), I[:-1], SOURCES)
for _reduce in ("sum", "prod", "mean", "amax", "amin", "none"):
    grid(
        f"scatter_reduce {_reduce}", lambda t, a, d, i, b, own,
        how=_reduce: t.scatter_reduce(a, d, i, b, how, include_self=own), xs((3,), (2, 3)), [0, 1, -1], I[:-1],
        SOURCES[1:4], [True, False], but=lambda a, d, i, b, own: i.ndim == b.ndim and i.shape != b.shape,
    )  # fmt: skip
functions("index_fill", [np.array(3), np.array([3, 4])], [0, -1], [*I, np.array([-2]), np.array(-3)], [7])
functions("index_fill", xs((), (3,), (2, 3)), range(-2, 3), I, [0.5, np.array(0.5), np.array([0.5])])
MASKS = [
    np.array(v) for v in (True, False, [True], [True, False, True], [[True], [False]], [[True, False, True]], [1, 0, 1])
]
grid("masked_fill", lambda t, a, m, v: a.masked_fill(m, v), XS, MASKS, [0.5, np.array(0.25), np.array([0.25])])
functions("masked_select", XS, MASKS)
grid("masked_scatter", lambda t, a, m, b: a.masked_scatter(m, b), XS, MASKS, xs((), (1,), (3,), (2, 3), (0,)))
grid("put", lambda t, a, i, b, add: a.put(i, b, add), xs((), (3,), (2, 3)), I, xs((), (1,), (2,), (3,)), [False, True])

# sorted
functions("topk", xs((), (1,), (4,), (2, 3), (0,)), range(-1, 6), [-3, -1, 0, 1], [True, False])
functions("kthvalue", xs((), (1,), (4,), (2, 3)), range(-1, 6), [-3, -1, 0, 1], [False, True])
SHARES = [0.0, 0.25, 0.5, 1.0, -0.1, 1.1, *map(np.array, (0.3, [0.0, 0.5, 1.0], [[0.5]], [2.0]))]
for _how in ("linear", "lower", "higher", "midpoint", "nearest", "none"):
    grid(
        f"quantile {_how}", lambda t, a, q, d, k,
        how=_how: t.quantile(a, q if isinstance(q, float) else q.detach(), d, k, interpolation=how),
        xs((), (1,), (4,), (2, 3), (0,)), SHARES, [None, 0, 1, -1], [False, True],
    )  # fmt: skip
ORDERED = np.array([0.5, 1.0, 1.0, 2.5])
for _right in (False, True):
    functions(
        "bucketize", [np.array(v) for v in (0.0, 1.0, [0.5, 2.5, 9.0], [[1.0, 0.7]], float("nan"))],
        [ORDERED, x(2, 2), ORDERED[:0]], right=_right,
    )  # fmt: skip
    functions(
        "searchsorted", [ORDERED, np.stack([ORDERED, 2 * ORDERED]), ORDERED[:0]],
        [np.array(v) for v in (1.0, [0.5, 2.5, 9.0], [[1.0, 0.7], [5.0, 1.0]])], right=_right,
    )  # fmt: skip
grid(
    "bincount", lambda t, a, w, n: t.bincount(a, w if w is None else w.detach(), n),
    [np.array(v) for v in ([0], [3, 1, 1], [[1]], [-1])], [None, np.array([0.5, 1.0, 2.0]), np.array([1.0])],
    range(-1, 6),
)  # fmt: skip
functions("histc", xs((), (5,), (0,), (2, 3)), [0, 1, 4, -1], [0, -1, 1.5], [0, 1, 2])
functions("histc", [np.full(3, v) for v in (0.0, 1.0, -2.5, 1e17)], range(1, 6),
          but=lambda v, n: v[0] > 9 and n % 2 == 0)  # fmt: skip

# padding and windows
functions(
    "nn.functional.pad", xs((3,), (2, 3), (1, 2, 3), (1, 2, 3, 3)),
    [(), (1, 1), (0, 2), (-1, 1), (-2, -2), (1,), (1, 0, 0, 1), (0, 0, 1, -1), (4, 0)],
)  # fmt: skip
for _mode in ("reflect", "replicate", "circular"):
    functions(
        "nn.functional.pad", xs((3,), (2, 3), (1, 2, 3), (1, 2, 3, 3), (2, 0), (1, 2, 0)),
        [(1, 1), (0, 2), (3, 0), (4, 0), (0, 3), (-1, 1), (-2, -2), (1, 0, 0, 1), (2, 2, 3, 0), (1, 1, 1, 1, 1, 1), (),
         (-1, -2), (-3, 0), (0, 0), (0, -4), (2, -1), (1, -2), (-1, 2), (-2, 1)],
        mode=_mode, but=lambda a, pads: bool(pads) and a.shape[-1] + pads[0] + pads[1] == 0,
    )  # fmt: skip
functions(
    "nn.functional.unfold", xs((1, 2, 3, 4), (2, 4, 3), (2, 2)), [1, 2, (2, 3), (3, 4), 4, 0, (2,)], [1, 2, 0],
    [0, 1, (1, 0), -1], [1, 2, (2, 1), 0],
)  # fmt: skip
grid(
    "fold", lambda t, a, size, k, d, p, s: t.nn.functional.fold(a, size, k, d, p, s),
    xs((1, 4, 4), (1, 4, 6), (4, 9), (1, 8, 2), (1, 6, 4), (4,)), [(3, 3), (3, 4), 4, (2, 3)], [2, (2, 3), 1], [1, 2],
    [0, 1], [1, 2],
)  # fmt: skip
functions("nn.functional.fold", xs((1, 9, 1), (1, 6, 3), (1, 6, 2)), [(3, 3), (4, 3), (3, 4)], [3, (2, 3), (3, 2)])
functions("nn.functional.pixel_shuffle", xs((8, 2, 3), (1, 4, 1, 2), (9, 1, 1), (4, 2), (1,)), range(-1, 4))
functions("nn.functional.pixel_unshuffle", xs((2, 4, 6), (1, 1, 2, 2), (1, 3, 3), (4, 4), (1,)), range(-1, 4))
functions("nn.functional.channel_shuffle", xs((1, 4, 2), (1, 6, 2, 2), (4, 2), (6, 2, 2), (3,)), range(-1, 5))
for _size, _shape in ((1, (1, 2, 5)), (2, (1, 2, 4, 5)), (3, (1, 1, 3, 4, 2))):
    _inputs, _name = xs(_shape, _shape[1:], _shape[2:]), f"nn.functional.{{}}{_size}d".format
    functions(
        _name("max_pool"), _inputs, [1, 2, 3], [None, 1, 2], [0, 1, 2], [1, 2], [False, True],
        but=lambda a, k, s, p, d, ceil: d > 1 and p > k // 2,  # the padding may be half of what the kernel spans
    )  # fmt: skip
    functions(
        _name("avg_pool"), _inputs, [1, 2, 3, 0], [None, 1, 2], [0, 1, 2], [False, True], [False, True],
        but=lambda a, k, s, p, ceil, every, n=_size: k > min(a.shape[-n:]),
    )  # fmt: skip
    functions(_name("adaptive_avg_pool"), _inputs[:2], [0, 1, 2, 3, 7])
    functions(_name("adaptive_max_pool"), _inputs, [0, 1, 2, 3, 7])
    _channels = _shape[1]
    _weights = [x(2, _channels, *(n,) * _size) for n in (1, 2, 3)]
    functions(_name("conv"), _inputs[:1], _weights, [None, x(2)], [1, 2], [0, 1, 2], [1, 2])
    functions(_name("conv"), _inputs, [*_weights[1:], x(2, 1, *(2,) * _size), x(2, 3)], [x(2), x(3), x(2, 1)], [1, 0],
              [0, -1, "same", "valid"], [1, 0], [1, 2, 0, 3])  # fmt: skip
    _weights = [x(_channels, 2, *(n,) * _size) for n in (2, 3)]
    functions(
        _name("conv_transpose"), _inputs[:1], _weights[:1], [None, x(2)], [1, 2], [0, 1], [0, 1, 2], [1, 2], [1, 2],
    )  # fmt: skip
    functions(
        _name("conv_transpose"), _inputs, [_weights[1], x(1, 1, *(2,) * _size)], [x(2), x(3)], [1, 0, 2], [0, 2, -1],
        [0, -1], [1, 2, 0],
    )  # fmt: skip

# spectra
grid(
    "fft.rfft",
    lambda t, a, *rest: t.view_as_real(t.fft.rfft(a, *rest)) if t is torch else t.fft.rfft(a, *rest),
    xs((), (1,), (4,), (5,), (2, 3), (0,)), [None, 0, 1, 2, 5, 6, -1], [-3, -1, 0, 1],
    [None, "ortho", "forward", "none"],
)  # fmt: skip
grid(
    "fft.irfft",
    lambda t, a, *rest: t.fft.irfft(t.view_as_complex(a) if t is torch else a, *rest),
    xs((1, 2), (3, 2), (4, 2), (2, 3, 2)), [None, 0, 1, 2, 5, 6, -1], [-3, -1, 0, 1], [None, "ortho", "forward"],
)  # fmt: skip
functions("fft.fftshift fft.ifftshift", XS, [None, 0, 1, -1, (0, 1), (-1,)])
functions("fft.fftfreq fft.rfftfreq", range(1, 6), [0.5, 1.0, 2.0])

# norms
ORDERS = [0, 1, 2, 3, 0.5, -1, -2, float("inf"), float("-inf")]
functions("linalg.vector_norm", XS, ORDERS, [None, 0, 1, -1, (0, 1), ()], [False, True], but=lambda a, p, *_: False)
functions(
    "linalg.norm", xs((), (3,), (2, 3), (2, 2, 3)), [None, *ORDERS, "fro", "nuc", "a"],
    [None, 0, 1, (0, 1), (-1, 0), (0, 0), (0, 1, 2)], [False, True],
)  # fmt: skip
functions(
    "linalg.matrix_norm", xs((3,), (2, 3), (2, 2, 3)),
    ["fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf"), 3, "a"], [(-2, -1), (0, 1), (1, 0), (0, 0), (0,)],
    [False, True],
)  # fmt: skip
functions("norm", xs((), (3,), (2, 3), (2, 2, 3)), ["fro", *ORDERS], [None, 0, -1, (0, 1)], [False, True])
functions("dist", xs((), (3,), (2, 3)), xs((), (3,), (1, 3)), ORDERS)
functions(
    "cdist", xs((2, 3), (1, 3), (2, 2, 3), (0, 3), (2, 2, 0), (3,)), xs((2, 3), (4, 3), (2, 2), (1, 2, 3), (2, 3, 0)),
    [0.0, 1.0, 2.0, 3.0, float("inf"), -1.0],
)  # fmt: skip
functions("renorm", xs((2, 3), (2, 2, 3), (3,)), [0, 1, 2, 0.5, float("inf"), -1], range(-3, 3), [0.0, 0.5, 9.0, -1.0])
functions(
    "nn.functional.cosine_similarity", xs((3,), (2, 3), (1, 3), (2, 2, 3)), xs((3,), (2, 3), (2, 1)), range(-3, 3),
)  # fmt: skip
functions(
    "nn.functional.pairwise_distance", xs((3,), (2, 3), (1, 3)), xs((3,), (2, 3), (2, 1)),
    [0.0, 1.0, 2.0, 3.0, float("inf")],
)  # fmt: skip
functions(
    "nn.functional.normalize", xs((), (3,), (2, 3), (2, 2, 3)), [0, 1.0, 2.0, 3.0, float("inf")], [0, 1, -1, 2, (0, 1)],
)  # fmt: skip
functions("nn.functional.pdist", xs((3, 2), (4, 3), (2,), (2, 2, 2)), [0.0, 1.0, 2.0, 3.0, float("inf"), -1.0])
functions("cov", xs((), (3,), (2, 3), (2, 2, 2)), correction=1)
grid(
    "cov weighted", lambda t, a, c, f, w: t.cov(a, correction=c, fweights=f, aweights=w), xs((3,), (2, 3)),
    [0, 1, 2, 3], [None, *map(np.array, ([1, 2, 3], [1, 2], [-1, 1, 1], [0, 0, 0], [1.0, 2.0, 3.0]))],
    [None, *map(np.array, ([0.5, 1.0, 2.0], [1.0], [-1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1, 2, 3]))],
)  # fmt: skip
functions("corrcoef", xs((), (3,), (2, 3), (2, 1), (2, 2, 2)))

# matrices
SQUARE = [np.array(v, float) for v in ([[2.0, 1.0], [1.0, 3.0]], [[1.0, 2.0], [2.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]])]
MATRICES = [*SQUARE, np.stack(SQUARE[::2]), *xs((2, 3), (3,), (), (0, 0), (2, 0))]
functions("linalg.det linalg.slogdet logdet", [SQUARE[0], *MATRICES[2:]])
functions("linalg.inv linalg.cholesky linalg.eigvalsh linalg.svdvals linalg.matrix_rank", MATRICES)
functions("linalg.matrix_power", MATRICES, range(-3, 6))
functions("linalg.solve", MATRICES, [*MATRICES, x(2), x(2, 2)])
functions("linalg.solve", MATRICES, [*MATRICES, x(2), x(3, 2)], left=False)
functions("linalg.pinv", MATRICES, rtol=0.1)
for _least in (None, 0.1, 0.5):  # of singular values 8, 2 and 0.3, or those of two matrices
    grid("ranks by what is counted", lambda t, a, r, least=_least: t.linalg.matrix_rank(
        a.detach(), atol=least if least is None or not is_tensor(r) else t.full_like(r, least), rtol=r),
         [np.diag([8.0, 2.0, 0.3]), np.stack([np.diag([8.0, 2.0, 0.3]), np.eye(3) / 4])],
         [0.01, 0.1, 0.3, 1.0, 2.0, *map(np.array, (0.01, 0.1, 0.3, 1.0, 2.0))])  # fmt: skip
functions(
    "linalg.cond", [SQUARE[0], *MATRICES[2:-2]], [None, "fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf"), 3],
)  # fmt: skip
functions(
    "linalg.vecdot linalg.cross cross", xs((3,), (2, 3), (3, 2), (1, 3), ()), xs((3,), (2, 3), (3, 2), (3, 3)), dim=-1,
)  # fmt: skip
functions("linalg.vecdot linalg.cross", xs((3,), (2, 3), (3, 2)), xs((3,), (2, 3), (3, 2)), dim=0)
functions("linalg.diagonal", xs((2, 3), (2, 2, 3), (3,)), offset=1)
functions("linalg.matrix_norm", xs((2, 3), (2, 2, 3)), ["fro", 1], [[0, 1], [-1, -2], [0]])
functions("linalg.matrix_power matrix_power", xs((2, 3), (3, 2, 3), (2,), ()), [0, 2, -1])
functions("linalg.det linalg.slogdet linalg.inv", xs((2,), (), (2, 3), (3, 2, 3)))
functions("linalg.solve", [x(2, 2) + np.eye(2)], [x(2, 2).astype(np.float32), x(2).astype(np.float32), x(2, 2)])
functions("matmul", xs((), (3,), (2, 3)), xs((), (3,)))
functions("addmv", xs((3,), (2,), (1,), (), (2, 3), (2, 1)), [x(2, 3)], [x(3)])
grid("index_add", lambda t, a, index, source, alpha: t.index_add(a, 0, index, source, alpha=alpha), [x(3, 2)],
     [np.array([0, 2]), np.array([1, 1])], [x(2, 2)], [0, 1, 2.5])  # fmt: skip
grid("movedim of lists", lambda t, a, source, target: t.movedim(a, source, target), [x(2, 1, 3)],
     [[0], [1, 0], (2,)], [[1], [0, 2], (2,)])  # fmt: skip
for _equation in ("ij,k->k", "ij,j->j", "ijk,k->", "ab,cd->ac", "i,ij->j", "ij,ji->", "a,b,c->b"):
    _sides = _equation.split("->")[0].split(",")
    grid(f"einsum {_equation}", lambda t, *a, equation=_equation: t.einsum(equation, *a),
         *[[x(*(2 + ord(c) % 3 for c in side))] for side in _sides])  # fmt: skip
functions("diff", xs((4,), (2, 3)), range(4), [0, -1], xs((1, 3), (2, 1), (2, 3), (2,)))
grid("diff before and behind", lambda t, a, n, b, c: t.diff(a, n, prepend=b, append=c), xs((3,), (0,)), range(3),
     [None, *xs((1,), (2,))], [None, *xs((1,), (2,))])  # fmt: skip
functions("trapezoid", xs((), (3,), (2, 3)))
functions("trapezoid", xs((3,), (2, 3)), xs((3,), (2,), (2, 3), (1, 3)), but=lambda y, x: x.ndim > y.ndim)
functions("trapezoid", xs((3,), (2, 3)), dx=0.5, dim=0)
functions("diff", xs((), (4,), (2, 3)), [0, 1, 2, 4, -1], [0, -1])

# indices
SHAPED = xs((3,), (2, 3), (2, 3, 2))
PLACE: list[Any] = [
    0, -1, 2, -3, 3, slice(None), slice(1, None), slice(None, -1), slice(0, 9, 2), slice(2, 1), slice(None, None, -1),
    None, ..., True, False, [0, 1], [1, -1, 0], [], [True, False], [True, False, True], (0, 1), np.array(1),
    np.array([1, 0]), np.array([[0, 1], [1, 1]]), np.array(True), np.array([False, True]),
    np.array([True, True, False]), np.array([[True, False, True], [False, False, True]]), np.array([0.5]), 1.0, "a",
]  # fmt: skip


def placed(t: Any, a: Any, *index: Any) -> Any:
    return a[tuple(i.detach() if is_tensor(i) and i.is_floating_point() else i for i in index)]


def written(t: Any, a: Any, value: Any, *index: Any) -> Any:
    b = a * 1
    b[index] = value
    return b


grid("one index", lambda t, a, i: a[i], SHAPED, PLACE)
grid("two indices", placed, SHAPED, PLACE, PLACE)
SOME = [p for p in PLACE[:-3] if not (isinstance(p, list) and not p)]
grid(
    "three indices", placed, SHAPED[1:], [0, None, [0, 1], slice(1, None), np.array([True, False])], SOME,
    [1, ..., None, [1, 0], np.array([[0, 1]]), slice(None)],
)  # fmt: skip
grid("an index written", written, SHAPED, [0.5, *xs((), (1,), (2,), (3,), (2, 3), (1, 1, 2))], PLACE)
grid(
    "two indices written", written, SHAPED[1:], [0.5, *xs((1,), (2,), (2, 1))], SOME,
    [0, ..., None, [0, 1], slice(1, None), np.array([1, 0])],
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("label", TABLE.entries)
def test_the_same_or_both_refuse(label: str) -> None:
    TABLE.check(label)
