"""The gamma distribution, and those whose draws are made of its draws: Beta, Dirichlet, Student's t."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.distributions import constraints
from tinydl.distributions.constraints import Constraint
from tinydl.distributions.distribution import Distribution, Shape, broadcast_all
from tinydl.distributions.implicit import gamma_draws
from tinydl.functions import where
from tinydl.ops.shaping import stack
from tinydl.random import randn
from tinydl.tensor import Tensor


class Gamma(Distribution):
    """``log p(x) = a log(rate) + (a - 1) log x - rate x - lgamma(a)`` for ``x > 0``, a the concentration.

    Args:
        concentration, rate: numbers or tensors > 0 that broadcast together; the mean is concentration / rate.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"concentration": constraints.positive, "rate": constraints.positive}

    @property
    def support(self) -> Constraint:
        return constraints.nonnegative

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return gamma_draws(self.concentration.expand(*shape)) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, rate, value = self.concentration, self.rate, value.to(self.rate.dtype)
        return a.xlogy(rate) + (a - 1).xlogy(value) - rate * value - a.lgamma()

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1.0 - a) * a.digamma()


class Dirichlet(Distribution):
    """Vectors of K numbers >= 0 with sum 1: ``log p(x) = sum_k (a_k - 1) log x_k + lgamma(sum a) - sum lgamma(a_k)``.

    Args:
        concentration: a tensor [..., K] > 0.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"concentration": constraints.independent(constraints.positive, 1)}

    @property
    def support(self) -> Constraint:
        return constraints.simplex

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """Where the density is greatest; of one without a maximum inside, the corner of the first of the largest."""
        above = (self.concentration - 1).clamp(min=0.0)
        nowhere = (self.concentration < 1).all(-1, keepdim=True)
        inside = above / where(nowhere, 1.0, above.sum(-1, True))
        corner = np.zeros_like(self.concentration.array)
        corner[..., 0] = 1  # all of `above` are 0 there
        return where(nowhere, Tensor._wrap(corner), inside)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        total = a.sum(-1, True)
        return a * (total - a) / (total.square() * (total + 1))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        drawn = gamma_draws(self.concentration.expand(*self._extended_shape(sample_shape)))
        return drawn / drawn.sum(-1, True)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return (a - 1.0).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        a = self.concentration
        total = a.sum(-1)
        inner = (a.size(-1) - total) * total.digamma() + ((a - 1.0) * a.digamma()).sum(-1)
        return a.lgamma().sum(-1) - total.lgamma() - inner


class Beta(Distribution):
    """Numbers in [0, 1]: the first of a :class:`Dirichlet` vector of two.

    Args:
        concentration1, concentration0: numbers or tensors > 0 that broadcast together, often called alpha and beta.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"concentration1": constraints.positive, "concentration0": constraints.positive}

    @property
    def support(self) -> Constraint:
        return constraints.unit_interval

    @property
    def _dirichlet(self) -> Dirichlet:
        return Dirichlet(stack([self.concentration1, self.concentration0], -1), validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._dirichlet.log_prob(stack([value, 1.0 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()


class StudentT(Distribution):
    """``loc + scale * z / sqrt(v / df)``, z normal and v of a chi-squared distribution with ``df`` degrees.

    Args:
        df, loc, scale: numbers or tensors that broadcast together; ``df`` and ``scale`` > 0.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}

    @property
    def support(self) -> Constraint:
        return constraints.real

    @property
    def mean(self) -> Tensor:
        """``loc``; NaN where ``df <= 1``."""
        return where(self.df <= 1, math.nan, self.loc)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """``scale**2 df / (df - 2)``; infinite where ``df <= 2``, and NaN where ``df <= 1``."""
        finite = self.df > 2
        found = self.scale.square() * self.df / where(finite, self.df - 2, 1.0)
        return where(finite, found, where(self.df > 1, math.inf, math.nan).to(found.dtype))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        normal = randn(*shape, dtype=self.df.dtype)
        half = gamma_draws((self.df / 2).expand(*shape))  # chi-squared is Gamma(df / 2, 1 / 2)
        return self.loc + self.scale * normal * (half * 2 / self.df).rsqrt()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        half = 0.5 * (self.df + 1.0)
        size = self.scale.log() + 0.5 * (self.df * math.pi).log() + (0.5 * self.df).lgamma() - half.lgamma()
        return -half * (z.square() / self.df).log1p() - size

    def entropy(self) -> Tensor:
        half = 0.5 * (self.df + 1)
        lbeta = (0.5 * self.df).lgamma() + math.lgamma(0.5) - half.lgamma()
        spread = half.digamma() - (0.5 * self.df).digamma()
        return self.scale.log() + half * spread + 0.5 * self.df.log() + lbeta
