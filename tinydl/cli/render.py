"""``tinydl render FILE.mid``: a MIDI file as sound, as a picture, or as a piano-roll in the terminal."""

from __future__ import annotations

import argparse
from pathlib import Path

from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say
from tinydl.cli.parser import Command, Parser, path_ending
from tinydl.errors import DataError


def _arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE.mid", help="the music")
    parser.add_argument("--wav", metavar="F", type=path_ending(".wav"), help="write its sound here")
    parser.add_argument(
        "--png", metavar="F", type=path_ending(".png", ".svg"), help="write its picture here (.png or .svg)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def _run(args: argparse.Namespace) -> int:
    from tinydl import render
    from tinydl.data import midi

    score, report = midi.read(args.file)
    if not score.notes:
        raise DataError(f"{args.file} holds no notes: there is nothing to render")
    if report.status == "salvaged":
        note(f"{args.file} is damaged; rendered is what could be read (tinydl midi info says more)")
    if not args.wav and not args.png:
        say(render.terminal(score))
        return 0
    lines = []
    with Outputs(force=args.force) as outputs:
        if args.wav:
            info = render.render_wav(score, outputs.new(args.wav))
            lines.append(f"wrote {args.wav} ({clock(info.seconds)}, {info.engine})")
        if args.png:
            picture = outputs.new(args.png)
            draw = render.render_svg if Path(args.png).suffix.lower() == ".svg" else render.render_png
            draw(score, picture, title=Path(args.file).stem)
            lines.append(f"wrote {args.png}")
        outputs.commit()
    for line in lines:
        say(line)
    return 0


RENDER = Command(
    description=(
        "Write a MIDI file's sound (by FluidSynth where it is installed) and its piano-roll.\n"
        "Without --wav and --png, print the piano-roll. A file that exists is not overwritten without --force."
    ),
    examples=["tinydl render song.mid", "tinydl render song.mid --wav song.wav --png song.png"],
    arguments=_arguments,
    run=_run,
)
