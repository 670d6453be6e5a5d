"""Probability distributions with PyTorch's names: densities, samples, entropies and divergences of tensors.

>>> import tinydl
>>> from tinydl.distributions import Normal, kl_divergence
>>> p = Normal(tinydl.tensor([0.0, 1.0]), tinydl.tensor([1.0, 2.0]))
>>> p.log_prob(tinydl.tensor(0.0))
tensor([-0.9189, -1.7371])
>>> kl_divergence(p, Normal(0.5, 3.0))
tensor([0.6681, 0.1416])
"""

from tinydl.distributions import constraints, transforms
from tinydl.distributions.combined import Independent, MixtureSameFamily, TransformedDistribution
from tinydl.distributions.continuous import Exponential, Gumbel, Laplace, Logistic, LogNormal, Normal, Uniform
from tinydl.distributions.discrete import Bernoulli, Categorical, OneHotCategorical, Poisson
from tinydl.distributions.distribution import Distribution
from tinydl.distributions.gamma import Beta, Dirichlet, Gamma, StudentT
from tinydl.distributions.kl import kl_divergence, register_kl
from tinydl.distributions.multivariate import MultivariateNormal
from tinydl.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    IndependentTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from tinydl.errors import say_absent
from tinydl.places import places

say_absent(__name__)

_CONTINUOUS = ("exponential", "gumbel", "laplace", "log_normal", "normal", "uniform")
_DISCRETE = ("bernoulli", "categorical", "one_hot_categorical", "poisson")
_OF_GAMMA = ("beta", "dirichlet", "studentT")
_COMBINED = ("independent", "mixture_same_family", "transformed_distribution")
places(__name__, dict.fromkeys(_CONTINUOUS, "distributions.continuous"))
places(__name__, dict.fromkeys(_DISCRETE, "distributions.discrete"))
places(__name__, dict.fromkeys(_COMBINED, "distributions.combined"))
places(__name__, dict.fromkeys(_OF_GAMMA, "distributions.gamma"))
places(__name__, {"multivariate_normal": "distributions.multivariate"})

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "Bernoulli",
    "Beta",
    "Categorical",
    "ComposeTransform",
    "Dirichlet",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "Gamma",
    "Gumbel",
    "Independent",
    "IndependentTransform",
    "Laplace",
    "LogNormal",
    "Logistic",
    "MixtureSameFamily",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "PowerTransform",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StudentT",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "constraints",
    "identity_transform",
    "kl_divergence",
    "register_kl",
    "transforms",
]
