"""``tinydl data list | show | get``: datasets by name, and folders of MIDI files of one's own."""

from __future__ import annotations

import argparse
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tinydl.cli import _output
from tinydl.cli._errors import UsageError
from tinydl.cli._output import note, say, say_json, say_table
from tinydl.cli.parser import SEED, Command, Parser, add_json, choice, nearest

if TYPE_CHECKING:
    from tinydl.data.folder import ExtractionReport
    from tinydl.data.splits import Splits

REPRESENTATIONS = ("roll", "events", "melody", "grid", "lead", "chorale")


# -- list --------------------------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from tinydl.data import corpus, datasets

    entries: list[dict[str, Any]] = [
        {**entry.to_json(), "path": _text(datasets.local(entry.name))} for entry in datasets.list_datasets()
    ]
    built_in = {name: entry.holds for name, entry in corpus.CORPORA.items()}
    if args.json:
        say_json({"datasets": entries, "built_in": built_in})
        return 0
    rows = []
    for entry in entries:
        where = entry["path"] or f"tinydl data get {entry['name']}"
        rows.append((entry["name"], entry["holds"], f"{datasets.dataset(entry['name']).bytes / 1e6:.1f} MB", where))
    rows += [(name, holds, "-", "built in") for name, holds in built_in.items()]
    say_table(("name", "holds", "size", "where"), rows)
    say()
    say("A folder of your own MIDI files, or one file, stands wherever a name stands.")
    return 0


def _text(path: object) -> str | None:
    return None if path is None else str(path)


# -- get ---------------------------------------------------------------------------------------------------------------


def _get(args: argparse.Namespace) -> int:
    from tinydl.data import corpus, datasets

    if args.name in corpus.CORPORA:
        say(f"{args.name} is built in: there is nothing to download")
        return 0
    names = [entry.name for entry in datasets.list_datasets()]
    if args.name not in names:
        hint = nearest(args.name, names) or f"; the names are {', '.join(names)}"
        raise UsageError(f"no dataset is named {args.name!r}{hint}")
    say(str(datasets.fetch(args.name)))
    say(f"licence: {datasets.dataset(args.name).licence}")
    return 0


# -- show --------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    from tinydl.data.datasets import image_size

    size = image_size(args.data)
    usual = {"name": "image", "height": size[0], "width": size[1]} if size else "roll"
    splits = load(args.data, args.representation or usual, seed=args.seed)
    facts = {split: _facts(splits, split) for split in ("train", "valid", "test")}
    if args.json:
        say_json(
            {
                "data": splits.source,
                "representation": splits.representation.config(),
                "fingerprint": splits.fingerprint,
                "splits": facts,
                "report": splits.report.to_json() if splits.report else None,
            }
        )
        return 0
    if splits.report and os.path.exists(args.data):
        say_report(splits)
        say()
    say_splits(splits)
    note_off_grid(splits)
    return 0


def load(data: str, representation: Any, *, seed: int = 0) -> Splits:
    """A corpus by name or path, the reading of a folder shown on stderr."""
    from tinydl.cli._reading import Reading
    from tinydl.data.splits import load as load_splits

    with Reading() as progress:
        return load_splits(data, representation, seed=seed, progress=progress)


def _facts(splits: Splits, split: str) -> dict[str, Any]:
    """Numbers of one split; ``polyphony`` and ``pitches`` for piano-rolls only, ``on`` (pixels, mean) for images."""
    import numpy as np

    pieces = splits[split]
    lengths = [len(piece) for piece in pieces]
    facts: dict[str, Any] = {
        "pieces": len(pieces),
        "frames": sum(lengths),
        "shortest": min(lengths, default=0),
        "longest": max(lengths, default=0),
    }
    if splits.representation.name == "image":
        facts["on"] = round(sum(int(piece.sum()) for piece in pieces) / len(pieces), 3)
    if splits.representation.name == "roll" and pieces:
        low = int(splits.representation.config().get("low", 21))
        sounding = np.flatnonzero(np.any([piece.any(axis=0) for piece in pieces], axis=0))
        facts["polyphony"] = round(sum(int(piece.sum()) for piece in pieces) / max(1, facts["frames"]), 3)
        facts["pitches"] = [low + int(sounding[0]), low + int(sounding[-1])] if sounding.size else None
    return facts


def say_splits(splits: Splits) -> None:
    """The table of train, valid and test, and what one frame is."""
    kind = splits.representation.name
    rows: list[tuple[object, ...]] = []
    for split in ("train", "valid", "test"):
        facts = _facts(splits, split)
        row = (split, facts["pieces"], facts["frames"], facts["shortest"], facts["longest"])
        low, high = facts.get("pitches") or ("", "")
        of_roll = (facts.get("polyphony", ""), f"{low}-{high}")
        rows.append((split, facts["pieces"], facts["on"]) if kind == "image" else row + of_roll * (kind == "roll"))
    columns = ("split", "pieces", unit(splits), "shortest", "longest") + ("polyphony", "pitches") * (kind == "roll")
    say_table(("split", "images", "pixels on") if kind == "image" else columns, rows)
    say()
    config = splits.representation.config()
    say(f"representation  {', '.join(f'{key}={value}' for key, value in config.items())}")
    say(f"fingerprint     {splits.fingerprint[:16]}")
    if splits.report:
        say(f"read            {splits.report.summary()}")
        if splits.report.remark:
            say(f"                {splits.report.remark}")


def say_report(splits: Splits) -> None:
    """The extraction table of a corpus, every file of it."""
    assert splits.report is not None
    say_table(report_columns(splits), report_rows(splits.report, every=True))


def note_off_grid(splits: Splits) -> None:
    """A sentence on stderr where the grid of the representation bends the rhythm of some files."""
    from tinydl.data.representations.base import as_step

    step = as_step(splits.representation.step)
    files = splits.report.off_grid(step) if splits.report else 0
    if files:
        finer = "; a finer grid such as -o step=1/12 keeps triplets" if step > Fraction(1, 12) else ""
        note(
            f"tinydl: warning: in {files} of {len(splits.report.rows if splits.report else ())} files most notes lie "
            f"beside the grid of {step} beat and were moved to it{finer}"
        )


def report_columns(splits: Splits) -> tuple[str, ...]:
    """The heads of the columns of :func:`report_rows`."""
    return ("file", "status", "split", "notes", "time", unit(splits), "reason")


def report_rows(report: ExtractionReport, *, every: bool) -> list[tuple[object, ...]]:
    """The extraction table: every file, or only those that were not simply kept."""
    return [
        (row.file, row.status, row.split or "-", row.notes, _output.clock(row.seconds), row.length, row.reason)
        for row in report.rows
        if every or row.status != "kept"
    ]


def unit(splits: Splits) -> str:
    """What the length of a piece counts."""
    name = splits.representation.name
    return "images" if name == "image" else "tokens" if name in ("events", "melody") else "frames"


LIST = Command(
    description="List the datasets that have a name, what they hold, and where their files are.",
    examples=["tinydl data list", "tinydl data list --json"],
    arguments=lambda parser: add_json(parser, "the datasets"),
    run=_list,
)


def _get_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="a dataset of tinydl data list")


GET = Command(
    description=(
        "Download a dataset into the cache folder, check its SHA-256, and print where it is.\n"
        "A copy below the folder $TINYDL_DATA is used instead where there is one (for machines without network)."
    ),
    examples=["tinydl data get jsb"],
    arguments=_get_arguments,
    run=_get,
)


def _show_arguments(parser: Parser) -> None:
    parser.add_argument("data", metavar="DATA", help="a folder of MIDI files, a .mid file, or a dataset's name")
    parser.add_argument(
        "--representation", type=choice(REPRESENTATIONS), help="how music is encoded (default: roll)"
    )
    parser.add_argument("--seed", type=SEED, default=0, help="of the split by file (default: 0)")
    add_json(parser, "splits and the table of files")


SHOW = Command(
    description="Show what a corpus holds, how it is split, and for a folder what became of every file, and why.",
    examples=["tinydl data show jsb", "tinydl data show my_midis/ --representation melody --json"],
    arguments=_show_arguments,
    run=_show,
)
