"""Hooks on gradients: a user's functions, called by a backward pass.

In the order PyTorch calls them: what ``register_hook`` got, oldest first, each seeing what the one before returned;
then what ``retain_grad`` keeps; and for a leaf, after its ``.grad`` has been added to,
``register_post_accumulate_grad_hook``.

A tensor made by an operation keeps its hooks on its node (``extra["hooks"]``, ``extra["kept"]``), where the walk finds
them; a leaf keeps them in its own slot ``hooks``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydl.autograd import primitives as _primitives
from tinydl.devices import ELSEWHERE

if TYPE_CHECKING:
    from tinydl.tensor import Tensor


class Handle:
    """Takes a hook away again: ``handle.remove()``. The list does not know it, so that no cycle arises."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away (once or more often)."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


def register(function: Callable[..., Any], hooks: list[Any]) -> Handle:
    """Add a user's function to a list of hooks."""
    hook = Hook(function)
    hooks.append(hook)
    return Handle(hooks, hook)


class Hook:
    """A user's function that a backward pass calls with a gradient."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"a hook is a function of the gradient, got a {type(function).__name__}")
        self._function = function

    def __call__(self, g: Any, create_graph: bool) -> Any:
        tensor = _primitives.Tensor  # type: ignore[attr-defined]
        found = self._function(g if create_graph else tensor._from_array(_primitives._as_array(g)))
        if found is None:
            return g
        if not isinstance(found, tensor):
            raise TypeError(f"a hook returned a {type(found).__name__}; return the new gradient, a Tensor, or None")
        if tuple(found.shape) != tuple(g.shape) or found.dtype != g.dtype:
            raise RuntimeError(
                f"a hook returned a gradient of shape {tuple(found.shape)} and dtype {found.dtype}, "
                f"expected {tuple(g.shape)} and {g.dtype}"
            )
        return found if create_graph else found.array

    def after(self, leaf: Tensor) -> None:
        """Call a hook of :meth:`Tensor.register_post_accumulate_grad_hook`."""
        self._function(leaf)


class Keep:
    """What ``retain_grad`` leaves behind: it adds what arrives to the tensor's ``.grad``."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = weakref.ref(tensor)  # the tensor holds the node, which holds this

    def __call__(self, g: Any, create_graph: bool) -> None:
        tensor = self.tensor()
        if tensor is not None:
            new = g
            if not create_graph:
                own = g.copy() if type(g) in ELSEWHERE else np.array(g, copy=True)
                new = _primitives.Tensor._from_array(own)  # type: ignore[attr-defined]
            tensor.grad = new if tensor.grad is None else tensor.grad + new


def on_node(extra: dict[str, Any], g: Any, create_graph: bool) -> Any:
    """Call the hooks of a node's result with its gradient; returns what goes on."""
    for hook in tuple(extra.get("hooks", ())):
        g = hook(g, create_graph)
    for keep in tuple(extra.get("kept", ())):
        keep(g, create_graph)
    return g


def on_leaf(leaf: Any, g: Any, create_graph: bool) -> Any:
    """Call a leaf's hooks with its whole gradient, before it is added to ``.grad`` or returned."""
    for hook in tuple(leaf.hooks["before"]):
        g = hook(g, create_graph)
    return g


def of_leaf(leaf: Any, which: str) -> list[Any]:
    """The list of a leaf's hooks: ``"before"`` or ``"after"`` its gradient is accumulated."""
    if getattr(leaf, "hooks", None) is None:
        leaf.hooks = {"before": [], "after": []}
    found: list[Any] = leaf.hooks[which]
    return found
