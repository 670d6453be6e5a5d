"""What scripts write before they begin: threads, seeds, devices and switches that a CPU has no use for."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import tinydl
from tests.differential.rows import resolve
from tinydl.kernels import threads

torch = pytest.importorskip("torch", reason="PyTorch is the oracle of this test")
BOTH = pytest.mark.parametrize("t", [tinydl, torch], ids=["tinydl", "torch"])

SAME = """
backends.cudnn.enabled backends.cudnn.benchmark backends.cudnn.deterministic backends.cudnn.allow_tf32
backends.cudnn.is_available backends.cudnn.version backends.mps.is_available backends.mps.is_built
backends.cuda.is_built backends.cuda.matmul.allow_tf32 accelerator.is_available accelerator.device_count
accelerator.current_accelerator cuda.is_available cuda.device_count version.cuda cuda.memory_allocated
cuda.max_memory_allocated cuda.is_bf16_supported
""".split()


@pytest.mark.parametrize("name", SAME)
def test_a_machine_without_gpu_says_the_same(name: str) -> None:
    ours, theirs = resolve(tinydl, name), resolve(torch, name)
    assert (ours() if callable(ours) else ours) == (theirs() if callable(theirs) else theirs)


@BOTH
def test_switches_hold_what_they_are_given(t: Any) -> None:
    for room, name in ((t.backends.cudnn, "benchmark"), (t.backends.cuda.matmul, "allow_tf32")):
        before = getattr(room, name)
        setattr(room, name, True)
        assert getattr(room, name) is True
        setattr(room, name, before)


@BOTH
def test_what_changes_nothing_is_taken(t: Any) -> None:
    t.use_deterministic_algorithms(True, warn_only=True)
    t.use_deterministic_algorithms(False)
    t.set_default_device("cpu")
    t.set_default_device(None)
    t.set_float32_matmul_precision("high")
    t.set_float32_matmul_precision("highest")
    with pytest.warns(UserWarning, match="fast is not one of 'highest', 'high', or 'medium'"):
        t.set_float32_matmul_precision("fast")
    assert t.__version__ and not t.ones(2).is_cuda and t.ones(2).get_device() == -1


def test_modules_are_imported_by_their_paths() -> None:
    code = (
        "import tinydl.backends.cudnn as cudnn, tinydl.accelerator\n"
        "import tinydl as torch\n"
        "cudnn.benchmark = True\n"
        "assert torch.backends.cudnn.benchmark and not torch.backends.mps.is_available()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: tinydl.set_default_device("mps"), "no MPS backend is available"),
        (lambda: tinydl.set_default_device("cuda"), "no CUDA backend is available"),
        (lambda: tinydl.ones(2).cuda(), "no CUDA backend is available for device 'cuda': .*; or stay on 'cpu'"),
        (lambda: tinydl.ones(2).cuda(1), "'cuda:1'"),
        (lambda: tinydl.ones(2).cuda("cpu"), "must be cuda device"),
        (lambda: tinydl.nn.Linear(1, 1).cuda(), "no CUDA backend is available for device 'cuda': CuPy"),
        (lambda: tinydl.nn.Linear(1, 1).cuda(0), "'cuda:0'"),
    ],
)
def test_a_gpu_is_refused(use: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        use()


def test_a_compiled_function_is_the_function() -> None:
    """PyTorch's is not called: it needs a compiler, and its first call changes how distributions check arguments."""

    @tinydl.compile
    def twice(x: Any) -> Any:
        return x * 2

    @tinydl.compile(dynamic=True, backend="eager")
    def thrice(x: Any) -> Any:
        return x * 3

    layer = tinydl.nn.Linear(1, 1)
    assert tinydl.compile(layer, mode="max-autotune", fullgraph=True) is layer
    assert twice(tinydl.ones(1)).item() == 2 and thrice(tinydl.ones(1)).item() == 3
    with pytest.raises(RuntimeError, match="Either mode or options can be specified"):
        tinydl.compile(thrice, mode="default", options={})
    assert set(inspect.signature(tinydl.compile).parameters) <= set(inspect.signature(torch.compile).parameters)


def test_one_process() -> None:
    import tinydl.distributed as dist
    from tinydl.utils.data.distributed import DistributedSampler

    assert not dist.is_available() and not dist.is_initialized() and not torch.distributed.is_initialized()
    with pytest.raises(AttributeError, match="'init_process_group'.*docs/unsupported.md"):
        dist.init_process_group("gloo")
    with pytest.raises(NotImplementedError, match="DistributedSampler needs several processes.*docs/unsupported.md"):
        DistributedSampler(range(3))


@BOTH
def test_devices_that_are_not_here_have_names(t: Any) -> None:
    for kind in ("mps", "xpu"):
        place = t.device(kind)
        assert (place.type, place.index, repr(place)) == (kind, None, f"device(type='{kind}')")
        assert place == t.device(kind) and place != t.device("cpu") and t.device(kind, 1) == t.device(f"{kind}:1")
    assert t.bfloat16 != t.float16 and t.ones(1).dtype not in (t.float16, t.bfloat16)
    assert {"bfloat16": t.bfloat16, "float32": t.float32}["float32"] == t.get_default_dtype()


def one_step(t: Any, autocast: Any, scaler: Any) -> list[float]:
    w = t.ones(2, requires_grad=True)
    optimizer = t.optim.SGD([w], lr=0.5)
    with autocast:
        loss = (w * w).sum()
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 1.0 and not scaler.is_enabled() and scaler.state_dict() == {}
    scaler.load_state_dict({})
    return w.tolist()  # type: ignore[no-any-return]


@BOTH
@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")
def test_mixed_precision_that_is_off(t: Any) -> None:
    for autocast, scaler in (
        (t.autocast("cpu", enabled=False), t.amp.GradScaler("cpu", enabled=False)),
        (t.amp.autocast(device_type="cuda", dtype=t.bfloat16, enabled=False), t.amp.GradScaler(enabled=False)),
        (t.cuda.amp.autocast(enabled=False), t.cuda.amp.GradScaler(enabled=False)),
    ):
        assert one_step(t, autocast, scaler) == [0.0, 0.0]
    for make in (
        lambda: t.autocast("cuda", dtype=t.float16), lambda: t.amp.autocast("cuda"), lambda: t.cuda.amp.autocast(True),
    ):  # fmt: skip
        with pytest.warns(UserWarning, match="CUDA is not available.* Disabling"):
            assert make()(lambda: t.ones(1).dtype)() == t.float32
    for make in (lambda: t.amp.GradScaler("cuda"), lambda: t.cuda.amp.GradScaler(init_scale=2.0)):
        with pytest.warns(UserWarning, match="CUDA is not available.* Disabling"):
            assert make().get_scale() == 1.0


@BOTH
@pytest.mark.filterwarnings("ignore:torch.set_default_tensor_type:UserWarning")
def test_an_older_name_of_the_default_dtype(t: Any) -> None:
    try:
        t.set_default_tensor_type("torch.DoubleTensor")
        assert t.ones(1).dtype == t.float64
        t.set_default_tensor_type(t.FloatTensor)
        assert t.ones(1).dtype == t.float32
        for other in (t.LongTensor, "torch.cuda.FloatTensor", 3):
            with pytest.raises(TypeError, match="only floating-point types are supported|type"):
                t.set_default_tensor_type(other)
    finally:
        t.set_default_dtype(t.float32)


def test_threads_are_set_where_they_are_used() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    def of_blas() -> set[int]:
        # NumPy's; PyTorch brings a library of its own
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas" and "numpy" in p["filepath"]}

    before, most = tinydl.get_num_threads(), threads.max_threads()
    with threadpool_limits(1, user_api="blas"):  # puts back at its end what is changed within
        try:
            for count in {1, most}:
                tinydl.set_num_threads(count)
                assert tinydl.get_num_threads() == threads.get_num_threads() == count
                assert of_blas() <= {count}
            tinydl.set_num_threads(10**6)
            assert tinydl.get_num_threads() == most
        finally:
            threads.set_num_threads(before)


@BOTH
def test_a_number_of_threads_that_is_none(t: Any) -> None:
    with pytest.raises(RuntimeError, match="set_num_threads expects a positive integer"):
        t.set_num_threads(0)
    with pytest.raises(RuntimeError, match="set_num_threads expects an int, but got float"):
        t.set_num_threads(1.5)


@BOTH
def test_seeds(t: Any) -> None:
    state = t.get_rng_state()
    t.manual_seed(7)
    assert t.initial_seed() == t.random.initial_seed() == 7
    first, second = t.seed(), t.random.seed()
    assert 0 <= first < 2**64 and first != second and t.initial_seed() == second
    assert t.Generator().seed() != t.Generator().seed()
    t.manual_seed(-1)
    assert t.initial_seed() == 2**64 - 1
    for number in (2**64, 2**70, -(2**63) - 1):
        with pytest.raises(ValueError, match=r"Overflow|seed lies in \[-2\*\*63, 2\*\*64\)"):
            t.manual_seed(number)
    t.set_rng_state(state)


@BOTH
def test_a_fork_of_the_generator_leaves_it_where_it_was(t: Any) -> None:
    t.manual_seed(3)
    wanted = t.rand(4).tolist()
    t.manual_seed(3)
    with t.random.fork_rng():
        t.manual_seed(9)
        t.rand(5)
    assert t.rand(4).tolist() == wanted
    t.manual_seed(3)
    with pytest.raises(KeyError), t.random.fork_rng(devices=[]):
        t.rand(5)
        raise KeyError
    assert t.rand(4).tolist() == wanted
    t.manual_seed(3)
    with t.random.fork_rng(enabled=False):
        t.rand(5)
    assert t.rand(4).tolist() != wanted


def test_an_unknown_name_says_where_to_look() -> None:
    with pytest.raises(AttributeError, match=r"'tinydl' has no attribute 'foo'.*docs/unsupported.md"):
        tinydl.foo  # noqa: B018
