"""Whole reports of whole models: a wrong model fails the measures, one that recites fails the plagiarism meter."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.data import load
from tinydl.errors import DataError
from tinydl.measures import CopyIndex, copying_report, draw_samples, measure_report, report
from tinydl.random import Generator

PLAIN = {"input_dropout": 0.0, "recurrent_dropout": 0.0, "output_dropout": 0.0, "average": 0.9, "lr": 1e-2}
GROUPS = ("samples", "real", "markov", "noise")


def first(splits, n):
    """Only the first ``n`` training pieces."""
    names = {**splits.names, "train": splits.names["train"][:n]}
    return replace(splits, train=splits.train[:n], valid=splits.valid[:2], names=names)


@pytest.fixture(scope="module")
def chorales():
    return first(load("demo-chorales", {"name": "roll", "step": 1}), 60)


@pytest.fixture(scope="module")
def tunes():
    return load("demo-tunes", {"name": "melody", "step": "1/24"})


def by_name(found):
    return {entry["name"]: entry for entry in found["measures"]}


@pytest.fixture(scope="module")
def models(chorales, train):
    """The same model three times: trained, trained on the same frames in no order, not trained."""
    rng = Generator(1)
    shuffled = replace(chorales, train=[piece[rng.permutation(len(piece))] for piece in chorales.train])
    options = {"hidden": 64, "step": 1, "chunk": 64, **PLAIN}
    tinydl.manual_seed(0)
    return {
        "trained": train("lstm", chorales, 200, **options),
        "shuffled": train("lstm", shuffled, 200, **options),
        "untrained": registry.build("lstm", **options),
    }


@pytest.fixture(scope="module")
def measured(chorales, models):
    return {name: measure_report(model, chorales, resamples=300) for name, model in models.items()}


# -- the sample measures -------------------------------------------------------------------------------------------


def test_real_pieces_are_near_the_corpus_and_noise_is_far(measured):
    for entry in measured["trained"]["measures"]:
        real, noise = entry["real"], entry["noise"]
        assert real["low"] <= 0.06, entry["name"]  # the interval all but reaches 0
        assert noise["low"] > 2 * real["high"], entry["name"]
        assert entry["markov"]["distance"] < noise["distance"], entry["name"]


def test_an_untrained_model_fails_every_measure(measured):
    trained, untrained = by_name(measured["trained"]), by_name(measured["untrained"])
    for name, entry in untrained.items():
        assert entry["verdict"] == "worse", name
        assert entry["samples"]["low"] > 3 * entry["real"]["high"], name
        assert entry["samples"]["distance"] > 1.15 * trained[name]["samples"]["distance"], name
    for name in ("pitch_class", "scale", "harmony", "polyphony", "density", "rhythm", "groove", "repetition"):
        assert untrained[name]["samples"]["low"] > trained[name]["samples"]["high"] + 0.1, name


def test_a_model_of_frames_in_no_order_fails_the_measures_of_order(measured):
    trained, shuffled = by_name(measured["trained"]), by_name(measured["shuffled"])
    for name in ("interval", "bass", "density", "groove"):
        assert shuffled[name]["samples"]["low"] > trained[name]["samples"]["high"], name
        assert shuffled[name]["verdict"] == "worse"
    # what holds inside a frame it has learned: the pitch classes are as near as the trained model's
    assert shuffled["pitch_class"]["samples"]["low"] < trained["pitch_class"]["samples"]["high"] + 0.02


def test_the_report_is_plain_and_whole(measured, chorales):
    found = measured["trained"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["pieces"] == {"corpus": 60, **dict.fromkeys(GROUPS, len(chorales.test))}
    for entry in found["measures"]:
        assert set(entry) == {"name", "title", "unit", "labels", "corpus", "verdict", *GROUPS}
        for group in GROUPS:
            figures = entry[group]
            assert 0 <= figures["low"] <= figures["high"] <= 1 and 0 <= figures["distance"] <= 1
            assert len(figures["mean"]) == len(entry["labels"]) == len(entry["corpus"]["mean"])
    means = by_name(found)["polyphony"]
    assert means["corpus"]["mean"][4] > 0.5  # four voices, most of the time
    assert by_name(found)["scale"]["real"]["mean"][0] > 0.9


def test_the_same_seed_gives_the_same_report(measured, chorales, models):
    samples = draw_samples(models["trained"], chorales)
    assert measure_report(None, chorales, samples=samples, resamples=300) == measured["trained"]
    other = draw_samples(models["trained"], chorales, seed=1)
    assert other != samples
    assert draw_samples(models["trained"], chorales, num=5) == samples[:5]


def test_every_group_has_the_lengths_of_the_real_pieces(chorales, models):
    group = report._Group(chorales, "test", 30)
    lengths = [chorales.representation.decode(piece).beats for piece in chorales.test]
    wanted = [lengths[i % len(lengths)] for i in range(30)]
    for made in (group.samples(models["trained"], 0, 1.0), group.markov(chorales.train, 0)):
        found = [score.beats for score in made]
        assert len(found) == 30 and all(beats <= limit for beats, limit in zip(found, wanted))
        assert np.mean(found) > 0.97 * np.mean(wanted)


def test_long_pieces_are_cut_for_all(monkeypatch, chorales):
    monkeypatch.setattr(report, "LONGEST", 10)
    group = report._Group(chorales, "test", None)
    assert group.length == 10 and all(score.beats == 10 for score in group.real)
    assert all(score.beats <= 10 for score in group.noise(chorales.train, 0))


def test_trim_cuts_notes_at_the_end():
    from tests.measures.pieces import score

    whole = score((0, 2, 60), (1, 4, 64), (3, 5, 67))
    assert report.trim(whole, 3) == score((0, 2, 60), (1, 3, 64))
    assert report.trim(whole, 5) == whole


def test_one_voice_has_no_measures_of_polyphony(tunes):
    model = registry.build("melody-lstm", hidden=8, embedding=4)
    found = measure_report(model, first(tunes, 20), num=6, resamples=50)
    assert not {"bass", "harmony", "polyphony"} & set(by_name(found))
    assert {"pitch_class", "interval", "onset", "rhythm", "repetition"} <= set(by_name(found))
    assert found["pieces"]["samples"] == found["pieces"]["markov"] == found["pieces"]["noise"] == 6


# -- the plagiarism meter ------------------------------------------------------------------------------------------


def test_a_model_that_recites_ten_pieces_is_found_out(tunes, train):
    ten = first(tunes, 10)
    options = {"hidden": 64, "embedding": 32, "dropout": 0.0, "batch": 10, "lr": 1e-2, "average": 0.0}
    found = copying_report(train("melody-lstm", ten, 160, **options), ten)
    assert found["verdict"] == "copies" and found["unit"] == "notes"
    samples, real = found["samples"], found["real"]
    assert samples["longest_copy"]["median"] > 2 * real["longest_copy"]["p95"]
    assert found["beyond"]["longest_copy"] > 0.8 and found["beyond"]["near_copy_share"] > 0.5
    assert samples["near_copy_share"]["max"] > 2 * real["near_copy_share"]["p95"]
    longest = max(samples["detail"], key=lambda detail: detail["longest_copy"])
    assert longest["passage"]["source"] in ten.names["train"] and longest["passage"]["events"] > 20
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_model_that_does_not_recite_is_not_accused(chorales, models):
    found = copying_report(models["trained"], chorales)
    assert found["verdict"] == "original" and found["unit"] == "chords"
    assert found["samples"]["longest_copy"]["max"] <= found["usual"]["longest_copy"]
    assert len(found["samples"]["detail"]) == len(found["real"]["detail"]) == len(chorales.test)


def test_real_pieces_are_original_by_their_own_yardstick(chorales):
    real = [chorales.representation.decode(piece) for piece in chorales.test]
    found = copying_report(None, chorales, samples=real)
    assert found["samples"]["longest_copy"] == found["real"]["longest_copy"]
    assert found["verdict"] == "original" and max(found["beyond"].values()) <= 0.1


def test_training_pieces_copy_all_of_themselves(chorales):
    theirs = [chorales.representation.decode(piece) for piece in chorales.train[:6]]
    found = copying_report(None, chorales, samples=theirs)
    assert found["verdict"] == "copies" and found["beyond"]["longest_copy"] == 1
    assert found["samples"]["near_copy_share"]["median"] == 1
    for detail, name in zip(found["samples"]["detail"], chorales.names["train"]):
        assert detail["longest_copy"] == detail["events"] and detail["passage"]["source"] == name
    assert CopyIndex(theirs).meter(theirs[0]).longest_copy == found["samples"]["detail"][0]["longest_copy"]


# -- too little music --------------------------------------------------------------------------------------------------


def test_a_corpus_too_small_says_how_many_pieces_it_needs(chorales):
    with pytest.raises(DataError, match=r"^the training split holds 9 pieces, and the measures need at least 10: add"):
        measure_report(None, first(chorales, 9), samples=[])
    few = replace(chorales, test=chorales.test[:1])
    for make in (measure_report, copying_report, draw_samples):
        with pytest.raises(DataError, match="the test split holds 1 piece, and the measures need at least 5: add"):
            make(None, few)
    with pytest.raises(DataError, match="the set of samples holds 4 pieces, and the measures need at least 5"):
        draw_samples(None, chorales, num=4)
    with pytest.raises(DataError, match="the training split is empty"):
        copying_report(None, first(chorales, 0))
