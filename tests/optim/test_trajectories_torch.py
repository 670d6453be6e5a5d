"""The same paths as PyTorch's optimizers: twenty steps, option by option, interrupted twice.

At one step each library goes on from its own saved state, at another from the other's. Gradients are given, change sign
and size, and are missing in some steps.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import optim
from tinydl.nn import Parameter
from tinydl.random import Generator

torch = pytest.importorskip("torch", reason="the differential tests compare with PyTorch")

Options = dict[str, Any]


def options(**choices: tuple[Any, ...]) -> list[Options]:
    """All combinations."""
    return [dict(zip(choices, chosen)) for chosen in itertools.product(*choices.values())]


SIGN, DECAY = (False, True), (0, 0.1)
BETAS = ((0.9, 0.999), (0.5, 0.8))
CASES: list[tuple[str, Options]] = [
    (name, chosen)
    for name, several in {
        "SGD": [
            chosen
            for chosen in options(
                lr=(0.1,), momentum=(0, 0.9), dampening=(0, 0.3), weight_decay=DECAY, nesterov=SIGN, maximize=SIGN
            )
            if not chosen["nesterov"] or (chosen["momentum"] and not chosen["dampening"])
        ],
        "Adam": options(lr=(0.03,), betas=BETAS, eps=(1e-8, 1e-3), weight_decay=DECAY, amsgrad=SIGN, maximize=SIGN),
        "AdamW": options(lr=(0.03,), betas=BETAS, weight_decay=DECAY, amsgrad=SIGN, maximize=SIGN),
        "RMSprop": options(
            lr=(0.03,), alpha=(0.99, 0.7), weight_decay=DECAY, momentum=(0, 0.8), centered=SIGN, maximize=SIGN
        ),
        "Adagrad": options(
            lr=(0.1,), lr_decay=(0, 0.2), weight_decay=DECAY, initial_accumulator_value=(0, 0.5), maximize=SIGN
        ),
        "Adadelta": options(lr=(1.0, 0.3), rho=(0.9, 0.5), eps=(1e-6, 1e-2), weight_decay=DECAY, maximize=SIGN),
        "Adamax": options(lr=(0.03,), betas=BETAS, eps=(1e-8, 1e-2), weight_decay=DECAY, maximize=SIGN),
        "NAdam": options(
            lr=(0.03,), betas=BETAS, weight_decay=DECAY, momentum_decay=(4e-3, 0.3), decoupled_weight_decay=SIGN,
            maximize=SIGN,
        ),
        "RAdam": options(lr=(0.03,), betas=BETAS, weight_decay=DECAY, decoupled_weight_decay=SIGN, maximize=SIGN),
        "ASGD": options(
            lr=(0.1,), lambd=(1e-4, 0.2), alpha=(0.75, 0.4), t0=(1e6, 3), weight_decay=DECAY, maximize=SIGN
        ),
        "Rprop": options(
            lr=(0.01, 0.3), etas=((0.5, 1.2), (0.3, 2)), step_sizes=((1e-6, 50), (0.1, 0.4)), maximize=SIGN
        ),
    }.items()
    for chosen in several
]  # fmt: skip
NAMES = list(dict.fromkeys(name for name, _ in CASES))
SHAPES = [(5, 3), (7,), (), (0, 2)]
OWN, OTHER = 7, 13  # the steps before which states are loaded


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


def translated(state: Any, library: Any) -> Any:
    """The state with its tensors copied into those of ``library``."""
    if isinstance(state, dict):
        return {name: translated(value, library) for name, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(translated(value, library) for value in state)
    if isinstance(state, (tinydl.Tensor, torch.Tensor)):
        return library.tensor(np.array(state.detach().numpy()))
    return state


def layout(state: Any) -> Any:
    """The state with a shape and dtype for each tensor."""
    if isinstance(state, dict):
        return {name: layout(value) for name, value in state.items()}
    if isinstance(state, (tinydl.Tensor, torch.Tensor)):
        return tuple(state.shape), str(state.dtype).rpartition(".")[2]
    return state


def assert_close(ours: list[Parameter], theirs: list[Any], tolerance: float, step: int) -> None:
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(
            mine.array, other.detach().numpy(), rtol=tolerance, atol=tolerance, err_msg=f"after step {step}"
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "chosen"), CASES, ids=str)
def test_twenty_steps(name: str, chosen: Options, dtype: Any) -> None:
    if name == "RMSprop" and chosen["centered"] and dtype == np.float32:
        chosen = {**chosen, "eps": 1e-2}  # v - a*a nearly cancels at first: its rounding would be all that is seen
    tolerance = 3e-6 if dtype == np.float32 else 1e-12
    if name == "NAdam" and dtype == np.float64:
        tolerance = 1e-6  # PyTorch keeps mu_product in float32, but loads it as float64
    ours, theirs = pair(dtype)
    mine, other = getattr(optim, name)(ours, **chosen), getattr(torch.optim, name)(theirs, **chosen)
    for step in range(20):
        if step in (OWN, OTHER):
            mine_state, other_state = copy.deepcopy(mine.state_dict()), copy.deepcopy(other.state_dict())
            assert layout(mine_state["param_groups"]) == layout(other_state["param_groups"])
            if step == OWN:  # later PyTorch's numbers beside "step" have taken the parameter's dtype
                assert layout(mine_state["state"]) == layout(other_state["state"])
            else:
                mine_state, other_state = translated(other_state, tinydl), translated(mine_state, torch)
            mine, other = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
            mine.load_state_dict(mine_state)
            other.load_state_dict(other_state)
        give_gradients(ours, theirs, step)
        mine.step()
        other.step()
        assert_close(ours, theirs, tolerance, step)


@pytest.mark.parametrize("name", [*NAMES, "LBFGS"])
def test_signatures_and_defaults(name: str) -> None:
    ours, theirs = pair(np.float32)
    mine, other = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
    assert mine.state_dict()["param_groups"] == other.state_dict()["param_groups"]
    assert mine.defaults == other.defaults
    assert layout(mine.state_dict()["state"]) == layout(other.state_dict()["state"])


# --- LBFGS: its gradients are those of a function -------------------------------------------------------------------


def objective(library: Any, p: Any, q: Any) -> Any:
    """Convex, of fourth degree, with the two parameters coupled."""
    c = np.array([1.0, 3.0, 0.2]).astype(str(p.dtype).rpartition(".")[2])
    w = library.tensor(c)
    return ((p * w - 1) ** 2).sum() + 0.1 * (p**4).sum() + 0.5 * ((q - p.sum()) ** 2).sum() + (q**4).sum() * 0.05


def closure(library: Any, optimizer: Any, params: list[Any], calls: dict[Any, int] | None = None) -> Any:
    def evaluate() -> Any:
        if calls is not None:
            calls[library] += 1
        optimizer.zero_grad()
        loss = objective(library, *params)
        loss.backward()
        return loss

    return evaluate


def lbfgs_pair(dtype: Any) -> tuple[list[Parameter], list[Any]]:
    start = [np.array([-1.5, 0.7, 2.0], dtype), np.array([[2.0, -1.0], [0.3, -0.4]], dtype)]
    return [Parameter(a.copy()) for a in start], [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in start]


LBFGS: list[Options] = [
    {"lr": 0.1, "max_iter": 3},
    {"lr": 0.05, "max_iter": 4, "history_size": 2},
    {"lr": 0.1, "max_iter": 20, "tolerance_grad": 0.5},
    {"max_iter": 3, "line_search_fn": "strong_wolfe"},
    {"lr": 20.0, "max_iter": 2, "line_search_fn": "strong_wolfe"},
    {"lr": 0.5, "max_iter": 5, "max_eval": 3, "line_search_fn": "strong_wolfe"},
    # the last two not in float32, where the cubic of a tiny step, or the last change of a loss, is rounding alone
    {"lr": 0.003, "max_iter": 2, "history_size": 3, "line_search_fn": "strong_wolfe"},
    {"max_iter": 20, "tolerance_change": 1e-3, "line_search_fn": "strong_wolfe"},
]
#: In float64 alone: one iteration or evaluation a step, one pair, steps of 0. ``near`` begins so close to the minimum
#: that the gradients add up to less than 1.
LBFGS_MORE: list[Options] = [
    {"lr": 0.1, "max_iter": 1},
    {"lr": 0.1, "max_iter": 2, "history_size": 1},
    {"lr": 0.1, "max_iter": 6, "max_eval": 1},
    {"lr": 0.1, "max_iter": 6, "max_eval": 2},
    {"lr": 0.1, "max_iter": 6, "max_eval": 1, "line_search_fn": "strong_wolfe"},
    {"lr": 0.0, "max_iter": 3},
    {"lr": 0.0, "max_iter": 4, "tolerance_change": 0.0},
    {"lr": 0.1, "max_iter": 30, "tolerance_change": 0.02},
    {"lr": 0.1, "max_iter": 30, "tolerance_grad": 1.0},
    {"lr": 0.1, "max_iter": 30, "tolerance_change": 3.0},
    {"near": True, "lr": 0.8, "max_iter": 1},
    {"near": True, "lr": 0.8, "max_iter": 4},
    {"near": True, "max_iter": 4, "line_search_fn": "strong_wolfe"},
    {"near": True, "max_iter": 4, "tolerance_grad": 10.0},
]
LBFGS_CASES = [(chosen, np.float64) for chosen in LBFGS] + [(chosen, np.float32) for chosen in LBFGS[:-2]]


@pytest.mark.parametrize(("chosen", "dtype"), LBFGS_CASES, ids=str)
def test_lbfgs(chosen: Options, dtype: Any) -> None:
    ours, theirs = lbfgs_pair(dtype)
    mine, other = optim.LBFGS(ours, **chosen), torch.optim.LBFGS(theirs, **chosen)
    calls: dict[Any, int] = {tinydl: 0, torch: 0}
    # rounding grows from one curvature estimate to the next; float32 ends where differences of losses are noise
    tolerance, steps = (2e-3, 5) if dtype == np.float32 else (1e-7, 8)
    for step in range(steps):
        if step in (2, 4):
            mine_state, other_state = copy.deepcopy(mine.state_dict()), copy.deepcopy(other.state_dict())
            assert set(mine_state["state"][0]) == set(other_state["state"][0])
            if step == 4:
                mine_state, other_state = translated(other_state, tinydl), translated(mine_state, torch)
            mine, other = optim.LBFGS(ours), torch.optim.LBFGS(theirs)
            mine.load_state_dict(mine_state)
            other.load_state_dict(other_state)
        losses = mine.step(closure(tinydl, mine, ours, calls)), other.step(closure(torch, other, theirs, calls))
        np.testing.assert_allclose(losses[0].item(), losses[1].item(), rtol=tolerance)
        assert_close(ours, theirs, tolerance, step)
        assert calls[tinydl] == calls[torch], f"evaluations up to step {step}"


def same_state(got: Any, wanted: Any, what: str) -> None:
    """Numbers, tensors, lists of them and None."""
    if isinstance(wanted, list):
        assert len(got) == len(wanted), what
        for k, (a, b) in enumerate(zip(got, wanted)):
            same_state(a, b, f"{what} {k}")
    elif wanted is None or isinstance(wanted, int):
        assert got == wanted, f"{what}: {got}, expected {wanted}"
    else:
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=1e-6, atol=1e-9, err_msg=what)


@pytest.mark.parametrize("chosen", [*LBFGS, *LBFGS_MORE], ids=str)
def test_the_state_of_lbfgs(chosen: Options) -> None:
    """After each of six steps: counts, directions, step sizes, pairs, the loss before; and the parameters."""
    chosen = dict(chosen)
    ours, theirs = lbfgs_pair(np.float64)
    if chosen.pop("near", False):
        for p, z in zip(ours, theirs):
            start = np.array([0.6, 0.3, 0.4] if p.ndim == 1 else [[1.0, 0.9], [1.0, 0.9]])
            p.array[...] = start
            z.data.copy_(torch.from_numpy(start))
    mine, other = optim.LBFGS(ours, **chosen), torch.optim.LBFGS(theirs, **chosen)
    for step in range(6):
        mine.step(closure(tinydl, mine, ours))
        other.step(closure(torch, other, theirs))
        state, wanted = mine.state[ours[0]], other.state[theirs[0]]
        assert set(state) == set(wanted), step
        for name in wanted:
            same_state(state[name], wanted[name], f"{name} after step {step}")
        assert_close(ours, theirs, 1e-7, step)


def test_lbfgs_counts_a_parameter_without_gradient_as_flat() -> None:
    (p, q), (a, b) = lbfgs_pair(np.float64)
    mine, other = optim.LBFGS([p, q], lr=0.1, max_iter=3), torch.optim.LBFGS([a, b], lr=0.1, max_iter=3)
    for step in range(3):
        mine.step(lambda: (mine.zero_grad(), (loss := (p**2).sum()).backward(), loss)[-1])
        other.step(lambda: (other.zero_grad(), (loss := (a**2).sum()).backward(), loss)[-1])
        assert_close([p, q], [a, b], 1e-7, step)


def test_lbfgs_stops_where_nothing_is_left_to_go() -> None:
    """The first step of length 1 ends in the minimum: a gradient of exactly 0 is no larger than a tolerance of 0."""
    found = []
    for library in (tinydl, torch):
        p = library.nn.Parameter(library.tensor([1.0, 0.0], dtype=library.float64))
        optimizer = library.optim.LBFGS([p], tolerance_grad=0.0, tolerance_change=0.0)
        for _ in range(2):
            optimizer.step(lambda o=optimizer, p=p: (o.zero_grad(), (loss := (p * p).sum() / 2).backward(), loss)[-1])
        state = optimizer.state[p]
        found.append((p.tolist(), state["n_iter"], state["func_evals"]))
    assert found[0] == found[1] and found[0][:2] == ([0.0, 0.0], 1)


def test_lbfgs_resumes_with_the_same_bits() -> None:
    """Row 13 of the list of promises, for LBFGS: stopped before any step of twelve."""

    def run(stop: int | None, line_search: str | None) -> list[np.ndarray]:
        params, _ = lbfgs_pair(np.float32)
        optimizer = optim.LBFGS(params, lr=0.1, max_iter=2, history_size=3, line_search_fn=line_search)
        for step in range(12):
            if step == stop:
                state = copy.deepcopy(optimizer.state_dict())
                params = [Parameter(p.array.copy()) for p in params]
                optimizer = optim.LBFGS(params)
                optimizer.load_state_dict(state)

            optimizer.step(closure(tinydl, optimizer, params))
        return [p.array for p in params]

    for line_search in (None, "strong_wolfe"):
        whole = run(None, line_search)
        for stop in range(12):
            for got, wanted in zip(run(stop, line_search), whole):
                np.testing.assert_array_equal(got, wanted)


def test_lbfgs_refuses() -> None:
    (p, q), _ = lbfgs_pair(np.float64)
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported, got line_search_fn='armijo'"):
        optim.LBFGS([p], line_search_fn="armijo")
    with pytest.raises(ValueError, match="LBFGS doesn't support per-parameter options"):
        optim.LBFGS([p]).add_param_group({"params": [q]})
    with pytest.raises(TypeError, match="needs a closure"):
        optim.LBFGS([p]).step()
    with pytest.raises(ValueError, match="Invalid history_size value: 0"):
        optim.LBFGS([p], history_size=0)
    optimizer = optim.LBFGS([p, q])
    optimizer.step(lambda: (objective(tinydl, p, q), objective(tinydl, p, q).backward())[0])
    state = optimizer.state_dict()
    other = optim.LBFGS([p])
    for name, value in {"d": tinydl.ones(7), "old_dirs": [tinydl.ones(7)]}.items():
        groups = other.state_dict()["param_groups"]
        with pytest.raises(ValueError, match=rf"'{name}' of parameter 0 has shape \(7,\), but the parameters have 3"):
            other.load_state_dict(
                {
                    "state": {
                        0: {
                            **state["state"][0],
                            "d": None,
                            "old_dirs": None,
                            "old_stps": None,
                            "prev_flat_grad": None,
                            name: value,
                        }
                    },
                    "param_groups": groups,
                }
            )
        assert not other.state
