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


def dense_nade(torch: Library, x: Any, b: Any, c: Any, w: Any, v: Any) -> Any:
    """log p(x) as the paper writes it, 88 states: x bool [N, P], b [N, P], c [N, D], w and v [P, D] -> [N]."""
    a, log_prob = c, 0
    for i in range(x.shape[1]):
        z = b[:, i] + torch.sigmoid(a) @ v[i]
        log_prob = log_prob - torch.nn.functional.softplus(torch.where(x[:, i], -z, z))
        a = a + x[:, i : i + 1] * w[i]
    return log_prob


def lstm_nade(torch: Library, nade: Callable[..., Any], **adam: Any) -> Job:
    """RNN-NADE: LSTM(88, 256) over T=64, B=32; the biases of a NADE of 128 units by Linear; four notes a frame.

    nade: computes log p of frames, as :func:`dense_nade` does.
    """
    rng = np.random.default_rng(1)
    rolls = np.zeros((65, 32, 88), bool)
    np.put_along_axis(rolls, rng.random(rolls.shape).argpartition(4, axis=2)[:, :, :4], True, axis=2)
    past, x = torch.from_numpy(rolls[:-1].astype(np.float32)), torch.from_numpy(rolls[1:].reshape(-1, 88))
    net = torch.nn.ModuleDict(
        {
            "lstm": torch.nn.LSTM(88, 256),
            "b": torch.nn.Linear(256, 88),
            "c": torch.nn.Linear(256, 128),
            "w": torch.nn.Linear(128, 88, bias=False),
            "v": torch.nn.Linear(128, 88, bias=False),
        }
    )

    def loss() -> Any:
        h = net["lstm"](past)[0].reshape(-1, 256)
        return -nade(x, net["b"](h), net["c"](h), net["w"].weight, net["v"].weight).mean()

    return train(torch, net, loss, **adam)
