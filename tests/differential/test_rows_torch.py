"""What follows from a row of the differential table (``rows.py``), with PyTorch as the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tests.differential import tables  # noqa: F401 - enters the rows
from tests.differential.rows import ROWS, Row, resolve
from tests.each import each, grouped

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

# PyTorch warns of a copy that padding="same" makes with an even kernel.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")

FUNCTIONS = [r for r in ROWS if not r.module]
MODULES = [r for r in ROWS if r.module]
TOLERANCE = {"float32": 2e-5, "float64": 1e-9}


def strided(x: Any) -> Any:
    """The same numbers with gaps between them, in column-major order."""
    if not x.ndim:
        return x
    memory = np.zeros(tuple(2 * n for n in reversed(x.shape)), x.dtype)
    view = memory.T[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return view


def reversed_(x: Any) -> Any:
    """The same numbers stored backwards along every dimension: all strides negative."""
    back = (slice(None, None, -1),) * x.ndim
    return x[back].copy()[back]


LAYOUTS = {"contiguous": lambda x: x, "strided": strided, "negative": reversed_}


def flat(result: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(result, (tuple, list)):
        return [x for part in result for x in flat(part)]
    return [result]


def is_tensor(x: Any) -> bool:
    return isinstance(x, (tinydl.Tensor, torch.Tensor))


def dtype_name(x: Any) -> str:
    return str(x.dtype).rpartition(".")[2]


def value(x: Any) -> Any:
    return x.array if isinstance(x, tinydl.Tensor) else x.numpy(force=True) if isinstance(x, torch.Tensor) else x


def inputs(row: Row, dtype: str, layout: str = "contiguous") -> tuple[list[Any], list[Any], list[int]]:
    """The arguments as our tensors and as PyTorch's, and where the leaves are."""
    arrays = row.arrays(dtype)
    at = row.differentiable(arrays)
    ours, theirs = [], []
    for i, x in enumerate(arrays):
        if isinstance(x, np.ndarray):
            ours.append(tinydl.tensor(LAYOUTS[layout](x), requires_grad=i in at))
            theirs.append(torch.tensor(x, requires_grad=i in at))
        else:
            ours.append(x)
            theirs.append(x)
    return ours, theirs, at


def same(got: Any, wanted: Any, dtype: str, loose: float, what: str) -> None:
    """Structure, dtype, shape and numbers."""
    ys, zs = flat(got), flat(wanted)
    assert len(ys) == len(zs), f"{what}: {len(ys)} results, expected {len(zs)}"
    for k, (y, z) in enumerate(zip(ys, zs)):
        if not is_tensor(z):
            assert not is_tensor(y), f"{what} {k}: a Tensor where PyTorch gives {z!r}"
            if isinstance(z, torch.Size):
                z = tuple(z)
            assert y == z or y is z, f"{what} {k}: {y!r}, expected {z!r}"
            continue
        assert is_tensor(y), f"{what} {k}: {type(y).__name__}, expected a Tensor"
        assert tuple(y.shape) == tuple(z.shape), f"{what} {k}: shape {tuple(y.shape)}, expected {tuple(z.shape)}"
        assert dtype_name(y) == dtype_name(z), f"{what} {k}: dtype {y.dtype}, expected {z.dtype}"
        t = max(TOLERANCE[dtype], TOLERANCE.get(dtype_name(z), 0.0)) * loose  # integers make float32 of every row
        np.testing.assert_allclose(value(y), value(z), rtol=t, atol=t, err_msg=f"{what} {k}")


def gradients(library: Any, outputs: Any, leaves: list[Any], order: int, seed: int = 5) -> list[Any]:
    """Gradients of a random weighting of all floating outputs (order 1), or of half the squared norm of those (2)."""
    rng = np.random.default_rng(seed)
    total = None
    for y in flat(outputs):
        if is_tensor(y) and y.requires_grad:
            w = rng.uniform(0.5, 1.5, tuple(y.shape)).astype(dtype_name(y))
            term = (y * (tinydl.tensor(w) if library is tinydl else torch.tensor(w))).sum()
            total = term if total is None else total + term
        elif is_tensor(y):
            rng.uniform(0.5, 1.5, tuple(y.shape))
    assert total is not None, "no result requires a gradient"
    found = library.autograd.grad(total, leaves, create_graph=order > 1, allow_unused=True)
    if order == 1:
        return list(found)
    squares = [(g * g).sum() for g in found if g is not None and g.requires_grad]
    if not squares:
        return [None] * len(leaves)
    norm = squares[0]
    for s in squares[1:]:
        norm = norm + s
    return list(library.autograd.grad(norm, leaves, allow_unused=True))


def same_gradients(got: list[Any], wanted: list[Any], dtype: str, loose: float, what: str) -> None:
    """Equal, where None counts as zeros."""
    for k, (a, b) in enumerate(zip(got, wanted)):
        if a is None or b is None:
            assert a is None or not np.any(value(a)), f"{what} {k}: not zero, where PyTorch has none"
            assert b is None or not np.any(value(b)), f"{what} {k}: none, where PyTorch has one"
            continue
        assert tuple(a.shape) == tuple(b.shape) and dtype_name(a) == dtype_name(b), f"{what} {k}: shape or dtype"
        scale = max(1.0, float(np.nanmax(np.abs(value(b)), initial=0.0)))
        t = TOLERANCE[dtype] * loose * 5
        np.testing.assert_allclose(value(a), value(b), rtol=t, atol=t * scale, err_msg=f"{what} {k}")


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda r: r.label)
def test_value_and_gradients(row: Row) -> None:
    """The value; first and second derivatives; and no input was written."""
    for dtype in TOLERANCE:
        wanted, needs, derivatives = expected(row, dtype)  # of numbers, which the layouts share
        each(
            ((f"{dtype}, {layout}", layout) for layout in LAYOUTS),
            lambda layout: agrees(row, dtype, layout, wanted, needs, derivatives),  # noqa: B023 - used at once
        )


def expected(row: Row, dtype: str) -> tuple[list[Any], list[bool], list[list[Any]]]:
    """PyTorch's results, which of them require a gradient, and their derivatives of first and second order."""
    _, theirs, at = inputs(row, dtype)
    results = flat(row.evaluate(torch, theirs))
    needs = [is_tensor(y) and y.requires_grad for y in results]
    wanted = [y.detach().clone() if is_tensor(y) else y for y in results]  # what shares memory may be written again
    leaves, derivatives = [theirs[i] for i in at], []
    for order in () if not any(needs) else (1, 2) if row.smooth else (1,):
        if order == 2:
            results = flat(row.evaluate(torch, theirs))
        derivatives.append(gradients(torch, results, leaves, order))
    return wanted, needs, derivatives


def agrees(
    row: Row, dtype: str, layout: str, wanted: list[Any], needs: list[bool], derivatives: list[list[Any]]
) -> None:
    """Ours, of inputs that lie so in memory."""
    ours, _, at = inputs(row, dtype, layout)
    before = [x.array.copy() if is_tensor(x) else None for x in ours]
    got = row.evaluate(tinydl, ours)
    same(got, wanted, dtype, row.loose, "value")
    assert needs == [is_tensor(y) and y.requires_grad for y in flat(got)], "requires_grad differs"
    for order, derivative in enumerate(derivatives, 1):
        if order == 2:
            got = row.evaluate(tinydl, ours)
        found = gradients(tinydl, got, [ours[i] for i in at], order)
        same_gradients(found, derivative, dtype, row.loose, f"derivative {order} by leaf")
    for i, (x, old) in enumerate(zip(ours, before)):
        if old is not None:
            np.testing.assert_array_equal(x.array, old, err_msg=f"argument {i} was changed")


def by_name(rows: list[Row]) -> Any:
    """One test for all rows of a name."""
    return grouped(rows, lambda row: row.name)


def each_row(rows: list[Row], check: Any) -> None:
    """``check`` them all."""
    each(((row.label, row) for row in rows), check)


SCALARS = [r for r in FUNCTIONS if r.name.endswith("_loss") or r.name in ("nn.functional.cross_entropy", "sum", "norm")]


@by_name(SCALARS)
def test_gradients_of_any_weight(cases: list[Row]) -> None:
    """Nothing, one, and any other number times a result have so many times its gradient."""
    each_row(cases, any_weight)


def any_weight(row: Row) -> None:
    ours, theirs, at = inputs(row, "float64")
    for weight in (0.0, 1.0, -2.0):
        a, b = (flat(row.evaluate(library, given))[0] for library, given in ((tinydl, ours), (torch, theirs)))
        if is_tensor(b) and b.requires_grad:
            xs, zs = [ours[i] for i in at], [theirs[i] for i in at]
            seed = np.full(tuple(b.shape), weight)
            same_gradients(
                list(tinydl.autograd.grad(a, xs, tinydl.tensor(seed), allow_unused=True)),
                list(torch.autograd.grad(b, zs, torch.tensor(seed), allow_unused=True)),
                "float64", row.loose, f"{weight} times, by leaf",
            )  # fmt: skip


METHODS = [
    r for r in FUNCTIONS if r.call is None and r.method and "." not in r.name and hasattr(torch.Tensor, r.name)
]  # fmt: skip


@by_name(METHODS)
def test_method_form(cases: list[Row]) -> None:
    """``x.name(...)`` is ``tinydl.name(x, ...)``."""
    each_row(cases, method_form)


def method_form(row: Row) -> None:
    ours, _, _ = inputs(row, "float64")
    if not is_tensor(ours[0]):
        return  # a function of no tensor has no such form
    plain = flat(row.evaluate(tinydl, ours))
    method = flat(getattr(ours[0], row.name)(*ours[1:], **row.keywords))
    assert len(plain) == len(method)
    for a, b in zip(plain, method):
        np.testing.assert_array_equal(value(a), value(b))


# PyTorch's functions of nn.functional know no ``axis=``.
ALONG = [r for r in FUNCTIONS if r.call is None and "dim" in r.keywords and not r.name.startswith("nn.")]


@by_name(ALONG)
def test_axis_is_dim(cases: list[Row]) -> None:
    """``axis=`` says the same as ``dim=``."""
    each_row(cases, axis_is_dim)


def axis_is_dim(row: Row) -> None:
    ours, _, _ = inputs(row, "float64")
    keywords = {("axis" if k == "dim" else k): v for k, v in row.keywords.items()}
    for a, b in zip(flat(row.evaluate(tinydl, ours)), flat(resolve(tinydl, row.name)(*ours, **keywords)), strict=True):
        np.testing.assert_array_equal(value(a), value(b))


KEEPING = [r for r in FUNCTIONS if r.call is None and "keepdim" in r.keywords and not r.name.startswith("nn.")]


@by_name(KEEPING)
def test_keepdims_is_keepdim(cases: list[Row]) -> None:
    """``keepdims=`` says the same as ``keepdim=``."""
    each_row(cases, keepdims_is_keepdim)


def keepdims_is_keepdim(row: Row) -> None:
    ours, _, _ = inputs(row, "float64")
    keywords = {("keepdims" if k == "keepdim" else k): v for k, v in row.keywords.items()}
    for a, b in zip(flat(row.evaluate(tinydl, ours)), flat(resolve(tinydl, row.name)(*ours, **keywords)), strict=True):
        np.testing.assert_array_equal(value(a), value(b))


IN_PLACE = [
    r
    for r in FUNCTIONS
    if r.call is None and r.method and r.in_place and "." not in r.name and hasattr(torch.Tensor, r.name + "_")
]


@by_name(IN_PLACE)
def test_in_place_form(cases: list[Row]) -> None:
    """``x.name_(...)``, recorded and not, gives what ``x.name(...)`` does in the same tensor, or refuses as PyTorch."""
    each_row(cases, in_place_form)


def in_place_form(row: Row) -> None:
    ours, theirs, at = inputs(row, "float64")
    if not is_tensor(ours[0]):
        return  # a function of no tensor has no such form
    x, z = ours[0].detach().clone(), theirs[0].detach().clone()
    rest, others = [_bare(a) for a in ours[1:]], [_bare(a) for a in theirs[1:]]
    try:
        wanted = getattr(z, row.name + "_")(*others, **row.keywords)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            getattr(x, row.name + "_")(*rest, **row.keywords)
        return
    got = getattr(x, row.name + "_")(*rest, **row.keywords)
    assert got is x
    same(x, wanted, "float64", row.loose, "in place")
    if 0 in at and z.dtype.is_floating_point:
        y, w = ours[0] * 1, theirs[0] * 1
        getattr(y, row.name + "_")(*ours[1:], **row.keywords)
        getattr(w, row.name + "_")(*theirs[1:], **row.keywords)
        same(y, w, "float64", row.loose, "recorded in place")
        if w.requires_grad:
            a = gradients(tinydl, y, [ours[i] for i in at], 1)
            b = gradients(torch, w, [theirs[i] for i in at], 1)
            same_gradients(a, b, "float64", row.loose, "in place, by leaf")


def _bare(x: Any) -> Any:
    return x.detach() if is_tensor(x) else x


def errors(row: Row, library: Any, exact: list[Any], tensors: list[Any]) -> list[float]:
    """The largest error of each floating result in float32, relative to the largest of its numbers."""
    out = []
    for y, z in zip(flat(row.evaluate(library, tensors)), exact):
        if is_tensor(y) and value(y).dtype.kind == "f" and value(z).dtype == np.float64:
            finite = np.isfinite(value(z))
            scale = np.abs(value(z)[finite]).max(initial=0.0) or 1.0
            difference = value(y).astype(np.float64)[finite] - value(z)[finite]
            out.append(float(np.abs(difference).max(initial=0.0) / scale))
    return out


@by_name(FUNCTIONS)
def test_float32_error(cases: list[Row]) -> None:
    """Against float64, an error of at most four times PyTorch's and two units in the last place."""
    each_row(cases, float32_error)


def float32_error(row: Row) -> None:
    ours, theirs, _ = inputs(row, "float32")
    wide = [x.double() if is_tensor(x) and x.is_floating_point() else x for x in theirs]
    exact = flat(row.evaluate(torch, wide))
    bound = 2 * float(np.finfo(np.float32).eps)
    for k, (a, b) in enumerate(zip(errors(row, tinydl, exact, ours), errors(row, torch, exact, theirs))):
        assert a <= 4 * b + bound, f"result {k}: error {a:.2e}, PyTorch's {b:.2e}"


# ------------------------------------------------------------------------------------------------------------ layers


def pair(row: Row, dtype: str, mode: str) -> tuple[Any, Any]:
    """The layer in both libraries with the same parameters and buffers."""
    torch.manual_seed(3)
    theirs = row.keywords["build"](torch).to(getattr(torch, dtype))
    ours = row.keywords["build"](tinydl).to(getattr(tinydl, dtype))
    mine, state = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(state), "state_dict keys"
    for k, v in state.items():
        assert tuple(mine[k].shape) == tuple(v.shape) and dtype_name(mine[k]) == dtype_name(v), k
    ours.load_state_dict({k: tinydl.tensor(v.numpy()) for k, v in state.items()})
    return ours.train(mode == "train"), theirs.train(mode == "train")


MODES = [(r, mode) for r in MODULES for mode in r.modes]


@pytest.mark.parametrize(("row", "mode"), MODES, ids=[f"{r.label}-{mode}" for r, mode in MODES])
def test_layer(row: Row, mode: str) -> None:
    """Value, gradients of inputs and parameters to second order, and the buffers that a call changes."""
    each(((dtype, dtype) for dtype in TOLERANCE), lambda dtype: layer_agrees(row, mode, dtype))


def layer_agrees(row: Row, mode: str, dtype: str) -> None:
    """In one dtype."""
    layer, oracle = pair(row, dtype, mode)
    ours, theirs, at = inputs(row, dtype)
    run = row.keywords["run"]
    xs = [ours[i] for i in at] + [p for p in layer.parameters() if p.requires_grad]
    zs = [theirs[i] for i in at] + [p for p in oracle.parameters() if p.requires_grad]
    got, wanted = run(layer, *ours), run(oracle, *theirs)
    same(got, wanted, dtype, row.loose, "value")
    for (k, a), (_, b) in zip(layer.named_buffers(), oracle.named_buffers()):
        same(a, b, dtype, row.loose, f"buffer {k} after the call")
    if not any(is_tensor(y) and y.requires_grad for y in flat(wanted)):
        return
    same_gradients(
        gradients(tinydl, got, xs, 1), gradients(torch, wanted, zs, 1), dtype, row.loose, "derivative 1 by leaf"
    )
    if row.smooth and dtype == "float64":
        layer, oracle = pair(row, dtype, mode)
        xs = [ours[i] for i in at] + [p for p in layer.parameters() if p.requires_grad]
        zs = [theirs[i] for i in at] + [p for p in oracle.parameters() if p.requires_grad]
        got, wanted = run(layer, *ours), run(oracle, *theirs)
        same_gradients(
            gradients(tinydl, got, xs, 2), gradients(torch, wanted, zs, 2), dtype, row.loose, "derivative 2 by leaf"
        )


@pytest.mark.parametrize("row", MODULES, ids=lambda r: r.label)
def test_layer_prints_as_pytorch(row: Row) -> None:
    assert repr(row.keywords["build"](tinydl)) == repr(row.keywords["build"](torch))
