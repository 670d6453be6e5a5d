"""Every operation of the op table on another device: what it computes, and its gradients by both routes, are those of
the CPU to rounding, and stay on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinydl
from tests.each import each
from tests.ops.test_table import ALL, Case, by_operation, floating
from tinydl.autograd import grad, registry
from tinydl.devices import on_host


def sent(value: Any, device: str) -> Any:
    """A setting that is an array, or a tuple of those, on a device."""
    if isinstance(value, np.ndarray):
        return tinydl.tensor(value).to(device).array
    return tuple(sent(v, device) for v in value) if type(value) is tuple else value


def found(case: Any, device: str) -> list[Any]:
    """All results and gradients of a sample, on the host."""
    name, _, sample = case
    op = registry()[name]
    args: list[Any] = []
    leaves: list[Any] = []
    for k, x in enumerate(sample.args):
        if sample.alias and k == sample.alias[1]:
            args.append(args[sample.alias[0]])
        elif isinstance(x, np.ndarray):
            wanted = op.differentiable and floating(x) and k not in sample.constant
            args.append(tinydl.tensor(x).to(device).requires_grad_(wanted))
            leaves += [args[-1]] * wanted
        else:
            args.append(x)
    before = [x.array.copy() for x in leaves]
    static = {key: sent(value, device) for key, value in sample.static.items()}
    if name == "move":
        static = {"device": device, "home": device}
    out = op.call(*args, **static)
    outs = list(out) if isinstance(out, tuple) else [out]
    results = list(outs)
    live = [o for o in outs if o.requires_grad]
    if live:
        rng = np.random.default_rng(3)
        seeds = [tinydl.tensor(np.asarray(rng.uniform(-1, 1, o.shape), o.dtype)).to(device) for o in live]
        results += grad(live, leaves, seeds, retain_graph=True, allow_unused=True)
        if op.composite is None:
            results += grad(live, leaves, seeds, create_graph=True, allow_unused=True)
    for x, old in zip(leaves, before):
        np.testing.assert_array_equal(on_host(x.array), on_host(old))
    assert all(r is None or r.device.type == device for r in results)
    return [None if r is None else on_host(r.array) for r in results]


@by_operation(ALL)
def test_an_operation_gives_what_the_cpu_gives(cases: list[Case], device: str) -> None:
    def check(case: Any) -> None:
        there, here = found(case, device), found(case, "cpu")
        assert len(there) == len(here)
        for a, b in zip(there, here):
            assert (a is None) == (b is None)
            if b is not None:
                assert a.shape == b.shape and a.dtype == b.dtype
                if b.dtype.kind == "f":
                    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0.0)))
                    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11 * scale)
                else:
                    np.testing.assert_array_equal(a, b)

    each(((label, case) for case, label in cases), check)
