"""VAEs of phrases: the bound against the likelihood summed out, gradients, codes that mean something, decoding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.autograd import gradcheck
from tinydl.data import load
from tinydl.errors import ConfigError, DataError
from tinydl.models.phrases import IGNORED, _log_likely
from tinydl.models.symbols import log_likelihood
from tinydl.models.vae import divergence
from tinydl.random import Generator
from tinydl.training import LatentModel, Trainer, collate, evaluate, reconstruction

KINDS = {"vrae": {}, "flat": {}, "conductor": {"conductor": 5}}
TINY = {"bars": 2, "latent": 1, "embedding": 3, "hidden": 6, "step": "1/2", "meter": "2/4", "low": 60, "high": 60,
        "word_dropout": 0}  # fmt: skip


@pytest.fixture(params=sorted(KINDS))
def build(request):
    """``build(seed, **options)``: a tiny model of each kind in turn: 2 bars of 2 or 4 steps, 3 events, z one number."""

    def make(seed=0, scale=1.0, **options):
        tinydl.manual_seed(seed)
        name = "vrae" if request.param == "vrae" else "music-vae"
        model = registry.build(name, **{**TINY, **KINDS[request.param], **options}).eval()
        with tinydl.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter * scale)
        return model

    return make


def every(model):
    """All phrases of a model, [V^T, T]."""
    return np.array(list(itertools.product(range(model.tokens), repeat=model.phrase)), np.int64)


def summed(model, x):
    """ln p(x) with z, one number, integrated on a fine grid."""
    z = np.linspace(-6, 6, 81)
    log_prior = -(z**2) / 2 - np.log(2 * np.pi) / 2 + np.log(z[1] - z[0])
    each = []
    with tinydl.no_grad():
        for one, prior in zip(z, log_prior):
            code = tinydl.from_numpy(np.full((len(x), 1), one, np.float32))
            logits, target, _ = model.reconstructed(code, x, np.full(len(x), x.shape[1]))
            found = _log_likely(logits.numpy().astype(np.float64), target)
            each.append(prior + found.sum(0).reshape(-1, len(x)).sum(0))
    return np.logaddexp.reduce(np.array(each), axis=0)


SMALLEST = {"meter": "1/4", "step": "1/2", "bars": 2}  # 4 steps of 3 events: 81 phrases


def test_the_likelihood_sums_to_one_and_the_bounds_lie_below(build):
    model = build(3, scale=2.0, **SMALLEST)  # a q that is not far off: 2000 draws are enough
    x = every(model)
    truth = summed(model, x)
    assert np.exp(truth).sum() == pytest.approx(1, abs=1e-4)
    assert truth.max() - truth.min() > 1
    bounds = []
    for samples in (1, 8, 2000):
        model = build(3, scale=2.0, **SMALLEST, samples=samples)
        bounds.append(np.array([model.log_prob(piece).sum() for piece in x]))
    np.testing.assert_allclose(bounds[2], truth, atol=0.2)  # nearly the likelihood
    assert bounds[0].mean() < bounds[1].mean() < truth.mean() + 0.01
    assert bounds[2].mean() == pytest.approx(truth.mean(), abs=0.02)
    # The ELBO itself, its expectation taken on the grid of many draws, is below ln p of every single phrase.
    with tinydl.no_grad():
        mu, log_variance = model.encoded(x, np.full(len(x), 4))
        eps = Generator(3).normal((400, 1, 1))
        z = (mu + tinydl.exp(log_variance / 2) * tinydl.from_numpy(eps)).reshape(-1, 1)
        logits, target, parts = model.reconstructed(z, np.tile(x, (400, 1)), np.full(400 * len(x), 4))
    likely = _log_likely(logits.numpy().astype(np.float64), target).sum(0).reshape(parts, 400, len(x)).sum(0)
    elbo = likely.mean(0) - divergence(mu, log_variance).numpy()
    assert (elbo < truth).all()


def test_gradients_of_the_loss_in_float64(build):
    model = build(scale=2.0, free_bits=0.01, **SMALLEST, hidden=2, embedding=2).to(tinydl.float64)
    pieces = [np.array([2, 0, 1, 2]), np.array([1, 2])]
    names = [name for name, _ in model.named_parameters()]
    eps = Generator(1).normal((2, 1), np.float64)

    def cost(*values):
        from tinydl.func import functional_call

        class Costs(tinydl.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self):
                return self.model.cost(collate(pieces), np.zeros(2, np.int64), lambda x: eps)[0]

        return functional_call(Costs(), {f"model.{name}": value for name, value in zip(names, values)}, ())

    values = [p.detach().clone().requires_grad_() for p in model.parameters()]
    assert len(names) > 8 and gradcheck(cost, values, rtol=1e-6, atol=1e-9)


def test_padding_and_company_change_nothing(build):
    model = build(scale=3.0, samples=3)
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 3, length) for length in (20, 8, 4, 16)]  # 2.5, 1, half and 2 phrases
    score = model.score(collate(pieces))
    for piece, log_prob, mask in zip(pieces, score.log_prob, score.mask):
        np.testing.assert_allclose(log_prob[mask], model.log_prob(piece), rtol=1e-5)
    assert (score.log_prob[~score.mask] == 0).all()
    alone = sum(model.criterion([piece]) * len(piece) for piece in pieces) / sum(map(len, pieces))
    assert model.criterion(pieces) == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("count", [1, 5])
def test_the_criterion_does_not_depend_on_the_batch(build, count):
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 3, length) for length in (20, 8, 4, 16, 7)[:count]]
    one, three = (build(scale=3.0, batch=batch).criterion(pieces) for batch in (1, 3))
    assert one == three


def test_what_has_seen_its_target_is_no_accuracy(build):
    """z = mu is of the phrase itself: the share of right events is reported as a reconstruction, and as what it is."""
    model = build(scale=3.0, samples=2)
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 3, length) for length in (20, 8, 4)]
    found = evaluate(model, pieces)
    assert found["accuracy"] is None and "nll_per_frame" not in found
    assert found["nll_bound_per_frame"] == pytest.approx(
        -np.concatenate([model.log_prob(piece) for piece in pieces]).mean(), rel=1e-5
    )
    right = 0
    for piece in pieces:
        for phrase in (piece[at : at + 8] for at in range(0, len(piece), 8)):
            x, length = np.pad(phrase, (0, 8 - len(phrase)))[None], np.array([len(phrase)])
            logits, _, parts = model.reconstructed(tinydl.from_numpy(model.encode([phrase])), x, length)
            guess = logits.detach().numpy().argmax(-1).reshape(-1, parts).T.reshape(-1)
            right += (guess[: len(phrase)] == phrase).sum()
    assert found["reconstruction_forced"] == right / 32


def test_an_event_does_not_know_itself_nor_what_follows(build):
    model = build(scale=3.0)
    x = np.array([[2, 1, 0, 2, 1, 0, 2, 1]])
    z = tinydl.from_numpy(np.ones((1, 1), np.float32))
    before = model.reconstructed(z, x, np.array([8]))[0].detach().numpy()
    changed = x.copy()
    changed[0, 2] = 2
    after = model.reconstructed(z, changed, np.array([8]))[0].detach().numpy()
    steps, parts = before.shape[:2]
    differs = (before != after).any(-1).T.reshape(-1)  # part by part, in time
    assert not differs[:3].any() and differs[3]
    assert differs[4:].any() == (parts == 1)  # a bar under the conductor does not read the bar before it


def test_the_loss_is_what_it_says(build):
    model = build(scale=5.0, kl_weight="0:0.5:10", free_bits=0.1).train()
    pieces = [np.array([2, 0, 1, 2, 0, 0, 2, 1])]
    found = {}
    for step in (0, 5, 20, None):
        tinydl.manual_seed(0)
        batch = collate(pieces)
        found[step] = model.loss(type(batch)(batch.data, batch.lengths, batch.skip, step)).item()
    mu, log_variance = model.encoded(pieces[0][None], np.array([8]))
    kl = max(divergence(mu, log_variance).item() - 0.1 * np.log(2), 0) / 8
    assert kl > 0.01
    for step, weight in ((5, 0.25), (20, 0.5), (None, 0.5)):
        assert found[step] - found[0] == pytest.approx(weight * kl, rel=1e-4)


def test_the_decoder_reads_its_own_events_without_teacher_forcing(build):
    model = build(scale=4.0).train()
    x, lengths = np.array([[2, 1, 0, 2, 1, 0, 2, 1]] * 50), np.full(50, 8)
    z = tinydl.zeros(50, 1)
    forced = model.reconstructed(z, x, lengths)[0].detach().numpy()
    mixed = model.reconstructed(z, x, lengths, 0.5)[0].detach().numpy()
    free = model.reconstructed(z, x, lengths, 0.0)[0].detach().numpy()
    assert (mixed[0] == forced[0]).all()  # nothing was read yet
    shares = [(other[1] != forced[1]).any(-1).mean() for other in (mixed, free)]
    assert 0.05 < shares[0] < shares[1]
    target = model.reconstructed(z, x, lengths)[1]  # a column for each part of a phrase
    p = np.exp(log_likelihood(forced[0], target[0]))
    error = 4.5 * np.sqrt((p * (1 - p)).sum()) / len(p)
    assert abs(shares[1] - (1 - p).mean()) < error  # those that drew the truth read it
    assert abs(shares[0] - (1 - p).mean() / 2) < 4.5 * np.sqrt(0.25 / len(p))  # half of the others read it anyway


def test_decoding_follows_the_likelihood(build):
    model = build(scale=4.0, **SMALLEST)
    z = np.full((1, 1), 0.7, np.float32)
    x = every(model)
    logits, target, parts = model.reconstructed(
        tinydl.from_numpy(np.repeat(z, len(x), 0)), x, np.full(len(x), 4)
    )
    p = np.exp(_log_likely(logits.detach().numpy().astype(np.float64), target).sum(0).reshape(parts, -1).sum(0))
    assert p.sum() == pytest.approx(1, abs=1e-5)
    drawn = model.decode(np.repeat(z, 20_000, 0), 1.0, Generator(0))
    seen = np.bincount(drawn @ 3 ** np.arange(3, -1, -1), minlength=81) / 20_000
    assert np.abs(seen - p).sum() < 0.08
    np.testing.assert_array_equal(model.decode(z), model.decode(z, 0.0, Generator(5)))


def test_samples_are_whole_and_each_has_its_own_stream(build):
    model = build(scale=3.0)
    three, five = (model.sample(n, 20, rng=Generator(1)) for n in (3, 5))
    for a, b in zip(three, five):
        assert a.shape == (20,) and a.dtype == np.int64
        np.testing.assert_array_equal(a, b)
    assert three[0].tolist() != three[1].tolist()


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_word_dropout_hides_events_from_the_decoder_in_training(build, share):
    x, z = np.array([[2, 1, 0, 2, 1, 0, 2, 1]] * 60), tinydl.zeros(60, 1)
    lengths, other = np.full(60, 8), np.array([[0, 1, 2, 2, 1, 0, 2, 1]] * 60)
    model = build(scale=4.0, word_dropout=share).train()
    tinydl.manual_seed(1)
    read = model.reconstructed(z, x, lengths)[0].detach().numpy()
    tinydl.manual_seed(1)  # the same events are hidden
    of_another = model.reconstructed(z, other, lengths)[0].detach().numpy()
    differs = (read[1] != of_another[1])[:60].any(-1).mean()  # the step after the first event, in the first part
    assert differs == 0 if share == 1 else 0.25 < differs < 0.75
    model.eval()
    read, of_another = (model.reconstructed(z, a, lengths)[0].detach().numpy() for a in (x, other))
    assert (read[1] != of_another[1])[:60].any(-1).all()


def test_the_nets_know_the_place_in_the_bar(build):
    model = build()
    x = np.zeros((2 * model.bar, 1), np.int64)
    with tinydl.no_grad():
        first, later = model.embed(x).numpy(), model.embed(x, 1).numpy()
    np.testing.assert_array_equal(first[: model.bar], first[model.bar :])
    np.testing.assert_array_equal(first[1:], later[:-1])
    assert (first[0] != first[1]).any()


def test_wrong_numbers_are_named():
    for option, match in (
        ({"kl_weight": "much"}, "option 'kl_weight' must be a number, or FIRST:LAST:STEPS"),
        ({"teacher_forcing": "1:2:5"}, "option 'teacher_forcing' must stay within 0 and 1"),
        ({"free_bits": -1}, "option 'free_bits' must be 0 or more"),
        ({"word_dropout": 1.5}, r"option 'word_dropout' must be in \[0, 1\], but is 1.5"),
        ({"bars": 0}, "option 'bars' must be at least 1"),
        ({"conductor": -1}, "option 'conductor' must be 0 or more"),
        ({"meter": "7"}, "meter '7' is none such as"),
    ):
        with pytest.raises(ConfigError, match=match):
            registry.build("music-vae", **option)
    with pytest.raises(ValueError, match="a phrase has 1 to 32 steps, but these have 33 to 33"):
        registry.build("music-vae", hidden=4).encode([np.zeros(33, np.int64)])


def test_a_corpus_without_the_meter_is_refused(tmp_path):
    from tinydl.data import midi
    from tinydl.data.score import Meter, Note, Score

    for i in range(3):
        midi.write(Score(480, [Note(0, 480, 60 + i)], meters=[Meter(0, 6, 8)]), tmp_path / f"{i}.mid")
    with pytest.raises(DataError, match="bar 1 is in 6/8, and all bars must be as long as one of 4/4"):
        load(tmp_path, registry.build("vrae").representation)


# -- training: what the codes are worth --------------------------------------------------------------------------------

SMALL = {"transpose": 0, "hidden": 32, "embedding": 16, "latent": 16, "batch": 12, "lr": 0.02, "average": 0.9,
         "samples": 4}  # fmt: skip
TRAINED = {  # name, options, steps
    "vrae": ("vrae", {"bars": 1}, 250),
    "flat": ("music-vae", {"bars": 1}, 150),
    "conductor": ("music-vae", {"bars": 2, "conductor": 32}, 350),
}


@pytest.fixture(scope="module", params=sorted(TRAINED))
def learned(request):
    """A model of each kind, trained for two seconds on the first bars of twelve tunes; and these."""
    name, options, steps = TRAINED[request.param]
    tinydl.manual_seed(0)
    model = registry.build(name, **SMALL, **options, kl_weight="0:0.1:50")
    tunes = [piece[: model.phrase] for piece in load("demo-tunes", "grid").train[:12]]
    model.prepare(tunes)
    before = figures(model, tunes)
    trainer = Trainer(model, tunes, [], seed=0, steps=steps)
    for _ in range(steps):
        trainer.advance()
    trainer.assign(trainer.average)
    return model.eval(), tunes, before


def figures(model, tunes):
    """The reconstruction, with codes as they are and dealt to other phrases; and KL in nats."""
    phrases = np.stack(tunes)
    codes = model.encode(phrases)
    shuffled = codes[np.roll(np.arange(len(codes)), 3)]
    with tinydl.no_grad():
        kl = divergence(*model.encoded(phrases, np.full(len(phrases), model.phrase))).numpy().mean()
    return {
        "right": reconstruction(model, tunes),
        "shuffled": float((model.decode(shuffled) == phrases).mean()),
        "kl": float(kl),
    }


def test_codes_carry_the_phrase(learned):
    """The acceptance check, which an untrained model fails, and so does one whose codes are dealt to other phrases."""
    model, tunes, before = learned
    found = figures(model, tunes)
    assert found["right"] > 0.85 and found["kl"] > 1, found
    assert before["right"] < 0.65 and found["shuffled"] < 0.65, (before, found)
    assert isinstance(model, LatentModel)
    measured = evaluate(model, tunes)
    assert measured["reconstruction"] == found["right"] and measured["kind"] == "bound"
    assert 0.5 < measured["reconstruction_sampled"] <= 1


def test_silence_is_ignored_in_targets():
    logits = np.zeros((2, 3))
    np.testing.assert_allclose(_log_likely(logits, np.array([1, IGNORED])), [-np.log(3), 0])
