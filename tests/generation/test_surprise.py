"""Surprise of given music: closed forms, the sum rule, a planted wrong note, and what the model does not hear."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import tinydl
from tinydl import registry
from tinydl.data.representations import Melody, PianoRoll
from tinydl.data.score import Meter, Note, Score, Tempo
from tinydl.errors import ConfigError, DataError
from tinydl.generation import surprise
from tinydl.optim import Adam
from tinydl.training import collate


class Constant:
    """A model that gives every cell of a roll, or every token, one probability."""

    model_name, density, training = "constant", "exact", False

    def __init__(self, representation, **probabilities):
        self.representation = representation.config()
        self.p = probabilities

    def eval(self):
        self.train(False)

    def train(self, mode):
        self.training = mode

    def element_log_prob(self, piece):
        assert not self.training
        if piece.dtype == np.bool_:
            return np.where(piece, math.log(self.p["on"]), math.log(1 - self.p["on"]))
        return np.where(np.arange(len(piece)) == 0, 0.0, math.log(self.p["token"]))


ROLL = Constant(PianoRoll(step=1, low=60, high=63), on=0.25)
TUNE = Constant(Melody(step="1/4"), token=0.125)


def test_a_roll_of_constant_probability_has_the_closed_form():
    score = Score(480, [Note(0, 960, 60), Note(480, 960, 63), Note(1440, 1920, 61)], tempos=[Tempo(480, 250_000)])
    found = surprise(ROLL, score)
    on, off = -math.log(0.25), -math.log(0.75)
    assert found.note_nll == found.heard_nll == pytest.approx([on] * 3)
    assert found.frame_nll == pytest.approx([on + 3 * off, 2 * on + 2 * off, 4 * off, on + 3 * off])
    assert found.nll_per_frame == pytest.approx((4 * on + 12 * off) / 4) and found.total == pytest.approx(
        sum(found.frame_nll)
    )
    assert found.ticks == [0, 480, 960, 1440]
    assert found.seconds == pytest.approx([0, 0.5, 0.75, 1.0])  # by the tempo map
    assert (found.unit, found.valid, found.remarks()) == ("frame", None, [])
    first = found.moments()[0]
    assert (first.tick, set(first.notes)) == (480, {1})
    assert first.nats == pytest.approx(2 * on + 2 * off)


def test_a_tune_of_constant_probability_counts_its_tokens():
    long = 4 + 24 * 4 + 4  # sixteenths: two LENGTHs
    notes = [Note(0, 480, 60), Note(960, 960 + 120 * long, 67)]
    found = surprise(TUNE, Score(480, notes, meters=[Meter(0, 4, 4)]))
    token = -math.log(0.125)
    assert found.note_nll == found.heard_nll == pytest.approx([2 * token, 3 * token])
    tokens = len(Melody(step="1/4").encode(found.score).data)
    assert found.unit == "token" and len(found.frame_nll) == tokens - 1  # BOS is given
    assert found.total == pytest.approx((tokens - 1) * token)
    # METER BAR C4 LENGTH | REST LENGTH | G4 LENGTH LENGTH | EOS
    places = [0] * 4 + [480] * 2 + [960] * 3
    assert found.ticks[: len(places)] == places and found.ticks[-1] == found.heard.end_tick
    by_tick = {moment.tick: moment for moment in found.moments()}
    assert [by_tick[tick].notes for tick in (0, 480, 960)] == [(0,), (), (1,)]
    assert by_tick[0].nats == pytest.approx(4 * token)
    assert sum(moment.nats for moment in by_tick.values()) == pytest.approx(found.total)


EXACT = [name for name in sorted(registry._SHIPPED) if registry.model_class(name).density == "exact"]


@pytest.mark.parametrize("name", EXACT)
def test_frames_add_up_to_the_likelihood_of_the_piece(name):
    tinydl.manual_seed(1)
    small = {key: 8 for key in ("hidden", "units", "states") if key in vars(registry.configure(name))}
    if "meter" in vars(registry.configure(name)):
        small["meter"] = "3/4"
    model = registry.build(name, **small, step="1/4").train()  # the dropout is off all the same
    rng = np.random.default_rng(0)
    notes, now = [], 0
    for _ in range(20):
        length = int(rng.integers(1, 5)) * 120
        notes.append(Note(now, now + length, int(rng.integers(50, 80))))
        now += length
    found = surprise(model, Score(480, notes, meters=[Meter(0, 3, 4)]))
    assert model.training
    from tinydl.data.representations import representation

    data = representation(model.representation).encode(found.score).data
    log_prob = model.eval().log_prob(data)
    np.testing.assert_allclose(found.frame_nll, -log_prob, rtol=1e-5, atol=1e-5)
    known = [nats for nats in found.note_nll if nats is not None]
    assert known == found.heard_nll and len(known) == len(found.heard.notes) > 10


@pytest.mark.parametrize("name", sorted(set(registry._SHIPPED) - set(EXACT)))
def test_a_likelihood_of_whole_frames_names_no_note(name):
    with pytest.raises(ConfigError, match=f"the model '{name}' has no likelihood of single notes"):
        surprise(registry.build(name), Score(480, [Note(0, 480, 60)], meters=[Meter(0, 3, 4)]))


ARPEGGIO = [60, 64, 67, 72, 67, 64]


def arpeggio(count: int) -> Score:
    return Score(480, [Note(480 * i, 480 * i + 480, ARPEGGIO[i % 6]) for i in range(count)])


@pytest.mark.parametrize("name", ["lstm", "lstm-nade", "melody-lstm"])
def test_a_wrong_note_in_a_learned_pattern_is_the_most_surprising(name):
    tinydl.manual_seed(0)
    options = (
        {"input_dropout": 0, "recurrent_dropout": 0, "output_dropout": 0} if name != "melody-lstm" else {"dropout": 0}
    )
    model = registry.build(name, hidden=24, step=1, **options)
    from tinydl.data.representations import representation

    piece = representation(model.representation).encode(arpeggio(36)).data
    model.prepare([piece])
    optimizer = Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(collate([piece])).backward()
        optimizer.step()
    score = arpeggio(36)
    right = surprise(model, score)
    wrong_at = 27
    notes = list(score.notes)
    notes[wrong_at] = replace(notes[wrong_at], pitch=61)
    wrong = surprise(model, Score(480, notes))
    assert int(np.argmax(wrong.note_nll)) == wrong_at
    assert wrong.note_nll[wrong_at] > 3 + right.note_nll[wrong_at]
    np.testing.assert_allclose(wrong.note_nll[:wrong_at], right.note_nll[:wrong_at], atol=1e-4)  # the past alone counts
    assert wrong_at in wrong.moments()[0].notes


def test_what_the_model_does_not_hear_is_none_and_said():
    score = Score(
        480,
        [
            Note(0, 480, 60),
            Note(0, 480, 60, channel=9),
            Note(0, 480, 90),
            Note(480, 960, 60),  # struck again: one long note for a roll
            Note(960, 1440, 62),
        ],
    )
    found = surprise(ROLL, score)
    on = -math.log(0.25)
    by_note = dict(zip(((n.start, n.pitch, n.channel) for n in score.notes), found.note_nll))
    assert by_note[0, 60, 0] == by_note[960, 62, 0] == pytest.approx(on)
    assert [by_note[0, 60, 9], by_note[0, 90, 0], by_note[480, 60, 0]] == [None] * 3
    assert [(n.start, n.end, n.pitch) for n in found.heard.notes] == [(0, 960, 60), (960, 1440, 62)]
    (said,) = found.remarks()
    assert said.startswith("3 of 5 notes have no surprise of their own")
    assert said.endswith("1 drums, 1 out of its range, 1 struck again at once")


def test_other_voices_are_not_heard_by_a_model_of_tunes():
    score = Score(480, [Note(0, 960, 72), Note(0, 960, 48, channel=1, track=1), Note(960, 1920, 74)])
    found = surprise(TUNE, score)
    assert [nats is None for nats in found.note_nll] == [True, False, False]
    assert "1 beside the voices that it reads" in found.remarks()[0]


def test_a_few_notes_off_the_grid_are_moved_and_said():
    score = Score(480, [Note(480 * i, 480 * i + 480, 60 + i % 3) for i in range(5)] + [Note(2400 + 160, 2880, 63)])
    found = surprise(ROLL, score)
    assert None not in found.note_nll
    (said,) = found.remarks()
    assert said.startswith("1 of 6 notes begin or end off the model's grid of 1 beat and were moved to it, or made ")
    assert said.endswith("by 0.33 beats at most")


def test_music_that_cannot_be_judged_is_refused_in_one_sentence():
    triplets = Score(480, [Note(160 * i, 160 * i + 160, 60 + i % 3) for i in range(9)])
    with pytest.raises(
        DataError,
        match=r"^x.mid is not on the model's grid of 1 beat: 6 of 9 notes begin beside it, by up to 0.33 beats",
    ):
        surprise(ROLL, triplets, name="x.mid")
    jitter = Score(480, [Note(480 * i + (-1) ** i * 50 * (i > 0), 480 * i + 480, 60 + i % 3) for i in range(9)])
    assert len(surprise(ROLL, jitter).heard.notes) == 9  # played, not far from the grid
    high = Score(480, [Note(0, 480, 90), Note(0, 480, 35, channel=9)])
    with pytest.raises(
        DataError,
        match=r"hears none of the 2 notes of the score: 1 lie outside its range and 1 are drums; give it music with "
        r"notes from C4 to D#4$",
    ):
        surprise(ROLL, high)
    with pytest.raises(DataError, match="holds no notes"):
        surprise(ROLL, Score(480, []))


def test_a_model_without_likelihood_of_notes_is_refused():
    class Silent(Constant):
        density = "none"

    class Frames:
        model_name, density = "rbm", "estimate"

    for model in (Silent(PianoRoll(), on=0.5), Frames()):
        with pytest.raises(ConfigError, match=f"the model '{model.model_name}' has no likelihood of single notes"):
            surprise(model, arpeggio(4))
    events = Constant(PianoRoll(), on=0.5)
    events.representation = {"name": "events"}
    with pytest.raises(ConfigError, match="reads events, for which no note's surprise is defined"):
        surprise(events, arpeggio(4))
