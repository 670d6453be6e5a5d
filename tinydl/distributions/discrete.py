"""Distributions of finitely many values, given by probabilities or by logits, and of counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl.autograd import no_grad
from tinydl.creation import as_tensor, from_numpy, full, tensor
from tinydl.devices import on_host
from tinydl.distributions import constraints
from tinydl.distributions.constraints import Constraint
from tinydl.distributions.distribution import Distribution, Shape, broadcast_all, lazy_property
from tinydl.functions import where
from tinydl.ops.elementwise import softplus
from tinydl.random import bernoulli, multinomial, poisson
from tinydl.tensor import Tensor


def _one_of(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def _inside(probs: Tensor) -> Tensor:
    """Probabilities at least eps away from 0 and 1, so that their logits are finite."""
    eps = float(np.finfo(probs.dtype).eps)
    return probs.clamp(eps, 1 - eps)


class Bernoulli(Distribution):
    """1 with probability ``probs``, else 0: ``log p(x) = x log(probs) + (1 - x) log(1 - probs)``.

    Args:
        probs: a number or tensor in [0, 1].
        logits: ``log(probs / (1 - probs))`` instead, a number or tensor.
        validate_args: see :class:`Distribution`.
    """

    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        _one_of(probs, logits)
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
        else:
            (self.logits,) = broadcast_all(logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    @lazy_property
    def logits(self) -> Tensor:
        p = _inside(self.probs)
        return p.log() - (-p).log1p()

    @lazy_property
    def probs(self) -> Tensor:
        return self.logits.sigmoid()

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"probs": constraints.unit_interval, "logits": constraints.real}

    @property
    def support(self) -> Constraint:
        return constraints.boolean

    @property
    def param_shape(self) -> tuple[int, ...]:
        """The shape of the parameter."""
        return tuple(self._param.shape)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        """0 or 1, and NaN where both are equally probable."""
        return where(self.probs == 0.5, math.nan, (self.probs >= 0.5).to(self.probs.dtype))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with no_grad():
            return bernoulli(self.probs.detach().expand(*self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -((1 - value) * self.logits + softplus(-self.logits))

    def entropy(self) -> Tensor:
        return (1 - self.probs) * self.logits + softplus(-self.logits)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = tensor([0, 1], dtype=self._param.dtype).reshape(2, *(1,) * len(self._batch_shape))
        return values.expand(2, *self._batch_shape) if expand else values


class Categorical(Distribution):
    """One of the numbers 0 ... K-1: ``log p(k) = log(probs[k])``.

    Args:
        probs: weights >= 0 [..., K], which are divided by their sum.
        logits: their logarithms up to a constant, [..., K], instead.
        validate_args: see :class:`Distribution`.

    Draws and values are int64.
    """

    has_enumerate_support = True

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        _one_of(probs, logits)
        if probs is not None:
            if probs.dim() < 1:
                raise ValueError("`probs` parameter must be at least one-dimensional.")
            self.probs = probs / probs.sum(-1, keepdim=True)
        elif logits is not None:
            if logits.dim() < 1:
                raise ValueError("`logits` parameter must be at least one-dimensional.")
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self._num_events: int = self._param.shape[-1]
        super().__init__(self._param.shape[:-1], validate_args=validate_args)

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    @lazy_property
    def logits(self) -> Tensor:
        return _inside(self.probs).log()

    @lazy_property
    def probs(self) -> Tensor:
        return self.logits.softmax(-1)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"probs": constraints.simplex, "logits": constraints.real_vector}

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> tuple[int, ...]:
        """The shape of the parameter, K included."""
        return tuple(self._param.shape)

    @property
    def mean(self) -> Tensor:
        """NaN: categories are no quantities."""
        return full(self._batch_shape, math.nan, dtype=self._param.dtype)

    @property
    def variance(self) -> Tensor:
        """NaN: categories are no quantities."""
        return self.mean

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        rows = self.probs.detach().reshape(-1, self._num_events)
        count = math.prod(sample_shape)
        if not count or not rows.shape[0]:
            return full(self._extended_shape(sample_shape), 0)
        draws = multinomial(rows, count, True)
        return draws.t().reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        shape = np.broadcast_shapes(tuple(value.shape), self._batch_shape)
        index = value.long().unsqueeze(-1).expand(*shape, 1)
        return self.logits.expand(*shape, self._num_events).gather(-1, index).squeeze(-1)

    def entropy(self) -> Tensor:
        least = float(np.finfo(self.logits.dtype).min)
        return -(self.logits.clamp(min=least) * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = self._num_events
        values = from_numpy(np.arange(count)).reshape(count, *(1,) * len(self._batch_shape))
        return values.expand(count, *self._batch_shape) if expand else values


class OneHotCategorical(Distribution):
    """A :class:`Categorical` draw as a vector of one 1 and K - 1 zeros.

    Args:
        probs, logits: as for :class:`Categorical`.
        validate_args: see :class:`Distribution`.
    """

    has_enumerate_support = True

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Shape) -> OneHotCategorical:
        new = super().expand(batch_shape)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    @property
    def probs(self) -> Tensor:
        """The probabilities [..., K]."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits

    @property
    def param_shape(self) -> tuple[int, ...]:
        """The shape of the parameter, K included."""
        return self._categorical.param_shape

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return self._categorical.arg_constraints

    @property
    def support(self) -> Constraint:
        return constraints.one_hot

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._vectors(self._categorical.mode)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _vectors(self, indices: Tensor) -> Tensor:
        rows = np.eye(self._event_shape[0], dtype=self._categorical._param.dtype)
        return as_tensor(rows[on_host(indices.array)], device=indices.device)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        return self._vectors(self._categorical.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._vectors(self._categorical.enumerate_support(expand))


class Poisson(Distribution):
    """Counts 0, 1, 2, ...: ``log p(x) = x log(rate) - rate - log x!``.

    Args:
        rate: a number or tensor >= 0, the mean.
        validate_args: see :class:`Distribution`.
    """

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {"rate": constraints.nonnegative}

    @property
    def support(self) -> Constraint:
        return constraints.nonnegative_integer

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with no_grad():
            return poisson(self.rate.expand(*self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return value.xlogy(self.rate) - self.rate - (value + 1).lgamma()
