"""Games and IMLE: the objectives are their equations, the penalty's gradient goes through backward twice, and what is
learned is the distribution of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.autograd import gradcheck
from tinydl.errors import ConfigError
from tinydl.models import adversarial as game
from tinydl.models import imle
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
    assert game.discrimination(real, fake).item() == pytest.approx(-np.log(D).mean() - np.log(1 - DG).mean(), rel=1e-12)
    assert game.minimax(fake).item() == pytest.approx(np.log(1 - DG).mean(), rel=1e-12)
    assert game.non_saturating(fake).item() == pytest.approx(-np.log(DG).mean(), rel=1e-12)
    assert game.wasserstein(fake).item() == pytest.approx(-g.mean(), rel=1e-12)
    for loss in game.OBJECTIVES.values():
        assert gradcheck(loss, [fake])
    assert gradcheck(game.discrimination, [real, fake])


def test_smoothed_labels_of_real_data_are_their_equation():
    real, fake = column(2.0, -1.0, 0.5), column(-3.0, 0.25)
    D, DG = (1 / (1 + np.exp(-x.detach().numpy())) for x in (real, fake))
    expected = -(0.9 * np.log(D) + 0.1 * np.log(1 - D)).mean() - np.log(1 - DG).mean()
    assert game.discrimination(real, fake, 0.1).item() == pytest.approx(expected, rel=1e-12)
    assert gradcheck(lambda f, g: game.discrimination(f, g, 0.1), [real, fake])


def test_where_the_critic_is_sure_the_minimax_gradient_vanishes_and_the_other_does_not():
    for loss, expected in ((game.minimax, 0.0), (game.non_saturating, -1.0), (game.wasserstein, -1.0)):
        f = column(-20.0)
        loss(f).backward()
        assert f.grad.item() == pytest.approx(expected, abs=1e-8)
    f = column(-20.0)
    game.minimax(f).backward()
    assert f.grad.item() == pytest.approx(-1 / (1 + np.exp(20.0)), rel=1e-9)


def test_the_best_discriminator_is_the_share_of_the_data():
    """On three points with p and g known, D = p / (p + g) is where the gradient of the loss is 0."""
    p, g = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    f = tinydl.tensor(np.log(p / g), requires_grad=True, **F64)
    weighted = tinydl.tensor(10 * p, **F64).to(tinydl.int64), tinydl.tensor(10 * g + 1e-9, **F64).to(tinydl.int64)
    real, fake = (tinydl.repeat_interleave(f, times) for times in weighted)
    game.discrimination(real, fake).backward()
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
    assert game.gradient_penalty(lambda u: u @ slope, x, y, e).item() == pytest.approx((5 - 1) ** 2, rel=1e-12)
    at = []

    def parabola(u):
        at.append(u)
        return (u**2).sum(1) / 2  # the gradient is u

    found = game.gradient_penalty(parabola, x + 2, y, e).item()
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
    game.gradient_penalty(critic, x, y, e).backward()
    h, compared = 1e-6, 0
    for name, parameter in critic.named_parameters():
        found = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        expected = np.empty(parameter.shape)
        for at in np.ndindex(*parameter.shape):
            sides = []
            for sign in (1, -1):
                with tinydl.no_grad():
                    parameter.array[at] += sign * h
                sides.append(game.gradient_penalty(critic, x, y, e).item())
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
        if isinstance(self, game.Adversarial):
            self.critic = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))

    def real(self, batch):
        return tinydl.from_numpy(batch.data[batch.mask])


class Duel(OnALine, game.Adversarial):
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
