"""A small synthesizer: a score becomes 16-bit stereo sound at 44.1 kHz, with NumPy alone.

A note is ``e(t) [d(φ) + b(t) s(φ)]``: a dark and a bright single-cycle wave ``d`` and ``s`` (a few harmonics each,
none above half the sampling rate), read at the phase ``φ`` of the pitch, mixed by a brightness ``b`` that dies away,
under an envelope ``e`` that begins and ends at zero, so that nothing clicks. Sustained instruments are two such waves a
few cents apart, one leaning left and one right. Each General MIDI family has a patch; channel 10 plays drums made of
noise and a falling sine. Voices are spread over the stereo field by track, a short room follows, and the whole is
scaled so that its peak is 1 dB below full scale: it cannot clip. The sustain pedal is obeyed.

The piece is rendered in blocks of some seconds; memory does not grow with its length. The same score gives the same
samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from tinydl.data.score import DRUM_CHANNEL, Score
from tinydl.errors import DataError
from tinydl.random import Generator

__all__ = ["MAX_SECONDS", "PEAK", "SAMPLE_RATE", "Event", "Patch", "events", "patch", "synthesize"]

SAMPLE_RATE = 44_100
MAX_SECONDS = 1_800  # half an hour; an hour of sound is most often a mistake in a file's timing
PEAK = 0.891  # -1 dB below full scale

_BLOCK = 4 * SAMPLE_RATE
_LONGEST_NOTE = 30.0  # seconds: a stuck note ends
_TABLE_BITS = 13
_CACHE_SAMPLES = 4_000_000  # rendered notes kept for reuse: repeated notes are frequent, and 32 MB are not much
_ROOM_SECONDS = 0.9
_ROOM_LEVEL = 0.16


@dataclass(frozen=True)
class Patch:
    """An instrument.

    ``dark`` and ``bright`` are the amplitudes of the harmonics 1, 2, …; ``attack``, ``release`` and ``fade`` (the time
    in which brightness falls to 1/e) are in seconds; ``decay`` is the time in which the sound of middle C falls to 1/e,
    0 for one that is held; ``cents`` is the distance of its two waves, ``vibrato`` its depth in cents.
    """

    name: str
    dark: tuple[float, ...]
    bright: tuple[float, ...]
    attack: float
    decay: float
    release: float
    fade: float
    level: float = 1.0
    cents: float = 0.0
    vibrato: float = 0.0


def _slope(n: int, power: float, *, even: float = 1.0) -> tuple[float, ...]:
    """Amplitudes 1/k^power of the first n harmonics, those of even number weakened by ``even``."""
    return tuple((1.0 if k % 2 else even) / k**power for k in range(1, n + 1))


_PATCHES = {
    "piano": Patch("piano", _slope(8, 1.8), _slope(24, 0.9), 0.003, 1.3, 0.12, 0.25, 1.0, 0.8),
    "mallets": Patch("mallets", (1, 0, 0, 0.25), (0, 0.2, 0, 0.6, 0, 0, 0, 0, 0, 0.3), 0.002, 0.7, 0.25, 0.06, 0.9),
    "organ": Patch("organ", (1, 0.7, 0.35, 0.4, 0, 0.2, 0, 0.25), (0,), 0.025, 0, 0.09, 1, 0.55, 1.5),
    "accordion": Patch("accordion", _slope(14, 1.0, even=0.8), (0,), 0.03, 0, 0.06, 1, 0.5, 7.0),
    "guitar": Patch("guitar", _slope(6, 1.5), _slope(22, 0.7), 0.002, 0.7, 0.09, 0.13, 0.9, 0.5),
    "bass": Patch("bass", _slope(5, 1.5), _slope(12, 1.0), 0.004, 0.9, 0.07, 0.1, 1.1),
    "strings": Patch("strings", _slope(16, 1.25), _slope(20, 0.9), 0.06, 0, 0.14, 0.25, 0.5, 5.0, 5.0),
    "violin": Patch("violin", _slope(14, 1.15), _slope(20, 0.7), 0.035, 0, 0.08, 0.2, 0.5, 2.0, 11.0),
    "choir": Patch("choir", (1, 0.55, 0.35, 0.12, 0.08, 0.14, 0.1, 0.04), (0,), 0.09, 0, 0.2, 1, 0.6, 6.0, 9.0),
    "brass": Patch("brass", _slope(10, 1.1), _slope(24, 0.5), 0.03, 0, 0.08, 0.3, 0.45, 1.5, 4.0),
    "reed": Patch("reed", _slope(14, 1.0, even=0.25), _slope(12, 0.8), 0.03, 0, 0.07, 0.15, 0.5, 0.7, 5.0),
    "flute": Patch("flute", (1, 0.3, 0.1, 0.04), (0, 0.3, 0.2, 0.1, 0.08), 0.04, 0, 0.08, 0.06, 0.75, 0.7, 9.0),
    "synth": Patch("synth", _slope(12, 1.2), _slope(24, 0.8), 0.01, 0, 0.15, 0.5, 0.45, 6.0),
}
_FAMILIES = (  # of General MIDI, eight programs each
    "piano", "mallets", "organ", "guitar", "bass", "strings", "strings", "brass",
    "reed", "flute", "synth", "synth", "synth", "guitar", "mallets", "synth",
)  # fmt: skip
_SINGLE = {40: "violin", 41: "violin", 42: "violin", 21: "accordion", 22: "accordion", 23: "accordion"}
_SINGLE |= {45: "guitar", 46: "guitar", 47: "bass", 52: "choir", 53: "choir", 54: "choir"}


def patch(program: int) -> Patch:
    """The patch for a General MIDI program 0..127."""
    return _PATCHES[_SINGLE.get(program) or _FAMILIES[program // 8 % 16]]


@dataclass(frozen=True)
class Event:
    """One note to be sounded."""

    start: int  # sample
    length: int  # samples until the key is released
    pitch: int
    gain: float
    pan: float  # -1 left .. 1 right
    patch: Patch | None  # None: a drum


def synthesize(score: Score, *, room: bool = True) -> Iterator[np.ndarray]:
    """The sound of a score, as blocks float32 [n, 2] one after the other, not yet scaled.

    Args:
        score: what to play.
        room: whether a short reverberation follows.

    Raises:
        DataError: the score has no notes, or lasts longer than ``MAX_SECONDS``.
    """
    if not score.notes:
        raise DataError("there is nothing to hear: the score holds no notes")
    seconds = score.seconds
    if seconds > MAX_SECONDS:
        raise DataError(f"the piece lasts {seconds:,.0f} s, and at most {MAX_SECONDS:,} s are rendered: cut it first")
    sounding = events(score)
    cache = _NoteCache()
    total = max(event.start + event.length for event in sounding) + SAMPLE_RATE
    blocks = -(-total // _BLOCK)
    convolve = _Room() if room else None
    tail = np.zeros((0, 2), dtype=np.float32)
    position = 0
    for block in range(blocks):
        end = (block + 1) * _BLOCK
        size = max(_BLOCK, len(tail))
        sound = np.zeros((size, 2), dtype=np.float32)
        sound[: len(tail)] = tail
        while position < len(sounding) and sounding[position].start < end:
            event = sounding[position]
            position += 1
            left, right = cache.note(event)
            at = event.start - block * _BLOCK
            if at + len(left) > len(sound):
                sound = np.concatenate([sound, np.zeros((at + len(left) - len(sound), 2), dtype=np.float32)])
            angle = (event.pan + 1) * np.pi / 4
            sound[at : at + len(left), 0] += np.float32(event.gain * np.cos(angle)) * left
            sound[at : at + len(left), 1] += np.float32(event.gain * np.sin(angle)) * right
        dry, tail = sound[:_BLOCK], sound[_BLOCK:]
        yield convolve(dry) if convolve is not None else dry


def events(score: Score) -> list[Event]:
    """The notes of a score as they sound, the pedal obeyed, in order of their start; as many as the score has."""
    played = score.apply_pedal()
    starts = played.to_seconds([note.start for note in played.notes])
    ends = played.to_seconds([note.end for note in played.notes])
    tracks = sorted({(note.track, note.channel) for note in played.notes if note.channel != DRUM_CHANNEL})
    pans = {key: 0.55 * (2 * i / (len(tracks) - 1) - 1) if len(tracks) > 1 else 0.0 for i, key in enumerate(tracks)}
    found = []
    for note, start, end in zip(played.notes, starts.tolist(), ends.tolist()):
        key = (note.track, note.channel)
        drum = note.channel == DRUM_CHANNEL
        # One player alone sits at a wide piano: low notes left, high notes right.
        pan = pans.get(key, 0.0) if len(tracks) > 1 else max(-0.5, min(0.5, (note.pitch - 62) / 60))
        found.append(
            Event(
                start=round(start * SAMPLE_RATE),
                length=max(1, round(min(end - start, _LONGEST_NOTE) * SAMPLE_RATE)),
                pitch=note.pitch,
                gain=(note.velocity / 127) ** 1.6,
                pan=pan,
                patch=None if drum else patch(score.programs.get(key, 0)),
            )
        )
    return sorted(found, key=lambda event: event.start)


@dataclass
class _NoteCache:
    """Rendered notes at full gain, as (left, right) float32 [n]."""

    notes: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    samples: int = 0

    def note(self, event: Event) -> tuple[np.ndarray, np.ndarray]:
        name = event.patch.name if event.patch is not None else "drums"
        key = (name, event.pitch, event.length if event.patch is not None else 0)
        found = self.notes.get(key)
        if found is None:
            found = _drum(event.pitch) if event.patch is None else _note(event.patch, event.pitch, event.length)
            if self.samples + len(found[0]) > _CACHE_SAMPLES:
                self.notes.clear()
                self.samples = 0
            self.notes[key] = found
            self.samples += len(found[0])
        return found


@lru_cache(maxsize=512)
def _tables(name: str, pitch: int) -> tuple[np.ndarray, np.ndarray]:
    """The dark and the bright wave of a patch at a pitch, float32 [2^13] each, no harmonic above 0.45 of the rate."""
    instrument = _PATCHES[name]
    size = 1 << _TABLE_BITS
    highest = int(0.45 * SAMPLE_RATE / _hertz(pitch))
    waves = []
    for amplitudes in (instrument.dark, instrument.bright):
        spectrum = np.zeros(size // 2 + 1, dtype=np.complex128)
        for k, amplitude in enumerate(amplitudes[: max(1, highest)], start=1):
            # Phases spread by k^2 keep the sum of many harmonics from piling up into one spike per cycle.
            spectrum[k] = amplitude * np.exp(1j * np.pi * k * k / 7)
        waves.append(np.fft.irfft(spectrum, size) * (size / 2))
    loudness = float(np.sqrt(np.mean((waves[0] + waves[1]) ** 2))) or 1.0
    dark, bright = ((wave / loudness).astype(np.float32) for wave in waves)
    return dark, bright


def _hertz(pitch: float) -> float:
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def _note(instrument: Patch, pitch: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    release = round(instrument.release * SAMPLE_RATE)
    n = length + release
    if instrument.decay:  # what has died away need not be computed: 7 times the decay is -60 dB
        n = min(n, round(7 * _decay(instrument, pitch) * SAMPLE_RATE))
    t = np.arange(n, dtype=np.float32) / np.float32(SAMPLE_RATE)
    attack = max(1, min(round(instrument.attack * SAMPLE_RATE), length))
    envelope = np.full(n, 0.2 * instrument.level, dtype=np.float32)
    if instrument.decay:
        envelope *= np.exp(-t / np.float32(_decay(instrument, pitch)))
    envelope[:attack] *= _ramp(attack)
    fall = min(release, n)
    envelope[n - fall :] *= _ramp(fall)[::-1] ** 2
    dark, bright = _tables(instrument.name, pitch)
    brightness = np.exp(-t / np.float32(instrument.fade)) if any(instrument.bright) else None
    wobble = None
    if instrument.vibrato and n > SAMPLE_RATE // 4:  # begins after the attack, at five and a half turns a second
        depth = 2.0 ** (instrument.vibrato / 1200) - 1
        onset = np.minimum(t / 0.6, 1.0) ** 2
        wobble = (depth * _hertz(pitch) / (2 * np.pi * 5.5)) * onset * np.sin(2 * np.pi * 5.5 * t)
    sides = []
    for lean in (-0.5, 0.5) if instrument.cents else (0.0,):
        hertz = _hertz(pitch + lean * instrument.cents / 100)
        # A 32-bit phase wraps around by itself, once per cycle.
        phase = np.arange(n, dtype=np.uint32) * np.uint32(round(hertz / SAMPLE_RATE * 2**32))
        if wobble is not None:
            phase += (wobble * 2.0**32).astype(np.int64).astype(np.uint32)
        index = phase >> np.uint32(32 - _TABLE_BITS)
        wave = dark[index]
        if brightness is not None:
            wave += brightness * bright[index]
        wave *= envelope
        sides.append(wave)
    return sides[0], sides[-1]


def _decay(instrument: Patch, pitch: int) -> float:
    """High strings die sooner: the decay halves every 18 semitones."""
    return float(instrument.decay * 2.0 ** ((60 - pitch) / 18))


def _ramp(n: int) -> np.ndarray:
    """float32 [n], rising smoothly from 0 toward 1: sin^2."""
    return np.sin(np.linspace(0, np.pi / 2, n, endpoint=False, dtype=np.float32)) ** 2


@lru_cache(maxsize=64)
def _drum(pitch: int) -> tuple[np.ndarray, np.ndarray]:
    """A drum of General MIDI's map, from noise and a falling sine: float32 [n], the same on both sides."""
    kick, snare, cymbal = pitch in (35, 36), pitch in (37, 38, 39, 40), pitch in (42, 44, 46) or pitch >= 49
    seconds = 0.35 if kick else 0.25 if snare else (0.9 if pitch in (49, 52, 55, 57) else 0.12) if cymbal else 0.4
    n = round(seconds * SAMPLE_RATE)
    t = np.arange(n, dtype=np.float64) / SAMPLE_RATE
    noise = Generator(pitch).fork("drum").random(n, dtype=np.float64) * 2 - 1
    if cymbal:
        noise = np.diff(noise, prepend=0.0)  # a crude high-pass
        sound = 0.25 * noise * np.exp(-t * 5 / seconds)
    else:
        low = 48.0 if kick else 170.0 if snare else 70.0 + 9.0 * (pitch - 41)
        sweep = low * (t + 0.03 * (1 - np.exp(-t / 0.03)))
        sound = np.sin(2 * np.pi * sweep) * np.exp(-t * 6 / seconds) * (0.7 if kick else 0.4)
        sound += noise * np.exp(-t * 7 / seconds) * (0.35 if snare else 0.03)
    edge = SAMPLE_RATE // 1000
    sound[:edge] *= _ramp(edge)
    sound[-20 * edge :] *= _ramp(20 * edge)[::-1]
    wave = sound.astype(np.float32)
    return wave, wave


class _Room:
    """A short reverberation: convolution with decaying noise, another for each ear, carried from block to block."""

    def __init__(self) -> None:
        n = round(_ROOM_SECONDS * SAMPLE_RATE)
        self.size = 1 << (_BLOCK + n - 1).bit_length()
        t = np.arange(n) / SAMPLE_RATE
        noise = Generator(0).fork("room").random((2, n), dtype=np.float64) * 2 - 1
        # Walls take the treble first: a running mean over a few samples, and nothing before the first reflection.
        noise = np.stack([np.convolve(row, np.ones(6) / 6, mode="same") for row in noise])
        answer = noise * np.exp(-t * 6.9 / _ROOM_SECONDS) * (t > 0.012)
        answer *= _ROOM_LEVEL / np.sqrt((answer**2).sum(axis=1, keepdims=True))
        self.spectrum = np.fft.rfft(answer.astype(np.float32), self.size)
        self.tail = np.zeros((2, self.size - _BLOCK), dtype=np.float32)

    def __call__(self, dry: np.ndarray) -> np.ndarray:
        send = np.fft.rfft(dry.mean(axis=1), self.size)
        wet = np.fft.irfft(send * self.spectrum, self.size).astype(np.float32, copy=False)
        wet[:, : self.tail.shape[1]] += self.tail
        self.tail = wet[:, _BLOCK:].copy()
        result: np.ndarray = dry + 2.0 * wet[:, :_BLOCK].T
        return result
