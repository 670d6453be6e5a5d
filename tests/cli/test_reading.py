"""What is shown while a folder is read: rate and time left, on a terminal and in a log."""

from __future__ import annotations

import io
import re
import time

import pytest

from tinydl.cli import _reading
from tinydl.cli._reading import Reading


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def read(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, rates: list[tuple[int, float]], total: int) -> str:
    """What stands on stderr when so many files are read at so many a second, one batch after the other."""
    now = [100.0]
    monkeypatch.setattr(_reading.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    done = 0
    with Reading() as progress:
        progress(0, total, "0.mid")
        for count, rate in rates:
            for _ in range(count):
                now[0] += 1 / rate
                done += 1
                if done < total:
                    progress(done, total, f"{done}.mid")
    return stream.getvalue()


def test_a_log_has_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = read(monkeypatch, io.StringIO(), [(2000, 100)], 2000).splitlines()
    assert lines == [
        "reading 500/2000 files, 100 files/s, 15 s left",
        "reading 1000/2000 files, 100 files/s, 10 s left",
        "reading 1500/2000 files, 100 files/s, 5.0 s left",
    ]


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand files from the cache do not promise that the others are read as fast."""
    lines = read(monkeypatch, io.StringIO(), [(10_240, 2048), (4096, 128)], 16_384).splitlines()
    assert lines[0] == "reading 10240/16384 files, 2048 files/s, 3.0 s left"
    assert lines[2] == "reading 11520/16384 files, 128 files/s, 38 s left"


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_read_at_once_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    shown = read(monkeypatch, Terminal() if terminal else io.StringIO(), [(90, 1000)], 90)
    assert "reading" not in shown and "90" not in shown


def test_a_terminal_has_a_bar_with_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    shown = read(monkeypatch, stream, [(2048, 512)], 4096)
    assert "reading" in shown and "/4096" in shown and re.search(r"files, 512 files/s, [45]\.\d s left", shown)


def test_a_clock_that_stands_still_is_no_division_by_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 5.0)
    with Reading() as progress:
        for done in range(3):
            progress(done, 3, "x.mid")
