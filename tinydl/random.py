"""Random numbers: counter-based, so that the same seed gives the same music on any number of threads.

A :class:`Generator` is a 64-bit key and a 64-bit counter of Philox4x32-10 blocks (Salmon et al., SC 2011; see
``tinydl.kernels.random``). A draw of ``n`` numbers reads the blocks from the counter on, each number from a place
fixed by its index, and moves the counter past them:

================================  =====================================
draw of ``n`` numbers             counters eaten
================================  =====================================
``random``, ``normal`` float32    ``ceil(n / 4)``
``random``, ``normal`` float64    ``ceil(n / 2)``
``integers``                      ``ceil(n / 2)``, retries included
``permutation(n)``                ``ceil(n / 2)``
``bernoulli``                     as ``random`` of the dtype of ``p``
``categorical`` of ``n`` rows     ``ceil(n / 2)``
================================  =====================================

The numbers depend on the key, the counter and ``n`` alone: never on threads, nor on which kernel ran. Integers and
uniforms are the same bits everywhere; normals pass through the machine's ``log``, ``sin`` and ``cos`` (2 ulp).
PyTorch's generators give other numbers for the same seed.
"""

from __future__ import annotations

import hashlib
import math
import operator
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tinydl.kernels import lookup
from tinydl.kernels.random.spec import pairs, philox4x32

if TYPE_CHECKING:
    from tinydl.tensor import Tensor

Shape: TypeAlias = "int | Sequence[int]"

_WORD64 = 2**64
_BOX_MULLER_SLAB = 1 << 14


def _shape(shape: Shape) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    sizes = tuple(operator.index(size) for size in sizes)
    if any(size < 0 for size in sizes):
        raise RuntimeError(f"a random draw of shape {sizes} has a negative size: give sizes of 0 or more")
    return sizes


def _floating(dtype: DTypeLike) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"random numbers come in float32 and float64, not {dtype}: draw one of these and convert")
    return dtype


class Generator:
    """A stream of random numbers: ``Generator(seed)``.

    ``seed`` is any integer, taken modulo 2**64; it *is* the Philox key. Streams with different keys are independent.
    A generator may be shared between threads: draws never overlap, though their order is then the scheduler's.
    """

    __slots__ = ("_counter", "_key", "_lock")

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of ``seed`` from its beginning; returns the generator itself."""
        try:
            self._key = operator.index(seed) % _WORD64
        except TypeError:
            raise TypeError(f"a seed is an integer, not {type(seed).__name__} {seed!r}") from None
        self._counter = 0
        return self

    def initial_seed(self) -> int:
        """The seed (modulo 2**64) that started this stream."""
        return self._key

    def fork(self, name: str) -> Generator:
        """A new stream of its own, derived from this one's key and ``name`` alone (the counter plays no part).

        So ``Generator(7).fork("dropout")`` is the same stream whenever it is asked for, in any process, and forks
        with different names, or of generators with different keys, are independent. The new key is the first 8 bytes
        (little-endian) of BLAKE2b over the old key's 8 bytes followed by the UTF-8 name.
        """
        digest = hashlib.blake2b(self._key.to_bytes(8, "little") + name.encode(), digest_size=8).digest()
        return Generator(int.from_bytes(digest, "little"))

    def state(self) -> dict[str, int]:
        """``{"key": ..., "counter": ...}``: plain integers in [0, 2**64), fit for JSON."""
        return {"key": self._key, "counter": self._counter}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go to where :meth:`state` was taken. Raises ValueError when ``state`` is not such a dictionary."""
        if set(state) != {"key", "counter"} or not all(
            isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _WORD64 for value in state.values()
        ):
            raise ValueError(f"a generator's state is a key and a counter, integers in [0, 2**64), not {state!r}")
        self._key, self._counter = state["key"], state["counter"]

    def __repr__(self) -> str:
        return f"Generator(key={self._key}, counter={self._counter})"

    def __getstate__(self) -> dict[str, int]:
        return self.state()

    def __setstate__(self, state: dict[str, int]) -> None:
        self._lock = threading.Lock()
        self.set_state(state)

    def _take(self, blocks: int) -> int:
        """Reserve ``blocks`` counters and return the first."""
        with self._lock:
            first = self._counter
            self._counter = (first + blocks) % _WORD64
        return first

    def random(self, shape: Shape = (), dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Uniforms in [0, 1): float32 on the multiples of 2**-24, float64 on those of 2**-53."""
        shape, dtype = _shape(shape), _floating(dtype)
        count = math.prod(shape)
        uniform = lookup(f"random_uniform_{dtype.name}", device="cpu", dtype=dtype)
        values: NDArray[Any] = uniform(self._key, self._take(-(-count * dtype.itemsize // 16)), count)
        return values.reshape(shape)

    def normal(self, shape: Shape = (), dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Standard normals by Box and Muller (Ann. Math. Stat. 29, 1958).

        Numbers 2i and 2i + 1 come from uniforms ``u`` in (0, 1] and ``v`` in [0, 1)::

            z_2i = sqrt(-2 ln u) cos(2 pi v)        z_2i+1 = sqrt(-2 ln u) sin(2 pi v)

        in float64 arithmetic, rounded to ``dtype`` at the end. ``u`` and ``v`` have 32 bits each for float32
        (``|z| <= 6.66``) and 53 for float64 (``|z| <= 8.57``).
        """
        shape, dtype = _shape(shape), _floating(dtype)
        count = math.prod(shape)
        couples = -(-count // 2)
        first = self._take(-(-count * dtype.itemsize // 16))
        if dtype == np.float32:
            bits = self._bits(first, 2 * couples)
            unit = 2.0**-32
        else:
            bits = pairs(self._bits(first, 4 * couples)) >> np.uint64(11)
            unit = 2.0**-53
        normals = np.empty((couples, 2), dtype)
        for start in range(0, couples, _BOX_MULLER_SLAB):  # a slab at a time, so that temporaries stay in cache
            slab = bits[2 * start : 2 * (start + _BOX_MULLER_SLAB)].astype(np.float64)
            radius = np.sqrt(-2.0 * np.log((slab[0::2] + 1.0) * unit))
            angle = slab[1::2] * (2.0 * math.pi * unit)
            normals[start : start + _BOX_MULLER_SLAB, 0] = radius * np.cos(angle)
            normals[start : start + _BOX_MULLER_SLAB, 1] = radius * np.sin(angle)
        return normals.reshape(-1)[:count].reshape(shape)

    def integers(self, low: int, high: int, shape: Shape = ()) -> NDArray[np.int64]:
        """Integers, uniform on ``low <= x < high`` without bias: int64. Raises ValueError when the range is empty.

        A 64-bit draw ``u`` is taken when it lies below the largest multiple of ``high - low`` in 2**64, and gives
        ``low + u mod (high - low)``; else the same block is asked again under the next retry number (the third
        word of the Philox counter), so that a draw eats the same counters whatever is rejected.
        """
        low, high, shape = operator.index(low), operator.index(high), _shape(shape)
        if not -(2**63) <= low < high <= 2**63:
            raise ValueError(f"integers from {low} to {high}: give -2**63 <= low < high <= 2**63")
        span, count = high - low, math.prod(shape)
        limit = _WORD64 - _WORD64 % span  # accepted draws are below it
        first = self._take(-(-count // 2))
        draws = pairs(self._bits(first, 2 * count))
        retry = 0
        while limit < _WORD64:
            (rejected,) = np.nonzero(draws >= np.uint64(limit))
            if not len(rejected):
                break
            retry += 1
            blocks = (np.uint64(first) + (rejected // 2).astype(np.uint64)).astype(np.uint64)
            redrawn = pairs(philox4x32(blocks, self._key, retry).reshape(-1)).reshape(-1, 2)
            draws[rejected] = redrawn[np.arange(len(rejected)), rejected % 2]
        offsets = draws if span == _WORD64 else draws % np.uint64(span)
        # The sum is taken modulo 2**64: two's complement brings negative `low` out right.
        return (offsets + np.uint64(low % _WORD64)).view(np.int64).reshape(shape)

    def permutation(self, n: int) -> NDArray[np.int64]:
        """A random order of 0 ... n-1, int64 [n]: the stable argsort of ``n`` 64-bit draws.

        Two draws tie with probability below ``n**2 / 2**65``, and then keep their order.
        """
        (n,) = _shape(n)
        draws = pairs(self._bits(self._take(-(-n // 2)), 2 * n))
        return np.argsort(draws, kind="stable").astype(np.int64, copy=False)

    def bernoulli(self, p: ArrayLike, shape: Shape | None = None) -> NDArray[np.bool_]:
        """``uniform < p``: True with probability ``p``; bool of the shape of ``p``, or ``shape``.

        The uniforms have the dtype of ``p``; a Python number counts as float32, whose grid is 2**-24.
        Raises RuntimeError when a probability is outside [0, 1] or NaN.
        """
        chances = np.asarray(p)
        if chances.dtype != np.float64 or type(p) is float:
            chances = chances.astype(np.float32)
        if shape is not None:
            chances = np.broadcast_to(chances, _shape(shape))
        if not np.all((chances >= 0) & (chances <= 1)):
            raise RuntimeError("bernoulli expects every probability p to be in [0, 1]: clamp or normalise it first")
        uniforms = self.random(chances.shape, chances.dtype)
        drawn: NDArray[np.bool_] = np.asarray(uniforms < chances)
        return drawn

    def categorical(self, probs: ArrayLike) -> NDArray[np.int64]:
        """One index per row of weights ``probs`` [..., V]: int64 [...], index ``i`` with probability ``p_i / sum p``.

        By inversion: the first ``i`` whose running sum exceeds ``u * sum p``, in float64, so that an index of weight 0
        is never drawn. Raises RuntimeError when a weight is negative, infinite or NaN, or a row sums to zero.
        """
        weights = np.asarray(probs, np.float64)
        if weights.ndim == 0 or weights.shape[-1] == 0:
            raise RuntimeError(f"categorical needs weights of shape [..., V] with V >= 1, not {weights.shape}")
        running = np.cumsum(weights, axis=-1)
        total = running[..., -1]
        if np.any(weights < 0) or not np.all(np.isfinite(total)):
            raise RuntimeError("probability tensor contains either inf, nan or element < 0")
        if np.any(total <= 0):
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
        # u < 1, yet u * total may round up to total, which would point past the last index of weight > 0.
        threshold = np.minimum(self.random(total.shape, np.float64) * total, np.nextafter(total, 0.0))
        return np.asarray((running <= threshold[..., None]).sum(axis=-1, dtype=np.int64))

    def _bits(self, first: int, count: int) -> NDArray[np.uint32]:
        bits: NDArray[np.uint32] = lookup("random_bits", device="cpu", dtype=np.uint32)(self._key, first, count)
        return bits


_default = Generator(0)


def default_generator() -> Generator:
    """The generator that every random function uses when none is given. It starts from seed 0 in each process."""
    return _default


def manual_seed(seed: int) -> Generator:
    """Restart the default generator from ``seed`` and return it."""
    return _default.manual_seed(seed)


def get_rng_state() -> dict[str, int]:
    """The state of the default generator (PyTorch's is a byte tensor; here two integers)."""
    return _default.state()


def set_rng_state(state: dict[str, int]) -> None:
    """Put the default generator where :func:`get_rng_state` was called."""
    _default.set_state(state)


# --- PyTorch's names, returning tensors -------------------------------------------------------------------------------


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    """``rand(2, 3)`` and ``rand((2, 3))`` are the same."""
    return _shape(size[0] if len(size) == 1 and not isinstance(size[0], (int, np.integer)) else size)


def _tensor(values: NDArray[Any], dtype: DTypeLike | None, requires_grad: bool) -> Tensor:
    from tinydl.creation import tensor

    return tensor(values, dtype=values.dtype if dtype is None else np.dtype(dtype), requires_grad=requires_grad)


def rand(
    *size: Any, generator: Generator | None = None, dtype: DTypeLike = np.float32, requires_grad: bool = False
) -> Tensor:
    """Uniforms in [0, 1) of shape ``size``."""
    return _tensor((generator or _default).random(_sizes(size), dtype), None, requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: DTypeLike = np.float32, requires_grad: bool = False
) -> Tensor:
    """Standard normals of shape ``size``."""
    return _tensor((generator or _default).normal(_sizes(size), dtype), None, requires_grad)


def randint(
    low: int, high: int | Shape, size: Shape | None = None, *, generator: Generator | None = None,
    dtype: DTypeLike = np.int64, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers, uniform on ``low <= x < high``: ``randint(high, size)`` or ``randint(low, high, size)``."""
    if size is None:
        if isinstance(high, (int, np.integer)):
            raise TypeError(f"randint({low}, {high}) lacks the size: randint(high, size) or randint(low, high, size)")
        low, high, size = 0, low, high
    return _tensor((generator or _default).integers(low, operator.index(high), size), dtype, requires_grad)  # type: ignore[arg-type]


def randperm(
    n: int, *, generator: Generator | None = None, dtype: DTypeLike = np.int64, requires_grad: bool = False
) -> Tensor:
    """A random order of 0 ... n-1."""
    return _tensor((generator or _default).permutation(n), dtype, requires_grad)


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability ``input``, else 0; shape and dtype of ``input``."""
    return _tensor((generator or _default).bernoulli(input.data), input.dtype, False)


def normal(
    mean: Tensor | float = 0.0, std: Tensor | float = 1.0, size: Shape | None = None, *,
    generator: Generator | None = None, dtype: DTypeLike = np.float32, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``mean + std * z`` with standard normal ``z``: of shape ``size`` or that of ``mean`` and ``std``."""
    from tinydl.tensor import Tensor

    mean_array, std_array = (np.asarray(value.data if isinstance(value, Tensor) else value) for value in (mean, std))
    if np.any(std_array < 0):
        raise RuntimeError(f"normal expects all elements of std >= 0.0, got a least of {std_array.min()}")
    if size is None:
        given = [value for value in (mean, std) if isinstance(value, Tensor)]
        if not given:
            raise TypeError("normal of two numbers lacks the size: normal(mean, std, size)")
        size, dtype = np.broadcast_shapes(mean_array.shape, std_array.shape), given[0].dtype
    draws = (generator or _default).normal(size, dtype)
    draws = draws * std_array.astype(draws.dtype) + mean_array.astype(draws.dtype)
    return _tensor(draws, None, requires_grad)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """``num_samples`` indices per row of weights ``input`` [V] or [B, V]: int64 [num_samples] or [B, num_samples].

    Without ``replacement`` the indices of a row differ: the largest of ``ln w_i - ln(-ln u_i)`` (Gumbel top-k, Vieira
    2014), which draws one after the other with the remaining weights. Raises RuntimeError when a row has fewer
    nonzero weights than ``num_samples``.
    """
    generator = generator or _default
    weights = np.asarray(input.data, np.float64)
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"multinomial needs weights of shape [V] or [B, V], not {weights.shape}")
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples: num_samples is {num_samples}")
    if replacement:
        rows = np.broadcast_to(weights[..., None, :], (*weights.shape[:-1], num_samples, weights.shape[-1]))
        return _tensor(generator.categorical(rows), None, False)
    if not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise RuntimeError("probability tensor contains either inf, nan or element < 0")
    if np.any(np.count_nonzero(weights, axis=-1) < num_samples):
        raise RuntimeError(
            f"multinomial cannot draw {num_samples} different indices from weights of shape {weights.shape} with fewer "
            "nonzero entries in a row: pass replacement=True or fewer num_samples"
        )
    uniforms = generator.random(weights.shape, np.float64)
    with np.errstate(divide="ignore"):
        keys = np.log(weights) - np.log(-np.log1p(-uniforms))
    return _tensor(np.argsort(-keys, axis=-1, kind="stable")[..., :num_samples].astype(np.int64), None, False)
