"""A model without a likelihood on the command line: what is printed in place of one, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import quietly

OPTIONS = ["-o", "units=6", "latent=3", "frames=8", "batch=8", "eval_every=2", "updates=2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("gan") / "run"
    words = ("train", "gan", "demo-chorales", "--out", run, "--steps", "4", "--log-every", "1")
    code, out, err = quietly(*words, *OPTIONS)
    assert code == 0, err
    assert "best distance from validation 0." in out and "nats" not in out and "--measures" in out
    assert "loss critic " in err and " generator " in err
    return run


def test_music_has_no_likelihood(run: Path, tmp_path: Path) -> None:
    code, out, err = quietly("generate", run, "--out", tmp_path / "new.mid", "--bars", "2", "--json", "--no-copying")
    assert code == 0, err
    (facts,) = json.loads(out)
    assert facts["nll_per_frame"] is None and (tmp_path / "new.mid").exists()
    code, _, err = quietly("generate", run, "--out", tmp_path / "a.mid", "--bars", "2", "--html", tmp_path / "a.html")
    assert code == 0, err
    assert "nats" not in (tmp_path / "a.html").read_text().split("<script")[0]


@pytest.mark.parametrize("words", [["evaluate"], ["surprise"]])
def test_what_needs_a_likelihood_is_refused_in_one_sentence(run: Path, tmp_path: Path, words: list[str]) -> None:
    from tinydl.data import midi
    from tinydl.data.corpus import demo_scores

    midi.write(demo_scores("chorales", 1, seed=1)[0], tmp_path / "real.mid")
    file = [tmp_path / "real.mid"] if words == ["surprise"] else []
    code, out, err = quietly(*words, run, *file)
    assert (code, out) == (2, "") and err.startswith("tinydl: error: the model 'gan' has no likelihood")
    assert len(err.splitlines()) == 1


def test_a_report_does_without(run: Path, tmp_path: Path) -> None:
    code, _, err = quietly("report", run, "--html", tmp_path / "page.html", "--num", "1", "--bars", "2")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    assert "tinydl evaluate --measures" in page and "nll_per_frame" not in page
    assert "writes music of its own" in page and "surprising" not in page
