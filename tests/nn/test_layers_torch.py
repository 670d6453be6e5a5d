"""Layers and losses against PyTorch's: values, gradients, every option, and state_dict keys."""

import itertools

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.nn import functional as F

torch = pytest.importorskip("torch", reason="compares with PyTorch")
TF = torch.nn.functional

RNG = np.random.default_rng(0)
REDUCTIONS = ["mean", "sum", "none"]


def leaves(array):
    return tinydl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def constants(array):
    return (None, None) if array is None else (tinydl.tensor(array), torch.tensor(array))


def compare(x, y, got, wanted, tolerance):
    """Values, and gradients of a fixed weighting of them; PyTorch works in float64."""
    assert got.shape == tuple(wanted.shape)
    np.testing.assert_allclose(got.array, wanted.detach().numpy(), rtol=tolerance, atol=tolerance)
    g = np.random.default_rng(1).random(got.shape)
    got.backward(tinydl.tensor(g.astype(got.dtype)))
    wanted.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.array, y.grad.numpy(), rtol=tolerance, atol=tolerance)


def widths(array):
    """The same values for tinydl in float32 and float64, each with its tolerance."""
    for dtype, tolerance in ((np.float32, 5e-6), (np.float64, 1e-12)):
        narrow = array.astype(dtype)
        yield (
            tinydl.tensor(narrow, requires_grad=True),
            torch.tensor(narrow.astype(np.float64), requires_grad=True),
            tolerance,
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_bce_with_logits(reduction):
    array, target = RNG.standard_normal((7, 5)) * 6, RNG.random((7, 5)).astype(np.float32).astype(np.float64)
    for weight, pos_weight in itertools.product(
        (None, np.float64([[0.5], [2]] * 3 + [[1]])), (None, np.arange(1.0, 6))
    ):
        for x, y, tolerance in widths(array):
            (t, u), (w, v), (p, q) = constants(target), constants(weight), constants(pos_weight)
            got = F.binary_cross_entropy_with_logits(x, t, w, reduction=reduction, pos_weight=p)
            wanted = TF.binary_cross_entropy_with_logits(y, u, v, reduction=reduction, pos_weight=q)
            compare(x, y, got, wanted, tolerance)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("shape", "target_shape"), [((6, 4), (6,)), ((4,), ()), ((2, 4, 3), (2, 3)), ((2, 4, 2, 3), (2, 2, 3))]
)
def test_cross_entropy_of_classes(reduction, shape, target_shape):
    array, classes = RNG.standard_normal(shape) * 4, np.resize([0, 3, 1, 1, 2, 0], target_shape)
    options = itertools.product((None, np.array([0.5, 1.0, 2.0, 0.25])), (-100, 1), (0.0, 0.3))
    for weight, ignore_index, smoothing in options:
        for x, y, tolerance in widths(array):
            (t, u), (w, v) = constants(classes), constants(weight)
            got = F.cross_entropy(x, t, w, ignore_index=ignore_index, reduction=reduction, label_smoothing=smoothing)
            wanted = TF.cross_entropy(
                y, u, v, ignore_index=ignore_index, reduction=reduction, label_smoothing=smoothing
            )
            compare(x, y, got, wanted, tolerance)
        x, y = leaves(array)
        log_x, log_y = F.log_softmax(x, 1 if x.ndim > 1 else 0), TF.log_softmax(y, 1 if y.ndim > 1 else 0)
        got = F.nll_loss(log_x, t, w, ignore_index=ignore_index, reduction=reduction)
        compare(x, y, got, TF.nll_loss(log_y, u, v, ignore_index=ignore_index, reduction=reduction), 1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 4), (4,), (2, 4, 3)])
def test_cross_entropy_of_probabilities_and_mse(reduction, shape):
    array, target = RNG.standard_normal(shape), RNG.random(shape)
    for weight, smoothing in itertools.product((None, np.array([0.5, 1.0, 2.0, 0.25])), (0.0, 0.3)):
        x, y = leaves(array)
        (t, u), (w, v) = constants(target), constants(weight)
        got = F.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)
        compare(x, y, got, TF.cross_entropy(y, u, v, reduction=reduction, label_smoothing=smoothing), 1e-12)
    x, y = leaves(array)
    compare(x, y, F.mse_loss(x, t, reduction=reduction), TF.mse_loss(y, u, reduction=reduction), 1e-12)


def copied(ours, theirs):
    """The same weights in both, by their keys."""
    ours, theirs = ours.double(), theirs.double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({key: torch.tensor(value.array) for key, value in ours.state_dict().items()})
    return ours, theirs


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("Linear", {"in_features": 5, "out_features": 3}, (4, 5)),
        ("Linear", {"in_features": 5, "out_features": 3, "bias": False}, (2, 3, 5)),
        ("Linear", {"in_features": 5, "out_features": 3}, (5,)),
        ("LayerNorm", {"normalized_shape": 5}, (4, 5)),
        ("LayerNorm", {"normalized_shape": [3, 5], "eps": 1e-2}, (2, 4, 3, 5)),
        ("LayerNorm", {"normalized_shape": 5, "elementwise_affine": False}, (3, 5)),
        ("LayerNorm", {"normalized_shape": 5, "bias": False}, (5,)),
        ("ReLU", {}, (3, 4)),
        ("Tanh", {}, (3, 4)),
        ("Sigmoid", {}, (3, 4)),
        ("LogSigmoid", {}, (3, 4)),
        ("Softplus", {}, (3, 4)),
        ("Softmax", {"dim": 0}, (3, 4)),
        ("LogSoftmax", {"dim": -1}, (3, 4)),
        ("Flatten", {}, (3, 4, 2)),
    ],
    ids=str,
)
def test_layers(name, arguments, shape):
    ours, theirs = copied(getattr(nn, name)(**arguments), getattr(torch.nn, name)(**arguments))
    if name == "LayerNorm":
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.array[...] = RNG.standard_normal(a.shape)
            b.data.copy_(torch.tensor(a.array))
    x, y = leaves(RNG.standard_normal(shape))
    compare(x, y, ours(x), theirs(y), 1e-11)
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=1e-11, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("padding_idx", [None, 2, -1])
def test_embedding(padding_idx):
    ours, theirs = copied(nn.Embedding(6, 3, padding_idx), torch.nn.Embedding(6, 3, padding_idx))
    index = RNG.integers(0, 6, (4, 5))
    assert ours.padding_idx == theirs.padding_idx
    assert repr(ours) == repr(theirs)
    g = RNG.standard_normal((4, 5, 3))
    a, b = ours(tinydl.tensor(index)), theirs(torch.tensor(index))
    np.testing.assert_array_equal(a.array, b.detach().numpy())
    a.backward(tinydl.tensor(g))
    b.backward(torch.tensor(g))
    np.testing.assert_allclose(ours.weight.grad.array, theirs.weight.grad.numpy(), rtol=1e-12)


def test_layer_norm_in_float32():
    array, g = RNG.standard_normal((2, 64, 257))
    w, b = RNG.standard_normal((2, 257))
    x = [tinydl.tensor(a.astype(np.float32), requires_grad=True) for a in (array, w, b)]
    y = [torch.tensor(a.array.astype(np.float64), requires_grad=True) for a in x]
    got, wanted = F.layer_norm(x[0], 257, x[1], x[2]), TF.layer_norm(y[0], (257,), y[1], y[2])
    np.testing.assert_allclose(got.array, wanted.detach().numpy(), rtol=1e-5, atol=2e-6)
    got.backward(tinydl.tensor(g.astype(np.float32)))
    wanted.backward(torch.tensor(g.astype(np.float32).astype(np.float64)))
    for ours, theirs in zip(x, y, strict=True):
        np.testing.assert_allclose(ours.grad.array, theirs.grad.numpy(), rtol=2e-5, atol=2e-5)


def test_module_trees_print_and_name_alike():
    def build(library):
        return library.nn.Sequential(
            library.nn.Linear(3, 4),
            library.nn.ModuleDict({"a": library.nn.Embedding(4, 2), "b": library.nn.Dropout(0.3)}),
            library.nn.ModuleList([library.nn.ReLU(), library.nn.ReLU(), library.nn.LSTM(2, 3, 2, bidirectional=True)]),
        )

    ours, theirs = build(tinydl), build(torch)
    assert repr(ours) == repr(theirs)
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    theirs.load_state_dict({key: torch.tensor(value.array) for key, value in ours.state_dict().items()})
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})


def test_one_hot():
    index = RNG.integers(0, 4, (3, 2))
    assert F.one_hot(tinydl.tensor(index), 5).tolist() == TF.one_hot(torch.tensor(index), 5).tolist()
