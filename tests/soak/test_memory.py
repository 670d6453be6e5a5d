"""What a graph holds, what backward gives back, and what happens when there is not enough."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd, nn
from tinydl.autograd import primitives
from tinydl.nn import functional as F


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[0] - base
    tracemalloc.stop()


def with_peak(run: Callable[[], Any]) -> tuple[Any, int]:
    """What ``run`` gives, and the most bytes of Python's and NumPy's that it held at once."""
    tracemalloc.start()
    try:
        return run(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def chain(x: Any, steps: int) -> Any:
    h = x
    for k in range(steps):
        h = (h * (1.0 + 0.01 * k)).tanh()
    return h


def test_backward_frees_what_it_held(traced: Callable[[], int]) -> None:
    """Promised: 65 %. Measured: 98 % of 32 MB."""
    x = tinydl.tensor(np.linspace(-1, 1, 100_000), requires_grad=True)
    y = chain(x, 40).sum()
    held = traced()
    assert held > 30e6
    y.backward()
    after = traced() - x.grad.array.nbytes
    assert after < 0.35 * held, (after, held)
    assert y.grad_fn is not None  # the graph is still there: it is its arrays that are gone


def test_a_layer_stack_frees_too(traced: Callable[[], int]) -> None:
    model = nn.Sequential(*[layer for _ in range(6) for layer in (nn.Linear(256, 256), nn.ReLU(), nn.LayerNorm(256))])
    parameters = sum(p.array.nbytes for p in model.parameters())
    x = tinydl.ones(512, 256)
    F.mse_loss(model(x), x).backward()  # what compiling a kernel leaves in memory is not the graph's
    model.zero_grad()
    base = traced()
    loss = F.mse_loss(model(x), x)
    held = traced() - base
    loss.backward()
    after = traced() - base - parameters  # the gradients
    assert after < 0.35 * held, (after, held)


def test_a_chain_under_no_grad_holds_nothing() -> None:
    """Promised: under 64 MB. 10,000 steps on 1 MB; a graph would hold 10 GB."""
    x = tinydl.tensor(np.linspace(-1, 1, 131_072), requires_grad=True)

    def steps() -> Any:
        with tinydl.no_grad():
            h = x
            for _ in range(10_000):
                h = h * 1.0
        return h

    h, peak = with_peak(steps)
    assert h.node is None and peak < 64e6, peak


def test_detached_steps_hold_nothing(traced: Callable[[], int]) -> None:
    """Truncated backpropagation: detach cuts the history off."""
    h = tinydl.tensor(np.ones(100_000), requires_grad=True)
    for _ in range(50):
        h = (h * 1.01).tanh().detach().requires_grad_()
    assert traced() < 5e6


def test_a_gradient_holds_its_own_memory_alone(traced: Callable[[], int]) -> None:
    """What is computed for many at once is 4 MB; the gradient of three of them holds three numbers."""
    weights = tinydl.ones(1_000_003)
    for few in (
        lambda x: tinydl.cat([x, tinydl.ones(1_000_000)]), lambda x: tinydl.hstack((x, tinydl.ones(1_000_000))),
        lambda x: F.pad(x, (0, 1_000_000)),
    ):  # fmt: skip
        x = tinydl.ones(3, requires_grad=True)
        base = traced()
        (few(x) * weights).sum().backward()
        assert traced() - base < 1e6 and x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("shape", "other"), [((10**6,), (10**6,)), ((10**6,), (1000, 1000)), ((1000, 1000), (10**6,))])
def test_a_gradient_that_nobody_else_holds_is_not_copied(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    """Computed in one shape and kept in another, too: backward takes 4 MB and no more."""
    x, weights = tinydl.ones(*shape, requires_grad=True), tinydl.ones(*other)
    total = (x.reshape(other) * weights).sum()
    _, peak = with_peak(total.backward)
    assert peak < 6e6, peak
    assert x.grad.shape == shape and float(x.grad.sum()) == 10**6


# ------------------------------------------------------------------------------------------------------ out of memory

HUGE = 10**14  # elements: no machine has them
VAST: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "zeros": (lambda x: tinydl.zeros(HUGE), "zeros", r"400000000000000 bytes \(shape \(100000000000000,\), float32\)"),
    "ones of two sizes": (lambda x: tinydl.ones(10**8, 10**6), "ones", r"bytes \(shape \(100000000, 1000000\)"),
    "empty beyond all": (lambda x: tinydl.empty(10**18, 10**18), "empty", r"\(shape \(1000000000000000000, 10000000"),
    "full": (lambda x: tinydl.full((HUGE,), 1.0), "full", "400000000000000 bytes"),
    "a contiguous expansion": (lambda x: x.expand(HUGE, 3).contiguous(), "contiguous", r"bytes \(shape \(1000000000"),
    "a sum with an expansion": (lambda x: x.expand(HUGE, 3) + 1.0, "add", r"bytes \(shape \(100000000000000, 3\)"),
    "an exponential": (lambda x: x.expand(HUGE, 3).exp(), "exp", r"2400000000000000 bytes \(shape \(1000000"),
    "a product": (lambda x: x[:1].expand(10**8, 1) @ x[:1].expand(1, 10**7), "m", r"shapes given are \(100000000, 1\)"),
    "a concatenation": (lambda x: tinydl.cat([x.expand(HUGE, 3)] * 2), "concatenate", r"\(200000000000000, 3\)"),
    "a broadcast": (lambda x: x.reshape(3, 1).expand(3, 10**14) * x.reshape(3, 1), "mul", "2400000000000000 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", VAST)
def test_out_of_memory_names_operation_shape_and_bytes(name: str) -> None:
    make, operation, says = VAST[name]
    x = tinydl.ones(3, requires_grad=True, dtype=tinydl.float64)
    with pytest.raises(MemoryError, match=f"^{operation}.*: there is no memory for .*{says}|{says}") as caught:
        make(x)
    assert "\n" not in str(caught.value) and " bytes" in str(caught.value) and "shape" in str(caught.value)
    (x * x).sum().backward()  # the engine is as it was
    assert x.grad.tolist() == [2, 2, 2] and tinydl.is_grad_enabled()


@pytest.mark.parametrize("create_graph", [False, True])
def test_out_of_memory_in_backward(create_graph: bool) -> None:
    """The gradient of a small sum can be vast: it is the operation's backward that is named."""
    x = tinydl.ones(3, requires_grad=True, dtype=tinydl.float64)
    wide = x.expand(HUGE, 3)
    with pytest.raises(MemoryError, match=r"^mul: there is no memory for 2400000000000000 bytes \(shape \(100000000"):
        _Wide.apply(wide).backward(create_graph=create_graph)
    assert x.grad is None and tinydl.is_grad_enabled()
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


class _Wide(autograd.Function):
    """A sum whose gradient is only a view as large as its input, times itself."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x[0, 0] * 1

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g.expand(x.shape) * x


def test_a_process_with_little_memory_says_so_and_goes_on() -> None:
    """1 GB of address space is left: training a layer that needs more fails in one sentence, a smaller one trains."""
    pytest.importorskip("resource", reason="needs a POSIX system")
    code = """
import resource
import tinydl
from tinydl import nn
model = nn.Linear(64, 64)
x = tinydl.ones(8, 64)
model(x).sum().backward()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, -1))
try:
    h = tinydl.ones(2**16, 64)
    kept = []
    for _ in range(1000):
        h = model(h).exp()
        kept.append(h)
    print("no error")
except MemoryError as error:
    print(error)
del kept, h
model.zero_grad()
model(x).sum().backward()
print(tuple(model.weight.grad.shape))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    message, shape = done.stdout.strip().splitlines()
    assert "there is no memory for 16777216 bytes (shape (65536, 64), float32)" in message, message
    assert shape == "(64, 64)"


class _Lack(MemoryError):
    """An error that knows of what there was not enough, in part."""

    def __init__(self, **known: Any) -> None:
        super().__init__("Unable to allocate")
        self.__dict__.update(known)


@pytest.mark.parametrize(
    ("error", "size"),
    [
        (_Lack(shape=(3, 4), dtype=np.dtype(np.float32)), " for 48 bytes (shape (3, 4), float32)"),
        (_Lack(shape=(), dtype=np.dtype(np.int64)), " for 8 bytes (shape (), int64)"),
        (_Lack(shape=(3, 4)), ""),
        (_Lack(dtype=np.dtype(np.float32)), ""),
        (MemoryError(), ""),
    ],
    ids=["whole", "a number", "no dtype", "no shape", "nothing"],
)
def test_words_of_a_lack_of_memory(error: MemoryError, size: str) -> None:
    with pytest.raises(MemoryError) as caught:
        primitives._no_memory("op", (np.ones((2, 5)), 3.0, np.ones(()), None), error)
    assert str(caught.value) == f"op: there is no memory{size}; the shapes given are (2, 5), (); make them smaller"
    with pytest.raises(MemoryError) as again:
        primitives._no_memory("outer", (np.ones(3),), caught.value)
    assert again.value is caught.value  # said already
