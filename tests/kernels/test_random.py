"""Philox: the published vectors, and every variant against the NumPy definition, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tinydl.kernels import variants
from tinydl.kernels.random import spec

OPS = {"random_bits": np.uint32, "random_uniform_float32": np.float32, "random_uniform_float64": np.float64}

# Random123, kat_vectors: philox4x32, 10 rounds (counter words, key words, result words).
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers_of_random123(counter: str, key: str, expected: str) -> None:
    c0, c1, c2, c3 = (np.array([word], np.uint64) for word in words(counter))
    k0, k1 = words(key)
    assert spec._rounds((c0, c1, c2, c3), (k0, k1))[0].tolist() == words(expected)


def test_every_variant_gives_the_known_answers_for_counters_of_its_own() -> None:
    blocks = [spec._rounds(tuple(np.array([n], np.uint64) for n in (b, 0, 0, 0)), (0, 0))[0] for b in (0, 9)]
    assert blocks[0].tolist() == words(KNOWN_ANSWERS[0][2])
    for variant in variants("random_bits"):
        drawn = variant.function(0, 0, 40)
        assert drawn[:4].tolist() == blocks[0].tolist(), variant.name
        assert drawn[36:].tolist() == blocks[1].tolist(), variant.name


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("args", list(spec.samples()), ids=str)
def test_variants_agree_bit_for_bit(op: str, args: tuple[int, int, int]) -> None:
    expected = getattr(spec, op)(*args)
    assert expected.shape == (args[2],)
    assert expected.dtype == OPS[op]
    others = [variant for variant in variants(op) if variant.name != "numpy"]
    assert others
    for variant in others:
        drawn = variant.function(*args)
        assert drawn.dtype == OPS[op]
        np.testing.assert_array_equal(drawn, expected, err_msg=variant.name)


def test_uniforms_follow_from_the_bits() -> None:
    bits = spec.random_bits(77, 5, 64)
    np.testing.assert_array_equal(spec.random_uniform_float32(77, 5, 64), [float(int(w) >> 8) / 2**24 for w in bits])
    doubles = [((int(bits[2 * i + 1]) << 32 | int(bits[2 * i])) >> 11) / 2**53 for i in range(32)]
    np.testing.assert_array_equal(spec.random_uniform_float64(77, 5, 32), doubles)


def test_a_small_draw_does_not_wait_for_numba() -> None:
    program = (
        "import sys\nfrom tinydl.random import Generator\n"
        "g = Generator(3)\ng.random(100), g.normal((7, 3)), g.integers(0, 9, 5), g.permutation(50)\n"
        "assert 'numba' not in sys.modules, 'numba was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
