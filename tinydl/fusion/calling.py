"""Calling a fused function: one operation for each combination of dtypes and shapes, its kernels for each layout."""

from __future__ import annotations

import functools
import inspect
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydl.autograd.mode import mode
from tinydl.autograd.primitives import Primitive
from tinydl.devices import ELSEWHERE
from tinydl.fusion.formulas import ATOMS
from tinydl.fusion.text import Store, described, identifiers, kernel_text, ordered, space
from tinydl.fusion.tracing import FLOATING, Expression, FusionError, Symbol, follow
from tinydl.kernels.fused import CALL, cut, kernel
from tinydl.kernels.pointwise import Pointwise
from tinydl.tensor import Tensor

#: Combinations of shapes that are remembered; following a function again takes about a millisecond.
REMEMBERED = 1024
#: Values of the numbers among the arguments, each of which is compiled, from which on a warning says so.
MANY_NUMBERS = 32

#: Elements of results for which what function calls gave in the forward loop is kept for the backward loop. With fewer
#: it costs less to compute again than another array costs: of tanh(a x + b) sigmoid(c) both ways on two threads,
#: computing again took 0.95 times as long as keeping at 1,000 elements, 1.04 times at 4,000, 1.2 to 1.3 times at 30,000
#: to 400,000 and 1.1 times at 10^6. With more, memory is what both loops wait for: 1.1 times at 2 10^6 and 0.9 times at
#: 10^7; x sigmoid(x) y took 0.92 times as long at 2 10^6 already.
KEPT = range(4_096, 1_048_577)

Shape = tuple[int, ...]


class _Loop:
    """One kernel for operands of known shapes and row-major memory: allocates what it computes, and runs it."""

    def __init__(
        self, name: str, title: str, leaves: Sequence[tuple[Expression, str, Shape]],
        results: Sequence[tuple[str, Expression, Shape]], shape: Shape,
    ) -> None:  # fmt: skip
        common = space(shape, [s for _, _, s in leaves] + [s for _, _, s in results])
        self.elements, whole = int(np.prod(shape, dtype=np.int64)), (True,) * len(common.sizes)
        has = common.has[len(leaves) :]
        text = kernel_text(
            name, len(common.sizes), [(e, n, h) for (e, n, _), h in zip(leaves, common.has)],
            [Store(n, e, h) for (n, e, _), h in zip(results, has)],
            _notes(title, leaves, results),
        )  # fmt: skip
        self.source = text.source
        # The comments name shapes; the code serves all of the same kind.
        code = "".join(line for line in text.source.splitlines(True) if not line.startswith("#"))
        self.kernel = kernel(name, code, text.work)
        self.operands = [s for _, _, s in leaves]
        self.results = [(s, e.dtype) for _, e, s in results]
        self.numbers: tuple[int, ...] = (0,)
        self.made: list[tuple[Shape, Any, int]] = []  # of a result that is summed: shape, dtype, places; else 0 places
        self.steps: list[int] = []
        if self.elements:
            parts, columns, sizes = cut(common.sizes)
            self.numbers = (parts, *sizes)
            self._find_places(parts, columns, [(*r, h) for r, h in zip(self.results, has)], whole)

    def _find_places(self, parts: int, columns: bool, results: Sequence[tuple[Shape, Any, Any]], whole: Any) -> None:
        """Where the results go: those that are summed, to a place for each part, unless parts keep apart anyway."""
        for s, dtype, h in results:
            if h == whole:
                self.made.append((s, dtype, 0))
                continue
            size = int(np.prod(s, dtype=np.int64))
            apart = h[-1] if columns else all(h[:-1]) and len(h) > 1
            self.made.append(((1 if apart else parts, size), dtype if h[-1] else np.dtype(np.float64), 1))
            self.steps.append(0 if apart else size)

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The results for contiguous arrays of the shapes it was made for."""
        return list(self._all(*arrays)) if self.elements else [np.zeros(s, dtype) for s, dtype in self.results]

    @functools.cached_property
    def _all(self) -> Callable[..., Any]:
        names = [f"x{k}" for k in range(len(self.operands))]
        return self.written("run", names, names, range(len(self.results)))

    def written(self, name: str, parameters: Sequence[str], operands: Sequence[str], places: Sequence[int | None],
                otherwise: Any = None) -> Callable[..., Any]:
        """A call of this loop as a function of ``parameters``, written out as those of primitives are and for the same
        reason: without loops over operands it takes a third of the time.

        ``operands`` are those it reads, ``places`` the numbers of the results that it returns, a tuple, None for none.
        ``otherwise`` is what answers for arrays in another layout.
        """
        flat = [f"{o}.reshape(-1)" if len(s) != 1 else o for o, s in zip(operands, self.operands)]
        outs = [f"o{k}" for k in range(len(self.made))]
        run = self.kernel.chosen(self.elements, self.numbers[0])
        names = {"zeros": np.zeros, "empty": np.empty, "kernel": run, "total": _total,
                 "otherwise": otherwise}  # fmt: skip
        lines = [f"def {name}({', '.join(parameters)}):"]
        if otherwise is not None:
            checks = " and ".join(f"{o}.flags.carray" for o in operands) or "True"
            lines += [f"  if not ({checks}): return otherwise({', '.join(parameters)})"]
        for k, (shape, dtype, places_) in enumerate(self.made):
            names[f"s{k}"], names[f"d{k}"] = shape, dtype
            lines += [f"  o{k} = {'zeros' if places_ else 'empty'}(s{k}, d{k})"]
            flat += [f"o{k}.reshape(-1)" if len(shape) != 1 else f"o{k}"]
        lines += [f"  kernel({', '.join([*map(str, self.numbers), *flat, *map(str, self.steps)])})"]
        for k, ((shape, dtype), (_, _, places_)) in enumerate(zip(self.results, self.made)):
            if places_:
                names[f"t{k}"] = (dtype, shape)
                lines += [f"  o{k} = total(o{k}, *t{k})"]
        returned = ", ".join("None" if k is None else outs[k] for k in places)
        lines += [f"  return {returned}{',' if name != 'forward' or len(places) > 1 else ''}"]
        exec(compile("\n".join(lines), f"<fused {name}>", "exec"), names)
        return names[name]  # type: ignore[no-any-return]


def _notes(title: str, leaves: Sequence[tuple[Expression, str, Shape]], results: Sequence[Any]) -> list[str]:
    """The comments above a loop."""
    return [
        title, "operands: " + described([n for _, n, _ in leaves], [(e.dtype, s) for e, _, s in leaves]),
        "results:  " + described([n for n, _, _ in results], [(e.dtype, s) for _, e, s in results]),
    ]  # fmt: skip


def _total(places: Any, dtype: Any, shape: Shape) -> Any:
    """The sums of the parts, added."""
    return np.add.reduce(places, axis=0, dtype=np.float64).astype(dtype).reshape(shape)


class _Specialised:
    """The function for one combination of dtypes and shapes: what it computes, and the operation made of that."""

    def __init__(self, fused: Fused, key: tuple[Any, ...], call: Callable[[Sequence[Any]], Any]) -> None:
        name, tensors = fused.__name__, [k for k in key if isinstance(k[0], np.dtype)]
        self.name, self.shapes, self.every = name, [shape for _, shape in tensors], len(tensors) == len(key)
        self.identifier = name if name.isidentifier() else "fused"  # a lambda's is none
        self.trace, self.inputs, self.results, self.many = follow(name, tensors, call)
        self.shape = self.results[0].shape
        self.names = identifiers(fused.names_of(key))
        self.live = [k for k, x in enumerate(self.results) if x.live]
        self._loops: dict[Any, tuple[_Loop, list[int], list[int]]] = {}
        self._backwards: dict[tuple[tuple[bool, ...], bool, bool], Callable[..., Any]] = {}
        names = _unlike_generated(self.names)
        casts = [f"{n}_dtype" for n, x in zip(names, self.inputs)
                 if x.dtype.kind == "f" and x.dtype != self.results[0].dtype]  # fmt: skip
        self.outputs = [f"out{k}" for k in range(len(self.results))] if self.many else ["out"]
        self._parameters, self._casts, self._called = names, casts, call
        self._elsewhere: dict[Any, Callable[..., Any]] = {}
        self.kept = self._worth_keeping() if self.live and math.prod(self.shape) in KEPT else []
        self.op = self._on_the_cpu([])
        self.recorded = self._on_the_cpu(self.kept).call if self.kept else self.op.call
        self.call = self._chosen if self.kept or self.many and len(self.outputs) == 1 else self.op.call

    def _operation(
        self, forward: Callable[..., Any], backward: Callable[..., Any], aux: Sequence[str] = ()
    ) -> Primitive:
        live = bool(self.live)
        plain = tuple([o for k, o in enumerate(self.outputs) if k not in self.live]) if live else ()
        joint = functools.partial(backward)
        return Primitive(
            forward, None, self.identifier, None, False, live, (*self.outputs, *aux), tuple(aux),
            functools.partial(self._definition, self._called) if live else None,
            _with_parameters(joint, ["needs", "g", *self._parameters, *aux, *self._casts]) if live else None,
            (), (), {}, plain,
        )  # fmt: skip

    def _on_the_cpu(self, kept: list[Expression]) -> Primitive:
        aux = [f"kept{k}" for k in range(len(kept))]
        forward = self._written_forward(self._parameters, bool(kept))
        return self._operation(forward, functools.partial(self._backward, bool(kept)), aux)

    def elsewhere(self, device: Any) -> Callable[..., Any]:
        """The function on a device beside the CPU (:class:`tinydl.kernels.devices.Device`): its loops in CUDA C++."""
        found = self._elsewhere.get(device)
        if found is None:
            from tinydl.fusion.launching import Launched

            launched = Launched(self, device)
            forward = _with_parameters(functools.partial(launched.forward), self._parameters)
            call = self._operation(forward, launched.backward).call
            found = call if not self.many or len(self.outputs) > 1 else lambda *tensors: (call(*tensors),)
            self._elsewhere[device] = found
        return found

    def _chosen(self, *tensors: Any) -> Any:
        """One result that the function returns in a sequence, or with what is kept where a gradient may follow."""
        recorded = mode.on and any(x.needs_grad for x in tensors)
        found = (self.recorded if recorded else self.op.call)(*tensors)
        return (found,) if self.many and len(self.outputs) == 1 else found

    def _worth_keeping(self) -> list[Expression]:
        """What function calls of the forward loop give and the backward loop asks for."""
        calls = {
            e.position: e for e in ordered(self.results)
            if e.op is not None and ATOMS[e.op.name].cost >= CALL and e.shape == self.shape
        }  # fmt: skip
        for e in self.results:
            calls.pop(e.plain().position, None)  # a user may change those
        gs = [(self.results[k], self.trace.leaf(self.results[k].dtype, self.shape)) for k in self.live]
        gradients = [d for d in self.trace.gradients(gs, self.inputs) if d is not None]
        return [calls[e.position] for e in ordered(gradients, calls) if e.position in calls]

    def _definition(self, call: Callable[[Sequence[Any]], Any], *tensors: Any) -> Any:
        """What runs when a second derivative is asked for: the function itself."""
        found = call(tensors)
        return [found[k] for k in self.live] if self.many else found

    # ------------------------------------------------------------------------------------------------- arrays

    def _written_forward(self, names: Sequence[str], keep: bool) -> Callable[..., Any]:
        loop, used, places = self._loop(None, (), None, keep)
        otherwise = functools.partial(self._forward, keep)
        if not loop.elements:
            return _with_parameters(otherwise, names)
        return loop.written("forward", names, [names[k] for k in used], places, otherwise)

    def _forward(self, keep: bool, *arrays: Any) -> Any:
        made = self._run(arrays, None, [], keep)
        return tuple(made) if len(made) > 1 else made[0]

    def _backward(self, keep: bool, needs: tuple[bool, ...], g: Any, *arrays: Any) -> Any:
        arrays = arrays[: len(self.inputs) + (len(self.kept) if keep else 0)]
        if len(self.live) > 1:
            return self._run(arrays, needs, list(g), keep)
        one = 0 in g.strides and _is_one(g)
        if one:
            g = np.full(1, g[(0,) * g.ndim])
        run = self._backwards.get((needs, one, keep))
        if run is None:
            run = self._backwards[needs, one, keep] = self._written_backward(needs, one, keep)
        return run(g, *arrays)

    def _written_backward(self, needs: tuple[bool, ...], one: bool, keep: bool) -> Callable[..., Any]:
        loop, used, places = self._loop(needs, (one,), None, keep)
        inputs = [f"x{k}" for k in range(len(self.inputs))]
        names = [*inputs, *(f"kept{k}" for k in range(len(self.kept) if keep else 0))]
        operands = [*names, "g"]
        returned = [places.index(k) if k in places else None for k in range(len(inputs))]

        def otherwise(g: Any, *arrays: Any) -> Any:
            return self._run(arrays, needs, [np.broadcast_to(g, self.shape)], keep)

        if not loop.elements:
            return otherwise
        return loop.written("backward", ["g", *names], [operands[k] for k in used], returned, otherwise)

    def _run(self, arrays: Sequence[Any], needs: tuple[bool, ...] | None, gs: list[Any], keep: bool) -> list[Any]:
        """Results (``needs`` is None) and what is kept, or gradients, whatever the layout of the arrays: those of the
        inputs, then of what was kept."""
        one = tuple(None if g is None else _is_one(g) for g in gs)
        gs = [np.full((), g[(0,) * g.ndim]) if o else g for g, o in zip(gs, one)]
        order = _order((*arrays, *gs), self.shape)
        arrays = [_arranged(a, order) for a in arrays]
        gs = [g if g is None or o else _arranged(g, order) for g, o in zip(gs, one)]
        loop, used, places = self._loop(needs, one, order, keep)
        everything = [*arrays, *gs]
        made = loop([everything[k] for k in used])
        if order is not None:
            back = np.argsort(order)
            made = [a.transpose(back) for a in made]
        if needs is None:
            return made
        found: list[Any] = [None] * len(self.inputs)
        for k, a in zip(places, made):
            found[k] = a.reshape(self.shapes[k])
        return found

    def _loop(
        self, needs: Any, one: tuple[bool | None, ...], order: Any, keep: bool
    ) -> tuple[_Loop, list[int], list[int]]:
        """The loop for one direction and layout; which arrays it reads, and of which inputs it gives gradients."""
        key = needs, one, order, keep
        found = self._loops.get(key)
        if found is None:
            found = self._loops[key] = self._make(*key)
        return found

    def _make(
        self, needs: Any, one: tuple[bool | None, ...], order: Any, keep: bool
    ) -> tuple[_Loop, list[int], list[int]]:
        name, title, leaves, results, shape, used, places = self._described(needs, one, order, keep)
        return _Loop(name, title, leaves, results, shape), used, places

    def _described(
        self, needs: Any, one: tuple[bool | None, ...], order: Any, keep: bool
    ) -> tuple[str, str, list[Any], list[Any], Shape, list[int], list[int]]:
        """What a loop is made of: name, title, leaves, results, shape; which arrays those leaves are, and of which
        inputs the results are gradients."""
        shape = _permuted(self.shape, len(self.shape), order)
        shapes = [_permuted(s, len(self.shape), order) for s in self.shapes]
        leaves = [*zip(self.inputs, self.names, shapes)]
        kept = [(f"kept{k}", e, shape) for k, e in enumerate(self.kept)] if keep else []
        if needs is None:
            results = [*((n, e, shape) for n, e in zip(self.outputs, self.results)), *kept]
            places = list(range(len(results)))
            name, title = "forward", f"{self.name}, forward"
        else:
            leaves += [(e, n, s) for n, e, s in kept]
            symbols: list[Symbol | None] = []
            for k, o in zip(self.live, one):
                symbols.append(None if o is None else self.trace.leaf(self.results[k].dtype, () if o else self.shape))
                if o is not None:
                    label = "g" if len(self.live) == 1 else f"g{k}"
                    leaves.append((symbols[-1].expression, label, () if o else shape))  # type: ignore[union-attr]
            gradients = self.trace.gradients(
                [(self.results[k], s) for k, s in zip(self.live, symbols) if s is not None], self.inputs
            )
            places = [k for k, d in enumerate(gradients) if d is not None and needs[k]]
            labels = identifiers([*self.names, *(f"d_{n}" for n in self.names)])[len(self.names) :]
            results = [(labels[k], gradients[k], shapes[k]) for k in places]  # type: ignore[misc]
            name, title = "backward", f"{self.name}, backward: d_x is the gradient of x, g that of the result"
        reached = {e.position for e in ordered((e for _, e, _ in results), {e.position for e, _, _ in leaves})}
        used = [k for k, (e, _, _) in enumerate(leaves) if e.position in reached]
        present = [k for k, o in enumerate(one) if o is not None]
        n = len(self.inputs) + (0 if needs is None else len(kept))
        arrays = [k if k < n else n + present[k - n] for k in used]
        return f"{self.identifier}_{name}", title, [leaves[k] for k in used], results, shape, arrays, places

    def pointwise(self, needs: tuple[bool, ...] | None) -> tuple[Pointwise, Shape, list[int], list[int]]:
        """The loop of one direction in CUDA C++, for row-major arrays; the sizes of its index space; which arrays it
        reads (inputs, then gradients of results), and of which inputs it gives gradients (forward: the results'
        numbers)."""
        from tinydl.fusion import cuda

        one = () if needs is None else (False,) * len(self.live)
        name, title, leaves, results, shape, used, places = self._described(needs, one, None, False)
        notes = _notes(title, leaves, results)
        made, sizes = cuda.pointwise(name, notes, leaves, results, shape)
        return made, sizes, used, places

    def source(self, needs: tuple[bool, ...], device: str) -> str:
        """The text of both kernels for row-major arrays."""
        if device == "cuda":
            text = self.pointwise(None)[0].source()
            if self.live and any(needs):
                text += "\n\n" + self.pointwise(needs)[0].source()
            return text
        keep = bool(self.kept)
        text = self._loop(None, (), None, keep)[0].source
        if self.live and any(needs):
            text += "\n\n" + self._loop(needs, (False,) * len(self.live), None, keep)[0].source
        return text


def _is_one(g: Any) -> bool:
    """Whether all elements are one number in memory, as in the gradient of a sum."""
    return bool(g.ndim and g.size and not any(s for s, n in zip(g.strides, g.shape) if n > 1))


def _permuted(shape: Shape, rank: int, order: Any) -> Shape:
    wide = (1,) * (rank - len(shape)) + tuple(shape)
    return shape if order is None else tuple(wide[d] for d in order)


def _order(arrays: Sequence[Any], shape: Shape) -> tuple[int, ...] | None:
    """The order of dimensions in which the first array of full shape that is not row-major lies in memory."""
    for a in arrays:
        if a is not None and a.shape == shape and not a.flags.c_contiguous:
            order = tuple(sorted(range(a.ndim), key=lambda d: (-a.strides[d], d)))
            if a.transpose(order).flags.c_contiguous:
                return order
    return None


def _arranged(a: Any, order: Any) -> Any:
    """``a`` with its dimensions in this order, and in memory so; kernels are compiled for writable arrays alone."""
    if a is None:
        return None
    if order is not None:
        a = a.reshape((1,) * (len(order) - a.ndim) + a.shape).transpose(order)
    return a if a.flags.carray else np.array(a, order="C")


# Names that the texts of generated calls use themselves: single letters, and what their namespaces hold.
_GENERATED = re.compile(
    r"[a-z]\d*|[A-Z].*|new|mode|next_id|ndarray|as_array|op|forward|mixed|stale|user_line|freed|misfit|no_memory|one_of|"
    r"changed|missing|settle|picks?|result|joint|lift|shares|write|kernel|total|zeros|empty|otherwise|rule\d+|kept\d+|"
    r"default_.*|isinstance|type|dict|is|needs|saved|shapes|out\d*|.*_(shape|dtype)"
)


def _unlike_generated(names: Sequence[str]) -> list[str]:
    return [f"{name}_" if _GENERATED.fullmatch(name) else name for name in names]


def _with_parameters(function: functools.partial[Any], names: Sequence[str]) -> Callable[..., Any]:
    """``function`` for the eyes of :class:`Primitive`, which reads names off a signature."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # type: ignore[attr-defined]
    return function


class Fused:
    """What :func:`tinydl.fuse` returns: the function, each call of which is one loop."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if isinstance(function, Fused):
            function = function.function
        if not callable(function):
            raise TypeError(f"fuse: expected a function of tensors, got {type(function).__name__}")
        functools.update_wrapper(self, function)
        self.function: Callable[..., Any] = function
        self.__name__: str = getattr(function, "__name__", type(function).__name__)
        self._signature = inspect.signature(function)
        self._known: dict[Any, _Specialised] = {}
        self._numbers: set[Any] = set()

    def __repr__(self) -> str:
        return f"<fused {self.__name__}{self._signature}>"

    def _here(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            bound = self._signature.bind(*args, **kwargs)
            if bound.kwargs:
                return self._named(*bound.args, **bound.kwargs)
            args = bound.args
        try:
            known = self._known[
                tuple([(a.array.dtype, a.array.shape) if isinstance(a, Tensor) else (type(a), a) for a in args])
            ]
        except (KeyError, TypeError):  # TypeError: of what cannot be looked up
            return self._first(args)
        return known.call(*args) if known.every else known.call(*[a for a in args if isinstance(a, Tensor)])

    __call__ = _here  # until a device beside the CPU is in use: see look_where

    def _anywhere(self, *args: Any, **kwargs: Any) -> Any:
        for a in (*args, *kwargs.values()):
            there = ELSEWHERE.get(type(getattr(a, "array", a)))
            if there is not None:
                return self._there(there.kernels, args, kwargs)
        return self._here(*args, **kwargs)

    def _there(self, device: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not device.fuses or any(isinstance(a, Symbol) for a in args):
            return self.function(*args, **kwargs)
        if kwargs:
            bound = self._signature.bind(*args, **kwargs)
            if bound.kwargs:  # given by name only
                return self.function(*args, **kwargs)
            args = bound.args
        args = tuple(Tensor._wrap(a) if type(a) in (np.ndarray, device.array) else a for a in args)
        return self._specialised(args).elsewhere(device)(*[a for a in args if isinstance(a, Tensor)])

    def _named(self, *args: Any, **kwargs: Any) -> Any:
        """Arguments that can only be given by name: they belong to another function of the rest."""
        names = tuple(kwargs)
        inner = self._by_name.get(names)
        if inner is None:

            def function(*values: Any) -> Any:
                count = len(values) - len(names)
                return self.function(*values[:count], **dict(zip(names, values[count:])))

            inner = self._by_name[names] = Fused(function)
            inner.__name__ = self.__name__
        return inner(*args, *kwargs.values())

    @functools.cached_property
    def _by_name(self) -> dict[tuple[str, ...], Fused]:
        return {}

    def _first(self, args: tuple[Any, ...]) -> Any:
        """A call with dtypes and shapes that are new."""
        if any(isinstance(a, Symbol) for a in args):  # part of another fused function
            return self.function(*args)
        args = tuple(Tensor._wrap(a) if isinstance(a, np.ndarray) else a for a in args)
        tensors = [a for a in args if isinstance(a, Tensor)]
        return self._specialised(args).call(*tensors)

    def _specialised(self, args: tuple[Any, ...]) -> _Specialised:
        if not any(isinstance(a, Tensor) for a in args):
            raise FusionError(f"fuse: {self.__name__} was called without a tensor; give it at least one")
        key = tuple([(a.array.dtype, a.array.shape) if isinstance(a, Tensor) else (type(a), a) for a in args])
        try:
            found = self._known.get(key)
        except TypeError:
            bad = next(a for a in args if not isinstance(a, Tensor) and getattr(a, "__hash__", None) is None)
            raise FusionError(
                f"fuse: {self.__name__} takes tensors, numbers and other constants, not a {type(bad).__name__}; give "
                "its tensors one by one"
            ) from None
        if found is None:
            for name, a in zip(self.names_of(args, every=True), args):
                if isinstance(a, Tensor) and a.dtype.kind == "f" and a.dtype not in FLOATING:
                    raise FusionError(
                        f"fuse: argument {name!r} of {self.__name__} is of dtype {a.dtype}; fused functions take "
                        "float32 and float64; convert it with .float()"
                    )
            self._count_numbers(args)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            constants = [None if isinstance(a, Tensor) else a for a in args]
            places = [k for k, a in enumerate(args) if isinstance(a, Tensor)]

            def call(tensors: Sequence[Any]) -> Any:
                values = list(constants)
                for k, x in zip(places, tensors):
                    values[k] = x
                return self.function(*values)

            found = self._known[key] = _Specialised(self, key, call)
        return found

    def _count_numbers(self, args: tuple[Any, ...]) -> None:
        numbers = tuple(a for a in args if type(a) in (int, float))
        if numbers and numbers not in self._numbers:
            self._numbers.add(numbers)
            if len(self._numbers) == MANY_NUMBERS:
                warnings.warn(
                    f"fuse: {self.__name__} was compiled for {MANY_NUMBERS} values of its numbers, the last "
                    f"{numbers}; give a number that changes as a tensor of no dimensions",
                    stacklevel=4,
                )

    def names_of(self, args: Sequence[Any], every: bool = False) -> list[str]:
        """Names of the arguments, or of those that are tensors, as the function's signature has them."""
        found: list[str] = []
        for p in self._signature.parameters.values():
            count = 1 if p.kind is not p.VAR_POSITIONAL else max(len(args) - len(found), 0)
            found += [p.name] if p.kind is not p.VAR_POSITIONAL else [f"{p.name}_{k}" for k in range(count)]
        pairs = zip(found, args)
        return [n for n, a in pairs if every or isinstance(a, tuple) and isinstance(a[0], np.dtype)]

    def source(self, *example_inputs: Any, device: str = "cpu") -> str:
        """The text of the kernels for inputs like these, forward and backward, as it is compiled: Python for Numba, or
        for the device ``"cuda"`` CUDA C++ for NVRTC, which can be compiled and executed without a GPU
        (:mod:`tinydl.kernels.simt`).

        The backward kernel gives the gradients of the inputs that require one, or where none does, of all that are
        floating.
        """
        if device not in ("cpu", "cuda"):
            raise ValueError(f"fuse: kernels are written for the devices 'cpu' and 'cuda', not {device!r}")
        args = tuple(Tensor._wrap(a) if isinstance(a, np.ndarray) else a for a in example_inputs)
        tensors = [a for a in args if isinstance(a, Tensor)]
        known = self._specialised(args)
        needs = tuple(x.requires_grad for x in tensors)
        return known.source(needs if any(needs) else tuple(x.dtype.kind == "f" for x in tensors), device)


def look_where(types: Any) -> None:
    """From now on each call of a fused function looks where its tensors are, for a device beside the CPU is in use;
    None: no more."""
    Fused.__call__ = Fused._here if types is None else Fused._anywhere  # type: ignore[method-assign]


def fuse(function: Callable[..., Any]) -> Fused:
    """``function`` of tensors, made of elementwise operations, as one loop over memory, and its gradient as another.

    ``function``
        Takes tensors (float32, float64; bool and whole numbers to choose and compare with) and numbers, applies
        arithmetic, comparisons, ``where``, exponentials, activations and the like, and returns a tensor or a tuple of
        tensors of one shape. Operands broadcast. It is followed once for each combination of dtypes and shapes; what
        it reads besides its arguments counts as it was then.

    Returns a function with the same results and gradients, of any order. Arithmetic is the same bit for bit;
    exponentials and their kin are within a few units of the last place. ``.source(*example_inputs)`` shows the loops.

    >>> import tinydl
    >>> @tinydl.fuse
    ... def gate(a, x, b, c):
    ...     return tinydl.tanh(a * x + b) * tinydl.sigmoid(c)
    >>> x = tinydl.tensor([0.5, -0.5], requires_grad=True)
    >>> gate(2.0, x, 0.0, x).sum().backward()
    >>> x.grad
    tensor([0.7018, 0.1381])

    Raises :class:`FusionError`, which names the operation and the line, for a reduction, a product of matrices, a
    change of shape, a change in place, a branch on elements, and a tensor that is no argument.
    """
    return Fused(function)
