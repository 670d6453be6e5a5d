"""Einstein's summation: any equation of PyTorch's, as a chain of matrix products.

Operands are contracted from left to right. Each pair becomes one batched product: the letters of both are sorted into
those of a batch (in both, and needed later), those summed over (in both, not needed later) and those of one side alone;
permute, reshape, one ``mm``, reshape. A letter that only one operand has and nobody needs is summed first. So every
derivative is made of products too.
"""

from __future__ import annotations

import functools
import math
import string
from typing import Any

from tinydl.ops.products import mm
from tinydl.ops.reducing import reduce_sum
from tinydl.ops.shaping import permute_axes, promoted, reshape_to
from tinydl.ops.slicing import diagonal_of

_LETTERS = string.ascii_uppercase + string.ascii_lowercase  # PyTorch's order of implicit results


@functools.lru_cache(maxsize=1024)
def _parsed(equation: str, ranks: tuple[int, ...]) -> tuple[tuple[tuple[Any, ...], ...], tuple[Any, ...]]:
    """Per operand its labels, one a dimension, and those of the result. Dimensions of an ellipsis are numbered from the
    right, so that they broadcast as shapes do: labels are letters and negative integers."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) > len(ranks):
        raise RuntimeError(f"einsum(): fewer operands were provided than specified in the equation {equation!r}")
    if len(terms) < len(ranks):
        raise RuntimeError(f"einsum(): more operands were provided than specified in the equation {equation!r}")
    inputs = [_labels(term, rank, f"operand {i}", equation) for i, (term, rank) in enumerate(zip(terms, ranks))]
    dots = max((-x for term in inputs for x in term if isinstance(x, int)), default=0)
    if arrow:
        output = _output(right, dots, equation)
        for x in output:
            if output.count(x) > 1:
                raise RuntimeError(
                    f"einsum(): output subscript {x} appears more than once in the output of {equation!r}"
                )
            if isinstance(x, str) and not any(x in term for term in inputs):
                raise RuntimeError(
                    f"einsum(): output subscript {x} does not appear in the equation for any input operand of "
                    f"{equation!r}"
                )
    else:
        every = [x for term in inputs for x in term]
        once = sorted((x for x in set(every) if isinstance(x, str) and every.count(x) == 1), key=_LETTERS.index)
        output = (*range(-dots, 0), *once)
    return tuple(inputs), output


def _labels(term: str, rank: int, what: str, equation: str) -> tuple[Any, ...]:
    before, dots, after = term.partition("...")
    for c in before + after:
        if c not in _LETTERS:
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {equation.find(c)} in the equation string {equation!r}, "
                "subscripts must be in [a-zA-Z]"
            )
    more = rank - len(before) - len(after)
    if more < 0 or (more and not dots):
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(before) + len(after)}) does not match the "
            f"number of dimensions ({rank}) for {what}{'' if dots else ' and no ellipsis was given'}"
        )
    return (*before, *range(-more, 0), *after)


def _output(term: str, dots: int, equation: str) -> tuple[Any, ...]:
    before, given, after = term.partition("...")
    for c in before + after:
        if c not in _LETTERS:
            raise RuntimeError(f"einsum(): invalid subscript {c!r} in the output of the equation {equation!r}")
    return (*before, *(range(-dots, 0) if given else ()), *after)


def einsum(equation: Any, *operands: Any) -> Any:
    """Products summed over repeated letters: ``einsum("bij,bjk->bik", x, y)``.

    equation
        One group of letters per operand, ``...`` for any dimensions, which broadcast; after ``->`` the letters of the
        result. Without it: the letters that occur once, sorted. A letter twice in one group takes the diagonal.
        PyTorch's other form, ``einsum(x, [0, 1], y, [1, 2], [0, 2])``, works too.

    Raises RuntimeError for an equation that does not fit the operands.

    >>> import tinydl
    >>> tinydl.einsum("ij,j", tinydl.ones(2, 3), tinydl.ones(3))
    tensor([3., 3.])
    """
    if not isinstance(equation, str):
        equation, operands = _spelled((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    if any(x.dtype is not operands[0].dtype for x in operands):
        operands = tuple(promoted(list(operands)))
    terms, output = _parsed(equation, tuple([len(x.shape) for x in operands]))
    sizes: dict[Any, int] = {}
    for i, (x, term) in enumerate(zip(operands, terms)):
        for label, n in zip(term, x.shape):
            known = sizes.setdefault(label, n)
            if known == 1:
                sizes[label] = n
            elif n not in (1, known):
                raise RuntimeError(
                    f"einsum(): operands do not broadcast with remapped shapes [original->remapped]: subscript "
                    f"{label!r} has size {n} for operand {i} which does not broadcast with previously seen size {known}"
                )
    x, have = _single(operands[0], terms[0], sizes)
    for k in range(1, len(operands)):
        y, other = _single(operands[k], terms[k], sizes)
        later = {*output, *(label for term in terms[k + 1 :] for label in term)}
        x, have = _contracted(x, have, y, other, later)
    return _finished(x, have, output, sizes)


def _spelled(given: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The form of lists of integers as an equation."""

    def group(labels: Any) -> str:
        for label in labels:
            if label is not Ellipsis and not 0 <= label < 52:
                raise ValueError(f"einsum(): subscript {label} in the list is not within the valid range [0, 52)")
        return "".join("..." if label is Ellipsis else _LETTERS[label] for label in labels)

    pairs = len(given) // 2
    equation = ",".join(group(given[2 * k + 1]) for k in range(pairs))
    return equation + ("->" + group(given[-1]) if len(given) % 2 else ""), tuple(given[2 * k] for k in range(pairs))


def _single(x: Any, term: tuple[Any, ...], sizes: dict[Any, int]) -> tuple[Any, tuple[Any, ...]]:
    """A letter twice in one group: the diagonal."""
    while len(set(term)) < len(term):
        label = next(c for c in term if term.count(c) > 1)
        i = term.index(label)
        j = term.index(label, i + 1)
        if x.shape[i] != x.shape[j]:
            raise RuntimeError(
                f"einsum(): subscript {label!r} is repeated for an operand but the sizes don't match, "
                f"{x.shape[j]} != {x.shape[i]}"
            )
        x = diagonal_of(x, offset=0, axis1=i, axis2=j)
        term = (*(c for k, c in enumerate(term) if k not in (i, j)), label)
    return x, term


def _contracted(
    x: Any, have: tuple[Any, ...], y: Any, other: tuple[Any, ...], later: set[Any]
) -> tuple[Any, tuple[Any, ...]]:
    """Two operands as one."""
    a, b = dict(zip(have, x.shape)), dict(zip(other, y.shape))
    x, a = _summed(x, a, {c for c in a if c not in later and b.get(c, 1) == 1})
    y, b = _summed(y, b, {c for c in b if c not in later and a.get(c, 1) == 1})
    # What is summed over has one size on both sides now; a size of 1 beside a larger one falls away.
    inner = [c for c in a if c in b and c not in later]
    batch = [c for c in a if c in b and c in later and a[c] == b[c]]
    left = [c for c in a if c not in inner and c not in batch and (c not in b or b[c] == 1)]
    right = [c for c in b if c not in inner and c not in batch and c not in left]
    m, n, k = (math.prod(s[c] for c in part) for s, part in ((a, left), (b, right), (a, inner)))
    lead = tuple(a[c] for c in batch)
    x = reshape_to(_ordered(x, a, [*batch, *left, *inner], right), shape=(*lead, m, k))
    y = reshape_to(_ordered(y, b, [*batch, *inner, *right], left), shape=(*lead, k, n))
    sizes = lead + tuple(a[c] for c in left) + tuple(b[c] for c in right)
    return reshape_to(mm(x, y), shape=sizes), (*batch, *left, *right)


def _summed(x: Any, sizes: dict[Any, int], away: set[Any]) -> tuple[Any, dict[Any, int]]:
    if not away:
        return x, sizes
    axes = tuple(k for k, c in enumerate(sizes) if c in away)
    return reduce_sum(x, axis=axes, keepdims=False), {c: n for c, n in sizes.items() if c not in away}


def _ordered(x: Any, sizes: dict[Any, int], wanted: list[Any], ones: list[Any]) -> Any:
    """The dimensions in the order ``wanted``; of those that broadcast against the other side, the 1 falls away."""
    at = {c: k for k, c in enumerate(sizes)}
    dropped = [c for c in sizes if c in ones]
    order = tuple(at[c] for c in [*wanted, *dropped])
    return x if order == tuple(range(len(order))) else permute_axes(x, axes=order)


def _finished(x: Any, have: tuple[Any, ...], output: tuple[Any, ...], sizes: dict[Any, int]) -> Any:
    """Sum over what the result does not name, and sort."""
    x, left = _summed(x, dict(zip(have, x.shape)), {c for c in have if c not in output})
    at = {c: k for k, c in enumerate(left)}
    order = tuple(at[c] for c in output)
    return x if order == tuple(range(len(order))) else permute_axes(x, axes=order)
