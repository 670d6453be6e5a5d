"""PNG files, and images of a model as one of them."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydl.errors import DataError
from tinydl.render.wav import atomic

__all__ = ["png", "render_images"]

GAP = 2  # pixels between images
GROUND, INK, PAPER = (214, 209, 199), (255, 255, 255), (20, 20, 24)  # between images; pixels that are on, and off


def png(image: np.ndarray) -> bytes:
    """A PNG file of uint8 [height, width, 3]: 8-bit RGB, rows unfiltered."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = image.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each begins with its filter: none
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def render_images(images: NDArray[np.bool_], path: str | Path, *, scale: int = 3) -> None:
    """Write images, bool [N, height, width], as one PNG file: rows of ceil(sqrt(N)), from the top left.

    Args:
        images: what to draw; a pixel that is on is white.
        path: where to write; the file appears complete or not at all.
        scale: how many pixels of the file one of an image takes, in both directions.

    Raises :class:`DataError` when there are no images or the file cannot be written.
    """
    if images.ndim != 3 or not images.size:
        raise DataError(f"there is nothing to draw: images must be [N, height, width], and are {list(images.shape)}")
    count, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    sheet = np.empty((GAP + rows * (height * scale + GAP), GAP + columns * (width * scale + GAP), 3), np.uint8)
    sheet[:] = GROUND
    for i, image in enumerate(images.repeat(scale, axis=1).repeat(scale, axis=2)):
        y, x = (GAP + k * (size * scale + GAP) for k, size in zip(divmod(i, columns), (height, width)))
        sheet[y : y + height * scale, x : x + width * scale] = np.where(image[..., None], INK, PAPER)
    with atomic(Path(path)) as part:
        part.write_bytes(png(sheet))
