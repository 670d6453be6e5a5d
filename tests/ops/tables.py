"""The whole op table: importing this module enters every room's samples."""

from tests.ops import normalization, pooling  # noqa: F401 - enters its samples
from tests.ops.table import TABLE, Entry, Sample

__all__ = ["TABLE", "Entry", "Sample"]
