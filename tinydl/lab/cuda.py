"""Is a CUDA kernel right? Compiled, executed on the virtual GPU and mutated, without a GPU.

- **Compiled** by NVRTC for every architecture that it is made for: registers and shared memory are held to the
  committed budget, and nothing may be spilled.
- **Executed** from its PTX, over its samples in every dtype, against the operation's reference in float64: results
  poisoned before, inputs that may only be read, every access, barrier and race checked.
- **Mutated**: every slip of :mod:`tinydl.kernels.simt.mutants` must change a result or be caught by a check. A mutant
  that gives the same PTX is none, and one that changes several kernels of a file is judged with the first of them
  (the others count it as ``elsewhere``) and, should that not see it, with the others. Those that live stand in the
  source, as the line they make, with a reason::

      // lives: for (int k = 0; k <= K; k += TILE) {
      //   because the last step adds zeros

All of a kernel's mutants take a minute or so. What became of them is recorded beside the budget, in
``cuda/mutants.json``, under a digest of what decides it; the tests hold the record to be of today's source and samples,
and judge a few of some kernels again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from tinydl.kernels import card, nvrtc, simt
from tinydl.kernels.gpu import (
    Call,
    CudaKernel,
    GeneratedKernel,
    Table,
    cuda_kernels,
    expanded,
    folders,
    forwards,
    host_empty,
    memory,
)  # fmt: skip
from tinydl.kernels.simt import Counters
from tinydl.kernels.simt.mutants import Mutant, mutants, only
from tinydl.kernels.simt.program import link
from tinydl.kernels.simt.trace import Event, Recorder, Trace


class Planned(Protocol):
    """What :func:`execute` needs of a kernel."""

    @property
    def expected(self) -> Callable[..., tuple[Any, ...]] | None: ...

    @property
    def op(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def tolerance(self) -> Mapping[str, float]: ...
    @property
    def plan(self) -> Callable[..., tuple[list[Call], tuple[Any, ...]]]: ...
    @property
    def trial(self) -> Callable[..., tuple[list[Call], tuple[Any, ...]]] | None: ...


#: What PTX is executed: the newest that every kernel is compiled for.
EXECUTED = nvrtc.ARCHITECTURES[-1]

#: How much longer than the kernel itself a mutant may run before it counts as endless, and so as caught.
PATIENCE = 5


@dataclass
class Row:
    """What was found out about one CUDA kernel."""

    kernel: CudaKernel
    resources: dict[str, dict[str, nvrtc.Resources]] = field(default_factory=dict)  # architecture -> entry -> takes
    over_budget: list[str] = field(default_factory=list)
    launches: int = 0
    wrong: list[str] = field(default_factory=list)
    races: list[str] = field(default_factory=list)
    counters: dict[str, Counters] = field(default_factory=dict)  # by dtype, of the largest sample
    mutants: int = 0
    elsewhere: int = 0  # slips that a kernel declared before it, of the same file, answers for
    caught: int = 0
    answered: list[str] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)

    @property
    def compiled(self) -> bool:
        """For every architecture that the kernel is made for."""
        return tuple(self.resources) == self.kernel.architectures

    @property
    def omitted(self) -> dict[str, str]:
        """architecture that it is not made for -> what that lacks."""
        kept = self.kernel.architectures
        return {architecture: self.kernel.needs for architecture in nvrtc.ARCHITECTURES if architecture not in kept}

    @property
    def right(self) -> bool:
        """Nothing is wrong, and everything was looked at."""
        found = (self.over_budget, self.wrong, self.races, self.survivors)
        return self.compiled and self.launches > 0 and not any(found)

    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "kernel": self.kernel.key, "source": self.kernel.source.name, "right": self.right,
            "compiled": {
                architecture: {
                    entry: {"registers": r.registers, "shared": r.shared, "spills": r.spills, "stack": r.stack}
                    for entry, r in entries.items()
                }
                for architecture, entries in self.resources.items()
            },
            "omitted": self.omitted, "tolerance": dict(self.kernel.tolerance), "because": self.kernel.because,
            "over_budget": self.over_budget, "launches": self.launches, "wrong": self.wrong, "races": self.races,
            "mutants": self.mutants, "elsewhere": self.elsewhere, "caught": self.caught, "answered": self.answered,
            "survivors": self.survivors,
            "counters": {dtype: self._counted(dtype) for dtype in self.counters},
        }  # fmt: skip

    def _counted(self, dtype: str) -> dict[str, Any]:
        counters = self.counters[dtype]
        facts = {key: value for key, value in counters.facts().items() if key not in ("accesses", "branches")}
        taken = self.resources.get(EXECUTED, {}).get(counters.kernel)
        facts["occupancy"] = counters.occupancy(taken.registers, EXECUTED).share if taken else None
        return facts


def check(kernel: CudaKernel, mutate: bool = True, few: int = 0) -> Row:
    """All of the above for one kernel; of its mutants only a ``few``, spread over the source (0: all).

    Raises NvrtcMissing without the compiler.
    """
    row = Row(kernel)
    try:
        ptx = _compile(row)
    except nvrtc.CompileError as error:
        row.wrong.append(str(error))
        return row
    for dtype in kernel.dtypes:
        _execute(row, ptx, dtype)
    if mutate and not row.wrong and not row.races:
        _mutate(row, few)
    return row


def totals(rows: Iterable[Row]) -> dict[str, Any]:
    """The sums over kernels, and the rows."""
    found = list(rows)
    return {
        "kernels": len(found),
        "compiled": sum(row.compiled for row in found),
        "over_budget": sum(bool(row.over_budget) for row in found),
        "simulated": sum(row.launches > 0 for row in found),
        "wrong": sum(bool(row.wrong) for row in found),
        "races": sum(bool(row.races) for row in found),
        "mutants": sum(row.mutants for row in found),
        "caught": sum(row.caught for row in found),
        "answered": sum(len(row.answered) for row in found),
        "rows": [row.facts() for row in found],
    }


# -- compiling ---------------------------------------------------------------------------------------------------------


def compiled(text: str, kernel: CudaKernel) -> str:
    """The PTX of a source, as it is executed."""
    return _compiled(text, kernel.source, EXECUTED, False, kernel.whole()[0]).ptx


def compiled_alone(kernel: CudaKernel, text: str, entry: str, assemble: bool) -> nvrtc.Compiled:
    """A source with no other entry, be it written out or made by a macro, in a line that begins with its name."""
    others = "|".join(other for other in kernel.budget() if other != entry)
    alone = re.sub(rf"^[A-Z_]+\((?:{others}),.*\)$", "", only(text, {entry}), flags=re.MULTILINE)
    return nvrtc.compile_cuda(
        alone, kernel.source.name, architecture=EXECUTED, assemble=assemble, lines=False, include=folders(kernel.source)
    )


def assembled(kernel: CudaKernel) -> dict[str, nvrtc.Compiled]:
    """architecture -> machine code, what each entry takes, and the PTX: the same that comes without machine code."""
    text, headers = kernel.text(), kernel.whole()[0]
    return {a: _compiled(text, kernel.source, a, True, headers) for a in kernel.architectures}


@functools.lru_cache(maxsize=32)  # several kernels may stand in one file, and launch entries of another
def _compiled(text: str, source: Path, architecture: str, assemble: bool, headers: str) -> nvrtc.Compiled:
    """``headers``: a text that changes when one of them does."""
    return nvrtc.compile_cuda(
        text, source.name, architecture=architecture, assemble=assemble, include=folders(source), keep=True
    )


def _compile(row: Row) -> str:
    """Hold what it takes to its budget; the PTX that is executed."""
    budget = row.kernel.budget()
    made = assembled(row.kernel)
    row.resources = {architecture: one.resources for architecture, one in made.items()}
    for architecture, entries in row.resources.items():
        for entry, taken in entries.items():
            allowed = budget.get(entry, {}).get(architecture)
            where = f"{entry} on sm_{architecture}"
            if allowed is None:
                row.over_budget.append(f"{where} has no budget: add it to {row.kernel.source.parent.name}/budget.json")
                continue
            for what, value in (("registers", taken.registers), ("shared", taken.shared)):
                if value > allowed[what]:
                    row.over_budget.append(f"{where} takes {value} of {what}, and its budget is {allowed[what]}")
            if taken.spills:
                row.over_budget.append(f"{where} spills {taken.spills} bytes")
    return made[EXECUTED].ptx


# -- executing ---------------------------------------------------------------------------------------------------------


def _execute(row: Row, ptx: str, dtype: str) -> None:
    for number, arguments in enumerate(row.kernel.samples(np.dtype(dtype).type)):
        where = f"{dtype}, sample {number} ({', '.join(str(getattr(a, 'shape', a)) for a in arguments)})"
        if not row.kernel.accepts(*arguments):
            row.wrong.append(f"{where}: the kernel refuses a sample of its own")
            return
        try:
            problem, counters = run(row.kernel, ptx, arguments)
        except simt.SimtError as error:
            (row.races if isinstance(error, simt.Race) else row.wrong).append(f"{where}: {error}")
            return
        row.launches += len(counters)
        if problem:
            row.wrong.append(f"{where}: {problem}")
            return
        for counted in counters:
            known = row.counters.get(dtype)
            if counted.kernel not in row.resources[EXECUTED]:
                continue  # of another file
            if known is None or counted.warps > known.warps:
                row.counters[dtype] = counted


def run(
    kernel: CudaKernel, ptx: str, arguments: tuple[Any, ...], limit: int = simt.LIMIT,
    wanted: tuple[Any, ...] | None = None,
) -> tuple[str, list[Counters]]:  # fmt: skip
    """Execute a kernel's launches with some arguments: what is wrong with the results (nothing: empty), and the counts.

    The operation is called as its card says, with copies of the arguments. A launch may write what ``empty`` made and
    what it says it writes. ``wanted``: the reference's results, where they are known. Raises SimtError at a finding.
    """

    def launch(call: Call, args: list[Any]) -> Counters:
        code = ptx if own(kernel, call) else also(call)
        part = _part(code, call.entry)
        return simt.launch(part, call.entry, call.grid, call.block, args, shared=call.shared, limit=limit)

    return execute(kernel, launch, arguments, wanted)


@functools.lru_cache(maxsize=64)
def _part(ptx: str, entry: str) -> str:
    """A PTX text without its other kernels, so that of a mutant only those are read again that it changes."""
    kernels = re.compile(r"^(?:\.visible )?\.entry (\w+).*?^\}$", re.MULTILINE | re.DOTALL)
    return kernels.sub(lambda found: found[0] if found[1] == entry else "", ptx)


def own(kernel: CudaKernel, call: Call) -> bool:
    """Whether a launch is of the kernel's own file."""
    return call.source is None or call.source == kernel.source


def also(call: Call) -> str:
    """The PTX of another file whose entry a kernel launches."""
    assert call.source is not None
    text = call.source.read_text(encoding="utf-8")
    return _compiled(text, call.source, EXECUTED, False, expanded(call.source)).ptx


#: ``launch(call, args)`` executes one launch, with the arguments as :func:`simt.launch` takes them.
Launch = Callable[[Call, list[Any]], Counters]


def execute(
    kernel: Planned, launch: Launch, arguments: tuple[Any, ...], wanted: tuple[Any, ...] | None = None
) -> tuple[str, list[Counters]]:
    """:func:`run`, of what has a plan, with a launcher of its own."""
    counted: list[Counters] = []
    given_back: list[tuple[Any, ...]] = []

    def function(*given: Any) -> Any:
        fresh: list[Any] = []

        def empty(shape: tuple[int, ...], dtype: Any) -> Any:
            fresh.append(host_empty(shape, dtype))
            return fresh[-1]

        calls, results = (kernel.trial or kernel.plan)(empty, *given)
        made = [_place(array) for array in fresh]
        for call in calls:
            if call.writes and not kernel.op.endswith("_"):
                raise ValueError(f"{kernel.key}: {call.entry} writes in place, and {kernel.op!r} does not end in '_'")
            written = {*made, *map(_place, call.writes)}
            counted.append(launch(call, [_passed(a, written, fresh) for a in call.args]))
        given_back.append(results)
        return results if len(results) > 1 else results[0]

    results = card(kernel.op).call(function, copied(arguments))
    if kernel.expected is not None:
        results = given_back[-1]
    return compare(kernel, arguments, results, wanted)[0], counted


def planned(kernel: CudaKernel, arguments: tuple[Any, ...]) -> tuple[list[Call], tuple[Any, ...]]:
    """The launches and results of a call, unexecuted: the first, where the card calls the operation several times."""
    found: list[tuple[list[Call], tuple[Any, ...]]] = []

    def function(*given: Any) -> Any:
        calls, results = (kernel.trial or kernel.plan)(host_empty, *given)
        found.append((calls, results))
        return results if len(results) > 1 else results[0]

    card(kernel.op).call(function, copied(arguments))
    return found[0]


def _passed(argument: Any, written: set[int], fresh: list[Any]) -> Any:
    """An argument for the virtual GPU: read-only unless it may be written, and unwritten where it is new."""
    if isinstance(argument, Table):
        return simt.Table(argument.numbers, [(at, _passed(a, written, fresh)) for at, a in argument.addresses])
    if not isinstance(argument, np.ndarray):
        return 0 if argument is None else argument
    for number, array in enumerate(fresh):
        if array.size and _place(array) == _place(argument):
            del fresh[number]  # the launches behind this one read what it wrote
            return simt.Fresh(argument)
    return argument if _place(argument) in written else _read_only(argument)


def _place(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _read_only(array: Any) -> Any:
    view = array.view()
    view.flags.writeable = False
    return view


def copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same arguments; arrays of the same layout, and as far from a multiple of 16 bytes."""
    return tuple(_copy(a) if isinstance(a, np.ndarray) else a for a in arguments)


def _copy(array: Any) -> Any:
    if not array.size or not forwards(array):
        return array.copy(order="K")
    reach = memory(array).nbytes
    room = np.full(reach + 32, 0xFF, np.uint8)
    start = (_place(array) - _place(room)) % 16
    flat = room[start : start + reach].view(array.dtype)
    copy = np.lib.stride_tricks.as_strided(flat, array.shape, array.strides)
    copy[...] = array
    return copy


def reference(kernel: Planned, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a kernel's results should be, in float64 where the operation is not exact."""
    about, given = card(kernel.op), copied(arguments)
    given = given if about.exact else tuple(map(_widened, given))
    with np.errstate(all="ignore"):  # samples have infinities
        return about.call(about.reference, given) if kernel.expected is None else kernel.expected(*given)


def compare(
    kernel: Planned, arguments: tuple[Any, ...], results: tuple[Any, ...], wanted: tuple[Any, ...] | None = None
) -> tuple[str, float]:
    """In words, how results differ from the reference by more than card or kernel allow (empty when they do not), and
    the largest difference as a share of what is allowed."""
    about = card(kernel.op)
    allowed = {**about.tolerance, **kernel.tolerance}
    wanted = reference(kernel, arguments) if wanted is None else wanted
    worst = 0.0
    for number, (got, right) in enumerate(zip(results, wanted)):
        if got is None or right is None:
            if got is not right:
                return f"result {number} is {'nothing' if got is None else 'there'}, and should not be", np.inf
            continue
        if np.shape(got) != np.shape(right):
            return f"result {number} has shape {np.shape(got)} instead of {np.shape(right)}", np.inf
        if not np.size(got):
            continue
        finite = np.abs(right[np.isfinite(right)])
        tolerance = allowed[got.dtype.name] * max(float(finite.max(initial=0)), about.floor)
        with np.errstate(invalid="ignore"):
            off = np.abs(got.astype(np.float64) - right)
            bad = ~((off <= tolerance) | (got == right) | (np.isnan(got) & np.isnan(right)))  # a NaN is never near
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            return f"result {number} is {got[at]} instead of {right[at]} at {list(at)}", np.inf
        if tolerance:
            worst = max(worst, float(off[np.isfinite(off)].max(initial=0)) / tolerance)
    return "", worst


def _widened(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


# -- mutating ----------------------------------------------------------------------------------------------------------


def answers(text: str) -> dict[str, str]:
    """Slips that may live, and why: the line that a slip makes -> the reason, of a source's comments."""
    found: dict[str, str] = {}
    line = ""
    for comment in (words for words in text.split("\n") if words.startswith("//")):
        if comment.startswith("// lives: "):
            line = comment.removeprefix("// lives: ").strip()
            found[line] = ""
        elif line and comment.startswith("//   "):
            found[line] = f"{found[line]} {comment[2:].strip()}".strip()
        else:
            line = ""
    return found


def _mutate(row: Row, few: int) -> None:
    kernel = row.kernel
    whole, origins = kernel.whole()
    allowed = answers(whole)
    judge = Judge(kernel)
    made = list(mutants(judge.text))
    if few:  # spread over the source; what turns out to be no mutant is made up for
        apart = max(len(made) // few, 1)
        made = [mutant for first in range(apart) for mutant in made[first::apart]]
    first, later = _neighbours(kernel)
    known: dict[str, _Neighbour] = {}

    def neighbour(other: CudaKernel) -> _Neighbour:
        return known.get(other.key) or known.setdefault(other.key, _Neighbour(other))

    for mutant in made:
        if few and row.mutants >= few:
            break
        if not few and any(neighbour(other).changes(mutant) for other in first):
            row.elsewhere += 1
            continue
        verdict = judge(mutant)
        if not few:
            _changes[kernel.source, kernel.key, mutant.line - 1, _slip(mutant)] = verdict != NO_MUTANT
        if verdict == NO_MUTANT:
            continue
        file, line = origins[mutant.line - 1]
        words = f"{file}:{line}: {mutant.change}"
        row.mutants += 1
        if verdict != LIVES:
            row.caught += 1
        elif allowed.get(mutant.result):
            row.answered.append(f"{words}: {allowed[mutant.result]}")
        elif any(neighbour(other).catches(mutant) for other in (*first, *later)):
            row.caught += 1
        else:
            row.survivors.append(f"{words} ({mutant.kind}), which makes the line {mutant.result!r}")


class _Neighbour:
    """Another kernel of the same file."""

    def __init__(self, kernel: CudaKernel) -> None:
        self.kernel = kernel
        self.lines = only(kernel.whole()[0], _entries(kernel)).split("\n")
        self.code = _code(compiled("\n".join(self.lines), kernel))
        self._judge: Judge | None = None

    def changes(self, mutant: Mutant) -> bool:
        """Whether a slip changes what this kernel executes."""
        at, slip = mutant.line - 1, _slip(mutant)
        known = _changes.get((self.kernel.source, self.kernel.key, at, slip))
        if known is None:
            known = bool(self.lines[at].strip()) and self._differs(at, slip)
            _changes[self.kernel.source, self.kernel.key, at, slip] = known
        return known

    def _differs(self, at: int, slip: str) -> bool:
        try:
            return _code(compiled(self._text(at, slip), self.kernel)) != self.code
        except nvrtc.CompileError:
            return False

    def _text(self, at: int, slip: str) -> str:
        return "\n".join([*self.lines[:at], slip, *self.lines[at + 1 :]])

    def catches(self, mutant: Mutant) -> bool:
        """Whether this kernel's samples show a slip."""
        if not self.lines[mutant.line - 1].strip():
            return False
        self._judge = self._judge or Judge(self.kernel)
        return self._judge(replace(mutant, text=self._text(mutant.line - 1, _slip(mutant)))) not in (NO_MUTANT, LIVES)


def _slip(mutant: Mutant) -> str:
    """The line that it makes, as it stands."""
    return mutant.text.split("\n")[mutant.line - 1]


#: (file, kernel, number of a line, a slip there) -> whether that changes its code; of this process.
_changes: dict[tuple[Path, str, int, str], bool] = {}


def _neighbours(kernel: CudaKernel) -> tuple[list[CudaKernel], list[CudaKernel]]:
    """The other kernels of its file: those declared before it, and those behind."""
    ladder = [k for k in cuda_kernels() if k.source == kernel.source and not isinstance(k, GeneratedKernel)]
    if kernel not in ladder:
        return [], []
    at = ladder.index(kernel)
    return ladder[:at], ladder[at + 1 :]


def _samples(kernel: CudaKernel) -> list[tuple[Any, ...]]:
    """In one dtype: the others are the same template; from the end, where those stand that show most."""
    return list(kernel.samples(np.dtype(kernel.dtypes[0]).type))[::-1]


def _entries(kernel: CudaKernel) -> set[str]:
    """Those that its samples launch."""
    calls = [call for sample in _samples(kernel) for call in planned(kernel, sample)[0]]
    return {call.entry for call in calls if own(kernel, call)}


#: Verdicts on a mutant beside the words of what caught it.
NO_MUTANT, LIVES = "no mutant", "lives"


class Trial(NamedTuple):
    """What mutants are tried with: a sample, the entries that it launches, the reference's results, and how many steps
    they may take."""

    arguments: tuple[Any, ...]
    entries: frozenset[str]
    wanted: tuple[Any, ...]
    limit: int


class Judge:
    """Tries the mutants of one kernel: ``judge(mutant)`` gives what caught it, ``LIVES`` when nothing did,
    ``NO_MUTANT`` when it is no program or the same one.

    Compiling and executing take about as long, so neither is done in vain: each entry is compiled by itself, when a
    sample is to launch it; a sample is executed only if an entry of its became another program; and the sample that
    caught the last mutant is the first to be tried.
    """

    def __init__(self, kernel: CudaKernel) -> None:
        self.kernel = kernel
        entries = _entries(kernel)
        self.text = only(kernel.whole()[0], entries)
        self._ptx = {entry: self._compiled(self.text, entry) for entry in entries}
        self._code = {entry: _code(ptx) for entry, ptx in self._ptx.items()}
        self._untried = _samples(kernel)[::-1]
        self._trials: list[Trial] = []

    def __call__(self, mutant: Mutant) -> str:
        ptx: dict[str, str] = {}
        verdict = NO_MUTANT
        try:
            for number, trial in self._numbered():
                for entry in trial.entries - ptx.keys():
                    ptx[entry] = self._compiled(mutant.text, entry)
                if all(_code(ptx[entry]) == self._code[entry] for entry in trial.entries):
                    continue
                verdict = self._caught(trial, ptx)
                if verdict != LIVES:
                    self._trials.insert(0, self._trials.pop(number))
                    break
        except nvrtc.CompileError:
            return NO_MUTANT
        return verdict

    def _caught(self, trial: Trial, ptx: Mapping[str, str]) -> str:
        try:
            problem, _ = self._run(trial.arguments, ptx, trial.limit, trial.wanted)
        except simt.SimtError as error:
            return error.kind
        return problem or LIVES

    def _numbered(self) -> Iterator[tuple[int, Trial]]:
        """The trials, each made ready when the first mutant comes that those before it do not catch."""
        yield from enumerate(self._trials)
        while self._untried:
            self._trials.append(self._trial(self._untried.pop()))
            yield len(self._trials) - 1, self._trials[-1]

    def _trial(self, arguments: tuple[Any, ...]) -> Trial:
        wanted = reference(self.kernel, arguments)
        _, counters = self._run(arguments, self._ptx, simt.LIMIT, wanted)
        steps = max((counted.steps for counted in counters), default=0)
        entries = frozenset(counted.kernel for counted in counters) & self._ptx.keys()
        return Trial(arguments, entries, wanted, PATIENCE * steps + 10_000)

    def _run(
        self, arguments: tuple[Any, ...], ptx: Mapping[str, str], limit: int, wanted: tuple[Any, ...]
    ) -> tuple[str, list[Counters]]:
        def launch(call: Call, args: list[Any]) -> Counters:
            code = ptx[call.entry] if own(self.kernel, call) else _part(also(call), call.entry)
            return simt.launch(code, call.entry, call.grid, call.block, args, shared=call.shared, limit=limit)

        return execute(self.kernel, launch, arguments, wanted)

    def _compiled(self, text: str, entry: str) -> str:
        return compiled_alone(self.kernel, text, entry, assemble=False).ptx


def _code(ptx: str) -> str:
    """PTX without what does not run: source lines, comments."""
    return "\n".join(line for line in ptx.split("\n") if not line.lstrip().startswith((".loc", "//", ".file")))


# -- the record --------------------------------------------------------------------------------------------------------

RECORD = "mutants.json"


def digest(kernel: CudaKernel) -> str:
    """Of what decides the fate of a kernel's mutants: source, headers, samples and their launches, how mutants are
    made."""
    parts = [kernel.whole()[0], *map(expanded, kernel.also)]
    parts.append(Path(mutants.__code__.co_filename).read_text(encoding="utf-8"))
    for sample in _samples(kernel):
        calls, results = planned(kernel, sample)
        parts.append(repr([_shape(a) for a in (*sample, *results)]))
        parts.append(repr([(c.entry, c.grid, c.block, [_shape(a) for a in c.args], c.shared) for c in calls]))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _shape(value: Any) -> Any:
    if isinstance(value, Table):
        return hashlib.sha256(value.numbers.tobytes()).hexdigest(), [at.tolist() for at, _ in value.addresses]
    return (value.shape, value.dtype.name) if isinstance(value, np.ndarray) else value


def recorded(kernel: CudaKernel) -> dict[str, Any]:
    """``digest``, ``mutants``, ``caught``, ``answered``, ``elsewhere`` when all were last judged; empty when never."""
    found: dict[str, Any] = _record(kernel).get(kernel.key, {})
    return found


def record(row: Row) -> None:
    """Write down what became of a kernel's mutants, all of which were judged."""
    kernel = row.kernel
    facts = {"digest": digest(kernel), "mutants": row.mutants, "caught": row.caught, "answered": len(row.answered)}
    facts |= {"elsewhere": row.elsewhere} if row.elsewhere else {}
    known = {**_record(kernel), kernel.key: facts}
    _write(kernel.source.parent / RECORD, [(key, json.dumps(known[key])) for key in sorted(known)])


def _record(kernel: CudaKernel) -> dict[str, Any]:
    path = kernel.source.parent / RECORD
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _write(path: Path, lines: list[tuple[str, str]]) -> None:
    """A JSON object with a line for each entry, which merges well."""
    body = ",\n".join(f"  {json.dumps(key)}: {value}" for key, value in lines)
    path.write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


# -- all ---------------------------------------------------------------------------------------------------------------


def chosen(names: Iterable[str]) -> list[CudaKernel]:
    """The kernels that some names mean: an operation, ``OPERATION:NAME`` or a name; all without names.

    Raises KeyError with a name that means none.
    """
    known = cuda_kernels()
    found: list[CudaKernel] = []
    wanted = list(names)
    for name in wanted:
        meant = [k for k in known if name in (k.op, k.key, k.name, k.name.removeprefix("cuda."))]
        if not meant:
            raise KeyError(name)
        found += [kernel for kernel in meant if kernel not in found]
    return found if wanted else known


# -- stepping through --------------------------------------------------------------------------------------------------


def trace(kernel: CudaKernel, warps: int = 2, dtype: str = "") -> Trace:
    """Record the first warps of the first block, over the smallest sample that shows something.

    Raises SimtError at a finding, NvrtcMissing without the compiler.
    """
    chosen_dtype = dtype or kernel.dtypes[0]
    calls, _ = planned(kernel, kernel.small(np.dtype(chosen_dtype).type))
    call = next(call for call in calls if own(kernel, call))
    module = simt.parse(compiled(kernel.text(), kernel))
    args = [0 if a is None else simt.Table(a.numbers, a.addresses) if isinstance(a, Table) else a for a in call.args]
    events: list[Event] = []
    counted = simt.launch(
        module, call.entry, call.grid, call.block, args, shared=call.shared,
        watch=lambda wave: Recorder(wave, warps, events),
    )  # fmt: skip
    return Trace(link(module, call.entry), events, counted)
