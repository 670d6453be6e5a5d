"""The documents' own optimizers, which PyTorch has not: traces by the papers' formulas, and what they are good for."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import optim
from tinydl.nn import Parameter
from tinydl.random import Generator


def gradient(step: int) -> np.ndarray:
    return Generator(step).normal((4,), np.float64)


def trace(optimizer: Any, param: Parameter, steps: int = 10) -> list[np.ndarray]:
    found = []
    for step in range(steps):
        param.grad = tinydl.from_numpy(gradient(step))
        optimizer.step(lambda step=step: losses[step])
        found.append(param.array.copy())
    return found


losses = [2.0, 1.9, 2.5, 0.1, 0.1, 30.0, 1.0, 0.9, 0.8, 0.7]


def test_eve_by_the_papers_algorithm() -> None:
    lr, b1, b2, b3, eps, k, K = 0.1, 0.9, 0.99, 0.8, 1e-3, 0.1, 3.0
    param = Parameter(np.ones(4))
    optimizer = optim.Eve([param], lr=lr, betas=(b1, b2, b3), eps=eps, k=k, K=K)
    theta, m, v, d, smoothed = np.ones(4), np.zeros(4), np.zeros(4), 1.0, math.nan
    for t, got in enumerate(trace(optimizer, param), 1):
        g, f = gradient(t - 1), losses[t - 1]
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        if t > 1:
            low, high = (k + 1, K + 1) if f >= smoothed else (1 / (K + 1), 1 / (k + 1))
            c = min(max(low, f / smoothed), high)
            r = abs(c * smoothed - smoothed) / min(c * smoothed, smoothed)
            d, smoothed = b3 * d + (1 - b3) * r, c * smoothed
        else:
            smoothed = f
        theta = theta - lr * (m / (1 - b1**t)) / (d * np.sqrt(v / (1 - b2**t)) + eps)
        np.testing.assert_allclose(got, theta, rtol=1e-12, err_msg=f"step {t}")
    assert optimizer.param_groups[0]["d"] == pytest.approx(d, rel=1e-12)
    assert optimizer.param_groups[0]["loss"] == pytest.approx(smoothed, rel=1e-12)


def test_what_the_papers_take() -> None:
    """Kingma and Ba's rate and moments, for Eve with its third; Daskalakis et al. take Adam's."""
    p = [Parameter(np.ones(2))]
    eve, optimistic = optim.Eve(p).defaults, optim.OptimisticAdam(p).defaults
    assert (eve["lr"], eve["betas"], eve["eps"], eve["k"], eve["K"]) == (1e-3, (0.9, 0.999, 0.999), 1e-8, 0.1, 10.0)
    assert (optimistic["lr"], optimistic["betas"], optimistic["eps"]) == (1e-3, (0.9, 0.999), 1e-8)


def test_the_state_of_eve_is_plain_numbers() -> None:
    param = Parameter(np.ones(4))
    optimizer = optim.Eve([param])
    trace(optimizer, param, 3)
    groups = json.loads(json.dumps(optimizer.state_dict()["param_groups"]))
    other = optim.Eve([Parameter(np.ones(4))])
    other.load_state_dict({"state": optimizer.state_dict()["state"], "param_groups": groups})
    assert other.param_groups[0]["d"] == optimizer.param_groups[0]["d"] != 1.0
    assert other.param_groups[0]["loss"] == optimizer.param_groups[0]["loss"]


@pytest.mark.parametrize("loss", [0.0, -1.0, math.nan, math.inf])
def test_eve_refuses_a_loss_it_cannot_compare(loss: float) -> None:
    param = Parameter(np.ones(4))
    optimizer = optim.Eve([param])
    trace(optimizer, param, 2)
    before, group = param.array.copy(), dict(optimizer.param_groups[0])
    with pytest.raises(ValueError, match=f"Eve needs a positive finite loss, got {loss}"):
        optimizer.step(lambda: loss)
    with pytest.raises(TypeError, match="Eve.step needs the loss: pass a closure"):
        optimizer.step()
    np.testing.assert_array_equal(param.array, before)
    assert optimizer.param_groups[0] == group


def test_optimistic_adam_by_algorithm_1() -> None:
    lr, b1, b2, eps = 0.1, 0.5, 0.9, 1e-3
    param = Parameter(np.ones(4))
    optimizer = optim.OptimisticAdam([param], lr=lr, betas=(b1, b2), eps=eps)
    theta, m, v, last = np.ones(4), np.zeros(4), np.zeros(4), np.zeros(4)
    for t, got in enumerate(trace(optimizer, param), 1):
        g = gradient(t - 1)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        step = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        theta, last = theta - 2 * lr * step + lr * last, step
        np.testing.assert_allclose(got, theta, rtol=1e-12, err_msg=f"step {t}")


@pytest.mark.parametrize(("maximize", "sign"), [(True, 1), (False, -1)])
def test_optimistic_mirror_descent_by_its_formula(maximize: bool, sign: int) -> None:
    param, theta, last = Parameter(np.ones(4)), np.ones(4), np.zeros(4)
    for step, got in enumerate(trace(optim.OMD([param], lr=0.1, maximize=maximize), param)):
        theta, last = theta + sign * (0.2 * gradient(step) - 0.1 * last), gradient(step)
        np.testing.assert_allclose(got, theta, rtol=1e-12)


def play(build: Any, steps: int) -> float:
    """The distance from the equilibrium after playing min_x max_y x * y."""
    x, y = Parameter(np.array(0.5)), Parameter(np.array(0.5))
    optimizer = build([{"params": [x]}, {"params": [y], "maximize": True}])
    for _ in range(steps):
        optimizer.zero_grad()
        (x * y).backward()
        optimizer.step()
    return math.hypot(x.item(), y.item())


def test_the_bilinear_game_ends_for_optimists_alone() -> None:
    start = math.hypot(0.5, 0.5)
    assert play(lambda groups: optim.SGD(groups, lr=0.1), 1000) > 10 * start
    assert play(lambda groups: optim.OMD(groups, lr=0.1), 1000) < 0.01 * start
    assert play(lambda groups: optim.Adam(groups, lr=0.03, betas=(0.0, 0.999)), 2000) > 2 * start
    assert play(lambda groups: optim.OptimisticAdam(groups, lr=0.03, betas=(0.0, 0.999)), 2000) < 1e-9 * start


def test_amsgrad_mends_reddis_counter_example() -> None:
    """f_t(x) = 1010 x at every 101st step, else -10 x, on [-1, 1]: the best point is -1, Adam goes to +1."""
    ends = []
    for amsgrad in (False, True):
        x = Parameter(np.array(0.0))
        optimizer = optim.Adam([x], lr=0.05, betas=(0.9, 0.99), amsgrad=amsgrad)
        for t in range(20_000):
            x.grad = tinydl.tensor(1010.0 if t % 101 == 1 else -10.0, dtype=np.float64)
            optimizer.step()
            np.clip(x.array, -1, 1, out=x.array)
        ends.append(x.item())
    assert ends[0] > 0.9
    assert ends[1] < -0.5
