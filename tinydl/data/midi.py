"""MIDI files: :func:`read` salvages what a file holds, :func:`write` writes what reads back the same."""

from __future__ import annotations

from tinydl.data.midi_read import Drop, Report, examine, parse, read
from tinydl.data.midi_write import to_bytes, write

__all__ = ["Drop", "Report", "examine", "parse", "read", "to_bytes", "write"]
