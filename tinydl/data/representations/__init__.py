"""Music as arrays that models learn: each representation says what it keeps, and counts what it loses in each piece.

>>> representation("roll", step=0.25)
PianoRoll(step=0.25, low=21, high=108)
>>> sorted(REPRESENTATIONS)
['chorale', 'events', 'grid', 'melody', 'roll']
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from tinydl.data.representations.base import Encoded, Representation, bars_to_steps
from tinydl.data.representations.chorale import Chorale
from tinydl.data.representations.events import Events
from tinydl.data.representations.grid import Grid
from tinydl.data.representations.melody import Melody
from tinydl.data.representations.roll import PianoRoll
from tinydl.errors import ConfigError

__all__ = [
    "REPRESENTATIONS",
    "Chorale",
    "Encoded",
    "Events",
    "Grid",
    "Melody",
    "PianoRoll",
    "Representation",
    "bars_to_steps",
    "representation",
]

_ALL: tuple[type[Representation], ...] = (PianoRoll, Events, Melody, Grid, Chorale)
REPRESENTATIONS: dict[str, type[Representation]] = {cls.name: cls for cls in _ALL}


def representation(spec: str | Mapping[str, Any] | Representation, **fields: Any) -> Representation:
    """The representation of a name, of a :meth:`~Representation.config`, or itself; ``fields`` override.

    Raises :class:`ConfigError` for an unknown name or field, with the nearest valid one.
    """
    if isinstance(spec, Representation):
        spec = spec.config()
    config = {"name": spec} if isinstance(spec, str) else dict(spec)
    config.update(fields)
    name = config.get("name")
    if name not in REPRESENTATIONS:
        near = difflib.get_close_matches(str(name), REPRESENTATIONS, n=1, cutoff=0)
        raise ConfigError(f"unknown representation {name!r}; did you mean {near[0]!r}?")
    return REPRESENTATIONS[name].from_config(config)
