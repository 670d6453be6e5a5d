"""``tinydl interpolate RUN A.mid B.mid --out DIR``: the way from one tune to another."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say, say_json, say_table
from tinydl.cli.parser import SEED, Command, Parser, add_device, add_json, folder, integer, number


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train, or its best.safetensors")
    parser.add_argument("a", metavar="A.mid", help="where to begin")
    parser.add_argument("b", metavar="B.mid", help="where to end")
    parser.add_argument("--out", metavar="DIR", type=folder, required=True, help="the folder for 0.mid ... K-1.mid")
    parser.add_argument(
        "--steps", metavar="K", type=integer(2, 1000), default=5, help="pieces, both ends included (default: 5)"
    )
    parser.add_argument(
        "--temperature", metavar="T", type=number(0, open_low=False), default=0.0,
        help="0 takes the most probable events, above 0 they are drawn (default: 0)",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="S", type=SEED, default=0, help="of the events that are drawn (default: 0)")
    parser.add_argument("--wav", action="store_true", help="also write a .wav beside each .mid")
    add_device(parser)
    parser.add_argument(
        "--force", action="store_true", help="replace files that exist, and remove those of a longer way"
    )
    add_json(
        parser, "a list with file, notes, seconds, of_a, of_b, from_a, from_b, from_first and from_last of each piece"
    )


def _run(args: argparse.Namespace) -> int:
    from tinydl import render
    from tinydl.data import midi
    from tinydl.generation import interpolate

    remarks: list[str] = []
    paths = [Path(args.out) / f"{k}.mid" for k in range(args.steps)]
    with Outputs(force=args.force) as outputs:
        written = [outputs.new(path) for path in paths]  # a place that cannot be used is said before any work
        for path in _left_over(Path(args.out), args.steps, sound=args.force and not args.wav):
            outputs.drop(path)
        pieces = interpolate(
            args.run, args.a, args.b, steps=args.steps, temperature=args.temperature, seed=args.seed,
            device=args.device, remark=remarks.append,
        )  # fmt: skip
        for path, (score, _), file in zip(paths, pieces, written):
            midi.write(score, file)
            if args.wav and score.notes:
                render.render_wav(score, outputs.new(path.with_suffix(".wav")))
            elif args.wav:
                note(f"{path} holds no notes: there is nothing to hear, and no .wav of it")
        outputs.commit()
    for sentence in remarks:  # an error is one line
        note(sentence)
    if args.json:
        say_json([{"file": str(path), **facts} for path, (_, facts) in zip(paths, pieces)])
        return 0
    marks = ("of_a", "from_first", "from_last", "of_b")
    rows = [
        (path, facts["notes"], clock(facts["seconds"]), *(f"{facts[mark]:.0%}" for mark in marks))
        for path, (_, facts) in zip(paths, pieces)
    ]
    say_table(("file", "notes", "time", "of A", "from first", "from last", "of B"), rows)
    say()
    say("of A, of B: the shares of their notes that stand in a piece; from first, from last: of the steps in which it")
    say("differs from the two ends, which are what the model makes of A and B:")
    back = [f"{facts[mark]:.0%} of the notes" for (_, facts), mark in ((pieces[0], "of_a"), (pieces[-1], "of_b"))]
    say(f"{back[0]} of {args.a} came back, and {back[1]} of {args.b}")
    return 0


def _left_over(place: Path, steps: int, *, sound: bool) -> Iterator[Path]:
    """The files of an earlier, longer way in a folder: those that go on after ``steps`` pieces; with ``sound`` also the
    .wav of the pieces before."""
    number = steps
    while (place / f"{number}.mid").exists():
        yield place / f"{number}.mid"
        number += 1
    for k in range(0 if sound else steps, number):
        if (place / f"{k}.wav").exists():
            yield place / f"{k}.wav"


INTERPOLATE = Command(
    description=(
        "Write the way from one tune to another, by a model that knows tunes by a latent vector, such as music-vae:\n"
        "both are encoded, and points between their codes decoded. Tunes longer than the model's phrase go phrase by\n"
        "phrase, as far as the shorter one reaches. tinydl models lists who can."
    ),
    examples=[
        "tinydl interpolate run a.mid b.mid --steps 7 --out way --wav",
        "tinydl interpolate run a.mid b.mid --steps 3 --out bolder --temperature 0.5",
    ],
    arguments=_arguments,
    run=_run,
)
