"""The argument parser: argparse with one-line errors, nearest names, typed and range-checked values.

A command line is found by its words in :data:`tinydl.cli.COMMANDS` ("train", "data show"); only that command's
module is imported and only its parser is built, so ``tinydl --help`` stays quick.
"""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tinydl.cli._errors import UsageError


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what its help says, which arguments it takes, and what it does with them."""

    description: str
    examples: Sequence[str]
    arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int]


def nearest(word: str, names: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` when one of ``names`` is near ``word``, else the empty string."""
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


class Parser(argparse.ArgumentParser):
    """``argparse.ArgumentParser`` whose every error is a :class:`UsageError` of one sentence."""

    def __init__(self, name: str, command: Command) -> None:
        examples = "\n".join(f"  {line}" for line in command.examples)
        super().__init__(
            prog=f"tinydl {name}",
            description=command.description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.arguments(self)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse ``argv``; options and positionals may stand in any order."""
        words = list(argv)
        if "--" in words:  # what follows are no options; names that begin with a dash can only be files here
            cut = words.index("--")
            words[cut:] = [f"./{word}" if word.startswith("-") else word for word in words[cut + 1 :]]
        known, extra = self.parse_known_intermixed_args(words)
        if extra:
            word = extra[0].partition("=")[0]
            if word.startswith("-") and word != "-":
                options = [option for action in self._actions for option in action.option_strings]
                hint = nearest(word, options) or f"; {self.prog} -h lists the options"
                raise UsageError(f"{self.prog} has no option {word!r}{hint}")
            raise UsageError(f"{self.prog} takes no further argument {extra[0]!r}; {self.prog} -h shows its usage")
        return known

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving (argparse's way takes several lines)."""
        message = message.removeprefix("argument ")
        if message.startswith("the following arguments are required: "):
            message = f"{self.prog} needs {message.removeprefix('the following arguments are required: ')}"
        raise UsageError(f"{message}; {self.prog} -h shows its usage" if "; " not in message else message)


# -- typed values: each returns the value or says what it must be -------------------------------------------------


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """A type for whole numbers in ``[low, high]``."""
    span = f"of at least {low}" if high is None else f"from {low} to {high}"

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"must be a whole number {span}, not {text!r}")
        return value

    return convert


def number(low: float, high: float = math.inf, *, open_low: bool = True) -> Callable[[str], float]:
    """A type for finite numbers in ``(low, high]``, or ``[low, high]`` with ``open_low=False``."""
    span = f"above {low:g}" if open_low else f"of at least {low:g}"
    if high < math.inf:
        span += f" and at most {high:g}"

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < low or (open_low and value == low) or value > high:
            raise argparse.ArgumentTypeError(f"must be a number {span}, not {text!r}")
        return value

    return convert


def choice(names: Sequence[str]) -> Callable[[str], str]:
    """A type for one of ``names``; an unknown one gets the nearest."""

    def convert(text: str) -> str:
        if text not in names:
            hint = nearest(text, names) or f"; choose from {', '.join(names)}"
            raise argparse.ArgumentTypeError(f"{text!r} is unknown{hint}")
        return text

    return convert


def path_ending(*endings: str) -> Callable[[str], str]:
    """A type for a file to write, whose name must end in one of ``endings`` (in any case)."""

    def convert(text: str) -> str:
        if not text.lower().endswith(endings):
            raise argparse.ArgumentTypeError(f"must end in {' or '.join(endings)}, not {text!r}")
        return text

    return convert


def folder(text: str) -> str:
    """A type for a folder to write into: any name but none at all."""
    if not text:
        raise argparse.ArgumentTypeError("must be the name of a folder, not ''")
    return text


SEED = integer(0, 2**63 - 1)


def add_device(parser: Parser) -> None:
    """The ``--device`` option, the same in every command that computes with a model."""
    parser.add_argument(
        "--device", metavar="D", type=choice(("cpu", "cuda")), default="cpu", help="cpu (default), or cuda: the GPU"
    )


def add_json(parser: Parser, what: str) -> None:
    """The ``--json`` option, the same in every command that has it."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON on stdout, and nothing else")


def spread_overrides(argv: Sequence[str]) -> list[str]:
    """Write ``-o a=1 b=2`` as ``-o a=1 -o b=2``, so that what follows the last pair is still an argument.

    >>> spread_overrides(["lstm", "-o", "hidden=64", "lr=0.001", "demo"])
    ['lstm', '-o', 'hidden=64', '-o', 'lr=0.001', 'demo']
    """
    spread: list[str] = []
    in_pairs = False
    for word in argv:
        is_option = word.startswith("-")
        if in_pairs and not is_option and "=" in word and spread[-1] != "-o":
            spread.append("-o")
        in_pairs = word == "-o" or (in_pairs and not is_option and "=" in word)
        spread.append(word)
    return spread
