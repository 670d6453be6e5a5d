"""The registry: choice, refusal, override, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tinydl.kernels import KernelError, by_dtype, lookup, register, unregister, use, variants
from tinydl.kernels.registry import FAMILIES

OP = "registry_test_op"


@pytest.fixture(autouse=True)
def operation() -> Iterator[None]:
    register(op=OP, name="numpy")(lambda a: ("numpy", a))
    register(op=OP, name="cpu.small", dtypes=("float32",), accepts=lambda a: a < 10)(lambda a: ("small", a))
    register(op=OP, name="cpu.best", dtypes=("float32",), accepts=lambda a: a < 5, default=True)(lambda a: ("best", a))
    yield
    for variant in variants(OP):
        unregister(OP, variant.name)


def test_the_default_comes_first_and_the_reference_last() -> None:
    function = lookup(OP, dtype=np.float32)
    assert [function(a)[0] for a in (1, 7, 70)] == ["best", "small", "numpy"]


def test_arguments_choose_at_lookup() -> None:
    assert lookup(OP, dtype=np.float32, args=(7,))(7) == ("small", 7)


def test_a_dtype_no_fast_variant_computes_goes_to_the_reference() -> None:
    assert lookup(OP, dtype=np.float64)(1) == ("numpy", 1)
    assert lookup(OP, dtype=np.dtype("int64"))(1) == ("numpy", 1)


def test_use_overrides_nests_and_ends() -> None:
    with use(**{OP: "numpy"}):
        assert lookup(OP, dtype=np.float32)(1)[0] == "numpy"
        with use(**{OP: "cpu.small"}):
            assert lookup(OP, dtype=np.float32)(1)[0] == "small"
        assert lookup(OP, dtype=np.float32)(1)[0] == "numpy"
    assert lookup(OP, dtype=np.float32)(1)[0] == "best"


def test_use_ends_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), use(**{OP: "numpy"}):
        raise ZeroDivisionError
    assert lookup(OP, dtype=np.float32)(1)[0] == "best"


def test_use_is_of_one_thread() -> None:
    seen = []
    with use(**{OP: "numpy"}):
        other = threading.Thread(target=lambda: seen.append(lookup(OP, dtype=np.float32)(1)[0]))
        other.start()
        other.join()
    assert seen == ["best"]


def test_a_variant_that_is_forced_and_refuses_is_an_error_naming_it() -> None:
    with use(**{OP: "cpu.best"}), pytest.raises(KernelError, match=f"{OP}.*cpu.best.*refused") as caught:
        lookup(OP, dtype=np.float32)(50)
    assert (caught.value.op, caught.value.variant) == (OP, "cpu.best")


def test_errors_name_operation_variant_and_argument() -> None:
    with pytest.raises(KernelError, match="did you mean 'lstm_forward'"):
        lookup("lstm_forwrad")
    unknown = "no variant 'cpu.bset'; known: cpu.best, cpu.small, numpy"
    with pytest.raises(KernelError, match=unknown), use(**{OP: "cpu.bset"}):
        pass
    with use(**{OP: "cpu.best"}), pytest.raises(KernelError, match="no variant for float64 on cpu") as caught:
        lookup(OP, dtype=np.float64)
    assert caught.value.argument == "dtype"
    with pytest.raises(KernelError, match="no variant for float32 on cuda"):
        lookup(OP, device="cuda")
    with pytest.raises(KernelError, match="already has a variant 'numpy'"):
        register(op=OP, name="numpy")(np.add)
    with pytest.raises(KernelError, match="has the default 'cpu.best'"):
        register(op=OP, name="cpu.other", default=True)(np.add)
    with pytest.raises(TypeError, match="flaot32"):
        register(op=OP, name="cpu.other", dtypes=("flaot32",))


def test_a_new_registration_is_seen_by_a_lookup_that_was_answered_before() -> None:
    lookup(OP, dtype=np.float64)
    register(op=OP, name="cpu.wide", dtypes=("float64",), default=True)(lambda a: ("wide", a))
    assert lookup(OP, dtype=np.float64)(1)[0] == "wide"


def test_every_operation_has_a_reference_and_one_default() -> None:
    table: dict[str, list[str]] = {}
    for variant in variants():
        table.setdefault(variant.op, []).append(variant.name)
    assert set(FAMILIES) <= set(table), "the table of families names an operation nobody registers"
    for op, names in table.items():
        assert "numpy" in names, f"{op} has no plain NumPy variant"


def test_nothing_imports_numba_before_the_first_lookup() -> None:
    program = """
import sys, tinydl.kernels
assert "numba" not in sys.modules and "llvmlite" not in sys.modules
tinydl.kernels.lookup("matmul")
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def _run(program: str, **environment: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env={**os.environ, **environment})


_TRAIN = """
import numpy as np, tinydl
from tinydl import nn, optim

tinydl.manual_seed(0)
lstm, norm, head = nn.LSTM(3, 4), nn.LayerNorm(4), nn.Linear(4, 5)
parameters = [*lstm.parameters(), *norm.parameters(), *head.parameters()]
optimizer = optim.Adam(parameters, lr=0.01)
x, target = tinydl.ones(6, 2, 3), tinydl.zeros(12, dtype=tinydl.int64)
def loss():
    return nn.functional.cross_entropy(head(norm(lstm(x)[0])).reshape(12, 5), target)
first = loss()
first.backward()
nn.utils.clip_grad_norm_(parameters, 1.0)
optimizer.step()
assert loss().item() < first.item()
tinydl.rand(1 << 17)
"""


def test_the_references_train_where_numba_does_not_compile() -> None:
    fast = "assert {v.name for v in tinydl.kernels.variants()} == {'numpy', 'blas'}"  # BLAS comes with NumPy
    big = "(tinydl.ones(200, 200) @ tinydl.ones(200, 200)).sum().item() == 200.0**3"
    _run(f"{_TRAIN}\n{fast}\nassert {big}", NUMBA_DISABLE_JIT="1")


@pytest.mark.parametrize("hidden", ["numba", "llvmlite"])
def test_the_references_train_where_numba_is_not_installed(hidden: str) -> None:
    blocker = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""
    _run(blocker + _TRAIN)


def test_an_import_and_a_lookup_in_two_threads_do_not_wait_for_each_other() -> None:
    _run("""
import sys, threading
from tinydl.kernels import lookup, registry
inside, go = threading.Event(), threading.Event()
register = registry.register
def slow(**options):  # the import stops at its first registration, holding the module's import lock
    if threading.current_thread().name == "importer" and not inside.is_set():
        inside.set()
        go.wait(1)
    return register(**options)
registry.register = slow
import_it = lambda: __import__("tinydl.kernels.rnn.cpu")
importer = threading.Thread(target=import_it, name="importer", daemon=True)
found = []
looker = threading.Thread(target=lambda: found.append(lookup("lstm_forward")), daemon=True)
importer.start()
assert inside.wait(60)
looker.start()
importer.join(20)
looker.join(20)
assert not importer.is_alive() and found
""")


def test_a_table_by_dtype_follows_overrides_and_registrations() -> None:
    table = by_dtype("matmul")
    usual = table[np.dtype("float32")]
    assert np.dtype("float32") in table and table[np.dtype("float32")] is usual
    with use(matmul="numpy"):
        reference = table[np.dtype("float32")]
        assert reference is not usual and not table  # nothing is kept while an override holds somewhere
    assert not table and table[np.dtype("float32")](np.ones((2, 3)), np.ones((3, 2))).shape == (2, 2) and table
    register(op="matmul", name="one's own")(lambda a, b: a @ b)
    assert not table
    unregister("matmul", "one's own")
    with pytest.raises(KernelError, match="no kernel is registered for 'nothing of the kind'"):
        by_dtype("nothing of the kind")[np.dtype("float32")]
