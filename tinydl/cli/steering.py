"""``tinydl harmonise`` and ``tinydl infill``: music made around music that is given."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say, say_json
from tinydl.cli.parser import SEED, Command, Parser, add_device, add_json, number, path_ending

if TYPE_CHECKING:
    from tinydl.data.score import Score


def _bars(text: str) -> tuple[int, int]:
    """A type for bars: ``5-8``, or ``5`` for one."""
    first, dash, last = text.partition("-")
    try:
        bars = int(first), int(last if dash else first)
    except ValueError:
        bars = 0, 0
    if not 1 <= bars[0] <= bars[1]:
        raise argparse.ArgumentTypeError(f"must be FIRST-LAST, counted from 1, such as 5-8, not {text!r}")
    return bars


def _add_common(parser: Parser) -> None:
    parser.add_argument(
        "--out", metavar="FILE.mid", type=path_ending(".mid", ".midi"), required=True, help="the file to write"
    )
    parser.add_argument(
        "--temperature", metavar="T", type=number(0, open_low=False), default=1.0,
        help="below 1 safer, above 1 bolder, 0 the most probable (default: 1)",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="S", type=SEED, default=0, help="the same seed, the same music (default: 0)")
    parser.add_argument("--wav", action="store_true", help="also write a .wav beside the .mid")
    add_device(parser)
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    add_json(parser, "file, given and new (notes), seconds")


def _write(args: argparse.Namespace, given: str, make: Callable[[Score], Score], gone: str) -> int:
    """Read ``given``, write what ``make`` makes of it, and say what is new; ``gone``: of notes not kept, why."""
    from pathlib import Path

    from tinydl import render
    from tinydl.data import midi

    with Outputs(force=args.force) as outputs:
        file = outputs.new(args.out)  # a place that cannot be used is said before any work
        music, report = midi.read(given)
        if report.status == "salvaged":
            note(f"{given} is damaged; used is what could be read (tinydl midi info says more)")
        score = make(music)
        midi.write(score, file)
        if args.wav:
            render.render_wav(score, outputs.new(Path(args.out).with_suffix(".wav")))
        outputs.commit()
    old = set(music.notes)
    kept = sum(n in old for n in score.notes)
    dropped = len(music.notes) - kept
    if args.json:
        say_json({"file": args.out, "given": kept, "new": len(score.notes) - kept, "seconds": score.seconds})
        return 0
    say(f"{args.out}: {kept} notes as given, {len(score.notes) - kept} new, {clock(score.seconds)}")
    if dropped:
        say(f"{dropped} notes of {given} {gone}")
    say(f"seed {args.seed}; another --seed gives other notes")
    return 0


def _harmonise_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train, or its best.safetensors")
    parser.add_argument("melody", metavar="MELODY.mid", help="the melody; of several parts the one with the tune")
    _add_common(parser)


def _harmonise(args: argparse.Namespace) -> int:
    from tinydl.generation import harmonise

    options = {"temperature": args.temperature, "seed": args.seed, "device": args.device}
    gone = "are left out: they stand beside its tune, under which new voices are written"
    return _write(args, args.melody, lambda score: harmonise(args.run, score, name=args.melody, **options), gone)


HARMONISE = Command(
    description=(
        "Write alto, tenor and bass under a melody, by a model of four voices such as mini-bach. The melody's own\n"
        "notes stand in the new file unchanged. tinydl models lists who takes a melody, or notes."
    ),
    examples=[
        "tinydl harmonise run melody.mid --out chorale.mid --seed 1 --wav",
        "tinydl harmonise run melody.mid --out calm.mid --temperature 0",
    ],
    arguments=_harmonise_arguments,
    run=_harmonise,
)


def _infill_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train, or its best.safetensors")
    parser.add_argument("piece", metavar="PIECE.mid", help="a piece in four voices; for a model of tunes, a tune")
    parser.add_argument("--bars", metavar="A-B", type=_bars, required=True, help="the bars to write anew, from 1")
    _add_common(parser)


def _infill(args: argparse.Namespace) -> int:
    from tinydl.generation import infill

    options = {"temperature": args.temperature, "seed": args.seed, "device": args.device}
    first, last = args.bars
    gone = f"gave way to the new ones in bar{f' {first}' if first == last else f's {first} to {last}'}"
    return _write(args, args.piece, lambda score: infill(args.run, score, args.bars, name=args.piece, **options), gone)


INFILL = Command(
    description=(
        "Write some bars of a piece anew, so that they fit what stands around them. Everything outside the bars,\n"
        "and every note that reaches into them or out of them, stays as it is. tinydl models lists who takes notes."
    ),
    examples=["tinydl infill run piece.mid --bars 5-8 --out new.mid --seed 1"],
    arguments=_infill_arguments,
    run=_infill,
)
