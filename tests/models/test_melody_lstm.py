"""The model of tunes: next-token likelihoods, EOS, sampling with top-k, top-p, primers and bars."""

from __future__ import annotations

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.data.score import Meter, Note, Score
from tinydl.random import Generator
from tinydl.training import collate, evaluate


def build(seed=0, scale=1.0, **options):
    tinydl.manual_seed(seed)
    model = registry.build("melody-lstm", **{"hidden": 8, "embedding": 5, **options}).eval()
    with tinydl.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter * scale)
    return model


def tunes(model, count=3, seed=0):
    rng = np.random.default_rng(seed)
    encoding, result = model.encoding, []
    for _ in range(count):
        notes, now = [], 0
        for _ in range(int(rng.integers(4, 12))):
            length = int(rng.integers(1, 5)) * 120
            notes.append(Note(now, now + length, int(rng.integers(60, 73))))
            now += length
        result.append(encoding.encode(Score(480, notes, meters=[Meter(0, 3, 4)])).data)
    return result


def test_the_next_token_has_a_distribution():
    model = build(scale=5.0)
    (tune,) = tunes(model, 1)
    size = model.encoding.vocabulary_size
    for length in (1, 5):
        batch = collate([np.append(tune[:length], token) for token in range(size)])
        score = model.score(batch)
        p = np.exp(score.log_prob[:, length])
        assert abs(p.sum() - 1) < 1e-6
        assert p.max() > 2 / size
        assert (score.prediction[:, length] == p.argmax()).all()


def test_bos_is_given_and_eos_is_predicted():
    model = build(scale=5.0)
    (tune,) = tunes(model, 1)
    assert (tune[0], tune[-1]) == (model.encoding.BOS, model.encoding.EOS)
    assert model.log_prob(tune).shape == (len(tune) - 1,)
    assert evaluate(model, [tune])["frames"] == len(tune) - 1
    assert not model.score(collate([tune])).mask[0, 0]


def test_every_token_has_its_share_in_its_own_place():
    model = build(scale=5.0)
    for tune in tunes(model):
        shares = model.element_log_prob(tune)
        assert shares.shape == tune.shape and shares.dtype == np.float64 and shares[0] == 0
        np.testing.assert_array_equal(shares[1:], model.log_prob(tune))


def test_log_prob_follows_the_past_only():
    model = build(scale=5.0)
    (tune,) = tunes(model, 1)
    other = tune.copy()
    other[6] = (other[6] + 1) % model.encoding.vocabulary_size
    before, after = model.log_prob(tune), model.log_prob(other)
    np.testing.assert_allclose(before[:5], after[:5], rtol=1e-6)  # entry t predicts token t + 1
    assert (before[6:] != after[6:]).any()


def test_padding_changes_nothing_and_loss_is_the_mean():
    model = build(scale=3.0)
    pieces = tunes(model)
    score = model.score(collate(pieces))
    for piece, log_prob, mask in zip(pieces, score.log_prob, score.mask):
        np.testing.assert_allclose(log_prob[mask], model.log_prob(piece), rtol=1e-5)
    batch = collate(pieces, skip=[0, 2, 5])
    chosen = np.concatenate([model.log_prob(piece)[max(skip - 1, 0) :] for piece, skip in zip(pieces, (0, 2, 5))])
    np.testing.assert_allclose(model.loss(batch).item(), -chosen.mean(), rtol=1e-5)


def test_it_starts_at_the_unigram():
    model = build()
    with tinydl.no_grad():
        model.output.weight.zero_()
    pieces = tunes(model)
    model.prepare(pieces)
    p = np.exp(model.output.bias.array.astype(np.float64))
    counts = np.bincount(np.concatenate([piece[1:] for piece in pieces]), minlength=len(p)) + 1
    np.testing.assert_allclose(p, counts / counts.sum(), rtol=1e-5)


def test_samples_are_tunes():
    model = build(scale=3.0)
    encoding = model.encoding
    with tinydl.no_grad():
        model.output.bias[encoding.EOS] = 4.0
    drawn = model.sample(40, 60, rng=Generator(0))
    assert any(len(tune) < 60 for tune in drawn)
    for tune in drawn:
        assert tune.dtype == np.int64
        assert tune[0] == encoding.BOS
        assert not np.isin(tune[1:], [encoding.PAD, encoding.BOS]).any()
        assert (tune[:-1] != encoding.EOS).all()
        assert tune[-1] == encoding.EOS or len(tune) == 60
        encoding.decode(tune)


def test_samples_follow_the_likelihood():
    model = build(scale=4.0)
    encoding, count = model.encoding, 3000
    first = np.array([tune[1] for tune in model.sample(count, 2, rng=Generator(3))])
    size = encoding.vocabulary_size
    p = np.exp(model.score(collate([np.array([encoding.BOS, token]) for token in range(size)])).log_prob[:, 1])
    p[[encoding.PAD, encoding.BOS]] = 0
    expected = count * p / p.sum()
    observed = np.bincount(first, minlength=size)
    common = expected > 8
    assert common.sum() > 10
    chi_squared = ((observed - expected)[common] ** 2 / expected[common]).sum()
    assert chi_squared < common.sum() + 4.5 * np.sqrt(2 * common.sum())


def test_top_k_one_is_temperature_zero():
    model = build(scale=5.0)
    (cold,) = model.sample(1, 30, temperature=0.0, rng=Generator(1))
    (greedy,) = model.sample(1, 30, condition={"top_k": 1}, rng=Generator(2))
    (nucleus,) = model.sample(1, 30, condition={"top_p": 1e-9}, rng=Generator(3))
    np.testing.assert_array_equal(cold, greedy)
    np.testing.assert_array_equal(cold, nucleus)


def test_top_k_bounds_what_comes():
    model = build()
    first = {int(tune[1]) for tune in model.sample(300, 2, condition={"top_k": 3}, rng=Generator(0))}
    assert len(first) == 3


def test_same_seed_same_music_whatever_the_number():
    model = build(scale=2.0)
    three = model.sample(3, 20, rng=Generator(1))
    five = model.sample(5, 20, rng=Generator(1))
    for a, b in zip(three, five):
        np.testing.assert_array_equal(a, b)
    assert three[0].tolist() != three[1].tolist()


def test_a_primer_is_continued_and_its_end_forgotten():
    model = build(scale=5.0)
    with tinydl.no_grad():
        model.output.bias[model.encoding.EOS] = -1e4  # so that the tune is long enough to be cut
    (whole,) = model.sample(1, 25, temperature=0.0)
    primer = np.append(whole[:10], model.encoding.EOS)
    (rest,) = model.sample(1, 15, temperature=0.0, condition={"primer": primer})
    np.testing.assert_array_equal(rest, whole[10:25])
    with pytest.raises(ValueError, match="primer"):
        model.sample(1, 5, condition={"primer": np.zeros((2, 2), int)})


def test_bars_are_counted():
    model = build()
    encoding = model.encoding
    with tinydl.no_grad():
        model.output.bias[encoding.BAR] = 3.0
        model.output.bias[encoding.EOS] = 3.0
    for tune in model.sample(10, 2000, condition={"bars": 4}, rng=Generator(0)):
        assert (tune == encoding.BAR).sum() == 4
        assert tune[-1] == encoding.EOS
        assert (tune == encoding.EOS).sum() == 1
