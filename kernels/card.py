"""The card of an operation: all that is needed to test and to measure any kernel that claims to compute it.

A family writes the cards of its operations in ``spec.py``. From a card alone come the tests of every variant
(:mod:`tinydl.lab.verify`), its benchmark and roofline, and its row in the documentation; a kernel that a user registers
in a file of their own gets the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tinydl.kernels.registry import REFERENCE, KernelError, load_all, load_family_of, variants

Arguments = tuple[Any, ...]
Called = tuple[Arguments, Mapping[str, Any]]  # positional and by name


@dataclass(frozen=True)
class Card:
    """What an operation is.

    op, says: its name, and its mathematics in a line
    samples: ``samples(dtype)`` yields tuples of arguments: sizes off every tile and vector width, one, zero; views
        that are transposed, have gaps or run backwards; every option
    tolerance: per name of a dtype, how far a result may be from the reference in float64, relative to the largest
        entry of that result, or to ``floor`` where all are smaller (what is left of terms that cancel)
    exact: the reference computes in the dtype itself, and every variant gives its bits (the tolerance says for which
        dtypes)
    flops, bytes: of a call with these arguments: the operations it cannot do without, and the least that it must read
        and write
    cases: by name, ``case(dtype)`` gives the arguments of a size that is worth measuring, from small to large
    results: how many of the results are the operation's; those behind them are between a variant and its backward
    apply: how a variant is called, ``apply(function, *arguments)``, where that is more than ``function(*arguments)``
        (optimizers reach their arrays through a table); what it gives are the results
    prepare: what is timed, ``prepare(function, *arguments)() -> results``, where that is not ``function(*arguments)``:
        flops and bytes are of the call without arguments, what is done before it (the table) is not timed
    rivals: by a name that begins with ``"torch"`` and says the variant (``"torch channels_last"``), the same work in
        PyTorch: ``rival(torch, *arguments)``, given the module and NumPy arrays, gives the call to time; what it
        returns are the first of the operation's results (None: it has not that one)
    forward: of a backward that takes what a variant's own forward saved, the forward's name: the samples are then made
        with that variant in use
    serves: the primitive that calls it, as ``"tinydl.ops.products.mm"``, and in float64 what that is called with: its
        gradient is checked through the kernel (the kernel of a backward is reached by its forward's primitive). With
        several such arguments a variant is checked by those that it accepts
    """

    op: str
    says: str
    samples: Callable[[Any], Iterable[Arguments]]
    tolerance: Mapping[str, float]
    flops: Callable[..., int]
    bytes: Callable[..., int]
    cases: Mapping[str, Callable[[Any], Arguments]]
    exact: bool = False
    results: int | None = None
    apply: Callable[..., Any] | None = None
    prepare: Callable[..., Callable[[], Any]] | None = None
    rivals: Mapping[str, Callable[..., Callable[[], Any]]] = field(default_factory=dict)
    forward: str = ""
    serves: str = ""
    gradient: Callable[[np.random.Generator], Called] | Sequence[Callable[[np.random.Generator], Called]] | None = None
    floor: float = 0.05

    @property
    def gradients(self) -> Sequence[Callable[[np.random.Generator], Called]]:
        """What ``gradient`` is, or are."""
        return () if self.gradient is None else (self.gradient,) if callable(self.gradient) else self.gradient

    def call(self, function: Callable[..., Any], arguments: Arguments) -> Arguments:
        """The operation's results from one variant."""
        result = function(*arguments) if self.apply is None else self.apply(function, *arguments)
        return (result if isinstance(result, tuple) else (result,))[: self.results]

    def prepared(self, function: Callable[..., Any], arguments: Arguments) -> Callable[[], Any]:
        """The call of one variant that is timed."""
        return partial(function, *arguments) if self.prepare is None else self.prepare(function, *arguments)

    @property
    def reference(self) -> Callable[..., Any]:
        """The readable definition: the variant ``numpy``."""
        for variant in variants(self.op):
            if variant.name == REFERENCE:
                return variant.function
        raise KernelError(
            f"kernel {self.op!r} has a card but no variant {REFERENCE!r}: register the plain definition under that "
            "name",
            op=self.op,
        )


_cards: dict[str, Card] = {}


def describe(card: Card) -> Card:
    """Make a card known, and return it."""
    known = _cards.get(card.op)
    if known is not None and known.says != card.says:
        raise KernelError(f"kernel {card.op!r} has a card already; name your operation otherwise", op=card.op)
    _cards[card.op] = card
    return card


def card(op: str) -> Card:
    """The card of an operation; KernelError when there is none."""
    load_family_of(op)
    if op not in _cards:
        load_all()
    if op in _cards:
        return _cards[op]
    known = {variant.op for variant in variants()}
    if op in known:
        raise KernelError(
            f"kernel {op!r} has no card, so there is nothing to test it against; write one with "
            "tinydl.kernels.describe(tinydl.kernels.Card(...))",
            op=op,
        )
    close = difflib.get_close_matches(op, [*_cards, *known], n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(_cards))}"
    raise KernelError(f"there is no operation {op!r}; {hint}", op=op)


def cards() -> list[Card]:
    """All cards, by name."""
    load_all()
    return [_cards[op] for op in sorted(_cards)]
