"""The errors a person can cause: one sentence each, naming the thing and what to do.

The library proper raises PyTorch's types (``RuntimeError``, ``ValueError``, ``TypeError``, ``IndexError``);
what reaches the command line from files, data and configuration derives from :class:`TinydlError`, so that
``tinydl`` can print the sentence alone and exit with 2.
"""

from __future__ import annotations

import dis
import sys
from typing import NoReturn


def absent(module: str, name: str) -> AttributeError | ImportError:
    """The error for a name that a module has not, which may be one of PyTorch's; for its ``__getattr__`` to raise.

    Of ``from module import name`` it is an ImportError: Python would replace an AttributeError by words of its own.
    """
    words = (
        f"module {module!r} has no attribute {name!r}; what PyTorch has and tinydl has not, and what to do instead, is "
        "listed in docs/unsupported.md"
    )
    asking = sys._getframe(2)  # who asks the module: past this function and __getattr__
    if asking.f_code.co_code[asking.f_lasti] == dis.opmap["IMPORT_FROM"]:
        return ImportError(words, name=name)
    return AttributeError(words)


def say_absent(module: str) -> None:
    """Let ``module`` refuse names that it has not by :func:`absent`.

    Set from here, since type checkers take a module with a ``__getattr__`` of its own for one that has every name.
    """

    def refuse(name: str) -> NoReturn:
        raise absent(module, name)

    vars(sys.modules[module])["__getattr__"] = refuse


def one_process(name: str) -> NotImplementedError:
    """The error for what is of use to several processes."""
    return NotImplementedError(
        f"{name} needs several processes, and tinydl computes in one; what to do instead is listed in "
        "docs/unsupported.md"
    )


class TinydlError(Exception):
    """Base of every error that a user's files, data or configuration can cause."""


class LinAlgError(RuntimeError):
    """A matrix that has no inverse or no such factors: ``tinydl.linalg.LinAlgError``."""


class MidiError(TinydlError):
    """A MIDI file that cannot be read at all (what can be salvaged is salvaged, with a report)."""


class DataError(TinydlError):
    """A dataset, folder or corpus that cannot be used as asked."""


class CheckpointError(TinydlError):
    """A checkpoint that is missing, damaged, foreign, or of another model."""


class MissingFileError(CheckpointError, FileNotFoundError):
    """A checkpoint that is not there: FileNotFoundError, as ``open`` would raise it."""


class DeviceError(TinydlError, RuntimeError):
    """A device that is not there or cannot do what is asked, and tensors on two: the message says what to install or
    change. A RuntimeError, as in PyTorch."""


class ConfigError(TinydlError):
    """An unknown model, option or value; the message gives the nearest valid name."""
