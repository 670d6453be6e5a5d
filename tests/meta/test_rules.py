"""Gradient rules call no methods: arrays and Tensors differ in those, and a rule runs on both."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from tests.meta.tree import Source, sources
from tinydl.autograd.primitives import primitive

# Keywords of primitive() that are no rules: flags, names, and functions that run on arrays or on Tensors alone.
SETTINGS = {
    name for name, p in inspect.signature(primitive).parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY
}

SAME = {"shape", "ndim", "dtype"}  # no methods, and the same on arrays and Tensors

Function = ast.Lambda | ast.FunctionDef


def rules(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """(input, rule) of every ``primitive(...)`` in a file; a rule given by name is looked up there."""
    named = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    named_lambdas = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "primitive"):
            continue
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg in SETTINGS:
                continue
            rule = keyword.value
            if isinstance(rule, ast.Lambda):
                yield keyword.arg, rule
            elif isinstance(rule, ast.Name) and rule.id in named:
                yield keyword.arg, named[rule.id]
            elif isinstance(rule, ast.Name) and rule.id in named_lambdas:
                yield keyword.arg, named_lambdas[rule.id]


def with_helpers(tree: ast.Module, rule: Function) -> Iterator[Function]:
    """The rule, and the plain functions of its file that it calls, directly or through others."""
    plain = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.decorator_list}
    waiting, seen = [rule], {id(rule)}
    while waiting:
        function = waiting.pop()
        yield function
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                helper = plain.get(node.func.id)
                if helper is not None and id(helper) not in seen:
                    seen.add(id(helper))
                    waiting.append(helper)


def violations(rule: Function) -> list[str]:
    """Attributes of anything computed inside a rule, and NumPy functions, which know no Tensor.

    Names from outside the rule (modules, other functions) may have attributes; parameters, locals and results of
    calls, operators and subscripts may not, but for ``SAME``.
    """
    arguments = rule.args
    inner = {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]}
    inner |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
    body = rule.body if isinstance(rule.body, list) else [rule.body]
    inner |= {n.id for part in body for n in ast.walk(part) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    found = []
    for part in body:
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute) and node.attr not in SAME:
                base: ast.expr = node
                while isinstance(base, ast.Attribute):
                    base = base.value
                if not isinstance(base, ast.Name) or base.id in inner:
                    found.append(f"line {node.lineno}: .{node.attr} of a value; write the primitive or the operator")
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("np.", "numpy.")):
                found.append(f"line {node.lineno}: {ast.unparse(node.func)} knows no Tensor; write the primitive")
    return found


def with_rules() -> list[Source]:
    return [source for source in sources() if source.floor != "kernels" and any(True for _ in rules(source.tree))]


def test_rules_call_no_methods() -> None:
    files = with_rules()
    assert sum(1 for source in files for _ in rules(source.tree)) >= 40, "the search for rules finds too few of them"
    found = [
        f"{source.relative}, rule for {name!r}, {line}"
        for source in files
        for name, rule in rules(source.tree)
        for function in with_helpers(source.tree, rule)
        for line in violations(function)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "rule",
    [
        "lambda g: g.sum()",
        "lambda g, other: (g * other).reshape(3)",
        "lambda g, input: g * input.T",
        "lambda g, input: sum_(g, dim=input.dim())",
        "lambda g, input: g * input.shape.count(1)",
        "lambda g, input: exp(input).astype(g)",
        "lambda g, shape: g[0].copy()",
        "lambda g, input: np.multiply(g, input)",
    ],
)
def test_the_check_sees_a_method(rule: str) -> None:
    tree = ast.parse(f"@primitive(input={rule})\ndef op(input): ...")
    ((_, found),) = rules(tree)
    assert violations(found)


def test_the_check_sees_a_method_in_a_helper() -> None:
    tree = ast.parse(
        "def inner(x):\n    return x.sum()\ndef helper(x):\n    return inner(x)\n"
        "@primitive(input=lambda g: helper(g))\ndef op(input): ..."
    )
    ((_, found),) = rules(tree)
    assert not violations(found) and [bool(violations(f)) for f in with_helpers(tree, found)] == [False, False, True]


def test_the_check_sees_a_method_in_a_named_rule() -> None:
    tree = ast.parse("def rule(g):\n    h = g * 2\n    return h.sum()\n@primitive(input=rule)\ndef op(input): ...")
    ((_, found),) = rules(tree)
    assert violations(found)


@pytest.mark.parametrize(
    "rule", ["lambda g, other: -g * other[1:]", "lambda g, input_shape: ops.expand(g, input_shape)"]
)
def test_the_check_lets_operators_and_primitives_pass(rule: str) -> None:
    tree = ast.parse(f"x = primitive(np.foo, args='input other', input={rule})")
    ((_, found),) = rules(tree)
    assert not violations(found)
