"""Recurrent models of piano-rolls: the likelihood is the papers', sums to one, and is what samples follow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.errors import ConfigError
from tinydl.random import Generator
from tinydl.training import collate

NAMES = ("tanh-rnn", "gru", "lstm", "lstm-nade")


@pytest.fixture(params=NAMES)
def build(request):
    """``build(seed, **options)``: a small model of each kind in turn, in evaluation mode."""

    def make(seed=0, **options):
        tinydl.manual_seed(seed)
        small = {"hidden": 6, "pitches": 3, **({"units": 5} if request.param == "lstm-nade" else {})}
        return registry.build(request.param, **{**small, **options}).eval()

    return make


def sharpened(model, scale=6.0):
    """Larger weights, so that the past matters."""
    with tinydl.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter * scale)
    return model


def rolls(*lengths, pitches=3, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((length, pitches)) < 0.5 for length in lengths]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def tanh_rnn(w, u, b_w, b_u, x, state):
    h = np.tanh(w @ x + b_w + u @ state[0] + b_u)
    return h, (h,)


def gru(w, u, b_w, b_u, x, state):
    (w_r, w_z, w_n), (u_r, u_z, u_n) = np.split(w @ x + b_w, 3), np.split(u @ state[0] + b_u, 3)
    r, z = sigmoid(w_r + u_r), sigmoid(w_z + u_z)
    h = (1 - z) * np.tanh(w_n + r * u_n) + z * state[0]
    return h, (h,)


def lstm(w, u, b_w, b_u, x, state):
    i, f, g, o = np.split(w @ x + b_w + u @ state[0] + b_u, 4)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, (h, c)


CELLS = {"tanh-rnn": tanh_rnn, "gru": gru, "lstm": lstm, "lstm-nade": lstm}


@pytest.mark.parametrize("layers", [1, 2])
def test_log_prob_is_the_recurrence_of_the_paper(build, layers):
    model = sharpened(build(layers=layers))
    (x,) = rolls(7)
    weight = {name: tensor.array.astype(np.float64) for name, tensor in model.state_dict().items()}
    state = [(np.zeros(6), np.zeros(6))] * layers
    expected, frame = [], np.zeros(3)
    for target in x:
        below = frame
        for k in range(layers):
            parameters = (weight[f"rnn.{part}_l{k}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            below, state[k] = CELLS[model.model_name](*parameters, below, state[k])
        logits = weight["output.weight"] @ state[-1][0] + weight["output.bias"]
        # What h_(t-1) says comes before x_t is read: the state above has read the frame before.
        a = weight["to_c.weight"] @ state[-1][0] + weight["to_c.bias"] if model.model_name == "lstm-nade" else None
        # The NADE of lstm-nade goes from the highest pitch down: its rows stand in that order.
        x_t = target[::-1] if a is not None else target
        terms = []
        for j in range(3):
            z = logits[j] + (weight["V"][j] @ sigmoid(a) if a is not None else 0)
            terms.append(np.log(sigmoid(z) if x_t[j] else 1 - sigmoid(z)))
            if a is not None and x_t[j]:
                a = a + weight["W"][j]
        expected.append(terms[::-1] if a is not None else terms)
        frame = target.astype(float)
    np.testing.assert_allclose(model.element_log_prob(x), expected, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(model.log_prob(x), np.sum(expected, 1), rtol=5e-5)


def test_probabilities_of_all_pieces_sum_to_one(build):
    model = sharpened(build())
    frames = list(itertools.product((False, True), repeat=3))
    pieces = [np.array(piece) for piece in itertools.product(frames, repeat=3)]  # 8^3 pieces of three frames
    total = np.exp(model.score(collate(pieces)).log_prob.sum(1)).sum()
    assert abs(total - 1) < 1e-5


def test_padding_and_neighbours_change_nothing(build):
    model = sharpened(build())
    pieces = rolls(2, 9, 5)
    score = model.score(collate(pieces))
    for piece, log_prob, prediction in zip(pieces, score.log_prob, score.prediction):
        np.testing.assert_allclose(log_prob[: len(piece)], model.log_prob(piece), rtol=1e-5)
        np.testing.assert_array_equal(prediction[: len(piece)], model.score(collate([piece])).prediction[0])


def test_loss_is_the_mean_over_predicted_frames(build):
    model = sharpened(build())
    pieces = rolls(4, 9, 6)
    batch = collate(pieces, skip=[0, 3, 1])
    chosen = np.concatenate([model.log_prob(piece)[skip:] for piece, skip in zip(pieces, (0, 3, 1))])
    assert len(chosen) == 4 + 6 + 5
    np.testing.assert_allclose(model.loss(batch).item(), -chosen.mean(), rtol=1e-5)


def test_gradient_ignores_padding(build):
    model = build()
    pieces = rolls(3, 8)
    model.loss(collate(pieces)).backward()
    alone = [p.grad.array.copy() for p in model.parameters()]
    model.zero_grad()
    (model.loss(collate(pieces[:1])) * (3 / 11) + model.loss(collate(pieces[1:])) * (8 / 11)).backward()
    for parameter, expected in zip(model.parameters(), alone):
        np.testing.assert_allclose(parameter.grad.array, expected, rtol=1e-4, atol=1e-6)


def test_every_dropout_acts_in_training_only(build):
    (x,) = rolls(30)
    names = ["input_dropout", "recurrent_dropout", "output_dropout"]
    if build().model_name == "lstm-nade":
        names.append("nade_dropout")
    for name in names:
        zero = dict.fromkeys(names, 0.0)
        model = build(**{**zero, name: 0.5})
        quiet = [model.loss(collate([x])).item() for _ in range(2)]
        assert quiet[0] == quiet[1]
        model.train()
        assert len({model.loss(collate([x])).item() for _ in range(5)}) == 5, name
    model = build(**zero).train()
    assert model.loss(collate([x])).item() == model.loss(collate([x])).item()


def test_it_starts_at_the_marginals(build):
    model = build(hidden=2)
    with tinydl.no_grad():
        model.output.weight.zero_()
    pieces = [np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]], bool)]
    model.prepare(pieces)
    p = 1 / (1 + np.exp(-model.output.bias.array))
    expected = [4 / 5, 2 / 5, 1 / 5]  # (count + 1) / (frames + 2)
    np.testing.assert_allclose(p, expected[::-1] if model.model_name == "lstm-nade" else expected, rtol=1e-6)


def test_the_order_of_a_nade_is_a_matter_of_naming_the_pitches():
    tinydl.manual_seed(3)
    small = {"hidden": 6, "units": 5, "pitches": 4}
    down, up = (registry.build("lstm-nade", **small, order=order).eval() for order in ("down", "up"))
    up.load_state_dict(down.state_dict())
    with tinydl.no_grad():  # what the LSTM reads is named by pitch in both
        up.rnn.weight_ih_l0.copy_(tinydl.from_numpy(down.rnn.weight_ih_l0.array[:, ::-1].copy()))
    (x,) = rolls(9, pitches=4)
    np.testing.assert_allclose(down.log_prob(x), up.log_prob(x[:, ::-1]), rtol=1e-5)
    np.testing.assert_allclose(down.element_log_prob(x), up.element_log_prob(x[:, ::-1])[:, ::-1], rtol=1e-5)
    np.testing.assert_array_equal(down.sample(1, 6, rng=Generator(2))[0], up.sample(1, 6, rng=Generator(2))[0][:, ::-1])


def test_samples_follow_the_likelihood(build):
    model = sharpened(build(pitches=2, hidden=4), 4.0)
    count = 6000
    seen: dict[bytes, int] = {}
    for piece in model.sample(count, 2, rng=Generator(5)):
        seen[piece.tobytes()] = seen.get(piece.tobytes(), 0) + 1
    frames = list(itertools.product((False, True), repeat=2))
    pieces = [np.array(piece) for piece in itertools.product(frames, repeat=2)]
    expected = count * np.exp(model.score(collate(pieces)).log_prob.sum(1))
    observed = np.array([seen.get(piece.tobytes(), 0) for piece in pieces])
    assert observed.sum() == count
    assert ((observed - expected) ** 2 / expected).sum() < 45  # 15 degrees of freedom: by chance once in 10,000


def test_same_seed_same_music_whatever_the_number(build):
    model = sharpened(build())
    three = model.sample(3, 8, rng=Generator(1))
    assert all((a == b).all() for a, b in zip(three, model.sample(5, 8, rng=Generator(1))))
    assert any((a != b).any() for a, b in zip(three, model.sample(3, 8, rng=Generator(2))))
    assert (three[0] != three[1]).any()
    assert three[0].dtype == np.bool_
    assert three[0].shape == (8, 3)


def test_a_primer_is_continued(build):
    model = sharpened(build(max_silence=10**6))
    (whole,) = model.sample(1, 9, temperature=0.0)
    (rest,) = model.sample(1, 5, temperature=0.0, condition={"primer": whole[:4]})
    np.testing.assert_array_equal(rest, whole[4:])
    np.testing.assert_array_equal(whole, model.score(collate([whole])).prediction[0])
    with pytest.raises(ValueError, match=r"roll \[T, 3\], but has the shape \(4, 2\)"):
        model.sample(1, 5, condition={"primer": whole[:4, :2]})


def test_temperature_spreads(build):
    model = build()
    model.output.bias.array[:] = 2.0
    notes = [np.mean(model.sample(50, 20, temperature=t, rng=Generator(0))) for t in (0.25, 1.0, 4.0)]
    assert notes[0] > 0.98 > notes[1] > 0.8 > notes[2] > 0.5


@pytest.mark.parametrize("longest", [0, 1, 3])
def test_silence_does_not_last(build, longest):
    model = build(max_silence=longest)
    model.output.bias.array[:] = -30.0  # left alone, silent for ever
    for roll in model.sample(3, 40, rng=Generator(0)):
        runs = [len(list(group)) for silent, group in itertools.groupby(~roll.any(1)) if silent]
        assert max(runs, default=0) == longest
        assert roll.any()


@pytest.mark.parametrize(
    "option", [{"hidden": 0}, {"layers": 0}, {"input_dropout": 1.0}, {"max_silence": -1}, {"lr": 0.0}]
)
def test_options_that_mean_nothing(build, option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        build(**option)


@pytest.mark.parametrize("option", [{"units": 0}, {"nade_dropout": 1.0}, {"order": "sideways"}])
def test_options_of_a_nade_that_mean_nothing(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        registry.build("lstm-nade", **option)


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_temperatures_that_mean_nothing(build, temperature):
    with pytest.raises(ConfigError, match="temperature must be 0"):
        build().sample(1, 4, temperature=temperature)
