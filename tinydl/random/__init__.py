"""Random numbers: counter-based, so that the same seed gives the same music on any number of threads.

:mod:`~tinydl.random.generator` is where the bits come from, :mod:`~tinydl.random.functions` has PyTorch's functions on
top of it, and :mod:`~tinydl.random.in_place` what fills a tensor (``Tensor.normal_`` and so on).
"""

from tinydl.errors import say_absent
from tinydl.random.functions import (
    bernoulli,
    multinomial,
    normal,
    poisson,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from tinydl.random.generator import (
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

say_absent(__name__)

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "set_rng_state",
]
