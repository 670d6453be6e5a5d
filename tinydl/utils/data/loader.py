"""``DataLoader``: batches of a data set, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from tinydl.utils.data.collate import default_collate
from tinydl.utils.data.dataset import Dataset, IterableDataset
from tinydl.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, _batch_size
from tinydl.utils.data.worker import WorkerPool, fetch

if TYPE_CHECKING:
    from tinydl.random import Generator


def _refuse_order(shuffle: Any, sampler: Any, batch_sampler: Any, num_workers: int) -> None:
    """An IterableDataset has its own order, and one reader."""
    for name, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
            )
    if num_workers:
        raise ValueError(
            f"DataLoader with IterableDataset: a stream is read by one process, so num_workers should be 0, but got "
            f"num_workers={num_workers}"
        )


class DataLoader:
    """Iterates over a data set in batches; every ``iter(loader)`` is a new pass, that is: a new epoch.

    The order of a shuffled pass is a pure function of (the generator's seed, epoch), so :meth:`state_dict` needs no
    more than the epoch and the position in it: a loader of the same data that loads it goes on with the very next
    batch.

    Args:
        dataset: anything with ``__len__`` and ``__getitem__(int)``; or an IterableDataset, whose items are batched as
            they come, in this process.
        batch_size: items in a batch; None gives the items themselves, one by one and not collated.
        shuffle: a random order, another one each epoch.
        sampler: the order, instead of ``shuffle``.
        batch_sampler: lists of indices, instead of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
        num_workers: processes that load and collate; 0 does it in this one. They are started by spawn, so data set and
            ``collate_fn`` must be picklable and a script must start itself under ``if __name__ == "__main__"``. The
            batches and their order do not depend on it.
        collate_fn: list of items -> batch (default: :func:`default_collate`).
        drop_last: leave out a last, smaller batch.
        timeout: seconds to wait for a worker's batch before RuntimeError; 0 waits for ever.
        worker_init_fn: called with the worker's number in every worker, once.
        generator: gives the seed of the order (default: tinydl's default generator); nothing is drawn from it. In a
            worker, the default generator is keyed by (seed, epoch, batch), so that random transforms can be resumed
        too. prefetch_factor: batches that each worker loads ahead (default 2).
        persistent_workers: keep the processes from one pass to the next.
        pin_memory, pin_memory_device, in_order: taken, and without effect.
        multiprocessing_context: None or ``"spawn"``, which is what workers are started by.

    An error in loading an item is raised again here, with its own type where that can be built from a sentence, and
    names the worker and the item's index.
    """

    def __init__(
        self,
        dataset: Dataset[Any] | Sequence[Any],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[int] | None = None,
        batch_sampler: Sampler[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        *,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        generator: Generator | None = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory: bool = False,
        multiprocessing_context: Any = None,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if not isinstance(num_workers, int):
            raise TypeError(f"num_workers should be an int, but got num_workers={num_workers!r}")
        if num_workers < 0:
            raise ValueError(f"num_workers should be 0 or more, but got num_workers={num_workers}")
        context = getattr(multiprocessing_context, "get_start_method", lambda: multiprocessing_context)()
        if context not in (None, "spawn"):
            raise ValueError(
                f"multiprocessing_context should be None or 'spawn', but got {context!r}: workers are spawned"
            )
        if timeout < 0:
            raise ValueError(f"timeout should be 0 or more seconds, but got timeout={timeout}")
        if num_workers == 0 and (prefetch_factor is not None or persistent_workers):
            raise ValueError("prefetch_factor and persistent_workers need workers: set num_workers > 0")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError(f"prefetch_factor should be positive, but got prefetch_factor={prefetch_factor}")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
        if batch_size is None and drop_last:
            raise ValueError("batch_size=None disables batching, so it is mutually exclusive with drop_last")
        self._stream = isinstance(dataset, IterableDataset)
        if self._stream:
            _refuse_order(shuffle, sampler, batch_sampler, num_workers)
            batch_size = None if batch_size is None else _batch_size(batch_size)
        elif batch_sampler is not None:
            batch_size = None
        elif sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if sampler is not None and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.persistent_workers = persistent_workers
        self._pool: WorkerPool | None = None
        self._epoch = 0  # of the pass under way, or else of the next
        self._position = 0  # batches of that pass already given
        self._under_way = False

    @property
    def _batches(self) -> Sampler[Any]:
        """What is iterated: lists of indices, or indices where there is no batching."""
        batches = self.batch_sampler if self.batch_sampler is not None else self.sampler
        assert batches is not None
        return batches

    def __len__(self) -> int:
        if not self._stream:
            return len(self._batches)
        size = len(self.dataset)
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)

    @property
    def epoch(self) -> int:
        """The epoch of the pass under way, or, between passes, of the next one."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """The next pass is this epoch, from its beginning."""
        self._epoch, self._position, self._under_way = int(epoch), 0, False

    def __iter__(self) -> Iterator[Any]:
        if self._under_way:  # the last pass was left before its end, and this is a new one
            self._epoch, self._position = self._epoch + 1, 0
        self._under_way = True
        epoch = self._epoch
        if self._stream:
            return self._pass(epoch, islice(enumerate(self._streamed()), self._position, None))
        # A sampler without epochs (any iterable of indices) decides its order itself.
        if hasattr(self._batches, "set_epoch"):
            self._batches.set_epoch(epoch)
        todo = enumerate(islice(iter(self._batches), self._position, None), self._position)
        return self._pass(epoch, self._with_workers(epoch, todo) if self.num_workers else self._alone(todo))

    def _pass(self, epoch: int, batches: Iterator[tuple[int, Any]]) -> Iterator[Any]:
        """Give the batches, keeping account of the position, unless another pass has begun since."""
        for number, batch in batches:
            if self._epoch == epoch and self._under_way:
                self._position = number + 1
            yield batch
        if self._epoch == epoch and self._under_way:
            self._epoch, self._position, self._under_way = epoch + 1, 0, False

    def _streamed(self) -> Iterator[Any]:
        """Batches of an IterableDataset, or its items where there is no batching."""
        items: Iterator[Any] = iter(self.dataset)
        if self.batch_size is None:
            yield from items
            return
        for first in items:
            batch = list(chain([first], islice(items, self.batch_size - 1)))
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def _alone(self, todo: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        for number, indices in todo:
            yield number, fetch(self.dataset, self.collate_fn, indices)

    def _with_workers(self, epoch: int, todo: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Batch k goes to worker k mod n and is awaited from it, so no reordering is needed."""
        pool, self._pool = self._pool or self._start_workers(), None
        finished = False
        try:
            sent = given = 0
            for task in islice(todo, pool.size * self.prefetch_factor):
                pool.submit(sent, (epoch, *task))
                sent += 1
            while given < sent:
                batch = pool.receive(given, self.timeout)
                given += 1
                for task in islice(todo, 1):
                    pool.submit(sent, (epoch, *task))
                    sent += 1
                yield batch
            finished = True
        finally:
            # After an error or a break, batches are still on their way: such a pool is not used again.
            if finished and self.persistent_workers:
                self._pool = pool
            else:
                pool.shutdown()

    def _start_workers(self) -> WorkerPool:
        generator = self.generator
        if generator is None:
            from tinydl.random import default_generator

            generator = default_generator
        seed = generator.fork("workers").state()
        return WorkerPool(self.num_workers, self.dataset, self.collate_fn, self.worker_init_fn, seed)

    # ---------------------------------------------------------------------------------------------- resuming

    def _order_generator(self) -> Generator | None:
        """The generator that keys the order, where there is one."""
        for sampler in (self.sampler, self.batch_sampler):
            generator: Generator | None = getattr(sampler, "generator", None)
            if generator is not None:
                return generator
        return None

    def state_dict(self) -> dict[str, Any]:
        """Epoch, position (batches given), batches in an epoch, seed of the order: numbers only, fit for JSON."""
        state: dict[str, Any] = {"epoch": self._epoch, "position": self._position}
        if not self._stream:
            state["batches"] = len(self)
        generator = self._order_generator()
        if generator is not None:
            state["generator"] = generator.state()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another loader of the same data stood: the next pass gives what it would have given next.

        Raises ValueError when that loader's epochs had another number of batches.
        """
        position = int(state_dict["position"])
        if self._stream:
            self._epoch, self._position, self._under_way = int(state_dict["epoch"]), position, False
            return
        batches = state_dict.get("batches", len(self))
        if batches != len(self) or not 0 <= position <= len(self):
            raise ValueError(
                f"this DataLoader has {len(self)} batches an epoch, but the state is of one with {batches}, at batch "
                f"{position}: resume with the same data and batch size"
            )
        generator = self._order_generator()
        if generator is not None and "generator" in state_dict:
            generator.set_state(dict(state_dict["generator"]))
        self._epoch, self._position, self._under_way = int(state_dict["epoch"]), position, False
