"""Weight and spectral normalisation as parametrisations: the weight is computed each time it is read."""

from __future__ import annotations

from typing import Any

from tinydl.errors import say_absent
from tinydl.nn.module import Module
from tinydl.nn.utils.parametrize import register_parametrization
from tinydl.nn.utils.spectral_norm import as_matrix, largest_value, normalised, output_dim, unit, write
from tinydl.nn.utils.weight_norm import lengthened, norm_except
from tinydl.ops.elementwise import square
from tinydl.ops.reducing import reduce_sum, root
from tinydl.tensor import Tensor

say_absent(__name__)

__all__ = ["spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """g v / ||v||."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, g: Tensor, v: Tensor) -> Any:
        """The weight."""
        return lengthened(g, v, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Any, Any]:
        """Its length and itself."""
        return norm_except(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Make ``module``'s parameter ``name`` g v / ||v||: a length for each slice along ``dim`` (None: one for all) and
    a direction, ``parametrizations.<name>.original0`` and ``original1``.

    Salimans and Kingma, arXiv:1602.07868. Returns the module, whose class is now Parametrized...;
    ``parametrize.remove_parametrizations`` undoes it.
    """
    return register_parametrization(module, name, _WeightNorm(-1 if dim is None else dim), unsafe=True)


class _SpectralNorm(Module):
    """W / (u . W v), u and v by power iteration in training."""

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            self.register_buffer("_u", unit(matrix.shape[0], weight, eps))
            self.register_buffer("_v", unit(matrix.shape[1], weight, eps))
            self._iterate(matrix.array, 15)

    def _iterate(self, matrix: Any, steps: int) -> None:
        u, v = self.__dict__["_u"], self.__dict__["_v"]
        for _ in range(steps):
            write(u, normalised(matrix @ v.array, self.eps))
            write(v, normalised(matrix.T @ u.array, self.eps))

    def forward(self, weight: Tensor) -> Any:
        """The weight divided by its largest singular value; a vector by its length."""
        if weight.ndim == 1:
            length = root(reduce_sum(square(weight), axis=None, keepdims=False))
            return weight / length.clamp(min=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix.array, self.n_power_iterations)
        return weight / largest_value(matrix, self.__dict__["_u"], self.__dict__["_v"])

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself: its largest singular value is divided out."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide ``module``'s parameter ``name`` by its largest singular value, as a matrix with ``dim`` as its rows.

    The value is u . W v with buffers u and v that start with 15 steps of the power iteration and take
    ``n_power_iterations`` more each time the weight is read in training. ``dim`` is that of the outputs by default.
    Miyato et al., arXiv:1802.05957. Returns the module, whose class is now Parametrized...;
    ``parametrize.remove_parametrizations`` undoes it.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    dim = output_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
