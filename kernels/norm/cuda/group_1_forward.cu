// nvrtc: -std=c++17
//
// group_norm forward of x [B, C, L], G groups of C / G channels each: one block for each group of each example.
//
// What it does: a group lies in one piece, a row of C / G L numbers, and is normalised as rows_forward_1_block.cu does
// it; only the weight and the bias are a channel's.
//
// What to expect: the speed of memory when there are a few blocks for each multiprocessor; a group is read twice, the
// second time from the caches if it is not large. (Unverified on hardware.)

#include "rows.cuh"

#define THREADS 256

template <typename T>
__device__ void group_norm(
    const T *x, const T *weight, const T *bias, T *y, T *means, T *variances, int G, int channels, int L, T eps)
{
    int size = channels * L, channel = blockIdx.x % G * channels;
    x += (long long)blockIdx.x * size;
    y += (long long)blockIdx.x * size;
    Moments<T> all = {T(0), T(0), T(0)};
    each_of<THREADS>(x, size, [&](T number, int) { all = Pool()(all, Moments<T>{T(1), number, T(0)}); });
    all = over_block<THREADS>(all, Pool());
    T mean = all.mean, variance = all.squares / max(size, 1), rstd = T(1) / sqrt(variance + eps);
    map<THREADS>(x, y, size, [&](T number, int i) {
        int c = channel + i / L;
        T h = (number - mean) * rstd;
        h *= weight ? weight[c] : T(1);
        return h + (bias ? bias[c] : T(0));
    });
    if (threadIdx.x == 0) {
        means[blockIdx.x] = mean;
        variances[blockIdx.x] = variance;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_block_float32(
    const float *x, const float *weight, const float *bias, float *y, float *means, float *variances, int G,
    int channels, int L,
    float eps)
{
    group_norm(x, weight, bias, y, means, variances, G, channels, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_block_float64(
    const double *x, const double *weight, const double *bias, double *y, double *means, double *variances, int G,
    int channels, int L,
    double eps)
{
    group_norm(x, weight, bias, y, means, variances, G, channels, L, eps);
}
