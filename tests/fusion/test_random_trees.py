"""Random expressions, fused and not: values, gradients, second derivatives.

A kernel's text is Python. Most trees run it as such, which takes no time to compile and still tries everything the
writer of the text decides: which dimensions an operand has, where its row begins, what is summed where. The parts are
made tiny, so that a few elements already fill several. Some trees are compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.kernels import fused

UNARY: list[Callable[[Any], Any]] = [
    tinydl.tanh, tinydl.sigmoid, lambda x: -x, lambda x: x * x, lambda x: (x * 0.3).exp(),
    lambda x: (x * x + 0.5).log(), lambda x: tinydl.nn.functional.softplus(x), lambda x: tinydl.nn.functional.silu(x),
    lambda x: (x * x + 1).sqrt(),
    lambda x: x.clamp(-0.8, 1.1), tinydl.abs, lambda x: tinydl.nn.functional.leaky_relu(x, 0.1), tinydl.erf, tinydl.sin,
    lambda x: x**3, lambda x: 1.5 - x, lambda x: x / 3, lambda x: x.detach() * 0.5,
    lambda x: tinydl.nn.functional.elu(x),
]  # fmt: skip
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / (y * y + 0.7), tinydl.maximum,
    lambda x, y: tinydl.where(x > y, x * 2, y), tinydl.minimum, lambda x, y: (x * x + 0.1) ** tinydl.tanh(y),
    lambda x, y: tinydl.where((x < 0.3) & (y > -0.2), x, 1.0) * y, lambda x, y: tinydl.lerp(x, y, 0.25),
    lambda x, y: x * (y > 0),
]  # fmt: skip
SHAPES = [
    [(7,), (7,), ()], [(4, 5), (5,), (4, 1)], [(3, 4, 2), (4, 1), (2,)], [(2, 3, 4), (2, 1, 4), (1, 3, 1)],
    [(), (), ()], [(1, 1), (1,), ()], [(0, 3), (3,), (0, 1)], [(5, 1), (1, 6), ()],
    [(2, 1, 3, 1, 2), (4, 1, 3, 1), (1,)],
    [(13,), (1,), (13,)], [(6, 11), (6, 11), (11,)], [(2, 3, 5, 7), (3, 1, 1), (7,)],
]  # fmt: skip


def tree(seed: int, count: int = 3) -> Callable[..., Any]:
    """A function of ``count`` tensors: six operations on what there is so far, each used or not."""
    rng = np.random.default_rng(seed)
    steps = []
    for k in range(6):
        one = rng.random() < 0.45
        which = int(rng.integers(len(UNARY if one else BINARY)))
        steps.append((bool(one), which, *map(int, rng.integers(0, count + k, 2))))

    def function(*tensors: Any) -> Any:
        values = list(tensors)
        for one, which, a, b in steps:
            values.append(UNARY[which](values[a]) if one else BINARY[which](values[a], values[b]))
        total = values[-1]
        for x in tensors:  # every input has its part
            total = total + x * 0.25
        return total

    return function


def inputs(seed: int, dtype: str) -> list[Any]:
    """Tensors of one row of SHAPES, some in other layouts: transposed, every second element, reversed, read-only."""
    rng = np.random.default_rng(seed)
    found = []
    for shape in SHAPES[seed % len(SHAPES)]:
        x = rng.standard_normal(shape).astype(dtype)
        layout = rng.integers(6) if shape else 0
        if layout == 1:
            x = np.asfortranarray(x)
        elif layout == 2:
            x = np.repeat(x, 2, axis=-1)[..., ::2]
        elif layout == 3:
            x = x[::-1]
        elif layout == 4:
            x.flags.writeable = False
        found.append(tinydl.from_numpy(x) if layout != 4 else tinydl.Tensor._wrap(x))
    return found


def derivatives(function: Callable[..., Any], tensors: list[Any], order: int, seed: int) -> list[Any]:
    """The result, and the gradients of a weighted sum of it, and those of a weighted sum of them."""
    xs = [x.detach().requires_grad_() for x in tensors]
    rng = np.random.default_rng(seed)
    y = function(*xs)
    found = [y.detach()]
    level = [y]
    for k in range(order):
        weighted: Any = sum(
            (z * tinydl.tensor(rng.standard_normal(z.shape).astype(str(z.dtype)))).sum() if seed % 3 else z.sum()
            for z in level if z.requires_grad
        )  # fmt: skip
        level = list(tinydl.autograd.grad(weighted, xs, create_graph=k + 1 < order, materialize_grads=True))
        found += [z.detach() for z in level]
        if not any(z.requires_grad for z in level):
            break
    return found


def compare(function: Callable[..., Any], seed: int, dtype: str, order: int) -> None:
    tensors = inputs(seed, dtype)
    got = derivatives(tinydl.fuse(function), tensors, order, seed)
    want = derivatives(function, tensors, order, seed)
    eps = np.finfo(dtype).eps
    for a, b in zip(got, want):
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = float(np.abs(b.array).max(initial=1.0))
        assert np.all(np.isfinite(b.array))
        assert np.abs(a.array - b.array).max(initial=0.0) <= 400 * eps * scale, seed


@pytest.fixture
def tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "PART", 5)
    monkeypatch.setattr(fused, "ROWS", 3)
    monkeypatch.setattr(fused, "WIDE", 4)


@pytest.fixture
def as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run as the Python that they are, on NumPy's functions."""
    functions = {f"{name}{bits}": getattr(np, name) for name in ("exp", "tanh", "log", "log1p") for bits in (32, 64)}
    functions |= {f"{name}_{bits}": getattr(np, name) for name in ("exp2", "expm1") for bits in (32, 64)}
    functions |= {f"pow{bits}": np.power for bits in (32, 64)}
    functions |= {f"erf{bits}": lambda x: type(x)(math.erf(x)) for bits in (32, 64)}
    functions |= {f"sigmoid{bits}": lambda x: type(x)(1) / (type(x)(1) + np.exp(-x)) for bits in (32, 64)}
    functions |= {"plus": lambda a, b: a + b, "sin": np.sin, "cos": np.cos}

    def compiled(self: Any, text: str, name: str, names: dict[str, Any], **options: Any) -> Any:
        namespace = {**names, **functions}
        exec(text, namespace)
        return namespace[name]

    monkeypatch.setattr(fused.Kernel, "_compiled", compiled)
    monkeypatch.setattr(fused, "_kernels", {})


@pytest.mark.usefixtures("tiny_parts", "as_python")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(150))
def test_text(seed: int, dtype: str) -> None:
    compare(tree(seed), seed, dtype, 1)


@pytest.mark.usefixtures("tiny_parts")
@pytest.mark.parametrize("seed", range(24))
def test_compiled_to_second_order(seed: int) -> None:
    compare(tree(1000 + seed), seed, "float32" if seed % 4 else "float64", 2)


def test_trees_are_not_all_alike() -> None:
    sources = {tinydl.fuse(tree(seed)).source(*inputs(0, "float32")) for seed in range(60)}
    assert len(sources) > 50


@pytest.mark.parametrize("sizes", [
    [(70_000,), (70_000,), ()], [(300, 450), (450,), (300, 1)], [(9, 40_000), (40_000,), (9, 1)],
    [(3, 40, 900), (40, 1), (3, 1, 900)],
])  # fmt: skip
def test_many_parts(sizes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over more elements than a part has: near the float64 result, and the same on one thread and on several."""
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in sizes]

    def function(x: Any, y: Any, z: Any) -> Any:
        return tinydl.tanh(x * y + z) * (x - y * z)

    def gradients(run: Callable[..., Any], dtype: str) -> list[Any]:
        xs = [tinydl.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
        y = run(*xs)
        y.backward(tinydl.tensor(np.random.default_rng(6).standard_normal(y.shape).astype(dtype)))
        return [y.detach().array, *[x.grad.array for x in xs]]

    fused_function = tinydl.fuse(function)
    serial = gradients(fused_function, "float32")
    monkeypatch.setattr(fused, "PARALLEL", 0)
    parallel = gradients(tinydl.fuse(function), "float32")
    for a, b, c in zip(serial, parallel, gradients(function, "float64")):
        assert np.array_equal(a, b)
        assert np.abs(a - c).max() <= 3e-6 * np.abs(c).max()
