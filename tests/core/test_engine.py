"""The promises of the engine: order, ownership, freeing, depth, no leaks, threads."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd


def leaf(*shape: int, seed: int = 0) -> tinydl.Tensor:
    return tinydl.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def test_a_value_used_twice_gets_both_gradients() -> None:
    a = tinydl.tensor(3.0, requires_grad=True)
    b = a + a
    c = b + b
    c.backward()
    assert float(a.grad) == 4.0


def test_diamond_is_walked_once_per_node() -> None:
    """2^200 paths: only a topological order finishes."""
    x = tinydl.tensor(1.0, requires_grad=True, dtype=tinydl.float64)
    h = x
    for _ in range(200):
        h = h * 0.5 + h * 0.5
    h.backward()
    assert float(x.grad) == 1.0


def test_two_leaves_of_a_sum_do_not_share_a_gradient() -> None:
    a, b = leaf(3), leaf(3, seed=1)
    (a + b).sum().backward()
    assert not np.shares_memory(a.grad.array, b.grad.array)
    a.grad.array *= 5
    assert (b.grad.array == 1).all()


@pytest.mark.parametrize(
    "f", [lambda a: a.sum(), lambda a: a.T.sum(), lambda a: a.expand(2, 3, 4).sum(), lambda a: a.reshape(-1)[::2].sum()]
)
def test_gradients_are_owned_contiguous_and_writable(f: Any) -> None:
    a = leaf(3, 4)
    for g in (*autograd.grad(f(a), a), (f(a).backward(), a.grad)[1]):
        assert g.array.flags.c_contiguous and g.array.flags.writeable
        assert g.array.base is None or (g.array.base.size == g.array.size and g.array.base.base is None)
    g1, g2 = autograd.grad(f(a), [a, a])
    assert not np.shares_memory(g1.array, g2.array)


def test_a_gradient_given_by_the_user_is_not_kept_or_changed() -> None:
    a, seed = leaf(3), tinydl.ones(3, dtype=tinydl.float64)
    (a + 0).backward(seed)
    (a + 0).backward(seed)
    assert (seed.array == 1).all() and (a.grad.array == 2).all() and not np.shares_memory(a.grad.array, seed.array)


def test_backward_accumulates_in_place() -> None:
    a = leaf(3)
    (a * 2).sum().backward()
    kept = a.grad
    (a * 3).sum().backward()
    assert a.grad is kept and (kept.array == 5).all()


def test_backward_with_inputs_fills_only_those() -> None:
    a, b = leaf(3), leaf(3)
    (a * b).sum().backward(inputs=[a])
    assert b.grad is None and np.array_equal(a.grad.array, b.array)


def test_second_walk_needs_retain_graph_when_something_was_saved() -> None:
    a = leaf(3)
    y = (a * a).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(
        RuntimeError,
        match=r"Trying to backward through the graph a second time: what mul "
        r"saved.*retain_graph=True",
    ):
        y.backward()
    z = a + 1.0  # addition saves nothing
    z.sum().backward()
    z.sum().backward()


def test_a_graph_dies_with_its_result() -> None:
    a = leaf(3)
    y = (a * 2).tanh()
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_grad_visits_only_what_leads_to_the_inputs() -> None:
    visited = []

    class Watched(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            visited.append(1)
            return g

    a, b = leaf(3), leaf(3)
    y = (a * 2 + Watched.apply(b)).sum()
    autograd.grad(y, a, retain_graph=True)
    assert not visited
    autograd.grad(y, b)
    assert visited


def test_gradient_with_respect_to_something_in_the_middle() -> None:
    a = leaf(3)
    h = a.tanh()
    y = (h * h).sum()
    gh, ga = autograd.grad(y, [h, a])
    np.testing.assert_allclose(gh.array, 2 * h.array)
    np.testing.assert_allclose(ga.array, 2 * h.array * (1 - h.array**2))
    (same,) = autograd.grad(h.sum(), h)
    assert (same.array == 1).all()


def test_unused_and_unrecorded_inputs() -> None:
    a, b = leaf(3), leaf(2)
    with pytest.raises(
        RuntimeError,
        match=r"appears to not have been used in the graph: input 1, of shape "
        r"\(2,\).*allow_unused=True",
    ):
        autograd.grad((a * 2).sum(), [a, b])
    assert autograd.grad((a * 2).sum(), [a, b], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match="does not require grad"):
        autograd.grad((a * 2).sum(), tinydl.ones(2))
    with pytest.raises(RuntimeError, match="element 0 of tensors does not require grad and does not have a grad_fn"):
        tinydl.ones(1).backward()
    with pytest.raises(RuntimeError, match=r"grad can be implicitly created only for scalar outputs, got shape \(3,\)"):
        (a * 2).backward()
    with pytest.raises(RuntimeError, match=r"shape of \(2,\) and output\[0\] has a shape of \(3,\)"):
        (a * 2).backward(tinydl.ones(2))


@pytest.mark.parametrize(
    ("f", "third"),
    [
        (lambda x: x * x * x * x, lambda x: 24 * x),
        (lambda x: x.exp(), np.exp),
        (lambda x: x.sin(), lambda x: -np.cos(x)),
        (lambda x: x.cos(), np.sin),
        (lambda x: x.log(), lambda x: 2 / x**3),
        (lambda x: x**3.5, lambda x: 3.5 * 2.5 * 1.5 * x**0.5),
        (lambda x: 1 / x, lambda x: -6 / x**4),
        (lambda x: x.sqrt(), lambda x: 3 / 8 * x**-2.5),
        (lambda x: x.tanh(), lambda x: (6 * np.tanh(x) ** 2 - 2) / np.cosh(x) ** 2),
        (lambda x: x.sinh(), np.cosh),
    ],
)
def test_third_derivatives(f: Any, third: Any) -> None:
    x = tinydl.tensor([0.4, 0.9, 1.7], requires_grad=True, dtype=tinydl.float64)
    y = f(x)
    for _ in range(3):
        (y,) = autograd.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(y.array, third(x.array), rtol=1e-10)


def test_engine_is_reentrant() -> None:
    """A backward inside a backward."""

    class Inner(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            with tinydl.enable_grad():
                z = x.detach().requires_grad_()
                (d,) = autograd.grad((z * z).sum(), z)
            return g * d

    a = leaf(3)
    Inner.apply(a * 1).sum().backward()
    np.testing.assert_allclose(a.grad.array, 2 * a.array)


def test_threads_are_independent_and_so_is_no_grad() -> None:
    w = leaf(8, 8)

    def work(seed: int) -> Any:
        x = tinydl.tensor(np.random.default_rng(seed).standard_normal((4, 8)))
        y = x
        for _ in range(20):
            y = (y @ w).tanh()
        return autograd.grad(y.sum(), w)[0].array

    serial = [work(s) for s in range(4)]
    results: list[Any] = [None] * 4
    recorded: list[bool] = []

    def run(s: int) -> None:
        for _ in range(5):
            results[s] = work(s)
        recorded.append(tinydl.is_grad_enabled())

    with tinydl.no_grad():
        threads = [threading.Thread(target=run, args=(s,)) for s in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not (w * 2).requires_grad
    assert recorded == [True] * 4
    for a, b in zip(serial, results):
        np.testing.assert_array_equal(a, b)


def test_retain_grad_and_hooks() -> None:
    a = leaf(3)
    h = a * 2
    h.retain_grad()
    remove = h.register_hook(lambda g: g * 10)
    (h * h).sum().backward()
    np.testing.assert_allclose(h.grad.array, 2 * h.array * 10)  # what is kept is what the hooks made of it
    np.testing.assert_allclose(a.grad.array, 2 * h.array * 10 * 2)
    remove.remove()
    a.grad = None
    k = a * 2
    k.sum().backward()
    assert (a.grad.array == 2).all() and k.grad is None


def test_a_fused_rule_does_not_count_a_shared_input_twice() -> None:
    """Second order of a fused op with one tensor in two slots (3.0 ** 2: first 6, second 2)."""
    from tinydl.autograd.primitives import Primitive

    op = Primitive(
        lambda a, b: a * b, "a b", "fused_product", None, False, True, ("out",), (), lambda a, b: a * b,
        lambda needs, g, a, b: (g * b, g * a), (), (), {},
    )  # fmt: skip
    x = tinydl.tensor([3.0], requires_grad=True, dtype=tinydl.float64)
    for h in (x, x.log().exp()):
        (g,) = autograd.grad(op.call(h, h).sum(), x, create_graph=True)
        assert float(g) == pytest.approx(6.0)
        assert float(autograd.grad(g.sum(), x)[0]) == pytest.approx(2.0)


def test_a_missing_rule_names_operation_and_argument() -> None:
    from tinydl.autograd.primitives import Primitive

    rules = {"a": lambda g, b: g * b}
    op = Primitive(
        lambda a, b: a * b, "a b", "half", None, False, True, ("out",), (), None, None, (), (), rules
    )  # fmt: skip
    x, w = tinydl.ones(3, requires_grad=True), tinydl.ones(3, requires_grad=True)
    op.call(x, w.detach()).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
    for create_graph in (False, True):
        with pytest.raises(NotImplementedError, match="the derivative of half with respect to 'b' is not implemented"):
            autograd.grad(op.call(x, w).sum(), [x, w], create_graph=create_graph)


def test_a_rule_that_gives_a_wrong_shape_or_dtype_is_named() -> None:
    from tinydl.autograd.primitives import Primitive

    def made(rule: Any) -> Any:
        return Primitive(
            lambda a: a * 2, "a", "wrong", None, False, True, ("out",), (), None, None, (), (), {"a": rule}
        ).call

    x = tinydl.ones(3, 2, requires_grad=True)
    with pytest.raises(
        RuntimeError,
        match=r"wrong: the rule for 'a' gave a gradient of shape \(2, 3\), expected \(3, "
        r"2\)",
    ):
        made(lambda g: np.swapaxes(g, 0, 1))(x).sum().backward()
    with pytest.raises(
        RuntimeError, match="wrong: the rule for 'a' gave a gradient of dtype float64, expected float32"
    ):
        made(lambda g: g.astype(np.float64))(x).sum().backward()


@pytest.mark.parametrize("create_graph", [False, True])
def test_rules_of_all_inputs_at_once_are_looked_at_too(create_graph: bool) -> None:
    """A gradient of another shape or dtype is named, and so is one that an input has not: which is no zero."""
    from tinydl.autograd.primitives import Primitive

    def made(rule: Any, constants: tuple[str, ...] = ()) -> Any:
        return Primitive(
            lambda a, b: a * b, "a b", "wrong", None, False, True, ("out",), (), None, rule, constants, (), {}
        ).call

    def slope(op: Any) -> Any:
        return autograd.grad(op(x, w).sum(), [x, w], create_graph=create_graph, allow_unused=True)

    x, w = tinydl.ones(3, requires_grad=True), tinydl.ones(3, requires_grad=True)
    assert [g.tolist() for g in slope(made(lambda needs, g, a, b: (g * b, g * a)))] == [[1] * 3] * 2
    assert slope(made(lambda needs, g, a, b: (g * b, None)))[1] is None
    with pytest.raises(NotImplementedError, match="the derivative of wrong with respect to 'b' is not implemented"):
        slope(made(lambda needs, g, a, b: (g * b, None), constants=("b",)))
    with pytest.raises(RuntimeError, match=r"the rule for 'b' gave a gradient of shape \(1,\), expected \(3,\)"):
        slope(made(lambda needs, g, a, b: (g * b, g[:1])))
    if not create_graph:  # recorded operations keep a dtype by themselves
        with pytest.raises(RuntimeError, match="the rule for 'b' gave a gradient of dtype float64, expected float32"):
            slope(made(lambda needs, g, a, b: (g * b, g.astype(np.float64))))


def test_an_operation_shows_the_text_of_its_call() -> None:
    x = tinydl.ones(3, requires_grad=True)
    for y in (x * x, tinydl.cat([x, x])):
        op = y.grad_fn.op
        assert f"def {op.name}(" in op.source and "def pull(n, g, edges):" in op.source


def test_grad_does_not_visit_the_history_before_its_target() -> None:
    x = leaf(1)
    h = x
    for _ in range(1000):
        h = h * 1.0
    calls = []

    class Edges:
        """Counts how often a node's edges are read."""

        def __get__(self, node: Any, owner: Any) -> Any:
            calls.append(1)
            return original.__get__(node, owner)

    node_class = type(h.grad_fn)
    original = node_class.edges
    node_class.edges = Edges()  # type: ignore[assignment]
    try:
        autograd.grad((h * 2).sum(), h)
    finally:
        node_class.edges = original  # type: ignore[method-assign]
    assert len(calls) < 20


def test_subgradients_where_pytorch_has_them() -> None:
    x = tinydl.ones(4, requires_grad=True, dtype=tinydl.float64)
    assert autograd.grad(x.std(), x)[0].tolist() == [0] * 4
    low = tinydl.ones(4, requires_grad=True, dtype=tinydl.float64)
    gx, gl = autograd.grad(x.clamp(min=low).sum(), [x, low], allow_unused=True)
    assert gx.tolist() == [1] * 4 and gl.tolist() == [0] * 4


def test_long_sums_down_a_column_keep_their_digits() -> None:
    x = tinydl.full((1_000_003, 2), 0.1)
    np.testing.assert_allclose(x.sum(0).array, 100000.3, rtol=1e-5)
    y = tinydl.ops.products.column_sums(x.array)
    np.testing.assert_allclose(y, 100000.3, rtol=1e-5)
    assert np.sum(x[:10]).item() == pytest.approx(2.0)


def test_grad_takes_only_inputs_where_pytorch_has_it() -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True)
    (g,) = autograd.grad((x * x).sum(), x, None, True, True, True)  # the sixth is only_inputs
    assert g.tolist() == [2, 4]
    with pytest.raises(ValueError, match=r"only_inputs=False is no longer supported; use backward\(\)"):
        autograd.grad((x * x).sum(), x, only_inputs=False)


def test_create_graph_records_also_under_no_grad() -> None:
    x = leaf(3)
    y = (x * x * x).sum()
    with tinydl.no_grad():
        (g,) = autograd.grad(y, x, create_graph=True)
    (h,) = autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.array, 6 * x.array)
    z = (x * x * x).sum()
    x.grad = None
    with tinydl.no_grad():
        z.backward(create_graph=True)
        z = None
    assert x.grad.requires_grad


def test_hooks_run_as_the_walk_does() -> None:
    x, seen = leaf(2), []
    x.register_hook(lambda g: seen.append((g * x).requires_grad))
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append((leaf * 2).requires_grad))
    (x * x).sum().backward()
    (x * x).sum().backward(create_graph=True)
    assert seen == [False, False, True, True]
    assert tinydl.is_grad_enabled()
    x.grad = None  # its graph holds x


def test_an_input_named_twice_is_added_to_once_and_in_place() -> None:
    x = leaf(2)
    (x * 3).sum().backward(inputs=[x, x])
    grad = x.grad
    np.testing.assert_array_equal(grad.array, [3, 3])
    (x * 2).sum().backward(inputs=[x])
    assert x.grad is grad
    np.testing.assert_array_equal(grad.array, [5, 5])
    with pytest.raises(RuntimeError, match=r"does not require grad: input 0, of shape \(2,\)"):
        (x * 2).sum().backward(inputs=[tinydl.ones(2)])


def test_backward_into_a_result_fills_its_grad() -> None:
    x = leaf(2)
    h = x * 2
    (h * h).sum().backward(inputs=[h])
    np.testing.assert_allclose(h._grad.array, 4 * x.array)
    assert x.grad is None


def test_a_leaf_frozen_after_the_forward_pass_gets_no_gradient() -> None:
    x, w = leaf(2), leaf(2)
    loss = (x * w).sum()
    w.requires_grad_(False)
    loss.backward()
    assert w.grad is None
    np.testing.assert_array_equal(x.grad.array, w.array)


def test_threads_that_walk_back_to_one_leaf_lose_nothing() -> None:
    w, rounds, workers = leaf(50_000), 20, 4
    w.grad = tinydl.zeros_like(w)

    def work() -> None:
        for _ in range(rounds):
            (w * 1).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(w.grad.array, np.full(50_000, rounds * workers))


def test_a_hook_on_one_of_several_results_sees_what_comes_back_at_second_order() -> None:
    a = tinydl.tensor(np.array([[4.0, 1.0], [1.0, 3.0]]), requires_grad=True)
    w, v = tinydl.linalg.eigh(a)
    (g,) = autograd.grad((w * w).sum() + v[0, 0] * v[0, 0], a, create_graph=True)
    seen: list[np.ndarray] = []
    w.register_hook(lambda d: seen.append(d.numpy().copy()))
    d_a, d_w = autograd.grad(g.sum(), [a, w])
    np.testing.assert_array_equal(seen[0], d_w.array)
    assert np.any(d_w.array) and np.all(np.isfinite(d_a.array))


def test_a_functions_context_is_freed_with_what_it_saved() -> None:
    class Square(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.big = Held()
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0]

    class Held:
        pass

    x = leaf(2)
    y = Square.apply(x)
    held = weakref.ref(y.grad_fn.saved.big)
    y.sum().backward()
    assert held() is None
    with pytest.raises(RuntimeError, match="what Square saved has already been freed"):
        y.sum().backward()


def test_settings_decorate_without_parentheses() -> None:
    @tinydl.enable_grad
    def recorded(x: tinydl.Tensor) -> tinydl.Tensor:
        return x * 2

    @tinydl.no_grad
    def plain(x: tinydl.Tensor) -> tinydl.Tensor:
        return x * 2

    with tinydl.no_grad():
        assert recorded(leaf(2)).requires_grad
    assert not plain(leaf(2)).requires_grad and tinydl.is_grad_enabled()


def test_what_stands_behind_a_node() -> None:
    """``next_functions`` as in PyTorch: (node, number of its output) for each input that needs a gradient."""
    x, y = tinydl.ones(2, requires_grad=True), tinydl.ones(2)
    h = x * y
    (behind,) = h.grad_fn.next_functions
    assert behind[0] is x and behind[1] == 0
    both = (h + x).grad_fn.next_functions
    assert [n for _, n in both] == [0, 0] and both[0][0] is h.grad_fn and both[1][0] is x
    assert tinydl.cat([y, h, x]).grad_fn.next_functions == ((h.grad_fn, 0), (x, 0))
    assert repr(h.grad_fn) == "<mulBackward>" and h.grad_fn.name() == "mulBackward"


@pytest.mark.parametrize("first", [True, False])
def test_what_no_rule_that_runs_needs_is_not_saved(first: bool) -> None:
    """Of a product with a constant, the constant alone; of a sum, nothing."""
    x, c = tinydl.ones(3, requires_grad=True), tinydl.ones(3)
    saved = (x * c if first else c * x).grad_fn.saved
    assert any(s is c.array for s in saved) and not any(s is x.array for s in saved)
    assert not any(isinstance(s, np.ndarray) for s in (x + c).grad_fn.saved or ())
    both = (x * x).grad_fn.saved
    assert sum(s is x.array for s in both) == 2
