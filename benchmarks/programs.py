"""The programs that are timed, written once: PyTorch's names are ours, so both libraries run the very same lines.

Each function takes the library, ``tinydl`` or ``torch``, and what differs between the two by right: the variant of
Adam. Weights and data come from NumPy, so that both compute the same losses, which the harness verifies.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.benchmarks.harness import Job

Library = Any  # the module tinydl or torch


def library(name: str, threads: int | None = None) -> Library:
    """Import tinydl or torch; a missing one raises ImportError, which the harness reports.

    threads: for torch, the size of its pool; on small work its default, all cores, only costs it time.
    """
    module = importlib.import_module(name)
    if threads is not None:
        module.set_num_threads(threads)
    return module


def same_weights(torch: Library, module: Any, seed: int = 0) -> None:
    """Fill every parameter with the same numbers in both libraries: U(-1/sqrt(n), 1/sqrt(n)), n the last dimension."""
    rng = np.random.default_rng(seed)
    state = module.state_dict()
    for key, value in state.items():
        shape = tuple(value.shape)
        bound = 1.0 / np.sqrt(shape[-1])
        state[key] = torch.from_numpy(rng.uniform(-bound, bound, shape).astype(np.float32))
    module.load_state_dict(state)


def train(torch: Library, module: Any, loss_of: Callable[[], Any], **adam: Any) -> Job:
    """The usual step: loss, zero_grad, backward, Adam; checked by the losses of its first five."""
    same_weights(torch, module)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, **adam)

    def step() -> None:
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    check = []
    for _ in range(5):
        check.append(float(loss_of().item()))
        step()
    return Job(step, check)


def mlp(torch: Library, **adam: Any) -> Job:
    """Linear(32, 64), tanh, Linear(64, 10), cross-entropy of a batch of 32."""
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.standard_normal((32, 32), dtype=np.float32))
    target = torch.from_numpy(rng.integers(0, 10, 32))
    net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10))
    return train(torch, net, lambda: torch.nn.functional.cross_entropy(net(x), target), **adam)


def lstm(torch: Library, **adam: Any) -> Job:
    """A next-frame piano-roll model: LSTM(88, 256) over T=64, B=32, Linear(256, 88), binary cross-entropy."""
    rng = np.random.default_rng(1)
    rolls = (rng.random((65, 32, 88)) < 0.05).astype(np.float32)
    x, target = torch.from_numpy(rolls[:-1]), torch.from_numpy(rolls[1:])
    net = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(88, 256), "out": torch.nn.Linear(256, 88)})

    def loss() -> Any:
        hidden, _ = net["lstm"](x)
        return torch.nn.functional.binary_cross_entropy_with_logits(net["out"](hidden), target)

    return train(torch, net, loss, **adam)
