"""Files: replacing one so that its name never holds half of one, and the user's cache folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def user_cache(name: str) -> Path:
    """``$XDG_CACHE_HOME/tinydl/<name>`` (``~/.cache`` by default); it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tinydl" / name


def temporary(path: Path) -> Path:
    """Where a file is written before it is renamed: one fixed name beside it, so that a leftover is known as one."""
    return path.with_name(f".{path.name[:200]}.tmp")  # a file's name has at most 255 bytes


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a path to write to; afterwards ``path`` holds what was written there, or, after an error, what it held.

    That holds whenever the machine stops: the bytes are flushed to the disk *before* the file is renamed (else the name
    could reach the disk before the bytes), and the folder is flushed after (else the renaming could be lost).

    Raises OSError, with the old file as it was and no temporary file left.
    """
    path = Path(path)
    temp = temporary(path)
    try:
        yield temp
        _flush(temp)
        os.replace(temp, path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def _flush(path: Path) -> None:
    """fsync a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
