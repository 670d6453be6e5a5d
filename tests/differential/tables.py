"""Importing this module enters every row."""

from tests.differential import (  # noqa: F401
    creation,
    elementwise,
    indexing,
    linalg,
    randoms,
    reducing,
    shaping,
    spectral,
    tensor,
)
