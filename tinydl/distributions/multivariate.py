"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydl import linalg
from tinydl.devices import beside
from tinydl.distributions import constraints
from tinydl.distributions.constraints import Constraint
from tinydl.distributions.distribution import Distribution, Shape, lazy_property
from tinydl.random import randn
from tinydl.tensor import Tensor

_linalg: Any = linalg  # its names are made from a table


class MultivariateNormal(Distribution):
    """``log p(x) = -(x - loc)^T C^-1 (x - loc) / 2 - log det(2 pi C) / 2`` of vectors of K numbers.

    Args:
        loc: the mean, a tensor [..., K].
        covariance_matrix: C, positive definite, [..., K, K]; or instead of it
        precision_matrix: its inverse; or
        scale_tril: its lower Cholesky factor L, with a positive diagonal: C = L L^T. All that is computed begins there.
        validate_args: see :class:`Distribution`.
    """

    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        forms = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {name: matrix for name, matrix in forms.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        batch = np.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.__dict__[name] = matrix.expand(*batch, *matrix.shape[-2:])
        self.loc = loc.expand(*batch, loc.shape[-1])
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {
            "loc": constraints.real_vector,
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
        }

    @property
    def support(self) -> Constraint:
        return constraints.real_vector

    @lazy_property
    def scale_tril(self) -> Tensor:
        if "covariance_matrix" in self.__dict__:
            return _linalg.cholesky(self.covariance_matrix)
        # P = M M^T read backwards: the flipped Cholesky factor of the flipped P, inverted, is lower triangular
        factor = _linalg.cholesky(self.precision_matrix.flip(-2, -1)).flip(-2, -1).mT
        return _inverse(factor)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self.scale_tril @ self.scale_tril.mT

    @lazy_property
    def precision_matrix(self) -> Tensor:
        inverse = _inverse(self.scale_tril)
        return inverse.mT @ inverse

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        noise = randn(*self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = mahalanobis(self.scale_tril, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - self.half_log_det()

    def entropy(self) -> Tensor:
        return 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self.half_log_det()

    def half_log_det(self) -> Tensor:
        """``log det(C) / 2``."""
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _inverse(factor: Tensor) -> Tensor:
    """The inverse of lower triangular matrices."""
    one = Tensor._wrap(beside(np.eye(factor.shape[-1], dtype=factor.dtype), factor.array))
    return _linalg.solve_triangular(factor, one.expand(*factor.shape), upper=False)


def mahalanobis(L: Tensor, x: Tensor) -> Tensor:
    """``|L^-1 x|**2`` for factors L [..., K, K] and vectors x [..., K], which broadcast."""
    solved = _linalg.solve_triangular(L, x.unsqueeze(-1), upper=False)
    return solved.square().sum((-2, -1))
