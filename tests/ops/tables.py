"""The whole op table: importing this module enters every room's samples."""

from tests.ops import activations  # noqa: F401 - its entries
from tests.ops.table import TABLE, Entry, Sample

__all__ = ["TABLE", "Entry", "Sample"]
