"""Rows of making tensors: from data, filled, in sequence, grids."""

from __future__ import annotations

import numpy as np

from tests.differential.rows import draw, ints, row

# ------------------------------------------------------------------------------------------------------- from data

for note, data in {
    "int": 3, "float": 2.5, "bool": True, "list": [1, 2, 3], "nested": [[1.0, 2.0], [3.0, 4.0]], "empty": [],
    "mixed": [1, 2.5], "bools": [True, False], "empty rows": [[], []], "tuple": (1, 2),
}.items():  # fmt: skip
    row("tensor", data, note=note, call=lambda t, data: t.tensor(data))
    row("as_tensor", data, note=note, call=lambda t, data: t.as_tensor(data))
row("tensor", call=lambda t: t.tensor([1, 2], dtype=t.float64), note="dtype")
row("tensor", call=lambda t: t.tensor([1.9, -2.9], dtype=t.int32), note="to int")
row("tensor", call=lambda t: t.tensor(np.float64(1.5)), note="numpy scalar")
row("tensor", call=lambda t: t.tensor(np.arange(3, dtype=np.int16)), note="array")
row("tensor", call=lambda t: t.tensor([1.0], requires_grad=True, device="cpu").requires_grad, note="requires_grad")
row("tensor", call=lambda t: t.tensor([[True, 2], [3, 4.5]]), note="category")
row("as_tensor", draw(2, 3), call=lambda t, x: t.as_tensor(x), note="itself")
row("as_tensor", draw(2, 3), call=lambda t, x: t.as_tensor(x, dtype=t.float64), note="dtype")
row("from_numpy", call=lambda t: t.from_numpy(np.arange(6.0).reshape(2, 3).T))
row("from_numpy", call=lambda t: t.from_numpy(np.array([True, False])), note="bool")
row("from_dlpack", call=lambda t: t.from_dlpack(np.arange(6.0).reshape(2, 3)))
row("from_dlpack", draw(2, 3), call=lambda t, x: t.from_dlpack(x.detach().contiguous()), note="own tensor")

# ---------------------------------------------------------------------------------------------------------- filled

for name in ("zeros", "ones"):
    row(name, 2, 3)
    row(name, (2, 3), note="tuple")
    row(name, [2, 0], note="list, empty")
    row(name, note="0-d", call=lambda t, name=name: getattr(t, name)(()))
    row(name, note="size=", size=(2, 3))
    row(name, note="dtype", call=lambda t, name=name: getattr(t, name)(2, dtype=t.int64, device="cpu"))
    row(name, note="requires_grad", call=lambda t, name=name: getattr(t, name)(2, requires_grad=True).is_leaf)
row("empty", 2, 0, 3)
row("empty", note="shape", call=lambda t: t.empty((2, 3), dtype=t.float64).fill_(1))
row("empty", note="size=", call=lambda t: t.empty(size=(2, 3), device="cpu").zero_())
row("full", (2, 3), 7, note="int")
row("full", (2, 3), 7.5, note="float")
row("full", (2, 3), True, note="bool")
row("full", (), 1.5, note="0-d")
row("full", note="dtype", call=lambda t: t.full((2,), 3, dtype=t.float64))
row("full", note="requires_grad", call=lambda t: t.full((2,), 3.0, requires_grad=True).requires_grad)
row("full", note="size=", call=lambda t: t.full(size=(2, 1), fill_value=1.0))
for name in ("zeros_like", "ones_like"):
    row(name, draw(2, 3))
    row(name, ints(2, 3), note="int")
    row(name, draw(0, 3), note="empty")
    row(name, draw(2, 3), note="dtype", call=lambda t, x, name=name: getattr(t, name)(x, dtype=t.int32, device="cpu"))
    row(name, draw(2), note="leaf", call=lambda t, x, name=name: getattr(t, name)(x, requires_grad=True).requires_grad)
row("empty_like", draw(2, 3), call=lambda t, x: t.empty_like(x).fill_(2))
row("empty_like", ints(2, 3), call=lambda t, x: t.empty_like(x, dtype=t.float64).fill_(2), note="dtype")
row("full_like", draw(2, 3), 4)
row("full_like", ints(2, 3), 4, note="int")
row("full_like", ints(2, 3), call=lambda t, x: t.full_like(x, 4.5, dtype=t.float64), note="dtype")

# ----------------------------------------------------------------------------------------------------- in sequence

row("arange", 5)
row("arange", 2, 7)
row("arange", 2, 11, 3)
row("arange", 0)
row("arange", 7, 2, -2, note="down")
row("arange", 0.0, 1.0, 0.25, note="float")
row("arange", 0.5, 3.0, note="half")
row("arange", 5.0, note="one float")
row("arange", 1, 0, -0.1, note="down float")
row("arange", note="dtype", call=lambda t: t.arange(4, dtype=t.float64))
row("arange", note="leaf", call=lambda t: t.arange(4.0, requires_grad=True).requires_grad)
row("arange", note="end=", call=lambda t: t.arange(start=1, end=4, step=1, device="cpu"))
row("linspace", 0, 1, 5)
row("linspace", note="odd", call=lambda t: t.linspace(-3.0, 10.0, 7, dtype=t.float64))
row("linspace", 2.0, 2.0, 3, note="one value")
row("linspace", 2.0, 5.0, 1, note="one step")
row("linspace", 2.0, 5.0, 0, note="none")
row("linspace", note="down", call=lambda t: t.linspace(10, -10, steps=6, dtype=t.float64))
row("linspace", note="int", call=lambda t: t.linspace(0, 10, 5, dtype=t.int64))
row("linspace", note="dtype", call=lambda t: t.linspace(0, 1, 3, dtype=t.float64))
row("logspace", 0, 2, 3)
row("logspace", note="odd", call=lambda t: t.logspace(-1.0, 1.0, 5, dtype=t.float64))
row("logspace", 0, 3, 4, base=2.0, note="base")
row("logspace", note="dtype", call=lambda t: t.logspace(0, 1, 3, dtype=t.float64))
row("eye", 3)
row("eye", 2, 4)
row("eye", 4, 2)
row("eye", 0)
row("eye", note="dtype", call=lambda t: t.eye(2, dtype=t.int64, device="cpu"))
for name in ("tril_indices", "triu_indices"):
    row(name, 3, 3)
    row(name, 4, 3, offset=1)
    row(name, 3, 4, -1)
    row(name, 0, 2, note="empty")
    row(name, note="dtype", call=lambda t, name=name: getattr(t, name)(2, 2, dtype=t.int32))

# -------------------------------------------------------------------------------------------------- grids of values

row("meshgrid", draw(3), draw(2), indexing="ij", note="ij")
row("meshgrid", draw(3), draw(2), draw(4), indexing="xy", note="xy")
row("meshgrid", draw(3), draw(2), call=lambda t, a, b: t.meshgrid([a, b], indexing="ij"), note="list")
row("meshgrid", draw(3), draw(), indexing="ij", note="0-d")
row("meshgrid", draw(3), indexing="xy", note="one")
row("meshgrid", ints(2), ints(0), indexing="ij", note="empty")
row("cartesian_prod", draw(3), draw(2))
row("cartesian_prod", draw(2), draw(2), draw(3))
row("cartesian_prod", draw(3), note="one")
row("cartesian_prod", ints(2), ints(2), note="int")
