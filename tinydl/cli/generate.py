"""``tinydl generate RUN --out FILE.mid``: new music from a trained model; FILE.png, images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli._errors import UsageError
from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say, say_json, say_table
from tinydl.cli._page import add_force_and_html, piece, sampling_words, settings, unit_of
from tinydl.cli._runs import add_data, data_of
from tinydl.cli.parser import SEED, Command, Parser, add_device, add_json, integer, number, path_ending
from tinydl.errors import CheckpointError

if TYPE_CHECKING:
    from tinydl.data.score import Score
    from tinydl.page import Page

OF_MUSIC = ("bars", "top_k", "top_p", "primer", "chords", "key", "wav", "html")  # options that images have no use for


def add_sampling(parser: Parser, num: int, pieces: str) -> None:
    """The options of new music that every command with some has: how many, how long, how bold, which."""
    parser.add_argument("--num", metavar="K", type=integer(1, 1000), default=num, help=f"{pieces} (default: {num})")
    parser.add_argument(
        "--bars",
        metavar="N",
        type=integer(1, 1000),
        help="bars to write, those of the primer not counted (default: the model's choice, or 16)",
    )
    parser.add_argument(
        "--temperature", metavar="T", type=number(0), default=1.0, help="below 1 safer, above 1 bolder (default: 1)"
    )
    parser.add_argument("--seed", metavar="S", type=SEED, default=0, help="the same seed, the same music (default: 0)")


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train, or its best.safetensors")
    parser.add_argument(
        "--out", metavar="FILE.mid", type=path_ending(".mid", ".midi", ".png"), required=True,
        help="the file to write; a .png where the run learned from images",
    )  # fmt: skip
    add_sampling(parser, 1, "pieces; above 1, FILE-1.mid ... FILE-K.mid, or images side by side in FILE.png")
    parser.add_argument("--top-k", metavar="K", type=integer(1), help="draw among the K most probable tokens only")
    parser.add_argument(
        "--top-p", metavar="P", type=number(0, 1), help="draw among the most probable tokens that hold P together"
    )
    parser.add_argument("--primer", metavar="FILE.mid", help="music to begin with and go on from")
    parser.add_argument("--chords", metavar='"C G Am F"', help="notes of these alone, a bar each, over and over")
    parser.add_argument("--key", metavar="KEY", help="notes of this key alone: C, F#m; with --chords, off the beats")
    parser.add_argument("--wav", action="store_true", help="also write a .wav beside each .mid")
    add_data(parser)
    add_device(parser)
    parser.add_argument("--no-copying", action="store_true", help="do not look for the pieces in the training data")
    add_force_and_html(parser, required=False)
    add_json(
        parser,
        "a list with file, notes, seconds, nll_per_frame (by its name in tinydl evaluate), longest_copy and "
        "near_copy_share of each piece",
    )


def targets(out: str, num: int) -> list[Path]:
    """The names of ``num`` pieces.

    >>> [path.name for path in targets("new.mid", 2)], [path.name for path in targets("new.mid", 1)]
    (['new-1.mid', 'new-2.mid'], ['new.mid'])
    """
    path = Path(out)
    return [path] if num == 1 else [path.with_name(f"{path.stem}-{i}{path.suffix}") for i in range(1, num + 1)]


def _run(args: argparse.Namespace) -> int:
    from tinydl import render
    from tinydl.data import midi
    from tinydl.generation import generate
    from tinydl.training import checkpoint

    picture = args.out.lower().endswith(".png")
    if checkpoint.card(checkpoint.best_of(args.run)).representation["name"] == "image":
        return _images(args, picture)
    if picture:
        raise UsageError(
            f"{args.run} makes music: --out must end in .mid, not {args.out!r}, and tinydl render draws what is in it"
        )
    paths = targets(args.out, args.num)
    with Outputs(force=args.force) as outputs:
        written = [outputs.new(path) for path in paths]  # a place that cannot be used is said before any work
        page = outputs.new(args.html) if args.html else None
        pieces = generate(
            args.run,
            num=args.num,
            bars=args.bars,
            temperature=args.temperature,
            top_k=args.top_k,
            top_p=args.top_p,
            primer=args.primer,
            chords=args.chords,
            key=args.key,
            seed=args.seed,
            device=args.device,
        )
        for path, (score, _), file in zip(paths, pieces, written):
            midi.write(score, file)
            if args.wav and not score.notes:
                note(f"{path} holds no notes: there is nothing to hear, and no .wav of it")
            elif args.wav:
                render.render_wav(score, outputs.new(path.with_suffix(".wav")))
        if page is not None:
            from tinydl.page import write

            write(_page(args, paths, pieces), page)
        outputs.commit()
    figures = [{**facts, **copied} for (_, facts), copied in zip(pieces, _copying(args, [s for s, _ in pieces]))]
    if args.json:
        say_json([{"file": str(path), **entry} for path, entry in zip(paths, figures)])
        return 0
    rows = []
    (name,) = (key for key in figures[0] if key.endswith("_per_frame"))
    sure = {"nll_bound_per_frame": ", a bound", "nll_estimate_per_frame": ", an estimate"}.get(name, "")
    for path, entry in zip(paths, figures):
        nll, longest = entry[name], entry["longest_copy"]
        known = ("-" if nll is None else f"{nll:.3f}", "-" if longest is None else longest)
        rows.append((path, entry["notes"], clock(entry["seconds"]), *known))
    say_table(("file", "notes", "time", f"nats/frame{sure}", "longest copy"), rows)
    say(f"seed {args.seed}; another --seed gives other music")
    if args.html:
        say(f"to listen, open {args.html} in a browser")
    return 0


def _images(args: argparse.Namespace, picture: bool) -> int:
    """All images in one file, side by side."""
    from tinydl import render
    from tinydl.generation import generate_images

    for name in OF_MUSIC:
        if getattr(args, name):
            raise UsageError(f"--{name.replace('_', '-')} is for music, and {args.run} makes images: leave it out")
    if not picture:
        raise UsageError(f"{args.run} makes images: --out must end in .png, not {args.out!r}")
    with Outputs(force=args.force) as outputs:
        file = outputs.new(args.out)
        images, facts = generate_images(args.run, args.num, args.temperature, seed=args.seed, device=args.device)
        render.render_images(images, file)
        outputs.commit()
    if args.json:
        say_json([{"file": args.out, "images": len(images), **facts}])
        return 0
    mean = ["-" if value is None else f"{value:.3f}" for value in facts.values()]
    say_table(("file", "images", "nats/image"), [(args.out, len(images), *(mean or "-"))])
    say(f"seed {args.seed}; another --seed gives other images")
    return 0


def _page(args: argparse.Namespace, paths: list[Path], pieces: list[tuple[Score, dict[str, Any]]]) -> Page:
    """The page of ``--html``."""
    from tinydl.page import Music, Page
    from tinydl.training import checkpoint

    model, card = checkpoint.load_model(args.run)
    try:
        limits = checkpoint.read_config(Path(args.run)).get("limits")
    except CheckpointError:  # the best weights alone, away from their run
        limits = None
    music = [
        piece(path.stem, score, model, card, file=path.name, nll=facts.get("nll_per_frame"))
        for path, (score, facts) in zip(paths, pieces)
    ]
    known = card.valid is not None and model.density != "none"
    valid = "" if not known else f" (validation loss: {card.valid:.3f} {unit_of(card.representation['name'])})"
    count = "One new piece" if len(music) == 1 else f"{len(music)} new pieces"
    command = ["tinydl", "generate", "run", "--out", Path(args.out).name, "--html", Path(args.html).name]
    values = [("seed of the music", args.seed), ("temperature", f"{args.temperature:g}")]
    return Page(
        f"New music from {card.model}",
        f"{count} by the model {card.model}, trained on {Path(card.source).name} for {card.step:,} steps{valid}.",
        [
            Music("Listen", music),
            settings(card, limits, [*command, *sampling_words(args)], values),
        ],
    )


def _copying(args: argparse.Namespace, scores: Sequence[Score]) -> list[dict[str, Any]]:
    """``longest_copy`` and ``near_copy_share`` of every piece, the primer left out; None, and a note, where the run's
    data are not at hand."""
    unknown = [dict.fromkeys(("longest_copy", "near_copy_share")) for _ in scores]
    if args.no_copying:
        return unknown
    from tinydl.errors import TinydlError
    from tinydl.generation import primer_beats
    from tinydl.measures import CopyIndex
    from tinydl.training import checkpoint

    run = Path(args.run)
    card = checkpoint.card(run / checkpoint.BEST if run.is_dir() else run)
    try:
        splits = data_of(args.run, card, args.data, download=False)
    except TinydlError as error:
        note(f"what is copied is not known: {error}")
        return unknown
    begin = primer_beats(args.primer, splits.representation) if args.primer else 0.0
    index = CopyIndex([splits.representation.decode(piece) for piece in splits.train], splits.names["train"])
    found = [index.meter(score, begin=begin) for score in scores]
    return [{"longest_copy": copied.longest_copy, "near_copy_share": copied.near_copy_share} for copied in found]


GENERATE = Command(
    description=(
        "Write new music from a run's best weights. nats/frame says how surprising a piece is to its own model:\n"
        "compare it with tinydl evaluate. longest copy is the longest passage, in chords (or notes of a tune), that\n"
        "stands in the training data too, in any key; tinydl evaluate --copying says how much is usual. A run that\n"
        "learned from images makes those. A file that exists is not overwritten without --force."
    ),
    examples=[
        "tinydl generate run --out new.mid --wav",
        "tinydl generate run --out new.mid --num 8 --bars 32 --temperature 0.9 --seed 1",
        "tinydl generate run --out new.mid --num 4 --html new.html",
        "tinydl generate run --out answer.mid --primer question.mid --json",
        "tinydl generate run --out song.mid --chords 'C G Am F' --key C",
        "tinydl generate digits --out digits.png --num 64",
    ],
    arguments=_arguments,
    run=_run,
)
