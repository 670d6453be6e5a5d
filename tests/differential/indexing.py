"""Rows of indices: x[...], gather and scatter, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.differential.rows import bools, draw, ints, row

_I: Any = np.array([0, 2, 2, -1])
_M: Any = np.array([True, False, True])

# Each is written as a function of the library, which makes the index tensors.
_INDICES: dict[str, Any] = {
    "an integer": lambda t: 1,
    "a negative integer": lambda t: -1,
    "a slice": lambda t: slice(1, None),
    "a step": lambda t: slice(None, None, 2),
    "None": lambda t: None,
    "an ellipsis": lambda t: (..., 0),
    "all integers": lambda t: (1, 2, 0),
    "slices": lambda t: (slice(0, 2), slice(None), slice(1, 3)),
    "None between": lambda t: (slice(None), None, 1),
    "a vector": lambda t: t.tensor(_I),
    "a list": lambda t: [0, 2, 2],
    "an array": lambda t: np.array([1, 1]),
    "a 0-d tensor": lambda t: t.tensor(2),
    "a matrix of indices": lambda t: t.tensor([[0, 1], [2, 0]]),
    "int32": lambda t: t.tensor([0, 1], dtype=t.int32),
    "a vector in the second place": lambda t: (slice(None), t.tensor(_I)),
    "two vectors": lambda t: (t.tensor([0, 2]), t.tensor([3, 3])),
    "two that broadcast": lambda t: (t.tensor([[0], [2]]), t.tensor([3, 1, 1])),
    "vectors apart": lambda t: (t.tensor([0, 2]), slice(None), t.tensor([1, 0])),
    "an integer and a vector apart": lambda t: (0, slice(None), t.tensor([1, 2])),
    "an integer beside a vector": lambda t: (slice(None), 0, t.tensor([1, 2])),
    "a vector and an integer apart": lambda t: (t.tensor([1, 2]), slice(None), 0),
    "None beside a vector": lambda t: (None, t.tensor([1, 2])),
    "None between vectors": lambda t: (t.tensor([1, 2]), None, t.tensor([1, 0])),
    "ellipsis and vector": lambda t: (..., t.tensor([2, 0])),
    "no indices": lambda t: t.tensor([], dtype=t.int64),
    "a mask of rows": lambda t: t.tensor(_M),
    "a mask in the second place": lambda t: (slice(None), t.tensor([True, False, True, True])),
    "a mask of matrices": lambda t: t.tensor(np.arange(12).reshape(3, 4) % 5 < 2),
    "a mask of all": lambda t: t.tensor(np.arange(36).reshape(3, 4, 3) % 5 < 2),
    "a mask that holds nowhere": lambda t: t.tensor([False] * 3),
    "a mask and a vector": lambda t: (t.tensor(_M), t.tensor([1, 3])),
    "a mask and an integer": lambda t: (t.tensor(_M), 1),
    "True": lambda t: True,
    "False": lambda t: False,
    "a list of booleans": lambda t: [True, False, True],
    "a tuple inside": lambda t: (slice(None), (0, 1)),
    "a 0-d mask": lambda t: t.tensor(True),
    "a 0-d mask that fails": lambda t: t.tensor(False),
    "a 0-d tensor and a vector apart": lambda t: (t.tensor(0), slice(None), t.tensor([1, 2])),
    "from behind": lambda t: t.tensor([-3, -1, 2]),
    "all from behind, apart": lambda t: (t.tensor([-3, -1]), slice(None), [-3, -2]),
}
for _note, _make in _INDICES.items():
    row("Tensor.__getitem__", draw(3, 4, 3), call=lambda t, x, make=_make: x[make(t)], note=_note)


def _assigned(t: Any, x: Any, index: Any, value: Any) -> Any:
    y = x * 1
    y[index] = value
    return y


for _note, _make in _INDICES.items():
    row(
        "Tensor.__setitem__",
        draw(3, 4, 3),
        draw(),
        call=lambda t, x, v, make=_make: _assigned(t, x, make(t), v),
        note=_note,
    )
row("Tensor.__setitem__", draw(3, 4), call=lambda t, x: _assigned(t, x, 1, 0.5), note="a number")
row("Tensor.__setitem__", draw(3, 4), draw(4), call=lambda t, x, v: _assigned(t, x, slice(0, 2), v), note="broadcast")
row("Tensor.__setitem__", draw(3, 4), draw(1, 1, 4), call=lambda t, x, v: _assigned(t, x, 0, v), note="ones in front")
row(
    "Tensor.__setitem__",
    draw(3, 4),
    draw(2),
    call=lambda t, x, v: _assigned(t, x, (t.tensor([0, 2]), t.tensor([1, 1])), v),
    note="at points",
)
row("Tensor.__setitem__", ints(3, 4), call=lambda t, x: _assigned(t, x, x > 2, 9), note="ints by a mask")
row("Tensor.__setitem__", draw(3, 4), ints(4), call=lambda t, x, v: _assigned(t, x, 1, v), note="ints into floats")
row(
    "Tensor.__setitem__",
    draw(2, 3, 4),
    draw(2, 3),
    call=lambda t, x, v: _assigned(t, x, (0, slice(None), t.tensor([1, 2])), v.T),
    note="an integer and a vector apart, values",
)

row("gather", draw(3, 4), 0, ints(2, 4, high=3))
row("gather", draw(3, 4), np.array([[3, 0], [1, 1]]), call=lambda t, x, i: t.gather(x, dim=1, index=i), note="by name")
row("gather", draw(3, 4), -1, ints(2, 6, high=4), note="last")
row("gather", draw(2, 3, 4), 1, ints(2, 5, 3, high=3), note="3-d")
row("gather", draw(), 0, ints(high=1), note="0-d")
row("gather", draw(3, 4), 1, ints(0, 4, high=4), note="no indices")
row("take", draw(3, 4), ints(2, 3, low=-12, high=12))
row("take_along_dim", draw(3, 4), ints(3, 2, high=4), dim=1)
row("take_along_dim", draw(3, 4), ints(1, 4, high=3), dim=0, note="broadcast")
row("take_along_dim", draw(3, 4), ints(5, high=12), note="flat")
row("index_select", draw(3, 4), 0, ints(5, high=3))
row("index_select", draw(3, 4), 1, ints(2, high=4), note="columns")
row("index_select", draw(2, 3, 4), -2, ints(4, high=3), note="3-d")
row("index_select", draw(3, 4), 0, ints(0, high=3), note="no indices")
row("index_select", draw(), 0, ints(1, high=1), note="of a number")
row("index_select", draw(3, 4), 0, ints(high=3), note="0-d index")

# PyTorch's backward refuses a source larger than the index, and numbers with ``reduce``; ours do not (tests/ops).
_PLACES: Any = np.array([[2, 0, 1, 2], [0, 1, 2, 0]])  # no place twice
row("scatter", draw(3, 4), 0, _PLACES, draw(2, 4))
row("scatter", draw(3, 4), 0, _PLACES[:, :3], draw(3, 4), note="a part of the source", constant=(3,))
row("scatter", draw(2, 3), 1, np.array([[2, 0], [1, 0]]), draw(2, 2), note="along the columns")
row("scatter", draw(3, 4), 0, _PLACES, 1.5, note="a number")
row("scatter", draw(3, 4), _PLACES, call=lambda t, x, i: t.scatter(x, 0, i, value=2.0), note="value=")
row("scatter", ints(3, 4), 0, _PLACES, ints(2, 4), note="ints")
row("scatter", draw(3, 4), 0, ints(2, 4, high=3), 2.0, reduce="add", note="add a number", grad=False)
row("scatter", draw(3, 4), 0, ints(2, 4, high=3), 2.0, reduce="multiply", note="multiply by a number", grad=False)
row("scatter_add", draw(3, 4), 0, ints(2, 4, high=3), draw(2, 4))
row("scatter_add", draw(3, 4), -1, ints(3, 6, high=4), draw(3, 6), note="last")
row("scatter_add", draw(3, 4), 0, ints(5, 2, high=3), draw(5, 4), note="a part", constant=(3,))
row("scatter_add", ints(3, 4), 0, ints(2, 4, high=3), ints(2, 4), note="ints")
row("scatter_add", draw(), 0, ints(high=1), draw(), note="0-d")
for _reduce in ("sum", "mean", "prod", "amax", "amin"):
    for _self in (True, False):
        row(
            "scatter_reduce",
            draw(3, 4),
            0,
            ints(5, 4, high=3),
            draw(5, 4),
            _reduce,
            include_self=_self,
            note=f"{_reduce} {_self}",
            smooth=_reduce not in ("amax", "amin"),
        )
        row(
            "scatter_reduce",
            ints(3, 4, low=-5),
            1,
            ints(3, 6, high=4),
            ints(3, 6, low=-5),
            _reduce,
            include_self=_self,
            note=f"ints {_reduce} {_self}",
        )
row(
    "scatter_reduce",
    draw(3, make=np.round),
    0,
    ints(9, high=3),
    draw(9, make=np.round),
    "amax",
    note="ties",
    smooth=False,
)
row(
    "scatter_reduce",
    draw(3),
    0,
    np.array([0, 0, 1, 1, 2]),
    draw(5, make=lambda x: x * [0, 1, 0, 0, 1]),
    "prod",
    note="zeros",
    smooth=False,
)
row("index_add", draw(3, 4), 0, ints(5, high=3), draw(5, 4))
row("index_add", draw(3, 4), 1, ints(2, high=4), draw(3, 2), alpha=-2, note="alpha")
row("index_add", ints(3, 4), 0, ints(5, high=3), ints(5, 4), note="ints")
row("index_copy", draw(3, 4), 0, np.array([2, 0]), draw(2, 4))
row("index_copy", draw(3, 4), -1, np.array([1]), draw(3, 1), note="a column")
row("index_fill", draw(3, 4), 0, np.array([2, 0]), 1.5)
row("index_fill", draw(3, 4), 1, np.array([0, 0]), draw(), note="a tensor")
row("index_fill", ints(3, 4), 1, np.array([0, 3]), 7, note="ints")
row("index_put", draw(3, 4), np.array([0, 2]), draw(2, 4), call=lambda t, x, i, v: t.index_put(x, (i,), v))
row(
    "index_put",
    draw(3, 4),
    np.array([0, 2, 0]),
    np.array([1, 1, 1]),
    draw(3),
    call=lambda t, x, i, j, v: t.index_put(x, (i, j), v, accumulate=True),
    note="accumulate",
)
row("index_put", draw(3, 4), bools(3), draw(), call=lambda t, x, m, v: t.index_put(x, (m,), v), note="a mask")
row(
    "index_put",
    draw(3, 4),
    bools(3, 4),
    draw(1),
    call=lambda t, x, m, v: t.index_put(x, (m,), v, accumulate=True),
    note="a mask, accumulate",
)
row(
    "index_put",
    draw(3, 4),
    np.array([0, 2]),
    draw(),
    call=lambda t, x, i, v: (x * 1).index_put_((i, i), v, True),
    note="in place",
)
row(
    "index_put",
    draw(3, 4),
    draw(4),
    call=lambda t, x, v: t.index_put(x, (t.tensor(1),), v, accumulate=True),
    note="one row, accumulate",
)
row("put", draw(3, 4), np.array([[0, 11], [-2, 5]]), draw(4))
row("put", draw(3, 4), np.array([1, 1, 7]), draw(3, 1), accumulate=True, note="accumulate")
row("put", ints(3, 4), np.array([1, -12]), ints(2), note="ints")
row(
    "Tensor.put_", draw(3, 4), np.array([1, 7]), draw(2),
    call=lambda t, x, i, v: [(h := x.T * 2).put_(i, v), h[1].put_(i[:1], v[:1], accumulate=True), h],
)  # fmt: skip
row("masked_fill", draw(3, 4), bools(3, 4), 2.0)
row("masked_fill", draw(3, 4), bools(4), draw(), note="a tensor")
row("masked_fill", ints(3, 4), bools(3, 1), 3, note="ints")
row("masked_fill", draw(2, 2), bools(2, 2), float("-inf"), note="infinite", smooth=False)
row("masked_select", draw(3, 4), bools(3, 4))
row("masked_select", draw(3, 1), bools(4), note="broadcast")
row("masked_scatter", draw(3, 4), bools(3, 4), draw(12))
row("masked_scatter", draw(3, 4), bools(4), draw(3, 5), note="broadcast")
row("nonzero", ints(3, 4, high=2))
row("nonzero", bools(4), as_tuple=True, note="a tuple")
row("nonzero", ints(high=2), note="0-d")
row("nonzero", ints(0, 2), note="empty")
row("argwhere", bools(3, 4))
row("argwhere", draw(2, 2, make=np.round), grad=False, note="floats")


def _in_place(t: Any, x: Any, change: Any) -> Any:
    """Recorded, and not: the new value of both."""
    y, z = x * 1, x.detach().clone()
    with t.no_grad():
        assert change(z) is z
    assert change(y) is y
    return y, z


_AT: Any = np.array([2, 0])
_CHANGES: dict[str, Any] = {
    "masked_fill_": lambda t, y: y.masked_fill_(t.tensor([True, False, True, False]), -1.5),
    "index_put_": lambda t, y: y.index_put_((t.tensor(_AT),), t.zeros_like(y[0])),
    "index_add_": lambda t, y: y.index_add_(0, t.tensor(_AT), y.detach()[:2].clone(), alpha=2),
    "index_copy_": lambda t, y: y.index_copy_(0, t.tensor(_AT), y.detach()[:2].clone()),
    "index_fill_": lambda t, y: y.index_fill_(1, t.tensor(_AT), 0.25),
    "scatter_": lambda t, y: y.scatter_(1, t.tensor([[3], [0], [1]]), value=0.5),
    "scatter_add_": lambda t, y: y.scatter_add_(1, t.tensor([[3, 3], [0, 1], [1, 1]]), y.detach().clone()),
    "squeeze_": lambda t, y: y.unsqueeze_(0).squeeze_(),
    "unsqueeze_": lambda t, y: y.unsqueeze_(-1),
    "t_": lambda t, y: y.t_(),
    "transpose_": lambda t, y: y.transpose_(0, -1),
    "fill_diagonal_": lambda t, y: y.fill_diagonal_(0.5),
}
for _name, _change in _CHANGES.items():
    row(
        f"Tensor.{_name}",
        draw(3, 4),
        call=lambda t, x, change=_change: _in_place(t, x, lambda y: change(t, y)),
        note="in place",
    )
row(
    "Tensor.fill_diagonal_",
    draw(7, 2),
    call=lambda t, x: _in_place(t, x, lambda y: y.fill_diagonal_(3.0, wrap=True)),
    note="wrapped",
)
row("Tensor.fill_diagonal_", ints(3, 3, 3), call=lambda t, x: x.clone().fill_diagonal_(9), note="3-d")
