"""The GAN of music: what it learns from, its gradients, what it writes, and how near that is to the corpus."""

from __future__ import annotations

import numpy as np
import pytest

import tinydl
from tinydl import nn, registry
from tinydl.autograd import gradcheck
from tinydl.data import load
from tinydl.errors import ConfigError, DataError
from tinydl.measures import MEASURES, Reference, features, texture
from tinydl.measures.baselines import independent_voices, noise
from tinydl.models import adversarial
from tinydl.models.adversarial import OBJECTIVES
from tinydl.random import Generator
from tinydl.training import Silent, Trainer, collate, fit

F64 = {"dtype": tinydl.float64}
LEARNS = {"frames": 16, "units": 128, "updates": 1, "batch": 32, "lr": 2e-3, "critic_lr": 2e-3, "average": 0.97,
          "steps": 800}  # fmt: skip
NEARER = ("pitch_class", "interval", "harmony", "onset", "rhythm", "groove")
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


@pytest.mark.parametrize("objective", OBJECTIVES)
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
    (z,) = (z.reshape(300, 10, 3) for z in drawn)  # all in one batch
    assert abs(z.std() - 1) < 0.05 and abs(z[:, -1].std() - 1) < 0.1
    assert (z[:, 1:] * z[:, :-1]).mean() == pytest.approx(0.9, abs=0.05)


def distance(model, pieces, made):
    """The energy distance of stretches, all pairs one by one."""
    real = model.stretches(*zip(*((p, s) for p in pieces for s in range(0, max(1, len(p) - 5), 2)))).astype(float)
    pairs = [[np.abs(a - b).mean() for a in x for b in y] for x, y in ((made, real), (made, made), (real, real))]
    (n, m), (between, within, among) = (len(made), len(real)), map(sum, pairs)
    numerator = 2 * between / (n * m) - within / (n * (n - 1)) - among / (m * (m - 1))
    return max(0.0, numerator / (2 * between / (n * m)))


def test_the_criterion_is_the_energy_distance_of_stretches_and_repeats():
    model, pieces = small().eval(), rolls(20, 9, 13)
    made = model.made(adversarial.SAMPLES, Generator(adversarial.SEED)).astype(float)
    assert model.criterion(pieces) == model.criterion(pieces) == pytest.approx(distance(model, pieces, made), rel=1e-9)
    others = rolls(20, 9, 13, seed=8)
    assert model.criterion(others) == pytest.approx(distance(model, others, made), rel=1e-9)


def test_of_many_stretches_some_are_compared_and_what_does_not_change_is_computed_once(monkeypatch):
    monkeypatch.setattr(adversarial, "DATA", 7)
    model, pieces, counted = small().eval(), rolls(60, 41), []
    examples = model.examples
    model.examples = lambda *given: counted.append(examples(*given)) or counted[-1]
    values = [model.criterion(pieces) for _ in range(3)]
    assert len(set(values)) == 1 and [x.shape for x in counted] == [(7, 24)]
    every = examples(pieces, 10**6, Generator(0))
    assert len(every) == sum(map(model.places, (60, 41)))
    assert {row.tobytes() for row in counted[0]} <= {row.tobytes() for row in every}
    assert len({row.tobytes() for row in counted[0]}) == 7


def test_validation_data_that_are_too_few_are_refused_before_the_first_step(tmp_path):
    splits = load("demo-chorales", small().representation)
    splits.valid = [splits.valid[0][:5]]
    model = registry.build("gan", **{**SMALL, "pitches": 88})
    with pytest.raises(DataError, match="the validation split holds 1 example for the model 'gan', which compares"):
        fit(model, splits, tmp_path / "run", progress=Silent())
    assert not (tmp_path / "run" / "log.jsonl").read_text()


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


def test_of_one_seed_a_late_checkpoint_is_nearer_to_the_corpus_than_early_ones():
    """On dance tunes, with intervals of 95 in 100: after 800 steps, beside a twentieth and a tenth of them."""
    tinydl.manual_seed(0)
    model = registry.build("gan", **{**LEARNS, "frames": 32, "step": "1/2"})
    splits = load("demo-tunes", model.representation, seed=0)
    frames, made = model.config.frames, []
    model.prepare(splits.train)
    trainer = Trainer(model, splits.train, splits.valid, seed=0)

    def heard(rolls):
        return [texture(splits.representation.decode(roll)) for roll in rolls]

    for stop in (40, 80, 800):
        while trainer.step < stop:
            trainer.advance()
        with trainer.averaged():
            made.append(heard(model.eval().sample(48, frames, rng=Generator(5))))
    corpus = heard([piece[:frames] for piece in splits.train])
    for measure in (m for m in MEASURES if m.name in NEARER):
        reference = Reference(measure.distance, features(measure, corpus))
        *early, late = (reference.distance(features(measure, pieces), resamples=300) for pieces in made)
        assert late.high < min(found.low for found in early), (measure.name, early, late)
