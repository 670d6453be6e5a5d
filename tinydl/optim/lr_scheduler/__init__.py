"""Learning-rate schedules: objects that change ``lr`` in an optimizer's groups at each ``step()``.

Recurrences, not closed forms, wherever PyTorch uses them: schedules can then be chained on one optimizer, and an ``lr``
changed by hand stays changed. Call ``step()`` after ``optimizer.step()``, once per epoch or per batch, as you count.
"""

from tinydl.errors import say_absent
from tinydl.optim.lr_scheduler.base import LRScheduler
from tinydl.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from tinydl.optim.lr_scheduler.cyclic import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from tinydl.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinydl.optim.lr_scheduler.plateau import ReduceLROnPlateau

say_absent(__name__)

_LRScheduler = LRScheduler  # its older name

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
