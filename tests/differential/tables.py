"""Importing this module enters every row."""

from tests.differential import creation, differentiation, elementwise, loading, randoms, reducing, shaping, tensor  # noqa: F401
