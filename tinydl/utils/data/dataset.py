"""Data sets: anything with ``__len__`` and ``__getitem__``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tinydl.tensor import Tensor

if TYPE_CHECKING:
    from tinydl.random import Generator

ItemT = TypeVar("ItemT", covariant=True)


class Dataset(Generic[ItemT]):
    """A map from 0 … len - 1 to items: override ``__getitem__`` and ``__len__``."""

    def __getitem__(self, index: int) -> ItemT:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __len__(self) -> int:
        raise NotImplementedError("Subclasses of Dataset should implement __len__.")

    def __add__(self, other: Dataset[ItemT]) -> Dataset[ItemT]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[ItemT]):
    """A stream of items: override ``__iter__``, and ``__len__`` where it is known. The DataLoader reads it in its own
    process, in the order it comes."""

    def __iter__(self) -> Iterator[ItemT]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Dataset[ItemT]) -> Dataset[ItemT]:
        return ChainDataset([self, other])

    def __getitem__(self, index: int) -> ItemT:
        raise TypeError("an IterableDataset has no items by index: iterate over it")

    def __len__(self) -> int:
        raise TypeError(f"{type(self).__name__} is an IterableDataset without __len__: its length is not known")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Item i is the tuple of the i-th rows of tensors of equal first dimension.

    Raises ValueError, naming both sizes, when the first dimensions differ.
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor")
        for position, tensor in enumerate(tensors):
            if tensor.ndim == 0:
                raise ValueError(
                    f"TensorDataset needs tensors with a first dimension, but tensor {position} is a scalar"
                )
            if tensor.shape[0] != tensors[0].shape[0]:
                raise ValueError(
                    f"Size mismatch between tensors: tensor 0 has shape {tuple(tensors[0].shape)} and tensor "
                    f"{position} has shape {tuple(tensor.shape)}; give all the same first dimension"
                )
        self.tensors = tensors

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class Subset(Dataset[ItemT]):
    """The items of another data set at the given indices, in that order."""

    def __init__(self, dataset: Dataset[ItemT] | Sequence[ItemT], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> ItemT:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[ItemT]):
    """Data sets one after the other."""

    def __init__(self, datasets: Iterable[Dataset[ItemT]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one data set")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> ItemT:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for a ConcatDataset of length {size}")
        index %= size
        which = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[ItemT]):
    """Streams one after the other. Raises AssertionError, when it comes to one, for what is no IterableDataset."""

    def __init__(self, datasets: Iterable[Dataset[ItemT]]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[IterableDataset[ItemT]]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(
                    f"ChainDataset only supports IterableDataset, but got a {type(dataset).__name__}; ConcatDataset "
                    "takes data sets with indices"
                )
            yield dataset

    def __iter__(self) -> Iterator[ItemT]:
        return chain.from_iterable(self._streams())

    def __len__(self) -> int:
        return sum(map(len, self._streams()))


class StackDataset(Dataset[Any]):
    """Data sets side by side: item i is the tuple of their items i; of data sets given by name, the dictionary.

    Raises ValueError, naming the sizes, unless all have one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError("StackDataset makes tuples (of arguments) or dicts (of named ones), and both are given")
        if not args and not kwargs:
            raise ValueError("StackDataset: At least one dataset should be passed")
        self.datasets: Any = kwargs or args
        sizes = [len(dataset) for dataset in (kwargs.values() if kwargs else args)]
        if len(set(sizes)) > 1:
            raise ValueError(f"StackDataset: Size mismatch between datasets: {sizes}; give all one length")
        self._size = sizes[0]

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._size


def random_split(
    dataset: Dataset[ItemT], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[ItemT]]:
    """Cut a data set into disjoint random parts.

    ``lengths`` are counts that add up to ``len(dataset)``, or fractions that add up to 1: each part then gets
    ``floor(fraction * len)`` items and what is left goes one by one to the first parts. Raises ValueError otherwise.
    """
    size = len(dataset)
    if abs(sum(lengths) - 1) < 1e-9 and any(isinstance(length, float) for length in lengths):
        counts = [int(size * length) for length in lengths]
        for extra in range(size - sum(counts)):
            counts[extra % len(counts)] += 1
    else:
        counts = [int(length) for length in lengths]
    if sum(counts) != size or any(count < 0 for count in counts):
        raise ValueError(f"random_split got lengths {list(lengths)}, which do not add up to the {size} items (or to 1)")
    if generator is None:
        from tinydl.random import default_generator

        generator = default_generator
    order = generator.permutation(size).tolist()
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]
