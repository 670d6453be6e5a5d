"""Reading and writing ``.safetensors`` files.

The format (https://github.com/huggingface/safetensors): eight bytes, the length N of the header, little-endian; N
bytes of JSON, ``{name: {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {str: str}}``; then the
arrays, without holes. Nothing in such a file can be executed. It is read here by hand because every rule must be
*checked before* anything is allocated, duplicate keys included, which the format's own Python loader lets pass.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import CheckpointError, MissingFileError
from tinydl.utils.files import replacing

MAX_HEADER = 8 * 2**20  # a thousand times what a model needs, and little enough to parse in any memory
CHECKSUM = "crc32"  # in the metadata: CRC-32 of all other metadata and all arrays

_DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "F16": "<f2",
    "U32": "<u4", "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}  # what a file can hold


class _Invalid(Exception):
    """Why a file is not a valid one; becomes a CheckpointError that names the file."""


def replace(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file in one piece or not at all (:func:`tinydl.utils.files.replacing`). Raises OSError."""
    with replacing(path) as temp, open(temp, "wb") as file:
        for part in parts:
            file.write(part)


def write(path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata as one ``.safetensors`` file, atomically (:func:`replace`), with a checksum.

    Raises:
        CheckpointError: the file cannot be written (a full disk, no permission); what was there before is unchanged.
    """
    content = parts(str(path), tensors, metadata)
    try:
        replace(path, content)
    except OSError as error:
        kept = "the file that was there is unchanged" if path.exists() else "nothing was left there"
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}; {kept}") from error


def parts(name: str, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """The content of a file, in order. Raises CheckpointError when its header would be too long to be read again."""
    arrays = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in tensors.items()}
    arrays = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in arrays.items()}
    # Wide items first: every array then begins at a multiple of its item size.
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    header: dict[str, Any] = {}
    end = 0
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        dtype = NAMES[arrays[name].dtype]
        header[name] = {"dtype": dtype, "shape": list(arrays[name].shape), "data_offsets": [begin, end]}
    data = [arrays[name].reshape(-1).view(np.uint8).data for name in order]
    crc = _checksum(header, metadata)
    for part in data:
        crc = zlib.crc32(part, crc)
    header["__metadata__"] = {**metadata, CHECKSUM: f"{crc:08x}"}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise CheckpointError(
            f"cannot write {name}: its header would take {len(text)} bytes, above the limit of {MAX_HEADER}; make long "
            "lists of numbers tensors"
        )
    return [len(text).to_bytes(8, "little"), text, *data]


def read(
    path: str | Path, *, only_metadata: bool = False, foreign: bool = False
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a file of :func:`write`: its arrays (none with ``only_metadata``) and its metadata.

    Everything the header says is checked against the file's size before an array is allocated, so a hostile file costs
    no more memory than its own size; the checksum is compared with what was read. With ``foreign`` a file without one,
    of another program, is read too.

    Raises:
        CheckpointError: in one sentence, why the file cannot be used.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir() and not path.is_file():  # opening a pipe would wait for ever
            raise CheckpointError(f"cannot read {path}: it is a device or a pipe, not a file")
        with open(path, "rb") as file:
            return read_from(file, str(path), only_metadata=only_metadata, foreign=foreign)
    except OSError as error:
        kind = MissingFileError if isinstance(error, FileNotFoundError) else CheckpointError
        raise kind(f"cannot read {path}: {error.strerror or error}") from error


def read_from(
    file: BinaryIO, name: str, *, only_metadata: bool = False, foreign: bool = False
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read an open file (``name`` stands in messages) from where it is to its end; see :func:`read`."""
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    try:
        header, metadata, length = _header(file, size)
        arrays = {} if only_metadata else _arrays(file, start + length, header, metadata, foreign)
        return arrays, metadata
    except _Invalid as error:
        file.seek(start)
        raise CheckpointError(f"{name} is not a checkpoint of tinydl: {_kind(file.read(8)) or error}") from None


def _kind(start: bytes) -> str | None:
    """What a file of another format is, by its first bytes."""
    if start.startswith(b"PK\x03\x04"):
        return "it is a zip archive, such as torch.save writes, and may hold a pickle, which is never loaded"
    if start[:1] == b"\x80" and start[1:2] in b"\x01\x02\x03\x04\x05" and len(start) > 1:
        return "it is a pickle, which is never loaded, since a pickle can run any code"
    if start.startswith(b"\x93NUMPY"):
        return "it is a NumPy file"
    return None


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any], dict[str, str], int]:
    """The checked header: the entries in order of their data, the metadata, and where the data begin."""
    if size < 8:
        raise _Invalid(f"it is {size} bytes long")
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, MAX_HEADER):
        raise _Invalid(
            f"its header claims {length} bytes, in a file of {size} bytes (truncated, or not a .safetensors file)"
        )
    text = file.read(length)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _Invalid(f"its header is not valid JSON ({type(error).__name__})") from None
    if not isinstance(header, dict):
        raise _Invalid("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _Invalid("its metadata are not strings")
    for name, entry in header.items():
        _check_entry(name, entry)
    entries = dict(sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"])))
    end = 0
    for name, entry in entries.items():
        if entry["data_offsets"][0] != end:
            raise _Invalid(f"tensor {name!r} begins at byte {entry['data_offsets'][0]} of the data instead of {end}")
        end = entry["data_offsets"][1]
    if 8 + length + end != size:
        raise _Invalid(f"it is {size} bytes long, but its header describes {8 + length + end} (truncated, or grown)")
    return entries, metadata, 8 + length


def _check_entry(name: str, entry: Any) -> None:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Invalid(f"tensor {name!r} has no dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise _Invalid(f"tensor {name!r} has the dtype {dtype!r}, which is not known")
    for numbers, what in ((shape, "shape"), (offsets, "data_offsets")):
        if (
            not isinstance(numbers, list)
            or not all(type(n) is int and 0 <= n < 2**48 for n in numbers)
            or len(numbers) > 32
        ):
            raise _Invalid(f"tensor {name!r} has a {what} that is not a list of sizes")
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
        raise _Invalid(
            f"tensor {name!r} of shape {tuple(shape)} and dtype {dtype} does not fit its data_offsets {offsets}"
        )


def _arrays(
    file: BinaryIO, start: int, header: dict[str, Any], metadata: dict[str, str], foreign: bool
) -> dict[str, NDArray[Any]]:
    crc = _checksum(header, {key: value for key, value in metadata.items() if key != CHECKSUM})
    file.seek(start)
    arrays: dict[str, NDArray[Any]] = {}
    for name, entry in header.items():
        array = np.empty(entry["shape"], dtype=_DTYPES[entry["dtype"]])
        raw = array.reshape(-1).view(np.uint8).data
        if file.readinto(raw) != len(raw):  # type: ignore[attr-defined]
            raise _Invalid("it became shorter while it was read")
        crc = zlib.crc32(raw, crc)
        if entry["dtype"] == "BOOL" and array.size and array.view(np.uint8).max() > 1:
            raise _Invalid(f"tensor {name!r} holds a bool that is neither 0 nor 1")
        arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
    if metadata.get(CHECKSUM) != f"{crc:08x}" and not (foreign and not _ours(metadata)):
        raise _Invalid("its checksum does not agree with its content (damaged, or written by another program)")
    return arrays


def _ours(metadata: Mapping[str, str]) -> bool:
    """Whether tinydl wrote a file: then it has a checksum, or a damaged name of one."""
    return any(key == CHECKSUM or key.startswith("tinydl") for key in metadata)


def _checksum(header: Mapping[str, Any], metadata: Mapping[str, str]) -> int:
    """CRC-32 of what the header says, in an order that does not depend on how it was written."""
    return zlib.crc32(json.dumps([sorted(header.items()), sorted(metadata.items())], sort_keys=True).encode())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("duplicate key")
    return unique


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
