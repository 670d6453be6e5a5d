"""``detect_anomaly`` names the operation and the user's own line: planted NaNs, all found."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd, nn
from tinydl.nn import functional as F

INF = math.inf


class Bad(autograd.Function):
    """A user's own mistake."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * math.nan


class Layered(nn.Module):
    """The line named is the one in ``forward`` here, not one of the library's."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2, eps=0.0, dtype=np.float64)

    def forward(self, x: Any) -> Any:
        return self.norm(x * 0)  # planted


def inside_a_helper(x: Any) -> Any:
    return (x * 0).sqrt()  # planted


# One case a function: the line that ends in "# planted" is the one whose gradient is NaN. The numbers of x are 1 and 2.


def square_root_of_zero(x: Any) -> Any:
    h = x * 0
    y = h.sqrt()  # planted
    return y * 0


def zero_by_zero(x: Any) -> Any:
    y = (x - x.detach()) / (x - x.detach())  # planted
    return y


def logarithm_of_zero(x: Any) -> Any:
    y = (x * 0).log()  # planted
    return y * 0


def logarithm_of_minus_one_and_one(x: Any) -> Any:
    h = x * 0 - 1
    y = h.log1p()  # planted
    return y * 0


def binary_logarithm(x: Any) -> Any:
    h = x * 0
    y = tinydl.log2(h)  # planted
    return y * 0


def decimal_logarithm(x: Any) -> Any:
    h = x * 0
    y = tinydl.log10(h)  # planted
    return y * 0


def negative_power_of_zero(x: Any) -> Any:
    h = x * 0
    y = h**-1.0  # planted
    return y * 0


def reciprocal_of_zero(x: Any) -> Any:
    h = x * 0
    y = h.reciprocal()  # planted
    return y * 0


def inverse_root_of_zero(x: Any) -> Any:
    h = x * 0
    y = h.rsqrt()  # planted
    return y * 0


def exponential_too_large(x: Any) -> Any:
    h = x + 1000
    y = h.exp()  # planted
    return y * 0


def exponential_minus_one_too_large(x: Any) -> Any:
    h = x + 1000
    y = h.expm1()  # planted
    return y * 0


def hyperbolic_cosine_too_large(x: Any) -> Any:
    h = x + 1000
    y = h.cosh()  # planted
    return y * 0


def hyperbolic_sine_too_large(x: Any) -> Any:
    h = x + 1000
    y = h.sinh()  # planted
    return y * 0


def times_infinity(x: Any) -> Any:
    y = x * tinydl.tensor([INF, 1.0], dtype=tinydl.float64)  # planted
    return y * 0


def product_with_an_infinite_matrix(x: Any) -> Any:
    w = tinydl.tensor([[INF, 1.0], [1.0, 1.0]], dtype=tinydl.float64)
    y = x @ w  # planted
    return y * 0


def softmax_of_infinity(x: Any) -> Any:
    h = x + INF
    y = F.softmax(h, 0)  # planted
    return y


def log_softmax_of_infinity(x: Any) -> Any:
    h = x + INF
    y = h.log_softmax(0)  # planted
    return y


def the_root_behind_where(x: Any) -> Any:
    h = x - x.detach()
    y = h.sqrt()  # planted
    return tinydl.where(h > 0, y, h)


def variance_of_infinity(x: Any) -> Any:
    h = x * INF
    y = h.var()  # planted
    return y


def a_users_function(x: Any) -> Any:
    y = Bad.apply(x)  # planted
    return y


def a_layer(x: Any) -> Any:
    return Layered()(x.reshape(1, 2))


def a_helper(x: Any) -> Any:
    return inside_a_helper(x) * 0


CASES: list[tuple[Callable[[Any], Any], str, Any]] = [
    (square_root_of_zero, "sqrt", None),
    (zero_by_zero, "div", None),
    (logarithm_of_zero, "log", None),
    (logarithm_of_minus_one_and_one, "log1p", None),
    (binary_logarithm, "log2", None),
    (decimal_logarithm, "log10", None),
    (negative_power_of_zero, "pow", None),
    (reciprocal_of_zero, "reciprocal", None),
    (inverse_root_of_zero, "rsqrt", None),
    (exponential_too_large, "exp", None),
    (exponential_minus_one_too_large, "expm1", None),
    (hyperbolic_cosine_too_large, "cosh", None),
    (hyperbolic_sine_too_large, "sinh", None),
    (times_infinity, "mul", None),
    (product_with_an_infinite_matrix, "", None),
    (softmax_of_infinity, "", None),
    (log_softmax_of_infinity, "", None),
    (the_root_behind_where, "sqrt", None),
    (variance_of_infinity, "", None),
    (a_users_function, "Bad", None),
    (a_layer, "", Layered.forward),
    (a_helper, "sqrt", inside_a_helper),
]


def planted(function: Callable[..., Any]) -> tuple[int, str]:
    """Number and text of a function's planted line."""
    lines, first = inspect.getsourcelines(function)
    (found,) = [i for i, line in enumerate(lines) if line.rstrip().endswith("# planted")]
    return first + found, lines[found].strip()


@pytest.mark.parametrize(("function", "name", "where"), CASES, ids=[c[0].__name__ for c in CASES])
@pytest.mark.parametrize("create_graph", [False, True])
def test_planted_nans_are_found(function: Any, name: str, where: Any, create_graph: bool) -> None:
    x = tinydl.tensor([1.0, 2.0], requires_grad=True, dtype=tinydl.float64)
    number, text = planted(where or function)
    with np.errstate(all="ignore"), autograd.detect_anomaly():
        with pytest.raises(RuntimeError, match="returned nan values in the gradient of") as caught:
            function(x).sum().backward(create_graph=create_graph)
    message = str(caught.value)
    assert message.startswith(f"{name}Backward" if name else ""), message
    assert message.endswith(f"the forward call was {__file__}:{number}: {text}"), message
    assert "\n" not in message


def test_at_least_twenty_are_planted() -> None:
    assert len(CASES) >= 20


def test_an_infinite_gradient_is_no_anomaly_until_it_is_a_nan() -> None:
    x = tinydl.tensor([0.0], requires_grad=True, dtype=tinydl.float64)
    with np.errstate(all="ignore"), autograd.detect_anomaly():
        x.sqrt().sum().backward()
        assert x.grad.tolist() == [INF]


def test_a_call_made_outside_has_no_line() -> None:
    x = tinydl.tensor([0.0], requires_grad=True)
    y = (x.sqrt() * 0).sum()
    with np.errstate(all="ignore"), autograd.detect_anomaly():
        with pytest.raises(RuntimeError, match="the forward call was a call made outside detect_anomaly"):
            y.backward()


def test_the_engine_works_afterwards_and_other_threads_are_not_concerned() -> None:
    x = tinydl.tensor([0.0], requires_grad=True)
    kept: list[Any] = []

    def other() -> None:
        with np.errstate(all="ignore"):
            kept.append(autograd.grad((x.sqrt() * 0).sum(), x)[0].item())

    with np.errstate(all="ignore"), autograd.detect_anomaly():
        with pytest.raises(RuntimeError):
            (x.sqrt() * 0).sum().backward()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert math.isnan(kept[0]) and x.grad is None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3]


def test_it_can_be_switched_on_for_good_and_off_again() -> None:
    x = tinydl.tensor([0.0], requires_grad=True)
    try:
        autograd.set_detect_anomaly(True)
        with tinydl.no_grad():
            pass
        with np.errstate(all="ignore"), pytest.raises(RuntimeError, match="sqrtBackward .* y = x.sqrt"):
            y = x.sqrt()
            (y * 0).sum().backward()
    finally:
        autograd.set_detect_anomaly(False)
    with np.errstate(all="ignore"):
        (x.sqrt() * 0).sum().backward()
    assert tinydl.is_grad_enabled()
