"""``tinydl.amp`` under its older names, whose device is ``"cuda"``: ``with autocast(enabled=use_amp):``."""

from __future__ import annotations

from functools import partial
from typing import Any

from tinydl import amp
from tinydl.errors import say_absent

say_absent(__name__)

__all__ = ["GradScaler", "autocast"]


def autocast(enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> amp.autocast:
    """:class:`tinydl.amp.autocast` for ``"cuda"``."""
    return amp.autocast("cuda", dtype, enabled, cache_enabled)


GradScaler = partial(amp.GradScaler, "cuda")
