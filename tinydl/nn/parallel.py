"""Several devices at once: there is one, so a data-parallel module is the module."""

from __future__ import annotations

from typing import Any

from tinydl.errors import one_process, say_absent
from tinydl.nn.module import Module

say_absent(__name__)


class DataParallel(Module):
    """``module`` itself under the name ``module``, as in PyTorch on a machine without GPUs: the keys of its state begin
    with ``module.``.

    Args:
        module: what is called.
        device_ids, output_device, dim: of GPUs; they change nothing.
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Refused: scripts import the name where they may not need it. Raises NotImplementedError when it is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise one_process("DistributedDataParallel")
