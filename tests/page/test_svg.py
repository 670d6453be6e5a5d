"""The drawings: notes stand where they belong, axes have round numbers, no peak is lost."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from importlib import resources

import pytest

from tinydl.data.corpus import demo_scores
from tinydl.data.score import Meter, Note, Score
from tinydl.errors import DataError
from tinydl.page.svg import Series, chart, roll, ticks
from tinydl.render.heat import BORDERS, COLOURS, level


def boxes(svg: str) -> list[dict[str, float]]:
    """The notes of a roll, in their order."""
    root = ElementTree.fromstring(svg)
    (group,) = (g for g in root.iter("g") if g.get("class") == "notes")
    return [{key: float(node.get(key, "nan")) for key in ("x", "y", "width", "height")} for node in group]


def test_notes_stand_at_their_time_and_pitch() -> None:
    score = demo_scores("chorales", 1)[0]
    drawn = roll(score)
    found = boxes(drawn.grid)
    assert len(found) == len(score.notes)
    row = found[0]["height"] + 1
    for note, box in zip(score.notes, found):
        assert box["x"] == pytest.approx(note.start * drawn.scale + 0.4, abs=0.06)
        assert box["width"] == pytest.approx(max(2, (note.end - note.start) * drawn.scale - 1.2), abs=0.06)
        assert (found[0]["y"] - box["y"]) / row == note.pitch - score.notes[0].pitch
    assert drawn.voices == ["Soprano", "Alto", "Tenor", "Bass"]
    assert ">C4<" in drawn.axis


def test_bars_are_numbered_and_beats_are_ruled() -> None:
    score = Score(480, [Note(0, 480 * 3, 60), Note(480 * 3, 480 * 6, 62)], meters=[Meter(0, 6, 8)])
    root = ElementTree.fromstring(roll(score).grid)
    (numbers,) = (g for g in root.iter("g") if g.get("class") == "numbers")
    assert [text.text for text in numbers] == ["1", "2"]
    lines = {path.get("class"): path.get("d", "").count("M") for path in root.iter("path")}
    assert (lines["bar"], lines["beat"]) == (3, 2)  # in 6/8 a beat is a dotted quarter


def test_a_long_piece_is_wide_and_a_short_one_fills_the_column() -> None:
    long = roll(Score(480, [Note(480 * k, 480 * (k + 1), 60) for k in range(400)]))
    assert long.width == pytest.approx(14 * 400)
    assert 300 < roll(Score(480, [Note(0, 480 * 8, 60)])).width < 900
    labels = [t.text for t in ElementTree.fromstring(long.grid).iter("text")]
    assert labels[:3] == ["1", "2", "3"]  # bars of 56 pixels have room for their numbers


def test_a_roll_without_notes_is_refused() -> None:
    with pytest.raises(DataError, match="holds no notes"):
        roll(Score(480))


def test_levels_of_surprise_grow() -> None:
    assert [level(x) for x in (0.0, *BORDERS, 1e9)] == [0, 1, 2, 3, 4, 5, 6, 7, 7]


def test_the_light_page_has_the_colours_of_the_pictures() -> None:
    style = (resources.files("tinydl.page") / "page.css").read_text("utf-8").splitlines()
    light = next(line for line in style if line.strip().startswith("--s0:"))
    assert re.findall(r"--s(\d): (#[0-9a-f]{6});", light) == [
        (str(k), f"#{r:02x}{g:02x}{b:02x}") for k, (r, g, b) in enumerate(COLOURS)
    ]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.2, 17.0), (7.9e-5, 8.1e-5), (0.0, 2e6), (5.0, 5.0)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert low <= found[0] and found[-1] <= high + 1e-12 and 1 <= len(found) <= 11
    if high > low:
        steps = {round((b - a) / (found[1] - found[0]), 6) for a, b in zip(found, found[1:])}
        assert len(found) >= 3 and steps == {1.0}
        mantissa = f"{found[1] - found[0]:.6e}"[:8]
        assert mantissa in ("1.000000", "2.000000", "5.000000")


def path_of(svg: str) -> list[tuple[float, float]]:
    root = ElementTree.fromstring(svg)
    (line,) = (p for p in root.iter("path") if p.get("class", "").startswith("line"))
    pairs = line.get("d", "")[1:].split("L")
    return [(float(x), float(y)) for x, y in (pair.split() for pair in pairs)]


def test_a_chart_is_to_scale() -> None:
    svg = chart([Series("s", [0, 50, 100], [1.0, 3.0, 2.0])], x_label="step", y_label="loss", label="A chart")
    (x0, y0), (x1, y1), (x2, y2) = path_of(svg)
    assert x1 - x0 == pytest.approx(x2 - x1) and y0 - y1 == pytest.approx(2 * (y2 - y1), abs=0.11)
    assert y1 < y2 < y0  # upward is more
    log = chart([Series("s", [0, 1, 2], [1.0, 10.0, 100.0])], x_label="x", y_label="y", label="", log=True)
    (_, a), (_, b), (_, c) = path_of(log)
    assert a - b == pytest.approx(b - c, abs=0.11)
    assert ">0.001<" not in log and {">1<", ">10<", ">100<"} <= {
        f">{t.text}<" for t in ElementTree.fromstring(log).iter("text")
    }


def test_a_long_curve_keeps_its_peak_in_little_space() -> None:
    y = [1.0] * 50_000
    y[31_234] = 9.0
    svg = chart([Series("s", list(range(50_000)), y)], x_label="x", y_label="y", label="")
    points = path_of(svg)
    assert len(points) < 900
    top = min(points, key=lambda p: p[1])
    assert top[1] < 20 and (top[0] - points[0][0]) / (points[-1][0] - points[0][0]) == pytest.approx(0.62468, abs=0.002)
    assert sorted(points) == points


@pytest.mark.parametrize("y", [[0.0], [2.0, 2.0], [-1.0, -1.0]])
def test_a_flat_curve_is_drawn(y: list[float]) -> None:
    points = path_of(chart([Series("s", list(range(len(y))), y)], x_label="x", y_label="y", label=""))
    assert len(points) == len(y) and all(0 < v < 300 for _, v in points)
