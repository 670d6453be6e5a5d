"""The ledger of CUDA kernels: ``python -m tinydl.benchmarks gpu [NAME ...]``, on a machine with a GPU.

Every kernel is first *verified*: with fresh random arguments of every case and sample, results poisoned before, against
the operation's reference in float64. A wrong one is written down as wrong and not timed. Then it is *timed* over the
card's cases and those of :data:`LARGE`, by the device's events, cold (its second-level cache flushed) and warm apart,
in turns with its rivals: cuBLAS through CuPy for products, and PyTorch's function of the card where PyTorch sees the
GPU.

Rows go to ``benchmarks/results/gpu/ledger.csv`` and ``ledger.json``, under the SHA-256 of source, headers and options:
a kernel whose digest has no row is *unverified on hardware*. It goes on where it stopped: what has its row on this
device is not run again (``--again`` does), and ``--seconds`` ends it between two kernels.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinydl.benchmarks.harness import RESULTS
from tinydl.kernels import card, use
from tinydl.kernels.gpu import CudaKernel, cuda_kernels, expanded
from tinydl.kernels.nvrtc import CompileError

TITLE = "CUDA kernels on a GPU: verified, and timed beside cuBLAS and PyTorch (needs CuPy and a GPU)"
LEDGER = RESULTS / "gpu"
REPEATS = 50  # timings of each kind
SHARE = 4e9  # bytes of a case's arguments above which it is left out
UNVERIFIED = "unverified on hardware"

Case = Callable[[Any], tuple[Any, ...]]


def _matrices(M: int, K: int, N: int) -> Case:
    def case(dtype: Any) -> tuple[Any, ...]:
        rng = np.random.default_rng()
        return tuple(rng.standard_normal(shape, np.float32).astype(dtype) for shape in ((M, K), (K, N)))

    return case


#: Sizes that are worth a GPU, beside the card's own cases.
LARGE: dict[str, dict[str, Case]] = {
    "matmul": {
        "4096 x 4096 x 4096": _matrices(4096, 4096, 4096), "8192 x 8192 x 8192": _matrices(8192, 8192, 8192),
        "16 x 4096 x 4096": _matrices(16, 4096, 4096), "4096 x 4096 x 16": _matrices(4096, 4096, 16),
        "1 x 4096 x 4096": _matrices(1, 4096, 4096),
    },
}  # fmt: skip


@dataclass
class Entry:
    """A row: one kernel, one case, one dtype, on one device. Times are medians in microseconds."""

    sha256: str
    kernel: str
    source: str
    dtype: str
    case: str
    verified: bool
    error: float  # of what is allowed
    problem: str = ""
    warm_us: float | None = None
    warm_iqr: float | None = None
    cold_us: float | None = None
    cold_iqr: float | None = None
    gflops: float | None = None
    gbps: float | None = None  # cold
    roof: float | None = None  # share of the copy's bandwidth, cold
    rival: str = ""
    rival_us: float | None = None  # warm
    ratio: float | None = None  # rival / ours, warm
    device: str = ""
    capability: str = ""
    driver: str = ""
    nvrtc: str = ""
    cupy: str = ""
    clock_mhz: str = ""
    memory_clock_mhz: str = ""
    date: str = ""

    def line(self) -> str:
        """For people."""
        where = f"{self.kernel} {self.dtype} {self.case}"
        if not self.verified:
            return f"{where}: WRONG: {self.problem}"
        if self.warm_us is None or self.cold_us is None:
            return f"{where}: right ({self.error:.2f} of what is allowed)"
        rate = f"{self.gflops:.0f} GFLOP/s, {self.gbps:.0f} GB/s cold"
        beside = f", {self.ratio:.2f} of {self.rival}" if self.ratio is not None else ""
        return f"{where}: {self.warm_us:.1f} us warm, {self.cold_us:.1f} us cold, {rate}{beside}"


# -- the digest, and what is known -------------------------------------------------------------------------------------


def digest(kernel: CudaKernel) -> str:
    """SHA-256 of the source with its headers, and of the other files that it launches; options stand in first lines."""
    return hashlib.sha256("".join([kernel.whole()[0], *map(expanded, kernel.also)]).encode()).hexdigest()


def entries(folder: Path = LEDGER) -> list[Entry]:
    """All rows of the ledger, oldest first."""
    path = folder / "ledger.json"
    if not path.exists():
        return []
    known: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    return sorted((Entry(**row) for rows in known.values() for row in rows), key=lambda e: e.date)


def standing(kernel: CudaKernel, folder: Path = LEDGER) -> str:
    """``"verified on NVIDIA H100"``, ``"WRONG on NVIDIA H100"``, or :data:`UNVERIFIED`."""
    wanted = digest(kernel)
    found = [e for e in entries(folder) if e.sha256 == wanted and e.kernel == kernel.key]
    wrong = [e.device for e in found if not e.verified]
    if wrong:
        return f"WRONG on {', '.join(dict.fromkeys(wrong))}"
    return f"verified on {', '.join(dict.fromkeys(e.device for e in found))}" if found else UNVERIFIED


def write(rows: Iterable[Entry], folder: Path = LEDGER) -> None:
    """Add rows to the ledger, each in the place of an older one of its kernel, case, dtype and device."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {(e.sha256, e.kernel, e.dtype, e.case, e.device): e for e in [*entries(folder), *rows]}
    by_digest: dict[str, list[dict[str, Any]]] = {}
    for entry in known.values():
        by_digest.setdefault(entry.sha256, []).append(dataclasses.asdict(entry))
    _replace(folder / "ledger.json", json.dumps(by_digest, indent=1) + "\n")
    lines = [[f.name for f in dataclasses.fields(Entry)]]
    lines += [["" if v is None else str(v) for v in dataclasses.astuple(entry)] for entry in known.values()]
    partial = folder / "ledger.csv.partial"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    partial.replace(folder / "ledger.csv")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


# -- one kernel --------------------------------------------------------------------------------------------------------


def _cases(kernel: CudaKernel, dtype: Any) -> Iterator[tuple[str, tuple[Any, ...], bool]]:
    """(name, arguments, whether it is worth timing): the kernel's samples, the card's cases, large ones."""
    about = card(kernel.op)
    with use(**{about.forward: "numpy"}) if about.forward else use():
        for number, arguments in enumerate(kernel.samples(dtype)):
            yield f"sample {number}", arguments, False
        for name, case in {**about.cases, **LARGE.get(kernel.op, {})}.items():
            yield name, case(dtype), True


def examine(gpu: Any, kernel: CudaKernel, say: Callable[[str], None] = lambda line: None) -> list[Entry]:
    """Verify a kernel and, when it is right, time it; a row for each case, one for all samples together."""
    from tinydl.kernels.launcher import NoRoom

    facts = {**gpu.facts(), "date": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())}
    base = {"sha256": digest(kernel), "kernel": kernel.key, "source": kernel.source.name, **facts}
    rows: list[Entry] = []
    for dtype in kernel.dtypes:
        worst, tried = 0.0, 0
        for name, arguments, timed in _cases(kernel, np.dtype(dtype).type):
            size = sum(a.nbytes for a in arguments if isinstance(a, np.ndarray))
            if not kernel.accepts(*arguments) or size > SHARE:
                continue
            try:
                problem, error = verify(gpu, kernel, arguments)
            except NoRoom as refusal:
                say(f"{kernel.key} {name}: left out, {refusal}")
                continue
            except CompileError as failure:
                problem, error = str(failure), np.inf
            if problem or timed:
                rows.append(Entry(**base, dtype=dtype, case=name, verified=not problem, error=error, problem=problem))
            if problem:
                say(rows[-1].line())
                return [rows[-1]]  # a wrong kernel is not timed
            if timed:
                _time(gpu, kernel, arguments, rows[-1])
                say(rows[-1].line())
            else:
                worst, tried = max(worst, error), tried + 1
        if tried:
            rows.append(Entry(**base, dtype=dtype, case=f"{tried} samples", verified=True, error=worst))
            say(rows[-1].line())
    return rows


def verify(gpu: Any, kernel: CudaKernel, arguments: tuple[Any, ...]) -> tuple[str, float]:
    """What is wrong with a kernel's results on the device (nothing: empty), and their error as a share of what is
    allowed."""
    from tinydl.lab import cuda

    def function(*given: Any) -> Any:
        calls, results = kernel.plan(gpu.empty, *given)
        launch, fetch = gpu.prepare(kernel, calls)
        launch()
        fetch()
        found = tuple(gpu.get(result) for result in results)
        return found if len(found) > 1 else found[0]

    return cuda.compare(kernel, arguments, card(kernel.op).call(function, cuda.copied(arguments)))


def _time(gpu: Any, kernel: CudaKernel, arguments: tuple[Any, ...], entry: Entry) -> None:
    """Fill in the times of one case, the kernel's and its best rival's in turns."""
    about = card(kernel.op)
    launch, _ = _launching(gpu, kernel, arguments)
    rivals = {"": launch, **_rivals(gpu, kernel, arguments)}
    for action in rivals.values():
        action()  # what is made at a first call
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    cold: list[float] = []
    for _ in range(REPEATS // 10):
        for name, action in rivals.items():
            taken[name] += gpu.seconds(action, 10)
        cold += gpu.seconds(launch, 10, cold=True)
    entry.warm_us, entry.warm_iqr = _middle(taken[""])
    entry.cold_us, entry.cold_iqr = _middle(cold)
    entry.gflops = about.flops(*arguments) / entry.warm_us / 1e3
    entry.gbps = about.bytes(*arguments) / entry.cold_us / 1e3
    entry.roof = entry.gbps * 1e9 / _bandwidth(gpu)
    best = min((_middle(times)[0], name) for name, times in taken.items() if name) if len(taken) > 1 else None
    if best is not None:
        entry.rival_us, entry.rival = best
        entry.ratio = entry.rival_us / entry.warm_us


def _launching(gpu: Any, kernel: CudaKernel, arguments: tuple[Any, ...]) -> tuple[Callable[[], None], Any]:
    """The launches of one call, as they are timed."""
    found: list[Any] = []

    def function(*given: Any) -> Any:
        calls, results = kernel.plan(gpu.empty, *given)
        found.append((gpu.prepare(kernel, calls), results))
        host = tuple(gpu.get(result) for result in results)
        return host if len(host) > 1 else host[0]

    card(kernel.op).call(function, arguments)
    return found[0][0]  # type: ignore[no-any-return]


def _middle(seconds: list[float]) -> tuple[float, float]:
    """Median and distance of the quartiles, in microseconds."""
    low, middle, high = np.quantile(np.array(seconds) * 1e6, (0.25, 0.5, 0.75)).tolist()
    return middle, high - low


@functools.lru_cache(maxsize=1)
def _bandwidth(gpu: Any) -> float:
    return float(gpu.copy_bandwidth())


def _rivals(gpu: Any, kernel: CudaKernel, arguments: tuple[Any, ...]) -> dict[str, Callable[[], Any]]:
    """By name, the same work by others on the device: the results are not looked at."""
    found: dict[str, Callable[[], Any]] = {}
    if kernel.op == "matmul" and hasattr(gpu, "cupy"):
        a, b = (gpu.put(x) for x in arguments)
        found["cuBLAS"] = lambda: gpu.cupy.matmul(a, b)
    torch = _torch()
    if torch is not None:
        for name, make in card(kernel.op).rivals.items():
            found[name] = make(_OnDevice(torch), *arguments)
    return found


class _OnDevice:
    """PyTorch, whose tensors of arrays are on the GPU."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def from_numpy(self, array: Any) -> Any:
        """A copy on the GPU."""
        return self._torch.from_numpy(array).cuda()


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


# -- the command -------------------------------------------------------------------------------------------------------


def run(
    gpu: Any, kernels: Iterable[CudaKernel], say: Callable[[str], None], *, folder: Path = LEDGER,
    seconds: float = float("inf"), again: bool = False,
) -> bool:  # fmt: skip
    """Examine kernels one after another and write each down at once; whether all were right."""
    started, right = time.monotonic(), True
    device = gpu.facts()["device"]
    done = {(e.sha256, e.kernel) for e in entries(folder) if e.device == device}
    for kernel in kernels:
        if time.monotonic() - started > seconds:
            say(f"{seconds:.0f} s are over; the next run goes on with {kernel.key}")
            break
        if int(gpu.facts()["capability"]) < int(kernel.minimum):
            say(f"{kernel.key}: left out, {device} lacks {kernel.needs}")
        elif (digest(kernel), kernel.key) in done and not again:
            say(f"{kernel.key}: {standing(kernel, folder)}")
        else:
            rows = examine(gpu, kernel, say)
            right = right and all(row.verified for row in rows)
            write(rows, folder)
    return right


def parser() -> argparse.ArgumentParser:
    """Of the command's options."""
    made = argparse.ArgumentParser(prog="python -m tinydl.benchmarks gpu", description=TITLE)
    made.add_argument("names", nargs="*", metavar="NAME", help="OP, OP:NAME or NAME (default: all)")
    made.add_argument("--seconds", type=float, default=float("inf"), help="begin no other kernel after so long")
    made.add_argument("--again", action="store_true", help="run what has its rows too")
    return made


def main(argv: Sequence[str]) -> int:
    """Exit code 1 when a kernel is wrong, 2 where there is no GPU or no such kernel."""
    from tinydl.kernels.launcher import Gpu, NoGpu
    from tinydl.lab import cuda

    options = parser().parse_args(list(argv))
    try:
        kernels = cuda.chosen(options.names)
    except KeyError as error:
        known = ", ".join(kernel.key for kernel in cuda_kernels())
        print(f"tinydl.benchmarks: error: there is no CUDA kernel {error.args[0]!r}; known: {known}", file=sys.stderr)
        return 2
    try:
        gpu = Gpu()
    except NoGpu as error:
        print(f"tinydl.benchmarks: error: {error}", file=sys.stderr)
        return 2
    right = run(gpu, kernels, functools.partial(print, flush=True), seconds=options.seconds, again=options.again)
    return int(not right)
