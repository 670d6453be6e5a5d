"""Batch-size schedules: batches grow, up to a bound, and rates take over from there."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tinydl
from tinydl import optim
from tinydl.nn import Parameter
from tinydl.optim.batch_scheduler import MultiStepBatchSize, StepBatchSize
from tinydl.utils.data import BatchSampler, BucketBatchSampler, DataLoader, SequentialSampler


def sgd(*rates: float) -> Any:
    return optim.SGD([{"params": Parameter(tinydl.ones(1)), "lr": rate} for rate in rates])


def test_batches_grow_at_milestones() -> None:
    loader = DataLoader(list(range(100)), batch_size=4, shuffle=True)
    schedule = MultiStepBatchSize(loader, [1, 3, 3], gamma=2)
    sizes = []
    for _ in range(5):
        batches = [len(batch) for batch in loader]
        sizes.append(batches[0])
        assert sum(batches) == 100
        assert len(loader) == len(batches)
        assert loader.batch_size == schedule.batch_size == sizes[-1]
        schedule.step()
    assert sizes == [4, 8, 8, 32, 32]


def test_what_is_left_at_the_bound_goes_to_the_rate() -> None:
    """100 -> 500 -> 2500, of which 1000 are allowed: the rate is divided by 2.5, and then by 5."""
    sampler, optimizer = BatchSampler(SequentialSampler(range(9999)), 100, False), sgd(1.0, 0.3)
    schedule = StepBatchSize(sampler, 2, gamma=5.0, max_batch_size=1000, optimizer=optimizer)
    seen = []
    for _ in range(7):
        seen.append((sampler.batch_size, optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"]))
        schedule.step()
    assert [size for size, _, _ in seen] == [100, 100, 500, 500, 1000, 1000, 1000]
    assert [rate for _, rate, _ in seen] == pytest.approx([1, 1, 1, 1, 0.4, 0.4, 0.08], rel=1e-12)
    assert [rate for _, _, rate in seen] == pytest.approx([0.3, 0.3, 0.3, 0.3, 0.12, 0.12, 0.024], rel=1e-12)


def test_reaching_the_bound_exactly_leaves_the_rate() -> None:
    sampler, optimizer = BatchSampler(SequentialSampler(range(99)), 2, False), sgd(1.0)
    schedule = StepBatchSize(sampler, 1, gamma=2, max_batch_size=8, optimizer=optimizer)
    for rate, size in ((1, 4), (1, 8), (0.5, 8)):
        schedule.step()
        assert (optimizer.param_groups[0]["lr"], sampler.batch_size) == (rate, size)


def test_the_state_is_plain_and_resumes() -> None:
    def make() -> tuple[Any, Any]:
        sampler = BucketBatchSampler([3, 4, 5] * 40, 3)
        return sampler, MultiStepBatchSize(sampler, [2, 4], gamma=3)

    sampler, schedule = make()
    for _ in range(3):
        schedule.step()
    state = json.loads(json.dumps(schedule.state_dict()))
    other, resumed = make()
    resumed.load_state_dict(state)
    assert other.batch_size == sampler.batch_size == 9
    for _ in range(2):
        schedule.step()
        resumed.step()
        assert other.batch_size == sampler.batch_size
    assert sampler.batch_size == 27
    with pytest.raises(ValueError, match="batch_size should be a positive integer, but got 0"):
        resumed.load_state_dict({"last_epoch": 1, "batch_size": 0})
    assert other.batch_size == 27


def test_a_gamma_below_two_grows_slowly_and_one_not_at_all() -> None:
    for gamma, sizes in ((1, [4, 4]), (1.5, [6, 9])):
        for schedule in (StepBatchSize, MultiStepBatchSize):
            sampler = BatchSampler(SequentialSampler(range(99)), 4, False)
            made = schedule(sampler, 1, gamma) if schedule is StepBatchSize else schedule(sampler, [1, 2], gamma)
            for size in sizes:
                made.step()
                assert sampler.batch_size == made.batch_size == size


def test_refused() -> None:
    loader = DataLoader([1, 2, 3], batch_size=2)
    with pytest.raises(TypeError, match="a list has no batch size: give a DataLoader or a batch sampler"):
        StepBatchSize([1, 2], 3)
    with pytest.raises(TypeError, match="a DataLoader has no batch size"):
        StepBatchSize(DataLoader([1, 2, 3], batch_size=None), 3)
    with pytest.raises(ValueError, match="gamma should be 1 or more, got 0.5"):
        MultiStepBatchSize(loader, [3], gamma=0.5)
    with pytest.raises(ValueError, match="gamma should be 1 or more, got 0.5"):
        StepBatchSize(loader, 3, gamma=0.5)
    with pytest.raises(ValueError, match="StepBatchSize needs a step_size of 1 or more, got 0"):
        StepBatchSize(loader, 0)
    with pytest.raises(ValueError, match="max_batch_size is 1, but batches have 2 items already"):
        StepBatchSize(loader, 1, max_batch_size=1)
