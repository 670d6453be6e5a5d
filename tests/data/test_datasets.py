"""The registry of named datasets: the canonical split, its facts, and what happens without a network."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinydl.data import datasets
from tinydl.errors import DataError

NAMES = ["jsb", "nottingham", "musedata", "piano-midi"]  # piano-rolls; beside them jsb16, four voices

# Facts and exact anchors of the canonical split (train, valid, test). The likelihoods are test nats per frame, summed
# over the 88 pitches, all frames with the first: the marginal Bernoulli and the per-pitch Markov chain estimated on
# train, as `marginal` and `markov_nll` below define them (how the counts are smoothed moves the third decimal).
FACTS = {
    "jsb": ((229, 76, 77), (13_807, 4_602, 4_725), (3.898, 3.870, 3.887), 4, 11.061, 10.469749),
    "nottingham": ((694, 173, 170), (176_561, 45_513, 44_463), (3.961, 3.959, 3.990), 9, 10.252, 5.165757),
    "musedata": ((524, 135, 124), (245_202, 82_755, 64_339), (3.493, 3.479, 3.293), 15, 11.510, 8.563515),
    "piano-midi": ((87, 12, 25), (75_911, 8_540, 19_036), (3.044, 3.235, 2.945), 12, 11.046, 8.268102),
}


needs_data = pytest.mark.skipif(
    not all(datasets.local(name) for name in NAMES),
    reason="the canonical data sets are neither in TINYDL_DATA nor cached",
)


def bernoulli_nll(rolls: list[np.ndarray], p: np.ndarray) -> float:
    """Mean over frames of -sum_k [v_k log p_k + (1 - v_k) log(1 - p_k)] for fixed p [88]."""
    frames = np.concatenate(rolls)
    return float(-(frames @ np.log(p) + (~frames) @ np.log1p(-p)).mean())


def marginal(rolls: list[np.ndarray]) -> np.ndarray:
    frames = np.concatenate(rolls)
    return (frames.sum(axis=0) + 1.0) / (len(frames) + 2.0)


def markov_nll(train: list[np.ndarray], test: list[np.ndarray]) -> float:
    """Per pitch, p(on | previous state) one pseudo-count toward the marginal; the first frame from the marginal."""
    p0 = marginal(train)
    before = np.concatenate([roll[:-1] for roll in train])
    after = np.concatenate([roll[1:] for roll in train])
    given = [((after & (before == s)).sum(0) + p0) / ((before == s).sum(0) + 1.0) for s in (False, True)]
    total = 0.0
    for roll in test:
        p = np.concatenate([p0[None], np.where(roll[:-1], given[1], given[0])])
        total -= float(np.where(roll, np.log(p), np.log1p(-p)).sum())
    return total / sum(map(len, test))


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_facts_and_exact_likelihood_anchors(name: str) -> None:
    sequences, frames, polyphony, highest, nll_marginal, nll_markov = FACTS[name]
    facts = datasets.show(name)
    assert tuple(facts["sequences"].values()) == sequences
    assert tuple(facts["frames"].values()) == frames
    assert tuple(facts["mean_polyphony"].values()) == pytest.approx(polyphony, abs=5e-4)
    assert max(facts["max_polyphony"].values()) == highest
    data = datasets.rolls(name)
    assert all(roll.dtype == np.bool_ and roll.shape[1] == 88 for split in data.values() for roll in split)
    assert bernoulli_nll(data["test"], np.full(88, 0.5)) == pytest.approx(88 * np.log(2), abs=1e-9)
    assert bernoulli_nll(data["test"], marginal(data["train"])) == pytest.approx(nll_marginal, abs=6e-4)
    assert markov_nll(data["train"], data["test"]) == pytest.approx(nll_markov, abs=2e-6)


def test_the_registry_is_pinned_and_complete() -> None:
    assert [entry.name for entry in datasets.list_datasets()] == [*NAMES, "jsb16", "binarized-mnist", "mnist-t10k"]
    beats = {"jsb": 1.0, "jsb16": 0.25, "binarized-mnist": 0.0, "mnist-t10k": 0.0}
    forms = {"jsb16": "voices", "binarized-mnist": "image", "mnist-t10k": "image"}
    for entry in datasets.list_datasets():
        for file in entry.files:
            assert re.search(r"/[0-9a-f]{40}/", file.url) and len(file.sha256) == 64 and file.size > 0
            # the MATLAB files of binarized-mnist are called .amat where they come from, which is a format of text
            assert file.url.replace(".amat", ".mat").endswith(f"/{file.file}")
        assert entry.bytes == sum(file.size for file in entry.files)
        assert entry.licence and entry.holds and entry.source
        assert entry.frame_beats == beats.get(entry.name, 0.5)
        assert entry.form == forms.get(entry.name, "roll")
        assert (entry.image is not None) == (entry.form == "image")


@pytest.mark.skipif(not datasets.local("jsb16"), reason="jsb16 is neither in TINYDL_DATA nor cached")
def test_the_facts_of_the_four_voices() -> None:
    facts = datasets.show("jsb16")
    assert tuple(facts["sequences"].values()) == (229, 76, 77)
    assert tuple(facts["frames"].values()) == (55_228, 18_408, 18_900)
    assert (facts["lowest"]["train"], facts["highest"]["train"]) == (36, 81)
    data = datasets.voices("jsb16")
    assert all(len(piece) % 4 == 0 and piece.shape[1] == 4 for split in data.values() for piece in split)
    for split in data.values():  # the soprano lies above, the bass below; hardly a rest
        joined = np.concatenate(split)
        assert ((joined >= 0).all(1).mean() > 0.99) and (np.diff(joined[(joined >= 0).all(1)].mean(0)) < 0).all()
    assert datasets.rolls("jsb16")["test"][0].sum() == sum(len(set(frame)) for frame in data["test"][0].tolist())


def test_piano_rolls_have_no_voices() -> None:
    with pytest.raises(DataError, match="'jsb' holds piano-rolls, and no voices; those with voices are jsb16"):
        datasets.voices("jsb")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="'jbs'.*jsb, nottingham, musedata, piano-midi, jsb16"):
        datasets.fetch("jbs")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[datasets.Dataset, bytes]:
    """A registry entry for a file of our own, behind a port nobody listens on."""
    content = b"a roll of nothing"
    entry = replace(
        datasets.dataset("jsb"),
        name="small",
        file="small.mat",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        url="http://127.0.0.1:9/small.mat",
    )
    monkeypatch.setitem(datasets._REGISTRY, "small", entry)
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TINYDL_DATA", str(tmp_path / "mirror"))
    return entry, content


def test_the_mirror_is_searched_in_depth_and_believed_by_checksum_alone(
    small: tuple[datasets.Dataset, bytes], tmp_path: Path
) -> None:
    entry, content = small
    wrong = tmp_path / "mirror" / "a" / entry.file
    right = tmp_path / "mirror" / "b" / "c" / entry.file
    for path, data in ((wrong, content[::-1]), (right, content)):
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    assert datasets.fetch("small") == right


def test_the_cache_answers_without_network(small: tuple[datasets.Dataset, bytes], tmp_path: Path) -> None:
    entry, content = small
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / entry.file).write_bytes(content)
    assert datasets.fetch("small") == tmp_path / "cache" / entry.file


@pytest.mark.parametrize("damaged", [False, True])
def test_without_network_one_sentence_names_file_url_and_variable(
    small: tuple[datasets.Dataset, bytes], tmp_path: Path, damaged: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    entry, content = small
    if damaged:  # a damaged file in the cache is no file
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / entry.file).write_bytes(content[::-1])
    with pytest.raises(DataError) as caught:
        datasets.fetch("small")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert all(part in sentence for part in (entry.file, entry.url, "TINYDL_DATA"))
    assert capfd.readouterr() == ("", "")  # the one sentence is the caller's to print


def test_a_download_is_checked_and_cached(small: tuple[datasets.Dataset, bytes], tmp_path: Path) -> None:
    import http.server
    import threading

    entry, content = small
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / entry.file).write_bytes(content)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "www"))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/{entry.file}"
            datasets._REGISTRY["small"] = replace(entry, url=url)
            path = datasets.fetch("small")
            assert path == tmp_path / "cache" / entry.file and path.read_bytes() == content
            path.unlink()
            (tmp_path / "www" / entry.file).write_bytes(content + b"!")
            with pytest.raises(DataError, match="checksum is wrong"):
                datasets.fetch("small")
            assert not path.exists()
        finally:
            server.shutdown()
            thread.join()


def test_without_scipy_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match="needs SciPy, which is missing: pip install scipy"):
        datasets.rolls("jsb")


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path))
    assert datasets.cache_folder() == tmp_path
    monkeypatch.delenv("TINYDL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert datasets.cache_folder() == tmp_path / "xdg" / "tinydl" / "data"


@needs_data
def test_get_copies_nothing_when_the_mirror_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = datasets.fetch("jsb")
    mirror = tmp_path / "mirror" / "deep"
    mirror.mkdir(parents=True)
    shutil.copy(source, mirror)
    monkeypatch.setenv("TINYDL_DATA", os.fspath(tmp_path / "mirror"))
    monkeypatch.setenv("TINYDL_CACHE", os.fspath(tmp_path / "cache"))
    assert datasets.get("jsb") == mirror / "JSB_Chorales.mat"
    assert not (tmp_path / "cache").exists()
