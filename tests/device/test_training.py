"""Training on another device: each step is that of the CPU to rounding, and checkpoints cross."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import nn, optim
from tinydl.nn import functional as F

rng = np.random.default_rng(9)


class Reader(nn.Module):
    """An embedding, an LSTM, a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm, self.out = nn.Embedding(6, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 6)

    def forward(self, x: Any) -> Any:
        return self.out(self.lstm(self.words(x))[0][:, -1])


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 6)), rng.standard_normal((7, 5))
    ),
    "conv": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 6)
        ),
        rng.standard_normal((7, 1, 4, 4)),
    ),
    "lstm": (Reader, rng.integers(0, 6, (7, 4))),
}  # fmt: skip
TARGETS = rng.integers(0, 6, 7)

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "Adadelta": lambda p: optim.Adadelta(p),
    "Adamax": lambda p: optim.Adamax(p),
    "NAdam": lambda p: optim.NAdam(p),
    "RAdam": lambda p: optim.RAdam(p),
    "ASGD": lambda p: optim.ASGD(p),
    "Rprop": lambda p: optim.Rprop(p),
}


def trained(
    model: Any, x: Any, make: Callable[[Any], Any], device: str, steps: int = 4
) -> tuple[list[float], Any, Any]:
    """The losses, the model and the optimizer after some steps."""
    model = copy.deepcopy(model).double().to(device)
    optimizer, losses = make(model.parameters()), []
    tinydl.manual_seed(4)
    inputs, targets = tinydl.tensor(x, device=device), tinydl.tensor(TARGETS, device=device)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    assert all(p.device.type == device for p in model.parameters())
    return losses, model, optimizer


@pytest.mark.parametrize("name", list(MODELS))
def test_steps_are_those_of_the_cpu(name: str, device: str) -> None:
    make, x = MODELS[name]
    tinydl.manual_seed(1)
    model = make()
    there, here = (trained(model, x, OPTIMIZERS["Adam"], where) for where in (device, "cpu"))
    np.testing.assert_allclose(there[0], here[0], rtol=1e-9)
    for key, value in here[1].state_dict().items():
        np.testing.assert_allclose(there[1].state_dict()[key].cpu().numpy(), value.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_optimizer_steps_as_on_the_cpu(name: str, device: str) -> None:
    make, x = MODELS["mlp"]
    tinydl.manual_seed(1)
    model = make()
    there, here = (trained(model, x, OPTIMIZERS[name], where) for where in (device, "cpu"))
    np.testing.assert_allclose(there[0], here[0], rtol=1e-9)


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_crosses(first: str, second: str, device: str) -> None:
    make, x = MODELS["conv"]
    tinydl.manual_seed(1)
    _, model, optimizer = trained(make(), x, OPTIMIZERS["Adam"], first)
    file = io.BytesIO()
    tinydl.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    state = tinydl.load(file, map_location=second)
    assert all(t.device.type == second for t in state["model"].values())
    twin = make().double().to(second)
    twin.load_state_dict(state["model"])
    other = OPTIMIZERS["Adam"](twin.parameters())
    other.load_state_dict(state["optimizer"])
    for net, steps, where in ((model, optimizer, first), (twin, other, second)):
        steps.zero_grad()
        targets = tinydl.tensor(TARGETS, device=where)
        F.cross_entropy(net(tinydl.tensor(x, device=where)), targets).backward()
        steps.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().cpu().numpy(), rtol=1e-8, atol=1e-10)
