"""``tinydl midi info``: what MIDI files hold, and what had to be dropped to read them."""

from __future__ import annotations

import argparse

from tinydl.cli._output import clock, say_json, say_table
from tinydl.cli.parser import Command, Parser, add_json
from tinydl.errors import MidiError


def _arguments(parser: Parser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a .mid file, or a folder of them")
    add_json(parser, "a list with one object per file")


def _run(args: argparse.Namespace) -> int:
    from tinydl.data.midi import examine

    reports = [examine(path)[1] for path in _expand(args.files)]
    if args.json:
        say_json([report.to_json() for report in reports])
    elif len(reports) > 1 or reports[0].status != "rejected":
        rows = []
        for report in reports:
            dropped = "; ".join(f"{d.reason} ({d.count})" if d.count > 1 else d.reason for d in report.dropped)
            dropped = dropped.removeprefix(f"cannot read {report.file}: ")  # the first column says which
            counts = (report.type, report.ticks_per_beat, report.tracks, report.notes)
            rows.append((report.file, report.status, *counts, clock(report.seconds), dropped))
        say_table(("file", "status", "type", "ticks/beat", "tracks", "notes", "time", "dropped"), rows)
    if all(report.status == "rejected" for report in reports):
        # examine() gives the one reason as a whole sentence that names the file
        reason = reports[0].dropped[0].reason
        raise MidiError(
            reason if len(reports) == 1 else f"none of the {len(reports)} files can be used; the first: {reason}"
        )
    return 0


def _expand(paths: list[str]) -> list[str]:
    """The paths, with the MIDI files of a folder in its place."""
    from pathlib import Path

    from tinydl.data.folder import find_midi

    found: list[str] = []
    for path in paths:
        found += map(str, find_midi(Path(path))) if Path(path).is_dir() else [path]
    return found


INFO = Command(
    description=(
        "Read MIDI files and report on each: 'ok', 'salvaged' (damaged, and used as far as it could be read)\n"
        "or 'rejected', with what was dropped and why. Exit code 2 when no file could be read."
    ),
    examples=["tinydl midi info song.mid", "tinydl midi info my_midis/ --json"],
    arguments=_arguments,
    run=_run,
)
