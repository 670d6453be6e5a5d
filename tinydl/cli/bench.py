"""``tinydl bench``: how fast kernels are, beside their twins, PyTorch, and what this machine allows."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tinydl.cli._errors import OK, UsageError
from tinydl.cli._files import Outputs
from tinydl.cli._output import note, say, say_json, say_table
from tinydl.cli._page import add_force_and_html
from tinydl.cli.kernels import chosen
from tinydl.cli.parser import Command, Parser, add_json, nearest

if TYPE_CHECKING:
    from tinydl.benchmarks.kernels import KernelRow
    from tinydl.benchmarks.roofs import Roofs
    from tinydl.kernels import Variant
    from tinydl.page import Page

_COLUMNS = (
    "case", "kernel", "us", "quartiles", "cold us", "first ms", "GFLOP/s", "GB/s", "of roof", "torch/it", "clean",
)  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    from tinydl.benchmarks import control, harness, kernels, roofs

    if not (args.names or args.all or args.file):
        raise UsageError("name an operation (tinydl kernels list shows them), or say --all; tinydl bench -h")
    if args.html and os.path.exists(args.html) and not args.force:  # no two pages of figures are the same
        raise UsageError(f"{args.html} exists and is not overwritten: choose another name, or add --force")
    plan = sides_of(args.names, args.file, args.vs)
    with Outputs(force=args.force) as outputs:
        page = outputs.new(args.html) if args.html else None  # a place that cannot be used is said before any work
        target = kernels.results(args.results, own=args.file is not None)
        if wrong := kernels.wrong([v for sides in plan.values() for v in sides.variants], note):
            raise UsageError(wrong)
        stored = [] if target is None else harness.read(target)
        around, words = harness.circumstances(), control.now(note)[0]
        try:
            note("measuring what this machine allows")
            limits = roofs.measure(note)
            found: list[KernelRow] = []
            changes: list[str] = []
            for op, sides in plan.items():
                for rows in kernels.measure(op, sides.dtype, sides.names, args.file, limits, note):
                    for row in rows:
                        row.control = words
                        for name, value in around.items():
                            setattr(row, name, value)
                        if said := kernels.change(row, stored):
                            changes.append(said)
                    found += rows
                    if target is not None:
                        harness.write(rows, target)
                if not args.json:
                    _say_rows(op, [row for row in found if row.op == op])
        except harness.BenchmarkError as error:
            raise UsageError(f"{error}; it was not timed") from error
        notes = _notes(found)
        if args.json:
            say_json({**around, "control": words, "roofs": asdict(limits), "rows": [_row(r, limits) for r in found],
                      "changes": changes, "notes": notes})  # fmt: skip
        else:
            for line in [_allowed(limits), *changes, *notes]:
                say(line)
        if target is not None:
            note(f"{len(found)} rows added to {target}")
        if page is not None:
            from tinydl.page import write

            write(_page(found, limits, around, words, [*changes, *notes]), page)
            outputs.commit()
            note(f"wrote {args.html}")
    return OK


# -- which sides -------------------------------------------------------------------------------------------------------


class Sides:
    """What of an operation is measured: variants (verified first) and PyTorch's, by their names in order."""

    def __init__(self, dtype: str, variants: Sequence[Variant], rivals: Sequence[str]) -> None:
        self.dtype, self.variants = dtype, list(variants)
        self.names = [*(v.name for v in variants), *rivals]


def sides_of(names: list[str], file: str | None, vs: list[str] | None) -> dict[str, Sides]:
    """Per operation, the sides that a command line means.

    An operation means all its variants and PyTorch's; with ``--vs``, its default one. A variant means itself, beside
    all others or, with ``--vs``, beside those.
    """
    import numpy as np

    from tinydl.benchmarks.kernels import RIVAL, dtype_of
    from tinydl.kernels import KernelError, card, variants

    named: dict[str, list[Variant]] = {}
    for variant in chosen(names, file):
        named.setdefault(variant.op, []).append(variant)
    torch, known, met = importlib.util.find_spec("torch") is not None, {RIVAL}, set()
    plan: dict[str, Sides] = {}
    for op, mine in named.items():
        try:
            about = card(op)
            _ = about.reference
        except KernelError as error:
            if names or file:
                raise UsageError(str(error)) from error
            note(f"{op} is left out: {error}")
            continue
        dtype = dtype_of(about)
        every = [v for v in variants(op) if v.device == "cpu" and v.computes(np.dtype(dtype))]
        known |= {v.name for v in every} | set(about.rivals)
        if len(mine) == len(variants(op)) and vs:
            mine = every[:1]  # the operation was named: its default
        first = [v for v in every if v in mine]
        others = [v for v in every if v not in mine and (not vs or v.name in vs)]
        rivals = [name for name in about.rivals if not vs or name in vs or name.partition(" ")[0] in vs]
        met |= {v.name for v in others} | set(rivals) | ({RIVAL} if rivals else set())
        if not first:
            raise UsageError(f"{op}: {', '.join(v.name for v in mine)} does not compute in {dtype}, which is measured")
        plan[op] = Sides(dtype, [*first, *others], rivals if torch else [])
    for word in vs or ():
        if word not in met:
            hint = nearest(word, known) or "; tinydl kernels list shows the variants, and torch is PyTorch"
            raise UsageError(f"nothing measured here has a variant {word!r}{hint}")
    return plan


# -- what is said ------------------------------------------------------------------------------------------------------


def _say_rows(op: str, rows: Sequence[KernelRow]) -> None:
    from tinydl.kernels import card

    say(f"{op}: {card(op).says}" + (f" [{rows[0].dtype}]" if rows else ""))
    say_table(_COLUMNS, [_cells(row) for row in rows])
    say()


def _cells(row: KernelRow) -> list[str]:
    return [
        row.case, row.variant, _figure(row.us), f"{_figure(row.us_q1)} to {_figure(row.us_q3)}", _figure(row.cold_us),
        _figure(row.first_ms) + "*" * row.compiled, _figure(row.gflops), _figure(row.gbps),
        "" if row.roof is None else f"{100 * row.roof:.0f} %", "" if row.torch is None else f"{row.torch:.2f}",
        row.clean,
    ]  # fmt: skip


def _figure(value: float | None) -> str:
    """Three digits, without an exponent.

    >>> _figure(18467.3), _figure(393.52), _figure(0.060621), _figure(None)
    ('18,467', '394', '0.0606', '')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _allowed(limits: Roofs) -> str:
    from tinydl.page.roofline import scaled

    rates = [f"{scaled(rate)}FLOP/s in {dtype}" for dtype, rate in limits.flops.items()]
    rates += [f"{scaled(rate)}B/s from {level}" for level, rate in limits.bandwidth.items()]
    return f"this machine allows {', '.join(rates)}, on {limits.threads} threads"


def _notes(rows: Sequence[KernelRow]) -> list[str]:
    """What a reader of the figures must know."""
    notes = []
    if noisy := [row for row in rows if row.noisy]:
        notes.append(
            f"{len(noisy)} of {len(rows)} figures had fewer than 3 samples without a neighbour on the cores (threads "
            "waited in the run queue for more than 2 % of the time): on an idle machine they are lower"
        )
    if any((row.roof or 0) > 1.02 for row in rows):
        notes.append(
            "some kernels stand above the roofs: a kernel beats the matrix product and the copy that are taken for the "
            "best, or the machine was slower when it ran those"
        )
    if any(row.compiled for row in rows):
        notes.append("first calls marked * compiled; the others loaded what an earlier process had compiled")
    if importlib.util.find_spec("torch") is None:
        notes.append("PyTorch is not installed, so nothing is compared with it (pip install torch)")
    return notes


def _row(row: KernelRow, limits: Roofs) -> dict[str, Any]:
    """A row's entries in JSON: those of the file, what is common to all rows left out."""
    common = {"control", "date", "commit", "machine", "versions"}
    entries = {key: value for key, value in asdict(row).items() if key not in common}
    return {**entries, "gbps": row.gbps, "level": limits.level(row.bytes), "noisy": row.noisy}


def _page(rows: Sequence[KernelRow], limits: Roofs, around: dict[str, str], control: str, notes: list[str]) -> Page:
    """Pictures, figures and circumstances."""
    from tinydl.kernels import card
    from tinydl.page import Page, Rooflines, Settings, Table, Tables

    cases = dict.fromkeys((row.op, row.case) for row in rows)
    tables = []
    for op in dict.fromkeys(op for op, _ in cases):
        mine = [row for row in rows if row.op == op]
        cells = [[f"{row.case} {row.variant}", *_cells(row)[2:]] for row in mine]
        caption = f"{card(op).says}, in {mine[0].dtype} on {mine[0].threads} threads"
        tables.append(Table(op, ("case and kernel", *_COLUMNS[2:]), cells, caption))
    return Page(
        "Kernels of tinydl",
        f"How fast kernels are on {around['machine']}, beside PyTorch and what the machine allows. Measured "
        f"{around['date'][:10]}, at {around['commit']}.",
        [
            Rooflines(
                "Rooflines",
                [_picture([row for row in rows if (row.op, row.case) == key], limits) for key in cases],
                "Lines are what this machine was measured to allow: slopes by memory, the flat one by arithmetic. The "
                "dark one counts for a piece of work, by the bytes that it touches; dots are kernels, data warm. "
                "Arithmetic is a matrix product's: what is not made of multiplications with additions stays below.",
            ),
            Tables(
                "Figures",
                tables,
                "Medians with their quartiles, each kernel in a process of its own, in turns; cold: a call whose data "
                "no cache holds; first: the first call, * where it compiled; of roof: the share of what the picture's "
                "roofs allow; torch/it: PyTorch's best time over this one's, above 1 where this one is faster; clean: "
                "samples without a neighbour on the cores, of all.",
            ),
            Settings(
                "Circumstances",
                [],
                [
                    ("machine", around["machine"]), ("versions", around["versions"]), ("date", around["date"]),
                    ("commit", around["commit"]), ("threads", str(limits.threads)), ("control", control),
                    *((f"note {number}", line) for number, line in enumerate(notes, 1)),
                ],
            ),
        ],
    )  # fmt: skip


def _picture(rows: Sequence[KernelRow], limits: Roofs) -> Any:
    from tinydl.benchmarks.kernels import RIVAL
    from tinydl.kernels.registry import REFERENCE
    from tinydl.page import Dot, Roofline
    from tinydl.page.roofline import scaled

    row = rows[0]
    ours = iter(["v0", "v2", "v3", "v4", "v6", "v5"] * len(rows))
    colours = ["v1" if r.variant.startswith(RIVAL) else "v7" if r.variant == REFERENCE else next(ours) for r in rows]
    level = limits.level(row.bytes)
    return Roofline(
        f"{row.op} {row.case}",
        row.flops / row.bytes,
        limits.flops.get(row.dtype, limits.flops["float32"]),
        limits.bandwidth,
        level,
        [Dot(r.variant, r.flops / r.us * 1e6, colour) for r, colour in zip(rows, colours)],
        f"{scaled(row.flops)}FLOP on {scaled(row.bytes)}B from {level}",
    )


def _arguments(parser: Parser) -> None:
    parser.add_argument("names", metavar="OP", nargs="*", help="an operation, OP:VARIANT or VARIANT")
    parser.add_argument("--all", action="store_true", help="every operation (half an hour and more)")
    parser.add_argument(
        "--vs", metavar="VARIANT", nargs="+", help="compare with these alone; torch is PyTorch (default: with all)"
    )
    parser.add_argument("--file", metavar="F.py", help="a file of your own whose kernels are registered first")
    parser.add_argument(
        "--results", metavar="F.csv",
        help="append the rows to this file, and compare with those in it (default: benchmarks/results/kernels.csv in a "
        "checkout, and nothing with --file)",
    )  # fmt: skip
    add_json(parser, "roofs, rows and changes")
    add_force_and_html(parser, required=False, page="also write a page: rooflines, figures, circumstances")


BENCH = Command(
    "Time kernels by their operation's card: every variant and PyTorch's function of the same work, each in a process\n"
    "of its own, in turns, with caches warm and cold, beside what this machine allows. A kernel that is wrong is not\n"
    "timed: exit code 2. With a file of earlier rows, changes beyond the noise are said.",
    (
        "tinydl bench matmul",
        "tinydl bench lstm_forward --vs torch",
        "tinydl bench --file my_kernel.py",
        "tinydl bench --all --html report.html",
    ),
    _arguments,
    _run,
)
