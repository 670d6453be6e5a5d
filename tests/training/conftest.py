"""Fixtures of the training tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _default_generator_comes_back():
    import tinydl

    before = tinydl.default_generator.state()
    yield
    tinydl.default_generator.set_state(before)
