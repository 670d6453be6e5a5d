// nvrtc: -std=c++17
//
// softmax and log_softmax along rows of at most 1024 numbers, one warp for each row.
//
// What changes: a row is read once, by 32 threads together, and stays in their registers; its greatest number and its sum are
// found by shuffles. Every number moves twice, in and out, which is the least there can be. Up to 128 numbers a thread holds
// 4, beyond 32, so that short rows do not pay for long ones in registers.
//
// What it should gain: about eight times the naive rung along rows, to the speed of a copy. (Unverified on hardware.)

// lives: for (int e = 1; e <= EACH; e += 1)
//   v[EACH] does not exist, so that the compiler leaves the iteration out
// lives: row.v[e] -= (top + 1);
//   what is taken out of a row is divided out again
// lives: row.v[e] -= (top - 1);
//   what is taken out of a row is divided out again

#include "rows.cuh"

#define WARPS 8

template <bool LOG, int EACH, bool PACKS, typename T>
__device__ void softmax_row(const T *x, T *y, int columns)
{
    Row<T, EACH, PACKS> row;
    row.load(x, columns, -INFINITE);
    T top = row.v[0];
    for (int e = 1; e < EACH; e += 1)
        top = max(top, row.v[e]);
    top = over_warp(top, Largest());
    T sum = 0;
    for (int e = 0; e < EACH; e += 1) {
        row.v[e] -= top;
        T power = exp(row.v[e]);
        sum += power;
        if (!LOG)
            row.v[e] = power;
    }
    sum = over_warp(sum, Plus());
    T factor = T(1) / sum, shift = log(sum);
    for (int e = 0; e < EACH; e += 1)
        row.v[e] = LOG ? row.v[e] - shift : row.v[e] * factor;
    row.store(y, columns);
}

template <bool LOG, int EACH, typename T>
__device__ void softmax(const T *x, T *y, long long rows, int columns)
{
    long long row = (long long)blockIdx.x * WARPS + threadIdx.x / WARP;
    if (row >= rows)
        return;
    if (in_packs(x, columns))
        softmax_row<LOG, EACH, true>(x + row * columns, y + row * columns, columns);
    else
        softmax_row<LOG, EACH, false>(x + row * columns, y + row * columns, columns);
}

extern "C" __global__ void __launch_bounds__(256)
softmax_warp_float32_4(const float *x, float *y, long long rows, int columns)
{
    softmax<false, 4>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
softmax_warp_float32_32(const float *x, float *y, long long rows, int columns)
{
    softmax<false, 32>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
softmax_warp_float64_4(const double *x, double *y, long long rows, int columns)
{
    softmax<false, 4>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
softmax_warp_float64_32(const double *x, double *y, long long rows, int columns)
{
    softmax<false, 32>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
log_softmax_warp_float32_4(const float *x, float *y, long long rows, int columns)
{
    softmax<true, 4>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
log_softmax_warp_float32_32(const float *x, float *y, long long rows, int columns)
{
    softmax<true, 32>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
log_softmax_warp_float64_4(const double *x, double *y, long long rows, int columns)
{
    softmax<true, 4>(x, y, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
log_softmax_warp_float64_32(const double *x, double *y, long long rows, int columns)
{
    softmax<true, 32>(x, y, rows, columns);
}
