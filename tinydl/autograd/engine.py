"""The walk back: reverse-mode differentiation of a recorded graph.

Nodes are visited in reverse order of creation, which is a topological order: a node is created after everything it
uses, so when it is reached every gradient that flows into it has been added (``b = a + a; c = b + b`` needs that).
The order comes from a heap of node ids: no recursion, no global tape; walks may nest and run in several threads.

Two routes share one loop. The *array* route computes with arrays and makes no Tensor; the *recorded* route
(``create_graph=True``) applies the same rules to Tensors, so that the gradient can itself be differentiated.

Ownership. The first contribution to a gradient is borrowed (it may be another gradient, or a view), the second
allocates, later ones add in place. What leaves the engine (``.grad``, results of :func:`grad`) is always owned,
contiguous
and writable: a borrowed array is copied unless nobody else can hold it.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from tinydl.autograd import hooks as _hooks
from tinydl.autograd import primitives as _primitives
from tinydl.autograd.mode import ANOMALY, mode
from tinydl.autograd.primitives import PICK, Node, Primitive
from tinydl.devices import ELSEWHERE

_ndarray = np.ndarray


def _recorded(n: Node, g: Any, edges: tuple[Any, ...]) -> Sequence[Any]:
    """The gradients of a node's inputs, as Tensors that can be differentiated again."""
    op = n.op
    if not isinstance(op, Primitive):
        return op.pull_recorded(n, g, edges)  # type: ignore[no-any-return]
    values = _saved_tensors(n)
    if op.composite is not None:
        return _through_definition(n, g, edges, values)
    if op.joint is not None:
        names = next(iter(op.plan.values()), ())
        result = op.joint(tuple(e is not None for e in edges[: len(op.args)]), g, *[values[w] for w in names])
    else:
        result = []
        for a, e in zip(op.args, edges):
            if e is None:
                result.append(None)
            elif a not in op.rules:
                _primitives._missing(op, a)
            else:
                result.append(op.rules[a](g, *[values[w] for w in op.plan[a]]))
    settled: list[Any] = []
    for a, e, d, shape in zip(op.args, edges, result, n.shapes):
        if e is None or d is None:
            if e is not None and a in op.constants:
                _primitives._missing(op, a)
            settled.append(None)
            continue
        casts = op.joint is not None or any(w.endswith("_dtype") for w in op.plan[a])
        settled.append(_primitives._settle(op, a, d, shape, None if casts else g.dtype))
    return settled


def _saved_tensors(n: Node) -> dict[str, Any]:
    """What a node saved, each differentiable array again attached to the graph: array + edge, never the old Tensor."""
    op, saved, values, j = n.op, n.saved, {}, 0
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    if saved is None:
        _primitives._freed(op)
    for s in op.saves:
        is_input, is_output = s in op.args, s in op.outputs
        if not (is_input or is_output):
            values[s], j = saved[j], j + 1
            continue
        array, cell, at = saved[j : j + 3]
        j += 3
        if cell is not None and cell[0] != at:
            _primitives._changed(op, s)
        edge: Any
        if is_input:
            edge = n.edges[op.args.index(s)]
        elif s in op.public:
            edge = n if len(op.public) == 1 else _primitives._picked(n, op.public.index(s))
        else:
            edge = None
        if edge is None or array is None:
            values[s] = array
        elif isinstance(edge, Node):
            values[s] = tensor._from_graph(array, edge, cell)
        else:
            if edge.array is not array:
                _primitives._changed(op, s)
            values[s] = edge
    return values


def _through_definition(n: Node, g: Any, edges: tuple[Any, ...], values: dict[str, Any]) -> Sequence[Any]:
    """Second order of a fused operation: differentiate its definition in other operations.

    Each input passes through an identity of its own: without it ``f(h, h)`` would count the shared ``h`` twice.
    """
    from tinydl.ops.casting import identity

    op = n.op
    inputs = [values[a] if e is None else identity(values[a]) for a, e in zip(op.args, n.edges)]
    live = [i for i, e in enumerate(edges) if e is not None]
    out = op.composite(*inputs, **{s: values[s] for s in op.static})
    outs = list(out) if isinstance(out, (tuple, list)) else [out]
    gs = list(g) if isinstance(g, (tuple, list)) else [g]
    kept = [(o, d) for o, d in zip(outs, gs) if d is not None and o.requires_grad]
    found = grad(
        [o for o, _ in kept], [inputs[i] for i in live], [d for _, d in kept], create_graph=True, allow_unused=True
    )
    result: list[Any] = [None] * len(inputs)
    for i, d in zip(live, found):
        if op.args[i] in op.constants:
            _primitives._missing(op, op.args[i])
        result[i] = d
    return result


def _walk(
    roots: Sequence[Any],
    seeds: Sequence[Any],
    create_graph: bool,
    retain: bool,
    needed: set[int] | None,
    capture: dict[int, Any],
) -> tuple[dict[int, Any], dict[int, Any]]:
    """Send ``seeds`` back from ``roots`` (nodes or leaves); returns gradients by id of leaf, and the leaves by id.

    ``needed`` limits the walk to edges whose id it holds; ``capture`` receives the gradients of the nodes whose ids
    are its keys.
    """
    acc: dict[int, Any] = {}
    owned: set[int] = set()
    leaves: dict[int, Any] = {}
    nodes: dict[int, Node] = {}
    heap: list[int] = []
    push, pop = heapq.heappush, heapq.heappop
    anomaly = mode.anomaly
    for root, seed in zip(roots, seeds):
        k = id(root)
        if k in acc:
            acc[k] = acc[k] + seed
            continue
        acc[k] = seed
        if isinstance(root, Node):
            nodes[root.id] = root
            push(heap, -root.id)
        else:
            leaves[k] = root

    while heap:
        n = nodes.pop(-pop(heap))
        k = id(n)
        g = acc.pop(k)
        extra = n.extra
        if extra is not None:
            g = _hooks.on_node(extra, g, create_graph)
        if capture and k in capture:
            capture[k] = g
        edges = n.others
        if edges is None:
            edges = (n.first, n.second)
        if needed is not None:
            edges = tuple([e if e is not None and id(e) in needed else None for e in edges])
            if all(e is None for e in edges):
                continue
        op = n.op
        if op is PICK:
            parent = edges[0]
            slots = acc.get(id(parent))
            if slots is None:
                slots = acc[id(parent)] = [None] * len(parent.op.public)
                nodes[parent.id] = parent
                push(heap, -parent.id)
            # A saved output that comes back into the graph has a pick of its own beside the caller's.
            old = slots[n.saved]
            slots[n.saved] = g if old is None else old + g
            continue
        if extra is not None and "recompute" in extra:
            extra.pop("recompute").restore(n)
        if anomaly:
            mode.line = (extra or {}).get("where")
        try:
            results = _recorded(n, g, edges) if create_graph else op.pull(n, g, edges)
        except MemoryError as lack:
            _primitives._no_memory(f"{op.name}Backward", tuple(g) if isinstance(g, (list, tuple)) else (g,), lack)
            raise
        if anomaly:
            _refuse_nan(n, results)
        if not retain and op.frees:
            n.saved = None
        for e, r in zip(edges, results):
            if r is None:
                continue
            k = id(e)
            old = acc.get(k)
            if old is None:
                acc[k] = r
                if type(e) is Node:
                    i = e.id
                    nodes[i] = e
                    push(heap, -i)
                else:
                    leaves[k] = e
            elif k in owned and type(old) is _ndarray:
                old += r
            else:
                acc[k] = old + r
                owned.add(k)
    return acc, leaves


def _copy(r: Any) -> Any:
    """``r`` as an array of its own: contiguous and writable."""
    return r.copy(order="C") if type(r) in ELSEWHERE else np.array(r, order="C")


def _refuse_nan(n: Node, results: Sequence[Any]) -> None:
    for a, r in zip(getattr(n.op, "args", ()) or [str(i) for i in range(len(results))], results):
        if r is not None and np.isnan(r.array if hasattr(r, "node") else r).any():
            where = (n.extra or {}).get("where", "a call made outside detect_anomaly")
            raise RuntimeError(
                f"{n.op.name}Backward returned nan values in the gradient of {a!r}; the forward call was {where}"
            )


def _roots(outputs: Sequence[Any], grads: Sequence[Any] | None, what: str) -> tuple[list[Any], list[Any]]:
    """Where the walk starts, and the arrays it starts with."""
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    roots, seeds = [], []
    if grads is not None and len(grads) != len(outputs):
        raise RuntimeError(f"{what}: got {len(outputs)} tensors and {len(grads)} gradients; give one gradient for each")
    for i, y in enumerate(outputs):
        if not isinstance(y, tensor):
            raise TypeError(f"{what}: element {i} is a {type(y).__name__}, not a Tensor")
        if not y.requires_grad:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn; call requires_grad_() on "
                "what it is to be differentiated by, before it is computed"
            )
        g = None if grads is None else grads[i]
        if g is None:
            if y.array.size != 1:
                raise RuntimeError(
                    f"grad can be implicitly created only for scalar outputs, got shape {tuple(y.shape)}; sum it or "
                    "give its gradient"
                )
            g = _one(y.array)
        else:
            if not isinstance(g, tensor):
                g = _primitives._as_array(g)
            if tuple(g.shape) != tuple(y.shape):
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{i}] has a shape of {tuple(g.shape)} and output[{i}] has a shape "
                    f"of {tuple(y.shape)}"
                )
            if g.dtype != y.dtype:
                raise RuntimeError(
                    f"Expected the gradient of output {i} to have dtype {y.dtype}, got {g.dtype}; convert it with .to()"
                )
        roots.append(y.node or y)
        seeds.append(g)
    return roots, seeds


_ones: dict[Any, Any] = {}


def _one(like: Any) -> Any:
    """The gradient a backward pass starts with; for a 0-d float, one read-only array a dtype serves them all."""
    if like.shape or type(like) is not _ndarray:
        return np.ones_like(like)
    one = _ones.get(like.dtype)
    if one is None:
        one = _ones[like.dtype] = np.ones((), like.dtype)
        one.flags.writeable = False
    return one


def _within(create_graph: bool, body: Callable[..., Any], *args: Any) -> Any:
    """Call ``body`` with recording on for ``create_graph``, else off: hooks and accumulation run so too."""
    before, line = mode.on, mode.line
    mode.on = (ANOMALY if mode.anomaly else True) if create_graph else False
    try:
        return body(create_graph, *args)
    finally:
        mode.on, mode.line = before, line


def _started(seeds: list[Any], create_graph: bool) -> list[Any]:
    """Seeds as the route wants them: Tensors where the walk is recorded, else arrays."""
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    if create_graph:
        return [s if isinstance(s, tensor) else tensor._from_array(s) for s in seeds]
    return [s.array if isinstance(s, tensor) else s for s in seeds]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradient of ``tensors`` to ``.grad`` of every leaf that requires one.

    tensors, grad_tensors
        One tensor or a sequence; gradients (same shapes and dtypes) may be left out for scalars.
    retain_graph
        Keep what was saved, for a second walk (default: ``create_graph``).
    create_graph
        Record the walk itself, so that ``.grad`` can be differentiated. A leaf and its recorded gradient then hold
        each other, until ``.grad`` is set to None or Python's collector runs: prefer :func:`grad` for that.
    inputs
        Accumulate only into these tensors.

    Raises RuntimeError when nothing requires a gradient, when a shape is wrong, on a second walk over freed values, and
    when a saved array was changed in place.
    """
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    ys = [tensors] if isinstance(tensors, tensor) else list(tensors)
    gs = None if grad_tensors is None else [grad_tensors] if isinstance(grad_tensors, tensor) else list(grad_tensors)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        _within(create_graph, _to_leaves, *_roots(ys, gs, "backward"), retain)
        return
    xs = [inputs] if isinstance(inputs, tensor) else list(inputs)
    if not xs:
        raise RuntimeError("inputs argument to backward cannot be empty")
    _refuse_constants(xs, "backward")
    _within(create_graph, _to_inputs, *_roots(ys, gs, "backward"), retain, list({id(x): x for x in xs}.values()))


def _to_leaves(create_graph: bool, roots: list[Any], seeds: list[Any], retain: bool) -> None:
    seeds = _started(seeds, create_graph)
    acc, leaves = _walk(roots, seeds, create_graph, retain, None, {})
    for k, x in leaves.items():
        if x.needs_grad:  # it may have been frozen since the forward pass
            _accumulate(create_graph, x, acc, k)


def _to_inputs(create_graph: bool, roots: list[Any], seeds: list[Any], retain: bool, xs: list[Any]) -> None:
    found = dict(enumerate(_gradients(create_graph, roots, seeds, retain, xs)))
    for k, x in enumerate(xs):
        if found[k] is not None:
            _accumulate(create_graph, x, found, k)


_accumulating = threading.Lock()  # several threads may walk back to one leaf


def _accumulate(create_graph: bool, x: Any, found: dict[int, Any], k: int) -> None:
    """Add the gradient ``found[k]``, which this takes out, to ``x.grad``, between the hooks of a leaf."""
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    r = found.pop(k)
    hooks = getattr(x, "hooks", None)
    if hooks is not None:
        r = _hooks.on_leaf(x, r, create_graph)
    with _accumulating:
        old = x._grad
        if create_graph:
            x._grad = _fresh(r) if old is None else old + r
        elif old is None:
            # Nobody else holds it when the only references are `r` and the call's own: then there is nothing to copy.
            if type(r) is _ndarray and getrefcount(r) == 2 and r.flags.carray and _unshared(r.base, r.size):
                x._grad = tensor._from_array(r)
            else:
                x._grad = tensor._from_array(_copy(r))
        elif old.requires_grad or (type(old.array) is _ndarray and not old.array.flags.writeable):
            x._grad = tensor._from_array(old.array + r)
        else:
            np.add(old.array, r, out=old.array)
            old.bump()
    if hooks is not None:
        for hook in tuple(hooks["after"]):
            hook.after(x)


def _unshared(base: Any, size: int) -> bool:
    """Whether an array of this base and size has its memory to itself: there is no base, or it is all of a base that
    nobody else holds (which it had another shape in)."""
    if base is None:
        return True
    # Held by the array, by this function's argument and by getrefcount's.
    return type(base) is _ndarray and base.size == size and getrefcount(base) == 3 and base.base is None


def _fresh(r: Any) -> Any:
    """A recorded gradient that may be shared becomes a tensor of its own (recorded copy)."""
    from tinydl.ops.casting import clone

    return clone(r)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    *,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradient of ``outputs`` with respect to each of ``inputs``, without touching ``.grad``.

    ``only_inputs`` stands where PyTorch has it, and like there only True is left of it.

    An input that was not used raises, gives None with ``allow_unused``, and zeros with ``materialize_grads``. Visits
    only nodes that lead to ``inputs``. With ``create_graph`` the results can be differentiated again, to any
    order.

    >>> import tinydl
    >>> x = tinydl.tensor(3.0, requires_grad=True)
    >>> (g,) = tinydl.autograd.grad(x * x * x, x, create_graph=True)
    >>> (h,) = tinydl.autograd.grad(g, x)
    >>> float(g), float(h)
    (27.0, 18.0)

    Raises RuntimeError when an input does not require a gradient or (unless ``allow_unused``) was not used.
    """
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    ys = [outputs] if isinstance(outputs, tensor) else list(outputs)
    xs = [inputs] if isinstance(inputs, tensor) else list(inputs)
    gs = (
        None
        if grad_outputs is None
        else [grad_outputs]
        if isinstance(grad_outputs, tensor) or not isinstance(grad_outputs, (list, tuple))
        else list(grad_outputs)
    )
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is no longer supported; use backward() to fill all leaves' .grad")
    if not xs:
        raise ValueError("grad requires non-empty inputs.")
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got: False.")
    _refuse_constants(xs, "grad")
    roots, seeds = _roots(ys, gs, "grad") if ys else ([], [])
    retain = create_graph if retain_graph is None else retain_graph
    return _within(create_graph, _results, roots, seeds, retain, xs, allow_unused, materialize_grads)  # type: ignore[no-any-return]


def _refuse_constants(xs: Sequence[Any], what: str) -> None:
    for i, x in enumerate(xs):
        if not isinstance(x, _primitives.Tensor):  # type: ignore[attr-defined]
            raise TypeError(f"{what}: input {i} is a {type(x).__name__}, not a Tensor")
        if not x.requires_grad:
            raise RuntimeError(
                f"One of the differentiated Tensors does not require grad: input {i}, of shape {tuple(x.shape)}"
            )


def _gradients(create_graph: bool, roots: list[Any], seeds: list[Any], retain: bool, xs: list[Any]) -> list[Any]:
    """Per input its gradient as the walk left it (None: not reached), of a leaf before its hooks."""
    needed = _leading_to(roots, [x.node or x for x in xs])
    capture: dict[int, Any] = {id(x.node): None for x in xs if x.node is not None}
    acc, _ = _walk(roots, _started(seeds, create_graph), create_graph, retain, needed, capture)
    return [acc.get(id(x)) if x.node is None else capture[id(x.node)] for x in xs]


def _results(
    create_graph: bool,
    roots: list[Any],
    seeds: list[Any],
    retain: bool,
    xs: list[Any],
    allow_unused: bool | None,
    materialize_grads: bool,
) -> tuple[Any, ...]:
    """What :func:`grad` returns: every gradient a Tensor of its own."""
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    found = _gradients(create_graph, roots, seeds, retain, xs)
    hooked: dict[int, Any] = {}
    results: list[Any] = []
    for i, x in enumerate(xs):
        r, found[i] = found[i], None
        if r is None and materialize_grads:
            results.append(tensor._from_array(np.zeros_like(x.array)))
        elif r is None:
            if not allow_unused:
                raise RuntimeError(
                    f"One of the differentiated Tensors appears to not have been used in the graph: input {i}, of "
                    f"shape {tuple(x.shape)}; set allow_unused=True if this is the desired behavior."
                )
            results.append(None)
        else:
            if getattr(x, "hooks", None) is not None:
                if id(x) not in hooked:
                    hooked[id(x)] = _hooks.on_leaf(x, r, create_graph)
                r = hooked[id(x)]
            if create_graph:
                results.append(_fresh(r))
            elif type(r) is _ndarray and getrefcount(r) == 2 and r.flags.carray and _unshared(r.base, r.size):
                results.append(tensor._from_array(r))  # nobody else holds it
            else:
                results.append(tensor._from_array(_copy(r)))
    return tuple(results)


def _leading_to(roots: Sequence[Any], targets: Sequence[Any]) -> set[int]:
    """Ids of the targets and of all nodes, reachable from ``roots``, from which a target can be reached.

    A node is older than whatever uses it, so nothing before the oldest target is of interest (for a leaf, nothing is).
    """
    oldest = min(t.id if isinstance(t, Node) else -1 for t in targets)
    seen: dict[int, Node] = {}
    stack = [r for r in roots if isinstance(r, Node)]
    for r in stack:
        seen[id(r)] = r
    while stack:
        for e in stack.pop().edges:
            if type(e) is Node and e.id >= oldest and id(e) not in seen:
                seen[id(e)] = e
                stack.append(e)
    needed = {id(t) for t in targets}
    for n in sorted(seen.values(), key=lambda n: n.id):  # inputs before what uses them
        for e in n.edges:
            if e is not None and id(e) in needed:
                needed.add(id(n))
                break
    return needed
