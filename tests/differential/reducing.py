"""Rows of sums, extrema, scans and sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.differential.rows import bools, draw, ints, row

NAN = np.nan


def distinct(*shape: int) -> Any:
    """No two elements are equal, or nearer than 0.1."""
    return draw(*shape, make=lambda x: (x.ravel().argsort().argsort().reshape(x.shape) + 1.0) / 10)


def reduction(*names: str, source: Any = draw, several: bool = True, empty: bool = True, **options: Any) -> None:
    """Rows of a reduction: all, a dimension, kept, negative, several (``several``), 0-d and (``empty``) of nothing."""
    smooth = options.pop("smooth", True)
    for name in names:
        row(name, source(3, 4), smooth=smooth, **options)
        row(name, source(3, 4), dim=1, smooth=smooth, note="dim", **options)
        row(name, source(3, 4), dim=0, keepdim=True, smooth=smooth, note="keepdim", **options)
        row(name, source(2, 3, 4), dim=-2, smooth=smooth, note="negative dim", **options)
        row(name, source(), smooth=smooth, note="0-d", **options)
        row(name, source(), dim=0, smooth=smooth, note="0-d, dim", **options)
        if several:
            row(name, source(2, 3, 4), dim=(0, 2), smooth=smooth, note="dims", **options)
            row(name, source(2, 3, 4), dim=(-1, 1), keepdim=True, smooth=smooth, note="dims kept", **options)
        if empty:
            row(name, source(0, 3), smooth=smooth, note="empty", **options)
            row(name, source(0, 3), dim=0, smooth=smooth, note="empty dim", **options)
        row(name, source(0, 3), dim=1, smooth=smooth, note="no lines", **options)


reduction("sum", "mean", "nansum", "nanmean")
for name in ("sum", "nansum", "prod"):
    row(name, ints(3, 4), note="integers")
    row(name, bools(3, 4), dim=1, note="booleans")
    row(name, ints(3, 4), dim=0, dtype=None, note="dtype None")
    row(name, ints(3), call=lambda t, x, name=name: getattr(t, name)(x, dtype=t.float64), note="dtype")
row("mean", ints(3), call=lambda t, x: t.mean(x, dtype=t.float64), note="dtype")
row("sum", draw(40, 50, low=0.0), dim=0, note="long columns")
row("mean", draw(2000, 3, low=0.0), dim=0, note="long columns")
HOLES = np.array([[1.0, NAN, 2.0], [NAN, NAN, NAN], [0.5, 1.5, -1.0]])
row("nansum", HOLES, dim=1, note="holes")
row("nanmean", HOLES[::2], dim=1, note="holes")
row("nanmean", HOLES, note="holes, all")

# Variances of too few numbers, where PyTorch warns besides, are among the edges (test_edges_torch.py).
for name in ("var", "std", "var_mean", "std_mean"):
    row(name, draw(3, 4))
    row(name, draw(3, 4), dim=1, note="dim")
    row(name, draw(2, 3, 4), dim=(0, 2), keepdim=True, note="dims")
    row(name, draw(3, 4), dim=0, correction=0, note="correction")
    row(name, draw(3, 4), dim=1, correction=1.5, keepdim=True, note="broken correction")
    row(name, draw(3, 4), dim=1, unbiased=False, note="unbiased")
    row(name, draw(3, 4), False, note="unbiased alone")
    row(name, draw(3, 4), 1, False, True, note="in order")
    row(name, draw(3, 4, low=100.0, high=101.0), dim=1, note="far from 0", loose=50)  # the inputs cost two digits

reduction("prod", several=False)
row("prod", np.array([[0.0, 2.0, 3.0], [1.5, 0.0, 0.0], [1.0, -2.0, 0.5]]), dim=1, note="zeros")
row("prod", np.array([0.0, 2.0, 3.0]), note="a zero")
row("prod", np.array([0.0, 2.0, 0.0, 3.0]), note="two zeros")
row("prod", np.array([[0.0, 2.0], [0.0, 0.0]]), note="three zeros")
row("prod", draw(2, 3, 4), dim=1, keepdim=True, note="inner")

reduction("amax", "amin", source=distinct, empty=False)
TIES = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0]])
for name in ("amax", "amin"):
    row(name, TIES, dim=1, note="ties")
    row(name, TIES, note="ties of all")
    row(name, ints(3, 4), dim=1, note="integers")
    row(name, bools(3, 4), dim=1, note="booleans")
for name in ("max", "min"):
    row(name, distinct(3, 4))
    row(name, distinct(3, 4), dim=1, note="dim")
    row(name, distinct(2, 3, 4), dim=-2, keepdim=True, note="keepdim")
    row(name, distinct(2, 3), np.int64(1), keepdim=True, note="a dimension of NumPy's")
    row(name, TIES, note="ties of all")
    row(name, TIES, dim=1, note="ties")
    row(name, distinct(), note="0-d")
    row(name, distinct(), dim=0, note="0-d, dim")
    row(name, ints(3, 4), dim=0, note="integers")
    row(name, bools(3, 4), dim=0, note="booleans")
    row(name, draw(0, 3), dim=1, note="no lines")
    row(name, draw(3, 4), draw(4), note="two tensors")
    row(name, np.array([[1.0, NAN, 2.0], [NAN, NAN, 0.0]]), dim=1, note="NaN")
    row(name, distinct(3, 4), dim=1, call=lambda t, x, dim, name=name: getattr(t, name)(x, dim).values, note="values")
    row(name, distinct(3, 4), dim=1, call=lambda t, x, dim, name=name: getattr(t, name)(x, dim).indices, note="indices")
    row(f"arg{name}", distinct(3, 4), grad=False)
    row(f"arg{name}", distinct(3, 4), dim=1, grad=False, note="dim")
    row(f"arg{name}", distinct(3, 4), dim=0, keepdim=True, grad=False, note="keepdim")
    row(f"arg{name}", distinct(3, 4), keepdim=True, grad=False, note="all kept")
    row(f"arg{name}", TIES, dim=1, grad=False, note="ties")
    row(f"arg{name}", distinct(), grad=False, note="0-d")
    row(f"arg{name}", np.array([1.0, NAN, 2.0]), grad=False, note="NaN")
    row(f"arg{name}", ints(3, 4), dim=1, note="integers")
row("aminmax", distinct(3, 4))
row("aminmax", distinct(3, 4), dim=1, note="dim")
row("aminmax", TIES, dim=0, keepdim=True, note="ties")
row("aminmax", distinct(3, 4), call=lambda t, x: t.aminmax(x).max - t.aminmax(x, dim=0).min, note="names")
row("aminmax", ints(3, 4), dim=1, note="integers")

for name in ("any", "all"):
    for x in (bools(3, 4), ints(3, 4, high=2), draw(3, 4, make=np.round)):
        row(name, x, grad=False, note=x.kind)
        row(name, x, dim=1, grad=False, note=f"dim, {x.kind}")
    row(name, bools(3, 4), dim=0, keepdim=True, note="keepdim")
    row(name, bools(2, 3, 4), dim=(0, 2), note="dims")
    row(name, bools(0, 3), dim=0, note="empty")
    row(name, bools(), note="0-d")
    row(name, ints(3, 4, high=2), call=lambda t, x, name=name: getattr(t, name)(x.to(t.uint8), 1), note="uint8")
row("count_nonzero", ints(3, 4, high=2))
row("count_nonzero", draw(3, 4, make=np.round), dim=1, grad=False)
row("count_nonzero", bools(2, 3, 4), dim=(0, 2), note="dims")
row("count_nonzero", bools(0, 4), note="empty")

for name in ("logsumexp",):
    row(name, draw(3, 4), dim=1)
    row(name, draw(3, 4), 0, note="in order")
    row(name, draw(2, 3, 4), dim=(0, 2), keepdim=True, note="dims")
    row(name, draw(3, 4, low=-900.0, high=900.0), dim=1, note="far apart")
    row(name, ints(3, 4), dim=1, note="integers")
    row(name, draw(), dim=0, note="0-d")
    row(name, draw(0, 3), dim=1, note="no lines")
    row(name, draw(0, 3), dim=0, note="empty dim")
for name in ("softmax", "log_softmax"):
    row(name, draw(3, 4), dim=1)
    row(name, draw(3, 4), 0, note="in order")
    row(name, draw(2, 3, 4), dim=-2, note="inner")
    row(name, draw(3, 4, low=-900.0, high=900.0), dim=1, note="far apart")
    row(name, draw(), dim=0, note="0-d")
    row(name, draw(0, 3), dim=1, note="no lines")
    row(name, draw(3, 0), dim=1, note="empty dim")
    row(name, ints(3, 4), call=lambda t, x, name=name: getattr(t, name)(x, 1, dtype=t.float64), note="dtype")

reduction("norm")
for p in (1, 2, 3, 1.5, 0.5, float("inf"), float("-inf"), "fro"):
    signed = draw(3, 4, away=(0.0,)) if p not in (float("inf"), float("-inf")) else distinct(3, 4)
    row("norm", signed, p=p, note=f"p {p}")
    row("norm", signed, p=p, dim=1, keepdim=True, note=f"p {p}, dim")
row("norm", draw(3, 4, away=(0.0,)), p=0, dim=1, note="p 0", grad=False)
row("norm", np.zeros((2, 3)), note="at 0", smooth=False)
row("norm", np.zeros((2, 3)), p=3, dim=1, note="p 3 at 0", smooth=False)
row("norm", np.array([0.0, 2.0, -1.0]), p=1.5, note="a zero", smooth=False)
row("norm", np.array([0.0, 2.0, -1.0]), p=1, note="p 1, a zero")
row("norm", draw(3), 3, 0, True, note="in order")
row("norm", draw(3), call=lambda t, x: t.norm(x, dtype=t.float64), note="dtype")
row("dist", draw(3, 4), draw(3, 4))
row("dist", draw(3, 4), draw(4), p=1, note="p 1")
row("dist", draw(3, 4), draw(4), 3, note="p 3")
row("dist", distinct(3, 4), np.zeros(4), float("inf"), note="p inf")

# -------------------------------------------------------------------------------------------------------------- scans

for name in ("cumsum", "cumprod", "logcumsumexp"):
    row(name, draw(3, 4), dim=1)
    row(name, draw(3, 4), 0, note="in order")
    row(name, draw(2, 3, 4), dim=-2, note="inner")
    row(name, draw(), dim=0, note="0-d")
    row(name, draw(0, 3), dim=0, note="empty")
    row(name, draw(3, 0), dim=0, note="no lines")
for name in ("cumsum", "cumprod"):
    row(name, ints(3, 4), dim=1, note="integers", in_place=False)
    row(name, bools(3, 4), dim=1, note="booleans", in_place=False)
    row(name, ints(3), call=lambda t, x, name=name: getattr(t, name)(x, 0, dtype=t.float64), note="dtype")
row("cumprod", np.array([[2.0, 0.0, 3.0, 1.5], [0.0, 2.0, 0.0, 3.0], [1.0, 2.0, 3.0, 0.0]]), dim=1, note="zeros")
row("logcumsumexp", draw(3, 6, low=-60.0, high=60.0), dim=1, note="far apart")
for name in ("cummax", "cummin"):
    row(name, distinct(3, 4), dim=1)
    row(name, distinct(2, 3, 4), dim=-2, note="inner")
    row(name, TIES, dim=1, note="ties")
    row(name, np.array([1.0, NAN, 2.0, 0.5]), dim=0, note="NaN")
    row(name, ints(3, 6), dim=1, note="integers")
    row(name, draw(), dim=0, note="0-d")
    row(name, draw(3, 0), dim=1, note="empty")
row("diff", draw(3, 4))
row("diff", draw(3, 4), n=2, dim=0, note="twice")
row("diff", draw(3, 4), dim=1, prepend=None, append=None, note="None")
row("diff", draw(3, 4), draw(3, 1), draw(3, 2), call=lambda t, x, a, b: t.diff(x, prepend=a, append=b), note="joined")
row("diff", ints(3, 4), dim=1, note="integers")
row("diff", bools(3, 4), dim=1, note="booleans")
row("diff", draw(3, 1), dim=1, note="one")
row("diff", draw(3), n=5, note="more than there are")
row("trapezoid", draw(3, 4))
row("trapezoid", draw(3, 4), dx=0.5, dim=0, note="dx")
row("trapezoid", draw(3, 4), draw(4), dim=1, note="places")
row("trapezoid", draw(3, 4), draw(3, 4), dim=0, note="places of each")
row("trapezoid", draw(3, 4), draw(3), dim=0, note="places along the first")
row("trapezoid", ints(3, 4), note="integers")

# ------------------------------------------------------------------------------------------------------------ sorting

for descending in (False, True):
    order = "down" if descending else "up"
    row("sort", distinct(3, 4), descending=descending, note=order)
    row("sort", distinct(3, 4), dim=0, descending=descending, note=f"{order}, dim")
    row("sort", np.array([2.0, 1.0, 2.0, 1.0, 3.0]), descending=descending, stable=True, note=f"{order}, ties")
    row("sort", np.array([2.0, NAN, -1.0, NAN, 3.0]), descending=descending, stable=True, note=f"{order}, NaN")
    row("argsort", distinct(3, 4), descending=descending, grad=False, note=order)
    row("argsort", ints(3, 9), dim=1, descending=descending, stable=True, note=f"{order}, ties")
    row("topk", distinct(3, 4), 2, largest=descending, note=order)
    row("topk", distinct(3, 4), 2, dim=0, largest=descending, note=f"{order}, dim")
row("sort", ints(3, 4), dim=1, note="integers", stable=True)
row("sort", bools(3, 4), dim=1, note="booleans", stable=True)
row("sort", draw(), note="0-d")
row("sort", draw(0, 3), dim=0, note="empty")
row("sort", distinct(3, 4), 0, True, note="in order")
row("sort", distinct(3, 4), call=lambda t, x: t.sort(x).values * t.sort(x, 0).indices, note="names")
row("msort", distinct(3, 4))
row("argsort", draw(), grad=False, note="0-d")
row("topk", distinct(5), 5, note="all")
row("topk", distinct(3, 4), 0, note="none")
row("topk", distinct(), 1, note="0-d")
row("kthvalue", distinct(3, 4), 2)
row("kthvalue", distinct(3, 4), 3, dim=0, keepdim=True, note="dim")
row("kthvalue", distinct(), 1, note="0-d")
for name in ("median", "nanmedian"):
    row(name, distinct(3, 4))
    row(name, distinct(3, 5), dim=1, note="dim")
    row(name, distinct(4, 3), dim=0, keepdim=True, note="an even number")
    row(name, np.array([2.0, 2.0, 1.0, 2.0]), note="ties of all")
    row(name, HOLES, note="NaN")
    row(name, np.array([[1.0, NAN, 2.0], [0.5, 1.5, -1.0]]), dim=1, note="NaN, dim")
    row(name, distinct(), note="0-d")
    row(name, distinct(), dim=0, note="0-d, dim")
    row(name, ints(5), note="integers")
    row(name, draw(0), note="empty")
row("mode", np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 1.0, 1.0]]))
row("mode", np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 1.0, 1.0], [1.0, 2.0, 3.0, 0.0]]), dim=0, keepdim=True)
row("mode", ints(4, 9, high=4), dim=1, note="integers")
row("mode", bools(3, 5), note="booleans")
row("mode", draw(), note="0-d")
for interpolation in ("linear", "lower", "higher", "midpoint", "nearest"):
    row("quantile", distinct(3, 4), 0.3, interpolation=interpolation, note=interpolation)
row("quantile", distinct(3, 4), 0.6, dim=1, note="dim")
row("quantile", distinct(3, 4), 0.6, dim=0, keepdim=True, note="keepdim")
row("quantile", distinct(2, 3, 4), np.array([0.0, 0.25, 1.0]), constant=(1,), dim=1, note="several")
row("quantile", distinct(2, 3), np.array([0.1, 0.9]), constant=(1,), keepdim=True, note="several of all")
row("quantile", HOLES, 0.5, dim=1, note="NaN")
row("quantile", draw(), 0.5, note="0-d")

# ----------------------------------------------------------------------------------------------------------- counting

REPEATS = np.array([[3, 1, 1], [2, 3, 3], [3, 1, 1]])
for x, note in ((REPEATS, "integers"), (REPEATS * 0.5, "floats"), (REPEATS > 1, "booleans")):
    row("unique", x, grad=False, note=note)
    row("unique", x, return_inverse=True, return_counts=True, grad=False, note=f"{note}, all")
    row("unique", x, return_counts=True, dim=0, return_inverse=True, grad=False, note=f"{note}, dim")
    row("unique_consecutive", x, grad=False, note=note)
    row("unique_consecutive", x, return_inverse=True, return_counts=True, grad=False, note=f"{note}, all")
    row("unique_consecutive", x, return_inverse=True, return_counts=True, dim=1, grad=False, note=f"{note}, dim")
row("unique", np.array([NAN, 1.0, NAN]), return_counts=True, grad=False, note="NaN")
row("unique", ints(0), return_inverse=True, note="empty")
row("unique_consecutive", ints(0), return_inverse=True, return_counts=True, note="empty")
row("bincount", ints(9))
row("bincount", ints(9), minlength=8, note="minlength")
row("bincount", ints(9), draw(9), grad=False, note="weights")
row("bincount", ints(9), ints(9), note="whole weights")
row("bincount", ints(0), minlength=2, note="empty")
row("histc", draw(40), 5, -1.5, 1.5, grad=False)
row("histc", draw(4, 5), bins=4, grad=False, note="its own range")
row("histc", np.array([0.0, 0.5, 1.0, 1.0, 2.0, -1.0]), 4, 0, 1, grad=False, note="the edges")
EDGES = np.array([0.0, 1.0, 1.0, 2.5])
for right in (False, True):
    row("searchsorted", EDGES, np.array([[1.0, -1.0], [2.0, 9.0]]), right=right, grad=False, note=f"right {right}")
    row("bucketize", np.array([[1.0, -1.0], [2.0, 9.0]]), EDGES, right=right, grad=False, note=f"right {right}")
row("searchsorted", EDGES, 1.5, grad=False, note="a number")
row("searchsorted", EDGES, np.array([1.0, NAN]), side="right", out_int32=True, grad=False, note="side, int32")
row("searchsorted", np.sort(REPEATS, 1), REPEATS, note="rows")
row("searchsorted", draw(2, 3, 4, make=lambda x: np.sort(x)), draw(2, 3, 5), grad=False, note="rows of matrices")
row("searchsorted", EDGES[::-1].copy(), np.array([1.0]), np.array([3, 1, 2, 0]), grad=False, note="sorter",
    call=lambda t, s, x, i: t.searchsorted(s, x, sorter=i))  # fmt: skip
row("bucketize", 1.5, EDGES, grad=False, note="a number")

# Large enough for sums by blocks, which float32 takes above 512 elements.
for dim in (0, 1):
    row("softmax", draw(30, 30), note=f"large, dim {dim}", dim=dim)
    row("log_softmax", draw(30, 30), note=f"large, dim {dim}", dim=dim)
    row("sum", draw(3, 300, 2), note=f"large, dim {dim}", dim=dim)
row("sum", draw(3, 300, 2), note="large, two", dim=(0, 1), keepdim=True)
row("logsumexp", draw(30, 30), note="large", dim=0)
row("var", draw(30, 30), note="large", dim=0)

# Along each of three dimensions of different sizes.
for _name in (
    "sort", "argsort", "median", "nanmedian", "mode", "cummax", "cummin", "cumsum", "cumprod", "logcumsumexp", "max",
    "min", "argmax", "argmin", "amax", "amin", "sum", "prod", "mean", "std", "var", "logsumexp", "softmax",
    "log_softmax", "diff", "nansum", "nanmean", "count_nonzero", "all", "any", "norm",
):  # fmt: skip
    for _dim in (0, 1, 2):
        row(
            _name, distinct(2, 4, 3), note=f"{_dim} of three", smooth=False, in_place=False, method=False,
            call=lambda t, x, name=_name, dim=_dim: getattr(t, name)(x, dim=dim),
        )  # fmt: skip
for _dim in (0, 1, 2):
    row("topk", distinct(2, 4, 3), 2, _dim, note=f"{_dim} of three")
    row("kthvalue", distinct(2, 4, 3), 2, _dim, note=f"{_dim} of three")
    row("quantile", distinct(2, 4, 3), 0.3, _dim, note=f"{_dim} of three", smooth=False)
    row("quantile", distinct(2, 4, 3), np.array([0.3, 0.8]), _dim, note=f"two, {_dim} of three", constant=(1,))
