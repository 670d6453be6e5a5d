"""What our recurrent layers have beyond PyTorch's, against the papers' equations written out in NumPy."""

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.autograd import gradcheck, gradgradcheck
from tinydl.kernels.threads import num_threads
from tinydl.nn import functional as F
from tinydl.ops import rnn as ops
from tinydl.random import default_generator

T, B, I, H = 4, 3, 2, 5
LAYERS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


@pytest.fixture(autouse=True)
def one_thread():
    """The nets here are tiny and the calls many: waking threads would be most of the time."""
    with num_threads(1):
        yield


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(layer, *parts, suffix="_l0"):
    return [getattr(layer, part + suffix).array for part in parts]


def states(state):
    return list(state) if isinstance(state, tuple) else [state]


def lstm_by_hand(layer, x, h, c, suffix="_l0", mask=1.0, held=None):
    """Graves, arXiv:1308.0850, equations 7 to 11, with Gal's mask on h and Krueger's zoneout: outputs, h_n, c_n."""
    w_ih, w_hh, b_ih, b_hh = weights(layer, "weight_ih", "weight_hh", "bias_ih", "bias_hh", suffix=suffix)
    w_ci = w_cf = w_co = 0.0
    if layer.peephole:
        w_ci, w_cf, w_co = weights(layer, "weight_ci", "weight_cf", "weight_co", suffix=suffix)
    outputs = []
    for t in range(len(x)):
        a = x[t] @ w_ih.T + b_ih + (h * mask) @ w_hh.T + b_hh
        a_i, a_f, a_c, a_o = (a[:, k * H : (k + 1) * H] for k in range(4))
        i = sigmoid(a_i + w_ci * c)  # (7)
        f = sigmoid(a_f + w_cf * c)  # (8)
        new_c = f * c + i * np.tanh(a_c)  # (9)
        o = sigmoid(a_o + w_co * new_c)  # (10)
        new_h = o * np.tanh(new_c)  # (11)
        if held is not None:
            z_h, z_c = held[0][t], held[1][t]
            new_h, new_c = z_h * h + (1 - z_h) * new_h, z_c * c + (1 - z_c) * new_c
        h, c = new_h, new_c
        outputs.append(h)
    return np.stack(outputs), h, c


@pytest.fixture
def x():
    return draw(T, B, I)


# ---------------------------------------------------------------------------------------- peepholes, forget bias


def test_peepholes_are_the_papers(x):
    tinydl.manual_seed(0)
    layer = nn.LSTM(I, H, peephole=True).double()
    h, c = draw(B, H, seed=1), draw(B, H, seed=2)
    output, (h_n, c_n) = layer(tinydl.tensor(x), (tinydl.tensor(h[None]), tinydl.tensor(c[None])))
    for got, wanted in zip((output, h_n[0], c_n[0]), lstm_by_hand(layer, x, h, c), strict=True):
        np.testing.assert_allclose(got.array, wanted, rtol=1e-12, atol=1e-14)


def test_peepholes_of_zero_change_nothing_and_have_names(x):
    layer = nn.LSTM(I, H, 2, bidirectional=True, peephole=True).double()
    plain = nn.LSTM(I, H, 2, bidirectional=True).double()
    for name, parameter in layer.named_parameters():
        if "_c" in name:
            assert parameter.shape == (H,)
            parameter.array[...] = 0
    missing, unexpected = plain.load_state_dict(layer.state_dict(), strict=False)
    assert missing == []
    assert unexpected == [f"weight_c{gate}_l{k}{way}" for k in (0, 1) for way in ("", "_reverse") for gate in "ifo"]
    x = tinydl.tensor(x)
    for lengths in (None, [3, 4, 1]):
        for a, b in zip(states(layer(x, lengths=lengths)[1]), states(plain(x, lengths=lengths)[1]), strict=True):
            np.testing.assert_allclose(a.array, b.array, rtol=1e-12, atol=1e-14)


def test_gradients_reach_the_peepholes():
    layer = nn.LSTM(2, 2, peephole=True, proj_size=1).double()
    x = tinydl.tensor(draw(2, 2, 2), requires_grad=True)

    def call(x, *values):
        for (name, _), value in zip(layer.named_parameters(), values, strict=True):
            layer.__dict__[name] = value
        output, (h, c) = layer(x, lengths=[2, 1])
        return output, h, c

    parameters = tuple(layer.parameters())
    assert gradcheck(call, (x, *parameters))
    assert gradgradcheck(call, (x, *parameters))


def test_forget_bias():
    layer = nn.LSTM(I, H, 2, bidirectional=True, forget_bias=1.0)
    for _ in range(2):
        for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
            b_ih, b_hh = weights(layer, "bias_ih", "bias_hh", suffix=suffix)
            np.testing.assert_array_equal((b_ih + b_hh)[H : 2 * H], 1)
            assert not np.any((b_ih + b_hh)[:H] == 1)
        layer.reset_parameters()
    assert list(layer.state_dict()) == list(nn.LSTM(I, H, 2, bidirectional=True).state_dict())


# ---------------------------------------------------------------------------------- variational dropout, zoneout


def test_recurrent_dropout_of_an_lstm_is_one_mask_for_all_steps(x):
    layer = nn.LSTM(I, H, recurrent_dropout=0.4).double()
    tinydl.manual_seed(3)
    output, (h_n, c_n) = layer(tinydl.tensor(x))
    tinydl.manual_seed(3)
    mask = F.dropout(tinydl.tensor(np.ones((B, H))), 0.4).array
    assert 0 < (mask == 0).sum() < mask.size
    zero = np.zeros((B, H))
    for got, wanted in zip((output, h_n[0], c_n[0]), lstm_by_hand(layer, x, zero, zero, mask=mask), strict=True):
        np.testing.assert_allclose(got.array, wanted, rtol=1e-12, atol=1e-14)


def test_recurrent_dropout_of_a_gru_spares_the_leak(x):
    """What drops is the h that meets W_hh; the h that is carried over by the update gate stays whole."""
    layer = nn.GRU(I, H, recurrent_dropout=0.4).double()
    w_ih, w_hh, b_ih, b_hh = weights(layer, "weight_ih", "weight_hh", "bias_ih", "bias_hh")
    tinydl.manual_seed(3)
    output, _ = layer(tinydl.tensor(x))
    tinydl.manual_seed(3)
    mask = F.dropout(tinydl.tensor(np.ones((B, H))), 0.4).array
    h = np.zeros((B, H))
    for t in range(T):
        a, m = x[t] @ w_ih.T + b_ih, (h * mask) @ w_hh.T + b_hh
        r, z = sigmoid(a[:, :H] + m[:, :H]), sigmoid(a[:, H : 2 * H] + m[:, H : 2 * H])
        n = np.tanh(a[:, 2 * H :] + r * m[:, 2 * H :])
        h = (1 - z) * n + z * h
        np.testing.assert_allclose(output.array[t], h, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_between_layers_is_constant_in_time_with_recurrent_dropout(name):
    layer = LAYERS[name](I, 40, 2, dropout=0.5, recurrent_dropout=0.1)
    handed = []
    layer._drop = lambda input, drop=layer._drop: handed.append((input, drop(input))) or handed[-1][1]
    layer(tinydl.tensor(draw(T, B, I).astype(np.float32)))
    ((before, after),) = handed
    ratio = after.array / before.array
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=1e-5)
    assert set(np.unique(ratio.round(3))) == {0, 2}


@pytest.mark.parametrize("name", LAYERS)
def test_zoneout_in_evaluation_is_the_expectation(name, x):
    layer = LAYERS[name](I, H, zoneout=0.3).double().eval()
    plain = LAYERS[name](I, H).double()
    plain.load_state_dict(layer.state_dict())
    old = [tinydl.tensor(draw(1, B, H, seed=k)) for k in range(2 if name == "LSTM" else 1)]
    state = tuple(old) if name == "LSTM" else old[0]
    for t in range(T):
        before = states(state)
        output, state = layer(tinydl.tensor(x[t : t + 1]), state)
        _, stepped = plain(tinydl.tensor(x[t : t + 1]), tuple(before) if name == "LSTM" else before[0])
        for a, b, new in zip(before, states(state), states(stepped), strict=True):
            np.testing.assert_allclose(b.array, 0.3 * a.array + 0.7 * new.array, rtol=1e-12)
        np.testing.assert_array_equal(output.array, states(state)[0].array)


def test_zoneout_in_training_keeps_single_units(x):
    layer = nn.LSTM(I, H, zoneout=(0.2, 0.6), peephole=True).double()
    h, c = draw(B, H, seed=1), draw(B, H, seed=2)
    tinydl.manual_seed(5)
    output, (h_n, c_n) = layer(tinydl.tensor(x), (tinydl.tensor(h[None]), tinydl.tensor(c[None])))
    tinydl.manual_seed(5)
    held = [default_generator.random((T, B, H), np.float32) < z for z in (0.2, 0.6)]
    for got, wanted in zip((output, h_n[0], c_n[0]), lstm_by_hand(layer, x, h, c, held=held), strict=True):
        np.testing.assert_allclose(got.array, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_zoneout_of_one_keeps_everything(name, bidirectional, x):
    layer = LAYERS[name](I, H, bidirectional=bidirectional, zoneout=1.0).double()
    cells = 2 if bidirectional else 1
    old = [tinydl.tensor(draw(cells, B, H, seed=k)) for k in range(2 if name == "LSTM" else 1)]
    for mode in (True, False):
        layer.train(mode)
        output, state = layer(tinydl.tensor(x), tuple(old) if name == "LSTM" else old[0])
        for a, b in zip(old, states(state), strict=True):
            np.testing.assert_array_equal(a.array, b.array)
        first = np.concatenate(list(old[0].array), -1)
        np.testing.assert_array_equal(output.array, np.broadcast_to(first, output.shape))


@pytest.mark.parametrize("options", [{"recurrent_dropout": 0.5}, {"zoneout": 0.5}], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_random_in_training_repeatable_by_the_seed_and_steady_in_evaluation(name, options, x):
    layer = LAYERS[name](I, H, **options).double()
    x = tinydl.tensor(x)
    tinydl.manual_seed(1)
    first, second = layer(x)[0].array, layer(x)[0].array
    tinydl.manual_seed(1)
    np.testing.assert_array_equal(first, layer(x)[0].array)
    assert not np.array_equal(first, second)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].array, layer(x)[0].array)
    if "recurrent_dropout" in options:
        plain = LAYERS[name](I, H).double()
        plain.load_state_dict(layer.state_dict())
        np.testing.assert_array_equal(layer(x)[0].array, plain(x)[0].array)


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_gradients_through_masks(cell):
    gates, count = {"rnn_tanh": (1, 1), "gru": (3, 1), "lstm": (4, 2)}[cell]
    shapes = [(3, 2, 1), *[(2, 2)] * count, (gates * 2, 1), (gates * 2, 2), (gates * 2,), (gates * 2,)]
    leaves = tuple(tinydl.tensor(draw(*s, seed=k), requires_grad=True) for k, s in enumerate(shapes))
    rng = np.random.default_rng(7)
    options = {"mask": rng.integers(0, 2, (2, 2)) * 2.0, "held": (rng.random((3, 2, 2)) < 0.5, 0.25)[:count]}

    def call(*leaves):
        definition = getattr(ops, cell).op.composite
        return definition(*leaves, lengths=np.array([3, 2]), reverse=True, **options)

    assert gradcheck(call, leaves)
    assert gradgradcheck(call, leaves)


def test_padding_with_options_equals_single_sequences():
    layer = nn.LSTM(I, H, 2, bidirectional=True, peephole=True, proj_size=2, zoneout=0.3).double().eval()
    padded, lengths = draw(T, B, I), [4, 1, 3]
    output, last = layer(tinydl.tensor(padded), lengths=lengths)
    for b, n in enumerate(lengths):
        alone, end = layer(tinydl.tensor(padded[:n, b : b + 1]))
        np.testing.assert_allclose(output.array[:n, b], alone.array[:, 0], rtol=1e-12, atol=1e-14)
        for together, single in zip(last, end, strict=True):
            np.testing.assert_allclose(together.array[:, b], single.array[:, 0], rtol=1e-12, atol=1e-14)


def test_repr_names_the_options():
    layer = nn.LSTM(3, 4, peephole=True, forget_bias=1, recurrent_dropout=0.1, zoneout=(0.1, 0.5))
    assert repr(layer) == ("LSTM(3, 4, peephole=True, forget_bias=1.0, recurrent_dropout=0.1, zoneout=(0.1, 0.5))")


# ---------------------------------------------------------------------------------------------------------- cells


@pytest.mark.parametrize("name", LAYERS)
def test_a_cell_is_a_layer_of_one_step(name, x):
    layer, cell = LAYERS[name](I, H).double(), getattr(nn, f"{name}Cell")(I, H).double()
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    output, last = layer(tinydl.tensor(x))
    state = None
    for t in range(T):
        state = cell(tinydl.tensor(x[t]), state)
        np.testing.assert_allclose(states(state)[0].array, output.array[t], rtol=1e-12, atol=1e-14)
    for a, b in zip(states(state), states(last), strict=True):
        np.testing.assert_allclose(a.array, b.array[0], rtol=1e-12, atol=1e-14)


def test_a_state_that_is_no_pair_is_named():
    with pytest.raises(RuntimeError, match=r"LSTMCell: the state must be a pair \(h, c\)"):
        nn.LSTMCell(3, 4)(tinydl.zeros(2, 3), tinydl.zeros(2, 4))
