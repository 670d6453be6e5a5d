"""Losses, without PyTorch: gradients of both orders, fused against definition, options, shapes and errors."""

import math

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.autograd import gradcheck, gradgradcheck
from tinydl.nn import functional as F
from tinydl.ops import losses

RNG = np.random.default_rng(0)
REDUCTIONS = ["mean", "sum", "none"]


def leaf(*shape):
    return tinydl.tensor(RNG.standard_normal(shape), requires_grad=True)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_bce_gradients(reduction, weighted):
    x, y = leaf(3, 4), tinydl.tensor(RNG.random((3, 4)))
    weight = tinydl.tensor(RNG.random((3, 1))) if weighted else None
    pos_weight = tinydl.tensor(1 + RNG.random(4)) if weighted else None

    def loss(x):
        return F.binary_cross_entropy_with_logits(x, y, weight, reduction=reduction, pos_weight=pos_weight)

    assert gradcheck(loss, x)
    assert gradgradcheck(loss, x)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "options", [{}, {"weight": True}, {"label_smoothing": 0.2}, {"weight": True, "label_smoothing": 0.1}]
)
@pytest.mark.parametrize(("shape", "target"), [((4, 3), (4,)), ((3,), ()), ((2, 3, 2, 2), (2, 2, 2))])
def test_cross_entropy_gradients(reduction, options, shape, target):
    options = dict(options)
    x, t = leaf(*shape), tinydl.tensor(np.resize([0, 2, 1, 0], target))
    if options.pop("weight", False):
        options["weight"] = tinydl.tensor(0.5 + RNG.random(3))

    def loss(x):
        return F.cross_entropy(x, t, ignore_index=1, reduction=reduction, **options)

    assert gradcheck(loss, x)
    assert gradgradcheck(loss, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_fused_losses_equal_their_definitions(dtype, reduction):
    x, y = RNG.standard_normal((6, 5)).astype(dtype) * 5, RNG.random((6, 5)).astype(dtype)
    w, p = RNG.random((6, 5)).astype(dtype), 1 + RNG.random(5).astype(dtype)
    classes, class_weight = RNG.integers(0, 5, 6), 0.5 + RNG.random(5).astype(dtype)
    classes[2] = -100
    upstream = RNG.random({"none": (6, 5)}.get(reduction, ())).astype(dtype)
    options = {"ignore_index": -100, "label_smoothing": 0.1, "reduction": reduction}
    cases = [
        (losses.bce_with_logits, losses.bce_definition, (y, w, p), {"reduction": reduction}, upstream),
        (losses.bce_with_logits, losses.bce_definition, (y, None, None), {"reduction": reduction}, upstream),
        (
            losses.softmax_cross_entropy, losses.cross_entropy_definition, (classes, class_weight), options,
            upstream[:, 0] if reduction == "none" else upstream,
        ),
    ]  # fmt: skip
    for fused, definition, rest, keywords, g in cases:
        results = []
        for function in (fused, definition):
            logits = tinydl.tensor(x, requires_grad=True)
            loss = function(logits, *rest, **keywords)
            loss.backward(tinydl.tensor(g))
            assert loss.dtype == logits.grad.dtype == dtype
            results.append((loss.array, logits.grad.array))
        for a, b in zip(*results, strict=True):
            tolerance = 2e-5 if dtype == np.float32 else 1e-12
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 10)


def test_values_by_hand():
    assert F.binary_cross_entropy_with_logits(tinydl.zeros(3), tinydl.tensor([0.0, 1.0, 0.5])).item() == pytest.approx(
        math.log(2)
    )
    assert F.cross_entropy(tinydl.zeros(2, 4), tinydl.tensor([0, 3])).item() == pytest.approx(math.log(4))
    log_p = tinydl.tensor([[0.2, 0.8], [0.5, 0.5]]).log()
    wanted = (math.log(1 / 0.8) + 3 * math.log(2)) / 4
    assert F.nll_loss(log_p, tinydl.tensor([1, 0]), weight=tinydl.tensor([3.0, 1.0])).item() == pytest.approx(wanted)
    assert F.mse_loss(tinydl.tensor([1.0, 3.0]), tinydl.tensor([1.0, 1.0])).item() == 2
    smoothed = F.cross_entropy(tinydl.tensor([[2.0, 0.0]]), tinydl.tensor([0]), label_smoothing=0.5).item()
    assert smoothed == pytest.approx(math.log1p(math.exp(-2)) + 0.25 * 2)


def test_logits_at_the_ends_of_the_range():
    x = tinydl.tensor([1e4, -1e4, 1e30, -1e30, math.inf, -math.inf], requires_grad=True)
    y = tinydl.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    loss = F.binary_cross_entropy_with_logits(x, y)
    loss.backward()
    assert loss.item() == 0
    assert x.grad.tolist() == [0] * 6
    logits = tinydl.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, -math.inf]], requires_grad=True)
    loss = F.cross_entropy(logits, tinydl.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 1e4
    assert logits.grad.tolist() == [[0, 0, 0], [-0.5, 0.5, 0]]


def test_backward_twice_gives_the_same_and_leaves_results_apart():
    for loss_of, shape in (
        (lambda x: F.binary_cross_entropy_with_logits(x, tinydl.ones(3, 4)), (3, 4)),
        (lambda x: F.cross_entropy(x, tinydl.tensor([0, 1, 2])), (3, 4)),
    ):
        x = tinydl.tensor(RNG.standard_normal(shape).astype(np.float32), requires_grad=True)
        loss = loss_of(x)
        loss.backward(retain_graph=True)
        first = x.grad.array.copy()
        x.grad.array[:] = 99  # the user's own now: must not reach what the operation saved
        x.grad = None
        loss.backward(retain_graph=True)
        assert np.array_equal(x.grad.array, first)
        x.grad = None
        (loss * 3).backward()
        np.testing.assert_allclose(x.grad.array, 3 * first, rtol=1e-6)


def test_targets_that_require_gradients():
    x, y = leaf(2, 3), tinydl.tensor(RNG.random((2, 3)), requires_grad=True)
    assert gradcheck(F.binary_cross_entropy_with_logits, (x, y))
    assert gradcheck(F.cross_entropy, (x, y))
    assert gradgradcheck(lambda x, y: F.cross_entropy(x, y, label_smoothing=0.3), (x, y))


def test_weights_that_require_gradients():
    x, y = leaf(4, 3), tinydl.tensor(RNG.random((4, 3)))
    w = tinydl.tensor(RNG.random(3) + 0.5, requires_grad=True)
    assert gradcheck(lambda x, w: F.cross_entropy(x, y, w), (x, w))
    assert gradcheck(lambda x, w: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=w), (x, w))
    single = tinydl.tensor(RNG.random((4, 3)).astype(np.float32), requires_grad=True)
    F.cross_entropy(single, y.float(), w).backward()
    assert w.grad.dtype == np.float64
    classes = tinydl.tensor([0, 2, 1, 1])
    for loss in (F.cross_entropy, F.nll_loss):
        with pytest.raises(NotImplementedError, match=rf"{loss.__name__}: .*'weight' \(shape \(3,\)\).*detach"):
            loss(x, classes, w)
        with tinydl.no_grad():
            wanted = loss(x, classes, w).item()
        assert loss(x, classes, w.detach()).item() == wanted


def _bce(x, y, w, p):
    return F.binary_cross_entropy_with_logits(x, y, w, pos_weight=p)


@pytest.mark.parametrize(
    ("loss", "constants", "changed"),
    [
        (F.cross_entropy, lambda: (tinydl.tensor([0, 2, 1, 1]), tinydl.ones(3)), 0),
        (F.cross_entropy, lambda: (tinydl.tensor([0, 2, 1, 1]), tinydl.ones(3)), 1),
        (F.cross_entropy, lambda: (tinydl.tensor([[0, 1]] * 4), tinydl.ones(3)), 0),
        (F.cross_entropy, lambda: (tinydl.ones(4, 3), tinydl.ones(3)), 0),
        (_bce, lambda: (tinydl.ones(4, 3), tinydl.ones(3), tinydl.ones(3)), 0),
        (_bce, lambda: (tinydl.ones(4, 3), tinydl.ones(3), tinydl.ones(3)), 1),
        (_bce, lambda: (tinydl.ones(4, 3), tinydl.ones(3), tinydl.ones(3)), 2),
    ],
)
def test_a_target_or_weight_changed_before_backward_is_noticed(loss, constants, changed):
    arguments = constants()
    x = tinydl.tensor(
        RNG.random((4, 3, 2) if arguments[0].shape == (4, 2) else (4, 3)).astype(np.float32), requires_grad=True
    )
    out = loss(x, *arguments)
    arguments[changed].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_constants_that_were_converted_may_change():
    x = leaf(4, 3)
    target, weight = tinydl.tensor([0, 2, 1, 1], dtype=tinydl.uint8), tinydl.tensor([1.0, 2.0, 3.0])
    for loss in (F.cross_entropy, F.nll_loss):
        (wanted,) = tinydl.autograd.grad(loss(x, target.long(), weight.double()), x)
        changed_target, changed_weight = target.clone(), weight.clone()
        out = loss(x, changed_target, changed_weight)
        changed_target.zero_()
        changed_weight.zero_()
        (got,) = tinydl.autograd.grad(out, x, create_graph=True)
        np.testing.assert_allclose(got.array, wanted.array, rtol=1e-12)


def test_probability_targets_equal_classes_when_one_hot():
    x, t = leaf(5, 4), tinydl.tensor([0, 3, 1, 1, 2])
    hot = F.one_hot(t, 4).to(x.dtype)
    weight = tinydl.tensor(RNG.random(4))
    for options in ({}, {"label_smoothing": 0.2}, {"weight": weight, "reduction": "sum"}, {"reduction": "none"}):
        np.testing.assert_allclose(
            F.cross_entropy(x, hot, **options).array, F.cross_entropy(x, t, **options).array, rtol=1e-12
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_and_mse_gradients(reduction):
    x, t, y = leaf(4, 3, 2), tinydl.tensor(RNG.integers(0, 3, (4, 2))), leaf(4, 3, 2)
    weight = tinydl.tensor(RNG.random(3))
    assert gradcheck(lambda x: F.nll_loss(x, t, weight, ignore_index=1, reduction=reduction), x)
    assert gradcheck(lambda x, y: F.mse_loss(x, y, reduction=reduction), (x, y))
    assert gradgradcheck(lambda x, y: F.mse_loss(x, y, reduction=reduction), (x, y))


def test_an_ignored_row_may_hold_anything():
    log_p = tinydl.tensor([[-0.5, -0.5], [-math.inf, math.nan]], requires_grad=True)
    loss = F.nll_loss(log_p, tinydl.tensor([0, -100]))
    loss.backward()
    assert loss.item() == 0.5
    assert log_p.grad.tolist() == [[-1, 0], [0, 0]]


def test_size_zero():
    assert math.isnan(F.cross_entropy(tinydl.zeros(0, 3), tinydl.zeros(0, dtype=tinydl.int64)).item())
    assert F.cross_entropy(tinydl.zeros(0, 3), tinydl.zeros(0, dtype=tinydl.int64), reduction="sum").item() == 0
    assert math.isnan(F.binary_cross_entropy_with_logits(tinydl.zeros(0), tinydl.zeros(0)).item())
    assert math.isnan(F.mse_loss(tinydl.zeros(0), tinydl.zeros(0)).item())
    assert F.cross_entropy(tinydl.zeros(2, 3, 0), tinydl.zeros(2, 0, dtype=tinydl.int64), reduction="none").shape == (
        2,
        0,
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: F.binary_cross_entropy_with_logits(tinydl.zeros(2, 3), tinydl.zeros(3)),
            ValueError,
            r"Target size \(3,\) must be the same as input size \(2, 3\)",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(tinydl.zeros(2), tinydl.zeros(2), weight=tinydl.zeros(3)),
            RuntimeError,
            r"\(3,\) does not broadcast to the input's \(2,\)",
        ),
        (
            lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.tensor([0, 3])),
            IndexError,
            "Target 3 is out of bounds: there are 3 classes",
        ),
        (lambda: F.nll_loss(tinydl.zeros(2, 3), tinydl.tensor([0, 3])), IndexError, "Target 3 is out of bounds"),
        (
            lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.tensor([0, 1, 2])),
            ValueError,
            r"\(2, 3\) .* expects a target of shape \(2,\), but got \(3,\)",
        ),
        (lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.zeros(2)), RuntimeError, "class probabilities"),
        (
            lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.tensor([True, False])),
            RuntimeError,
            "int64 or uint8, but got bool",
        ),
        (
            lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.tensor([0, 1]), weight=tinydl.ones(2)),
            RuntimeError,
            "all 3 classes",
        ),
        (
            lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.tensor([0, 1]), label_smoothing=2.0),
            ValueError,
            "label_smoothing",
        ),
        (
            lambda: F.cross_entropy(tinydl.zeros(2, 3), tinydl.tensor([0, 1]), reduction="avg"),
            ValueError,
            "avg is not a valid value for reduction",
        ),
        (lambda: nn.MSELoss(reduction="avg"), ValueError, "avg is not a valid value for reduction"),
        (lambda: F.mse_loss(tinydl.zeros(2, 1), tinydl.zeros(2)), ValueError, r"\(2, 1\) and the target \(2,\)"),
    ],
)
def test_errors_name_the_thing(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_modules_pass_their_options():
    x, y, t = leaf(4, 3), tinydl.tensor(RNG.random((4, 3))), tinydl.tensor([0, 1, 2, 1])
    weight = tinydl.tensor(RNG.random(3))
    pairs = [
        (
            nn.BCEWithLogitsLoss(weight, reduction="sum", pos_weight=weight),
            y,
            F.binary_cross_entropy_with_logits(x, y, weight, reduction="sum", pos_weight=weight),
        ),
        (
            nn.CrossEntropyLoss(weight, ignore_index=1, reduction="none", label_smoothing=0.1),
            t,
            F.cross_entropy(x, t, weight, ignore_index=1, reduction="none", label_smoothing=0.1),
        ),
        (nn.NLLLoss(weight, None, 2, None, "sum"), t, F.nll_loss(x, t, weight, ignore_index=2, reduction="sum")),
        (nn.MSELoss(reduction="sum"), y, F.mse_loss(x, y, reduction="sum")),
    ]
    for module, target, wanted in pairs:
        assert np.array_equal(module(x, target).array, wanted.array)
    assert list(nn.BCEWithLogitsLoss(weight, pos_weight=weight).state_dict()) == ["weight", "pos_weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []


SIGNS = tinydl.tensor(np.where(np.arange(12).reshape(3, 4) % 3, 1.0, -1.0))
FAR = tinydl.tensor(np.linspace(3.1, 5, 12).reshape(3, 4))
CASES = {
    "l1_loss": lambda x, r: F.l1_loss(x, FAR, reduction=r),
    "huber_loss": lambda x, r: F.huber_loss(x, FAR - 3, reduction=r, delta=2.9),
    "smooth_l1_loss": lambda x, r: F.smooth_l1_loss(x, FAR - 3, reduction=r, beta=2.9),
    "poisson_nll_loss": lambda x, r: F.poisson_nll_loss(x, FAR, full=True, reduction=r),
    "gaussian_nll_loss": lambda x, r: F.gaussian_nll_loss(x, FAR, x * x + 1, full=True, reduction=r),
    "binary_cross_entropy": lambda x, r: F.binary_cross_entropy(x.sigmoid(), (x * 2).sigmoid(), reduction=r),
    "kl_div": lambda x, r: F.kl_div(x.log_softmax(1), (x * 2).softmax(1), reduction="batchmean" if r == "mean" else r),
    "kl_div of logarithms": lambda x, r: F.kl_div(
        x.log_softmax(1), (x * 2).log_softmax(1), reduction="batchmean" if r == "mean" else r, log_target=True
    ),
    "hinge_embedding_loss": lambda x, r: F.hinge_embedding_loss(x, SIGNS, reduction=r),
    "margin_ranking_loss": lambda x, r: F.margin_ranking_loss(x * 2, x, SIGNS, 0.1, reduction=r),
    "soft_margin_loss": lambda x, r: F.soft_margin_loss(x, SIGNS, reduction=r),
    "multi_margin_loss": lambda x, r: F.multi_margin_loss(x, tinydl.tensor([3, 0, 1]), reduction=r),
    "multi_margin_loss squared": lambda x, r: F.multi_margin_loss(
        x, tinydl.tensor([3, 0, 1]), 2, weight=tinydl.tensor([1.0, 2.0, 0.5, 1.5]).double(), reduction=r
    ),
    "cosine_embedding_loss": lambda x, r: F.cosine_embedding_loss(x, x * x + 0.1, SIGNS[:, 0], -0.9, reduction=r),
    "ctc_loss": lambda x, r: F.ctc_loss(
        x.reshape(6, 1, 2).log_softmax(-1), tinydl.tensor([[1, 1]]), [6], [2], reduction=r
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives(name, reduction):
    """Of the public functions, those of which PyTorch has no second derivative included."""
    x = tinydl.tensor(np.random.default_rng(6).uniform(-0.8, 0.8, (3, 4)), requires_grad=True)
    x.array[np.abs(x.array) < 0.05] += 0.1
    assert gradcheck(lambda x: CASES[name](x, reduction), x)
    assert gradgradcheck(lambda x: CASES[name](x, reduction), x)


def paths(labels, steps, classes, blank=0):
    """Every sequence of ``steps`` classes that becomes ``labels`` without repetitions and blanks."""
    for path in np.ndindex(*(classes,) * steps):
        kept = [c for k, c in enumerate(path) if k == 0 or c != path[k - 1]]
        if [c for c in kept if c != blank] == list(labels):
            yield path


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("labels", [[], [1], [1, 1], [0, 1], [1, 0, 1]])
def test_ctc_is_the_sum_over_all_alignments(labels, blank):
    if blank in labels:
        labels = [2 if c == blank else c for c in labels]
    x = tinydl.tensor(np.random.default_rng(len(labels)).normal(size=(5, 3)), requires_grad=True)
    log_p = x.log_softmax(-1)
    total = sum(np.exp(log_p.array[np.arange(5), list(path)].sum()) for path in paths(labels, 5, 3, blank))
    target = tinydl.tensor(np.array(labels, np.int64))
    loss = F.ctc_loss(log_p, target, 5, len(labels), blank, reduction="sum")
    assert loss.item() == pytest.approx(-math.log(total), rel=1e-12)
    # The gradient of the log-probabilities themselves: minus the share of the paths that pass each.
    y = tinydl.tensor(log_p.array, requires_grad=True)
    F.ctc_loss(y, target, 5, len(labels), blank, reduction="sum").backward()
    share = np.zeros((5, 3))
    for path in paths(labels, 5, 3, blank):
        share[np.arange(5), list(path)] += np.exp(log_p.array[np.arange(5), list(path)].sum()) / total
    np.testing.assert_allclose(y.grad.array, -share, atol=1e-12)


def test_ctc_of_a_target_that_cannot_be_said():
    log_p = tinydl.zeros(2, 1, 3, requires_grad=True).log_softmax(-1)
    arguments = (log_p, tinydl.tensor([[1, 1]]), [2], [2])
    assert F.ctc_loss(*arguments).item() == math.inf
    loss = F.ctc_loss(*arguments, zero_infinity=True)
    (g,) = tinydl.autograd.grad(loss, log_p)
    assert loss.item() == 0 and not g.array.any()
    (g,) = tinydl.autograd.grad(F.ctc_loss(*arguments), log_p)
    assert np.isnan(g.array).all()
