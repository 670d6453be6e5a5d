"""The page as a file: its structure, what is escaped, what is embedded, its colours, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.page.conftest import HOSTILE, bent, whole_page
from tinydl.data import midi
from tinydl.data.score import DRUM_CHANNEL, Note, Pedal, Score
from tinydl.errors import DataError
from tinydl.page import Curves, Music, Page, Piece, Table, Tables, write
from tinydl.page.page import part
from tinydl.render import synth
from tinydl.render.layout import PALETTE

VOID = {"meta", "link", "input", "img", "br", "hr"}


class Tree(HTMLParser):
    """Checks that elements nest, and keeps all of them: (tag, attributes, text directly inside)."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[int] = []
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open.pop()][0] == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.elements[self.open[-1]][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str], str]]:
        found = [(a, "".join(t)) for name, a, t in self.elements if name == tag]
        return [(a, t) for a, t in found if all(a.get(key.rstrip("_")) == value for key, value in attributes.items())]


@pytest.fixture(scope="module")
def content() -> str:
    return whole_page().html()


@pytest.fixture(scope="module")
def tree(content: str) -> Tree:
    return Tree(content)


def one(piece: Piece) -> tuple[Tree, dict[str, list]]:  # type: ignore[type-arg]
    """The page of one piece, and its music."""
    found = Tree(Page("T", "S", [Music("M", [piece])]).html())
    return found, json.loads(found.all("script", type="application/json")[0][1])


def test_headings_landmarks_and_labels(tree: Tree) -> None:
    assert [len(tree.all(tag)) for tag in ("h1", "main", "nav", "footer", "section", "article")] == [1, 1, 1, 1, 4, 4]
    names = [a["id"] for _, a, _ in tree.elements if "id" in a]
    assert len(set(names)) == len(names)
    assert {a["aria-labelledby"] for _, a, _ in tree.elements if "aria-labelledby" in a} <= set(names)
    assert {a["href"][1:] for a, _ in tree.all("a") if a["href"].startswith("#")} <= set(names)
    assert all(a.get("aria-label") for tag in ("button", "input") for a, _ in tree.all(tag))
    assert all(a.get("aria-label") or a.get("aria-hidden") for a, _ in tree.all("svg") if a.get("class") != "frame")
    assert {a.get("scope") for a, _ in tree.all("th")} == {"row", "col"}
    assert tree.all("html")[0][0]["lang"] == "en"


def test_words_from_outside_are_words(tree: Tree) -> None:
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\udcff", "\\udcff")
    assert tree.all("img") == [] and len(tree.all("script")) == 4  # three players' music and the program
    assert tree.all("h1")[0][1] == shown and tree.all("title")[0][1] == shown
    assert shown in [t for _, t in tree.all("td")] and shown in [t for _, t in tree.all("th")]
    assert shown in [t for _, t in tree.all("dd")] and f"tinydl train lstm {shown}" in [t for _, t in tree.all("code")]
    hostile = Score(480, [Note(0, 480, 60), Note(0, 480, 64, track=1)], track_names={0: HOSTILE})
    found, _ = one(Piece(HOSTILE, hostile, about=HOSTILE, facts=[HOSTILE], file=HOSTILE))
    assert found.all("img") == [] and f"C4, bar 1, {shown}" in [t for _, t in found.all("title")]
    assert found.all("a", class_="save")[0][0]["download"] == shown
    assert found.all("button")[0][0]["aria-label"] == f"Play {shown}"


def test_nothing_is_loaded_and_the_policy_names_what_runs(tree: Tree, content: str) -> None:
    policy = next(a["content"] for a, _ in tree.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        text = next(t for a, t in tree.all(tag) if "type" not in a)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    for _, attributes, _ in tree.elements:
        assert not {"src", "srcset", "style", "onclick", "onload", "action"} & set(attributes)
        assert attributes.get("href", "#").startswith(("#", "data:"))
    assert "url(" not in content and "@import" not in content


def test_the_same_page_is_the_same_bytes_and_not_large(content: str, tmp_path: Path) -> None:
    write(whole_page(), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == content.encode()
    assert len(content) < 150_000
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_the_embedded_file_is_the_piece(tree: Tree) -> None:
    links = [a["href"] for a, _ in tree.all("a", class_="save")]
    assert len(links) == 4
    raw = base64.b64decode(links[2].removeprefix("data:audio/midi;base64,"), validate=True)
    assert raw == midi.to_bytes(bent())
    assert midi.parse(raw)[0].notes == bent().notes


def test_music_is_in_seconds_by_the_tempo_map() -> None:
    found, music = one(Piece("Bent", bent()))
    assert [note[:3] for note in music["notes"]] == [
        *([k / 2, k / 2 + 0.5, 60 + k] for k in range(4)),
        *([2.0 + k, 3.0 + k, 64 + k] for k in range(4)),
    ]
    assert music["bars"] == [0.0, 2.0] and music["seconds"] == 6.0
    width = float(found.all("rect", class_="panel")[0][0]["width"])
    assert music["bends"] == [[0.0, 0.0], [2.0, width / 2], [6.0, width]]


def test_velocity_pedal_instrument_and_drums_reach_the_player() -> None:
    notes = [Note(0, 480, 60, 127), Note(0, 480, 72, 40), Note(480, 960, 36, 100, DRUM_CHANNEL, 1)]
    score = Score(480, notes, pedals=[Pedal(240, 1920)], programs={(0, 0): 19})
    _, music = one(Piece("P", score))
    loud, soft, drum = music["notes"]
    assert loud[4] == 1.0 and soft[4] == pytest.approx((40 / 127) ** 1.6, abs=1e-3)
    assert loud[:2] == [0.0, 0.5] and loud[3] == 2.0  # the key is up after half a second, the sound goes on
    assert (loud[6], drum[6]) == (0, -1)
    organ = synth.patch(19)
    assert music["patches"][0]["dark"] == list(organ.dark) and music["patches"][0]["release"] == organ.release


def test_surprise_is_in_colour_in_words_and_under_the_roll() -> None:
    score = Score(480, [Note(480 * k, 480 * (k + 1), 60 + k) for k in range(4)])
    nats = [0.1, 0.25, 1.2, 9.0]
    found, music = one(
        Piece("P", score, note_nll=nats, frame_nll=[1.0, 2.0, 4.0, 0.5], frame_ticks=[0, 480, 960, 1440])
    )
    notes = [a for a, _ in found.all("rect") if re.fullmatch(r"s\d", a.get("class", ""))]
    assert [a["class"] for a in notes] == ["s0", "s1", "s3", "s7"]
    titles = [t for _, t in found.all("title")]
    assert titles[1:5] == [f"{n}, bar 1, {x:.2f} nats" for n, x in zip(("C4", "C#4", "D4", "D#4"), nats)]
    assert titles[5:] == [f"frame {k + 1}, bar 1, {x:.2f} nats" for k, x in enumerate((1.0, 2.0, 4.0, 0.5))]
    frames = [a for a, _ in found.all("rect") if "class" not in a and "height" in a][-4:]
    assert float(frames[2]["height"]) == pytest.approx(4 * float(frames[0]["height"]), abs=0.5)
    for note, frame in zip(notes, frames):  # aligned in time
        assert float(note["x"]) == pytest.approx(float(frame["x"]), abs=0.2)
    assert music["nats"] == nats and music["frames"] == [0.0, 0.5, 1.0, 1.5]
    assert any("Surprise of a note, nats" in t for _, t in found.all("p"))


def test_a_note_that_the_model_does_not_hear_says_so() -> None:
    score = Score(480, [Note(480 * k, 480 * (k + 1), 60 + k) for k in range(2)])
    found, music = one(Piece("P", score, note_nll=[None, 1.0]))
    assert [t for _, t in found.all("title")][1:] == ["C4, bar 1, not heard by the model", "C#4, bar 1, 1.00 nats"]
    assert music["nats"] == [None, 1.0] and "not heard by the model" in [t for _, t in found.all("li")]
    assert len(found.all("rect", class_="unheard")) == 1


@pytest.mark.parametrize(
    ("piece", "part"),
    [
        (Piece("P", bent(), note_nll=[1.0]), "'P' has 8 notes, but 1 surprises of notes"),
        (Piece("P", bent(), note_nll=[float("inf")] * 8), "the surprise of a note must be a finite number"),
        (
            Piece("P", bent(), frame_nll=[1.0, float("nan")], frame_ticks=[0, 9]),
            "the surprise of a frame must be a finite",
        ),
        (Piece("P", bent(), frame_nll=[]), "'P' has 0 frames, but 0 surprises of frames"),
        (
            Piece("P", bent(), frame_nll=[1.0, 2.0], frame_ticks=[5, 5]),
            "every frame must begin later than the one before",
        ),
    ],
)
def test_surprise_that_does_not_fit_is_refused(piece: Piece, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Page("T", "S", [Music("M", [piece])]).html()


def test_a_piece_without_notes_says_so(tree: Tree) -> None:
    assert any("holds no notes" in t for _, t in tree.all("p"))
    assert len(tree.all("button")) == 3


@pytest.mark.parametrize("rows", [[], [{"step": 1, "loss": float("nan"), "grad_norm": 0.0, "lr": 0.1}], [{"step": 5}]])
def test_a_log_with_little_in_it(rows: list[dict[str, float]]) -> None:
    tree = Tree(Page("T", "S", [Curves("C", rows, "nats")]).html())
    charts = [a["aria-label"] for a, _ in tree.all("svg", class_="chart")]
    assert charts == (["Learning rate against steps, between 0.1 and 0.1."] if len(rows[:1] and rows[0]) > 1 else [])


def test_figures_are_shown_as_asked() -> None:
    table = Table("T", ("a", "b"), [("x", 1.23456), ("y", None), ("z", 12345), ("w", float("inf"))], digits=2)
    shown = [t for _, t in Tree(Page("T", "S", [Tables("F", [table])]).html()).all("td")]
    assert shown == ["1.23", "–", "12,345", "inf"]


@pytest.mark.parametrize("name", ["missing/a.html", "file/a.html", "."])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataError, match="^cannot write ") as caught:
        write(Page("T", "S", []), tmp_path / name)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


# -- colours -----------------------------------------------------------------------------------------------------------


def themes() -> dict[str, dict[str, str]]:
    light, dark = part("page.css").split("@media (prefers-color-scheme: dark)")
    variable = re.compile(r"--([\w-]+): ?(#[0-9a-f]{6})")
    ours = {f"v{k}": "#{:02x}{:02x}{:02x}".format(*colour) for k, colour in enumerate(PALETTE)}
    first = {**ours, **dict(variable.findall(light))}
    return {"light": first, "dark": {**first, **dict(variable.findall(dark.split("* {")[0]))}}


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_contrast_is_that_of_wcag_aa(name: str) -> None:
    theme = themes()[name]
    for ground in ("paper", "panel"):
        for ink in ("ink", "faint", "accent"):
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    assert contrast(theme["on"], theme["accent"]) >= 4.5
    for k in range(8):  # of graphics: 3 to 1
        for kind in "vs":
            assert contrast(theme[f"{kind}{k}"], theme["panel"]) >= 3, (kind, k)
    for mark in ("mark", "frame"):
        assert contrast(theme[mark], theme["panel"]) >= 3
    # Surprise is ordered by lightness, away from the ground, in steps that can be told apart.
    steps = [contrast(theme[f"s{k}"], theme["panel"]) for k in range(8)]
    assert all(later > 1.1 * earlier for earlier, later in zip(steps, steps[1:])), steps
