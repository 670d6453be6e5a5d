"""What was read from MIDI files, kept for the next run: by content, so that renamed and moved files are found again.

The key of a file is the SHA-256 of its bytes, of the representation's configuration, and of a tag of the code that
reads and encodes (a hash of all sources in ``tinydl/data``, as :mod:`tinydl.kernels.cache` does it for kernels, and the
versions of what they call). The value is what :func:`tinydl.data.extract.pack` writes, rejected files included.

All of it is one SQLite file, ``read.sqlite`` in :func:`tinydl.data.datasets.cache_folder`, which settles what is hard
about a cache: runs side by side, runs that are killed while writing, ten thousand entries at once. It holds at most
:data:`LIMIT` bytes; then the quarter of the entries that were not used for longest goes. Every entry has a checksum,
so that a damaged one is a file to read again; a file that is no database any more is deleted and begun anew. A folder
that cannot be written costs time and one warning, never the result.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinydl.data.datasets import cache_folder
from tinydl.data.extract import Extract, unpack

if TYPE_CHECKING:
    import sqlite3

    from tinydl.data.representations import Representation

__all__ = ["LIMIT", "ReadCache", "tag"]

LIMIT = 512 << 20  # bytes: about 200,000 folk tunes as piano-rolls
DAY = 86_400  # seconds: when a file was last used is kept no finer, so that a run that only reads rarely writes
_BATCH = 256  # entries that one transaction writes; a run that is killed loses at most so many
_PATIENCE = 10  # seconds to wait for another run's transaction, which takes milliseconds
_CHECK = 16  # bytes of a checksum


@lru_cache(maxsize=1)
def tag() -> str:
    """Names the code whose results are kept: a change of any of it makes every entry a miss."""
    import numpy

    from tinydl.kernels.cache import source_hash
    from tinydl.version import __version__

    python = ".".join(map(str, sys.version_info[:2]))
    mido = importlib.metadata.version("mido")
    return f"{source_hash(Path(__file__).parent)} {__version__} {numpy.__version__} {mido} {python}"


class ReadCache:
    """The cache as one run sees it, for one representation. Used by one thread; :meth:`close` ends it."""

    def __init__(self, representation: Representation) -> None:
        text = json.dumps([tag(), representation.config()], sort_keys=True)
        self._prefix = hashlib.sha256(text.encode() + b"\0")
        self._path = Path("read.sqlite")
        self._new: dict[bytes, bytes] = {}
        self._used: list[bytes] = []
        self._now = int(time.time())
        self._db: sqlite3.Connection | None = None
        self._writable = True
        try:
            import sqlite3  # noqa: F401 - some builds of Python have none

            self._path = cache_folder() / self._path
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except (OSError, RuntimeError, ImportError) as error:  # RuntimeError: there is no home at all
            self._give_up(getattr(error, "strerror", None) or str(error))
            return
        self._attempt(lambda db: None)

    def key(self, data: bytes, beyond: int) -> bytes:
        """The key of a file with these bytes and ``beyond`` more that are not read."""
        found = self._prefix.copy()
        found.update(beyond.to_bytes(8, "little"))
        found.update(data)
        return found.digest()

    def get(self, key: bytes) -> Extract | None:
        """What is kept under a key; None when that is nothing, or damaged."""
        query = "SELECT used, checksum, body FROM entries WHERE key = ?"
        entry = self._attempt(lambda db: db.execute(query, (key,)).fetchone())
        if entry is None:
            return None
        used, checksum, body = entry
        try:
            if checksum != _checksum(key, body):
                return None
            found = unpack(body)
            if used < self._now - DAY:
                self._used.append(key)
            return found
        except (TypeError, ValueError):
            return None

    def put(self, key: bytes, body: bytes) -> None:
        """Keep the packed extract ``body``; at the latest :meth:`close` writes it."""
        self._new[key] = body
        if len(self._new) >= _BATCH:
            self._flush()

    def close(self) -> None:
        """Write what is still to be written."""
        try:
            self._flush()
        finally:
            self._disconnect()

    # --- the database ---------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        new, self._new = self._new, {}
        used, self._used = self._used, []
        if self._writable and (new or used):
            self._attempt(lambda db: self._write(db, new, used), writing=True, quiet=not new)

    def _write(self, db: sqlite3.Connection, new: dict[bytes, bytes], used: list[bytes]) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            rows = ((key, self._now, _checksum(key, body), body) for key, body in new.items())
            db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
            db.executemany("UPDATE entries SET used = ? WHERE key = ?", ((self._now, key) for key in used))
            oldest = "SELECT rowid FROM entries ORDER BY used, rowid LIMIT (SELECT 1 + count(*) / 4 FROM entries)"
            while new and _size(db) > LIMIT:
                if not db.execute(f"DELETE FROM entries WHERE rowid IN ({oldest})").rowcount:
                    break
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _attempt(
        self, action: Callable[[sqlite3.Connection], Any], *, writing: bool = False, quiet: bool = False
    ) -> Any:
        """``action(database)``, or None when the database will not have it; ``quiet`` where that costs nothing."""
        if self._db is None and not self._writable:
            return None
        import sqlite3

        for _ in range(2):
            try:
                if self._db is None:
                    self._db = _open(self._path)
                return action(self._db)
            except sqlite3.OperationalError as error:  # locked, full, read-only, not to be opened
                if not writing:
                    self._disconnect()
                if self._writable and not quiet:
                    self._give_up(str(error))
                self._writable = False
                return None
            except sqlite3.DatabaseError:  # damaged
                self._disconnect()
                for path in (self._path, self._path.with_name(self._path.name + "-journal")):
                    with suppress(OSError):
                        path.unlink(missing_ok=True)
        return None

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _give_up(self, reason: str) -> None:
        """Write no more, and say so once; what is kept already is still read, where it can be."""
        self._writable = False
        warnings.warn(
            f"what is read from MIDI files cannot be kept in {self._path} ({reason}), so the next run reads them anew; "
            f"set TINYDL_CACHE to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )


def _open(path: Path) -> sqlite3.Connection:
    import sqlite3

    db = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    db.text_factory = bytes  # there is no text: what says that it is one is damaged
    try:
        db.execute("PRAGMA synchronous = OFF")  # what a power cut damages is read again
        db.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, used INTEGER, checksum BLOB, body BLOB)")
        db.execute("SELECT key, used, checksum, body FROM entries LIMIT 1").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _size(db: sqlite3.Connection) -> int:
    """Bytes in use: the file never shrinks, but its free pages are used again."""
    pages, free, size = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _checksum(key: bytes, body: bytes) -> bytes:
    return hashlib.sha256(key + body).digest()[:_CHECK]
