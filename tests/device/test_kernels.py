"""CUDA kernels on another device: which are taken, what their plans ask of arrays, and a few on the virtual GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl
from tests.each import each
from tinydl.kernels import KernelError, card, nvrtc, registry, use, variants
from tinydl.kernels.devices import NoRoom
from tinydl.kernels.gpu import CudaKernel, cuda_kernels
from tinydl.lab import standin
from tinydl.lab.standin import xp

compiles = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")
KERNELS = cuda_kernels()


def of(key: str) -> CudaKernel:
    return next(kernel for kernel in KERNELS if kernel.key == key)


def sent(value: Any) -> Any:
    return xp.array(value, order="K") if isinstance(value, np.ndarray) else value


class Seen(Exception):
    """What a plan gives was looked at."""


def test_plans_take_the_arrays_of_a_gpu() -> None:
    """All of them, in every dtype: none converts an array to NumPy's, asks whether it may be written, or makes a result
    on the host."""

    def check(kernel: CudaKernel, dtype: str) -> None:
        about = card(kernel.op)
        for arguments in kernel.samples(np.dtype(dtype).type):
            def function(*given: Any) -> Any:
                assert kernel.accepts(*given)
                calls, results = kernel.plan(xp.empty, *given)
                made = [r for r in results if r is not None and not isinstance(r, (int, np.integer))]
                assert all(isinstance(r, xp.ndarray) for r in made)
                raise Seen

            with pytest.raises(Seen):
                about.call(function, tuple(map(sent, arguments)))

    each(((f"{k.key} {dtype}", (k, dtype)) for k in KERNELS for dtype in k.dtypes), lambda case: check(*case))


@compiles
def test_the_highest_rung_that_accepts_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(kernel: CudaKernel, arguments: Any) -> Any:
        ran.append(kernel.name)
        return standin.run(kernel, arguments)

    rungs = [kernel for kernel in KERNELS if kernel.op == "softmax"]
    assert len(rungs) > 1
    with standin.connected(rungs) as there:
        monkeypatch.setattr(there.kernels, "launch", run)
        x = tinydl.tensor(np.random.default_rng(3).standard_normal((3, 7)), dtype=tinydl.float32)
        wanted = x.softmax(-1)
        found = x.to("cuda").softmax(-1)
        assert ran == ["cuda.warp"] and found.is_cuda
        np.testing.assert_allclose(found.cpu().numpy(), wanted.numpy(), rtol=2e-6)
        x.to("cuda").softmax(0)
        assert ran[1:] == ["cuda.naive"]
        del ran[:]
        with use(softmax=rungs[0].name):  # by name; what runs on the CPU has no such variant and goes on as before
            np.testing.assert_allclose(x.to("cuda").softmax(-1).cpu().numpy(), wanted.numpy(), rtol=2e-6)
            np.testing.assert_array_equal(x.softmax(-1).numpy(), wanted.numpy())
        with use(softmax="numpy"):
            np.testing.assert_allclose(x.to("cuda").softmax(-1).cpu().numpy(), wanted.numpy(), rtol=2e-6)
        assert ran == [rungs[0].name]
        with pytest.raises(KernelError, match="softmax' has no variant 'cuda.none'"), use(softmax="cuda.none"):
            pass


def test_products_are_the_librarys_and_a_coarse_kernel_is_never_taken_unasked() -> None:
    with standin.connected(KERNELS):
        found = [v for v in variants("matmul") if v.device == "cuda"]
        assert {v.name for v in found} == {"numpy", *(k.name for k in KERNELS if k.op == "matmul")}
        chosen = registry._candidates("matmul", "cuda", np.dtype(np.float32), None)
        assert chosen[0].name == "numpy"
        a = xp.ones((2, 3), np.float32)
        coarse = {k.name for k in KERNELS if k.op == "matmul" and k.tolerance}
        assert coarse and not any(v.accepts(a, a) for v in chosen if v.name in coarse)  # type: ignore[misc]
    assert not [v for v in variants("matmul") if v.device == "cuda"]  # the device is gone


@compiles
def test_a_training_step_by_kernels_on_the_virtual_gpu() -> None:
    """Layer norm, GELU and Adam by CUDA kernels, the rest by the library."""
    ran: set[str] = set()

    def run(kernel: CudaKernel, arguments: Any) -> Any:
        ran.add(kernel.key)
        return standin.run(kernel, arguments)

    def step(device: str) -> tuple[float, list[Any]]:
        tinydl.manual_seed(1)
        model = tinydl.nn.Sequential(
            tinydl.nn.Linear(6, 9), tinydl.nn.LayerNorm(9), tinydl.nn.GELU(), tinydl.nn.Linear(9, 4)
        ).to(device)
        optimizer = tinydl.optim.Adam(model.parameters(), lr=0.01)
        x, y = tinydl.randn(5, 6, device=device), tinydl.tensor([0, 1, 2, 3, 1], device=device)
        loss = tinydl.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item(), [p.detach().cpu().numpy() for p in model.parameters()]

    here, wanted = step("cpu"), {"gelu:cuda.generated", "adam_:cuda.fused", "layer_norm_forward:cuda.warp"}
    with standin.connected(map(of, wanted)) as there:
        there.kernels.launch = run
        found = step("cuda")
    assert ran == wanted
    np.testing.assert_allclose(found[0], here[0], rtol=1e-6)
    for a, b in zip(found[1], here[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_where_a_kernel_does_not_fit_another_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU may be too small for blocks that wait for each other; by name the kernel says so."""

    def run(kernel: CudaKernel, arguments: Any) -> Any:
        raise NoRoom(f"{kernel.key} has 400 blocks that wait for each other")

    with standin.connected([of("softmax:cuda.warp"), of("softmax:cuda.naive")]) as there:
        monkeypatch.setattr(there.kernels, "launch", run)
        x = tinydl.tensor([[1.0, 2.0], [3.0, 4.0]])
        np.testing.assert_allclose(x.to("cuda").softmax(-1).cpu().numpy(), x.softmax(-1).numpy(), rtol=1e-6)
        with use(softmax="cuda.naive"), pytest.raises(NoRoom, match="softmax:cuda.naive has 400 blocks"):
            x.to("cuda").softmax(-1)
