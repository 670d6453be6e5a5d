"""Optimizer kernels: every variant against NumPy's, bit for bit; refusals leave everything as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinydl.kernels import variants
from tinydl.kernels.optim import spec
from tinydl.kernels.optim.table import GRAD, PARAM

STEPS = tuple(spec.MOMENTS)
CASES = [(op, scalars) for op in STEPS for scalars in spec.SCALARS[op]]


def run(function: Any, op: str, shapes: list[tuple[int, ...]], dtype: str, scalars: list[float]) -> list[np.ndarray]:
    """Some steps (RAdam adapts from the sixth on), the second with a skipped row; what changed."""
    rng = np.random.default_rng(len(shapes))
    params, grads, table, moments, numbers = spec.sample(shapes, op, dtype, rng)
    for step in range(8 if op == "radam_" else 3):
        hidden = table[:, GRAD].copy()
        if step == 1 and len(shapes) > 1:
            table[1, GRAD] = 0
        before = [g.copy() for g in grads]
        assert function(table, moments, numbers, np.array(scalars, np.float64)) == -1
        for g, was in zip(grads, before):
            np.testing.assert_array_equal(g, was, err_msg="the kernel wrote a gradient")
            g *= g.dtype.type(-0.7)
        table[:, GRAD] = hidden
    return [*params, moments, numbers]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "scalars"), CASES, ids=str)
def test_variants_agree_bit_for_bit(op: str, scalars: list[float], dtype: str) -> None:
    numpy_variant = next(v for v in variants(op) if v.name == "numpy")
    others = [v for v in variants(op) if v.name != "numpy"]
    assert {"cpu.serial", "cpu.parallel", "cpu.fused"} <= {v.name for v in others}
    for shapes in spec.SHAPES:
        expected = run(numpy_variant.function, op, shapes, dtype, scalars)
        for variant in others:
            for got, want in zip(run(variant.function, op, shapes, dtype, scalars), expected):
                np.testing.assert_array_equal(got, want, err_msg=f"{variant.name} {shapes}")


def test_adam_against_the_formula_in_float64() -> None:
    params, grads, table, moments, numbers = spec.sample([(5, 3)], "adam_", "float64", np.random.default_rng(0))
    lr, beta1, beta2, eps = 0.01, 0.9, 0.99, 1e-8
    x, m, v = params[0].copy(), np.zeros((5, 3)), np.zeros((5, 3))
    for t in range(1, 6):
        g = grads[0]
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        x -= lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
        assert spec.adam_(table, moments, numbers, np.array([lr, beta1, beta2, eps, 0, 0, 1, 0])) == -1
        np.testing.assert_allclose(params[0], x, rtol=1e-13)
        grads[0] *= -0.9
    assert numbers.tolist() == [[5.0]]


IRREGULAR = {
    "strided gradient": lambda p, g: (p, np.asfortranarray(g)),
    "strided parameter": lambda p, g: (np.asfortranarray(p), g),
    "gradient of another dtype": lambda p, g: (p, g.astype(np.float64)),
    "parameter of another dtype": lambda p, g: (p.astype(np.float64), g),
    "gradient of another size": lambda p, g: (p, g[:2]),
    "gradient of another shape": lambda p, g: (p, np.ascontiguousarray(g.T)),
    "gradient of more dimensions": lambda p, g: (p, g[None]),
    "parameter of another size": lambda p, g: (np.concatenate([p, p]), g),
    "swapped bytes": lambda p, g: (p, g.astype(g.dtype.newbyteorder())),
}


@pytest.mark.parametrize("op", STEPS)
@pytest.mark.parametrize("case", IRREGULAR)
def test_irregular_arrays_are_reported_and_nothing_is_written(op: str, case: str) -> None:
    for variant in variants(op):
        params, grads, table, moments, numbers = spec.sample([(2,), (3, 4)], op, "float32", np.random.default_rng(1))
        params[1], grads[1] = IRREGULAR[case](params[1], grads[1])
        table[1, PARAM], table[1, GRAD] = id(params[1]), id(grads[1])
        before = [a.copy() for a in (*params, *grads, moments, numbers)]
        assert variant.function(table, moments, numbers, np.array(spec.SCALARS[op][0])) == 1, variant.name
        for array, was in zip((*params, *grads, moments, numbers), before):
            np.testing.assert_array_equal(array, was)


@pytest.mark.parametrize("op", STEPS)
def test_a_read_only_parameter_is_reported(op: str) -> None:
    for variant in variants(op):
        params, _grads, table, moments, numbers = spec.sample([(3, 4)], op, "float32", np.random.default_rng(1))
        params[0].flags.writeable = False
        assert variant.function(table, moments, numbers, np.array(spec.SCALARS[op][0])) == 0, variant.name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_squared_norm_and_scaling(dtype: str) -> None:
    like = np.empty(0, dtype)
    for shapes in spec.SHAPES:
        sums = {}
        for variant in variants("squared_norm"):
            _, grads, table, _, _ = spec.sample(shapes, "squared_norm", dtype, np.random.default_rng(2))
            irregular, sums[variant.name] = variant.function(table, like)
            assert irregular == -1
            exact = sum(float(np.sum(g.astype(np.float64) ** 2)) for g in grads)
            np.testing.assert_allclose(sums[variant.name], exact, rtol=1e-13)
        assert sums["cpu.serial"] == sums["cpu.parallel"]
        for variant in variants("scale_gradients_"):
            params, grads, table, _, _ = spec.sample(shapes, "squared_norm", dtype, np.random.default_rng(2))
            before = [g.copy() for g in grads]
            assert variant.function(table, like, 0.3) == -1
            for g, was in zip(grads, before):
                np.testing.assert_array_equal(g, was * was.dtype.type(0.3))


def test_norm_and_scaling_refuse_irregular_gradients() -> None:
    like = np.empty(0, np.float32)
    params, grads, table, _, _ = spec.sample([(2,), (3, 4)], "squared_norm", "float32", np.random.default_rng(1))
    strided = np.asfortranarray(grads[1])
    table[1, GRAD] = id(strided)
    for variant in variants("squared_norm"):
        assert variant.function(table, like)[0] == 1
    table[1, GRAD] = id(grads[1])
    grads[1].flags.writeable = False
    was = grads[0].copy()
    for variant in variants("scale_gradients_"):
        assert variant.function(table, like, 0.5) == 1, variant.name
    np.testing.assert_array_equal(grads[0], was)
    for variant in variants("squared_norm"):
        assert variant.function(table, like)[0] == -1
