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
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from tinydl.devices import CPU, kind_of
from tinydl.devices import device as as_device
from tinydl.kernels import lookup
from tinydl.kernels.random.spec import pairs, philox4x32

Shape: TypeAlias = "int | Sequence[int]"

_WORD64 = 2**64


def sizes_of(shape: Shape) -> tuple[int, ...]:
    """``shape`` as a tuple of sizes. Raises RuntimeError for a negative one."""
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
    """A stream of random numbers: ``Generator(seed)``, or as in PyTorch ``Generator().manual_seed(seed)``.

    ``seed`` is an integer in [-2**63, 2**64), taken modulo 2**64; it *is* the Philox key. Streams with different keys
    are independent. A generator may be shared between threads: draws never overlap, though their order is then the
    scheduler's.
    """

    __slots__ = ("_counter", "_device", "_key", "_lock")

    def __init__(self, seed: Any = 0, *, device: Any = None) -> None:
        if isinstance(seed, str):  # PyTorch's Generator("cpu")
            seed, device = 0, seed
        self._device = CPU if device is None else as_device(device)
        if self._device != CPU:
            from tinydl.elsewhere import of

            of(self._device)  # which raises for what is not there
        self._lock = threading.Lock()
        self.manual_seed(seed)

    @property
    def device(self) -> Any:
        """The one it was made for. The numbers are the same on all, and a generator serves tensors on any."""
        return self._device

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of ``seed`` from its beginning; returns the generator itself."""
        try:
            number = operator.index(seed)
        except TypeError:
            raise TypeError(f"a seed is an integer, not {type(seed).__name__} {seed!r}") from None
        if not -(2**63) <= number < _WORD64:
            raise ValueError(f"a seed lies in [-2**63, 2**64), got {number}")
        self._key, self._counter = number % _WORD64, 0
        return self

    def initial_seed(self) -> int:
        """The seed (modulo 2**64) that started this stream."""
        return self._key

    def seed(self) -> int:
        """Start a stream that no program foresees, from the system's entropy; returns its seed."""
        self.manual_seed(secrets.randbits(64))
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

    get_state = state  # PyTorch's name; what it returns there is a tensor of bytes

    def __repr__(self) -> str:
        return f"Generator(key={self._key}, counter={self._counter})"

    def __getstate__(self) -> dict[str, int]:
        return self.state()

    def __setstate__(self, state: dict[str, int]) -> None:
        self._lock, self._device = threading.Lock(), CPU
        self.set_state(state)

    def reserve(self, blocks: int) -> tuple[int, int]:
        """The key, and the first of so many Philox blocks that no other draw reads: for a kernel that draws itself."""
        return self._key, self._take(blocks)

    def _take(self, blocks: int) -> int:
        """Reserve ``blocks`` counters and return the first."""
        with self._lock:
            first = self._counter
            self._counter = (first + blocks) % _WORD64
        return first

    def random(self, shape: Shape = (), dtype: DTypeLike = np.float32, *, like: Any = None) -> NDArray[Any]:
        """Uniforms in [0, 1): float32 on the multiples of 2**-24, float64 on those of 2**-53; on the device of the
        array ``like``."""
        shape, dtype = sizes_of(shape), _floating(dtype)
        count = math.prod(shape)
        uniform = lookup(f"random_uniform_{dtype.name}", device=kind_of(like), dtype=dtype)
        values: NDArray[Any] = uniform(self._key, self._take(-(-count * dtype.itemsize // 16)), count)
        return values.reshape(shape)

    def normal(self, shape: Shape = (), dtype: DTypeLike = np.float32, *, like: Any = None) -> NDArray[Any]:
        """Standard normals, on the device of the array ``like``, by Box and Muller (Ann. Math. Stat. 29, 1958).

        Numbers 2i and 2i + 1 come from uniforms ``u`` in (0, 1] and ``v`` in [0, 1)::

            z_2i = sqrt(-2 ln u) cos(2 pi v)        z_2i+1 = sqrt(-2 ln u) sin(2 pi v)

        in float64 arithmetic, rounded to ``dtype`` at the end. ``u`` and ``v`` have 32 bits each for float32
        (``|z| <= 6.66``) and 53 for float64 (``|z| <= 8.57``).
        """
        shape, dtype = sizes_of(shape), _floating(dtype)
        count = math.prod(shape)
        normal = lookup(f"random_normal_{dtype.name}", device=kind_of(like), dtype=dtype)
        values: NDArray[Any] = normal(self._key, self._take(-(-count * dtype.itemsize // 16)), count)
        return values.reshape(shape)

    def integers(self, low: int, high: int, shape: Shape = ()) -> NDArray[np.int64]:
        """Integers, uniform on ``low <= x < high`` without bias: int64. Raises ValueError when the range is empty.

        A 64-bit draw ``u`` is taken when it lies below the largest multiple of ``high - low`` in 2**64, and gives
        ``low + u mod (high - low)``; else the same block is asked again under the next retry number (the third
        word of the Philox counter), so that a draw eats the same counters whatever is rejected.
        """
        low, high, shape = operator.index(low), operator.index(high), sizes_of(shape)
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
        (n,) = sizes_of(n)
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
            chances = np.broadcast_to(chances, sizes_of(shape))
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


# What every random function uses when no generator is given. It starts from seed 0 in each process.
default_generator = Generator(0)


def given(generator: Generator | None) -> Generator:
    """``generator``, or the default one."""
    return default_generator if generator is None else generator


def manual_seed(seed: int) -> Generator:
    """Restart the default generator from ``seed`` and return it."""
    return default_generator.manual_seed(seed)


def get_rng_state() -> dict[str, int]:
    """The state of the default generator (PyTorch's is a byte tensor; here two integers)."""
    return default_generator.state()


def set_rng_state(state: dict[str, int]) -> None:
    """Put the default generator where :func:`get_rng_state` was called."""
    default_generator.set_state(state)


def initial_seed() -> int:
    """The seed that started the default generator."""
    return default_generator.initial_seed()


def seed() -> int:
    """Start the default generator from the system's entropy; returns its seed."""
    return default_generator.seed()


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Inside the ``with`` block draw freely: behind it the default generator is where it was.

    ``devices`` is PyTorch's (generators of GPUs, which are not there); ``enabled=False`` does nothing.
    """
    before = default_generator.state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(before)
