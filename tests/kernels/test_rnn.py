"""Recurrent kernels: every variant against the float64 reference, the reference against differences, and its bits."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from tinydl.kernels import KernelError, lookup, threads, use, variants
from tinydl.kernels.rnn import spec

CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
EVERY_VARIANT = [
    pytest.param(cell, variant.name, dtype, id=f"{cell}-{variant.name}-{dtype}")
    for cell in CELLS
    for variant in variants(f"{cell}_forward")
    for dtype in (variant.dtypes or ("float32", "float64"))
]

Arguments = dict[str, Any]


def states(cell: str) -> int:
    """How many states a cell carries (h, c)."""
    return 2 if cell == "lstm" else 1


def arrays(arguments: Arguments) -> list[str]:
    """The arguments that have a gradient: all floating ones."""
    return [name for name, value in arguments.items() if name not in ("lengths", "reverse")]


def run(cell: str, variant: str | None, arguments: Arguments, gradients: list[Any] | None = None,
        needs: tuple[bool, ...] | None = None, backward_variant: str | None = None) -> tuple[Any, Any]:  # fmt: skip
    """(outputs, gradients) of one forward and backward; the gradients of the outputs are drawn when not given."""
    dtype = arguments["x"].dtype
    names = {} if variant is None else {f"{cell}_forward": variant, f"{cell}_backward": backward_variant or variant}
    with use(**names):
        forward, backward = lookup(f"{cell}_forward", dtype=dtype), lookup(f"{cell}_backward", dtype=dtype)
    count = 1 + states(cell)
    results = forward(*arguments.values())
    if gradients is None:
        rng = np.random.default_rng(3)
        gradients = [rng.normal(size=r.shape).astype(dtype) for r in results[:count]]
    needs = needs or (True,) * len(arrays(arguments))
    back = backward(*gradients, *arguments.values(), results[0], *results[count:], needs)
    return results[:count], back


def refused(arguments: Arguments) -> bool:
    """Sizes of zero, and one step of one sequence, are the reference's."""
    T, B, _ = arguments["x"].shape
    return arguments["x"].size == 0 or T * B == 1


def widened(arguments: Arguments) -> Arguments:
    wide = lambda v: v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v
    return {name: wide(value) for name, value in arguments.items()}


@functools.cache
def cases(cell: str, dtype: str) -> list[tuple[Arguments, tuple[Any, Any]]]:
    """Sample arguments and what the reference makes of them in float64."""
    found = []
    for arguments in spec.samples(cell, dtype):
        rng = np.random.default_rng(3)
        T, B, H = *arguments["x"].shape[:2], arguments["h0"].shape[1]
        shapes = [(T, B, H)] + [(B, H)] * states(cell)
        gradients = [rng.normal(size=shape).astype(dtype).astype(np.float64) for shape in shapes]
        found.append((arguments, run(cell, "numpy", widened(arguments), gradients)))
    return found


def assert_near(got: Any, want: Any, dtype: str, label: str) -> None:
    relative, absolute = spec.TOLERANCE[dtype]
    assert got.shape == want.shape and got.dtype == np.dtype(dtype), label
    error = np.max(np.abs(got - want), initial=0.0)
    assert error <= relative * np.max(np.abs(want), initial=0.0) + absolute, f"{label}: off by {error:.2e}"


@pytest.mark.parametrize("cell, variant, dtype", EVERY_VARIANT)
def test_every_variant_agrees_with_the_float64_reference(
    cell: str, variant: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "SERIAL", 0)  # the sizes are small, and both ways are to be tested
    for count in {1, min(2, threads.max_threads())}:
        with threads.num_threads(count):
            for arguments, (outputs, gradients) in cases(cell, dtype):
                if variant != "numpy" and refused(arguments):
                    continue  # test_what_the_fast_variant_refuses runs these through the choice of the registry
                before = {name: None if value is None else np.copy(value) for name, value in arguments.items()}
                got_outputs, got_gradients = run(cell, variant, arguments)
                label = f"{cell} {arguments['x'].shape} H={arguments['h0'].shape[1]}"
                for name, got, want in zip(("output", "h_n", "c_n"), got_outputs, outputs):
                    assert_near(got, want, dtype, f"{name} of {label}")
                for name, got, want in zip(arrays(arguments), got_gradients, gradients):
                    assert_near(got, want, dtype, f"gradient of {name} of {label}")
                for name, value in arguments.items():
                    np.testing.assert_array_equal(value, before[name], err_msg=f"{name} was written")


@pytest.mark.parametrize("cell", CELLS)
def test_what_the_fast_variant_refuses(cell: str) -> None:
    for arguments, (outputs, gradients) in cases(cell, "float32"):
        if refused(arguments):
            got_outputs, got_gradients = run(cell, None, arguments)
            for got, want in zip((*got_outputs, *got_gradients), (*outputs, *gradients)):
                assert_near(got, want, "float32", cell)


def small(cell: str, seed: int = 5) -> Arguments:
    """T=3, B=4, I=2, H=3 in float64, with sequences of length 0 to 3."""
    rng = np.random.default_rng(seed)
    rows = spec.GATES[cell] * 3
    arguments: Arguments = {"x": rng.normal(size=(3, 4, 2)), "h0": rng.normal(size=(4, 3))}
    if cell == "lstm":
        arguments["c0"] = rng.normal(size=(4, 3))
    for name, shape in (("w_ih", (rows, 2)), ("w_hh", (rows, 3)), ("b_ih", (rows,)), ("b_hh", (rows,))):
        arguments[name] = rng.normal(size=shape) * 0.7
    return {**arguments, "lengths": np.array([3, 0, 2, 1]), "reverse": bool(seed % 2)}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("variant", ["numpy", "cpu.fused"])
@pytest.mark.parametrize("seed", [5, 6])
def test_gradients_against_differences(cell: str, variant: str, seed: int) -> None:
    arguments = small(cell, seed)
    rng = np.random.default_rng(seed)
    gradients = [rng.normal(size=(3, 4, 3))] + [rng.normal(size=(4, 3)) for _ in range(states(cell))]
    _, analytic = run(cell, variant, arguments, gradients)

    def objective(changed: Arguments) -> float:
        with use(**{f"{cell}_forward": "numpy"}):
            results = lookup(f"{cell}_forward", dtype=np.float64)(*changed.values())
        return float(sum(np.sum(g * r) for g, r in zip(gradients, results)))

    step = 1e-5
    for name, gradient in zip(arrays(arguments), analytic):
        numeric = np.empty_like(gradient)
        for index in np.ndindex(gradient.shape):
            sides = []
            for sign in (1, -1):
                moved = arguments[name].copy()
                moved[index] += sign * step
                sides.append(objective({**arguments, name: moved}))
            numeric[index] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8, err_msg=f"{cell}: {name}")


@pytest.mark.parametrize("cell", CELLS)
def test_frozen_states_and_zero_outputs_past_a_sequences_end(cell: str) -> None:
    arguments = small(cell)
    for variant in ("numpy", "cpu.fused"):
        for reverse in (False, True):
            (output, h_n, *_), back = run(cell, variant, {**arguments, "reverse": reverse})
            np.testing.assert_array_equal(output[:, 1], 0)
            np.testing.assert_array_equal(h_n[1], arguments["h0"][1])
            np.testing.assert_array_equal(output[2:, 2], 0)
            np.testing.assert_array_equal(h_n[2], output[0 if reverse else 1, 2])
            np.testing.assert_array_equal(back[0][1:, 3], 0)  # no gradient to what was never read


@pytest.mark.parametrize("cell", CELLS)
def test_padding_that_is_nan_does_not_spread(cell: str) -> None:
    arguments = small(cell)
    arguments["x"][2:, 2] = arguments["x"][1:, 3] = arguments["x"][:, 1] = np.nan
    for variant in ("numpy", "cpu.fused"):
        outputs, gradients = run(cell, variant, arguments)
        if variant == "numpy":
            continue  # 0 * NaN in its products; the fused kernel never reads the padding
        for result in (*outputs, *gradients):
            assert np.isfinite(result).all()


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_again_whatever_the_memory_held(cell: str) -> None:
    arguments = list(spec.samples(cell, "float32"))[3]
    first = run(cell, "cpu.fused", arguments)
    poison = [np.full(size, np.nan, np.float32) for size in range(1, 20_000, 97)]
    del poison  # what np.empty hands out next
    _poison_scratch()
    second = run(cell, "cpu.fused", arguments)
    for one, two in zip((*first[0], *first[1]), (*second[0], *second[1])):
        np.testing.assert_array_equal(one, two)


def _poison_scratch() -> None:
    from tinydl.kernels import workspace

    for memory in workspace._local.__dict__.values():
        if memory.dtype.kind == "f":
            memory.fill(np.nan)


@pytest.mark.parametrize("cell", CELLS)
def test_forward_and_backward_of_different_variants_and_thread_counts_fit(cell: str) -> None:
    arguments = {**small(cell), "lengths": np.array([1, 3, 0, 2])}
    _, expected = run(cell, "numpy", arguments)
    for forward, backward in (("cpu.fused", "numpy"), ("cpu.fused", "cpu.fused")):
        _, gradients = run(cell, forward, arguments, backward_variant=backward)
        for got, want in zip(gradients, expected):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
    forward = lookup(f"{cell}_forward", dtype=np.float64)
    with use(**{f"{cell}_forward": "numpy"}):
        reference = lookup(f"{cell}_forward", dtype=np.float64)
    count, needs = 1 + states(cell), (True,) * len(arrays(arguments))
    rng = np.random.default_rng(3)  # as run() draws them
    gradients = [rng.normal(size=shape) for shape in [(3, 4, 3)] + [(4, 3)] * states(cell)]
    for results in (forward(*arguments.values()), reference(*arguments.values())):
        with threads.num_threads(1):  # the default backward, whoever ran forward
            back = lookup(f"{cell}_backward", dtype=np.float64)(
                *gradients, *arguments.values(), results[0], *results[count:], needs
            )
        for got, want in zip(back, expected):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_only_what_is_needed_comes_back_and_absent_gradients_are_zero(cell: str) -> None:
    arguments = small(cell)
    count = len(arrays(arguments))
    shapes = [(3, 4, 3)] + [(4, 3)] * states(cell)
    for variant in ("numpy", "cpu.fused"):
        for k in range(len(shapes)):
            rng = np.random.default_rng(k)
            value = rng.normal(size=shapes[k])
            absent = [value if j == k else None for j in range(len(shapes))]
            zeros = [value if j == k else np.zeros(shapes[j]) for j in range(len(shapes))]
            for needed in range(count):
                needs = tuple(j == needed for j in range(count))
                _, got = run(cell, variant, arguments, absent, needs)
                assert [g is not None for g in got] == list(needs)
                _, want = run(cell, variant, arguments, zeros)
                np.testing.assert_array_equal(got[needed], want[needed])


@pytest.mark.parametrize("variant", ["numpy", "cpu.fused"])
def test_errors_name_operation_variant_argument_and_shapes(variant: str) -> None:
    arguments = small("lstm")
    with use(lstm_forward=variant):
        forward = lookup("lstm_forward", dtype=np.float64)
    for name, wrong, message in (
        ("h0", np.zeros((4, 5)), r"h0 must have shape \(4, 3\), got \(4, 5\)"),
        ("w_ih", np.zeros((12, 9)), r"w_ih must have shape \(12, 2\), got \(12, 9\)"),
        ("w_hh", np.zeros((9, 3)), r"w_hh must have shape \(12, 3\), got \(9, 3\)"),
        ("b_hh", np.zeros(3), r"b_hh must have shape \(12,\), got \(3,\)"),
        ("c0", np.zeros((4, 3), np.float32), "c0 must be float64 as x is, got float32"),
        ("lengths", np.array([1, 2, 3, 4]), "lengths must lie between 0 and T = 3, got 1 to 4"),
        ("lengths", np.array([1, 2, 3]), r"lengths must have shape \(4,\), got \(3,\)"),
        ("x", np.zeros((3, 4)), "x must be an array of 3 dimensions"),
    ):
        with pytest.raises(KernelError, match=message) as caught:
            forward(*{**arguments, name: wrong}.values())
        assert (caught.value.op, caught.value.variant, caught.value.argument) == ("lstm_forward", variant, name)


def test_saved_gates_of_a_wrong_size_are_refused() -> None:
    arguments = small("gru")
    output, h_n, gates = lookup("gru_forward", dtype=np.float64)(*arguments.values())
    with use(gru_backward="cpu.fused"), pytest.raises(KernelError, match="gates must have shape"):
        lookup("gru_backward", dtype=np.float64)(
            None, None, *arguments.values(), output, gates[:, :, :2], (True,) * len(arrays(arguments))
        )


def test_costs() -> None:
    T, B, I, H = 64, 32, 88, 256
    assert spec.flops("lstm", T, B, I, H) == 2 * T * B * 4 * H * (I + H)
    assert spec.flops("gru", T, B, I, H, backward=True, needs_x=False) == 2 * T * B * 3 * H * (I + 2 * H)
    assert spec.bytes_moved("lstm", T, B, I, H) == 4 * (4 * H * (I + H + 2) + T * B * (I + 5 * H))
