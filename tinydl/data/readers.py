"""Processes that read MIDI files side by side: bytes go in, packed extracts come out.

A reader is started as a program of its own (never forked: a fork after a parallel kernel has run is killed by OpenMP)
that runs :func:`main` and nothing else. Python's multiprocessing would import the user's ``__main__`` there, so that a
script without ``if __name__ == "__main__"`` would start readers in its readers, and a notebook or stdin has no
``__main__`` to import. What goes through the pipes is frames, a length and as many bytes; no pickle.

    to a reader     the representation (JSON); then tasks: JSON [[bytes, bytes beyond], ...], and the files' bytes
    from a reader   the tag of its code (:func:`tinydl.data.read_cache.tag`); then for each file an extract as
                    :func:`tinydl.data.extract.pack` writes it, or nothing, when reading it raised something unforeseen

A reader takes a whole task before it works on it, and one task at a time, so neither end waits for the other to read.
It has no name, no folder and no database to know of. When it dies, the end of its pipe tells at once, and its file is
the first one of the task that is not answered: that is tried once more, and given up when it kills a second reader.
When this process dies, however it does, a reader finds its input at an end and goes too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tinydl.data.extract import OUT_OF_MEMORY, extract, pack, rejected

if TYPE_CHECKING:
    from tinydl.data.extract import Extract
    from tinydl.data.representations import Representation

__all__ = ["Answer", "File", "Readers", "cores", "main"]

MOST = 16  # readers: from there on, this process, which hands out the files, is the slowest (4,000 files a second)
TASK_FILES, TASK_BYTES = 16, 1 << 16  # of one task at most, but for a single larger file
IN_FLIGHT = 64 << 20  # bytes of files handed out and not yet answered, at most, but for a single larger file

_LENGTH = struct.Struct("<Q")
_LONGEST = 1 << 30  # bytes of a frame: a file has at most 64 MiB, and a piece at most 200,000 steps
_FIRST_WORD = 60.0  # seconds: a reader that has not said by then that it is ready never will
_GLANCE = 0.1  # seconds after which a thread that waits looks whether Ctrl-C was pressed

# Given to the interpreter with -c: so nothing is imported but what stands here, from where this process imports it.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from tinydl.data.readers import main; main()"


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _send(pipe: IO[bytes], *parts: bytes) -> None:
    pipe.write(_LENGTH.pack(sum(map(len, parts))))
    for part in parts:
        pipe.write(part)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """The next frame; EOFError when the other end is gone, or sends what is none."""
    head = pipe.read(_LENGTH.size)
    if len(head) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        content = pipe.read(length) if length <= _LONGEST else b""
        if len(content) == length:
            return content
    raise EOFError


# --- in a reader ------------------------------------------------------------------------------------------------------


def main() -> None:
    """The whole program of a reader: answer tasks until the input ends."""
    from tinydl.data.read_cache import tag
    from tinydl.data.representations import representation

    tasks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what a library prints must not come between the answers
    with suppress(EOFError, BrokenPipeError):
        encoding = representation(json.loads(_receive(tasks)))
        _send(answers, tag().encode())
        while True:
            files, content = json.loads(_receive(tasks)), memoryview(_receive(tasks))
            for size, beyond in files:
                _send(answers, _answer(bytes(content[:size]), beyond, encoding))
                content = content[size:]


def _answer(data: bytes, beyond: int, encoding: Representation) -> bytes:
    try:
        return pack(extract(data, beyond, encoding))
    except MemoryError:
        return pack(rejected(OUT_OF_MEMORY))
    except Exception:  # a defect: the process that asked reads the file itself, and meets it with its own traceback
        return b""


# --- in the process that asks -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """A file to read: its number in the run, its bytes, how many more were left unread, and its key in the cache."""

    number: int
    data: bytes
    beyond: int
    key: bytes


@dataclass(frozen=True)
class Answer:
    """What a reader made of a file. ``packed`` is empty where it must be read in this process, and where ``found``
    says that no reader could survive it."""

    file: File
    packed: bytes = b""
    found: Extract | None = None


class Readers:
    """``count`` readers, started at once. Give files with :meth:`submit`, take answers with :meth:`take`, in any order;
    :meth:`close` ends all processes, whatever they are doing."""

    def __init__(self, count: int, representation: Representation) -> None:
        self._config = json.dumps(representation.config()).encode()
        self._tasks: queue.SimpleQueue[list[File] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
        self._task: list[File] = []
        self._given = 0
        self._bytes = 0
        self._useless = False  # readers cannot be started here
        self._closed = False
        self._lock = threading.Lock()  # held where a process is started or ended
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads: list[threading.Thread] = []
        try:
            for _ in range(count):
                thread = threading.Thread(target=self._serve, daemon=True)
                thread.start()
                self._threads.append(thread)
        except BaseException:
            self.close()
            raise

    @property
    def full(self) -> bool:
        """Whether so much is under way that answers should be taken first."""
        return self._bytes > IN_FLIGHT or self._given > 4 * TASK_FILES * len(self._threads)

    @property
    def idle(self) -> bool:
        """Whether every file was answered."""
        return not self._given

    def submit(self, file: File) -> None:
        """Hand a file out, together with the next ones; :meth:`hand_out` sends what is still held back."""
        self._task.append(file)
        self._given += 1
        self._bytes += len(file.data)
        if len(self._task) >= TASK_FILES or sum(len(file.data) for file in self._task) >= TASK_BYTES:
            self.hand_out()

    def hand_out(self) -> None:
        """Send out the files that were held back to make a task."""
        if self._task:
            self._tasks.put(self._task)
            self._task = []

    def take(self, *, wait: bool) -> Answer | None:
        """The next answer; None when there is none yet and ``wait`` is false."""
        if wait:
            self.hand_out()
        while True:
            try:
                answer = self._answers.get(block=wait, timeout=_GLANCE)
                break
            except queue.Empty:  # a signal that comes just before one begins to wait would not end the waiting
                if not wait:
                    return None
        if isinstance(answer, BaseException):
            raise answer
        self._given -= 1
        self._bytes -= len(answer.file.data)
        return answer

    def close(self) -> None:
        """End all readers at once."""
        with self._lock:
            self._closed = True
            processes = list(self._processes)
        for process in processes:
            process.kill()  # it holds nothing that could be lost
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    # --- in a thread per reader -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        process: subprocess.Popen[bytes] | None = None
        try:
            while (task := self._tasks.get()) is not None and not self._closed:
                process = self._work(task, process)
        except BaseException as error:  # a defect of this module: whoever waits for an answer must hear of it
            self._answers.put(error)
        finally:
            if process is not None:
                self._end(process)

    def _work(self, task: Sequence[File], process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes] | None:
        """Have a task answered, by new readers where one dies."""
        rest, tried = list(task), False
        while rest and not self._closed:
            process = process or self._start()
            if process is None:
                for file in rest:
                    self._answers.put(Answer(file))
                return None
            assert process.stdin is not None and process.stdout is not None
            count = len(rest)
            try:
                _send(process.stdin, json.dumps([(len(file.data), file.beyond) for file in rest]).encode())
                _send(process.stdin, *(file.data for file in rest))
                while rest:
                    packed = _receive(process.stdout)
                    self._answers.put(Answer(rest.pop(0), packed))
            except (EOFError, OSError):
                death = self._end(process)
                process = None
                if len(rest) < count:
                    tried = False  # it was not this file that the last reader died of
                if tried:
                    self._answers.put(Answer(rest.pop(0), found=rejected(f"its reader {death}, twice")))
                tried = not tried
        return process

    def _start(self) -> subprocess.Popen[bytes] | None:
        """A reader that has said that it is ready and runs the code that this process runs; None if it cannot be."""
        from tinydl.data.read_cache import tag

        with self._lock:
            if self._useless or self._closed or not sys.executable:
                return None
            path = [os.path.abspath(entry) for entry in sys.path]
            # One thread each: NumPy's BLAS would start as many as there are cores, and is not used.
            one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            try:
                process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, *path],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**os.environ, **one},
                    start_new_session=True,  # Ctrl-C at the terminal reaches this process alone, which ends them
                )
            except OSError:
                self._useless = True
                return None
            self._processes.add(process)
        assert process.stdin is not None and process.stdout is not None
        ready = False
        limit = threading.Timer(_FIRST_WORD, process.kill)  # its pipe then ends, as that of one that died
        limit.daemon = True
        try:
            limit.start()
            _send(process.stdin, self._config)
            ready = _receive(process.stdout) == tag().encode()
        except (EOFError, OSError):
            pass
        finally:
            limit.cancel()
            if not ready:
                self._useless = True
                self._end(process)
        return process if ready else None

    def _end(self, process: subprocess.Popen[bytes]) -> str:
        """End a reader, if it has not ended itself; how it ended, as a sentence goes on."""
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # what could not be written any more
            process.stdin.close()
        process.stdout.close()
        with self._lock:
            self._processes.discard(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.kill()
        code = process.wait()
        if code >= 0:
            return f"ended with code {code}"
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"
