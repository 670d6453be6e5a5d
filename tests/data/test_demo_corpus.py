"""The built-in corpus obeys its own grammar: the rules are checked from the notes, not by the code that wrote them."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest

from tinydl.data import chorales, tunes
from tinydl.data.corpus import CORPORA, corpus, demo_pieces, demo_scores

N = 150


@lru_cache(maxsize=1)
def some_chorales() -> list[chorales.Chorale]:
    return [piece for piece in demo_pieces("chorales", N, seed=3) if isinstance(piece, chorales.Chorale)]


@lru_cache(maxsize=1)
def some_tunes() -> list[tunes.Tune]:
    return [piece for piece in demo_pieces("tunes", N, seed=3) if isinstance(piece, tunes.Tune)]


def voices(score: object) -> np.ndarray:
    """int [4, eighths] from the notes of a score; every voice sounds exactly one note at any time."""
    eighth = score.ticks_per_beat // 2  # type: ignore[attr-defined]
    grid = np.zeros((4, score.end_tick // eighth), dtype=int)  # type: ignore[attr-defined]
    for note in score.notes:  # type: ignore[attr-defined]
        assert note.start % eighth == note.end % eighth == 0
        span = grid[note.track, note.start // eighth : note.end // eighth]
        assert not span.any(), "a voice sounds two notes at once"
        span[:] = note.pitch
    assert grid.all(), "a voice is silent"
    return grid


def test_chorales_stay_in_range_and_never_cross_or_overlap() -> None:
    for piece in some_chorales():
        grid = voices(piece.score())
        assert (grid == piece.grid).all()
        for line, (low, high) in zip(grid, ((60, 79), (55, 74), (48, 67), (40, 60))):
            assert low <= line.min() and line.max() <= high
        for upper, lower in itertools.pairwise(grid):
            assert (upper >= lower).all()
            assert (upper[1:] >= lower[:-1]).all() and (lower[1:] <= upper[:-1]).all()
        assert (
            grid[:3] - grid[1:] <= np.array([[14], [14], [21]])
        ).all()  # decoration may add a step to the widest gap


def test_chorales_have_no_parallel_fifths_or_octaves() -> None:
    for piece in some_chorales():
        for grid in (voices(piece.score()), piece.skeleton.T):
            for a, b in itertools.combinations(grid, 2):
                for t in range(len(a) - 1):
                    if a[t] != a[t + 1] and b[t] != b[t + 1] and (a[t] - b[t]) % 12 in (0, 7):
                        assert (a[t] - b[t]) % 12 != (a[t + 1] - b[t + 1]) % 12, (piece.mode, t)


def test_the_checker_itself_sees_what_is_wrong() -> None:
    good = np.array([[72, 72], [67, 67], [64, 65], [48, 53]])
    assert chorales.faults(good) == []
    assert any("parallel octaves" in f for f in chorales.faults(np.array([[72, 74], [67, 67], [64, 65], [48, 50]])))
    assert any("parallel fifths" in f for f in chorales.faults(np.array([[72, 72], [67, 69], [60, 62], [48, 47]])))
    assert "voices cross" in chorales.faults(np.array([[72, 66], [67, 67], [64, 65], [48, 53]]))
    assert "voices overlap" in chorales.faults(np.array([[72, 66], [67, 65], [64, 60], [48, 53]]))
    assert "Bass leaves its range" in chorales.faults(np.array([[72, 72], [67, 67], [64, 65], [36, 53]]))


def test_chords_are_spelt_doubled_and_resolved_as_taught() -> None:
    for piece in some_chorales():
        tones = (piece.skeleton - piece.tonic) % 12
        for k, (chord, row) in enumerate(zip(piece.chords, tones)):
            assert set(row) <= set(chord.tones) and row[3] == chord.bass
            missing = set(chord.tones) - set(row)
            assert not missing or (chord.thin and missing == {chord.tones[2]}), (chord, row)
            if chord.leading >= 0:
                assert (row == chord.leading).sum() <= 1, "the leading tone is doubled"
            if k + 1 < len(piece.chords):
                moves = piece.skeleton[k + 1] - piece.skeleton[k]
                following = piece.chords[k + 1]
                if chord.leading >= 0 and (chord.leading + 1) % 12 in following.tones:
                    assert (moves[row == chord.leading] == 1).all(), "the leading tone does not rise"
                if chord.seventh >= 0 and chord.seventh not in following.tones:
                    assert np.isin(moves[row == chord.seventh], (-1, -2)).all(), "the seventh does not fall"
                assert not np.isin(np.abs(moves), (6, 10, 11)).any(), "a tritone or a seventh in a melody"


def test_phrases_end_in_cadences_and_pieces_on_the_tonic() -> None:
    for piece in some_chorales():
        assert piece.cadences[-1] == len(piece.chords) - 1
        last = piece.chords[-1]
        assert last.tones[0] == 0 and last.bass == 0 and last.tones[1] in (3, 4)
        assert (piece.skeleton[-1, 0] - piece.tonic) % 12 == 0  # the soprano closes on the tonic
        for end in piece.cadences:
            assert piece.lengths[end] == max(piece.lengths)  # the fermata
            assert (piece.starts[end] + piece.lengths[end]) % piece.beats == 0  # phrases fill whole bars
            assert piece.chords[end].bass == piece.chords[end].tones[0] or end != len(piece.chords) - 1
        grid, eighths = piece.grid, 2 * np.array(piece.starts)
        for end in piece.cadences[:-1]:  # every voice takes breath: it strikes anew after the fermata
            assert all(any(start == eighths[end + 1] for start, _, _ in line) for line in piece.notes)
        if piece.form == "bar":
            first = 2 * (piece.starts[piece.cadences[1]] + piece.lengths[piece.cadences[1]])
            assert (grid[:, :first] == grid[:, first : 2 * first]).all()


def test_decoration_moves_by_step() -> None:
    plain, decorated = 0, 0
    for piece in some_chorales():
        starts = set((2 * np.array(piece.starts)).tolist())
        for line in piece.notes:
            for before, (start, _, pitch), after in zip(line, line[1:], line[2:]):
                if start in starts:
                    plain += 1
                else:
                    decorated += 1
                    assert abs(pitch - before[2]) <= 2 and abs(after[2] - pitch) <= 12
    assert 0.05 < decorated / plain < 0.4


def test_tunes_are_literally_aabb() -> None:
    for piece in some_tunes():
        score = piece.score()
        part = tunes.BARS * piece.dance.eighths * score.ticks_per_beat // 2
        turns = [
            sorted(
                (n.start - k * part, n.end - k * part, n.pitch, n.velocity, n.track)
                for n in score.notes
                if n.start // part == k
            )
            for k in range(4)
        ]
        assert turns[0] == turns[1] and turns[2] == turns[3] and turns[0] != turns[2]
        assert all(end <= part for turn in turns for _, end, _, _, _ in turn)
        assert score.end_tick == 4 * part


def test_tunes_repeat_their_motifs_and_cadence_on_the_tonic() -> None:
    for piece in some_tunes():
        bar = piece.dance.eighths
        mode = tunes._MODES[piece.mode]
        for line, plan in zip(piece.parts, piece.plans):
            bars = [[(s - k * bar, e - k * bar, p) for s, e, p in line if s // bar == k] for k in range(8)]
            assert bars[0] == bars[4] and bars[1] == bars[5]
            assert [x[:2] for x in bars[0]] == [x[:2] for x in bars[2]]  # a' keeps a's rhythm
            start, end, pitch = line[-1]
            assert (pitch - piece.tonic) % 12 == 0 and end - start >= 3 and end == 8 * bar
            assert bars[3][-1][1] - bars[3][-1][0] >= 1 and plan[-1] in ("I", "i")
            for start, _, pitch in line:
                assert tunes.RANGE[0] <= pitch <= tunes.RANGE[1]
                assert (pitch - piece.tonic) % 12 in mode.scale
                if start % bar in piece.dance.strong:
                    assert (pitch - piece.tonic) % 12 in mode.chords[plan[start // bar]]
            assert sum(e - s for s, e, _ in line) == 8 * bar and line[0][0] == 0


def test_the_corpus_is_varied() -> None:
    chorales_, tunes_ = some_chorales(), some_tunes()
    assert len({(c.mode, c.tonic) for c in chorales_}) >= 15 and len({(t.mode, t.tonic) for t in tunes_}) >= 12
    assert {c.mode for c in chorales_} == {"major", "minor", "dorian", "mixolydian"}
    assert {t.dance.name for t in tunes_} == {"jig", "reel", "waltz"}
    assert {c.form for c in chorales_} == {"bar", "through"} and {c.beats for c in chorales_} == {3, 4}
    assert len({c.grid.tobytes() for c in chorales_}) == N
    assert len({tuple(map(tuple, t.parts)) for t in tunes_}) == N
    # The soprano moves mostly by step, neither frozen nor leaping, and uses most of its range.
    steps = np.abs(
        np.concatenate([np.diff(c.grid[0][np.flatnonzero(np.diff(c.grid[0], prepend=0))]) for c in chorales_])
    )
    assert (steps <= 2).mean() > 0.6
    pitches = Counter(int(p) for c in chorales_ for p in c.skeleton[:, 0])
    assert len(pitches) >= 18 and max(pitches.values()) < 0.2 * sum(pitches.values())
    roots = Counter(chord.name for c in chorales_ for chord in c.chords)
    assert len(roots) >= 28 and max(roots.values()) < 0.2 * sum(roots.values())


def test_scores_carry_metre_key_tempo_and_names() -> None:
    for score in demo_scores("all", 12, seed=1):
        assert len(score.meters) == len(score.keys) == len(score.tempos) == 1
        assert set(score.track_names) == {note.track for note in score.notes}
        assert 15 < score.seconds < 150
        assert score.transpose(1).keys  # the key's name is one that the score knows


def test_pieces_depend_on_seed_kind_and_number_alone() -> None:
    assert demo_scores("chorales", 3) == demo_scores("chorales", 5)[:3]
    assert demo_scores("all", 4)[::2] == demo_scores("chorales", 2)
    assert demo_scores("all", 4)[1::2] == demo_scores("tunes", 2)
    assert demo_scores("chorales", 2, seed=1) != demo_scores("chorales", 2, seed=2)


def test_another_process_composes_the_same_notes() -> None:
    program = (
        "import hashlib; from tinydl.data.corpus import demo_scores;"
        "print(hashlib.sha256(repr([s.notes for s in demo_scores('all', 6, seed=5)]).encode()).hexdigest())"
    )
    env = {
        **os.environ,
        "PYTHONHASHSEED": "77",
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    there = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    import hashlib

    here = hashlib.sha256(repr([s.notes for s in demo_scores("all", 6, seed=5)]).encode()).hexdigest()
    assert there.stdout.strip() == here


def test_named_corpora() -> None:
    assert len(corpus("demo")) == CORPORA["demo"].pieces
    assert len({title for title, _ in corpus("demo")}) == CORPORA["demo"].pieces
    with pytest.raises(ValueError, match="chorales, tunes, all"):
        demo_scores("chants", 1)
    with pytest.raises(ValueError, match="0 or more"):
        demo_scores("all", -1)
