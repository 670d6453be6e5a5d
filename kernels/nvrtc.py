"""CUDA C++ to PTX and to machine code, by NVIDIA's run-time compiler (NVRTC) from its pip wheel; no GPU is needed.

    pip install nvidia-cuda-nvrtc==13.0.88

holds the compiler and the assembler behind it. It is loaded at the first :func:`compile_cuda`, by ctypes. What a kernel
costs (registers, spills, shared memory) is read from the assembler's own report.

A large file takes many seconds. What was compiled is therefore kept, when asked to, in the user's cache folder, under a
name that holds a hash of all that decides it: text, headers, options, compiler.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIP = "pip install nvidia-cuda-nvrtc==13.0.88"

#: The architectures that every kernel is compiled for: Turing, Ampere, Hopper.
ARCHITECTURES = ("75", "80", "90")

#: Files that are kept; the oldest go first.
MOST_KEPT = 1000


class NvrtcMissing(RuntimeError):
    """NVRTC is not installed, or its library cannot be loaded."""


class CompileError(RuntimeError):
    """CUDA C++ that does not compile: the first error, with its file and line; ``log`` has all of them."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers per thread; bytes of shared memory per block, and per thread of stack (local
    arrays) and of spills, stored and loaded."""

    registers: int
    shared: int
    stack: int
    spill_stores: int
    spill_loads: int

    @property
    def spills(self) -> int:
        """Bytes stored and loaded because registers ran out."""
        return self.spill_stores + self.spill_loads


@dataclass(frozen=True)
class Compiled:
    """The PTX; the machine code (empty when only PTX was asked for); the compiler's log; what each kernel takes."""

    ptx: str
    cubin: bytes
    log: str
    resources: dict[str, Resources] = field(default_factory=dict)


# -- the library -------------------------------------------------------------------------------------------------------


def _folders() -> Iterator[Path]:
    """Where the wheels put their libraries (CUDA 13 in one folder, CUDA 12 in one per library)."""
    found = importlib.util.find_spec("nvidia")
    for place in [] if found is None else found.submodule_search_locations or []:
        yield Path(place) / "cu13" / "lib"
        yield Path(place) / "cuda_nvrtc" / "lib"


@functools.lru_cache(maxsize=1)
def _library() -> Any:
    for folder in _folders():
        for path in sorted(folder.glob("libnvrtc.so.*")):
            for builtins in sorted(folder.glob("libnvrtc-builtins.so.*")):
                # the compiler opens this one by its bare name, which finds it only when it is loaded already
                ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(str(path))
    raise NvrtcMissing(f"CUDA kernels are compiled by NVRTC, which is not installed: {PIP}")


def available() -> bool:
    """Whether NVRTC can be loaded."""
    try:
        _library()
    except (NvrtcMissing, OSError):
        return False
    return True


def version() -> str:
    """NVRTC's version, as ``"13.0"``."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def _get(program: Any, what: str) -> bytes:
    """A text or a file that a program holds: its size is asked for, then its bytes."""
    library, size = _library(), ctypes.c_size_t()
    if getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) or not size.value:
        return b""
    buffer = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, buffer)
    return buffer.raw


# -- compiling ---------------------------------------------------------------------------------------------------------


def options_of(source: str) -> list[str]:
    """The options in a source's first lines: ``// nvrtc: -std=c++17 --use_fast_math``."""
    found: list[str] = []
    for line in source.splitlines():
        if not line.startswith("//"):
            break
        if line.startswith("// nvrtc:"):
            found += line.removeprefix("// nvrtc:").split()
    return found


def compile_cuda(
    source: str, name: str = "kernel.cu", *, architecture: str = "90", assemble: bool = True, lines: bool = True,
    include: Sequence[str | Path] = (), options: Sequence[str] = (), keep: bool = False,
) -> Compiled:  # fmt: skip
    """Compile a CUDA C++ text.

    name: stands in messages and source lines. architecture: "75", "80", "90", "90a". assemble: also make machine code
    and read what each kernel takes; without it only PTX comes, in a fraction of the time. lines: PTX names the source's
    lines, and is much longer for it. include: folders of headers.
    options: more of them, behind those of the source's ``// nvrtc:`` lines. keep: look for it among what was compiled
    earlier, in any process, and leave it there; a disk that is full or read-only costs that alone.

    Raises CompileError with the first error, NvrtcMissing with the line that installs it.
    """
    words = [f"-arch={'sm' if assemble else 'compute'}_{architecture}", "-default-device"]
    words += ["-lineinfo"] if lines else []
    words += ["--ptxas-options=-v"] if assemble else []
    words += [f"-I{folder}" for folder in include]
    words += [*options_of(source), *options]
    if not keep:
        return _compile(source, name, words, assemble)
    path = _kept() / f"{_key(source, name, words, include)}.bin"
    made = _read(path)
    if made is None:
        made = _compile(source, name, words, assemble)
        _write(path, made)
    return made


def _compile(source: str, name: str, words: Sequence[str], assemble: bool) -> Compiled:
    library = _library()
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
    try:
        given = (ctypes.c_char_p * len(words))(*(word.encode() for word in words))
        failed = library.nvrtcCompileProgram(program, len(words), given)
        log = _get(program, "ProgramLog").decode(errors="replace").rstrip("\0")
        if failed:
            raise CompileError(_first_error(log, name), log)
        ptx = _get(program, "PTX").decode().rstrip("\0")
        cubin = _get(program, "CUBIN") if assemble else b""
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    return Compiled(ptx, cubin, log, read_resources(log))


# -- what is kept ------------------------------------------------------------------------------------------------------


def _kept() -> Path:
    """``$XDG_CACHE_HOME/tinydl/cuda`` (``~/.cache`` by default)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "tinydl" / "cuda"


def _key(source: str, name: str, words: Sequence[str], include: Sequence[str | Path]) -> str:
    """A hash of all that decides what comes out. Folders count by the headers (``.cuh``) right in them, which are all
    that sources of ours include, not by where they are."""
    parts = [version(), str(Path(_library()._name).stat().st_size), name, source]
    parts += [word for word in words if not word.startswith("-I")]
    for folder in include:
        for header in sorted(Path(folder).glob("*.cuh")):
            parts += [header.name, header.read_text(encoding="utf-8")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _read(path: Path) -> Compiled | None:
    """What a file holds; None where there is none, or a damaged one: it begins with a digest of the rest."""
    try:
        digest, held = (whole := path.read_bytes())[:32], whole[32:]
    except OSError:
        return None
    if hashlib.sha256(held).digest() != digest:
        return None
    lengths, parts = held[:16], held[16:]
    ptx_end = int.from_bytes(lengths[:8], "little")
    log_end = ptx_end + int.from_bytes(lengths[8:], "little")
    ptx, log = zlib.decompress(parts[:ptx_end]).decode(), parts[ptx_end:log_end].decode()
    return Compiled(ptx, parts[log_end:], log, read_resources(log))


def _write(path: Path, made: Compiled) -> None:
    """Under its name a file is whole, whoever writes it at the same time."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with contextlib.suppress(OSError):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            ptx, log = zlib.compress(made.ptx.encode(), 1), made.log.encode()
            held = len(ptx).to_bytes(8, "little") + len(log).to_bytes(8, "little") + ptx + log + made.cubin
            temporary.write_bytes(hashlib.sha256(held).digest() + held)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        for old in sorted(path.parent.glob("*.bin"), key=lambda kept: kept.stat().st_mtime)[:-MOST_KEPT]:
            old.unlink(missing_ok=True)


def _first_error(log: str, name: str) -> str:
    """One sentence of a log."""
    lines = log.strip().splitlines() or ["?"]
    line = next((text for text in lines if "error" in text), lines[0])
    match = re.match(r"(?P<file>.*?)\((?P<line>\d+)\): error: (?P<what>.*)", line.strip())
    return f"{match['file']}:{match['line']}: {match['what']}" if match else f"{name}: {line.strip()}"


def read_resources(log: str) -> dict[str, Resources]:
    """What the assembler's report (``-v``) says of each kernel."""
    found: dict[str, Resources] = {}
    pattern = re.compile(
        r"Compiling entry function '(?P<name>[^']+)'.*?"
        r"Function properties for (?P=name)\s*\n\s*ptxas\s*\.\s*(?P<stack>\d+) bytes stack frame, "
        r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads\s*\n"
        r"[^\n]*Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
        re.DOTALL,
    )
    for match in pattern.finditer(log):
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        found[match["name"]] = Resources(
            int(match["registers"]), int(shared[1]) if shared else 0, int(match["stack"]), int(match["stores"]),
            int(match["loads"]),
        )  # fmt: skip
    return found
