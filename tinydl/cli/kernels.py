"""``tinydl kernels list | show | verify``: what computes what, and whether it is right."""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from tinydl.cli._errors import OK, UsageError
from tinydl.cli._output import note, say, say_json, say_pairs, say_table
from tinydl.cli.parser import Command, Parser, add_json, nearest

if TYPE_CHECKING:
    from tinydl.kernels import Card, Variant

WRONG = 1  # exit code of a verification that failed


# -- list --------------------------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from tinydl.kernels import variants
    from tinydl.kernels.gpu import cuda_kernels

    rows: list[dict[str, Any]] = [
        {"op": v.op, "name": v.name, "device": v.device, "dtypes": list(v.dtypes), "default": v.default}
        for v in variants()
    ]
    rows += [
        {"op": k.op, "name": k.name, "device": "cuda", "dtypes": list(k.dtypes), "default": False}
        for k in cuda_kernels()
    ]
    rows.sort(key=lambda row: row["op"])  # stable: what runs on the CPU first
    if args.json:
        say_json(rows)
        return OK
    say_table(
        ("op", "name", "device", "dtypes", "default"),
        [(r["op"], r["name"], r["device"], " ".join(r["dtypes"]) or "any", "*" if r["default"] else "") for r in rows],
    )
    return OK


# -- names -------------------------------------------------------------------------------------------------------------


def chosen(names: list[str], file: str | None) -> list[Variant]:
    """The variants that some names mean: an operation, ``OPERATION:VARIANT``, or a variant's own name.

    With ``file`` the user's kernels are registered first; without names, the file's kernels are meant, or all.
    """
    from tinydl.kernels import KernelError, variants

    before = {(v.op, v.name, v.device) for v in variants()}
    if file is not None:
        try:
            run_file(file)
        except KernelError as error:
            raise UsageError(f"{file}: {error}") from error
    known = variants()
    if not names:
        found = [v for v in known if file is None or (v.op, v.name, v.device) not in before]
        if not found:
            raise UsageError(f"{file} registers no kernel; decorate one with @tinydl.kernels.register(op=, name=)")
        return found
    found = []
    for name in names:
        op, _, variant = name.partition(":")
        meant = [v for v in known if (v.op == op and variant in ("", v.name)) or v.name == name]
        if not meant:
            words = {v.op for v in known} | {v.name for v in known} | {f"{v.op}:{v.name}" for v in known}
            raise UsageError(f"there is no kernel {name!r}{nearest(name, words) or '; tinydl kernels list shows all'}")
        found += [v for v in meant if v not in found]
    return found


def run_file(file: str) -> None:
    """Execute a file of the user's, which registers its kernels."""
    if not os.path.isfile(file):
        raise UsageError(f"there is no file {file!r}")
    spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(file))[0], file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file!r} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        from tinydl.kernels import KernelError

        if isinstance(error, KernelError):
            raise
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == os.path.abspath(file)]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        raise UsageError(f"{file}{f':{line}' if line else ''}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)


# -- show --------------------------------------------------------------------------------------------------------------


def _show(args: argparse.Namespace) -> int:
    import numpy as np

    from tinydl.kernels import card

    for number, op in enumerate(dict.fromkeys(v.op for v in chosen([args.name], None))):
        about = card(op)
        facts = _facts(about)
        if args.json:
            say_json(facts)
            continue
        if number:
            say()
        say(f"{op}: {about.says}")
        say()
        say_pairs((f"  {name}", value) for name, value in facts["about"].items())
        say()
        say("  variants, in the order in which they are asked")
        for v in facts["variants"]:
            words = v["says"] + (" (default)" if v["default"] else "")
            say(f"    {v['name']:16s} {v['device']:5s} {words}")
        say()
        say("  sizes that are measured")
        for name, make in about.cases.items():
            arguments = make(np.float32)
            flops, moved = about.flops(*arguments), about.bytes(*arguments)
            intensity = flops / max(moved, 1)
            say(f"    {name:36s} {flops / 1e6:10.3f} MFLOP {moved / 1e6:10.3f} MB {intensity:8.2f} FLOP/byte")
    return OK


def _facts(about: Card) -> dict[str, Any]:
    from tinydl.kernels import variants

    reference = inspect.getmodule(getattr(about.reference, "py_func", about.reference))
    return {
        "op": about.op,
        "says": about.says,
        "about": {
            "defined in": getattr(reference, "__name__", "?"),
            "arguments": ", ".join(inspect.signature(getattr(about.reference, "py_func", about.reference)).parameters),
            "tolerance": ", ".join(f"{value:g} ({name})" for name, value in about.tolerance.items()),
            "gradient": f"checked through {about.serves}" if about.gradient else "has none",
        },
        "variants": [
            {"name": v.name, "device": v.device, "dtypes": list(v.dtypes), "default": v.default, "says": _line(v)}
            for v in variants(about.op)
        ],
    }


def _line(variant: Variant) -> str:
    text = inspect.getdoc(getattr(variant.function, "py_func", variant.function)) or ""
    return text.splitlines()[0].rstrip(".") if text else ""


# -- verify ------------------------------------------------------------------------------------------------------------


def _verify(args: argparse.Namespace) -> int:
    from tinydl.kernels import KernelError
    from tinydl.lab.verify import verify

    verdicts = []
    wanted = chosen(args.names, args.file)
    for variant in wanted:
        try:
            verdict = verify(variant)
        except KernelError as error:
            if args.names or args.file:
                raise UsageError(str(error)) from error
            note(f"{variant.op}:{variant.name} is left out: {error}")  # all were asked for
            continue
        verdicts.append(verdict)
        if not args.json:
            words = f"right    {verdict.calls:4d} calls, largest error {verdict.worst:.2f} of what is allowed"
            words += f", gradient {verdict.gradient}"
            say(f"{verdict.op + ':' + verdict.variant:36s} {words if verdict.right else 'WRONG'}")
            for problem in verdict.problems:
                say(f"    {problem}")
    if args.json:
        say_json(
            [
                {
                    "op": v.op, "name": v.variant, "right": v.right, "calls": v.calls, "refused": v.refused,
                    "worst": v.worst, "gradient": v.gradient, "problems": v.problems,
                }
                for v in verdicts
            ]
        )  # fmt: skip
    return OK if all(v.right for v in verdicts) else WRONG


# -- commands ----------------------------------------------------------------------------------------------------------


def _list_arguments(parser: Parser) -> None:
    add_json(parser, "op, name, device, dtypes, default of each")


def _show_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="an operation, or one of its variants")
    add_json(parser, "the card and its variants")


def _verify_arguments(parser: Parser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="OP, OP:VARIANT or VARIANT (default: all)")
    parser.add_argument("--file", metavar="F.py", help="a file of your own whose kernels are registered first")
    add_json(parser, "a verdict for each kernel")


LIST = Command(
    "Every kernel: which operation it computes, where, in which dtypes, and which one is tried first.",
    ("tinydl kernels list", "tinydl kernels list --json"),
    _list_arguments,
    _list,
)
SHOW = Command(
    "An operation's card: its mathematics, its variants, its tolerances, and the sizes it is measured at.",
    ("tinydl kernels show matmul", "tinydl kernels show lstm_forward"),
    _show_arguments,
    _show,
)
VERIFY = Command(
    "Test kernels by their card: results against float64 over awkward sizes and strides, inputs left alone, nothing\n"
    "read from fresh memory, the same bits twice, gradients against differences. Exit code 1 when one is wrong.",
    ("tinydl kernels verify matmul", "tinydl kernels verify --file my_kernel.py"),
    _verify_arguments,
    _verify,
)
