"""Reverse-mode automatic differentiation: primitives and their rules, the walk back, and the checks.

Read in this order: :mod:`~tinydl.autograd.primitives` (what is recorded), :mod:`~tinydl.autograd.engine` (the walk),
:mod:`~tinydl.autograd.gradcheck` (why to believe it).
"""

from typing import Any

from tinydl.autograd import functional
from tinydl.autograd.anomaly import detect_anomaly, set_detect_anomaly
from tinydl.autograd.engine import backward, grad
from tinydl.autograd.function import Function, once_differentiable
from tinydl.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from tinydl.autograd.mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.autograd.primitives import Node, primitive, registry
from tinydl.errors import absent


def __getattr__(name: str) -> Any:
    if name == "Variable":  # a tensor, and those are made of what is here: found when asked for, so not in __all__
        from tinydl.typed import Variable

        return Variable
    raise absent(__name__, name)


__all__ = [
    "Function",
    "GradcheckError",
    "Node",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "primitive",
    "registry",
    "set_detect_anomaly",
    "set_grad_enabled",
]
