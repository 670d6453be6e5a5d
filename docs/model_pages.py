"""Writes ``docs/models/``, a page per model, from run folders: ``make model-pages`` (an hour of one core), or
``python docs/model_pages.py RUNS [--only NAME ...]``.

A page has the model's own words and equations (the head of its file), the shapes of a training batch on its way through
it, the learning curve, new music to see and to hear with the commands that make it again, what was measured on the test
split, and what the model is good and bad at. A run that is not in ``RUNS`` is trained first, as :data:`PLAN` says; one
that was trained elsewhere, under the model's name, is taken as it is. Pages of models that are not asked for stay.
"""

from __future__ import annotations

import argparse
import inspect
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl import registry
from tinydl.cli._output import clock
from tinydl.cli._page import train_again, unit_of
from tinydl.cli.evaluate import figures, held_out
from tinydl.data import midi
from tinydl.generation import generate
from tinydl.page import svg
from tinydl.render import render_svg
from tinydl.training import checkpoint, collate, log, score_name

PAGES = Path(__file__).parent / "models"
BARS, SEED = 8, 1  # of the music on a page


@dataclass(frozen=True)
class Plan:
    """What a model is trained on for its page, for how long, and what is to be said of it."""

    data: str
    minutes: float
    good: str
    bad: str


PLAN = {
    "anticipation-rnn": Plan(
        "nottingham", 4, "A tune with given notes: each is kept, and the steps before it lead there.",
        "One voice; with nothing given it is an LSTM like any other.",
    ),
    "chorale-lstm": Plan(
        "jsb16", 10, "Four parts in sixteenths with an exact likelihood, quicker to draw from than the Transformer.",
        "It looks back only: a melody that is given later is not prepared for, which `deep-bach` does.",
    ),
    "deep-bach": Plan(
        "jsb16", 4, "Harmonising a melody, filling gaps: every note is drawn again and again given all others.",
        "No likelihood, so nothing says what a piece is worth; and nothing tells it where a piece ends.",
    ),
    "denoising": Plan(
        "jsb", 2, "Putting back notes that are missing from chords it knows.",
        "No likelihood; windows do not know each other, and each is drawn by a chain that must be left to run.",
    ),
    "gan": Plan(
        "jsb", 4, "Whole stretches at once, each drawn in one pass.",
        "No likelihood, so nothing says what it has left out; stretches only resemble their neighbours.",
    ),
    "gru": Plan("jsb", 2, "Fewer parameters than the LSTM, at 0.1 nats a frame more (README, JSB).",
                "Given the past, notes of a frame are drawn apart from each other: none knows what the others are."),
    "hmm": Plan("jsb", 2, "An exact likelihood, and states that can be read: each is a few frames (Viterbi).",
                "All it knows of the past is which of its states it is in."),
    "lstm": Plan("jsb", 2, "An exact likelihood, from little code.",
                 "Given the past, notes of a frame are drawn apart from each other: none knows what the others are."),
    "lstm-nade": Plan("jsb", 2, "The best likelihood of frames here (README): a note knows those below it.",
                      "Frames are the quarter notes of the data: no rhythm below the beat, no repeated notes."),
    "melody-lstm": Plan("nottingham", 4, "Tunes with bars, lengths, meters and an ending, from tokens.",
                        "One voice, and nothing that plans a form such as AABB."),
    "midinet": Plan("nottingham", 8, "Bars that fit the chord they are given, and follow the bar before.",
                    "One bar of memory: no tune has a form; and no likelihood."),
    "mini-bach": Plan("jsb16", 2, "Alto, tenor and bass to a melody, in one pass of a net of one hidden layer.",
                      "Every note is drawn by itself given the melody: voices jitter, least at temperature 0."),
    "music-transformer": Plan("jsb16", 10, "Four parts in sixteenths, likelier than by an LSTM of its size (README).",
                              "Slower to draw from than the LSTM, and it looks back only."),
    "music-vae": Plan("nottingham", 8, "A tune as a point: the way between two tunes, and neighbours of one.",
                      "Phrases do not know each other; a light weight of the KL leaves a loose bound."),
    "nade": Plan("jsb", 2, "Single chords with an exact likelihood, by a net of one hidden layer.",
                 "It knows no time: each frame is drawn anew."),
    "rbm": Plan("jsb", 2, "Single chords, and a likelihood that can be bracketed from both sides.",
                "It knows no time, and its samples come from a chain that must be left to run."),
    "rnn-rbm": Plan("jsb", 30, "Notes of a frame know each other, and frames the past.",
                    "Slow to train, since every step runs Gibbs chains; the likelihood is an estimate."),
    "rtrbm": Plan("jsb", 8, "As the RNN-RBM, with the hidden units of the RBM itself for memory.",
                  "One layer serves memory and chord alike, and the likelihood is an estimate."),
    "tanh-rnn": Plan("jsb", 2, "The smallest recurrent net there is, to read beside backpropagation through time.",
                     "No gate keeps what it read, and notes of a frame are drawn apart from each other."),
    "vae": Plan("jsb", 2, "Frames as points of a small space, with a bound of their likelihood.",
                "It knows no time, and notes are drawn apart given the point."),
    "vrae": Plan("nottingham", 4, "The plainest recurrent autoencoder of phrases, beside MusicVAE.",
                 "z is told once, at the beginning, and must last for the phrase."),
}  # fmt: skip
NO_FIGURE = "It has no likelihood: `tinydl evaluate run --measures` says how far its music lies from the corpus."
STYLE = """
text { font: 12px sans-serif; fill: #2e2c28 } .title { font-weight: 600 } .x { text-anchor: middle }
.y { text-anchor: end } .rule { stroke: #efebe4 } .tick { stroke: #cdc7ba; fill: none }
path.line, path.faint, path.dots { fill: none; stroke: var(--c); stroke-width: 2 } path.faint { stroke-width: 1 }
.v0 { --c: #0072b2; fill: #0072b2 } .v1 { --c: #d55e00; fill: #d55e00 } .v5 { --c: #9ad0f5; fill: #9ad0f5 }
"""


# -- what the file says


def prose(docstring: str) -> str:
    """A model's docstring as Markdown: a heading of its first sentence, equations as code, the rest as text.

    >>> print(prose("The sum of things.\\n\\nPapers\\n    Gauss, 1809.\\n\\nIt is\\n\\n    s = x_1 + x_2\\n\\nof two."))
    The sum of things.
    <BLANKLINE>
    **Papers.** Gauss, 1809.
    <BLANKLINE>
    It is
    <BLANKLINE>
    ```text
    s = x_1 + x_2
    ```
    <BLANKLINE>
    of two.
    """
    made: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        first, _, rest = block.partition("\n")
        if re.fullmatch(r"Papers?", first) and rest:
            made.append(f"**{first}.** {_words(inspect.cleandoc(rest))}")
        elif block.startswith("    "):
            made.append(f"```text\n{inspect.cleandoc(block)}\n```")
        elif re.search(r"^ {4}", rest, re.MULTILINE):  # a line of words, and equations right below it
            lines = block.split("\n")
            at = next(i for i, line in enumerate(lines) if line.startswith("    "))
            made += [_words("\n".join(lines[:at])), f"```text\n{inspect.cleandoc(chr(10).join(lines[at:]))}\n```"]
        else:
            made.append(re.sub(r"^([A-Z][\w ,'`-]{2,40}\.)  ", r"**\1** ", _words(block)))
    return "\n\n".join(made)


def _words(text: str) -> str:
    """Text of a docstring as Markdown's: roles are names, and no sign means more than itself, outside of code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_~<\\])", r"\\\1", part) for part in parts)


# -- shapes


@contextmanager
def _watched(model: Any, seen: list[tuple[str, str, str, str]]) -> Iterator[None]:
    """Inside, each of the model's innermost modules notes its first call: name, kind, what goes in, what comes out."""
    known: set[str] = set()

    def watch(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            if name not in known:
                known.add(name)
                seen.append((name, type(module).__name__, _shape(inputs[0] if inputs else None), _shape(output)))

        return hook

    leaves = [(n, m) for n, m in model.named_modules() if n and not list(m.children())]
    hooks = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _shape(value: Any) -> str:
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    return str(list(value.shape)) if hasattr(value, "shape") else ""


def shapes(model: Any, pieces: list[np.ndarray]) -> str:
    """The way of a training batch through the model, as text, and its parameters."""
    batch = collate(pieces[: model.config.batch])
    seen: list[tuple[str, str, str, str]] = []
    model.train()
    with _watched(model, seen):
        for name in getattr(model, "players", lambda: {"": None})():
            model.loss(batch, *([name] if name else []))
    model.eval()
    lines = [f"data  {batch.data.dtype} {list(batch.data.shape)}   ({len(batch.data)} pieces, the longest of them)"]
    if seen:
        wide = [max(len(row[k]) for row in seen) for k in range(3)]
        lines += [""] + [f"{n:{wide[0]}}  {k:{wide[1]}}  {i:>{wide[2]}} -> {o}" for n, k, i, o in seen]
    named = [(name, _shape(p)) for name, p in model.named_parameters()]
    wide_name = max(len(name) for name, _ in named)
    lines += ["", "parameters"] + [f"  {name:{wide_name}}  {shape}" for name, shape in named]
    return "\n".join(lines)


# -- pictures


def curve(rows: list[dict[str, Any]], unit: str) -> str:
    """Training loss and validation loss by step, as a file of its own; validation alone where what is minimised is
    counted otherwise (the difference of two energies, a game) and would not share an axis."""
    loss = [(row["step"], row["loss"]) for row in rows if row.get("loss") is not None]
    valid = [(row["step"], row["valid"]) for row in rows if row.get("valid") is not None]
    apart = valid and loss and min(y for _, y in valid) > np.quantile([y for _, y in loss], 0.98)
    series = []
    if loss and not apart:
        series.append(svg.Series("training", [x for x, _ in loss], [y for _, y in loss], "v5", "faint"))
    if valid:
        series.append(svg.Series("validation", [x for x, _ in valid], [y for _, y in valid], "v1", "dots"))
    legend = "validation" if apart else "training (blue), validation (orange)" if valid else "training"
    values = np.array([y for s in series for y in s.y])
    low, high = float(values.min()), float(np.quantile(values, 0.98))
    room = 0.05 * (high - low) or 1.0
    drawn = svg.chart(
        series, x_label="step", y_label=f"loss, {unit}: {legend}",
        label="Loss against steps.", height=300, width=680, y_range=(low - room, high + room),
    )  # fmt: skip
    drawn = drawn.replace('viewBox="0 0 680 300"', 'viewBox="0 0 700 300"', 1)  # room for the last number
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="700" height="300" '
    paper = '<rect width="700" height="300" fill="#faf9f6"/>'
    return drawn.replace("<svg ", head, 1).replace(">", f"><style>{STYLE}</style>{paper}", 1) + "\n"


# -- a page


def page(name: str, run: Path) -> None:
    """Write the page of a model, its pictures and its sample."""
    model, card, config, splits = held_out(str(run), None)
    plan, unit = PLAN[name], unit_of(card.representation["name"])
    split = "test" if splits.test else "valid"
    found = figures(model, card, config, splits, split) if score_name(model) else {}
    score, _ = generate(run, bars=None if card.representation["name"] == "melody" else BARS, seed=SEED)[0]
    midi.write(score, PAGES / f"{name}.mid")
    render_svg(score, PAGES / f"{name}-music.svg", title=f"{name}, seed {SEED}")
    rows = log.read(run / checkpoint.LOG)
    (PAGES / f"{name}-curve.svg").write_text(curve(rows, unit if found else "no unit"), encoding="utf-8")
    module = sys.modules[type(model).__module__]
    source = f"../../models/{Path(module.__file__ or '').name}"
    trained = clock(config.get("train_seconds") or 0.0)
    keys = [k for k in found if isinstance(found[k], float) and k not in ("train_seconds",) and found[k] == found[k]]
    length = [] if card.representation["name"] == "melody" else ["--bars", str(BARS)]
    again = ["tinydl", "generate", "run", *length, "--seed", str(SEED), "--out", "new.mid"]
    size = sum(p.numel() for p in model.parameters())
    text = f"""# {name}

{prose(module.__doc__ or '')}

*[The file]({source}). Likelihood: {model.density}. Learns from {model.data}. Can be told:
{', '.join(model.conditions) or 'nothing'}.*

## Shapes

```text
{shapes(model, splits.train)}
```

## Learning

Trained for {trained}, the best weights at step {card.step:,}, {size:,} parameters.

![Training and validation loss by step]({name}-curve.svg)

## Music

![A piano-roll of the sample]({name}-music.svg)

[{name}.mid]({name}.mid), the first that was drawn. To make it again:

```sh
{shlex.join(train_again(card, config.get('limits')))}
{shlex.join(again)}
```

## Measured

{_table(keys, found, split, unit) if keys else NO_FIGURE}

## Good and bad at

{plan.good}

{plan.bad}
"""
    (PAGES / f"{name}.md").write_text(text, encoding="utf-8")


def _table(keys: list[str], found: dict[str, Any], split: str, unit: str) -> str:
    rows = [f"| `{key}` | {found[key]:.4f} |" for key in keys]
    return "\n".join([f"One run; the {split} split, {unit} where it is a likelihood.", "", "| figure | value |",
                      "|---|---|", *rows])  # fmt: skip


def index() -> None:
    """Write the list of all pages."""
    rows = []
    for name in registry.models():
        if (PAGES / f"{name}.md").exists():
            model = registry.model_class(name)
            rows.append(f"| [`{name}`]({name}.md) | {model.data} | {model.density} | {model.paper} |")
    text = ["# Models", "", "A page each, made by `make model-pages` from trained runs.", "",
            "| model | learns from | likelihood | paper |", "|---|---|---|---|", *rows]  # fmt: skip
    (PAGES / "README.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def main() -> int:
    """Train what is missing, then write the pages."""
    parser = argparse.ArgumentParser(description="Write docs/models/ from run folders.")
    parser.add_argument("runs", type=Path, help="a folder that holds a run's folder for every model, by its name")
    parser.add_argument("--only", action="append", choices=sorted(PLAN), help="this model's page; may be repeated")
    args = parser.parse_args()
    PAGES.mkdir(exist_ok=True)
    for name in args.only or PLAN:
        run, plan = args.runs / name, PLAN[name]
        if not (run / checkpoint.BEST).exists():
            command = ["train", name, plan.data, "--out", str(run), "--minutes", f"{plan.minutes:g}"]
            command += ["--seed", str(SEED)]
            with tempfile.TemporaryFile() as said:
                status = subprocess.run([sys.executable, "-m", "tinydl", *command], stderr=said, stdout=said).returncode
                if status:
                    said.seek(0)
                    print(said.read().decode()[-2000:], file=sys.stderr)
                    return status
        page(name, run)
        print(PAGES / f"{name}.md")
    index()
    return 0


if __name__ == "__main__":
    sys.exit(main())
