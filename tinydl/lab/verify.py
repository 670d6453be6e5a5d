"""Is a kernel right? Everything that its operation's card allows to find out, before anybody times it.

- **Results** against the reference in float64, over the card's samples, in every dtype, on one thread and on several.
- **Inputs** as they were, unless the operation's name ends in ``_``.
- **Poison**: fresh arrays hold NaN (integers: -1), so that an element nobody wrote shows, and a second call must give
  the same bits as the first.
- **Gradients**: the primitive that calls the operation is checked against differences with this kernel at work.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinydl.kernels import Card, KernelError, Variant, card, threads, use, variants, workspace
from tinydl.kernels.registry import ready

DTYPES = ("float32", "float64")
NOT_CHECKED = "not checked"


@dataclass
class Verdict:
    """What was found out about one variant."""

    op: str
    variant: str
    calls: int = 0
    refused: int = 0  # samples that it does not accept: the next variant's
    worst: float = 0.0  # the largest error found, as a share of what the card allows
    gradient: str = NOT_CHECKED
    problems: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Nothing is wrong, and something was computed."""
        return not self.problems and self.calls > 0


def verify(variant: Variant, *, most: int = 5) -> Verdict:
    """Check a variant by its operation's card; stops after ``most`` problems."""
    about = card(variant.op)
    verdict = Verdict(variant.op, variant.name)
    function = ready(variant.function)
    with np.errstate(all="ignore"):  # infinities and NaN are results
        _results(about, variant, function, verdict, most)
    if not verdict.problems and about.serves and about.gradient is not None:
        if "float64" in (variant.dtypes or DTYPES):
            _gradient(about, variant, verdict)
    return verdict


def _results(about: Card, variant: Variant, function: Callable[..., Any], verdict: Verdict, most: int) -> None:
    for dtype in variant.dtypes or DTYPES:
        if dtype not in about.tolerance:
            continue
        with own_forward(about, variant):
            samples = list(about.samples(np.dtype(dtype).type))
        for number, arguments in enumerate(samples):
            if variant.accepts is not None and not variant.accepts(*arguments):
                verdict.refused += 1
                continue
            for count in sorted({1, min(2, threads.max_threads())}):
                with threads.num_threads(count), shared():
                    where = f"sample {number} in {dtype}, {count} thread{'s' if count > 1 else ''}"
                    _one(about, function, arguments, dtype, where, verdict)
            if len(verdict.problems) >= most:
                return
    if not verdict.calls:
        verdict.problems.append("no sample was computed: it accepts none of the card's arguments")


def _one(
    about: Card, function: Callable[..., Any], arguments: tuple[Any, ...], dtype: str, where: str, verdict: Verdict
) -> None:
    verdict.calls += 1
    say = verdict.problems.append
    words = f"{where} ({described(arguments)})"
    given = copied(arguments)
    try:
        again = about.call(function, copied(arguments))  # and compiled, which needs the real np.empty
        with poisoned():
            results = about.call(function, given)
    except Exception as error:
        say(f"{words}: it raises {type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
        return
    if not about.op.endswith("_"):
        for index, (now, before) in enumerate(zip(given, arguments)):
            if isinstance(before, np.ndarray) and not np.array_equal(now, before, equal_nan=before.dtype.kind == "f"):
                say(f"{words}: it changes its argument {index}")
    expected = about.call(about.reference, copied(arguments) if about.exact else widened(arguments))
    if len(results) != len(expected):
        say(f"{words}: it gives {len(results)} results, the reference {len(expected)}")
        return
    for index, (got, twice, want) in enumerate(zip(results, again, expected)):
        name = f"{words}: result {index}" if len(results) > 1 else f"{words}: the result"
        if (got is None) != (want is None):
            say(f"{name} is {got}, the reference's {want}")
        elif want is not None:
            wrong = difference(about, got, np.asarray(want), dtype, verdict)
            if wrong:
                say(f"{name} {wrong}")
            elif not np.array_equal(got, twice, equal_nan=np.asarray(got).dtype.kind == "f"):
                say(f"{name} has other bits in a second call")


def difference(about: Card, got: Any, want: np.ndarray[Any, Any], dtype: str, verdict: Verdict) -> str:
    """What is wrong with a result, or the empty string."""
    got = np.asarray(got)
    if got.shape != want.shape:
        return f"has shape {got.shape}, not {want.shape}"
    if want.dtype.kind == "f" and got.dtype != dtype:
        return f"is {got.dtype.name}, not {dtype}"
    if want.dtype.kind != "f":
        return "" if np.array_equal(got, want) else f"differs in {int((got != want).sum())} of {want.size} places"
    finite = np.isfinite(want)
    if (odd := ~finite & ~((got == want) | (np.isnan(got) & np.isnan(want)))).any():
        return f"is {got[odd][0]} where the reference is {want[odd][0]}"
    if not np.isfinite(got[finite]).all():
        return f"is {got[finite & ~np.isfinite(got)][0]} where the reference is finite: was that element written?"
    error = np.abs(got.astype(np.float64) - want)[finite].max(initial=0.0)
    if about.exact:
        return f"differs by up to {error:.2e}, where equal bits are wanted" if error else ""
    allowed = about.tolerance[dtype] * np.abs(want[finite]).max(initial=about.floor)
    verdict.worst = max(verdict.worst, float(error / allowed))
    return f"is off by {error:.2e}, where {allowed:.2e} is allowed" if error > allowed else ""


def _gradient(about: Card, variant: Variant, verdict: Verdict) -> None:
    """The derivative of the primitive that calls the operation, through this variant."""
    module, _, name = about.serves.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    rng = np.random.default_rng(0)
    for make in about.gradients:
        try:
            with use(**{about.op: variant.name}):
                wrong = _slopes(function, *make(rng), rng)
        except Exception as error:
            if isinstance(error, KernelError) and "refused the arguments" in str(error) and len(about.gradients) > 1:
                continue  # made for another variant
            wrong = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        verdict.gradient = "wrong" if wrong else "right"
        if wrong:
            verdict.problems.append(f"gradient of {about.serves}: {wrong}")
            return
    if verdict.gradient == NOT_CHECKED:
        verdict.problems.append(f"gradient of {about.serves}: it accepts none of the card's arguments")


def _slopes(
    function: Any, inputs: Sequence[Any], keywords: Mapping[str, Any], rng: np.random.Generator
) -> str:
    """:func:`slopes_differ` of a primitive in its floating inputs."""
    from tinydl import Tensor

    constants = {function.op.args.index(name) for name in function.op.constants}
    tensors = [
        Tensor._wrap(x, requires_grad=True)
        if isinstance(x, np.ndarray) and x.dtype.kind == "f" and i not in constants
        else x
        for i, x in enumerate(inputs)
    ]

    def derived(*xs: Any) -> list[Any]:
        """The results that have a derivative."""
        found = function(*xs, **keywords)
        return [y for y in found if y.requires_grad] if isinstance(found, tuple) else [found]

    return slopes_differ(derived, tensors, rng)


def slopes_differ(
    function: Callable[..., list[Any]], inputs: list[Any], rng: np.random.Generator, step: float = 1e-6
) -> str:
    """How <u, J v> by differences differs from <J^T u, v> by backward, for random u and v; empty if they agree.

    Two evaluations a trial, however large the inputs are; a wrong entry of J stays hidden with probability zero.
    """
    from tinydl import Tensor
    from tinydl.autograd import grad

    free = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

    def moved(directions: list[Any], by: float) -> list[Any]:
        shifted = list(inputs)
        for i, v in zip(free, directions):
            shifted[i] = Tensor._wrap(inputs[i].array + by * v, requires_grad=True)
        return [y.array for y in function(*shifted)]

    for _ in range(3):
        outputs = function(*inputs)
        u = [rng.standard_normal(y.shape) for y in outputs]
        v = [rng.standard_normal(inputs[i].shape) for i in free]
        gradients = grad(outputs, [inputs[i] for i in free], [Tensor._wrap(w) for w in u])
        analytic = sum(float(np.vdot(g.array, w)) for g, w in zip(gradients, v))
        ahead, behind = moved(v, step), moved(v, -step)
        numeric = sum(float(np.vdot(w, (a - b) / (2 * step))) for w, a, b in zip(u, ahead, behind))
        # What rounding leaves of a difference of values of this size.
        noise = 1e-10 * sum(float(np.abs(w * a).sum()) for w, a in zip(u, ahead)) / step * 1e-4
        if not abs(analytic - numeric) <= 1e-6 * abs(numeric) + noise + 1e-7:
            return f"backward says {analytic:.9g} along a direction, differences {numeric:.9g}"
    return ""


# ---------------------------------------------------------------------------------------------------------- the means


def copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with arrays copied, strides and all."""
    return tuple(_copy(x) if isinstance(x, np.ndarray) else x for x in arguments)


def _copy(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy with the same strides, which ``copy()`` does not keep where there are gaps."""
    if x.size == 0 or 0 in x.strides:
        return x.copy()
    low = sum(min(0, (n - 1) * s) for n, s in zip(x.shape, x.strides))
    high = sum(max(0, (n - 1) * s) for n, s in zip(x.shape, x.strides)) + x.itemsize
    memory = np.zeros(high - low, np.uint8)
    twin: Any = np.ndarray(x.shape, x.dtype, memory, -low, x.strides)
    twin[...] = x
    return twin  # type: ignore[no-any-return]


def widened(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments in float64."""
    return tuple(
        x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in arguments
    )


def described(arguments: tuple[Any, ...]) -> str:
    """Shapes, for a message."""
    return ", ".join(str(x.shape) if isinstance(x, np.ndarray) else str(x) for x in arguments)


def own_forward(about: Card, variant: Variant) -> AbstractContextManager[None]:
    """The variant of the forward that has this one's name, in use, where the card names a forward and there is one."""
    names = {v.name for v in variants(about.forward)} if about.forward else set()
    return use(**{about.forward: variant.name}) if variant.name in names else nullcontext()


@contextmanager
def shared() -> Iterator[None]:
    """Let work of any size be shared among threads: the samples are small."""
    usual, threads.SERIAL = threads.SERIAL, 0
    try:
        yield
    finally:
        threads.SERIAL = usual


@contextmanager
def poisoned() -> Iterator[None]:
    """Let ``np.empty``, ``np.empty_like`` and the kernels' scratch memory hold what nobody should read."""
    numpy: Any = np
    empty, empty_like = numpy.empty, numpy.empty_like

    def fill(array: Any) -> Any:
        if array.dtype.kind in "fiu":
            array.fill(np.nan if array.dtype.kind == "f" else -1 if array.dtype.kind == "i" else 255)
        return array

    numpy.empty = lambda *a, **k: fill(empty(*a, **k))
    numpy.empty_like = lambda *a, **k: fill(empty_like(*a, **k))
    try:
        workspace.poison()
        yield
    finally:
        numpy.empty, numpy.empty_like = empty, empty_like
