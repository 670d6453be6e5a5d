"""Parametrisations: a parameter of a module computed from others, each time it is read.

    register_parametrization(layer, "weight", Symmetric())       layer.weight is now Symmetric()(original)

A parametrisation is a module whose ``forward`` maps the original to the parameter; one with a ``right_inverse`` maps a
value back, to one original or to several. The originals are parameters of the ParametrizationList at
``layer.parametrizations.weight``, so they are in the state dict and with the optimizer.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from tinydl.autograd.mode import no_grad
from tinydl.errors import say_absent
from tinydl.nn.container import ModuleDict, ModuleList
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.tensor import Tensor

say_absent(__name__)


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, the first applied first, and what they are applied to.

    That is ``original``, or ``original0``, ``original1``, ... where the first right inverse gives several.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor) -> None:
        super().__init__(modules)
        with no_grad():
            found = self._inverse(original)
        self.is_tensor = isinstance(found, Tensor)
        learnt = isinstance(original, Parameter)
        if self.is_tensor and found.shape == original.shape and found.dtype == original.dtype:
            # The same object, so that an optimizer that holds it still does.
            original.array = found.array
            _register(self, "original", original)
            return
        for number, part in enumerate([found] if self.is_tensor else found):
            value = part.detach()
            name = "original" if self.is_tensor else f"original{number}"
            _register(self, name, Parameter(value) if learnt else value)
        self.ntensors = 0 if self.is_tensor else len(found)

    def _inverse(self, value: Any) -> Any:
        for module in reversed(list(self)):
            inverse = getattr(module, "right_inverse", None)
            value = value if inverse is None else inverse(value)
        return value

    def originals(self) -> list[Tensor]:
        """What the parametrisations are applied to."""
        if self.is_tensor:
            return [self.__dict__["original"]]
        return [self.__dict__[f"original{number}"] for number in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals, in place, so that the parameter becomes ``value`` (as near as it can)."""
        with no_grad():
            found = self._inverse(value)
            for original, part in zip(self.originals(), [found] if self.is_tensor else found):
                original.array[...] = part.array
                original.bump()

    def forward(self) -> Any:
        """The parameter."""
        first, *others = list(self)
        value = first(*self.originals())
        for module in others:
            value = module(value)
        return value


def _all(module: Module) -> Any:
    """The lists of parametrisations of ``module`` by the name of the tensor."""
    return module.__dict__["parametrizations"]


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether ``module`` has a parametrised tensor (of this name)."""
    found = module.__dict__.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def _set(self: Any, name: str, value: Any) -> None:
    """An assignment to a parametrised tensor goes to its originals."""
    if is_parametrized(self, name):
        self.parametrizations[name].right_inverse(value)
    else:
        super(type(self), self).__setattr__(name, value)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let ``module``'s parameter or buffer ``tensor_name`` be ``parametrization`` of what it is now; returns module.

    A second one is applied to the first. The class of the module becomes one of its own, ``Parametrized...``, whose
    property computes the tensor. Raises ValueError where there is no such tensor, or (unless ``unsafe``) where shape or
    dtype would change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        parts: ParametrizationList = _all(module)[tensor_name]
        if not unsafe:
            with no_grad():
                _refuse_change(parts(), parametrization(parts()), tensor_name)
        inverse = getattr(parametrization, "right_inverse", None)
        if inverse is not None:
            with no_grad():
                parts.right_inverse(inverse(parts()))
        parts.append(parametrization)
        return module
    if tensor_name not in module._parameter_names and tensor_name not in module._buffer_names:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    original = getattr(module, tensor_name)
    if not unsafe:  # before anything is changed
        with no_grad():
            inverse = getattr(parametrization, "right_inverse", None)
            found = original if inverse is None else inverse(original)
            after = parametrization(found) if isinstance(found, Tensor) else parametrization(*found)
            _refuse_change(original, after, tensor_name)
    parts = ParametrizationList([parametrization], original)
    base = type(module).__bases__[0] if is_parametrized(module) else type(module)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.add_module("parametrizations", ModuleDict())
    _all(module)[tensor_name] = parts
    module.__class__ = _class_of(base, _all(module))
    return module


def _class_of(base: type[Module], names: ModuleDict) -> type[Module]:
    """``base`` with properties of these names; a new class each time, since a copy of the module keeps the old one."""
    members: dict[str, Any] = {"__setattr__": _set}
    for name in names:
        members[name] = property(functools.partial(_computed, name))
    return type(f"Parametrized{base.__name__}", (base,), members)


def _computed(name: str, module: Any) -> Any:
    return _all(module)[name]()


def _refuse_change(before: Any, after: Any, name: str) -> None:
    if tuple(before.shape) != tuple(after.shape) or before.dtype != after.dtype:
        raise ValueError(
            f"A parametrization may not change the shape or the dtype of '{name}' unless unsafe=True: it has shape "
            f"{tuple(before.shape)} and dtype {before.dtype}, and would have {tuple(after.shape)} and {after.dtype}"
        )


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary one again, of its present value, or (``leave_parametrized=False``) of its
    original's; returns the module. Raises ValueError where it is not parametrised, or has several originals to choose
    from."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parts: ParametrizationList = _all(module)[tensor_name]
    if not leave_parametrized and not parts.is_tensor:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    original = parts.originals()[0]
    if leave_parametrized:
        with no_grad():
            value = parts().detach()
        if parts.is_tensor and value.shape == original.shape and value.dtype == original.dtype:
            original.array[...] = value.array
            original.bump()
        else:
            original = Parameter(value) if isinstance(original, Parameter) else value
    base = type(module).__bases__[0]
    del _all(module)[tensor_name]
    if len(_all(module)):
        module.__class__ = _class_of(base, _all(module))
    else:
        delattr(module, "parametrizations")
        module.__class__ = base
    _register(module, tensor_name, original)
    return module
