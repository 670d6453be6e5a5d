"""What the tests of the page share: a page with every kind of section, and a real Chromium to open it in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydl.data.corpus import demo_scores
from tinydl.data.score import Note, Score, Tempo
from tinydl.page import Curves, Interval, Music, Page, Piece, Settings, Table, Tables, write

HOSTILE = "<img src=x onerror=alert(1)> & \"quoted\" '</script>' \x1b[31m\udcff.mid"

CHROMIUM = shutil.which("chromium")
# No sandbox, since CI runs as root; and nothing that would speak to the network by itself.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required"
).split()


def tone(velocity: int = 100, beats: int = 40) -> Score:
    """One note, A4 (440 Hz), held by an organ: its level does not change while it sounds."""
    return Score(480, [Note(0, 480 * beats, 69, velocity)], programs={(0, 0): 19})


def bent() -> Score:
    """A scale that slows down to half its tempo after four beats of half a second."""
    notes = [Note(480 * k, 480 * (k + 1), 60 + k) for k in range(8)]
    return Score(480, notes, [Tempo(0, 500_000), Tempo(1920, 1_000_000)])


def log_rows(n: int = 60) -> list[dict[str, Any]]:
    """A log that falls from 61 to about 8, with validations."""
    rows: list[dict[str, Any]] = []
    for k in range(n):
        step = 10 * k or 1
        rows.append({"step": step, "epoch": 0, "loss": 8 + 53 * 0.5**k, "grad_norm": 2.0 / (k + 1), "lr": 0.003})
        if k % 10 == 9:
            rows.append({"step": step, "valid": 9 - 0.1 * k / 10, "best": True})
    return rows


def whole_page() -> Page:
    """A page with every kind of section, its words partly hostile."""
    chorale = demo_scores("chorales", 1)[0]
    rng = np.random.default_rng(0)
    frames = int(-(-chorale.beats // 1))
    surprising = Piece(
        "Chorale",
        chorale,
        about="With its surprise.",
        facts=["8.1 nats/frame"],
        note_nll=rng.exponential(1.5, len(chorale.notes)).tolist(),
        frame_nll=rng.gamma(4.0, 2.0, frames).tolist(),
        frame_ticks=[k * chorale.ticks_per_beat for k in range(frames)],
        file="chorale.mid",
    )
    return Page(
        HOSTILE,
        f"A page of everything: {HOSTILE}",
        [
            Music("Music", [surprising, Piece("Tone", tone()), Piece("Bent", bent()), Piece("Nothing", Score(480))]),
            Curves("Curves", log_rows(), "nats/frame", intro="How it learned."),
            Tables(
                "Measures & copying",
                [
                    Table(
                        "Measures",
                        ("measure", "samples", "test music", "note"),
                        [
                            ("polyphony", Interval(3.9, 3.75, 4.05), 3.88, "of all frames"),
                            (HOSTILE, None, 12345, HOSTILE),
                        ],
                        caption="95 % intervals.",
                    )
                ],
            ),
            Settings(
                "Settings", [f"tinydl train lstm {HOSTILE}"], [("seed", "0"), ("options", "x" * 80), (HOSTILE, HOSTILE)]
            ),
        ],
    )


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of :func:`whole_page`, in a folder whose name needs escaping."""
    path = tmp_path_factory.mktemp("a page") / "whole page.html"
    write(whole_page(), path)
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One Chromium for all tests."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need playwright (pip install playwright)"
    )
    if CHROMIUM is None:
        pytest.skip("the browser tests need Chromium (Debian: apt install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield browser
        browser.close()


Open = Callable[..., Any]


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    """``opened(path)`` opens a file offline; at the end of the test nothing may have been complained of or asked for.

    Keywords: ``script``, JavaScript to run first; the others are those of a browser context.
    """
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []
    files: list[str] = []

    def open_page(path: Path, *, script: str = "", **options: Any) -> Any:
        context = chromium.new_context(offline=True, **{"viewport": {"width": 900, "height": 600}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        if script:
            page.add_init_script(script)
        files.append(path.as_uri())
        page.goto(files[-1])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert requests == files
