"""``tinydl models``: every model is listed, with what the class itself says."""

from __future__ import annotations

import json

import pytest

from tinydl import registry
from tinydl.cli import main


def test_all_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert [row["name"] for row in rows] == registry.models()
    for row in rows:
        assert list(row) == ["name", "paper", "density", "conditions", "data"]
        assert row["density"] == registry.model_class(row["name"]).density
        assert row["paper"] and row["data"] in ("polyphony", "tunes", "four voices")
        assert "temperature" in row["conditions"]
    conditions = {row["name"]: row["conditions"] for row in rows}
    assert "primer" in conditions["lstm"] and "primer" not in conditions["rbm"]


def test_all_models_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "data", "likelihood", "takes", "paper"]
    assert [line.split()[0] for line in lines[1 : 1 + len(registry.models())]] == registry.models()
