"""Compiled kernels on disk: a changed helper is noticed, a useless disk is survived,
the user's own cache is left alone."""

from __future__ import annotations

import ast
import gc
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

import tinydl.kernels
from tinydl.kernels import cache, threads

PROGRAM = """
import numba
from tinydl.kernels.probe.cpu import answer
before = numba.config.CACHE_DIR
print(answer(1), sum(answer.stats.cache_hits.values()), len(answer.overloads))
assert numba.config.CACHE_DIR == before
"""


def copy_of_kernels(root: Path) -> Path:
    """A tree ``tinydl/kernels`` with the real registry and cache, and a kernel whose helper stands in another file."""
    package = root / "tinydl" / "kernels"
    (package / "probe").mkdir(parents=True)
    (root / "tinydl" / "__init__.py").touch()
    for name in ("__init__.py", "card.py", "registry.py", "cache.py"):
        shutil.copy(Path(tinydl.kernels.__file__).parent / name, package / name)
    (package / "probe" / "__init__.py").touch()
    (package / "probe" / "helper.py").write_text(
        "from tinydl.kernels.cache import njit\n\n@njit\ndef helper(x):\n    return x + 1\n"
    )
    (package / "probe" / "cpu.py").write_text(
        "from tinydl.kernels.cache import njit\nfrom tinydl.kernels.probe.helper import helper\n\n"
        "@njit\ndef answer(x):\n    return 10 * helper(x)\n"
    )
    return package


def run(root: Path, program: str = PROGRAM, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_an_edited_helper_gives_the_new_result(tmp_path: Path) -> None:
    package, home = copy_of_kernels(tmp_path), str(tmp_path / "cache")
    assert run(tmp_path, XDG_CACHE_HOME=home) == "20 0 1"
    assert run(tmp_path, XDG_CACHE_HOME=home) == "20 1 1", "the second process compiled again"
    helper = package / "probe" / "helper.py"
    helper.write_text(helper.read_text().replace("x + 1", "x + 2"))
    assert run(tmp_path, XDG_CACHE_HOME=home) == "30 0 1", "stale machine code"
    folders = list((tmp_path / "cache" / "tinydl" / "kernels").iterdir())
    assert len(folders) == 2
    assert not list(package.rglob("*.nbi")), "the cache leaked into the source tree"


def test_a_cache_folder_that_cannot_be_made_costs_only_the_cache(tmp_path: Path) -> None:
    copy_of_kernels(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    assert run(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file"), TMPDIR=str(tmp_path)) == "20 0 1"
    assert not list(tmp_path.glob("tinydl-kernels-*")), "the temporary folder was not removed at exit"


def test_damaged_cache_files_are_compiled_again(tmp_path: Path) -> None:
    copy_of_kernels(tmp_path)
    home = tmp_path / "cache"
    run(tmp_path, XDG_CACHE_HOME=str(home))
    damaged = list(home.rglob("*.nbi")) + list(home.rglob("*.nbc"))
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:20])
    assert run(tmp_path, XDG_CACHE_HOME=str(home)) == "20 0 1"


def _count(out: Any) -> None:
    for i in numba.prange(out.size):
        out[i] = numba.get_thread_id()


COSTS = """
import json, sys
from tinydl.kernels.probe.cpu import answer
from tinydl.kernels import cache
answer(1), answer(1.5)
print(json.dumps([cache.costs(), cache.loaded, "numba.np.arraymath" in sys.modules]))
"""


def test_what_compiling_and_reading_cost_is_known(tmp_path: Path) -> None:
    """The helper's seconds are its own; whoever only reads imports no compiler."""
    copy_of_kernels(tmp_path)
    compiled, read, compiler = json.loads(run(tmp_path, COSTS, XDG_CACHE_HOME=str(tmp_path / "cache")))
    kernels = ["tinydl.kernels.probe.helper.helper", "tinydl.kernels.probe.cpu.answer"] * 2
    assert [(k, form) for k, form, _ in compiled] == list(zip(kernels, ["int64", "int64", "float64", "float64"]))
    assert all(0 < seconds < 100 for *_, seconds in compiled) and not read and compiler
    again, read, compiler = json.loads(run(tmp_path, COSTS, XDG_CACHE_HOME=str(tmp_path / "cache")))
    assert again == compiled and not compiler
    assert [(k, form) for k, form, _ in read] == [(kernels[1], "int64"), (kernels[1], "float64")]


@pytest.mark.skipif(threads.max_threads() < 2, reason="one core")
def test_twins_of_one_function_are_not_mistaken_for_each_other() -> None:
    """Serial first, so that the parallel one would find machine code of its name on the disk."""
    serial, parallel = cache.njit(_count), cache.njit(parallel=True)(_count)
    out = np.full(2, -1)
    serial(out)
    assert list(out) == [0, 0]
    parallel(out)
    assert list(out) == [0, 1]


def test_the_hash_covers_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    first = cache.source_hash(tmp_path)
    assert first == cache.source_hash(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    second = cache.source_hash(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    third = cache.source_hash(tmp_path)
    (tmp_path / "notes.txt").write_text("not a source")
    assert len({first, second, third}) == 3 and third == cache.source_hash(tmp_path)
    (tmp_path / "simt").mkdir()
    (tmp_path / "simt" / "of_the_virtual_gpu.py").write_text("")
    (tmp_path / "launches.py").write_text("")
    assert third == cache.source_hash(tmp_path)


def test_what_the_hash_leaves_out_is_not_called_by_compiled_kernels() -> None:
    names = {Path(name).stem for name in cache.ELSEWHERE}
    for path in sorted(Path(tinydl.kernels.__file__).parent.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name in cache.ELSEWHERE or "simt" in path.parts or "njit" not in text:
            continue
        nodes = ast.walk(ast.parse(text))
        found = {m for n in nodes if isinstance(n, ast.ImportFrom) for m in (n.module or "").split(".")}
        assert not found & names, path


def test_thread_counts() -> None:
    before, most = threads.get_num_threads(), threads.max_threads()
    with threads.num_threads(1):
        assert threads.get_num_threads() == 1
    assert threads.get_num_threads() == before
    for count in (0, most + 1):
        with pytest.raises(ValueError, match=f"between 1 and {most}, got {count}"):
            threads.set_num_threads(count)


SAME_BITS = """
import hashlib, numpy as np
from tinydl.kernels import lookup
rng = np.random.default_rng(0)
x, t = rng.standard_normal((300, 177)).astype("f"), rng.integers(0, 177, 300)
y, g = (rng.standard_normal(5000).astype("f") for _ in range(2))
notes, b, c = rng.random((300, 88)) < 0.05, rng.standard_normal((300, 88)).astype("f"), rng.standard_normal((300, 70))
nade = (b, c.astype("f"), *(rng.standard_normal((2, 88, 70)) / 8).astype("f"))
slope = lookup("nade_forward")(notes, *nade)[1]
digest = hashlib.sha256()
for results in (
    lookup("nade_forward")(notes, *nade),
    lookup("nade_backward")(b[:, 0].copy(), notes, *nade, slope, (True,) * 4),
    [lookup("nade_sample")(rng.random((300, 88)), *nade, 1.0, notes[:, 0].copy())],
    lookup("softmax_cross_entropy")(x, t, None, -100, 0.0, "mean"),
    lookup("bce_with_logits")(y, (g > 1).astype("f"), None, None, "mean"),
):
    for array in results:
        digest.update(np.ascontiguousarray(array).tobytes())
print(digest.hexdigest())
"""


def test_the_process_that_compiles_gives_the_bits_of_those_that_load(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", SAME_BITS], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_helpers_with_fast_mathematics_are_inlined() -> None:
    """Their own machine code and the copies inside their callers would differ in the last bits (see cache.njit)."""
    found = 0
    for path in Path(cache.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "njit":
                options = {keyword.arg for keyword in node.keywords}
                if "fastmath" in options:
                    found += 1
                    assert "forceinline" in options, f"{path.name}:{node.lineno}"
    assert found > 5


def test_the_collector_rests_while_a_kernel_is_compiled() -> None:
    seen = []

    @intrinsic
    def look(typing: Any) -> Any:
        seen.append(gc.isenabled())
        return types.int64(), lambda context, builder, signature, values: context.get_constant(types.int64, 1)

    @cache.njit
    def kernel() -> Any:
        return look()

    @cache.njit
    def wrong() -> Any:
        return look() + "x"

    assert gc.isenabled()
    assert kernel() == 1
    with pytest.raises(TypingError):
        wrong()
    assert gc.isenabled() and seen and not any(seen)
    gc.disable()
    try:
        cache.njit(lambda: look())()
        assert not gc.isenabled()  # as the program wants it
    finally:
        gc.enable()
