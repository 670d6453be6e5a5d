"""With the cyclic collector off: nothing is left over by training, evaluation, second order and the rest."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd, nn, optim
from tinydl.nn import functional as F
from tinydl.utils.checkpoint import checkpoint
from tinydl.utils.data import DataLoader, TensorDataset

BYTES, OBJECTS = 2000, 0.5  # an iteration


def growth(step: Callable[[], Any], iterations: int = 50, warm: int = 20) -> tuple[float, float]:
    """Bytes and objects that an iteration leaves behind when nobody collects cycles."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(warm):
            step()
        tracemalloc.start()
        step()
        objects, bytes_ = len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
        for _ in range(iterations):
            step()
        more = len(gc.get_objects()) - objects
        grown = tracemalloc.get_traced_memory()[0] - bytes_
        tracemalloc.stop()
    finally:
        gc.enable()
        gc.collect()
    return grown / iterations, more / iterations


def batch() -> tuple[tinydl.Tensor, tinydl.Tensor]:
    rng = np.random.default_rng(0)
    return tinydl.tensor(rng.standard_normal((8, 6)).astype(np.float32)), tinydl.tensor(rng.integers(0, 3, 8))


def classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.LayerNorm(16), nn.Dropout(0.1), nn.Linear(16, 3))


def training(make: Callable[[Any], Any]) -> Callable[[], Any]:
    model = classifier()
    optimizer, (x, y) = make(model.parameters()), batch()
    schedule = optim.lr_scheduler.StepLR(optimizer, 10)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    return step


def recurrent() -> Callable[[], Any]:
    model = nn.LSTM(6, 8)
    x = tinydl.tensor(np.random.default_rng(0).standard_normal((5, 4, 6)).astype(np.float32))

    def step() -> None:
        model.zero_grad()
        out, _ = model(x)
        out.sum().backward()

    return step


def evaluation() -> Callable[[], Any]:
    model, (x, y) = classifier().eval(), batch()

    def step() -> float:
        with tinydl.no_grad():
            return float((model(x).argmax(1) == y).float().mean())

    return step


def evaluation_while_recording() -> Callable[[], Any]:
    model, (x, _) = classifier().eval(), batch()
    return lambda: model(x).sum()  # a graph that nobody walks


def second_order() -> Callable[[], Any]:
    model, (x, _) = classifier(), batch()

    def step() -> None:
        model.zero_grad()
        z = x.detach().requires_grad_()
        (g,) = autograd.grad(model(z).tanh().sum(), z, create_graph=True)
        ((g * g).sum(1).sqrt() - 1).square().mean().backward()

    return step


def functional() -> Callable[[], Any]:
    x = tinydl.ones(4)
    return lambda: (
        autograd.functional.hessian(lambda v: (v**3).sum() * v.sum(), x),
        autograd.functional.jvp(lambda v: v.exp() * v.sum(), x, x),
    )


def everything_else() -> Callable[[], Any]:
    """Hooks, views, recorded changes in place, a user's Function, a checkpoint, a graph given up half-way."""

    class Cube(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x * x * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, _ = ctx.saved_tensors
            return g * 3 * x * x

    w = tinydl.ones(6, requires_grad=True)

    def step() -> None:
        w.grad = None
        h = Cube.apply(w * 2)
        h.register_hook(lambda g: g * 2)
        h.retain_grad()
        h += w
        h[1:3] = h[0] * 3
        k = checkpoint(lambda v: v.exp().sin(), h.reshape(2, 3))
        try:
            (k @ k).sum().backward()  # shapes do not fit
        except RuntimeError:
            pass
        (k * k.detach()).sum().backward(retain_graph=True)
        with autograd.detect_anomaly():
            (w * w).sum().backward()

    return step


def loading() -> Callable[[], Any]:
    x, y = batch()
    loader = DataLoader(TensorDataset(x, y), batch_size=3, shuffle=True)
    return lambda: [a.sum() for a, _ in loader]


STEPS: dict[str, Callable[[], Callable[[], Any]]] = {
    "SGD": lambda: training(lambda p: optim.SGD(p, lr=0.01, momentum=0.9)),
    "Adam": lambda: training(lambda p: optim.Adam(p, lr=0.01)),
    "recurrent": recurrent,
    "evaluation": evaluation,
    "evaluation while recording": evaluation_while_recording,
    "second order": second_order,
    "functional": functional,
    "everything else": everything_else,
    "loading": loading,
}


@pytest.mark.parametrize("name", STEPS)
def test_an_iteration_leaves_nothing_behind(name: str) -> None:
    bytes_, objects = growth(STEPS[name]())
    assert bytes_ < BYTES and objects < OBJECTS, f"{bytes_:.0f} bytes and {objects:.2f} objects an iteration"


def test_a_planted_cycle_is_flagged() -> None:
    """The test would see the smallest leak: a node that can be reached from the tensor that it made."""
    w = tinydl.ones(300, requires_grad=True)

    def step() -> None:
        y = w * 2
        y.grad_fn.extra = {"a cycle": y}

    bytes_, objects = growth(step)
    assert bytes_ > BYTES / 2 and objects > OBJECTS, (bytes_, objects)
    gc.collect()
