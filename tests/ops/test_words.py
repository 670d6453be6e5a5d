"""Mistakes in shapes, places and matrices: each raises at once, in PyTorch's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.nn import functional as F

A, B, V = tinydl.ones(2, 3), tinydl.ones(3, 4), tinydl.ones(3)
I = tinydl.tensor([0, 1])
SINGULAR = tinydl.tensor([[1.0, 2.0], [2.0, 4.0]])
X4 = tinydl.ones(1, 2, 3, 4)
X, W3, S = tinydl.ones(1, 2, 3), tinydl.ones(3, 1, 1), tinydl.ones(3, 3)

MISTAKES: list[tuple[type[Exception], str, Callable[[], Any]]] = [
    (RuntimeError, "shape '[4]' is invalid for input of size 6", lambda: A.reshape(4)),
    (RuntimeError, "only one dimension can be inferred", lambda: A.reshape(-1, -1)),
    (RuntimeError, "invalid shape dimension -3 at index 0", lambda: A.reshape(-3, 2)),
    (RuntimeError, "can be any value and is ambiguous", lambda: tinydl.ones(0, 3).reshape(0, -1)),
    (RuntimeError, "view size is not compatible", lambda: A.t().view(6)),
    (RuntimeError, "start_dim cannot come after end_dim", lambda: A.flatten(1, 0)),
    (RuntimeError, "don't multiply up to the size of dim 1 (3)", lambda: A.unflatten(1, (2, 2))),
    (RuntimeError, "input.dim() = 2 is not equal to len(dims) = 3", lambda: A.permute(0, 1, 2)),
    (RuntimeError, "dim 0 appears multiple times", lambda: A.permute(0, 0)),
    (IndexError, "expected to be in range of [-2, 1], but got 2", lambda: A.transpose(0, 2)),
    (IndexError, "expected to be in range of [-3, 2], but got 3", lambda: A.unsqueeze(3)),
    (IndexError, "expected to be in range of [-2, 1], but got -3", lambda: A.squeeze(-3)),
    (TypeError, "dim must be an integer", lambda: A.unsqueeze(0.0)),
    (RuntimeError, "t() expects a tensor with <= 2 dimensions, but self is 4D", lambda: X4.t()),
    (RuntimeError, "must match the existing size (3) at non-singleton dimension 1", lambda: A.expand(2, 4)),
    (RuntimeError, "(3) must match the existing size (2) at non-singleton dimension 0", lambda: A.expand(3, 3)),
    (RuntimeError, "must be greater or equal to the number of dimensions", lambda: A.expand(3)),
    (TypeError, "sum() has no out=; write the result with target.copy_(sum(...))", lambda: tinydl.sum(A, out=A)),
    (TypeError, "mean() has no out=", lambda: tinydl.mean(A, out=A)),
    (TypeError, "prod() has no out=", lambda: tinydl.prod(A, out=A)),
    (TypeError, "max() has no out=", lambda: tinydl.max(A, out=A)),
    (TypeError, "min() has no out=", lambda: tinydl.min(A, out=A)),
    (RuntimeError, "addmm: expected one dtype, but self is float64", lambda: tinydl.addmm(V.double(), A, A.t() @ A)),
    (RuntimeError, "size of the tensor [2, 4] must match the existing size [2, 3]", lambda: tinydl.addmm(A, A, B)),
    (RuntimeError, "unflatten: only one dimension can be inferred", lambda: V.unflatten(0, (-1, -1))),
    (RuntimeError, "as_strided: sizes must not be negative, but got [-1]", lambda: V.as_strided((-1,), (0,))),
    (RuntimeError, "as_strided: invalid storage offset -1", lambda: V.as_strided((0,), (1,), -1)),
    (RuntimeError, "stride should be greater than zero, but got stride=(1, 0)", lambda: F.unfold(X4, 1, stride=(1, 0))),
    (RuntimeError, "padding should be non-negative, but got padding=(0, -1)", lambda: F.unfold(X4, 1, padding=(0, -1))),
    (IndexError, "tensor has no dimensions", lambda: tinydl.ones(()).repeat_interleave(2, 0)),
    (IndexError, "index 3 is out of bounds for dimension 0 with size 3", lambda: V.index_add(0, I * 3, V[:2])),
    (IndexError, "index 3 is out of bounds for dimension 0 with size 3", lambda: V.index_copy(0, I * 3, V[:2])),
    (IndexError, "index -4 is out of bounds for dimension 0 with size 3", lambda: V.index_fill(0, I * -4, 1.0)),
    (IndexError, "index 7 is out of bounds for dimension 0 with size 3", lambda: V.put(I * 7, V[:2])),
    (IndexError, "index -4 is out of bounds for dimension 0 with size 3", lambda: V.put(I * -4, V[:2])),
    (RuntimeError, "the order 'fro' is one of matrices", lambda: tinydl.linalg.norm(V, "fro")),
    (RuntimeError, "The size of tensor a (3) must match the size of tensor b (2) at", lambda: V.lerp(V, V[:2])),
    (RuntimeError, "The size of tensor a (3) must match the size of tensor b (2) at", lambda: V.isclose(V[:2])),
    (IndexError, "Dimension specified as -1 but tensor has no", lambda: tinydl.fft.rfft(tinydl.ones(()))),
    (RuntimeError, "width to be divisible by downscale_factor, but input.size(-1)=3", lambda: F.pixel_unshuffle(X, 2)),
    (RuntimeError, "aminmax(): Expected reduction dim to be specified", lambda: tinydl.aminmax(tinydl.ones(0))),
    (IndexError, "aminmax(): Expected reduction dim 0 to have non-zero size", lambda: tinydl.aminmax(A[:0], dim=0)),
    (IndexError, "index_add(): index -1 is out of bounds for dimension 0", lambda: V.index_add(0, -I, V[:2])),
    (IndexError, "index_copy(): index -1 is out of bounds for dimension 0", lambda: V.index_copy(0, -I, V[:2])),
    (
        RuntimeError, "tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1; the shapes are "
        "(2, 3) and (3, 4)", lambda: A + B,
    ),
    (RuntimeError, "tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0", lambda: A * S),
    (
        RuntimeError, "mul: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1; "
        "the shapes are (3,) and (3, 4)", lambda: V * B,
    ),
    (RuntimeError, "tensor a (4) must match the size of tensor b (3) at non-singleton dimension 3", lambda: X4 - V),
    (RuntimeError, "tensor a (2) must match the size of tensor b (3) at non-singleton dimension 1", lambda: X4 / W3),
    (RuntimeError, "range of [-inf, 1.0] is not finite", lambda: V.histc(3, -float("inf"), 1.0)),
    (RuntimeError, "range of [0.0, inf] is not finite", lambda: V.histc(3, 0.0, float("inf"))),
    (RuntimeError, "cov(): aweights cannot be negative", lambda: tinydl.cov(A, aweights=-V)),
    (RuntimeError, "cov(): weights sum to zero, can't be normalized", lambda: tinydl.cov(A, aweights=0 * V)),
    (RuntimeError, "dim is specified, it must be of length 1 or 2", lambda: tinydl.linalg.norm(X4, dim=(0, 1, 2))),
    (RuntimeError, "isn't allowed in a leading, non-existing dimension 0", lambda: A.expand(-1, 2, 3)),
    (RuntimeError, "objects cannot be broadcast to a single shape", lambda: tinydl.broadcast_tensors(A, B)),
    (RuntimeError, "repeat dims can not be smaller than number of dimensions", lambda: A.repeat(2)),
    (RuntimeError, "repeats must have the same size as input along dim", lambda: V.repeat_interleave(I, 0)),
    (RuntimeError, "repeats can not be negative", lambda: V.repeat_interleave(-1)),
    (RuntimeError, "Expected shape [2, 3] but got [3, 4] for tensor number 1", lambda: tinydl.cat([A, B])),
    (RuntimeError, "expected a non-empty list of Tensors", lambda: tinydl.cat([])),
    (RuntimeError, "zero-dimensional tensor (at position 0)", lambda: tinydl.cat([tinydl.ones(())])),
    (RuntimeError, "equal size, but got [2, 3] at entry 0 and [3, 4] at entry 1", lambda: tinydl.stack([A, B])),
    (IndexError, "Dimension out of range", lambda: tinydl.cat([A, A], 2)),
    (RuntimeError, "sum exactly to 3", lambda: A.split([1, 1], 1)),
    (RuntimeError, "split_size be non-negative", lambda: A.split(-1)),
    (RuntimeError, "`chunks` to be greater than 0", lambda: A.chunk(0)),
    (RuntimeError, "number of sections must be larger than 0", lambda: A.tensor_split(0)),
    (RuntimeError, "is not divisible by the split_size 2", lambda: A.hsplit(2)),
    (IndexError, "index 5 out of range for tensor of size [2, 3] at dimension 0", lambda: A.select(0, 5)),
    (RuntimeError, "start (1) + length (2) exceeds dimension size (2)", lambda: A.narrow(0, 1, 2)),
    (RuntimeError, "diagonal dimensions cannot be identical", lambda: A.diagonal(0, 1, 1)),
    (RuntimeError, "maximum size for tensor at dimension 0 is 3 but size is 4", lambda: V.unfold(0, 4, 1)),
    (RuntimeError, "shifts and dimensions must align", lambda: A.roll((1, 2), 0)),
    (RuntimeError, "at least 2 dimensions", lambda: V.tril()),
    (RuntimeError, "Padding length must be divisible by 2", lambda: F.pad(A, (1,))),
    (RuntimeError, "resulted in a negative output size", lambda: F.pad(A, (-2, -2))),
    (RuntimeError, "less than the corresponding input dimension", lambda: F.pad(X4, (4, 0, 0, 0), mode="reflect")),
    (RuntimeError, "wrapping around more than once", lambda: F.pad(X4[0], (5, 0), mode="circular")),
    (NotImplementedError, "Only 2D, 3D, 4D, 5D padding", lambda: F.pad(X4, (1, 1), mode="reflect")),
    (NotImplementedError, "Unrecognised padding mode", lambda: F.pad(X4, (1, 1), mode="mirror")),
    (RuntimeError, "its components must be at least one", lambda: F.unfold(X4, 5)),
    (
        RuntimeError, "number of sliding blocks 2 * 3 = 6, but got input.size(2)=5",
        lambda: F.fold(tinydl.ones(1, 4, 5), (3, 4), 2),
    ),
    (RuntimeError, "not divisible by 4", lambda: F.pixel_shuffle(X4, 2)),
    (IndexError, "too many indices for tensor of dimension 2", lambda: A[0, 0, 0]),
    (IndexError, "index 2 is out of bounds for dimension 0 with size 2", lambda: A[2]),
    (IndexError, "index -4 is out of bounds for dimension 1 with size 3", lambda: A[:, tinydl.tensor([0, -4])]),
    (IndexError, "The shape of the mask [3] at index 0 does not match", lambda: A[tinydl.tensor([True] * 3)]),
    (IndexError, "must be long, int, byte or bool tensors", lambda: A[V]),
    (IndexError, "could not be broadcast together with shapes [2], [3]", lambda: A[I, tinydl.tensor([0, 1, 2])]),
    (ValueError, "step must be greater than zero", lambda: A[::-1]),
    (IndexError, "only integers, slices", lambda: A["a"]),
    (RuntimeError, "shape mismatch: value tensor of shape [3, 4]", lambda: A.clone().__setitem__(0, B)),
    (RuntimeError, "index 3 is out of bounds for dimension 1 with size 3", lambda: A.gather(1, tinydl.tensor([[3]]))),
    (RuntimeError, "Index tensor must have the same number of dimensions as input", lambda: A.gather(1, I)),
    (RuntimeError, "Size does not match at dimension 0", lambda: A.gather(1, tinydl.zeros(3, 1, dtype=tinydl.int64))),
    (RuntimeError, "Expected dtype int64 for index", lambda: A.gather(0, A)),
    (RuntimeError, "index -1 is out of bounds for dimension 0", lambda: V.scatter(0, tinydl.tensor([-1]), 1.0)),
    (RuntimeError, "Expected self.dtype to be equal to src.dtype", lambda: V.scatter_add(0, I, I)),
    (RuntimeError, "either sum, prod, mean, amax or amin", lambda: V.scatter_reduce(0, I, V[:2], "max")),
    (IndexError, "index 2 is out of bounds for dimension 0 with size 2", lambda: A.index_select(0, tinydl.tensor([2]))),
    (RuntimeError, "excluding the specified dimension", lambda: A.index_add(0, I, B)),
    (IndexError, "tried to access index 6", lambda: A.take(tinydl.tensor([6]))),
    (RuntimeError, "only supports boolean masks", lambda: A.masked_fill(I, 0)),
    (RuntimeError, "source has 1 elements", lambda: A.masked_scatter(A > 0, V[:1])),
    (RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", lambda: A @ A),
    (RuntimeError, "mm: both arguments must be matrices", lambda: tinydl.mm(A, V)),
    (RuntimeError, "two 3D tensors of one batch size", lambda: tinydl.bmm(A, A)),
    (RuntimeError, "contracted dimensions need to match", lambda: tinydl.tensordot(A, A, 1)),
    (RuntimeError, "fewer operands were provided", lambda: tinydl.einsum("ij,jk->ik", A)),
    (RuntimeError, "more operands were provided", lambda: tinydl.einsum("ij", A, B)),
    (RuntimeError, "does not match the number of dimensions (2)", lambda: tinydl.einsum("ijk->i", A)),
    (RuntimeError, "output subscript k does not appear", lambda: tinydl.einsum("ij->k", A)),
    (RuntimeError, "appears more than once in the output", lambda: tinydl.einsum("ij->ii", A)),
    (RuntimeError, "does not broadcast with previously seen size 3", lambda: tinydl.einsum("ij,jk", A, A)),
    (RuntimeError, "invalid subscript", lambda: tinydl.einsum("i1->i", A)),
    (RuntimeError, "batches of square matrices, but they are 2 by 3", lambda: tinydl.linalg.inv(A)),
    (RuntimeError, "the input matrix is singular", lambda: tinydl.linalg.inv(SINGULAR)),
    (
        RuntimeError, "The solver failed because the input matrix is singular",
        lambda: tinydl.linalg.solve(SINGULAR, I.float()),
    ),
    (RuntimeError, "(Batch element 1): ", lambda: tinydl.inverse(tinydl.stack([tinydl.eye(2), SINGULAR]))),
    (RuntimeError, "the input is not positive-definite", lambda: tinydl.linalg.cholesky(-tinydl.eye(2))),
    (RuntimeError, "Expected a floating point", lambda: tinydl.det(tinydl.ones(2, 2, dtype=tinydl.int64))),
    (RuntimeError, "Order 3 not supported", lambda: tinydl.linalg.matrix_norm(A, 3)),
    (RuntimeError, "no dimension of size 3 in input", lambda: tinydl.cross(tinydl.ones(2), tinydl.ones(2))),
    (RuntimeError, "the same number of columns. X1: 3 X2: 4", lambda: tinydl.cdist(A, B)),
    (RuntimeError, "Invalid number of data points (0)", lambda: tinydl.fft.rfft(A, n=0)),
    (RuntimeError, "(real, imaginary) in a last dimension of size 2", lambda: tinydl.fft.irfft(A)),
    (RuntimeError, 'Invalid normalization mode: "odd"', lambda: tinydl.fft.rfft(A, norm="odd")),
    (RuntimeError, "tinydl has no complex dtype", lambda: tinydl.stft(V, 2, return_complex=True)),
    (RuntimeError, "expected hop_length > 0", lambda: tinydl.stft(V, 2, hop_length=0)),
    (RuntimeError, "window overlap add min", lambda: tinydl.istft(tinydl.ones(3, 3, 2), 4, window=tinydl.zeros(4))),
    (RuntimeError, "expects floating point dtypes", lambda: tinydl.hann_window(3, dtype=tinydl.int64)),
    (RuntimeError, "more than one element of the written-to tensor", lambda: V.expand(2, 3).add_(1)),
    (RuntimeError, "a leaf Variable that requires grad", lambda: tinydl.ones(2, 2, requires_grad=True).t_()),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "words", "call"), MISTAKES, ids=[words for _, words, _ in MISTAKES])
def test_the_words(kind: type[Exception], words: str, call: Callable[[], Any]) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        call()


def test_a_failed_assignment_changes_nothing() -> None:
    x = tinydl.arange(6).reshape(2, 3)
    before = x.array.copy()
    for index, value in (((0, 7), 1), ((slice(None), I), tinydl.ones(5)), (tinydl.tensor([0, 9]), 1)):
        with pytest.raises((IndexError, RuntimeError)):
            x[index] = value
    np.testing.assert_array_equal(x.array, before)


def test_additions_at_one_place_are_made_in_order() -> None:
    """Every time the same bits, and those of a loop."""
    rng = np.random.default_rng(0)
    at, values = rng.integers(0, 7, 1000), rng.standard_normal((1000, 3)).astype(np.float32)
    expected = np.zeros((7, 3), np.float32)
    for i, v in zip(at, values):
        expected[i] += v
    index = tinydl.tensor(np.repeat(at[:, None], 3, 1))
    for _ in range(3):
        got = tinydl.zeros(7, 3).scatter_add(0, index, tinydl.tensor(values))
        np.testing.assert_array_equal(got.array, expected)
    first = tinydl.zeros(7, 3).index_add(0, tinydl.tensor(at), tinydl.tensor(values))
    again = tinydl.zeros(7, 3).index_add(0, tinydl.tensor(at), tinydl.tensor(values))
    np.testing.assert_array_equal(first.array, again.array)
    np.testing.assert_allclose(first.array, expected, rtol=1e-4, atol=1e-5)


def test_a_shape_changed_in_place_keeps_memory_and_gradient() -> None:
    x = tinydl.ones(2, 3)
    view = x[0]
    x.t_()
    view.fill_(5.0)
    assert x.shape == (3, 2) and (x.array[:, 0] == 5).all()
    leaf = tinydl.ones(2, 3, requires_grad=True)
    y = leaf * 2
    y.retain_grad()
    y.unsqueeze_(0).transpose_(1, 2)
    (y * y).sum().backward()
    assert y.grad.shape == (1, 3, 2) and leaf.grad.shape == (2, 3)
    np.testing.assert_array_equal(leaf.grad.array, 8.0)


def test_an_equation_of_three_is_contracted_from_left_to_right() -> None:
    """So the bits are those of the two products written out."""
    rng = np.random.default_rng(1)
    a, b, c = (tinydl.tensor(rng.standard_normal(s).astype(np.float32)) for s in ((4, 5), (5, 6), (6, 3)))
    np.testing.assert_array_equal(tinydl.einsum("ij,jk,kl->il", a, b, c).array, ((a @ b) @ c).array)


def test_windows_that_cover_give_the_signal_back() -> None:
    x = tinydl.tensor(np.random.default_rng(2).standard_normal(50))
    for n_fft, hop in ((8, 2), (9, 3)):
        w = tinydl.hann_window(n_fft, dtype=tinydl.float64)
        again = tinydl.istft(tinydl.stft(x, n_fft, hop, window=w), n_fft, hop, window=w, length=50)
        covered = 48 // hop * hop
        np.testing.assert_allclose(again.array[:covered], x.array[:covered], atol=1e-12)
