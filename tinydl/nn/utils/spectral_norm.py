"""Spectral normalisation: a weight divided by its largest singular value (Miyato et al., arXiv:1802.05957).

This is the older form, a hook before each forward call; :func:`tinydl.nn.utils.parametrizations.spectral_norm` is the
newer one.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from tinydl.nn import init
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.nn.utils.weight_norm import hooks_of, refuse_second
from tinydl.ops.products import dot, matmul
from tinydl.ops.shaping import flatten, permute
from tinydl.tensor import Tensor

ModuleT = TypeVar("ModuleT", bound=Module)


def as_matrix(weight: Any, dim: int) -> Any:
    """The weight with ``dim`` as rows, everything else as columns."""
    if dim:
        weight = permute(weight, dim, *(d for d in range(weight.ndim) if d != dim))
    return flatten(weight, 1) if weight.ndim > 1 else weight.reshape(weight.shape[0], 1)


def output_dim(module: Module) -> int:
    """The dimension of a weight that counts outputs: the second one in transposed convolutions."""
    return 1 if getattr(module, "transposed", False) else 0


def unit(size: int, like: Tensor, eps: float) -> Tensor:
    """A random vector of length one."""
    vector = init.normal_(Tensor._wrap(np.empty(size, like.dtype)))
    vector.array[...] = normalised(vector.array, eps)
    return vector


def normalised(x: Any, eps: float) -> Any:
    """x / max(||x||, eps), an array."""
    return x / max(float(np.linalg.norm(x)), eps)


def write(buffer: Tensor, value: Any) -> None:
    """Put new numbers into a buffer."""
    buffer.array[...] = value
    buffer.bump()


def largest_value(matrix: Tensor, u: Tensor, v: Tensor) -> Any:
    """u . W v, the largest singular value once u and v are its vectors; both count as constants.

    Copies, because the next power iteration writes to them, and an earlier call may not have been differentiated.
    """
    return dot(u.detach().clone(), matmul(matrix, v.detach().clone()))


class _Hook:
    """Computes the weight before each forward call, in training after steps of the power iteration."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        self.name = name
        self.steps = n_power_iterations
        self.dim = dim
        self.eps = eps
        self.handle: Any = None

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.weight(module, self.steps if module.training else 0))

    def weight(self, module: Module, steps: int) -> Any:
        """W / (u . W v); each step makes v = W^T u and u = W v, of length one."""
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        for _ in range(steps):
            write(v, normalised(matrix.array.T @ u.array, self.eps))
            write(u, normalised(matrix.array @ v.array, self.eps))
        return weight / largest_value(matrix, u, v)


def spectral_norm(
    module: ModuleT, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> ModuleT:
    """Divide ``module``'s parameter ``name`` by its largest singular value, as a matrix with ``dim`` as its rows.

    The parameter becomes ``name``_orig; the value is u . W v with the buffers ``name``_u and ``name``_v, which take
    ``n_power_iterations`` steps of the power iteration in each forward call in training. ``dim`` is that of the
    outputs by default. Returns the module. :func:`remove_spectral_norm` undoes it.
    """
    refuse_second(module, "spectral_norm", name)
    if n_power_iterations <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
    hook = _Hook(name, n_power_iterations, output_dim(module) if dim is None else dim, eps)
    weight: Parameter = getattr(module, name)
    rows, columns = as_matrix(weight.detach(), hook.dim).shape
    u, v = unit(rows, weight, eps), unit(columns, weight, eps)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())  # so that there is one before the first call, as initialisers expect
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    hook.handle = module.register_forward_pre_hook(hook)
    hooks_of(module, "spectral_norm")[name] = hook
    return module


def remove_spectral_norm(module: ModuleT, name: str = "weight") -> ModuleT:
    """Make the weight an ordinary parameter again, of its present value. Raises ValueError where it has no such
    hook."""
    hook = hooks_of(module, "spectral_norm").pop(name, None)
    if hook is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    hook.handle.remove()
    weight = hook.weight(module, 0).detach()
    for gone in (name, f"{name}_orig", f"{name}_u", f"{name}_v"):
        delattr(module, gone)
    module.register_parameter(name, Parameter(weight))
    return module
