"""How the CUDA rungs of Gibbs sampling are launched.

    1_fused.cu    a layer in one launch: units are drawn where their sums are made
    2_chains.cu   all steps in one launch, W in shared memory

Arrays that are not contiguous are copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.kernels.gpu import Arguments, Call, CudaKernel, Empty, declare
from tinydl.kernels.rbm.spec import blocks

FOLDER = Path(__file__).parent / "cuda"
DTYPES = ("float32", "float64")
THREADS = 256
CHAINS = 4  # of a block of the second rung
SHARED = 96 * 1024  # what W and the units of a block's chains may take there


def _whole(*arrays: Any) -> list[Any]:
    """Contiguous arrays of the same numbers."""
    return [a if a.flags.c_contiguous else a.copy(order="C") for a in arrays]


def _fused(
    empty: Empty, v: Any, weight: Any, b: Any, c: Any, key: int, counter: int, steps: int
) -> tuple[list[Call], tuple[Any, ...]]:
    v, weight, b, c = _whole(v, weight, b, c)
    (N, D), H, dtype = v.shape, len(weight), v.dtype
    given, drawn, mean, h = v, empty((N, D), dtype), empty((N, D), dtype), empty((N, H), dtype)
    calls: list[Call] = []
    for step in range(steps):
        last = mean if step == steps - 1 else None
        for name, source, bias, units, means, U, K in (
            ("hidden", given, c, h, None, H, D), ("visible", h, b, drawn, last, D, H)
        ):  # fmt: skip
            count = -(-N // 32) * -(-U // 64)
            args = source, weight, bias, units, means, N, U, K, key, counter % 2**64
            calls += [Call(f"{name}_{dtype.name}", (count,), (THREADS,), args)] if count else []
            counter += blocks(N, 0, U, 1)
        given = drawn
    return calls, (drawn, mean, h)


def _shared(v: Any, weight: Any) -> int:
    """Bytes of W, its rows padded, and of the units of four chains."""
    H, D = weight.shape
    return int((H * (D | 1) + CHAINS * (H + D)) * v.dtype.itemsize)


def _chains(
    empty: Empty, v: Any, weight: Any, b: Any, c: Any, key: int, counter: int, steps: int
) -> tuple[list[Call], tuple[Any, ...]]:
    v, weight, b, c = _whole(v, weight, b, c)
    (N, D), H, dtype = v.shape, len(weight), v.dtype
    results = empty((N, D), dtype), empty((N, D), dtype), empty((N, H), dtype)
    args = v, weight, b, c, *results, N, D, H, steps, key, counter % 2**64
    call = Call(f"chains_{dtype.name}", (-(-N // CHAINS),), (THREADS,), args, shared=_shared(v, weight))
    return [call] if N else [], results


def _fits(v: Any, weight: Any, b: Any, c: Any, key: int, counter: int, steps: int) -> bool:
    """Whether W has room in the shared memory of a block."""
    return _shared(v, weight) <= SHARED


def samples(dtype: Any) -> Iterator[Arguments]:
    """No chain, no units, one; whole tiles of chains and of units, and more; random blocks that are not whole, a
    counter and a key of all bits, a counter that wraps; two steps, from numbers between 0 and 1, which show most."""
    rng = np.random.default_rng(0)
    last = 2**64 - 3
    for N, D, H, key, counter, steps in (
        (0, 3, 4, 1, 0, 1), (3, 0, 5, 1, 0, 2), (3, 5, 0, 1, 0, 1), (1, 1, 1, 1, 0, 3), (2, 3, 5, 2, last, 1),
        (2, 2, 258, 2**64 - 1, 5, 1), (2, 260, 3, 3, 5, 1), (64, 128, 2, 4, 2**32 - 5, 1), (7, 34, 66, 5, 9, 2),
    ):  # fmt: skip
        weight = (rng.standard_normal((H, D)) / np.sqrt(max(D, 1))).astype(dtype)
        b, c = (rng.standard_normal((N, units)).astype(dtype) for units in (D, H))
        yield rng.random((N, D)).astype(dtype), np.asfortranarray(weight), b, c, key, counter, steps


FUSED = declare(CudaKernel("gibbs", "cuda.fused", FOLDER / "1_fused.cu", DTYPES, _fused, samples))
CHAIN = declare(CudaKernel("gibbs", "cuda.chains", FOLDER / "2_chains.cu", DTYPES, _chains, samples, _fits))
