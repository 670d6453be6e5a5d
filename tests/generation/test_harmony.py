"""Chords and keys: what their names mean, what may sound when, and that nothing else ever does."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import tinydl
from tests.cli.conftest import quietly
from tinydl import registry
from tinydl.data import midi
from tinydl.data.representations import representation
from tinydl.errors import ConfigError
from tinydl.generation import Fixed
from tinydl.generation.harmony import CHORDS, allowed, chord, scale
from tinydl.random import Generator


@pytest.mark.parametrize(
    ("name", "tones"),
    [("C", {0, 4, 7}), ("Am", {9, 0, 4}), ("Bb7", {10, 2, 5, 8}), ("F#m7b5", {6, 9, 0, 4}), ("Gsus4", {7, 0, 2}),
     ("Ebmaj7", {3, 7, 10, 2}), ("Cb", {11, 3, 6}), ("B#dim", {0, 3, 6}), ("D-", {2, 5, 9}), ("C+", {0, 4, 8}),
     ("Eø", {4, 7, 10, 2}), ("GM7", {7, 11, 2, 6})],
)  # fmt: skip
def test_chords(name, tones):
    assert chord(name) == tones


def test_every_chord_has_its_root_and_can_be_transposed():
    for kind in CHORDS:
        assert 0 in chord(f"C{kind}")
        assert chord(f"F#{kind}") == {(tone + 6) % 12 for tone in chord(f"C{kind}")}


@pytest.mark.parametrize(
    ("name", "notes"),
    [("C", {0, 2, 4, 5, 7, 9, 11}), ("Eb major", {3, 5, 7, 8, 10, 0, 2}), ("Am", {9, 11, 0, 2, 4, 5, 6, 7, 8}),
     ("F# minor", {6, 8, 9, 11, 1, 2, 3, 4, 5})],
)  # fmt: skip
def test_keys(name, notes):
    assert scale(name) == notes


@pytest.mark.parametrize(
    ("function", "name", "words"),
    [(chord, "H7", "the chord 'H7' begins with no note: write A to G"),
     (chord, "Cmaj8", "no chord is named 'Cmaj8'; did you mean 'Cmaj[79]'?"),
     (chord, "C/E", "names its bass: write the chord without it, 'C'"),
     (chord, "Cfoo", "A note alone is major, and behind it may stand m, dim, aug, .* m9$"),
     (chord, "c", "the chord 'c' begins with a small letter: write 'C' for major, 'Cm' for minor"),
     (chord, "bb7", "begins with a small letter: write 'Bb7'$"),
     (scale, "c", "the key 'c' begins with a small letter: write 'C' for major, 'Cm' for minor"),
     (scale, "C dorian", "no key is named 'C dorian': a key is a note and major or minor"),
     (scale, "", "the key '' begins with no note")],
)  # fmt: skip
def test_names_that_mean_nothing(function, name, words):
    with pytest.raises(ConfigError, match=words):
        function(name)


def test_what_is_allowed_when():
    found = allowed("C G", None, 40, 16, "1/4")
    for t, row in enumerate(found):
        assert set(np.flatnonzero(row)) == ({7, 11, 2} if 16 <= t < 32 else {0, 4, 7})
    assert (allowed(None, "D", 3, 16, "1/4") == np.isin(np.arange(12), list(scale("D")))).all()
    both = allowed("E", "C", 8, 16, "1/4")
    for t, row in enumerate(both):
        assert set(np.flatnonzero(row)) == ({4, 8, 11} if t % 4 == 0 else {4, 8, 11} | scale("C"))
    assert (allowed("E", "C", 4, 4, 1) == np.isin(np.arange(12), [4, 8, 11])).all()  # every step is a beat
    assert allowed(None, None, 2, 4, 1).all()
    late = allowed("C G", "C", 40, 16, "1/4", first=22)  # behind one bar and a half, off a beat
    np.testing.assert_array_equal(late, allowed("C G", "C", 46, 16, "1/4")[6:])
    with pytest.raises(ConfigError, match="no chord is named: write them with spaces"):
        allowed(" ", None, 4, 4, 1)


@pytest.mark.parametrize(
    ("chords", "words"),
    [("C-G-Am", "write 'C G Am', not 'C-G-Am'"), ("C,G Am", "write 'C G', not 'C,G'"), ("C, G", "write 'C', not 'C,'"),
     ("C | G", "leave out '|'"), ("C-x", "no chord is named 'C-x'")],
)  # fmt: skip
def test_chords_stand_apart_by_spaces(chords, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        allowed(chords, None, 4, 4, 1)
    assert allowed("D-7", None, 1, 4, 1)[0, [2, 5, 9, 0]].all()  # a minor chord, and no two


SMALL = {
    "lstm": {"hidden": 7}, "gru": {"hidden": 7}, "tanh-rnn": {"hidden": 7}, "lstm-nade": {"hidden": 7, "units": 5},
    "rnn-rbm": {"hidden": 7, "units": 5, "gibbs": 2}, "rtrbm": {"hidden": 5, "units": 5, "gibbs": 2},
    "chorale-lstm": {"hidden": 7, "width": 6}, "music-transformer": {"width": 6, "heads": 2, "layers": 1, "window": 4},
    "deep-bach": {"hidden": 4, "units": 5, "embedding": 3, "rounds": 6}, "anticipation-rnn": {"hidden": 7, "ahead": 5},
    "midinet": {"units": 7, "channels": 5, "conditioner": 3, "latent": 4},
}  # fmt: skip


def test_every_model_that_takes_chords_is_tried_here():
    takes = {name for name in registry._SHIPPED if "chords" in registry.model_class(name).conditions}
    assert takes == set(SMALL) and all("key" in registry.model_class(name).conditions for name in takes)


def build(name):
    tinydl.manual_seed(1)
    model = registry.build(name, **SMALL[name]).eval()
    with tinydl.no_grad():
        for parameter in model.parameters():
            if name not in ("rnn-rbm", "rtrbm") and parameter.ndim > 1:
                parameter.mul_(3)
    return model


def sounding(model, piece):
    """(step, pitch) of all that sounds."""
    encoding = representation(model.representation)
    if piece.dtype == np.bool_:
        return [(t, 21 + k) for t, k in np.argwhere(piece)]
    score = encoding.decode(piece)
    base = score.ticks_per_beat
    steps = [(range(encoding.to_step(n.start, base), encoding.to_step(n.end, base)), n.pitch) for n in score.notes]
    return [(t, pitch) for those, pitch in steps for t in those]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_nothing_else_sounds(name, temperature):
    model = build(name)
    table = np.roll(allowed("C F#", "Db", 24, 6, "1/4"), 1, 0)  # chords that change off the beat, too
    free = model.sample(3, 24, temperature, rng=Generator(4))
    told = model.sample(3, 24, temperature, {"allowed": table}, Generator(4))
    notes = [note for piece in told for note in sounding(model, piece)]
    assert all(table[t, pitch % 12] for t, pitch in notes)
    assert notes or temperature == 0
    if temperature:
        assert any(not table[t, pitch % 12] for piece in free for t, pitch in sounding(model, piece))


@pytest.mark.parametrize("name", ["music-transformer", "deep-bach"])
def test_what_is_given_stays_and_the_rest_follows_the_chords(name):
    model, rng = build(name), np.random.default_rng(0)
    values, mask = rng.integers(60, 72, (16, 4)), rng.random((16, 4)) < 0.25
    table = allowed("C G", None, 16, 4, "1/4")
    (piece,) = model.sample(1, 16, 1.0, {"fixed": Fixed(values, mask), "allowed": table}, Generator(0))
    assert (piece[mask] == values[mask]).all()
    sounds = model.encoding.sounding(piece)
    for t, voice in itertools.product(range(16), range(4)):
        assert mask[t, voice] or sounds[t, voice] < 0 or table[t, sounds[t, voice] % 12]


def test_on_the_command_line(tmp_path: Path):
    small = ("-o", "width=6", "heads=2", "layers=1", "window=8", "batch=2")
    code, _, err = quietly(
        "train", "music-transformer", "demo-chorales", "--out", tmp_path / "run", "--steps", "2", *small
    )
    assert code == 0, err
    say = ("generate", tmp_path / "run", "--out", tmp_path / "new.mid", "--bars", "4", "--no-copying", "--force")
    code, _, err = quietly(*say, "--chords", "C G Am F", "--html", tmp_path / "new.html")
    assert code == 0, err
    score, _ = midi.read(tmp_path / "new.mid")
    assert score.notes and "--chords &#x27;C G Am F&#x27;" in (tmp_path / "new.html").read_text()
    bar = 4 * score.ticks_per_beat
    for note in score.notes:
        for n in range(note.start // bar, -(-note.end // bar)):
            assert note.pitch % 12 in chord("C G Am F".split()[n])
    code, _, err = quietly(*say, "--chords", "C Hm")
    assert code == 2 and err.strip().count("\n") == 0 and "the chord 'Hm' begins with no note" in err
    code, _, err = quietly("train", "vae", "demo-chorales", "--out", tmp_path / "vae", "--steps", "2", "-o", "units=5")
    assert code == 0, err
    code, _, err = quietly("generate", tmp_path / "vae", "--out", tmp_path / "x.mid", "--key", "C")
    assert code == 2 and "the model 'vae' cannot be told its harmony: train one that can, such as" in err
