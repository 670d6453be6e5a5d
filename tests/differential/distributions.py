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

# -------------------------------------------------------------------------------------- gamma and its kin, vectors

_five = "mean mode variance stddev entropy"
rows("Gamma", [positive(3, 4), positive(3, 4)], positive(3, 4), f"{_five} {SHAPES}")
rows("Gamma", [positive(4), positive(3, 1)], positive(2, 3, 4), "entropy mean", note="broadcast")
rows("Gamma", [1.0, 1], positive(3), "mean mode entropy batch_shape", note="numbers")
rows("Beta", [positive(3, 4), positive(3, 4)], inner(3, 4), f"mean variance stddev entropy {SHAPES}")
rows("Beta", [positive(4), positive(3, 1)], inner(2, 3, 4), "entropy mean", note="broadcast")
rows("Beta", [2.0, 2.0], inner(3), "mean mode entropy batch_shape", note="numbers")
rows("Beta", [draw(3, low=1.2, high=3.0), draw(3, low=1.2, high=3.0)], inner(3), "mode", note="a peak")


def simplex(*shape: int) -> Draw:
    """Vectors of probabilities along the last dimension."""
    return draw(*shape, low=0.2, high=1.0, make=lambda x: x / x.sum(-1, keepdims=True))


rows("Dirichlet", [positive(3, 4)], simplex(3, 4), f"mean variance stddev entropy {SHAPES}", note="batch")
rows("Dirichlet", [positive(4)], simplex(5, 4), "entropy mean", note="one")
rows("Dirichlet", [draw(2, 3, low=1.1, high=3.0)], simplex(2, 3), "mode", note="peaks")
rows("Dirichlet", [np.array([[0.5, 0.2, 0.9], [0.5, 2.0, 1.0]])], simplex(2, 3), "mode", note="corners", smooth=False)
rows("StudentT", [draw(3, 4, low=2.2, high=5.0), draw(3, 4), positive(3, 4)], draw(3, 4), f"{_five} {SHAPES}")
rows("StudentT", [draw(4, low=0.3, high=2.0)], draw(3, 4), "entropy mode batch_shape", note="heavy tails")
row(
    "distributions.StudentT", np.array([0.5, 1.0, 1.5, 2.0, 3.0]), note="moments there are not", grad=False,
    call=lambda t, df: [getattr(t.distributions.StudentT(df, 1.0, 2.0), what) for what in ("mean", "variance")],
)  # fmt: skip
counts = draw(3, 4, low=0, high=6, make=lambda x: x.round())
row(
    "distributions.Poisson", positive(3, 4), counts, constant=(1,),
    call=lambda t, rate, x: t.distributions.Poisson(rate).log_prob(x),
)  # fmt: skip
for _what in ("mean", "mode", "variance", "stddev", "batch_shape"):
    row(
        "distributions.Poisson", positive(3, 4), note=_what, smooth=False,
        call=lambda t, rate, what=_what: getattr(t.distributions.Poisson(rate), what),
    )  # fmt: skip
row(
    "distributions.Poisson", np.array([0.0, 2.0]), note="rate 0", grad=False,
    call=lambda t, rate: t.distributions.Poisson(rate).log_prob(t.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=rate.dtype)),
)  # fmt: skip


def definite(x: Any) -> Any:
    """Positive definite matrices."""
    return x @ x.swapaxes(-1, -2) + 2 * np.eye(x.shape[-1])


def factor(x: Any) -> Any:
    """Lower triangular matrices with a positive diagonal."""
    return np.tril(x, -1) + np.eye(x.shape[-1]) * (np.abs(x) + 0.5)


def vector(form: str) -> Make:
    return lambda t, loc, matrix: t.distributions.MultivariateNormal(loc, **{form: matrix})


for _form, _make in (("covariance_matrix", definite), ("precision_matrix", definite), ("scale_tril", factor)):
    _matrix = draw(3, 3, make=_make)
    # the precision of a factor has a gradient above the diagonal in PyTorch, where nothing is read
    _has = "scale_tril" if _form == "scale_tril" else "scale_tril precision_matrix"
    rows("MultivariateNormal", [draw(2, 3), _matrix], draw(4, 2, 3),
         f"mean mode variance entropy covariance_matrix {_has} {SHAPES}", make=vector(_form), note=_form)  # fmt: skip
rows("MultivariateNormal", [draw(3), draw(2, 3, 3, make=factor)], draw(2, 3), "entropy variance",
     make=vector("scale_tril"), note="batch of factors")  # fmt: skip

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
    "Gamma": ([positive(3, 4), positive(3, 4)], family("Gamma")),
    "Beta": ([positive(3, 4), positive(3, 4)], family("Beta")),
    "Dirichlet": ([positive(3, 4)], family("Dirichlet")),
    "Poisson": ([positive(3, 4)], family("Poisson")),
    "MultivariateNormal": ([draw(2, 3), draw(3, 3, make=factor)], vector("scale_tril")),
}
PAIRS = [
    *((name, name) for name in KINDS),
    ("Exponential", "Gumbel"), ("Exponential", "Normal"), ("Exponential", "Uniform"), ("Gumbel", "Normal"),
    ("Gumbel", "Exponential"), ("Gumbel", "Uniform"), ("Laplace", "Normal"), ("Laplace", "Exponential"),
    ("Laplace", "Uniform"), ("Normal", "Gumbel"), ("Normal", "Laplace"), ("Normal", "Exponential"),
    ("Exponential", "Gamma"), ("Gamma", "Exponential"), ("Gamma", "Normal"), ("Beta", "Normal"),
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


# ---------------------------------------------------------------------------------------------------------- transforms


def moved(transform: Any, x: Any) -> list[Any]:
    """What a map makes of x, whence that came, and how it stretches."""
    y = transform(x)
    return [y, transform.inv(y), transform.log_abs_det_jacobian(x, y), transform.inv.log_abs_det_jacobian(y, x)]


def squashed(t: Any, x: Any) -> Any:
    """The map of a user's own: vectors, one factor and one shift each."""

    class Squashed(t.distributions.Transform):  # type: ignore[misc]
        domain = codomain = t.distributions.constraints.real_vector
        bijective = True

        def _call(self, x: Any) -> Any:
            return x.flip(-1).sinh()

        def _inverse(self, y: Any) -> Any:
            return y.asinh().flip(-1)

        def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
            return x.cosh().log().sum(-1)

    return Squashed()


for _name in ("Exp", "Sigmoid", "Softplus", "Tanh"):
    row(f"distributions.{_name}Transform", draw(3, 4),
        call=lambda t, x, n=f"{_name}Transform": moved(getattr(t.distributions, n)(), x))  # fmt: skip
row("distributions.PowerTransform", positive(3, 4), positive(4),
    call=lambda t, x, e: moved(t.distributions.PowerTransform(e), x))  # fmt: skip
row("distributions.AbsTransform", positive(3), smooth=False,
    call=lambda t, x: [(m := t.distributions.AbsTransform())(-x), m.inv(x), m.bijective])  # fmt: skip
row("distributions.SoftmaxTransform", draw(2, 3),
    call=lambda t, x: [(m := t.distributions.SoftmaxTransform())(x), m.inv(m(x)), m.event_dim])  # fmt: skip
row("distributions.AffineTransform", draw(3, 4), draw(4), positive(3, 1),
    call=lambda t, x, loc, scale: moved(t.distributions.AffineTransform(loc, -scale), x))  # fmt: skip
row("distributions.AffineTransform", draw(2, 3, 4), note="of numbers, vectors",
    call=lambda t, x: [*moved(m := t.distributions.AffineTransform(1, -2.0, event_dim=2), x), m.sign, m.event_dim],
    )  # fmt: skip
row("distributions.IndependentTransform", draw(2, 3, 4),
    call=lambda t, x: moved((d := t.distributions).IndependentTransform(d.ExpTransform(), 2), x))  # fmt: skip
row("distributions.ReshapeTransform", draw(2, 3, 4),
    call=lambda t, x: [*moved(m := t.distributions.ReshapeTransform((3, 4), (6, 2)), x), m.forward_shape((5, 3, 4))],
    )  # fmt: skip
row("distributions.ComposeTransform", draw(2, 4), positive(4), call=lambda t, x, scale: moved(
    (d := t.distributions).ComposeTransform([d.TanhTransform(), squashed(t, x), d.AffineTransform(0.5, scale)]), x,
))  # fmt: skip
row("distributions.Transform", draw(2, 4), call=lambda t, x: moved(squashed(t, x), x))
row("distributions.identity_transform", draw(2), call=lambda t, x: moved(t.distributions.identity_transform, x))


def transformed(which: str) -> Make:
    """A normal distribution under maps."""

    def make(t: Any, loc: Any, scale: Any) -> Any:
        d = t.distributions
        moves = {
            "one": d.AffineTransform(0.5, -2.0),
            "several": [d.AffineTransform(0.5, 0.1), d.SigmoidTransform(), d.SigmoidTransform().inv],
            "none": [],
            "of vectors": [d.TanhTransform(), squashed(t, loc), d.ExpTransform()],
            "of a batch": d.AffineTransform(t.zeros(2, 3, 4, dtype=loc.dtype), scale),
        }[which]
        return d.TransformedDistribution(d.Normal(loc, scale), moves)

    return make


for _which in ("one", "several", "none", "of a batch"):
    rows("TransformedDistribution", [draw(3, 4), positive(3, 4)], draw(3, 4), f"cdf icdf {SHAPES}", note=_which,
         make=transformed(_which))  # fmt: skip
rows("TransformedDistribution", [draw(3, 4), positive(3, 4)], positive(3, 4, ), SHAPES, note="of vectors",
     make=transformed("of vectors"))  # fmt: skip
row("distributions.TransformedDistribution", draw(3, 4), positive(3, 4), note="expanded", call=lambda t, loc, scale: [
    (e := transformed("of vectors")(t, loc, scale).expand((2, 3))).batch_shape, e.event_shape, e.base_dist.batch_shape,
    e.has_rsample, repr(e), e.log_prob(t.full((4,), 0.7, dtype=loc.dtype)),
])  # fmt: skip
