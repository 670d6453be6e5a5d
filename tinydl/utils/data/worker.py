"""Worker processes of the DataLoader.

Each worker has two pipes: tasks (epoch, batch number, indices) come in, batches go out, both in order. A thread in the
worker empties the task pipe at once, so the parent never blocks on sending while the worker blocks on sending to it.
When either side dies, the other reads the end of the file: no polling, no orphans.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class ItemError(Exception):
    """Carries which item of the data set could not be loaded, from :func:`fetch` to whoever reports it."""

    def __init__(self, index: Any) -> None:
        super().__init__(index)
        self.index = index


class WorkerInfo(NamedTuple):
    """Which worker this process is: its number, how many there are, the seed of its random numbers, its data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader, which one it is; elsewhere None."""
    return _info


class Failure(NamedTuple):
    """An error on its way to the parent: the type's name and module, the sentence, and the traceback as text."""

    module: str
    type: str
    sentence: str
    traceback: str


class WorkerTraceback(Exception):
    """The cause of an error raised again in the parent: the traceback in the worker, as text."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


def fetch(dataset: Any, collate_fn: Callable[[list[Any]], Any], indices: Any) -> Any:
    """One batch: the items of a list of indices, collated; for a single index the item itself."""
    if not isinstance(indices, list):
        return dataset[indices]
    return collate_fn([dataset[index] for index in indices])


def _fetch_naming_item(dataset: Any, collate_fn: Callable[[list[Any]], Any], indices: Any) -> Any:
    """:func:`fetch`, where an error of the data set comes wrapped in an ItemError."""
    items = []
    for index in indices if isinstance(indices, list) else [indices]:
        try:
            items.append(dataset[index])
        except Exception as error:
            raise ItemError(index) from error
    return collate_fn(items) if isinstance(indices, list) else items[0]


def worker_loop(
    worker: int,
    size: int,
    tasks: Connection,
    results: Connection,
    dataset: Any,
    collate_fn: Callable[[list[Any]], Any],
    worker_init_fn: Callable[[int], None] | None,
    seed: dict[str, int],
) -> None:
    """The life of a worker process, one of ``size``: until its task pipe ends."""
    global _info
    import queue
    import signal
    import threading

    from threadpoolctl import threadpool_limits

    from tinydl.random import Generator, default_generator

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it then closes the pipes
    threadpool_limits(1)  # the cores belong to the training
    inbox: queue.SimpleQueue[tuple[int, int, Any] | None] = queue.SimpleQueue()

    def empty_the_pipe() -> None:
        try:
            while True:
                inbox.put(tasks.recv())
        except (EOFError, OSError):
            inbox.put(None)

    threading.Thread(target=empty_the_pipe, daemon=True).start()
    root = Generator()
    root.set_state(seed)
    _info = WorkerInfo(worker, size, root.fork(f"worker {worker}").initial_seed(), dataset)
    try:
        start: BaseException | None = None
        try:
            if worker_init_fn is not None:
                worker_init_fn(worker)
        except Exception as error:
            start = error
        while (task := inbox.get()) is not None:
            epoch, number, indices = task
            try:
                if start is not None:
                    raise start
                default_generator.set_state(root.fork(f"epoch {epoch} batch {number}").state())
                reply: Any = _fetch_naming_item(dataset, collate_fn, indices)
            except Exception as error:
                reply = _failure(worker, indices, error)
            try:
                results.send((number, reply))
            except (BrokenPipeError, ConnectionError):
                raise
            except Exception as error:  # the batch cannot be pickled
                results.send((number, _failure(worker, indices, error)))
    except (BrokenPipeError, ConnectionError):
        pass  # the parent is gone, or no longer interested


def _failure(worker: int, indices: Any, error: BaseException) -> Failure:
    import traceback

    text = "".join(traceback.format_exception(error))
    where = f"collating items {indices}"
    if isinstance(error, ItemError):
        where, error = f"item {error.index}", error.__cause__ or error
    kind = type(error)
    sentence = f"DataLoader worker {worker} failed on {where}: {kind.__name__}: {error}"
    return Failure(kind.__module__, kind.__name__, sentence, text)


class WorkerPool:
    """``size`` worker processes, started by spawn."""

    def __init__(
        self,
        size: int,
        dataset: Any,
        collate_fn: Callable[[list[Any]], Any],
        worker_init_fn: Callable[[int], None] | None,
        seed: dict[str, int],
    ) -> None:
        from multiprocessing import get_context

        self.size = size
        self._closed = False
        # fork would copy locks and thread pools in whatever state they are: a child of an OpenMP program dies of it.
        context = get_context("spawn")
        self._tasks: list[Connection] = []
        self._results: list[Connection] = []
        self._processes: list[Any] = []
        try:
            for worker in range(size):
                task_reader, task_writer = context.Pipe(duplex=False)
                result_reader, result_writer = context.Pipe(duplex=False)
                self._tasks.append(task_writer)
                self._results.append(result_reader)
                process = context.Process(
                    target=worker_loop,
                    args=(worker, size, task_reader, result_writer, dataset, collate_fn, worker_init_fn, seed),
                    name=f"DataLoader worker {worker}",
                    daemon=True,
                )
                try:
                    process.start()
                except (AttributeError, TypeError, _pickling_error()) as error:
                    raise TypeError(
                        "DataLoader starts its workers by spawn, so the data set, collate_fn and worker_init_fn must "
                        f"be picklable, but {error}: define them at a module's top level, or use num_workers=0"
                    ) from error
                finally:
                    # The worker alone must hold its ends, or neither side would ever read the end of the file.
                    task_reader.close()
                    result_writer.close()
                self._processes.append(process)
        except BaseException:
            self.shutdown()
            raise

    def submit(self, k: int, task: tuple[int, int, Any]) -> None:
        """Send the k-th task of a pass to its worker."""
        try:
            self._tasks[k % self.size].send(task)
        except (BrokenPipeError, ConnectionError):
            raise self._died(k % self.size) from None

    def receive(self, k: int, timeout: float) -> tuple[int, Any]:
        """The reply to the k-th task: (batch number, batch). Raises what the worker raised."""
        worker = k % self.size
        try:
            if timeout and not self._results[worker].poll(timeout):
                raise RuntimeError(
                    f"DataLoader worker {worker} gave no batch within timeout={timeout} seconds: raise it, or load "
                    "faster"
                )
            number, reply = self._results[worker].recv()
        except (EOFError, ConnectionError):
            raise self._died(worker) from None
        if isinstance(reply, Failure):
            raise _rebuild(reply) from WorkerTraceback(reply.traceback)
        return number, reply

    def _died(self, worker: int) -> RuntimeError:
        process = self._processes[worker]
        process.join(5)
        return RuntimeError(
            f"DataLoader worker {worker} (pid {process.pid}) exited unexpectedly with code {process.exitcode}: it was "
            'killed, or the script that starts it lacks an if __name__ == "__main__" guard'
        )

    def shutdown(self) -> None:
        """End every worker; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for connection in (*self._tasks, *self._results):
            connection.close()
        for process in self._processes:
            process.join(2)
            if process.is_alive():  # in the middle of a long item
                process.terminate()
                process.join()
            process.close()

    def __del__(self) -> None:
        if hasattr(self, "_processes"):
            self.shutdown()


def _pickling_error() -> type[Exception]:
    from pickle import PicklingError

    return PicklingError


def _rebuild(failure: Failure) -> Exception:
    """An error of the worker's type where one sentence builds it, else RuntimeError."""
    import sys

    module: Sequence[Any] | Any = builtins if failure.module == "builtins" else sys.modules.get(failure.module)
    kind = getattr(module, failure.type, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and kind not in (StopIteration, StopAsyncIteration):
        try:
            error = kind(failure.sentence)
            if str(error) == failure.sentence:
                return error
        except Exception:
            pass
    return RuntimeError(failure.sentence)
