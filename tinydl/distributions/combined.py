"""Distributions made of others: batches that count as one event, and mixtures."""

from __future__ import annotations

from typing import Any

from tinydl.autograd import no_grad
from tinydl.distributions import constraints
from tinydl.distributions.constraints import Constraint
from tinydl.distributions.discrete import Categorical
from tinydl.distributions.distribution import Distribution, Shape, sum_rightmost
from tinydl.distributions.transforms import ComposeTransform, Transform
from tinydl.tensor import Tensor


class Independent(Distribution):
    """The last ``reinterpreted_batch_ndims`` batch dimensions of a distribution as parts of one event.

    ``log_prob`` and ``entropy`` sum over them: ``Independent(Normal(loc, scale), 1)`` is a normal vector with diagonal
    covariance.

    Args:
        base_distribution: any distribution.
        reinterpreted_batch_ndims: no more than it has batch dimensions.
        validate_args: see :class:`Distribution`.
    """

    def __init__(
        self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ) -> None:
        if reinterpreted_batch_ndims > len(base_distribution.batch_shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {reinterpreted_batch_ndims} vs {len(base_distribution.batch_shape)}"
            )
        shape = base_distribution.batch_shape + base_distribution.event_shape
        cut = len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Shape) -> Independent:
        new = super().expand(batch_shape)
        new.base_dist = self.base_dist.expand((*batch_shape, *self._event_shape[: self.reinterpreted_batch_ndims]))
        return new

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base has reparameterised samples."""
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        """Whether values can be listed: not those of several parts."""
        return not self.reinterpreted_batch_ndims and self.base_dist.has_enumerate_support

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {}

    @property
    def support(self) -> Constraint:
        base, dims = self.base_dist.support, self.reinterpreted_batch_ndims
        return constraints.independent(base, dims) if dims else base

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_dist!r}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Distribution):
    """What becomes of a draw under maps: ``log p(y) = log p_base(x) - log |det dy/dx|`` with ``x = t.inv(y)``.

    Args:
        base_distribution: where x is drawn from.
        transforms: a map (:mod:`tinydl.distributions.transforms`) or a list of maps, the first first.
        validate_args: see :class:`Distribution`.

    Raises ValueError for what is no map, and for a base with too few dimensions.
    """

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ) -> None:
        self.transforms: list[Transform] = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(self.transforms, list) or not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError(f"transforms must be a Transform or a list of Transforms, but was {transforms}")
        whole = ComposeTransform(self.transforms)
        shape = base_distribution.batch_shape + base_distribution.event_shape
        own = len(base_distribution.event_shape)
        if len(shape) < whole.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {whole.domain.event_dim}, but got {shape}."
            )
        after = whole.forward_shape(shape)
        before = whole.inverse_shape(after)
        if before != shape:  # the parameters of a map have a batch
            base_distribution = base_distribution.expand(before[: len(before) - own])
        if whole.domain.event_dim > own:
            base_distribution = Independent(base_distribution, whole.domain.event_dim - own)
        self.base_dist = base_distribution
        events = max(whole.codomain.event_dim, own + whole.codomain.event_dim - whole.domain.event_dim)
        cut = len(after) - events
        super().__init__(after[:cut], after[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Shape) -> TransformedDistribution:
        new = super().expand(batch_shape)
        shape = ComposeTransform(self.transforms).inverse_shape((*batch_shape, *self._event_shape))
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return new

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base has reparameterised samples."""
        return self.base_dist.has_rsample

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {}

    @property
    def support(self) -> Constraint:
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self._event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with no_grad():
            return ComposeTransform(self.transforms)(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return ComposeTransform(self.transforms)(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        dims, y = len(self._event_shape), value
        log_dets: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            dims += transform.domain.event_dim - transform.codomain.event_dim
            log_dets = log_dets + sum_rightmost(transform.log_abs_det_jacobian(x, y), dims - transform.domain.event_dim)
            y = x
        return sum_rightmost(self.base_dist.log_prob(y), dims - len(self.base_dist.event_shape)) - log_dets

    def cdf(self, value: Tensor) -> Tensor:
        value = ComposeTransform(self.transforms).inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._rising(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return ComposeTransform(self.transforms)(self.base_dist.icdf(self._rising(value)))

    def _rising(self, probability: Tensor) -> Tensor:
        """The probability, or what it lacks of 1 where the maps fall."""
        sign = ComposeTransform(self.transforms).sign
        return probability if isinstance(sign, int) and sign == 1 else sign * (probability - 0.5) + 0.5


class MixtureSameFamily(Distribution):
    """A mixture of K distributions of one family: ``p(x) = sum_k w_k p_k(x)``.

    Args:
        mixture_distribution: a :class:`Categorical` over K, whose batch shape fits that of the components.
        component_distribution: a distribution whose last batch dimension is K.
        validate_args: see :class:`Distribution`.
    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "The Mixture distribution needs to be an instance of tinydl.distributions.Categorical, not of "
                f"{type(mixture_distribution).__name__}"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of tinydl.distributions.Distribution, not of "
                f"{type(component_distribution).__name__}"
            )
        mixed, batch = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        if any(i != 1 and j != 1 and i != j for i, j in zip(reversed(mixed), reversed(batch))):
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({mixed}) is not compatible with "
                f"`component_distribution.batch_shape`({batch})"
            )
        weights, parts = mixture_distribution.param_shape[-1], component_distribution.batch_shape[-1:]
        if parts != (weights,):
            raise ValueError(
                f"`mixture_distribution component` ({weights}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({', '.join(map(str, parts))})"
            )
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        super().__init__(batch, component_distribution.event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape) -> MixtureSameFamily:
        new = super().expand(batch_shape)
        new.component_distribution = self.component_distribution.expand(
            (*batch_shape, self.component_distribution.batch_shape[-1])
        )
        new.mixture_distribution = self.mixture_distribution.expand(batch_shape)
        return new

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {}

    @property
    def support(self) -> Constraint:
        return _InAnyComponent(self.component_distribution.support, len(self._event_shape))

    @property
    def mean(self) -> Tensor:
        return self._mix(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances and the variance of the means."""
        parts = self.component_distribution
        return self._mix(parts.variance) + self._mix((parts.mean - self._pad(self.mean)).square())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        parts = self.component_distribution.log_prob(self._pad(value))
        return (parts + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def cdf(self, value: Tensor) -> Tensor:
        parts = self.component_distribution.cdf(self._pad(value))
        return (parts * self.mixture_distribution.probs).sum(-1)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with no_grad():
            batch, event = (*sample_shape, *self._batch_shape), self._event_shape
            chosen = self.mixture_distribution.expand(self._batch_shape).sample(sample_shape)
            parts = self.component_distribution.sample(sample_shape)
            index = chosen.reshape(*batch, *(1,) * (1 + len(event))).expand(*batch, 1, *event)
            return parts.gather(len(batch), index).squeeze(len(batch))

    def _pad(self, value: Tensor) -> Tensor:
        """A dimension for the components, before the event."""
        return value.unsqueeze(-1 - len(self._event_shape))

    def _mix(self, parts: Tensor) -> Tensor:
        """The weighted sum over the components."""
        weights = self.mixture_distribution.probs
        weights = weights.reshape(*weights.shape, *(1,) * len(self._event_shape))
        return (weights * parts).sum(-1 - len(self._event_shape))

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution!r},\n  {self.component_distribution!r})"


class _InAnyComponent(Constraint):
    """A value within the support of a component, which may depend on its parameters."""

    def __init__(self, base_constraint: Constraint, event_ndims: int) -> None:
        self.base_constraint, self.event_ndims = base_constraint, event_ndims

    def check(self, value: Tensor) -> Tensor:
        found = self.base_constraint.check(value.unsqueeze(-1 - self.event_ndims))
        return found.any(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"
