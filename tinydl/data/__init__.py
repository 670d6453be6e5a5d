"""Music as data: scores, MIDI files, representations, datasets. Light to import: mido and SciPy load on first use."""

from __future__ import annotations

from tinydl.data.midi import Drop, Report
from tinydl.data.midi import read as read_midi
from tinydl.data.midi import write as write_midi
from tinydl.data.representations import Encoded, Representation, representation
from tinydl.data.score import DEFAULT_TEMPO, DRUM_CHANNEL, Key, Meter, Note, Pedal, Score, Tempo
from tinydl.data.splits import Splits, load

__all__ = [
    "DEFAULT_TEMPO",
    "DRUM_CHANNEL",
    "Drop",
    "Encoded",
    "Key",
    "Meter",
    "Note",
    "Pedal",
    "Report",
    "Representation",
    "Score",
    "Splits",
    "Tempo",
    "load",
    "read_midi",
    "representation",
    "write_midi",
]
