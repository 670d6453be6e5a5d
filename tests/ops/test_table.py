"""What follows from an entry of the op table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tests.each import each, grouped
from tests.ops.tables import TABLE, Sample
from tinydl.autograd import grad, gradcheck, gradgradcheck, registry

CASES = [(name, i, s) for name, e in sorted(TABLE.items()) for i, s in enumerate(e.make(np.random.default_rng(11)))]
IDS = [f"{name}-{i}{'-' + s.note.replace(' ', '_') if s.note else ''}" for name, i, s in CASES]
ALL = list(zip(CASES, IDS))
DIFFERENTIABLE = [(c, i) for c, i in zip(CASES, IDS) if c[0] in registry() and registry()[c[0]].differentiable]

Case = tuple[tuple[str, int, Sample], str]  # a sample of an operation, and its label


def by_operation(cases: list[Case]) -> Any:
    """One test for all samples of an operation."""
    return grouped(cases, lambda case: case[0][0])


def each_sample(cases: list[Case], check: Any) -> None:
    """``check(name, sample)`` of them all."""
    each(((label, (name, sample)) for (name, _, sample), label in cases), lambda case: check(*case))


def floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def tensors(sample: Sample, dtype: Any = np.float64) -> tuple[list[Any], list[int]]:
    """The arguments, differentiable ones as leaves in their own memory layout; and where those are."""
    out: list[Any] = []
    at: list[int] = []
    for i, x in enumerate(sample.args):
        if sample.alias and i == sample.alias[1]:
            out.append(out[sample.alias[0]])
        elif floating(x) and i not in sample.constant:
            a = x if dtype == x.dtype else x.astype(dtype)
            out.append(tinydl.tensor(a, requires_grad=True))
            at.append(i)
        else:
            out.append(x.astype(dtype) if floating(x) else x)
    return out, at


def call(name: str, sample: Sample, args: list[Any], at: list[int]) -> Any:
    """The operation as a function of its differentiable arguments alone."""

    def f(*xs: Any) -> Any:
        full = list(args)
        for i, x in zip(at, xs):
            full[i] = x
        if sample.alias:
            full[sample.alias[1]] = full[sample.alias[0]]
        op = registry()[name]
        out = op.call(*full, **sample.static)
        if op.public == op.returned:
            return out
        kept = [o for o, what in zip(out, op.returned) if what in op.public]  # the others have no derivative
        return kept[0] if len(kept) == 1 else tuple(kept)

    return f


def test_the_table_and_the_registry_name_the_same_operations() -> None:
    assert set(registry()) == set(TABLE), (
        f"without an entry: {sorted(set(registry()) - set(TABLE))}; entered but not registered: "
        f"{sorted(set(TABLE) - set(registry()))}"
    )


@by_operation(DIFFERENTIABLE)
def test_gradient_equals_finite_differences(cases: list[Case]) -> None:
    each_sample(cases, gradient_is_right)


def gradient_is_right(name: str, sample: Sample) -> None:
    args, at = tensors(sample)
    f = call(name, sample, args, at)
    assert gradcheck(f, tuple(args[k] for k in at))


SECOND = [(c, i) for c, i in DIFFERENTIABLE if TABLE[c[0]].second]


@by_operation(SECOND)
def test_second_derivative_equals_finite_differences(cases: list[Case]) -> None:
    each_sample(cases, second_derivative_is_right)


def second_derivative_is_right(name: str, sample: Sample) -> None:
    args, at = tensors(sample)
    f = call(name, sample, args, at)
    assert gradgradcheck(f, tuple(args[k] for k in at))


@by_operation(DIFFERENTIABLE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_routes_agree_and_nothing_else_changes(cases: list[Case], dtype: Any) -> None:
    each_sample(cases, lambda name, sample: both_routes_agree(name, sample, dtype))


def both_routes_agree(name: str, sample: Sample, dtype: Any) -> None:
    args, at = tensors(sample, dtype)
    leaves = [args[k] for k in at]
    before = [x.array.copy() for x in leaves]
    static = sample.static if name != "cast" else {"dtype": np.dtype(dtype)}
    out = call(name, Sample(sample.args, static, sample.constant, sample.alias), args, at)(*leaves)
    outs = out if isinstance(out, tuple) else (out,)
    rng = np.random.default_rng(3)
    seeds = [tinydl.tensor(np.asarray(rng.uniform(-1, 1, o.shape), dtype)) for o in outs]
    assert all(o.dtype == dtype for o in outs)
    arrays = grad(outs, leaves, seeds, retain_graph=True)
    recorded = grad(outs, leaves, seeds, create_graph=True)
    fused = registry()[name].composite is not None or registry()[name].few is not None
    for x, a, r, old in zip(leaves, arrays, recorded, before):
        assert a.shape == r.shape == x.shape
        assert a.dtype == r.dtype == dtype
        if fused:
            scale = max(1.0, float(np.abs(r.array).max(initial=0.0)))
            np.testing.assert_allclose(a.array, r.array, rtol=0, atol=scale * (2e-5 if dtype == np.float32 else 1e-11))
        else:
            np.testing.assert_array_equal(a.array, r.array)
        assert a.array.flags.writeable and a.array.flags.c_contiguous and not np.shares_memory(a.array, x.array)
        np.testing.assert_array_equal(x.array, old)


@by_operation(ALL)
def test_arrays_in_arrays_out(cases: list[Case]) -> None:
    """A primitive given plain arrays makes no Tensor, writes no input, and computes what it computes for tensors."""
    each_sample(cases, arrays_in_arrays_out)


def arrays_in_arrays_out(name: str, sample: Sample) -> None:
    args = [x.copy() if isinstance(x, np.ndarray) else x for x in sample.args]
    plain = registry()[name].call(*args, **sample.static)
    for a, x in zip(args, sample.args):
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(a, x)
    wrapped = registry()[name].call(
        *[tinydl.tensor(x) if isinstance(x, np.ndarray) else x for x in args], **sample.static
    )
    for p, w in zip(
        plain if isinstance(plain, tuple) else (plain,), wrapped if isinstance(wrapped, tuple) else (wrapped,)
    ):
        assert not isinstance(p, tinydl.Tensor) and isinstance(w, tinydl.Tensor)
        assert not w.requires_grad
        np.testing.assert_array_equal(p, w.array)


@by_operation(ALL)
def test_what_shares_its_inputs_memory_is_a_view_of_it(cases: list[Case]) -> None:
    """It counts the same changes, so that backward notices them, and is noticed as a view by in-place operations."""
    each_sample(cases, a_view_if_it_shares)


def a_view_if_it_shares(name: str, sample: Sample) -> None:
    args = [tinydl.tensor(x) if isinstance(x, np.ndarray) else x for x in sample.args]
    out = registry()[name].call(*args, **sample.static)
    of = args[0] if isinstance(args[0], tinydl.Tensor) else out
    if of is not out and isinstance(out, tinydl.Tensor) and np.may_share_memory(out.array, of.array):
        assert out.taken == 0 and out.base is of and out.ver is of.ver is not None


@pytest.mark.parametrize("name", sorted(n for n, op in registry().items() if not op.differentiable))
def test_functions_without_derivative_do_not_record(name: str) -> None:
    for sample in TABLE[name].make(np.random.default_rng(5)):
        args = [tinydl.tensor(x, requires_grad=floating(x)) if isinstance(x, np.ndarray) else x for x in sample.args]
        results = registry()[name].call(*args, **sample.static)
        assert not any(y.requires_grad for y in (results if isinstance(results, tuple) else (results,)))


def strided(x: Any) -> Any:
    """The same numbers with gaps between them, in column-major order."""
    memory = np.full(tuple(2 * n for n in reversed(x.shape)), np.nan)
    view = memory.T[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return view


def reversed_(x: Any) -> Any:
    """The same numbers stored backwards along every dimension: all strides negative."""
    back = (slice(None, None, -1),) * x.ndim
    return x[back].copy()[back]


WIDE = [
    (c, i)
    for c, i in DIFFERENTIABLE
    if not c[2].alias and any(floating(x) and x.ndim and x.size > 1 for x in c[2].args)
]


@by_operation(WIDE)
def test_memory_layout_does_not_matter(cases: list[Case]) -> None:
    """Every operation, every sample: the same value and gradients wherever the numbers lie."""
    each_sample(cases, layouts_agree)


def layouts_agree(name: str, sample: Sample) -> None:
    """Strided, and with negative strides, as it is without gaps."""
    plain = Sample(tuple(np.ascontiguousarray(x) if floating(x) and x.ndim else x for x in sample.args), sample.static)

    def found(store: Any) -> list[Any]:
        args, at = tensors(
            Sample(tuple(store(x) if floating(x) and x.ndim else x for x in plain.args), sample.static, sample.constant)
        )
        leaves = [args[k] for k in at]
        out = call(name, sample, args, at)(*leaves)
        outs = out if isinstance(out, tuple) else (out,)
        rng = np.random.default_rng(3)
        seeds = [tinydl.tensor(np.asarray(rng.uniform(-1, 1, o.shape))) for o in outs]
        return [*outs, *grad(outs, leaves, seeds, allow_unused=True)]

    expected = found(lambda x: x)
    for store in (strided, reversed_):
        for a, b in zip(expected, found(store), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.array, b.array, rtol=1e-10, atol=1e-12, err_msg=store.__name__)


def pairs_of_slots() -> list[Case]:
    """Samples in which two inputs have one shape: one tensor can stand in both slots."""
    found: list[Case] = []
    for (name, _, sample), label in DIFFERENTIABLE:
        places = [k for k, x in enumerate(sample.args) if floating(x) and k not in sample.constant]
        constants = registry()[name].constants
        for a in places:
            for b in places:
                names = registry()[name].args
                known = not registry()[name].variadic
                if a < b and sample.args[a].shape == sample.args[b].shape and sample.args[a].size:
                    if not (known and {names[a], names[b]} & set(constants)):
                        slots = Sample(sample.args, sample.static, sample.constant, (a, b))
                        found.append(((name, 0, slots), f"{label}-{a}-{b}"))
    return found


@by_operation(pairs_of_slots())
def test_one_tensor_in_two_slots(cases: list[Case]) -> None:
    each_sample(cases, two_slots)


def two_slots(name: str, sample: Sample) -> None:
    args, at = tensors(sample)
    f = call(name, sample, args, at)
    leaves = tuple(args[k] for k in at)
    assert gradcheck(f, leaves)
    if TABLE[name].second:
        assert gradgradcheck(f, leaves)
