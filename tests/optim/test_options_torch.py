"""Every option of every optimizer at and around its bounds: PyTorch and we refuse it, or step to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

NUMBERS = [-1.0, -0.1, 0.0, 0.1, 0.5, 0.9, 1.0, 1.5, 2.0]
RATES: dict[str, list[Any]] = {"lr": NUMBERS, "weight_decay": NUMBERS, "maximize": [False, True]}
BETAS = [(a, b) for a in (-0.1, 0.0, 0.5, 0.9, 1.0, 1.1) for b in (-0.1, 0.0, 0.5, 0.999, 1.0, 1.1)]
ADAM: dict[str, list[Any]] = {**RATES, "betas": BETAS, "eps": NUMBERS}
OPTIONS: dict[str, dict[str, list[Any]]] = {
    "SGD": {**RATES, "momentum": NUMBERS, "dampening": NUMBERS, "nesterov": [False, True]},
    "Adam": {**ADAM, "amsgrad": [False, True]},
    "AdamW": {**ADAM, "amsgrad": [False, True]},
    "NAdam": {**ADAM, "momentum_decay": NUMBERS, "decoupled_weight_decay": [False, True]},
    "RAdam": {**ADAM, "decoupled_weight_decay": [False, True]},
    "Adamax": ADAM,
    "Adadelta": {**RATES, "rho": NUMBERS, "eps": NUMBERS},
    "Adagrad": {**RATES, "lr_decay": NUMBERS, "initial_accumulator_value": NUMBERS, "eps": NUMBERS},
    "ASGD": {**RATES, "lambd": NUMBERS, "alpha": NUMBERS, "t0": [0.0, 1.0, 2.0, 3.0]},
    "RMSprop": {**RATES, "alpha": NUMBERS, "eps": NUMBERS, "momentum": NUMBERS, "centered": [False, True]},
    "Rprop": {
        "lr": NUMBERS, "maximize": [False, True],
        "etas": [(a, b) for a in (-0.1, 0.0, 0.5, 1.0, 1.2) for b in (0.5, 1.0, 1.2, 2.0)],
        "step_sizes": [(1e-6, 50), (0.0, 0.2), (0.3, 0.2), (0.1, 0.1), (0.2, 0.4)],
    },
    "LBFGS": {"lr": NUMBERS, "history_size": [1, 2], "max_iter": [0, 1, 2, 5], "max_eval": [1, 2, 5]},
}  # fmt: skip
#: Bounds that PyTorch does not look at, or that are refused here and not there.
OURS = {
    ("SGD", "momentum"), ("NAdam", "momentum_decay"), ("ASGD", "lambd"), ("ASGD", "alpha"), ("RMSprop", "alpha"),
    ("Rprop", "step_sizes"),
}  # fmt: skip
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("SGD", "dampening"): {"momentum": 0.9},
    ("SGD", "nesterov"): {"momentum": 0.9},
    ("RMSprop", "centered"): {"momentum": 0.5},
}
CASES = [(name, option) for name, options in OPTIONS.items() for option in options]


def stepped(library: Any, name: str, options: dict[str, Any]) -> Any:
    """The parameter after four steps, or the error."""
    p = library.nn.Parameter(library.tensor([1.5, -0.5, 0.25], dtype=library.float64))
    try:
        optimizer = getattr(library.optim, name)([p], **options)
    except ValueError as error:
        return error

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((p - 1) ** 4).sum() + (p * p).sum()
        loss.backward()
        return loss

    for _ in range(4):
        optimizer.step(closure)
    return np.array(p.tolist())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "option"), CASES, ids=[f"{n}-{o}" for n, o in CASES])
def test_an_option_at_its_bounds(name: str, option: str) -> None:
    for value in OPTIONS[name][option]:
        options = {**({} if name == "LBFGS" else {"lr": 0.05}), **BESIDE.get((name, option), {}), option: value}
        got, wanted = stepped(tinydl, name, options), stepped(torch, name, options)
        if isinstance(got, Exception) and (name, option) in OURS:
            continue
        assert isinstance(got, Exception) == isinstance(wanted, Exception), f"{option}={value}: {got}, {wanted}"
        if not isinstance(got, Exception):
            np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-9, err_msg=f"{option}={value}")
