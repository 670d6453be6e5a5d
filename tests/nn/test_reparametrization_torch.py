"""Weight and spectral normalisation, in the older and the newer form, beside PyTorch's."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.nn.utils import parametrize
from tinydl.nn.utils.weight_norm import lengthened, norm_except

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")


def matched(wrap, make=lambda library: library.nn.Linear(4, 3), steps=0):
    """A layer wrapped in both libraries, ours with PyTorch's numbers."""
    torch.manual_seed(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the older weight_norm
        theirs = wrap(torch, make(torch).double())
    ours = wrap(tinydl, make(tinydl).double())
    state = theirs.state_dict()
    mine = ours.state_dict()
    assert list(mine) == list(state)
    assert [tuple(v.shape) for v in mine.values()] == [tuple(v.shape) for v in state.values()]
    ours.load_state_dict({key: value.numpy() for key, value in state.items()})
    return ours, theirs


FORMS = {
    "nn.utils.weight_norm": lambda t, layer: t.nn.utils.weight_norm(layer),
    "nn.utils.weight_norm of the columns": lambda t, layer: t.nn.utils.weight_norm(layer, dim=1),
    "nn.utils.weight_norm of all": lambda t, layer: t.nn.utils.weight_norm(layer, dim=None),
    "nn.utils.spectral_norm": lambda t, layer: t.nn.utils.spectral_norm(layer),
    "nn.utils.spectral_norm of columns": lambda t, layer: t.nn.utils.spectral_norm(layer, n_power_iterations=2, dim=1),
    "nn.utils.parametrizations.weight_norm": lambda t, layer: t.nn.utils.parametrizations.weight_norm(layer),
    "nn.utils.parametrizations.weight_norm of all": (
        lambda t, layer: t.nn.utils.parametrizations.weight_norm(layer, dim=None)
    ),
    "nn.utils.parametrizations.spectral_norm": lambda t, layer: t.nn.utils.parametrizations.spectral_norm(layer),
    "nn.utils.parametrizations.spectral_norm of the bias": (
        lambda t, layer: t.nn.utils.parametrizations.spectral_norm(layer, "bias")
    ),
}


def same(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients_are_pytorchs(form, training):
    ours, theirs = matched(FORMS[form])
    ours.train(training)
    theirs.train(training)
    x = np.random.default_rng(5).standard_normal((2, 4))
    for _ in range(2):  # the second call goes on from the power iteration of the first
        a, b = ours(tinydl.tensor(x)), theirs(torch.tensor(x))
        same(a, b)
    ps, qs = list(ours.parameters()), list(theirs.parameters())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    first = tinydl.autograd.grad((a * a * a).sum(), ps, create_graph=True, allow_unused=True)
    second = torch.autograd.grad((b * b * b).sum(), qs, create_graph=True, allow_unused=True)
    for g, h in zip(first, second, strict=True):
        same(g, h)
    for a, b in zip(ours.buffers(), theirs.buffers(), strict=True):
        same(a, b)
    if "weight_norm" in form:
        return  # the second derivative of PyTorch's fused kernel (2.13) is not that of its first: see the next test
    outer = tinydl.autograd.grad(sum((g * g).sum() for g in first), ps, allow_unused=True)
    for g, h in zip(outer, torch.autograd.grad(sum((h * h).sum() for h in second), qs, allow_unused=True), strict=True):
        same(g, h)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_second_derivatives_of_a_normalised_weight_are_the_slopes(dim):
    rng = np.random.default_rng(8)
    v = tinydl.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    g = tinydl.tensor(norm_except(v.detach(), dim).numpy() + 0.5, requires_grad=True)
    assert tinydl.autograd.gradgradcheck(lambda g, v: lengthened(g, v, dim) ** 3, (g, v))


@pytest.mark.parametrize("form", FORMS)
def test_it_prints_as_pytorch(form):
    ours, theirs = matched(FORMS[form])
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_the_hook_is_taken_away(kind):
    ours, theirs = matched(FORMS[f"nn.utils.{kind}"])
    x = np.random.default_rng(6).standard_normal((2, 4))
    before = ours.eval()(tinydl.tensor(x))
    remove = f"remove_{kind}"  # nn.utils.remove_weight_norm, nn.utils.remove_spectral_norm
    for library, layer in ((tinydl, ours), (torch, theirs)):
        assert getattr(library.nn.utils, remove)(layer) is layer
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["bias", "weight"]
    assert isinstance(ours.weight, nn.Parameter) and ours.weight.is_leaf
    same(ours(tinydl.tensor(x)), before)
    same(ours.weight, theirs.weight)
    with pytest.raises(ValueError, match=f"{kind} of 'weight' not found in"):
        getattr(nn.utils, remove)(ours)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_parametrizations_are_taken_away(kind):
    ours, theirs = matched(FORMS[f"nn.utils.parametrizations.{kind}"])
    ours.eval()
    theirs.eval()
    value = ours.weight.detach().clone()
    parametrize.remove_parametrizations(ours, "weight")
    torch.nn.utils.parametrize.remove_parametrizations(theirs, "weight")
    assert repr(ours) == repr(theirs) and type(ours) is nn.Linear
    assert list(ours.state_dict()) == list(theirs.state_dict())
    same(ours.weight, value)
    same(ours.weight, theirs.weight)
    assert not parametrize.is_parametrized(ours)


def test_an_assignment_goes_to_the_originals():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    wanted = np.random.default_rng(7).standard_normal((3, 4)).astype(np.float32)
    layer.weight = tinydl.tensor(wanted)
    np.testing.assert_allclose(layer.weight.detach().numpy(), wanted, rtol=1e-6)
    layer.bias = nn.Parameter(tinydl.ones(3))  # any other attribute is as before
    assert list(layer.state_dict()) == [
        "bias", "parametrizations.weight.original0", "parametrizations.weight.original1",
    ]  # fmt: skip


def test_parametrizations_follow_one_another():
    class Twice(nn.Module):
        def forward(self, x):
            return x * 2

        def right_inverse(self, x):
            return x / 2

    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Twice())
    parametrize.register_parametrization(layer, "weight", Twice())
    np.testing.assert_array_equal(layer.weight.detach().numpy(), before.numpy())
    np.testing.assert_array_equal(layer.parametrizations.weight.original.detach().numpy(), before.numpy() / 4)
    layer.weight.sum().backward()
    np.testing.assert_array_equal(layer.parametrizations.weight.original.grad.numpy(), np.full((2, 2), 4))
    again = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), before.numpy() / 4)
    np.testing.assert_array_equal(again.weight.detach().numpy(), before.numpy())


def test_mistakes_change_nothing():
    class Wider(nn.Module):
        def forward(self, x):
            return tinydl.cat([x, x])

    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="may not change the shape or the dtype of 'weight'"):
        parametrize.register_parametrization(layer, "weight", Wider())
    with pytest.raises(ValueError, match="does not have a parameter, a buffer, or a parametrized element"):
        parametrize.register_parametrization(layer, "wait", Wider())
    with pytest.raises(ValueError, match="has no parameter 'wait'"):
        nn.utils.weight_norm(layer, "wait")
    with pytest.raises(IndexError, match="Dimension out of range"):
        nn.utils.weight_norm(layer, dim=2)
    with pytest.raises(ValueError, match="Expected n_power_iterations to be positive"):
        nn.utils.spectral_norm(layer, n_power_iterations=0)
    assert list(layer.state_dict()) == ["weight", "bias"] and type(layer) is nn.Linear
    nn.utils.weight_norm(layer)
    with pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks on the same parameter weight"):
        nn.utils.weight_norm(layer)


def test_the_largest_singular_value_becomes_one():
    tinydl.manual_seed(3)
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4), n_power_iterations=100)
    layer(tinydl.ones(1, 5))
    assert np.linalg.svd(layer.weight.detach().numpy(), compute_uv=False)[0] == pytest.approx(1, rel=1e-4)
