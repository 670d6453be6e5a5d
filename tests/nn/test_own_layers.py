"""Layers that PyTorch has not: SReLU, maxout, DropConnect, zoneout, variational dropout, the hinge loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.autograd import grad, gradcheck, gradgradcheck
from tinydl.nn import functional as F


def leaf(*shape: int, seed: int = 0) -> Any:
    return tinydl.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def test_srelu_is_the_papers_equation() -> None:
    x = tinydl.tensor([-3.0, -1.0, 0.0, 0.5, 2.0, 4.0])
    tr, ar, tl, al = (tinydl.tensor(v) for v in (2.0, 0.5, -1.0, 0.25))
    # t_l + a_l (x - t_l) up to t_l = -1, x between, t_r + a_r (x - t_r) from t_r = 2 on
    assert F.srelu(x, tr, ar, tl, al).tolist() == [-1.5, -1.0, 0.0, 0.5, 2.0, 3.0]
    layer = nn.SReLU(3, dtype=tinydl.float64)
    assert layer(tinydl.tensor([[-5.0, 0.5, 7.0]], dtype=tinydl.float64)).tolist() == [[-1.0, 0.5, 7.0]]
    assert list(layer.state_dict()) == ["t_right", "a_right", "t_left", "a_left"]
    assert repr(layer) == "SReLU(num_parameters=3, leak=0.2)"
    with pytest.raises(NotImplementedError, match="\"srelu\" not implemented for 'Long'"):
        F.srelu(tinydl.tensor([1]), tr, ar, tl, al)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 2)])
def test_srelu_gradients(shape: tuple[int, ...]) -> None:
    x = tinydl.tensor(np.linspace(-2.03, 2.06, int(np.prod(shape))).reshape(shape), requires_grad=True)
    values = ([1, 1.1, 0.9], [0.5, 2, 1], [-1, -0.8, 0], [0.1, 0.2, 0.3])
    parameters = [tinydl.tensor(np.array(v), requires_grad=True) for v in values]
    assert gradcheck(F.srelu, (x, *parameters))
    assert gradgradcheck(F.srelu, (x, *parameters))


def test_maxout() -> None:
    layer = nn.Maxout(3, 2, pieces=4, dtype=tinydl.float64)
    assert layer.weight.shape == (8, 3) and layer.bias.shape == (8,)
    assert np.abs(layer.weight.array).max() <= 3**-0.5
    x = leaf(5, 2, 3)
    y = layer(x)
    every = (x.array @ layer.weight.array.T + layer.bias.array).reshape(5, 2, 2, 4)
    np.testing.assert_allclose(y.array, every.max(-1), rtol=1e-12)
    y.sum().backward()
    chosen = np.eye(4)[every.argmax(-1)].reshape(10, 8)
    np.testing.assert_allclose(layer.weight.grad.array, chosen.T @ x.array.reshape(10, 3), rtol=1e-12)
    np.testing.assert_allclose(layer.bias.grad.array, chosen.sum(0))
    assert gradcheck(layer, x)
    assert repr(layer) == "Maxout(in_features=3, out_features=2, pieces=4, bias=True)"
    assert nn.Maxout(3, 2, bias=False).bias is None
    with pytest.raises(ValueError, match="pieces must be at least 1, but got 0"):
        nn.Maxout(3, 2, 0)
    with pytest.raises(RuntimeError, match="in Maxout"):
        layer(tinydl.zeros(2, 5, dtype=tinydl.float64))


def test_drop_connect_drops_weights_for_each_example() -> None:
    layer = nn.DropConnect(4, 3, p=0.25, dtype=tinydl.float64)
    x = tinydl.ones(6000, 4, dtype=tinydl.float64)
    tinydl.manual_seed(1)
    y = layer(x)
    tinydl.manual_seed(1)
    assert np.array_equal(layer(x).array, y.array)
    # Each output is a sum of kept weights over 0.75: 2^4 values and no others, and the mean is the layer's.
    subsets = np.array([[i >> k & 1 for k in range(4)] for i in range(16)])
    for j in range(3):
        allowed = subsets @ layer.weight.array[j] / 0.75 + layer.bias.array[j]
        assert np.abs(y.array[:, j, None] - allowed).min(1).max() < 1e-12
    spread = np.sqrt((layer.weight.array**2).sum(1) * 0.25 / 0.75 / 6000)
    plain = layer.eval()(x[:1]).array[0]
    assert (np.abs(y.array.mean(0) - plain) < 5 * spread).all()
    np.testing.assert_allclose(plain, layer.weight.array.sum(1) + layer.bias.array, rtol=1e-12)
    layer.train()
    assert layer(tinydl.ones(2, 5, 4, dtype=tinydl.float64)).shape == (2, 5, 3)
    assert layer(tinydl.ones(4, dtype=tinydl.float64)).shape == (3,)
    with pytest.raises(RuntimeError, match=r"shape \(2, 5\), but its last size must be in_features = 4"):
        layer(tinydl.ones(2, 5, dtype=tinydl.float64))
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 2"):
        nn.DropConnect(2, 2, p=2)
    assert repr(layer) == "DropConnect(in_features=4, out_features=3, bias=True, p=0.25)"


def test_drop_connect_gradient_passes_the_mask() -> None:
    layer = nn.DropConnect(3, 2, p=0.5, dtype=tinydl.float64)
    x = leaf(4, 3)
    tinydl.manual_seed(7)
    gx, gw = grad(layer(x).sum(), [x, layer.weight])
    tinydl.manual_seed(7)
    mask = F.dropout(tinydl.ones(4, 2, 3, dtype=tinydl.float64), 0.5).array
    np.testing.assert_allclose(gx.array, (mask * layer.weight.array).sum(1))
    np.testing.assert_allclose(gw.array, (mask * x.array[:, None]).sum(0))


def test_variational_dropout_holds_one_mask_for_a_sequence() -> None:
    x = tinydl.ones(7, 50, 20)
    layer = nn.VariationalDropout(0.4)
    tinydl.manual_seed(2)
    y = layer(x).array
    assert all(np.array_equal(y[0], step) for step in y) and 0 < (y[0] == 0).mean() < 1
    assert abs((y[0] == 0).mean() - 0.4) < 5 * (0.24 / 1000) ** 0.5
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.6)}
    batch_first = nn.VariationalDropout(0.4, dim=1)(x).array
    assert all(np.array_equal(batch_first[:, 0], batch_first[:, t]) for t in range(50))
    assert not np.array_equal(layer(x).array, y)
    assert layer.eval()(x) is x and repr(layer) == "VariationalDropout(p=0.4, dim=0)"
    with pytest.raises(IndexError, match="Dimension out of range"):
        nn.VariationalDropout(0.4, dim=3)(x)
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.VariationalDropout(-1)


def test_variational_dropout_step_by_step() -> None:
    layer, h = nn.VariationalDropout(0.5, dim=None), tinydl.ones(30, 20)
    first = layer(h).array
    assert np.array_equal(layer(h).array, first)
    layer.reset()
    assert not np.array_equal(layer(h).array, first)
    assert layer(tinydl.ones(4, 20)).shape == (4, 20)  # another batch begins
    assert layer.eval()(h) is h


def test_zoneout() -> None:
    old, new = tinydl.zeros(100, 100), tinydl.ones(100, 100, requires_grad=True)
    tinydl.manual_seed(3)
    y = F.zoneout(old, new, 0.3)
    assert set(np.unique(y.array)) == {0, 1} and abs(y.array.mean() - 0.7) < 5 * (0.21 / 10_000) ** 0.5
    y.sum().backward()
    assert np.array_equal(new.grad.array, y.array)
    layer = nn.Zoneout(0.3)
    tinydl.manual_seed(3)
    assert np.array_equal(layer(old, new).array, y.array)
    np.testing.assert_allclose(layer.eval()(old, new).array, 0.7, rtol=1e-6)
    assert repr(layer) == "Zoneout(p=0.3)"
    with pytest.raises(RuntimeError, match=r"shape \(2,\) and the new one \(3,\)"):
        F.zoneout(tinydl.zeros(2), tinydl.zeros(3))
    for wrong in (lambda: nn.Zoneout(1.5), lambda: F.zoneout(old, new, 1.5)):
        with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
            wrong()


def test_hinge_loss() -> None:
    x, y = tinydl.tensor([2.0, 0.5, -1.0, 1.0]), tinydl.tensor([1, 1, 1, -1])
    assert F.hinge_loss(x, y, reduction="none").tolist() == [0.0, 0.5, 2.0, 2.0]
    assert F.hinge_loss(x, y, squared=True, reduction="none").tolist() == [0.0, 0.25, 4.0, 4.0]
    assert nn.HingeLoss(squared=True, reduction="sum")(x, y).item() == 8.25
    assert nn.HingeLoss()(x, y).item() == 1.125
    z = leaf(3, 4)
    signs = tinydl.tensor(np.where(np.random.default_rng(2).random((3, 4)) < 0.5, -1.0, 1.0))
    assert gradcheck(lambda z: F.hinge_loss(z, signs), z)
    assert gradgradcheck(lambda z: F.hinge_loss(z, signs, squared=True), z)
    with pytest.raises(ValueError, match="avg is not a valid value for reduction"):
        nn.HingeLoss(reduction="avg")
