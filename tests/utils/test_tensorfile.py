"""The safetensors reader and writer: exact, atomic, and closed to anything malformed."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from tinydl.errors import CheckpointError
from tinydl.utils import tensorfile

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 4), np.float32),
    "flags": np.array([True, False, True]),
    "bytes": np.arange(5, dtype=np.uint8),
    "counts": np.array([-1, 2**62]),
    "strided": np.arange(12, dtype=np.float64).reshape(3, 4)[:, ::2],
    "special": np.array([np.nan, np.inf, -0.0], np.float16),
}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "x.safetensors"
    tensorfile.write(file, ARRAYS, {"note": "größer"})
    return file


def test_round_trip_is_exact(path):
    arrays, metadata = tensorfile.read(path)
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()
        assert arrays[name].flags.writeable or not arrays[name].size
    assert metadata["note"] == "größer"
    assert tensorfile.read(path, only_metadata=True) == ({}, metadata)


def test_the_formats_own_library_reads_it(path):
    numpy_loader = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    arrays = numpy_loader.load_file(path)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_same_content_same_bytes(tmp_path):
    tensorfile.write(tmp_path / "a", ARRAYS, {"k": "v"})
    tensorfile.write(tmp_path / "b", dict(reversed(ARRAYS.items())), {"k": "v"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_arrays_are_aligned(path):
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    assert length % 8 == 0
    header = json.loads(path.read_bytes()[8 : 8 + length])
    for name, array in ARRAYS.items():
        assert header[name]["data_offsets"][0] % array.dtype.itemsize == 0


def test_every_truncation_and_every_flipped_bit_is_refused(tmp_path):
    file = tmp_path / "small"
    tensorfile.write(file, {"w": np.arange(3, dtype=np.float32)}, {"note": "n"})
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is not a checkpoint of tinydl"):
            tensorfile.read(file)
    file.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match="truncated, or grown"):
        tensorfile.read(file)
    for position in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << position % 8
        file.write_bytes(damaged)
        try:
            arrays, metadata = tensorfile.read(file)
        except CheckpointError as error:
            assert "\n" not in str(error)
        else:  # such a bit carries no meaning: padding after the JSON, or another space
            assert arrays["w"].tolist() == [0, 1, 2]
            assert metadata["note"] == "n"


def _file(header: object, data: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _entry(**changes: object) -> dict[str, object]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "0 bytes long"),
        (b"\0" * 7, "7 bytes long"),
        (struct.pack("<Q", 2**63) + b"{}", "header claims"),
        (struct.pack("<Q", 100) + b"{}", "header claims"),
        (_file(b"{}" * 2), "not valid JSON"),
        (_file(b"\xff\xfe"), "not valid JSON"),
        (_file(b"[" * 100_000), "not valid JSON"),
        (_file([1]), "not a JSON object"),
        (_file(b'{"a": NaN}'), "not valid JSON"),
        (_file(json.dumps({"a": _entry(), "b": _entry()}).replace('"b"', '"a"').encode()), "not valid JSON"),
        (_file({"a": _entry(), "__metadata__": {"x": 1}}), "metadata"),
        (_file({"a": 3}), "no dtype"),
        (_file({"a": _entry(extra=1)}), "no dtype"),
        (_file({"a": _entry(dtype="F31")}), "F31"),
        (_file({"a": _entry(dtype=["F32"])}), "dtype"),
        (_file({"a": _entry(shape=[-2])}), "shape"),
        (_file({"a": _entry(shape=[2.0])}), "shape"),
        (_file({"a": _entry(shape=[True])}), "shape"),
        (_file({"a": _entry(shape=[3])}), "does not fit"),
        (_file({"a": _entry(shape=[2**40, 2**40])}), "does not fit"),
        (_file({"a": _entry(data_offsets=[8, 0])}), "does not fit"),
        (_file({"a": _entry(data_offsets=[0])}), "does not fit"),
        (_file({"a": _entry(data_offsets=[4, 12])}, b"\0" * 12), "begins at byte 4"),
        (_file({"a": _entry(), "b": _entry(data_offsets=[4, 12])}, b"\0" * 12), "begins at byte 4"),
        (_file({"a": _entry()}, b"\0" * 9), "truncated, or grown"),
        (_file({"a": _entry()}), "checksum"),
        (pickle.dumps({"a": 1}), "pickle"),
        (b"\x80\x02}q\x00.", "7 bytes|pickle"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused_in_one_sentence(tmp_path, content, says):
    file = tmp_path / "bad.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as caught:
        tensorfile.read(file)
    assert "\n" not in str(caught.value)
    assert "bad.safetensors" in str(caught.value)


def test_a_zip_archive_is_named(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", b"x")
    (tmp_path / "model.pt").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="zip archive"):
        tensorfile.read(tmp_path / "model.pt")


def test_reading_takes_less_than_twice_the_file(tmp_path):
    file = tmp_path / "big"
    tensorfile.write(file, {"a": np.zeros(2**20), "b": np.ones(2**19)}, {})
    tracemalloc.start()
    try:
        arrays, _ = tensorfile.read(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert arrays["b"].sum() == 2**19
    assert peak < 1.2 * file.stat().st_size


def test_missing_file_and_folder():
    with pytest.raises(CheckpointError, match="No such file"):
        tensorfile.read(os.path.join("nowhere", "x"))


def test_flushed_before_renamed_before_folder_flushed(tmp_path, monkeypatch):
    path = tmp_path / "x"
    events = []
    inode = lambda fd: os.fstat(fd).st_ino
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd):
        events.append(("fsync", inode(fd), os.fstat(fd).st_size))
        real_fsync(fd)

    def replace(source, target):
        events.append(("rename", os.stat(source).st_ino, os.path.basename(target)))
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    tensorfile.write(path, ARRAYS, {})
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert [event[:2] for event in events] == [("fsync", file), ("rename", file), ("fsync", folder)]
    assert events[0][2] == path.stat().st_size  # all bytes were there when it was flushed


@pytest.mark.parametrize("failing", ["open", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "x"
    tensorfile.write(path, {"w": np.ones(3)}, {})
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        with pytest.raises(CheckpointError, match="No space left on device; the file that was there is unchanged"):
            tensorfile.write(path, {"w": np.zeros(3)}, {})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x"]


def test_a_file_that_may_not_grow_so_far(tmp_path):
    resource = pytest.importorskip("resource", reason="needs a POSIX system")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot write .*; nothing was left there"):
            tensorfile.write(tmp_path / "x", {"w": np.zeros(100_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []
