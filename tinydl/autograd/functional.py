"""Derivatives of functions: products with the Jacobian and the Hessian, and both as a whole.

For f: R^n -> R^m with Jacobian J [m, n], and for scalar f with Hessian H [n, n]:

    vjp   v^T J        jvp   J v        vhp   v^T H        hvp   H v

``inputs`` is a tensor or a tuple of them, and results have the structure that PyTorch's have: a tensor where a tensor
was given, a tuple where a tuple was. Inputs are detached first, unless ``create_graph`` asks for results that can be
differentiated again. What an output does not depend on gives zeros; with ``strict`` it raises RuntimeError.
``vectorize`` and the strategies are accepted and change nothing: rows are computed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinydl.autograd import primitives as _primitives
from tinydl.autograd.engine import grad
from tinydl.autograd.mode import enable_grad
from tinydl.errors import say_absent

say_absent(__name__)


def _tuple(values: Any, what: str) -> tuple[tuple[Any, ...], bool]:
    """``values`` as a tuple of tensors, and whether it was one tensor."""
    tensor = _primitives.Tensor  # type: ignore[attr-defined]
    alone = isinstance(values, tensor)
    found = (values,) if alone else tuple(values) if isinstance(values, (tuple, list)) else (values,)
    for i, x in enumerate(found):
        if not isinstance(x, tensor):
            raise TypeError(f"{what} should be a Tensor or a tuple of Tensors, but element {i} is a {type(x).__name__}")
    return found, alone


def _differentiable(inputs: tuple[Any, ...], create_graph: bool) -> tuple[Any, ...]:
    """Inputs to differentiate with respect to: under ``create_graph`` still attached to what they came from."""
    from tinydl.ops.casting import identity

    return tuple(identity(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs)


def _called(func: Callable[..., Any], inputs: tuple[Any, ...], name: str, strict: bool) -> tuple[tuple[Any, ...], bool]:
    outputs, alone = _tuple(func(*inputs), f"{name}: what the function returned")
    if strict:
        for i, y in enumerate(outputs):
            if not y.requires_grad:
                raise RuntimeError(
                    f"{name}: output {i} of the user-provided function does not require gradients: it is independent "
                    "of all inputs, which strict=True does not allow"
                )
    return outputs, alone


def _pulled(
    outputs: Sequence[Any], inputs: Sequence[Any], vs: Sequence[Any], create_graph: bool, name: str, strict: bool
) -> list[Any]:
    """Gradients of the outputs weighted by ``vs``, zeros where nothing depends."""
    from tinydl.creation import zeros_like

    kept = [(y, v) for y, v in zip(outputs, vs) if y.requires_grad]
    found: Sequence[Any] = [None] * len(inputs)
    if kept:
        found = grad(
            [y for y, _ in kept], inputs, [v for _, v in kept], retain_graph=True, create_graph=create_graph,
            allow_unused=True,
        )  # fmt: skip
    if strict:
        for i, d in enumerate(found):
            if d is None or (create_graph and not d.requires_grad):
                raise RuntimeError(
                    f"{name}: the output of the user-provided function is independent of input {i}"
                    f"{'' if d is None else ' in its derivative'}, which strict=True does not allow"
                )
    return [zeros_like(x) if d is None else d for x, d in zip(inputs, found)]


def _weights(v: Any, like: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """``v`` checked against the tensors it weights; left out, ones for a single number."""
    from tinydl.creation import ones_like

    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"{name}: the vector v can only be None if there is one number to weight, but the shapes are "
                f"{[tuple(x.shape) for x in like]}; give v in these shapes"
            )
        return (ones_like(like[0]),)
    vs, _ = _tuple(v, f"{name}: v")
    if [x.shape for x in vs] != [x.shape for x in like]:
        raise RuntimeError(
            f"{name}: v has the shapes {[tuple(x.shape) for x in vs]}, expected {[tuple(x.shape) for x in like]}"
        )
    return vs


def _given(values: Sequence[Any], alone: bool, create_graph: bool) -> Any:
    """Results as the user gets them: without history unless asked for, and in the structure of what they belong to."""
    out = tuple(x if create_graph else x.detach() for x in values)
    return out[0] if alone else out


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(inputs), v^T J)``; ``v`` has the shapes of the outputs, and may be left out for a single number.

    >>> import tinydl
    >>> vjp(lambda x: x * x, tinydl.tensor([1.0, 2.0]), tinydl.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        given, alone = _tuple(inputs, "vjp: inputs")
        xs = _differentiable(given, create_graph)
        outputs, single = _called(func, xs, "vjp", strict)
        found = _pulled(outputs, xs, _weights(v, outputs, "vjp"), create_graph, "vjp", strict)
    return _given(outputs, single, create_graph), _given(found, alone, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(inputs), J v)``; ``v`` has the shapes of the inputs, and may be left out for a single number.

    By two backward passes: u^T J is linear in u, and its derivative along v is J v, whatever u is.
    """
    from tinydl.creation import zeros_like

    with enable_grad():
        given, _ = _tuple(inputs, "jvp: inputs")
        vs = _weights(v, given, "jvp")
        xs = _differentiable(given, create_graph)
        outputs, single = _called(func, xs, "jvp", strict)
        us = tuple(zeros_like(y, requires_grad=True) for y in outputs)
        first = _pulled(outputs, xs, us, True, "jvp", strict)
        found = _pulled(first, us, vs, create_graph, "jvp", strict)
    return _given(outputs, single, create_graph), _given(found, single, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(inputs), v^T H)`` of a function that returns one number; ``v`` has the shapes of the inputs."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(inputs), H v)`` of a function that returns one number: H is symmetric, so it is ``v^T H``."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        given, alone = _tuple(inputs, f"{name}: inputs")
        vs = _weights(v, given, name)
        xs = _differentiable(given, create_graph)
        outputs, single = _called(func, xs, name, strict)
        _refuse_several(outputs, single, name)
        first = _pulled(outputs, xs, _weights(None, outputs, name), True, name, strict)
        found = _pulled(first, xs, vs, create_graph, name, strict)
    return _given(outputs, single, create_graph), _given(found, alone, create_graph)


def _refuse_several(outputs: tuple[Any, ...], single: bool, name: str) -> None:
    if not single or outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element, but the shapes are "
            f"{[tuple(y.shape) for y in outputs]}; sum it"
        )


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian: a tensor of shape ``output.shape + input.shape`` for every output and input (a tuple, or a tuple of
    tuples, outputs first, where several were given).

    >>> import tinydl
    >>> jacobian(lambda x: x * x, tinydl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    from tinydl.creation import zeros, zeros_like
    from tinydl.ops.shaping import stack

    with enable_grad():
        given, alone = _tuple(inputs, "jacobian: inputs")
        xs = _differentiable(given, create_graph)
        outputs, single = _called(func, xs, "jacobian", strict)
        table = []
        for y in outputs:
            rows = []
            for k in range(y.numel()):
                one = zeros_like(y)
                one.array.reshape(-1)[k] = 1
                rows.append(_pulled([y], xs, [one], create_graph, "jacobian", strict))
            blocks = [
                stack([row[i] for row in rows]).reshape(tuple(y.shape) + tuple(x.shape))
                if rows
                else zeros(tuple(y.shape) + tuple(x.shape), dtype=x.dtype)
                for i, x in enumerate(xs)
            ]
            table.append(_given(blocks, alone, create_graph))
    return table[0] if single else tuple(table)


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Hessian of a function that returns one number: a tensor of shape ``input.shape + input.shape`` (a tuple of
    tuples where several inputs were given).

    >>> import tinydl
    >>> hessian(lambda x: (x * x * x).sum(), tinydl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs: Any) -> Any:
        outputs, single = _called(func, xs, "hessian", strict)
        _refuse_several(outputs, single, "hessian")
        return tuple(_pulled(outputs, xs, _weights(None, outputs, "hessian"), True, "hessian", strict))

    given, alone = _tuple(inputs, "hessian: inputs")
    found = jacobian(gradient, given, create_graph=create_graph, strict=strict)
    return found[0][0] if alone else found
