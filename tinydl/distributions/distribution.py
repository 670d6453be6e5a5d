"""The base of all distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, TypeVar

import numpy as np

from tinydl import dtypes
from tinydl.autograd import enable_grad, no_grad
from tinydl.creation import from_numpy, tensor
from tinydl.distributions.constraints import Constraint
from tinydl.random import rand
from tinydl.tensor import Tensor

Shape = Sequence[int]
D = TypeVar("D", bound="Distribution")


class Distribution:
    """A batch of distributions of one family.

    A draw has the shape ``sample_shape + batch_shape + event_shape``: independent draws, different parameters, and what
    is one draw of one distribution (a number has the event shape ``()``). ``log_prob`` sums over the event.

    A family derives from it, names its parameters in ``arg_constraints``, and gives what it has of the rest. With
    ``validate_args`` (the default, off under ``python -O``) parameters and values are checked, and ValueError names
    what does not fit.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    def __init__(self, batch_shape: Shape = (), event_shape: Shape = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = tuple(batch_shape), tuple(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                if name in self.__dict__:
                    self._check(self.__dict__[name], constraint, f"parameter {name}")

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their arguments when not told."""
        if value not in (True, False):
            raise ValueError(f"validate_args is True or False, not {value!r}")
        Distribution._validate_args = value

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the parameters, without their event dimensions."""
        return self._batch_shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one draw."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """The parameters by name, and what each must satisfy."""
        raise NotImplementedError

    @property
    def support(self) -> Constraint:
        """What a value must satisfy to have a density."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The expected squared distance from the mean, for each element of an event."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws from tinydl's default generator, without gradient: ``sample_shape + batch_shape + event_shape``."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws through which gradients flow to the parameters (reparameterised), where ``has_rsample``."""
        raise NotImplementedError(f"{type(self).__name__} has no reparameterised samples: use sample()")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density or probability of ``value``, in nats."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a draw no greater than ``value``."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of :meth:`cdf`: the quantile of the probability ``value``."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def entropy(self) -> Tensor:
        """The expected ``-log_prob``, in nats: of the batch shape."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy in closed form")

    def perplexity(self) -> Tensor:
        """``e ** entropy``."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution along a first dimension, with the batch shape after it (or ones)."""
        raise NotImplementedError(f"{type(self).__name__} has no finite support to list")

    def expand(self: D, batch_shape: Shape) -> D:
        """The same distribution for a larger batch, to which its parameters are broadcast."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        for name, value in self.__dict__.items():
            if isinstance(value, Tensor):
                tail = value.shape[len(self._batch_shape) :]
                new.__dict__[name] = value.expand(*batch_shape, *tail)
        new._batch_shape = tuple(batch_shape)
        return new

    # --- for the families -----------------------------------------------------------------------------------------

    def _extended_shape(self, sample_shape: Shape = ()) -> tuple[int, ...]:
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def _validate_sample(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, event = tuple(value.shape), self._event_shape
        if shape[len(shape) - len(event) :] != event:
            raise ValueError(f"The right-most size of value must match event_shape: {shape} vs {event}.")
        expected = self._batch_shape + event
        for i, j in zip(reversed(shape), reversed(expected)):
            if i != 1 and j != 1 and i != j:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}.")
        self._check(value, self.support, "value argument")

    def _check(self, value: Tensor, constraint: Constraint, what: str) -> None:
        with no_grad():
            fits = bool(constraint.check(value.detach()).array.all())
        if fits:
            return
        kind = f"{what} ({type(value).__name__} of shape {tuple(value.shape)})"
        if what.startswith("parameter"):
            where = f"of distribution {self!r} to satisfy the constraint {constraint!r}"
        else:
            where = f"to be within the support ({constraint!r}) of the distribution {self!r}"
        raise ValueError(f"Expected {kind} {where}, but found invalid values:\n{value.detach()!r}")

    def __repr__(self) -> str:
        given = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        return f"{type(self).__name__}({', '.join(f'{name}: {_shown(x)}' for name, x in given.items())})"


def _shown(parameter: Tensor) -> Any:
    """A single number, or the shape of several."""
    if parameter.numel() != 1:
        return tuple(parameter.shape)
    return parameter.detach() if parameter.dim() else parameter.item()


class lazy_property:
    """An attribute that is computed when first asked for, recorded whatever the mode is, and then kept."""

    def __init__(self, function: Callable[[Any], Tensor]) -> None:
        self.function = function
        update_wrapper(self, function)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = instance.__dict__[self.function.__name__] = self.function(instance)
        return value


def broadcast_all(*values: Any) -> list[Tensor]:
    """Parameters as tensors of one shape; numbers take the dtype of the first tensor, or the default dtype."""
    given = [value for value in values if isinstance(value, Tensor)]
    for value in values:
        if not isinstance(value, (Tensor, int, float, np.number)):
            raise ValueError(
                f"Input arguments must all be instances of Number or tinydl.Tensor, but one is a {type(value).__name__}"
            )
    dtype = given[0].dtype if given else dtypes.get_default_dtype()
    where = given[0].device if given else None
    tensors = [
        value if isinstance(value, Tensor) else tensor(float(value), dtype=dtype, device=where) for value in values
    ]
    try:
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        shapes = " and ".join(str(tuple(t.shape)) for t in tensors)
        raise RuntimeError(f"parameters of shapes {shapes} cannot be broadcast together") from None
    return [t if tuple(t.shape) == shape else t.expand(*shape) for t in tensors]


def open_uniform(shape: Shape, dtype: Any) -> Tensor:
    """Uniforms in (0, 1): a draw of 0 becomes half of the next one."""
    draws = rand(*shape, dtype=dtype).array
    return from_numpy(np.maximum(draws, draws.dtype.type(math.ldexp(1.0, -25 if draws.dtype == np.float32 else -54))))


def sum_rightmost(value: Tensor, dims: int) -> Tensor:
    """The sum over the last ``dims`` dimensions."""
    return value.sum(tuple(range(-dims, 0))) if dims else value
