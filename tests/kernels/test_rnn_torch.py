"""Recurrent kernels against PyTorch's own LSTM, GRU and RNN, whole and packed sequences, both directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinydl.kernels import lookup

torch = pytest.importorskip("torch", reason="the differential tests need PyTorch")

KINDS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", list(KINDS))
def test_forward_and_backward_equal_pytorchs(cell: str, reverse: bool, packed: bool) -> None:
    T, B, I, H = 6, 5, 7, 19
    rng = np.random.default_rng(11)
    options: dict[str, Any] = {"nonlinearity": cell[4:]} if cell.startswith("rnn") else {}
    # A net that runs backward only is the second direction of one that runs both ways.
    net = getattr(torch.nn, KINDS[cell])(I, H, bidirectional=reverse, dtype=torch.float64, **options)
    suffix = "_l0_reverse" if reverse else "_l0"
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parameters = [getattr(net, name + suffix) for name in names]

    lengths = np.array([4, 6, 1, 6, 3]) if packed else None
    x = torch.tensor(rng.normal(size=(T, B, I)), requires_grad=True)
    count = 2 if cell == "lstm" else 1
    initial = [torch.tensor(rng.normal(size=(1 + reverse, B, H)), requires_grad=True) for _ in range(count)]
    sequence = x
    if packed:
        sequence = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    output, state = net(sequence, tuple(initial) if count == 2 else initial[0])
    if packed:
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=T)
    expected = [output[..., -H:], *(s[-1] for s in (state if count == 2 else (state,)))]
    seeds = [rng.normal(size=tuple(e.shape)) for e in expected]
    sum((torch.tensor(seed) * e).sum() for seed, e in zip(seeds, expected)).backward()

    arguments = [x.detach().numpy(), *(s.detach().numpy()[-1] for s in initial),
                 *(p.detach().numpy() for p in parameters)]
    results = lookup(f"{cell}_forward", dtype=np.float64)(*arguments, lengths, reverse)
    for got, want in zip(results, expected):
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-10, atol=1e-12)
    gradients = lookup(f"{cell}_backward", dtype=np.float64)(
        *seeds, *arguments, lengths, reverse, results[0], *results[1 + count :], (True,) * len(arguments)
    )
    wanted = [x.grad, *(s.grad[-1] for s in initial), *(p.grad for p in parameters)]
    for got, want in zip(gradients, wanted):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-9, atol=1e-11)
