"""Rows of losses, as functions and as layers, with every option."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.differential.rows import Array, Draw, draw, ints, module, row

REDUCTIONS = ("mean", "sum", "none")


def _loss(name: str, layer: str, *inputs: Any, reductions: tuple[str, ...] = REDUCTIONS, **options: Any) -> None:
    """A function and its layer under each reduction; ``smooth``, ``constant`` and ``note`` are the row's own."""
    own = {k: options.pop(k) for k in ("smooth", "constant", "note", "loose") if k in options}
    for reduction in reductions:
        row(f"nn.functional.{name}", *inputs, reduction=reduction, **own, **options)
        module(layer, inputs=inputs, reduction=reduction, **own, **options)


def _signs(*shape: int) -> Draw:
    """-1 and 1."""
    return draw(*shape, make=lambda x: np.where(x > 0, 1.0, -1.0))


def _probabilities(*shape: int) -> Draw:
    """Positive numbers that sum to one along dimension 1."""
    return draw(*shape, make=lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True))


def _log_probabilities(*shape: int) -> Draw:
    return draw(*shape, make=lambda x: x - np.log(np.exp(x).sum(1, keepdims=True)))


# ------------------------------------------------------------------------------------------------------- of numbers

for name, layer in (("mse_loss", "MSELoss"), ("l1_loss", "L1Loss"), ("smooth_l1_loss", "SmoothL1Loss")):
    _loss(name, layer, draw(3, 4), draw(3, 4, low=2.2, high=5.0))
    _loss(name, layer, draw(), draw(low=2.2, high=5.0), note="0-d")
    _loss(name, layer, draw(0, 3), draw(0, 3), note="empty", reductions=("sum", "none"))
_loss("huber_loss", "HuberLoss", draw(3, 4), draw(3, 4, low=3.1, high=5.0))
_loss("huber_loss", "HuberLoss", draw(3, 4, low=0.0, high=1.0), draw(3, 4, low=0.0, high=1.0), delta=1.5)
_loss("huber_loss", "HuberLoss", draw(3, 4, low=0.0, high=1.0), draw(3, 4, low=2.0, high=3.0), delta=0.5)
_loss("smooth_l1_loss", "SmoothL1Loss", draw(3, 4, low=0.0, high=1.0), draw(3, 4, low=0.0, high=1.0), beta=1.5)
_loss("smooth_l1_loss", "SmoothL1Loss", draw(3, 4, low=0.0, high=1.0), draw(3, 4, low=2.0, high=3.0), beta=0.5)
_loss("smooth_l1_loss", "SmoothL1Loss", draw(3, 4), draw(3, 4, low=2.2, high=5.0), beta=0.0, note="beta 0")
_KINKS = np.array([-1.0, 0.0, 1.0])
for name in ("l1_loss", "smooth_l1_loss", "huber_loss"):
    row(f"nn.functional.{name}", _KINKS, np.zeros(3), reduction="none", smooth=False, note="at the kinks")
for name in ("mse_loss", "l1_loss", "huber_loss"):
    for reduction in REDUCTIONS:
        row(
            f"nn.functional.{name}", draw(3, 4), draw(3, 4, low=3.1, high=5.0), draw(3, 4, low=0.5), note="weighted",
            call=lambda t, x, y, w, name=name, r=reduction: getattr(t.nn.functional, name)(x, y, weight=w, reduction=r),
        )  # fmt: skip

_loss("poisson_nll_loss", "PoissonNLLLoss", draw(3, 4), draw(3, 4, low=1.2, high=5.0))
_loss("poisson_nll_loss", "PoissonNLLLoss", draw(3, 4), draw(3, 4, low=1.2, high=5.0), full=True, note="Stirling")
_loss(
    "poisson_nll_loss", "PoissonNLLLoss", draw(3, 4, low=0.3), draw(3, 4, low=0.1, high=0.9), log_input=False,
    full=True, eps=1e-3, note="rates",
)  # fmt: skip
_loss("poisson_nll_loss", "PoissonNLLLoss", draw(3, 4), np.array([0.0, 1.0, 2.0, 5.0]), full=True, constant=(1,))

_VARIANCE = draw(3, 4, low=0.5)
_loss("gaussian_nll_loss", "GaussianNLLLoss", draw(3, 4), draw(3, 4), _VARIANCE)
_loss("gaussian_nll_loss", "GaussianNLLLoss", draw(3, 4), draw(3, 4), _VARIANCE, full=True, note="full")
_loss("gaussian_nll_loss", "GaussianNLLLoss", draw(3, 4), draw(3, 4), draw(3, low=0.5), note="one a row")
_loss("gaussian_nll_loss", "GaussianNLLLoss", draw(3, 4), draw(3, 4), draw(3, 1, low=0.5), note="one a row kept")
_loss("gaussian_nll_loss", "GaussianNLLLoss", draw(3, 4), draw(3, 4), 0.7, note="one number")
_loss(
    "gaussian_nll_loss", "GaussianNLLLoss", draw(3), draw(3), np.array([0.0, 0.1, 2.0]), eps=0.25, note="limited",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------- of probabilities

_P, _T = draw(3, 4, low=0.05, high=0.95), draw(3, 4, low=0.0, high=1.0)
_loss("binary_cross_entropy", "BCELoss", _P, _T)
_loss("binary_cross_entropy", "BCELoss", draw(low=0.1, high=0.9), draw(low=0.1, high=0.9), note="0-d")
_loss("binary_cross_entropy", "BCELoss", draw(0, 2), draw(0, 2), note="empty", reductions=("sum", "none"))
row(
    "nn.functional.binary_cross_entropy", np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]),
    reduction="none", note="at the ends", smooth=False, constant=(1,),
)  # fmt: skip
for reduction in REDUCTIONS:
    row(
        "nn.functional.binary_cross_entropy", _P, _T, draw(4, low=0.5), note="weighted", reduction=reduction,
        constant=(2,),
    )  # fmt: skip

_loss("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", draw(3, 4), _T, constant=(1,))
_loss("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", draw(3, 4), _T, note="to the target")
_loss("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", draw(), draw(low=0.1, high=0.9), note="0-d")
for reduction in REDUCTIONS:
    row(
        "nn.functional.binary_cross_entropy_with_logits", draw(3, 4), _T, draw(4, low=0.5), draw(3, 1, low=0.5),
        call=lambda t, x, y, w, p, r=reduction: t.nn.functional.binary_cross_entropy_with_logits(
            x, y, w, reduction=r, pos_weight=p
        ),
        note="weighted", constant=(1, 2, 3),
    )  # fmt: skip

_CLASSES: list[tuple[Any, Any, str]] = [
    (draw(4, 3), np.array([0, 2, 1, 1]), ""),
    (draw(3), np.array(2), "one sample"),
    (draw(2, 3, 2, 2), ints(2, 2, 2, high=3), "images"),
]
for x, t, note in _CLASSES:
    _loss("cross_entropy", "CrossEntropyLoss", x, t, note=note)
    _loss("cross_entropy", "CrossEntropyLoss", x, t, label_smoothing=0.2, note=f"{note} smoothed")
    _loss("cross_entropy", "CrossEntropyLoss", x, t, ignore_index=1, note=f"{note} ignoring")
    _loss("nll_loss", "NLLLoss", x, t, note=note)
    _loss("nll_loss", "NLLLoss", x, t, ignore_index=1, note=f"{note} ignoring")
_loss("cross_entropy", "CrossEntropyLoss", draw(4, 3), _probabilities(4, 3), note="soft targets")
_loss(
    "cross_entropy", "CrossEntropyLoss", draw(2, 3, 2), _probabilities(2, 3, 2), label_smoothing=0.1, note="soft images"
)
_loss("cross_entropy", "CrossEntropyLoss", draw(0, 3), ints(0), note="empty", reductions=("sum", "none"))
for reduction in REDUCTIONS:
    for name in ("cross_entropy", "nll_loss"):
        row(
            f"nn.functional.{name}", draw(5, 3), np.array([0, 2, 1, 1, 0]), draw(3, low=0.5), constant=(2,),
            ignore_index=2, reduction=reduction, note="weighted",
        )  # fmt: skip
    row(
        "nn.functional.cross_entropy", draw(5, 3), np.array([0, 2, 1, 1, 0]), draw(3, low=0.5), constant=(2,),
        ignore_index=2, reduction=reduction, label_smoothing=0.1, note="weighted, smoothed",
    )  # fmt: skip
    row(
        "nn.functional.cross_entropy", draw(5, 3), _probabilities(5, 3), draw(3, low=0.5), constant=(2,),
        reduction=reduction, label_smoothing=0.1, note="weighted, soft",
    )  # fmt: skip

_KL = ("batchmean", "sum", "none")
_loss("kl_div", "KLDivLoss", _log_probabilities(3, 4), _probabilities(3, 4), reductions=_KL)
_loss("kl_div", "KLDivLoss", _log_probabilities(3, 4), _log_probabilities(3, 4), reductions=_KL, log_target=True)
_loss("kl_div", "KLDivLoss", draw(), draw(low=0.1), reductions=_KL, note="0-d")
_loss(
    "kl_div", "KLDivLoss", _log_probabilities(2, 3), np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]), reductions=_KL,
    constant=(1,), note="zeros",
)  # fmt: skip


def _kl_mean(t: Any, x: Any, y: Any) -> Any:
    with warnings.catch_warnings():  # both libraries warn of this reduction
        warnings.simplefilter("ignore")
        return t.nn.functional.kl_div(x, y)


row("nn.functional.kl_div", _log_probabilities(3, 4), _probabilities(3, 4), call=_kl_mean, note="mean")

# --------------------------------------------------------------------------------------------------------- of margins

_loss("hinge_embedding_loss", "HingeEmbeddingLoss", draw(3, 4, away=(1.0,)), _signs(3, 4), constant=(1,))
_loss("hinge_embedding_loss", "HingeEmbeddingLoss", draw(3, 4, away=(0.3,)), _signs(4), constant=(1,), margin=0.3)
_loss("margin_ranking_loss", "MarginRankingLoss", draw(5), draw(5, low=2.2, high=3.0), _signs(5), constant=(2,))
_loss(
    "margin_ranking_loss", "MarginRankingLoss", draw(2, 3), draw(2, 3, low=2.6, high=3.0), _signs(2, 3), constant=(2,),
    margin=0.5,
)  # fmt: skip
row(
    "nn.functional.margin_ranking_loss", np.zeros(2), np.zeros(2), np.array([1.0, -1.0]), constant=(2,), smooth=False,
    reduction="none", note="at the kink",
)  # fmt: skip
_loss("soft_margin_loss", "SoftMarginLoss", draw(3, 4), _signs(3, 4), constant=(1,))
_loss("soft_margin_loss", "SoftMarginLoss", draw(), _signs(), constant=(1,), note="0-d")


def _spaced(x: Array) -> Array:
    """Scores whose differences are no integers."""
    return np.argsort(np.argsort(x, axis=-1), axis=-1) * 0.37


_SCORES, _OWN = draw(4, 3, make=_spaced), np.array([0, 2, 1, 1])
# PyTorch has no second derivative of multi_margin_loss; ours is checked against finite differences.
for p in (1, 2):
    _loss("multi_margin_loss", "MultiMarginLoss", _SCORES, _OWN, smooth=False, p=p)
    _loss("multi_margin_loss", "MultiMarginLoss", _SCORES, _OWN, smooth=False, p=p, margin=0.5)
    _loss("multi_margin_loss", "MultiMarginLoss", draw(3, make=_spaced), np.array(2), smooth=False, p=p, note="one")
    for reduction in REDUCTIONS:
        row(
            "nn.functional.multi_margin_loss", _SCORES, _OWN, draw(3, low=0.5), constant=(2,), smooth=False, p=p,
            call=lambda t, x, y, w, p, reduction: t.nn.functional.multi_margin_loss(
                x, y, p=p, weight=w, reduction=reduction
            ),
            reduction=reduction, note="weighted",
        )  # fmt: skip
row(
    "nn.functional.multi_margin_loss", np.array([1.0, 0.0, 2.0]), np.array(0), smooth=False, note="at the kink",
)  # fmt: skip

_loss("cosine_embedding_loss", "CosineEmbeddingLoss", draw(4, 3), draw(4, 3), _signs(4), constant=(2,))
_loss("cosine_embedding_loss", "CosineEmbeddingLoss", draw(4, 3), draw(4, 3), _signs(4), constant=(2,), margin=-0.9)
_loss("cosine_embedding_loss", "CosineEmbeddingLoss", draw(3), draw(3), _signs(), constant=(2,), note="one pair")
row(
    "nn.functional.cosine_embedding_loss", np.zeros((2, 3)), draw(2, 3), np.array([1.0, -1.0]), constant=(2,),
    smooth=False, note="zeros",
)  # fmt: skip

_TRIPLET = (draw(4, 3), draw(4, 3), draw(4, 3))
_loss("triplet_margin_loss", "TripletMarginLoss", *_TRIPLET)
_loss("triplet_margin_loss", "TripletMarginLoss", *_TRIPLET, margin=5.0, swap=True, note="swapped")
_loss("triplet_margin_loss", "TripletMarginLoss", *_TRIPLET, margin=5.0, p=1.0, smooth=False, note="p 1")
_loss("triplet_margin_loss", "TripletMarginLoss", draw(3), draw(3), draw(3), margin=5.0, note="vectors")

# ------------------------------------------------------------------------------------------------------- of sequences


def _ctc(**options: Any) -> Callable[..., Any]:
    """Behind log_softmax, where PyTorch's gradient is that of the loss (see docs/decisions.md)."""

    def call(t: Any, x: Any, labels: Any, steps: Any, sizes: Any) -> Any:
        return t.nn.functional.ctc_loss(x.log_softmax(-1), labels, steps, sizes, **options)

    return call


_LABELS, _STEPS, _SIZES = np.array([[1, 2, 2], [3, 1, 0]]), np.array([7, 5]), np.array([3, 2])
_SEQUENCES = (draw(7, 2, 4), _LABELS, _STEPS, _SIZES)
for reduction in REDUCTIONS:
    # PyTorch has no second derivative of ctc_loss; ours is checked against finite differences.
    row("nn.functional.ctc_loss", *_SEQUENCES, call=_ctc(reduction=reduction), note=reduction, smooth=False)
row(
    "nn.functional.ctc_loss", draw(7, 2, 4), np.array([1, 2, 2, 3, 1]), _STEPS, _SIZES, call=_ctc(), smooth=False,
    note="targets in a row",
)  # fmt: skip
row(
    "nn.functional.ctc_loss", draw(7, 2, 4), np.array([[1, 2, 2], [0, 1, 3]]), _STEPS, _SIZES, call=_ctc(blank=3),
    smooth=False, note="another blank",
)  # fmt: skip
row(
    "nn.functional.ctc_loss", draw(3, 2, 4), np.array([[1, 2, 2], [3, 1, 0]]), np.array([3, 3]), _SIZES,
    call=_ctc(zero_infinity=True), smooth=False, note="impossible",
)  # fmt: skip
row(
    "nn.functional.ctc_loss", draw(3, 2, 4), np.array([[1, 2, 2], [3, 1, 0]]), np.array([3, 3]), _SIZES,
    call=_ctc(reduction="none"), smooth=False, grad=False, note="infinite",
)  # fmt: skip
row(
    "nn.functional.ctc_loss", draw(5, 2, 3), np.array([[1, 2], [0, 0]]), np.array([5, 4]), np.array([2, 0]),
    call=_ctc(reduction="none"), smooth=False, note="an empty target",
)  # fmt: skip
row(
    "nn.functional.ctc_loss", draw(5, 3), np.array([1, 2]), np.array(5), np.array(2), call=_ctc(), smooth=False,
    note="unbatched",
)  # fmt: skip
module("CTCLoss", inputs=_SEQUENCES, smooth=False, call=lambda m, x, *rest: m(x.log_softmax(-1), *rest))
module(
    "CTCLoss", blank=3, reduction="sum", zero_infinity=True, smooth=False,
    inputs=(draw(7, 2, 4), np.array([[1, 2, 2], [0, 1, 3]]), _STEPS, _SIZES),
    call=lambda m, x, *rest: m(x.log_softmax(-1), *rest),
)  # fmt: skip
