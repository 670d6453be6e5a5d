"""Kullback-Leibler divergences in closed form, by pairs of families."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from tinydl.creation import full_like
from tinydl.distributions.combined import Independent
from tinydl.distributions.continuous import EULER, Exponential, Gumbel, Laplace, LogNormal, Normal, Uniform
from tinydl.distributions.discrete import Bernoulli, Categorical, OneHotCategorical, Poisson
from tinydl.distributions.distribution import Distribution, sum_rightmost
from tinydl.distributions.gamma import Beta, Dirichlet, Gamma
from tinydl.distributions.multivariate import MultivariateNormal, mahalanobis
from tinydl.functions import broadcast_shapes, where
from tinydl.linalg import solve_triangular
from tinydl.ops.elementwise import softplus
from tinydl.tensor import Tensor

Divergence = Callable[[Any, Any], Tensor]
F = TypeVar("F", bound=Divergence)

_registry: dict[tuple[type, type], Divergence] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[F], F]:
    """Make the decorated function the one that :func:`kl_divergence` calls for these two families and what derives
    from them, unless a closer pair is registered."""
    for name, given in (("type_p", type_p), ("type_q", type_q)):
        if not (isinstance(given, type) and issubclass(given, Distribution)):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {given}")

    def register(function: F) -> F:
        _registry[type_p, type_q] = function
        return function

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """``KL(p || q)``, the expectation under ``p`` of ``log p(x) - log q(x)``, in nats: of the batch shape.

    Raises NotImplementedError when no formula is registered for the two families.
    """
    kinds = type(p), type(q)
    near = [
        (kinds[0].__mro__.index(a), kinds[1].__mro__.index(b), function)
        for (a, b), function in _registry.items()
        if issubclass(kinds[0], a) and issubclass(kinds[1], b)
    ]
    if not near:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {kinds[0].__name__} and q type {kinds[1].__name__}"
        )
    function = min(near, key=lambda match: match[:2])[2]
    if function is not min(near, key=lambda match: match[1::-1])[2]:
        warnings.warn(
            f"Ambiguous kl_divergence({kinds[0].__name__}, {kinds[1].__name__}). Please register_kl for these two",
            RuntimeWarning,
            stacklevel=2,
        )
    return function(p, q)


# --- one family -----------------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    one = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    one = where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, one))
    zero = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return one + where(p.probs == 1, 0.0, where(q.probs == 1, math.inf, zero))


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    return where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, terms)).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def _log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, shift = p.scale / q.scale, (q.loc - p.loc) / q.scale
    far = (shift + (1 + ratio).lgamma()).exp()
    return -ratio.log() - shift + ratio * EULER + far - (1 + EULER)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), math.inf, found)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    shapes = b.lgamma() - a.lgamma() + (a - b) * a.digamma()
    return b * (p.rate / q.rate).log() + shapes + (q.rate - p.rate) * (a / p.rate)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    inner = (a - b) * (a.digamma() - total.digamma().unsqueeze(-1))
    return total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1) + inner.sum(-1)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be computed: "
            f"{p.event_shape} and {q.event_shape}"
        )
    batch = broadcast_shapes(p.batch_shape, q.batch_shape)
    n = p.event_shape[0]
    mine, theirs = (x.scale_tril.expand(*batch, n, n) for x in (p, q))
    spread = solve_triangular(theirs, mine, upper=False).square().sum((-2, -1))
    return q.half_log_det() - p.half_log_det() + 0.5 * (spread + mahalanobis(theirs, q.loc - p.loc) - n)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    dims = p.reinterpreted_batch_ndims, q.reinterpreted_batch_ndims
    if dims[0] != dims[1]:
        raise NotImplementedError(f"KL(p || q) of Independent events of {dims[0]} and {dims[1]} dimensions")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), dims[0])


# --- two families ---------------------------------------------------------------------------------------------------


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Tensor:
    return _gamma(Gamma(1.0, p.rate, validate_args=False), q)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Gamma, q: Exponential) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Gamma, Normal)
def _gamma_normal(p: Gamma, q: Normal) -> Tensor:
    return -p.entropy() + _normal_cross_entropy(p, q)


@register_kl(Beta, Normal)
def _beta_normal(p: Beta, q: Normal) -> Tensor:
    return -p.entropy() + _normal_cross_entropy(p, q)


def _normal_cross_entropy(p: Distribution, q: Normal) -> Tensor:
    """The expectation of ``-log q(x)``, from the moments of ``p``."""
    spread = p.variance + (p.mean - q.loc).square()
    return 0.5 * (2 * math.pi * q.scale.square()).log() + 0.5 * spread / q.scale.square()


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Exponential, q: Gumbel) -> Tensor:
    product, ratio = p.rate * q.scale, q.loc / q.scale
    return product.log() - 1 - ratio + ratio.exp() * product / (product + 1) + product.reciprocal()


@register_kl(Exponential, Normal)
def _exponential_normal(p: Exponential, q: Normal) -> Tensor:
    square, variance = p.rate.square(), q.scale.square()
    spread = (square.reciprocal() - q.loc / p.rate + q.loc.square() * 0.5) / variance
    return 0.5 * (square * variance * 2 * math.pi).log() - 1 + spread


@register_kl(Gumbel, Normal)
def _gumbel_normal(p: Gumbel, q: Normal) -> Tensor:
    ratio = p.scale / q.scale
    spread = (math.pi * ratio * 0.5).square() / 3
    shift = ((p.loc + p.scale * EULER - q.loc) / q.scale).square() * 0.5
    return -(ratio / math.sqrt(2 * math.pi)).log() + spread + shift - (EULER + 1)


@register_kl(Laplace, Normal)
def _laplace_normal(p: Laplace, q: Normal) -> Tensor:
    variance = q.scale.square()
    ratio = p.scale.square() / variance
    shift = 0.5 * (p.loc - q.loc).square() / variance
    return -0.5 * (2 * ratio / math.pi).log() + ratio + shift - 1


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Normal, q: Gumbel) -> Tensor:
    shift, ratio = (p.loc - q.loc) / q.scale, (p.scale / q.scale).square()
    far = (-shift + 0.5 * ratio).exp()
    return -ratio.log() * 0.5 + shift + far - 0.5 * (1 + math.log(2 * math.pi))


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Tensor:
    distance = p.loc - q.loc
    z = distance / p.scale
    expected = math.sqrt(2 / math.pi) * p.scale * (-0.5 * z.square()).exp() + distance * (math.sqrt(0.5) * z).erf()
    return -(p.scale / q.scale).log() + expected / q.scale - 0.5 * (1 + math.log(0.5 * math.pi))


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> Tensor:
    found = q.rate * (p.high + p.low) / 2 - ((p.high - p.low) * q.rate).log()
    return where(p.low < 0, math.inf, found)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Uniform, q: Gumbel) -> Tensor:
    ratio = q.scale / (p.high - p.low)
    high, low = (p.high - q.loc) / q.scale, (p.low - q.loc) / q.scale
    return ratio.log() + 0.5 * (high + low) - ratio * ((-high).exp() - (-low).exp())


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> Tensor:
    width = p.high - p.low
    spread = width.square() / 12 + ((p.high + p.low - 2 * q.loc) / 2).square()
    return (math.sqrt(math.pi * 2) * q.scale / width).log() + 0.5 * spread / q.scale.square()


def _beyond(p: Any, q: Any) -> Tensor:
    """``p`` has mass where ``q`` has none."""
    parameter = p.rate if isinstance(p, Exponential) else p.loc
    return full_like(parameter, math.inf)


register_kl(Exponential, Uniform)(_beyond)
for _family in (Normal, Laplace, Gumbel):
    register_kl(_family, Exponential)(_beyond)
    register_kl(_family, Uniform)(_beyond)
