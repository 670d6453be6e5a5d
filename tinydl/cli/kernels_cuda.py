"""``tinydl kernels check-cuda | trace``: CUDA kernels compiled, executed, mutated, stepped through without a GPU."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tinydl.cli._errors import OK, UsageError
from tinydl.cli._output import say, say_json
from tinydl.cli.parser import Command, Parser, add_json, integer, nearest, path_ending

if TYPE_CHECKING:
    from tinydl.kernels.gpu import CudaKernel
    from tinydl.lab.cuda import Row

WRONG = 1  # exit code when a kernel is wrong


def chosen(names: list[str]) -> list[CudaKernel]:
    """The CUDA kernels that some names mean (all: none given)."""
    from tinydl.kernels.gpu import cuda_kernels
    from tinydl.lab import cuda

    try:
        return cuda.chosen(names)
    except KeyError as error:
        name, known = error.args[0], [kernel.key for kernel in cuda_kernels()]
        hint = nearest(name, known) or f"; known: {', '.join(known)}"
        raise UsageError(f"there is no CUDA kernel {name!r}{hint}") from None


def _need_compiler() -> None:
    from tinydl.kernels import nvrtc

    if not nvrtc.available():
        raise UsageError(f"CUDA kernels are compiled by NVRTC, which is not installed: {nvrtc.PIP}")


# -- check-cuda --------------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    from tinydl.lab import cuda

    kernels, rows = chosen(args.names), []
    if args.record and args.no_mutants:
        raise UsageError("--record writes down what became of the mutants; leave out --no-mutants")
    _need_compiler()
    for kernel in kernels:
        rows.append(cuda.check(kernel, not args.no_mutants))
        if args.record and rows[-1].right:
            cuda.record(rows[-1])
        if not args.json:
            _say(rows[-1])
    if args.json:
        say_json(cuda.totals(rows))
    return OK if all(row.right for row in rows) else WRONG


def _say(row: Row) -> None:
    from tinydl.benchmarks.gpu import standing
    from tinydl.lab.cuda import EXECUTED

    taken = row.resources.get(EXECUTED, {}).values()
    registers = "/".join(str(r.registers) for r in taken)
    answered, lives = len(row.answered), len(row.survivors)
    say(
        f"{row.kernel.key:28s} {'right' if row.right else 'WRONG'}  {registers:>8s} registers on sm_{EXECUTED}, "
        f"{row.launches} launches, {row.mutants} mutants: {row.caught} caught, {answered} answered, {lives} live; "
        f"{standing(row.kernel)}"
    )
    for architecture, lack in row.omitted.items():
        say(f"    not for sm_{architecture}, which has no {lack}")
    for dtype, tolerance in row.kernel.tolerance.items():
        say(f"    {dtype} to {tolerance:g} of the largest entry: {row.kernel.because}")
    for problem in (*row.over_budget, *row.wrong, *row.races, *(f"lives: {s}" for s in row.survivors)):
        say(f"    {problem}")


def _arguments(parser: Parser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="OP, OP:NAME or NAME (default: all)")
    parser.add_argument("--no-mutants", action="store_true", help="compile and execute alone, which takes seconds")
    parser.add_argument("--record", action="store_true", help="write what became of all mutants beside the kernel")
    add_json(parser, "the sums and a row for each kernel")


CHECK = Command(
    "CUDA kernels without a GPU: compiled for sm_75, 80 and 90 (those that they are made for), held to their budget\n"
    "of registers, executed on the virtual GPU with every access and barrier checked, and mutated: every slip must be\n"
    "noticed. Exit code 1 when one is wrong, over its budget, or has a slip that lives unanswered.",
    ("tinydl kernels check-cuda", "tinydl kernels check-cuda matmul:cuda.tiled --no-mutants"),
    _arguments,
    _check,
)


# -- trace -------------------------------------------------------------------------------------------------------------


def _trace(args: argparse.Namespace) -> int:
    from tinydl.kernels.simt import SimtError
    from tinydl.lab import cuda
    from tinydl.page.page import write_text
    from tinydl.page.trace import trace_page

    kernel, *more = chosen([args.name])
    if more:
        names = ", ".join(k.key for k in (kernel, *more))
        raise UsageError(f"{args.name!r} means several kernels; name one of {names}")
    _need_compiler()
    try:
        found = cuda.trace(kernel, args.warps)
    except SimtError as error:
        raise UsageError(str(error)) from error
    summary = f"{kernel.source.name}: the first {args.warps} warps of the first block, on the virtual GPU."
    write_text(trace_page(found, kernel.text(), kernel.key, summary), args.html)
    say(f"{args.html}: {len(found.events)} steps of {kernel.key}")
    return OK


def _trace_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="OP:NAME or NAME")
    ending = path_ending(".html", ".htm")
    parser.add_argument("--html", metavar="F.html", type=ending, required=True, help="the page to write")
    parser.add_argument("--warps", metavar="N", type=integer(1, 32), default=2, help="warps to show (default: 2)")


TRACE = Command(
    "Step through a small launch of a CUDA kernel, warp by warp, on one page: its source, its PTX, what each of the\n"
    "32 threads has in its registers, and what every access of memory costs.",
    ("tinydl kernels trace matmul:cuda.tiled --html tiled.html",),
    _trace_arguments,
    _trace,
)
