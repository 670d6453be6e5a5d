"""What every command does with what goes wrong: one line on stderr, and an exit code.

====================================  =====  ==================================================
what happened                         exit   stderr
====================================  =====  ==================================================
a wrong command line, file or value    2     ``tinydl: error: <one sentence>``
out of memory, disk, permission        2     ``tinydl: error: <one sentence>``
Ctrl-C                               130     ``tinydl: interrupted`` (``train`` says how to go on)
the reader of our stdout went away   141     nothing (``tinydl data show demo | head``)
a defect of tinydl                     1     ``tinydl: internal error: ...``
====================================  =====  ==================================================

``TINYDL_DEBUG=1`` prints the traceback as well.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Callable

from tinydl.errors import TinydlError

OK, DEFECT, USER_ERROR, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

_OS_HINTS = {
    errno.ENOSPC: "free some space or write elsewhere",
    errno.EDQUOT: "free some space or write elsewhere",
    errno.EACCES: "choose a place that you may read and write",
    errno.EPERM: "choose a place that you may read and write",
    errno.EROFS: "choose a place that you may write",
    errno.ENOENT: "check the path",
    errno.EISDIR: "give the path of a file",
    errno.ENOTDIR: "check the path: one part of it is a file, not a folder",
    errno.EEXIST: "choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EFBIG: "the file is larger than this system's limit",
}


class UsageError(TinydlError):
    """A command line that cannot be carried out: unknown command, option or value."""


class Interrupted(Exception):
    """Ctrl-C where the command has already saved its work; the message says how to go on."""


def one_line(message: str) -> str:
    """``message`` on one line, with control characters (a file name may hold any) written as escapes."""
    joined = " ".join(part.strip() for part in message.splitlines() if part.strip())
    return "".join(_escaped(char) if unicodedata.category(char)[0] == "C" else char for char in joined)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def describe(error: BaseException) -> str:
    """One sentence for an error that a user can cause.

    >>> describe(OSError(errno.ENOSPC, "No space left on device", "run/last.safetensors"))
    'run/last.safetensors: no space left on device; free some space or write elsewhere'
    """
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return f"out of memory{detail}; close other programs, or choose a smaller model, batch or chunk with -o"
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
        reason = error.strerror[0].lower() + error.strerror[1:]
        hint = _OS_HINTS.get(error.errno, "")
        return f"{' -> '.join(names) + ': ' if names else ''}{reason}{'; ' + hint if hint else ''}"
    return str(error) or type(error).__name__


def complain(message: str, *, kind: str = "error") -> None:
    """Print ``tinydl: <kind>: <message>`` on stderr, whatever stderr can encode."""
    print(f"tinydl: {kind}: {one_line(message)}", file=sys.stderr, flush=True)


def guard(run: Callable[[], int]) -> int:
    """Run a command and turn whatever it raises into its exit code and its one line.

    A ``ValueError`` is a user's only where the command line made it so: the commands wrap those in
    :class:`UsageError`; one that escapes from the library is a defect, and says so.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = run()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _discard_stdout()
        return BROKEN_PIPE
    except Interrupted as stop:
        print(one_line(f"tinydl: {stop}"), file=sys.stderr, flush=True)
        return INTERRUPTED
    except KeyboardInterrupt:
        print("tinydl: interrupted", file=sys.stderr, flush=True)
        return INTERRUPTED
    except (TinydlError, OSError, MemoryError) as error:
        _debug_traceback()
        complain(describe(error))
        return USER_ERROR
    except SystemExit as stop:  # argparse's -h
        sys.stdout.flush()
        return stop.code if isinstance(stop.code, int) else OK
    except Exception as error:
        _debug_traceback()
        complain(
            f"{type(error).__name__}: {error} (a defect of tinydl; TINYDL_DEBUG=1 shows the traceback)",
            kind="internal error",
        )
        return DEFECT


def _debug_traceback() -> None:
    if os.environ.get("TINYDL_DEBUG", "") not in ("", "0"):
        traceback.print_exc()


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    complain(str(message), kind="warning")


def _discard_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at exit cannot complain either."""
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
    except (OSError, ValueError, AttributeError):  # a stdout without a file descriptor has nothing to flush
        pass
