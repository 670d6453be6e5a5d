"""The whole op table: importing this module enters every room's samples."""

from tests.ops import elementwise, matrices, places, reducing  # noqa: F401 - enter their samples
from tests.ops.table import TABLE, Entry, Sample

__all__ = ["TABLE", "Entry", "Sample"]
