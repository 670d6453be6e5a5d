"""A nested state (a ``state_dict`` of anything) as JSON plus named arrays, and back, exactly.

JSON keeps Python's ints, floats (by their shortest repr), strings, bools and None. What it lacks is written as an
object with one reserved key: ``{"$array": name}``, ``{"$tuple": [...]}``, ``{"$pairs": [[key, value], ...]}`` for a
mapping with keys that are no strings, and ``{"$float": "inf"}`` for the three floats that JSON has no name for. A
caller may add words of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.devices import on_host
from tinydl.errors import CheckpointError
from tinydl.tensor import Tensor


def pack(
    state: Any, prefix: str, arrays: dict[str, NDArray[Any]], special: Callable[[Any, str], Any] | None = None
) -> Any:
    """The JSON form of ``state``; its arrays and Tensors go into ``arrays`` under names that begin with ``prefix``.

    ``special(value, name)`` may give a form of its own, or None. Raises TypeError for a value that could not be read
    back.
    """
    if special is not None:
        found = special(state, prefix)
        if found is not None:
            return found
    if isinstance(state, Tensor):
        state = on_host(state.array)
    if isinstance(state, np.generic):
        state = state.item()
    if state is None or isinstance(state, (bool, int, str)):
        return state
    if isinstance(state, float):
        return state if math.isfinite(state) else {"$float": repr(state)}
    if isinstance(state, np.ndarray):
        name = free_name(prefix, arrays)
        arrays[name] = state
        return {"$array": name}
    if isinstance(state, Mapping):
        lead = f"{prefix}/" if prefix else ""
        packed = [(key, pack(value, f"{lead}{key}", arrays, special)) for key, value in state.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in state):
            return dict(packed)
        return {"$pairs": [[pack(key, prefix, arrays, special), value] for key, value in packed]}
    if isinstance(state, (list, tuple)):
        lead = f"{prefix}/" if prefix else ""
        items = [pack(value, f"{lead}{i}", arrays, special) for i, value in enumerate(state)]
        return items if isinstance(state, list) else {"$tuple": items}
    raise TypeError(f"a checkpoint cannot hold {prefix!r}, a {type(state).__name__}")


def free_name(wanted: str, taken: Mapping[str, Any]) -> str:
    """``wanted``, with a number behind it where that is taken: keys 1 and "1" give one path."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}#{count}"
    return name


def unpack(packed: Any, arrays: Mapping[str, NDArray[Any]], special: Callable[[str, Any], Any] | None = None) -> Any:
    """The state of :func:`pack`; ``special(word, content)`` reads the words that its namesake wrote, None for others.

    Raises CheckpointError when an array is missing, and TypeError or ValueError for what pack never writes.
    """
    if isinstance(packed, list):
        return [unpack(item, arrays, special) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if len(packed) == 1:
        ((key, value),) = packed.items()
        if key == "$array":
            if value not in arrays:
                raise CheckpointError(f"the checkpoint lacks its tensor {value!r}")
            return arrays[value]
        if key == "$tuple":
            return tuple(unpack(item, arrays, special) for item in value)
        if key == "$pairs":
            return {unpack(name, arrays, special): unpack(item, arrays, special) for name, item in value}
        if key == "$float":
            return float(value)
        found = special(key, value) if special is not None else None
        if found is not None:
            return found
    return {key: unpack(value, arrays, special) for key, value in packed.items()}
