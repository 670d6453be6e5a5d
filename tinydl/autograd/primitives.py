"""Primitives: a function on arrays and one gradient rule per differentiable input.

    @primitive(input=lambda g, other: g * other, other=lambda g, input: g * input)
    def mul(input, other):
        return np.multiply(input, other)

A rule maps ``g``, the gradient of the result, to the gradient of one input (a vector-Jacobian product). Its parameter
names say what it needs (an input, ``out``, ``<input>_shape``, ``<input>_dtype``, a static keyword) and *exactly those
are saved*: the parameter list
is the declaration. In a rule only operators and other primitives appear, so that the same line computes on arrays
(first-order
backward makes no Tensor) and records on Tensors (``create_graph``): every derivative of every order comes from it.

**The call is generated as text, once per primitive**, from its signature (as ``collections.namedtuple`` does it): no
loop over inputs, no closure, no dictionary on the hot path. ``print(mul.op.source)`` shows it. Measured against a
generic
call on one thread, recording one addition costs 1.3 us instead of 2.7.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import weakref
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, NoReturn, TypeVar, overload

import numpy as np

from tinydl import dtypes
from tinydl.autograd.mode import mode
from tinydl.devices import ELSEWHERE

Array = Any  # numpy.ndarray or cupy.ndarray
Rule = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])

_next_id = itertools.count().__next__
_registry: dict[str, Primitive] = {}
_elsewhere: dict[type, Any] | None = None  # array types of other devices, once one is in use
_bound: list[dict[str, Any]] = []  # namespaces of generated calls that wait for the Tensor class


class Node:
    """What made a tensor: one recorded call.

    ``edges`` holds per input the node that made it, the leaf tensor itself, or None; ``saved`` what the rules declared,
    as arrays with the version they had (never Tensors: no reference cycle can arise, and rebinding a handle is
    harmless).
    """

    # One or two edges stand in slots and not in a tuple, and equal tuples of shapes are one object: the garbage
    # collector visits every container of a long graph again and again, which was half of the cost of recording one.
    __slots__ = ("op", "id", "first", "second", "others", "saved", "shapes", "extra", "__weakref__")

    op: Any
    id: int
    first: Any
    second: Any
    others: tuple[Any, ...] | None
    saved: Any
    shapes: tuple[Any, ...]
    # "hooks" and "kept" (hooks.py), "recompute" (utils/checkpoint.py), "picks" of several outputs; under
    # detect_anomaly "where", the user's line
    extra: dict[str, Any] | None

    def __repr__(self) -> str:
        return f"<{self.op.name}Backward>"

    @property
    def edges(self) -> tuple[Any, ...]:
        """Per input, the node or leaf behind it, or None; after a single one stands a None of no meaning."""
        return (self.first, self.second) if self.others is None else self.others

    @property
    def next_functions(self) -> tuple[Any, ...]:
        """The nodes (or leaf tensors) behind each input that needs a gradient, as PyTorch's attribute of that name."""
        return tuple((e, 0) for e in self.edges if e is not None)

    def name(self) -> str:
        """The operation's name."""
        return f"{self.op.name}Backward"


class _Pick:
    """The operation of the small nodes that stand between a node with several outputs and each of its outputs."""

    name = "output"
    frees = False


PICK = _Pick()


def registry() -> dict[str, Primitive]:
    """Every primitive by name."""
    return _registry


def bind(tensor_class: type) -> None:
    """Tell the generated calls what a Tensor is (its methods *are* the operations, so the class is made after them)."""
    for namespace in _bound:
        namespace["Tensor"] = tensor_class
    _bound.clear()
    globals()["Tensor"] = tensor_class


@overload
def primitive(function: None = None, **options: Any) -> Callable[[F], F]: ...


@overload
def primitive(function: Callable[..., Any], **options: Any) -> Callable[..., Any]: ...


def primitive(
    function: Callable[..., Any] | None = None,
    *,
    args: str | None = None,
    name: str | None = None,
    promote: str | None = None,
    view: bool = False,
    differentiable: bool = True,
    outputs: Iterable[str] = ("out",),
    aux: Iterable[str] = (),
    plain: str = "",
    result: Callable[..., Any] | None = None,
    composite: Callable[..., Any] | None = None,
    joint: Callable[..., Any] | None = None,
    few: Callable[..., Any] | None = None,
    constants: str = "",
    settings: str = "",
    **rules: Rule,
) -> Any:
    """Make a primitive of ``function`` (decorator, or called with a ufunc and ``args="input other"``).

    promote
        None: dtypes are the function's own business; ``"same"``: operands are brought to one dtype by PyTorch's table
        first; ``"float"``: besides, integers become the default floating dtype.
    view
        The result shares the first input's memory (when NumPy's result does).
    differentiable
        False lists the function as one without derivative: its result never requires a gradient.
    outputs, aux
        Names of the results; those in ``aux`` are not returned, they exist to be saved for the rules.
    plain, result
        Names of results that have no derivative and are returned beside those that have (the indices of a maximum);
        and what is called with all results, a named tuple, to hold them.
    composite
        The definition of a fused operation in other operations, on Tensors: it runs when a second derivative is asked
        for.
    joint
        ``fn(needs, g, <names>)`` gives all inputs' gradients at once, instead of a rule per input; ``constants``
        names the
        inputs it has none for (targets, lengths). ``g`` is the gradient of the result, or, with several public
        results, a
        tuple of them in which None stands for zero.
    few
        ``fn(needs, g, <names>)`` gives on arrays what all the rules together give, or None to have them asked: for few
        numbers, where one rule after another costs more than what they compute.
    settings
        Names of parameters that are no inputs although they may be given by position (``dim`` of a sum). Parameters
        that are keyword-only are settings anyway; so is ``*dims``. With them a public function of PyTorch's is itself
        the primitive: a wrapper that only sorts its arguments would cost as much as the operation.
    """

    def make(fn: Callable[..., Any]) -> Any:
        op = Primitive(
            fn, args, name or fn.__name__, promote, view, differentiable, tuple(outputs), tuple(aux), composite, joint,
            tuple(constants.split()), tuple(settings.split()), rules, tuple(plain.split()), result, few,
        )  # fmt: skip
        if op.name in _registry:
            raise ValueError(f"a primitive named {op.name!r} exists already; choose another name")
        _registry[op.name] = op
        return op.call

    return make if function is None else make(function)


class Primitive:
    """One operation: forward function, rules, and the calls generated from its signature."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: str | None,
        name: str,
        promote: str | None,
        view: bool,
        differentiable: bool,
        outputs: tuple[str, ...],
        aux: tuple[str, ...],
        composite: Callable[..., Any] | None,
        joint: Callable[..., Any] | None,
        constants: tuple[str, ...],
        settings: tuple[str, ...],
        rules: dict[str, Rule],
        plain: tuple[str, ...] = (),
        result: Callable[..., Any] | None = None,
        few: Callable[..., Any] | None = None,
    ) -> None:
        self.function, self.name, self.promote, self.view = function, name, promote, view
        self.differentiable, self.outputs, self.composite, self.joint = differentiable, outputs, composite, joint
        self.returned = tuple(o for o in outputs if o not in aux)
        self.public = tuple(o for o in self.returned if o not in plain)  # those that gradients come to
        self.result, self.few = result, few
        self.static: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        self.by_position: dict[str, bool] = {}  # of the settings; True for the one that takes all that follow
        self.variadic = False
        if args is not None:
            self.args = tuple(args.split())
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            self.signature = inspect.Signature([inspect.Parameter(a, kind) for a in self.args])
        else:
            self.signature = inspect.signature(function)
            parameters = list(self.signature.parameters.values())
            self.variadic = any(p.kind is p.VAR_POSITIONAL and p.name not in settings for p in parameters)
            self.args = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY and p.name not in settings)
            self.static = {p.name: p.default for p in parameters if p.name not in self.args}
            self.defaults = {p.name: p.default for p in parameters if p.name in self.args and p.default is not p.empty}
            self.by_position = {p.name: p.kind is p.VAR_POSITIONAL for p in parameters if p.name in settings}
        unknown = set(rules) - set(self.args)
        if unknown:
            raise TypeError(f"{name}: a rule is given for {sorted(unknown)}, but the inputs are {list(self.args)}")
        self.rules, self.constants = rules, constants
        if self.variadic:
            self._by_count: dict[int, Any] = {}
            self.call = self.public_call = self._variadic_call()
            self.saves: tuple[str, ...] = ()
            self.frees = False
        else:
            self._take(_Built(self, self.args))
        for call in (self.call, self.public_call):
            call.op = self  # type: ignore[attr-defined]

    def _take(self, built: _Built) -> None:
        self.built = built
        self.call, self.public_call, self.pull = built.call, built.public_call, built.pull
        self.saves, self.plan, self.frees = built.saves, built.wants, built.frees

    @property
    def source(self) -> str:
        """The generated text of the call and of its backward on arrays."""
        return "" if self.variadic else self.built.text()

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.args)})>"

    def _variadic_call(self) -> Callable[..., Any]:
        """A call that takes any number of inputs: one operation is built per number met (``cat`` of 2, of 3, ...)."""

        def call(*inputs: Any, **static: Any) -> Any:
            built = self._by_count.get(len(inputs))
            if built is None:
                built = self._by_count[len(inputs)] = _of_count(self, len(inputs))
            return built(*inputs, **static)

        call.__name__ = call.__qualname__ = self.name
        return call


def _of_count(op: Primitive, count: int) -> Callable[..., Any]:
    fixed = object.__new__(Primitive)
    fixed.__dict__.update(op.__dict__)
    fixed.variadic = False
    fixed.args = tuple(f"{op.args[-1]}_{i}" for i in range(count))
    fixed._take(_Built(fixed, fixed.args))
    return fixed.call


# -------------------------------------------------------------------------------------------- the generated text


# A function waits for its text as one of these: importing tinydl defines two hundred primitives, of which a program
# uses twenty, and compiling them all would take longer than loading NumPy.
_STUB = "def {0}(*args, **kwargs): return write({0!r})(*args, **kwargs)"
_waiting = {
    kind: compile(_STUB.format(kind), "<primitive>", "exec").co_consts[0] for kind in ("call", "public_call", "pull")
}


def _no_float(x: str) -> str:
    """The condition that an array is not of floating numbers: asking for a dtype's kind takes as long as an addition,
    so that the usual two are known by sight."""
    return f"{x}.dtype is not f32 and {x}.dtype is not f64 and {x}.dtype.kind != 'f'"


class _Built:
    """The functions of a primitive: ``call`` (forward, recording), ``public_call`` (its twin that makes tensors of
    arrays) and ``pull`` (backward on arrays); the text of each is written and compiled when it is first called."""

    def __init__(self, op: Primitive, args: tuple[str, ...]) -> None:
        self.op, self.args = op, args
        self.given = ", ".join(f"{s}={s}" for s in op.static if not op.by_position.get(s))  # settings, passed on
        self.wants = self._declared()
        self.saves = self._saves()
        # Only arrays are worth freeing; shapes stay, so that a graph of views and sums can be walked twice, as in
        # PyTorch.
        self.frees = any(s in args or s in op.outputs for s in self.saves)
        self.namespace: dict[str, Any] = {
            "__name__": "tinydl.primitives",  # where NumPy's warnings come from
            "Tensor": globals().get("Tensor"),
            "Node": Node,
            "PICK": PICK,
            "new": object.__new__,
            "mode": mode,
            "next_id": _next_id,
            "ndarray": np.ndarray,
            "as_array": _as_array,
            "asarray": np.asarray,
            "generic": np.generic,
            "op": op,
            "forward": op.function,
            "mixed": _mixed,
            "brought": _brought,
            "dtypes": dtypes,
            "f32": dtypes.float32,
            "f64": dtypes.float64,
            "i64": dtypes.int64,
            "stale": _stale,
            "user_line": _user_line,
            "freed": _freed,
            "misfit": misfit,
            "no_memory": _no_memory,
            "one_of": _one_of,
            "changed": _changed,
            "missing": _missing,
            "settle": _settle,
            "pick": _pick,
            "picks": _picks,
            "result": op.result,
            "joint": op.joint,
            "few": op.few,
            "lift": _lift,
            "shares": np.may_share_memory,
            "write": self._write,
        }
        for i, a in enumerate(args):
            if a in op.rules:
                self.namespace[f"rule{i}"] = op.rules[a]
        for s, default in (op.static | op.defaults).items():
            if default is not inspect.Parameter.empty:
                self.namespace[f"default_{s}"] = default
        if self.namespace["Tensor"] is None:
            _bound.append(self.namespace)
        self.call, self.public_call, self.pull = (FunctionType(code, self.namespace) for code in _waiting.values())
        if _elsewhere is not None:
            _divert(self.namespace)
        for call, module in ((self.call, getattr(op.function, "__module__", None)), (self.public_call, "tinydl")):
            call.__name__ = call.__qualname__ = op.name
            call.__doc__, call.__module__ = op.function.__doc__, module or __name__
            call.__signature__ = op.signature  # type: ignore[attr-defined]

    def text(self) -> str:
        """What is compiled for ``call`` and ``pull``."""
        return self._call_text() + "\n\n" + self._pull_text()

    def _write(self, kind: str) -> Callable[..., Any]:
        """Compile one of the functions, and give its code to the object that everybody holds already."""
        text = self._pull_text() if kind == "pull" else self._call_text(public=kind == "public_call")
        # The text is written here from identifiers of the function's own signature; nothing of a user's data enters it.
        made: dict[str, Any] = {}
        exec(compile(text, f"<primitive {self.op.name}>", "exec"), self.namespace, made)
        (written,) = made.values()
        function: Any = getattr(self, kind)
        function.__defaults__, function.__kwdefaults__ = written.__defaults__, written.__kwdefaults__
        function.__code__ = written.__code__
        return function  # type: ignore[no-any-return]

    # ---- what is saved

    def _declared(self) -> dict[str, tuple[str, ...]]:
        """Per input with a gradient, the names its rule asks for; with a joint rule, the same names for every input."""
        op = self.op
        if op.joint is not None:
            return dict.fromkeys(self.args, _parameters(op.joint)[2:])
        return {a: _parameters(rule)[1:] for a, rule in op.rules.items()}

    def _saves(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for want in self.wants.values():
            names.update(dict.fromkeys(want))
        if self.op.composite is not None:  # the definition needs every input and every static keyword
            names.update(dict.fromkeys(self.args))
            names.update(dict.fromkeys(self.op.static))
        for n in names:
            if not (n in self.args or n in self.op.outputs or n in self.op.static or self._of_input(n)):
                raise TypeError(
                    f"{self.op.name}: a rule asks for {n!r}, which is no input, output, static keyword or <input>_shape"
                )
        return tuple(names)

    def _of_input(self, name: str) -> bool:
        """Whether it is ``x_shape`` or ``x_dtype`` of an input x; or ``shapes``, those of a variadic operation."""
        return name == "shapes" or (name[-6:] in ("_shape", "_dtype") and name[:-6] in self.args)

    def _users(self, name: str) -> list[int]:
        """Indices of the inputs whose gradient needs ``name``."""
        if self.op.composite is not None and name in self.args:
            return list(range(len(self.args)))
        return [i for i, a in enumerate(self.args) if name in self.wants.get(a, ())]

    # ---- forward

    def _call_text(self, public: bool = False) -> str:
        """The call; its public twin differs in one thing: given no Tensor it makes one instead of returning an
        array."""
        op, args = self.op, self.args
        named = [f"{a}=default_{a}" if a in op.defaults else a for a in args]
        star = False
        for s, default in op.static.items():
            takes_all = op.by_position.get(s)  # None for what is keyword-only
            if takes_all is None and not star:
                named, star = [*named, "*"], True
            star = star or takes_all is True
            named += ["*" + s if takes_all else s if default is inspect.Parameter.empty else f"{s}=default_{s}"]
        head = f"def {op.name}({', '.join(named)}):"
        passed = "".join(f", *{s}" if op.by_position.get(s) else f", {s}={s}" for s in op.static)
        given = self.given
        rest = "".join(f", {s}" for s in op.static if op.by_position.get(s))
        lift = f"lift(op, ({''.join(a + ', ' for a in args)}), dict({given}){rest})"
        line: list[str] = [head]
        kinded = op.promote == "float"
        if op.promote and len(args) == 2:
            line += self._unwrap_pair(kinded, passed, lift if public else f"forward({', '.join(args)}{passed})")
        elif len(args) == 1 and len(op.outputs) == 1:
            a = args[0]
            line += [f"  if not isinstance({a}, Tensor):", f"    return {lift if public else f'forward({a}{passed})'}"]
            line += self._unwrap(0, "  ")
            if kinded:  # whole numbers have no gradient, so there is nothing to record
                line += [f"  if {_no_float('x0')}: x0 = x0.astype(dtypes._default)"]
        else:
            line += ["  t = False"]
            for i, a in enumerate(args):
                line += [f"  if isinstance({a}, Tensor):", "    t = True", *self._unwrap(i, "    ")]
                line += ["  else:", f"    x{i} = {a}; r{i} = False"]
            line += ["  if not t:"]
            raw = f"forward({', '.join(args)}{passed})"
            if public:
                line += [f"    return {lift}"]
            elif len(op.returned) == len(op.outputs):
                line += [f"    return {raw}"]
            else:
                many = ", ".join(f"y[{op.outputs.index(o)}]" for o in op.returned)
                line += [f"    y = {raw}", f"    return {many}"]
        compute = f"y = forward({', '.join(f'x{i}' for i in range(len(args)))}{passed})"
        line += [f"  try: {compute}"]  # entering a try costs nothing
        inputs = "".join(f"x{i}, " for i in range(len(args)))
        if op.promote and len(args) == 2:
            line += [f"  except ValueError as error: misfit({op.name!r}, error, ({inputs}))"]
        line += [f"  except MemoryError as lack: no_memory({op.name!r}, ({inputs}), lack)"]
        line += self._wrap() if len(op.outputs) == 1 else self._wrap_many()
        return "\n".join(line)

    def _unwrap(self, i: int, pad: str) -> list[str]:
        a = self.args[i]
        return [
            f"{pad}if {a}.taken is not None and {a}.taken != {a}.ver[1]:",
            f"{pad}  h = stale({a}, op, ({''.join(a + ', ' for a in self.args)}), dict({self.given}))",
            f"{pad}  if h is not None: return h",
            f"{pad}x{i} = {a}.array; r{i} = {a}.needs_grad",
        ]

    def _unwrap_pair(self, kinded: bool, passed: str, otherwise: str) -> list[str]:
        """Two operands of one dtype pass; so does a Python number beside a floating array; the rest goes by the
        table."""
        a, b = self.args
        slow = f"return mixed(op, ({a}, {b}), dict({passed[2:]}))"
        differ = "x0.dtype is not x1.dtype" + (f" or {_no_float('x0')}" if kinded else "")

        def number(x: str, array: str) -> list[str]:
            floats = "True" if kinded else f"type({x}) is float"
            lines = [
                f"      if {_no_float(array)}:",
                f"        if {floats}: {array} = {array}.astype(dtypes._default)",
            ]
            if not kinded:
                lines += [f"        elif {array}.dtype is not i64: {slow}"]
            return [
                f"    if type({x}) is float or type({x}) is int:",
                *lines,
                f"    elif getattr({x}, 'dtype', None) is not {array}.dtype"
                f"{' or ' + _no_float(array) if kinded else ''}: {slow}",
            ]

        return [
            f"  if isinstance({a}, Tensor):",
            *self._unwrap(0, "    "),
            f"    if isinstance({b}, Tensor):",
            *self._unwrap(1, "      "),
            f"      if {differ}:",
            f"        if r0 or r1: {slow}",
            "        x0, x1 = brought(op, x0, x1)",
            "    else:",
            f"      x1 = {b}; r1 = False",
            *["  " + s for s in number("x1", "x0")],
            f"  elif isinstance({b}, Tensor):",
            *self._unwrap(1, "    "),
            f"    x0 = {a}; r0 = False",
            *number("x0", "x1"),
            "  else:",
            f"    return {otherwise}",
        ]

    def _wrap(self) -> list[str]:
        """One output: make the Tensor, and the node when a gradient is needed."""
        op, args = self.op, self.args
        line = [
            "  if type(y) is not ndarray: y = asarray(y) if isinstance(y, generic) else as_array(y)  # of 0-d results "
            "NumPy makes scalars",
            "  o = new(Tensor); o.array = y; o._grad = None",
        ]
        if op.view:
            known = "" if len(args) == 1 else f"isinstance({args[0]}, Tensor) and "
            line += [
                f"  if {known}(y.base is x0 or y is x0 or y.base is not None and "
                "(y.base is x0.base or shares(y, x0))):",
                f"    v = {args[0]}.ver",
                f"    if v is None: v = {args[0]}.ver = [0, 0]",
                "    o.ver = v; o.taken = v[1]",
                f"    o.base = {args[0]} if {args[0]}.taken is None else {args[0]}.base",
                "  else: o.ver = o.taken = None",
            ]
        else:
            line += ["  o.ver = o.taken = None"]
        if not op.differentiable:
            return [*line, "  o.needs_grad = False; o.node = None", "  return o"]
        need = " or ".join(f"r{i}" for i in range(len(args)))
        line += [f"  if {need}:", "    m = mode.on", "    if m:"]
        line += [
            "      o.needs_grad = True",
            "      n = o.node = new(Node)",
            *self._record("      ", "o"),
            "      return o",
        ]
        return [*line, "  o.needs_grad = False; o.node = None", "  return o"]

    def _wrap_many(self) -> list[str]:
        """Several outputs: each public one is a Tensor whose node picks it out of the shared node."""
        op, args = self.op, self.args
        line = []
        need = " or ".join(f"r{i}" for i in range(len(args))) or "False"
        outs = {name: f"o{op.outputs.index(name)}" for name in op.returned}
        for name, o in outs.items():
            y = f"y[{op.outputs.index(name)}]"
            line += [f"  a = {y} if type({y}) is ndarray else as_array({y})"]
            line += [f"  {o} = new(Tensor); {o}.array = a; {o}._grad = None"]
            line += [f"  {o}.ver = {o}.taken = {o}.node = None; {o}.needs_grad = False"]
        result = ", ".join(outs.values())
        result = f"result({result})" if op.result is not None else result
        if not op.differentiable:
            return [*line, f"  return {result}"]
        line += [f"  if {need}:", "    m = mode.on", "    if m:", "      n = new(Node)", *self._record("      ", None)]
        back = any(s in op.public for s in self.saves)  # an output comes back into the graph at second order
        if len(op.public) > 1 and back:
            line += [f"      p = picks(n, {len(op.public)})"]
        for j, name in enumerate(op.public):
            o = outs[name]
            node = "n" if len(op.public) == 1 else f"p[{j}]" if back else f"pick(n, {j})"
            line += [f"      {o}.needs_grad = True; {o}.node = {node}"]
        return [*line, f"  return {result}"]

    def _record(self, pad: str, single: str | None) -> list[str]:
        op, args = self.op, self.args
        line = [f"{pad}n.op = op; n.id = next_id(); n.extra = None if m is True else user_line()"]
        for i, a in enumerate(args):
            line += [f"{pad}e{i} = ({a}.node or {a}) if r{i} else None"]
        if len(args) <= 2:
            line += [f"{pad}n.first = e0; n.second = {'e1' if len(args) == 2 else 'None'}; n.others = None"]
        else:
            line += [f"{pad}n.others = ({''.join(f'e{i},' for i in range(len(args)))})"]
        line += [f"{pad}n.shapes = one_of(({''.join(f'x{i}.shape if r{i} else None,' for i in range(len(args)))}))"]
        entries = []
        for j, s in enumerate(self.saves):
            if s in args:
                i = args.index(s)
                users = self._users(s)
                line += [f"{pad}s{j} = c{j} = None; k{j} = 0"]
                everyone = len(users) == len(args)  # we are here because somebody needs a gradient
                inner = pad if everyone else pad + "  "
                if not everyone:
                    line += [f"{pad}if {' or '.join(f'r{u}' for u in users)}:"]
                line += [
                    f"{inner}s{j} = x{i}",
                    f"{inner}if isinstance({s}, Tensor):",
                    f"{inner}  c{j} = {s}.ver",
                    f"{inner}  if c{j} is None: c{j} = {s}.ver = [0, 0]",
                    f"{inner}  k{j} = c{j}[0]",
                ]
                entries += [f"s{j}", f"c{j}", f"k{j}"]
            elif s in op.outputs:
                k = op.outputs.index(s)
                if s in op.returned:
                    o = single or f"o{k}"
                    y = "y" if single else f"y[{k}]"
                    made = f"c{j} = {o}.ver = [0, 0]"
                    if single and op.view:
                        made = f"c{j} = {o}.ver = {o}.ver or [0, 0]"
                    users = self._users(s)
                    if len(users) == len(args):
                        line += [pad + made]
                        entries += [y, f"c{j}", f"c{j}[0]"]
                    else:  # x ** 2 has no use for its result
                        line += [f"{pad}s{j} = c{j} = None; k{j} = 0"]
                        line += [f"{pad}if {' or '.join(f'r{u}' for u in users)}:"]
                        line += [f"{pad}  {made}", f"{pad}  s{j} = {y}; k{j} = c{j}[0]"]
                        entries += [f"s{j}", f"c{j}", f"k{j}"]
                else:
                    entries += [f"y[{k}]", "None", "0"]
            elif s in op.static:
                entries += [s]
            elif s == "shapes":
                entries += [f"({''.join(f'x{i}.shape,' for i in range(len(args)))})"]
            elif s.endswith("_shape"):
                entries += [f"x{args.index(s[:-6])}.shape"]
            else:
                entries += [f"x{args.index(s[:-6])}.dtype"]
        line += [f"{pad}n.saved = ({''.join(e + ', ' for e in entries)})"]
        return line

    # ---- backward on arrays

    def _pull_text(self) -> str:
        op, args = self.op, self.args
        line = ["def pull(n, g, edges):"]
        if self.saves:
            line += ["  saved = n.saved", "  if saved is None: freed(op)"]
            names = []
            for j, s in enumerate(self.saves):
                array = s in args or s in op.outputs
                names += [f"s{j}", f"c{j}", f"k{j}"] if array else [f"s{j}"]
            line += [f"  {', '.join(names)}{',' if len(names) == 1 else ''} = saved"]
            for j, s in enumerate(self.saves):
                if s in args or s in op.returned:
                    line += [f"  if c{j} is not None and c{j}[0] != k{j}: changed(op, {s!r})"]
        line += ["  shapes = n.shapes"]
        value = {s: f"s{j}" for j, s in enumerate(self.saves)}
        if op.joint is not None:
            wanted = next(iter(self.wants.values()), ())
            given = "".join(f", {value[s]}" for s in wanted)
            needs = "".join(f"edges[{i}] is not None, " for i in range(len(args)))
            line += [f"  d = joint(({needs}), g{given})"]
            dtype = "g.dtype" if len(op.public) == 1 and not any(w.endswith("_dtype") for w in wanted) else "None"
            for i, a in enumerate(args):
                if a in op.constants:
                    line += [f"  d{i} = None", f"  if edges[{i}] is not None: missing(op, {a!r})"]
                    continue
                off = f"d{i}.shape != shapes[{i}]" + (f" or d{i}.dtype is not g.dtype" if dtype != "None" else "")
                line += [
                    f"  d{i} = d[{i}] if edges[{i}] is not None else None",
                    f"  if d{i} is not None and ({off}): d{i} = settle(op, {a!r}, d{i}, shapes[{i}], {dtype})",
                ]
        else:
            unpacked = ", ".join(f"e{i}" for i in range(len(args)))
            line += ["  e0 = edges[0]" if len(args) == 1 else f"  {unpacked} = edges"]
            if op.few is not None:
                given = "".join(f", {value[s]}" for s in _parameters(op.few)[2:])
                needs = "".join(f"e{i} is not None, " for i in range(len(args)))
                line += [f"  d = few(({needs}), g{given})", "  if d is not None: return d"]
            for i, a in enumerate(args):
                line += [f"  d{i} = None", f"  if e{i} is not None:"]
                if a not in op.rules:
                    line += [f"    missing(op, {a!r})"]
                    continue
                given = "".join(f", {value[s]}" for s in self.wants[a])
                casts = any(w.endswith("_dtype") for w in self.wants[a])
                off = f"d{i}.shape != shapes[{i}]" + ("" if casts else f" or d{i}.dtype is not g.dtype")
                line += [
                    f"    d{i} = rule{i}(g{given})",
                    f"    if {off}: d{i} = settle(op, {a!r}, d{i}, shapes[{i}], {'None' if casts else 'g.dtype'})",
                ]
        line += [f"  return ({''.join(f'd{i}, ' for i in range(len(args)))})"]
        return "\n".join(line)


# ---------------------------------------------------------------------------------------------------- other devices


def divert(types: dict[type, Any] | None) -> None:
    """From now on, arrays of these types are sent to their devices (:mod:`tinydl.elsewhere`); None: no more.

    The functions that the generated calls find by name are exchanged, so that a program on the CPU never asks.
    """
    global _elsewhere
    _elsewhere = types
    for op in _registry.values():
        calls = list(op._by_count.values()) if op.variadic else [op.call]
        for call in calls:
            _divert(call.__globals__)


def _divert(namespace: dict[str, Any]) -> None:
    op = namespace["op"]
    for key in [k for k in namespace if k in ("forward", "joint", "few") or k[:4] == "rule" and k[4:].isdigit()]:
        here = getattr(namespace[key], "here", namespace[key])
        which = op.args[int(key[4:])] if key[:4] == "rule" else key
        namespace[key] = here if _elsewhere is None or here is None else _diverted(_elsewhere, op, which, here)


def _diverted(types: dict[type, Any], op: Primitive, which: str, here: Callable[..., Any]) -> Callable[..., Any]:
    """``here``, unless an argument is an array of another device; of a joint rule, also one of several gradients."""

    def function(*args: Any, **static: Any) -> Any:
        for x in args:
            there = types.get(type(x))
            if there is not None:
                return there.run(op, which, here, args, static)
            if type(x) is list and x and (there := next((types[type(y)] for y in x if type(y) in types), None)):
                return there.run(op, which, here, args, static)
        return here(*args, **static)

    function.here = here  # type: ignore[attr-defined]
    return function


def converting(function: Callable[..., Any], convert: Callable[[Any], Any]) -> Callable[..., Any]:
    """``function`` with its first argument made a tensor by ``convert``; a primitive's own twin does that already.

    Written like the calls above and for the same reason: passing ``*args, **kwargs`` on costs as much as adding.
    """
    op = getattr(function, "op", None)
    if op is not None:
        return op.public_call  # type: ignore[no-any-return]
    signature = inspect.signature(function, follow_wrapped=False)
    first = next(iter(signature.parameters.values()))
    if first.kind is first.VAR_POSITIONAL:  # a wrapper itself, of ``axes.by_axis``: one instead of two
        within = function.within  # type: ignore[attr-defined]

        rename, names = function.rename, globals()  # type: ignore[attr-defined]

        @functools.wraps(function)
        def converted(input: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(input, names["Tensor"]):
                input = convert(input)
            return within(input, *args, **rename(kwargs)) if kwargs else within(input, *args)

        return converted
    namespace: dict[str, Any] = {"__name__": "tinydl.primitives", "function": function, "convert": convert}
    if (tensor := globals().get("Tensor")) is None:
        _bound.append(namespace)
    namespace["Tensor"] = tensor

    def write(kind: str) -> Callable[..., Any]:
        named: list[str] = []
        passed: list[str] = []
        star = False
        for name, p in signature.parameters.items():
            if p.kind is p.KEYWORD_ONLY and not star:
                named, star = [*named, "*"], True
            stars = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
            star = star or stars == "*"
            namespace[f"default_{name}"] = p.default
            named += [stars + name if stars or p.default is p.empty else f"{name}=default_{name}"]
            passed += [f"{name}={name}" if p.kind is p.KEYWORD_ONLY else stars + name]
        text = (
            f"def twin({', '.join(named)}):\n"
            f"  if not isinstance({first.name}, Tensor): {first.name} = convert({first.name})\n"
            f"  return function({', '.join(passed)})"
        )
        made: dict[str, Any] = {}
        exec(compile(text, f"<primitive {function.__name__}>", "exec"), namespace, made)
        twin.__defaults__, twin.__kwdefaults__ = made["twin"].__defaults__, made["twin"].__kwdefaults__
        twin.__code__ = made["twin"].__code__
        return twin  # type: ignore[no-any-return]

    namespace["write"] = write
    twin: Any = functools.wraps(function)(FunctionType(_waiting["call"], namespace))
    return twin  # type: ignore[no-any-return]


# --------------------------------------------------------------------------- what the generated text calls off the
# hot path


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters; ``inspect.signature`` takes twenty times as long, for every rule at every import."""
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return tuple(inspect.signature(function).parameters)
    return tuple(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


@functools.lru_cache(maxsize=4096)
def _one_of(shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """The first of all equal tuples."""
    return shapes


def _as_array(y: Any) -> Any:
    return y if type(y) in ELSEWHERE else np.asarray(y)


def _lift(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], rest: tuple[Any, ...] = ()) -> Any:
    """A public function given arrays or numbers only: convert them, so that the result is a Tensor."""
    tensor = globals()["Tensor"]
    return op.call(*[x if x is None else tensor._wrap(x) for x in inputs], *rest, **static)


def _pick(node: Node, k: int) -> Node:
    n: Node = object.__new__(Node)
    n.op, n.id, n.first, n.second, n.others = PICK, _next_id(), node, None, None
    n.saved, n.shapes, n.extra = k, (), None
    return n


def _picks(node: Node, count: int) -> list[Node]:
    """One pick for each output of ``node``, which remembers them while they live: a saved output that comes back into
    the graph is then the user's own, with its hooks."""
    found = [_pick(node, k) for k in range(count)]
    node.extra = {**(node.extra or {}), "picks": [weakref.ref(n) for n in found]}
    return found


def _picked(node: Node, k: int) -> Node:
    """The pick of output ``k`` that the user's tensor has, or another where that is gone."""
    known = (node.extra or {}).get("picks")
    return (known and known[k]()) or _pick(node, k)


_COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))


def _wraps(number: int, dtype: Any) -> bool:
    """Whether an integer dtype has not this number."""
    return bool(np.asarray(number).astype(dtype) != number)


_wanted: dict[Any, np.dtype[Any]] = {}  # what `_mixed` found for operands of such dtypes, ranks and kinds


def _mixed(op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Bring operands of several dtypes to one by PyTorch's table (recording the casts), then call again."""
    tensor = globals()["Tensor"]
    key: list[Any] = [op.promote, dtypes.get_default_dtype()]
    for x in inputs:
        if isinstance(x, tensor):
            key += [x.array.dtype, x.array.ndim == 0, type(x.array)]
        else:
            key += [type(x)] if type(x) in (int, float, bool) else [None, x]  # an array is no key: found anew
    try:
        want = _wanted[tuple(key)]
    except (KeyError, TypeError):
        want = _common(op, inputs)
        if None not in key:
            _wanted[tuple(key)] = want
    if want.kind in "ui" and op.name in _COMPARISONS and any(type(x) is int and _wraps(x, want) for x in inputs):
        want = np.dtype(np.int64)  # 300 is greater than any uint8, whatever it would wrap around to
    operands: list[Any] = []
    lone: int | None = None  # the first operand that is no tensor any more; one of them must be
    found = False
    for i, x in enumerate(inputs):
        if isinstance(x, tensor):
            if x.array.dtype is want:
                found = True
            elif x.needs_grad:
                x, found = _cast(x, want), True
            else:  # nothing to record
                x = x.array.astype(want)
                lone = i if lone is None else lone
        elif want.kind != "f" or type(x) not in (int, float):  # a number goes beside floats as it is
            x = np.asarray(x).astype(want)  # a number that is too large for an integer dtype wraps around
        operands.append(x)
    if not found and lone is not None:
        operands[lone] = tensor._wrap(operands[lone])
    return op.call(*operands, **static)


_pairs: dict[Any, np.dtype[Any]] = {}  # what `_common` found for two arrays of such dtypes and ranks


def _brought(op: Primitive, a: Array, b: Array) -> tuple[Array, Array]:
    """Two arrays in the dtype that ``op`` computes on them in; where neither has a gradient, nothing is recorded."""
    key = (op.promote, a.dtype, b.dtype, a.ndim == 0, b.ndim == 0, type(a), type(b), dtypes._default)
    want = _pairs.get(key)
    if want is None:
        want = _pairs[key] = _common(op, (a, b))
    return a if a.dtype is want else a.astype(want), b if b.dtype is want else b.astype(want)


def _common(op: Primitive, inputs: tuple[Any, ...]) -> np.dtype[Any]:
    """The dtype in which ``op`` computes on operands of several."""
    tensor = globals()["Tensor"]
    plain = [x.array if isinstance(x, tensor) else x for x in inputs]
    want = dtypes.result_type(*plain)
    return dtypes.get_default_dtype() if op.promote == "float" and want.kind != "f" else want


def _cast(x: Any, dtype: np.dtype[Any]) -> Any:
    from tinydl.ops.casting import cast

    return cast(x, dtype=dtype)


def _user_line() -> dict[str, Any]:
    """File, line and text of the innermost frame outside tinydl: recorded under ``detect_anomaly``."""
    import linecache
    import sys

    if mode.line is not None:
        return {"where": mode.line}
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not (name == "tinydl" or name.startswith("tinydl.")) and not frame.f_code.co_filename.startswith(
            "<primitive"
        ):
            break
        frame = frame.f_back
    if frame is None:
        return {"where": "an unknown line"}
    file, number = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, number).strip()
    return {"where": f"{file}:{number}" + (f": {text}" if text else "")}


def _settle(op: Any, arg: str, d: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Sum a gradient over the dimensions its input was broadcast along; a wrong shape or dtype is a rule's mistake."""
    if dtype is not None and d.dtype != dtype:
        raise RuntimeError(
            f"{op.name}: the rule for {arg!r} gave a gradient of dtype {d.dtype}, expected {dtype}; correct the rule"
        )
    if d.shape == shape:
        return d
    from tinydl.ops.reducing import reduce_sum
    from tinydl.ops.shaping import reshape_to

    lead = len(d.shape) - len(shape)
    if lead < 0 or any(s not in (1, t) for s, t in zip(shape, d.shape[lead:])):
        raise RuntimeError(
            f"{op.name}: the rule for {arg!r} gave a gradient of shape {tuple(d.shape)}, expected {tuple(shape)}; "
            "correct the rule"
        )
    axes = tuple(range(lead)) + tuple(i + lead for i, s in enumerate(shape) if s == 1 and d.shape[i + lead] != 1)
    return reshape_to(reduce_sum(d, axis=axes, keepdims=False), shape=shape)


def misfit(name: str, error: ValueError, inputs: tuple[Any, ...]) -> NoReturn:
    """While a ValueError is handled: if it is NumPy's of two shapes, say so in PyTorch's words."""
    told = str(error).startswith(("operands could not be broadcast", "shape mismatch: objects cannot be broadcast"))
    shapes = [np.shape(x) for x in inputs if x is not None] if told else []
    for left, right in itertools.combinations(shapes, 2):
        rank = max(len(left), len(right))
        # From the last dimension on; the shorter shape has no more to disagree about than it has dimensions.
        for back, (m, n) in enumerate(zip(reversed(left), reversed(right)), 1):
            if m != n and 1 not in (m, n):
                raise RuntimeError(
                    f"{name}: The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton "
                    f"dimension {rank - back}; the shapes are {tuple(left)} and {tuple(right)}"
                ) from None
    raise error


def _no_memory(name: str, inputs: tuple[Any, ...], error: MemoryError) -> None:
    """While NumPy's MemoryError is handled: name the operation, how much it asked for, and from what."""
    if "there is no memory" in str(error):  # said already, by an operation inside this one
        raise error
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    size = ""
    if shape is not None and dtype is not None:
        size = f" for {math.prod(shape) * dtype.itemsize} bytes (shape {tuple(shape)}, {dtype})"
    shapes = ", ".join(str(tuple(x.shape)) for x in inputs if hasattr(x, "shape"))
    raise MemoryError(f"{name}: there is no memory{size}; the shapes given are {shapes}; make them smaller") from None


def _stale(x: Any, op: Primitive, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """An input whose array is not to be used as it is: a view is taken anew. A symbol (:mod:`tinydl.fusion.tracing`),
    which stands for a tensor to come, notes the call, and what it gives is the call's result."""
    if hasattr(x, "tracer"):
        return x.tracer.apply(op, inputs, static)
    x._take_anew(op.name)
    return None


def _freed(op: Any) -> None:
    raise RuntimeError(
        f"Trying to backward through the graph a second time: what {op.name} saved has already been freed; "
        "specify retain_graph=True on the first backward"
    )


def _changed(op: Any, name: str) -> None:
    what = "the result" if name in op.outputs else f"the input {name!r}"
    raise RuntimeError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation: {what} of "
        f"{op.name} "
        "changed after the forward call; clone() it before changing it"
    )


def _missing(op: Any, arg: str) -> None:
    raise NotImplementedError(
        f"the derivative of {op.name} with respect to {arg!r} is not implemented; detach() that argument if it is a "
        "constant"
    )
