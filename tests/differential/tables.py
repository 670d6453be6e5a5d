"""Importing this module enters every row."""

from tests.differential import (  # noqa: F401
    attention,
    convolution,
    creation,
    differentiation,
    distributions,
    elementwise,
    indexing,
    linalg,
    loading,
    randoms,
    recurrent,
    reducing,
    shaping,
    spectral,
    tensor,
    training,
)
