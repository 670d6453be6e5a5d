"""Weight normalisation: a weight as a length and a direction (Salimans and Kingma, arXiv:1602.07868).

This is the older form, a hook before each forward call; :func:`tinydl.nn.utils.parametrizations.weight_norm` is the
newer one.
"""

from __future__ import annotations

from typing import Any, TypeVar

from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.ops.elementwise import square
from tinydl.ops.reducing import one_axis, reduce_sum, root
from tinydl.tensor import Tensor

ModuleT = TypeVar("ModuleT", bound=Module)


def norm_except(weight: Tensor, dim: int) -> Any:
    """The Euclidean norms of the slices of ``weight`` along ``dim``, the other sizes 1; of all of it where dim is
    -1."""
    if dim == -1:
        return root(reduce_sum(square(weight), axis=None, keepdims=False))
    axis = one_axis(dim, weight.ndim)
    return root(reduce_sum(square(weight), axis=tuple(a for a in range(weight.ndim) if a != axis), keepdims=True))


def lengthened(g: Tensor, v: Tensor, dim: int) -> Any:
    """g v / ||v||."""
    return v * (g / norm_except(v, dim))


class _Hook:
    """Computes the weight before each forward call."""

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = dim
        self.handle: Any = None

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.weight(module))

    def weight(self, module: Module) -> Any:
        """From its two parameters."""
        return lengthened(getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v"), self.dim)


def hooks_of(module: Module, kind: str) -> dict[str, Any]:
    """The hooks of one kind that compute parameters of ``module``, by the parameter's name."""
    found: dict[str, Any] = module.__dict__.setdefault(f"_{kind}_hooks", {})
    return found


def refuse_second(module: Module, kind: str, name: str) -> None:
    """Raise RuntimeError when the parameter has such a hook, ValueError when there is no such parameter."""
    if name in hooks_of(module, kind):
        raise RuntimeError(f"Cannot register two {kind} hooks on the same parameter {name}")
    if name not in module._parameter_names or getattr(module, name) is None:
        raise ValueError(f"{kind}: {type(module).__name__} has no parameter '{name}'")


def weight_norm(module: ModuleT, name: str = "weight", dim: int | None = 0) -> ModuleT:
    """Make ``module``'s parameter ``name`` g v / ||v||, with the parameters ``name``_g and ``name``_v in its place.

    ``dim`` is that of the output, along which each slice has a length of its own; None: one length for all. Returns
    the module. :func:`remove_weight_norm` undoes it.
    """
    refuse_second(module, "weight_norm", name)
    hook = _Hook(name, -1 if dim is None else dim)
    weight: Parameter = getattr(module, name)
    g = norm_except(weight.detach(), hook.dim)  # refuses a wrong dim before anything is changed
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(g))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook(module, None)
    hook.handle = module.register_forward_pre_hook(hook)
    hooks_of(module, "weight_norm")[name] = hook
    return module


def remove_weight_norm(module: ModuleT, name: str = "weight") -> ModuleT:
    """Make the weight an ordinary parameter again, of its present value. Raises ValueError where it has no such
    hook."""
    hook = hooks_of(module, "weight_norm").pop(name, None)
    if hook is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    hook.handle.remove()
    weight = hook.weight(module).detach()
    for gone in (name, f"{name}_g", f"{name}_v"):
        delattr(module, gone)
    setattr(module, name, Parameter(weight))
    return module
