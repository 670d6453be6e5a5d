"""Distributions of real numbers. ``z`` stands for ``(x - loc) / scale`` throughout."""

from __future__ import annotations

import math
from typing import Any

from tinydl.creation import zeros_like
from tinydl.distributions import constraints
from tinydl.distributions.constraints import Constraint
from tinydl.distributions.distribution import Distribution, Shape, broadcast_all, open_uniform
from tinydl.functions import where
from tinydl.ops.elementwise import softplus
from tinydl.random import randn
from tinydl.tensor import Tensor

EULER = 0.57721566490153286060


class _LocationScale(Distribution):
    """``loc + scale * noise``, with noise of a fixed distribution.

    Args:
        loc, scale: numbers or tensors that broadcast together; ``scale > 0``.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"loc": constraints.real, "scale": constraints.positive}

    @property
    def support(self) -> Constraint:
        return constraints.real

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.stddev.square()

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.loc + self.scale * self._noise(self._extended_shape(sample_shape))

    def _noise(self, shape: Shape) -> Tensor:
        raise NotImplementedError

    def _standard(self, value: Tensor) -> Tensor:
        """z, of a checked value."""
        if self._validate_args:
            self._validate_sample(value)
        return (value - self.loc) / self.scale


class Normal(_LocationScale):
    """The normal distribution: ``log p(x) = -z**2 / 2 - log(scale) - log(2 pi) / 2``.

    Args:
        loc, scale: mean and standard deviation, numbers or tensors that broadcast together; ``scale > 0``.
        validate_args: see :class:`Distribution`.
    """

    @property
    def stddev(self) -> Tensor:
        return self.scale

    def _noise(self, shape: Shape) -> Tensor:
        return randn(*shape, dtype=self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return -z.square() / 2 - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + (self._standard(value) / math.sqrt(2)).erf())

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class LogNormal(_LocationScale):
    """What has a normal logarithm: ``log p(x) = log N(log x; loc, scale) - log x`` for ``x > 0``.

    Args:
        loc, scale: mean and standard deviation of the logarithm, as for :class:`Normal`.
        validate_args: see :class:`Distribution`.
    """

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(loc, scale, validate_args)
        self.base_dist = Normal(self.loc, self.scale, validate_args=False)

    def expand(self, batch_shape: Shape) -> LogNormal:
        new = super().expand(batch_shape)
        new.base_dist = self.base_dist.expand(batch_shape)
        return new

    @property
    def support(self) -> Constraint:
        return constraints.positive

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale.square() / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        square = self.scale.square()
        return square.expm1() * (2 * self.loc + square).exp()

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        x = value.log()
        return self.base_dist.log_prob(x) - x

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self.base_dist.cdf(value.log())

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf(value).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class Laplace(_LocationScale):
    """The Laplace distribution: ``log p(x) = -|z| - log(2 scale)``.

    Args:
        loc, scale: numbers or tensors that broadcast together; ``scale > 0``.
        validate_args: see :class:`Distribution`.
    """

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.square()

    @property
    def stddev(self) -> Tensor:
        return math.sqrt(2) * self.scale

    def _noise(self, shape: Shape) -> Tensor:
        u = 2 * open_uniform(shape, self.loc.dtype) - 1
        return -u.sign() * (-u.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return 0.5 - 0.5 * z.sign() * (-z.abs()).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (-2 * term.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()


class Gumbel(_LocationScale):
    """The distribution of a largest value: ``log p(x) = -z - exp(-z) - log(scale)``.

    Args:
        loc, scale: numbers or tensors that broadcast together; ``scale > 0``.
        validate_args: see :class:`Distribution`.
    """

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(6)) * self.scale

    def _noise(self, shape: Shape) -> Tensor:
        return -(-open_uniform(shape, self.loc.dtype).log()).log()

    def log_prob(self, value: Tensor) -> Tensor:
        y = -self._standard(value)
        return (y - y.exp()) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        return (-(-self._standard(value)).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + EULER)


class Logistic(_LocationScale):
    """The distribution whose cdf is a sigmoid: ``log p(x) = -z - 2 log(1 + exp(-z)) - log(scale)``.

    (PyTorch makes it of a uniform distribution and transforms.)

    Args:
        loc, scale: numbers or tensors that broadcast together; ``scale > 0``.
        validate_args: see :class:`Distribution`.
    """

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(3)) * self.scale

    def _noise(self, shape: Shape) -> Tensor:
        u = open_uniform(shape, self.loc.dtype)
        return u.log() - (-u).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return -z - 2 * softplus(-z) - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        return self._standard(value).sigmoid()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (value.log() - (-value).log1p())

    def entropy(self) -> Tensor:
        return self.scale.log() + 2


class Uniform(Distribution):
    """The uniform distribution: ``p(x) = 1 / (high - low)`` for ``low <= x < high``.

    Args:
        low, high: numbers or tensors that broadcast together; ``low < high``.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: no value is more probable than another."""
        return math.nan * self.high

    @property
    def stddev(self) -> Tensor:
        return (self.high - self.low) / math.sqrt(12)

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).square() / 12

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        noise = open_uniform(self._extended_shape(sample_shape), self.low.dtype)
        return self.low + noise * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        inside = (self.low <= value) & (self.high > value)
        return where(inside, 0.0, -math.inf).to(self.low.dtype) - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()


class Exponential(Distribution):
    """The exponential distribution: ``log p(x) = log(rate) - rate * x`` for ``x >= 0``.

    Args:
        rate: a number or tensor > 0, the inverse of the mean.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"rate": constraints.positive}

    @property
    def support(self) -> Constraint:
        return constraints.nonnegative

    @property
    def mean(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def mode(self) -> Tensor:
        return zeros_like(self.rate)

    @property
    def stddev(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self.rate.pow(-2)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        noise = -(-open_uniform(self._extended_shape(sample_shape), self.rate.dtype)).log1p()
        return noise / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -(-self.rate * value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return 1.0 - self.rate.log()
