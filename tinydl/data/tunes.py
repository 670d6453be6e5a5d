"""Dance tunes by rule: jigs, reels and waltzes of two eight-bar parts, each played twice, with a chord track.

Grammar (one arrow per random choice; every choice comes from one seeded stream)::

    tune     → dance key mode A B                played A A B B, the repeats note for note
    dance    → jig 6/8 | reel 4/4 | waltz 3/4
    mode     → major | mixolydian | dorian | pentatonic (major without its fourth and seventh degree)
    part     → antecedent consequent             four bars each, over a plan of eight chords, one per bar
    antecedent → a b a' c                        c rests on the dominant side (half cadence)
    consequent → a b d e                         a and b as before; e ends on the tonic, long (full cadence)
    a b      → the same notes in both halves of a part, over the same chord or one that shares their strong notes
    a'       → a, moved along the scale onto the third bar's chord | a new bar in a's rhythm
    B's d e  → those of A (the parts rhyme) | new ones
    bar      → one of the dance's rhythms, in eighths

Melody. The notes of a bar are the cheapest path through the scale's pitches (second-order dynamic programming): the
first note of a bar, and of each half of a jig's or reel's bar, belongs to the bar's chord; steps are cheap, leaps dear
and best turned back; running on in one direction is welcome, going to and fro between two notes is not; part A lies
low, part B a few steps higher, and noise from the seed decides the rest.

Accompaniment. A bass note on the first beat, its chord on the weak ones, moved as little as possible from bar to bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinydl.data.dice import Dice

if TYPE_CHECKING:
    from tinydl.data.score import Score

__all__ = ["BARS", "DANCES", "RANGE", "Dance", "Tune", "compose"]

BARS = 8  # of a part
RANGE = (62, 84)  # of the melody: D4 to C6, first position on a fiddle
_TICKS = 480

Line = list[tuple[int, int, int]]  # (start, end, pitch) in eighths


@dataclass(frozen=True)
class Dance:
    """A metre with its rhythms.

    ``eighths`` per bar; ``strong`` are the eighths whose notes belong to the chord; ``rhythms`` are note lengths in
    eighths with weights, ``rests`` those of a half cadence, ``ends`` those of a full one; ``bass`` and ``chords`` are
    (start, length) of the accompaniment, ``tempo`` the range of quarter notes a minute.
    """

    name: str
    meter: tuple[int, int]
    eighths: int
    strong: tuple[int, ...]
    rhythms: dict[tuple[int, ...], float]
    rests: tuple[tuple[int, ...], ...]
    ends: tuple[tuple[int, ...], ...]
    bass: tuple[tuple[int, int], ...]
    chords: tuple[tuple[int, int], ...]
    tempo: tuple[int, int]


DANCES = {
    "jig": Dance(
        "jig",
        (6, 8),
        6,
        (0, 3),
        {(1, 1, 1, 1, 1, 1): 5.0, (2, 1, 1, 1, 1): 3.0, (2, 1, 2, 1): 2.0, (1, 1, 1, 2, 1): 3.0, (3, 2, 1): 0.5},
        rests=((2, 1, 3), (1, 1, 1, 3), (1, 1, 1, 2, 1)),
        ends=((2, 1, 3), (1, 1, 1, 3)),
        bass=((0, 2), (3, 2)),
        chords=((2, 1), (5, 1)),
        tempo=(156, 180),
    ),
    "reel": Dance(
        "reel",
        (4, 4),
        8,
        (0, 4),
        {(1,) * 8: 6.0, (2, 1, 1, 1, 1, 1, 1): 3.0, (2, 1, 1, 2, 1, 1): 2.0, (1, 1, 1, 1, 2, 1, 1): 2.0},
        rests=((2, 1, 1, 4), (1, 1, 1, 1, 2, 2), (1, 1, 1, 1, 4)),
        ends=((2, 1, 1, 4), (1, 1, 1, 1, 4), (2, 2, 4)),
        bass=((0, 2), (4, 2)),
        chords=((2, 2), (6, 2)),
        tempo=(176, 208),
    ),
    "waltz": Dance(
        "waltz",
        (3, 4),
        6,
        (0,),
        {(2, 2, 2): 3.0, (4, 2): 3.0, (3, 1, 2): 2.0, (2, 1, 1, 2): 1.0, (2, 2, 1, 1): 2.0, (2, 1, 1, 1, 1): 1.0},
        rests=((4, 2), (6,)),
        ends=((6,), (2, 4)),
        bass=((0, 2),),
        chords=((2, 2), (4, 2)),
        tempo=(126, 150),
    ),
}


@dataclass(frozen=True)
class _Mode:
    """Scale and chords in semitones above the tonic; chord plans of eight bars; tonics that suit the instruments."""

    scale: tuple[int, ...]
    chords: dict[str, tuple[int, int, int]]
    plans: tuple[str, ...]
    tonics: tuple[int, ...]
    signature: dict[int, str]  # tonic → the key of the signature


_MAJOR_CHORDS = {"I": (0, 4, 7), "ii": (2, 5, 9), "IV": (5, 9, 0), "V": (7, 11, 2), "vi": (9, 0, 4)}
_MAJOR_PLANS = (
    "I I IV V I I V I",
    "I IV I V I IV V I",
    "I V I V I IV V I",
    "I I V V I ii V I",
    "I vi IV V I vi V I",
    "I IV V V I IV V I",
    "vi IV I V vi IV V I",
    "IV I V V IV I V I",
)
_PENTATONIC_PLANS = tuple(plan for plan in _MAJOR_PLANS if "ii " not in plan)
_MODES = {
    "major": _Mode((0, 2, 4, 5, 7, 9, 11), _MAJOR_CHORDS, _MAJOR_PLANS, (7, 2, 9, 0), {7: "G", 2: "D", 9: "A", 0: "C"}),
    "pentatonic": _Mode(
        (0, 2, 4, 7, 9), _MAJOR_CHORDS, _PENTATONIC_PLANS, (7, 2, 9, 0), {7: "G", 2: "D", 9: "A", 0: "C"}
    ),
    "mixolydian": _Mode(
        (0, 2, 4, 5, 7, 9, 10),
        {"I": (0, 4, 7), "IV": (5, 9, 0), "v": (7, 10, 2), "VII": (10, 2, 5)},
        (
            "I I VII VII I I VII I",
            "I VII I VII I IV VII I",
            "I I IV VII I v VII I",
            "I VII IV v I VII IV I",
            "VII I VII v VII IV VII I",
        ),
        (2, 9, 7),
        {2: "G", 9: "D", 7: "C"},
    ),
    "dorian": _Mode(
        (0, 2, 3, 5, 7, 9, 10),
        {"i": (0, 3, 7), "III": (3, 7, 10), "IV": (5, 9, 0), "v": (7, 10, 2), "VII": (10, 2, 5)},
        (
            "i i VII VII i i VII i",
            "i VII i v i III VII i",
            "i i IV VII i v VII i",
            "III VII i v III VII v i",
            "VII i VII v VII i VII i",
        ),
        (4, 9, 2),
        {4: "Bm", 9: "Em", 2: "Am"},
    ),
}
_INSTRUMENTS = (40, 73, 21, 72)  # violin, flute, accordion, piccolo as the tin whistle
_GUITAR = 24


@dataclass
class Tune:
    """A finished tune.

    ``parts`` are A and B, each a line of (start, end, pitch) in eighths from the part's beginning; ``plans`` are the
    names of their chords, one per bar.
    """

    dance: Dance
    tonic: int
    mode: str
    bpm: int
    instrument: int
    parts: tuple[Line, Line]
    plans: tuple[list[str], list[str]]

    def score(self) -> Score:
        """Two tracks, melody and chords, played A A B B."""
        from tinydl.data.score import Key, Meter, Note, Score, Tempo

        eighth = _TICKS // 2
        mode, dance = _MODES[self.mode], self.dance
        notes = []
        for turn, part in enumerate((0, 0, 1, 1)):
            offset = turn * BARS * dance.eighths
            for start, end, pitch in self.parts[part]:
                accent = 10 if start % dance.eighths == 0 else 5 if start % dance.eighths in dance.strong else 0
                notes.append(Note((offset + start) * eighth, (offset + end) * eighth, pitch, 84 + accent, 0, 0))
            low: list[int] = []  # a part's chords are voiced from its own beginning, so that its repeat is the same
            for bar, name in enumerate(self.plans[part]):
                classes = [(self.tonic + tone) % 12 for tone in mode.chords[name]]
                low = _nearest(classes, low)
                at = offset + bar * dance.eighths
                root = 40 + (classes[0] - 40) % 12
                bass, strums = dance.bass, dance.chords
                if bar == BARS - 1:  # the last bar rings
                    bass, strums = ((0, dance.eighths),), ((dance.chords[0][0], dance.eighths - dance.chords[0][0]),)
                for k, (start, length) in enumerate(bass):
                    pitch = root if k == 0 else 40 + (classes[2] - 40) % 12
                    notes.append(Note((at + start) * eighth, (at + start + length) * eighth, pitch, 68, 1, 1))
                for start, length in strums:
                    notes += [
                        Note((at + start) * eighth, (at + start + length) * eighth, pitch, 54, 1, 1) for pitch in low
                    ]
        return Score(
            ticks_per_beat=_TICKS,
            notes=notes,
            tempos=[Tempo(0, round(60_000_000 / self.bpm))],
            meters=[Meter(0, *dance.meter)],
            keys=[Key(0, mode.signature[self.tonic])],
            programs={(0, 0): self.instrument, (1, 1): _GUITAR},
            track_names={0: "Melody", 1: "Chords"},
        )


def compose(dice: Dice) -> Tune:
    """Compose one tune from the grammar of this module's docstring."""
    dance = DANCES[dice.choice(("jig", "reel", "waltz"))]
    name = dice.choice(("major", "mixolydian", "dorian", "pentatonic"), (4.0, 2.0, 2.0, 2.0))
    mode = _MODES[name]
    tonic = dice.choice(mode.tonics)
    writer = _Writer(dice, dance, mode, tonic)
    plan_a, plan_b = (_plan(dice.choice(mode.plans), mode) for _ in range(2))
    a = writer.part(plan_a, height=0)
    b = writer.part(plan_b, height=dice.choice((3, 4)), rhyme=a[6:] if dice.chance(0.6) else None)
    if b[6] is a[6]:
        plan_b[6:] = plan_a[6:]  # the rhyme brings its chords along
    lines = (writer.line(a), writer.line(b))
    low, high = dance.tempo
    bpm = low + 2 * dice.below((high - low) // 2 + 1)
    return Tune(dance, tonic, name, bpm, dice.choice(_INSTRUMENTS), lines, (plan_a, plan_b))


def _plan(text: str, mode: _Mode) -> list[str]:
    """The chords of eight bars; the fifth and sixth are those of the first and second where they share no tone."""
    plan = text.split()
    for k in (0, 1):
        shared = set(mode.chords[plan[k]]) & set(mode.chords[plan[k + 4]]) & {tone % 12 for tone in mode.scale}
        if not shared:
            plan[k + 4] = plan[k]
    return plan


@dataclass(frozen=True)
class _Bar:
    rhythm: tuple[int, ...]
    steps: tuple[int, ...]  # indices into the writer's pitches


class _Writer:
    """Writes bars over the scale's pitches inside the melody's range."""

    def __init__(self, dice: Dice, dance: Dance, mode: _Mode, tonic: int) -> None:
        self.dice, self.dance, self.mode = dice, dance, mode
        classes = {(tonic + tone) % 12 for tone in mode.scale}
        self.pitches = [pitch for pitch in range(RANGE[0], RANGE[1] + 1) if pitch % 12 in classes]
        self.tonic = tonic
        self.moves = _moves(len(self.pitches))

    def part(self, plan: list[str], height: int, rhyme: list[_Bar] | None = None) -> list[_Bar]:
        """Eight bars ``a b a' c a b d e``; with ``rhyme``, its two bars are ``d e`` where they can be reached."""
        dance, dice = self.dance, self.dice
        home = 4 + height
        tones = [set(self.mode.chords[name]) for name in plan]
        for k in (0, 1):  # bars that come again over another chord have strong notes that both chords share
            if plan[k + 4] != plan[k]:
                tones[k] &= tones[k + 4]
        rhythms = list(dance.rhythms), list(dance.rhythms.values())
        first, second, seventh = (dice.choice(*rhythms) for _ in range(3))
        a, b = self.write([first, second], tones[:2], [], home)
        moved = self.sequence(a, tones[2], b)
        third = moved or self.write([first], tones[2:3], [a, b], home)[0]
        c = self.write([dice.choice(dance.rests)], tones[3:4], [b, third], home, then=a.steps[0])[0]
        if rhyme is not None and abs(rhyme[0].steps[0] - b.steps[-1]) <= 4:
            return [a, b, third, c, a, b, *rhyme]
        # The closing bars fall from the part's height to the tonic below.
        d, e = self.write([seventh, dice.choice(dance.ends)], tones[6:], [a, b], home - 1, final=True)
        return [a, b, third, c, a, b, d, e]

    def sequence(self, bar: _Bar, chord: set[int], before: _Bar) -> _Bar | None:
        """``bar`` moved along the scale so that its strong notes fit ``chord``; None where no move does."""
        onsets = np.cumsum((0, *bar.rhythm[:-1]))
        strong = [k for k, onset in enumerate(onsets) if onset in self.dance.strong]
        fits = []
        for move in (-1, 1, -2, 2, -3, 3, 0):
            steps = tuple(step + move for step in bar.steps)
            if min(steps) < 0 or max(steps) >= len(self.pitches) or abs(steps[0] - before.steps[-1]) > 4:
                continue
            if all(self.fits(steps[k], chord) for k in strong):
                fits.append(_Bar(bar.rhythm, steps))
        return self.dice.choice(fits) if fits else None

    def fits(self, step: int, chord: set[int]) -> bool:
        return (self.pitches[step] - self.tonic) % 12 in chord

    def write(
        self,
        rhythms: list[tuple[int, ...]],
        chords: list[set[int]],
        before: list[_Bar],
        home: int,
        *,
        then: int | None = None,
        final: bool = False,
    ) -> list[_Bar]:
        """New bars in these rhythms over these chords, joined to the bars before and, if given, the step after."""
        size = len(self.pitches)
        steps = np.arange(size)
        slots = [
            (onset, chord) for rhythm, chord in zip(rhythms, chords) for onset in np.cumsum((0, *rhythm[:-1])).tolist()
        ]
        prices = []
        for k, (onset, chord) in enumerate(slots):
            tone = np.array([self.fits(step, chord) for step in range(size)])
            price = 3.0 * self.dice.uniforms(size) + 0.12 * np.abs(steps - home) ** 1.5
            if onset in self.dance.strong:
                price[~tone] = np.inf
            elif onset % 2 == 0:
                price[~tone] += 0.8
            if final and k == len(slots) - 1:
                price[[(pitch - self.tonic) % 12 != 0 for pitch in self.pitches]] = np.inf
            prices.append(price)
        if then is not None:
            prices[-1] = prices[-1] + 0.5 * np.abs(steps - then)
        # total[p, c]: the cheapest way to have just played p, then c.
        past = [step for bar in before for step in bar.steps][-2:]
        total = np.full((size, size), np.inf)
        if len(past) == 2:
            total[past[0], past[1]] = 0.0
        else:  # a beginning has no past: as if the first note had been repeated
            total[steps, steps] = prices[0]
            prices = prices[1:]
        back = []
        for price in prices:
            ways = total[:, :, None] + self.moves  # [before last, last, new]
            best = ways.argmin(axis=0)
            back.append(best)
            total = np.take_along_axis(ways, best[None], axis=0)[0] + price
        last, new = np.unravel_index(int(total.argmin()), total.shape)
        path = [int(new), int(last)]
        for best in reversed(back[1:] if len(past) == 2 else back):
            path.append(int(best[path[-1], path[-2]]))
        path = path[::-1][-len(slots) :]
        bars = []
        for rhythm in rhythms:
            bars.append(_Bar(rhythm, tuple(path[: len(rhythm)])))
            path = path[len(rhythm) :]
        return bars

    def line(self, bars: list[_Bar]) -> Line:
        line: Line = []
        at = 0
        for bar in bars:
            for length, step in zip(bar.rhythm, bar.steps):
                line.append((at, at + length, self.pitches[step]))
                at += length
        return line


def _moves(size: int) -> np.ndarray:
    """float64 [size, size, size]: the price of going p → c → n along the scale."""
    p, c, n = np.ogrid[:size, :size, :size]
    was, move = c - p, n - c
    leap = np.array([1.6, 0.0, 0.5, 1.3, 2.3, 3.2, np.inf, 4.0] + [np.inf] * size)[np.abs(move)]
    cost = leap + np.zeros((size, size, size))
    cost += 1.2 * ((n == p) & (move != 0))
    cost -= 0.7 * ((np.sign(was) == np.sign(move)) & (np.abs(was) == 1) & (np.abs(move) == 1))
    cost += np.where((np.abs(was) >= 3) & (move != 0), np.where(np.sign(was) == np.sign(move), 1.5, -0.6), 0.0)
    cost += 3.0 * ((was == 0) & (move == 0))
    result: np.ndarray = cost
    return result


def _nearest(classes: list[int], before: list[int]) -> list[int]:
    """A close triad from E3 up of these pitch classes, nearest to the one before."""
    goal = sum(before) / 3 if before else 58.0
    best: list[int] = []
    for k in range(3):
        order = classes[k:] + classes[:k]
        root = 52 + (order[0] - 52) % 12
        chord = [root, root + (order[1] - order[0]) % 12, root + (order[2] - order[0]) % 12]
        if not best or abs(sum(chord) / 3 - goal) < abs(sum(best) / 3 - goal):
            best = chord
    return best
