"""``tinydl.save`` and ``tinydl.load``: every structure comes back, and no file can do harm."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinydl
from tinydl import nn, optim
from tinydl.errors import CheckpointError
from tinydl.utils import tensorfile


def again(obj: Any) -> Any:
    """``obj`` through a file in memory."""
    file = io.BytesIO()
    tinydl.save(obj, file)
    file.seek(0)
    return tinydl.load(file)


def equal(a: Any, b: Any) -> bool:
    """Structure, types, numbers to the bit."""
    if isinstance(a, tinydl.Tensor):
        alike = type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
        return alike and a.array.tobytes() == b.array.tobytes()
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def test_nested_structures_come_back() -> None:
    obj = {
        "model": {"0.weight": tinydl.ones(2, 3), "0.bias": tinydl.zeros(3, dtype=tinydl.float64)},
        "list": [1, 2.5, True, None, "text", (tinydl.tensor([1, 2]), [])],
        3: {"a": float("inf"), "b": float("nan"), "c": -0.0},
        (1, "x"): np.arange(4.0),
        None: 2**70,
        "$tuple": "a word of the format",
        "dtype": tinydl.float16,
        "device": tinydl.device("cpu"),
        "size": tinydl.Size((2, 3)),
        "scalars": [tinydl.tensor(3.5), tinydl.tensor(True), tinydl.zeros(0, 4)],
        "strided": tinydl.arange(12).reshape(3, 4).T[::2],
        "half": tinydl.tensor([1.5, float("nan")], dtype=tinydl.float16),
        1: "one", "1": "the text one",
    }  # fmt: skip
    assert equal(obj, again(obj))
    for single in (tinydl.ones(2), [], {}, None, 3, "x", ((),), tinydl.ones(2, 2).T):
        assert equal(single, again(single))


tensors = st.builds(
    lambda shape, kind: tinydl.tensor(np.arange(int(np.prod(shape))).reshape(shape).astype(kind)),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]),
)
plain = st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=4)
structures = st.recursive(
    plain | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["$array", "$tensor", "$pairs"]), inner, max_size=3)
        | st.dictionaries(st.integers(0, 3) | st.tuples(st.integers(0, 2)) | st.sampled_from("0123"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(structures)
def test_any_structure_comes_back(obj: Any) -> None:
    assert equal(obj, again(obj))


def test_gradients_parameters_and_sharing() -> None:
    w = nn.Parameter(tinydl.ones(2, 2))
    x = tinydl.ones(2, requires_grad=True)
    view = w.detach()
    back = again({"w": w, "again": w, "view": view, "x": x, "history": x * 2, "row": w[0], "frozen": view.T})
    assert type(back["w"]) is nn.Parameter and back["w"] is back["again"] and back["w"].requires_grad
    assert type(back["view"]) is tinydl.Tensor and not back["view"].requires_grad
    assert np.shares_memory(back["view"].array, back["w"].array)
    assert back["x"].requires_grad and back["history"].is_leaf and back["history"].requires_grad
    assert not np.shares_memory(back["row"].array, back["w"].array)
    back["view"].fill_(5)
    assert back["w"].tolist() == [[5, 5], [5, 5]]


def test_a_training_state_goes_on_where_it_was(tmp_path: Path) -> None:
    def make() -> tuple[nn.Module, optim.Adam]:
        tinydl.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        return model, optim.Adam(model.parameters(), lr=0.01)

    def step(model: nn.Module, optimizer: optim.Adam, k: int) -> None:
        optimizer.zero_grad()
        x = tinydl.tensor(np.random.default_rng(k).standard_normal((5, 3)).astype(np.float32))
        (model(x) ** 2).mean().backward()
        optimizer.step()

    model, optimizer = make()
    for k in range(3):
        step(model, optimizer, k)
    file = tmp_path / "run.tinydl"
    tinydl.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, file)
    for k in range(3, 6):
        step(model, optimizer, k)
    other, its = make()
    state = tinydl.load(str(file), map_location="cpu", weights_only=True)
    other.load_state_dict(state["model"])
    its.load_state_dict(state["optimizer"])
    for k in range(state["epoch"], 6):
        step(other, its, k)
    for a, b in zip(model.parameters(), other.parameters()):
        assert a.array.tobytes() == b.array.tobytes()


# --------------------------------------------------------------------------------------------------------- bad input


class Anything:
    pass


def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "x"
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for obj, kind, message in (
        ({"a": [1, Anything()]}, TypeError, "'a/1', a Anything; what can be saved is tensors, arrays"),
        ({"a": {1, 2}}, TypeError, "'a', a set"),
        (nn.Linear(2, 2), TypeError, r"a Linear; .*of a module, its state_dict\(\)"),
        ({"a": np.array([None])}, TypeError, "'a' is an array of dtype object"),
        ({"a": np.ones(2, complex)}, TypeError, "'a' is an array of dtype complex128"),
        (loop, ValueError, "contains itself, or is nested too deeply"),
        (deep, ValueError, "contains itself, or is nested too deeply"),
        ({"a": b"bytes"}, TypeError, "'a', a bytes"),
    ):
        with pytest.raises(kind, match=message) as caught:
            tinydl.save(obj, file)
        assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="cannot write .*: No such file or directory; nothing was left there"):
        tinydl.save(1, tmp_path / "nowhere" / "x")
    with pytest.raises(CheckpointError, match="Is a directory"):
        tinydl.save(1, tmp_path)


def test_a_failing_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x"
    tinydl.save([1, tinydl.ones(3)], file)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match="No space left on device; the file that was there is unchanged"):
            tinydl.save([2], file)
    assert tinydl.load(file)[0] == 1 and [p.name for p in tmp_path.iterdir()] == ["x"]


def container(header: dict[str, Any], data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def with_tree(tree: Any, tensors: Any = (), version: Any = 1, file: Path | None = None) -> bytes:
    """A file whose container is in order and whose structure is what it is given."""
    content = json.dumps({"format": version, "tree": tree, "tensors": list(tensors)})
    arrays = {"w": np.ones(2, np.float32)}
    return b"".join(tensorfile.parts("x", arrays, {"tinydl.tree": content}))


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


W = ["w", False, False]
BAD: list[tuple[str, bytes, str]] = [
    ("empty", b"", "0 bytes long"),
    ("header beyond the file", struct.pack("<Q", 2**62) + b"{}", "header claims 4611686018427387904 bytes"),
    ("header of 8 MB and more", struct.pack("<Q", 9 * 2**20) + b" " * 9 * 2**20, "header claims"),
    ("text", b"this is some text, no tensors at all", "header claims"),
    ("pickle", b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.", "a pickle, which is never loaded"),
    ("deep nesting", struct.pack("<Q", 10**6) + b"[" * 10**6, "not valid JSON"),
    ("overlap", container({"a": entry(), "b": entry(data_offsets=[4, 12])}, b"\0" * 12), "'b' begins at byte 4"),
    ("hole", container({"a": entry(data_offsets=[8, 16])}, b"\0" * 16), "'a' begins at byte 8"),
    ("offsets out of range", container({"a": entry(data_offsets=[0, 800])}, b"\0" * 8), "does not fit"),
    ("size out of range", container({"a": entry(shape=[200], data_offsets=[0, 800])}, b"\0" * 8), "truncated, or gr"),
    ("negative offsets", container({"a": entry(data_offsets=[-8, 0])}, b"\0" * 8), "not a list of sizes"),
    ("a wrong dtype", container({"a": entry(dtype="float32")}, b"\0" * 8), "dtype 'float32', which is not known"),
    ("a shape too large", container({"a": entry(shape=[2**40, 2**40])}, b"\0" * 8), "does not fit"),
    ("an infinite number", struct.pack("<Q", 11) + b'{"a": 1e99}', "no dtype, shape and data_offsets"),
    ("a tree that is none", with_tree({"$tensor": "w"}, [W]), "is damaged: the structure"),
    ("a tensor too far", with_tree({"$tensor": 1}, [W]), "is damaged: the structure"),
    ("a tensor before the first", with_tree({"$tensor": -1}, [W]), "is damaged: the structure"),
    ("a row of nothing", with_tree({"$tensor": 0}, [["v", False, False]]), "is damaged: the structure"),
    ("a row of a wrong length", with_tree({"$tensor": 0}, [["w"]]), "is damaged: the structure"),
    ("a table of numbers", with_tree({"$tensor": 0}, [3]), "is damaged: the structure"),
    ("pairs that are none", with_tree({"$pairs": [1, 2]}), "is damaged: the structure"),
    ("a key that is a list", with_tree({"$pairs": [[[1], 2]]}), "is damaged: the structure"),
    ("an array that is not there", with_tree({"$array": "v"}), "lacks its tensor 'v'"),
    ("an array by number", with_tree({"$array": [1]}), "is damaged: the structure"),
    ("a float that is none", with_tree({"$float": "one"}), "is damaged: the structure"),
    ("a device that is none", with_tree({"$device": "tpu"}), "is damaged: the structure"),
    ("sizes that are none", with_tree({"$size": 3}), "is damaged: the structure"),
    ("a newer format", with_tree(1, version=2), "written by a newer tinydl .format 2."),
    ("a format that is text", with_tree(1, version="1"), "is damaged: the structure"),
    ("no checksum", container({"__metadata__": {"tinydl.tree": "{}"}}), "its checksum does not agree"),
    ("a tree too deep", b"".join(tensorfile.parts("x", {}, {"tinydl.tree": "[" * 50_000})), "is damaged: the struct"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "says"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_files_are_refused_in_one_sentence(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "bad"
    file.write_bytes(content)
    for source in (file, io.BytesIO(content)):
        with pytest.raises(CheckpointError, match=says) as caught:
            tinydl.load(source)
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["bad"]


def test_things_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, says in (
        (tmp_path, "Is a directory"),
        (tmp_path / "missing", "No such file or directory"),
        (tmp_path / "pipe", "a device or a pipe, not a file"),
        (Path("/dev/zero"), "a device or a pipe, not a file"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(CheckpointError, match=f"cannot read .*{says}") as caught:
            tinydl.load(path)
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, FileNotFoundError) == (path.name == "missing")
    with pytest.raises(RuntimeError, match="no CUDA backend is available for device 'cuda': .*; or stay on 'cpu'"):
        tinydl.load(tmp_path / "x", map_location="cuda")


def mutate(whole: bytes, rng: random.Random) -> bytes:
    """One of the ways in which files go wrong, or are made to."""
    data = bytearray(whole)
    length = int.from_bytes(whole[:8], "little")
    kind = rng.randrange(8)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:  # in the header alone
        data[8 + rng.randrange(length)] = rng.randrange(256)
    elif kind == 3:  # a digit of a size or an offset
        digits = [i for i in range(8, 8 + length) if chr(data[i]).isdigit()]
        data[rng.choice(digits)] = ord(str(rng.randrange(10)))
    elif kind == 4:
        data[:8] = struct.pack("<Q", rng.choice([0, 1, length - 1, length + 1, 2**31, 2**63 - 1, 2**64 - 1]))
    elif kind == 5:
        at = rng.randrange(len(data))
        data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
    elif kind == 6:
        at = rng.randrange(8, 8 + length)
        del data[at : at + rng.randrange(1, 30)]
    else:  # an old header over other data
        other = bytearray(rng.randrange(256) for _ in range(len(data) - 8 - length))
        data[8 + length :] = other
    return bytes(data)


def test_six_hundred_mutations_are_refused_or_harmless(tmp_path: Path) -> None:
    obj = {
        "model": {"w": tinydl.arange(64.0), "b": tinydl.ones(2, 3, dtype=tinydl.float64)},
        "n": [1, (2.5, None)],
        3: 4,
    }
    file = tmp_path / "x"
    tinydl.save(obj, file)
    whole = file.read_bytes()
    rng = random.Random(5)
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(600):
            damaged = mutate(whole, rng)
            tracemalloc.reset_peak()
            base = tracemalloc.get_traced_memory()[0]
            try:
                back = tinydl.load(io.BytesIO(damaged))
            except CheckpointError as error:
                refused += 1
                assert "\n" not in str(error)
            else:  # what changed has no meaning, such as a space
                assert equal(obj, back)
            # The file, its header as JSON, and the error: nothing of the size that the header claims.
            assert tracemalloc.get_traced_memory()[1] - base < 40 * len(whole) + 100_000
    finally:
        tracemalloc.stop()
    assert refused > 560


def test_arrays_of_numpys_own_dtypes_come_back(tmp_path) -> None:
    state = np.random.RandomState(0).get_state()
    tinydl.save({"state": state, "w": tinydl.ones(2)}, tmp_path / "a.pt")
    found = tinydl.load(tmp_path / "a.pt")
    assert found["state"][1].dtype == np.uint32 and np.array_equal(found["state"][1], state[1])


PLACES = ["cpu", tinydl.device("cpu"), {"cuda:0": "cpu"}, {}, lambda storage, place: storage, None]


@pytest.mark.parametrize("where", PLACES)
def test_what_says_cpu_is_taken_for_a_place(where: Any, tmp_path: Path) -> None:
    tinydl.save({"w": tinydl.ones(2)}, tmp_path / "w.pt")
    assert tinydl.load(tmp_path / "w.pt", map_location=where)["w"].tolist() == [1.0, 1.0]
