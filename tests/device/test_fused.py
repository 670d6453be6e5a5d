"""Fused functions on another device: operation by operation, or as generated kernels on the virtual GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tinydl.kernels import nvrtc
from tinydl.kernels.gpu import CudaKernel
from tinydl.lab import standin

compiles = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")


def gate(a: Any, x: Any, b: Any) -> Any:
    return tinydl.tanh(a * x + b) * tinydl.sigmoid(x)


def pair(x: Any, y: Any) -> Any:
    return x * y, x > y


def arrays() -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal(s) for s in ((4,), (3, 4), (3, 1))]


def outcome(fused: Any, device: str, by_name: bool = False) -> list[Any]:
    """The result and the gradients, of one broadcast operand and two others."""
    a, x, b = (tinydl.tensor(v, device=device, requires_grad=True) for v in arrays())
    y = fused(a, b=b, x=x) if by_name else fused(a, x, b)
    y.backward(tinydl.ones_like(y) * 0.5)
    assert y.device.type == device and all(t.grad.device.type == device for t in (a, x, b))
    return [t.detach().cpu().numpy() for t in (y, a.grad, x.grad, b.grad)]


def test_what_ran_on_the_cpu_runs_elsewhere() -> None:
    """The same shapes: a loop for the CPU is known already, and is not taken."""
    fused = tinydl.fuse(gate)
    here = outcome(fused, "cpu")
    with standin.connected():
        for by_name in (False, True):
            for a, b in zip(outcome(fused, "cuda", by_name), here, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
        for a, b in zip(outcome(fused, "cpu"), here, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(outcome(fused, "cpu"), here, strict=True):  # and no call looks any more
        np.testing.assert_array_equal(a, b)
    assert type(fused).__call__ is type(fused)._here


@compiles
def test_fused_functions_are_generated_kernels() -> None:
    ran: list[str] = []

    def run(kernel: CudaKernel, arguments: Any) -> Any:
        ran.append(kernel.op)
        return standin.run(kernel, arguments)

    fused, two = tinydl.fuse(gate), tinydl.fuse(pair)
    here = outcome(fused, "cpu")
    with standin.connected(fuses=True) as there:
        there.kernels.launch = run
        for by_name in (False, True):
            for a, b in zip(outcome(fused, "cuda", by_name), here, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
        assert [name.rsplit("_", 1)[0] for name in ran] == ["gate_forward", "gate_backward"] * 2
        x, y = (tinydl.tensor(v, device="cuda") for v in ([1.0, 3.0], [2.0, 2.0]))
        product, larger = two(x.requires_grad_(), y)
        product.sum().backward()
        assert product.tolist() == [2.0, 6.0] and larger.tolist() == [False, True] and x.grad.tolist() == [2.0, 2.0]
        strided = tinydl.tensor(arrays()[1].T, device="cuda").T
        np.testing.assert_allclose(
            fused(strided[0], strided, strided[:, :1]).cpu().numpy(),
            gate(*(t.cpu() for t in (strided[0], strided, strided[:, :1]))).numpy(), rtol=1e-13,
        )  # fmt: skip
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            fused(x, y.cpu(), x)
