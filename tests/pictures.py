"""Small datasets of images for tests: 4 x 5 pixels, one row of which is on, and a few pixels wrong."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tinydl.data import datasets

HEIGHT, WIDTH = 4, 5
BARS, LABELLED = "bars", "bars-labelled"


def bars(n: int, seed: int, wrong: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Images, bool [n, 20], and the number of the row that is on, int64 [n]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, HEIGHT, n)
    images = np.zeros((n, HEIGHT, WIDTH), bool)
    images[np.arange(n), labels] = True
    return (images ^ (rng.random(images.shape) < wrong)).reshape(n, -1), labels


def idx(array: np.ndarray) -> bytes:
    """An IDX file of bytes, packed, the same at all times."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def enter(monkeypatch: pytest.MonkeyPatch, folder: Path, n: int = 200) -> None:
    """The registry gets ``bars`` (n / 20 / 20 images) and ``bars-labelled`` (n, to be split), as files in a mirror."""

    def file(name: str, content: bytes | None = None) -> datasets.File:
        path = folder / name
        if content is not None:
            path.write_bytes(content)
        found = path.read_bytes()
        return datasets.File(name, f"http://127.0.0.1:9/{name}", hashlib.sha256(found).hexdigest(), len(found))

    def entry(like: str, name: str, files: list[datasets.File]) -> datasets.Dataset:
        first = {key: getattr(files[0], key) for key in ("file", "url", "sha256", "size")}
        size = (HEIGHT, WIDTH)
        return replace(datasets.dataset(like), name=name, **first, beside=tuple(files[1:]), image=size)

    folder.mkdir(parents=True, exist_ok=True)
    for k, (split, count) in enumerate({"train": n, "valid": 20, "test": 20}.items()):
        savemat(folder / f"bars_{split}.mat", {"X": bars(count, k)[0].astype(np.uint8)})
    mats = [file(f"bars_{split}.mat") for split in datasets.SPLITS]
    images, labels = bars(n, 3)
    grey = np.where(images, 128, 127).reshape(n, HEIGHT, WIDTH)
    packed = [file("bars-idx3.gz", idx(grey)), file("bars-idx1.gz", idx(labels))]
    monkeypatch.setitem(datasets._REGISTRY, BARS, entry("binarized-mnist", BARS, mats))
    of_rows = replace(entry("mnist-t10k", LABELLED, packed), labels=HEIGHT)
    monkeypatch.setitem(datasets._REGISTRY, LABELLED, of_rows)
    monkeypatch.setenv("TINYDL_DATA", str(folder))
