"""``tinydl interpolate RUN A.mid B.mid --out DIR``: the way from one tune to another."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say, say_json, say_table
from tinydl.cli.parser import SEED, Command, Parser, add_device, add_json, integer, number


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train, or its best.safetensors")
    parser.add_argument("a", metavar="A.mid", help="where to begin")
    parser.add_argument("b", metavar="B.mid", help="where to end")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder for 0.mid ... K-1.mid")
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
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    add_json(parser, "a list with file, notes, seconds, from_a and from_b of each piece")


def _run(args: argparse.Namespace) -> int:
    from tinydl import render
    from tinydl.data import midi
    from tinydl.generation import interpolate

    paths = [Path(args.out) / f"{k}.mid" for k in range(args.steps)]
    with Outputs(force=args.force) as outputs:
        written = [outputs.new(path) for path in paths]  # a place that cannot be used is said before any work
        pieces = interpolate(
            args.run, args.a, args.b, steps=args.steps, temperature=args.temperature, seed=args.seed, device=args.device
        )
        for path, (score, _), file in zip(paths, pieces, written):
            midi.write(score, file)
            if args.wav and score.notes:
                render.render_wav(score, outputs.new(path.with_suffix(".wav")))
            elif args.wav:
                note(f"{path} holds no notes: there is nothing to hear, and no .wav of it")
        outputs.commit()
    if args.json:
        say_json([{"file": str(path), **facts} for path, (_, facts) in zip(paths, pieces)])
        return 0
    rows = [
        (path, facts["notes"], clock(facts["seconds"]), f"{facts['from_a']:.0%}", f"{facts['from_b']:.0%}")
        for path, (_, facts) in zip(paths, pieces)
    ]
    say_table(("file", "notes", "time", "from first", "from last"), rows)
    say("from first, from last: the share of steps in which a piece differs from the two ends, which are what the")
    say("model makes of the given pieces; tinydl evaluate says under reconstruction how near to them that is")
    return 0


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
