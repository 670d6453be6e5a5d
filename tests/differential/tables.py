"""Importing this module enters every row."""

from tests.differential import (  # noqa: F401
    elementwise,
    normalization,
    padding,
    pooling,
    reducing,
    resampling,
    shaping,
)
