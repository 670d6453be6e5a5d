"""Exit codes and the one line: what guard() makes of whatever a command raises."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tinydl.cli import _errors
from tinydl.cli._errors import guard, one_line
from tinydl.errors import DataError


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("folder 'x' holds no MIDI"), 2, "tinydl: error: folder 'x' holds no MIDI"),
        (
            OSError(errno.ENOSPC, "No space left on device", "run/last.safetensors"),
            2,
            "tinydl: error: run/last.safetensors: no space left on device; free some space or write elsewhere",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            2,
            "tinydl: error: /x: permission denied; choose a place that you may read and write",
        ),
        (
            IsADirectoryError(errno.EISDIR, "Is a directory", "d"),
            2,
            "tinydl: error: d: is a directory; give the path of a file",
        ),
        (
            OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"),
            2,
            "tinydl: error: a -> b: invalid cross-device link",
        ),
        (
            MemoryError(),
            2,
            "tinydl: error: out of memory; close other programs, or choose a smaller model, batch or chunk with -o",
        ),
        (KeyboardInterrupt(), 130, "tinydl: interrupted"),
        (
            _errors.Interrupted("stopped at step 3; go on with --resume"),
            130,
            "tinydl: stopped at step 3; go on with --resume",
        ),
        (
            ZeroDivisionError("division by zero"),
            1,
            "tinydl: internal error: ZeroDivisionError: division by zero (a defect of tinydl; TINYDL_DEBUG=1 shows the "
            "traceback)",
        ),
        (
            ValueError("shapes\ndiffer"),
            1,
            "tinydl: internal error: ValueError: shapes differ (a defect of tinydl; "
            "TINYDL_DEBUG=1 shows the traceback)",
        ),
    ],
)
def test_every_kind_of_error_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TINYDL_DEBUG", raising=False)
    assert guard(raising(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", line + "\n")


@pytest.mark.parametrize("error", [DataError("folder 'x' holds no MIDI"), ZeroDivisionError("division by zero")])
def test_debug_shows_the_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYDL_DEBUG", "1")
    guard(raising(error))
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and "tinydl: " in err.splitlines()[-1]


def test_a_file_name_cannot_break_the_line_or_drive_the_terminal() -> None:
    assert one_line("a\nb") == "a b"
    assert one_line("\x1b[31mred\x07") == "\\x1b[31mred\\x07"
    assert one_line("a\u2028b c\u202ed") == "a b c\\u202ed"
    assert one_line("bad\udcff") == "bad\\udcff"
    assert one_line("Für Élise.mid 音") == "Für Élise.mid 音"


def test_a_warning_is_one_line_and_the_command_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def warn() -> int:
        warnings.simplefilter("default")
        warnings.warn("only 3 files", UserWarning, stacklevel=1)
        return 0

    assert guard(warn) == 0
    assert capsys.readouterr().err == "tinydl: warning: only 3 files\n"


def test_a_broken_pipe_is_silent() -> None:
    """A real one: the reader closes before the command writes."""
    code = "import sys, time\nfrom tinydl.cli import main\nsys.stdin.readline()\nsys.exit(main(['--help']))"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout and child.stderr and child.stdin
        child.stdout.close()
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stderr.read() == b""
        assert child.wait(timeout=60) == 141


def test_a_stdout_that_cannot_encode_shows_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinydl.cli import main

    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setitem(sys.modules["tinydl.cli"].COMMANDS, "info", ("tinydl.cli.info:INFO", "ünïcode"))
    assert main(["--help"]) == 0
    assert b"\\xfcn\\xefcode" in out.buffer.getvalue()  # type: ignore[attr-defined]


def test_python_m_tinydl_is_the_command() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tinydl", "trian"], capture_output=True, text=True, check=False, cwd=root, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tinydl: error: unknown command 'trian'; did you mean 'train'?\n"


def test_help_imports_nothing_heavy() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import sys\nfrom tinydl.cli import main\nmain(['train', '-h'])\n"
        "print(sorted({'numba', 'mido', 'rich', 'scipy', 'pooch', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root, timeout=60
    )
    assert done.stderr == "[]\n"


def test_info_reports_every_part_and_why_one_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    monkeypatch.setattr(shutil, "which", lambda name: None)
    facts = run("info", "--json").json
    assert list(facts) == ["versions", "threads", "backends", "folders", "names"]
    assert {"tinydl", "python", "numpy", "numba"} <= set(facts["versions"])
    assert facts["threads"]["cores"] >= 1
    assert "fluidsynth is not on PATH" in facts["backends"]["wav (fluidsynth)"]
    for name, state in facts["backends"].items():
        assert state.startswith(("ready", "found", "missing: ")), (name, state)
    assert "lstm" in facts["names"]["models"] and "jsb" in facts["names"]["datasets"]
    plain = run("info").out
    assert all(title in plain for title in facts) and "fluidsynth is not on PATH" in plain


def test_info_says_what_compiling_cost(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tinydl.kernels import cache

    monkeypatch.setattr(cache, "folder", lambda: tmp_path)
    assert run("info", "--kernels").out.startswith(f"no kernels compiled yet in {tmp_path}")
    assert run("info", "--kernels", "--json").json == {
        "folder": str(tmp_path), "bytes": 0, "seconds": 0.0, "kernels": []
    }  # fmt: skip
    for name, form, seconds in (("a", "float32", 1.5), ("b", "float32", 2.0), ("a", "float64", 3.0)):
        cache._write(cache.Cost(f"tinydl.kernels.{name}", form, seconds))
    with open(tmp_path / "costs.jsonl", "a", encoding="utf-8") as file:
        file.write('["tinydl.kernels.c", "a line that a full disk')
    lines = run("info", "--kernels").out.splitlines()
    assert [line.split() for line in lines[1:3]] == [["a", "2", "4.50"], ["b", "1", "2.00"]]
    assert lines[-2] == "3 forms of 2 kernels, compiled once on this machine in 6.5 s"
    answer = run("info", "--kernels", "--json").json
    assert answer["seconds"] == 6.5 and answer["bytes"] == (tmp_path / "costs.jsonl").stat().st_size
    assert answer["kernels"][1] == {"kernel": "tinydl.kernels.b", "form": "float32", "seconds": 2.0}
