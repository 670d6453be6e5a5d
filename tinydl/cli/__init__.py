"""The ``tinydl`` command: train, evaluate, generate and hear music models from a shell.

This package is the one door upward: it alone looks models and benchmarks up by name (:mod:`tinydl.registry`).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from tinydl.cli import _errors

# Every command by its words: where it lives, and its line in `tinydl --help`. Nothing is imported until it runs.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("tinydl.cli.demo:DEMO", "train on built-in music and write a new piece, in about a minute"),
    "train": ("tinydl.cli.train:TRAIN", "train a model on a folder of MIDI files, a file, or a dataset"),
    "generate": ("tinydl.cli.generate:GENERATE", "write new music from a trained model as .mid (and .wav)"),
    "harmonise": ("tinydl.cli.steering:HARMONISE", "write three voices under a melody"),
    "infill": ("tinydl.cli.steering:INFILL", "write some bars of a piece anew"),
    "interpolate": ("tinydl.cli.interpolate:INTERPOLATE", "write the way from one tune to another"),
    "evaluate": ("tinydl.cli.evaluate:EVALUATE", "measure a trained model on held-out music"),
    "report": ("tinydl.cli.report:REPORT", "write a page about a run: music to hear, curves, likelihood, settings"),
    "surprise": ("tinydl.cli.surprise:SURPRISE", "show which notes of a .mid file surprise a trained model"),
    "render": ("tinydl.cli.render:RENDER", "hear and see a .mid file: .wav, .png, or a piano-roll in the terminal"),
    "models": ("tinydl.cli.models:MODELS", "the models: what each learns from, and what it can say"),
    "data list": ("tinydl.cli.data:LIST", "the datasets that tinydl knows by name"),
    "data show": ("tinydl.cli.data:SHOW", "what is in a dataset, a folder or a file, and what was left out"),
    "data get": ("tinydl.cli.data:GET", "download a dataset and check its checksum"),
    "midi info": ("tinydl.cli.midi:INFO", "what is in .mid files, and what was salvaged or rejected"),
    "kernels list": ("tinydl.cli.kernels:LIST", "every kernel: what it computes, where, in which dtypes"),
    "kernels show": ("tinydl.cli.kernels:SHOW", "an operation's card: mathematics, variants, sizes"),
    "kernels verify": ("tinydl.cli.kernels:VERIFY", "test kernels, also your own, by their operation's card"),
    "kernels check-cuda": (
        "tinydl.cli.kernels_cuda:CHECK", "CUDA kernels compiled, executed on a virtual GPU, and mutated",
    ),
    "kernels trace": ("tinydl.cli.kernels_cuda:TRACE", "a page that steps through a CUDA kernel, warp by warp"),
    "bench": ("tinydl.cli.bench:BENCH", "time kernels, also your own, beside their twins, PyTorch and this machine"),
    "info": ("tinydl.cli.info:INFO", "versions, threads, backends, and why one is missing"),
}

_START = """start here:
  tinydl demo                                         hear what it does, no network
  tinydl train lstm-nade my_midis/ --out run --minutes 5   learn your own music
  tinydl generate run --out new.mid --wav             and write some more of it
  tinydl report run --html run.html                   hear and see all of it in a browser"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (see :mod:`tinydl.cli._errors`)."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Python has None for a stream that was closed before it started (`>&-`): then nobody wants to read it.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot encode a name shows an escape, not a traceback
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return _errors.guard(lambda: _dispatch(words))


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(COMMANDS))
        return _errors.OK
    if words[0] in ("-V", "--version"):
        print(f"tinydl {version()}")
        return _errors.OK
    groups = {name.partition(" ")[0] for name in COMMANDS if " " in name}
    length = 2 if words[0] in groups else 1
    name, rest = " ".join(words[:length]), words[length:]
    if name in COMMANDS:
        from tinydl.cli.parser import Command, Parser, spread_overrides

        module, _, attribute = COMMANDS[name][0].partition(":")
        command: Command = getattr(importlib.import_module(module), attribute)
        return command.run(Parser(name, command).parse(spread_overrides(rest)))
    if length == 2 and (len(words) == 1 or words[1] in ("-h", "--help")):
        print(_overview({key: entry for key, entry in COMMANDS.items() if key.startswith(words[0] + " ")}))
        return _errors.OK
    from tinydl.cli.parser import nearest

    if words[0].startswith("-"):
        raise _errors.UsageError(
            f"tinydl has no option {words[0]!r} before a command; tinydl --help lists the commands"
        )
    known = {*COMMANDS, *groups}
    raise _errors.UsageError(f"unknown command {name!r}{nearest(name, known) or '; tinydl --help lists the commands'}")


def version() -> str:
    """The version of tinydl."""
    from tinydl.version import __version__

    return __version__


def _overview(commands: dict[str, tuple[str, str]]) -> str:
    """The help of a group of commands, or of all of them."""
    group = len(commands) < len(COMMANDS)
    prefix = f"tinydl {next(iter(commands)).partition(' ')[0]}" if group else "tinydl"
    width = max(map(len, commands))
    lines = [f"usage: {prefix} COMMAND ...", ""]
    if not group:
        lines += ["Train small generative music models on your own MIDI files, and get new music back.", ""]
    lines += ["commands:", *(f"  {name.ljust(width)}  {summary}" for name, (_, summary) in commands.items()), ""]
    if not group:
        lines += [_START, ""]
    return "\n".join([*lines, "tinydl COMMAND -h explains a command and shows an example."])
