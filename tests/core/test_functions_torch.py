"""The same expression in PyTorch and here: value, gradient, gradient of the gradient, dtype and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinydl

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")

X = (3, 4)
CASES: list[tuple[str, Any, list[tuple[int, ...]]]] = [
    ("arithmetic", lambda t, a, b: a * b + a / (b * b + 1) - a, [X, X]),
    ("broadcast", lambda t, a, b: a * b, [(3, 1, 4), (2, 1)]),
    ("pow", lambda t, a: a**2 + a**3, [X]),
    ("powers of zero", lambda t, a: (a * 0) ** 2 + (a * 0) ** 1 + (a * 0) ** 0, [X]),
    ("rsub rdiv rpow", lambda t, a: (2 - a) + 3 / (a * a + 1) + 2**a, [X]),
    ("abs", lambda t, a: a.abs(), [X]),
    ("sign round floor", lambda t, a: a.sign() + a.round() + a.floor() + a, [X]),
    ("remainder", lambda t, a: a % 0.7, [X]),
    ("exp log", lambda t, a: (a.exp() + 1).log() + t.log1p(a * a) + t.expm1(a), [X]),
    ("circles", lambda t, a: a.sin() * a.cos() + a.tan() + a.sinh() - a.cosh() + t.atan(a), [X]),
    ("sigmoid tanh relu", lambda t, a: a.sigmoid() + a.tanh() * a.relu(), [X]),
    ("sqrt rsqrt", lambda t, a: (a * a + 1).sqrt() + (a * a + 1).rsqrt(), [X]),
    ("maximum minimum", lambda t, a, b: t.maximum(a, b) * t.minimum(a, b), [X, X]),
    ("maximum tie", lambda t, a: t.maximum(a, a * 1), [X]),
    ("clamp", lambda t, a: a.clamp(-0.5, 0.5) * a, [X]),
    ("clamp min", lambda t, a: a.clamp(min=0.1), [X]),
    ("where", lambda t, a, b: t.where(a > 0, a * a, b), [X, (4,)]),
    ("sum", lambda t, a: a.sum() * a.sum(0) + a.sum((0, 1), keepdim=True).reshape(1), [X]),
    ("mean var std", lambda t, a: a.mean(1) + a.var(1) + a.std(1, correction=0), [X]),
    ("max dim", lambda t, a: a.max(1).values * a.max(1)[0], [X]),
    ("max all", lambda t, a: a.max() + a.min(), [X]),
    ("amax ties", lambda t, a: (a * 0).amax(1) + a.amin(0).sum(), [X]),
    ("logsumexp", lambda t, a: a.logsumexp(1), [X]),
    ("softmax", lambda t, a: a.softmax(-1), [X]),
    ("log_softmax", lambda t, a: t.log_softmax(a, 0), [X]),
    ("cumsum", lambda t, a: a.cumsum(1), [X]),
    ("matmul", lambda t, a, b: a @ b, [X, (4, 2)]),
    ("matmul batch", lambda t, a, b: a @ b, [(2, 1, 3, 4), (5, 4, 2)]),
    ("matmul vectors", lambda t, a, b: (a @ b).reshape(1) + t.outer(a, b).sum(), [(4,), (4,)]),
    ("matmul vector matrix", lambda t, a, b: a @ b, [(4,), (2, 4, 3)]),
    ("bmm", lambda t, a, b: t.bmm(a, b), [(2, 3, 4), (2, 4, 2)]),
    ("reshape permute", lambda t, a: a.reshape(2, 3, 2).permute(2, 0, 1) * 2, [X]),
    ("transpose", lambda t, a: a.transpose(0, 1) * a.T, [X]),
    ("expand", lambda t, a: a.unsqueeze(0).expand(2, -1, 4) * 2, [X]),
    ("squeeze", lambda t, a: a.unsqueeze(1).squeeze(1).squeeze() * 3, [X]),
    ("flatten", lambda t, a: a.flatten() * 2, [X]),
    ("cat stack", lambda t, a, b: t.stack([t.cat([a, b], 1)] * 2).sum(0), [X, X]),
    ("split chunk", lambda t, a: a.split(3, 1)[1].sum() + a.chunk(2, 0)[1], [X]),
    ("unbind flip", lambda t, a: a.unbind(1)[2] + t.flip(a, (0,))[:, 1], [X]),
    ("slices", lambda t, a: a[1:, ::2] * a[:-1, None, 1:3].squeeze(1), [X]),
    ("index", lambda t, a: a[t.tensor([0, 2, 2])] * a[:, t.tensor([1, 1, 0])].T.sum(), [X]),
    ("mask", lambda t, a: a[a > 0] * 2, [X]),
    ("gather", lambda t, a: a.gather(1, t.tensor([[0, 1, 1], [3, 3, 2]])), [X]),
    ("index_select", lambda t, a: a.index_select(1, t.tensor([3, 0])), [X]),
    ("masked_fill", lambda t, a: a.masked_fill(a > 0.5, -1.0), [X]),
    ("in place", lambda t, a: (a * 1).add_(a).mul_(2.0), [X]),
    ("assignment", lambda t, a: _assigned(a), [X]),
    ("x used often", lambda t, a: a * a + a * a.T.T + a, [X]),
]  # fmt: skip


def _assigned(a: Any) -> Any:
    h = a * 2
    h[1] = a[0] * a[2]
    h[:, 0] = 5.0
    return h


@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "f", "shapes"), CASES, ids=[c[0] for c in CASES])
def test_equal(name: str, f: Any, shapes: list[tuple[int, ...]], dtype: str, layout: str) -> None:
    rng = np.random.default_rng(len(name))
    arrays = [rng.uniform(-2, 2, s).astype(dtype) for s in shapes]
    if layout == "transposed":
        arrays = [np.ascontiguousarray(a.T).T for a in arrays]
    ours = [tinydl.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    tolerance = {"rtol": 2e-5, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-10}
    y, z = f(tinydl, *ours), f(torch, *theirs)
    assert y.shape == tuple(z.shape) and f"torch.{y.dtype.name}" == str(z.dtype)
    np.testing.assert_allclose(y.array, z.detach().numpy(), **tolerance)
    weights = rng.uniform(0.5, 1.5, y.shape).astype(dtype)
    g = tinydl.autograd.grad((y * tinydl.tensor(weights)).sum(), ours, create_graph=True)
    h = torch.autograd.grad((z * torch.tensor(weights)).sum(), theirs, create_graph=True)
    for a, b in zip(g, h):
        assert a.shape == tuple(b.shape) and a.dtype == np.dtype(dtype)
        np.testing.assert_allclose(a.array, b.detach().numpy(), **tolerance)
    if not any(b.requires_grad for b in h):
        return
    s, t = sum((a * a).sum() for a in g), sum((b * b).sum() for b in h)
    second = tinydl.autograd.grad(s, ours, allow_unused=True)
    expected = torch.autograd.grad(t, theirs, allow_unused=True)
    scale = 50 if dtype == "float32" else 10
    for a, b in zip(second, expected):
        if a is None or b is None:
            assert (a is None or not np.any(a.array)) and (b is None or not b.any())
        else:
            np.testing.assert_allclose(
                a.array, b.numpy(force=True), rtol=tolerance["rtol"] * scale, atol=tolerance["atol"] * scale
            )
