"""Fixtures of the tests of measures."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinydl


@pytest.fixture(autouse=True, scope="module")
def _default_generator_comes_back():
    before = tinydl.default_generator.state()
    yield
    tinydl.default_generator.set_state(before)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory):
    """``train(name, splits, steps, **options)``: the model after so many steps, on its training pieces."""
    from tinydl import registry
    from tinydl.training import Silent, fit, load_model

    def trained(name, splits, steps, **options):
        run = Path(tmp_path_factory.mktemp("runs")) / "run"
        tinydl.manual_seed(0)
        fit(registry.build(name, eval_every=10_000, **options), splits, run, steps=steps, progress=Silent())
        return load_model(run)[0]

    return trained
