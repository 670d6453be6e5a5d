"""In-place operations and views: memory is shared, stale values are noticed, a gradient is never silently wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl import autograd


def leaf(*shape: int) -> tinydl.Tensor:
    return tinydl.tensor(np.random.default_rng(0).uniform(0.5, 1.5, shape), requires_grad=True)


def test_recorded_in_place_keeps_saved_values_valid() -> None:
    x = leaf(3)
    h = x.exp()
    e = h.array.copy()
    z = h * h
    h *= 3.0
    (z + h).sum().backward()
    np.testing.assert_allclose(x.grad.array, 2 * e * e + 3 * e)


def test_unrecorded_write_to_a_saved_value_is_an_error() -> None:
    x = leaf(3)
    h = x.exp()
    y = h.sum()
    with tinydl.no_grad():
        h.mul_(3.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation: the result of exp changed"):
        y.backward()


def test_a_write_through_a_view_is_noticed() -> None:
    x, w = leaf(3), tinydl.tensor(np.ones(3))
    y = (x * w).sum()
    w[1:].fill_(5.0)
    with pytest.raises(RuntimeError, match="the input 'other' of mul"):
        y.backward()


def test_a_write_through_detach_is_noticed() -> None:
    x = leaf(3)
    h = x.tanh()
    y = h.sum()
    h.detach().zero_()
    with pytest.raises(RuntimeError, match="the result of tanh"):
        y.backward()


def test_a_kernel_that_declares_its_write_is_noticed() -> None:
    x = leaf(3)
    y = (x * x).sum()
    x.array += 1
    x.bump()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_under_create_graph_too() -> None:
    x = leaf(3)
    h = x.exp()
    y = (h * h).sum()
    with tinydl.no_grad():
        h.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        autograd.grad(y, x, create_graph=True)


def test_leaves_and_their_views_refuse_recorded_changes() -> None:
    x = leaf(3, 2)
    with pytest.raises(
        RuntimeError,
        match=r"a leaf Variable that requires grad is being used in an in-place operation "
        r"\(add_ on shape \(3, 2\)\)",
    ):
        x += 1
    with pytest.raises(RuntimeError, match="leaf"):
        x[0] = 1.0
    with pytest.raises(RuntimeError, match=r"a view of a leaf Variable .* \(mul_ on shape \(2,\)\)"):
        x[0].mul_(2)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        x[0] += 1
    with tinydl.no_grad():
        x += 1  # an optimizer's step
    assert x.array.min() > 1.4


def test_a_recorded_change_of_a_view_changes_its_base() -> None:
    x = leaf(3, 2)
    h = x * 2
    before = h.array.copy()
    row = h[1]
    row *= x[0]
    h[0, 1] += 10
    h.T[0].mul_(3)
    expected = before.copy()
    expected[1] *= x.array[0]
    expected[0, 1] += 10
    expected[:, 0] *= 3
    np.testing.assert_allclose(h.array, expected)
    np.testing.assert_allclose(row.numpy(force=True), expected[1])  # taken anew
    (h.sum() + row.sum()).backward()
    want = np.full((3, 2), 2.0) * [3, 1]
    want[1] *= x.array[0] * 2  # the row counts twice
    want[0] += 2 * x.array[1] * 2 * [3, 1]
    np.testing.assert_allclose(x.grad.array, want)


def test_a_plain_buffer_filled_row_by_row_is_recorded() -> None:
    x, out = leaf(2), tinydl.zeros(3, 2, dtype=tinydl.float64)
    for i in range(3):
        out[i][1:] = x[:1] * i
        out[i].add_(x)
    assert out.requires_grad and not out.is_leaf
    np.testing.assert_allclose(out.array[:, 0], x.array[0])
    np.testing.assert_allclose(out.array[:, 1], x.array[1] + x.array[0] * np.arange(3))
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, [3 + 3, 3])


def test_a_view_follows_its_base_with_value_and_gradient() -> None:
    x = leaf(3, 2)
    h = x * 1
    v, every_second, again = h[0], h.view(-1)[1::2], h[0][1]
    h *= x
    assert v.requires_grad and v.grad_fn is not None and "grad_fn" in repr(v)
    np.testing.assert_array_equal(v.numpy(force=True), h.array[0])
    assert np.shares_memory(v.array, h.array)
    (v.sum() + every_second.sum() + again).backward()
    np.testing.assert_allclose(x.grad.array, 2 * x.array * [[1, 3], [0, 1], [0, 1]])


def test_a_view_of_a_buffer_that_becomes_recorded_is_recorded() -> None:
    x, buffer = leaf(2), tinydl.zeros(2, dtype=tinydl.float64)
    v = buffer[1]
    buffer += x
    with tinydl.no_grad():  # its history is not lost where nothing is recorded
        assert v.item() == x.array[1]
    assert v.requires_grad
    v.backward()
    np.testing.assert_array_equal(x.grad.array, [0, 1])


def test_changes_of_views_differentiate_twice() -> None:
    def f(x: tinydl.Tensor) -> tinydl.Tensor:
        h = x * x
        h[1:] *= x[:2]
        h.T[0].add_(x[:, 1].exp())
        v = h[0]
        h.sin_()
        return (h * h).sum() + (v * x[1]).sum()

    assert autograd.gradcheck(f, (leaf(3, 2),)) and autograd.gradgradcheck(f, (leaf(3, 2),))


def test_sharers_that_are_no_views_refuse_recorded_changes() -> None:
    x = leaf(3, 2)
    h = x * 1
    with pytest.raises(RuntimeError, match=r"add_: this tensor of shape \(3, 2\) shares memory with one that it is no"):
        h.detach().add_(x)
    with pytest.raises(RuntimeError, match="that is not contiguous"):
        (x.T * 1)[0].add_(x[:, 0])
    d = h.detach()
    before = d.array.copy()
    h *= 2.0
    with pytest.raises(RuntimeError, match=r"mul: this tensor of shape \(3, 2\) is a view of a tensor that a recorded"):
        _ = d * d
    np.testing.assert_array_equal(d.array, before)
    for use in (repr, lambda t: t.requires_grad):
        use(d)  # these answer


def test_a_view_taken_without_recording_refuses_a_recorded_change() -> None:
    h = leaf(3, 2) * 1
    with tinydl.no_grad():
        v = h[0]
    with pytest.raises(RuntimeError, match="was created in no_grad mode"):
        v *= 2


def test_an_expanded_view_stays_read_only() -> None:
    h = leaf(1) * 1
    wide = h.expand(3)
    h *= 2
    np.testing.assert_array_equal(wide.numpy(force=True), np.repeat(h.array, 3))
    with pytest.raises(RuntimeError, match="single memory location"):
        wide.add_(1)


def test_views_of_no_elements() -> None:
    x, buffer = leaf(1), tinydl.zeros(0, 4, dtype=tinydl.float64)
    v = buffer[:, 1:]
    v.mul_(x)
    assert v.requires_grad and buffer.requires_grad and v.shape == (0, 3)


def test_anomaly_names_the_line_of_a_change_of_a_view() -> None:
    x = leaf(2)
    with tinydl.autograd.detect_anomaly():
        h = x - x
        h[0].mul_(float("nan"))
        with pytest.raises(RuntimeError, match="test_in_place.py"):
            (h * 0).sum().backward()


def test_views_see_unrecorded_writes() -> None:
    x = tinydl.zeros(3, 2)
    row = x[1]
    x.add_(2.0)
    assert (row.array == 2).all() and ((row * 2).array == 4).all()
    row.fill_(7.0)
    assert (x.array[1] == 7).all()


def test_recorded_assignment() -> None:
    x, v = leaf(3, 2), leaf(2)
    h = x * 2
    h[1] = v * 3
    h.sum().backward()
    np.testing.assert_array_equal(x.grad.array, [[2, 2], [0, 0], [2, 2]])
    np.testing.assert_array_equal(v.grad.array, [3, 3])


def test_assigning_a_recorded_value_into_a_plain_tensor_records() -> None:
    v, buffer = leaf(2), tinydl.zeros(3, 2, dtype=tinydl.float64)
    buffer[0] = v
    assert buffer.requires_grad
    (buffer * buffer).sum().backward()
    np.testing.assert_allclose(v.grad.array, 2 * v.array)


def test_in_place_result_must_fit() -> None:
    x = tinydl.zeros(3)
    with pytest.raises(RuntimeError, match=r"output with shape \[3\] doesn't match the broadcast shape \[2, 3\]"):
        x += tinydl.ones(2, 3)
    with pytest.raises(RuntimeError, match="result type float32 can't be cast to the desired output type int64"):
        y = tinydl.zeros(3, dtype=tinydl.int64)
        y += 1.5
    x += tinydl.ones(3, dtype=tinydl.float64)
    assert x.dtype == np.float32


@pytest.mark.parametrize("name", ["exp_", "sqrt_", "tanh_", "sigmoid_", "relu_", "neg_"])
def test_in_place_functions_equal_their_twins(name: str) -> None:
    x = leaf(4)
    a, b = x * 1, x * 1
    out = getattr(a, name)()
    assert out is a
    (ga,) = autograd.grad((a * a).sum(), x)
    twin = getattr(b, name[:-1])()
    (gb,) = autograd.grad((twin * twin).sum(), x)
    np.testing.assert_array_equal(a.array, twin.array)
    np.testing.assert_array_equal(ga.array, gb.array)


def test_zero_fill_copy() -> None:
    x = leaf(3)
    h = x * 2
    h.zero_()
    (h + x).sum().backward()
    assert (x.grad.array == 1).all()
    y = tinydl.zeros(2, 3)
    y.copy_(tinydl.tensor([1, 2, 3]))
    assert y.tolist() == [[1, 2, 3], [1, 2, 3]] and y.fill_(4).sum().item() == 24
    k = x * 2
    k.copy_(x)
    (k * k).sum().backward()


def test_detach_shares_memory_and_clone_does_not() -> None:
    x = leaf(3)
    assert np.shares_memory(x.detach().array, x.array) and not x.detach().requires_grad
    assert not np.shares_memory(x.clone().array, x.array) and x.clone().requires_grad


def test_numbers_rows_and_iteration_are_views() -> None:
    x = tinydl.zeros(3)
    x[0].fill_(7.0)
    for v in x:
        v.add_(1.0)
    assert x.tolist() == [8, 1, 1]
    x.flip(0).zero_()  # a copy, as in PyTorch
    assert x.tolist() == [8, 1, 1]


def test_indices_that_change_after_the_call_do_not_matter() -> None:
    x, mask, at = leaf(3), tinydl.tensor([True, False, False]), tinydl.tensor([0, 0])
    y, z = x[mask].sum(), x[at].sum()
    mask.copy_(tinydl.tensor([False, True, False]))
    at.fill_(2)
    assert autograd.grad(y, x)[0].tolist() == [1, 0, 0] and autograd.grad(z, x)[0].tolist() == [2, 0, 0]


def test_a_tensor_of_a_tensor_shares_memory_and_version() -> None:
    x, w = tinydl.ones(2, requires_grad=True), tinydl.ones(2)
    y = (x * tinydl.Tensor(w)).sum()
    w.zero_()
    with pytest.raises(RuntimeError, match="the input 'other' of mul"):
        y.backward()


def test_stale_views_refuse_every_use() -> None:
    h = leaf(2, 2) * 1
    v, w = h.detach()[0], h.detach()[0, 0]
    h *= 2.0
    for use in (v.tolist, v.detach, w.item, lambda: v.__setitem__(0, 1.0)):
        with pytest.raises(RuntimeError, match="is a view of a tensor that a recorded in-place operation has replaced"):
            use()


def test_aliases_that_are_no_views_do_not_go_on_without_a_word() -> None:
    h = tinydl.ones(2, 3, requires_grad=True) * 1
    aliases, array = [h.detach(), h.data, h.detach()[0], h[0].detach()], h.detach().numpy()
    with tinydl.no_grad():
        h *= 2  # seen by all
    assert all(alias.unique().tolist() == [2.0] for alias in aliases) and (array == 2).all()
    h *= 2
    for alias in aliases:
        with pytest.raises(RuntimeError, match="a recorded in-place operation has replaced since; take the view again"):
            alias.tolist()
    assert h.detach().unique().tolist() == [4.0] and (array == 2).all()  # an array of NumPy's cannot know


def test_retain_grad_counts_once_and_follows_the_handle() -> None:
    x = leaf(1)
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    h *= 3.0
    (h * 5).sum().backward()
    assert h.grad.tolist() == [5] and x.grad.tolist() == [30]


def test_a_detached_part_assigned_to_itself_stops_the_gradient() -> None:
    for assign in (
        lambda h: h.__setitem__(slice(1, None), h.detach()[1:]),
        lambda h: h.__setitem__(slice(1, None), h[1:].data),
        lambda h: h.__setitem__(slice(1, None), h[1:].detach()),
    ):
        x = leaf(3)
        h = x * 1
        assign(h)
        (h * h).sum().backward()
        np.testing.assert_allclose(x.grad.array, 2 * x.array * [1, 0, 0])
    x = leaf(3)
    h = x * 1
    with tinydl.no_grad():
        v = h[1:]
    h[1:] = v
    h.sum().backward()
    np.testing.assert_array_equal(x.grad.array, [1, 0, 0])


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_changed_in_place_is_changed_as_a_copy_would_be(columns: int, dtype: type) -> None:
    for name in ("neg_", "abs_", "exp_", "sqrt_", "floor_", "tanh_", "reciprocal_", "square_", "sign_"):
        x = np.random.default_rng(0).uniform(0.5, 1.5, (7, columns)).astype(dtype)
        ours = tinydl.tensor(x)
        getattr(ours[:, 0], name)()
        expected = x.copy()
        expected[:, 0] = getattr(tinydl.tensor(x[:, 0]), name[:-1])().array
        np.testing.assert_allclose(ours.array, expected, rtol=1e-6)


def test_a_stale_view_is_written_where_its_base_is_now() -> None:
    h = tinydl.ones(3, requires_grad=True) * 1
    view, other = h[:2], h[1:]
    h.mul_(2)
    with tinydl.no_grad():
        view.add_(1)
        other[0] = 9
    assert h.tolist() == [3, 9, 2] and view.tolist() == [3, 9] and other.tolist() == [9, 2]
    with tinydl.no_grad():
        fresh = h[:1]
        fresh.add_(4)
    assert h.tolist() == [7, 9, 2]


PICKS: dict[str, Any] = {
    "one": lambda x, i, m: x[i], "last": lambda x, i, m: x[:, i], "both": lambda x, i, m: x[i, i],
    "with a slice": lambda x, i, m: x[1:, i], "with a number": lambda x, i, m: x[0, i],
    "after dots": lambda x, i, m: x[..., i], "mask": lambda x, i, m: x[m], "mask and index": lambda x, i, m: x[m, i],
    "index_select": lambda x, i, m: x.index_select(1, i), "take": lambda x, i, m: x.take(i),
    "gather": lambda x, i, m: x.gather(1, i.expand(3, 2)), "index_fill": lambda x, i, m: x.index_fill(0, i, 1.0),
    "index_add": lambda x, i, m: (x * 0).index_add(0, i, x[:2]), "masked_fill": lambda x, i, m: x.masked_fill(m, 1.0),
    "masked_select": lambda x, i, m: x.masked_select(m), "where": lambda x, i, m: tinydl.where(m, x, 0.0),
    "index_put": lambda x, i, m: (x * 0).index_put((i,), x[1]), "scatter": lambda x, i, m: x.scatter(1, i[None], 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", PICKS)
def test_an_index_that_is_changed_later_changes_no_gradient(name: str) -> None:
    """The gradient is that of the index which the result was made with, or is refused."""

    def slope(late: bool) -> Any:
        x = tinydl.tensor(np.arange(9.0).reshape(3, 3), requires_grad=True)
        i, m = tinydl.tensor([0, 2]), tinydl.tensor([True, False, True])
        y = PICKS[name](x, i, m)
        if late:
            i.fill_(1)
            m.fill_(False)
        (y * y).sum().backward()
        return x.grad.tolist()

    expected = slope(False)
    try:
        assert slope(True) == expected
    except RuntimeError as error:
        assert "modified" in str(error) or "changed" in str(error)
