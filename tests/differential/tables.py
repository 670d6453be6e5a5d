"""Importing this module enters every row."""

from tests.differential import (  # noqa: F401
    activations,
    attention,
    containers,
    convolution,
    creation,
    differentiation,
    distributions,
    elementwise,
    indexing,
    linalg,
    loading,
    losses,
    randoms,
    recurrent,
    reducing,
    shaping,
    spectral,
    tensor,
    training,
)
