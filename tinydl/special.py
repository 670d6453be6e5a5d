"""PyTorch's ``torch.special``: special functions by their names in mathematics."""

from __future__ import annotations

from typing import Any

from tinydl import functions
from tinydl.creation import as_tensor
from tinydl.errors import say_absent
from tinydl.ops import special as _special

say_absent(__name__)

_functions: Any = functions  # its names are made from a table
erf, erfc, erfinv, xlogy, sinc = (
    _functions.erf, _functions.erfc, _functions.erfinv, _functions.xlogy, _functions.sinc,
)  # fmt: skip
expit, logit, expm1, exp2, log1p = (
    _functions.sigmoid, _functions.logit, _functions.expm1, _functions.exp2, _functions.log1p,
)  # fmt: skip
gammaln, digamma, psi, polygamma = (
    _functions.lgamma, _functions.digamma, _functions.digamma, functions.polygamma,
)  # fmt: skip
softmax, log_softmax, logsumexp = _functions.softmax, _functions.log_softmax, _functions.logsumexp


def i0(input: Any) -> Any:
    """The modified Bessel function of the first kind and order 0, elementwise."""
    return _special.i0(as_tensor(input))


def i1(input: Any) -> Any:
    """The modified Bessel function of the first kind and order 1, elementwise."""
    return _special.bessel_i(as_tensor(input), order=1)


__all__ = [
    "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i1", "log1p", "log_softmax",
    "logit", "logsumexp", "polygamma", "psi", "sinc", "softmax", "xlogy",
]  # fmt: skip
