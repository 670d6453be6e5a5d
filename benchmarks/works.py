"""The work that the kernels are for: each case forward and backward through the public API, beside PyTorch's variants.

A case is written once, in names that both libraries have. Layout conversions are part of it: every tensor that goes in
or comes out has PyTorch's order of dimensions, and the variant ``channels_last`` pays for what it converts as we do.
Variants that a case does not have are left out of it. Shapes: PERFORMANCE, the networks of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydl.benchmarks.harness import Benchmark, Job
from tinydl.benchmarks.programs import Library, library, train

EAGER, CHANNELS_LAST, COMPILED = "torch eager", "torch channels_last", "torch.compile"
Work = Callable[[Library, str], Job]


def draw(torch: Library, *shape: int, seed: int = 0, scale: float = 1.0, grad: bool = True) -> Any:
    """Normal numbers, the same ones in both libraries."""
    rng = np.random.default_rng((seed, *shape))
    numbers = rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
    x = torch.from_numpy(np.asarray(numbers))  # of no dimensions NumPy makes a number
    return x.requires_grad_() if grad else x


def both_ways(torch: Library, compute: Callable[[], Any], leaves: list[Any]) -> Job:
    """``compute()`` and the gradients of all ``leaves`` from a gradient of its result (1 where that is one number, as
    losses have it); checked by their sizes."""
    shape = compute().shape
    upstream = draw(torch, *shape, seed=1, grad=False) if shape else torch.ones(())

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        compute().backward(upstream)

    step()
    norms = [float((x.grad.detach() * x.grad.detach()).sum().item()) for x in leaves]
    return Job(step, [float((compute().detach() * upstream).sum().item()), *norms])


def only(variant: str, *variants: str) -> None:
    """Leave a case out for the other variants: ImportError is how a side says that it is absent."""
    if variant not in ("", EAGER, *variants):
        raise ImportError(f"this case has no variant {variant}")


# --------------------------------------------------------------------------------------------------------- recurrence


def recurrent(kind: str, hidden: int) -> Work:
    """``nn.LSTM`` or ``nn.GRU`` over T=100, B=32, as wide as its input."""

    def work(torch: Library, variant: str) -> Job:
        only(variant)
        net = getattr(torch.nn, kind)(hidden, hidden)
        weights(torch, net)
        x = draw(torch, 100, 32, hidden)
        return both_ways(torch, lambda: net(x)[0], [x, *net.parameters()])

    return work


def weights(torch: Library, net: Any) -> None:
    """The same parameters in both libraries."""
    net.load_state_dict(
        {k: draw(torch, *v.shape, seed=2, scale=v.shape[-1] ** -0.5, grad=False) for k, v in net.state_dict().items()}
    )


# -------------------------------------------------------------------------------------------------------- convolution


def convolution(shape: tuple[int, ...], weight: tuple[int, ...], transposed: bool = False, **options: Any) -> Work:
    """``conv2d`` or its transpose with a bias."""

    def work(torch: Library, variant: str) -> Job:
        only(variant, CHANNELS_LAST)
        function = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d
        x = draw(torch, *shape)
        w, b = draw(torch, *weight, seed=2, scale=0.05), draw(torch, weight[1 if transposed else 0], seed=3)
        if variant == CHANNELS_LAST:  # as it is used: the network's tensors stay in that layout
            x, w = (a.detach().contiguous(memory_format=torch.channels_last).requires_grad_() for a in (x, w))
        return both_ways(torch, lambda: function(x, w, b, **options), [x, w, b])

    return work


def dilated(dilation: int) -> Work:
    """A causal convolution of WaveNet, 4 x 64 x 8192 with two taps."""

    def work(torch: Library, variant: str) -> Job:
        only(variant)
        F = torch.nn.functional
        x, w, b = draw(torch, 4, 64, 8192), draw(torch, 64, 64, 2, seed=2, scale=0.1), draw(torch, 64, seed=3)
        return both_ways(torch, lambda: F.conv1d(F.pad(x, (dilation, 0)), w, b, dilation=dilation), [x, w, b])

    return work


# -------------------------------------------------------------------------------------------------- bound by bandwidth


def chain(elements: int) -> Work:
    """tanh(a x + b) sigmoid(c): fused here (``tinydl.fuse``), eager or compiled there."""

    def work(torch: Library, variant: str) -> Job:
        only(variant, COMPILED)

        def compute(a: Any, x: Any, b: Any, c: Any) -> Any:
            return torch.tanh(a * x + b) * torch.sigmoid(c)

        a, x, b, c = (draw(torch, elements, seed=k) for k in range(4))
        function = torch.fuse(compute) if hasattr(torch, "fuse") else compute
        if variant == COMPILED:
            function = torch.compile(compute)
        return both_ways(torch, lambda: function(a, x, b, c), [a, x, b, c])

    return work


def cross_entropy(rows: int, classes: int) -> Work:
    """Softmax and cross-entropy of class indices."""

    def work(torch: Library, variant: str) -> Job:
        only(variant)
        x = draw(torch, rows, classes)
        target = torch.from_numpy(np.random.default_rng(0).integers(0, classes, rows))
        return both_ways(torch, lambda: torch.nn.functional.cross_entropy(x, target), [x])

    return work


def layer_norm(torch: Library, variant: str) -> Job:
    """4096 x 256 with weight and bias."""
    only(variant)
    x, w, b = draw(torch, 4096, 256), draw(torch, 256, seed=2), draw(torch, 256, seed=3)
    return both_ways(torch, lambda: torch.nn.functional.layer_norm(x, (256,), w, b), [x, w, b])


def batch_norm(torch: Library, variant: str) -> Job:
    """Batch norm in training and ReLU, 32 x 64 x 32 x 32."""
    only(variant, CHANNELS_LAST)
    F = torch.nn.functional
    x, w, b = draw(torch, 32, 64, 32, 32), draw(torch, 64, seed=2), draw(torch, 64, seed=3)
    if variant == CHANNELS_LAST:
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    return both_ways(torch, lambda: F.relu(F.batch_norm(x, None, None, w, b, training=True)), [x, w, b])


def attention(causal: bool) -> Work:
    """``scaled_dot_product_attention`` of 8 x 4 heads, T=512, D=64."""

    def work(torch: Library, variant: str) -> Job:
        only(variant)
        q, k, v = (draw(torch, 8, 4, 512, 64, seed=s) for s in range(3))
        function = torch.nn.functional.scaled_dot_product_attention
        return both_ways(torch, lambda: function(q, k, v, is_causal=causal), [q, k, v])

    return work


# ------------------------------------------------------------------------------------------------- steps of optimizers


def adam(shapes: list[tuple[int, ...]]) -> Work:
    """One step of Adam; PyTorch's is the fused one."""

    def work(torch: Library, variant: str) -> Job:
        only(variant)
        params = [draw(torch, *shape, seed=k) for k, shape in enumerate(shapes)]
        for k, p in enumerate(params):
            p.grad = draw(torch, *p.shape, seed=k + 99, grad=False)
        fused = {"fused": True} if variant else {}
        optimizer = torch.optim.Adam(params, lr=1e-3, **fused)
        for _ in range(3):
            optimizer.step()
        return Job(lambda: optimizer.step() and None, [float(p.detach().sum().item()) for p in params[:4]])

    return work


# -------------------------------------------------------------------------------------------------------- whole steps


def jsb(hidden: int, batch: int) -> Work:
    """LSTM(88, hidden) over T=64 of piano-rolls, Linear, binary cross-entropy, Adam."""

    def work(torch: Library, variant: str) -> Job:
        only(variant)
        rolls = (np.random.default_rng(1).random((65, batch, 88)) < 0.05).astype(np.float32)
        x, target = torch.from_numpy(rolls[:-1]), torch.from_numpy(rolls[1:])
        net = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(88, hidden), "out": torch.nn.Linear(hidden, 88)})
        loss = torch.nn.functional.binary_cross_entropy_with_logits
        return train(torch, net, lambda: loss(net["out"](net["lstm"](x)[0]), target), **fused_adam(variant))

    return work


def fused_adam(variant: str) -> dict[str, bool]:
    """PyTorch's quickest Adam; ours has no variants."""
    return {"fused": True} if variant else {}


def vae(torch: Library, variant: str) -> Job:
    """784-400-20 and back, batch of 128 (Kingma & Welling 2014), the noise given."""
    only(variant)
    nn, F = torch.nn, torch.nn.functional
    net = nn.ModuleDict(
        {
            "encode": nn.Linear(784, 400), "mean": nn.Linear(400, 20), "log_var": nn.Linear(400, 20),
            "decode": nn.Linear(20, 400), "out": nn.Linear(400, 784),
        }
    )  # fmt: skip
    pixels = (np.random.default_rng(1).random((128, 784)) < 0.2).astype(np.float32)
    x, noise = torch.from_numpy(pixels), draw(torch, 128, 20, grad=False)

    def loss() -> Any:
        h = F.relu(net["encode"](x))
        mean, log_var = net["mean"](h), net["log_var"](h)
        z = mean + noise * torch.exp(0.5 * log_var)
        logits = net["out"](F.relu(net["decode"](z)))
        kl = -0.5 * torch.sum(1 + log_var - mean * mean - log_var.exp())
        return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl) / 128

    return train(torch, net, loss, **fused_adam(variant))


def gan(torch: Library, variant: str) -> Job:
    """A generator 16-64-64-2 and a discriminator 2-64-64-1, batch of 64: both steps."""
    only(variant)
    nn, F = torch.nn, torch.nn.functional
    generator = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    judge = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    for net in (generator, judge):
        weights(torch, net)
    steps = [torch.optim.Adam(net.parameters(), lr=1e-3, **fused_adam(variant)) for net in (generator, judge)]
    z, real = draw(torch, 64, 16, grad=False), draw(torch, 64, 2, seed=1, grad=False)
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    loss = F.binary_cross_entropy_with_logits
    losses: list[Any] = []

    def step() -> None:
        fake = generator(z)
        steps[1].zero_grad()
        a = loss(judge(real), ones) + loss(judge(fake.detach()), zeros)
        a.backward()
        steps[1].step()
        steps[0].zero_grad()
        b = loss(judge(fake), ones)
        b.backward()
        steps[0].step()
        losses[:] = [a, b]

    check = []
    for _ in range(3):
        step()
        check += [float(value.item()) for value in losses]
    return Job(step, check)


WORKS: dict[str, Work] = {
    "LSTM H128": recurrent("LSTM", 128),
    "LSTM H256": recurrent("LSTM", 256),
    "GRU H128": recurrent("GRU", 128),
    "GRU H256": recurrent("GRU", 256),
    "dilated conv1d, d=1": dilated(1),
    "dilated conv1d, d=16": dilated(16),
    "dilated conv1d, d=512": dilated(512),
    "conv2d 32x16x64x64": convolution((32, 16, 64, 64), (16, 16, 3, 3), padding=1),
    "conv2d 32x64x32x32": convolution((32, 64, 32, 32), (64, 64, 3, 3), padding=1),
    "conv2d 1xk C256": convolution((32, 256, 1, 64), (256, 256, 1, 4)),
    "conv2d kx1 C64": convolution((32, 64, 128, 8), (64, 64, 3, 1)),
    "conv-transpose 128-64": convolution((32, 128, 16, 16), (128, 64, 4, 4), True, stride=2, padding=1),
    "conv-transpose 64-32": convolution((32, 64, 32, 32), (64, 32, 4, 4), True, stride=2, padding=1),
    "chain 10^6": chain(1_000_000),
    "chain 10^5": chain(100_000),
    "chain 10^3": chain(1000),
    "cross-entropy 2048x96": cross_entropy(2048, 96),
    "cross-entropy 256x10000": cross_entropy(256, 10_000),
    "layer norm 4096x256": layer_norm,
    "batch norm + ReLU": batch_norm,
    "attention": attention(False),
    "attention, causal": attention(True),
    "Adam 20x64x64": adam([(64, 64)] * 20),
    "Adam 813k": adam([(1024, 512), (1024, 256), (1024,), (88, 256)]),
    "step: LSTM H256": jsb(256, 32),
    "step: LSTM H128": jsb(128, 16),
    "step: VAE": vae,
    "step: GAN": gan,
}


def side(name: str, variant: str = "") -> Callable[[str], Job]:
    """One column: a library, and of PyTorch a variant."""
    return lambda case: WORKS[case](library(name), variant)


BENCHMARK = Benchmark(
    name="works",
    title="the work the kernels are for, forward and backward, beside the best variant of PyTorch's",
    sides={
        "tinydl": side("tinydl"),
        EAGER: side("torch", EAGER),
        CHANNELS_LAST: side("torch", CHANNELS_LAST),
        COMPILED: side("torch", COMPILED),
    },
    cases=tuple(WORKS),
    repeats=7,
    tolerance=5e-3,
    sample_seconds=0.15,
)
