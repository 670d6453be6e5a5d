"""Numbers that depend on the step: the weight of a KL, the share of teacher forcing, a temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinydl.errors import ConfigError

__all__ = ["Ramp", "ramp"]

SHAPES = ("linear", "exponential")


@dataclass(frozen=True)
class Ramp:
    """From ``first`` at step 0 to ``last`` at step ``over``, and ``last`` from there on.

    With s = min(step / over, 1), it is first + s (last - first) where ``shape`` is ``linear``, and
    first (last / first)^s where it is ``exponential``.

    >>> [round(ramp("0:0.2:100")(step), 3) for step in (0, 50, 100, 500)]
    [0.0, 0.1, 0.2, 0.2]
    >>> [round(ramp("1:0.01:100:exponential")(step), 3) for step in (0, 50, 100)]
    [1.0, 0.1, 0.01]
    """

    first: float
    last: float
    over: int = 0
    shape: str = "linear"

    def __call__(self, step: int | None) -> float:
        """Its value before the ``step``-th step, counted from 0; None stands for the end of training."""
        if step is None or step >= self.over:
            return self.last
        s = step / self.over
        if self.shape == "exponential":
            return float(self.first * (self.last / self.first) ** s)
        return self.first + s * (self.last - self.first)


def ramp(spec: str | float, name: str = "ramp", low: float = 0.0, high: float = math.inf) -> Ramp:
    """Read ``"0.2"``, ``"FIRST:LAST:STEPS"`` or ``"FIRST:LAST:STEPS:SHAPE"``.

    Raises:
        ConfigError: it is none of these, or leaves [low, high]; the sentence names the option ``name``.
    """
    parts = str(spec).split(":")
    try:
        if len(parts) == 1:
            found = Ramp(float(parts[0]), float(parts[0]))
        elif len(parts) in (3, 4):
            found = Ramp(float(parts[0]), float(parts[1]), int(parts[2]), *parts[3:])
        else:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"option {name!r} must be a number, or FIRST:LAST:STEPS such as 0:0.2:1000, but is {spec!r}"
        ) from None
    if found.shape not in SHAPES:
        raise ConfigError(f"option {name!r} has the shape {found.shape!r}, and must have one of {', '.join(SHAPES)}")
    if not (low <= min(found.first, found.last) and max(found.first, found.last) <= high and found.over >= 0):
        raise ConfigError(f"option {name!r} must stay within {low:g} and {high:g}, but is {spec!r}")
    if found.shape == "exponential" and not min(found.first, found.last) > 0:
        raise ConfigError(f"option {name!r} cannot reach 0 exponentially, but is {spec!r}")
    return found
