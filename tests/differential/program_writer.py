"""Draws the random programs of ``programs.py``.

A program is *written* with PyTorch at hand: every line runs there at once, which says what shapes, dtypes and values
the next one can use. Lines that would make numbers unfit for a comparison are not taken: infinite, huge, or a hair away
from a kink or a tie. On the kink or the tie is welcome: the subgradients are compared too.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.differential.programs import ERRORS, Line, Program, base_of, compiled, fresh, same_memory

LARGEST = 1e3
NEAR = 1e-3
MOST = 200  # elements


def write(torch: Any, seed: int) -> Program:
    """The program of a seed; the same one for ever, as long as PyTorch gives the same shapes."""
    draft = Draft(torch, seed)
    rng = draft.rng
    dtypes = rng.choices((("float64",), ("float32",), ("float32", "float64")), (6, 3, 1))[0]
    for _ in range(rng.randint(1, 4)):
        draft.leaf(rng.choice(dtypes))
    wanted = rng.randint(3, 25) - len(draft.lines)
    tries = 0
    try:
        while wanted > len(draft.lines) and (tries := tries + 1) < 100:
            kind = rng.random()
            if kind < 0.13:
                change(draft)
            elif kind < 0.16:
                backward(draft)
            else:
                compute(draft)
    except End:
        pass
    return draft.finish(seed, order=2 if rng.random() < 1 / 3 else 1)


class End(Exception):
    """The program is finished with the line just written."""


class Draft:
    """A program being written: ``space`` holds what PyTorch has computed so far, ``pool`` the names open to use."""

    def __init__(self, torch: Any, seed: int) -> None:
        self.torch, self.rng = torch, random.Random(seed)
        self.space = fresh(torch)
        self.lines: list[Line] = []
        self.pool: list[str] = []
        self.outputs: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.space[name]

    def pick(self, fits: Callable[[Any], Any] = lambda x: True, kind: str = "f") -> str | None:
        """A name whose tensor is floating (or of another NumPy kind) and fits; recent ones come more often."""
        names = [n for n in self.pool if kind_of(self[n]) == kind and fits(self[n])]
        return names[max(self.rng.randrange(len(names)), self.rng.randrange(len(names)))] if names else None

    def other(self, x: str, fits: Callable[[Any], Any] = lambda t: True) -> str | None:
        """A tensor that broadcasts with ``x``, which may be ``x``."""

        def broadcasts(t: Any) -> bool:
            try:
                return np.prod(np.broadcast_shapes(tuple(t.shape), tuple(self[x].shape))) <= MOST and fits(t)
            except ValueError:
                return False

        return self.pick(broadcasts)

    def define(self, value: str, prefix: str = "") -> None:
        """Add ``name = value``, unless the result cannot be compared. One that raises ends some programs.

        Under ``no_grad`` (the prefix), PyTorch gives a view the ``requires_grad`` of its base, and a copy none; here
        neither has one. So views are not made there.
        """
        name = f"x{sum(not line.in_place and line.name != '' for line in self.lines)}"
        line = Line(f"{prefix}{name} = {value}", name)
        try:
            exec(compiled(line.text), self.space)
        except ERRORS:
            if self.rng.random() < 0.1:
                self.lines.append(line)
                raise End from None
            return
        x = self[name]
        if x.numel() <= MOST and sound(x) and not (prefix and x.requires_grad):
            self.lines.append(line)
            self.pool.append(name)

    def write(self, line: Line) -> None:
        """Add an in-place statement; one that raises ends the program."""
        t = self[line.name]
        shared = [n for n in self.pool if same_memory(self[n], t)]
        self.lines.append(line)
        try:
            exec(compiled(line.text), self.space)
        except ERRORS as error:
            if "multiple views" in str(error) or "created in no_grad mode" in str(error):  # PyTorch's rules alone
                self.lines.pop()
                return
            raise End from None
        recorded = line.recording and t.requires_grad
        for n in shared:
            # What shares memory by detach() is "refused by rule", in our case.
            if (recorded and base_of(self[n]) is not base_of(t)) or not readable(self[n]):
                self.pool.remove(n)
            elif not sound(self[n]):
                raise End

    def leaf(self, dtype: str) -> None:
        """Eighths between -2 and 2, written out."""
        rng = self.rng
        shape = tuple(
            rng.choices((0, 1, 2, 3, 4), (3, 15, 32, 32, 18), k=rng.choices(range(5), (10, 25, 40, 20, 5))[0])
        )
        like = self.pick()
        if like is not None and rng.random() < 0.6:  # shapes that broadcast make longer programs
            shape = tuple(s if rng.random() < 0.8 else 1 for s in self[like].shape)[rng.choice((0, 0, 1)) :]
        grad = ", requires_grad=True" if not self.pool or rng.random() < 0.7 else ""
        if 0 in shape:
            self.define(f"torch.zeros({', '.join(map(str, shape))}, dtype=torch.{dtype}{grad})")
        else:
            eighths = np.array([rng.randint(-16, 16) / 8 for _ in range(int(np.prod(shape)))]).reshape(shape)
            self.define(f"torch.tensor({eighths.tolist()}, dtype=torch.{dtype}{grad})")

    def finish(self, seed: int, order: int) -> Program:
        """Choose what is differentiated."""
        outputs = self.outputs
        for _ in range(0 if outputs else self.rng.randint(1, 3)):
            y = self.pick(lambda t: t.requires_grad)
            outputs += (y,) if y is not None and y not in outputs else ()
        return Program(seed, tuple(self.lines), tuple(self.pool), outputs, order)


def kind_of(x: Any) -> str:
    return "f" if x.dtype.is_floating_point else "b" if str(x.dtype) == "torch.bool" else "i"


def sound(x: Any) -> bool:
    """No number is infinite, NaN or huge."""
    return kind_of(x) != "f" or not x.numel() or float(x.detach().abs().max()) < LARGEST


def readable(x: Any) -> bool:
    """PyTorch refuses to use one of several views (of ``unbind``, ``split``) whose base was written."""
    try:
        _ = x + 0
    except RuntimeError:
        return False
    return True


def least(x: Any) -> float:
    """The smallest element."""
    return float(x.detach().min()) if x.numel() else np.inf


def most(x: Any) -> float:
    """The largest absolute value."""
    return float(x.detach().abs().max()) if x.numel() else 0.0


def apart(x: Any, *points: float) -> bool:
    """No element lies a hair away from one of ``points``."""
    gaps = [(x.detach() - p).abs() for p in points]
    return all(bool(((gap > NEAR) | (gap == 0)).all()) for gap in gaps)


def distinct(x: Any, dim: int | None = None) -> bool:
    """No two elements (along ``dim``) are nearly, but not quite, equal."""
    x, k = (x.detach().reshape(-1), 0) if dim is None else (x.detach(), dim)
    return apart(x.sort(dim=k).values.diff(dim=k), 0.0)


# -------------------------------------------------------------------------------------- values: what can be computed

Writer = Callable[[Draft], "str | None"]
VALUES: dict[Writer, float] = {}


def value(weight: float) -> Callable[[Writer], Writer]:
    """Enter a writer of right-hand sides; it gives None where the pool has nothing for it."""

    def enter(writer: Writer) -> Writer:
        VALUES[writer] = weight
        return writer

    return enter


def compute(d: Draft) -> None:
    """One more value."""
    text = d.rng.choices(list(VALUES), list(VALUES.values()))[0](d)
    if text is not None:
        d.define(text, "with torch.no_grad(): " if d.rng.random() < 0.04 else "")


def number(d: Draft) -> str:
    return str(d.rng.choice((0.5, -0.75, 1.25, 2, -1.5, 3)))


@value(5)
def smooth(d: Draft) -> str | None:
    x = d.pick()
    return x and f"{x}.{d.rng.choice('sin cos tanh sigmoid square neg atan'.split())}()"


@value(2)
def growing(d: Draft) -> str | None:
    x = d.pick(lambda t: most(t) < 4)
    return x and f"torch.{d.rng.choice('exp expm1 sinh cosh'.split())}({x})"


@value(2)
def of_positive(d: Draft) -> str | None:
    x = d.pick(lambda t: least(t) > 0.1)
    return x and f"{x}.{d.rng.choice('sqrt log rsqrt reciprocal log1p log2 log10'.split())}()"


@value(3)
def kinked(d: Draft) -> str | None:
    x = d.pick(lambda t: apart(t, -1.0, 0.0, 1.0))
    forms = ("{}.relu()", "{}.abs()", "{}.clamp(-1.0, 1.0)", "torch.clamp({}, min=0.0)", "{}.clamp(max=1.0)")
    return x and d.rng.choice(forms).format(x)


@value(8)
def arithmetic(d: Draft) -> str | None:
    x = d.pick()
    if not x:
        return None
    operator, name = d.rng.choice((("+", "add"), ("-", "sub"), ("*", "mul")))
    y = d.other(x)
    if d.rng.random() < 0.3:
        return d.rng.choice((f"{x} {operator} {number(d)}", f"{number(d)} {operator} {x}"))
    return d.rng.choice((f"{x} {operator} {y}", f"torch.{name}({x}, {y})"))


@value(2)
def division(d: Draft) -> str | None:
    x = d.pick()
    y = x and d.other(x, lambda t: least(t.detach().abs()) > 0.2)
    return y and d.rng.choice((f"{x} / {y}", f"{x} / {number(d)}", f"{number(d)} / {y}"))


@value(2)
def powers(d: Draft) -> str | None:
    x, z = d.pick(lambda t: least(t) > 0.1), d.pick()
    y = x and d.other(x, lambda t: most(t) < 3)
    positive = (f"{x} ** {y}", f"{x} ** -0.5", f"{x}.pow(1.5)") if y else ()
    return z and d.rng.choice((f"{z} ** 2", f"{z} ** 3", *positive))


def rival(d: Draft, x: str) -> str | None:
    """A tensor that no element of ``x`` nearly ties with."""
    return d.other(x, lambda t: apart(t - d[x], 0.0))


@value(3)
def choice(d: Draft) -> str | None:
    x = d.pick()
    y = x and rival(d, x)
    if not x or not y:
        return None
    mask = d.pick(lambda t: t.shape == d[x].shape, kind="b") or f"{x} <= {y}"
    forms = (f"torch.maximum({x}, {y})", f"torch.minimum({x}, {y})", f"torch.where({x} > {y}, {x}, {y} * 0.5)")
    return d.rng.choice((*forms, f"torch.where({mask}, {x}, {number(d)})"))


@value(2)
def comparison(d: Draft) -> str | None:
    x = d.pick()
    y = x and rival(d, x)
    return y and f"{x} {d.rng.choice(('<', '<=', '>', '>=', '==', '!='))} {y}"


@value(5)
def reduction(d: Draft) -> str | None:
    f = d.rng.choice("sum sum mean mean logsumexp amax amin".split())
    x = d.pick(lambda t: f == "sum" or (t.numel() and (f[0] != "a" or distinct(t))))
    if not x:
        return None
    rank = d[x].ndim
    some = [k - d.rng.choice((0, rank)) for k in d.rng.sample(range(rank), d.rng.randint(min(rank, 1), min(rank, 2)))]
    if not some or (f != "logsumexp" and d.rng.random() < 0.3):
        return f"{x}.{f}(0)" if f == "logsumexp" else f"{x}.{f}()"
    dim = some[0] if len(some) == 1 else tuple(some)
    return f"{x}.{f}(dim={dim}{d.rng.choice(('', ', keepdim=True'))})"


@value(1)
def spread(d: Draft) -> str | None:
    x = d.pick(lambda t: t.numel() and t.ndim and t.shape[-1] > 1)
    if not x:
        return None
    root = float(d[x].detach().var(dim=-1).min()) > 0.05
    return f"{x}.{d.rng.choice(('var', 'std') if root else ('var',))}(dim=-1, correction={d.rng.choice((0, 1))})"


@value(2)
def along(d: Draft) -> str | None:
    x = d.pick(lambda t: t.ndim)
    if not x:
        return None
    rank = d[x].ndim
    k = d.rng.randrange(rank)
    forms = [f"{x}.cumsum({k})", f"torch.softmax({x}, dim={k})", f"{x}.log_softmax({k - rank})"]
    if d[x].shape[k] and distinct(d[x], k):
        forms += [f"{x}.max(dim={k})[0]", f"{x}.min({k}, keepdim=True).values", f"{x}.argmax({k})"]
    return d.rng.choice(forms)


@value(3)
def product(d: Draft) -> str | None:
    x = d.pick(lambda t: 1 <= t.ndim <= 3)
    if not x:
        return None
    s = d[x]
    y = d.pick(lambda t: t.dtype == s.dtype and 1 <= t.ndim <= 3 and t.shape[max(t.ndim - 2, 0)] == s.shape[-1])
    return d.rng.choice((f"{x} @ {y}", f"torch.matmul({x}, {y})")) if y else f"{x} @ {x}.T" if s.ndim == 2 else None


@value(7)
def view(d: Draft) -> str | None:
    x, rng = d.pick(), d.rng
    if not x:
        return None
    s = tuple(d[x].shape)
    rank = len(s)
    forms = [f"{x}.unsqueeze({rng.randint(-rank - 1, rank)})", f"{x}.flatten()", f"{x}.squeeze()"]
    forms += [f"{x}.expand({', '.join(['2', *['-1'] * rank])})"]
    if rank:
        k, m = rng.randrange(rank), rng.randrange(rank)
        forms += [f"{x}.permute({', '.join(map(str, rng.sample(range(rank), rank)))})", f"{x}.transpose({k}, {m})"]
        forms += [f"{x}.view({', '.join(map(str, s))})", f"{x}.reshape({', '.join(map(str, reversed(s)))})"]
        forms += [f"{x}.unbind({k})[-1]", f"{x}.split(2, {k})[0]", f"torch.chunk({x}, 2, dim={k})[-1]"]
        forms += [f"{x}.flatten({min(k, m)}, {max(k, m)})", f"{x}.flip({k})", f"{x}.t()" if rank < 3 else f"{x}.mT"]
    return rng.choice(forms)


def index_of(d: Draft, shape: tuple[int, ...]) -> str:
    """The inside of brackets: integers, slices, None and an ellipsis."""
    items = []
    for n in shape[: d.rng.randint(min(1, len(shape)), len(shape))]:
        forms = [":", "::2", "1:", ":-1", f"{d.rng.randint(0, 1)}:{d.rng.randint(1, 3)}"]
        items.append(d.rng.choice(forms + ([str(d.rng.randint(-n, n - 1))] * 3 if n else [])))
    if d.rng.random() < 0.15:
        items.insert(d.rng.randint(0, len(items)), "None")
    if not items or d.rng.random() < 0.15:
        items.insert(d.rng.randint(0, len(items)) if len(items) == len(shape) else len(items), "...")
    return ", ".join(items)


@value(6)
def slices(d: Draft) -> str | None:
    x = d.pick()
    return x and f"{x}[{index_of(d, tuple(d[x].shape))}]"


@value(4)
def gathered(d: Draft) -> str | None:
    x, rng = d.pick(lambda t: t.ndim and t.numel()), d.rng
    if not x:
        return None
    s = tuple(d[x].shape)
    k, count = rng.randrange(len(s)), rng.randint(1, 4)

    def at(n: int, low: int = 0) -> str:
        return f"torch.tensor({[rng.randint(low, n - 1) for _ in range(count)]})"

    whole = np.array([rng.randrange(s[k]) for _ in range(int(np.prod(s)) // s[k] * count)])
    whole = whole.reshape(s[:k] + (count,) + s[k + 1 :])
    forms = [f"{x}[{at(s[0], -s[0])}]", f"{x}[..., {at(s[-1])}]", f"torch.index_select({x}, {k}, {at(s[k])})"]
    forms += [f"{x}.gather({k}, torch.tensor({whole.tolist()}))"]
    if apart(d[x], 0.0):
        forms += [f"{x}[{x} > 0]", f"{x}.masked_fill({x} > 0, {number(d)})"]
    if len(s) > 1:
        forms += [f"{x}[{at(s[0])}, {at(s[1])}]", f"{x}[:, {at(s[1])}]", f"{x}[{at(s[0])}, 0]"]
    return rng.choice(forms)


@value(3)
def joined(d: Draft) -> str | None:
    x = d.pick()
    if not x:
        return None
    s = tuple(d[x].shape)
    if s and d.rng.random() < 0.6:
        k = d.rng.randrange(len(s))
        y = d.pick(lambda t: t.ndim == len(s) and all(a == b for j, (a, b) in enumerate(zip(t.shape, s)) if j != k))
        return f"torch.cat([{x}, {y}], {d.rng.choice((k, k - len(s)))})"
    y = d.pick(lambda t: tuple(t.shape) == s)
    return f"torch.stack([{x}, {y}, {x}], {d.rng.randint(-1, len(s))})"


@value(1.5)
def another_handle(d: Draft) -> str | None:
    x = d.pick()
    return x and x + d.rng.choice((".detach()", ".clone()", ".contiguous()", ".float()", ".double()"))


# ------------------------------------------------------------------------------------ changes: what writes to memory

WRITES = (
    "@ += {x}", "@ -= {x}", "@ *= {x}", "@ += {n}", "@ *= {n}", "@ /= 2", "@.tanh_()", "@.sigmoid_()", "@.neg_()",
    "@.zero_()", "@.fill_({n})", "@.mul_({x})", "@.add_({x}, alpha={n})", "@.copy_({x})", "@.sub_({n})", "@.relu_()",
    "@.clamp_(-1.0, 1.0)", "@.masked_fill_(@ > 0, {n})", "@[{i}] = {n}", "@[{i}] = {x}", "@[{i}] = {x}",
    "@[@ > 0] = {n}",
)  # fmt: skip


def change(d: Draft) -> None:
    """Write into a tensor: a recorded in-place operation, or one under ``no_grad``."""
    recording, careful = d.rng.random() < 0.6, d.rng.random() < 0.97

    def refused(t: Any) -> bool:
        return recording and bool(base_of(t).is_leaf and base_of(t).requires_grad)

    name = d.pick(lambda t: apart(t, -1.0, 0.0, 1.0) and not ((careful or not t.numel()) and refused(t)))
    if name is None:
        return
    # Of two tensors in one memory the second may be read after the first was written (PyTorch copies as it goes).
    t, x = d[name], d.pick(lambda other: other is d[name] or not same_memory(other, d[name]))
    index = index_of(d, tuple(t.shape))
    text = d.rng.choice(WRITES).replace("@", name).format(x=x, n=number(d), i=index)
    trial = {**d.space, name: t.detach().clone()}
    try:  # on a copy: does it fit, and do the numbers stay small?
        exec(compiled(text), trial)
    except ERRORS:
        return
    if not sound(trial[name]):
        return
    line = Line(text if recording else f"with torch.no_grad(): {text}", name, in_place=True)
    d.write(line)


def backward(d: Draft) -> None:
    """A backward pass in the middle, and perhaps a step down the gradient."""
    y, leaf = d.pick(lambda t: t.grad_fn is not None), d.pick(lambda t: t.is_leaf and t.requires_grad)
    if y is None or leaf is None:
        return
    line = Line(f"weigh({y}).backward({d.rng.choice(('', 'retain_graph=True', 'retain_graph=True'))})")
    try:
        exec(compiled(line.text), d.space)
    except ERRORS:
        d.outputs = (y,)
        raise End from None
    d.lines.append(line)
    grad = d[leaf].grad
    if grad is not None and most(grad) < LARGEST:
        step = Line(f"with torch.no_grad(): {leaf} -= 0.125 * {leaf}.grad", leaf, in_place=True)
        d.write(step)
