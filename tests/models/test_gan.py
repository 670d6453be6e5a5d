"""GAN and IMLE: the objectives are their equations, the penalty's gradient goes through backward twice, and what is
learned is the distribution of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import tinydl
from tinydl import nn, registry
from tinydl.autograd import gradcheck
from tinydl.data import load
from tinydl.errors import ConfigError
from tinydl.measures import MEASURES, Reference, features, texture
from tinydl.measures.baselines import independent_voices, noise
from tinydl.models import gan, imle
from tinydl.random import Generator
from tinydl.training import Trainer, collate

F64 = {"dtype": tinydl.float64}


def column(*values, grad=True):
    return tinydl.tensor(values, requires_grad=grad, **F64)


# -- objectives --------------------------------------------------------------------------------------------------------


def test_objectives_are_their_equations():
    f, g = np.array([2.0, -1.0, 0.5]), np.array([-3.0, 0.25])
    D, DG = 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-g))
    real, fake = column(*f), column(*g)
    assert gan.discrimination(real, fake).item() == pytest.approx(-np.log(D).mean() - np.log(1 - DG).mean(), rel=1e-12)
    assert gan.minimax(fake).item() == pytest.approx(np.log(1 - DG).mean(), rel=1e-12)
    assert gan.non_saturating(fake).item() == pytest.approx(-np.log(DG).mean(), rel=1e-12)
    assert gan.wasserstein(fake).item() == pytest.approx(-g.mean(), rel=1e-12)
    for loss in gan.OBJECTIVES.values():
        assert gradcheck(loss, [fake])
    assert gradcheck(gan.discrimination, [real, fake])


def test_where_the_critic_is_sure_the_minimax_gradient_vanishes_and_the_other_does_not():
    for loss, expected in ((gan.minimax, 0.0), (gan.non_saturating, -1.0), (gan.wasserstein, -1.0)):
        f = column(-20.0)
        loss(f).backward()
        assert f.grad.item() == pytest.approx(expected, abs=1e-8)
    f = column(-20.0)
    gan.minimax(f).backward()
    assert f.grad.item() == pytest.approx(-1 / (1 + np.exp(20.0)), rel=1e-9)


def test_the_best_discriminator_is_the_share_of_the_data():
    """On three points with p and g known, D = p / (p + g) is where the gradient of the loss is 0."""
    p, g = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    f = tinydl.tensor(np.log(p / g), requires_grad=True, **F64)
    weighted = tinydl.tensor(10 * p, **F64).to(tinydl.int64), tinydl.tensor(10 * g + 1e-9, **F64).to(tinydl.int64)
    real, fake = (tinydl.repeat_interleave(f, times) for times in weighted)
    gan.discrimination(real, fake).backward()
    np.testing.assert_allclose(f.grad.numpy(), 0, atol=1e-12)


# -- the penalty -------------------------------------------------------------------------------------------------------


def critic_of(*shape):
    tinydl.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 5), nn.Tanh(), nn.Linear(5, 1))
    return net.to(tinydl.float64)


def test_the_penalty_is_that_of_the_norm_at_points_between():
    slope = tinydl.tensor([[3.0], [4.0]], **F64)
    x, y = tinydl.zeros(6, 2, **F64), tinydl.ones(6, 2, **F64)
    e = tinydl.rand(6, **F64)
    assert gan.gradient_penalty(lambda u: u @ slope, x, y, e).item() == pytest.approx((5 - 1) ** 2, rel=1e-12)
    at = []

    def parabola(u):
        at.append(u)
        return (u**2).sum(1) / 2  # the gradient is u

    found = gan.gradient_penalty(parabola, x + 2, y, e).item()
    between = e.numpy()[:, None] * 2 + (1 - e.numpy()[:, None]) * np.ones((6, 2))
    np.testing.assert_allclose(at[0].detach().numpy(), between, rtol=1e-12)
    assert found == pytest.approx(((np.linalg.norm(between, axis=1) - 1) ** 2).mean(), rel=1e-12)


@pytest.mark.parametrize("shape", [(3,), (2, 4)])
def test_the_gradient_of_the_penalty_by_finite_differences(shape):
    """The second derivative: the weights of the critic are moved one by one, and what the penalty then is compared."""
    critic = critic_of(*shape)
    rng = Generator(1)
    x, y = (tinydl.from_numpy(rng.normal((4, *shape), np.float64)) for _ in range(2))
    e = tinydl.from_numpy(rng.random((4,), np.float64))
    gan.gradient_penalty(critic, x, y, e).backward()
    h, compared = 1e-6, 0
    for name, parameter in critic.named_parameters():
        found = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        expected = np.empty(parameter.shape)
        for at in np.ndindex(*parameter.shape):
            sides = []
            for sign in (1, -1):
                with tinydl.no_grad():
                    parameter.array[at] += sign * h
                sides.append(gan.gradient_penalty(critic, x, y, e).item())
                with tinydl.no_grad():
                    parameter.array[at] -= sign * h
            expected[at] = (sides[0] - sides[1]) / (2 * h)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, atol=1e-6 * max(scale, 1e-3), err_msg=name)
        compared += scale > 1e-3
    assert compared == 3  # both weight matrices and the first bias; the last bias moves no gradient


# -- IMLE --------------------------------------------------------------------------------------------------------------


def test_the_nearest_sample_is_the_nearest():
    rng = np.random.default_rng(0)
    x, s = rng.standard_normal((30, 3)), rng.standard_normal((50, 3))
    found = imle.nearest(tinydl.tensor(x), tinydl.tensor(s)).numpy()
    np.testing.assert_array_equal(found, np.linalg.norm(x[:, None] - s, axis=-1).argmin(1))


class OnALine:
    """Data, and nets, of one number."""

    model_name = "line"

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.generator = nn.Linear(config.latent, 1)
        if isinstance(self, gan.Adversarial):
            self.critic = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))

    def real(self, batch):
        return tinydl.from_numpy(batch.data[batch.mask])


class Duel(OnALine, gan.Adversarial):
    pass


class Pull(OnALine, imle.Nearest):
    pass


@dataclass(frozen=True)
class Normal:
    mean: float = 2.0
    deviation: float = 0.5

    def pieces(self, count, batch=256):
        rng = Generator(7)
        return [(self.mean + self.deviation * rng.normal((batch, 1))).astype(np.float32) for _ in range(count)]


def trained(kind, **options):
    tinydl.manual_seed(2)
    model = kind(kind.Config(latent=1, batch=1, chunk=256, **options))
    trainer = Trainer(model, Normal().pieces(40), [], seed=2)
    losses = [trainer.advance()[0] for _ in range(trainer.limit)]
    return model, trainer, losses


def test_the_loss_of_imle_is_the_distance_to_the_nearest_and_falls():
    tinydl.manual_seed(1)
    model = Pull(Pull.Config(latent=1, samples=5)).to(tinydl.float64)
    x = np.array([[3.0], [2.5], [4.0]])
    z = tinydl.randn(5, 1, **F64)
    model.noise = lambda n: z
    samples = model.make(z).detach().numpy()
    expected = (np.abs(x - samples.T).min(1) ** 2).mean()
    batch = collate([x])
    assert model.loss(batch).item() == pytest.approx(expected, rel=1e-12)
    weight = model.generator.weight.detach().clone().requires_grad_()

    def cost(weight):
        chosen = imle.nearest(tinydl.tensor(x), tinydl.tensor(samples))
        return ((tinydl.tensor(x) - (z[chosen] @ weight.T + model.generator.bias.detach())) ** 2).sum(1).mean()

    model.loss(batch).backward()
    (expected,) = tinydl.autograd.grad(cost(weight), [weight])
    np.testing.assert_allclose(model.generator.weight.grad.numpy(), expected.numpy(), rtol=1e-10)
    _, _, losses = trained(Pull, samples=64, lr=0.02, steps=300)
    assert np.mean(losses[-20:]) < 0.1 < 1 < losses[0]


# -- games -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["minimax", "non-saturating"])
def test_a_game_finds_a_normal_distribution(objective):
    """The mean and the deviation within 5 %, and a critic that can not tell any more: D is 1/2 everywhere."""
    options = {"lr": 1e-2, "critic_lr": 2e-2, "updates": 1, "average": 0.99, "steps": 1200}
    model, trainer, _ = trained(Duel, objective=objective, **options)
    normal = Normal()
    with trainer.averaged(), tinydl.no_grad():
        slope, shift = model.generator.weight.item(), model.generator.bias.item()
        judged = model.judge(tinydl.from_numpy(np.concatenate(normal.pieces(8)))).numpy()
    assert shift == pytest.approx(normal.mean, rel=0.05)
    assert abs(slope) == pytest.approx(normal.deviation, rel=0.05)
    probability = 1 / (1 + np.exp(-judged))
    assert abs(probability.mean() - 0.5) < 0.02 and probability.std() < 0.05


@pytest.mark.parametrize("penalty", [10.0, 4.0])
def test_the_critic_of_wgan_gp_finds_the_wasserstein_distance(penalty):
    """Of two narrow distributions a distance d apart it is d, by a slope of 1; the penalty, which is soft, lets the
    slope be 1 + d / (2 lambda), where d slope - lambda (slope - 1)^2 is greatest. The generator stands still."""
    d, options = 2.0, {"lr": 1e-9, "critic_lr": 1e-2, "updates": 5, "steps": 100, "average": 0.9}
    tinydl.manual_seed(2)
    model = Duel(Duel.Config(latent=1, batch=1, chunk=256, penalty=penalty, **options))
    with tinydl.no_grad():
        model.generator.weight.fill_(0.1)
        model.generator.bias.fill_(0.0)
        ends = model.judge(tinydl.tensor([[0.0], [d]])).tolist()
        if ends[1] < ends[0]:  # a slope on a line cannot turn round but through 0, where the penalty is high
            model.critic[2].weight.mul_(-1)
    trainer = Trainer(model, Normal(mean=d, deviation=0.1).pieces(40), [], seed=2)
    for _ in range(trainer.limit):
        trainer.advance()
    with trainer.averaged():
        between = tinydl.linspace(0.2, d - 0.2, 50).reshape(-1, 1).requires_grad_()
        values = model.judge(between)
        (slope,) = tinydl.autograd.grad(values.sum(), [between])
    expected = 1 + d / (2 * penalty)
    assert slope.numpy().mean() == pytest.approx(expected, rel=0.03)
    assert np.abs(slope.numpy() - expected).max() < 0.15


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="option 'objective' must be one of minimax, non-saturating, wgan-gp, but is"):
        Duel.Config(objective="wgan")
    for name, value in {"latent": 0, "updates": 0, "penalty": -1.0, "critic_lr": 0.0}.items():
        with pytest.raises(ConfigError, match=f"option '{name}' must be "):
            Duel.Config(**{name: value})
    with pytest.raises(ConfigError, match="option 'samples' must be at least 1, but is 0"):
        Pull.Config(samples=0)


# -- music -------------------------------------------------------------------------------------------------------------

LEARNS = {"frames": 16, "units": 128, "updates": 1, "batch": 32, "lr": 2e-3, "critic_lr": 2e-3, "average": 0.97,
          "steps": 800}  # fmt: skip
BEATEN = {"pitch_class": ("noise",), "scale": ("noise", "voices"), "harmony": ("noise", "voices")}
SMALL = {"units": 5, "latent": 3, "frames": 6, "bar": 2, "pitches": 4, "batch": 3}


def rolls(*lengths, pitches=4, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.random((length, pitches)) < 0.4 for length in lengths]


def small(**options):
    tinydl.manual_seed(0)
    return registry.build("gan", **{**SMALL, **options})


def test_a_stretch_begins_at_a_bar_and_lies_in_its_piece():
    model = small()
    assert [model.places(length) for length in (3, 6, 7, 8, 11, 12)] == [1, 1, 1, 2, 3, 4]
    pieces = rolls(20, 9, 3)
    seen = [set(), set(), set()]
    for _ in range(200):
        found = model.real(collate(pieces)).numpy().reshape(3, 6, 4)
        for k, (stretch, piece) in enumerate(zip(found, pieces)):
            padded = np.concatenate([piece, np.zeros((6, 4), bool)])
            starts = [s for s in range(len(piece)) if np.array_equal(padded[s : s + 6], stretch > 0)]
            seen[k].update(starts)
    assert seen == [{0, 2, 4, 6, 8, 10, 12, 14}, {0, 2}, {0}]


@pytest.mark.parametrize("objective", gan.OBJECTIVES)
@pytest.mark.parametrize("player", ["critic", "generator"])
def test_the_gradient_of_every_loss_of_the_model(objective, player):
    model = small(objective=objective).to(tinydl.float64)
    batch = collate(rolls(8, 8, 8))
    x = tinydl.from_numpy(model.stretches(rolls(8, 8, 8), [0, 0, 2]).astype(np.float64))
    model.real = lambda batch: x
    z = tinydl.randn(3, 3, **F64)
    model.noise = lambda n: z
    names = [name for name, _ in model.named_parameters() if name.startswith(player)]
    values = [model.get_parameter(name).detach().clone().requires_grad_() for name in names]

    whole = Loss(model, player)

    def cost(*values):
        with tinydl.random.fork_rng():  # the same places between data and samples every time
            return tinydl.func.functional_call(whole, dict(zip((f"model.{n}" for n in names), values)), (batch,))

    assert gradcheck(cost, values)


class Loss(nn.Module):
    def __init__(self, model, player):
        super().__init__()
        self.model, self.player = model, player

    def forward(self, batch):
        return self.model.loss(batch, self.player)


def test_samples_are_prefixes_of_longer_ones_and_their_number_changes_none():
    model = small().eval()
    with tinydl.no_grad():
        for parameter in model.generator.parameters():
            parameter.mul_(8)
    some = model.sample(2, 20, rng=Generator(3))
    more = model.sample(4, 33, rng=Generator(3))
    for a, b in zip(some, more):
        assert a.dtype == np.bool_ and a.shape == (20, 4)
        np.testing.assert_array_equal(a, b[:20])
    assert not np.array_equal(more[0], more[1])
    assert not np.array_equal(more[0], model.sample(1, 33, rng=Generator(4))[0])


def test_neighbouring_stretches_are_alike_and_each_is_a_fair_sample():
    model = small(walk=0.9).eval()
    drawn = []
    model.make = lambda z: drawn.append(z.numpy()) or tinydl.zeros(len(z), 24)
    model.sample(300, 60, rng=Generator(1))
    z = np.stack(drawn)  # [300, 10, 3]
    assert abs(z.std() - 1) < 0.05 and abs(z[:, -1].std() - 1) < 0.1
    assert (z[:, 1:] * z[:, :-1]).mean() == pytest.approx(0.9, abs=0.05)


def test_there_is_no_likelihood_and_the_sentence_says_what_there_is():
    model = small()
    with pytest.raises(ConfigError, match="the model 'gan' has no likelihood; tinydl evaluate RUN --measures says"):
        model.log_prob(rolls(8)[0])


def test_other_pitches_are_refused():
    with pytest.raises(ConfigError, match="the data have 5 pitches, but the option 'pitches' is 4"):
        small().prepare(rolls(9, pitches=5))


def test_trained_music_is_nearer_to_the_corpus_than_noise_and_than_voices_that_do_not_listen():
    """Energy distances with their intervals of 95 in 100, on chorales; an untrained generator passes none of it."""
    tinydl.manual_seed(0)
    model = registry.build("gan", **LEARNS)
    splits = load("demo-chorales", model.representation, seed=0)
    frames, count = model.config.frames, 48
    model.prepare(splits.train)
    groups = {
        "untrained": model.eval().sample(count, frames, rng=Generator(5)),
        "noise": [noise(splits.train, frames, Generator(i)) for i in range(count)],
        "voices": [independent_voices(splits.train, frames, Generator(i)) for i in range(count)],
    }
    trainer = Trainer(model, splits.train, splits.valid, seed=0)
    for _ in range(trainer.limit):
        trainer.advance()
    with trainer.averaged():
        groups["trained"] = model.eval().sample(count, frames, rng=Generator(5))

    def heard(rolls):
        return [texture(splits.representation.decode(roll)) for roll in rolls]

    corpus = heard([piece[:frames] for piece in splits.train])
    for measure in (m for m in MEASURES if m.name in BEATEN):
        reference = Reference(measure.distance, features(measure, corpus))
        found = {name: reference.distance(features(measure, heard(g)), resamples=300) for name, g in groups.items()}
        for rival in BEATEN[measure.name]:
            assert found["trained"].high < found[rival].low, (measure.name, rival, found)
            assert found["untrained"].low > found[rival].high, (measure.name, rival, found)
