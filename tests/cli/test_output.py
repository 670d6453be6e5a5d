"""Tables, JSON, colour and the files that a command writes."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest

from tests.cli.conftest import content
from tinydl.cli import _output
from tinydl.cli._errors import UsageError
from tinydl.cli._files import Outputs
from tinydl.errors import DataError


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_plain_table_has_no_codes_and_aligned_columns() -> None:
    out = io.StringIO()
    _output.say_table(("file", "notes"), [("a.mid", 5), ("longer.mid", 1200)], stream=out)
    assert out.getvalue() == "file        notes\na.mid           5\nlonger.mid   1200\n"


def test_a_table_on_a_terminal_holds_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    _output.say_table(("file", "notes"), [("[bold]a.mid", 5)], stream=out)
    assert "[bold]a.mid" in out.getvalue() and "\x1b[" in out.getvalue()  # a file name is no markup
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    _output.say_table(("file", "notes"), [("[bold]a.mid", 5)], stream=plain)
    assert "\x1b[3" not in plain.getvalue() and "[bold]a.mid" in plain.getvalue()


def test_a_dumb_or_closed_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _output.is_terminal(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not _output.is_terminal(Terminal())
    closed = io.StringIO()
    closed.close()
    assert not _output.is_terminal(closed)


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    _output.say_json({"a": [math.nan, math.inf, 1.5], "b": (None, "ü")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5], "b": [None, "ü"]}


def test_outputs_appear_together_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Outputs(force=False) as outputs:
        outputs.new(tmp_path / "deep" / "er" / "a.mid").write_bytes(b"a")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with Outputs(force=False) as outputs:
        for name in "ab":
            outputs.new(tmp_path / "deep" / f"{name}.mid").write_bytes(name.encode())
        assert not (tmp_path / "deep" / "a.mid").exists()
        outputs.commit()
    assert content(tmp_path) == {"deep/a.mid": b"a", "deep/b.mid": b"b"}


def test_outputs_replace_only_what_is_the_same_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def write(data: bytes, *, force: bool = False) -> None:
        with Outputs(force=force) as outputs:
            outputs.new(tmp_path / "a").write_bytes(data)
            outputs.commit()

    with pytest.raises(UsageError, match="a exists and is not overwritten: choose another name, or add --force"):
        write(b"new")
    assert content(tmp_path) == {"a": b"old"}
    write(b"old")
    write(b"new", force=True)
    assert content(tmp_path) == {"a": b"new"}


def test_outputs_refuse_a_folder_and_a_name_given_twice(tmp_path: Path) -> None:
    with Outputs(force=True) as outputs:
        with pytest.raises(UsageError, match="is a folder"):
            outputs.new(tmp_path)
        outputs.new(tmp_path / "a")
        with pytest.raises(UsageError, match="written twice"):
            outputs.new(tmp_path / "a")


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"cannot write {tmp_path}/a.mid: full"), Outputs(force=False) as outputs:
        raise DataError(f"cannot write {outputs.new(tmp_path / 'a.mid')}: full")
    with pytest.raises(FileNotFoundError) as caught, Outputs(force=False) as outputs:
        outputs.new(tmp_path / "b.mid").read_bytes()
    assert caught.value.filename == str(tmp_path / "b.mid")
