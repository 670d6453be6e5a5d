"""Activations as modules; equations and papers stand in :mod:`tinydl.nn.functional`.

``inplace=True`` replaces the value of the input itself.
"""

from __future__ import annotations

from typing import Any

from tinydl.nn import functional as F
from tinydl.nn import init
from tinydl.nn.module import Module, new_parameter
from tinydl.nn.parameter import Parameter
from tinydl.ops import shaping
from tinydl.ops.products import linear
from tinydl.tensor import Tensor


class _InPlace(Module):
    """An activation whose only option is ``inplace``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""

    def _and_inplace(self, text: str) -> str:
        return f"{text}, inplace=True" if self.inplace else text


class ReLU(_InPlace):
    """max(x, 0)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.relu(input, self.inplace)


class Hardtanh(_InPlace):
    """min(max(x, min_val), max_val). Raises ValueError unless min_val < max_val."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if not min_val < max_val:
            raise ValueError(f"max_val must be larger than min_val, but they are {max_val} and {min_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return self._and_inplace(f"min_val={self.min_val}, max_val={self.max_val}")


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return _InPlace.extra_repr(self)


class LeakyReLU(_InPlace):
    """x where x > 0, else negative_slope x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return self._and_inplace(f"negative_slope={self.negative_slope}")


class PReLU(Module):
    """x where x > 0, else w x; ``weight`` [num_parameters] is learnt, one number or one for each channel."""

    weight: Parameter

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = new_parameter((num_parameters,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes anew."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, ...], or any shape with one slope."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(_InPlace):
    """x where x > 0, else r x, r from U(lower, upper) in training and their mean in evaluation."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return self._and_inplace(f"lower={self.lower}, upper={self.upper}")


class SReLU(Module):
    """The S-shaped rectifier, three line pieces whose two kinks and two slopes are learnt for each channel.

    ``t_right``, ``a_right``, ``t_left``, ``a_left`` [num_parameters]: the identity between the thresholds, slope
    ``a_right`` above the right one and ``a_left`` below the left one (:func:`tinydl.nn.functional.srelu`). They start
    as a leaky rectifier, t_left = 0 and a_left = ``leak``, with a right piece of slope 1 from t_right = 1. Jin et al.,
    arXiv:1512.07030.
    """

    t_right: Parameter
    a_right: Parameter
    t_left: Parameter
    a_left: Parameter

    def __init__(
        self, num_parameters: int = 1, leak: float = 0.2, device: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.leak = leak
        for name in ("t_right", "a_right", "t_left", "a_left"):
            self.register_parameter(name, new_parameter((num_parameters,), device, dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set thresholds and slopes anew."""
        for parameter, start in (
            (self.t_right, 1.0),
            (self.a_right, 1.0),
            (self.t_left, 0.0),
            (self.a_left, self.leak),
        ):
            init.constant_(parameter, start)

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, ...], or any shape with one set of parameters."""
        return F.srelu(input, self.t_right, self.a_right, self.t_left, self.a_left)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}, leak={self.leak}"


class Maxout(Module):
    """The largest of ``pieces`` linear functions, for each output: max_j (x W_j^T + b_j).

    ``weight`` [pieces * out_features, in_features] and ``bias`` [pieces * out_features], those of one output side by
    side, both drawn from U(-k, k) with k = 1 / sqrt(in_features). Pieces that tie share the gradient. Goodfellow et
    al., arXiv:1302.4389.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if pieces < 1:
            raise ValueError(f"Maxout: pieces must be at least 1, but got {pieces}")
        self.in_features = in_features
        self.out_features = out_features
        self.pieces = pieces
        self.weight = new_parameter((pieces * out_features, in_features), device, dtype)
        self.register_parameter("bias", new_parameter((pieces * out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = self.in_features**-0.5 if self.in_features else 0.0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """[..., in_features] -> [..., out_features]."""
        pieces = linear(input, self.weight, self.bias)
        split = shaping.reshape_to(pieces, shape=(*input.shape[:-1], self.out_features, self.pieces))
        return split.amax(-1)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, pieces={self.pieces}, "
            f"bias={self.bias is not None}"
        )


class ELU(_InPlace):
    """x where x > 0, else alpha (e^x - 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return self._and_inplace(f"alpha={self.alpha}")


class SELU(_InPlace):
    """1.0507 (x where x > 0, else 1.6733 (e^x - 1)): keeps mean 0 and variance 1."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.selu(input, self.inplace)


class CELU(ELU):
    """x where x > 0, else alpha (e^(x / alpha) - 1)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.celu(input, self.alpha, self.inplace)


class GELU(Module):
    """x Phi(x), or with ``approximate="tanh"`` its approximation."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_InPlace):
    """x sigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """x tanh(softplus(x))."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.mish(input, self.inplace)


class Softplus(Module):
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    """x / (1 + |x|)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.softsign(input)


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.sigmoid(input)  # type: ignore[no-any-return]


class LogSigmoid(Module):
    """log(1 / (1 + e^-x)), without underflow."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.logsigmoid(input)  # type: ignore[no-any-return]


class Tanh(Module):
    """(e^x - e^-x) / (e^x + e^-x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.tanh(input)  # type: ignore[no-any-return]


class Tanhshrink(Module):
    """x - tanh(x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.tanhshrink(input)


class Hardsigmoid(_InPlace):
    """min(max(x + 3, 0), 6) / 6."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_InPlace):
    """x min(max(x + 3, 0), 6) / 6."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class _Shrink(Module):
    """A threshold ``lambd`` around 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """x where |x| > lambd, else 0."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """x moved by ``lambd`` towards 0, and 0 where |x| <= lambd."""

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.softshrink(input, self.lambd)


class Threshold(_InPlace):
    """x where x > threshold, else ``value``."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Elementwise."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return self._and_inplace(f"threshold={self.threshold}, value={self.value}")


class _Along(Module):
    """A function along one dimension."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class GLU(_Along):
    """a sigmoid(b) for the two halves a and b of the input along ``dim``."""

    dim: int

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim)

    def forward(self, input: Tensor) -> Tensor:
        """Half the size along ``dim``."""
        return F.glu(input, self.dim)


class Softmax(_Along):
    """e^x / sum e^x along ``dim``."""

    def forward(self, input: Tensor) -> Tensor:
        """Positive, and one when summed along ``dim``."""
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_Along):
    """log of :class:`Softmax`, without overflow."""

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities along ``dim``."""
        return F.log_softmax(input, self.dim, _stacklevel=5)


class Softmin(_Along):
    """:class:`Softmax` of -x."""

    def forward(self, input: Tensor) -> Tensor:
        """Positive, and one when summed along ``dim``."""
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """:class:`Softmax` over the channels: [N, C, H, W] or [C, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        """Positive, and one when summed over the channels. Raises ValueError for another number of dimensions."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got shape {tuple(input.shape)} instead")
        return F.softmax(input, -3)
