"""Every operation has a gradient-check entry, wherever in the package it is defined."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.meta.tree import ROOT, sources
from tests.ops.tables import TABLE


def test_every_operation_of_the_package_stands_in_the_table() -> None:
    # A fresh process: primitives that other tests define are none of the package's, and a module that nobody has
    # imported yet has not registered its own.
    modules = [s.module for s in sources() if s.floor != "benchmarks" and s.path.name != "__main__.py"]
    code = (
        "import importlib, json\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "from tinydl.autograd import registry\n"
        "print(json.dumps(sorted(registry())))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    registered, entered = set(json.loads(done.stdout)), set(TABLE)
    assert not registered - entered, f"add an entry to tests/ops/table.py for {sorted(registered - entered)}"
    assert not entered - registered, f"tests/ops/table.py has entries for no operation: {sorted(entered - registered)}"
