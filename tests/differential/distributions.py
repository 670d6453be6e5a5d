"""Rows of distributions: densities, quantiles, moments and divergences, with gradients for parameters and values.

What draws is compared in ``tests/distributions``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.differential.rows import Draw, draw, ints, row

Make = Callable[..., Any]


def positive(*shape: int) -> Draw:
    return draw(*shape, low=0.3, high=2.0)


def inner(*shape: int) -> Draw:
    """Probabilities away from 0 and 1."""
    return draw(*shape, low=0.1, high=0.9)


def family(name: str) -> Make:
    """The class in either library; PyTorch's Logistic is made of parts."""

    def make(t: Any, *parameters: Any, **options: Any) -> Any:
        d = t.distributions
        if name == "Logistic" and not hasattr(d, "Logistic"):
            loc, scale = t.broadcast_tensors(*parameters)
            base = d.Uniform(t.zeros_like(loc), t.ones_like(loc))
            moves = [d.transforms.SigmoidTransform().inv, d.transforms.AffineTransform(loc, scale)]
            return d.TransformedDistribution(base, moves)
        return getattr(d, name)(*parameters, **options)

    return make


def rows(
    name: str,
    parameters: list[Any],
    value: Any,
    has: str,
    make: Make | None = None,
    smooth: bool = True,
    note: str = "",
) -> None:
    """Rows of one distribution: ``has`` names what it has beside ``log_prob``; quantiles are asked for in (0, 1)."""
    build = make or family(name)
    for what in ["log_prob", *has.split()]:
        label = f"{what} {note}".strip()
        if what in ("log_prob", "cdf", "icdf"):
            at = inner(*value.shape) if what == "icdf" else value
            row(
                f"distributions.{name}", *parameters, at, note=label, smooth=smooth,
                call=lambda t, *a, what=what: getattr(build(t, *a[:-1]), what)(a[-1]),
            )  # fmt: skip
        elif what in ("entropy", "perplexity"):
            row(
                f"distributions.{name}", *parameters, note=label, smooth=smooth,
                call=lambda t, *a, what=what: getattr(build(t, *a), what)(),
            )  # fmt: skip
        else:
            row(
                f"distributions.{name}", *parameters, note=label, smooth=smooth,
                call=lambda t, *a, what=what: getattr(build(t, *a), what),
            )  # fmt: skip


ALL = "mean mode variance stddev entropy perplexity cdf icdf"
SHAPES = "batch_shape event_shape"
for _name in ("Normal", "LogNormal", "Laplace", "Gumbel"):
    _value: Callable[..., Draw] = positive if _name in ("LogNormal", "Gumbel") else draw
    rows(_name, [draw(3, 4), positive(3, 4)], _value(3, 4), f"{ALL} {SHAPES}", smooth=_name != "Laplace")
    rows(_name, [draw(4), positive(3, 1)], _value(2, 3, 4), "cdf icdf mean variance entropy", note="broadcast",
         smooth=_name != "Laplace")  # fmt: skip
    rows(_name, [draw(), positive()], _value(), "mean entropy batch_shape", note="0-d", smooth=_name != "Laplace")
    rows(_name, [draw(0), positive(1)], _value(0), "mean entropy", note="empty", smooth=_name != "Laplace")
    rows(_name, [0.5, 2], _value(3), "mean stddev entropy batch_shape", note="numbers", smooth=_name != "Laplace")
rows("Logistic", [draw(3, 4), positive(3, 4)], draw(3, 4), "cdf icdf")
rows("Logistic", [draw(4), positive(3, 1)], draw(2, 3, 4), "cdf icdf", note="broadcast")
rows("Exponential", [positive(3, 4)], positive(3, 4), f"{ALL} {SHAPES}")
rows("Exponential", [positive(3, 1)], positive(2, 1, 4), "cdf icdf", note="broadcast")
rows("Exponential", [0.5], positive(3), "mean mode entropy batch_shape", note="number")
_low, _high = draw(3, 4, low=-3.0, high=-2.0), draw(3, 4, low=2.0, high=3.0)
rows("Uniform", [_low, _high], draw(3, 4, low=-1.9, high=1.9), f"{ALL} {SHAPES}")
rows("Uniform", [draw(4, low=-3.0, high=-2.0), 2.5], draw(2, 4, low=-1.9, high=1.9), "cdf icdf mean", note="broadcast")
row(
    "distributions.Uniform", draw(5, low=-3.0, high=3.0), note="outside", smooth=False,
    call=lambda t, x: [
        getattr(t.distributions.Uniform(-1.0, 1.0, validate_args=False), what)(x) for what in ("log_prob", "cdf")
    ],
)  # fmt: skip


def by_logits(name: str) -> Make:
    return lambda t, logits: getattr(t.distributions, name)(logits=logits)


def bits(*shape: int) -> Draw:
    return draw(*shape, low=0.0, high=1.0, make=lambda x: (x > 0.5).astype(float))


def vectors(*shape: int) -> Draw:
    """One-hot along the last dimension."""
    return draw(*shape, make=lambda x: (x == x.max(-1, keepdims=True)).astype(float))


_moments = "mean mode variance stddev entropy perplexity batch_shape event_shape param_shape"
rows("Bernoulli", [inner(3, 4)], bits(3, 4), f"{_moments} logits")
rows("Bernoulli", [draw(3, 4)], bits(2, 3, 4), f"{_moments} probs", make=by_logits("Bernoulli"), note="logits")
rows("Bernoulli", [inner(3, 1)], bits(4), "entropy", note="broadcast")
rows("Bernoulli", [0.3], bits(4), "mean batch_shape", note="number")
row(
    "distributions.Bernoulli", np.array([0.0, 0.5, 1.0]), note="probabilities 0 half 1", grad=False,
    call=lambda t, p: [getattr(t.distributions.Bernoulli(p), what) for what in ("logits", "mode", "variance")],
)  # fmt: skip
_finite = {"Bernoulli": inner(2, 3), "Categorical": positive(2, 3), "OneHotCategorical": positive(4)}
for _expand in (True, False):
    for _name, _draw in _finite.items():
        row(
            f"distributions.{_name}", _draw, grad=False, note=f"support {_expand}",
            call=lambda t, p, name=_name, expand=_expand: getattr(t.distributions, name)(p).enumerate_support(expand),
        )  # fmt: skip
rows("Categorical", [positive(3, 4)], ints(3, high=4), f"{_moments} logits")
rows("Categorical", [draw(3, 4)], ints(2, 3, high=4), f"{_moments} probs", make=by_logits("Categorical"), note="logits")
rows("Categorical", [positive(4)], ints(5, high=4), "entropy mode batch_shape", note="one")
rows("Categorical", [positive(3, 1, 4)], ints(2, high=4), "entropy", note="broadcast")
rows("OneHotCategorical", [positive(3, 4)], vectors(3, 4), f"{_moments} logits")
rows(
    "OneHotCategorical", [draw(3, 4)], vectors(2, 3, 4), f"{_moments} probs", make=by_logits("OneHotCategorical"),
    note="logits",
)  # fmt: skip


def independent(dims: int) -> Make:
    return lambda t, loc, scale: t.distributions.Independent(t.distributions.Normal(loc, scale), dims)


_some = "mean mode variance stddev entropy batch_shape event_shape"
for _dims in (0, 1, 2):
    rows("Independent", [draw(2, 3, 4), positive(3, 4)], draw(2, 3, 4), _some, make=independent(_dims), note=f"{_dims}")


def mixture(t: Any, weights: Any, loc: Any, scale: Any) -> Any:
    d = t.distributions
    return d.MixtureSameFamily(d.Categorical(logits=weights), d.Normal(loc, scale))


def vector_mixture(t: Any, weights: Any, loc: Any, scale: Any) -> Any:
    d = t.distributions
    return d.MixtureSameFamily(d.Categorical(weights), d.Independent(d.Laplace(loc, scale), 1))


_mixed = "mean variance stddev batch_shape event_shape"
rows("MixtureSameFamily", [draw(3), draw(3), positive(3)], draw(5), f"{_mixed} cdf", make=mixture)
rows("MixtureSameFamily", [draw(2, 3), draw(2, 3), positive(2, 3)], draw(4, 2), f"{_mixed} cdf", make=mixture,
     note="batch")  # fmt: skip
rows("MixtureSameFamily", [draw(3), draw(2, 3), positive(3)], draw(4, 2), f"{_mixed} cdf", make=mixture, note="shared")
rows("MixtureSameFamily", [positive(2, 3), draw(2, 3, 4), positive(2, 3, 4)], draw(5, 2, 4), _mixed,
     make=vector_mixture, smooth=False, note="vectors")  # fmt: skip

# Divergences: a library's distribution of each family from its parameters.
KINDS: dict[str, tuple[list[Draw], Make]] = {
    "Normal": ([draw(3, 4), positive(3, 4)], family("Normal")),
    "LogNormal": ([draw(3, 4), positive(3, 4)], family("LogNormal")),
    "Laplace": ([draw(3, 4), positive(3, 4)], family("Laplace")),
    "Gumbel": ([draw(3, 4), positive(3, 4)], family("Gumbel")),
    "Exponential": ([positive(3, 4)], family("Exponential")),
    "Uniform": ([draw(3, 4, low=0.1, high=1.0), draw(3, 4, low=1.1, high=2.0)], family("Uniform")),
    "Bernoulli": ([inner(3, 4)], family("Bernoulli")),
    "Categorical": ([positive(3, 4)], family("Categorical")),
    "OneHotCategorical": ([draw(3, 4)], by_logits("OneHotCategorical")),
    "Independent": ([draw(3, 4), positive(3, 4)], independent(1)),
}
PAIRS = [
    *((name, name) for name in KINDS),
    ("Exponential", "Gumbel"), ("Exponential", "Normal"), ("Exponential", "Uniform"), ("Gumbel", "Normal"),
    ("Gumbel", "Exponential"), ("Gumbel", "Uniform"), ("Laplace", "Normal"), ("Laplace", "Exponential"),
    ("Laplace", "Uniform"), ("Normal", "Gumbel"), ("Normal", "Laplace"), ("Normal", "Exponential"),
    ("Normal", "Uniform"), ("Uniform", "Exponential"), ("Uniform", "Gumbel"), ("Uniform", "Normal"),
]  # fmt: skip


def divergence(p: str, q: str) -> None:
    (first, make_p), (second, make_q) = KINDS[p], KINDS[q]

    def call(t: Any, *a: Any) -> Any:
        return t.distributions.kl_divergence(make_p(t, *a[: len(first)]), make_q(t, *a[len(first) :]))

    smooth = "Laplace" not in (p, q)
    row("distributions.kl_divergence", *first, *second, call=call, note=f"{p} {q}", smooth=smooth)


for _p, _q in PAIRS:
    divergence(_p, _q)
_outcomes = np.array([0.0, 0.3, 1.0])
row(
    "distributions.kl_divergence", _outcomes, _outcomes[:, None].repeat(3, 1), note="certain outcomes", grad=False,
    call=lambda t, a, b: t.distributions.kl_divergence(
        t.distributions.Bernoulli(a.expand(3, 3)), t.distributions.Bernoulli(b)
    ),
)  # fmt: skip
row(
    "distributions.kl_divergence", np.array([[0.0, 1, 1], [1, 1, 1], [0, 0, 2]]), np.array([0.0, 1.0, 3.0]),
    note="impossible categories", grad=False,
    call=lambda t, a, b: t.distributions.kl_divergence(t.distributions.Categorical(a), t.distributions.Categorical(b)),
)  # fmt: skip
row(
    "distributions.kl_divergence", np.array([-1.0, 0.5, 0.0, 0.2]), np.array([2.0, 2.0, 0.9, 1.5]), grad=False,
    note="uniform outside",
    call=lambda t, low, high: t.distributions.kl_divergence(
        t.distributions.Uniform(t.zeros_like(low), t.ones_like(low)), t.distributions.Uniform(low, high)
    ),
)  # fmt: skip
