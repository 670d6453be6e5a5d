"""The base class beside PyTorch's: an optimizer of one's own, groups, names, refusals in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinydl

torch = pytest.importorskip("torch", reason="the differential tests compare with PyTorch")


def sign_descent(library: Any) -> Any:
    """A class derived from ``Optimizer``, written for either library."""

    class SignDescent(library.optim.Optimizer):  # type: ignore[misc]
        def __init__(self, params: Any, lr: float = 0.1) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure: Any = None) -> Any:
            loss = None
            if closure is not None:
                with library.enable_grad():
                    loss = closure()
            with library.no_grad():
                for group in self.param_groups:
                    for param in group["params"]:
                        if param.grad is not None:
                            state = self.state[param]
                            state.setdefault("seen", library.zeros(param.shape))
                            state["seen"] += 1
                            param -= group["lr"] * param.grad.sign()
            return loss

    return SignDescent


def test_an_optimizer_of_ones_own() -> None:
    found = []
    for library in (tinydl, torch):
        a, b = (library.nn.Parameter(library.ones(2) * value) for value in (3.0, -2.0))
        optimizer = sign_descent(library)([{"params": [a]}, {"params": [b], "lr": 0.5}])

        def closure(library: Any = library, a: Any = a, b: Any = b, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = (a * a * b).sum()
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(6)]
        state = optimizer.state_dict()
        other = sign_descent(library)([{"params": [a]}, {"params": [b]}])
        other.load_state_dict(state)
        other.step()
        seen = [entry["seen"].tolist() for entry in other.state_dict()["state"].values()]
        found.append((losses, state["param_groups"], seen, a.tolist(), b.tolist(), repr(optimizer), optimizer.defaults))
    assert found[0] == found[1]


@pytest.mark.parametrize("build", [
    lambda t, p: t.optim.SGD(p),
    lambda t, p: t.optim.SGD([{"params": p[:1], "lr": 0.3}, {"params": p[1], "momentum": 0.5}], lr=0.2),
    lambda t, p: t.optim.Adam([("first", p[0]), ("second", p[1])]),
    lambda t, p: t.optim.Adam([{"params": [("first", p[0])]}, {"params": [("second", p[1])], "amsgrad": True}]),
    lambda t, p: t.optim.Adagrad(iter(p)),
])  # fmt: skip
def test_groups(build: Callable[[Any, Any], Any]) -> None:
    made = [build(t, [t.nn.Parameter(t.ones(2)), t.nn.Parameter(t.ones(3))]) for t in (tinydl, torch)]
    ours, theirs = (optimizer.state_dict()["param_groups"] for optimizer in made)
    assert ours == theirs
    assert repr(made[0]) == repr(made[1])


WRONG: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "rate": (lambda t, p: t.optim.SGD(p, lr=-1), ValueError, "Invalid learning rate: -1"),
    "momentum": (lambda t, p: t.optim.SGD(p, momentum=-0.5), ValueError, "Invalid momentum value: -0.5"),
    "decay": (lambda t, p: t.optim.Adam(p, weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
    "beta": (lambda t, p: t.optim.Adam(p, betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
    "epsilon": (lambda t, p: t.optim.RAdam(p, eps=-1), ValueError, "Invalid epsilon value: -1"),
    "rho": (lambda t, p: t.optim.Adadelta(p, rho=2), ValueError, "Invalid rho value: 2"),
    "lr_decay": (lambda t, p: t.optim.Adagrad(p, lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
    "etas": (lambda t, p: t.optim.Rprop(p, etas=(2, 3)), ValueError, "Invalid eta values: 2, 3"),
    "momentum_decay": (lambda t, p: t.optim.NAdam(p, momentum_decay=-1), ValueError, "Invalid momentum_decay value"),
    "nesterov": (lambda t, p: t.optim.SGD(p, nesterov=True), ValueError, "Nesterov momentum requires a momentum"),
    "empty": (lambda t, p: t.optim.Adam([]), ValueError, "optimizer got an empty parameter list"),
    "non-leaf": (lambda t, p: t.optim.Adam([p[0] * 2]), ValueError, "can't optimize a non-leaf Tensor"),
    "twice": (
        lambda t, p: t.optim.Adam([{"params": p}, {"params": p[:1]}]), ValueError,
        "some parameters appear in more than one parameter group",
    ),
    "a tensor": (lambda t, p: t.optim.Adam(p[0]), TypeError, "should be an iterable of Tensors or dicts, but got"),
    "a number": (lambda t, p: t.optim.Adam([3.0]), TypeError, "optimizer can only optimize Tensors, but one of"),
    "groups": (
        lambda t, p: t.optim.SGD(p).load_state_dict({"state": {}, "param_groups": []}), ValueError,
        "loaded state dict has a different number of parameter groups",
    ),
    "sizes": (
        lambda t, p: t.optim.SGD(p).load_state_dict(t.optim.SGD(p[:1]).state_dict()), ValueError,
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    ),
    "options of LBFGS": (
        lambda t, p: t.optim.LBFGS([{"params": p[:1]}, {"params": p[1:]}]), ValueError,
        "LBFGS doesn't support per-parameter options (parameter groups)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refused_in_pytorchs_words(name: str) -> None:
    build, kind, message = WRONG[name]
    for library in (torch, tinydl):
        params = [library.nn.Parameter(library.ones(2)), library.nn.Parameter(library.ones(3))]
        with pytest.raises(kind) as caught:
            build(library, params)
        assert message in str(caught.value), library.__name__
