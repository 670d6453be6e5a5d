"""``tinydl.cuda``: the questions that scripts ask, on the stand-in; without a GPU they are answered with no."""

from __future__ import annotations

import gc

import pytest

import tinydl
from tinydl import cuda
from tinydl.lab import standin


def test_the_gpu_is_there(device: str) -> None:
    assert cuda.is_available() and cuda.is_initialized() and cuda.device_count() == 1 and cuda.current_device() == 0
    assert cuda.get_device_name() == "stand-in" and cuda.get_device_capability(0) == (9, 0)
    found = cuda.get_device_properties("cuda:0")
    assert (found.name, found.major, found.minor, found.multi_processor_count) == ("stand-in", 9, 0, 1)
    assert tinydl.accelerator.is_available() and tinydl.accelerator.current_accelerator() == device
    cuda.set_device(0)
    with cuda.device(0):
        pass
    for other in (1, "cuda:1"):
        with pytest.raises(RuntimeError, match="there is no device 'cuda:1': one GPU is used"):
            cuda.set_device(other)


def test_memory_is_counted(device: str) -> None:
    (tinydl.zeros(2, device=device) + 1).sum()
    gc.collect()
    before = cuda.memory_allocated()
    cuda.reset_peak_memory_stats()
    x = tinydl.zeros(1000, 1000, device=device)
    assert 4_000_000 <= cuda.memory_allocated() - before < 4_010_000
    view = x[10:]
    assert cuda.memory_allocated() - before < 4_010_000  # a view takes none
    assert cuda.max_memory_allocated() >= before + 4_000_000 and cuda.memory_reserved() >= 4_000_000
    assert cuda.max_memory_reserved() >= 4_000_000
    free, total = cuda.mem_get_info()
    assert 0 < free < total == cuda.get_device_properties().total_memory
    del x, view
    cuda.empty_cache()
    assert cuda.memory_allocated() < before + 10_000


def test_streams_and_events(device: str) -> None:
    first = cuda.current_stream()
    assert first == cuda.default_stream()
    side = cuda.Stream()
    assert side != first and len({side, first, cuda.default_stream()}) == 2
    begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
    begin.record()
    with cuda.stream(side):
        assert cuda.current_stream() == side
        side.wait_stream(first)
        x = tinydl.ones(3, device=device) * 2
    end.record(side)
    first.wait_event(end)
    end.wait()
    end.synchronize()
    assert cuda.current_stream() == first and begin.elapsed_time(end) >= 0 and end.query() and side.query()
    waits = standin.count.waits
    cuda.synchronize()
    side.synchronize()
    assert standin.count.waits == waits + 2 and x.tolist() == [2.0] * 3
    with pytest.raises(RuntimeError, match="InvalidResourceHandle"):
        cuda.Event().elapsed_time(end)


def test_one_generator_serves_all_devices(device: str) -> None:
    cuda.manual_seed(7)
    here = tinydl.rand(5).tolist()
    cuda.manual_seed_all(7)
    assert tinydl.rand(5, device=device).tolist() == here
    generator = tinydl.Generator(device=device)
    assert generator.device.type == device and generator.manual_seed(7) is generator
    assert tinydl.rand(5, generator=generator, device=device).tolist() == here
