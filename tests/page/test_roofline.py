"""Rooflines: dots stand where their figures say, labels never overlap, and a page without music has no program."""

from __future__ import annotations

import math
import re

import pytest

from tests.page.test_page import Tree
from tinydl.page import Dot, Page, Roofline, Rooflines, Table, Tables
from tinydl.page.roofline import _BOTTOM, _LEFT, _LINE, _RIGHT, _TOP, _apart, draw, scaled

ROOFS = {"L2": 400e9, "L3": 160e9, "memory": 35e9}
HOSTILE = "<b>&'\""


def picture(intensity: float = 0.5, rates: tuple[float, ...] = (1.5e10, 1e10, 2e9), level: str = "memory") -> Roofline:
    dots = [Dot(f"{HOSTILE}{k}", rate, f"v{k}") for k, rate in enumerate(rates)]
    return Roofline(f"work {HOSTILE}", intensity, 2e11, ROOFS, level, dots, "about")


def dots(svg: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle class="v\d" cx="([\d.]+)" cy="([\d.]+)"', svg)]


def test_dots_stand_at_their_rates() -> None:
    svg = draw(picture())
    (x, a), (_, b), (_, c) = dots(svg)
    assert len({x for x, _ in dots(svg)}) == 1 and _LEFT < x < _RIGHT
    assert (b - a) / (c - a) == pytest.approx(math.log(1.5) / math.log(7.5), abs=2e-3)  # logarithmic, upward
    roofs = re.findall(r'<path class="roof" d="M([\d.]+) ([\d.]+)(?:L([\d.]+) ([\d.]+)|H)', svg)
    (x0, y0, x1, y1), (ridge, top, *_) = roofs
    assert (x1, y1) == (ridge, top)  # the roof that counts is one line with a bend
    # On the roof of 35 GB/s at 0.5 FLOP/byte stand 17.5 GFLOP/s.
    at = float(y0) + (float(y1) - float(y0)) * (x - float(x0)) / (float(x1) - float(x0))
    assert dots(draw(picture(rates=(17.5e9, 2e9))))[0][1] == pytest.approx(at, abs=0.3)


@pytest.mark.parametrize("level", ROOFS)
@pytest.mark.parametrize("intensity", [1e-3, 0.25, 8.0, 5000.0])
def test_everything_is_inside_the_frame(intensity: float, level: str) -> None:
    svg = draw(picture(intensity, (1.9e11, 1e6), level))
    assert all(_LEFT < x < _RIGHT and _TOP <= y <= _BOTTOM for x, y in dots(svg))
    assert svg.count('class="roof other"') == 2 and svg.count('class="roof"') == 2
    numbers = [float(n) for n in re.findall(r'[ "MLHV](-?\d+(?:\.\d+)?)', svg)]
    assert all(math.isfinite(n) for n in numbers)


@pytest.mark.parametrize("heights", [[100.0] * 6, [250.0, 251.0, 255.0], [30.0, 31.0, 200.0], [50.0], []])
def test_labels_do_not_overlap(heights: list[float]) -> None:
    places = _apart(heights)
    assert all(b - a >= _LINE - 1e-9 for a, b in zip(sorted(places), sorted(places)[1:]))
    assert all(y <= _BOTTOM - 6 for y in places)
    order = sorted(range(len(heights)), key=lambda k: heights[k])
    assert [places[k] for k in order] == sorted(places)
    if heights == [30.0, 31.0, 200.0]:
        assert places == [30.0, 30.0 + _LINE, 200.0]  # moved no further than needed


def test_it_is_told_to_those_who_cannot_see_it() -> None:
    label = re.search(r'aria-label="([^"]*)"', draw(picture()))
    assert label is not None
    assert "at 0.5 operations a byte 17.5 GFLOP/s are possible" in label[1]
    assert "0 15 GFLOP/s (86 %)" in label[1] and "2 2 GFLOP/s (11 %)" in label[1]
    assert "<b>" not in draw(picture())


def test_numbers_get_a_prefix() -> None:
    assert [scaled(x) for x in (0.5, 999.6, 1e3, 2.5e6, 9.996e11)] == ["0.5 ", "1 k", "1 k", "2.5 M", "1 T"]


def test_a_page_without_music_has_no_program() -> None:
    tree = Tree(Page("Kernels", "All of them.", [Rooflines("Rooflines", [picture()], "What is drawn.")]).html())
    assert tree.all("script") == [] and tree.all("noscript") == []
    (policy,) = [a["content"] for a, _ in tree.all("meta") if a.get("http-equiv")]
    assert "script-src" not in policy and "default-src 'none'" in policy
    assert len(tree.all("svg")) == 1


def test_figures_that_are_written_out_are_flushed_right() -> None:
    rows = [["a", "12 %", "", "of all"], ["b", "1.14 to 1.2", "3*", "5 of all"]]
    tree = Tree(Page("T", "S", [Tables("T", [Table("t", ("case", "of roof", "first", "note"), rows)])]).html())
    kinds = {name: a.get("class", "") for a, name in tree.all("th", scope="col")}
    assert kinds == {"case": "words", "of roof": "", "first": "", "note": ""}
    rows[1][3] = "all"
    tree = Tree(Page("T", "S", [Tables("T", [Table("t", ("case", "of roof", "first", "note"), rows)])]).html())
    assert {name: a.get("class", "") for a, name in tree.all("th", scope="col")}["note"] == "words"
