"""``tinydl surprise RUN FILE.mid``: which notes of given music a trained model did not expect."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.cli._files import Outputs
from tinydl.cli._output import clock, note, say, say_json, say_table
from tinydl.cli.parser import Command, Parser, add_json, integer, path_ending

if TYPE_CHECKING:
    from tinydl.generation import Surprise

NOTES_SHOWN = 5  # of one moment


def _arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of tinydl train, or its best.safetensors")
    parser.add_argument("file", metavar="FILE.mid", help="the music")
    parser.add_argument(
        "--top", metavar="N", type=integer(1, 10_000), default=10, help="moments in the table (default: 10)"
    )
    parser.add_argument(
        "--svg", metavar="FILE.svg", type=path_ending(".svg"), help="write the piano-roll, coloured by surprise, here"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
    add_json(
        parser,
        "file, model, kind, unit (frame or token), nll_per_frame, valid, frames, notes (bar, beat, pitch, start in "
        "seconds, nll, null where it has none of its own), frame_nll and frame_start (seconds)",
    )


def _run(args: argparse.Namespace) -> int:
    from tinydl import render
    from tinydl.data import midi
    from tinydl.generation import surprise

    with Outputs(force=args.force) as outputs:
        picture = outputs.new(args.svg) if args.svg else None  # a place that cannot be used is said before any work
        score, report = midi.read(args.file)
        found = surprise(args.run, score, name=args.file)
        heat = render.Heat(found.note_nll, found.frame_nll, found.ticks)
        if picture is not None:
            title = f"{Path(args.file).stem}: surprise under {found.model}"
            render.render_svg(score, picture, title=title, heat=heat)
        outputs.commit()
    if report.status == "salvaged":
        note(f"{args.file} is damaged; heard is what could be read (tinydl midi info says more)")
    for sentence in found.remarks():
        note(sentence)
    if args.json:
        say_json(_figures(args.file, found))
        return 0
    say(render.terminal(score, heat=heat))
    say()
    say_table(("bar:beat", "time", "nats", "bits", "notes that begin, and their nats"), _rows(found, args.top))
    say()
    say(_summary(found))
    if args.svg:
        say(f"wrote {args.svg}")
    return 0


def _figures(file: str, found: Surprise) -> dict[str, Any]:
    from tinydl.render.layout import bars_and_beats

    score = found.score
    starts = score.to_seconds([n.start for n in score.notes])
    places = bars_and_beats(score, [n.start for n in score.notes])
    return {
        "file": file,
        "model": found.model,
        "kind": found.kind,
        "unit": found.unit,
        "nll_per_frame": found.nll_per_frame,
        "valid": found.valid,
        "frames": len(found.frame_nll),
        "notes": [
            {"bar": bar, "beat": round(beat, 4), "pitch": n.pitch, "start": round(start, 4), "nll": nll}
            for n, (bar, beat), start, nll in zip(score.notes, places, starts.tolist(), found.note_nll)
        ],
        "frame_nll": found.frame_nll,
        "frame_start": [round(second, 4) for second in found.seconds],
    }


def _rows(found: Surprise, top: int) -> list[tuple[object, ...]]:
    from tinydl.render.layout import bars_and_beats, pitch_name

    moments = found.moments()[:top]
    rows: list[tuple[object, ...]] = []
    for moment, (bar, beat) in zip(moments, bars_and_beats(found.score, [moment.tick for moment in moments])):
        ended = moment.tick >= found.heard.end_tick
        names = [f"{pitch_name(found.heard.notes[k].pitch)} {found.heard_nll[k]:.2f}" for k in moment.notes]
        if len(names) > NOTES_SHOWN:
            names[NOTES_SHOWN:] = [f"and {len(names) - NOTES_SHOWN} more"]
        rows.append(
            (
                "end" if ended else f"{bar}:{beat:.4g}",
                clock(found.score.to_seconds([round(moment.tick)])[0]),
                f"{moment.nats:.2f}",
                f"{moment.nats / math.log(2):.2f}",
                ", ".join(names) or "none",
            )
        )
    return rows


def _summary(found: Surprise) -> str:
    text = (
        f"{found.nll_per_frame:.4f} nats/{found.unit} over {len(found.frame_nll):,} {found.unit}s ({found.kind}), "
        f"{found.total:.1f} nats in all"
    )
    if found.valid is not None:
        text += f"; the music that {found.model} was validated on: {found.valid:.4f} nats/{found.unit}"
    return text


SURPRISE = Command(
    description=(
        "Show which notes and moments of a MIDI file a run's best weights did not expect, as -ln of their probability\n"
        "given all before (nats; bits are nats / 0.693). A moment's nats count all that sounds and all that is silent\n"
        "in it, a note's that it begins (and in a tune, how long it is). The mean is that of tinydl evaluate."
    ),
    examples=[
        "tinydl surprise run song.mid",
        "tinydl surprise run song.mid --svg song.svg",
        "tinydl surprise run song.mid --json",
    ],
    arguments=_arguments,
    run=_run,
)
