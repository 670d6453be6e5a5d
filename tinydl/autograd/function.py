"""``autograd.Function``: a user's own operation, forward and backward written by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tinydl.autograd import primitives as _primitives
from tinydl.autograd.mode import ANOMALY, mode
from tinydl.autograd.primitives import Node


def _itself(t: Any) -> Any:
    return t


class FunctionCtx:
    """What ``forward`` leaves for ``backward``: saved tensors and any attribute you set on it."""

    def __init__(self) -> None:
        self._saved: tuple[Any, ...] = ()
        self._non_differentiable: set[int] = set()
        self.needs_input_grad: tuple[bool, ...] = ()
        self._materialize = True
        self.name = ""

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs or outputs for ``backward``; a later in-place change of one of them is detected."""
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What :meth:`save_for_backward` kept, attached to the graph again."""
        return tuple(entry() for entry in self._entries)

    _entries: tuple[Callable[[], Any], ...] = ()

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declare outputs that never require a gradient (indices, masks)."""
        self._non_differentiable = {id(t) for t in tensors}

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` receives zeros (default) or None for outputs that nothing used."""
        self._materialize = bool(value)


class _FunctionOp:
    """The operation of one call's node: hands the gradient to the user's ``backward``."""

    composite = joint = None
    args: tuple[str, ...] = ()

    def __init__(self, cls: type[Function], like: list[Any], count: int) -> None:
        self.cls, self.name = cls, cls.__name__
        self.like = like  # (shape, dtype) per output, for gradients that nothing contributed to
        self.public = tuple(range(count))
        self.frees = False  # until something is saved

    def pull(self, n: Node, g: Any, edges: tuple[Any, ...]) -> list[Any]:
        return [d if d is None else d.array for d in self.pull_recorded(n, g, edges)]

    def pull_recorded(self, n: Node, g: Any, edges: tuple[Any, ...]) -> list[Any]:
        from tinydl.creation import zeros

        tensor = _primitives.Tensor  # type: ignore[attr-defined]
        ctx = n.saved
        if ctx is None:
            _primitives._freed(self)
        gs = list(g) if len(self.public) > 1 else [g]
        for i, d in enumerate(gs):
            if d is None:
                gs[i] = zeros(*self.like[i][0], dtype=self.like[i][1]) if ctx._materialize else None
            elif not isinstance(d, tensor):
                gs[i] = tensor._wrap(d)
        ctx.needs_input_grad = tuple(e is not None for e in edges)
        result = self.cls.backward(ctx, *gs)
        grads = list(result) if isinstance(result, tuple) else [result]
        while len(grads) > len(edges) and grads[-1] is None:
            grads.pop()
        if len(grads) != len(edges):
            raise RuntimeError(
                f"function {self.name}Backward returned an incorrect number of gradients (expected {len(edges)}, got "
                f"{len(grads)})"
            )
        out: list[Any] = []
        for i, (e, d, shape) in enumerate(zip(edges, grads, n.shapes)):
            if e is None or d is None:
                out.append(None)
                continue
            d = d if isinstance(d, tensor) else tensor._wrap(d)
            dtype = n.extra["dtypes"][i] if n.extra else d.dtype
            if d.dtype != dtype:
                d = d.to(dtype)
            try:
                out.append(_primitives._settle(self, str(i), d, shape, None))
            except RuntimeError:
                raise RuntimeError(
                    f"Function {self.name}Backward returned an invalid gradient at index {i} - got {list(d.shape)} "
                    f"but expected shape compatible with {list(shape)}"
                ) from None
        return out


class Function:
    """Base of user-defined operations.

    Write ``forward(ctx, *args)`` on tensors (nothing inside is recorded) and ``backward(ctx, *grads)``, which receives
    Tensors and returns one gradient (or None) per argument of ``forward``. Under ``create_graph`` the operations of
    ``backward`` are
    recorded: its own derivative needs no further code.

    >>> import tinydl
    >>> class Cube(tinydl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x * x
    >>> x = tinydl.tensor(2.0, requires_grad=True)
    >>> (g,) = tinydl.autograd.grad(Cube.apply(x), x, create_graph=True)
    >>> float(g), float(tinydl.autograd.grad(g, x)[0])
    (12.0, 12.0)
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the result from tensors and other arguments; keep what backward needs on ``ctx``."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Where a class defines it, ``forward`` gets no ``ctx``, and this is called after it to fill one."""
        raise NotImplementedError("setup_context is called only where a subclass defines it")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Gradients of the inputs, one per argument of forward, from the gradients of the outputs."""
        raise NotImplementedError("You must implement the backward function for custom autograd.Function.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run :meth:`forward` and record the call."""
        tensor = _primitives.Tensor  # type: ignore[attr-defined]
        for key, value in kwargs.items():
            if isinstance(value, tensor) and value.requires_grad:
                raise TypeError(f"{cls.__name__}.apply: {key!r} requires a gradient; pass it by position, not by name")
        ctx = FunctionCtx()
        ctx.name = cls.__name__
        needs = tuple(isinstance(a, tensor) and a.requires_grad for a in args)
        ctx.needs_input_grad = needs
        before, mode.on = mode.on, False
        try:
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        finally:
            mode.on = before
        many = isinstance(result, tuple)
        outs: Sequence[Any] = result if many else (result,)
        record = any(needs) and bool(before)
        given = {id(a) for a in args if isinstance(a, tensor)}
        # An argument returned as it is must become another handle: its node is not this call.
        made = [o.detach() if isinstance(o, tensor) and (id(o) in given or o.requires_grad) else o for o in outs]
        if record:
            tensors = [(o, m) for o, m in zip(outs, made) if isinstance(o, tensor)]
            op = _FunctionOp(cls, [(m.shape, m.dtype) for _, m in tensors], len(tensors))
            n: Node = object.__new__(Node)
            n.op, n.id = op, _primitives._next_id()
            n.others = tuple((a.node or a) if need else None for a, need in zip(args, needs))
            n.shapes = tuple(a.shape if need else None for a, need in zip(args, needs))
            n.saved = ctx
            n.extra = {"dtypes": [getattr(a, "dtype", None) for a in args]}
            if before is ANOMALY:
                n.extra.update(_primitives._user_line())
            ends = [n] if len(tensors) == 1 else _primitives._picks(n, len(tensors))
            for end, (o, m) in zip(ends, tensors):
                if id(o) in ctx._non_differentiable or m.dtype.kind != "f":
                    continue
                m.requires_grad = True
                m.node = end
            ctx._entries = tuple(_entry(ctx, t, args, outs, made, n) for t in ctx._saved)
            op.frees = bool(ctx._entries)
        else:
            ctx._entries = tuple(functools.partial(_itself, t) for t in ctx._saved)
        ctx._saved = ()
        return tuple(made) if many else made[0]


def _entry(
    ctx: FunctionCtx, t: Any, args: tuple[Any, ...], outs: Sequence[Any], made: list[Any], n: Node
) -> Callable[[], Any]:
    """How to get one saved tensor back. An output is kept as array + place, not as the Tensor: that would be a
    cycle."""
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    if not isinstance(t, tensor):
        return lambda: t
    position = next((i for i, o in enumerate(outs) if o is t), None)
    is_output = position is not None and not any(a is t for a in args)
    shown = made[position] if is_output and position is not None else t
    array, cell = shown.array, shown.cell()
    at = cell[0]
    requires = shown.requires_grad
    edge = None if not requires else (shown.node if is_output else (t.node or t))
    op_name = ctx.name
    if is_output and requires:
        # The node of an output is (or leads to) n itself; n holds ctx: keep it weakly.
        import weakref

        weak, k = weakref.ref(n), None if edge is n or edge is None else edge.saved
        edge = None

        def again() -> Any:
            _check(op_name, cell, at)
            node = weak()
            assert node is not None
            return tensor._from_graph(array, node if k is None else _primitives._picked(node, k), cell)

        return again

    def get() -> Any:
        _check(op_name, cell, at)
        if edge is None:
            return tensor._from_array(array)
        return tensor._from_graph(array, edge, cell) if isinstance(edge, Node) else edge

    return get


def _check(name: str, cell: list[int], at: int) -> None:
    if cell[0] != at:
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"a tensor that {name} saved changed after the forward call; clone() it before changing it"
        )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for a ``backward`` whose operations cannot be differentiated: asking a second derivative raises.

    Put it between ``@staticmethod`` and ``def backward``.
    """

    @functools.wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        recording, mode.on = mode.on, False
        try:
            result = backward(ctx, *grads)
        finally:
            mode.on = recording
        if not recording:
            return result
        tensor = _primitives.Tensor  # type: ignore[attr-defined]
        connected = [t for t in (*grads, *ctx.saved_tensors) if isinstance(t, tensor) and t.requires_grad]
        if not connected:
            return result
        many = isinstance(result, tuple)
        guarded = tuple(
            _Once.apply(r, *connected) if isinstance(r, tensor) else r for r in (result if many else (result,))
        )
        return guarded if many else guarded[0]

    return once


class _Once(Function):
    """Passes a value on, attached to what it was computed from, and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, value: Any, *connected: Any) -> Any:
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
