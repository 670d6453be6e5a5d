"""One MIDI file, from its bytes to its row in the table and its array; and both as bytes again.

:func:`extract` is a function of a file's bytes and the representation, of nothing else: no name, no folder. So its
result may come from this process, from another one (:mod:`tinydl.data.readers`) or from an earlier run
(:mod:`tinydl.data.read_cache`), and is the same. The two that are not this process get it as :func:`pack` writes it:

    length of the header (4 bytes, little-endian) | header (JSON) | the array's bytes in C order, little-endian, by zlib
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.data import midi
from tinydl.errors import DataError, MidiError

if TYPE_CHECKING:
    from tinydl.data.representations import Representation
    from tinydl.data.score import Score

__all__ = ["Extract", "Row", "digest", "encode", "extract", "outcome", "pack", "unpack"]

OUT_OF_MEMORY = "it takes more memory than there is"

_COLUMNS = ("status", "reason", "notes", "seconds", "length", "dropped", "loss")  # of a Row: what the file decides


@dataclass(frozen=True)
class Row:
    """What became of one file (or of one section of it).

    ``reason`` says why for every status but *kept*; ``notes`` and ``seconds`` are the file's, ``length`` is the number
    of frames or tokens of its encoding; ``dropped`` maps what the reader left out to how often; ``loss`` is what the
    representation says it does not keep.
    """

    file: str
    status: str
    reason: str = ""
    notes: int = 0
    seconds: float = 0.0
    length: int = 0
    split: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


@dataclass(frozen=True)
class Extract:
    """What one file gives: its row (which may still turn out a duplicate), and the array with its digest.

    A rejected file has no array.
    """

    row: Row
    data: np.ndarray | None = None
    digest: str = ""


def digest(data: np.ndarray) -> str:
    """SHA-256 of an array: its dtype, its shape and its values in C order and little-endian bytes."""
    array = np.ascontiguousarray(data)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + array.tobytes()).hexdigest()


def extract(data: bytes, beyond: int, representation: Representation) -> Extract:
    """Read and encode the bytes of a file, of which ``beyond`` more were left unread; its row names no file yet."""
    try:
        score, read = midi.parse(data, beyond=beyond)
    except MidiError as error:
        return rejected(str(error).removeprefix("cannot read the data: "))
    row = outcome("", score, read)
    return encode(row, score, representation)


def rejected(reason: str) -> Extract:
    """The extract of a file that cannot be used."""
    return Extract(Row("", "rejected", reason))


def outcome(name: str, score: Score, read: midi.Report) -> Row:
    """The row of a file that was read: kept or salvaged, so far."""
    dropped = {drop.reason: drop.count for drop in read.dropped}
    row = Row(name, "kept", notes=len(score.notes), seconds=read.seconds, dropped=dropped)
    if read.status == "salvaged":
        row = replace(row, status="salvaged", reason=", ".join(dropped) or "damaged")
    return row


def encode(row: Row, score: Score, representation: Representation) -> Extract:
    """Encode a score; its row is rejected when it is empty, cannot be encoded, or nothing of it is left."""
    if not score.notes:
        return Extract(replace(row, status="rejected", reason="it holds no notes"))
    try:
        encoded = representation.encode(score)
    except (ValueError, DataError, MidiError) as error:
        return Extract(replace(row, status="rejected", reason=str(error)))
    data = encoded.data
    row = replace(row, length=len(data), loss=dict(encoded.loss))
    if len(data) < 2 or (data.dtype == np.bool_ and not data.any()):
        return Extract(replace(row, status="rejected", reason=f"nothing of it is left as {representation.name}"))
    return Extract(row, data, digest(data))


# --- as bytes ---------------------------------------------------------------------------------------------------------


def pack(found: Extract) -> bytes:
    """An extract as bytes: a piano-roll of a folk tune takes 2 KB, one twentieth of the array."""
    header: dict[str, Any] = {key: getattr(found.row, key) for key in _COLUMNS}
    body = b""
    if found.data is not None:
        array = np.ascontiguousarray(found.data)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        header |= {"digest": found.digest, "dtype": array.dtype.str, "shape": array.shape}
        body = zlib.compress(array.tobytes(), 1)  # half as long at level 6, for ten times the time
    text = json.dumps(header).encode()
    return len(text).to_bytes(4, "little") + text + body


def unpack(packed: bytes) -> Extract:
    """The inverse of :func:`pack`; ValueError when the bytes are no extract."""
    try:
        end = 4 + int.from_bytes(packed[:4], "little")
        header = json.loads(packed[4:end])
        row = Row("", **{key: header[key] for key in _COLUMNS})
        if "dtype" not in header:
            return Extract(row)
        dtype, shape = np.dtype(header["dtype"]), header["shape"]
        if dtype.kind not in "biuf":
            raise ValueError(f"an array of {dtype}")
        size = dtype.itemsize * math.prod(shape)
        content = zlib.decompress(packed[end:], bufsize=size)
        if len(content) != size:
            raise ValueError(f"{len(content)} bytes instead of {size}")
        data = np.frombuffer(content, dtype).reshape(shape)
        return Extract(row, data.astype(dtype.newbyteorder("=")), header["digest"])  # a copy, which can be written
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"no extract: {error}") from None
