"""Padding and packing: round trips, and the words of what is refused."""

import numpy as np
import pytest

import tinydl
from tinydl import nn
from tinydl.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)


def sequences(*lengths):
    rng = np.random.default_rng(0)
    return [tinydl.tensor(rng.standard_normal((n, 2)), requires_grad=True) for n in lengths]


def test_packing_and_unpacking_give_back_the_sequences_and_their_gradients():
    given = sequences(2, 5, 1, 5)
    back = unpack_sequence(pack_sequence(given, enforce_sorted=False))
    for one, other in zip(given, back, strict=True):
        np.testing.assert_array_equal(one.array, other.array)
    sum((k + 1) * (one * one).sum() for k, one in enumerate(back)).backward()
    for k, one in enumerate(given):
        np.testing.assert_allclose(one.grad.array, 2 * (k + 1) * one.array)


def test_the_order_of_equal_lengths_is_the_batchs():
    packed = pack_sequence(sequences(2, 3, 2, 3), enforce_sorted=False)
    assert packed.sorted_indices.tolist() == [1, 3, 0, 2]
    assert packed.unsorted_indices.tolist() == invert_permutation(packed.sorted_indices).tolist() == [2, 0, 3, 1]
    assert packed.batch_sizes.tolist() == [4, 4, 2]


def test_a_packed_sequence_prints_and_unpacks_as_a_tuple():
    packed = pack_sequence([tinydl.tensor([1, 2, 3]), tinydl.tensor([4, 5])])
    assert repr(packed) == (
        "PackedSequence(data=tensor([1, 4, 2, 5, 3]), batch_sizes=tensor([2, 2, 1]), sorted_indices=None, "
        "unsorted_indices=None)"
    )
    data, sizes, order, back = packed
    assert data is packed.data and sizes is packed.batch_sizes and order is back is None


def test_conversions_of_a_packed_sequence():
    packed = pack_sequence(sequences(3, 2))
    assert packed.double() is packed and packed.cpu() is packed and not packed.is_cuda
    narrow = packed.float()
    assert isinstance(narrow, PackedSequence) and narrow.data.dtype == np.float32
    assert narrow.batch_sizes is packed.batch_sizes
    assert packed.int().data.dtype == np.int32 and packed.long().data.dtype == np.int64


def test_padding_does_not_change_what_it_is_given():
    x = tinydl.tensor(np.arange(12.0).reshape(3, 2, 2))
    first, second = unpad_sequence(x, [1, 3])
    assert x.shape == (3, 2, 2) and first.shape == (1, 2)
    np.testing.assert_array_equal(second.array, x.array[:, 1])


z = tinydl.zeros


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pack_padded_sequence(z(5, 3, 2), [5, 3, 4]), RuntimeError, "must be sorted in decreasing order"),
        (lambda: pack_padded_sequence(z(5, 3, 2), [5, 3, 0]), RuntimeError, "has to be greater than 0"),
        (lambda: pack_padded_sequence(z(5, 3, 2), [6, 3, 1]), RuntimeError, "at most the 5 steps .* found 6"),
        (
            lambda: pack_padded_sequence(z(5, 3, 2), [5, 3]),
            RuntimeError,
            r"Expected `len\(lengths\)` to be equal to batch_size, but got 2 \(batch_size=3\)",
        ),
        (lambda: pack_padded_sequence(z(5), [4]), IndexError, "Dimension out of range"),
        (lambda: pack_padded_sequence(z(5, 0, 2), []), RuntimeError, "Cannot pack empty tensors"),
        (lambda: pack_padded_sequence(z(5, 2), [[4, 3]]), RuntimeError, "should be a 1D CPU int64 tensor, but got 2D"),
        (
            lambda: pad_packed_sequence(pack_padded_sequence(z(5, 3, 2), [4, 3, 1]), total_length=3),
            ValueError,
            "got total_length=3 and max sequence length being 4",
        ),
        (lambda: pad_sequence([]), RuntimeError, "received an empty list of sequences"),
        (lambda: pack_sequence([]), RuntimeError, "received an empty list of sequences"),
        (lambda: pad_sequence(5), RuntimeError, "Expected iterable for input sequences, but got arg of type"),
        (
            lambda: pad_sequence([z(2, 3), z(3, 4)]),
            RuntimeError,
            r"sequence 0 has shape \(2, 3\) and sequence 1 has \(3, 4\)",
        ),
        (lambda: pad_sequence([z(2)], padding_side="top"), RuntimeError, "one of left or right, but got top"),
        (lambda: pack_sequence([z(2), z(3)]), RuntimeError, "must be sorted in decreasing order"),
        (lambda: unpad_sequence(z(3, 2), [2]), ValueError, "expected 2 lengths, one for each sequence, but got 1"),
        (lambda: PackedSequence(z(3)), AssertionError, "Expected data to be a list or tuple of length 2"),
        (
            lambda: nn.GRU(3, 4)(pack_padded_sequence(z(5, 3, 2), [4, 3, 1])),
            RuntimeError,
            "must be equal to input_size. Expected 3, got 2",
        ),
        (lambda: nn.GRU(3, 4)(pack_padded_sequence(z(5, 3), [4, 3, 1])), RuntimeError, "must have 2 dimensions, got 1"),
        (
            lambda: nn.GRU(3, 4)(pack_padded_sequence(z(5, 3, 3), [4, 3, 1]), z(1, 2, 4)),
            RuntimeError,
            r"Expected hidden size \(1, 3, 4\), got \[1, 2, 4\]",
        ),
        (
            lambda: nn.GRU(3, 4)(pack_padded_sequence(z(5, 3, 3), [4, 3, 1]), lengths=[4, 3, 1]),
            ValueError,
            "a PackedSequence knows its lengths",
        ),
    ],
)
def test_errors_name_the_thing(call, error, message):
    with pytest.raises(error, match=message):
        call()
