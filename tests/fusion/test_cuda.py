"""The CUDA C++ of fused functions, compiled by NVRTC and executed on the virtual GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tests.fusion.test_operations import CASES, DOUBLE, near, operand
from tests.fusion.test_random_trees import SHAPES, tree
from tinydl.fusion import cuda
from tinydl.fusion.formulas import ATOMS
from tinydl.kernels import gpu, nvrtc, pointwise, simt
from tinydl.lab import cuda as lab

compiles = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")

#: Registers that a generated kernel may take: with them a multiprocessor still holds 1024 threads.
REGISTERS = 64


@functools.lru_cache(maxsize=4)
def parsed(source: str) -> Any:
    """The comments name shapes; the code serves all of the same kind."""
    return simt.parse(nvrtc.compile_cuda(source, "generated.cu", assemble=False, include=[gpu.SHARED]).ptx)


def execute(
    made: pointwise.Pointwise, sizes: Any, arrays: list[Any], shapes: list[Any], most: int = pointwise.MOST,
    counted: list[simt.Counters] | None = None,
) -> list[Any]:  # fmt: skip
    """Results of a generated kernel, with all checks; inputs may only be read."""
    ptx = parsed("\n".join(line for line in made.source().split("\n") if line[:3] != "// " or "nvrtc" in line))
    given = [a.view() for a in arrays]
    for a in given:
        a.flags.writeable = False
    fresh: list[Any] = []

    def empty(shape: Any, dtype: Any) -> Any:
        fresh.append(gpu.host_empty(shape, dtype))
        return fresh[-1]

    calls, outs = made.plan(empty, sizes, given, shapes, most)
    for call in calls:
        args = []
        for a in call.args:
            new = next((k for k, f in enumerate(fresh) if f is a), None)
            args.append(a if new is None else simt.Fresh(fresh.pop(new)))
        found = simt.launch(ptx, call.entry, call.grid, call.block, args)
        if counted is not None:
            counted.append(found)
    return outs


def on_gpu(function: Callable[..., Any], arrays: list[Any], g: float = 0.7, **options: Any) -> tuple[Any, list[Any]]:
    """The result of a function and its gradients, for a gradient of the result that is ``g`` times 1, 2, 3, ..."""
    fused = tinydl.fuse(function)
    known = fused._specialised(tuple(map(tinydl.from_numpy, arrays)))
    made, sizes, used, _ = known.pointwise(None)
    shapes = [r.shape for r in known.results]
    (y,) = execute(made, sizes, [arrays[k] for k in used], shapes, **options)
    gradients: list[Any] = [None] * len(arrays)
    if known.live:
        above = gradient_of(y, g)
        made, sizes, used, places = known.pointwise(tuple(a.dtype.kind == "f" for a in arrays))
        everything = [*arrays, above]
        found = execute(made, sizes, [everything[k] for k in used], [arrays[k].shape for k in places], **options)
        for k, d in zip(places, found):
            gradients[k] = d
    return y, gradients


def gradient_of(y: Any, g: float) -> Any:
    return (g * (1 + np.arange(y.size) % 3)).reshape(y.shape).astype(y.dtype)


def unfused(function: Callable[..., Any], arrays: list[Any], g: float = 0.7) -> tuple[Any, list[Any]]:
    tensors = [tinydl.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y = function(*tensors)
    if y.requires_grad:
        y.backward(tinydl.from_numpy(gradient_of(y.detach().numpy(), g)))
    return y.detach(), [x.grad for x in tensors]


def wide(arrays: list[Any]) -> list[Any]:
    return [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]


#: Whose results depend on the dtype in more than their rounding.
OWN = ("float", "double", "nan_to_num", "nan_to_num values")

#: Whose slope at a NaN is one of a branch when they are computed apart, and a NaN in one formula (on the CPU too).
NAN_TO_NAN = ("elu", "selu", "celu", "hardswish")


@compiles
@pytest.mark.parametrize("name", CASES)
def test_one_operation(name: str) -> None:
    """Against the function in float64, operation by operation; at the edges of the range against it in float32."""
    function, letters = CASES[name]
    for dtype, special in (("float32", False), ("float32", True), ("float64", False))[: 3 if name in DOUBLE else 2]:
        rng = np.random.default_rng(len(name))
        arrays = [operand(letter, dtype, rng, special) for letter in letters]
        y, gradients = on_gpu(function, arrays)
        with np.errstate(all="ignore"):
            want, wanted = unfused(function, arrays if special or name in OWN else wide(arrays))
            assert y.dtype == unfused(function, arrays)[0].dtype
        compare(y, want, dtype, special)
        for d, w in zip(gradients, wanted):
            if special and name in NAN_TO_NAN:
                continue
            if d is not None:
                compare(d, w if w is not None else np.zeros_like(d), dtype, special)
            else:
                assert w is None or not w.numpy().any()


def compare(got: Any, want: Any, dtype: str, special: bool) -> None:
    want = want.detach().numpy() if isinstance(want, tinydl.Tensor) else want
    with np.errstate(over="ignore"):
        near(tinydl.from_numpy(got), tinydl.from_numpy(want.astype(got.dtype)), dtype, special)


@compiles
@pytest.mark.parametrize("seed", range(36))
def test_random_expressions(seed: int) -> None:
    """Every way to broadcast; few blocks, so that each walks on."""
    rng = np.random.default_rng(seed)
    dtype = "float64" if seed % 3 == 0 else "float32"
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES[seed % len(SHAPES)]]
    y, gradients = on_gpu(tree(seed), arrays, most=1)
    want, wanted = unfused(tree(seed), wide(arrays))
    scale = 100 * np.finfo(dtype).eps
    for a, b in ((y, want), *zip(gradients, wanted)):
        b = b.numpy()
        assert a.shape == b.shape and np.abs(a - b).max(initial=0) <= scale * (1 + np.abs(b).max(initial=0))


# -- what a generated kernel costs, and whether slips in it are seen ---------------------------------------------------


def gate(a: Any, x: Any, b: Any, c: Any, d: Any = 0.5) -> Any:
    return tinydl.tanh(a * x + b) * tinydl.sigmoid(c) * d


def line(x: Any, y: Any, s: Any, r: Any) -> Any:
    return x * y * s + x * r


#: By the form of kernel that it makes: a function, shapes of its operands, whether the kernel is that of its gradient,
#: and how many blocks there are at most. Sums of columns, of rows and of all; sums over some of the leading dimensions;
#: a line with two sums; several dimensions without one.
FORMS: dict[str, tuple[Callable[..., Any], list[list[tuple[int, ...]]], bool, int]] = {
    "sums": (
        gate, [[(n,), (m, n), (), (m, 1), ()] for m, n in ((2, 3), (20, 8), (75, 20), (300, 259))], True, 128,
    ),
    "terms": (
        gate, [[(k, 1, n), (k, m, n), (), (k, m, n), ()] for k, m, n in ((2, 3, 5), (3, 7, 8), (5, 17, 132))], True, 8,
    ),
    "line": (line, [[(n,), (n,), (), ()] for n in (2, 7, 5003)], True, 2),
    "grid": (gate, [[(n,), (k, m, n), (m, 1), (k, 1, 1)] for k, m, n in ((2, 3, 5), (3, 5, 9), (7, 11, 28))], False, 1),
}  # fmt: skip


class About:
    """What the lab asks of a card: here the function itself is the reference."""

    exact, floor, tolerance = False, 0.05, {"float32": 2e-6, "float64": 4e-15}

    def __init__(self, reference: Callable[..., Any]) -> None:
        self.reference = reference

    def call(self, function: Callable[..., Any], arguments: Any) -> Any:
        found = function(*arguments)
        return found if isinstance(found, tuple) else (found,)


def as_kernel(form: str, monkeypatch: pytest.MonkeyPatch) -> gpu.CudaKernel:
    """A generated kernel as the lab takes it."""
    function, sizes, backward, most = FORMS[form]

    def arrays(shapes: Any, dtype: Any) -> list[Any]:
        rng = np.random.default_rng(len(form))
        found = [np.asarray(rng.standard_normal(s), dtype) for s in shapes]
        return [*found, rng.standard_normal(np.broadcast_shapes(*shapes)).astype(dtype)] if backward else found

    def described(given: Any) -> Any:
        known = tinydl.fuse(function)._specialised(tuple(map(tinydl.from_numpy, given[:-1] if backward else given)))
        return known, known.pointwise((True,) * len(known.inputs) if backward else None)

    def plan(empty: Any, *given: Any) -> Any:
        known, (made, space, used, places) = described(given)
        shapes = [given[k].shape for k in places] if backward else [known.shape]
        calls, results = made.plan(empty, space, [given[k] for k in used], shapes, most)
        return calls, tuple(results)

    def reference(*given: Any) -> Any:
        if not backward:
            return function(*map(tinydl.from_numpy, given)).numpy()
        tensors = [tinydl.tensor(a, requires_grad=True) for a in given[:-1]]
        function(*tensors).backward(tinydl.from_numpy(given[-1]))
        return tuple(x.grad.numpy() for x in tensors)

    monkeypatch.setattr(lab, "card", lambda op: About(reference))
    text = described(arrays(sizes[-1], np.float32))[1][0].source()
    return gpu.GeneratedKernel(
        form, "cuda.generated", gpu.SHARED / f"{form}.cu", ("float32",), plan,
        lambda dtype: [tuple(arrays(shapes, dtype)) for shapes in sizes],
        written=lambda: f"{ANSWERS}{text}",
    )  # fmt: skip


#: Slips in generated loops that may live, as in a source.
ANSWERS = """// nvrtc: -std=c++17 -fmad=false
// lives: for (Index step = 0; step < -1 + height; step += blockDim.y) {
//   the same: height is a multiple of the lines of a block
// lives: for (Index group = thread; group < groups; group += (threads - 1)) {
//   some are computed twice, with one result
// lives: for (int w = 0; w <= WIDE; w += 1)
//   there is no number WIDE, so that the compiler leaves the iteration out
// lives: for (int w = -1; w < WIDE; w += 1)
//   there is no number -1, so that the compiler leaves the iteration out
"""


@compiles
@pytest.mark.parametrize("form", FORMS)
def test_slips_in_a_generated_kernel_are_seen(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the registers that are allowed, nothing spilled, right with all checks, and a few of its mutants."""
    row = lab.check(as_kernel(form, monkeypatch), few=3 if form == "sums" else 6)
    assert row.right, (row.wrong, row.races, row.over_budget, row.survivors)


# -- the text, and what it moves ---------------------------------------------------------------------------------------


def test_every_atom_has_a_formula() -> None:
    assert cuda.FORMULAS.keys() == ATOMS.keys()


def test_the_text_can_be_read() -> None:
    x = np.zeros((3, 8), np.float32)
    text = tinydl.fuse(gate).source(x[0], x, np.zeros((), np.float32), x, device="cuda")
    assert "float t1 = a * x;\n    float t2 = t1 + b;\n    float t3 = tanh(t2);" in text
    assert 'extern "C" __global__ void __launch_bounds__(256)\ngate_forward(' in text and "gate_backward_d_a(" in text
    assert max(map(len, text.split("\n"))) <= 120
    with pytest.raises(ValueError, match=r"'cpu' and 'cuda', not 'mps'"):
        tinydl.fuse(gate).source(x[0], x, x[0, 0], x, device="mps")


@compiles
def test_operands_may_be_called_anything() -> None:
    def odd(new: Any, tile: Any, w: Any, float: Any, T: Any, group: Any, lane: Any) -> Any:
        return new * tile + w * float - T * group * lane

    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.standard_normal(s)) for s in ((4, 5), (5,), (4, 1), (), (4, 5), (5,), (4, 1))]
    y, gradients = on_gpu(odd, arrays)
    want, wanted = unfused(odd, arrays)
    np.testing.assert_allclose(y, want.numpy(), rtol=1e-12)
    for d, w in zip(gradients, wanted):
        np.testing.assert_allclose(d, w.numpy(), rtol=1e-12, atol=1e-12)


@compiles
def test_accesses_are_of_16_bytes_where_they_may_be() -> None:
    """A number moves once; from an array that does not begin at a multiple of 16 bytes, in accesses of 4."""
    n = 4096
    function = tinydl.fuse(lambda x, y: x * y + x)
    for skip, entry, loads in ((0, "fused_forward", n // 128 * 2), (1, "fused_forward_narrow", n // 32 * 2)):
        x, y = np.random.default_rng(0).standard_normal((2, n + 4)).astype(np.float32)
        x, y = x[skip : skip + n], y[skip : skip + n]
        made, sizes, used, _ = function._specialised((tinydl.from_numpy(x), tinydl.from_numpy(y))).pointwise(None)
        counted: list[simt.Counters] = []
        (out,) = execute(made, sizes, [[x, y][k] for k in used], [(n,)], counted=counted)
        np.testing.assert_array_equal(out, x * y + x)
        (counts,) = counted
        assert counts.kernel == entry
        read = sum(a.requests for a in counts.accesses.values() if a.instruction.name == "ld" and a.space == "global")
        assert read == loads and (skip or (counts.coalescing == 1 and counts.sectors == 3 * n * 4 // 32))


@compiles
def test_arithmetic_is_the_cpus_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    arrays = [*rng.standard_normal((3, 7, 11)).astype(np.float32)]

    def function(x: Any, y: Any, z: Any) -> Any:
        return (x * y + z) / (z * z + 0.3) - (x * x - y * y).abs().sqrt() * 1.7

    y, gradients = on_gpu(function, arrays)
    want, wanted = unfused(function, arrays)
    np.testing.assert_array_equal(y, want.numpy())
    for d, w in zip(gradients, wanted):
        np.testing.assert_array_equal(d, w.numpy())
