"""Importing this module enters every row."""

from tests.differential import elementwise, reducing, shaping  # noqa: F401
