// nvrtc: -std=c++17
//
// C = A B where C has at most 16 rows or 16 columns: a matrix times a few vectors.
//
// What changes: each number of the large matrix serves only 16 multiply-adds or fewer, so that reading it once, at the
// speed of memory, is all there is to gain; tiles of 128 x 128 would compute mostly zeros on a few multiprocessors. Here the few
// vectors (rows of A, or columns of B) go through shared memory, the large matrix straight into registers, 16 bytes per
// access and several accesses per thread on their way at once:
//
//     along K      numbers side by side along K (A as it is): a warp takes 4 rows, its lanes share K, and shuffles add up
//     across K     numbers side by side across (B as it is): lanes take columns, the block's 8 warps share K
//
// K is also cut into parts for different blocks where there are few rows or columns, so that all multiprocessors read.
// Where it is cut depends on the sizes alone, and a second kernel adds the parts in their order: the same bits on every
// GPU and in every run, without atomics.
//
// What it should gain: most of the machine's bandwidth at any of these shapes, where the large tiles reach a small part of
// it. (Unverified on hardware.)

#include "pack.cuh"
#include "warp.cuh"

#define THREADS 256
#define WARPS 8

// The large matrix [L, K] and the small one [S, K], by strides; where [l, s] of the result goes.
template <typename T>
struct Skinny {
    const T *large, *small;
    T *out;
    long long large_outer, large_k, small_outer, small_k, out_outer, out_small;
    int L, S, K;
};

// WIDE numbers of the large matrix from [outer, k] on, along K or across; zeros outside of [L, end].
template <bool ALONG, typename T>
__device__ Pack<T> load(const Skinny<T> &p, long long outer, int k, int end, bool whole)
{
    constexpr int WIDE = Pack<T>::COUNT;
    const T *from = p.large + outer * p.large_outer + k * p.large_k;
    Pack<T> pack;
    int inside = outer < p.L && k < end ? ALONG ? end - k : (int)min((long long)WIDE, p.L - outer) : 0;
    if (whole && inside >= WIDE)
        return get(from);
#pragma unroll
    for (int w = 0; w < WIDE; w += 1)
        pack.v[w] = w < inside ? from[w * (ALONG ? p.large_k : p.large_outer)] : 0;
    return pack;
}

// Rows of K numbers: 4 per warp, a chunk of K for all lanes at a time.
template <int MOST, typename T>
__device__ void along(const Skinny<T> &p, int begin, int end)
{
    constexpr int WIDE = Pack<T>::COUNT, ROWS = 4, STEPS = 2, CHUNK = STEPS * WARP * WIDE;
    __shared__ alignas(16) T small[MOST][CHUNK];
    bool whole = p.large_k == 1 && p.large_outer % WIDE == 0 && (size_t)p.large % 16 == 0;
    int lane = threadIdx.x % WARP;
    long long top = ((long long)blockIdx.x * WARPS + threadIdx.x / WARP) * ROWS;
    T sums[ROWS][MOST] = {{0}};
    for (int k = begin; k < end; k += CHUNK) {
        Pack<T> large[STEPS][ROWS]; // asked for before the barriers
#pragma unroll
        for (int step = 0; step < STEPS; step += 1)
#pragma unroll
            for (int r = 0; r < ROWS; r += 1)
                large[step][r] = load<true>(p, top + r, k + (step * WARP + lane) * WIDE, end, whole);
        __syncthreads();
        for (int at = threadIdx.x; at < MOST * CHUNK; at += THREADS) {
            int s = at / CHUNK, i = at % CHUNK;
            small[s][i] = s < p.S && k + i < end ? p.small[s * p.small_outer + (k + i) * p.small_k] : 0;
        }
        __syncthreads();
#pragma unroll
        for (int step = 0; step < STEPS; step += 1)
#pragma unroll
            for (int s = 0; s < MOST; s += 1) {
                Pack<T> few = get(&small[s][(step * WARP + lane) * WIDE]);
                for (int r = 0; r < ROWS; r += 1)
                    for (int w = 0; w < WIDE; w += 1)
                        sums[r][s] += large[step][r].v[w] * few.v[w];
            }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r += 1)
#pragma unroll
        for (int s = 0; s < MOST; s += 1) {
            T sum = over_warp(sums[r][s], Plus());
            if (lane == s && s < p.S && top + r < p.L)
                p.out[(top + r) * p.out_outer + s * p.out_small] = sum;
        }
}

// Columns of K numbers: WIDE per lane, each 8th k for a warp.
template <int MOST, typename T>
__device__ void across(const Skinny<T> &p, int begin, int end)
{
    constexpr int WIDE = Pack<T>::COUNT, EACH = 8, CHUNK = EACH * WARPS, COLUMNS = WARP * WIDE;
    __shared__ alignas(16) T small[CHUNK][MOST], sum[MOST][COLUMNS];
    bool whole = p.large_outer == 1 && p.large_k % WIDE == 0 && (size_t)p.large % 16 == 0;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    long long left = (long long)blockIdx.x * COLUMNS;
    T sums[MOST][WIDE] = {{0}};
    for (int k = begin; k < end; k += CHUNK) {
        Pack<T> large[EACH]; // asked for before the barriers
        for (int i = 0; i < EACH; i += 1)
            large[i] = load<false>(p, left + lane * WIDE, k + i * WARPS + warp, end, whole);
        __syncthreads();
        for (int at = threadIdx.x; at < MOST * CHUNK; at += THREADS) {
            int s = at % MOST, i = at / MOST;
            small[i][s] = s < p.S && k + i < end ? p.small[s * p.small_outer + (k + i) * p.small_k] : 0;
        }
        __syncthreads();
        for (int i = 0; i < EACH; i += 1)
            for (int s = 0; s < MOST; s += 1) {
                T one = small[i * WARPS + warp][s];
                for (int w = 0; w < WIDE; w += 1)
                    sums[s][w] += one * large[i].v[w];
            }
    }
    for (int turn = 0; turn < WARPS; turn += 1) { // in the order of the warps
        __syncthreads();
        if (warp == turn)
            for (int s = 0; s < MOST; s += 1) {
                Pack<T> pack = {};
                if (turn > 0)
                    pack = get(&sum[s][lane * WIDE]);
                for (int w = 0; w < WIDE; w += 1)
                    pack.v[w] += sums[s][w];
                *reinterpret_cast<float4 *>(&sum[s][lane * WIDE]) = *reinterpret_cast<float4 *>(pack.v);
            }
    }
    __syncthreads();
    for (int at = threadIdx.x; at < MOST * COLUMNS; at += THREADS) {
        int s = at / COLUMNS, column = at % COLUMNS;
        if (s < p.S && left + column < p.L)
            p.out[(left + column) * p.out_outer + s * p.out_small] = sum[s][column];
    }
}

// Block (x, y): some rows or columns of the large matrix, and k from y * span on, to a result of its own for each y.
#define ENTRY(NAME, FUNCTION, MOST, T)                                                                                 \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                              \
    NAME(const T *large, long long large_outer, long long large_k, const T *small, long long small_outer,              \
         long long small_k, T *out, long long out_outer, long long out_small, int L, int S, int K, int span)           \
    {                                                                                                                  \
        out += blockIdx.y * ((long long)L * S);                                                                        \
        Skinny<T> p = {large, small, out, large_outer, large_k, small_outer, small_k, out_outer, out_small, L, S, K};  \
        int begin = blockIdx.y * span;                                                                                 \
        FUNCTION<MOST>(p, begin, min(K, begin + span));                                                                \
    }

ENTRY(skinny_along_1_float32, along, 1, float)
ENTRY(skinny_along_16_float32, along, 16, float)
ENTRY(skinny_along_16_float64, along, 16, double)
ENTRY(skinny_across_1_float32, across, 1, float)
ENTRY(skinny_across_16_float32, across, 16, float)
ENTRY(skinny_across_16_float64, across, 16, double)

// C = the sum of its parts, in their order.
template <typename T>
__device__ void add(const T *parts, T *C, long long count, int many)
{
    long long at = blockIdx.x * (long long)THREADS + threadIdx.x;
    if (at < count) {
        T sum = parts[at];
        for (int part = 1; part < many; part += 1)
            sum += parts[part * count + at];
        C[at] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
skinny_sum_float32(const float *parts, float *C, long long count, int many)
{
    add(parts, C, count, many);
}

extern "C" __global__ void __launch_bounds__(THREADS)
skinny_sum_float64(const double *parts, double *C, long long count, int many)
{
    add(parts, C, count, many);
}
