"""Small images of handwritten digits for the examples: MNIST's own where they are at hand, drawn ones where not.

MNIST's test files (``t10k-images-idx3-ubyte.gz`` and its labels) are looked for in ``$TINYDL_DATA/mnist_test``. Without
them, digits are drawn: a font of five by seven dots, blown up, slanted, thickened and moved at random.
"""

import gzip
import os
from pathlib import Path

import numpy as np

FONT = """
.###. ..#.. .###. .###. ...#. ##### .###. ##### .###. .###.
#...# .##.. #...# #...# ..##. #.... #...# ....# #...# #...#
#...# ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...#
#...# ..#.. ...#. ..##. #..#. ....# ####. ..#.. .###. .####
#...# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# #...#
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .###.
"""


def load(count, size=28, seed=0):
    """``count`` images, float32 [count, 1, size, size] from 0 to 1, and their labels, int64 [count]."""
    folder = Path(os.environ.get("TINYDL_DATA", "")) / "mnist_test"
    if size == 28 and (folder / "t10k-images-idx3-ubyte.gz").exists():
        images = read(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
        labels = read(folder / "t10k-labels-idx1-ubyte.gz", 8)
        images, labels = images[:count].astype(np.float32) / 255, labels[:count].astype(np.int64)
        if len(images) == count:
            return images, labels
    return draw(count, size, np.random.default_rng(seed))


def read(path, header):
    """The bytes of one of MNIST's files, without its header."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def draw(count, size, rng):
    """Digits of the font, each bent in its own way: every pixel looks up the dot that it comes from."""
    rows = [line.split() for line in FONT.split("\n") if line]
    glyphs = np.array([[[dot == "#" for dot in row[digit]] for row in rows] for digit in range(10)], np.float32)
    labels = rng.integers(0, 10, count)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    images = np.zeros((count, 1, size, size), np.float32)
    for image, label in zip(images, labels):
        scale, slant = rng.uniform(0.55, 0.8), rng.uniform(-0.3, 0.3)
        down, right = rng.uniform(-0.08, 0.08, 2)
        v = (y - down) / scale + 0.5
        u = (x - right + slant * (y - down)) / (0.75 * scale) + 0.5
        inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        image[0, inside] = glyphs[label][(v[inside] * 7).astype(int), (u[inside] * 5).astype(int)]
        thick = (image[0] + np.roll(image[0], 1, 0) + np.roll(image[0], 1, 1)) / 3
        image[0] = thick + rng.uniform(0, 0.02, (size, size))
    return np.clip(images, 0, 1).astype(np.float32), labels.astype(np.int64)
