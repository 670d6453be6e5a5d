"""Users' own operations, modes, anomaly detection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd


class Scale(autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, factor: float) -> Any:
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.factor, None


class Exp(autograd.Function):
    """Saves its own output."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        assert isinstance(g, tinydl.Tensor)
        return g * y


class SumAndProduct(autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.save_for_backward(a, b)
        return a + b, a * b

    @staticmethod
    def backward(ctx: Any, gs: Any, gp: Any) -> Any:
        a, b = ctx.saved_tensors
        return gs + gp * b, gs + gp * a


def leaf(*shape: int) -> tinydl.Tensor:
    return tinydl.tensor(np.random.default_rng(1).uniform(0.5, 1.5, shape), requires_grad=True)


def test_own_operations_pass_both_checks() -> None:
    x, y = leaf(2, 3), leaf(2, 3)
    for f, args in ((lambda a: Scale.apply(a, 2.5), (x,)), (Exp.apply, (x,)), (SumAndProduct.apply, (x, y))):
        assert autograd.gradcheck(f, args) and autograd.gradgradcheck(f, args)
    assert autograd.gradcheck(lambda a: SumAndProduct.apply(a, a)[1], (x,))


def test_only_one_of_two_outputs_used() -> None:
    a, b = leaf(3), leaf(3)
    s, _ = SumAndProduct.apply(a, b)
    s.sum().backward()
    assert (a.grad.array == 1).all()


def test_an_argument_returned_as_it_is() -> None:
    class Same(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * -1

    x = leaf(3)
    y = Same.apply(x)
    assert y is not x and x.is_leaf
    y.sum().backward()
    assert (x.grad.array == -1).all()


def test_once_differentiable_raises_on_second_order() -> None:
    class Square(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @autograd.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 2 * x

    x = leaf(3)
    (g,) = autograd.grad(Square.apply(x).sum(), x)
    np.testing.assert_allclose(g.array, 2 * x.array)
    (g,) = autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    with pytest.raises(
        RuntimeError, match="trying to differentiate twice a function that was marked with @once_differentiable"
    ):
        autograd.grad(g.sum(), x)


def test_wrong_number_or_shape_of_gradients() -> None:
    class Short(autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a * b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    class Shape(Short):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return tinydl.ones(7, dtype=tinydl.float64), None

    with pytest.raises(
        RuntimeError,
        match=r"ShortBackward returned an incorrect number of gradients \(expected 2, got "
        r"1\)",
    ):
        Short.apply(leaf(3), leaf(3)).sum().backward()
    with pytest.raises(
        RuntimeError,
        match=r"ShapeBackward returned an invalid gradient at index 0 - got \[7\] but "
        r"expected shape compatible with \[3\]",
    ):
        Shape.apply(leaf(3), leaf(3)).sum().backward()


def test_a_saved_tensor_that_changed_is_noticed() -> None:
    x = leaf(3)
    h = x * 1
    y = Exp.apply(h)
    with tinydl.no_grad():
        y.zero_()
    with pytest.raises(RuntimeError, match="a tensor that Exp saved changed after the forward call"):
        y.sum().backward()


def test_backward_twice_through_a_function() -> None:
    y = Exp.apply(leaf(3)).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_modes() -> None:
    x = leaf(2)

    @tinydl.no_grad()
    def silent() -> bool:
        return (x * 2).requires_grad

    @tinydl.no_grad
    def bare() -> bool:
        return (x * 2).requires_grad

    @tinydl.inference_mode()
    def inference() -> bool:
        return (x * 2).requires_grad

    assert not silent() and not bare() and not inference() and tinydl.is_grad_enabled()
    with tinydl.no_grad():
        with tinydl.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        with tinydl.inference_mode(False):
            assert (x * 2).requires_grad
    with tinydl.set_grad_enabled(False):
        assert not tinydl.is_grad_enabled()
    assert tinydl.is_grad_enabled()
    with pytest.raises(ValueError), tinydl.no_grad():
        raise ValueError
    assert tinydl.is_grad_enabled()


NAN, INF = (tinydl.tensor(v, dtype=tinydl.float64) for v in (float("nan"), float("inf")))
PLANTED: list[tuple[str, Any]] = [  # 0 * inf, 0 / 0 or a NaN constant in the rule of the operation named
    ("sqrt", lambda x: (x * 0).sqrt() * 0.0),
    ("rsqrt", lambda x: (x * 0).rsqrt() * 0.0),
    ("reciprocal", lambda x: (x * 0).reciprocal() * 0.0),
    ("div", lambda x: (x / 0.0) * 0.0),
    ("div", lambda x: 1.0 / (x * 0) * 0.0),
    ("pow", lambda x: (x * 0) ** -1.0 * 0.0),
    ("log", lambda x: (x * 0).log() * 0.0),
    ("log2", lambda x: (x * 0).log2() * 0.0),
    ("log10", lambda x: (x * 0).log10() * 0.0),
    ("log1p", lambda x: (x * 0 - 1.0).log1p() * 0.0),
    ("exp", lambda x: (x * 1e6).exp() * 0.0),
    ("expm1", lambda x: (x * 1e6).expm1() * 0.0),
    ("sinh", lambda x: (x * 1e6).sinh() * 0.0),
    ("cosh", lambda x: (x * 1e6).cosh() * 0.0),
    ("square", lambda x: (x / 1e-320).square() * 0.0),
    ("mul", lambda x: x * NAN),
    ("mul", lambda x: (x * INF) * 0.0),
    ("mm", lambda x: x.reshape(1, 3) @ tinydl.full((3, 1), float("nan"), dtype=tinydl.float64)),
    ("linear", lambda x: tinydl.ops.products.linear(x, tinydl.full((2, 3), float("nan"), dtype=tinydl.float64))),
    ("softmax_over", lambda x: (x * tinydl.full((3,), float("inf"), dtype=tinydl.float64)).softmax(0)),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("name", "f"), PLANTED, ids=[f"{i}-{n}" for i, (n, _) in enumerate(PLANTED)])
def test_anomaly_names_the_operation_and_the_line(name: str, f: Any) -> None:
    x = leaf(3)
    with autograd.detect_anomaly(), pytest.raises(RuntimeError, match=rf"{name}Backward returned nan values") as caught:
        f(x).sum().backward()
    assert "test_function.py:" in str(caught.value) and "lambda x" in str(caught.value)


def test_no_anomaly_where_all_is_well() -> None:
    x = leaf(3)
    with autograd.detect_anomaly():
        (x * 2).sum().backward()
    assert (x.grad.array == 2).all()


def test_gradcheck_finds_a_wrong_gradient() -> None:
    class Wrong(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0] * 2.00001

    x = leaf(2)
    with pytest.raises(
        autograd.GradcheckError,
        match=r"gradient of output 0\[0\] with respect to input 0\[0\]: "
        r"analytic",
    ):
        autograd.gradcheck(Wrong.apply, (x,))
    assert not autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)

    class WrongSecond(Wrong):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2 * ctx.saved_tensors[0].detach()

    assert autograd.gradcheck(WrongSecond.apply, (x,))
    with pytest.raises(autograd.GradcheckError):
        autograd.gradgradcheck(WrongSecond.apply, (x,))
    with pytest.raises(ValueError, match="float64"):
        autograd.gradcheck(lambda a: a * 2, (tinydl.ones(2, requires_grad=True),))
    with pytest.raises(ValueError, match="requires_grad=True"):
        autograd.gradcheck(lambda a: a * 2, (tinydl.ones(2),))


def test_a_saved_output_that_comes_back_does_not_lose_gradients() -> None:
    """The output saved for backward re-enters the graph beside the caller's: both contributions count."""

    class ExpAndDouble(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y, x * 2

        @staticmethod
        def backward(ctx: Any, gy: Any, gz: Any) -> Any:
            (y,) = ctx.saved_tensors
            return gy * y + gz * 2

    x = leaf(3)
    y, z = ExpAndDouble.apply(x)
    (g,) = autograd.grad((y + z).sum(), x, create_graph=True)
    (d,) = autograd.grad((3 * g + 5 * y).sum(), x)
    np.testing.assert_allclose(d.array, 8 * np.exp(x.array))


def test_a_tensor_by_name_is_not_silently_a_constant() -> None:
    with pytest.raises(TypeError, match="Scale.apply: 'factor' requires a gradient; pass it by position"):
        Scale.apply(leaf(3), factor=leaf(3))


def test_modes_shared_by_threads_and_generators() -> None:
    import threading

    shared, seen = tinydl.no_grad(), []

    def other() -> None:
        with shared:
            started.set()
            go_on.wait()
        seen.append(tinydl.is_grad_enabled())

    started, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    started.wait()
    with tinydl.no_grad(), shared:
        go_on.set()
        thread.join()
    assert seen == [True] and tinydl.is_grad_enabled()

    @tinydl.no_grad()
    def values() -> Any:
        for _ in range(2):
            yield tinydl.is_grad_enabled()

    assert [(inside, tinydl.is_grad_enabled()) for inside in values()] == [(False, True)] * 2
    nested = autograd.detect_anomaly()
    with nested, nested:
        pass
    setting = tinydl.set_grad_enabled(False)
    with setting:
        pass
    with setting:
        assert not tinydl.is_grad_enabled()
    assert tinydl.is_grad_enabled()
