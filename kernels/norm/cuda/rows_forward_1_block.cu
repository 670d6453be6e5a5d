// nvrtc: -std=c++17
//
// layer_norm and rms_norm forward, one block for each row.
//
// What it does: the first pass finds a row's mean and the squares of the distances from it together, each thread for its own
// numbers, and joins what the threads have found (Welford; Chan, Golub and LeVeque); sum x^2 - mean^2 would cancel where the mean
// is large. The second writes the results. Rows may have any length.
//
// What to expect: the speed of memory for rows of thousands; a row is read twice, the second time from the caches if it is
// not long. Short rows leave most of a block idle and wait for its barriers. (Unverified on hardware.)

#include "rows.cuh"

#define THREADS 256

template <typename T>
__device__ void layer_norm(
    const T *x, const T *weight, const T *bias, T *y, T *means, T *rstds, int columns, T eps)
{
    x += (long long)blockIdx.x * columns;
    y += (long long)blockIdx.x * columns;
    Moments<T> all = {T(0), T(0), T(0)};
    each_of<THREADS>(x, columns, [&](T number, int) { all = Pool()(all, Moments<T>{T(1), number, T(0)}); });
    all = over_block<THREADS>(all, Pool());
    T mean = all.mean, rstd = T(1) / sqrt(all.squares / max(columns, 1) + eps);
    map<THREADS>(x, y, columns, [&](T number, int c) {
        T h = (number - mean) * rstd;
        h *= weight ? weight[c] : T(1);
        return h + (bias ? bias[c] : T(0));
    });
    if (threadIdx.x == 0) {
        means[blockIdx.x] = mean;
        rstds[blockIdx.x] = rstd;
    }
}

template <typename T>
__device__ void rms_norm(const T *x, const T *weight, T *y, T *scales, int columns, T eps)
{
    x += (long long)blockIdx.x * columns;
    y += (long long)blockIdx.x * columns;
    T squares = 0;
    each_of<THREADS>(x, columns, [&](T number, int) { squares += number * number; });
    squares = over_block<THREADS>(squares, Plus());
    T scale = T(1) / sqrt(squares / max(columns, 1) + eps);
    map<THREADS>(x, y, columns, [&](T number, int c) { return number * scale * (weight ? weight[c] : T(1)); });
    if (threadIdx.x == 0)
        scales[blockIdx.x] = scale;
}

extern "C" __global__ void __launch_bounds__(THREADS)
layer_block_float32(
    const float *x, const float *weight, const float *bias, float *y, float *means, float *rstds, int columns, float eps)
{
    layer_norm(x, weight, bias, y, means, rstds, columns, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_block_float32(const float *x, const float *weight, float *y, float *scales, int columns, float eps)
{
    rms_norm(x, weight, y, scales, columns, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
layer_block_float64(
    const double *x, const double *weight, const double *bias, double *y, double *means, double *rstds, int columns, double eps)
{
    layer_norm(x, weight, bias, y, means, rstds, columns, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
rms_block_float64(const double *x, const double *weight, double *y, double *scales, int columns, double eps)
{
    rms_norm(x, weight, y, scales, columns, eps);
}
