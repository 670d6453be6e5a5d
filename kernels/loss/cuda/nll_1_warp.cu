// nvrtc: -std=c++17
//
// nll, the loss of log-probabilities with its gradient: one warp for each row.
//
// What it does: of a row one number is read; its row of the gradient is 0 but for one place, and is written by the
// whole warp, side by side. Weights and losses are added up as in cross_entropy_1_warp.cu.
//
// What to expect: the speed at which memory is written. (Unverified on hardware.)

// lives: for (int c = threadIdx.x % WARP; c < classes; c += (WARP - 1))
//   some places are written twice, with the same number

#include "targets.cuh"

#define WARPS 4

template <typename T>
__device__ void likelihood(
    const T *x, const long long *target, const T *weight, const T *norm, T *losses, T *gradient, long long rows,
    int classes, long long ignored)
{
    long long row = (long long)blockIdx.x * WARPS + threadIdx.x / WARP, t;
    if (row >= rows)
        return;
    t = target[row];
    T sum = norm ? norm[0] : T(1), hit = weight_of(t, weight, classes, ignored);
    T step = sum == T(0) ? T(0) : -hit / sum;
    bool wrong = hit != hit; // no class: the whole row says so
    for (int c = threadIdx.x % WARP; c < classes; c += WARP)
        gradient[row * classes + c] = wrong || c == t && t != ignored ? step : T(0);
    if (threadIdx.x % WARP == 0)
        losses[row] = wrong ? hit : t == ignored ? T(0) : -hit * x[row * classes + t];
}

extern "C" __global__ void __launch_bounds__(128)
nll_warp_float32(
    const float *x, const long long *target, const float *weight, const float *norm, float *losses, float *gradient,
    long long rows,
    int classes, long long ignored)
{
    likelihood(x, target, weight, norm, losses, gradient, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(128)
nll_warp_float64(
    const double *x, const long long *target, const double *weight, const double *norm, double *losses,
    double *gradient, long long rows,
    int classes, long long ignored)
{
    likelihood(x, target, weight, norm, losses, gradient, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
nll_warp_weigh_float32(
    const long long *target, const float *weight, float *to, long long rows, int classes, long long ignored)
{
    weigh(target, weight, to, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
nll_warp_add_float32(const float *numbers, const float *norm, float *to, long long count)
{
    add(numbers, norm, to, count);
}

extern "C" __global__ void __launch_bounds__(THREADS)
nll_warp_weigh_float64(
    const long long *target, const double *weight, double *to, long long rows, int classes, long long ignored)
{
    weigh(target, weight, to, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
nll_warp_add_float64(const double *numbers, const double *norm, double *to, long long count)
{
    add(numbers, norm, to, count);
}
