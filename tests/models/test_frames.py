"""RBM, NADE, VAE, RNN-RBM and RTRBM: likelihoods sum to one, AIS finds what enumeration finds, bounds lie below,
gradients and samples are theirs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.autograd import gradcheck
from tinydl.errors import ConfigError
from tinydl.models import rbm, vae
from tinydl.random import Generator
from tinydl.training import ElementDensity, collate

SMALL = {
    "nade": {"units": 5, "pitches": 4},
    "rbm": {"units": 5, "pitches": 4, "chains": 200, "temperatures": 200, "draws": 50},
    "vae": {"units": 6, "pitches": 4, "latent": 2, "samples": 2000},
    "rtrbm": {"units": 5, "hidden": 5, "pitches": 4, "chains": 200, "temperatures": 100, "gibbs": 60},
    "rnn-rbm": {"units": 5, "pitches": 4, "hidden": 6, "chains": 200, "temperatures": 100, "gibbs": 60},
}
WITH_MEMORY = ("rnn-rbm", "rtrbm")


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


def build(name, seed=0, scale=1.0, **options):
    """A small model in evaluation mode with weights that matter."""
    tinydl.manual_seed(seed)
    model = registry.build(name, **{**SMALL[name], **options}).eval()
    with tinydl.no_grad():
        for key, parameter in model.named_parameters():
            spread = 1.5 if key in ("W", "V") else 0.2 if key.startswith("encoder") else 0.7
            parameter.copy_(scale * spread * tinydl.randn(*parameter.shape))
    return model


def frames_of(pitches):
    return np.array(list(itertools.product((False, True), repeat=pitches)))


def rolls(*lengths, pitches=4, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((length, pitches)) < 0.4 for length in lengths]


def arrays(*tensors):
    return [tensor.detach().numpy().astype(np.float64) for tensor in tensors]


def energies(W, b, c):
    """-E(v, h) of all v and h, as the paper has it."""
    v, h = frames_of(len(b)).astype(float), frames_of(len(c)).astype(float)
    return (v @ b)[:, None] + (h @ c)[None, :] + v @ W.T @ h.T


def exact(W, b, c):
    """ln p of every frame, in the order of ``frames_of``."""
    joint = np.logaddexp.reduce(energies(W, b, c), axis=1)
    return joint - np.logaddexp.reduce(joint)


# -- likelihood --------------------------------------------------------------------------------------------------------


def test_probabilities_of_all_frames_sum_to_one(name):
    model = build(name)
    pieces = [frame[None] for frame in frames_of(4)]
    total = np.exp(model.score(collate(pieces)).log_prob[:, 0]).sum()
    assert abs(total - 1) < (1e-5 if name == "nade" else 0.02)


def test_an_rbm_is_its_energy():
    model = build("rbm")
    found = model.frame_log_prob(frames_of(4))
    np.testing.assert_allclose(found, exact(*arrays(model.W, model.b, model.c)), atol=0.01)


@pytest.mark.parametrize("size", [(3, 6), (6, 3), (1, 1)])
def test_the_partition_function_is_the_sum_over_both_layers(size):
    D, P = size
    rng = np.random.default_rng(1)
    W, b, c = rng.standard_normal((D, P)), rng.standard_normal(P), rng.standard_normal(D)
    expected = np.logaddexp.reduce(energies(W, b, c).ravel())
    assert rbm.exact_log_partition(W, b, c) == pytest.approx(expected, rel=1e-12)


def test_a_large_machine_is_not_enumerated():
    with pytest.raises(ValueError, match="at most 20 units of a layer, but the smaller one has 21"):
        rbm.exact_log_partition(np.zeros((21, 30)), np.zeros(30), np.zeros(21))


def test_free_energy_and_its_gradient():
    rng = np.random.default_rng(2)
    W, b, c = rng.standard_normal((3, 4)), rng.standard_normal((2, 4)), rng.standard_normal((2, 3))
    v = np.array([[1.0, 0, 1, 1], [0, 0, 1, 0]])
    made = [tinydl.tensor(x, dtype=tinydl.float64, requires_grad=True) for x in (W, b, c)]
    for row in range(2):
        at = int(np.flatnonzero((frames_of(4) == v[row]).all(1))[0])
        expected = np.logaddexp.reduce(energies(W, b[row], c[row])[at])
        found = rbm.free_energy(tinydl.tensor(v, dtype=tinydl.float64), *made)[row].item()
        assert -found == pytest.approx(expected, rel=1e-12)
    assert gradcheck(lambda *p: rbm.free_energy(tinydl.tensor(v, dtype=tinydl.float64), *p), made)


def annealing(scale, seed=3, chains=300, temperatures=600):
    """A machine of 12 x 12 units: what AIS says of ln Z, forth and back, and what enumeration says."""
    tinydl.manual_seed(seed)
    model = registry.build("rbm", units=12, pitches=12, draws=300)
    with tinydl.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * tinydl.randn(*parameter.shape))
    below, above = model.bracket(rolls(50, pitches=12)[0], chains, temperatures)
    return model, below, above, rbm.exact_log_partition(*arrays(model.W, model.b, model.c))


def test_annealing_finds_the_partition_function():
    model, below, above, expected = annealing(1.0)
    for found in (below, above):
        assert abs(found.log[0] - expected) < 4 * found.error[0]
        assert 0 < found.error[0] < 0.02
    twice = model.log_partition(300, 1200)
    assert abs(twice.log[0] - below.log[0]) < 0.02


@pytest.mark.parametrize("seed", [3, 4])
def test_too_few_temperatures_are_seen(seed):
    """Modes far apart, one step: the two directions do not meet, and the truth lies between them."""
    _, below, above, expected = annealing(3.0, seed, chains=50, temperatures=1)
    assert below.log[0] < expected - 1 and above.log[0] > expected + 1


def test_every_frame_of_an_rnn_rbm_has_a_partition_function_of_its_own():
    model = build("rnn-rbm")
    (x,) = rolls(7)
    weight = {key: tensor.array.astype(np.float64) for key, tensor in model.state_dict().items()}
    u, expected, read = np.zeros(6), [], np.zeros(4)
    for frame in x:
        u = np.tanh(
            weight["rnn.weight_ih_l0"] @ read + weight["rnn.bias_ih_l0"] + weight["rnn.weight_hh_l0"] @ u
            + weight["rnn.bias_hh_l0"]
        )  # fmt: skip
        read = frame.astype(float)
        b = weight["output.bias"] + weight["output.weight"] @ u
        c = weight["to_c.bias"] + weight["to_c.weight"] @ u
        at = int(np.flatnonzero((frames_of(4) == frame).all(1))[0])
        expected.append(exact(weight["W"], b, c)[at])
    np.testing.assert_allclose(model.log_prob(x), expected, atol=0.06)
    assert np.ptp(expected) > 5


def test_an_rtrbm_remembers_by_its_hidden_units():
    model = build("rtrbm")
    (x,) = rolls(7)
    weight = {key: tensor.array.astype(np.float64) for key, tensor in model.state_dict().items()}
    assert set(weight) == {"W", "output.weight", "output.bias", "to_c.weight", "to_c.bias"}
    u, expected, read = np.zeros(5), [], np.zeros(4)
    for frame in x:
        u = 1 / (1 + np.exp(-(weight["W"] @ read + weight["to_c.weight"] @ u + weight["to_c.bias"])))
        read = frame.astype(float)
        b = weight["output.bias"] + weight["output.weight"] @ u
        c = weight["to_c.bias"] + weight["to_c.weight"] @ u
        at = int(np.flatnonzero((frames_of(4) == frame).all(1))[0])
        expected.append(exact(weight["W"], b, c)[at])
    np.testing.assert_allclose(model.log_prob(x), expected, atol=0.06)
    assert np.ptp(expected) > 3


def test_padding_and_neighbours_change_nothing(name):
    model = build(name)
    pieces = rolls(2, 9, 5)
    score = model.score(collate(pieces))
    for piece, log_prob, prediction in zip(pieces, score.log_prob, score.prediction):
        # An estimate draws other chains beside other frames.
        np.testing.assert_allclose(
            log_prob[: len(piece)], model.log_prob(piece), atol=0.1 if name in (*WITH_MEMORY, "vae") else 1e-5
        )
        np.testing.assert_array_equal(prediction[: len(piece)], model.score(collate([piece])).prediction[0])
        np.testing.assert_array_equal(model.log_prob(piece), model.log_prob(piece))


def test_notes_add_up_where_they_have_an_order(name):
    model = build(name)
    (x,) = rolls(5)
    assert isinstance(model, ElementDensity) == (model.density == "exact") == (name == "nade")
    if name == "nade":
        np.testing.assert_allclose(model.element_log_prob(x).sum(1), model.log_prob(x), rtol=1e-5)


def test_nade_is_the_equations_of_the_paper():
    model = build("nade")
    V, W, b, c = arrays(model.V, model.W, model.b, model.c)
    (x,) = rolls(6)
    for frame, found in zip(x[:, ::-1], model.log_prob(x)):
        a, total = c.copy(), 0.0
        for k in range(4):
            p = 1 / (1 + np.exp(-(b[k] + V[k] @ (1 / (1 + np.exp(-a))))))
            total += np.log(p if frame[k] else 1 - p)
            a += frame[k] * W[k]
        assert found == pytest.approx(total, rel=1e-4)


def integrated(model):
    """ln p of every frame of a VAE of two latent numbers, on a fine grid of them."""
    z = np.linspace(-7, 7, 141)
    grid = np.stack(np.meshgrid(z, z), -1).reshape(-1, 2)
    with tinydl.no_grad():
        logits = model.decode(tinydl.from_numpy(grid.astype(np.float32))).numpy().astype(np.float64)
    log_prior = -(grid**2).sum(1) / 2 - np.log(2 * np.pi) + 2 * np.log(z[1] - z[0])
    x = frames_of(4)[:, None]
    log_p = np.where(x, -np.logaddexp(0, -logits), -np.logaddexp(0, logits)).sum(-1)
    return np.logaddexp.reduce(log_p + log_prior, axis=1)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_bounds_of_a_vae_lie_below_and_close_in(layers):
    model = build("vae", layers=layers)
    assert sum(isinstance(part, tinydl.nn.Tanh) for part in model.decoder) == layers
    truth, x = integrated(model), frames_of(4)
    assert np.exp(truth).sum() == pytest.approx(1, abs=1e-4)
    many = np.repeat(x, 4000, axis=0)  # the mean over draws of a bound from few of them
    bounds = [model.bound(many, k).reshape(16, -1).mean(1) for k in (1, 4, 16)]
    assert (bounds[0] < bounds[1] - 0.01).all() and (bounds[1] < bounds[2]).all() and (bounds[2] < truth + 0.02).all()
    np.testing.assert_allclose(model.bound(x, 20_000), truth, atol=0.05)
    costs = model.cost(many).detach().numpy().reshape(16, -1).mean(1)  # with the divergence in closed form
    np.testing.assert_allclose(-costs, bounds[0], atol=0.08)


def test_the_divergence_of_two_normal_distributions():
    rng = np.random.default_rng(0)
    mu, log_variance = rng.standard_normal((2, 1, 3))
    z = mu + np.exp(log_variance / 2) * (eps := rng.standard_normal((400_000, 3)))
    drawn = ((z**2 - eps**2 - log_variance) / 2).sum(1).mean()
    made = [tinydl.tensor(a, dtype=tinydl.float64, requires_grad=True) for a in (mu, log_variance)]
    assert vae.divergence(*made).item() == pytest.approx(drawn, abs=0.02)
    assert gradcheck(vae.divergence, made)


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"persistent": 4000}])
def test_the_gradient_of_sampling_is_that_of_the_likelihood(options):
    """Chains long enough to forget where they began: the mean of 4000 is the exact gradient but for 1 / sqrt(4000)."""
    model = build("rbm", gibbs=60, **options).train()
    W, b, c = arrays(model.W, model.b, model.c)
    data = np.repeat(frames_of(4)[[3, 5, 6, 12]], 1000, axis=0)
    model.loss(collate([data])).backward()
    v, p = frames_of(4).astype(float), np.exp(exact(W, b, c))
    h = 1 / (1 + np.exp(-(c + v @ W.T)))
    seen = np.array([(data == frame).all(1).mean() for frame in frames_of(4)])
    expected = {"b": (p - seen) @ v, "c": (p - seen) @ h, "W": np.einsum("n,nd,np->dp", p - seen, h, v)}
    for key, parameter in model.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), expected[key], atol=0.04)
    assert np.abs(expected["W"]).max() > 0.2


def test_persistent_chains_go_on():
    model = build("rbm", gibbs=1, persistent=30).train()
    before = model.particles.numpy().copy()
    model.loss(collate(rolls(5)))
    after = model.particles.numpy().copy()
    assert (before != after).any() and set(np.unique(after)) <= {0.0, 1.0}
    assert "particles" in model.state_dict()
    model.loss(collate(rolls(5)))
    assert (model.particles.numpy() != after).any()


def test_training_learns_what_hangs_together(name):
    """Notes 0 and 1 sound together or not at all: independent notes are 2 ln 2 a frame from certain of it, a model that
    sees it is half as far."""
    few = {"gibbs": 5, "chains": 20, "temperatures": 50} if name.endswith("rbm") else {}
    model = build(name, scale=0.1, **few)
    rng = np.random.default_rng(0)
    pair = rng.random((400, 1)) < 0.5
    data = np.concatenate([pair, pair, np.zeros((400, 1), bool), np.ones((400, 1), bool)], axis=1)
    optimizer = tinydl.optim.Adam(model.parameters(), lr=0.05)
    wrong = -model.eval().score(collate([data])).log_prob.mean()
    for _ in range(150):
        optimizer.zero_grad()
        model.train().loss(collate([data[:100], data[100:200], data[200:]])).backward()
        optimizer.step()
    right = -model.eval().score(collate([data])).log_prob.mean()
    assert right < np.log(2) + 0.15 < 2 * np.log(2) < wrong


def test_what_lies_behind_a_piece_changes_no_gradient(name):
    model = build(name, **({"gibbs": 1} if name.endswith("rbm") else {})).train()
    (x,) = rolls(6)
    batch = collate([x, x[:3]])
    junk = replace(batch, data=batch.data.copy())
    junk.data[1, 3:] = True
    found = []
    for one in (batch, junk):
        tinydl.manual_seed(5)  # the same draws for the same frames
        model.zero_grad()
        loss = model.loss(one)
        loss.backward()
        found.append([loss.item(), *(p.grad.numpy().copy() for p in model.parameters())])
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)
    assert any(np.any(gradient) for gradient in found[0][1:])


def test_the_loss_of_a_nade_is_the_mean_over_predicted_frames():
    model = build("nade")
    (x,) = rolls(6)
    both = model.loss(collate([x, x[:3]])).item()
    assert both == pytest.approx(-np.concatenate([model.log_prob(x), model.log_prob(x[:3])]).mean(), rel=1e-5)
    skipped = model.loss(collate([x], skip=[2])).item()
    assert skipped == pytest.approx(-model.log_prob(x)[2:].mean(), rel=1e-5)


def test_they_start_at_the_marginals(name):
    tinydl.manual_seed(0)
    model = registry.build(name, **SMALL[name])
    pieces = [np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]], bool)]
    model.prepare(pieces)
    bias = dict(model.named_parameters())["output.bias" if name in WITH_MEMORY else "b"]
    p = 1 / (1 + np.exp(-bias.detach().numpy()))
    expected = np.array([4, 2, 1, 2]) / 5
    np.testing.assert_allclose(p, expected[::-1] if name == "nade" else expected, rtol=1e-6)
    with pytest.raises(ConfigError, match="the data have 5 pitches, but the option 'pitches' is 4"):
        model.prepare(rolls(3, pitches=5))


# -- sampling ----------------------------------------------------------------------------------------------------------


def test_samples_follow_the_likelihood(name):
    model = build(name, pitches=3)
    count = 4000
    drawn = np.concatenate(model.sample(*((count, 1) if name in WITH_MEMORY else (4, count // 4)), rng=Generator(4)))
    observed = np.array([(drawn == frame).all(1).sum() for frame in frames_of(3)])
    expected = count * np.exp(model.score(collate([frame[None] for frame in frames_of(3)])).log_prob[:, 0])
    assert observed.sum() == count
    assert ((observed - expected) ** 2 / expected).sum() < 30  # 7 degrees of freedom: by chance once in 10,000


def test_same_seed_same_music_whatever_the_number(name):
    model = build(name)
    three = model.sample(3, 8, rng=Generator(1))
    assert all((a == b).all() for a, b in zip(three, model.sample(5, 8, rng=Generator(1))))
    assert any((a != b).any() for a, b in zip(three, model.sample(3, 8, rng=Generator(2))))
    assert (three[0] != three[1]).any()
    assert three[0].dtype == np.bool_ and three[0].shape == (8, 4)


def test_cold_samples_are_the_predicted_frames(name):
    model = build(name, **({"max_silence": 1000} if name in WITH_MEMORY else {}))
    (cold,) = model.sample(1, 6, temperature=0.0)
    np.testing.assert_array_equal(cold, model.score(collate([cold])).prediction[0])


def test_silence_of_an_rnn_rbm_does_not_last():
    model = build("rnn-rbm", max_silence=2, gibbs=3)
    with tinydl.no_grad():
        model.W.zero_()
        model.output.bias.copy_(tinydl.full((4,), -30.0))
        model.output.weight.zero_()
    for temperature in (0.0, 1.0):
        for roll in model.sample(2, 12, temperature=temperature, rng=Generator(0)):
            runs = [len(list(group)) for silent, group in itertools.groupby(~roll.any(1)) if silent]
            assert max(runs) == 2


@pytest.mark.parametrize(
    "name, option",
    [("nade", {"units": 0}), ("rbm", {"gibbs": 0}), ("rbm", {"chains": 1}), ("rbm", {"persistent": -1}),
     ("rbm", {"draws": 0}), ("rnn-rbm", {"temperatures": 0}), ("rnn-rbm", {"units": 0}), ("nade", {"pitches": 0}),
     ("rtrbm", {"hidden": 151}), ("rtrbm", {"layers": 2})],
)  # fmt: skip
def test_options_that_mean_nothing(name, option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        registry.build(name, **option)
