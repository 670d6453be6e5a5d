"""Random functions: their distributions against the equations, seeds repeated, and PyTorch's errors and warnings.

nn.functional.dropout, dropout1d, dropout2d, dropout3d, alpha_dropout, feature_alpha_dropout, gumbel_softmax, rrelu.
The two libraries draw other numbers, so what is compared is what the draws do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.autograd import grad
from tinydl.nn import functional as F

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of these tests")
TF = torch.nn.functional

P = 0.3
# An input of each, and the shape of what is dropped as one.
DROPOUTS: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
    ("dropout", (200, 40), (200, 40)),
    ("dropout1d", (80, 60, 3), (80, 60, 1)),
    ("dropout1d", (4000, 3), (4000, 1)),
    ("dropout2d", (80, 60, 3, 2), (80, 60, 1, 1)),
    ("dropout3d", (80, 60, 2, 1, 2), (80, 60, 1, 1, 1)),
    ("dropout3d", (4000, 2, 1, 2), (4000, 1, 1, 1)),
    ("alpha_dropout", (200, 40), (200, 40)),
    ("feature_alpha_dropout", (80, 60, 3), (80, 60, 1)),
]


def levels(y: Any) -> Any:
    """The values an input of ones is sent to."""
    return np.unique(np.round(y.array if isinstance(y, tinydl.Tensor) else y.detach().numpy(), 4))


@pytest.mark.parametrize(("name", "shape", "unit"), DROPOUTS)
def test_what_is_dropped_and_what_remains(name: str, shape: tuple[int, ...], unit: tuple[int, ...]) -> None:
    tinydl.manual_seed(11)
    torch.manual_seed(11)
    x = tinydl.ones(*shape, requires_grad=True)
    y = getattr(F, name)(x, P, True)
    theirs = getattr(TF, name)(torch.ones(shape), P, True)
    np.testing.assert_allclose(levels(y), levels(theirs), atol=2e-4)
    low = y.array == y.array.min()
    as_one = np.broadcast_to(low[tuple(slice(0, n) for n in unit)], shape)
    np.testing.assert_array_equal(low, as_one)
    # Within five standard deviations of the share of units dropped.
    units = int(np.prod(unit))
    assert abs(low.mean() - P) < 5 * (P * (1 - P) / units) ** 0.5
    y.sum().backward()
    kept = np.sort(np.unique(np.round(x.grad.array, 5)))
    assert len(kept) == 2 and kept[0] == 0
    z = torch.ones(shape, requires_grad=True)
    getattr(TF, name)(z, P, True).sum().backward()
    np.testing.assert_allclose(kept, np.unique(np.round(z.grad.numpy(), 5)), atol=2e-5)


@pytest.mark.parametrize(("name", "shape", "unit"), DROPOUTS)
def test_seeds_training_and_in_place(name: str, shape: tuple[int, ...], unit: tuple[int, ...]) -> None:
    function = getattr(F, name)
    x = tinydl.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    tinydl.manual_seed(5)
    first, second = function(x, P, True), function(x, P, True)
    tinydl.manual_seed(5)
    again = function(x, P, True)
    assert np.array_equal(first.array, again.array) and not np.array_equal(first.array, second.array)
    assert np.array_equal(function(x, P, True, generator=tinydl.Generator(5)).array, first.array)
    assert first.dtype == np.float64
    assert function(x, P, False) is x and function(x, 0.0, True) is x
    assert not function(x, 1.0, True).array.any()
    tinydl.manual_seed(5)
    y = x * 1
    assert function(y, P, True, True) is y
    np.testing.assert_allclose(y.array, first.array, rtol=1e-12)
    (a,), (b,) = grad(first.sum(), x), grad(y.sum(), x)
    np.testing.assert_array_equal(a.array, b.array)
    with pytest.raises(ValueError, match=r"dropout probability has to be between 0 and 1, but got 1\.5"):
        function(x, 1.5, True)


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name: str) -> None:
    tinydl.manual_seed(3)
    x = tinydl.tensor(np.random.default_rng(1).standard_normal((400, 500)))
    y = getattr(F, name)(x, P, True)
    # 200,000 draws (dependent in no way): a standard deviation of the mean is 0.0022.
    assert abs(float(y.array.mean())) < 0.012 and abs(float(y.array.std()) - 1) < 0.012


CALLS: list[tuple[str, tuple[int, ...]]] = [
    (name, shape)
    for name in ("dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout")
    for shape in ((), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 1, 2, 2), (1, 2, 1, 2, 1, 2))
]


@pytest.mark.parametrize(("name", "shape"), CALLS)
def test_dimensions_are_refused_or_warned_of_as_in_pytorch(name: str, shape: tuple[int, ...]) -> None:
    def outcome(library: Any) -> tuple[Any, list[str]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                getattr(library.nn.functional, name)(library.ones(shape), 0.5, True)
                error = ""
            except RuntimeError as e:
                error = str(e)[:40]
        return error, [str(w.message)[:40] for w in caught]

    ours, theirs = outcome(tinydl), outcome(torch)
    if theirs[0].startswith("Feature dropout requires"):  # PyTorch warns before it refuses
        theirs = (theirs[0], [])
    if name == "dropout3d" and len(shape) == 1:
        assert ours[0].startswith("Feature dropout requires")  # PyTorch drops the whole vector
        return
    assert ours == theirs


# ------------------------------------------------------------------------------------------------------ gumbel_softmax


def test_gumbel_softmax_is_a_draw_from_the_categorical_distribution() -> None:
    p = np.array([0.1, 0.2, 0.7])
    logits = tinydl.tensor(np.broadcast_to(np.log(p), (20_000, 3)).copy())
    tinydl.manual_seed(2)
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    assert np.array_equal(np.unique(hard.array.round(12)), [0, 1]) and np.allclose(hard.array.sum(1), 1)
    np.testing.assert_allclose(hard.array.mean(0), p, atol=5 * 0.5 / 20_000**0.5)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.array.sum(1), 1, rtol=1e-12)
    torch.manual_seed(2)
    theirs = TF.gumbel_softmax(torch.tensor(logits.array), tau=0.5).numpy()
    for ours_k, theirs_k in zip(soft.array.T, theirs.T):  # Kolmogorov and Smirnov, two samples, alpha = 0.001
        both = np.sort(np.concatenate([ours_k, theirs_k]))
        share = [np.searchsorted(np.sort(sample), both, "right") / 20_000 for sample in (ours_k, theirs_k)]
        assert np.abs(share[0] - share[1]).max() < 1.95 * (2 / 20_000) ** 0.5


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gumbel_softmax_passes_the_soft_gradient_straight_through(dim: int) -> None:
    x = tinydl.tensor(np.random.default_rng(4).normal(size=(3, 4)), requires_grad=True)
    w = tinydl.tensor(np.random.default_rng(5).normal(size=(3, 4)))
    tinydl.manual_seed(9)
    (hard,) = grad((F.gumbel_softmax(x, 0.7, hard=True, dim=dim) * w).sum(), x)
    tinydl.manual_seed(9)
    (soft,) = grad((F.gumbel_softmax(x, 0.7, dim=dim) * w).sum(), x)
    np.testing.assert_allclose(hard.array, soft.array, rtol=1e-12)
    assert np.abs(soft.array).max() > 0.01


def test_gumbel_softmax_of_other_inputs() -> None:
    assert F.gumbel_softmax(tinydl.zeros(3), generator=tinydl.Generator(1)).dtype == np.float32
    assert F.gumbel_softmax(tinydl.zeros(()), hard=True, dim=0).item() == 1
    with pytest.raises(NotImplementedError, match="gumbel_softmax"):
        F.gumbel_softmax(tinydl.tensor([1, 2]))


# --------------------------------------------------------------------------------------------------------------- rrelu


def test_rrelu_draws_a_slope_for_each_negative_element() -> None:
    x = tinydl.tensor(np.where(np.arange(20_000) % 2, 1.0, -1.0), requires_grad=True)
    tinydl.manual_seed(8)
    y = F.rrelu(x, 0.2, 0.6, training=True)
    assert np.array_equal(y.array[1::2], x.array[1::2])
    slopes = -y.array[::2]
    assert 0.2 <= slopes.min() < 0.201 and 0.599 < slopes.max() < 0.6
    np.testing.assert_allclose(np.quantile(slopes, [0.25, 0.5, 0.75]), [0.3, 0.4, 0.5], atol=0.01)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array[::2], slopes)
    tinydl.manual_seed(8)
    assert np.array_equal(F.rrelu(x, 0.2, 0.6, training=True).array, y.array)
    tinydl.manual_seed(8)
    z = x * 1
    assert F.rrelu(z, 0.2, 0.6, True, True) is z and np.array_equal(z.array, y.array)
    layer = tinydl.nn.RReLU(0.2, 0.6)
    tinydl.manual_seed(8)
    assert np.array_equal(layer(x).array, y.array)
    with pytest.raises(RuntimeError, match="Lower bound should be less than or equal to the upper bound"):
        F.rrelu(x, 0.6, 0.2)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: tinydl.nn.Dropout(P), (50, 4)), (lambda: tinydl.nn.Dropout1d(P), (5, 40, 2)),
        (lambda: tinydl.nn.Dropout2d(P), (5, 40, 2, 2)), (lambda: tinydl.nn.Dropout3d(P), (5, 40, 2, 2, 1)),
        (lambda: tinydl.nn.AlphaDropout(P), (50, 4)), (lambda: tinydl.nn.FeatureAlphaDropout(P), (5, 40, 2)),
    ],
)  # fmt: skip
def test_layers_are_the_functions(layer: Callable[[], Any], shape: tuple[int, ...]) -> None:
    module, x = layer(), tinydl.ones(*shape)
    name = {"Dropout1d": "dropout1d", "Dropout2d": "dropout2d", "Dropout3d": "dropout3d", "Dropout": "dropout"}.get(
        type(module).__name__, "alpha_dropout" if type(module).__name__ == "AlphaDropout" else "feature_alpha_dropout"
    )
    tinydl.manual_seed(4)
    y = module(x)
    tinydl.manual_seed(4)
    assert np.array_equal(y.array, getattr(F, name)(x, P, True).array) and not np.array_equal(y.array, x.array)
    assert module.eval()(x) is x
    with pytest.raises(ValueError, match="between 0 and 1"):
        type(module)(-0.5)
