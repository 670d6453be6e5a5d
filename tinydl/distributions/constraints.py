"""What parameters and values must satisfy: ``constraint.check(value)`` is True wherever they do."""

from __future__ import annotations

from typing import Any

from tinydl.errors import say_absent
from tinydl.linalg import eigvalsh
from tinydl.tensor import Tensor

say_absent(__name__)


class Constraint:
    """A condition on the last ``event_dim`` dimensions of a tensor; ``check`` gives bool of the others' shape."""

    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Where the condition holds."""
        raise NotImplementedError

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name}={bound}" for name, bound in self.__dict__.items())
        return f"{type(self).__name__}({bounds})"


class Real(Constraint):
    """Anything but NaN."""

    def check(self, value: Tensor) -> Tensor:
        return value == value


class GreaterThan(Constraint):
    """``> lower_bound``."""

    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return value > self.lower_bound


class GreaterThanEq(GreaterThan):
    """``>= lower_bound``."""

    def check(self, value: Tensor) -> Tensor:
        return value >= self.lower_bound


class LessThan(Constraint):
    """``< upper_bound``."""

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound


class Interval(Constraint):
    """``lower_bound <= value <= upper_bound``."""

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class IntegerInterval(Interval):
    """Whole numbers in an interval."""

    def check(self, value: Tensor) -> Tensor:
        return (value % 1 == 0) & super().check(value)


class Boolean(Constraint):
    """0 or 1."""

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


class OneHot(Constraint):
    """Vectors of one 1 and zeros."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class Simplex(Constraint):
    """Vectors of numbers >= 0 whose sum is 1, to 1e-6."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class IntegerGreaterThan(Constraint):
    """Whole numbers ``>= lower_bound``."""

    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return (value % 1 == 0) & (value >= self.lower_bound)


class LowerCholesky(Constraint):
    """Lower triangular matrices with a positive diagonal."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        lower = (value.tril() == value).flatten(-2).all(-1)
        return lower & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class PositiveDefinite(Constraint):
    """Symmetric matrices whose eigenvalues are all positive."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        symmetric = value.isclose(value.mT, atol=1e-6).flatten(-2).all(-1)
        if not bool(symmetric.all()):
            return symmetric
        return symmetric & (eigvalsh(value) > 0).all(-1)


class IndependentConstraint(Constraint):
    """A condition that holds in all of the last ``reinterpreted_batch_ndims`` dimensions."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        found = self.base_constraint.check(value)
        for _ in range(self.reinterpreted_batch_ndims):
            found = found.all(-1)
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint}, {self.reinterpreted_batch_ndims})"


real = Real()
positive = GreaterThan(0.0)
nonnegative = GreaterThanEq(0.0)
unit_interval = Interval(0.0, 1.0)
boolean = Boolean()
one_hot = OneHot()
simplex = Simplex()
real_vector = IndependentConstraint(real, 1)
nonnegative_integer = IntegerGreaterThan(0)
lower_cholesky = LowerCholesky()
positive_definite = PositiveDefinite()
integer_interval, interval, greater_than, less_than, independent = (
    IntegerInterval, Interval, GreaterThan, LessThan, IndependentConstraint,
)  # fmt: skip
