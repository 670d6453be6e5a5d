"""Gradient checkpointing: keep the inputs of a part of a computation, and compute its inside again in backward.

The part is recorded as always; then what its nodes saved is thrown away, and each remembers only (part, its number).
The first of them that backward reaches runs the function once more, on the same inputs and from the same random state,
and each takes over what its twin saved. So the graph is the ordinary one: it works with ``grad`` and ``backward``,
nested, with parameters that the function finds by itself, and to every order. (Chen et al., Training Deep Nets with
Sublinear Memory Cost, 2016.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinydl.autograd.mode import enable_grad, mode
from tinydl.autograd.primitives import Node, Primitive, _next_id
from tinydl.errors import say_absent
from tinydl.random import default_generator
from tinydl.tensor import Tensor

say_absent(__name__)


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """``function(*args, **kwargs)``, whose inside is not kept for backward but computed again there.

    preserve_rng_state
        Draw the same random numbers the second time (from the default generator).
    use_reentrant
        Accepted and without effect: PyTorch's two variants are one here.

    The function must compute the same twice, else backward raises RuntimeError; so it does when an argument has been
    changed in place since. What an ``autograd.Function`` inside saved is kept. Where nothing is recorded, this is a
    plain call.
    """
    if not mode.on:
        return function(*args, **kwargs)
    part = _Part(function, args, kwargs, preserve_rng_state)
    since = _next_id()
    outputs = function(*args, **kwargs)
    nodes = _nodes(outputs, since)
    part.expected = [_signature(n) for n in nodes]
    for i, n in enumerate(nodes):
        if _kept_by_node(n):
            n.saved = None
            n.extra = {**(n.extra or {}), "recompute": _Recompute(part, i)}
    return outputs


def checkpoint_sequential(
    functions: Iterable[Callable[..., Any]], segments: int, input: Any, use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:  # fmt: skip
    """The functions (or layers of a Sequential) one after the other, in ``segments`` parts of equal length of which all
    but the last are checkpointed."""
    steps = list(functions.children() if hasattr(functions, "children") else functions)
    if not 1 <= segments <= max(len(steps), 1):
        raise ValueError(f"checkpoint_sequential: {len(steps)} functions cannot be cut into {segments} segments")
    size = len(steps) // segments
    last = size * (segments - 1)
    for start in range(0, last, size):
        input = checkpoint(_Chain(steps[start : start + size]), input, preserve_rng_state=preserve_rng_state)
    return _Chain(steps[last:])(input)


class _Chain:
    """Functions one after the other."""

    def __init__(self, steps: Sequence[Callable[..., Any]]) -> None:
        self.steps = steps

    def __call__(self, x: Any) -> Any:
        for step in self.steps:
            x = step(x)
        return x


class _Part:
    """One checkpointed call: what it takes to run it again, and, once that was done, what its nodes saved then."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve: bool
    ) -> None:
        self.versions: list[tuple[list[int], int]] = []
        self.function, self.args, self.kwargs = function, self._stand_ins(args), self._stand_ins(kwargs)
        self.random = default_generator.state() if preserve else None
        self.expected: list[Any] = []
        self.found: dict[int, tuple[Any, dict[str, Any] | None]] | None = None

    def _stand_ins(self, value: Any) -> Any:
        """Handles of our own on the same memory: those given may be rebound by a recorded change in place."""
        if isinstance(value, Tensor):
            stand = Tensor._from_array(value.array)
            stand.ver, stand.needs_grad = value.cell(), value.needs_grad
            self.versions.append((value.cell(), value.cell()[0]))
            return stand
        if isinstance(value, dict):
            return {key: self._stand_ins(item) for key, item in value.items()}
        if type(value) in (tuple, list):
            return type(value)(self._stand_ins(item) for item in value)
        return value

    def saved(self, i: int) -> tuple[Any, dict[str, Any] | None]:
        """What the i-th node saved in the second run (once: it is the node's from then on)."""
        if self.found is None:
            self.found = self._run_again()
        return self.found.pop(i)

    def _run_again(self) -> dict[int, tuple[Any, dict[str, Any] | None]]:
        if any(cell[0] != at for cell, at in self.versions):
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: an "
                "argument of a checkpointed function changed after the call; clone() it before changing it"
            )
        before = default_generator.state()
        if self.random is not None:
            default_generator.set_state(self.random)
        try:
            with enable_grad():
                since = _next_id()
                nodes = _nodes(self.function(*self.args, **self.kwargs), since)
        finally:
            if self.random is not None:
                default_generator.set_state(before)
        again = [_signature(n) for n in nodes]
        for i, (first, second) in enumerate(zip([*self.expected, None], [*again, None])):
            if first != second:
                raise RuntimeError(
                    f"checkpoint: the function computed something else the second time (operation {i} was "
                    f"{_words(first)} and is {_words(second)}); it must not depend on what changes between the calls"
                )
        return {i: (n.saved, n.extra) for i, n in enumerate(nodes) if _kept_by_node(n)}


class _Recompute:
    """Stands in a node for what it saved; the engine calls :meth:`restore` before it uses the node."""

    __slots__ = ("part", "index")

    def __init__(self, part: _Part, index: int) -> None:
        self.part, self.index = part, index

    def restore(self, n: Node) -> None:
        """Fill ``n.saved``."""
        saved, extra = self.part.saved(self.index)
        if extra is not None and "recompute" in extra:  # a checkpoint inside this one
            extra["recompute"].restore(n)
        else:
            n.saved = saved


def _kept_by_node(n: Node) -> bool:
    """Whether a node holds arrays of its own; what a user's Function saved is on its context."""
    return isinstance(n.op, Primitive) and n.op.frees


def _signature(n: Node) -> Any:
    return n.op.name, n.shapes


def _words(signature: Any) -> str:
    return "nothing" if signature is None else f"{signature[0]} with inputs of shapes {signature[1]}"


def _nodes(outputs: Any, since: int) -> list[Node]:
    """The nodes behind ``outputs`` that are younger than ``since``, oldest first."""
    seen: dict[int, Node] = {}
    waiting = [outputs]
    while waiting:
        x = waiting.pop()
        if isinstance(x, Tensor):
            x = x.node
        if isinstance(x, Node):
            if x.id > since and x.id not in seen:
                seen[x.id] = x
                waiting.extend(e for e in x.edges if isinstance(e, Node))
        elif isinstance(x, (tuple, list)):
            waiting.extend(x)
        elif isinstance(x, dict):
            waiting.extend(x.values())
    return [seen[i] for i in sorted(seen)]
