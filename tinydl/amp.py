"""Automatic mixed precision where it does nothing, as in PyTorch on a machine without GPU.

tinydl computes in the dtype that its tensors have. Scripts name ``autocast`` and ``GradScaler`` whatever the device is:
with ``enabled=False``, or for a device that is not there (with a warning), both let everything through. For the CPU,
where PyTorch would compute in bfloat16, they are refused.
"""

from __future__ import annotations

import warnings
from contextlib import ContextDecorator
from typing import Any, TypeVar

from tinydl.devices import device
from tinydl.errors import say_absent

say_absent(__name__)

__all__ = ["GradScaler", "autocast"]

T = TypeVar("T")


def _refuse_unless_disabled(name: str, device_type: str, enabled: bool) -> None:
    """Warn for a device that is not there; raise NotImplementedError where precision would be mixed."""
    kind = device(device_type).type
    if not enabled:
        return
    if kind == "cpu":
        raise NotImplementedError(
            f"{name} on device 'cpu' is not there: tinydl computes in the dtype that its tensors have; give "
            "enabled=False, and set_default_dtype or .to(dtype) for another precision"
        )
    warnings.warn(f"{name}: {kind.upper()} is not available. Disabling {name}.", UserWarning, stacklevel=3)


class autocast(ContextDecorator):
    """A context, and a decorator, in which everything is as it is outside.

    Args:
        device_type: ``"cuda"`` or another device that is not there, with a warning; ``"cpu"`` only with
            ``enabled=False``.
        dtype, cache_enabled: taken, and without effect.
        enabled: False in a script that asks for no mixed precision.

    Raises NotImplementedError for ``"cpu"`` with ``enabled=True``.
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        _refuse_unless_disabled("autocast", device_type, enabled)
        self.device = device_type

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class GradScaler:
    """A scale of losses that is 1: ``scale`` gives what it is given, ``step(optimizer)`` is ``optimizer.step()``.

    Args:
        device: as for :class:`autocast`.
        init_scale, growth_factor, backoff_factor, growth_interval: taken, and without effect.
        enabled: as for :class:`autocast`.

    Raises NotImplementedError for ``"cpu"`` with ``enabled=True``.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _refuse_unless_disabled("GradScaler", device, enabled)

    def scale(self, outputs: T) -> T:
        """``outputs``."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(*args, **kwargs)``."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing."""

    def get_scale(self) -> float:
        """1.0."""
        return 1.0

    def is_enabled(self) -> bool:
        """False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Nothing: ``{}``."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing."""
