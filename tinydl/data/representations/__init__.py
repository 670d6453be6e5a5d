"""Music as arrays that models learn: each representation says what it keeps, and counts what it loses in each piece.

:class:`Image` is the one that is of no music; it stands apart from the others, and is found by its name as they are.

>>> representation("roll", step=0.25)
PianoRoll(step=0.25, low=21, high=108)
>>> sorted(REPRESENTATIONS)
['chorale', 'events', 'grid', 'lead', 'melody', 'roll']
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from tinydl.data.representations.base import Encoded, Representation, bars_to_steps
from tinydl.data.representations.chorale import Chorale
from tinydl.data.representations.events import Events
from tinydl.data.representations.grid import Grid
from tinydl.data.representations.image import Image
from tinydl.data.representations.lead import Lead
from tinydl.data.representations.melody import Melody
from tinydl.data.representations.roll import PianoRoll
from tinydl.errors import ConfigError

__all__ = [
    "REPRESENTATIONS",
    "Chorale",
    "Encoded",
    "Events",
    "Grid",
    "Image",
    "Lead",
    "Melody",
    "PianoRoll",
    "Representation",
    "bars_to_steps",
    "representation",
]

_ALL: tuple[type[Representation], ...] = (PianoRoll, Events, Melody, Grid, Lead, Chorale)
REPRESENTATIONS: dict[str, type[Representation]] = {cls.name: cls for cls in _ALL}  # of music
_KNOWN: dict[str, type[Representation]] = {**REPRESENTATIONS, Image.name: Image}


def representation(spec: str | Mapping[str, Any] | Representation, **fields: Any) -> Representation:
    """The representation of a name, of a :meth:`~Representation.config`, or itself; ``fields`` override.

    Raises :class:`ConfigError` for an unknown name or field, with the nearest valid one.
    """
    if isinstance(spec, Representation):
        spec = spec.config()
    config = {"name": spec} if isinstance(spec, str) else dict(spec)
    config.update(fields)
    name = config.get("name")
    if name not in _KNOWN:
        near = difflib.get_close_matches(str(name), _KNOWN, n=1, cutoff=0)
        raise ConfigError(f"unknown representation {name!r}; did you mean {near[0]!r}?")
    return _KNOWN[name].from_config(config)
