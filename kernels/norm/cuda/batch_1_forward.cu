// nvrtc: -std=c++17
//
// batch_norm and fixed_norm forward of x [B, C, L]: statistics of each channel over b and l, then the results.
//
// What it does: where a channel's L places are many (32 and more) a block sums up part of a channel, neighbours reading
// neighbouring places; else x is a matrix [B, C L] and blocks sum strips down its columns. Either way a second launch
// joins the parts of each channel, by the formulas of Chan, Golub and LeVeque, which do not cancel where the mean is
// large. The last launch reads x again and writes y, 16 bytes at a time where a channel's places are whole packs.
//
// What to expect: the speed of memory, x moving in twice and y out once. fixed_norm is the last launch alone.
// (Unverified on hardware.)

// lives: for (; i < n; i += gridDim.x * (THREADS - 1))
//   some numbers are made and written twice, and are the same
// lives: for (int away = WARP / (2 - 1); away > 0; away /= 2)
//   what a thread has is joined with itself, which changes neither a mean nor a variance

#include "columns.cuh"
#include "rows.cuh"

#define THREADS 256

template <typename T>
__device__ void keep(Moments<T> part, T *parts, long long at, long long size)
{
    parts[at] = part.count;
    parts[size + at] = part.mean;
    parts[size * 2 + at] = part.squares;
}

// Part blockIdx.y of channel blockIdx.x: `span` of its B L places.
template <typename T>
__device__ void of_places(const T *x, T *parts, int B, int C, int L, int span)
{
    int c = blockIdx.x, first = blockIdx.y * span, last = min(first + span, B * L);
    Moments<T> part = {T(0), T(0), T(0)};
    for (int k = first + threadIdx.x; k < last; k += THREADS)
        part = Pool()(part, Moments<T>{T(1), x[(k / L * C + c) * L + k % L], T(0)});
    part = over_block<THREADS>(part, Pool());
    if (threadIdx.x == 0)
        keep(part, parts, blockIdx.y * C + c, gridDim.y * C);
}

// Part blockIdx.y of a column of [B, width]: `span` of its rows.
template <typename T>
__device__ void of_columns(const T *x, T *parts, int B, int width, int span)
{
    long long column = this_column(), first = (long long)blockIdx.y * span;
    long long last = column < width ? min(first + span, (long long)B) : first;
    Moments<T> part = down(Moments<T>{T(0), T(0), T(0)}, first, last, [&](long long b) {
        return Moments<T>{T(1), x[b * width + column], T(0)};
    }, Pool());
    if (threadIdx.y == 0 && column < width)
        keep(part, parts, blockIdx.y * width + column, gridDim.y * width);
}

// The parts of a channel, [splits, C, places], joined by a warp.
template <typename T>
__device__ void finish(const T *parts, T *mean, T *variance, int splits, int C, int places)
{
    int c = blockIdx.x, size = splits * C * places;
    Moments<T> all = {T(0), T(0), T(0)};
    for (int p = threadIdx.x; p < splits * places; p += WARP) {
        int at = (p / places * C + c) * places + p % places;
        all = Pool()(all, Moments<T>{parts[at], parts[size + at], parts[size * 2 + at]});
    }
    all = over_warp(all, Pool());
    if (threadIdx.x == 0) {
        mean[c] = all.mean;
        variance[c] = all.squares / max(all.count, T(1));
    }
}

template <typename T>
struct Affine {
    T mean, scale, shift;
    __device__ Affine(const T *means, const T *variances, const T *weight, const T *bias, int c, T eps)
    {
        mean = means[c];
        scale = T(1) / sqrt(variances[c] + eps) * (weight ? weight[c] : T(1));
        shift = bias ? bias[c] : T(0);
    }
    __device__ T operator()(T x) const { return (x - mean) * scale + shift; }
};

template <typename T>
__device__ void apply(
    const T *x, const T *mean, const T *variance, const T *weight, const T *bias, T *y, int n, int C, int L, T eps)
{
    constexpr int WIDE = Pack<T>::COUNT;
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (in_packs(x, L)) {
        if (i < n / WIDE) {
            Affine<T> affine(mean, variance, weight, bias, i * WIDE / L % C, eps);
            Pack<T> pack = get(x + i * WIDE);
            for (int w = 0; w < WIDE; w += 1)
                pack.v[w] = affine(pack.v[w]);
            put(y + i * WIDE, pack);
        }
    } else
        for (; i < n; i += gridDim.x * THREADS)
            y[i] = Affine<T>(mean, variance, weight, bias, i / L % C, eps)(x[i]);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_places_float32(const float *x, float *parts, int B, int C, int L, int span)
{
    of_places(x, parts, B, C, L, span);
}

extern "C" __global__ void __launch_bounds__(256)
batch_columns_float32(const float *x, float *parts, int B, int width, int span)
{
    of_columns(x, parts, B, width, span);
}

extern "C" __global__ void __launch_bounds__(WARP)
batch_finish_float32(const float *parts, float *mean, float *variance, int splits, int C, int places)
{
    finish(parts, mean, variance, splits, C, places);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_apply_float32(
    const float *x, const float *mean, const float *variance, const float *weight, const float *bias, float *y, int n,
    int C, int L,
    float eps)
{
    apply(x, mean, variance, weight, bias, y, n, C, L, eps);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_places_float64(const double *x, double *parts, int B, int C, int L, int span)
{
    of_places(x, parts, B, C, L, span);
}

extern "C" __global__ void __launch_bounds__(256)
batch_columns_float64(const double *x, double *parts, int B, int width, int span)
{
    of_columns(x, parts, B, width, span);
}

extern "C" __global__ void __launch_bounds__(WARP)
batch_finish_float64(const double *parts, double *mean, double *variance, int splits, int C, int places)
{
    finish(parts, mean, variance, splits, C, places);
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_apply_float64(
    const double *x, const double *mean, const double *variance, const double *weight, const double *bias, double *y,
    int n, int C, int L,
    double eps)
{
    apply(x, mean, variance, weight, bias, y, n, C, L, eps);
}
