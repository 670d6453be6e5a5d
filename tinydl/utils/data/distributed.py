"""Parts of a data set for several processes: there is one."""

from __future__ import annotations

from typing import Any

from tinydl.errors import one_process, say_absent
from tinydl.utils.data.sampler import Sampler

say_absent(__name__)

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Refused: scripts import the name where they may not need it. Raises NotImplementedError when it is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise one_process("DistributedSampler")
