// nvrtc: -std=c++17
//
// layer_norm and rms_norm backward along rows of at most 1024 numbers (512 in float64), all of it in one pass.
//
// What changes: a warp has its row of x and of g in registers, finds the two means by shuffles, writes dx, and adds g h
// and g to sums that it keeps in registers for its columns while it goes on to its next row. At the end the sums of a
// block's warps are joined in shared memory, and a second launch adds up those of the blocks, of which there are no
// more than twice a GPU's multiprocessors.
//
// What it should gain: x and g are read once instead of three times, so up to twice the block rung and more. It takes
// many registers: two blocks of 128 threads share a multiprocessor, each thread with 16 loads of 16 bytes under way.
// (Unverified on hardware.)

// lives: for (int e = warp; e <= EACH; e += WARPS)
//   EACH stands for no column, as no row is longer than WARP * EACH
// lives: for (int e = warp; e < EACH; e += (WARPS - 1))
//   some sums are made and written twice, and are the same

#include "columns.cuh"
#include "rows.cuh"

#define WARPS 4

template <bool CENTRED, int EACH, bool PACKS, typename T>
__device__ void backward(
    const T *g, const T *x, const T *weight, const T *means, const T *scales, T *dx, T *dweights, T *dbiases,
    long long rows, int columns)
{
    using Numbers = Row<T, EACH, PACKS>;
    __shared__ T parts[WARPS][EACH][WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    T by_weight[EACH] = {0}, by_bias[EACH] = {0};
    for (long long row = (long long)blockIdx.x * WARPS + warp; row < rows; row += gridDim.x * WARPS) {
        T mean = CENTRED ? means[row] : T(0), scale = scales[row];
        Numbers h, q, factors;
        h.load(x + row * columns, columns, T(0));
        q.load(g + row * columns, columns, T(0));
        for (int e = 0; e < EACH; e += 1) {
            h.v[e] = (h.v[e] - mean) * scale;
            by_weight[e] += q.v[e] * h.v[e];
            if (CENTRED)
                by_bias[e] += q.v[e];
        }
        if (weight) {
            factors.load(weight, columns, T(0));
            for (int e = 0; e < EACH; e += 1)
                q.v[e] *= factors.v[e];
        }
        Two<T> sums = {T(0), T(0)};
        for (int e = 0; e < EACH; e += 1)
            sums = sums + Two<T>{q.v[e], q.v[e] * h.v[e]};
        sums = over_warp(sums, Plus());
        T first = CENTRED ? sums.a / columns : T(0), second = sums.b / columns;
        for (int e = 0; e < EACH; e += 1)
            h.v[e] = (q.v[e] - first - h.v[e] * second) * scale;
        h.store(dx + row * columns, columns);
    }
    auto join = [&](const T(&sums)[EACH], T *to) {
        for (int e = 0; e < EACH; e += 1)
            parts[warp][e][lane] = sums[e];
        __syncthreads();
        for (int e = warp; e < EACH; e += WARPS)
            if (Numbers::column(e) < columns) {
                T sum = parts[0][e][lane];
                for (int w = 1; w < WARPS; w += 1)
                    sum += parts[w][e][lane];
                to[(long long)blockIdx.x * columns + Numbers::column(e)] = sum;
            }
    };
    join(by_weight, dweights);
    if (CENTRED) {
        __syncthreads(); // all have read what is written again
        join(by_bias, dbiases);
    }
}

template <bool CENTRED, int EACH, typename T>
__device__ void norm_backward(
    const T *g, const T *x, const T *weight, const T *means, const T *scales, T *dx, T *dweights, T *dbiases,
    long long rows, int columns)
{
    if (in_packs(g, columns) && in_packs(x, columns) && in_packs(weight, columns))
        backward<CENTRED, EACH, true>(g, x, weight, means, scales, dx, dweights, dbiases, rows, columns);
    else
        backward<CENTRED, EACH, false>(g, x, weight, means, scales, dx, dweights, dbiases, rows, columns);
}

// The sums of what the blocks have found.
template <bool CENTRED, typename T>
__device__ void finish(const T *dweights, const T *dbiases, T *dweight, T *dbias, int parts, int columns)
{
    long long column = this_column();
    Two<T> sums = down(Two<T>{T(0), T(0)}, 0, column < columns ? parts : 0, [&](long long part) {
        return Two<T>{dweights[part * columns + column], CENTRED ? dbiases[part * columns + column] : T(0)};
    }, Plus());
    if (threadIdx.y == 0 && column < columns) {
        dweight[column] = sums.a;
        if (CENTRED)
            dbias[column] = sums.b;
    }
}

extern "C" __global__ void __launch_bounds__(128)
layer_fused_float32_4(
    const float *g, const float *x, const float *weight, const float *means, const float *rstds, float *dx,
    float *dweights,
    float *dbiases, long long rows, int columns)
{
    norm_backward<true, 4>(g, x, weight, means, rstds, dx, dweights, dbiases, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
rms_fused_float32_4(
    const float *g, const float *x, const float *weight, const float *scales, float *dx, float *dweights,
    long long rows,
    int columns)
{
    norm_backward<false, 4, float>(g, x, weight, nullptr, scales, dx, dweights, nullptr, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
layer_fused_float32_32(
    const float *g, const float *x, const float *weight, const float *means, const float *rstds, float *dx,
    float *dweights,
    float *dbiases, long long rows, int columns)
{
    norm_backward<true, 32>(g, x, weight, means, rstds, dx, dweights, dbiases, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
rms_fused_float32_32(
    const float *g, const float *x, const float *weight, const float *scales, float *dx, float *dweights,
    long long rows,
    int columns)
{
    norm_backward<false, 32, float>(g, x, weight, nullptr, scales, dx, dweights, nullptr, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
layer_fused_float64_4(
    const double *g, const double *x, const double *weight, const double *means, const double *rstds, double *dx,
    double *dweights,
    double *dbiases, long long rows, int columns)
{
    norm_backward<true, 4>(g, x, weight, means, rstds, dx, dweights, dbiases, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
rms_fused_float64_4(
    const double *g, const double *x, const double *weight, const double *scales, double *dx, double *dweights,
    long long rows,
    int columns)
{
    norm_backward<false, 4, double>(g, x, weight, nullptr, scales, dx, dweights, nullptr, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
layer_fused_float64_16(
    const double *g, const double *x, const double *weight, const double *means, const double *rstds, double *dx,
    double *dweights,
    double *dbiases, long long rows, int columns)
{
    norm_backward<true, 16>(g, x, weight, means, rstds, dx, dweights, dbiases, rows, columns);
}

extern "C" __global__ void __launch_bounds__(128)
rms_fused_float64_16(
    const double *g, const double *x, const double *weight, const double *scales, double *dx, double *dweights,
    long long rows,
    int columns)
{
    norm_backward<false, 16, double>(g, x, weight, nullptr, scales, dx, dweights, nullptr, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
layer_fused_finish_float32(const float *dweights, const float *dbiases, float *dweight, float *dbias, int parts,
int columns)
{
    finish<true>(dweights, dbiases, dweight, dbias, parts, columns);
}

extern "C" __global__ void __launch_bounds__(256)
rms_fused_finish_float32(const float *dweights, float *dweight, int parts, int columns)
{
    finish<false, float>(dweights, nullptr, dweight, nullptr, parts, columns);
}

extern "C" __global__ void __launch_bounds__(256)
layer_fused_finish_float64(const double *dweights, const double *dbiases, double *dweight, double *dbias, int parts,
int columns)
{
    finish<true>(dweights, dbiases, dweight, dbias, parts, columns);
}

extern "C" __global__ void __launch_bounds__(256)
rms_fused_finish_float64(const double *dweights, double *dweight, int parts, int columns)
{
    finish<false, double>(dweights, nullptr, dweight, nullptr, parts, columns);
}
