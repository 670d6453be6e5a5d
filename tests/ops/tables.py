"""The whole op table: importing this module enters every room's samples."""

from tests.ops import (  # noqa: F401 - enter their samples
    activations,
    attention,
    conv,
    elementwise,
    matrices,
    normalization,
    places,
    pooling,
    reducing,
)
from tests.ops.table import TABLE, Entry, Sample

__all__ = ["TABLE", "Entry", "Sample"]
