"""What the commands that write a page (``generate --html``, ``report``) put on it."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinydl.data.score import Score
    from tinydl.page import Piece, Settings
    from tinydl.training.checkpoint import Card


def add_force_and_html(
    parser: argparse.ArgumentParser,
    *,
    required: bool,
    page: str = "also write a page to listen on: players, piano-rolls, settings",
) -> None:
    """``--html`` and ``--force``, the same in every command that has them."""
    from tinydl.cli.parser import path_ending

    what = "the page to write" if required else page
    parser.add_argument("--html", metavar="FILE.html", type=path_ending(".html"), required=required, help=what)
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def unit_of(representation: str) -> str:
    """What a likelihood is counted per: ``nats/frame``, ``nats/token`` for the models of tokens, or ``nats/image``."""
    from tinydl.generation.generate import TOKENS

    if representation == "image":
        return "nats/image"
    return "nats/token" if representation in TOKENS else "nats/frame"


def piece(
    title: str, score: Score, model: Any, card: Card, *, file: str, about: str = "", nll: float | None = None
) -> Piece:
    """A piece with its own surprise under the model, of every note and, where it reads frames, of every frame.

    ``nll`` is its mean where that is known already, as of a sample, whose primer does not count.
    """
    from tinydl.generation import surprise
    from tinydl.page import Piece
    from tinydl.training import ElementDensity

    made = Piece(title, score, about=about, file=file)
    if not score.notes or model.density == "none" or not isinstance(model, ElementDensity):
        return made
    found = surprise(model, score, representation=card.representation)
    mean = found.nll_per_frame if nll is None else nll
    made = dataclasses.replace(made, facts=[f"{mean:.3f} nats/{found.unit}"], note_nll=found.note_nll)
    if found.unit == "token":
        return made  # tokens have no place of their own in time
    return dataclasses.replace(made, frame_nll=found.frame_nll, frame_ticks=found.ticks)


def settings(
    card: Card, limits: dict[str, Any] | None, command: Sequence[str], values: Iterable[tuple[str, Any]]
) -> Settings:
    """The section that says how the page was made: training again, then ``command``; and what took part.

    ``limits`` are those of the run's config.json, where it is known.
    """
    import platform
    from importlib import metadata

    from tinydl.benchmarks.harness import commit
    from tinydl.page import Settings
    from tinydl.version import __version__

    options = " ".join(f"{key}={value}" for key, value in card.config.items())
    entries: list[tuple[str, Any]] = [
        ("model", card.model),
        ("data", card.source),
        ("seed of the run", card.seed),
        ("weights of step", f"{card.step:,}"),
        *values,
        ("tinydl", f"{__version__} ({commit()})"),
        ("trained with tinydl", card.version),
        ("python", platform.python_version()),
        ("numpy", metadata.version("numpy")),
        ("numba", metadata.version("numba")),
        ("fingerprint of the data", card.fingerprint),
        ("options", options),
    ]
    return Settings(
        "Settings",
        [shlex.join(train_again(card, limits)), shlex.join(command)],
        [(name, str(value)) for name, value in entries],
        intro="These commands make the same weights, and from them the same music, on any machine of this kind.",
    )


def train_again(card: Card, limits: dict[str, Any] | None) -> list[str]:
    """The command that trains the weights of ``card`` anew.

    Nothing but a cosine schedule depends on where training was to end, so any other run is stopped at the step of its
    best weights: also one that the clock had stopped somewhere after it.
    """
    from tinydl import registry
    from tinydl.errors import ConfigError

    words = ["tinydl", "train", card.model, card.source, "--out", "run", "--seed", str(card.seed)]
    if card.config.get("schedule") != "cosine":
        words += ["--steps", str(card.step)]
    else:
        words += [word for key, value in (limits or {}).items() if value for word in (f"--{key}", f"{value:g}")]
    try:
        usual = dataclasses.asdict(registry.configure(card.model))
    except ConfigError:  # a model that this tinydl does not know
        usual = {}
    changed = [f"{key}={value}" for key, value in card.config.items() if usual.get(key) != value]
    return [*words, "-o", *changed] if changed else words


def sampling_words(args: argparse.Namespace) -> list[str]:
    """The options of ``args`` that choose the music, as they would be typed, without those left at their defaults."""
    words = ["--seed", str(args.seed)]
    for name, usual in {
        "num": None,
        "bars": None,
        "temperature": 1.0,
        "top_k": None,
        "top_p": None,
        "primer": None,
        "chords": None,
        "key": None,
    }.items():
        value = getattr(args, name, None)
        if value is not None and value != usual:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    return words
