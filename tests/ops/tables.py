"""The whole op table: importing this module enters every room's samples."""

from tests.ops import activations, elementwise, reducing  # noqa: F401 - enter their samples
from tests.ops.table import TABLE, Entry, Sample

__all__ = ["TABLE", "Entry", "Sample"]
