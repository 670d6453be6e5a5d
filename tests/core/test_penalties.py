"""Losses that contain gradients, and derivatives of third order: against finite differences (and, in
``test_penalties_torch.py``, against PyTorch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd

RNG = np.random.default_rng(8)
DATA = {
    "real": RNG.standard_normal((5, 4)),
    "fake": RNG.standard_normal((5, 4)),
    "mix": RNG.uniform(0, 1, (5, 1)),
    "w1": RNG.standard_normal((6, 4)) * 0.5,
    "b1": RNG.standard_normal(6) * 0.1,
    "w2": RNG.standard_normal((1, 6)) * 0.5,
}
PARAMETERS = ("w1", "b1", "w2")


def tensors(library: Any) -> dict[str, Any]:
    """The numbers above as tensors of either library, the parameters as leaves."""
    found = {name: library.tensor(array) for name, array in DATA.items()}
    for name in PARAMETERS:
        found[name].requires_grad_()
    return found


def critic(t: Any, x: Any, p: dict[str, Any]) -> Any:
    """Two layers, smooth."""
    return t.tanh(x @ p["w1"].t() + p["b1"]) @ p["w2"].t()


def gradient_penalty(t: Any, p: dict[str, Any]) -> Any:
    """WGAN-GP (Gulrajani et al. 2017): E[f(fake) - f(real)] + 10 E[(|grad f(x^)| - 1)^2], x^ between the two."""
    between = (p["mix"] * p["real"] + (1 - p["mix"]) * p["fake"]).requires_grad_()
    (g,) = t.autograd.grad(critic(t, between, p).sum(), between, create_graph=True)
    norms = (g * g).sum(1).sqrt()
    return (critic(t, p["fake"], p) - critic(t, p["real"], p)).mean() + 10 * ((norms - 1) ** 2).mean()


def contractive_penalty(t: Any, p: dict[str, Any]) -> Any:
    """Contractive autoencoder (Rifai et al. 2011): |x - x'|^2 + 0.1 |J|^2, J the Jacobian of the code, tied weights."""
    x = p["real"].clone().requires_grad_()
    code = t.sigmoid(x @ p["w1"].t() + p["b1"])
    loss = ((t.sigmoid(code @ p["w1"]) - x) ** 2).sum() + (p["w2"] ** 2).sum()
    for j in range(code.shape[1]):
        (row,) = t.autograd.grad(code[:, j].sum(), x, create_graph=True)
        loss = loss + 0.1 * (row * row).sum()
    return loss


PENALTIES: list[Callable[[Any, dict[str, Any]], Any]] = [gradient_penalty, contractive_penalty]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_against_finite_differences(penalty: Any) -> None:
    p = tensors(tinydl)
    leaves = tuple(p[name] for name in PARAMETERS)

    def f(*values: Any) -> Any:
        return penalty(tinydl, {**p, **dict(zip(PARAMETERS, values))})

    assert autograd.gradcheck(f, leaves)


def test_the_contractive_penalty_is_its_formula() -> None:
    """For a layer of sigmoids |J|^2 = sum_j (h_j (1 - h_j))^2 |w_j|^2 (Rifai, equation 2)."""
    p = tensors(tinydl)
    h = 1 / (1 + np.exp(-(DATA["real"] @ DATA["w1"].T + DATA["b1"])))
    jacobian = 0.1 * (((h * (1 - h)) ** 2) * (DATA["w1"] ** 2).sum(1)).sum()
    plain = contractive_penalty(tinydl, p).item() - jacobian
    out = 1 / (1 + np.exp(-(h @ DATA["w1"])))
    np.testing.assert_allclose(plain, ((out - DATA["real"]) ** 2).sum() + (DATA["w2"] ** 2).sum(), rtol=1e-12)


# ------------------------------------------------------------------------------------------------------- third order

X, Y = RNG.uniform(0.5, 1.5, (2, 3)), RNG.uniform(0.5, 1.5, (3, 2))
THIRD: dict[str, Callable[..., Any]] = {
    "mul": lambda x, y: x * y.T * x,
    "div": lambda x, y: x / y.T,
    "pow": lambda x, y: x ** (y.T + 1),
    "matmul": lambda x, y: (x @ y) @ x,
    "exp": lambda x, y: (x * y.T).exp(),
    "log": lambda x, y: (x + y.T).log(),
    "tanh": lambda x, y: (x - y.T).tanh(),
    "sigmoid": lambda x, y: (x * y.T).sigmoid(),
    "sin": lambda x, y: (x * y.T).sin(),
    "softmax": lambda x, y: (x * y.T).softmax(1),
    "logsumexp": lambda x, y: (x * y.T).logsumexp(1),
    "var": lambda x, y: (x * y.T).var(1),
    "sqrt": lambda x, y: (x + y.T).sqrt(),
}


@pytest.mark.parametrize("name", THIRD)
def test_third_order(name: str) -> None:
    """The recorded second derivatives, differentiated by finite differences once more."""
    xs = tuple(tinydl.tensor(a, requires_grad=True) for a in (X, Y))
    weights = tinydl.tensor(RNG.uniform(0.5, 1.5, THIRD[name](*xs).shape))

    def second(x: Any, y: Any) -> Any:
        first = autograd.grad((THIRD[name](x, y) * weights).sum(), (x, y), create_graph=True)
        norm = sum((g * g).sum() for g in first)
        return autograd.grad(norm, (x, y), create_graph=True)

    assert autograd.gradcheck(second, xs)
