"""Importing this module enters every row."""

from tests.differential import creation, elementwise, randoms, reducing, shaping, tensor  # noqa: F401
