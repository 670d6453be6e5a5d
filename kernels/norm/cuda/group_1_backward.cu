// nvrtc: -std=c++17
//
// group_norm backward of x [B, C, L]: sums over each channel of each example, from which all else follows.
//
// What it does: a warp sums g and g h over the L places of one (b, c). The means that dx needs are sums of those over
// the channels of a group, each times its weight: dx = (w g - mean(w g) - h mean(w g h)) / sqrt(variance + eps), a
// block for each group. dweight and dbias are sums of them over the examples.
//
// What to expect: the speed of memory, x and g moving in twice and dx out once; the sums over channels and examples are
// small. (Unverified on hardware.)

// lives: if (threadIdx.x % (WARP + 1) == 0) {
//   another thread of each warp writes, which has the same
// lives: if (threadIdx.x % (WARP - 1) == 0) {
//   another thread of each warp writes, which has the same, or two

#include "columns.cuh"
#include "rows.cuh"

#define THREADS 256
#define WARPS 8

template <typename T>
__device__ void planes(
    const T *g, const T *x, const T *means, const T *variances, T *by_weight, T *by_bias, int count, int channels,
    int L,
    T eps)
{
    int plane = blockIdx.x * WARPS + threadIdx.x / WARP, group = plane / channels;
    if (plane >= count)
        return;
    T mean = means[group], rstd = T(1) / sqrt(variances[group] + eps);
    Two<T> sums = {T(0), T(0)};
    for (int l = threadIdx.x % WARP; l < L; l += WARP) {
        T one = g[(long long)plane * L + l];
        sums = sums + Two<T>{one * ((x[(long long)plane * L + l] - mean) * rstd), one};
    }
    sums = over_warp(sums, Plus());
    if (threadIdx.x % WARP == 0) {
        by_weight[plane] = sums.a;
        by_bias[plane] = sums.b;
    }
}

template <typename T>
__device__ void group_backward(
    const T *g, const T *x, const T *weight, const T *means, const T *variances, const T *by_weight, const T *by_bias,
    T *dx, int G, int channels, int L, T eps)
{
    int size = channels * L, channel = blockIdx.x % G * channels;
    long long plane = (long long)blockIdx.x * channels;
    T mean = means[blockIdx.x], rstd = T(1) / sqrt(variances[blockIdx.x] + eps);
    Two<T> sums = {T(0), T(0)};
    for (int c = threadIdx.x; c < channels; c += THREADS) {
        T w = weight ? weight[channel + c] : T(1);
        sums = sums + Two<T>{w * by_weight[plane + c], w * by_bias[plane + c]};
    }
    sums = over_block<THREADS>(sums, Plus());
    T first = sums.b / size, second = sums.a / size;
    g += plane * L;
    map<THREADS>(x + plane * L, dx + plane * L, size, [&](T number, int i) {
        T q = g[i] * (weight ? weight[channel + i / L] : T(1));
        return (q - first - (number - mean) * rstd * second) * rstd;
    });
}

template <typename T>
__device__ void finish(const T *by_weight, const T *by_bias, T *dweight, T *dbias, int B, int C)
{
    long long c = this_column();
    Two<T> sums = down(Two<T>{T(0), T(0)}, 0, c < C ? B : 0, [&](long long b) {
        return Two<T>{by_weight[b * C + c], by_bias[b * C + c]};
    }, Plus());
    if (threadIdx.y == 0 && c < C) {
        dweight[c] = sums.a;
        dbias[c] = sums.b;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_backward_planes_float32(
    const float *g, const float *x, const float *means, const float *variances, float *by_weight, float *by_bias,
    int count,
    int channels, int L, float eps)
{
    planes(g, x, means, variances, by_weight, by_bias, count, channels, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_backward_groups_float32(
    const float *g, const float *x, const float *weight, const float *means, const float *variances,
    const float *by_weight,
    const float *by_bias, float *dx, int G, int channels, int L, float eps)
{
    group_backward(g, x, weight, means, variances, by_weight, by_bias, dx, G, channels, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_backward_finish_float32(const float *by_weight, const float *by_bias, float *dweight, float *dbias, int B, int C)
{
    finish(by_weight, by_bias, dweight, dbias, B, C);
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_backward_planes_float64(
    const double *g, const double *x, const double *means, const double *variances, double *by_weight,
    double *by_bias, int count,
    int channels, int L, double eps)
{
    planes(g, x, means, variances, by_weight, by_bias, count, channels, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_backward_groups_float64(
    const double *g, const double *x, const double *weight, const double *means, const double *variances,
    const double *by_weight,
    const double *by_bias, double *dx, int G, int channels, int L, double eps)
{
    group_backward(g, x, weight, means, variances, by_weight, by_bias, dx, G, channels, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
group_backward_finish_float64(const double *by_weight, const double *by_bias, double *dweight, double *dbias, int B,
int C)
{
    finish(by_weight, by_bias, dweight, dbias, B, C);
}
