"""The matrix products: every size at every width of register, bits, ownership, NaN, refusals.
(Each rung's results by its card: tests/lab.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinydl.kernels import KernelError, lookup, threads, use, vector
from tinydl.kernels.matmul import cpu, ir, spec
from tinydl.kernels.packing import memory_of

RUNGS = [rung.__name__.rpartition(".")[2] for rung in cpu.RUNGS]
REGISTERS = (64, 32, 16)  # bytes: AVX-512, AVX2, SSE and NEON


@pytest.fixture(autouse=True)
def never_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SERIAL", 0)  # the sizes are small, and several threads are to be tested


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several depths, spans and chunks in small matrices, and B packed whenever A has more than one block."""
    monkeypatch.setattr(ir, "DEPTH", 16)
    monkeypatch.setattr(ir, "SPAN", 16 * 192)
    monkeypatch.setattr(ir, "DIRECT", 0)


def close(got: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    want = a.astype(np.float64) @ b.astype(np.float64)
    assert got.shape == want.shape and got.dtype == a.dtype
    allowed = spec.TOLERANCE[a.dtype.name] * np.abs(want).max(initial=0.05)
    assert np.abs(got - want).max(initial=0) <= allowed


@pytest.mark.parametrize("size", REGISTERS)
@pytest.mark.parametrize("dtype", spec.FLOATS)
def test_every_width_of_register(size: int, dtype: Any) -> None:
    """The card's samples: ragged, skinny, empty, transposed, with gaps, running backwards."""
    for a, b in spec.samples(dtype):
        for count in {1, min(2, threads.max_threads())}:
            close(ir.product(a, b, count, size), a, b)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("size", REGISTERS)
@pytest.mark.parametrize("dtype", spec.FLOATS)
@pytest.mark.parametrize("layout", ["CC", "CF", "FC", "FF"])
def test_sizes_about_a_vector_a_tile_and_a_block(size: int, dtype: Any, layout: str) -> None:
    rng = np.random.default_rng(3)
    lanes, width = vector.lanes(dtype, size), vector.tile_width(size)
    wide, stack = lanes * width, vector.tile_rows(width, size)
    for M in (1, stack - 1, stack + 1, ir.ROWS + 1, 2 * ir.ROWS + stack):
        for N in (1, lanes - 1, lanes, lanes + 1, wide, wide + 1, 2 * wide - lanes, 4 * wide + 3):
            K = int(rng.integers(1, 50))
            a = np.asarray(rng.normal(size=(M, K)), dtype, order=layout[0])  # type: ignore[call-overload]
            b = np.asarray(rng.normal(size=(K, N)), dtype, order=layout[1])  # type: ignore[call-overload]
            close(ir.product(a, b, min(2, threads.max_threads()), size), a, b)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("columns", [16, 21])
def test_nothing_beside_the_matrices_is_read(rows: int, columns: int) -> None:
    """Matrices inside larger ones full of NaN, so that a number too far would show."""
    for order in "CF":
        outer = np.full((200, 200), np.nan, np.float32, order=order)  # type: ignore[call-overload]
        a, b = outer[3 : 3 + rows, 5:25], outer[40:60, 70 : 70 + columns]
        a[...], b[...] = 1, 2
        assert (ir.matmul(a, b) == 40).all()
        assert (ir.matmul(a[:, ::-1], b[::-1, ::-1]) == 40).all()


@pytest.mark.parametrize("dtype", spec.FLOATS)
def test_bits_depend_neither_on_threads_nor_on_the_other_rows(dtype: str) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(311, 901)).astype(dtype), rng.normal(size=(901, 343)).astype(dtype)
    results = []
    for count in range(1, threads.max_threads() + 1):
        with threads.num_threads(count):
            results += [ir.matmul(a, b), ir.matmul(a, b)]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    np.testing.assert_array_equal(results[0][40:90], ir.matmul(a[40:90], b))  # B is read in place for so few rows
    np.testing.assert_array_equal(results[0], ir.matmul(a, np.asfortranarray(b)))


@pytest.mark.usefixtures("small_blocks")
def test_bits_do_not_depend_on_how_columns_are_shared() -> None:
    """More threads than rows of tiles: the columns are cut."""
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(5, 90)).astype(np.float32), rng.normal(size=(90, 700)).astype(np.float32)
    size = vector.host_bytes()
    for count in range(2, threads.max_threads() + 1):
        np.testing.assert_array_equal(ir.product(a, b, 1, size), ir.product(a, b, count, size))


@pytest.mark.parametrize("rung", [*RUNGS, "blas", "numpy"])
def test_every_rung_is_computed_under_its_name(rung: str) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(9, 70)).astype(np.float32), rng.normal(size=(70, 21)).astype(np.float32)
    with use(matmul=rung):
        close(lookup("matmul")(a, b), a, b)


def test_results_are_the_callers_own() -> None:
    a = np.ones((100, 100), np.float32)
    first = ir.matmul(a, a)
    kept = first.copy()
    ir.matmul(2 * a, a)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("rows", [70, 700])  # B in place, and packed
def test_nan_and_infinity_pass_through(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ir, "DIRECT", 0)
    a, b = np.ones((rows, 80), np.float32), np.ones((80, 90), np.float32)
    a[3, 4], b[5, 6] = np.nan, np.inf
    c = ir.matmul(a, b)
    assert np.isnan(c[3]).all() and np.isinf(np.delete(c[:, 6], 3)).all()
    assert np.isfinite(np.delete(np.delete(c, 3, 0), 6, 1)).all()


def test_stacks_of_matrices_go_to_blas() -> None:
    a = np.ones((2, 3, 4), np.float32)
    assert lookup("matmul", args=(a, a.swapaxes(1, 2))) is spec.blas
    np.testing.assert_array_equal(lookup("matmul")(a, a.swapaxes(1, 2)), np.full((2, 3, 3), 4))


@pytest.mark.parametrize("variant", [*RUNGS, "numpy"])
def test_errors_name_the_argument_and_both_shapes(variant: str) -> None:
    a = np.ones((100, 100), np.float32)
    with use(matmul=variant):
        matmul = lookup("matmul")
    with pytest.raises(KernelError, match=r"\(100, 100\) and \(101, 100\)") as caught:
        matmul(a, np.ones((101, 100), np.float32))
    assert (caught.value.op, caught.value.variant, caught.value.argument) == ("matmul", variant, "b")
    with pytest.raises(KernelError, match="float32 and b float64"):
        matmul(a, a.astype(np.float64))


# ------------------------------------------------------------------------------------------------ where a matrix lies

X = np.arange(42.0).reshape(6, 7)


@pytest.mark.parametrize(
    "x",
    [X, X.T, X[::2, 1:4], X[::-1], X[:, ::-2], X[::-1, ::-1].T, np.broadcast_to(X[0], (3, 7)), X[2:3, 3:4],
     np.frombuffer(X.tobytes()).reshape(6, 7)],
)  # fmt: skip
def test_a_matrix_is_found_in_its_memory(x: np.ndarray) -> None:
    memory, place, row, column = memory_of(x)
    assert np.shares_memory(memory, x) and memory.flags.c_contiguous and memory.flags.writeable
    i, j = np.ogrid[: x.shape[0], : x.shape[1]]
    np.testing.assert_array_equal(memory[place + i * row + j * column], x)


def test_memory_that_is_not_made_of_whole_numbers_is_copied() -> None:
    table = np.zeros(5, np.dtype([("flag", "i1"), ("x", "f8", (3,))]))
    table["x"] = np.arange(15).reshape(5, 3)
    x = table["x"]
    memory, place, row, column = memory_of(x)
    assert memory.flags.aligned and (place, row, column) == (0, 3, 1)
    np.testing.assert_array_equal(memory.reshape(5, 3), x)
    np.testing.assert_allclose(ir.matmul(x, x.T), np.array(x) @ np.array(x).T)
