"""Programs in CUDA C++, as NVRTC compiles them: mathematics, calls, local arrays, tensor cores, pipelines, grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

from tinydl.kernels import nvrtc, simt
from tinydl.kernels.simt import floats

pytestmark = pytest.mark.skipif(not nvrtc.available(), reason=f"compiling CUDA kernels needs NVRTC: {nvrtc.PIP}")


def compiled(source: str, architecture: str = "80") -> str:
    return nvrtc.compile_cuda(source, architecture=architecture, assemble=False).ptx


# -- mathematics -------------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, tuple[Any, float, float]] = {  # name -> (reference, from, to)
    "sin": (np.sin, -1e6, 1e6), "cos": (np.cos, -1e6, 1e6), "tan": (np.tan, -1, 1), "exp": (np.exp, -80, 80),
    "log": (np.log, 1e-30, 1e30), "log1p": (np.log1p, -0.9, 9), "expm1": (np.expm1, -5, 5), "tanh": (np.tanh, -9, 9),
    "sqrt": (np.sqrt, 0, 1e9), "rsqrt": (lambda x: 1 / np.sqrt(x), 1e-9, 1e9), "cbrt": (np.cbrt, -9, 9),
    "erf": (scipy.special.erf, -4, 4), "erfc": (scipy.special.erfc, -4, 9), "lgamma": (scipy.special.gammaln, 0.1, 30),
    "atan": (np.arctan, -9, 9), "asin": (np.arcsin, -1, 1), "sinh": (np.sinh, -9, 9), "asinh": (np.arcsinh, -9, 9),
    "floor": (np.floor, -9, 9), "rint": (np.rint, -9, 9), "exp2": (np.exp2, -20, 20),
    "exp10": (lambda x: 10.0**x, -9, 9),
    "erfinv": (scipy.special.erfinv, -0.99, 0.99), "normcdf": (scipy.special.ndtr, -5, 5),
    "j0": (scipy.special.j0, 0, 8), "cyl_bessel_i0": (scipy.special.i0, -5, 5),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["float", "double"])
def test_mathematics(kind: str) -> None:
    """All of them in one kernel; errors are relative to the largest value, as large as the functions' own."""
    suffix, dtype = ("f", np.float32) if kind == "float" else ("", np.float64)
    lines = "\n".join(f"    out[{n} * n + i] = {name}{suffix}(x[{n} * n + i]);" for n, name in enumerate(FUNCTIONS))
    source = f"""extern "C" __global__ void k(const {kind} *x, {kind} *out, int n)
{{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
{lines}
}}"""
    given = np.array([np.linspace(low, high, 150) for _, low, high in FUNCTIONS.values()]).astype(dtype)
    out = np.empty_like(given)
    simt.launch(compiled(source), "k", 5, 32, [given, simt.Fresh(out), 150])
    for x, got, (name, (reference, _, _)) in zip(given.astype(np.float64), out, FUNCTIONS.items()):
        with np.errstate(all="ignore"):
            wanted = reference(x)
        rtol, atol = (2e-6, 1e-6) if kind == "float" else (1e-13, 1e-13)
        close = np.isclose(got, wanted, rtol=rtol, atol=atol)
        assert close.all(), (name, x[~close][:3], got[~close][:3], wanted[~close][:3])


def test_fast_mathematics() -> None:
    source = """extern "C" __global__ void k(float *x)
{
    float v = x[threadIdx.x];
    x[threadIdx.x] = __expf(v) + __logf(v) + __sinf(v) + __fdividef(v, 3.0f) + __powf(v, 2.0f) + v / (v + 1.0f);
}"""
    x = np.linspace(0.1, 3, 32).astype(np.float32)
    v = x.astype(np.float64)
    ptx = nvrtc.compile_cuda(source, assemble=False, options=["--use_fast_math"]).ptx
    simt.launch(ptx, "k", 1, 32, [x])
    np.testing.assert_allclose(x, np.exp(v) + np.log(v) + np.sin(v) + v / 3 + v**2 + v / (v + 1), rtol=1e-6, atol=1e-6)


def test_integers_calls_structures_and_local_arrays() -> None:
    source = """
struct Pair { int a; double b; short c[3]; };
__device__ __noinline__ long long mixed(Pair p, unsigned n)
{
    long long sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum = sum * 31 + (p.a / ((int)i - 3)) % 7 + (long long)(p.b * i) + p.c[i % 3];
    return sum;
}
extern "C" __global__ void k(long long *out, Pair p, const int *table)
{
    int i = threadIdx.x, stack[9];
    for (int j = 0; j < 9; j++)
        stack[j] = table[(i + j) % 9];
    p.a += i;
    long long v = mixed(p, 2 + i % 2) + stack[(i * 5) % 9];
    switch (i % 5) {
    case 0: v *= 3; break;
    case 1: v ^= 0x5555; break;
    case 2: v = __popcll(v) + __clz((int)v) + __ffsll(v); break;
    case 3: v = (v >> 2) / 1000003 + __brev((unsigned)v); break;
    default: v = __mul64hi(v, 0x123456789abcdefll) - __umulhi((unsigned)v, 77u); break;
    }
    out[i] = v;
}"""
    table = np.arange(9, dtype=np.int32) * 11
    out = np.empty(64, np.int64)
    pair = np.zeros(1, np.dtype([("a", "i4"), ("b", "f8"), ("c", "i2", 3)], align=True))
    pair["a"], pair["b"], pair["c"] = -100, 2.75, [5, -6, 7]
    simt.launch(compiled(source), "k", 1, 64, [simt.Fresh(out), pair.tobytes(), table])

    def wrapped(v: int) -> int:
        return (v + (1 << 63)) % (1 << 64) - (1 << 63)

    def towards_zero(a: int, b: int) -> int:
        return -(abs(a) // abs(b)) if (a < 0) != (b < 0) else abs(a) // abs(b)

    for i in range(64):
        total, a = 0, -100 + i
        for j in range(2 + i % 2):
            q = towards_zero(a, j - 3)
            total = total * 31 + (q - towards_zero(q, 7) * 7) + int(2.75 * j) + [5, -6, 7][j % 3]
        v = total + int(table[(i + (i * 5) % 9) % 9])
        low, all_bits = v & 0xFFFFFFFF, v & ((1 << 64) - 1)
        if i % 5 == 0:
            v *= 3
        elif i % 5 == 1:
            v ^= 0x5555
        elif i % 5 == 2:
            v = all_bits.bit_count() + (32 - low.bit_length()) + ((all_bits & -all_bits).bit_length() if v else 0)
        elif i % 5 == 3:
            v = towards_zero(v >> 2, 1000003) + int(f"{low:032b}"[::-1], 2)
        else:
            v = (v * 0x123456789ABCDEF >> 64) - (low * 77 >> 32)
        assert out[i] == wrapped(v), i


# -- warps -------------------------------------------------------------------------------------------------------------

SUM = """
extern "C" __global__ void total(const float *x, float *out, int n)
{
    __shared__ float parts[8];
    float v = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        v += x[i];
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_down_sync(0xffffffffu, v, step);
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 8) {
        v = parts[threadIdx.x];
        for (int step = 4; step > 0; step /= 2)
            v += __shfl_down_sync(0xffu, v, step);
        if (threadIdx.x == 0)
            atomicAdd(out, v);
    }
}"""


def test_a_sum_over_warps_and_blocks() -> None:
    x = np.random.default_rng(0).standard_normal(3001).astype(np.float32)
    out = np.zeros(1, np.float32)
    counters = simt.launch(compiled(SUM), "total", 3, 256, [x, out, 3001])
    assert abs(out[0] - x.astype(np.float64).sum()) < 1e-3 and counters.mix["shfl"] > 0
    with pytest.raises(simt.Race, match="read after write.*parts"):
        simt.launch(compiled(SUM.replace("    __syncthreads();\n", "")), "total", 3, 256, [x, out, 3001])


# -- tensor cores behind an asynchronous pipeline ----------------------------------------------------------------------

PIPELINE = """
// C [16, 8] = A [16, K] B [K, 8] in bfloat16: one warp, two tiles of k in flight.
typedef unsigned short half_t;
__device__ unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ void copy16(void *to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(shared_address(to)), "l"(from));
}
extern "C" __global__ void product(const half_t *A, const half_t *B, float *C, int K)
{
    __shared__ alignas(16) half_t a[2][16][16], b[2][16][8];
    int lane = threadIdx.x;
    float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    int steps = K / 16;
    auto fetch = [&](int s) {
        copy16(&a[s % 2][lane / 2][lane % 2 * 8], A + lane / 2 * K + s * 16 + lane % 2 * 8);
        if (lane < 16)
            copy16(&b[s % 2][lane][0], B + (s * 16 + lane) * 8);
        asm volatile("cp.async.commit_group;");
    };
    fetch(0);
    for (int s = 0; s < steps; s++) {
        if (s + 1 < steps) {
            fetch(s + 1);
            asm volatile("cp.async.wait_group 1;");
        } else {
            asm volatile("cp.async.wait_group 0;");
        }
        __syncwarp();
        unsigned fa[4], fb[2];
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                     : "r"(shared_address(&a[s % 2][lane % 16][lane / 16 * 8])) : "memory");
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                     : "=r"(fb[0]), "=r"(fb[1]) : "r"(shared_address(&b[s % 2][lane % 16][0])) : "memory");
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
                     "{%8, %9}, {%0, %1, %2, %3};" : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
        __syncwarp();
    }
    for (int i = 0; i < 4; i++)
        C[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = c[i];
}"""


def product(source: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((16, 64)).astype(np.float32), rng.standard_normal((64, 8)).astype(np.float32)
    low_a, low_b = floats.to_bfloat16(a), floats.to_bfloat16(b)
    c = np.empty((16, 8), np.float32)
    simt.launch(compiled(source), "product", 1, 32, [low_a, low_b, simt.Fresh(c), 64])
    return c, floats.from_bfloat16(low_a).astype(np.float64) @ floats.from_bfloat16(low_b)


def test_a_pipeline_of_copies_into_tensor_cores() -> None:
    got, wanted = product(PIPELINE)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("cp.async.wait_group 1;", "cp.async.wait_group 2;", simt.Uninitialised),
        ("            asm volatile(\"cp.async.wait_group 0;\");\n", "            ;\n", simt.SimtError),
        ("        __syncwarp();\n        unsigned", "        unsigned", simt.Race),
        ("        __syncwarp();\n    }\n", "    }\n", simt.Race),
        ("lane / 2 * K + s * 16", "lane / 2 * K + s * 15", simt.Misaligned),
        ("(s * 16 + lane) * 8", "(s * 16 + lane) * 16", simt.OutOfBounds),
    ],
    ids=["wait-too-late", "no-wait", "no-barrier-before", "no-barrier-behind", "misaligned", "too-far"],
)
def test_slips_of_the_pipeline_are_seen(before: str, after: str, finding: type[Exception]) -> None:
    assert before in PIPELINE
    try:
        got, wanted = product(PIPELINE.replace(before, after))
    except finding:
        return
    assert finding is simt.SimtError and not np.allclose(got, wanted, rtol=1e-4, atol=1e-4)


# -- a persistent grid -------------------------------------------------------------------------------------------------

RELAY = """
// Every block adds its neighbour's number to its own, round after round; all wait for each other in between.
__device__ void wait_for_all(unsigned *count, unsigned target)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(count, 1);
        while (*(volatile unsigned *)count < target)
            ;
        __threadfence();
    }
    __syncthreads();
}
extern "C" __global__ void relay(unsigned *values, unsigned *count, int rounds)
{
    unsigned mine = blockIdx.x * blockDim.x + threadIdx.x, all = gridDim.x * blockDim.x, done = 0;
    for (int r = 0; r < rounds; r++) {
        unsigned other = values[(mine + blockDim.x) % all];
        wait_for_all(count, done += gridDim.x);
        values[mine] += other;
        wait_for_all(count, done += gridDim.x);
    }
}"""


def relay(source: str, blocks: int = 4) -> Any:
    values = np.arange(blocks * 64, dtype=np.uint32)
    simt.launch(compiled(source), "relay", blocks, 64, [values, np.zeros(1, np.uint32), 3])
    return values


def test_a_persistent_grid() -> None:
    wanted = np.arange(256, dtype=np.uint32)
    for _ in range(3):
        wanted = wanted + np.roll(wanted, -64)
    assert relay(RELAY).tolist() == wanted.tolist()


@pytest.mark.parametrize("number", range(4), ids=["first-barrier", "first-fence", "second-fence", "second-barrier"])
def test_slips_of_a_grid_wide_barrier_are_seen(number: int) -> None:
    words = ["    __syncthreads();\n    if", "        __threadfence();\n        atomicAdd",
             "        __threadfence();\n    }", "    }\n    __syncthreads();\n}"]  # fmt: skip
    kept = ["    if", "        atomicAdd", "    }", "    }\n}"]
    assert words[number] in RELAY
    with pytest.raises((simt.Race, simt.Deadlock)):
        relay(RELAY.replace(words[number], kept[number]))


def test_a_grid_that_counts_wrongly_is_a_deadlock() -> None:
    with pytest.raises(simt.Deadlock, match="polls"):
        relay(RELAY.replace("< target", "<= target"))
