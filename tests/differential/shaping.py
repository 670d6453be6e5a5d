"""Rows of shapes: views, joins, pieces, arrangements, padding."""

from __future__ import annotations

from typing import Any

from tests.differential.rows import bools, draw, ints, module, row

row("reshape", draw(2, 6), (3, 4))
row("reshape", draw(2, 6), (-1, 2), note="inferred")
row("reshape", draw(1), (), note="to a number")
row("reshape", draw(0, 3), (3, 0, 2), note="empty")
row("reshape", ints(2, 6), (4, 3), note="ints")
row("Tensor.view", draw(2, 6), call=lambda t, x: x.contiguous().view(3, -1))
row("Tensor.view", draw(2, 6), call=lambda t, x: x.contiguous().view((12,)), note="a tuple")
row("Tensor.view_as", draw(2, 6), draw(3, 4), call=lambda t, x, y: x.contiguous().view_as(y) * y)
row("Tensor.reshape_as", draw(2, 6), draw(3, 4), call=lambda t, x, y: x.reshape_as(y) * y)
row("flatten", draw(2, 3, 4))
row("flatten", draw(2, 3, 4), 1)
row("flatten", draw(2, 3, 4), start_dim=0, end_dim=-2)
row("flatten", draw(), note="0-d")
row("flatten", draw(0, 3), note="empty")
row("unflatten", draw(2, 6), 1, (2, 3))
row("unflatten", draw(6, 2), dim=0, sizes=(-1, 2))
row("ravel", draw(2, 3))
row("ravel", draw(), note="0-d")
row("permute", draw(2, 3, 4), (2, 0, 1))
row("permute", draw(2, 3, 4), (-1, 0, -2), note="negative")
row("permute", draw(), (), note="0-d")
row("transpose", draw(2, 3, 4), 0, 2)
row("transpose", draw(2, 3, 4), -1, 1, note="negative")
row("transpose", draw(), 0, -1, note="0-d")
row("swapaxes", draw(2, 3, 4), 0, 2)
row("swapdims", draw(2, 3, 4), 1, 2)
row("t", draw(2, 3))
row("t", draw(3), note="a vector")
row("t", draw(), note="0-d")
row("Tensor.T", draw(2, 3), call=lambda t, x: x.T)
row("Tensor.mT", draw(2, 3, 4), call=lambda t, x: x.mT)
row("movedim", draw(2, 3, 4), 0, -1)
row("movedim", draw(2, 3, 4), (0, 1), (2, 0), note="several")
row("moveaxis", draw(2, 3, 4), 2, 0)
row("Tensor.expand", draw(3, 1), call=lambda t, x: x.expand(2, -1, 4))
row("Tensor.expand", draw(), call=lambda t, x: x.expand(2, 3), note="0-d")
row("Tensor.expand", draw(1, 3), call=lambda t, x: x.expand(0, 3), note="empty")
row("Tensor.expand", draw(2, 3), call=lambda t, x: x.expand(2, 3), note="same")
row("Tensor.expand_as", draw(3, 1), draw(3, 4), call=lambda t, x, y: x.expand_as(y) * y)
row("broadcast_to", draw(3, 1), (2, 3, 4))
row("broadcast_tensors", draw(3, 1), draw(4), draw())
row("broadcast_shapes", call=lambda t: tuple(t.broadcast_shapes((3, 1), (4,), (2, 1, 1))))
row("Tensor.repeat", draw(2, 3), call=lambda t, x: x.repeat(2, 1, 3))
row("Tensor.repeat", draw(2, 3), call=lambda t, x: x.repeat(1, 1), note="once")
row("Tensor.repeat", draw(), call=lambda t, x: x.repeat(3), note="0-d")
row("Tensor.repeat", draw(2, 3), call=lambda t, x: x.repeat(0, 2), note="no times")
row("tile", draw(2, 3), (2,))
row("tile", draw(3), (2, 2), note="more numbers")
row("repeat_interleave", draw(2, 3), 2)
row("repeat_interleave", draw(2, 3), 3, dim=1)
row("repeat_interleave", draw(3, 2), ints(3, low=0, high=4), dim=0, note="a tensor")
row("repeat_interleave", ints(4, low=0, high=3), note="indices", method=False)
row("cat", draw(2, 3), draw(4, 3), call=lambda t, a, b: t.cat([a, b]))
row("cat", draw(2, 3), draw(2, 1), draw(2, 2), call=lambda t, a, b, c: t.cat((a, b, c), dim=-1), note="dim")
row("cat", draw(2, 3), draw(0), call=lambda t, a, b: t.cat([a, b]), note="an empty one")
row("cat", draw(2, 3), ints(2, 3), bools(1, 3), call=lambda t, a, b, c: t.cat([a, b, c]), note="dtypes")
row("cat", draw(2, 3), call=lambda t, a: t.cat([a, a], axis=1), note="one twice, by axis")
row("concat", draw(2, 3), draw(1, 3), call=lambda t, a, b: t.concat([a, b], dim=0))
row("concatenate", draw(2, 3), draw(2, 2), call=lambda t, a, b: t.concatenate([a, b], dim=1))
for _dim in (0, 1, -1):
    row("stack", draw(2, 3), draw(2, 3), call=lambda t, a, b, d=_dim: t.stack([a, b], dim=d), note=f"dim {_dim}")
row("stack", draw(), draw(), call=lambda t, a, b: t.stack([a, b]), note="0-d")
row("stack", draw(2), ints(2), call=lambda t, a, b: t.stack([a, b]), note="dtypes")
for _name in ("hstack", "vstack", "dstack", "column_stack", "row_stack"):
    for _shape in ((), (3,), (2, 3), (2, 3, 2)):
        row(
            _name,
            draw(*_shape),
            draw(*_shape),
            call=lambda t, a, b, name=_name: getattr(t, name)([a, b]),
            note=f"{len(_shape)}-d",
        )
row("split", draw(7, 2), 3)
row("split", draw(2, 6), (1, 3, 2), dim=1)
row("split", draw(6, 2), [2, 4], note="a list")
row("split", draw(0, 2), 3, note="empty")
row("tensor_split", draw(7, 2), 3)
row("tensor_split", draw(2, 7), (1, 4), dim=1)
row("tensor_split", draw(2, 3), (2, 5), dim=1, note="beyond the end")
row("hsplit", draw(4, 6), 3)
row("hsplit", draw(6), (1, 4), note="a vector")
row("vsplit", draw(4, 6), 2)
row("chunk", draw(7, 2), 3)
row("chunk", draw(2, 5), chunks=4, dim=1)
row("unbind", draw(3, 2))
row("unbind", draw(3, 2), dim=-1)
row("flip", draw(2, 3), (0,))
row("flip", draw(2, 3), (0, -1), note="both")
row("fliplr", draw(2, 3))
row("flipud", draw(2, 3))
row("roll", draw(3, 4), 1)
row("roll", draw(3, 4), -1, 0, note="along a dimension")
row("roll", draw(3, 4), (1, 6), (0, 1), note="along both")
for _k in (0, 1, 2, 3, -1):
    row("rot90", draw(2, 3), _k, note=f"{_k} times")
row("rot90", draw(2, 3, 4), 1, (2, 0), note="dims")
row("squeeze", draw(1, 3, 1))
row("squeeze", draw(1, 3, 1), dim=0)
row("squeeze", draw(1, 3, 1), 1, note="not of size 1")
row("squeeze", draw(1, 3, 1), dim=(0, 2), note="several")
row("squeeze", draw(), note="0-d")
row("unsqueeze", draw(2, 3), 0)
row("unsqueeze", draw(2, 3), dim=-1)
row("unsqueeze", draw(), 0, note="0-d")
row("Tensor.unfold", draw(7, 2), call=lambda t, x: x.unfold(0, 3, 2))
row("Tensor.unfold", draw(2, 5), call=lambda t, x: x.unfold(-1, 2, 1), note="overlapping")
row("Tensor.unfold", draw(), call=lambda t, x: x.unfold(0, 1, 1), note="0-d")
for _name in ("tril", "triu"):
    row(_name, draw(3, 4))
    row(_name, draw(4, 3), 1, note="above")
    row(_name, draw(2, 3, 3), diagonal=-1, note="below, batch")
    row(_name, ints(3, 3), note="ints")
row("diagonal", draw(3, 4))
row("diagonal", draw(2, 3, 4), 1, 1, 2, note="offset, dims")
row("diagonal", draw(2, 3, 4), offset=-1, dim1=-1, dim2=0)
row("diag", draw(3))
row("diag", draw(3), 1, note="a vector above")
row("diag", draw(3, 4), -1, note="of a matrix")
row("diag_embed", draw(2, 3))
row("diag_embed", draw(2, 3), offset=1, dim1=0, dim2=2)
row("diagflat", draw(2, 2))
row("diagflat", draw(2), -1, note="below")
row("trace", draw(3, 4))
row("trace", ints(3, 3), note="ints")
row("narrow", draw(5, 3), 0, 1, 3)
row("narrow", draw(5, 3), dim=0, start=-2, length=2)
row("select", draw(3, 4), 0, -1)
row("select", draw(3, 4), dim=1, index=2)
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    for _shape in ((), (3,), (2, 3), (2, 3, 2)):
        row(_name, draw(*_shape), note=f"{len(_shape)}-d")
    row(_name, draw(), draw(3), note="several")
row("block_diag", draw(2, 3), draw(), draw(2), draw(1, 1))
row("combinations", draw(4))
row("combinations", draw(3), r=3, with_replacement=True)
row("combinations", draw(3), r=4, note="none")

for _value in (None, 1.5):
    row("nn.functional.pad", draw(2, 3), (1, 2), value=_value, note=f"value {_value}")
row("nn.functional.pad", draw(2, 3, 4), (1, 0, 2, 1), note="two dimensions")
row("nn.functional.pad", draw(4, 5), (-1, 2, 0, -1), note="cut")
row("nn.functional.pad", ints(2, 3), (1, 1), value=7, note="ints")
for _mode in ("reflect", "replicate", "circular"):
    row("nn.functional.pad", draw(2, 3, 4), (2, 3), mode=_mode, note=f"{_mode} 1")
    row("nn.functional.pad", draw(3, 4), (1, 0), mode=_mode, note=f"{_mode} 1, no batch")
    row("nn.functional.pad", draw(1, 2, 3, 4), (1, 2, 2, 0), mode=_mode, note=f"{_mode} 2")
    row("nn.functional.pad", draw(2, 3, 2, 3), (1, 1, 1, 0, 0, 2), mode=_mode, note=f"{_mode} 3, no batch")
    row("nn.functional.pad", draw(1, 2, 3, 2, 3), (1, 2, 1, 1, 0, 2), mode=_mode, note=f"{_mode} 3")
row("nn.functional.pad", draw(1, 2, 6), (-1, 2), mode="reflect", note="reflect, cut")
row("nn.functional.pad", draw(1, 2, 3), (3, 0), mode="circular", note="circular, all before")
row("nn.functional.pad", draw(1, 2, 3), (0, 3), mode="circular", note="circular, all after")
row("nn.functional.pad", draw(1, 2, 3), (2, 2), mode="reflect", note="reflect, as far as may be")
row("nn.functional.pad", draw(2, 3), (-1, -2), note="cut to nothing")
row("nn.functional.pad", draw(1, 2, 6), (1, -2), mode="replicate", note="replicate, cut")
row("nn.functional.unfold", draw(2, 3, 4, 5), 2)
row("nn.functional.unfold", draw(2, 2, 6, 5), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1), note="all")
row("nn.functional.unfold", draw(2, 4, 4), 3, padding=1, note="no batch")
for _dilation in ((2, 1), (1, 2), 2):
    row("nn.functional.unfold", draw(1, 2, 5, 4), 2, dilation=_dilation, note=f"dilation {_dilation}")
row("nn.functional.fold", draw(2, 12, 12), (4, 5), 2)
row("nn.functional.fold", draw(2, 12, 9), (6, 5), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1), note="all")
row("nn.functional.fold", draw(8, 4), 3, 2, note="no batch")
row("nn.functional.pixel_shuffle", draw(2, 8, 2, 3), 2)
row("nn.functional.pixel_unshuffle", draw(2, 2, 4, 6), 2)
row("nn.functional.one_hot", ints(2, 3), 5)
row("nn.functional.one_hot", ints(4), note="classes counted")

module("Linear", 3, 4, inputs=[draw(2, 3)])
module("Dropout", 0.5, inputs=[draw(2, 3)], modes=("eval",))


def _written_through(t: Any, x: Any, view: Any) -> Any:
    """What a write through a view does to the tensor itself."""
    y = x.detach().clone()
    with t.no_grad():
        view(y).mul_(-3)
    return y


# Views share memory, copies do not.
_VIEWS: dict[str, Any] = {
    "transpose": lambda t, y: y.transpose(0, 1),
    "select": lambda t, y: t.select(y, 0, 1),
    "narrow": lambda t, y: t.narrow(y, 1, 1, 2),
    "diagonal": lambda t, y: t.diagonal(y, 1),
    "split": lambda t, y: t.split(y, 2, 1)[1],
    "unbind": lambda t, y: t.unbind(y, 1)[0],
    "chunk": lambda t, y: t.chunk(y, 2)[1],
    "movedim": lambda t, y: t.movedim(y, 0, 1),
    "Tensor.unfold": lambda t, y: y.unfold(1, 2, 2),
    "unflatten": lambda t, y: t.unflatten(y, 1, (2, 2)),
    "squeeze": lambda t, y: t.squeeze(y),
    "flip": lambda t, y: t.flip(y, (0,)),
    "roll": lambda t, y: t.roll(y, 1, 0),
    "diag": lambda t, y: t.diag(y),
    "tril": lambda t, y: t.tril(y),
    "Tensor.repeat": lambda t, y: y.repeat(1, 1),
    "rot90": lambda t, y: t.rot90(y, 0),
    "tensor_split": lambda t, y: t.tensor_split(y, 2, 1)[0],
    "Tensor.mT": lambda t, y: y.mT,
}
for _name, _view in _VIEWS.items():
    row(
        _name,
        draw(3, 4),
        call=lambda t, x, view=_view: _written_through(t, x, lambda y: view(t, y)),
        note="written through",
        grad=False,
    )
