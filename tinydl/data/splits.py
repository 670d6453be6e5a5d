"""One door to every corpus: :func:`load` takes a dataset's name, ``demo``, a folder or a file, and gives three splits.

The split of a folder is by file, and a function of the music and the seed alone: pieces are ranked by a hash of
(seed, content), the first ``split[0]`` of them train. Renaming or moving files changes nothing, and adding
a file moves at most the pieces at the two borders, where a shuffle would deal all of them anew.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.data import corpus, datasets
from tinydl.data.folder import ExtractionReport, Piece, Progress, Row, admit, digest, read_corpus
from tinydl.errors import DataError

if TYPE_CHECKING:
    from tinydl.data.representations import Representation
    from tinydl.data.score import Score

__all__ = ["Splits", "deal", "known_names", "load"]


@dataclass
class Splits:
    """A corpus in three parts, encoded.

    Attributes:
        train, valid, test: arrays, one per piece, in ``representation``. ``test`` may be empty for corpora of two
        pieces.
        names: per split, the pieces' names, in the same order.
        fingerprint: SHA-256 (hex) over the pieces' contents, their order and split, the seed and the representation:
            two corpora with the same fingerprint train the same model.
        representation: how pieces are encoded, and how samples are decoded. For the rolls of a named dataset its step
            is the dataset's own frame, whatever step was asked for.
        source: the name or path that was loaded.
        report: what became of every file or piece, for a folder, a file, or a dataset that had to be translated; else
        None.
    """

    train: list[np.ndarray]
    valid: list[np.ndarray]
    test: list[np.ndarray]
    names: dict[str, list[str]]
    fingerprint: str
    representation: Representation
    source: str
    report: ExtractionReport | None = None

    def __getitem__(self, split: str) -> list[np.ndarray]:
        """The pieces of the split of this name."""
        if split not in datasets.SPLITS:
            raise KeyError(f"no split is named {split!r}; there are {', '.join(datasets.SPLITS)}")
        pieces: list[np.ndarray] = getattr(self, split)
        return pieces


def known_names() -> list[str]:
    """Every name that :func:`load` knows, beside paths."""
    return [*(entry.name for entry in datasets.list_datasets()), *corpus.CORPORA]


def load(
    name_or_path: str | Path,
    representation: str | Mapping[str, Any] | Representation,
    *,
    seed: int = 0,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    progress: Progress | None = None,
) -> Splits:
    """Load, encode and split a corpus.

    Args:
        name_or_path: a registered dataset (``jsb``, ``nottingham``, ``musedata``, ``piano-midi``, ``jsb16``: canonical
            split; ``binarized-mnist``, ``mnist-t10k``: images, for an encoding of such), the built-in corpus (``demo``,
            ``demo-chorales``, ``demo-tunes``), a folder of MIDI files, or one MIDI file. A name wins over a folder of
            the same name; write ``./jsb`` for the folder.
        representation: a representation, its name, or its configuration.
        seed: seeds the split (not used by the datasets with a canonical split).
        split: the shares of train, valid, test. Train and valid get at least one piece each.
        progress: called as ``progress(done, total, file)`` while files are read.

    Raises:
        DataError: in one sentence, what is missing and what to do.
        MidiError: one file was named, and it cannot be read.
    """
    from tinydl.data.representations import representation as build

    encoding = build(representation)
    shares = _shares(split)
    name = str(name_or_path)
    if datasets.image_size(name):
        return _of_images(name, encoding)
    if encoding.name == "image":
        raise DataError(f"{name!r} is to be read as music, and a model of images (option 'image') cannot learn from it")
    if name in corpus.CORPORA:
        pieces, report = _from_scores(name, encoding)
        return _assemble(deal(pieces, seed, shares), name, encoding, report, seed)
    if name in {entry.name for entry in datasets.list_datasets()}:
        return _canonical(name, encoding)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        near = difflib.get_close_matches(name, known_names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the named datasets are {', '.join(known_names())}"
        raise DataError(f"{name!r} is neither a folder or file nor the name of a dataset; {hint}")
    pieces, report, by_time = read_corpus(path, encoding, progress=progress)
    parts = deal(pieces, None if by_time else seed, shares)
    where = {piece.name: part for part, members in parts.items() for piece in members}
    report.rows = [replace(row, split=where.get(row.file, "")) for row in report.rows]
    return _assemble(parts, name, encoding, report, seed)


def deal(pieces: Sequence[Piece], seed: int | None, split: Sequence[float] = (0.8, 0.1, 0.1)) -> dict[str, list[Piece]]:
    """Deal distinct pieces into train, valid and test by the rank of a hash of (seed, content).

    ``seed=None`` keeps their order (sections of one piece, split by time). Every split with a share above zero gets at
    least one piece, train and valid first; inside a split the pieces stand in their original order.
    """
    shares = _shares(split)
    n = len(pieces)
    if n < 2:
        raise DataError(
            f"the corpus holds {n} usable piece{'' if n == 1 else 's'}, and at least 2 are needed: add more MIDI"
        )
    order = list(range(n))
    if seed is not None:
        order.sort(key=lambda i: hashlib.sha256(f"{seed}:{pieces[i].digest}".encode()).digest())
    counts = _counts(n, shares)
    borders = np.cumsum([0, *counts])
    return {
        part: [pieces[i] for i in sorted(order[borders[k] : borders[k + 1]])] for k, part in enumerate(datasets.SPLITS)
    }


def _shares(split: Sequence[float]) -> tuple[float, float, float]:
    shares = tuple(float(share) for share in split)
    if len(shares) != 3 or min(shares) < 0 or shares[0] <= 0 or shares[1] <= 0:
        raise ValueError(
            f"split must give three shares, of train and valid above zero and of test not below, got {split}"
        )
    total = sum(shares)
    return shares[0] / total, shares[1] / total, shares[2] / total


def _counts(n: int, shares: tuple[float, float, float]) -> list[int]:
    """Whole numbers nearest to ``n * shares`` (largest remainders), with one at least where there are enough pieces."""
    exact = [n * share for share in shares]
    counts = [int(x) for x in exact]
    for k in sorted(range(3), key=lambda k: counts[k] - exact[k])[: n - sum(counts)]:
        counts[k] += 1
    wanted = (0, 1, 2) if shares[2] > 0 and n >= 3 else (0, 1)
    for k in wanted:
        if counts[k] == 0:
            counts[max(range(3), key=counts.__getitem__)] -= 1
            counts[k] += 1
    return counts


def _canonical(name: str, encoding: Representation) -> Splits:
    from tinydl.data.representations import representation as build

    entry = datasets.dataset(name)
    if entry.form == "voices":
        return _of_voices(entry, encoding)
    grid = {"name": "roll", "step": entry.frame_beats}
    if encoding.name == "roll":
        config = encoding.config()
        if (config.get("low", 21), config.get("high", 108)) != (21, 108):
            raise DataError(
                f"the rolls of {name!r} span MIDI 21 to 108; a roll from {config['low']} to {config['high']} is none"
            )
        encoding = build({**config, "step": entry.frame_beats})
    roll = build(grid)
    report = ExtractionReport(
        name, remark="translated from the dataset's piano-rolls: repeated notes are one long note"
    )
    parts: dict[str, list[Piece]] = {}
    for part, arrays in datasets.rolls(name).items():
        parts[part] = []
        for i, array in enumerate(arrays):
            title = f"{name}/{part}/{i:04d}"
            if encoding.name == "roll":
                parts[part].append(Piece(title, array, digest(array)))
            else:
                parts[part] += _translated(title, part, roll.decode(array), encoding, report)
        _require_some(parts[part], name, part, encoding, report)
    return _assemble(parts, name, encoding, report if report.rows else None, None)


def _of_voices(entry: datasets.Dataset, encoding: Representation) -> Splits:
    """The splits of a dataset of four voices: as they are for a chorale on its grid, else translated."""
    from tinydl.data.representations import Chorale
    from tinydl.data.representations.base import as_step

    own = Chorale(step=entry.frame_beats)
    same = isinstance(encoding, Chorale) and as_step(encoding.step) == as_step(own.step)
    report = ExtractionReport(entry.name, remark="translated from the dataset's four voices")
    parts: dict[str, list[Piece]] = {}
    for part, arrays in datasets.voices(entry.name).items():
        parts[part] = []
        for i, array in enumerate(arrays):
            title = f"{entry.name}/{part}/{i:04d}"
            if isinstance(encoding, Chorale) and same and _within(array, encoding.low, encoding.high):
                data = encoding.of_sounding(array)
                parts[part].append(Piece(title, data, digest(data)))
            else:
                parts[part] += _translated(title, part, own.decode(own.of_sounding(array)), encoding, report)
        _require_some(parts[part], entry.name, part, encoding, report)
    return _assemble(parts, entry.name, encoding, report if report.rows else None, None)


def _of_images(name: str, encoding: Representation) -> Splits:
    """The splits of a dataset of images, each of which is a piece; with their labels where the encoding has some."""
    from tinydl.data.representations import Image

    entry = datasets.dataset(name)
    if not isinstance(encoding, Image):
        raise DataError(f"{name!r} holds images, and no music that could be written as {encoding.name}")
    if (encoding.height, encoding.width) != entry.image:
        height, width = entry.image or (0, 0)
        raise DataError(f"the images of {name!r} have {height}x{width} pixels, and the model's have {encoding}")
    if encoding.labels not in (0, entry.labels):
        has = f"{entry.labels} labels" if entry.labels else "no labels"
        raise DataError(f"the images of {name!r} have {has}, and the model is told one of {encoding.labels}")
    data = datasets.images(name)
    if encoding.labels:
        one_hot = np.eye(encoding.labels, dtype=np.bool_)
        data = {part: np.hstack([data[part], one_hot[label]]) for part, label in datasets.labels(name).items()}
    parts = {
        part: [Piece(f"{name}/{part}/{i:05d}", row[None], digest(row[None])) for i, row in enumerate(rows)]
        for part, rows in data.items()
    }
    return _assemble(parts, name, encoding, None, None)


def _within(pitches: np.ndarray, low: int, high: int) -> bool:
    sung = pitches[pitches >= 0]
    return bool(not len(sung) or (sung.min() >= low and sung.max() <= high))


def _translated(
    title: str, part: str, score: Score, encoding: Representation, report: ExtractionReport
) -> Iterable[Piece]:
    """A dataset's piece in another encoding, entered in the report; none where nothing of it is left."""
    kept: dict[str, Piece] = {}  # the canonical split stays as it is, its own repetitions included
    row = Row(title, "kept", notes=len(score.notes), seconds=score.seconds, split=part)
    report.rows.append(admit(row, score, encoding, kept))
    return kept.values()


def _require_some(
    pieces: list[Piece], name: str, part: str, encoding: Representation, report: ExtractionReport
) -> None:
    if not pieces:
        raise DataError(f"no piece of {name}/{part} can be written as {encoding.name}: {report.rows[-1].reason}")


def _from_scores(name: str, encoding: Representation) -> tuple[list[Piece], ExtractionReport]:
    report = ExtractionReport(name)
    pieces: dict[str, Piece] = {}
    for title, score in corpus.corpus(name):
        row = Row(title, "kept", notes=len(score.notes), seconds=score.seconds)
        report.rows.append(admit(row, score, encoding, pieces))
    return list(pieces.values()), report


def _assemble(
    parts: Mapping[str, list[Piece]],
    source: str,
    encoding: Representation,
    report: ExtractionReport | None,
    seed: int | None,
) -> Splits:
    content = {
        "representation": encoding.config(),
        "seed": seed,
        "pieces": {part: [piece.digest for piece in parts[part]] for part in datasets.SPLITS},
    }
    return Splits(
        **{part: [piece.data for piece in parts[part]] for part in datasets.SPLITS},
        names={part: [piece.name for piece in parts[part]] for part in datasets.SPLITS},
        fingerprint=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        representation=encoding,
        source=source,
        report=report,
    )
