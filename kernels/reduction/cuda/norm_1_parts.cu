// nvrtc: -std=c++17
//
// vector_norm, (sum |x|^ord)^(1/ord) along a dimension of x [outer, n, inner], or of all of it.
//
// What it does: as moments_1_parts.cu, with one number to a part: the sum of |x|^ord, the greatest or the least |x|, or
// how many are not 0. What the order asks for is a branch that all threads take together.
//
// What to expect: the speed at which memory is read, if there are some hundred thousand numbers; less where a power
// must be made of each number. (Unverified on hardware.)

#include "columns.cuh"
#include "rows.cuh"

// A line of n numbers is shared out among gridDim.y blocks, `span` to each. One block alone concludes at once; of
// several the parts, [.., splits, lines], are joined by another launch, in an order that depends on the sizes alone.
enum Kind { POWER, ZERO, ONE, TWO, MAX, MIN };

template <typename T>
struct Norm {
    int kind;
    T ord;
    __device__ T nothing() const { return kind == MIN ? T(INFINITE) : T(0); }
    __device__ T of(T x) const
    {
        if (kind == TWO)
            return x * x;
        if (kind == ZERO)
            return x == T(0) ? T(0) : T(1);
        return kind == POWER ? pow(abs(x), ord) : abs(x);
    }
    __device__ T operator()(T a, T b) const
    {
        if (kind == MAX)
            return Greater()(a, b);
        return kind == MIN ? Lesser()(a, b) : a + b;
    }
    __device__ T conclude(T all) const
    {
        if (kind == TWO)
            return sqrt(all);
        return kind == POWER ? pow(all, T(1) / ord) : all;
    }
};

template <int THREADS, typename T>
__device__ void of_row(const T *x, T *parts, T *y, long long n, long long span, int kind, T ord)
{
    Norm<T> norm = {kind, ord};
    long long row = blockIdx.x, first = blockIdx.y * span;
    T all = norm.nothing();
    each_of<THREADS>(x + row * n + first, min(span, n - first), [&](T number, int) { all = norm(all,
    norm.of(number)); });
    all = over_block<THREADS>(all, norm);
    if (threadIdx.x == 0) {
        if (gridDim.y == 1)
            y[row] = norm.conclude(all);
        else
            parts[(long long)blockIdx.y * gridDim.x + row] = all;
    }
}

template <typename T>
__device__ void of_column(
    const T *x, T *parts, T *y, long long n, int inner, int tiles, long long span, int kind, T ord)
{
    Norm<T> norm = {kind, ord};
    long long outer = blockIdx.x / tiles, column = (blockIdx.x % tiles) * WARP + threadIdx.x, first = blockIdx.y * span;
    long long last = column < inner ? min(first + span, n) : first, line = outer * inner + column;
    x += outer * n * inner + column;
    T all = down(norm.nothing(), first, last, [&](long long i) { return norm.of(x[i * inner]); }, norm);
    if (threadIdx.y == 0 && column < inner) {
        if (gridDim.y == 1)
            y[line] = norm.conclude(all);
        else
            parts[blockIdx.y * (long long)(gridDim.x / tiles) * inner + line] = all;
    }
}

// A warp for each line.
template <typename T>
__device__ void finish(const T *parts, T *y, long long n, int splits, int kind, T ord)
{
    Norm<T> norm = {kind, ord};
    long long line = blockIdx.x, lines = gridDim.x;
    T all = norm.nothing();
    for (long long at = threadIdx.x * lines + line; at < splits * lines; at += WARP * lines)
        all = norm(all, parts[at]);
    all = over_warp(all, norm);
    if (threadIdx.x == 0)
        y[line] = norm.conclude(all);
}

extern "C" __global__ void __launch_bounds__(32)
norm_rows_float32_32(const float *x, float *parts, float *y, long long n, long long span, int kind, float ord)
{
    of_row<32>(x, parts, y, n, span, kind, ord);
}

extern "C" __global__ void __launch_bounds__(256)
norm_rows_float32_256(const float *x, float *parts, float *y, long long n, long long span, int kind, float ord)
{
    of_row<256>(x, parts, y, n, span, kind, ord);
}

extern "C" __global__ void __launch_bounds__(256)
norm_columns_float32(const float *x, float *parts, float *y, long long n, int inner, int tiles, long long span,
int kind, float ord)
{
    of_column(x, parts, y, n, inner, tiles, span, kind, ord);
}

extern "C" __global__ void __launch_bounds__(WARP)
norm_finish_float32(const float *parts, float *y, long long n, int splits, int kind, float ord)
{
    finish(parts, y, n, splits, kind, ord);
}

extern "C" __global__ void __launch_bounds__(32)
norm_rows_float64_32(const double *x, double *parts, double *y, long long n, long long span, int kind, double ord)
{
    of_row<32>(x, parts, y, n, span, kind, ord);
}

extern "C" __global__ void __launch_bounds__(256)
norm_rows_float64_256(const double *x, double *parts, double *y, long long n, long long span, int kind, double ord)
{
    of_row<256>(x, parts, y, n, span, kind, ord);
}

extern "C" __global__ void __launch_bounds__(256)
norm_columns_float64(const double *x, double *parts, double *y, long long n, int inner, int tiles, long long span,
int kind, double ord)
{
    of_column(x, parts, y, n, inner, tiles, span, kind, ord);
}

extern "C" __global__ void __launch_bounds__(WARP)
norm_finish_float64(const double *parts, double *y, long long n, int splits, int kind, double ord)
{
    finish(parts, y, n, splits, kind, ord);
}
