"""Importing this module enters every row."""

from tests.differential import (  # noqa: F401
    attention,
    convolution,
    creation,
    elementwise,
    indexing,
    linalg,
    randoms,
    recurrent,
    reducing,
    shaping,
    spectral,
    tensor,
)
