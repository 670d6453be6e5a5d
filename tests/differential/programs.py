"""Random programs: three to twenty-five lines of PyTorch over a pool of live tensors, run in both libraries.

A program is text, so that what fails can be pasted into an interpreter. ``program_writer`` draws one from a seed; here
stands what is asked of it:

    verdict = judge(write(torch, seed), tinydl, torch)        .kind is "same", "refused" or "different"

Every live tensor is compared (value, shape, dtype, ``requires_grad``), every ``.grad``, and the gradients of a
weighting of some of the tensors in every leaf, to second order in a third of the programs. A line that raises in one
library raises in the other.

**In place.** PyTorch refuses a backward pass whose saved values were written since, and so do we. But what is saved
differs (a recorded in-place operation rebinds our handle and leaves alone what was saved), so that there are programs
which PyTorch refuses and we compute. Those are compared with their *twin*: the same program in PyTorch with no write to
memory that anybody has saved. A gradient is PyTorch's, or its twin's, or it is refused; where PyTorch computes one,
refusing is a difference.

**Refused by rule.** A program that meets one of these counts as refused, and no more is asked of it:

- a tensor that shares memory by ``detach()`` cannot be changed in place *while recording*, nor used after the other
  was; neither can a view of a tensor that is not contiguous;
- expanded memory is not written, not even in part;
- ``1 / x`` divides, and saves ``x``; PyTorch multiplies by a reciprocal, and saves that;
- ``matmul`` saves its operands, of which PyTorch has sometimes made copies;
- ``mean`` is a sum and a division, ``add(alpha=)`` a product and a sum, which can be walked back through once.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Space = dict[str, Any]  # the names of a running program

ERRORS = (RuntimeError, IndexError, ValueError, TypeError)
BY_RULE = (
    "cannot be changed in place while recording",
    "that a recorded in-place operation has replaced since",
    "refers to a single memory location",
    "the input 'other' of div changed",
    "the input 'other' of mm changed",
    "what div saved has already been freed",
    "what mul saved has already been freed",
)
TOLERANCE = {False: 1e-8, True: 2e-3}  # of programs in float64, and of those in which float32 takes part

WEIGH = '''\
def weigh(x):
    """A scalar in which no element of x hides behind another."""
    return (x * torch.linspace(0.5, 1.5, x.numel(), dtype=x.dtype).reshape(x.shape)).sum()
'''


@dataclass(frozen=True)
class Line:
    """One statement: it defines ``name``, or changes it (``in_place``), or does neither (a backward pass: "")."""

    text: str
    name: str = ""
    in_place: bool = False

    @property
    def uses(self) -> set[str]:
        """The names that must be there before it runs."""
        return names_in(self.text) - (set() if self.in_place else {self.name})

    @property
    def recording(self) -> bool:
        """Not under ``no_grad``."""
        return not self.text.startswith("with")


@dataclass(frozen=True)
class Program:
    """Lines, the names whose values are compared at their end, and those whose gradients are taken."""

    seed: int
    lines: tuple[Line, ...]
    live: tuple[str, ...]
    outputs: tuple[str, ...]
    order: int

    @property
    def leaves(self) -> tuple[str, ...]:
        """The tensors that gradients are taken in."""
        return tuple(line.name for line in self.lines if "requires_grad=True" in line.text)

    @property
    def single(self) -> bool:
        """Whether float32 takes part."""
        return any("float" + word in line.text for line in self.lines for word in ("32", "()"))

    def __str__(self) -> str:
        """Ready to paste; its first line alone names the library."""
        leaves = f"[{', '.join(self.leaves)}]"
        ends = [f"print({', '.join(self.live)})"] if self.live else []
        if self.outputs:
            ends += [f"loss = {' + '.join(f'weigh({y})' for y in self.outputs)}"]
        if self.outputs and self.order == 1:
            ends += [f"print(torch.autograd.grad(loss, {leaves}, allow_unused=True))"]
        elif self.outputs:
            ends += [
                f"first = torch.autograd.grad(loss, {leaves}, create_graph=True, allow_unused=True)",
                "norm = sum((weigh(g * g) for g in first if g is not None and g.requires_grad), 0 * loss)",
                f"print(first, torch.autograd.grad(norm, {leaves}, allow_unused=True))",
            ]
        body = "\n".join([*(line.text for line in self.lines), *ends])
        return f"import torch  # or: import tinydl as torch\n\n{WEIGH}\n# program {self.seed}\n{body}\n"


def names_in(text: str) -> set[str]:
    """The names of tensors in a line."""
    return set(re.findall(r"\bx\d+\b", text))


# ---------------------------------------------------------------------------------------------------- running one


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> Any:
    """Code of a line; a program runs many times while it is shrunk."""
    return compile(text, "<program>", "exec")


def fresh(library: Any) -> Space:
    """The names that a program starts with."""
    space: Space = {"torch": library}
    exec(compiled(WEIGH), space)
    return space


@dataclass
class Outcome:
    """Where a program stopped (None: nowhere; ``len(lines)``: in the final gradient), and what it found."""

    space: Space
    at: int | None = None
    error: Exception | None = None
    gradients: tuple[Any, ...] = ()


def run(program: Program, library: Any) -> Outcome:
    """The program in one library."""
    space = fresh(library)
    for k, line in enumerate(program.lines):
        try:
            exec(compiled(line.text), space)
        except ERRORS as error:
            return Outcome(space, k, error)
    return finish(program, library, space, [space[name] for name in program.leaves])


def finish(program: Program, library: Any, space: Space, leaves: list[Any]) -> Outcome:
    """Take the gradients."""
    if not program.outputs:
        return Outcome(space)
    try:
        return Outcome(space, gradients=differentiate(program, library, space, leaves))
    except ERRORS as error:
        return Outcome(space, len(program.lines), error)


def differentiate(program: Program, library: Any, space: Space, leaves: list[Any]) -> tuple[Any, ...]:
    """Gradients in the leaves, and those of a weighting of their squares."""
    loss = sum(space["weigh"](space[y]) for y in program.outputs)
    first = library.autograd.grad(loss, leaves, create_graph=program.order == 2, allow_unused=True)
    again = [g for g in first if g is not None and g.requires_grad]
    if program.order == 1 or not again:
        return tuple(first)
    norm = sum(space["weigh"](g * g) for g in again)
    return (*first, *library.autograd.grad(norm, leaves, allow_unused=True))


def same_memory(x: Any, y: Any) -> bool:
    """Whether two PyTorch tensors lie in one memory."""
    return bool(x.untyped_storage()._cdata == y.untyped_storage()._cdata)


def base_of(x: Any) -> Any:
    """The PyTorch tensor that ``x`` is a view of, or itself."""
    return x._base if x._is_view() else x


def overlaid(torch: Any, old: Any, its_places: Any, new: Any, places: Any) -> Any:
    """``old`` with the elements of ``new`` where the memory of the two real tensors is the same."""

    def memory(x: Any) -> Any:
        count = x.untyped_storage().nbytes() // x.element_size()
        return torch.arange(count).as_strided(x.size(), x.stride(), x.storage_offset())

    if not old.numel() or not new.numel():
        return old
    index = torch.full((int(max(memory(places).max(), memory(its_places).max())) + 1,), -1)
    index[memory(places).reshape(-1)] = torch.arange(new.numel())
    at = index[memory(its_places)]
    return torch.where(at >= 0, new.reshape(-1)[at.clamp(min=0)], old)


def twin(program: Program, torch: Any) -> Outcome:
    """The program in PyTorch, but nothing that was saved is ever written: what its gradients mean.

    A recorded in-place operation works on a clone, and views of the same memory are put together anew. An unrecorded
    write leaves the history of a tensor as it is and changes its numbers; so here every name in that memory becomes
    itself plus a constant, with the numbers that it has in the program as it stands.
    """
    real, space = fresh(torch), fresh(torch)
    leaves: Space = {}
    for line in program.lines:
        if not line.name:  # a backward pass: the graph is kept, the gradients are put where the next step reads them
            exec(compiled(line.text.replace("backward()", "backward(retain_graph=True)")), space)
            for name in leaves:
                real[name].grad = leaves[name].grad
            continue
        exec(compiled(line.text), real)
        if not line.in_place:
            exec(compiled(line.text), space)
        elif line.recording and real[line.name].requires_grad:
            space["changed"] = space[line.name].clone()
            exec(compiled(line.text.replace(line.name, "changed", 1)), space)
            new = space.pop("changed")
            for name, x in real.items():
                if name != line.name and isinstance(x, torch.Tensor) and base_of(x) is base_of(real[line.name]):
                    space[name] = overlaid(torch, space[name], x, new, real[line.name])
            space[line.name] = new
        else:
            for name, x in real.items():
                if isinstance(x, torch.Tensor) and same_memory(x, real[line.name]):
                    old, new = space[name], x.detach().clone()
                    space[name] = old + (new - old).detach() if old.requires_grad else new
        if line.name in program.leaves and not line.in_place:
            leaves[line.name] = space[line.name]
    found = finish(program, torch, space, [leaves[name] for name in program.leaves])
    return replace(found, space=real)


# ------------------------------------------------------------------------------------------------------- judging it


@dataclass(frozen=True)
class Verdict:
    """``kind``: "same", "refused" (by rule) or "different"; ``why`` in a sentence; ``twin``: the twin was asked."""

    kind: str
    why: str = ""
    twin: bool = False


def judge(program: Program, tinydl: Any, torch: Any) -> Verdict:
    """Run the program in both libraries and compare."""
    ours, theirs = run(program, tinydl), run(program, torch)
    asked = False
    if theirs.error is not None:
        if ours.error is not None and ours.at == theirs.at:
            alike = isinstance(ours.error, type(theirs.error)) or isinstance(theirs.error, type(ours.error))
            return Verdict("same" if alike else "different", f"{ours.error!r}, expected {theirs.error!r}")
        if mistaken_for_a_leaf(program, theirs):
            return Verdict("refused", f"only by PyTorch: {theirs.error}")
    if any(words in str(ours.error) for words in BY_RULE):
        return Verdict("refused", str(ours.error))
    if theirs.error is not None:
        if not in_backward(program, theirs):
            return Verdict("different", f"no {theirs.error!r} in line {theirs.at}, but {ours.at}: {ours.error!r}")
        theirs, asked = twin(program, torch), True
    if ours.error is not None:
        return Verdict("different", f"line {ours.at}: {ours.error!r}, which PyTorch computes", asked)
    try:
        for what in differences(program, ours, theirs):
            return Verdict("different", what, asked)
    except RuntimeError as error:  # a tensor that nothing used after what it shares memory with was replaced
        if not any(words in str(error) for words in BY_RULE):
            raise
        return Verdict("refused", str(error))
    return Verdict("same", twin=asked)


def mistaken_for_a_leaf(program: Program, theirs: Outcome) -> bool:
    """A view of what became recorded through another view: PyTorch takes it for a leaf, until one looks at it."""
    if theirs.at == len(program.lines) or not str(theirs.error).startswith("a leaf Variable"):
        return False
    x = theirs.space[program.lines[theirs.at or 0].name]
    return bool(x._is_view() and not base_of(x).is_leaf)


def in_backward(program: Program, outcome: Outcome) -> bool:
    """Whether a program stopped for values that were changed or freed since they were saved."""
    reasons = ("by an inplace operation", "second time", "modified inplace")
    inside = outcome.at == len(program.lines) or "backward(" in program.lines[outcome.at or 0].text
    return inside and any(words in str(outcome.error) for words in reasons)


def differences(program: Program, ours: Outcome, theirs: Outcome) -> Iterator[str]:
    """What is not alike, in words."""
    tolerance = TOLERANCE[program.single]
    for name in program.live:
        a, b = ours.space[name], theirs.space[name]
        if a.requires_grad != b.requires_grad:
            yield f"{name}.requires_grad: {a.requires_grad}, expected {b.requires_grad}"
        yield from unlike(name, a, b, tolerance)
    for name in program.leaves:
        yield from unlike(f"{name}.grad", ours.space[name].grad, theirs.space[name].grad, tolerance)
    for k, (a, b) in enumerate(itertools.zip_longest(ours.gradients, theirs.gradients)):  # constants have no second
        order, leaf = divmod(k, len(program.leaves))
        yield from unlike(f"derivative {order + 1} in {program.leaves[leaf]}", a, b, tolerance * 5)


def unlike(what: str, a: Any, b: Any, tolerance: float) -> Iterator[str]:
    """How a result of ours differs from PyTorch's; a missing gradient counts as zeros."""
    if a is None or b is None:
        only = a if b is None else b
        if only is not None and np.any(numbers(only)):
            yield f"{what}: {a!r}, expected {b!r}"
        return
    if tuple(a.shape) != tuple(b.shape):
        yield f"{what}: shape {tuple(a.shape)}, expected {tuple(b.shape)}"
    elif str(a.dtype).rpartition(".")[2] != str(b.dtype).rpartition(".")[2]:
        yield f"{what}: dtype {a.dtype}, expected {b.dtype}"
    else:
        x, y = numbers(a), numbers(b)
        scale = max(1.0, float(np.abs(y, dtype=np.float64).max(initial=0.0)))
        if not np.allclose(x, y, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
            yield f"{what}:\n{x}\nexpected\n{y}"


def numbers(x: Any) -> Any:
    """The array of a tensor of either library; PyTorch's zeros without memory have none."""
    unmade = getattr(x, "_is_zerotensor", None)
    if unmade is None:
        return x.detach().numpy()
    return np.zeros(tuple(x.shape)) if unmade() else x.detach().numpy()


# ------------------------------------------------------------------------------------------------------ shrinking it


def shrink(program: Program, still: Callable[[Program], bool]) -> Program:
    """The program without the lines, outputs and names that what is asked by ``still`` does not need."""
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in smaller_ones(program):
            if still(smaller):
                program, shrunk = smaller, True
                break
    return program


def smaller_ones(program: Program) -> Iterator[Program]:
    """Programs with an earlier output, a line less (and what depends on it), first order only, fewer names shown."""
    names = [line.name for line in program.lines if line.name and not line.in_place]
    for name in names[: max((names.index(y) for y in program.outputs), default=0)]:
        yield replace(program, outputs=(name,))
    for k in reversed(range(len(program.lines))):
        yield without(program, k)
    for y in program.outputs:
        yield replace(program, outputs=tuple(n for n in program.outputs if n != y))
    if program.order == 2:
        yield replace(program, order=1)
    for name in program.live:
        yield replace(program, live=tuple(n for n in program.live if n != name))


def without(program: Program, k: int) -> Program:
    """Line ``k`` dropped, and every line that uses what it alone defined."""
    lines, known = [], set[str]()
    for j, line in enumerate(program.lines):
        if j != k and line.uses <= known:
            lines.append(line)
            known.add(line.name)
    outputs = tuple(y for y in program.outputs if y in known)
    return replace(program, lines=tuple(lines), live=tuple(n for n in program.live if n in known), outputs=outputs)
