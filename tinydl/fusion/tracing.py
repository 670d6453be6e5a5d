"""Following a function: it is called with symbols, and every operation they meet is noted instead of computed.

A symbol is a Tensor whose array has a dtype and a shape but no elements. It looks to an operation like a stale view,
which is where the generated calls turn aside (``stale`` in :mod:`tinydl.autograd.primitives`), so that following a
function costs all other calls nothing.

Gradients come from the operations' own rules, called with symbols: no derivative is written a second time. The gradient
of an operand that is broadcast is not summed here; the kernel does that where it stores the gradient of an input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from tinydl import dtypes
from tinydl.autograd import primitives as _primitives
from tinydl.autograd.mode import mode
from tinydl.autograd.primitives import Primitive
from tinydl.devices import CPU
from tinydl.ops import casting
from tinydl.tensor import Tensor

FLOATING = (dtypes.float32, dtypes.float64)


class FusionError(RuntimeError):
    """A function that cannot be fused: the message names the operation and the line."""


class Expression:
    """A value of the loop's body: an input (``op`` is None), a number, or an operation on others."""

    __slots__ = ("dtype", "inputs", "live", "number", "op", "position", "same_as", "shape", "static")

    def __init__(
        self, op: Primitive | None, inputs: tuple[Expression, ...], static: dict[str, Any], dtype: Any, shape: Any,
        live: bool,
    ) -> None:  # fmt: skip
        self.op, self.inputs, self.static, self.dtype, self.shape, self.live = op, inputs, static, dtype, shape, live
        self.number: Any = None  # of a constant
        self.same_as: Expression | None = None  # what computes it, where it is defined by other operations
        self.position = -1  # in the order of creation; an expression stands after what it is made of

    def plain(self) -> Expression:
        """The expression that computes this one."""
        found = self
        while found.same_as is not None:
            found = found.same_as
        return found


class _Elements:
    """What a symbol has for an array: everything about it but its elements."""

    def __init__(self, tracer: Trace, dtype: Any, shape: tuple[int, ...]) -> None:
        self.tracer, self.dtype, self.shape = tracer, dtype, shape
        self.ndim, self.size, self.itemsize = len(shape), int(np.prod(shape, dtype=np.int64)), dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getattr__(self, name: str) -> NoReturn:
        self.tracer.refuse(f"{name!r} of an array")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.tracer.refuse("NumPy")

    def __array_function__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self.tracer.refuse(f"numpy.{function.__name__}")

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> NoReturn:
        self.tracer.refuse(f"numpy.{ufunc.__name__} of detached data")


class Symbol(Tensor):
    """A tensor that is not there yet."""

    __slots__ = ("expression", "tracer")

    tracer: Trace
    expression: Expression

    def __init__(self, tracer: Trace, expression: Expression) -> None:
        self._hold(_Elements(tracer, expression.dtype, expression.shape))
        self.tracer, self.expression = tracer, expression
        self.needs_grad = expression.live
        self.ver, self.taken, self.base = [0, 0], -1, None  # as a stale view has them

    @property
    def device(self) -> Any:
        """Where the loop will run."""
        return CPU

    def __repr__(self) -> str:
        return f"<symbol {self.dtype}{list(self.shape)}>"

    def _take_anew(self, name: str) -> NoReturn:
        self.tracer.refuse_values(name)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through what it stands for."""
        return self.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.tracer.refuse("requires_grad set by hand, or an autograd.Function of your own,")

    def numpy(self, *, force: Any = False) -> NoReturn:
        self.tracer.refuse_values("numpy")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self.tracer.refuse_values("NumPy")

    def detach(self) -> Any:
        before, mode.on = mode.on, False
        try:
            return casting.identity(self)
        finally:
            mode.on = before

    def contiguous(self, memory_format: Any = None) -> Any:
        return self

    def _in_place(self, op: Callable[..., Any], *_: Any, **__: Any) -> NoReturn:
        self.tracer.refuse_in_place(f"{getattr(op, '__name__', 'an operation')}_")

    def _reshape_in_place(self, op: Callable[..., Any], *_: Any, **__: Any) -> NoReturn:
        self.tracer.refuse_in_place(f"{op.__name__}_")

    def _replace(self, src: Any, name: str) -> NoReturn:
        self.tracer.refuse_in_place(name)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self.tracer.refuse_in_place("an assignment to elements")


class Trace:
    """All expressions of one function, each one once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.expressions: list[Expression] = []
        self._known: dict[Any, Expression] = {}

    # ------------------------------------------------------------------------------------------------- refusals

    def _refuse(self, what: str, instead: str) -> NoReturn:
        where = _primitives._user_line()["where"]
        raise FusionError(f"fuse: {what} cannot be part of {self.name}: {instead}; at {where}") from None

    def refuse(self, what: str) -> NoReturn:
        """Raise for what is no elementwise operation."""
        self._refuse(what, "it is no elementwise operation that a fused function may have; compute it outside")

    def refuse_values(self, what: str) -> NoReturn:
        """Raise for what needs the elements of a tensor: a branch of Python, ``item()``."""
        self._refuse(
            what, "it asks for elements, which are not there when the function is followed; choose with where()"
        )

    def refuse_in_place(self, what: str) -> NoReturn:
        """Raise for a change in place."""
        self._refuse(what, "it changes a tensor in place; compute out of place, as in x = x + y")

    # -------------------------------------------------------------------------------------------------- forward

    def _new(self, expression: Expression) -> Expression:
        expression.position = len(self.expressions)
        self.expressions.append(expression)
        return expression

    def leaf(self, dtype: Any, shape: tuple[int, ...]) -> Symbol:
        """A symbol for an input."""
        return Symbol(self, self._new(Expression(None, (), {}, dtype, shape, dtype.kind == "f")))

    def apply(self, op: Primitive, inputs: Sequence[Any], static: dict[str, Any]) -> Any:
        """What the generated call of ``op`` gives for inputs among which is a symbol."""
        from tinydl.fusion.formulas import ATOMS, DEFINITIONS, SAME

        if op.name not in ATOMS and op.name not in DEFINITIONS and op.name not in SAME:
            self.refuse(op.name)
        inputs = self._alike(op, inputs)
        like = next((x.dtype for x in inputs if isinstance(x, Symbol) and x.dtype.kind == "f"), None)
        operands = tuple(self._operand(op, x, like or dtypes.result_type(*inputs)) for x in inputs)
        live = bool(mode.on) and op.differentiable and any(x.live for x in operands)
        key = (op.name, tuple(x.position for x in operands), repr(static), live)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._made(op, inputs, operands, static, live)
        return Symbol(self, found)

    def _made(
        self, op: Primitive, inputs: Sequence[Any], operands: tuple[Expression, ...], static: dict[str, Any], live: bool
    ) -> Expression:
        from tinydl.fusion.formulas import ATOMS, DEFINITIONS, SAME

        if op.name in SAME or op.name in DEFINITIONS:
            if op.name in DEFINITIONS:
                self._refuse_unless("f", op, operands)
            result = operands[0] if op.name in SAME else DEFINITIONS[op.name](*inputs, **static).expression
            made = Expression(op, operands, static, result.dtype, result.shape, live)
            made.same_as = result
            return self._new(made)
        atom = ATOMS[op.name]
        self._refuse_unless(atom.kinds, op, operands)
        try:
            shape = np.broadcast_shapes(*[x.shape for x in operands])
        except ValueError as error:
            _primitives.misfit(op.name, error, tuple(inputs))
        dtype = atom.dtype_of(operands, static)
        if dtype.kind == "f" and dtype not in FLOATING:
            self._refuse(f"{op.name} to {dtype}", "a fused function has float32 and float64; convert outside")
        return self._new(Expression(op, operands, static, dtype, shape, live))

    def _refuse_unless(self, kinds: str, op: Primitive, operands: Sequence[Expression]) -> None:
        words = {"f": "float32 and float64", "b": "bool", "i": "whole numbers"}
        for x in operands:
            if x.dtype.kind not in kinds or (x.dtype.kind == "f" and x.dtype not in FLOATING):
                takes = ", ".join(words[k] for k in kinds if k in words)
                self._refuse(f"{op.name} of {x.dtype}", f"a fused {op.name} takes {takes}; convert it outside")

    def _alike(self, op: Primitive, inputs: Sequence[Any]) -> Sequence[Any]:
        """The operands in one dtype by PyTorch's table, as the unfused call brings them there."""
        if op.promote is None:
            return inputs
        want = dtypes.result_type(*inputs)
        if op.promote == "float" and want.kind != "f":
            want = dtypes.get_default_dtype()
        return [
            casting.cast(x, dtype=want) if isinstance(x, Symbol) and x.dtype != want else
            x if hasattr(x, "shape") or want.kind == "f" and type(x) in (int, float) else np.asarray(x, want)
            for x in inputs
        ]  # fmt: skip

    def _operand(self, op: Primitive, x: Any, dtype: Any) -> Expression:
        if isinstance(x, Symbol):
            return x.expression
        if isinstance(x, Tensor) or getattr(x, "shape", ()) != ():
            self._refuse(
                f"{op.name} with a tensor of shape {tuple(x.shape)} that is no argument",
                "its elements may change, and its gradient would be lost; give it to the function as an argument",
            )
        if not isinstance(x, (bool, int, float, np.generic, np.ndarray)):
            self._refuse(f"{op.name} with {x!r}", "it is neither a tensor nor a number")
        key = (type(x), repr(x), dtype)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._new(Expression(None, (), {}, dtype, (), False))
            found.number = x
        return found

    # ------------------------------------------------------------------------------------------------- backward

    def gradients(
        self, outputs: Iterable[tuple[Expression, Symbol]], wanted: Sequence[Expression]
    ) -> list[Expression | None]:
        """The gradients of ``wanted``, from those of the outputs, by the rules and in the order of the engine's walk.

        None for an input that no gradient reaches.
        """
        leads = {x.position for x in wanted}
        before = list(self.expressions)
        for e in before:
            if e.live and any(x.position in leads for x in e.inputs):
                leads.add(e.position)
        found: dict[int, Any] = {}
        for e, g in outputs:
            self._add(found, e, g)
        on, mode.on = mode.on, True  # as when the function was followed, so that what the rules need is found again
        try:
            for e in reversed(before):
                if e.op is None or e.position not in found or e.position not in leads:
                    continue
                g, names = found.pop(e.position), self._saved(e)
                for i, (arg, x) in enumerate(zip(e.op.args, e.inputs)):
                    if not x.live or x.position not in leads:
                        continue
                    if arg not in e.op.rules:
                        _primitives._missing(e.op, arg)
                    self._add(found, e.inputs[i], e.op.rules[arg](g, *[names[w] for w in e.op.plan[arg]]))
        finally:
            mode.on = on
        return [found[x.position].expression if x.position in found else None for x in wanted]

    def _saved(self, e: Expression) -> dict[str, Any]:
        """By name, all that the rules of an expression can ask for."""
        assert e.op is not None
        names: dict[str, Any] = {"out": Symbol(self, e), **e.static}
        for arg, x in zip(e.op.args, e.inputs):
            is_number = x.op is None and x.number is not None
            names[arg] = x.number if is_number else Symbol(self, x)
            names[f"{arg}_shape"], names[f"{arg}_dtype"] = x.shape, x.dtype
        return names

    def _add(self, found: dict[int, Any], e: Expression, g: Any) -> None:
        old = found.get(e.position)
        if old is not None and _is_nothing(g):
            return
        found[e.position] = g if old is None or _is_nothing(old) else old + g


def _is_nothing(x: Symbol) -> bool:
    return x.expression.op is not None and x.expression.op.name == "nothing"


def follow(
    name: str, inputs: Sequence[tuple[Any, tuple[int, ...]]], call: Callable[[Sequence[Any]], Any]
) -> tuple[Trace, list[Expression], list[Expression], bool]:
    """Call a function of this name, by ``call``, with a symbol for each (dtype, shape).

    Returns the trace, the inputs, the results, and whether these came as a sequence.
    """
    trace = Trace(name)
    symbols = [trace.leaf(dtype, shape) for dtype, shape in inputs]
    before, mode.on = mode.on, True
    try:
        result = call(symbols)
    finally:
        mode.on = before
    many = type(result) in (tuple, list)
    results = list(result) if many else [result]
    for i, x in enumerate(results):
        if not isinstance(x, Symbol):
            raise FusionError(
                f"fuse: {name} must return a tensor, or a tuple of tensors, computed from its arguments; "
                f"{f'element {i} of its result' if many else 'its result'} is {type(x).__name__}"
            )
    shapes = {x.shape for x in results}
    if len(shapes) != 1:
        raise FusionError(
            f"fuse: the results of {name} must have one shape, that of the loop which computes them; they have "
            f"{', '.join(str(tuple(x.shape)) for x in results) or 'none'}"
        )
    return trace, [x.expression for x in symbols], [x.expression for x in results], many
