"""Losses, samplings, norms, equations: every small argument, in its range and beyond, in all combinations."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

from tests.differential.grids import Grids, x, xs  # noqa: E402 - it needs PyTorch

TABLE = Grids()
grid, functions = TABLE.grid, TABLE.functions
INF = float("inf")

# operations of two tensors, which broadcast
SHAPES = xs((), (1,), (3,), (2, 3), (2, 1), (0,), (2, 0), (4,))
functions("add sub mul div maximum minimum fmax fmin atan2 hypot", SHAPES, SHAPES)
functions("eq ne lt le gt ge isclose logical_and logical_or logical_xor", SHAPES, SHAPES)
functions("add sub", xs((3,), (2, 3), ()), xs((3,), (2, 1), ()), alpha=2)
functions("fmod remainder", [x(3) * 3.3, x(2, 3) * 3.3], [2, -1.5, x(3), x(2, 1), np.array([2, 3, -2])])
for _mode in (None, "trunc", "floor", "none"):
    functions("div", [x(3) * 3.3, np.array([7, -7, 5])], [2, -1.5, x(3), np.array([2, 3, -2])], rounding_mode=_mode)
BASES = [np.array(v) for v in ([0.5, 2.0, 3.0], [0.0, 1.0, 4.0], [-2.0, 3.0, -1.0], [1, 2, 3])]
functions("pow float_power", BASES, [-2, -1, 0, 0.5, 1, 2, 3, 4.0, *map(np.array, ([0.0, 2.0, 1.0], [2, 0, 3], 2.0))])
functions("pow", [2, 0.5, 0, -1.0, 1], [np.array([0.0, 1.0, -2.0]), np.array([0, 1, 3])])
functions("round", [x(5) * 31.7, np.array([15, 25, -15])], decimals=1)
functions("round", [x(5) * 31.7], decimals=-1)
grid("clamp", lambda t, a, low, high: t.clamp(a, low, high), [x(5), np.array([1, 5, 9])],
     [None, -0.5, 0, 3, x(5), x(1)], [None, 0.5, -1, 4, x(5) + 1],
     but=lambda a, low, high: np.ndarray in (type(low), type(high)) and {type(low), type(high)} & {int, float})
functions("clip clamp_min clamp_max", [x(5)], [-0.5, 0.5, x(5) * 0.9, x(1)])
functions("where", [np.array(v) for v in ([True, False, True], [[True], [False]], True)], [x(3), 0.5, x(2, 3), x(4)],
          [x(3), -1.0, x(2, 1)])  # fmt: skip
functions("lerp", [x(3), x(2, 3)], [x(3) + 1, x(2, 1), x(4)], [0.0, 0.3, 0.5, 0.7, 1.0, 2.0, x(3), x(4)])
functions("addcmul addcdiv", [x(3), x(2, 3)], [x(3) + 1, x(2, 1)], [x(3) + 2, x(1) + 2, x(4)], value=0.5)
functions("addcdiv addcmul", [np.array([1, 2]), x(2)], [np.array([3, 4]), x(2)], [np.array([2, 5]), x(2)], value=2)
functions("where", [np.array([True, False])], [None, x(2)], [None, x(2)], but=lambda c, a, b: a is b is None)
functions("nan_to_num", [np.array([float("nan"), INF, -INF, 1.0])], [None, 0.0, 2.0], [None, 3.0], [None, -3.0])
functions("logaddexp logaddexp2 xlogy copysign", [x(3), np.abs(x(2, 3))], [np.abs(x(3)), np.array(0.5)])
functions("isin", [x(4), np.array([1, 2, 3, 2])], [x(2), np.array([2, 9]), np.array([], np.int64)])
functions("unique unique_consecutive", [np.array(v) for v in ([3, 1, 1, 3], [[1, 2], [1, 2], [0, 1]])])
for _options in ({"return_inverse": True}, {"return_counts": True}, {"return_inverse": True, "return_counts": True}):
    functions("unique unique_consecutive", [np.array(v) for v in ([3, 1, 1, 3], [[1, 2], [1, 2], [0, 1]])], **_options)
    for _dim in (0, 1, -1, 2):
        functions("unique unique_consecutive", [np.array([3, 1, 1]), np.array([[1, 1], [1, 1], [0, 1]])], dim=_dim,
                  **_options)  # fmt: skip

# equations
EQUATIONS = [
    "ij,jk->ik", "ij,jk", "ij,ij->", "ij,ij->ij", "ij,kj->ik", "ii", "ii->i", "ij->ji", "ij->", "ij->j", "i,j->ij",
    "...j,jk->...k", "...,...->...", "ij,jk->ki", "ij,j->i", "bij,bjk->bik", "ijk->kji", "ij,jk->", "ij->ijk", "ij,,jk",
    "ij->ii", "i j , j k -> i k", "i...,i...->...", "ij,jk->i", "", "->", "Ab,bC->AC", "ij-ji", "i1->i",
]  # fmt: skip
grid("einsum of one", lambda t, e, a: t.einsum(e, a), EQUATIONS, xs((2, 3), (3, 3), (3,), (2, 3, 2), ()))
grid("einsum", lambda t, e, a, b: t.einsum(e, a, b), EQUATIONS, xs((2, 3), (3, 3), (3,), (2, 2, 3)),
     xs((3, 2), (2, 3), (3,), (2, 3, 2), (1, 3)))  # fmt: skip
grid("einsum of lists", lambda t, a, b, i, j, out: t.einsum(a, i, b, j, out), xs((2, 3), (3,)), xs((3, 2), (3,)),
     [[0, 1], [1], [0, 0]], [[1, 2], [1], [..., 1], [52, 1]], [[0, 2], [0], [], [2, 0], [7]])  # fmt: skip

# resampling
IMAGES = xs((1, 2, 5), (1, 1, 4, 5), (1, 1, 2, 3, 2), (2, 5))
for _mode in ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area", "none"):
    grid(
        f"interpolate {_mode}",
        lambda t, a, size, scale, align, mode=_mode: t.nn.functional.interpolate(
            a, size, scale, mode, **({} if align is None else {"align_corners": align})
        ),
        IMAGES, [None, 1, 3, 7, (3,), (2, 6), (4, 1, 3), 0], [None, 2, 0.5, 1.3, (2.0, 0.6), 0], [None, False, True],
        but=lambda a, size, scale, align, mode=_mode: (mode == "area" and 0 in (size, scale))
        or (a.ndim == 5 and scale == 1.3),  # what keeps its size is copied there
    )  # fmt: skip
for _mode in ("bilinear", "bicubic", "nearest"):
    for _align in (False, True):
        grid(
            f"interpolate {_mode} antialias {_align}",
            lambda t, a, size, mode=_mode, align=_align: t.nn.functional.interpolate(
                a, size, mode=mode, align_corners=align, antialias=True
            ),
            [x(1, 1, 4, 5), x(1, 2, 7, 6), x(1, 2, 5)], [1, 2, 3, (5, 4), (9, 2), (4, 5)],
        )  # fmt: skip
PLACES = np.stack([x(1, 3, 2), x(1, 3, 2) * 0.3], -1)
for _mode in ("bilinear", "nearest", "bicubic", "none"):
    for _padding in ("zeros", "border", "reflection", "none"):
        grid(
            f"grid_sample {_mode} {_padding}",
            lambda t, a, g, align, mode=_mode, padding=_padding: t.nn.functional.grid_sample(
                a, g, mode, padding, align_corners=align
            ),
            xs((1, 2, 3, 4), (1, 1, 1, 1), (1, 2, 2), (2, 1, 2, 2)), [PLACES, PLACES * 3.1, PLACES[..., :1], PLACES[0]],
            [False, True],
        )  # fmt: skip
functions("nn.functional.affine_grid", [x(1, 2, 3), x(2, 2, 3), x(1, 3, 4), x(2, 3)],
          [(1, 1, 2, 3), (2, 1, 1, 2), (1, 1, 2, 2, 2), (1, 2, 3), (1, 1, 0, 2)], [False, True])  # fmt: skip

# spectrograms
grid(
    "stft",
    lambda t, a, n, hop, win, center, how, one: (lambda found: t.view_as_real(found) if t is torch else found)(
        t.stft(a, n, hop, None if win is None else len(win), None if win is None else win.detach(), center,
               normalized=how, onesided=one, **({"return_complex": True} if t is torch else {}))
    ),
    xs((12,), (2, 9)), [4, 5, 13], [None, 1, 3], [None, np.ones(4), np.array([0.5, 1.0, 0.7])], [True, False],
    [False, True], [None, False],
)  # fmt: skip
grid(
    "istft",
    lambda t, a, n, hop, center, how, one, length: t.istft(
        t.view_as_complex(a) if t is torch else a, n, hop, center=center, normalized=how, onesided=one, length=length
    ),
    xs((3, 4, 2), (2, 3, 4, 2), (4, 4, 2), (2, 4, 2, 2)), [4, 6], [None, 1, 2], [True, False], [False, True],
    [True, False], [None, 3, 5, 20],
)  # fmt: skip

# embeddings
WORDS = [np.array(v) for v in (1, [0, 2], [[0, 1], [2, 2]], [3], [-1])]
for _padding in (None, 0, 2, -1, -3, 3, -4):
    functions("nn.functional.embedding", WORDS, xs((3, 2), (3, 1), (3,)), padding_idx=_padding)
functions("nn.functional.one_hot", [np.array(v) for v in (1, [0, 2], [[0, 1], [2, 2]], [-1], [])], [-1, 0, 1, 2, 3, 5])
BAGS = [np.array(v) for v in ([0], [0, 2], [0, 0, 4], [0, 4], [1, 2])]
for _mode in ("sum", "mean", "max", "none"):
    for _options in ({}, {"padding_idx": 1}, {"padding_idx": -3}, {"padding_idx": 3}):
        grid(
            f"embedding_bag {_mode} {_options}",
            lambda t, i, w, o, mode=_mode, options=_options: t.nn.functional.embedding_bag(
                i, w, o, mode=mode, **options
            ),
            [np.array(v) for v in ([0, 2, 1, 1], [[0, 1], [1, 1]], [1, 1], [0, 3], [[1], [2]])],
            xs((3, 2), (3,)), [None, *BAGS],
        )  # fmt: skip

# losses
LOGITS = xs((4,), (2, 4), (2, 4, 3), (2, 1))
CLASSES = [np.array(v) for v in (1, [1, 3], [-100, 0], [2, 2], [4, 0], [[0, 1, 2], [3, 3, 0]])]
WEIGHTS = [None, np.array([0.5, 1.0, 2.0, 0.0]), x(3)]
for _reduction in ("mean", "sum", "none", "other"):
    functions("nn.functional.cross_entropy nn.functional.nll_loss", LOGITS, CLASSES, WEIGHTS, reduction=_reduction)
    functions("nn.functional.multi_margin_loss", LOGITS[:2], CLASSES[:4], reduction=_reduction)
for _smoothing in (0.0, 0.3, 1.0, 1.1):
    functions("nn.functional.cross_entropy", LOGITS, CLASSES, WEIGHTS[:2], label_smoothing=_smoothing, ignore_index=2)
functions("nn.functional.cross_entropy", LOGITS, [np.abs(a) for a in LOGITS], WEIGHTS[:2])
grid("multi_margin_loss", lambda t, a, y, p, m, w: t.nn.functional.multi_margin_loss(
         a, y, p, m, None if w is None else w.detach()), LOGITS[:2], CLASSES[:4], [1, 2, 3], [0.5, 1.0], WEIGHTS[:2])
CHANCES = np.array([0.0, 1.0, 0.5, 1e-60, 1.0, 0.0])
for _name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
    grid(
        _name,
        lambda t, a, y, w, how, name=_name: getattr(t.nn.functional, name)(
            a, y.detach(), None if w is None else w.detach(), reduction=how
        ),
        [CHANCES] if _name == "binary_cross_entropy" else [x(6) * 9],
        [CHANCES, CHANCES[::-1] * 1, np.abs(x(6) * 0.1), x(3)], [None, np.abs(x(6))], ["mean", "sum", "none", "other"],
    )  # fmt: skip
functions("nn.functional.smooth_l1_loss", [x(3)], [x(3)[::-1].copy()], beta=0.0)
grid("huber_loss", lambda t, a, b, d: t.nn.functional.huber_loss(a, b, delta=d), [x(3)], [x(3)[::-1] * 1],
     [0.5, 1.0, 0, -1])  # fmt: skip
grid("margin_ranking_loss", lambda t, a, b, y, m: t.nn.functional.margin_ranking_loss(a, b, y, m),
     [x(3)], [x(3) * 0.5, x(2)], [np.array([1.0, -1.0, 1.0]), np.array(1.0)], [0.0, 0.5])  # fmt: skip
grid("gaussian_nll_loss", lambda t, a, b, v, full, eps: t.nn.functional.gaussian_nll_loss(a, b, v, full, eps),
     xs((3,), (2, 3)), xs((3,), (2, 3)), [np.abs(x(3)), np.abs(x(2, 1)), -np.abs(x(3)), np.zeros(3)], [False, True],
     [1e-6, 0.5], but=lambda a, b, *_: a.shape != b.shape)  # fmt: skip

# normalisation
grid("layer_norm", lambda t, a, shape, w, b: t.nn.functional.layer_norm(a, shape, w, b), xs((3,), (2, 3), (2, 2, 3)),
     [(3,), (2, 3), (2,), (), (2, 2, 3), (1, 3)], [None, x(3), x(2, 3), x(2)], [None, x(3)])  # fmt: skip
grid("group_norm", lambda t, a, n, w, b: t.nn.functional.group_norm(a, n, w, b),
     xs((2, 4), (1, 4, 3), (2, 6, 1, 2), (4,)), [1, 2, 3, 4, -1], [None, x(4), x(6)], [None, x(4)])  # fmt: skip
grid("rms_norm", lambda t, a, shape, w, eps: t.nn.functional.rms_norm(a, shape, w, eps), xs((3,), (2, 3), (2, 2, 3)),
     [(3,), (2, 3), (2,), (2, 2, 3)], [None, x(3), x(2, 3)], [None, 0.1])  # fmt: skip
grid("batch_norm", lambda t, a, m, v, w, b, train: t.nn.functional.batch_norm(
         a, None if m is None else m.detach(), None if v is None else v.detach(), w, b, train),
     xs((4, 2), (3, 2, 2), (1, 2), (2,), (1, 2, 1)), [None, np.zeros(2), np.zeros(3)], [None, np.ones(2)],
     [None, x(2), x(3)], [None, x(2)], [False, True])  # fmt: skip
grid("instance_norm", lambda t, a, w, b: t.nn.functional.instance_norm(a, None, None, w, b),
     xs((2, 3, 4), (1, 2, 2, 2), (2, 3, 1), (3, 4)), [None, x(3), x(2)], [None, x(3)])  # fmt: skip
functions("nn.functional.local_response_norm", xs((1, 4, 3), (2, 3), (1, 3, 2, 2)), [1, 2, 3, 5, 0])

# activations and their parameters
POINTS = [np.array([-3.5, -3.0, -1.2, -0.4, 0.0, 0.3, 0.5, 1.0, 3.0, 3.5])]
functions("nn.functional.hardtanh", POINTS, [-1.0, 0.0, 2.0], [-1.0, 0.5, 1.0])
functions("nn.functional.softplus", POINTS, [0.5, 1, 3], [0.1, 1, 20])
functions("nn.functional.celu nn.functional.elu nn.functional.leaky_relu", POINTS, [-0.5, 0.0, 0.25, 1.0, 2.0],
          but=lambda a, slope: slope <= 0)  # fmt: skip
functions("nn.functional.hardshrink nn.functional.softshrink", POINTS, [0.0, 0.3, 0.5, 1.0])
functions("nn.functional.threshold", POINTS, [-1.0, 0.0, 0.5], [0.0, 9.0])
functions("nn.functional.glu", xs((4,), (2, 4), (2, 3), (4, 2), ()), range(-3, 3))
functions("nn.functional.prelu", xs((3,), (2, 3), (1, 2, 3), ()), xs((1,), (3,), (2,), (), (1, 1)))
functions("nn.functional.gelu", POINTS, approximate="tanh")
functions("nn.functional.gelu", POINTS, approximate="other")
functions("nn.functional.softmin nn.functional.softmax nn.functional.log_softmax", xs((3,), (2, 3), ()), range(-3, 3))

# systems
SYSTEMS = [np.array([[2.0, 1.0], [1.0, 3.0]]), x(3, 2), x(2, 3), np.stack([x(3, 2), x(3, 2) + 1]), x(3), x(0, 2)]
SIDES = [x(2), x(3), x(2, 1), x(3, 2), x(2, 3, 1), x(2, 3), x(1, 3, 1)]
for _driver in (None, "gels", "gelsy", "gelsd", "gelss", "other"):
    grid(
        f"lstsq {_driver}", lambda t, a, b, driver=_driver: tuple(t.linalg.lstsq(a, b, driver=driver))[:3], SYSTEMS,
        SIDES, but=lambda a, b: b.ndim > a.ndim or a.ndim == 3 and b.ndim == 2,
    )  # fmt: skip
TRIANGLES = [np.array([[2.0, 0.5], [0.3, 3.0]]), np.stack([np.eye(2) + 1, np.eye(2) * 2]), x(2, 3), x(2)]
for _upper in (False, True):
    for _left in (False, True):
        functions("linalg.solve_triangular", TRIANGLES, [*xs((2, 2), (2, 1), (1, 2), (2,), (3, 1)),
                  *xs((2, 2, 1), (1, 2, 1), (3, 1, 2, 2))], upper=_upper, left=_left)  # fmt: skip
    functions("linalg.solve_triangular", TRIANGLES, [x(2, 2), x(2, 1)], upper=_upper, unitriangular=True)
    grid(
        f"cholesky_solve {_upper}", lambda t, b, f, upper=_upper: t.cholesky_solve(b, f.detach(), upper),
        [x(2, 2), x(2, 1), x(2), x(3, 1)], [np.tril(TRIANGLES[0]), np.triu(TRIANGLES[0]), x(2)],
    )  # fmt: skip
grid("svd", lambda t, a: (lambda u, s, v: (u * s.unsqueeze(-2) ** 2) @ v)(*t.linalg.svd(a, full_matrices=False)),
     xs((2, 3), (3, 2), (4, 3, 2), (4, 2, 3), (1, 2, 3), (2, 2), (3,)))  # fmt: skip
grid("svd's shapes", lambda t, a: [part.detach() * 0 for part in t.linalg.svd(a)],
     xs((2, 3), (3, 2), (2, 3, 2), (2, 2)))  # fmt: skip
grid("older svd", lambda t, a, some: tuple(t.svd(a, some, False)), xs((2, 3), (3, 2), (2, 3, 2), (2, 2)), [False, True])
functions("linalg.matrix_rank", [*SYSTEMS[:4], np.ones((2, 2)), np.zeros((2, 2))], atol=0.5)
functions("linalg.matrix_rank", [*SYSTEMS[:4], np.ones((2, 2)), np.zeros((2, 2))], rtol=0.5)
functions("linalg.pinv", [*SYSTEMS[:4], x(3)], atol=0.5)
for _least in (0.0, 1e-20, 1e-10):
    functions("linalg.matrix_rank", [np.diag([1.0, 1e-17]), np.diag([1.0, 1e-12]), x(3, 2), np.ones((2, 2, 2))],
              atol=_least)  # fmt: skip
    functions("linalg.pinv", [np.diag([1.0, 1e-12]), x(3, 2)], atol=_least)
functions("pinverse", [*SYSTEMS[:4], x(3)], [1e-15, 0.3])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("label", TABLE.entries)
def test_the_same_or_both_refuse(label: str) -> None:
    TABLE.check(label)
