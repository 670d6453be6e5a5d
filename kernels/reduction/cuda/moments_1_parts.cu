// nvrtc: -std=c++17
//
// moments, the variance and the mean along a dimension of x [outer, n, inner], in one pass.
//
// What it does: how many numbers, their mean, and the squares of their distances from it are found together and joined
// by the formulas of Chan, Golub and LeVeque: nothing cancels where the mean is large, and x is read once. Rows (inner
// = 1) are read by a warp or a block in packs of 16 bytes; else a warp reads 32 lines side by side and 8 warps share
// out their numbers. Where there are few lines, several blocks take part in each, and a second launch joins what they
// have found. A line with an infinity has no mean.
//
// What to expect: the speed at which memory is read, if there are some hundred thousand numbers.
// (Unverified on hardware.)

#include "columns.cuh"
#include "rows.cuh"

// A line of n numbers is shared out among gridDim.y blocks, `span` to each. One block alone concludes at once; of
// several the parts, [.., splits, lines], are joined by another launch, in an order that depends on the sizes alone.
template <typename T>
__device__ void keep(Moments<T> part, T *parts, long long at, long long size)
{
    parts[at] = part.count;
    parts[size + at] = part.mean;
    parts[size * 2 + at] = part.squares;
}

template <typename T>
__device__ void conclude(Moments<T> all, T *variance, T *mean, long long line, long long n, T correction)
{
    variance[line] = all.squares / max(T(n) - correction, T(0));
    mean[line] = n ? all.mean : __int_as_float(0x7fffffff);
}

template <int THREADS, typename T>
__device__ void of_row(const T *x, T *parts, T *variance, T *mean, long long n, long long span, T correction)
{
    long long row = blockIdx.x, first = blockIdx.y * span;
    Moments<T> all = {T(0), T(0), T(0)};
    each_of<THREADS>(x + row * n + first, min(span, n - first), [&](T number, int) {
        all = Pool()(all, Moments<T>{T(1), number, T(0)});
    });
    all = over_block<THREADS>(all, Pool());
    if (threadIdx.x == 0) {
        if (gridDim.y == 1)
            conclude(all, variance, mean, row, n, correction);
        else
            keep(all, parts, (long long)blockIdx.y * gridDim.x + row, (long long)gridDim.y * gridDim.x);
    }
}

template <typename T>
__device__ void of_column(
    const T *x, T *parts, T *variance, T *mean, long long n, int inner, int tiles, long long span, T correction)
{
    long long outer = blockIdx.x / tiles, column = (blockIdx.x % tiles) * WARP + threadIdx.x, first = blockIdx.y * span;
    long long last = column < inner ? min(first + span, n) : first, line = outer * inner + column;
    x += outer * n * inner + column;
    Moments<T> all = down(Moments<T>{T(0), T(0), T(0)}, first, last, [&](long long i) {
        return Moments<T>{T(1), x[i * inner], T(0)};
    }, Pool());
    if (threadIdx.y == 0 && column < inner) {
        long long lines = (long long)(gridDim.x / tiles) * inner;
        if (gridDim.y == 1)
            conclude(all, variance, mean, line, n, correction);
        else
            keep(all, parts, blockIdx.y * lines + line, gridDim.y * lines);
    }
}

// A warp for each line.
template <typename T>
__device__ void finish(const T *parts, T *variance, T *mean, long long n, int splits, T correction)
{
    long long line = blockIdx.x, lines = gridDim.x, size = splits * lines;
    Moments<T> all = {T(0), T(0), T(0)};
    for (long long at = threadIdx.x * lines + line; at < size; at += WARP * lines)
        all = Pool()(all, Moments<T>{parts[at], parts[size + at], parts[size * 2 + at]});
    all = over_warp(all, Pool());
    if (threadIdx.x == 0)
        conclude(all, variance, mean, line, n, correction);
}

extern "C" __global__ void __launch_bounds__(32)
moments_rows_float32_32(const float *x, float *parts, float *variance, float *mean, long long n, long long span,
float correction)
{
    of_row<32>(x, parts, variance, mean, n, span, correction);
}

extern "C" __global__ void __launch_bounds__(256)
moments_rows_float32_256(const float *x, float *parts, float *variance, float *mean, long long n, long long span,
float correction)
{
    of_row<256>(x, parts, variance, mean, n, span, correction);
}

extern "C" __global__ void __launch_bounds__(256)
moments_columns_float32(const float *x, float *parts, float *variance, float *mean, long long n, int inner, int tiles,
long long span, float correction)
{
    of_column(x, parts, variance, mean, n, inner, tiles, span, correction);
}

extern "C" __global__ void __launch_bounds__(WARP)
moments_finish_float32(const float *parts, float *variance, float *mean, long long n, int splits, float correction)
{
    finish(parts, variance, mean, n, splits, correction);
}

extern "C" __global__ void __launch_bounds__(32)
moments_rows_float64_32(const double *x, double *parts, double *variance, double *mean, long long n, long long span,
double correction)
{
    of_row<32>(x, parts, variance, mean, n, span, correction);
}

extern "C" __global__ void __launch_bounds__(256)
moments_rows_float64_256(const double *x, double *parts, double *variance, double *mean, long long n, long long span,
double correction)
{
    of_row<256>(x, parts, variance, mean, n, span, correction);
}

extern "C" __global__ void __launch_bounds__(256)
moments_columns_float64(const double *x, double *parts, double *variance, double *mean, long long n, int inner,
int tiles, long long span, double correction)
{
    of_column(x, parts, variance, mean, n, inner, tiles, span, correction);
}

extern "C" __global__ void __launch_bounds__(WARP)
moments_finish_float64(const double *parts, double *variance, double *mean, long long n, int splits, double correction)
{
    finish(parts, variance, mean, n, splits, correction);
}
