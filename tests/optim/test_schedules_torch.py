"""Schedules and averages of weights beside PyTorch's: thirty steps of every option set, interrupted twice."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import nn, optim
from tinydl.random import Generator

torch = pytest.importorskip("torch", reason="the differential tests compare with PyTorch")
pytestmark = pytest.mark.filterwarnings("ignore:Detected call of", "ignore:Please also save or load")


class Halving:
    """A callable object: its attributes are saved, those of a function are not."""

    def __init__(self) -> None:
        self.power = 0.5

    def __call__(self, step: int) -> float:
        self.power *= 0.99
        return float(self.power ** (step % 3))


class Root:
    """A callable object without memory."""

    def __init__(self) -> None:
        self.power = 0.5

    def __call__(self, x: float) -> float:
        return float(x**-self.power)


# name and arguments -> a schedule: t is the module lr_scheduler or swa_utils, o the optimizer
Build = Callable[[Any, Any], Any]
SCHEDULES: dict[str, Build] = {
    "LambdaLR": lambda t, o: t.LambdaLR(o, lambda step: 0.9**step),
    "LambdaLR per group": lambda t, o: t.LambdaLR(o, [lambda step: 1 / (1 + step), Halving()]),
    "MultiplicativeLR": lambda t, o: t.MultiplicativeLR(o, lambda step: 0.9 + 0.01 * (step % 5)),
    "MultiplicativeLR per group": lambda t, o: t.MultiplicativeLR(o, [Halving(), lambda step: 1.01]),
    "StepLR": lambda t, o: t.StepLR(o, 7),
    "StepLR gamma": lambda t, o: t.StepLR(o, 1, gamma=0.9),
    "MultiStepLR": lambda t, o: t.MultiStepLR(o, [3, 11, 11, 25], gamma=0.5),
    "MultiStepLR at 0": lambda t, o: t.MultiStepLR(o, [0, 5]),
    "ConstantLR": lambda t, o: t.ConstantLR(o),
    "ConstantLR factor": lambda t, o: t.ConstantLR(o, factor=0.25, total_iters=9),
    "LinearLR": lambda t, o: t.LinearLR(o),
    "LinearLR down": lambda t, o: t.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=13),
    "ExponentialLR": lambda t, o: t.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda t, o: t.PolynomialLR(o),
    "PolynomialLR power": lambda t, o: t.PolynomialLR(o, total_iters=21, power=2.0),
    "CosineAnnealingLR": lambda t, o: t.CosineAnnealingLR(o, 12),
    "CosineAnnealingLR eta_min": lambda t, o: t.CosineAnnealingLR(o, 5, eta_min=0.01),
    "CosineAnnealingWarmRestarts": lambda t, o: t.CosineAnnealingWarmRestarts(o, 4),
    "CosineAnnealingWarmRestarts longer": lambda t, o: t.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.01),
    "CyclicLR": lambda t, o: t.CyclicLR(o, 0.01, 0.3, step_size_up=4),
    "CyclicLR triangular2": lambda t, o: t.CyclicLR(o, 0.01, 0.3, step_size_up=3, step_size_down=6, mode="triangular2"),
    "CyclicLR exp_range": lambda t, o: t.CyclicLR(
        o, [0.01, 0.02], [0.3, 0.1], step_size_up=5, mode="exp_range", gamma=0.95, base_momentum=[0.7, 0.6],
        max_momentum=[0.95, 0.8],
    ),
    "CyclicLR scale_fn": lambda t, o: t.CyclicLR(
        o, 0.01, 0.3, step_size_up=4, scale_fn=lambda x: 0.9**x, scale_mode="iterations", cycle_momentum=False
    ),
    "CyclicLR scale object": lambda t, o: t.CyclicLR(o, 0.01, 0.3, step_size_up=4, scale_fn=Root()),
    "OneCycleLR": lambda t, o: t.OneCycleLR(o, 0.5, total_steps=31),
    "OneCycleLR linear": lambda t, o: t.OneCycleLR(
        o, [0.5, 0.2], epochs=4, steps_per_epoch=8, pct_start=0.4, anneal_strategy="linear", div_factor=10.0,
        final_div_factor=50.0, base_momentum=[0.7, 0.6], max_momentum=[0.95, 0.8],
    ),
    "OneCycleLR three_phase": lambda t, o: t.OneCycleLR(o, 0.5, total_steps=40, three_phase=True),
    "OneCycleLR no momentum": lambda t, o: t.OneCycleLR(o, 0.5, total_steps=35, cycle_momentum=False),
    "SequentialLR": lambda t, o: t.SequentialLR(
        o, [t.LinearLR(o, 0.1, total_iters=5), t.CosineAnnealingLR(o, 9), t.StepLR(o, 4), t.MultiStepLR(o, [2])],
        [5, 14, 22],
    ),
    "SequentialLR of the others": lambda t, o: t.SequentialLR(
        o,
        [t.ConstantLR(o, 0.5, 3), t.MultiplicativeLR(o, lambda step: 0.95), t.CosineAnnealingWarmRestarts(o, 4),
         t.PolynomialLR(o, 4), t.LambdaLR(o, lambda step: 1 / (1 + step)), t.ExponentialLR(o, 0.9)],
        [4, 8, 14, 18, 24],
    ),
    "ChainedScheduler": lambda t, o: t.ChainedScheduler(
        [t.ConstantLR(o, 0.1, 4), t.ExponentialLR(o, 0.9), t.StepLR(o, 5)], o
    ),
    "SWALR": lambda t, o: t.SWALR(o, 0.01),
    "SWALR linear": lambda t, o: t.SWALR(o, [0.01, 0.3], anneal_epochs=6, anneal_strategy="linear"),
    "SWALR at once": lambda t, o: t.SWALR(o, 0.01, anneal_epochs=0),
}  # fmt: skip
PLATEAUS: list[dict[str, Any]] = [
    {},
    {"mode": "max", "patience": 2},
    {"patience": 1, "cooldown": 3, "factor": 0.5},
    {"patience": 0, "min_lr": [0.01, 0.02]},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 1, "mode": "max", "threshold_mode": "abs", "eps": 0.03},
]


def optimizers(kind: str = "SGD") -> tuple[Any, Any]:
    made = []
    for library in (tinydl, torch):
        params = [library.nn.Parameter(library.ones(2)) for _ in range(3)]
        groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.4}]
        made.append(getattr(library.optim, kind)(groups, lr=0.1))
    return made[0], made[1]


def room(library: Any, name: str) -> Any:
    return library.optim.swa_utils if name.startswith("SWALR") else library.optim.lr_scheduler


def numbers(optimizer: Any) -> list[Any]:
    """What schedules move."""
    names = ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr")
    return [np.ravel(group[name]).tolist() for group in optimizer.param_groups for name in names if name in group]


def assert_same(mine: Any, other: Any, step: int) -> None:
    for got, wanted in zip(numbers(mine), numbers(other), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15, err_msg=f"step {step}")


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_thirty_steps(name: str, kind: str) -> None:
    build = SCHEDULES[name]
    mine, other = optimizers(kind)
    schedule, reference = build(room(tinydl, name), mine), build(room(torch, name), other)
    for step in range(31):
        assert_same(mine, other, step)
        if not name.startswith("Chained"):
            assert schedule.last_epoch == reference.last_epoch
        np.testing.assert_allclose(schedule.get_last_lr(), reference.get_last_lr(), rtol=1e-12)
        if step in (9, 20):
            states = json.loads(json.dumps(schedule.state_dict())), copy.deepcopy(reference.state_dict())
            if step == 20:
                states = states[1], copy.deepcopy(schedule.state_dict())
            packed = mine.state_dict(), other.state_dict()
            mine, other = optimizers(kind)
            schedule, reference = build(room(tinydl, name), mine), build(room(torch, name), other)
            for loading, state in zip((mine, other, schedule, reference), (*packed, *states)):
                loading.load_state_dict(state)
        if step < 30:
            schedule.step()
            reference.step()


BY_EPOCH = [name for name in SCHEDULES if not name.startswith(("Sequential", "Chained", "CosineAnnealingWarm"))]


@pytest.mark.parametrize("name", BY_EPOCH)
def test_a_step_to_an_epoch(name: str) -> None:
    """Deprecated, and the closed form where there is one: there and back."""
    mine, other = optimizers()
    schedule, reference = SCHEDULES[name](room(tinydl, name), mine), SCHEDULES[name](room(torch, name), other)
    for step, epoch in enumerate((3, 4, 11, 2, None, 0, 30, None, 7)):
        if epoch is None:
            schedule.step()
            reference.step()
        else:
            for each in (schedule, reference):
                with pytest.warns(UserWarning, match="epoch parameter in `scheduler.step.*closed form is used"):
                    each.step(epoch)
        assert_same(mine, other, step)
        assert schedule.last_epoch == reference.last_epoch


def test_a_plateau_counts_from_an_epoch() -> None:
    mine, other = optimizers()
    made = [t.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0) for t, o in ((tinydl, mine), (torch, other))]
    for each in made:
        with pytest.warns(UserWarning, match="epoch parameter"):
            each.step(1.0, 5)
        each.step(2.0)
        assert each.last_epoch == 6
    assert_same(mine, other, 6)


@pytest.mark.parametrize("chosen", PLATEAUS, ids=str)
def test_reduce_on_plateau(chosen: dict[str, Any]) -> None:
    mine, other = optimizers()
    schedule = optim.lr_scheduler.ReduceLROnPlateau(mine, **chosen)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **chosen)
    metrics = 1.0 + 0.3 * np.round(Generator(3).normal(50, np.float64), 1)
    for step, metric in enumerate(metrics.tolist()):
        if step in (9, 20):
            states = json.loads(json.dumps(schedule.state_dict())), reference.state_dict()
            if step == 20:
                states = states[1], schedule.state_dict()
            schedule = optim.lr_scheduler.ReduceLROnPlateau(mine)
            reference = torch.optim.lr_scheduler.ReduceLROnPlateau(other)
            schedule.load_state_dict(states[0])
            reference.load_state_dict(states[1])
        schedule.step(metric)
        reference.step(metric)
        assert_same(mine, other, step)
        assert schedule.get_last_lr() == reference.get_last_lr()
    mine.add_param_group({"params": nn.Parameter(tinydl.ones(1)), "lr": 1.0})
    if isinstance(chosen.get("min_lr"), list):
        with pytest.raises(RuntimeError, match=r"param groups in the `optimizer` \(3\) differs.*\(2\)"):
            for _ in range(20):
                schedule.step(100.0)


@pytest.mark.parametrize("name", ["StepLR", "ExponentialLR", "LambdaLR", "PolynomialLR power", "CosineAnnealingLR"])
def test_construction_in_the_middle(name: str) -> None:
    """``last_epoch=7``: resumed by the constructor, with ``initial_lr`` from the groups."""
    mine, other = optimizers()
    starts: dict[str, Build] = {
        "StepLR": lambda t, o: t.StepLR(o, 8, last_epoch=7),
        "ExponentialLR": lambda t, o: t.ExponentialLR(o, 0.9, last_epoch=7),
        "LambdaLR": lambda t, o: t.LambdaLR(o, lambda step: 0.9**step, last_epoch=7),
        "PolynomialLR power": lambda t, o: t.PolynomialLR(o, 20, 2.0, last_epoch=7),
        "CosineAnnealingLR": lambda t, o: t.CosineAnnealingLR(o, 12, last_epoch=7),
    }
    with pytest.raises(KeyError, match=r"param 'initial_lr' is not specified in param_groups\[0\] when resuming"):
        starts[name](optim.lr_scheduler, mine)
    for optimizer in (mine, other):
        for group in optimizer.param_groups:
            group["initial_lr"] = 2 * group["lr"]
    schedule, reference = starts[name](optim.lr_scheduler, mine), starts[name](torch.optim.lr_scheduler, other)
    for step in range(6):
        assert_same(mine, other, step)
        schedule.step()
        reference.step()


def test_schedules_of_schedules_of_schedules() -> None:
    """A sequence in a sequence is the longer sequence, also with chains in it. (PyTorch's take a step too many.)"""
    t = optim.lr_scheduler
    flat, nested = optimizers()[0], optimizers()[0]

    def parts(o: Any) -> list[Any]:
        return [t.ExponentialLR(o, 0.9), t.StepLR(o, 2), t.LinearLR(o, 0.5, total_iters=3), t.ExponentialLR(o, 0.8)]

    plain = t.SequentialLR(flat, parts(flat), [4, 7, 11])
    a, b, c, d = parts(nested)
    inner = t.ChainedScheduler([c])
    deep = t.SequentialLR(nested, [t.SequentialLR(nested, [a, b], [4]), t.SequentialLR(nested, [inner, d], [4])], [7])
    for step in range(20):
        assert_same(nested, flat, step)
        plain.step()
        deep.step()


def test_warm_restarts_at_fractions_of_epochs() -> None:
    for mult in (1, 2):
        mine, other = optimizers()
        schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(mine, 3, mult)
        reference = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(other, 3, mult)
        for step in range(60):
            schedule.step(step / 4)
            reference.step(step / 4)
            assert_same(mine, other, step)
    with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
        schedule.step(-1)


REFUSED: list[tuple[Build, type[Exception], str]] = [
    (lambda t, o: t.StepLR("no optimizer", 3), TypeError, "str is not an Optimizer"),
    (lambda t, o: t.LambdaLR(o, [lambda step: 1.0]), ValueError, "Expected 2 lr_lambdas, but got 1"),
    (lambda t, o: t.MultiplicativeLR(o, [1.0, 1.0]), TypeError, "lr_lambda should be a function, but got float"),
    (lambda t, o: t.ConstantLR(o, factor=1.1), ValueError, "Constant multiplicative factor expected to be between 0"),
    (lambda t, o: t.LinearLR(o, start_factor=0), ValueError, "Starting multiplicative factor expected to be greater"),
    (lambda t, o: t.LinearLR(o, end_factor=1.5), ValueError, "Ending multiplicative factor expected to be between 0"),
    (lambda t, o: t.CosineAnnealingWarmRestarts(o, 0), ValueError, "Expected positive integer T_0, but got 0"),
    (lambda t, o: t.CosineAnnealingWarmRestarts(o, 2, 0), ValueError, "Expected integer T_mult >= 1, but got 0"),
    (lambda t, o: t.CyclicLR(o, 0.1, 0.2, mode="square"), ValueError, "mode is invalid and scale_fn is None"),
    (lambda t, o: t.CyclicLR(o, [0.1], 0.2), ValueError, "base_lr must have the same length as optimizer.param_groups"),
    (lambda t, o: t.OneCycleLR(o, 0.1), ValueError, "You must define either total_steps OR"),
    (lambda t, o: t.OneCycleLR(o, 0.1, 0), ValueError, "Expected positive integer total_steps, but got 0"),
    (lambda t, o: t.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=3), ValueError, "Expected positive integer epochs"),
    (lambda t, o: t.OneCycleLR(o, 0.1, 10, pct_start=2.0), ValueError, "Expected float between 0 and 1 pct_start"),
    (lambda t, o: t.OneCycleLR(o, 0.1, 10, anneal_strategy="x"), ValueError, "must be one of 'cos' or 'linear'"),
    (lambda t, o: t.SequentialLR(o, [], []), ValueError, "expects at least one scheduler, but got no scheduler"),
    (lambda t, o: t.SequentialLR(o, [t.StepLR(o, 1)], [3]), ValueError, "one more than the number of milestone points"),
    (lambda t, o: t.ChainedScheduler([]), ValueError, "expects at least one scheduler to be chained"),
    (lambda t, o: t.ChainedScheduler([t.ReduceLROnPlateau(o)]), ValueError, "does not support `ReduceLROnPlateau`"),
    (lambda t, o: t.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
    (lambda t, o: t.ReduceLROnPlateau(o, mode="mean"), ValueError, "mode mean is unknown!"),
    (lambda t, o: t.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold mode x is unknown!"),
    (lambda t, o: t.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "expected 2 min_lrs, got 1"),
]


@pytest.mark.parametrize(("build", "kind", "message"), REFUSED, ids=lambda x: x if isinstance(x, str) else "")
def test_refused_in_pytorchs_words(build: Build, kind: type[Exception], message: str) -> None:
    mine, other = optimizers()
    for library, optimizer in ((torch, other), (tinydl, mine)):
        with pytest.raises(kind) as caught:
            build(library.optim.lr_scheduler, optimizer)
        assert message in str(caught.value)


def test_schedules_refuse_what_they_cannot_do() -> None:
    mine, _ = optimizers()
    another, _ = optimizers()
    schedulers = optim.lr_scheduler
    with pytest.raises(ValueError, match="all schedulers to belong to the same optimizer.*StepLR at index 1"):
        schedulers.SequentialLR(mine, [schedulers.StepLR(mine, 1), schedulers.StepLR(another, 1)], [3])
    with pytest.raises(ValueError, match="must support momentum or beta1"):
        schedulers.CyclicLR(optim.Rprop([nn.Parameter(tinydl.ones(1))]), 0.1, 0.2)
    with pytest.raises(ValueError, match="CyclicLR needs step sizes above 0, got 0 up"):
        schedulers.CyclicLR(mine, 0.1, 0.2, step_size_up=0)
    with pytest.raises(ValueError, match="PolynomialLR needs total_iters of 1 or more, got 0"):
        schedulers.PolynomialLR(mine, 0)
    cycle = schedulers.OneCycleLR(mine, 0.1, total_steps=2)
    cycle.step()
    cycle.step()
    with pytest.raises(ValueError, match="Tried to step 3 times. The specified number of total steps is 2"):
        cycle.step()
    with pytest.raises(ValueError, match="anneal_strategy must be one of 'cos' or 'linear', instead got x"):
        optim.swa_utils.SWALR(mine, 0.1, anneal_strategy="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="anneal_epochs must be equal or greater than 0, got -1"):
        optim.swa_utils.SWALR(mine, 0.1, anneal_epochs=-1)


# --- averages of weights --------------------------------------------------------------------------------------------


def models() -> tuple[Any, Any]:
    """The same two layers with a floating and an integer buffer, in both libraries."""
    made = []
    for library in (tinydl, torch):
        model = library.nn.Sequential(library.nn.Linear(3, 2), library.nn.Linear(2, 2))
        model.register_buffer("mean", library.ones(2))
        model.register_buffer("count", library.tensor([3]))
        made.append(model)
    return made[0], made[1]


def drift(ours: Any, theirs: Any, step: int) -> None:
    """New values for all parameters and the floating buffer."""
    members = zip([*ours.parameters(), ours.mean], [*theirs.parameters(), theirs.mean])
    for number, (mine, other) in enumerate(members):
        value = Generator(10 * step + number).normal(tuple(mine.shape), np.float32)
        mine.array[...] = value
        other.data.copy_(torch.from_numpy(value))


AVERAGES: dict[str, Callable[[Any, Any], Any]] = {
    "mean": lambda t, model: t.AveragedModel(model),
    "mean with buffers": lambda t, model: t.AveragedModel(model, use_buffers=True),
    "swa": lambda t, model: t.AveragedModel(model, avg_fn=t.get_swa_avg_fn()),
    "ema": lambda t, model: t.AveragedModel(model, avg_fn=t.get_ema_avg_fn(0.8)),
    "ema of the last": lambda t, model: t.AveragedModel(model, avg_fn=t.get_ema_avg_fn(0.0)),
    "ema of the first": lambda t, model: t.AveragedModel(model, avg_fn=t.get_ema_avg_fn(1.0)),
    "ema, multi": lambda t, model: t.AveragedModel(model, multi_avg_fn=t.get_ema_multi_avg_fn(0.7), use_buffers=True),
    "swa, multi": lambda t, model: t.AveragedModel(model, multi_avg_fn=t.get_swa_multi_avg_fn()),
    "own": lambda t, model: t.AveragedModel(model, avg_fn=lambda a, p, n: 0.5 * a + 0.5 * p / (n + 1)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_model(name: str) -> None:
    ours, theirs = models()
    drift(ours, theirs, 0)
    mine, other = AVERAGES[name](optim.swa_utils, ours), AVERAGES[name](torch.optim.swa_utils, theirs)
    assert list(mine.state_dict()) == list(other.state_dict())
    for step in range(6):
        drift(ours, theirs, step)
        mine.update_parameters(ours)
        other.update_parameters(theirs)
        for (key, got), wanted in zip(mine.state_dict().items(), other.state_dict().values()):
            assert str(got.dtype) == str(wanted.dtype).rpartition(".")[2], key
            np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-6, atol=1e-7, err_msg=key)
    assert mine.n_averaged.item() == 6
    x = np.ones((4, 3), np.float32)
    np.testing.assert_allclose(
        mine(tinydl.from_numpy(x)).detach().numpy(), other(torch.from_numpy(x)).detach().numpy(), rtol=1e-5
    )
    assert all(a.array is not b.array for a, b in zip(mine.module.parameters(), ours.parameters()))


def test_averages_refuse() -> None:
    ours, theirs = models()
    for utils, model in ((torch.optim.swa_utils, theirs), (optim.swa_utils, ours)):
        for decay in (1.5, -0.1):
            with pytest.raises(ValueError, match=f"Invalid decay value {decay} provided"):
                utils.get_ema_avg_fn(decay)
        with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn should be provided"):
            utils.AveragedModel(model, avg_fn=utils.get_swa_avg_fn(), multi_avg_fn=utils.get_swa_multi_avg_fn())
    with pytest.raises(ValueError, match=r"the model has tensors of shapes \[\(5, 3\)"):
        optim.swa_utils.AveragedModel(ours).update_parameters(nn.Linear(3, 5))


@pytest.mark.skipif(not hasattr(nn, "BatchNorm1d"), reason="compares layers of batch normalisation")
def test_update_bn() -> None:
    made = []
    x = Generator(5).normal((12, 3), np.float32) * 3 + 1
    for library in (tinydl, torch):
        model = library.nn.Sequential(library.nn.BatchNorm1d(3, momentum=0.3), library.nn.BatchNorm1d(3))
        model.eval()
        data = library.tensor(x)
        library.optim.swa_utils.update_bn([(data[i : i + 4], None) for i in (0, 4, 8)], model)
        assert model[0].momentum == 0.3
        assert not model.training
        made.append(model.state_dict())
    for (key, got), wanted in zip(made[0].items(), made[1].values()):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6, err_msg=key)


def test_update_bn_moves_batches_where_it_is_told() -> None:
    class Batch:
        def to(self, device: Any) -> Any:
            assert device == "somewhere"
            return tinydl.tensor([[1.0], [3.0]])

    model = nn.Sequential(nn.BatchNorm1d(1))
    optim.swa_utils.update_bn([Batch(), [Batch(), 7]], model, device="somewhere")
    assert model[0].running_mean.tolist() == [2.0] and model[0].num_batches_tracked == 2 and model.training
    optim.swa_utils.update_bn([Batch()], nn.Sequential(nn.Identity()))  # nothing to learn: nothing is read
