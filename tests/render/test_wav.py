"""The synthesizer: right pitch, no clicks, no clipping, the same samples every time; FluidSynth when it is there."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tinydl.data import midi
from tinydl.data.corpus import demo_scores
from tinydl.data.score import Note, Pedal, Score, Tempo
from tinydl.errors import DataError, MidiError
from tinydl.render import render_wav
from tinydl.render import synth as synthesizer
from tinydl.render.wav import find_soundfont


def samples(path: Path) -> np.ndarray:
    """int16 [n, 2]"""
    with wave.open(str(path), "rb") as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, 44_100)
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").reshape(-1, 2)


def dry(score: Score) -> np.ndarray:
    return np.concatenate(list(synthesizer.synthesize(score, room=False)))


def test_a_piece_becomes_sound_without_clipping(tmp_path: Path) -> None:
    for i, score in enumerate(demo_scores("all", 2)):
        info = render_wav(score, tmp_path / f"{i}.wav", engine="builtin")
        sound = samples(tmp_path / f"{i}.wav")
        assert info.engine == "builtin" and info.seconds == pytest.approx(len(sound) / 44_100)
        assert score.seconds <= info.seconds < score.seconds + 2.5
        assert np.abs(sound.astype(int)).max() == round(synthesizer.PEAK * 32767)
        assert info.peak == pytest.approx(-1.0, abs=0.01) and -26 < info.rms < -8
        assert abs(sound.mean()) < 100  # no offset
        assert np.abs(sound[-200:].astype(int)).max() < 200  # it dies away, it is not cut off


def test_the_same_score_gives_the_same_bytes(tmp_path: Path) -> None:
    score = demo_scores("tunes", 1)[0]
    render_wav(score, tmp_path / "a.wav", engine="builtin")
    render_wav(score, tmp_path / "b.wav", engine="builtin")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("program", [0, 13, 19, 21, 24, 33, 40, 48, 52, 61, 71, 73, 81])
def test_every_family_plays_in_tune_and_without_clicks(program: int) -> None:
    score = Score(480, [Note(480, 1440, 69, 100)], programs={(0, 0): program})  # a1, from 0.5 s to 1.5 s
    sound = dry(score)
    assert not sound[: 22_050 - 1].any()
    mono = sound.mean(axis=1)
    spectrum = np.abs(np.fft.rfft(mono[22_050:66_150] * np.hanning(44_100)))
    # The fundamental is a peak of the spectrum within 4 Hz of 440 (vibrato and chorus widen it).
    low = spectrum[200:600]
    assert abs(int(low.argmax()) + 200 - 440) <= 4
    # A click is a jump: at both edges the sound must start and end near zero.
    for edge in (22_050, len(np.trim_zeros(mono, "b"))):
        near = mono[max(0, edge - 3) : edge + 3]
        assert np.abs(np.diff(near)).max() < 0.02 * np.abs(mono).max()
    assert synthesizer.patch(program).name in synthesizer._PATCHES


def test_velocity_pedal_and_pan_are_heard() -> None:
    loud, soft = (np.abs(dry(Score(480, [Note(0, 480, 60, v)]))).max() for v in (120, 40))
    assert loud > 3 * soft
    notes = [Note(0, 240, 60)]
    short = np.flatnonzero(np.abs(dry(Score(480, notes))).max(axis=1) > 1e-3)[-1]
    held = np.flatnonzero(np.abs(dry(Score(480, notes, pedals=[Pedal(0, 1920)]))).max(axis=1) > 1e-3)[-1]
    assert held > 2 * short
    two = Score(480, [Note(0, 480, 60, track=0), Note(960, 1440, 60, track=1)])
    energy = [(part.astype(float) ** 2).sum(axis=0) for part in np.split(dry(two)[: 2 * 44_100], 2)]
    assert energy[0][0] > 1.5 * energy[0][1] and energy[1][1] > 1.5 * energy[1][0]


def test_tempo_moves_notes() -> None:
    sound = dry(Score(480, [Note(0, 10, 60), Note(960, 1440, 60)], tempos=[Tempo(0, 250_000), Tempo(480, 1_000_000)]))
    loud = np.abs(sound).max(axis=1) > 1e-4
    assert loud[55_125 : 55_125 + 500].any() and not loud[54_000:55_125].any()  # 0.25 s + 1 s


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    score = demo_scores("chorales", 1)[0]
    whole = dry(score)
    monkeypatch.setattr(synthesizer, "_BLOCK", 44_100)
    parts = dry(score)
    n = min(len(whole), len(parts))
    assert np.abs(whole[:n] - parts[:n]).max() < 1e-5 and not whole[n:].any() and not parts[n:].any()


def test_drums_sound_and_extremes_are_survived() -> None:
    drums = Score(480, [Note(240 * i, 240 * i + 100, 27 + i, channel=9) for i in range(60)])
    assert np.isfinite(dry(drums)).all() and np.abs(dry(drums)).max() > 0.05
    for pitch in (0, 127):
        for program in range(0, 128, 8):
            sound = dry(Score(480, [Note(0, 1, pitch, 1)], programs={(0, 0): program}))
            assert np.isfinite(sound).all()


def test_what_cannot_be_rendered_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no notes"):
        render_wav(Score(480, []), tmp_path / "x.wav", engine="builtin")
    with pytest.raises(DataError, match="at most 1,800 s"):
        render_wav(Score(480, [Note(0, 480 * 8_000, 60)]), tmp_path / "x.wav", engine="builtin")
    with pytest.raises(DataError, match="cannot write"):
        render_wav(demo_scores("tunes", 1)[0], tmp_path / "no" / "x.wav", engine="builtin")
    with pytest.raises(ValueError, match="auto, builtin, fluidsynth"):
        render_wav(Score(480, []), tmp_path / "x.wav", engine="timidity")
    (tmp_path / "x.mid").write_bytes(b"nothing")
    with pytest.raises(MidiError):
        render_wav(tmp_path / "x.mid", tmp_path / "x.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["x.mid"]


FAKE = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = "-F" ] && out="$2"; last="$1"; shift; done
{}
"""


def fake_fluidsynth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "fluidsynth").write_text(FAKE.format(action))
    (folder / "fluidsynth").chmod(0o755)
    (tmp_path / "font.sf2").write_bytes(b"RIFF")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("TINYDL_SOUNDFONT", str(tmp_path / "font.sf2"))


def test_fluidsynth_is_used_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with wave.open(str(tmp_path / "prepared.wav"), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44_100)
        out.writeframes((np.sin(np.arange(88_200) / 20) * 16_000).astype("<i2").tobytes())
    fake_fluidsynth(tmp_path, monkeypatch, f'cp {tmp_path}/prepared.wav "$out"; cp "$last" {tmp_path}/seen.mid')
    score = demo_scores("tunes", 1)[0]
    info = render_wav(score, tmp_path / "x.wav")
    assert info.engine == "fluidsynth" and info.seconds == 1.0 and info.peak == pytest.approx(-6.2, abs=0.1)
    assert (tmp_path / "x.wav").read_bytes() == (tmp_path / "prepared.wav").read_bytes()
    assert len(midi.read(tmp_path / "seen.mid")[0].notes) == len(score.notes)


def test_a_fluidsynth_that_fails_is_replaced_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_fluidsynth(tmp_path, monkeypatch, "echo no such preset >&2; exit 1")
    score = demo_scores("tunes", 1)[0]
    assert render_wav(score, tmp_path / "x.wav").engine == "builtin"
    with pytest.raises(DataError, match="no such preset"):
        render_wav(score, tmp_path / "y.wav", engine="fluidsynth")
    monkeypatch.setenv("TINYDL_SOUNDFONT", str(tmp_path / "gone.sf2"))
    assert find_soundfont() is None
    with pytest.raises(DataError, match="TINYDL_SOUNDFONT"):
        render_wav(score, tmp_path / "y.wav", engine="fluidsynth")
    assert not (tmp_path / "y.wav").exists()
