"""Rows of the differential table in the way that many numbers go: what says how many are few says none.

Few numbers are rearranged by an index that is remembered, transformed by a matrix, sorted again instead of gathered;
the small samples of the table would never see what is done with many.
"""

from __future__ import annotations

import importlib

import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

from tests.differential import test_rows_torch as rows  # noqa: E402 - it needs PyTorch

WAYS = {
    "arranging": {"_FEW": 0}, "extrema": {"_FEW": 0}, "indexing": {"FEW": 0, "_FEW": 0}, "padding": {"_FEW": 0},
    "products": {"_FEW": 0, "_LARGE": 0}, "reducing": {"_BLOCK": 2}, "sorting": {"_FEW": 0},
    "spectral": {"_FEW": 0, "_SMALL": 0},
}  # fmt: skip
#: the functions that have two ways
NAMES = """
    addbmm addmm baddbmm bmm chain_matmul einsum inner matmul mm tensordot linalg.matrix_power linalg.multi_dot
    nn.functional.linear nn.functional.bilinear index_select amax amin aminmax max min argsort kthvalue median mode
    msort nanmedian quantile sort topk Tensor.repeat tile repeat_interleave rot90 roll fft.fftshift fft.ifftshift
    nn.functional.channel_shuffle nn.functional.fold nn.functional.unfold nn.functional.pad nn.functional.pixel_shuffle
    nn.functional.pixel_unshuffle fft.rfft fft.irfft fft.rfftfreq fft.fftfreq stft istft sum mean nansum nanmean var std
""".split()
ROWS = [r for r in rows.FUNCTIONS if r.name in NAMES]


@pytest.fixture(autouse=True)
def _none_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    for room, names in WAYS.items():
        module = importlib.import_module(f"tinydl.ops.{room}")
        for name, number in names.items():
            monkeypatch.setattr(module, name, number)


@pytest.mark.parametrize("dtype", rows.TOLERANCE)
@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.label)
def test_value_and_gradients(row: rows.Row, dtype: str) -> None:
    ours, theirs, at = rows.inputs(row, dtype)
    got, wanted = row.evaluate(tinydl, ours), row.evaluate(torch, theirs)
    rows.same(got, wanted, dtype, row.loose, "value")
    if any(rows.is_tensor(y) and y.requires_grad for y in rows.flat(wanted)):
        for order in (1, 2) if row.smooth else (1,):
            got, wanted = row.evaluate(tinydl, ours), row.evaluate(torch, theirs)
            a = rows.gradients(tinydl, got, [ours[i] for i in at], order)
            b = rows.gradients(torch, wanted, [theirs[i] for i in at], order)
            rows.same_gradients(a, b, dtype, row.loose, f"derivative {order} by leaf")


def test_every_function_has_a_row() -> None:
    assert not set(NAMES) - {r.name for r in ROWS}
