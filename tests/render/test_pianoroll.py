"""Piano-rolls: notes stand where they belong, in the terminal, as PNG (decoded here) and as SVG."""

from __future__ import annotations

import io
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

import numpy as np
import pytest

from tinydl.data.corpus import demo_scores
from tinydl.data.score import Meter, Note, Score
from tinydl.errors import DataError
from tinydl.render import Heat, render_png, render_svg, terminal
from tinydl.render.font import bitmap
from tinydl.render.layout import PALETTE


def decode_png(data: bytes) -> np.ndarray:
    """uint8 [height, width, 3] of an unfiltered 8-bit RGB file, every checksum verified."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds, body = 8, [], b""
    size = (0, 0)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + content)
        kinds.append(kind)
        if kind == b"IHDR":
            size = struct.unpack(">II", content[:8])
            assert content[8:] == bytes([8, 2, 0, 0, 0])
        elif kind == b"IDAT":
            body += zlib.decompress(content)
        at += 12 + length
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND"
    rows = np.frombuffer(body, dtype=np.uint8).reshape(size[1], 1 + 3 * size[0])
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(size[1], size[0], 3)


def test_png_shows_each_voice_in_its_colour_and_order(tmp_path: Path) -> None:
    score = demo_scores("chorales", 1)[0]
    render_png(score, tmp_path / "a.png", scale=1)
    image = decode_png((tmp_path / "a.png").read_bytes()).astype(int)
    heights = []
    for colour in PALETTE[:4]:  # soprano above alto above tenor above bass
        near = np.abs(image[60:] - np.array(colour)).max(axis=2) < 60
        assert near.sum() > 500
        first_system = np.flatnonzero(near[:250].any(axis=1))
        heights.append(first_system.mean())
    assert heights == sorted(heights)
    render_png(score, tmp_path / "b.png", scale=2)
    assert decode_png((tmp_path / "b.png").read_bytes()).shape[:2] == (2 * image.shape[0], 2 * image.shape[1])


def test_svg_has_a_box_for_every_note(tmp_path: Path) -> None:
    for i, score in enumerate(demo_scores("all", 4)):
        render_svg(score, tmp_path / f"{i}.svg", title="a < b & c")
        root = ElementTree.parse(tmp_path / f"{i}.svg").getroot()
        rounded = [node for node in root.iter("{http://www.w3.org/2000/svg}rect") if node.get("rx") == "1.8"]
        assert len(rounded) == len(score.notes)
        texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
        assert "a < b & c" in texts and {"1", "C4", "C5"} <= set(texts)


def test_terminal_puts_notes_in_their_place() -> None:
    score = Score(480, [Note(0, 480, 60), Note(480, 1920, 62), Note(1920, 2400, 72)], meters=[Meter(0, 4, 4)])
    lines = terminal(score, width=80, colour=False).split("\n")
    c4 = next(line for line in lines if line.startswith("  C4"))
    c5 = next(line for line in lines if line.startswith("  C5"))
    assert c4[5] == "│" and set(c4[6:10]) <= {"▀", "▄"} and c4[10] == " "
    bar = 6 + 16
    assert c5[bar] == "│" and set(c5[bar + 1 : bar + 5]) <= {"▀", "▄"} and not c5[6:bar].strip()
    assert lines[0].split() == ["1", "2"]
    assert all(len(line) <= 80 for line in lines)


def test_terminal_separates_repeated_notes_and_names_what_is_hidden() -> None:
    repeated = terminal(Score(480, [Note(480 * i, 480 * i + 480, 60) for i in range(4)]), width=60, colour=False)
    row = next(line for line in repeated.split("\n") if line.startswith("  C4"))
    assert len(re.findall(r"[▀▄]+", row)) == 4
    long = terminal(demo_scores("tunes", 1)[0], width=80, systems=1, colour=False)
    assert re.search(r"bars \d+-32 are not shown", long)


def test_terminal_colours_only_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    score = demo_scores("chorales", 1)[0]

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in terminal(score, stream=Terminal()) and "\x1b[" not in terminal(score, stream=io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in terminal(score, stream=Terminal())
    for width in (1, 40, 200):
        plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal(score, width=width, colour=True)).split("\n")
        assert max(len(line) for line in plain) <= max(50, width)


def test_strange_scores_are_drawn(tmp_path: Path) -> None:
    wild = Score(
        96,
        [Note(0, 1, 0), Note(0, 96 * 4000, 127, 1, 15, 7), Note(5, 6, 64, channel=9, track=3)],
        meters=[Meter(0, 5, 8), Meter(100, 7, 8)],
        track_names={3: "\x1b[31m\x00", 7: "flûte"},
    )
    render_png(wild, tmp_path / "w.png", scale=1)
    decode_png((tmp_path / "w.png").read_bytes())
    render_svg(wild, tmp_path / "w.svg")
    ElementTree.parse(tmp_path / "w.svg")
    assert "\x1b" not in terminal(wild, colour=False) and "\x00" not in terminal(wild, colour=True)
    empty = Score(480, [])
    for draw in (lambda: terminal(empty), lambda: render_png(empty, tmp_path / "e.png")):
        with pytest.raises(DataError, match="no notes"):
            draw()
    with pytest.raises(DataError, match="cannot write"):
        render_png(wild, tmp_path / "no" / "w.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.png", "w.svg"]


def test_font() -> None:
    assert bitmap("").shape == (7, 0) and bitmap("C4").shape == (7, 12)
    picture = ["".join("#" if dot else "." for dot in row) for row in bitmap("T")]
    assert picture == ["#####.", *["..#..."] * 6]
    assert (bitmap("é") == bitmap("?")).all()
    assert len({bitmap(chr(c)).tobytes() for c in range(32, 127)}) == 95


HEATED = Score(480, [Note(0, 480, 60), Note(480, 960, 62), Note(960, 1920, 64), Note(960, 1920, 40)])
HEAT = Heat([0.1, 7.25, None, 1.2], [0.5, 8.0, 1.0, 1.0, 2.0], [0, 480, 960, 960, 1440])


def test_svg_colours_notes_by_their_nats_and_says_them(tmp_path: Path) -> None:
    render_svg(HEATED, tmp_path / "h.svg", heat=HEAT)
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.parse(tmp_path / "h.svg").getroot()
    notes = [node for node in root.iter(f"{svg}rect") if node.get("rx") == "1.8"]
    titles = {node.find(f"{svg}title").text: node.get("fill") for node in notes}  # type: ignore[union-attr]
    assert len(notes) == len(titles) == 4
    assert titles["C4, bar 1, beat 1: 0.10 nats"] == "#4699ac"
    assert titles["D4, bar 1, beat 2: 7.25 nats"] == "#561100"
    assert titles["E2, bar 1, beat 3: no surprise of its own"] == "#c6c1b8"
    texts = [node.text for node in root.iter(f"{svg}text")]
    assert {"7.2", "surprise of a note, nats", "<0.25", "5+", "none", "8.0", "0 nats"} <= set(texts)
    bars = [float(node.get("height", 0)) for node in root.iter(f"{svg}rect") if node.get("fill") == "#706a60"]
    np.testing.assert_allclose(np.array(bars) / max(bars), [0.5 / 8, 1, 2 / 8, 2 / 8], atol=1e-3)  # one tick adds up
    render_png(HEATED, tmp_path / "h.png", heat=HEAT, scale=1)
    image = decode_png((tmp_path / "h.png").read_bytes())
    assert (image == (86, 17, 0)).all(-1).sum() > 1000


def test_terminal_shows_nats_with_and_without_colour() -> None:
    plain = terminal(HEATED, width=60, colour=False, heat=HEAT).split("\n")
    strip = next(line for line in plain if line.startswith("nats "))
    assert strip == "nats │▁▁██▂▂▂▂" and "0 to 8.0 nats" in plain[-1]  # a column is an eighth
    colours = terminal(HEATED, width=60, colour=True, heat=HEAT)
    for code in (31, 196, 244, 149):  # below 0.25, above 5, none, 1 to 1.5
        assert f"38;5;{code}m" in colours
    assert "none" in colours and "5+" in colours and "nats (surprise of a note)" in colours
    still = terminal(HEATED, width=60, colour=False, heat=Heat([0.0] * 4, [0.0] * 2, [0, 480]))
    assert "█" not in next(line for line in still.split("\n") if line.startswith("nats "))
