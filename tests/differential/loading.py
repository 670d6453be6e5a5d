"""Rows of data loading. Orders that are drawn are each library's own: those rows compare what was drawn, sorted."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from tests.differential.rows import draw, ints, row

Pair = namedtuple("Pair", "left right")


def squares(t: Any, size: int) -> Any:
    """A data set of numbers."""

    class Squares(t.utils.data.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return size

        def __getitem__(self, i: int) -> int:
            if not 0 <= i < size:
                raise IndexError(i)
            return i * i

    return Squares()


def stream(t: Any, size: int) -> Any:
    """A data set of numbers that come one after the other."""

    class Stream(t.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            return (i * 10 for i in range(size))

    return Stream()


row("utils.data.Dataset", call=lambda t: [len(squares(t, 4)), squares(t, 4)[3], (squares(t, 3) + squares(t, 2))[4]])
row(
    "utils.data.TensorDataset", draw(5, 2), ints(5),
    call=lambda t, x, y: [len(d := t.utils.data.TensorDataset(x, y)), d[2], d[-1], d[1:3]],
)  # fmt: skip
row(
    "utils.data.ConcatDataset",
    call=lambda t: [(d := t.utils.data.ConcatDataset([squares(t, 2), squares(t, 3)]))[i] for i in (0, 1, 2, 4, -1, -5)]
    + [len(d), d.cumulative_sizes],
)  # fmt: skip
row(
    "utils.data.ChainDataset",
    call=lambda t: [*t.utils.data.ChainDataset([stream(t, 2), stream(t, 3)]), *(stream(t, 1) + stream(t, 2))],
)  # fmt: skip
row(
    "utils.data.StackDataset",
    call=lambda t: [len(d := t.utils.data.StackDataset(squares(t, 3), [7, 8, 9])), d[1],
                    t.utils.data.StackDataset(x=squares(t, 3), y=[7, 8, 9])[2]],
)  # fmt: skip
row("utils.data.Subset", call=lambda t: [len(d := t.utils.data.Subset(squares(t, 9), [3, 1, 3])), d[0], d[1], d[2]])
for lengths in ([7, 3], [0.5, 0.3, 0.2], [0.55, 0.45]):
    row(
        "utils.data.random_split", note=str(lengths),
        call=lambda t, n=lengths: (
            parts := t.utils.data.random_split(squares(t, 10), n, generator=t.Generator().manual_seed(1)),
            [len(p) for p in parts], sorted(p[i] for p in parts for i in range(len(p))),
        )[1:],
    )  # fmt: skip
row("utils.data.SequentialSampler", call=lambda t: [*(s := t.utils.data.SequentialSampler(range(4))), len(s)])
row("utils.data.RandomSampler", call=lambda t: [sorted(s := t.utils.data.RandomSampler(range(6))), len(s)])
row(
    "utils.data.RandomSampler", note="num_samples",
    call=lambda t: [
        len(list(s := t.utils.data.RandomSampler(range(4), num_samples=10))), len(s), set(s) == set(range(4)),
        len(list(t.utils.data.RandomSampler(range(4), replacement=True, num_samples=7))),
    ],
)  # fmt: skip
row(
    "utils.data.WeightedRandomSampler",
    call=lambda t: [
        *sorted(t.utils.data.WeightedRandomSampler([0.0, 1.0, 0.0, 2.0], 2, replacement=False)),
        *(s := t.utils.data.WeightedRandomSampler([0.0, 0.0, 3.0], 4)), len(s),
    ],
)  # fmt: skip
row(
    "utils.data.SubsetRandomSampler",
    call=lambda t: [sorted(s := t.utils.data.SubsetRandomSampler([3, 1, 7, 7])), len(s)],
)  # fmt: skip
row(
    "utils.data.SubsetRandomSampler", note="in a loader",
    call=lambda t: sorted(
        v for b in t.utils.data.DataLoader(squares(t, 9), 2, sampler=t.utils.data.SubsetRandomSampler(range(2, 7)))
        for v in b.tolist()
    ),
)  # fmt: skip
row("utils.data.get_worker_info", call=lambda t: t.utils.data.get_worker_info(), note="in no worker")
for drop in (False, True):
    row(
        "utils.data.BatchSampler", note=f"drop_last {drop}",
        call=lambda t, drop=drop: [
            *(s := t.utils.data.BatchSampler(t.utils.data.SequentialSampler(range(7)), 3, drop)), len(s),
        ],
    )  # fmt: skip


def evens(t: Any) -> Any:
    """A sampler of one's own, in either library."""

    class Even(t.utils.data.Sampler):  # type: ignore[misc]
        def __iter__(self) -> Any:
            return iter([0, 2, 4])

        def __len__(self) -> int:
            return 3

    return Even()


row("utils.data.Sampler", call=lambda t: list(t.utils.data.DataLoader(squares(t, 6), sampler=evens(t), batch_size=2)))
ITEMS: dict[str, list[Any]] = {
    "numbers": [1, 2, 3], "floats": [1.0, 2.5], "bools": [True, False], "strings": ["a", "b"],
    "tuples": [(1, 2.0), (3, 4.0)], "dicts": [{"a": 1, "b": [1.0, 2.0]}, {"a": 2, "b": [3.0, 4.0]}],
    "arrays": [np.ones(2, np.float32), np.zeros(2, np.float32)], "named": [Pair(1, 2.0), Pair(3, 4.0)],
    "numpy scalars": [np.float64(1.5), np.float64(2.5)], "0-d arrays": [np.array(1), np.array(2)],
}  # fmt: skip


def opened(batch: Any) -> Any:
    """Dictionaries as lists, for the comparison."""
    if isinstance(batch, dict):
        return [[k, opened(v)] for k, v in batch.items()]
    return [opened(b) for b in batch] if isinstance(batch, (list, tuple)) else batch


row(
    "utils.data.DataLoader", draw(6, 2), ints(6), note="a batch of tuples is a list",
    call=lambda t, x, y: [
        isinstance(b, list) for b in t.utils.data.DataLoader(t.utils.data.TensorDataset(x.detach(), y), batch_size=4)
    ],
)  # fmt: skip
row(
    "utils.data.default_collate", note="types",
    call=lambda t: [
        type(t.utils.data.default_collate([item, item])).__name__ for item in ((1, 2), [1, 2], Pair(1, 2), ((1,), 2))
    ] + [isinstance(t.utils.data.default_collate([((1,), 2)] * 2)[0], list)],
)  # fmt: skip
for note, items in ITEMS.items():
    row(
        "utils.data.default_collate", note=note, call=lambda t, items=items: opened(t.utils.data.default_collate(items))
    )
row(
    "utils.data.default_collate", draw(2, 3), draw(2, 3), note="tensors",
    call=lambda t, x, y: t.utils.data.default_collate([x.detach(), y.detach()]),
)  # fmt: skip
for options in (
    {}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}, {"batch_size": 10},
    {"batch_size": 2, "num_workers": 0, "collate_fn": sum},
):  # fmt: skip
    row(
        "utils.data.DataLoader", note=" ".join(map(str, options)) + str(options.get("batch_size")),
        call=lambda t, o=options: [*(loader := t.utils.data.DataLoader(squares(t, 7), **o)), len(loader)],
    )  # fmt: skip
row(
    "utils.data.DataLoader", draw(6, 2), ints(6), note="tensors",
    call=lambda t, x, y: list(t.utils.data.DataLoader(t.utils.data.TensorDataset(x.detach(), y), batch_size=4)),
)  # fmt: skip
row(
    "utils.data.DataLoader", note="shuffle",
    call=lambda t: sorted(
        v for b in t.utils.data.DataLoader(squares(t, 9), batch_size=2, shuffle=True) for v in b.tolist()
    ),
)  # fmt: skip
row(
    "utils.data.DataLoader", note="batch_sampler",
    call=lambda t: list(
        t.utils.data.DataLoader(
            squares(t, 6), batch_sampler=t.utils.data.BatchSampler(evens(t), batch_size=2, drop_last=False)
        )
    ),
)  # fmt: skip
for options in ({}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None}):
    row(
        "utils.data.IterableDataset", note=" ".join(map(str, options)) + str(options.get("batch_size")),
        call=lambda t, o=options: list(t.utils.data.DataLoader(stream(t, 7), **o)),
    )  # fmt: skip
row("utils.data.IterableDataset", call=lambda t: list(t.utils.data.DataLoader(stream(t, 0))), note="empty")
