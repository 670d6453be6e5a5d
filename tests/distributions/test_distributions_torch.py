"""What is no number beside PyTorch's: shapes, reprs, expansion, the registry of divergences, words of refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import distributions as d

torch = pytest.importorskip("torch", reason="the differential tests compare with PyTorch")

Build = Callable[[Any, Any], Any]  # of the library and its distributions
EXAMPLES: dict[str, Build] = {
    "Normal": lambda t, k: k.Normal(t.zeros(2, 3), t.tensor(2.0)),
    "Normal of numbers": lambda t, k: k.Normal(0.0, 1),
    "LogNormal": lambda t, k: k.LogNormal(t.zeros(3), 1.0),
    "Laplace": lambda t, k: k.Laplace(t.zeros(3, dtype=t.float64), 1.0),
    "Gumbel": lambda t, k: k.Gumbel(t.zeros(3), t.ones(2, 1)),
    "Exponential": lambda t, k: k.Exponential(t.ones(3)),
    "Uniform": lambda t, k: k.Uniform(t.zeros(3), t.ones(3)),
    "Bernoulli": lambda t, k: k.Bernoulli(t.full((3,), 0.25)),
    "Bernoulli of logits": lambda t, k: k.Bernoulli(logits=t.zeros(2, 3)),
    "Categorical": lambda t, k: k.Categorical(t.ones(2, 5)),
    "OneHotCategorical": lambda t, k: k.OneHotCategorical(logits=t.zeros(2, 5)),
    "Gamma": lambda t, k: k.Gamma(t.ones(2, 3), t.tensor(2.0)),
    "Beta": lambda t, k: k.Beta(t.full((3,), 2.0), 1.5),
    "Dirichlet": lambda t, k: k.Dirichlet(t.full((2, 4), 1.5)),
    "StudentT": lambda t, k: k.StudentT(t.full((3,), 4.0)),
    "Poisson": lambda t, k: k.Poisson(t.full((2, 3), 4.0)),
    "MultivariateNormal": lambda t, k: k.MultivariateNormal(t.zeros(2, 3), t.eye(3) * 2),
    "MultivariateNormal of precision": lambda t, k: k.MultivariateNormal(t.zeros(3), precision_matrix=t.eye(3) * 2),
    "MultivariateNormal of factor": lambda t, k: k.MultivariateNormal(t.zeros(3), scale_tril=t.eye(3).expand(2, 3, 3)),
    "Independent": lambda t, k: k.Independent(k.Normal(t.zeros(4, 2, 3), t.ones(3)), 2),
    "MixtureSameFamily": lambda t, k: k.MixtureSameFamily(
        k.Categorical(t.ones(5)), k.Independent(k.Normal(t.zeros(2, 5, 3), t.ones(3)), 1)
    ),
}


def shown(text: str) -> str:
    """The text without the name of PyTorch's Size."""
    return re.sub(r"torch\.Size\(\[([\d, ]*)\]\)", lambda m: str(tuple(map(int, re.findall(r"\d+", m[1])))), text)


@pytest.mark.parametrize("name", EXAMPLES)
def test_shapes_flags_reprs_and_expansion(name: str) -> None:
    ours, theirs = EXAMPLES[name](tinydl, d), EXAMPLES[name](torch, torch.distributions)
    # PyTorch shows of these no parameters, or what was computed so far
    if name not in ("LogNormal", "MixtureSameFamily", "Beta"):
        assert repr(ours) == shown(repr(theirs))
    for mine, other in ((ours, theirs), (ours.expand((7, *ours.batch_shape)), theirs.expand((7, *theirs.batch_shape)))):
        assert mine.batch_shape == tuple(other.batch_shape)
        assert mine.event_shape == tuple(other.event_shape)
        assert mine.has_rsample == other.has_rsample
        assert mine.has_enumerate_support == other.has_enumerate_support
        assert str(mine.mean.dtype).rpartition(".")[2] == str(other.mean.dtype).rpartition(".")[2]
        value = mine.sample()
        assert value.shape == mine.batch_shape + mine.event_shape
        wanted = other.log_prob(torch.tensor(value.array)).numpy()
        np.testing.assert_allclose(mine.log_prob(value).array, wanted, rtol=1e-5, atol=1e-6)
        assert mine.log_prob(value).shape == mine.batch_shape


REFUSED: dict[str, tuple[Build, type[Exception], str]] = {
    "scale": (lambda t, k: k.Normal(t.zeros(2), t.tensor([1.0, -1.0])), ValueError,
              "Expected parameter scale (Tensor of shape (2,)) of distribution Normal(loc: (2,), scale: (2,)) to "
              "satisfy the constraint GreaterThan(lower_bound=0.0), but found invalid values:\ntensor([ 1., -1.])"),
    "NaN": (lambda t, k: k.Normal(float("nan"), 1.0), ValueError, "to satisfy the constraint Real()"),
    "rate": (lambda t, k: k.Exponential(0.0), ValueError, "rate (Tensor of shape ()) of distribution Exponential("),
    "shape": (lambda t, k: k.Gamma(0.0, 1.0), ValueError,
              "concentration (Tensor of shape ()) of distribution Gamma("),
    "concentration": (lambda t, k: k.Dirichlet(t.tensor([1.0, -1.0])), ValueError, "Dirichlet(concentration: (2,))"),
    "number of Dirichlet": (lambda t, k: k.Dirichlet(t.tensor(1.0)), ValueError,
                            "`concentration` parameter must be at"),
    "off the simplex": (lambda t, k: k.Dirichlet(t.ones(2)).log_prob(t.tensor([0.5, 0.6])), ValueError, "Simplex()"),
    "half a count": (lambda t, k: k.Poisson(1.0).log_prob(t.tensor(0.5)), ValueError,
                     "support (IntegerGreaterThan(lower_bound=0))"),
    "indefinite": (lambda t, k: k.MultivariateNormal(t.zeros(2), t.tensor([[1.0, 2.0], [2.0, 1.0]])), ValueError,
                   "to satisfy the constraint PositiveDefinite()"),
    "not symmetric": (lambda t, k: k.MultivariateNormal(t.zeros(2), t.tensor([[1.0, 0.5], [0.0, 1.0]])), ValueError,
                      "covariance_matrix (Tensor of shape (2, 2)) of distribution MultivariateNormal("),
    "not triangular": (lambda t, k: k.MultivariateNormal(t.zeros(2), scale_tril=t.ones(2, 2)), ValueError,
                       "to satisfy the constraint LowerCholesky()"),
    "two matrices": (lambda t, k: k.MultivariateNormal(t.zeros(2), t.eye(2), t.eye(2)), ValueError,
                     "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."),
    "no vector": (lambda t, k: k.MultivariateNormal(t.tensor(0.0), t.eye(1)), ValueError, "loc must be at least one"),
    "bounds": (lambda t, k: k.Uniform(2.0, 1.0), ValueError, "Uniform"),
    "probability": (lambda t, k: k.Bernoulli(1.5), ValueError, "Interval(lower_bound=0.0, upper_bound=1.0)"),
    "weights": (lambda t, k: k.Categorical(t.tensor([1.0, -0.5])), ValueError, "to satisfy the constraint Simplex()"),
    "logits": (lambda t, k: k.Categorical(logits=t.tensor([1.0, float("nan")])), ValueError,
               "to satisfy the constraint IndependentConstraint(Real(), 1)"),
    "both": (lambda t, k: k.Bernoulli(0.5, 0.5), ValueError, "Either `probs` or `logits` must be specified, but"),
    "neither": (lambda t, k: k.Categorical(), ValueError, "Either `probs` or `logits` must be specified, but"),
    "0-d": (lambda t, k: k.Categorical(t.tensor(1.0)), ValueError, "`probs` parameter must be at least"),
    "a list": (lambda t, k: k.Normal([0.0], 1.0), ValueError, "Input arguments must all be instances of Number"),
    "dimensions": (lambda t, k: k.Independent(k.Normal(t.zeros(2), 1.0), 2), ValueError,
                   "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual 2 vs 1"),
    "no categorical": (lambda t, k: k.MixtureSameFamily(k.Normal(0.0, 1.0), k.Normal(t.zeros(2), 1.0)), ValueError,
                       "Mixture distribution needs to be an"),
    "no components": (lambda t, k: k.MixtureSameFamily(k.Categorical(t.ones(2)), 3), ValueError,
                      "The Component distribution needs to be an instance of"),
    "count": (lambda t, k: k.MixtureSameFamily(k.Categorical(t.ones(2)), k.Normal(t.zeros(3), 1.0)), ValueError,
              "`mixture_distribution component` (2) does not equal `component_distribution.batch_shape[-1]` (3)"),
    "batches": (lambda t, k: k.MixtureSameFamily(k.Categorical(t.ones(4, 2)), k.Normal(t.zeros(3, 2), 1.0)), ValueError,
                "is not compatible with `component_distribution.batch_shape`"),
    "value": (lambda t, k: k.Bernoulli(0.5).log_prob(t.tensor([0.0, 0.5])), ValueError,
              "Expected value argument (Tensor of shape (2,)) to be within the support (Boolean()) of the distribution "
              "Bernoulli(probs: 0.5), but found invalid values:\ntensor("),
    "negative": (lambda t, k: k.Exponential(1.0).cdf(t.tensor(-1.0)), ValueError, "(GreaterThanEq(lower_bound=0.0))"),
    "category": (lambda t, k: k.Categorical(t.ones(3)).log_prob(t.tensor(3)), ValueError,
                 "support (IntegerInterval(lower_bound=0, upper_bound=2))"),
    "two hot": (lambda t, k: k.OneHotCategorical(t.ones(3)).log_prob(t.tensor([1.0, 1.0, 0.0])), ValueError,
                "support (OneHot())"),
    "event": (lambda t, k: k.Normal(t.zeros(3), 1.0).log_prob(t.zeros(4)), ValueError,
              "Value is not broadcastable with batch_shape+event_shape: (4,) vs (3,)."),
    "event size": (lambda t, k: k.OneHotCategorical(t.ones(3)).log_prob(t.zeros(4)), ValueError,
                   "The right-most size of value must match event_shape: (4,) vs (3,)."),
    "number": (lambda t, k: k.Normal(0.0, 1.0).log_prob(1.0), ValueError,
               "The value argument to log_prob must be a Tensor"),
    "no maps": (lambda t, k: k.TransformedDistribution(k.Normal(0.0, 1.0), [3]), ValueError,
                "transforms must be a Transform or a list of Transforms"),
    "maps of vectors": (lambda t, k: k.TransformedDistribution(k.Normal(0.0, 1.0), k.AffineTransform(0, 1, 1)),
                        ValueError, "base_distribution needs to have shape with size at least 1, but got ()."),
    "off the range": (lambda t, k: k.TransformedDistribution(k.Normal(0.0, 1.0), k.TanhTransform()).log_prob(
                      t.tensor(1.5)), ValueError, "support (Interval(lower_bound=-1.0, upper_bound=1.0))"),
    "cache": (lambda t, k: k.ExpTransform(2), ValueError, "cache_size must be 0 or 1"),
    "elements": (lambda t, k: k.ReshapeTransform((2,), (3,)), ValueError, "have different numbers of elements"),
    "pair": (lambda t, k: k.kl_divergence(k.Bernoulli(0.5), k.Laplace(0.0, 1.0)), NotImplementedError,
             "No KL(p || q) is implemented for p type Bernoulli and q type Laplace"),
    "no quantiles": (lambda t, k: k.Bernoulli(0.5).icdf(t.tensor(0.5)), NotImplementedError, ""),
    "registration": (lambda t, k: k.register_kl(int, k.Normal), TypeError, "to be a Distribution subclass but got"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_pytorchs_words(name: str) -> None:
    build, kind, message = REFUSED[name]
    for library, room in ((torch, torch.distributions), (tinydl, d)):
        if name == "registration" and library is torch:
            continue  # PyTorch's own check lets it pass
        with pytest.raises(kind) as caught:
            build(library, room)
        assert message in shown(str(caught.value)).replace("  ", " "), library.__name__


def test_checks_can_be_switched_off() -> None:
    assert np.isneginf(d.Uniform(0.0, 1.0, validate_args=False).log_prob(tinydl.tensor(2.0)).array)
    d.Distribution.set_default_validate_args(False)
    try:
        d.Normal(0.0, -1.0)
    finally:
        d.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="parameter scale"):
        d.Normal(0.0, -1.0)


def test_the_closest_registered_divergence_is_taken() -> None:
    class Mine(d.Normal):
        pass

    class Deeper(Mine):
        pass

    p, q = Deeper(0.0, 1.0), d.Normal(1.0, 1.0)
    assert d.kl_divergence(p, q).item() == 0.5
    d.register_kl(Mine, d.Normal)(lambda p, q: "mine")  # type: ignore[arg-type,return-value]
    try:
        assert d.kl_divergence(p, q) == "mine"
        assert d.kl_divergence(p, p) == "mine"
        assert d.kl_divergence(q, q).item() == 0.0
        d.register_kl(d.Normal, Mine)(lambda p, q: "theirs")  # type: ignore[arg-type,return-value]
        with pytest.warns(RuntimeWarning, match=r"Ambiguous kl_divergence\(Deeper, Deeper\)"):
            d.kl_divergence(p, p)
    finally:
        from tinydl.distributions import kl

        for pair in ((Mine, d.Normal), (d.Normal, Mine)):
            kl._registry.pop(pair, None)


def test_parameters_get_gradients_whatever_the_mode_was_when_they_were_first_used() -> None:
    logits = tinydl.zeros(3, requires_grad=True)
    distribution = d.Categorical(logits=logits)
    with tinydl.no_grad():
        distribution.sample()  # computes and keeps the probabilities
    distribution.probs[0].backward()
    np.testing.assert_allclose(logits.grad.array, [2 / 9, -1 / 9, -1 / 9], rtol=1e-6)


@pytest.mark.parametrize("t", [tinydl, torch], ids=["tinydl", "torch"])
def test_a_map_remembers_where_a_draw_came_from(t: Any) -> None:
    k, x = t.distributions, t.tensor([30.0, -40.0])
    tanh = k.TanhTransform(cache_size=1)
    y = tanh(x)
    assert tanh.inv(y) is x and tanh(x) is y and tanh.inv.inv is tanh
    with np.errstate(divide="ignore"):
        assert k.TanhTransform().inv(k.TanhTransform()(x)).isinf().all()
    policy = k.TransformedDistribution(k.Normal(x, 1.0), tanh)
    draw = policy.rsample()
    assert policy.log_prob(draw).isfinite().all()
    whole = k.ComposeTransform([k.AffineTransform(0.0, 2.0), tanh], cache_size=1)
    assert all(part.with_cache(1) is part for part in whole.parts) and whole.with_cache(1) is whole
    assert whole.inv.inv is whole and whole.bijective and whole.inv(whole(x)) is x
    assert k.AffineTransform(1.0, 2.0).with_cache()(x).tolist() == (1 + 2 * x).tolist()
