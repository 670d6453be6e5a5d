"""A fused function on a GPU: the loops that ``cuda.py`` writes, as CUDA kernels that its device launches."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

from tinydl.kernels.gpu import SHARED, GeneratedKernel

if TYPE_CHECKING:
    from tinydl.fusion.calling import _Specialised
    from tinydl.kernels.devices import Device

Needs: TypeAlias = "tuple[bool, ...] | None"


class Launched:
    """Both directions for one combination of dtypes and shapes. A loop reads row-major arrays; others are copied."""

    def __init__(self, known: _Specialised, device: Device) -> None:
        self.known, self.device = known, device
        self._directions: dict[Needs, tuple[GeneratedKernel, list[int], list[int]]] = {}

    def forward(self, *arrays: Any) -> Any:
        """The results."""
        kernel, used, _ = self._direction(None)
        found = self.device.launch(kernel, tuple([arrays[k] for k in used]))
        return found if len(found) > 1 else found[0]

    def backward(self, needs: tuple[bool, ...], g: Any, *arrays: Any) -> list[Any]:
        """The gradients of the inputs that need one."""
        known, xp = self.known, self.device.np
        gs = [
            xp.zeros(known.shape, known.results[k].dtype) if one is None else xp.broadcast_to(one, known.shape)
            for k, one in zip(known.live, g if len(known.live) > 1 else [g])
        ]
        kernel, used, places = self._direction(needs)
        everything = [*arrays[: len(known.inputs)], *gs]
        made = self.device.launch(kernel, tuple([everything[k] for k in used])) if places else ()
        found: list[Any] = [None] * len(known.inputs)
        for k, gradient in zip(places, made):
            found[k] = gradient
        return found

    def _direction(self, needs: Needs) -> tuple[GeneratedKernel, list[int], list[int]]:
        """The kernel; which arrays it reads; of which inputs it gives gradients, or the numbers of results."""
        found = self._directions.get(needs)
        if found is None:
            loop, sizes, used, places = self.known.pointwise(needs)
            shapes = [self.known.shape] * len(places) if needs is None else [self.known.shapes[k] for k in places]
            text = loop.source()

            def plan(empty: Any, *given: Any) -> tuple[Any, tuple[Any, ...]]:
                whole = [a if a.flags.c_contiguous else a.copy(order="C") for a in given]
                calls, results = loop.plan(empty, sizes, whole, shapes)
                return calls, tuple(results)

            name = f"{loop.name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            kernel = GeneratedKernel(
                name, "cuda.generated", SHARED / f"{loop.name}.cu", (), plan, _nothing, written=lambda: text
            )
            found = self._directions[needs] = kernel, used, places
        return found


def _nothing(dtype: Any) -> Any:
    return ()
