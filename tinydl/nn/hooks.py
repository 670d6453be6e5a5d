"""Hooks of a module: functions of the user's that run before and after its forward, and when gradients pass it.

Gradients are watched at two boundaries, identities that a call with backward hooks puts around the module's inputs and
outputs: when the outputs' gradients reach the one and the inputs' gradients the other, the hooks are called.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinydl.autograd.function import Function
from tinydl.autograd.mode import mode
from tinydl.tensor import Tensor


class Hook(NamedTuple):
    """One registered function and when it is called."""

    kind: str  # "forward(_pre)", "backward(_pre)"; of a state_dict "save", "saved", "load", "loaded"
    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False


_numbers = itertools.count()  # of hooks: one that was removed leaves its number to nobody


class RemovableHandle:
    """Takes a hook away again: ``handle.remove()``, or use it as a context manager."""

    def __init__(self, hooks: dict[int, Hook], hook: Hook, prepend: bool = False) -> None:
        self._hooks = hooks
        self._id = next(_numbers)
        before = {} if not prepend else dict(hooks)
        if prepend:
            hooks.clear()
        hooks[self._id] = hook
        hooks.update(before)

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self._hooks.pop(self._id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def of_kind(hooks: dict[int, Hook], *kinds: str) -> list[Hook]:
    """The hooks of some kinds, in order; a list, because a hook may remove itself."""
    return [hook for hook in hooks.values() if hook.kind in kinds]


def call(module: Any, hooks: dict[int, Hook], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward(*args, **kwargs)`` between its hooks."""
    after = of_kind(hooks, "forward")
    result: Any = None
    try:
        for hook in of_kind(hooks, "forward_pre"):
            args, kwargs = _before(module, hook, args, kwargs)
        backward = of_kind(hooks, "backward", "backward_pre")
        watch = _Watch(module, backward) if backward else None
        if watch is not None:
            args = watch.inputs(args)
        result = module.forward(*args, **kwargs)
        while after:
            hook = after.pop(0)
            changed = hook.function(module, args, *([kwargs] if hook.with_kwargs else []), result)
            if changed is not None:
                result = changed
        return result if watch is None else watch.outputs(result)
    except Exception:
        for hook in after:
            if hook.always_call:
                try:
                    hook.function(module, args, *([kwargs] if hook.with_kwargs else []), result)
                except Exception as error:
                    warnings.warn(
                        "forward hook with ``always_call=True`` raised an exception that was silenced as another error "
                        f"was raised in forward: {error}",
                        stacklevel=4,
                    )
        raise


def _before(
    module: Any, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not hook.with_kwargs:
        changed = hook.function(module, args)
        return (args if changed is None else changed if isinstance(changed, tuple) else (changed,)), kwargs
    changed = hook.function(module, args, kwargs)
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise RuntimeError(
            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
        )
    return changed


class _Boundary(Function):
    """The identity; ``receive`` sees the gradients of all tensors at once and says which go on."""

    @staticmethod
    def forward(ctx: Any, receive: Callable[..., Any], *tensors: Any) -> Any:
        ctx.receive = receive
        ctx.mark_non_differentiable(*[tensor for tensor in tensors if not tensor.requires_grad])
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.receive(grads))


class _Watch:
    """The backward hooks of one call: what it needs to know between the gradients of outputs and of inputs."""

    def __init__(self, module: Any, hooks: Sequence[Hook]) -> None:
        self.module = module
        self.hooks = [hook.function for hook in hooks if hook.kind == "backward"]
        self.before = [hook.function for hook in hooks if hook.kind == "backward_pre"]
        self.inputs_at: list[int] = []
        self.outputs_at: list[int] = []
        self.sizes = (0, 0)
        self.grad_outputs: tuple[Any, ...] | None = None

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """``args`` with their tensors behind a boundary."""
        self.sizes = (len(args), 0)
        args, self.inputs_at = self._behind(self._at_inputs, args)
        return args

    def outputs(self, result: Any) -> Any:
        """``result``, a tensor or a tuple, behind a boundary."""
        outs = result if isinstance(result, tuple) else (result,)
        self.sizes = (self.sizes[0], len(outs))
        outs, self.outputs_at = self._behind(self._at_outputs, outs)
        return outs if isinstance(result, tuple) else outs[0]

    def _behind(self, receive: Callable[..., Any], values: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[int]]:
        at = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
        if not mode.on or not any(values[i].requires_grad for i in at):
            return values, []
        through = dict(zip(at, _Boundary.apply(receive, *[values[i] for i in at])))
        return tuple(through.get(i, value) for i, value in enumerate(values)), at

    def _at_outputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        full = _spread(grads, self.outputs_at, self.sizes[1])
        for hook in self.before:
            full = _replaced(hook(self.module, full), full, "Backward pre hook", "grad_output")
        self.grad_outputs = full
        if not self.inputs_at:  # no gradient will reach the inputs
            for hook in self.hooks:
                found = hook(self.module, (None,) * self.sizes[0], full)
                if found is not None and not (isinstance(found, tuple) and all(g is None for g in found)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
            self.grad_outputs = None
        return tuple(full[i] for i in self.outputs_at)

    def _at_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.grad_outputs is None:
            return grads  # they came another way than through the outputs
        full = _spread(grads, self.inputs_at, self.sizes[0])
        for hook in self.hooks:
            full = _replaced(hook(self.module, full, self.grad_outputs), full, "Backward hook", "grad_input")
        self.grad_outputs = None
        return tuple(full[i] for i in self.inputs_at)


def _spread(grads: Sequence[Any], at: list[int], size: int) -> tuple[Any, ...]:
    """One entry for each value, None for what is no tensor."""
    found = dict(zip(at, grads))
    return tuple(found.get(i) for i in range(size))


def _replaced(found: Any, full: tuple[Any, ...], what: str, which: str) -> tuple[Any, ...]:
    """``full``, or what a hook put in its place."""
    if found is None:
        return full
    new: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
    if len(new) != len(full):
        raise RuntimeError(f"{what} returned an invalid number of {which}, got {len(new)}, but expected {len(full)}")
    return new
