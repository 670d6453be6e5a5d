"""Recurrent operations and layers, without PyTorch: kernels against definitions, gradients, lengths, shapes, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinydl
from tinydl import nn
from tinydl.autograd import gradcheck, gradgradcheck
from tinydl.kernels.threads import num_threads
from tinydl.ops import rnn as ops

CELLS = {"rnn_tanh": (1, 1), "rnn_relu": (1, 1), "gru": (3, 1), "lstm": (4, 2)}  # gates, states
MODULES = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


@pytest.fixture(autouse=True)
def one_thread():
    """The nets here are tiny and the calls many: waking threads would be most of the time."""
    with num_threads(1):
        yield


def inputs_of(cell, T=3, B=2, I=2, H=3, bias=True, dtype=np.float64, seed=0):
    """Random arrays in the order of the operation's arguments."""
    rng = np.random.default_rng(seed)
    gates, states = CELLS[cell]
    shapes = [(T, B, I), *[(B, H)] * states, (gates * H, I), (gates * H, H)]
    shapes += [(gates * H,)] * 2 if bias else []
    arrays = [tinydl.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in shapes]
    return arrays + ([] if bias else [None, None])


def run(function, arguments, lengths, reverse, seed=1):
    """Outputs and all gradients of a random weighting of them."""
    leaves = [None if a is None else tinydl.tensor(a.array, requires_grad=True) for a in arguments]
    outputs = function(*leaves, lengths=lengths, reverse=reverse)
    rng = np.random.default_rng(seed)
    loss = sum((out * tinydl.tensor(rng.standard_normal(out.shape).astype(out.dtype))).sum() for out in outputs)
    loss.backward()
    return [out.array for out in outputs], [None if leaf is None else leaf.grad.array for leaf in leaves]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_fused_equals_definition(cell, dtype, bias, reverse, ragged):
    op = getattr(ops, cell)
    tolerance = 2e-5 if dtype == np.float32 else 1e-11
    for T, B, I, H in ((1, 1, 1, 1), (5, 3, 4, 7), (4, 5, 2, 17)):
        arguments = inputs_of(cell, T, B, I, H, bias, dtype)
        lengths = np.arange(B, dtype=np.int64) * 7 % (T + 1) if ragged else None
        fused = run(op, arguments, lengths, reverse)
        defined = run(op.op.composite, arguments, lengths, reverse)
        for got, wanted in zip(fused[0] + fused[1], defined[0] + defined[1], strict=True):
            if wanted is None:
                assert got is None
                continue
            assert got.dtype == dtype
            np.testing.assert_allclose(
                got, wanted, rtol=tolerance, atol=tolerance * max(1, np.abs(wanted).max(initial=0))
            )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("reverse", "lengths"), [(False, None), (True, None), (False, [3, 1]), (True, [0, 2])])
def test_gradients_to_second_order(cell, reverse, lengths):
    lengths = None if lengths is None else np.array(lengths)
    arguments = inputs_of(cell)

    def call(*leaves):
        return getattr(ops, cell)(*leaves, lengths=lengths, reverse=reverse)

    assert gradcheck(call, tuple(arguments))
    if cell != "rnn_relu":  # whose slope has kinks
        assert gradgradcheck(call, tuple(inputs_of(cell, I=1, H=1)))


@pytest.mark.parametrize("cell", CELLS)
def test_one_tensor_in_several_slots(cell):
    """h0 is also c0, the two biases are one, W_ih is W_hh, the input's weight sits in its state."""
    gates, states = CELLS[cell]
    x, state, *_ = inputs_of(cell, I=3)
    weight, bias = inputs_of(cell, I=3)[1 + states], inputs_of(cell, I=3)[3 + states]

    def call(x, state, weight, bias):
        return getattr(ops, cell)(x, *[state] * states, weight, weight, bias, bias, lengths=None, reverse=False)

    assert gradcheck(call, (x, state, weight, bias))
    small = [tinydl.tensor(t.array[tuple(slice(n) for n in shape)], requires_grad=True) for t, shape in (
        (x, (2, 1, 2)), (state, (1, 2)), (weight, (gates * 2, 2)), (bias, (gates * 2,)))]  # fmt: skip
    if cell != "rnn_relu":
        assert gradgradcheck(call, tuple(small))


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_that_flows_into_one_output_only(cell):
    arguments = inputs_of(cell)
    outputs = len(getattr(ops, cell).op.public)
    for k in range(outputs):
        assert gradcheck(lambda *a, k=k: getattr(ops, cell)(*a, lengths=None, reverse=False)[k], tuple(arguments))


@settings(max_examples=8, deadline=None)
@given(
    cell=st.sampled_from(sorted(CELLS)), T=st.integers(1, 4), B=st.integers(1, 3), I=st.integers(1, 3),
    H=st.integers(1, 3), reverse=st.booleans(), data=st.data(),
)  # fmt: skip
def test_gradients_of_any_shape(cell, T, B, I, H, reverse, data):
    lengths = np.array(data.draw(st.lists(st.integers(0, T), min_size=B, max_size=B)))
    arguments = inputs_of(cell, T, B, I, H)
    assert gradcheck(lambda *a: getattr(ops, cell)(*a, lengths=lengths, reverse=reverse), tuple(arguments))


# ------------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_shapes(name, batch_first, bidirectional):
    layer = MODULES[name](3, 5, num_layers=2, batch_first=batch_first, bidirectional=bidirectional)
    D = 2 if bidirectional else 1
    x = tinydl.zeros(*((4, 7, 3) if batch_first else (7, 4, 3)))
    output, state = layer(x)
    assert output.shape == x.shape[:2] + (D * 5,)
    for h in state if name == "LSTM" else [state]:
        assert h.shape == (2 * D, 4, 5)
    output, state = layer(tinydl.zeros(7, 3))
    assert output.shape == (7, D * 5)
    for h in state if name == "LSTM" else [state]:
        assert h.shape == (2 * D, 5)


def test_parameter_names_shapes_and_init():
    layer = nn.LSTM(3, 16, 2, bidirectional=True)
    assert {name: parameter.shape for name, parameter in layer.named_parameters()} == {
        "weight_ih_l0": (64, 3), "weight_hh_l0": (64, 16), "bias_ih_l0": (64,), "bias_hh_l0": (64,),
        "weight_ih_l0_reverse": (64, 3), "weight_hh_l0_reverse": (64, 16),
        "bias_ih_l0_reverse": (64,), "bias_hh_l0_reverse": (64,),
        "weight_ih_l1": (64, 32), "weight_hh_l1": (64, 16), "bias_ih_l1": (64,), "bias_hh_l1": (64,),
        "weight_ih_l1_reverse": (64, 32), "weight_hh_l1_reverse": (64, 16),
        "bias_ih_l1_reverse": (64,), "bias_hh_l1_reverse": (64,),
    }  # fmt: skip
    largest = max(np.abs(parameter.array).max() for parameter in layer.parameters())
    assert 0.24 < largest <= 0.25
    assert list(nn.GRU(3, 4, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padded_batch_equals_single_sequences(name, bidirectional):
    tinydl.manual_seed(0)
    layer = MODULES[name](3, 4, num_layers=2, bidirectional=bidirectional).double()
    rng = np.random.default_rng(0)
    lengths = [5, 1, 3]
    padded = rng.standard_normal((5, 3, 3))  # what stands beyond the lengths is noise, and must not matter
    output, state = layer(tinydl.tensor(padded), lengths=lengths)
    for b, length in enumerate(lengths):
        alone, last = layer(tinydl.tensor(padded[:length, b : b + 1]))
        np.testing.assert_allclose(output.array[:length, b], alone.array[:, 0], rtol=1e-12, atol=1e-14)
        assert not output.array[length:, b].any()
        for together, single in zip(
            state if name == "LSTM" else [state], last if name == "LSTM" else [last], strict=True
        ):
            np.testing.assert_allclose(together.array[:, b], single.array[:, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", MODULES)
def test_state_can_be_carried_over_a_cut(name):
    layer = MODULES[name](3, 4, num_layers=2).double()
    x = tinydl.tensor(np.random.default_rng(1).standard_normal((6, 2, 3)))
    whole, last = layer(x)
    first, state = layer(x[:4])
    second, end = layer(x[4:], state)
    np.testing.assert_allclose(whole.array, np.concatenate([first.array, second.array]), rtol=1e-12)
    for a, b in zip(last if name == "LSTM" else [last], end if name == "LSTM" else [end], strict=True):
        np.testing.assert_allclose(a.array, b.array, rtol=1e-12)


def test_dropout_acts_between_layers_in_training_only():
    layer = nn.GRU(3, 8, num_layers=2, dropout=0.5)
    x = tinydl.ones(4, 2, 3)
    tinydl.manual_seed(1)
    first = layer(x)[0].array
    assert not np.array_equal(first, layer(x)[0].array)
    tinydl.manual_seed(1)
    assert np.array_equal(first, layer(x)[0].array)
    layer.eval()
    assert np.array_equal(layer(x)[0].array, layer(x)[0].array)


def test_gradients_reach_every_parameter_of_a_stack():
    layer = nn.LSTM(2, 2, num_layers=2, bidirectional=True, batch_first=True).double()
    parameters = list(layer.parameters())
    x = tinydl.tensor(np.random.default_rng(2).standard_normal((2, 3, 2)), requires_grad=True)

    def call(x, *values):
        for (name, _), value in zip(layer.named_parameters(), values, strict=True):
            layer.__dict__[name] = value
        output, (h, c) = layer(x, lengths=[3, 2])
        return output, h, c

    assert gradcheck(call, (x, *parameters))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.LSTM(3, 4)(tinydl.zeros(5, 2, 7)),
            RuntimeError,
            r"Expected 3, got 7: the input has shape \(5, 2, 7\) \(in LSTM\)",
        ),
        (lambda: nn.LSTM(3, 4)(tinydl.zeros(3)), ValueError, "LSTM: Expected input to be 2D or 3D, got 1D instead"),
        (
            lambda: nn.RNN(3, 4)(tinydl.zeros(3)),
            ValueError,
            "RNN: Expected input to be 2D or 3D, got 1D tensor instead",
        ),
        (lambda: nn.LSTM(3, 4)(tinydl.zeros(0, 2, 3)), RuntimeError, "sequence length to be larger than 0"),
        (
            lambda: nn.GRU(3, 4)(tinydl.zeros(5, 2, 3), tinydl.zeros(2, 2, 4)),
            RuntimeError,
            r"Expected hidden size \(1, 2, 4\), got \[2, 2, 4\]",
        ),
        (
            lambda: nn.LSTM(3, 4)(tinydl.zeros(5, 2, 3), (tinydl.zeros(1, 2, 4), tinydl.zeros(1, 3, 4))),
            RuntimeError,
            r"Expected hidden\[1\] size \(1, 2, 4\), got \[1, 3, 4\]",
        ),
        (lambda: nn.LSTM(3, 4)(tinydl.zeros(5, 2, 3), tinydl.zeros(1, 2, 4)), RuntimeError, "must be a pair"),
        (
            lambda: nn.GRU(3, 4)(tinydl.zeros(5, 2, 3, dtype=tinydl.float64)),
            ValueError,
            r"RNN input dtype \(float64\) does not match weight dtype \(float32\). Convert input: input.to\(float32\)",
        ),
        (
            lambda: nn.GRU(3, 4)(tinydl.zeros(5, 2, 3), tinydl.zeros(1, 2, 4, dtype=tinydl.float64)),
            RuntimeError,
            "must have the same dtype, but got float64 and float32",
        ),
        (
            lambda: nn.GRU(3, 4)(tinydl.zeros(5, 2, 3), tinydl.zeros(2, 4)),
            RuntimeError,
            "For batched 3-D input, hx should also be 3-D but got 2-D tensor",
        ),
        (
            lambda: nn.GRU(3, 4)(tinydl.zeros(5, 3), tinydl.zeros(1, 2, 4)),
            RuntimeError,
            "For unbatched 2-D input, hx should also be 2-D but got 3-D tensor",
        ),
        (
            lambda: nn.LSTM(3, 4)(tinydl.zeros(5, 2, 3), (tinydl.zeros(2, 4), tinydl.zeros(2, 4))),
            RuntimeError,
            r"For batched 3-D input, hx and cx should also be 3-D but got \(2-D, 2-D\) tensors",
        ),
        (
            lambda: nn.GRU(3, 4)(tinydl.zeros(5, 2, 3), lengths=[5]),
            ValueError,
            "one integer for each of the 2 sequences",
        ),
        (lambda: nn.GRU(3, 4)(tinydl.zeros(5, 2, 3), lengths=[5, 6]), ValueError, "between 0 and the 5 steps"),
        (lambda: nn.GRU(3, 4, 2, dropout=1.5), ValueError, r"range \[0, 1\]"),
        (lambda: nn.GRU(3, 4, dropout=True), ValueError, r"range \[0, 1\]"),
        (lambda: nn.GRU(3, 4, zoneout=-0.1), ValueError, r"zoneout should be a number in range \[0, 1\]"),
        (lambda: nn.GRU(3, 4, zoneout=(0.1, 0.2)), ValueError, "one for each of 1 states"),
        (lambda: nn.GRU(3, 4, recurrent_dropout=2), ValueError, "recurrent_dropout should be a number in range"),
        (lambda: nn.GRU(3, 4, bias=1), TypeError, "bias should be of type bool, got: int"),
        (lambda: nn.GRU(3, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.GRU(0, 4), ValueError, "input_size must be greater than zero"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size has to be smaller than hidden_size"),
        (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError, "proj_size should be a positive integer or zero"),
        (lambda: nn.LSTM(3, 4, bias=False, forget_bias=1.0), ValueError, "forget_bias=1.0 needs a bias"),
        (lambda: nn.RNNCell(3, 4)(tinydl.zeros(2, 5)), RuntimeError, "inconsistent input_size: got 5 expected 3"),
        (
            lambda: nn.GRUCell(3, 4)(tinydl.zeros(2, 3), tinydl.zeros(3, 4)),
            RuntimeError,
            "Input batch size 2 doesn't match hidden0 batch size 3",
        ),
        (
            lambda: nn.LSTMCell(3, 4)(tinydl.zeros(2, 3), (tinydl.zeros(2, 4), tinydl.zeros(2, 5))),
            RuntimeError,
            "hidden1 has inconsistent hidden_size: got 5, expected 4",
        ),
        (lambda: nn.GRUCell(3, 4)(tinydl.zeros(1, 2, 3)), ValueError, "GRUCell: Expected input to be 1D or 2D, got 3D"),
        (
            lambda: nn.LSTMCell(3, 4)(tinydl.zeros(3), (tinydl.zeros(1, 1, 4), tinydl.zeros(4))),
            ValueError,
            r"LSTMCell: Expected hx\[0\] to be 1D or 2D, got 3D",
        ),
        (
            lambda: nn.GRUCell(3, 4)(tinydl.zeros(2, 3, dtype=tinydl.float64)),
            RuntimeError,
            "must have the same dtype, but got float64 and float32",
        ),
        (lambda: nn.RNNCell(3, 4, nonlinearity="gelu")(tinydl.zeros(3)), RuntimeError, "Unknown nonlinearity: gelu"),
        (lambda: nn.GRU(3.0, 4), TypeError, "input_size should be of type int, got: float"),
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "Unknown nonlinearity 'gelu'"),
    ],
)
def test_errors_name_the_thing(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", MODULES)
def test_dropout_of_one_layer_warns_as_in_pytorch(name):
    with pytest.warns(UserWarning, match="num_layers greater than 1, but got dropout=0.5 and num_layers=1"):
        layer = MODULES[name](3, 4, dropout=0.5)
    x = tinydl.ones(4, 2, 3)
    assert np.array_equal(layer(x)[0].array, layer(x)[0].array)


@pytest.mark.parametrize("noise", [np.nan, np.inf])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_what_stands_in_the_padding_reaches_no_gradient(cell, reverse, noise):
    op, lengths = getattr(ops, cell), np.array([1, 3, 0])
    clean = inputs_of(cell, 3, 3)
    clean[0].array[np.arange(3)[:, None] >= lengths] = 0
    noisy = [tinydl.tensor(a.array.copy()) for a in clean]
    noisy[0].array[np.arange(3)[:, None] >= lengths] = noise
    wanted = run(op, clean, lengths, reverse)
    for function in (op, op.op.composite):
        got = run(function, noisy, lengths, reverse)
        for one, other in zip(got[0] + got[1], wanted[0] + wanted[1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_second_derivatives_are_finite_with_nan_in_the_padding():
    layer = nn.LSTM(2, 3).double()
    x = tinydl.tensor(np.random.default_rng(4).standard_normal((3, 2, 2)), requires_grad=True)
    x.array[2, 0] = np.nan
    output, _ = layer(x, lengths=[2, 3])
    (first,) = tinydl.autograd.grad((output**2).sum(), x, create_graph=True)
    (first**2).sum().backward()
    for tensor in (x, *layer.parameters()):
        assert np.isfinite(tensor.grad.array).all()
    assert not x.grad.array[2, 0].any()


@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_lengths_may_be_refilled_before_backward(kind):
    layer = nn.GRU(2, 3).double()
    x = tinydl.tensor(np.random.default_rng(5).standard_normal((4, 2, 2)), requires_grad=True)
    gradients = []
    for refill in (False, True):
        lengths = np.array([2, 3])
        output, _ = layer(x, lengths=tinydl.from_numpy(lengths) if kind == "tensor" else lengths)
        if refill:
            lengths[:] = 4
        x.grad = None
        (output**2).sum().backward()
        gradients.append(x.grad.array)
    np.testing.assert_array_equal(*gradients)


def test_repr():
    assert repr(nn.LSTM(3, 4, 2, batch_first=True, dropout=0.1, bidirectional=True)) == (
        "LSTM(3, 4, num_layers=2, batch_first=True, dropout=0.1, bidirectional=True)"
    )
    assert repr(nn.GRU(3, 4, bias=False)) == "GRU(3, 4, bias=False)"
