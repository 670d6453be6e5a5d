// nvrtc: -std=c++17
//
// layer_norm and rms_norm backward: dx by a block for each row, dweight and dbias by two launches over columns.
//
// What it does: dx = scale (q - mean(q) - h mean(q h)), q = g weight, h = (x - mean) scale, takes two passes over a
// row, for the two means and for dx (rms_norm has no mean, and no mean(q)). The sums down the columns have launches of
// their own: strips of rows, then the strips' sums. So x and g are read three times.
//
// What to expect: half the speed of a kernel that reads them once, which the next rung does for rows that fit.
// (Unverified on hardware.)

// lives: for (int at = threadIdx.x; at < columns; at += (THREADS - 1)) {
//   some numbers are made and written twice, and are the same

#include "columns.cuh"

#define THREADS 256

template <bool CENTRED, typename T>
__device__ void rows_backward(
    const T *g, const T *x, const T *weight, const T *means, const T *scales, T *dx, int columns)
{
    long long row = blockIdx.x;
    T mean = CENTRED ? means[row] : T(0), scale = scales[row];
    g += row * columns;
    x += row * columns;
    dx += row * columns;
    Two<T> sums = {T(0), T(0)};
    for (int c = threadIdx.x; c < columns; c += THREADS) {
        T q = weight ? g[c] * weight[c] : g[c];
        sums = sums + Two<T>{q, q * ((x[c] - mean) * scale)};
    }
    sums = over_block<THREADS>(sums, Plus());
    T first = CENTRED ? sums.a / columns : T(0), second = sums.b / columns;
    for (int at = threadIdx.x; at < columns; at += THREADS) {
        T q = weight ? g[at] * weight[at] : g[at];
        dx[at] = (q - first - (x[at] - mean) * scale * second) * scale;
    }
}

// sum g h and sum g down a strip of rows.
template <bool CENTRED, typename T>
__device__ void strips(
    const T *g, const T *x, const T *means, const T *scales, T *dweights, T *dbiases, long long rows, int columns,
    int strip)
{
    long long column = this_column(), first = (long long)blockIdx.y * strip;
    long long last = column < columns ? min(first + strip, rows) : first;
    Two<T> sums = down(Two<T>{T(0), T(0)}, first, last, [&](long long row) {
        T one = g[row * columns + column], mean = CENTRED ? means[row] : T(0);
        return Two<T>{one * ((x[row * columns + column] - mean) * scales[row]), one};
    }, Plus());
    if (threadIdx.y == 0 && column < columns) {
        dweights[blockIdx.y * (long long)columns + column] = sums.a;
        if (CENTRED)
            dbiases[blockIdx.y * (long long)columns + column] = sums.b;
    }
}

// The sums of what the strips have found.
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

extern "C" __global__ void __launch_bounds__(THREADS)
layer_block_rows_float32(
    const float *g, const float *x, const float *weight, const float *means, const float *rstds, float *dx, int columns)
{
    rows_backward<true>(g, x, weight, means, rstds, dx, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_block_rows_float32(const float *g, const float *x, const float *weight, const float *scales, float *dx, int columns)
{
    rows_backward<false, float>(g, x, weight, nullptr, scales, dx, columns);
}

extern "C" __global__ void __launch_bounds__(256, 1)
layer_block_strips_float32(
    const float *g, const float *x, const float *means, const float *rstds, float *dweights, float *dbiases,
    long long rows,
    int columns, int strip)
{
    strips<true>(g, x, means, rstds, dweights, dbiases, rows, columns, strip);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rms_block_strips_float32(
    const float *g, const float *x, const float *scales, float *dweights, long long rows, int columns, int strip)
{
    strips<false, float>(g, x, nullptr, scales, dweights, nullptr, rows, columns, strip);
}

extern "C" __global__ void __launch_bounds__(THREADS)
layer_block_rows_float64(
    const double *g, const double *x, const double *weight, const double *means, const double *rstds, double *dx,
    int columns)
{
    rows_backward<true>(g, x, weight, means, rstds, dx, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_block_rows_float64(const double *g, const double *x, const double *weight, const double *scales, double *dx,
int columns)
{
    rows_backward<false, double>(g, x, weight, nullptr, scales, dx, columns);
}

extern "C" __global__ void __launch_bounds__(256, 1)
layer_block_strips_float64(
    const double *g, const double *x, const double *means, const double *rstds, double *dweights, double *dbiases,
    long long rows,
    int columns, int strip)
{
    strips<true>(g, x, means, rstds, dweights, dbiases, rows, columns, strip);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rms_block_strips_float64(
    const double *g, const double *x, const double *scales, double *dweights, long long rows, int columns, int strip)
{
    strips<false, double>(g, x, nullptr, scales, dweights, nullptr, rows, columns, strip);
}

extern "C" __global__ void __launch_bounds__(256)
layer_block_finish_float32(const float *dweights, const float *dbiases, float *dweight, float *dbias, int parts,
int columns)
{
    finish<true>(dweights, dbiases, dweight, dbias, parts, columns);
}

extern "C" __global__ void __launch_bounds__(256)
rms_block_finish_float32(const float *dweights, float *dweight, int parts, int columns)
{
    finish<false, float>(dweights, nullptr, dweight, nullptr, parts, columns);
}

extern "C" __global__ void __launch_bounds__(256)
layer_block_finish_float64(const double *dweights, const double *dbiases, double *dweight, double *dbias, int parts,
int columns)
{
    finish<true>(dweights, dbiases, dweight, dbias, parts, columns);
}

extern "C" __global__ void __launch_bounds__(256)
rms_block_finish_float64(const double *dweights, double *dweight, int parts, int columns)
{
    finish<false, double>(dweights, nullptr, dweight, nullptr, parts, columns);
}
