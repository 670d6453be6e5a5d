"""The same trajectories as PyTorch's optimizers, option by option, and states that load in both directions."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import optim
from tinydl.nn import Parameter
from tinydl.nn.utils import clip_grad_norm_, clip_grad_value_
from tinydl.random import Generator

torch = pytest.importorskip("torch", reason="the differential tests compare with PyTorch")

CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        ("SGD", {"lr": 0.1, "momentum": m, "dampening": d, "weight_decay": w, "nesterov": n, "maximize": x})
        for m, d, w, n, x in itertools.product((0, 0.9), (0, 0.3), (0, 0.1), (False, True), (False, True))
        if not n or (m and not d)
    ),
    *(
        (name, {"lr": 0.03, "betas": b, "eps": e, "weight_decay": w, "amsgrad": a, "maximize": x})
        for name, (b, e), w, a, x in itertools.product(
            ("Adam", "AdamW"), (((0.9, 0.999), 1e-8), ((0.5, 0.8), 1e-3)), (0, 0.1), (False, True), (False, True)
        )
    ),
    *(
        ("RMSprop", {"lr": 0.03, "alpha": al, "weight_decay": w, "momentum": m, "centered": c, "maximize": x})
        for al, w, m, c, x in itertools.product((0.99, 0.7), (0, 0.1), (0, 0.8), (False, True), (False, True))
    ),
]
SHAPES = [(5, 3), (7,), (), (0, 2)]


def pair(dtype: Any) -> tuple[list[Parameter], list[Any]]:
    start = [Generator(i).normal(shape, dtype) for i, shape in enumerate(SHAPES)]
    return [Parameter(a.copy()) for a in start], [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in start]


def give_gradients(ours: list[Parameter], theirs: list[Any], step: int) -> None:
    """Gradients that change sign and size; one parameter is skipped now and then."""
    for i, (mine, other) in enumerate(zip(ours, theirs)):
        gradient = Generator(100 * step + i).normal(mine.shape, mine.dtype) * np.asarray(1.3 ** (step % 5), mine.dtype)
        skip = (step + i) % 6 == 0
        mine.grad = None if skip else tinydl.from_numpy(np.array(gradient))
        other.grad = None if skip else torch.from_numpy(np.array(gradient))


def assert_close(ours: list[Parameter], theirs: list[Any], dtype: Any) -> None:
    for mine, other in zip(ours, theirs):
        tolerance = {"rtol": 3e-6, "atol": 3e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}
        np.testing.assert_allclose(mine.data, other.detach().numpy(), **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_twenty_steps(name: str, options: dict[str, Any], dtype: Any) -> None:
    if name == "RMSprop" and options["centered"] and dtype == np.float32:
        options = {**options, "eps": 1e-2}  # v - a*a nearly cancels at first: its rounding would be all that is seen
    ours, theirs = pair(dtype)
    mine, other = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(20):
        give_gradients(ours, theirs, step)
        mine.step()
        other.step()
        assert_close(ours, theirs, dtype)
    assert {n: set(s) for n, s in mine.state_dict()["state"].items()} == {
        n: set(s) for n, s in other.state_dict()["state"].items()
    }


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_signatures_defaults_and_groups(name: str) -> None:
    ours, theirs = pair(np.float32)
    mine, other = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
    assert mine.state_dict()["param_groups"] == other.state_dict()["param_groups"]
    assert mine.defaults == other.defaults


@pytest.mark.parametrize(("name", "options"), [
    ("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"amsgrad": True}), ("AdamW", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "eps": 1e-2}),
])  # fmt: skip
def test_states_swap_both_ways(name: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(np.float64)
    mine, other = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for step in range(4):
        give_gradients(ours, theirs, step)
        mine.step()
        other.step()
    mine_next, other_next = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
    ours_state, theirs_state = mine.state_dict(), other.state_dict()
    mine_next.load_state_dict({
        **theirs_state,
        "state": {n: {k: v.numpy().copy() for k, v in s.items()} for n, s in theirs_state["state"].items()},
    })
    other_next.load_state_dict({
        **ours_state,
        "state": {n: {k: torch.tensor(v.numpy()) for k, v in s.items()} for n, s in ours_state["state"].items()},
    })
    for step in range(4, 9):
        give_gradients(ours, theirs, step)
        mine_next.step()
        other_next.step()
        assert_close(ours, theirs, np.float64)


def schedules(module: Any, optimizer: Any) -> dict[str, Any]:
    lr = module.lr_scheduler
    return {
        "StepLR": lambda: lr.StepLR(optimizer, 7, gamma=0.3),
        "MultiStepLR": lambda: lr.MultiStepLR(optimizer, [3, 11, 11, 30], gamma=0.5),
        "ConstantLR": lambda: lr.ConstantLR(optimizer, factor=0.25, total_iters=6),
        "LinearLR": lambda: lr.LinearLR(optimizer, start_factor=0.01, end_factor=0.9, total_iters=13),
        "ExponentialLR": lambda: lr.ExponentialLR(optimizer, 0.9),
        "LambdaLR": lambda: lr.LambdaLR(optimizer, [lambda t: 1 / (1 + t), lambda t: 0.9**t]),
        "CosineAnnealingLR": lambda: lr.CosineAnnealingLR(optimizer, 12, eta_min=0.001),
        "SequentialLR": lambda: lr.SequentialLR(
            optimizer,
            [lr.LinearLR(optimizer, 0.1, total_iters=5), lr.CosineAnnealingLR(optimizer, 20), lr.StepLR(optimizer, 4)],
            [5, 30],
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(schedules(optim, None)))
@pytest.mark.filterwarnings("ignore:Detected call of")
def test_schedules_over_fifty_steps(name: str) -> None:
    ours, theirs = pair(np.float64)
    mine = optim.SGD([{"params": ours[:2]}, {"params": ours[2:], "lr": 0.4}], lr=0.1)
    other = torch.optim.SGD([{"params": theirs[:2]}, {"params": theirs[2:], "lr": 0.4}], lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedule, reference = schedules(optim, mine)[name](), schedules(torch.optim, other)[name]()
        for _ in range(50):
            np.testing.assert_allclose(
                [g["lr"] for g in mine.param_groups], [g["lr"] for g in other.param_groups], rtol=1e-12
            )
            assert schedule.get_last_lr() == [g["lr"] for g in mine.param_groups]
            assert schedule.last_epoch == reference.last_epoch
            schedule.step()
            reference.step()


@pytest.mark.parametrize("options", [
    {},
    {"mode": "max", "patience": 2},
    {"patience": 1, "cooldown": 3, "factor": 0.5},
    {"patience": 0, "min_lr": [0.01, 0.02]},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 1, "mode": "max", "threshold_mode": "abs", "eps": 0.03},
], ids=str)  # fmt: skip
def test_reduce_on_plateau_over_fifty_steps(options: dict[str, Any]) -> None:
    ours, theirs = pair(np.float64)
    mine = optim.SGD([{"params": ours[:2]}, {"params": ours[2:], "lr": 0.4}], lr=0.1)
    other = torch.optim.SGD([{"params": theirs[:2]}, {"params": theirs[2:], "lr": 0.4}], lr=0.1)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(mine, **options)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    metrics = 1.0 + 0.3 * np.round(Generator(3).normal(50, np.float64), 1)
    for metric in metrics.tolist():
        schedule.step(metric)
        reference.step(metric)
        assert [g["lr"] for g in mine.param_groups] == [g["lr"] for g in other.param_groups]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_grad_norm(norm_type: float, max_norm: float, dtype: Any) -> None:
    ours, theirs = pair(dtype)
    give_gradients(ours, theirs, 1)
    theirs[3].grad = None  # PyTorch cannot take the largest of no elements
    ours[0].grad = tinydl.from_numpy(np.asfortranarray(ours[0].grad.data))
    norm = clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert norm.dtype == dtype
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=2e-6)
    for mine, other in zip(ours, theirs):
        if other.grad is not None:
            np.testing.assert_allclose(mine.grad.data, other.grad.numpy(), rtol=3e-6, atol=1e-9)


def test_clip_grad_value() -> None:
    ours, theirs = pair(np.float32)
    give_gradients(ours, theirs, 1)
    clip_grad_value_(ours, 0.4)
    torch.nn.utils.clip_grad_value_(theirs, 0.4)
    for mine, other in zip(ours, theirs):
        if mine.grad is not None:
            np.testing.assert_array_equal(mine.grad.data, other.grad.numpy())


@pytest.mark.parametrize(
    "nonlinearity", ["linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains(nonlinearity: str) -> None:
    from tinydl.nn import init

    assert init.calculate_gain(nonlinearity) == torch.nn.init.calculate_gain(nonlinearity)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
