"""Data sets, samplers, collation and the loader: order, resuming, workers, errors."""

import json
import multiprocessing
import os
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinydl
from tinydl.random import Generator
from tinydl.utils.data import (
    BatchSampler,
    BucketBatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
    random_split,
)


class Squares(Dataset):
    """Item i is i squared; some items fail on request. At the top level, so that a spawned worker can unpickle it."""

    def __init__(self, size, failing=None, error=ValueError, deadly=None):
        self.size, self.failing, self.error, self.deadly = size, failing, error, deadly

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index == self.failing:
            raise self.error("no such square")
        if index == self.deadly:
            os._exit(7)
        return index * index


class Noise(Squares):
    def __getitem__(self, index):
        return tinydl.default_generator.random((2,))


class WhoAmI(Squares):
    def __getitem__(self, index):
        info = get_worker_info()
        return info.id, info.num_workers, len(info.dataset), info.seed


class TwoPart(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)


class FailsOddly(Squares):
    def __getitem__(self, index):
        raise TwoPart(3, "odd")


def mark_worker(worker):
    tinydl.marked = worker


def worker_of(batch):
    return getattr(tinydl, "marked", None), sorted(batch)


def values(loader):
    return [batch.tolist() for batch in loader]


# --------------------------------------------------------------------------------------------------------- data sets


def test_tensor_dataset():
    x, y = tinydl.arange(6).reshape(3, 2), tinydl.tensor([5, 6, 7])
    dataset = TensorDataset(x, y)
    assert len(dataset) == 3
    assert [part.tolist() for part in dataset[1]] == [[2, 3], 6]
    with pytest.raises(ValueError, match=r"tensor 0 has shape \(3, 2\) and tensor 1 has shape \(2,\)"):
        TensorDataset(x, tinydl.zeros(2))
    with pytest.raises(ValueError, match="tensor 0 is a scalar"):
        TensorDataset(tinydl.tensor(1.0))


def test_subset_and_concatenation():
    both = Squares(3) + Subset(Squares(10), [9, 7])
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(len(both))] == [0, 1, 4, 81, 49]
    assert both[-1] == 49
    with pytest.raises(IndexError, match="index 5 is out of range for a ConcatDataset of length 5"):
        both[5]


def test_random_split():
    parts = random_split(Squares(10), [0.75, 0.25], Generator(1))
    assert [len(part) for part in parts] == [8, 2]
    assert sorted(part.indices[i] for part in parts for i in range(len(part))) == list(range(10))
    again = random_split(Squares(10), [8, 2], Generator(1))
    assert [part.indices for part in again] == [part.indices for part in parts]
    with pytest.raises(ValueError, match="do not add up to the 10 items"):
        random_split(Squares(10), [8, 3])


# ---------------------------------------------------------------------------------------------------------- samplers


@given(
    size=st.integers(0, 40),
    batch=st.integers(1, 9),
    drop=st.booleans(),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_every_sampler_visits_everything_once(size, batch, drop, seed, epoch):
    lengths = [(7 * i) % 11 for i in range(size)]
    samplers = [
        BatchSampler(SequentialSampler(range(size)), batch, drop),
        BatchSampler(RandomSampler(range(size), generator=Generator(seed)), batch, drop),
        BucketBatchSampler(lengths, batch, drop_last=drop, window=2, generator=Generator(seed)),
        BucketBatchSampler(lengths, batch, shuffle=False, drop_last=drop),
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert batches == list(sampler)  # a function of seed and epoch
        assert len(batches) == len(sampler)
        visited = [index for indices in batches for index in indices]
        assert len(set(visited)) == len(visited) == (size - size % batch if drop else size)
        assert set(visited) <= set(range(size))
        assert sum(len(indices) < batch for indices in batches) <= 1


def test_orders_differ_between_epochs_and_seeds():
    orders = set()
    for seed in (0, 1):
        sampler = RandomSampler(range(20), generator=Generator(seed))
        for epoch in (0, 1, 2):
            sampler.set_epoch(epoch)
            orders.add(tuple(sampler))
    assert len(orders) == 6
    generator = Generator(0)
    sampler = RandomSampler(range(20), generator=generator)
    list(sampler)
    assert generator.state()["counter"] == 0  # nothing is drawn from it


def test_random_sampler_options():
    assert len(list(RandomSampler(range(3), num_samples=8))) == 8
    draws = list(RandomSampler(range(3), replacement=True, num_samples=300, generator=Generator(2)))
    assert set(draws) == {0, 1, 2}
    assert len(list(RandomSampler([], num_samples=3))) == 0
    with pytest.raises(ValueError, match="num_samples=0"):
        RandomSampler(range(3), num_samples=0)


def test_buckets_hold_alike_lengths():
    lengths = np.random.default_rng(0).integers(1, 1000, 2000)

    def padding(sampler):
        return sum(max(lengths[batch]) * len(batch) - sum(lengths[batch]) for batch in sampler)

    bucketed = padding(BucketBatchSampler(lengths, 16, generator=Generator(0)))
    assert bucketed < 0.05 * padding(BatchSampler(RandomSampler(lengths, generator=Generator(0)), 16))
    sizes = [lengths[batch].max() for batch in BucketBatchSampler(lengths, 16, generator=Generator(0))]
    assert sizes != sorted(sizes)  # the batches themselves come in random order
    with pytest.raises(ValueError, match=r"array of shape \(2, 2\)"):
        BucketBatchSampler(np.zeros((2, 2)), 4)
    with pytest.raises(ValueError, match="batch_size=0"):
        BucketBatchSampler([1], 0)


# ---------------------------------------------------------------------------------------------------------- collation


class Pair(NamedTuple):
    left: object
    right: object


def test_collation_by_type():
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([1.0, 2.0]).dtype == np.float64
    assert default_collate([True, False]).dtype == np.bool_
    assert default_collate([np.float32(1), np.float32(2)]).dtype == np.float32
    assert default_collate(["a", "b"]) == ["a", "b"]
    assert default_collate([tinydl.zeros(2), tinydl.ones(2)]).tolist() == [[0, 0], [1, 1]]
    assert default_collate([np.zeros(2, np.float32)] * 3).shape == (3, 2)
    mixed = default_collate([{"x": [1, 2], "y": Pair(1.0, "p")}, {"x": [3, 4], "y": Pair(2.0, "q")}])
    assert [column.tolist() for column in mixed["x"]] == [[1, 3], [2, 4]]
    assert isinstance(mixed["y"], Pair)
    assert mixed["y"].left.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([tinydl.zeros(2), tinydl.zeros(3)], ValueError, r"\(2,\) at entry 0 and \(3,\) at entry 1: pad them"),
        ([[1], [1, 2]], ValueError, "entry 0 has 1 and entry 1 has 2"),
        ([{1}, {2}], TypeError, "cannot batch items of type set"),
    ],
)
def test_collation_errors(batch, error, message):
    with pytest.raises(error, match=message):
        default_collate(batch)


# ------------------------------------------------------------------------------------------------------------- loader


def test_batches_in_order():
    assert values(DataLoader(Squares(5), 2)) == [[0, 1], [4, 9], [16]]
    assert values(DataLoader(Squares(5), 2, drop_last=True)) == [[0, 1], [4, 9]]
    assert list(DataLoader(Squares(3), None)) == [0, 1, 4]
    assert list(DataLoader(Squares(4), 2, collate_fn=sum)) == [1, 13]
    assert values(DataLoader(Squares(4), batch_sampler=[[3], [0, 1]])) == [[9], [0, 1]]
    assert values(DataLoader(Squares(4), 3, sampler=[3, 2, 1])) == [[9, 4, 1]]
    loader = DataLoader(TensorDataset(tinydl.arange(4), tinydl.ones(4, 3)), 4)
    assert [part.shape for part in next(iter(loader))] == [(4,), (4, 3)]
    assert len(DataLoader(Squares(5), 2)) == 3


def test_each_pass_is_an_epoch_of_its_own():
    loader = DataLoader(Squares(30), 4, shuffle=True, generator=Generator(3))
    first, second = values(loader), values(loader)
    assert first != second
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == [i * i for i in range(30)]
    loader.set_epoch(0)
    assert values(loader) == first
    other = DataLoader(Squares(30), 4, shuffle=True, generator=Generator(3))
    other.set_epoch(1)
    assert values(other) == second
    for _ in other:
        break  # left before its end: the next pass is a new epoch all the same
    loader.set_epoch(3)
    assert values(other) == values(loader)


@pytest.mark.parametrize("stop", [0, 1, 3, 7, 8, 11])
def test_resuming_gives_the_next_batch(stop):
    """``stop`` batches in, the state goes to a loader in another process, as it were."""

    def fresh(seed):
        sampler = BucketBatchSampler([i % 5 for i in range(29)], 4, generator=Generator(seed))
        return DataLoader(Squares(29), batch_sampler=sampler)

    def endless(loader):
        while True:
            yield from loader

    loader = fresh(5)
    stream = endless(loader)
    for _ in range(stop):
        next(stream)
    state = loader.state_dict()
    wanted = [next(stream).tolist() for _ in range(12)]
    resumed = fresh(99)  # the seed is part of the state
    resumed.load_state_dict(state)
    stream = endless(resumed)
    assert [next(stream).tolist() for _ in range(12)] == wanted


def test_state_after_a_whole_pass_and_of_other_data():
    loader = DataLoader(Squares(6), 2, shuffle=True)
    values(loader)
    state = loader.state_dict()
    assert (state["epoch"], state["position"], state["batches"]) == (1, 0, 3)
    assert json.loads(json.dumps(state)) == state
    with pytest.raises(ValueError, match="has 4 batches an epoch, but the state is of one with 3"):
        DataLoader(Squares(8), 2).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -1}, "num_workers=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"timeout": -1}, "timeout=-1"),
        ({"persistent_workers": True}, "set num_workers > 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor=0"),
        ({"sampler": [0], "shuffle": True}, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "mutually exclusive with batch_size"),
        ({"batch_size": None, "drop_last": True}, "disables batching"),
    ],
)
def test_options_that_contradict(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Squares(4), **options)


def test_workers_give_the_same_batches_in_the_same_order_and_end():
    alone = DataLoader(Squares(23), 3, shuffle=True, generator=Generator(1))
    loader = DataLoader(Squares(23), 3, shuffle=True, generator=Generator(1), num_workers=2, persistent_workers=True)
    assert values(loader) == values(alone)
    pids = {child.pid for child in multiprocessing.active_children()}
    assert len(pids) == 2
    assert values(loader) == values(alone)  # the second epoch, in the same processes
    assert {child.pid for child in multiprocessing.active_children()} == pids
    for batch in loader:
        assert batch.tolist() == next(iter(alone)).tolist()
        break
    assert multiprocessing.active_children() == []
    state = loader.state_dict()
    resumed = DataLoader(Squares(23), 3, shuffle=True, generator=Generator(8), num_workers=1)
    resumed.load_state_dict(state)
    alone.set_epoch(2)
    assert values(resumed) == values(alone)[1:]
    assert multiprocessing.active_children() == []


def test_worker_init_and_random_numbers_do_not_depend_on_workers():
    loader = DataLoader(Squares(4), 1, num_workers=2, collate_fn=worker_of, worker_init_fn=mark_worker)
    assert list(loader) == [(0, [0]), (1, [1]), (0, [4]), (1, [9])]
    draws = [
        [batch.tolist() for batch in DataLoader(Noise(6), 2, num_workers=n, generator=Generator(4))] for n in (1, 2)
    ]
    assert draws[0] == draws[1]
    assert len({str(batch) for batch in draws[0]}) == 3


def test_a_worker_knows_which_it_is():
    assert get_worker_info() is None
    (one, two) = DataLoader(WhoAmI(2), None, num_workers=2, generator=Generator(1))
    assert (one[:3], two[:3]) == ((0, 2, 2), (1, 2, 2)) and one[3] != two[3]


def test_a_subset_in_random_order_is_another_one_each_epoch():
    sampler = SubsetRandomSampler([5, 9, 2, 7, 1, 8], generator=Generator(3))
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1] and sorted(orders[0]) == sorted(orders[1]) == [1, 2, 5, 7, 8, 9]


def test_errors_of_workers_come_back_in_one_sentence():
    loader = DataLoader(Squares(8, failing=5), 2, num_workers=1)
    got = []
    with pytest.raises(
        ValueError, match=r"^DataLoader worker 0 failed on item 5: ValueError: no such square$"
    ) as caught:
        for batch in loader:
            got.append(batch.tolist())
    assert got == [[0, 1], [4, 9]]
    assert "in __getitem__" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match=r"failed on item 0: TwoPart: \(3, 'odd'\)"):
        list(DataLoader(FailsOddly(2), num_workers=1))
    with pytest.raises(TypeError, match=r"failed on collating items \[0, 1\]"):
        list(DataLoader(Squares(2), 2, num_workers=1, collate_fn=abs))
    assert multiprocessing.active_children() == []


def test_a_worker_that_dies_is_noticed():
    with pytest.raises(RuntimeError, match=r"DataLoader worker 0 \(pid \d+\) exited unexpectedly with code 7"):
        list(DataLoader(Squares(4, deadly=1), 2, num_workers=1))


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(TypeError, match="must be picklable, but .*lambda"):
        list(DataLoader(Squares(4), 2, num_workers=1, collate_fn=lambda batch: batch))


def test_without_workers_errors_keep_their_type_and_traceback():
    with pytest.raises(KeyError, match="no such square"):
        values(DataLoader(Squares(3, failing=2, error=KeyError)))


# --------------------------------------------------------------------------------------- streams and weighted samplers


class Stream(IterableDataset):
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        return iter(range(self.size))


class Counted(Stream):
    def __len__(self):
        return self.size


def test_a_stream_is_batched_as_it_comes_and_can_be_resumed():
    loader = DataLoader(Counted(7), batch_size=3)
    assert values(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3 and len(DataLoader(Counted(7), batch_size=3, drop_last=True)) == 2
    assert list(DataLoader(Counted(3), batch_size=None)) == [0, 1, 2] and len(DataLoader(Counted(3), None)) == 3
    passing = iter(loader)
    next(passing)
    state = json.loads(json.dumps(loader.state_dict()))
    rest = [batch.tolist() for batch in passing]
    other = DataLoader(Counted(7), batch_size=3)
    other.load_state_dict(state)
    assert values(other) == rest == [[3, 4, 5], [6]]
    assert values(other) == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(
    ("misuse", "error", "message"),
    [
        (lambda: DataLoader(Stream(3), shuffle=True), ValueError, "expected unspecified shuffle option, but got shuff"),
        (lambda: DataLoader(Stream(3), sampler=[0]), ValueError, "expected unspecified sampler option"),
        (lambda: DataLoader(Stream(3), batch_sampler=[[0]]), ValueError, "expected unspecified batch_sampler option"),
        (lambda: DataLoader(Stream(3), num_workers=2), ValueError, "num_workers should be 0, but got num_workers=2"),
        (lambda: DataLoader(Stream(3), batch_size=0), ValueError, "positive integer value, but got batch_size=0"),
        (lambda: len(DataLoader(Stream(3))), TypeError, "Stream is an IterableDataset without __len__"),
        (lambda: Stream(3)[0], TypeError, "an IterableDataset has no items by index"),
        (lambda: next(iter(IterableDataset())), NotImplementedError, "should implement __iter__"),
        (lambda: WeightedRandomSampler([1.0], 0), ValueError, "positive integer value, but got num_samples=0"),
        (lambda: WeightedRandomSampler([1.0, -1.0], 1), ValueError, "numbers of 0 or more, finite and not all 0"),
        (lambda: WeightedRandomSampler([0.0], 1), ValueError, "numbers of 0 or more, finite and not all 0"),
        (
            lambda: WeightedRandomSampler([[1.0]], 1),
            ValueError,
            r"one number per item, but got an array of shape \(1, 1",
        ),
        (
            lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False),
            ValueError,
            "2 different indices cannot be drawn from 1 weights that are not 0",
        ),
    ],
)
def test_streams_and_weights_that_make_no_sense(misuse, error, message):
    with pytest.raises(error, match=message):
        misuse()


def test_weighted_sampling_has_the_promised_frequencies():
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    sampler = WeightedRandomSampler(weights, 40_000, generator=Generator(3))
    drawn = np.array(list(sampler))
    assert list(sampler) == drawn.tolist()  # a function of seed and epoch
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / len(drawn), weights / 8, atol=0.013)
    sampler.set_epoch(1)
    assert list(sampler) != drawn.tolist()
    pairs = WeightedRandomSampler(weights, 2, replacement=False, generator=Generator(3))
    first = []
    for epoch in range(4000):
        pairs.set_epoch(epoch)
        a, b = pairs
        assert a != b and 1 not in (a, b)
        first.append(a)
    np.testing.assert_allclose(np.bincount(first, minlength=4) / 4000, weights / 8, atol=0.035)
