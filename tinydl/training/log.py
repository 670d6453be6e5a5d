"""``log.jsonl``: one JSON object per line, appended as training goes, cut back on resume.

Two kinds of rows, told apart by their keys::

    {"step": 40, "epoch": 1, "loss": 8.9134, "grad_norm": 0.41, "lr": 0.003}      every ``log_every`` steps
    {"step": 100, "valid": 8.7723, "best": true}                                  every validation

``loss`` is the mean over the steps since the row before, in nats per frame. The first kind has the same mean of every
player of a game too, ``"players": {"critic": -1.3, "generator": 0.2}``; ``loss`` and ``grad_norm`` are the last
player's. A loss is null where the player sat out all the while. No row holds a time: the log of a run that was killed
and resumed is, byte for byte, the log of one that was not.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tinydl.errors import CheckpointError, ConfigError


class Log:
    """The log of a run, open for appending, and locked: two processes cannot train in one folder.

    Raises:
        ConfigError: another process has it open.
        CheckpointError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = open(path, "ab")
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error
        try:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it however the process ends
        except ImportError:  # not a POSIX system: no lock
            pass
        except BlockingIOError:
            self._file.close()
            raise ConfigError(
                f"another process is training in {path.parent}: wait for it, or choose another folder"
            ) from None
        except OSError:  # a file system without locks
            pass

    def append(self, row: dict[str, Any]) -> None:
        """Add a row, and hand it to the system at once."""
        self._write(json.dumps(row).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise CheckpointError(
                f"cannot write {self.path}: {error.strerror or error}; the last checkpoint is kept"
            ) from error

    def sync(self) -> int:
        """Force the rows to the disk and return the log's length in bytes, which a checkpoint then records."""
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def cut(self, length: int) -> bool:
        """Drop what was written after the first ``length`` bytes; False when the log is shorter than that."""
        whole = self._file.seek(0, os.SEEK_END) >= length
        if whole:
            self._file.truncate(length)
        return whole

    def close(self) -> None:
        """Close the file and let go of the lock."""
        try:
            self._file.close()
        except OSError:  # the buffered end of a line that met a full disk, reported when it was written
            pass


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that was cut short is left out."""
    rows = []
    for line in path.read_text("utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows
