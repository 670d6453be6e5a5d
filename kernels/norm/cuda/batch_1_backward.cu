// nvrtc: -std=c++17
//
// batch_norm and fixed_norm backward of x [B, C, L]: sums of g h and of g of each channel, then dx.
//
// What it does: the sums, which are dweight and dbias, are made in parts and joined as in batch_1_forward.cu, in an
// order that depends on the sizes alone. dx = (g - mean(g) - h mean(g h)) weight / sqrt(variance + eps), of which a
// mean and a variance that are given (fixed_norm) leave g weight / sqrt(variance + eps).
//
// What to expect: the speed of memory, x and g moving in twice and dx out once. (Unverified on hardware.)

// lives: for (; i < n; i += gridDim.x * (THREADS - 1))
//   some numbers are made and written twice, and are the same

#include "columns.cuh"
#include "rows.cuh"

#define THREADS 256

template <typename T>
__device__ T rstd_of(const T *variance, int c, T eps)
{
    return T(1) / sqrt(variance[c] + eps);
}

// Part blockIdx.y of channel blockIdx.x: `span` of its B L places.
template <typename T>
__device__ void of_places(
    const T *g, const T *x, const T *mean, const T *variance, T *by_weight, T *by_bias, int B, int C, int L, int span,
    T eps)
{
    int c = blockIdx.x, first = blockIdx.y * span, last = min(first + span, B * L);
    T middle = mean[c], rstd = rstd_of(variance, c, eps);
    Two<T> part = {T(0), T(0)};
    for (int k = first + threadIdx.x; k < last; k += THREADS) {
        int at = (k / L * C + c) * L + k % L;
        part = part + Two<T>{g[at] * ((x[at] - middle) * rstd), g[at]};
    }
    part = over_block<THREADS>(part, Plus());
    if (threadIdx.x == 0) {
        by_weight[blockIdx.y * C + c] = part.a;
        by_bias[blockIdx.y * C + c] = part.b;
    }
}

// Part blockIdx.y of a column of [B, C L]: `span` of its rows.
template <typename T>
__device__ void of_columns(
    const T *g, const T *x, const T *mean, const T *variance, T *by_weight, T *by_bias, int B, int C, int L, int span,
    T eps)
{
    int width = C * L;
    long long column = this_column(), first = (long long)blockIdx.y * span;
    long long last = column < width ? min(first + span, (long long)B) : first;
    int c = column / L % C;
    T middle = mean[c], rstd = rstd_of(variance, c, eps);
    Two<T> part = down(Two<T>{T(0), T(0)}, first, last, [&](long long b) {
        T one = g[b * width + column];
        return Two<T>{one * ((x[b * width + column] - middle) * rstd), one};
    }, Plus());
    if (threadIdx.y == 0 && column < width) {
        by_weight[blockIdx.y * width + column] = part.a;
        by_bias[blockIdx.y * width + column] = part.b;
    }
}

// The parts of a channel, [splits, C, places], joined by a warp.
template <typename T>
__device__ void finish(
    const T *by_weight, const T *by_bias, T *dweight, T *dbias, int splits, int C, int places)
{
    int c = blockIdx.x;
    Two<T> all = {T(0), T(0)};
    for (int p = threadIdx.x; p < splits * places; p += WARP) {
        int at = (p / places * C + c) * places + p % places;
        all = all + Two<T>{by_weight[at], by_bias[at]};
    }
    all = over_warp(all, Plus());
    if (threadIdx.x == 0) {
        dweight[c] = all.a;
        dbias[c] = all.b;
    }
}

// dx of a number of channel c: (g - first - (x - middle) second) scale; the second and third term only where mean and
// variance depend on x.
template <bool DEPENDS, typename T>
struct Turn {
    T middle, scale, first, second;
    __device__ Turn(
        const T *mean, const T *variance, const T *weight, const T *dweight, const T *dbias, int c, int count, T eps)
    {
        T rstd = rstd_of(variance, c, eps);
        middle = mean[c];
        scale = weight ? rstd * weight[c] : rstd;
        if (DEPENDS) {
            first = dbias[c] / count;
            second = dweight[c] / count * rstd;
        }
    }
    __device__ T operator()(T g, T x) const { return (DEPENDS ? g - first - (x - middle) * second : g) * scale; }
};

template <bool DEPENDS, typename T>
__device__ void apply(
    const T *g, const T *x, const T *mean, const T *variance, const T *weight, const T *dweight, const T *dbias, T *dx,
    int n, int C, int L, T eps)
{
    constexpr int WIDE = Pack<T>::COUNT;
    int i = blockIdx.x * THREADS + threadIdx.x, count = n / C;
    if (in_packs(x, L) && in_packs(g, L)) {
        if (i < n / WIDE) {
            Turn<DEPENDS, T> turn(mean, variance, weight, dweight, dbias, i * WIDE / L % C, count, eps);
            Pack<T> pack = get(x + i * WIDE), of_g = get(g + i * WIDE);
            for (int w = 0; w < WIDE; w += 1)
                pack.v[w] = turn(of_g.v[w], pack.v[w]);
            put(dx + i * WIDE, pack);
        }
    } else
        for (; i < n; i += gridDim.x * THREADS)
            dx[i] = Turn<DEPENDS, T>(mean, variance, weight, dweight, dbias, i / L % C, count, eps)(g[i], x[i]);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_places_float32(
    const float *g, const float *x, const float *mean, const float *variance, float *by_weight, float *by_bias, int B,
    int C, int L,
    int span, float eps)
{
    of_places(g, x, mean, variance, by_weight, by_bias, B, C, L, span, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_columns_float32(
    const float *g, const float *x, const float *mean, const float *variance, float *by_weight, float *by_bias, int B,
    int C, int L,
    int span, float eps)
{
    of_columns(g, x, mean, variance, by_weight, by_bias, B, C, L, span, eps);
}

extern "C" __global__ void __launch_bounds__(WARP)
batch_backward_finish_float32(
    const float *by_weight, const float *by_bias, float *dweight, float *dbias, int splits, int C, int places)
{
    finish(by_weight, by_bias, dweight, dbias, splits, C, places);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_apply_float32(
    const float *g, const float *x, const float *mean, const float *variance, const float *weight, const float *dweight,
    const float *dbias, float *dx, int n, int C, int L, float eps)
{
    apply<true>(g, x, mean, variance, weight, dweight, dbias, dx, n, C, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_scale_float32(
    const float *g, const float *x, const float *mean, const float *variance, const float *weight, float *dx, int n,
    int C, int L, float eps)
{
    apply<false, float>(g, x, mean, variance, weight, nullptr, nullptr, dx, n, C, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_places_float64(
    const double *g, const double *x, const double *mean, const double *variance, double *by_weight, double *by_bias,
    int B, int C, int L,
    int span, double eps)
{
    of_places(g, x, mean, variance, by_weight, by_bias, B, C, L, span, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_columns_float64(
    const double *g, const double *x, const double *mean, const double *variance, double *by_weight, double *by_bias,
    int B, int C, int L,
    int span, double eps)
{
    of_columns(g, x, mean, variance, by_weight, by_bias, B, C, L, span, eps);
}

extern "C" __global__ void __launch_bounds__(WARP)
batch_backward_finish_float64(
    const double *by_weight, const double *by_bias, double *dweight, double *dbias, int splits, int C, int places)
{
    finish(by_weight, by_bias, dweight, dbias, splits, C, places);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_apply_float64(
    const double *g, const double *x, const double *mean, const double *variance, const double *weight,
    const double *dweight,
    const double *dbias, double *dx, int n, int C, int L, double eps)
{
    apply<true>(g, x, mean, variance, weight, dweight, dbias, dx, n, C, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_backward_scale_float64(
    const double *g, const double *x, const double *mean, const double *variance, const double *weight, double *dx,
    int n, int C, int L, double eps)
{
    apply<false, double>(g, x, mean, variance, weight, nullptr, nullptr, dx, n, C, L, eps);
}
