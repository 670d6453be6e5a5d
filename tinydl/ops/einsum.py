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
    first = operands[0].dtype
    for x in operands:
        if x.dtype is not first:
            operands = tuple(promoted(list(operands)))
            break
    own, before, after, last = _planned(equation, tuple([x.shape for x in operands]))
    x = _done(own[0], operands[0])
    for k in range(1, len(operands)):
        x = _done(after[k - 1], mm(_done(before[k - 1], x), _done(own[k], operands[k])))
    return _done(last, x)


Steps = list[tuple[Any, dict[str, Any]]]  # operations on one tensor, with their static arguments


def _done(steps: Steps, x: Any) -> Any:
    for op, static in steps:
        x = op(x, **static)
    return x


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


class _Operand:
    """Labels and sizes of an operand while the steps that bring it into another form are written down."""

    def __init__(self, labels: Any, sizes: Any) -> None:
        self.sizes: dict[Any, int] = dict(zip(labels, sizes))
        self.steps: Steps = []

    def sum(self, away: set[Any]) -> None:
        """Sum over some labels."""
        axes = tuple(k for k, c in enumerate(self.sizes) if c in away)
        if axes:
            self.steps.append((reduce_sum, {"axis": axes, "keepdims": False}))
            self.sizes = {c: n for c, n in self.sizes.items() if c not in away}

    def order(self, wanted: list[Any]) -> None:
        """The labels ``wanted`` in this order; others, of size 1, last."""
        at = {c: k for k, c in enumerate(self.sizes)}
        axes = tuple(at[c] for c in [*wanted, *(c for c in self.sizes if c not in wanted)])
        if axes != tuple(range(len(axes))):
            self.steps.append((permute_axes, {"axes": axes}))

    def shape(self, *shape: int) -> None:
        """The elements in another shape."""
        self.steps.append((reshape_to, {"shape": shape}))


@functools.lru_cache(maxsize=1024)
def _planned(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[Steps], list[Steps], list[Steps], Steps]:
    """The steps of a summation: on each operand; on the left side before and on the result after each product; at the
    end."""
    terms, output = _parsed(equation, tuple([len(shape) for shape in shapes]))
    known: dict[Any, int] = {}
    for i, (shape, term) in enumerate(zip(shapes, terms)):
        for label, n in zip(term, shape):
            if known.setdefault(label, n) == 1:
                known[label] = n
            elif n not in (1, known[label]):
                raise RuntimeError(
                    f"einsum(): operands do not broadcast with remapped shapes [original->remapped]: subscript "
                    f"{label!r} has size {n} for operand {i} which does not broadcast with previously seen size "
                    f"{known[label]}"
                )
    operands = [_without_repeats(term, shape) for term, shape in zip(terms, shapes)]
    own = [operand.steps for operand in operands]
    before: list[Steps] = []
    after: list[Steps] = []
    x = operands[0]
    for k, y in enumerate(operands[1:], 1):
        before.append([] if k == 1 else x.steps)  # the first operand's own steps go on
        x, product = _contracted(x, y, {*output, *(label for term in terms[k + 1 :] for label in term)})
        after.append(product)
    last: Steps = []
    x.steps = last
    x.sum({c for c in x.sizes if c not in output})
    x.order(list(output))
    return own, before, after, last


def _without_repeats(term: tuple[Any, ...], shape: tuple[int, ...]) -> _Operand:
    """A letter twice in one group: the diagonal, as the last dimension."""
    steps: Steps = []
    while len(set(term)) < len(term):
        label = next(c for c in term if term.count(c) > 1)
        i = term.index(label)
        j = term.index(label, i + 1)
        if shape[i] != shape[j]:
            raise RuntimeError(
                f"einsum(): subscript {label!r} is repeated for an operand but the sizes don't match, "
                f"{shape[j]} != {shape[i]}"
            )
        steps.append((diagonal_of, {"offset": 0, "axis1": i, "axis2": j}))
        rest = [k for k in range(len(term)) if k not in (i, j)]
        term, shape = (*(term[k] for k in rest), label), (*(shape[k] for k in rest), shape[i])
    operand = _Operand(term, shape)
    operand.steps = steps
    return operand


def _contracted(x: _Operand, y: _Operand, later: set[Any]) -> tuple[_Operand, Steps]:
    """Write the steps before one product to both operands; what results, and the steps after it."""
    x.sum({c for c in x.sizes if c not in later and y.sizes.get(c, 1) == 1})
    y.sum({c for c in y.sizes if c not in later and x.sizes.get(c, 1) == 1})
    a, b = x.sizes, y.sizes
    # What is summed over has one size on both sides now; a size of 1 beside a larger one falls away.
    inner = [c for c in a if c in b and c not in later]
    batch = [c for c in a if c in b and c in later and a[c] == b[c]]
    left = [c for c in a if c not in inner and c not in batch and (c not in b or b[c] == 1)]
    right = [c for c in b if c not in inner and c not in batch and c not in left]
    m, n, k = (math.prod(s[c] for c in part) for s, part in ((a, left), (b, right), (a, inner)))
    lead = tuple(a[c] for c in batch)
    x.order([*batch, *left, *inner])
    x.shape(*lead, m, k)
    y.order([*batch, *inner, *right])
    y.shape(*lead, k, n)
    result = _Operand((*batch, *left, *right), (*lead, *(a[c] for c in left), *(b[c] for c in right)))
    return result, [(reshape_to, {"shape": tuple(result.sizes.values())})]
