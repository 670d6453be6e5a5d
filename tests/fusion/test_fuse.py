"""``tinydl.fuse`` as a part of the engine: the tape, layouts, what is compiled when, the text, and what it refuses."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
import tinydl.nn.functional as F
from tests.meta.tree import ROOT
from tinydl.fusion import Fused, FusionError, calling
from tinydl.kernels import fused


def gate(a: Any, x: Any, b: Any, c: Any) -> Any:
    return tinydl.tanh(a * x + b) * tinydl.sigmoid(c)


def tensors(*shapes: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [tinydl.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]


def test_it_is_one_node() -> None:
    xs = tensors((3, 4), (4,), (), (3, 1))
    y = tinydl.fuse(gate)(*xs)
    assert repr(y.grad_fn) == "<gateBackward>"
    assert [e is x for (e, _), x in zip(y.grad_fn.next_functions, xs)] == [True] * 4


def test_decorator_keeps_name_and_documentation() -> None:
    @tinydl.fuse
    def scaled(x: Any, by: float = 2.0) -> Any:
        """x by a number."""
        return x * by

    assert (scaled.__name__, scaled.__doc__) == ("scaled", "x by a number.")
    (x,) = tensors((3,))
    for y, by in ((scaled(x), 2.0), (scaled(x, 3.0), 3.0), (scaled(x, by=4), 4), (scaled(by=5.0, x=x), 5.0)):
        assert np.array_equal(y.detach().array, x.detach().array * np.float32(by))
    assert isinstance(tinydl.fuse(scaled), Fused) and tinydl.fuse(scaled).function is scaled.function


def test_keyword_only_and_collected_arguments() -> None:
    fused_sum = tinydl.fuse(lambda *xs, scale: (xs[0] + xs[1] + xs[2]) * scale)
    xs = tensors((3,), (3,), (1,))
    want = (xs[0] + xs[1] + xs[2]) * 0.5
    assert np.array_equal(fused_sum(*xs, scale=0.5).detach().array, want.detach().array)
    one = tensors((1,))[0]
    assert fused_sum(*xs, scale=one).shape == (3,)


def test_gradients_come_to_those_who_need_them() -> None:
    xs = tensors((5,), (5,), (5,), (5,))
    f = tinydl.fuse(gate)
    for wanted in range(4):
        ys = [x.detach().requires_grad_(k == wanted) for k, x in enumerate(xs)]
        f(*ys).sum().backward()
        zs = [x.detach().requires_grad_(k == wanted) for k, x in enumerate(xs)]
        gate(*zs).sum().backward()
        assert [y.grad is None for y in ys] == [k != wanted for k in range(4)]
        assert np.allclose(ys[wanted].grad.array, zs[wanted].grad.array, rtol=1e-5, atol=1e-6)


def test_one_tensor_in_several_slots() -> None:
    (x,) = tensors((6,))
    f = tinydl.fuse(gate)
    got = tinydl.autograd.grad(f(x, x, x, x).sum(), x)[0]
    want = tinydl.autograd.grad(gate(x, x, x, x).sum(), x)[0]
    assert np.allclose(got.array, want.array, rtol=1e-5, atol=1e-6)


def test_an_unused_argument_gets_no_gradient() -> None:
    x, y = tensors((3,), (2,))
    tinydl.fuse(lambda x, y: x * 2)(x, y).sum().backward()
    assert y.grad is None and np.array_equal(x.grad.array, np.full(3, 2, np.float32))


def test_any_name_may_be_an_argument() -> None:
    names = """a x0 out g kernel total zeros op mode i row first last n0 t1 exp32 d_a x_row float32 range needs o0 h
    """.split()
    made: dict[str, Any] = {}
    exec(f"def named({', '.join(names)}): return ({' + '.join(names)}).tanh()", made)
    xs = tensors(*[(3,)] * len(names))
    y = tinydl.fuse(made["named"])(*xs)
    y.sum().backward()
    assert np.allclose(y.detach().array, made["named"](*xs).detach().array, atol=1e-6)
    assert all(np.allclose(x.grad.array, xs[0].grad.array) for x in xs)


def test_gradcheck_to_second_order() -> None:
    xs = tensors((2, 3), (3,), (), (2, 1), dtype="float64")
    assert tinydl.autograd.gradcheck(tinydl.fuse(gate), xs)
    assert tinydl.autograd.gradgradcheck(tinydl.fuse(gate), xs)


def test_third_order() -> None:
    (x,) = tensors((4,), dtype="float64")

    def third(f: Callable[..., Any]) -> Any:
        g = f(x).sum()
        for _ in range(3):
            g = tinydl.autograd.grad(g, x, create_graph=True)[0].sum()
        return g.item()

    def cubic(x: Any) -> Any:
        return tinydl.tanh(x) * x * x

    assert third(tinydl.fuse(cubic)) == pytest.approx(third(cubic), rel=1e-10)


def test_several_results() -> None:
    def cell(c: Any, i: Any, f: Any, o: Any) -> tuple[Any, Any, Any]:
        new = tinydl.sigmoid(f) * c + tinydl.sigmoid(i)
        return new, tinydl.sigmoid(o) * tinydl.tanh(new), new > 0

    def loss(results: Any) -> Any:
        return (results[0] * 0.5).sum() + (results[1] * results[1]).sum()

    xs = tensors((3, 5), (3, 5), (5,), (3, 1))
    ys = [x.detach().requires_grad_() for x in xs]
    got, want = tinydl.fuse(cell)(*xs), cell(*ys)
    assert isinstance(got, tuple) and not got[2].requires_grad and np.array_equal(got[2].array, want[2].array)
    loss(got).backward()
    loss(want).backward()
    for x, y in zip(xs, ys):
        assert np.allclose(x.grad.array, y.grad.array, rtol=1e-5, atol=1e-6)
    for k in range(2):  # the gradient of one alone
        found = tinydl.autograd.grad(tinydl.fuse(cell)(*xs)[k].sum(), xs, allow_unused=True)
        expected = tinydl.autograd.grad(cell(*ys)[k].sum(), ys, allow_unused=True)
        for a, b in zip(found, expected):
            assert (a is None) == (b is None) or not a.array.any()
            assert b is None or np.allclose(a.array, b.array, rtol=1e-5, atol=1e-6)


def test_a_sequence_of_one_result() -> None:
    (x,) = tensors((3,))
    y = tinydl.fuse(lambda x: (x * 2,))(x)
    assert isinstance(y, tuple) and len(y) == 1 and y[0].requires_grad
    y[0].sum().backward()
    assert np.array_equal(x.grad.array, np.full(3, 2, np.float32))


def test_channels_last_is_kept() -> None:
    x = tinydl.from_numpy(np.random.default_rng(0).standard_normal((2, 5, 6, 3)).astype(np.float32)).permute(0, 3, 1, 2)
    bias = tinydl.tensor(np.arange(3, dtype=np.float32).reshape(3, 1, 1), requires_grad=True)
    x = x.detach().requires_grad_()
    y = tinydl.fuse(lambda x, b: (x + b).tanh())(x, bias)
    assert y.array.strides == x.array.strides and y.array.transpose(0, 2, 3, 1).flags.c_contiguous
    y.backward(tinydl.ones_like(y))
    z = x.detach().requires_grad_()
    b = bias.detach().requires_grad_()
    (z + b).tanh().sum().backward()
    assert np.allclose(x.grad.array, z.grad.array, atol=1e-6) and np.allclose(bias.grad.array, b.grad.array, atol=1e-4)


def test_mixed_dtypes_are_promoted_as_unfused() -> None:
    x, d = tensors((4,))[0], tensors((4,), dtype="float64")[0]
    mask, whole = tinydl.tensor([True, False, True, True]), tinydl.tensor([1, 2, 3, 4])

    def function(x: Any, d: Any, mask: Any, whole: Any) -> Any:
        return tinydl.where(mask, x * d, x / whole) + (whole > 2)

    got, want = tinydl.fuse(function)(x, d, mask, whole), function(x, d, mask, whole)
    assert got.dtype == want.dtype == tinydl.float64 and np.allclose(got.detach().array, want.detach().array)
    a, b = tinydl.autograd.grad(got.sum(), (x, d)), tinydl.autograd.grad(want.sum(), (x, d))
    assert [g.dtype for g in a] == [tinydl.float32, tinydl.float64]
    assert all(np.allclose(g.array, h.array) for g, h in zip(a, b))


def test_a_number_of_no_dimensions_does_not_raise_the_dtype() -> None:
    (x,) = tensors((4,))
    assert tinydl.fuse(lambda x, s: x * s)(x, tinydl.tensor(2.0, dtype=tinydl.float64)).dtype == tinydl.float32


def test_a_changed_input_is_noticed() -> None:
    xs = tensors((5,), (5,), (5,), (5,))
    y = tinydl.fuse(gate)(*xs).sum()
    with tinydl.no_grad():
        xs[1].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: the input 'x_' of gate changed"):
        y.backward()


def test_a_second_walk_is_refused() -> None:
    xs = tensors((5,), (5,), (5,), (5,))
    y = tinydl.fuse(gate)(*xs).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time: what gate saved"):
        y.backward()


def test_no_grad_inside_and_outside() -> None:
    def function(x: Any) -> Any:
        with tinydl.no_grad():
            scale = x.exp()
        return x * scale

    (x,) = tensors((5,))
    f = tinydl.fuse(function)
    with tinydl.no_grad():
        assert not f(x).requires_grad
    y = f(x)
    assert y.requires_grad
    y.sum().backward()
    assert np.allclose(x.grad.array, np.exp(x.detach().array), rtol=1e-6)
    second = tinydl.autograd.grad(f(x).sum(), x, create_graph=True)[0]
    assert not second.requires_grad


def test_a_fused_function_in_a_fused_function() -> None:
    inner = tinydl.fuse(lambda x, y: x * y + 1)
    outer = tinydl.fuse(lambda x, y: inner(x, y).tanh() + inner(y, 2.0))
    x, y = tensors((3,), (3,))
    want = (x * y + 1).tanh() + (y * 2 + 1)
    assert np.allclose(outer(x, y).detach().array, want.detach().array, atol=1e-6)


def test_a_shape_read_inside_counts() -> None:
    f = tinydl.fuse(lambda x: x / x.shape[-1])
    for n in (3, 5):
        (x,) = tensors((n,))
        assert np.allclose(f(x).detach().array, x.detach().array / n)


def test_numpy_functions_and_arrays() -> None:
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    y = tinydl.fuse(lambda x: np.exp(x) * 2)(x)
    assert isinstance(y, tinydl.Tensor) and np.allclose(y.array, np.exp(x) * 2, rtol=1e-6)


def test_nothing_is_compiled_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    before = fused.Kernel._compiled

    def counting(self: Any, text: str, name: str, *rest: Any, **options: Any) -> Any:
        compiled.append(name)
        return before(self, text, name, *rest, **options)

    monkeypatch.setattr(fused.Kernel, "_compiled", counting)
    monkeypatch.setattr(fused, "_kernels", {})

    def odd(x: Any, y: Any) -> Any:
        return (x * 1.2345 + y).tanh()

    f = tinydl.fuse(odd)
    for shapes in (((4,), (4,)), ((4,), (4,)), ((9,), (9,)), ((3, 3), (3, 3)), ((2, 1, 7), (2, 1, 7))):
        f(*tensors(*shapes)).sum().backward()
        assert compiled == ["odd_forward", "odd_backward"]
    f(*tensors((4, 3), (3,))).sum().backward()  # broadcasting is another loop
    f(*tensors((7, 5), (5,))).sum().backward()
    assert compiled == ["odd_forward", "odd_backward"] * 2
    tinydl.fuse(odd)(*tensors((4,), (4,))).sum().backward()
    assert len(compiled) == 4
    kernels = [loop.kernel for known in f._known.values() for loop, _, _ in known._loops.values()]
    assert all(len(k._serial.signatures) == 1 for k in kernels)


def test_kernels_are_kept_on_the_disk(tmp_path: Any) -> None:
    code = (
        "import tinydl, numpy as np\n"
        "x = tinydl.tensor([0.5, 1.0], requires_grad=True)\n"
        "f = tinydl.fuse(lambda x: (x * {0}).tanh())\n"
        "f(x).sum().backward()\n"
        "kernels = [loop.kernel for loop, _, _ in next(iter(f._known.values()))._loops.values()]\n"
        "print([sum(k._serial.stats.cache_hits.values()) for k in kernels], float(f(x)[0]))\n"
    )

    def run(number: float) -> list[str]:
        environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}
        command = [sys.executable, "-c", code.format(number)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.rsplit(maxsplit=1)

    first, second, other = run(2.0), run(2.0), run(3.0)
    assert first[0] == "[0, 0]" and second[0] == "[1, 1]" and first[1] == second[1]
    assert other[0] == "[0, 0]" and float(other[1]) == pytest.approx(np.tanh(1.5), rel=1e-6)


def test_threads_may_share_a_fused_function() -> None:
    f = tinydl.fuse(lambda x, y: (x * y + 0.75).sigmoid())
    x, y = tensors((40,), (40,))
    want = f.function(x, y).detach().array
    found: list[Any] = []
    workers = [threading.Thread(target=lambda: found.append(f(x, y).detach().array)) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert len(found) == 4 and all(np.allclose(a, want, atol=1e-6) for a in found)


def test_a_call_leaves_no_cycle() -> None:
    f = tinydl.fuse(gate)
    xs = tensors((5,), (5,), (5,), (5,))
    f(*xs).sum().backward()
    while gc.collect():  # what compiling left may take several rounds
        pass
    gc.disable()
    try:
        for _ in range(3):
            f(*xs).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_source_is_a_constant() -> None:
    xs = tensors((4, 3), (3,), (), (4, 3))
    source = tinydl.fuse(gate).source(*xs)
    assert source == tinydl.fuse(gate).source(*xs)
    code = "import tinydl\nfrom tests.fusion.test_fuse import gate, tensors\n" \
           "from tinydl.fusion import calling\n" \
          f"calling.KEPT = {calling.KEPT!r}\n" \
           "print(tinydl.fuse(gate).source(*tensors((4, 3), (3,), (), (4, 3))), end='')"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == source, done.stderr


def test_the_source_shares_and_leaves_out(kept: str) -> None:
    (x,) = tensors((4,))
    source = tinydl.fuse(lambda x: x.exp() + x.exp()).source(x)
    forward, backward = source.split("\n\n\n")
    assert forward.count("exp32(x)") == 1 and backward.count("exp32(x)") == (kept != "kept")
    assert ("kept0_row[i] = " in forward) == ("kept0 = kept0_row[i]" in backward) == (kept == "kept")
    unused = tinydl.fuse(lambda x: [x.sin(), x * 2][1]).source(x)
    assert "sin" not in unused


def test_what_is_kept() -> None:
    def kept_of(function: Callable[..., Any], *xs: Any) -> int:
        return tinydl.fuse(function).source(*xs).split("\n\n\n")[0].count("_row[i] = ") - 1

    x, wide, column = tensors((4, 3), (4, 3), (4, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calling, "KEPT", range(12, 13))
        assert kept_of(gate, x, x, x, x) == 2
        assert kept_of(lambda x: x.exp().tanh() * 2, x) == 2  # exp'(x) asks for e^x
        assert kept_of(lambda x: x.tanh(), x) == 0  # the result itself, which its owner may change
        assert kept_of(lambda x, c: x * c.exp(), x, column) == 0  # once for each row
        assert kept_of(lambda x: x.exp() > 1, x) == 0  # no gradient
        assert kept_of(lambda x, y: x * y.detach().exp(), x, wide) == 1
        assert kept_of(gate, *[x[:3]] * 4) == 0  # too few
        assert kept_of(gate, *[tinydl.cat([x, x])] * 4) == 0  # too many


def test_nothing_is_kept_without_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    xs = tensors((40,), (40,), (40,), (40,))
    f = tinydl.fuse(gate)
    y = f(*xs)
    (known,) = f._known.values()
    if known.kept:
        monkeypatch.setattr(known, "recorded", None)
    with tinydl.no_grad():
        assert np.array_equal(f(*xs).array, y.detach().array)
    assert np.array_equal(f(*[x.detach() for x in xs]).array, y.detach().array)
    assert known.op.outputs == ("out",)


def test_the_source_of_those_that_require_a_gradient() -> None:
    x, y = tensors((4,), (4,))
    f = tinydl.fuse(lambda x, y: x * y)
    assert "d_y_row[i]" in f.source(x, y)
    assert "d_y_row[i]" not in f.source(x, y.detach()) and "d_x_row[i]" in f.source(x, y.detach())
    assert "d_x_row[i]" in f.source(x.detach(), y.detach())


def test_what_depends_on_no_element_stands_before_the_loop() -> None:
    x, s, column = tensors((4, 3), (), (4, 1))
    lines = tinydl.fuse(lambda x, s, column: x * s.exp() + column.tanh()).source(x, s, column).splitlines()
    words = ("exp32", "tanh32", "x * t")
    indents = {word: next(len(t) - len(t.lstrip()) for t in lines if word in t) for word in words}
    assert indents["exp32"] == 4 and indents["tanh32"] == 12 and indents["x * t"] == 16


# ------------------------------------------------------------------------------------------------------------- refusals

OTHER = tinydl.tensor([1.0, 2.0, 3.0])


def in_place(x: Any) -> Any:
    x = x * 2
    x += 1
    return x


def assigned(x: Any) -> Any:
    x[0] = 1.0
    return x


def branch(x: Any) -> Any:
    return x * 2 if x.sum_to_size(3)[0] > 0 else x


def own(x: Any) -> Any:
    class Twice(tinydl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return tinydl.tensor(x.numpy() * 2)

    return Twice.apply(x)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.sum(), "sum cannot be part of <lambda>: it is no elementwise operation"),
        (lambda x: x @ x, "mm cannot|matmul cannot|'"),
        (lambda x: x.reshape(3, 1), "reshape_to cannot"),
        (lambda x: x[0] * 2, "take_slice cannot"),
        (lambda x: tinydl.cat([x, x]), "concatenate cannot|cat cannot"),
        (lambda x: F.softmax(x, 0), "softmax_over cannot"),
        (lambda x: x.cumsum(0), "cumsum cannot"),
        (lambda x: x * 2 if (x > 0) else x, "bool cannot be part of .* it asks for elements"),
        (lambda x: x * x.item(), "item cannot"),
        (lambda x: x * float(x), "item cannot"),
        (lambda x: tinydl.tensor(x.tolist()), "tolist cannot"),
        (lambda x: x.numpy(), "numpy cannot|numpy\\(\\)"),
        (in_place, "add_ cannot be part of in_place: it changes a tensor in place"),
        (assigned, "an assignment to elements cannot be part of assigned"),
        (lambda x: x.zero_(), "zero_ cannot"),
        (lambda x: x.relu_(), "relu_ cannot"),
        (lambda x: x * OTHER, r"mul with a tensor of shape \(3,\) that is no argument"),
        (lambda x: x * np.ones(3, np.float32), r"mul with a tensor of shape \(3,\) that is no argument"),
        (lambda x: tinydl.digamma(x), "digamma cannot"),
        (lambda x: x.half(), "float16|cast"),
        (lambda x: (x > 0) + (x > 1), "add of bool cannot"),
        (lambda x: 3.0, "must return a tensor, or a tuple of tensors, computed from .*; its result is float"),
        (lambda x: {"a": x}, "its result is dict"),
        (lambda x: (x, 1), "element 1 of its result is int"),
        (lambda x: (), "the results of <lambda> must have one shape"),
        (lambda x: F.dropout(x), "cannot|no argument"),
        (branch, "sum_to_size|sum cannot|reshape_to cannot|take_slice cannot"),
        (own, "cannot"),
    ],
)
def test_refusals(function: Callable[..., Any], words: str) -> None:
    with pytest.raises((FusionError, RuntimeError), match=words) as caught:
        tinydl.fuse(function)(tinydl.tensor([1.0, 2.0, 3.0]))
    text = str(caught.value)
    assert "\n" not in text and text.count(". ") == 0
    if isinstance(caught.value, FusionError) and " cannot be part of " in text:
        assert "; at " in text and "test_fuse.py:" in text


def test_results_of_two_shapes() -> None:
    with pytest.raises(FusionError, match=r"must have one shape, .* they have \(3,\), \(2, 3\)"):
        tinydl.fuse(lambda x, y: (x * 2, x * y))(*tensors((3,), (2, 3)))


def test_wrong_arguments() -> None:
    (x,) = tensors((3,))
    with pytest.raises(TypeError, match="fuse: expected a function of tensors, got int"):
        tinydl.fuse(3)  # type: ignore[arg-type]
    with pytest.raises(FusionError, match="was called without a tensor"):
        tinydl.fuse(lambda x: x)(2.0)
    with pytest.raises(FusionError, match="not a list; give its tensors one by one"):
        tinydl.fuse(lambda x, y: x)(x, [x])
    with pytest.raises(FusionError, match="argument 'x' of <lambda> is of dtype float16"):
        tinydl.fuse(lambda x: x * 2)(x.detach().half())
    with pytest.raises(RuntimeError, match=r"The size of tensor a \(3\) must match the size of tensor b \(2\)"):
        tinydl.fuse(lambda x, y: x + y)(*tensors((3,), (2,)))
    with pytest.raises(TypeError, match="missing|argument"):
        tinydl.fuse(lambda x, y: x + y)(x)


def test_numbers_that_change_are_warned_of() -> None:
    (x,) = tensors((2,))
    f = tinydl.fuse(lambda x, s: x.detach())
    with pytest.warns(UserWarning, match="compiled for 32 values of its numbers, the last .*; give a number that"):
        for k in range(40):
            f.source(x, k * 0.5)


def test_a_failed_trace_leaves_the_mode_as_it_was() -> None:
    (x,) = tensors((3,))
    with tinydl.no_grad():
        with pytest.raises(FusionError):
            tinydl.fuse(lambda x: x.sum())(x)
        assert not tinydl.is_grad_enabled()
    assert tinydl.is_grad_enabled()


def test_importing_tinydl_loads_nothing_of_it() -> None:
    code = "import sys, tinydl; print([m for m in sys.modules if 'fusion' in m or 'elementary' in m]); tinydl.fuse; " \
           "print('numba' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "[]", done.stderr
