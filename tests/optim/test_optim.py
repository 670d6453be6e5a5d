"""Optimizers through their public face: semantics, state, resuming, refusals. No PyTorch needed."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import optim
from tinydl.kernels import use
from tinydl.nn import Parameter
from tinydl.random import Generator

OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "SGD momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "SGD Nesterov": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.01),
    "Adam amsgrad": lambda params: optim.Adam(params, lr=0.01, amsgrad=True, weight_decay=0.1, maximize=True),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.01),
    "RMSprop centered": lambda params: optim.RMSprop(params, lr=0.01, centered=True, momentum=0.5),
    "Adagrad": lambda params: optim.Adagrad(params, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.3),
    "Adadelta": lambda params: optim.Adadelta(params, rho=0.8, weight_decay=0.1),
    "Adamax": lambda params: optim.Adamax(params, lr=0.01),
    "NAdam": lambda params: optim.NAdam(params, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda params: optim.RAdam(params, lr=0.01, betas=(0.9, 0.99)),
    "ASGD": lambda params: optim.ASGD(params, lr=0.1, lambd=0.01, t0=3),
    "Rprop": lambda params: optim.Rprop(params),
    "OMD": lambda params: optim.OMD(params, lr=0.1),
    "OptimisticAdam": lambda params: optim.OptimisticAdam(params, lr=0.01),
    "Eve": lambda params: optim.Eve(params, lr=0.01),
}
# The rate of Eve's parameters hangs on the loss of every step, whether they have a gradient or not.
LOCAL = [name for name in OPTIMIZERS if name != "Eve"]
SHAPES = [(3, 4), (5,), (), (0, 2), (1,)]


def parameters(dtype: Any = np.float32, seed: int = 0) -> list[Parameter]:
    return [Parameter(Generator(seed + i).normal(shape, dtype)) for i, shape in enumerate(SHAPES)]


def give_gradients(params: list[Parameter], step: int, skip: tuple[int, ...] = ()) -> None:
    for i, param in enumerate(params):
        gradient = tinydl.from_numpy(Generator(1000 * step + i).normal(param.shape, param.dtype))
        param.grad = None if i in skip else gradient


def step_on(optimizer: Any, number: int) -> None:
    """A step in which the loss, which Eve looks at, goes up and down."""
    optimizer.step(lambda: 1.0 + 0.5 * (number % 3))


def values(params: list[Parameter]) -> list[np.ndarray]:
    return [param.array.copy() for param in params]


def assert_same(ours: Any, theirs: Any) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_numpy_kernels_walk_the_same_path(name: str, dtype: Any) -> None:
    ours, theirs = parameters(dtype), parameters(dtype)
    one, other = OPTIMIZERS[name](ours), OPTIMIZERS[name](theirs)
    for step in range(5):
        give_gradients(ours, step, skip=(step % 5,))
        give_gradients(theirs, step, skip=(step % 5,))
        step_on(one, step)
        with use(**{one._op: "numpy"}):
            step_on(other, step)
        assert_same(values(ours), values(theirs))


@pytest.mark.parametrize("name", LOCAL)
def test_a_parameter_without_gradient_is_left_alone(name: str) -> None:
    """It keeps its value, its moments and its own count of steps: as if the skipped steps had never been."""
    params, alone = parameters(), parameters()
    optimizer, reference = OPTIMIZERS[name](params), OPTIMIZERS[name]([alone[0]])
    for step in range(6):
        skipped = step in (0, 3)
        before, versions = params[0].array.copy(), params[0].cell()[0]
        give_gradients(params, step, skip=(0,) if skipped else ())
        optimizer.step()
        assert params[0].cell()[0] - versions == (0 if skipped else 1)
        if skipped:
            np.testing.assert_array_equal(params[0].array, before)
            assert step or name == "Adagrad" or params[0] not in optimizer.state
        else:
            give_gradients(alone, step)
            reference.step()
    np.testing.assert_array_equal(params[0].array, alone[0].array)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_strided_parameters_and_gradients_take_the_same_steps(name: str) -> None:
    plain, strided = parameters(), parameters()
    memory = np.zeros((8, 9), np.float32)
    strided[0].array = memory[6:0:-2, ::3]  # 3 x 3, with a negative stride
    plain[0].array = strided[0].array.copy()
    one, other = OPTIMIZERS[name](plain), OPTIMIZERS[name](strided)
    for step in range(4):
        give_gradients(plain, step)
        give_gradients(strided, step)
        for param in strided:
            param.grad = tinydl.from_numpy(param.grad.array.copy(order="F"))
        step_on(one, step)
        step_on(other, step)
    assert_same(values(plain), values(strided))
    assert memory[6:0:-2, ::3].all()
    assert np.count_nonzero(memory) == 9


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_bound_to_new_memory_goes_on_with_its_moments(name: str) -> None:
    params, others = parameters(), parameters()
    optimizer, reference = OPTIMIZERS[name](params), OPTIMIZERS[name](others)
    for step in range(4):
        give_gradients(params, step)
        give_gradients(others, step)
        old = params[0].array
        params[0].array = old.copy()
        step_on(optimizer, step)
        step_on(reference, step)
        assert not np.shares_memory(old, params[0].array)
    assert_same(values(params), values(others))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resuming_from_a_state_dict_gives_the_same_bits(name: str, dtype: Any) -> None:
    """Row 13 of the list of promises, for the optimizer: stopped before any step of twelve."""
    unbroken = parameters(dtype)
    whole = OPTIMIZERS[name](unbroken)
    for step in range(12):
        give_gradients(unbroken, step, skip=(1,) if step < 4 else ())
        step_on(whole, step)
    for stop in range(12):
        params = parameters(dtype)
        optimizer = OPTIMIZERS[name](params)
        for step in range(12):
            if step == stop:
                saved = copy.deepcopy(optimizer.state_dict())
                params = [Parameter(value) for value in values(params)]
                optimizer = OPTIMIZERS[name](params)
                optimizer.load_state_dict(saved)
            give_gradients(params, step, skip=(1,) if step < 4 else ())
            step_on(optimizer, step)
        assert_same(values(params), values(unbroken))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_of_an_optimizer_are_independent(name: str, duplicate: Any) -> None:
    params = parameters()
    optimizer = OPTIMIZERS[name](params)
    give_gradients(params, 0)
    step_on(optimizer, 0)
    twin_params, twin = duplicate((params, optimizer))
    for step in (1, 2):
        give_gradients(params, step)
        step_on(optimizer, step)
    middle = values(twin_params)
    for step in (1, 2):
        give_gradients(twin_params, step)
        step_on(twin, step)
    assert any(not np.array_equal(a, b) for a, b in zip(middle, values(twin_params)))
    assert_same(values(params), values(twin_params))


def test_state_dict_has_pytorchs_layout() -> None:
    params = parameters()
    optimizer = optim.Adam([{"params": params[:2]}, {"params": params[2:], "lr": 0.5}], amsgrad=True)
    give_gradients(params, 0, skip=(1,))
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2, 3, 4]]
    assert [group["lr"] for group in state["param_groups"]] == [1e-3, 0.5]
    assert sorted(state["state"]) == [0, 2, 3, 4]
    entry = state["state"][0]
    assert list(entry) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    assert entry["step"].item() == 1.0
    assert entry["step"].shape == ()
    assert entry["exp_avg"].shape == (3, 4)
    np.testing.assert_allclose(entry["exp_avg"].numpy(), 0.1 * params[0].grad.numpy(), rtol=1e-6)
    json.dumps(state["param_groups"])


def test_loading_takes_text_keys_other_dtypes_and_copies() -> None:
    params, others = parameters(), parameters(np.float64)
    optimizer, wide = optim.Adam(params), optim.Adam(others)
    give_gradients(params, 0)
    optimizer.step()
    state = optimizer.state_dict()
    wide.load_state_dict({**state, "state": {str(number): entry for number, entry in state["state"].items()}})
    assert wide.state[others[0]]["exp_avg"].dtype == np.float64
    give_gradients(others, 1)
    wide.step()
    assert wide.state[others[0]]["step"].item() == 2
    assert optimizer.state[params[0]]["step"].item() == 1
    assert wide.state[others[0]]["exp_avg"].dtype == np.float64


def test_state_written_in_place_is_what_the_next_step_reads() -> None:
    (param,) = parameters()[:1]
    optimizer = optim.SGD([param], lr=1.0, momentum=0.5)
    give_gradients([param], 0)
    optimizer.step()
    optimizer.state[param]["momentum_buffer"].array[...] = 8.0
    before = param.array.copy()
    param.grad = tinydl.zeros(3, 4)
    optimizer.step()
    np.testing.assert_array_equal(param.array, before - np.float32(4.0))


def test_options_changed_between_steps_count() -> None:
    params, others = parameters(), parameters()
    plain = optim.SGD(params, lr=0.5)
    give_gradients(params, 0)
    plain.step()
    plain.param_groups[0].update(lr=0.25, momentum=0.5, dampening=0.9, weight_decay=0.1)
    fresh = optim.SGD(others, lr=0.25, momentum=0.5, dampening=0.9, weight_decay=0.1)
    for param, other in zip(params, others):
        other.array[...] = param.array
    for step in (1, 2):
        give_gradients(params, step)
        give_gradients(others, step)
        plain.step()
        fresh.step()
    assert_same(values(params), values(others))


def test_groups_and_dtypes_mix() -> None:
    singles, doubles = parameters(), parameters(np.float64, seed=50)
    mixed = optim.Adam([{"params": [singles[0], doubles[0]], "lr": 0.1}, {"params": [doubles[1], singles[1]]}], lr=0.01)
    copies = [Parameter(p.array.copy()) for p in (singles[0], doubles[0], doubles[1], singles[1])]
    separate = [optim.Adam([p], lr=lr) for p, lr in zip(copies, (0.1, 0.1, 0.01, 0.01))]
    joint = [singles[0], doubles[0], doubles[1], singles[1]]
    for step in range(3):
        give_gradients(joint, step)
        give_gradients(copies, step)
        mixed.step()
        for optimizer in separate:
            optimizer.step()
    assert_same(values(joint), values(copies))
    late = Parameter(np.ones(3, np.float32))
    mixed.add_param_group({"params": late, "lr": 1.0})
    give_gradients([*joint, late], 9)
    mixed.step()
    assert mixed.state[late]["step"].item() == 1
    assert mixed.state[joint[0]]["step"].item() == 4


def test_tied_parameters_move_once() -> None:
    shared = Parameter(np.array([1.0, 2.0], np.float32))
    optimizer = optim.SGD([shared], lr=1.0)
    (shared * shared + 3 * shared).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(shared.array, [1.0 - 5.0, 2.0 - 7.0])


def test_a_step_makes_graphs_that_saved_the_old_values_fail_loudly() -> None:
    param = Parameter(np.ones(3, np.float32))
    optimizer = optim.SGD([param], lr=1.0)
    loss = (param * param).sum()
    param.grad = tinydl.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError):
        loss.backward()


def test_zero_grad() -> None:
    params = parameters()
    optimizer = optim.Adam(params)
    give_gradients(params, 0, skip=(1,))
    memory = params[0].grad.array
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad.array is memory
    assert not memory.any()
    assert params[1].grad is None
    optimizer.zero_grad()
    assert all(param.grad is None for param in params)


def test_closure() -> None:
    param = Parameter(np.array([3.0], np.float32))
    optimizer = optim.SGD([param], lr=0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (param * param).sum()
        loss.backward()
        return loss

    with tinydl.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert param.item() == 0.0
    assert optimizer.step() is None


def test_an_optimizer_minimizes() -> None:
    """Rosenbrock's valley: far from the start, near the minimum (1, 1)."""
    for build in (
        lambda params: optim.Adam(params, lr=0.05),
        lambda params: optim.RMSprop(params, lr=1e-3, momentum=0.5),
        lambda params: optim.SGD(params, lr=5e-4, momentum=0.9),
        lambda params: optim.NAdam(params, lr=0.05),
        lambda params: optim.Adamax(params, lr=0.05),
        lambda params: optim.Adagrad(params, lr=0.3),
        lambda params: optim.Eve(params, lr=0.02),
    ):
        x = Parameter(np.array([-1.0, 1.5]))
        optimizer = build([x])
        for _ in range(4000):
            optimizer.zero_grad()
            loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            optimizer.step(lambda loss=loss: loss + 1e-3)
        np.testing.assert_allclose(x.array, [1, 1], atol=0.25, err_msg=type(optimizer).__name__)


def test_a_parameter_of_your_own_optimizer() -> None:
    """The base class carries an optimizer written with array arithmetic."""

    class SignDescent(optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for param in group["params"]:
                    param.array -= group["lr"] * np.sign(param.grad.array)
                    self.state[param]["seen"] = tinydl.ones(1)

    param = Parameter(np.array([1.0, -2.0]))
    optimizer = SignDescent([param], 0.5)
    param.grad = tinydl.tensor([3.0, -0.1], dtype=tinydl.float64)
    optimizer.step()
    np.testing.assert_array_equal(param.array, [0.5, -1.5])
    assert optimizer.state_dict()["param_groups"] == [{"lr": 0.5, "params": [0]}]
    assert list(optimizer.state_dict()["state"][0]) == ["seen"]


REFUSED = [
    (lambda p: optim.Adam(p, lr=-1), "Invalid learning rate: -1"),
    (lambda p: optim.Adam(p, lr=math.nan), "Invalid learning rate: nan"),
    (lambda p: optim.Adam(p, lr=math.inf), "Invalid learning rate: inf"),
    (lambda p: optim.Adam(p, eps=-1e-8), "Invalid epsilon value: -1e-08"),
    (lambda p: optim.Adam(p, betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
    (lambda p: optim.Adam(p, betas=(0.9, -0.1)), "Invalid beta parameter at index 1: -0.1"),
    (lambda p: optim.AdamW(p, weight_decay=-0.1), "Invalid weight_decay value: -0.1"),
    (lambda p: optim.SGD(p, momentum=-1), "Invalid momentum value: -1"),
    (lambda p: optim.SGD(p, dampening=math.nan), "Invalid dampening value: nan"),
    (lambda p: optim.SGD(p, nesterov=True), "Nesterov momentum requires a momentum and zero dampening"),
    (lambda p: optim.RMSprop(p, alpha=1.0), "Invalid alpha value: 1.0"),
    (lambda p: optim.RMSprop(p, momentum=math.inf), "Invalid momentum value: inf"),
    (lambda p: optim.RMSprop([{"params": p, "lr": -2}]), "Invalid learning rate: -2"),
    (lambda p: optim.Adagrad(p, lr_decay=-1), "Invalid lr_decay value: -1"),
    (lambda p: optim.Adagrad(p, initial_accumulator_value=-1), "Invalid initial_accumulator_value value: -1"),
    (lambda p: optim.Adagrad(p, eps=-1), "Invalid epsilon value: -1"),
    (lambda p: optim.Adadelta(p, rho=1.1), "Invalid rho value: 1.1"),
    (lambda p: optim.Adadelta(p, eps=math.nan), "Invalid epsilon value: nan"),
    (lambda p: optim.Adamax(p, betas=(0.9, 1.0)), "Invalid beta parameter at index 1: 1.0"),
    (lambda p: optim.NAdam(p, momentum_decay=-0.1), "Invalid momentum_decay value: -0.1"),
    (lambda p: optim.NAdam(p, betas=(-0.1, 0.9)), "Invalid beta parameter at index 0: -0.1"),
    (lambda p: optim.RAdam(p, eps=-1), "Invalid epsilon value: -1"),
    (lambda p: optim.ASGD(p, lr=-1), "Invalid learning rate: -1"),
    (lambda p: optim.ASGD(p, weight_decay=-1), "Invalid weight_decay value: -1"),
    (lambda p: optim.Rprop(p, etas=(0.5, 0.9)), "Invalid eta values: 0.5, 0.9"),
    (lambda p: optim.Rprop(p, step_sizes=(2, 1)), "Invalid step_sizes values: 2, 1"),
    (lambda p: optim.OMD(p, lr=-1), "Invalid learning rate: -1"),
    (lambda p: optim.OptimisticAdam(p, betas=(0.9, 2)), "Invalid beta parameter at index 1: 2"),
    (lambda p: optim.Eve(p, betas=(0.9, 0.9)), "Eve needs three betas"),
    (lambda p: optim.Eve(p, k=2, K=1), "Invalid limits k and K: 2, 1"),
    (lambda p: optim.LBFGS(p, lr=-1), "Invalid learning rate: -1"),
    (lambda p: optim.LBFGS([{"params": p[:1]}, {"params": p[1:]}]), "LBFGS doesn't support per-parameter options"),
    (lambda p: optim.Adam(p, differentiable=True), "differentiable=True is not supported"),
    (lambda p: optim.SGD([]), "optimizer got an empty parameter list"),
    (lambda p: optim.SGD([p[0] * 2]), "can't optimize a non-leaf Tensor"),
    (lambda p: optim.SGD([{"params": p}, {"params": p[0]}]), "some parameters appear in more than one parameter group"),
    (lambda p: optim.SGD([p[0], p[0]]), "duplicate parameters"),
]


@pytest.mark.parametrize(("build", "message"), REFUSED)
def test_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        build(parameters())


def test_refused_types() -> None:
    with pytest.raises(TypeError, match="iterable of Tensors or dicts"):
        optim.SGD(parameters()[0])
    with pytest.raises(TypeError, match="can only optimize Tensors, but one of the params is ndarray"):
        optim.SGD([np.ones(3)])
    with pytest.raises(TypeError, match="ordered"):
        optim.SGD([{"params": set(parameters())}])
    with pytest.raises(TypeError, match="int64"):
        optim.SGD([tinydl.tensor([1, 2])]).step()


def test_shapes_and_dtypes_that_changed_are_refused() -> None:
    (param,) = parameters()[:1]
    optimizer = optim.Adam([param])
    param._grad = tinydl.ones(4, 3)
    with pytest.raises(RuntimeError, match=r"\(3, 4\).*\(4, 3\)"):
        optimizer.step()
    give_gradients([param], 0)
    optimizer.step()
    param.array = param.array.astype(np.float64)
    with pytest.raises(RuntimeError, match="float32 with 12 elements became one of float64"):
        optimizer.step()


def test_loading_refuses_what_does_not_fit_and_changes_nothing() -> None:
    params = parameters()
    optimizer = optim.Adam(params)
    give_gradients(params, 0)
    optimizer.step()
    state = optimizer.state_dict()
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optim.Adam([{"params": params[:1]}, {"params": params[1:]}]).load_state_dict(state)
    with pytest.raises(ValueError, match="doesn't match the size"):
        optim.Adam(params[:1]).load_state_dict(state)
    for part in state:
        with pytest.raises(ValueError, match="no 'param_groups' and 'state'"):
            optimizer.load_state_dict({part: state[part]})
    other = optim.Adam(parameters()[::-1], lr=0.5)
    with pytest.raises(ValueError, match=r"'exp_avg' of parameter 0 has shape \(3, 4\)"):
        other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.5
    assert not other.state
    with pytest.raises(ValueError, match="parameter 77"):
        optim.Adam(parameters()).load_state_dict({**state, "state": {77: state["state"][0]}})
    other = optim.RMSprop(parameters(), lr=0.5)
    with pytest.raises(ValueError, match="parameter 0 has no 'square_avg', only 'step', 'exp_avg', 'exp_avg_sq'"):
        other.load_state_dict({"state": state["state"], "param_groups": other.state_dict()["param_groups"]})
    broken = {**state["state"][0], "exp_avg": object()}
    with pytest.raises(ValueError, match="'exp_avg' of parameter 0 is no tensor but a object"):
        other.load_state_dict({"state": {0: broken}, "param_groups": other.state_dict()["param_groups"]})
    with pytest.raises(ValueError, match=r"'step' of parameter 0 is no number but has shape \(3, 4\)"):
        other.load_state_dict(
            {"state": {0: {"step": tinydl.ones(3, 4)}}, "param_groups": other.state_dict()["param_groups"]}
        )
    with pytest.raises(ValueError, match="Invalid learning rate: -3"):
        other.load_state_dict({"state": {}, "param_groups": [{**other.state_dict()["param_groups"][0], "lr": -3}]})
    assert other.param_groups[0]["lr"] == 0.5
    assert not other.state
    two = optim.RMSprop([{"params": parameters()[:1]}, {"params": parameters()[1:]}], lr=0.5)
    groups = two.state_dict()["param_groups"]
    with pytest.raises(ValueError, match="Invalid learning rate: -3"):
        two.load_state_dict({"state": {}, "param_groups": [groups[0], {**groups[1], "lr": -3}]})
    two.load_state_dict({"state": {}, "param_groups": [groups[0], {**groups[1], "lr": 3}]})
    assert [group["lr"] for group in two.param_groups] == [0.5, 3]


def test_repr_names_the_options() -> None:
    text = repr(optim.SGD(parameters(), lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n")
    assert "    lr: 0.25\n" in text


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_a_gradient_that_is_no_tensor_is_refused_before_the_kernel_reads_it(name: str) -> None:
    params = [Parameter(np.ones(2, np.float32)), Parameter(np.ones((1, 3), np.float32))]
    optimizer = OPTIMIZERS[name](params)
    for param in params:
        param.grad = tinydl.zeros(*param.shape)
    optimizer.step()
    before = values(params)
    params[1]._grad = np.ones((1, 3), np.float32)  # its .array is a new object at every look
    with pytest.raises(TypeError, match=r"parameter 1 of shape \(1, 3\) .* a Tensor of ndarray and a ndarray"):
        optimizer.step()
    params[1].grad = tinydl.ones(1, 3)
    params[1].grad.array = memoryview(np.ones((1, 3), np.float32))
    with pytest.raises(TypeError, match=r"parameter 1 of shape \(1, 3\) .* a Tensor of memoryview"):
        optimizer.step()
    params[1].grad, params[1].array = tinydl.ones(1, 3), [[1.0, 1.0, 1.0]]
    with pytest.raises(TypeError, match=r"parameter 1 of shape \(1, 3\) .* a Tensor of list"):
        optimizer.step()
    params[1].array = before[1]
    assert_same(values(params), before)


# ------------------------------------------------------------------------- what is changed between steps takes effect


def _twins() -> list[list[tinydl.Tensor]]:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in ((3, 2), (4,), (2, 2))]
    made = [[tinydl.tensor(a, requires_grad=True) for a in arrays] for _ in range(2)]
    for params in made:
        for p, a in zip(params, arrays):
            p.grad = tinydl.tensor(a * 0.3 + 0.1)
    return made


def test_parameters_that_join_or_leave_a_group_do_so_at_the_next_step() -> None:
    (a, b, c), (x, y, z) = _twins()
    before = b.tolist()
    opt = tinydl.optim.Adam([a, b], lr=0.1)
    plain = tinydl.optim.Adam([x, z], lr=0.1)
    opt.param_groups[0]["params"] = [a, c]
    opt.step(), plain.step()
    opt.param_groups[0]["params"].append(b)
    opt.step(), plain.step()
    np.testing.assert_array_equal(a.array, x.array)
    np.testing.assert_array_equal(c.array, z.array)
    assert b.tolist() != before and opt.state[b]["step"].item() == 1 and opt.state[a]["step"].item() == 2
    opt.param_groups.append({**opt.param_groups[0], "params": [y], "lr": 0.5})
    opt.step()
    assert opt.state[y]["step"].item() == 1
    moved = a.tolist()
    opt.param_groups[0]["params"].pop(0)
    opt.step()
    assert a.tolist() == moved


@pytest.mark.parametrize("how", ["entry", "tensor", "all", "object"])
def test_state_that_is_replaced_is_the_state_of_the_next_step(how: str) -> None:
    (a, b, _), (x, y, _) = _twins()
    opt, fresh = tinydl.optim.Adam([a, b], lr=0.1), tinydl.optim.Adam([x, y], lr=0.1)
    opt.step()
    with tinydl.no_grad():
        x.copy_(a), y.copy_(b)
    if how == "entry":
        opt.state[a] = {}
        del opt.state[b]
    elif how == "tensor":
        for p in (a, b):
            opt.state[p]["exp_avg"] = tinydl.zeros_like(p)
            opt.state[p]["exp_avg_sq"] = tinydl.zeros_like(p)
            opt.state[p]["step"] = 0
    elif how == "all":
        opt.state.clear()
    else:
        opt.state = type(opt.state)(dict)
    for optimizer in (opt, fresh):
        optimizer.step()
        optimizer.step()
    np.testing.assert_array_equal(a.array, x.array)
    np.testing.assert_array_equal(b.array, y.array)
    assert opt.state[a]["step"].item() == 2
    np.testing.assert_array_equal(opt.state[a]["exp_avg"].array, fresh.state[x]["exp_avg"].array)


def test_new_memory_of_a_parameter_is_what_is_stepped() -> None:
    (a, *_), (x, *_) = _twins()
    opt, plain = tinydl.optim.SGD([a], lr=0.1, momentum=0.9), tinydl.optim.SGD([x], lr=0.1, momentum=0.9)
    opt.step(), plain.step()
    other = tinydl.tensor(a)
    a.data = other
    opt.step(), plain.step()
    np.testing.assert_array_equal(a.array, x.array)
    assert other.tolist() == a.tolist()
