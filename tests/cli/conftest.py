"""What the tests of the command line share: run a command in this process and look at all it did."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tinydl import registry
from tinydl.cli import main
from tinydl.data import midi
from tinydl.data.corpus import demo_scores

SMALL = ["-o", "hidden=12", "chunk=64", "batch=4", "step=0.5", "eval_every=4"]


@pytest.fixture(autouse=True)
def only_the_shipped_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests register models of their own; the command line's messages shall not depend on the order of tests."""
    for name in set(registry._registered) - set(registry._SHIPPED):
        monkeypatch.delitem(registry._registered, name)


@dataclass(frozen=True)
class Outcome:
    """Exit code, stdout and stderr of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    def error(self) -> str:
        """The one line of an error that a user caused: exit 2, nothing on stdout, no traceback."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("tinydl: error: "), lines[0]
        assert "Traceback" not in lines[0]
        return lines[0].removeprefix("tinydl: error: ")


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("info", "--json")`` runs one command line in this process."""

    def run_one(*argv: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in argv])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run_one


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve MIDI files, two of them broken."""
    folder = tmp_path_factory.mktemp("music")
    for i, score in enumerate(demo_scores("tunes", 10, seed=5)):
        midi.write(score, folder / f"tune{i}.mid")
    (folder / "picture.mid").write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    whole = (folder / "tune0.mid").read_bytes()
    (folder / "cut.mid").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "notes.txt").write_text("not music")
    return folder


def quietly(*argv: str | Path) -> tuple[int, str, str]:
    """Run a command where no test's capture is at hand."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in argv])
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="session")
def trained(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight steps; tests that change it take a copy."""
    run = tmp_path_factory.mktemp("runs") / "run"
    code, _, err = quietly("train", "lstm", music, "--out", run, "--steps", "8", "--seed", "3", *SMALL)
    assert code == 0, err
    return run


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "own"))
