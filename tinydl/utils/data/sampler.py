"""Samplers: the order in which a data set is visited.

A random sampler's order is a pure function of its generator's seed and its epoch: iterating twice gives the same order
until :meth:`Sampler.set_epoch` is called, which the DataLoader does before every pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from tinydl.random import Generator

IndexT = TypeVar("IndexT", covariant=True)


class Sampler(Generic[IndexT]):
    """Iterates over indices (or, for a batch sampler, lists of indices)."""

    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's order the next iteration gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[IndexT]:
        raise NotImplementedError("Subclasses of Sampler should implement __iter__.")

    def __len__(self) -> int:
        raise NotImplementedError("Subclasses of Sampler should implement __len__.")


def length(data_source: Any) -> int:
    """``len(data_source)``. Raises TypeError, saying what a data set needs, for what has none."""
    if not hasattr(data_source, "__len__"):
        raise TypeError(
            f"object of type {type(data_source).__name__!r} has no len(): a data set has __len__ and __getitem__, or "
            "it derives from IterableDataset"
        )
    return len(data_source)


class SequentialSampler(Sampler[int]):
    """0, 1, …, len - 1."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(length(self.data_source)))

    def __len__(self) -> int:
        return length(self.data_source)


class RandomSampler(Sampler[int]):
    """A random order, another one every epoch.

    Without replacement a permutation (repeated with fresh permutations where ``num_samples`` exceeds the data set's
    size); with it, ``num_samples`` independent uniform draws. ``generator`` (default: tinydl's) gives the key only;
    nothing is drawn from it.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if num_samples is not None and num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        if num_samples is None:
            length(data_source)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = _key(generator)

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return length(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, wanted = length(self.data_source), self.num_samples
        if size == 0:
            return iter(())
        stream = self.generator.fork(f"epoch {self.epoch}")
        if self.replacement:
            order = stream.integers(0, size, (wanted,))
        else:
            order = np.concatenate([stream.permutation(size) for _ in range(-(-wanted // size))])[:wanted]
        return iter(order.tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in a random order, another one every epoch. ``generator`` (default: tinydl's) gives the key."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = _key(generator)

    def __iter__(self) -> Iterator[int]:
        order = self.generator.fork(f"epoch {self.epoch}").permutation(len(self.indices))
        return (self.indices[place] for place in order.tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """``num_samples`` indices an epoch, index i with probability proportional to ``weights[i]``.

    Without ``replacement`` the indices differ: one after the other is drawn with the weights that remain. Raises
    ValueError for negative or infinite weights, and when there are too few that are not 0.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(num_samples, (int, np.integer)) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")
        self.weights = np.asarray(weights, np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"weights should be one number per item, but got an array of shape {self.weights.shape}")
        if not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise ValueError("weights should be numbers of 0 or more, finite and not all 0")
        if not replacement and np.count_nonzero(self.weights) < num_samples:
            raise ValueError(
                f"{num_samples} different indices cannot be drawn from {np.count_nonzero(self.weights)} weights that "
                "are not 0: pass replacement=True or fewer num_samples"
            )
        self.num_samples = int(num_samples)
        self.replacement = replacement
        self.generator = _key(generator)

    def __iter__(self) -> Iterator[int]:
        stream = self.generator.fork(f"epoch {self.epoch}")
        if self.replacement:
            running = np.cumsum(self.weights)
            last = np.nextafter(running[-1], 0.0)
            places = np.minimum(stream.random(self.num_samples, np.float64) * running[-1], last)
            order = np.searchsorted(running, places, side="right")
        else:  # the largest of ln w - ln(-ln u), as in tinydl.multinomial
            with np.errstate(divide="ignore"):
                keys = np.log(self.weights) - np.log(-np.log1p(-stream.random(len(self.weights), np.float64)))
            order = np.argsort(-keys, kind="stable")[: self.num_samples]
        return iter(order.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Cuts another sampler's order into lists of ``batch_size``; ``drop_last`` leaves out a last, smaller one."""

    def __init__(self, sampler: Sampler[int], batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = _batch_size(batch_size)
        self.drop_last = drop_last

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch's order the next iteration gives."""
        self.epoch = epoch
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size if self.drop_last else -(-len(self.sampler) // self.batch_size)


class BucketBatchSampler(Sampler[list[int]]):
    """Batches of items of similar length, so that little of a padded batch is padding.

    A shuffled epoch permutes the data set, sorts it by length inside consecutive windows of ``window`` batches, cuts
    batches, and permutes the batches: every item comes once, neighbours are alike, and the order is a pure function of
    (seed, epoch). Without ``shuffle``, one window holds everything and batches come shortest first.

    Args:
        lengths: the length of each item of the data set.
        batch_size: items in a batch.
        shuffle: another order each epoch.
        drop_last: leave out batches smaller than ``batch_size`` (at most one an epoch).
        window: batches in a sorting window: 1 is a plain shuffle, a large one pads least and mixes least.
        generator: gives the seed (default: tinydl's); nothing is drawn from it.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        window: int = 50,
        generator: Generator | None = None,
    ) -> None:
        if window < 1:
            raise ValueError(f"window should be a positive number of batches, but got window={window}")
        self.lengths = np.asarray(lengths, dtype=np.int64)
        if self.lengths.ndim != 1:
            raise ValueError(f"lengths should be one number per item, but got an array of shape {self.lengths.shape}")
        self.batch_size = _batch_size(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.window = window
        self.generator = _key(generator)

    def __iter__(self) -> Iterator[list[int]]:
        size = len(self.lengths)
        if not self.shuffle:
            order = np.argsort(self.lengths, kind="stable")
            starts = np.arange(0, size, self.batch_size)
        else:
            stream = self.generator.fork(f"epoch {self.epoch}")
            order = np.asarray(stream.permutation(size), dtype=np.int64)
            step = self.window * self.batch_size
            for start in range(0, size, step):
                part = order[start : start + step]
                order[start : start + step] = part[np.argsort(self.lengths[part], kind="stable")]
            starts = np.arange(0, size, self.batch_size)
            starts = starts[stream.permutation(len(starts))]
        for start in starts.tolist():
            batch = order[start : start + self.batch_size].tolist()
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        size = len(self.lengths)
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def _batch_size(batch_size: int) -> int:
    if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size <= 0:
        raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
    return int(batch_size)


def _key(generator: Generator | None) -> Generator:
    """A generator of the sampler's own, keyed by the seed of the one given: later draws from that change nothing."""
    if generator is None:
        from tinydl.random import default_generator

        generator = default_generator
    return generator.fork("sampler")
