// nvrtc: -std=c++17
//
// layer_norm and rms_norm forward along rows of at most 1024 numbers, one warp for each row.
//
// What changes: a row is read once and stays in the registers of a warp, so that mean, squares about it and results come from there;
// shuffles take the place of the block's barriers. Rows of up to 128 numbers have 4 a thread, longer ones 32.
//
// What it should gain: up to twice the block rung, and more for rows of few hundred numbers. (Unverified on hardware.)

// lives: if (threadIdx.x % (WARP + 1) == 0) {
//   another thread of each warp writes, which has the same
// lives: if (threadIdx.x % (WARP - 1) == 0) {
//   another thread of each warp writes, which has the same, or two

#include "rows.cuh"

#define WARPS 8

template <bool CENTRED, int EACH, bool PACKS, typename T>
__device__ void normalise(
    const T *x, const T *weight, const T *bias, T *y, T *means, T *scales, long long number, int columns, T eps)
{
    using Numbers = Row<T, EACH, PACKS>;
    Numbers row, factors;
    row.load(x + number * columns, columns, T(0));
    T mean = 0, squares = 0;
    if (CENTRED) {
        for (int e = 0; e < EACH; e += 1)
            mean += row.v[e];
        mean = over_warp(mean, Plus()) / max(columns, 1);
        for (int e = 0; e < EACH; e += 1)
            row.v[e] = Numbers::column(e) < columns ? row.v[e] - mean : 0;
    }
    for (int e = 0; e < EACH; e += 1)
        squares += row.v[e] * row.v[e];
    T scale = T(1) / sqrt(over_warp(squares, Plus()) / max(columns, 1) + eps);
    for (int e = 0; e < EACH; e += 1)
        row.v[e] *= scale;
    if (weight) {
        factors.load(weight, columns, T(0));
        for (int e = 0; e < EACH; e += 1)
            row.v[e] *= factors.v[e];
    }
    if (bias) {
        factors.load(bias, columns, T(0));
        for (int e = 0; e < EACH; e += 1)
            row.v[e] += factors.v[e];
    }
    row.store(y + number * columns, columns);
    if (threadIdx.x % WARP == 0) {
        if (CENTRED)
            means[number] = mean;
        scales[number] = scale;
    }
}

template <bool CENTRED, int EACH, typename T>
__device__ void norm(
    const T *x, const T *weight, const T *bias, T *y, T *means, T *scales, long long rows, int columns, T eps)
{
    long long row = (long long)blockIdx.x * WARPS + threadIdx.x / WARP;
    if (row >= rows)
        return;
    if (in_packs(x, columns) && in_packs(weight, columns) && in_packs(bias, columns))
        normalise<CENTRED, EACH, true>(x, weight, bias, y, means, scales, row, columns, eps);
    else
        normalise<CENTRED, EACH, false>(x, weight, bias, y, means, scales, row, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
layer_warp_float32_4(
    const float *x, const float *weight, const float *bias, float *y, float *means, float *rstds, long long rows, int columns, float eps)
{
    norm<true, 4>(x, weight, bias, y, means, rstds, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
rms_warp_float32_4(const float *x, const float *weight, float *y, float *scales, long long rows, int columns, float eps)
{
    norm<false, 4, float>(x, weight, nullptr, y, nullptr, scales, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
layer_warp_float32_32(
    const float *x, const float *weight, const float *bias, float *y, float *means, float *rstds, long long rows, int columns, float eps)
{
    norm<true, 32>(x, weight, bias, y, means, rstds, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
rms_warp_float32_32(const float *x, const float *weight, float *y, float *scales, long long rows, int columns, float eps)
{
    norm<false, 32, float>(x, weight, nullptr, y, nullptr, scales, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
layer_warp_float64_4(
    const double *x, const double *weight, const double *bias, double *y, double *means, double *rstds, long long rows, int columns, double eps)
{
    norm<true, 4>(x, weight, bias, y, means, rstds, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
rms_warp_float64_4(const double *x, const double *weight, double *y, double *scales, long long rows, int columns, double eps)
{
    norm<false, 4, double>(x, weight, nullptr, y, nullptr, scales, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
layer_warp_float64_32(
    const double *x, const double *weight, const double *bias, double *y, double *means, double *rstds, long long rows, int columns, double eps)
{
    norm<true, 32>(x, weight, bias, y, means, rstds, rows, columns, eps);
}

extern "C" __global__ void __launch_bounds__(256)
rms_warp_float64_32(const double *x, const double *weight, double *y, double *scales, long long rows, int columns, double eps)
{
    norm<false, 32, double>(x, weight, nullptr, y, nullptr, scales, rows, columns, eps);
}
