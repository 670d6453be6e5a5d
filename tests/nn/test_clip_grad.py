"""Gradient clipping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.kernels import use
from tinydl.nn import Parameter
from tinydl.nn.utils import clip_grad_norm_, clip_grad_value_
from tinydl.random import Generator


def with_gradients(*gradients: Any) -> list[Parameter]:
    params = []
    for gradient in gradients:
        param = Parameter(np.zeros(np.shape(gradient), getattr(gradient, "dtype", np.float32)))
        param.grad = tinydl.from_numpy(np.array(gradient, param.dtype))
        params.append(param)
    return params


def test_scales_to_the_bound_and_returns_the_norm_before() -> None:
    params = [*with_gradients([3.0, 0.0], [[4.0]]), Parameter(np.ones(2, np.float32))]
    norm = clip_grad_norm_(params, 1.0)
    assert norm.item() == 5.0
    assert norm.shape == ()
    np.testing.assert_allclose(params[0].grad.array, [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(params[1].grad.array, [[0.8]], rtol=1e-6)
    assert params[2].grad is None
    assert params[0].grad.cell()[0] == 1


def test_below_the_bound_nothing_changes() -> None:
    params = with_gradients([3.0, 0.0], [4.0])
    assert clip_grad_norm_(iter(params), 5.1).item() == 5.0
    np.testing.assert_array_equal(params[0].grad.array, [3.0, 0.0])


def test_a_single_tensor_no_gradient_and_nothing() -> None:
    (param,) = with_gradients([6.0, 8.0])
    assert clip_grad_norm_(param, 5.0).item() == 10.0
    np.testing.assert_allclose(param.grad.array, [3.0, 4.0], rtol=1e-6)
    assert clip_grad_norm_([Parameter(np.ones(2, np.float32))], 1.0).item() == 0.0
    assert clip_grad_norm_([], 1.0).dtype == np.float32


def test_dtypes_mix_and_views_are_clipped_where_they_lie() -> None:
    memory = np.full((4, 4), 2.0, np.float32)
    params = with_gradients(np.ones(2), np.ones((2, 2), np.float32))
    params[1].grad.array = memory[::2, ::2]
    norm = clip_grad_norm_(params, 1.0)
    assert norm.dtype == np.float64
    assert norm.item() == pytest.approx(math.sqrt(18), rel=1e-12)
    np.testing.assert_allclose(memory[::2, ::2], 2 / math.sqrt(18), rtol=1e-6)
    np.testing.assert_array_equal(memory[1::2], 2.0)


def test_the_sum_is_exact_where_float32_would_overflow_or_stall() -> None:
    params = with_gradients(np.full(3, 1e30, np.float32))
    assert clip_grad_norm_(params, 1.0).item() == pytest.approx(math.sqrt(3) * 1e30, rel=1e-6)
    np.testing.assert_allclose(params[0].grad.array, 1 / math.sqrt(3), rtol=1e-6)
    many = with_gradients(np.full(200_000, 0.1, np.float32))
    assert clip_grad_norm_(many, 1e9).item() == pytest.approx(math.sqrt(200_000) * float(np.float32(0.1)), rel=1e-7)


def test_variants_and_thread_counts_agree() -> None:
    from tinydl.kernels.threads import max_threads, num_threads

    gradients = [Generator(i).normal((300, 500)) for i in range(3)]
    with num_threads(1):
        one = clip_grad_norm_(with_gradients(*gradients), 1.0).item()
    with num_threads(max_threads()):
        assert clip_grad_norm_(with_gradients(*gradients), 1.0).item() == one
    with use(squared_norm="numpy", scale_gradients_="numpy"):
        assert clip_grad_norm_(with_gradients(*gradients), 1.0).item() == pytest.approx(one, rel=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_non_finite_norms(bad: float) -> None:
    params = with_gradients([1.0, bad], [2.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(params[1].grad.array, [2.0])
    norm = clip_grad_norm_(params, 1.0).item()
    assert not math.isfinite(norm)
    assert math.isnan(params[1].grad.array[0]) if math.isnan(bad) else params[1].grad.array[0] == 0.0


def test_other_norms() -> None:
    params = with_gradients([1.0, -2.0], [[-4.0]])
    assert clip_grad_norm_(params, 100.0, 1).item() == 7.0
    assert clip_grad_norm_(params, 100.0, math.inf).item() == 4.0
    clip_grad_norm_(params, 1.0, math.inf)
    np.testing.assert_allclose(params[0].grad.array, [0.25, -0.5], rtol=1e-5)


def test_clip_value() -> None:
    params = with_gradients([1.0, -2.0, 0.25], [[-4.0]])
    clip_grad_value_(params, 0.5)
    np.testing.assert_array_equal(params[0].grad.array, [0.5, -0.5, 0.25])
    np.testing.assert_array_equal(params[1].grad.array, [[-0.5]])


def test_half_precision_is_clipped_too() -> None:
    params = with_gradients(np.array([3.0, 0.0], np.float16), np.array([4.0], np.float32))
    norm = clip_grad_norm_(params, 1.0)
    assert norm.item() == 5.0
    assert norm.dtype == np.float32
    assert params[0].grad.dtype == np.float16
    np.testing.assert_allclose(params[0].grad.array, [0.6, 0.0], rtol=1e-3)
    np.testing.assert_allclose(params[1].grad.array, [0.8], rtol=1e-6)
    assert params[0].grad.cell()[0] == 1
