"""Rows of random tensors: shape, dtype, history and bounds; the numbers themselves are each library's own, and their
distributions are tested in ``tests/random/test_distributions.py``."""

from __future__ import annotations

from tests.differential.rows import draw, ints, row

for name in ("rand", "randn"):
    row(name, note="sizes", call=lambda t, name=name: getattr(t, name)(2, 3) * 0)
    row(name, note="tuple", call=lambda t, name=name: getattr(t, name)((2, 0, 3)) * 0)
    row(name, note="size=", call=lambda t, name=name: getattr(t, name)(size=(4,)) * 0)
    row(name, note="0-d", call=lambda t, name=name: getattr(t, name)(()) * 0)
    row(name, note="dtype", call=lambda t, name=name: getattr(t, name)(2, dtype=t.float64, device="cpu") * 0)
    row(name, note="half", call=lambda t, name=name: getattr(t, name)(2, dtype=t.float16) * 0)
    row(name, note="leaf", call=lambda t, name=name: getattr(t, name)(2, requires_grad=True).requires_grad)
    row(name, note="generator", call=lambda t, name=name: getattr(t, name)(2, generator=t.Generator()) * 0)
row("randint", call=lambda t: [t.randint(3, 4, (2, 3)), t.randint(1, (2,)), t.randint(5, 6, size=(1,))])
row("randint", call=lambda t: [t.randint(high=1, size=(2,)), t.randint(low=2, high=3, size=[2])], note="keywords")
row("randint", call=lambda t: t.randint(3, 4, (2,), dtype=t.float64, generator=t.Generator()), note="dtype")
row("randperm", call=lambda t: [t.randperm(5).sort()[0] if t.__name__ == "torch" else t.arange(5), t.randperm(0)])
row("randperm", call=lambda t: t.randperm(1, dtype=t.int32, generator=t.Generator()), note="dtype")
row("rand_like", draw(2, 3), call=lambda t, x: t.rand_like(x) * 0)
row("rand_like", ints(2, 3), call=lambda t, x: t.rand_like(x, dtype=t.float64) * 0, note="dtype")
row("randn_like", draw(2, 3), call=lambda t, x: t.randn_like(x) * 0)
row("randn_like", draw(2), call=lambda t, x: t.randn_like(x, requires_grad=True).requires_grad, note="leaf")
row("randint_like", ints(2, 3), call=lambda t, x: [t.randint_like(x, 1), t.randint_like(x, 4, 5)])
row("randint_like", draw(2, 3), call=lambda t, x: t.randint_like(x, 4, 5), note="floating")
row("bernoulli", draw(2, 3), call=lambda t, x: t.bernoulli(x.detach() * 0 + 1))
row("bernoulli", draw(2, 3), call=lambda t, x: t.bernoulli(x.detach() * 0), note="never")
row("bernoulli", draw(2, 3), call=lambda t, x: x.detach().bernoulli(1.0), note="p")
row("normal", draw(3), call=lambda t, x: t.normal(x, t.zeros_like(x)).detach())
row("normal", draw(3), call=lambda t, x: t.normal(x, 0.0).detach(), note="number")
row("normal", call=lambda t: t.normal(1.5, 0.0, (2, 3)), note="size")
row("multinomial", call=lambda t: t.multinomial(t.tensor([0.0, 2.0, 0.0]), 1))
row("multinomial", call=lambda t: t.multinomial(t.tensor([[0.0, 2.0], [1.0, 0.0]]), 3, True), note="replacement")
row("Tensor.multinomial", call=lambda t: t.tensor([0.0, 2.0, 0.0]).multinomial(num_samples=2, replacement=True))
row("manual_seed", call=lambda t: [t.manual_seed(3).initial_seed(), t.manual_seed(3) is t.default_generator])
row("Generator", call=lambda t: [t.Generator().manual_seed(7).initial_seed(), str(t.Generator(device="cpu").device)])
row(
    "default_generator",
    call=lambda t: [t.default_generator.manual_seed(2) is t.default_generator, t.default_generator.initial_seed()],
)  # fmt: skip
row(
    "get_rng_state",
    call=lambda t: (s := t.get_rng_state(), a := t.rand(3), t.set_rng_state(s), (a == t.rand(3)).sum().item())[3],
)  # fmt: skip
row(
    "set_rng_state", note="of a generator",
    call=lambda t: (
        g := t.Generator().manual_seed(4), s := g.get_state(), a := t.rand(3, generator=g), g.set_state(s),
        (a == t.rand(3, generator=g)).sum().item(),
    )[4],
)  # fmt: skip

IN_PLACE = {
    "uniform_": (2.0, 2.0), "normal_": (3.0, 0.0), "bernoulli_": (1.0,), "random_": (4, 5), "exponential_": (1.0,),
    "log_normal_": (0.0, 1.0), "cauchy_": (0.0, 1.0), "geometric_": (0.5,),
}  # fmt: skip
for name, options in IN_PLACE.items():
    sure = 1 if name in ("uniform_", "normal_", "bernoulli_", "random_") else 0  # their parameters leave no choice

    def filled(t, x, name=name, options=options, sure=sure):  # type: ignore[no-untyped-def]
        """The numbers, where they are certain; whether they are positive; and the gradient, which is zero."""
        y = getattr(x * 1, name)(*options)
        z = getattr(x.detach().clone(), name)(*options, generator=t.Generator())
        return [y * sure, z.dtype == x.dtype, z.shape, y.requires_grad]

    row(f"Tensor.{name}", draw(2, 3), call=filled)
    row(f"Tensor.{name}", draw(0, 3), call=filled, note="empty")
row("Tensor.bernoulli_", draw(2, 3), call=lambda t, x: x.detach().clone().bernoulli_(x.detach() * 0 + 1), note="tensor")
row("Tensor.bernoulli_", ints(4), call=lambda t, x: x.clone().bernoulli_(1.0), note="int")
row("Tensor.uniform_", draw(4), call=lambda t, x: x.detach().clone().uniform_(to=0.0, **{"from": 0.0}), note="from=")
row("Tensor.random_", ints(4), call=lambda t, x: [x.clone().random_(1), x.clone().random_() >= 0], note="int")
row("Tensor.random_", draw(4), call=lambda t, x: x.detach().clone().random_(to=8, **{"from": 7}), note="from=")
row("Tensor.geometric_", ints(4), call=lambda t, x: x.clone().geometric_(0.999999) * 0 + 1, note="int")
