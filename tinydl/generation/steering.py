"""Steering: what a new piece is told, in the same words for every model that can honour them.

One concept carries all of it: some entries of a piece's array are *given*, and the model makes the others
(:class:`Fixed`). To harmonise a melody is to give one voice; to fill a gap is to give everything outside it. A model
says which it can honour in its ``conditions``:

- ``melody``: a whole soprano may be given, and nothing else;
- ``notes``: any entries may be given;
- ``primer``: a beginning from which it goes on;
- ``chords`` and ``key``: which pitch classes may sound in each step (:mod:`tinydl.generation.harmony`), ``allowed``,
  bool [T, 12], among the conditions of ``sample``;
- ``interpolate``: pieces between two others are made of latent vectors (:mod:`tinydl.generation.interpolation`).

What is given is kept exactly. For whole pieces of music :mod:`tinydl.generation.around` does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import ConfigError

MELODY, NOTES, PRIMER, CHORDS, KEY, INTERPOLATE = "melody", "notes", "primer", "chords", "key", "interpolate"


@dataclass(frozen=True)
class Fixed:
    """Which entries of a new piece are given, and what they are.

    Attributes:
        values: int64 [T, V], or [T] of a tune, in the model's representation; read where ``mask`` is True.
        mask: bool, of the same shape.

    Raises ValueError for arrays of two shapes.
    """

    values: NDArray[np.int64]
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.values.shape != self.mask.shape:
            raise ValueError(f"values {list(self.values.shape)} and mask {list(self.mask.shape)} must have one shape")

    @classmethod
    def primer(cls, primer: NDArray[np.int64], length: int) -> Fixed:
        """A beginning that is given, and ``length`` free steps after it."""
        values = np.concatenate([primer, np.zeros((length, *primer.shape[1:]), np.int64)])
        mask = np.zeros(values.shape, np.bool_)
        mask[: len(primer)] = True
        return cls(values, mask)

    def voice(self, voice: int, length: int) -> NDArray[np.int64]:
        """The values [length] of one voice, all of which must be given; ConfigError when they, or others only, are."""
        others = np.delete(self.mask, voice, axis=1)
        if others.any() or len(self.mask) != length or not self.mask[:, voice].all():
            raise ConfigError(f"voice {voice} must be given for all {length} steps, and no other voice")
        return self.values[:, voice]

    def within(self, drawn: NDArray[np.int64]) -> NDArray[np.int64]:
        """``drawn`` with the given entries in their places."""
        return np.where(self.mask, self.values, drawn)


def refuse_others(model: Any, condition: Mapping[str, Any] | None) -> dict[str, Any]:
    """The conditions of ``sample`` that hold something; ConfigError for one that ``model`` cannot honour."""
    found = {key: value for key, value in (condition or {}).items() if value is not None}
    can = {*model.conditions, *(["fixed"] if {MELODY, NOTES} & {*model.conditions} else [])}
    can |= {"allowed"} if CHORDS in model.conditions else set()
    for key in found:
        if key.replace("_", "-") not in can:
            raise ConfigError(
                f"the model {model.model_name!r} cannot be told its {key}; it takes {', '.join(model.conditions)}"
            )
    return found


def asked(
    model: Any, condition: Mapping[str, Any] | None, length: int, entries: tuple[int, ...] = ()
) -> tuple[Fixed, NDArray[np.bool_]]:
    """What ``sample`` is asked for by a model that takes ``notes``: pieces of ``length`` new steps.

    Args:
        condition: ``fixed`` gives entries of them, ``primer``, int64 [P, *entries], what comes before them, and
            ``allowed``, bool [length, 12], which pitch classes may sound.
        entries: the shape of a step.

    Returns the given entries of all T steps, the primer's included, which are the first T - ``length``; and the pitch
    classes that may sound in each, bool [T, 12]: any, in a primer. Raises ConfigError as :func:`refuse_others`.
    """
    told = refuse_others(model, condition)
    primer = np.asarray(told.get("primer", np.zeros((0, *entries))), np.int64)
    fixed: Fixed = told.get("fixed") or Fixed.primer(primer, length)
    allowed = np.ones((len(fixed.mask), 12), np.bool_)
    allowed[len(fixed.mask) - length :] = told.get("allowed", True)
    return fixed, allowed


def require(model: Any, words: Iterable[str], doing: str) -> None:
    """Raise ConfigError unless ``model`` honours one of ``words``: it cannot do what ``doing`` says, and who can."""
    words = set(words)
    if words & {*model.conditions}:
        return
    from tinydl import registry

    can = [name for name in registry.models() if words & {*getattr(registry.model_class(name), "conditions", ())}]
    raise ConfigError(f"the model {model.model_name!r} cannot {doing}: train one that can, such as {', '.join(can)}")
