"""Rows of recurrent layers, their cells, and packed and padded sequences."""

from __future__ import annotations

import warnings
from typing import Any

from tests.differential.rows import draw, home, ints, module, row

RNN = "nn.utils.rnn"


def packed(layer: Any, x: Any, lengths: list[int], *state: Any, batch_first: bool = False) -> Any:
    """The layer on a packed batch, whose sequences stand in any order."""
    tools = home(layer).nn.utils.rnn
    batch = tools.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    output, last = layer(batch, *state)
    return tools.pad_packed_sequence(output, batch_first), output, last


for name in ("RNN", "GRU", "LSTM"):
    states = 2 if name == "LSTM" else 1

    def with_state(layer: Any, x: Any, *states: Any) -> Any:
        return layer(x, states if len(states) > 1 else states[0])

    def packed_with_state(layer: Any, x: Any, *states: Any) -> Any:
        return packed(layer, x, [2, 4, 1], states if len(states) > 1 else states[0])

    module(name, 3, 4, inputs=[draw(3, 2, 3)])
    module(name, 3, 4, bias=False, batch_first=True, inputs=[draw(2, 3, 3)], note="batch first, no bias")
    module(name, 3, 4, inputs=[draw(4, 3)], note="unbatched")
    module(name, 3, 4, inputs=[draw(1, 1, 3)], note="one step")
    module(name, 3, 4, 2, dropout=0.5, inputs=[draw(3, 2, 3)], modes=("eval",), note="dropout")
    module(
        name, 3, 4, num_layers=2, bidirectional=True, inputs=[draw(3, 2, 3), *[draw(4, 2, 4)] * states],
        call=with_state, note="two layers, both directions, state",
    )  # fmt: skip
    module(
        name, 3, 4, bidirectional=True, batch_first=True, inputs=[draw(3, 3), *[draw(2, 4)] * states],
        call=with_state, note="unbatched, both directions, state",
    )  # fmt: skip
    module(
        name, 3, 4, num_layers=2, bidirectional=True, inputs=[draw(4, 3, 3)],
        call=lambda layer, x: packed(layer, x, [2, 4, 1]), note="packed",
    )  # fmt: skip
    module(
        name, 3, 4, batch_first=True, inputs=[draw(2, 3, 3)],
        call=lambda layer, x: packed(layer, x, [3, 3], batch_first=True), note="packed, equal lengths",
    )  # fmt: skip
    module(name, 3, 4, inputs=[draw(4, 3, 3), *[draw(1, 3, 4)] * states], call=packed_with_state, note="packed, state")

module("RNN", 3, 4, 2, nonlinearity="relu", inputs=[draw(3, 2, 3)], note="relu")


def projected(layer: Any, x: Any, *states: Any) -> Any:
    """The layer, without PyTorch's warning that oneDNN knows no projections."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        return layer(x, states) if states else (layer(x), packed(layer, x, [2, 3]))


module(
    "LSTM", 3, 4, num_layers=2, proj_size=2, bidirectional=True, inputs=[draw(3, 2, 3)], call=projected,
    note="projection",
)  # fmt: skip
module(
    "LSTM", 3, 4, proj_size=2, inputs=[draw(3, 2, 3), draw(1, 2, 2), draw(1, 2, 4)], call=projected,
    note="projection, state",
)  # fmt: skip

for name in ("RNNCell", "GRUCell"):
    module(name, 3, 4, inputs=[draw(2, 3)])
    module(name, 3, 4, bias=False, inputs=[draw(2, 3), draw(2, 4)], note="no bias, state")
    module(name, 3, 4, inputs=[draw(3), draw(4)], note="unbatched, state")
    module(name, 3, 4, inputs=[draw(0, 3)], note="no sequences")
module("RNNCell", 3, 4, nonlinearity="relu", inputs=[draw(2, 3)], note="relu")
module("LSTMCell", 3, 4, inputs=[draw(2, 3)])
module(
    "LSTMCell", 3, 4, bias=False, inputs=[draw(2, 3), draw(2, 4), draw(2, 4)],
    call=lambda layer, x, h, c: layer(x, (h, c)), note="no bias, state",
)  # fmt: skip
module(
    "LSTMCell", 3, 4, inputs=[draw(3), draw(4), draw(4)], call=lambda layer, x, h, c: layer(x, (h, c)),
    note="unbatched, state",
)  # fmt: skip

for first in (False, True):
    row(f"{RNN}.pack_padded_sequence", draw(4, 3, 2) if not first else draw(3, 4, 2), [4, 2, 1], batch_first=first)
    row(
        f"{RNN}.pack_padded_sequence", draw(4, 3) if not first else draw(3, 4), [2, 4, 1], batch_first=first,
        enforce_sorted=False, note="any order",
    )  # fmt: skip
row(f"{RNN}.pack_padded_sequence", ints(4, 3), [4, 4, 1], note="integers")
row(f"{RNN}.pack_padded_sequence", draw(4, 2), [3, 2], note="shorter than the input")


def repacked(t: Any, x: Any, lengths: list[int], *arguments: Any, **keywords: Any) -> Any:
    """Packed and padded again."""
    tools = t.nn.utils.rnn
    return tools.pad_packed_sequence(
        tools.pack_padded_sequence(x, lengths, enforce_sorted=False), *arguments, **keywords
    )


row(f"{RNN}.pad_packed_sequence", draw(4, 3, 2), [2, 4, 1], call=repacked)
row(f"{RNN}.pad_packed_sequence", draw(4, 3, 2), [2, 4, 1], True, -1.5, 6, call=repacked, note="all options")
row(f"{RNN}.pad_packed_sequence", ints(4, 3), [2, 4, 1], padding_value=9, call=repacked, note="integers")


def listed(name: str) -> Any:
    """The function called on a list of its tensors."""
    return lambda t, *xs, **keywords: getattr(t.nn.utils.rnn, name)(list(xs), **keywords)


row(f"{RNN}.pad_sequence", draw(2, 3), draw(4, 3), draw(1, 3), call=listed("pad_sequence"))
row(
    f"{RNN}.pad_sequence", draw(2), draw(4), batch_first=True, padding_value=-2.0, padding_side="left",
    call=listed("pad_sequence"), note="left",
)  # fmt: skip
row(f"{RNN}.pad_sequence", ints(2), ints(3), padding_value=-1, call=listed("pad_sequence"), note="integers")
row(f"{RNN}.pad_sequence", draw(0, 3), draw(2, 3), call=listed("pad_sequence"), note="an empty one")
row(f"{RNN}.pad_sequence", draw(3, 2, 2), note="one tensor")
row(f"{RNN}.pack_sequence", draw(4, 3), draw(2, 3), draw(2, 3), call=listed("pack_sequence"))
row(f"{RNN}.pack_sequence", draw(2), draw(4), enforce_sorted=False, call=listed("pack_sequence"), note="any order")
row(
    f"{RNN}.unpad_sequence",
    draw(3, 4, 2),
    call=lambda t, x: t.nn.utils.rnn.unpad_sequence(x, t.tensor([2, 4, 1]), True),
)
row(
    # PyTorch's transposes its argument in place
    f"{RNN}.unpad_sequence", draw(4, 3, 2), call=lambda t, x: t.nn.utils.rnn.unpad_sequence(x * 1, t.tensor([2, 4, 1])),
    note="time first",
)  # fmt: skip


def unpacked(t: Any, *xs: Any) -> Any:
    """Packed and taken apart again."""
    return t.nn.utils.rnn.unpack_sequence(t.nn.utils.rnn.pack_sequence(list(xs), enforce_sorted=False))


row(f"{RNN}.unpack_sequence", draw(2, 3), draw(4, 3), call=unpacked)


def by_hand(t: Any, x: Any, *order: int) -> Any:
    """A PackedSequence of two sequences, 2 and 1 steps long, and its fields by name."""
    batch = t.nn.utils.rnn.PackedSequence(x, t.tensor([2, 1]), t.tensor(list(order)) if order else None)
    return batch, batch.data, batch.batch_sizes, batch.sorted_indices, batch.unsorted_indices, batch.is_cuda


row(f"{RNN}.PackedSequence", draw(3, 2), call=by_hand)
row(f"{RNN}.PackedSequence", draw(3, 2), 1, 0, call=by_hand, note="sorted")
row(
    f"{RNN}.PackedSequence", draw(3, 2), note="a pair, converted",
    call=lambda t, x: t.nn.utils.rnn.PackedSequence((x, t.tensor([2, 1]))).double(),
)  # fmt: skip
