"""``tinydl info``: what runs where, and why something does not."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from typing import Any

from tinydl.cli._output import clock, say, say_json, say_pairs, say_table
from tinydl.cli.parser import Command, Parser, add_json

_PACKAGES = ("numpy", "numba", "mido", "rich", "pooch", "threadpoolctl", "scipy", "matplotlib")
_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")  # the wheels by their CUDA, and a build of one's own


def _arguments(parser: Parser) -> None:
    parser.add_argument("--kernels", action="store_true", help="say instead what compiling each kernel cost")
    add_json(parser, "versions, threads and backends; with --kernels every compiled form and its seconds")


def _run(args: argparse.Namespace) -> int:
    if args.kernels:
        return _kernels(as_json=args.json)
    facts = gather()
    if args.json:
        say_json(facts)
        return 0
    for number, (title, values) in enumerate(facts.items()):
        if number:
            say()
        say(title)
        say_pairs((f"  {name}", value) for name, value in values.items())
    return 0


def gather() -> dict[str, dict[str, Any]]:
    """Everything that the command prints: versions, threads, backends, folders, names."""
    return {
        "versions": _versions(),
        "threads": _threads(),
        "backends": _backends(),
        "folders": _folders(),
        "names": _names(),
    }


def _versions() -> dict[str, str]:
    from tinydl.cli import version

    found = {"tinydl": version(), "python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["cupy"] = "not installed"
    for name in _CUPY:
        try:
            found["cupy"] = f"{importlib.metadata.version(name)} ({name})"
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _threads() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found: dict[str, Any] = {"cores": usable}
    try:
        import numba

        found["numba"] = numba.get_num_threads()
    except ImportError as error:
        found["numba"] = f"none: {error}"
    try:
        import numpy  # noqa: F401  (loads the BLAS that is asked about)
        import threadpoolctl

        for pool in threadpoolctl.threadpool_info():
            if pool["user_api"] == "blas":
                found[f"blas ({pool['internal_api']} {pool.get('version')})"] = pool["num_threads"]
    except ImportError as error:
        found["blas"] = f"unknown: {error}"
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if name in os.environ:
            found[name] = os.environ[name]
    return found


def _backends() -> dict[str, str]:
    return {
        "cpu (numpy)": "ready",
        "cpu (numba kernels)": _numba(),
        "cuda (cupy)": _cupy(),
        "cuda (nvrtc)": _nvrtc(),
        "cuda (numba-cuda)": _numba_cuda(),
        "wav (built-in synthesizer)": "ready",
        "wav (fluidsynth)": _fluidsynth(),
        "datasets (.mat files)": "ready" if _has("scipy") else "missing: pip install scipy",
    }


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _numba() -> str:
    try:
        import numba
    except Exception as error:  # a numba that does not fit this numpy raises more than ImportError
        return f"missing: {error}"
    return f"ready ({numba.config.CPU_NAME or platform.machine()})"


def _cupy() -> str:
    from tinydl.kernels import launcher

    try:
        gpu = launcher.Gpu()
    except launcher.NoGpu as lack:
        return f"missing: {lack}"
    driver = int(gpu.cupy.cuda.runtime.driverGetVersion())
    capability = f"{gpu.capability[:-1]}.{gpu.capability[-1]}"
    cuda = f"{driver // 1000}.{driver % 1000 // 10}"
    return f"ready ({gpu.name}, compute capability {capability}, a driver for CUDA {cuda})"


def _nvrtc() -> str:
    from tinydl.kernels import nvrtc

    try:
        return f"ready ({nvrtc.version()})"
    except (nvrtc.NvrtcMissing, OSError):
        return f"missing: CUDA kernels cannot be compiled: {nvrtc.PIP}"


def _numba_cuda() -> str:
    from tinydl.kernels import numba_cuda

    try:
        name = numba_cuda.cuda().__name__
    except numba_cuda.NumbaCudaMissing as lack:
        return f"missing: {lack}"
    if numba_cuda.available():
        return f"ready ({name})"
    return f"missing: kernels in Numba-CUDA cannot be compiled: {numba_cuda.PIP}"



def _fluidsynth() -> str:
    from tinydl.render.wav import find_soundfont

    program, soundfont = shutil.which("fluidsynth"), find_soundfont()
    if program is None:
        return "missing: fluidsynth is not on PATH; the built-in synthesizer is used"
    if soundfont is None:
        return f"missing: {program} has no soundfont (set TINYDL_SOUNDFONT to a .sf2); the built-in synthesizer is used"
    return f"ready ({program}, {soundfont})"


def _folders() -> dict[str, str]:
    from tinydl.data.datasets import cache_folder

    mirror = os.environ.get("TINYDL_DATA")
    return {
        "package": os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        "python": sys.executable,
        "datasets": str(cache_folder()),
        "data mirror ($TINYDL_DATA)": mirror or "not set",
        "compiled kernels": _kernel_folder(),
    }


def _kernel_folder() -> str:
    from tinydl.kernels import cache

    try:
        return str(cache.folder() or "nowhere: no folder can be written, so kernels are compiled in every process")
    except ImportError as error:
        return f"none: {error}"


def _names() -> dict[str, str]:
    from tinydl.data.splits import known_names
    from tinydl.registry import models

    return {"models": ", ".join(models()), "datasets": ", ".join(known_names())}


def _kernels(*, as_json: bool) -> int:
    from tinydl.kernels import cache

    costs, where = cache.costs(), cache.folder()
    size = sum(path.stat().st_size for path in where.rglob("*") if path.is_file()) if where else 0
    total = sum(c.seconds for c in costs)
    if as_json:
        kernels = [{"kernel": c.kernel, "form": c.form, "seconds": c.seconds} for c in costs]
        say_json({"folder": where and str(where), "bytes": size, "seconds": round(total, 4), "kernels": kernels})
        return 0
    if not costs:
        say(f"no kernels compiled yet in {where or 'this process'}: the first use of each compiles it")
        return 0
    seconds: dict[str, list[float]] = {}
    for cost in costs:
        seconds.setdefault(cost.kernel.removeprefix("tinydl.kernels."), []).append(cost.seconds)
    dearest = sorted(seconds.items(), key=lambda item: -sum(item[1]))
    say_table(
        ("kernel", "forms", "compiling (s)"),
        [(name, len(each), f"{sum(each):.2f}") for name, each in dearest],
    )
    say()
    say(f"{len(costs)} forms of {len(seconds)} kernels, compiled once on this machine in {clock(total)}")
    say(f"{size / 2**20:.1f} MiB in {where}")
    return 0


INFO = Command(
    description="Print versions, threads and backends, and why a backend is missing: paste it into a bug report.",
    examples=["tinydl info", "tinydl info --json", "tinydl info --kernels"],
    arguments=_arguments,
    run=_run,
)
