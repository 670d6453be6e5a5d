"""Misuse of activations, losses, tables and containers: PyTorch's kind of error, in its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")


def F(t: Any) -> Any:
    return t.nn.functional


# A call, the words that both libraries say, and what ours says besides.
CASES: list[tuple[Callable[[Any], Any], str, str | None]] = [
    # Activations
    (lambda t: F(t).elu(t.tensor([1])), "not implemented for 'Long'", None),
    (lambda t: F(t).gelu(t.zeros(2), approximate="exact"), "argument must be either none or tanh.", "Got 'exact'"),
    (lambda t: F(t).celu(t.zeros(2), 0.0), "ZeroDivisionError: alpha cannot be 0 for CELU", None),
    (lambda t: F(t).hardtanh(t.zeros(2), 2.0, 1.0), "min_val cannot be greater than max_val", None),
    (lambda t: F(t).softshrink(t.ones(2), -1.0), "range [0, 3.40282e+38] for input dtype Float, but found -1", None),
    (lambda t: F(t).glu(t.zeros(3)), "Halving dimension must be even, but dimension", "size 3: the shape is (3,)"),
    (lambda t: F(t).glu(t.zeros(())), "glu does not support scalars because halving size must be even", None),
    (
        lambda t: F(t).prelu(t.zeros(2, 3), t.zeros(4)),
        "Mismatch of parameter numbers and input channel size. Found parameter numbers = 4 and channel size = 3",
        "(2, 3)",
    ),
    (lambda t: F(t).prelu(t.zeros(2, 3), t.zeros(1, 3)), "to be a scalar or 1D tensor, but got: ndim = 2", None),
    (lambda t: F(t).prelu(t.zeros(2).double(), t.zeros(1)), "prelu: Type promoting not supported. Got", "use .to()"),
    (lambda t: F(t).rrelu(t.zeros(2), 0.5, 0.1), "Lower bound should be less than or equal to the upper bound", None),
    (lambda t: t.nn.Hardtanh(1.0, 1.0), "", "max_val must be larger than min_val, but they are 1.0 and 1.0"),
    (lambda t: t.nn.Softmax2d()(t.zeros(2, 3)), "Softmax2d: expected input to be 3D or 4D, got", "(2, 3)"),
    # Losses
    (lambda t: F(t).smooth_l1_loss(t.ones(2), t.ones(2), beta=-1.0), "not support negative values for beta", None),
    (lambda t: F(t).huber_loss(t.ones(2), t.ones(2), delta=0.0), "not support non-positive values for delta", None),
    (
        lambda t: F(t).mse_loss(t.zeros(2), t.zeros(2), weight=t.zeros(3)),
        "Weights and input must have the same size", "(3,) and (2,)",
    ),
    (lambda t: F(t).gaussian_nll_loss(t.zeros(2), t.zeros(2), -t.ones(2)), "var has negative entry/entries", None),
    (lambda t: F(t).gaussian_nll_loss(t.zeros(2), t.zeros(2), t.ones(3)), "var is of incorrect size", "(3,)"),
    (
        lambda t: F(t).binary_cross_entropy(t.zeros(2), t.zeros(3)),
        "that is different to the input size", "Using a target size ((3,))",
    ),
    (
        lambda t: F(t).binary_cross_entropy(t.ones(2) * 2, t.zeros(2)),
        "all elements of input should be between 0 and 1", "apply a sigmoid",
    ),
    (
        lambda t: F(t).binary_cross_entropy(t.zeros(2), t.ones(2) * 2),
        "all elements of target should be between 0 and 1", None,
    ),
    (lambda t: F(t).kl_div(t.zeros(2), t.zeros(2), reduction="avg"), "avg is not a valid value for reduction", "use"),
    (lambda t: F(t).multi_margin_loss(t.zeros(2, 3), t.tensor([0, 1]), p=3), "only p == 1 and p == 2 supported", "3"),
    (
        lambda t: F(t).multi_margin_loss(t.zeros(2, 3), t.tensor([0])),
        "Expected target size [2], but got [1]. Input has shape [2, 3].", None,
    ),
    (
        lambda t: F(t).margin_ranking_loss(t.zeros(2), t.zeros(2), t.zeros(2, 1)),
        "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: ", "target: (2, 1)",
    ),
    (
        lambda t: F(t).cosine_embedding_loss(t.zeros(2, 3), t.zeros(2, 3), t.zeros(2, 1)),
        "1D target", "target: (2, 1)",
    ),
    (
        lambda t: F(t).triplet_margin_loss(t.zeros(2, 3), t.zeros(3), t.zeros(3)),
        "The anchor, positive, and negative tensors are expected to have the same number of dimensions", None,
    ),
    (lambda t: t.nn.TripletMarginLoss(margin=0.0), "expected margin to be greater than 0, got 0.0 instead", None),
    (lambda t: t.nn.MultiMarginLoss(p=3), "only p == 1 and p == 2 supported", None),
    (
        lambda t: F(t).ctc_loss(t.zeros(3, 1, 2), t.tensor([[1]]), t.tensor([4]), t.tensor([1])),
        "Expected input_lengths to have value at most 3", "[4]",
    ),
    (
        lambda t: F(t).ctc_loss(t.zeros(3, 1, 2), t.tensor([[1]]), t.tensor([3]), t.tensor([1]), blank=2),
        "blank must be in label range", "0 to 1, but is 2",
    ),
    (
        lambda t: F(t).ctc_loss(t.zeros(3, 1, 2), t.tensor([[1]]), t.tensor([3, 3]), t.tensor([1])),
        "input_lengths must be of size batch_size", "1, but has 2",
    ),
    (
        lambda t: F(t).ctc_loss(t.zeros(3, 2, 2), t.tensor([[1], [1]]), t.tensor([3, 3]), t.tensor([1, 2])),
        "Expected tensor to have size at least 2 at dimension 1", "(2, 1)",
    ),
    # Tables
    (
        lambda t: F(t).embedding_bag(t.tensor([0, 1]), t.zeros(3, 2), t.tensor([0]), mode="avg"),
        "mode has to be one of sum, mean or max", "'avg'",
    ),
    (lambda t: F(t).embedding_bag(t.tensor([0]), t.zeros(3)), "weight has to be a 2D Tensor, but got Tensor of", None),
    (lambda t: F(t).embedding_bag(t.tensor([0]), t.zeros(3, 2)), "offsets has to be a 1D Tensor but got None", None),
    (
        lambda t: F(t).embedding_bag(t.tensor([[0]]), t.zeros(3, 2), t.tensor([0])),
        "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences",
        "shape (1,)",
    ),
    (lambda t: F(t).embedding_bag(t.tensor([0]), t.zeros(3, 2), t.tensor([1])), "offsets[0] has to be 0", "[1]"),
    (
        lambda t: F(t).embedding_bag(t.tensor([[0]]), t.zeros(3, 2), per_sample_weights=t.zeros(2), mode="sum"),
        "then it must have the same shape as the input", "(2,)",
    ),
    (
        lambda t: F(t).embedding_bag(t.tensor([[0]]), t.zeros(3, 2), per_sample_weights=t.zeros(1, 1)),
        "per_sample_weights is only supported for mode='sum' (got mode='mean').", None,
    ),
    (
        lambda t: F(t).embedding_bag(t.tensor([[0]]), t.zeros(3, 2), mode="max", scale_grad_by_freq=True),
        "max mode does not support scaling the gradient by the frequency", None,
    ),
    (
        lambda t: t.nn.Embedding(3, 2, _weight=t.zeros(2, 2)),
        "Shape of weight does not match num_embeddings and embedding_dim", "(2, 2), expected (3, 2)",
    ),
    (lambda t: t.nn.Embedding.from_pretrained(t.zeros(2)), "parameter is expected to be 2-dimensional", "(2,)"),
    # Layers and containers
    (lambda t: t.nn.Bilinear(0, 2, 3), "in1_features must be > 0, but got (in1_features=0)", None),
    (lambda t: t.nn.Unflatten(1, 3), "unflattened_size must be a tuple of ints, but found type int", None),
    (lambda t: t.nn.Unflatten(1, (2, "a")), "must be tuple of ints, but found element of type str at pos 1", None),
    (
        lambda t: t.nn.Unflatten(1, (2, 2))(t.zeros(3, 5)),
        "Provided sizes [2, 2] don't multiply up to the size of dim 1 (5) in the input tensor", "(3, 5)",
    ),
    (lambda t: t.nn.Dropout(2.0), "dropout probability has to be between 0 and 1, but got 2.0", None),
    (lambda t: t.nn.Sequential(t.nn.ReLU()) * 0, "Non-positive multiplication factor 0 for", None),
    (lambda t: t.nn.ParameterList().extend(t.zeros(2)), "should be called with an iterable, but got", None),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words", "ours_alone"), CASES, ids=range(len(CASES)))
def test_misuse(call: Callable[[Any], Any], words: str, ours_alone: str | None) -> None:
    with pytest.raises(Exception) as theirs:
        call(torch)
    kind = type(theirs.value)
    if kind is AssertionError:  # which is for mistakes of our own
        kind = ValueError
    with pytest.raises(kind) as ours:
        call(tinydl)
    assert words in str(theirs.value).replace("\n", " "), "PyTorch says something else"
    assert words in str(ours.value)
    assert ours_alone is None or ours_alone in str(ours.value)
    assert "\n" not in str(ours.value) and len(str(ours.value)) < 300


@pytest.mark.parametrize(
    "flags", [{"size_average": False}, {"reduce": False}, {"size_average": True}, {"reduce": True}]
)
@pytest.mark.parametrize("layer", ["MSELoss", "CrossEntropyLoss", "BCELoss", "KLDivLoss", "SoftMarginLoss"])
def test_the_older_flags(layer: str, flags: dict[str, bool]) -> None:
    modes = []
    for library in (tinydl, torch):
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated, please use reduction="):
            modes.append(getattr(library.nn, layer)(**flags).reduction)
    assert modes[0] == modes[1]
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        total = F(tinydl).l1_loss(tinydl.ones(3), tinydl.zeros(3), size_average=False)
    assert total.item() == 3


def test_softmax_without_a_dimension_warns_as_pytorch() -> None:
    for shape, dim in (((), 0), ((3,), 0), ((2, 3), 1), ((2, 3, 2), 0), ((2, 3, 2, 2), 1)):
        x = torch.rand(shape)
        for name in ("softmax", "log_softmax", "softmin"):
            with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name} has been deprecated"):
                got = getattr(F(tinydl), name)(tinydl.tensor(x.numpy()))
            wanted = getattr(F(torch), name)(x, dim)
            assert got.tolist() == pytest.approx(wanted.tolist()) if not shape else True
            assert abs(got.array - wanted.numpy()).max() < 1e-6
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        tinydl.nn.Softmax()(tinydl.zeros(2, 3))


def test_kl_div_warns_of_its_mean() -> None:
    for library in (tinydl, torch):
        with pytest.warns(UserWarning, match="reduction: 'mean' divides the total loss by both the batch size"):
            library.nn.KLDivLoss()(library.zeros(2), library.ones(2))
