"""Images of pixels that are on or off: what the models of single frames learn where it is not music."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from tinydl.data.representations.base import Representation
from tinydl.errors import ConfigError, DataError

__all__ = ["Image"]


@dataclass(frozen=True)
class Image(Representation):
    """bool [1, P], P = height * width + labels: one image is one piece of one frame, its pixels row by row.

    With ``labels`` above 0, so many entries follow the pixels, of which one is true: which label the image has.
    It has nothing to do with music: :meth:`encode` and :meth:`decode` raise ``DataError``.
    """

    name: ClassVar[str] = "image"

    height: int = 28
    width: int = 28
    labels: int = 0

    def __post_init__(self) -> None:
        if not (self.height >= 1 and self.width >= 1 and self.labels >= 0):
            raise ConfigError(f"an image of {self} has no pixels: height and width must be at least 1")

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"

    @classmethod
    def of_size(cls, size: str, labels: int = 0) -> Image:
        """The representation of images of a size such as ``"28x28"``; ``ConfigError`` where it is none."""
        height, times, width = size.partition("x")
        if not (times and height.isdecimal() and width.isdecimal()):
            raise ConfigError(f"option 'image' must be a height and a width such as 28x28, but is {size!r}")
        return cls(height=int(height), width=int(width), labels=labels)

    @property
    def pixels(self) -> int:
        """Of one image."""
        return self.height * self.width

    def config(self) -> dict[str, Any]:
        """As of every representation, without a step: there is no time in an image."""
        return {key: value for key, value in super().config().items() if key != "step"}

    def encode(self, score: Any) -> NoReturn:
        """There is no image of a score. Raises ``DataError``."""
        raise DataError(f"the model reads images of {self} pixels, and no music")

    def decode(self, data: npt.NDArray[Any], **like: Any) -> NoReturn:
        """There is no score of an image. Raises ``DataError``."""
        raise DataError(f"the model makes images of {self} pixels, and no music: tinydl generate RUN --out FILE.png")

    def steps(self, *bars: Any) -> NoReturn:
        """There are no bars in an image. Raises ``DataError``."""
        self.decode(np.zeros(0))

    def pictures(self, pieces: list[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
        """The images of pieces, bool [N, height, width], without their labels."""
        return np.concatenate(pieces)[:, : self.pixels].reshape(-1, self.height, self.width)
