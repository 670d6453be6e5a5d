"""A nested state (a ``state_dict`` of anything) as JSON plus named arrays, and back, exactly.

JSON keeps Python's ints, floats (by their shortest repr), strings, bools and None. What it lacks is written as an
object with one reserved key: ``{"$array": name}``, ``{"$tuple": [...]}``, ``{"$pairs": [[key, value], ...]}`` for a
mapping with keys that are no strings, and ``{"$float": "inf"}`` for the three floats that JSON has no name for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import CheckpointError
from tinydl.tensor import Tensor


def pack(state: Any, prefix: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """The JSON form of ``state``; its arrays and Tensors go into ``arrays`` under names that begin with ``prefix``.

    Raises TypeError for a value that could not be read back.
    """
    if isinstance(state, Tensor):
        state = state.data
    if isinstance(state, np.generic):
        state = state.item()
    if state is None or isinstance(state, (bool, int, str)):
        return state
    if isinstance(state, float):
        return state if math.isfinite(state) else {"$float": repr(state)}
    if isinstance(state, np.ndarray):
        arrays[prefix] = state
        return {"$array": prefix}
    if isinstance(state, Mapping):
        packed = [(key, pack(value, f"{prefix}/{key}", arrays)) for key, value in state.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in state):
            return dict(packed)
        return {"$pairs": [[pack(key, prefix, arrays), value] for key, value in packed]}
    if isinstance(state, (list, tuple)):
        items = [pack(value, f"{prefix}/{i}", arrays) for i, value in enumerate(state)]
        return items if isinstance(state, list) else {"$tuple": items}
    raise TypeError(f"a checkpoint cannot hold {prefix!r}, a {type(state).__name__}")


def unpack(packed: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The state of :func:`pack`; :class:`CheckpointError` when an array is missing."""
    if isinstance(packed, list):
        return [unpack(item, arrays) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if len(packed) == 1:
        ((key, value),) = packed.items()
        if key == "$array":
            if value not in arrays:
                raise CheckpointError(f"the checkpoint lacks its tensor {value!r}")
            return arrays[value]
        if key == "$tuple":
            return tuple(unpack(item, arrays) for item in value)
        if key == "$pairs":
            return {unpack(name, arrays): unpack(item, arrays) for name, item in value}
        if key == "$float":
            return float(value)
    return {key: unpack(value, arrays) for key, value in packed.items()}
