"""A score or a MIDI file as a WAV file: by FluidSynth where it and a soundfont are installed, else by :mod:`.synth`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.data.score import Score
from tinydl.errors import DataError
from tinydl.render.synth import PEAK, SAMPLE_RATE, synthesize
from tinydl.utils.files import replacing

__all__ = ["ENGINES", "WavInfo", "atomic", "find_soundfont", "render_wav"]

ENGINES = ("auto", "builtin", "fluidsynth")

_SOUNDFONTS = (  # where Debian and its relatives, Fedora, Arch and Homebrew put them
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/usr/local/share/fluidsynth",
    "/opt/homebrew/share/fluid-synth/sf2",
)
_FLUIDSYNTH_TIMEOUT = 300  # seconds


@dataclass(frozen=True)
class WavInfo:
    """What was written: ``seconds`` long, by which ``engine``; ``peak`` and ``rms`` in dB below full scale."""

    file: str
    engine: str
    seconds: float
    sample_rate: int
    channels: int
    peak: float
    rms: float
    soundfont: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


def render_wav(score: Score | str | Path, path: str | Path, *, engine: str = "auto") -> WavInfo:
    """Write the sound of a score, or of a MIDI file, as a 16-bit stereo WAV file of 44,100 samples a second.

    Args:
        score: a score or the path of a MIDI file.
        path: where to write; the file appears complete or not at all.
        engine: ``"builtin"`` (our own synthesizer: the same samples every time), ``"fluidsynth"``, or ``"auto"``:
            FluidSynth when it is on the PATH and a soundfont is found (``$TINYDL_SOUNDFONT``, or the system's folders).

    Raises:
        DataError: no notes, too long, an unwritable path, or an engine that was asked for and is not there.
        MidiError: the MIDI file cannot be read.
        ValueError: an unknown engine.
    """
    from tinydl.data import midi

    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    target = Path(path)
    piece = score if isinstance(score, Score) else midi.read(Path(score))[0]
    program, soundfont = shutil.which("fluidsynth"), find_soundfont()
    if engine == "fluidsynth" and not (program and soundfont):
        what = "no soundfont was found: set TINYDL_SOUNDFONT to an .sf2 file" if program else "it is not on the PATH"
        raise DataError(f"FluidSynth cannot render {target}: {what}, or use the built-in synthesizer")
    if engine != "builtin" and program and soundfont and piece.notes:
        try:
            return _fluidsynth(program, soundfont, piece, target)
        except (DataError, subprocess.SubprocessError) as error:
            if engine == "fluidsynth":
                raise DataError(f"FluidSynth could not render {target}: {error}") from error
    return _builtin(piece, target)


def find_soundfont() -> Path | None:
    """The soundfont for FluidSynth: ``$TINYDL_SOUNDFONT``, else the first in the system's folders, else None."""
    if own := os.environ.get("TINYDL_SOUNDFONT"):
        path = Path(own).expanduser()
        return path if path.is_file() else None
    for folder in _SOUNDFONTS:
        found = sorted(file for ending in ("*.sf2", "*.sf3") for file in Path(folder).glob(ending))
        default = [file for file in found if file.stem.startswith("default")]
        if found:
            return (default or found)[0]
    return None


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """As :func:`tinydl.utils.files.replacing`, with a DataError of one sentence."""
    try:
        with replacing(target) as part:
            yield part
    except OSError as error:
        raise DataError(f"cannot write {target}: {error.strerror or f'{error} (is the disk full?)'}") from error


def _builtin(piece: Score, target: Path) -> WavInfo:
    with atomic(target) as part, tempfile.TemporaryFile(dir=target.parent) as spool:
        # The loudest sample is known only at the end, so the unscaled sound waits on disk, not in memory.
        sizes: list[int] = []
        loudest, energy, audible = 0.0, 0.0, 0
        for block in synthesize(piece):
            level = np.abs(block).max(axis=1)
            loud = np.flatnonzero(level > 1e-4)
            if len(loud):
                audible = sum(sizes) + int(loud[-1]) + 1
            loudest = max(loudest, float(level.max()))
            energy += float(np.einsum("ij,ij->", block, block, dtype=np.float64))
            sizes.append(len(block))
            block.tofile(spool)
        gain = PEAK / loudest if loudest > 0 else 0.0
        spool.seek(0)
        with wave.open(str(part), "wb") as out:
            out.setnchannels(2)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE)
            left = audible = min(sum(sizes), audible + SAMPLE_RATE // 10)
            for size in sizes:
                block = np.fromfile(spool, dtype=np.float32, count=2 * size)[: 2 * left]
                left -= len(block) // 2
                out.writeframesraw(np.rint(block * np.float32(gain * 32767)).astype("<i2").tobytes())
    rms = gain * float(np.sqrt(energy / max(1, 2 * audible)))
    return WavInfo(
        str(target), "builtin", audible / SAMPLE_RATE, SAMPLE_RATE, 2, _decibel(gain * loudest), _decibel(rms)
    )


def _fluidsynth(program: str, soundfont: Path, piece: Score, target: Path) -> WavInfo:
    from tinydl.data import midi

    with tempfile.TemporaryDirectory() as folder, atomic(target) as part:
        source = Path(folder, "piece.mid")
        midi.write(piece, source)
        command = [program, "-ni", "-g", "0.7", "-r", str(SAMPLE_RATE), "-T", "wav", "-O", "s16", "-F", str(part)]
        run = subprocess.run(
            [*command, str(soundfont), str(source)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FLUIDSYNTH_TIMEOUT,
            check=False,
        )
        try:
            peak, rms, seconds = _measure(part)
        except (wave.Error, EOFError, ZeroDivisionError, FileNotFoundError):
            said = (run.stderr or run.stdout).strip().splitlines()
            raise DataError(f"it wrote no sound ({said[-1] if said else f'exit status {run.returncode}'})") from None
    return WavInfo(str(target), "fluidsynth", seconds, SAMPLE_RATE, 2, peak, rms, str(soundfont))


def _measure(path: Path) -> tuple[float, float, float]:
    """Peak and RMS in dB below full scale, and the length in seconds, of a 16-bit WAV file."""
    loudest, energy, count = 0, 0.0, 0
    with wave.open(str(path), "rb") as sound:
        seconds = sound.getnframes() / sound.getframerate()
        while frames := sound.readframes(1 << 18):
            samples = np.frombuffer(frames, dtype="<i2").astype(np.int64)
            loudest = max(loudest, int(np.abs(samples).max()))
            energy += float((samples**2).sum())
            count += len(samples)
    return _decibel(loudest / 32767), _decibel(float(np.sqrt(energy / count)) / 32767), seconds


def _decibel(ratio: float) -> float:
    return float(20 * np.log10(max(ratio, 1e-6)))
