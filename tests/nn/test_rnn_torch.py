"""Recurrent layers against PyTorch's: outputs, states, gradients, state_dict keys and packed sequences."""

import numpy as np
import pytest

import tinydl
from tinydl import nn

torch = pytest.importorskip("torch", reason="compares with PyTorch")

NAMES = ["RNN", "GRU", "LSTM"]


def pair(name, **options):
    """A layer of ours and PyTorch's with the same float64 weights."""
    tinydl.manual_seed(0)
    ours = getattr(nn, name)(3, 5, **options).double()
    theirs = getattr(torch.nn, name)(3, 5, **options).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({key: torch.tensor(value.array) for key, value in ours.state_dict().items()})
    return ours, theirs


def flat(result, name):
    output, state = result
    return [output, *(state if name == "LSTM" else [state])]


def compare(ours, theirs, x, y, got, wanted):
    """Results, and the gradients of a fixed weighting of them."""
    rng = np.random.default_rng(3)
    loss, reference = 0, 0
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.array, b.detach().numpy(), rtol=1e-10, atol=1e-12)
        g = rng.standard_normal(a.shape)
        loss, reference = loss + (a * tinydl.tensor(g)).sum(), reference + (b * torch.tensor(g)).sum()
    loss.backward()
    reference.backward()
    np.testing.assert_allclose(x.grad.array, y.grad.numpy(), rtol=1e-9, atol=1e-12)
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 3, "batch_first": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("with_state", [True, False])
def test_forward_and_gradients(name, options, batched, with_state):
    ours, theirs = pair(name, **options)
    rng = np.random.default_rng(1)
    array = rng.standard_normal((4, 6, 3) if batched else (4, 3))
    x, y = tinydl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    batch = (array.shape[0 if options.get("batch_first") else 1],) if batched else ()
    cells = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    states = [rng.standard_normal((cells, *batch, 5)) for _ in range(2 if name == "LSTM" else 1)]
    hx = tuple(tinydl.tensor(s) for s in states), tuple(torch.tensor(s) for s in states)
    if not with_state:
        hx = None, None
    elif name != "LSTM":
        hx = hx[0][0], hx[1][0]
    compare(ours, theirs, x, y, flat(ours(x, hx[0]), name), flat(theirs(y, hx[1]), name))


def test_relu_nonlinearity():
    ours, theirs = pair("RNN", nonlinearity="relu", num_layers=2)
    array = np.random.default_rng(2).standard_normal((4, 2, 3))
    x, y = tinydl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    compare(ours, theirs, x, y, flat(ours(x), "RNN"), flat(theirs(y), "RNN"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_equal_packed_sequences(name, bidirectional):
    ours, theirs = pair(name, num_layers=2, bidirectional=bidirectional)
    array, lengths = np.random.default_rng(4).standard_normal((6, 4, 3)), [6, 1, 4, 3]
    x, y = tinydl.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(y, torch.tensor(lengths), enforce_sorted=False)
    output, state = theirs(packed)
    output = torch.nn.utils.rnn.pad_packed_sequence(output)[0]
    compare(ours, theirs, x, y, flat(ours(x, lengths=lengths), name), flat((output, state), name))


def test_float32_stays_near_float64():
    ours, theirs = pair("LSTM")
    ours.float()
    array = np.random.default_rng(5).standard_normal((64, 8, 3))
    got = ours(tinydl.tensor(array.astype(np.float32)))[0].array
    wanted = theirs(torch.tensor(array))[0].detach().numpy()
    assert np.abs(got - wanted).max() < 2e-6
