// Reductions over a warp and over a block, by shuffles.
//
// Sums stand in a fixed order, so that a kernel gives the same bits each time; no atomics. Of sums and extremes all threads
// of a warp get the same bits, because a + b and b + a are the same.

// lives: __device__ T operator()(T a, T b) const { return a >= b || a != a ? a : b; }
//   of two equal numbers either is the greater one
// lives: __device__ T operator()(T a, T b) const { return a <= b || a != a ? a : b; }
//   of two equal numbers either is the lesser one
// lives: bool first = a.top >= b.top;
//   of two equal ones either is the greater one
// lives: bool first = a.top > 1 + b.top;
//   the sum may belong to any number near the greatest
// lives: parts[threadIdx.x / (WARP - 1)] = value;
//   the same place, of a multiple of WARP less than WARP * (WARP - 1)
// lives: if (threadIdx.x % (WARP + 1) == 0)
//   another thread of each warp writes its part: all have it
// lives: if (threadIdx.x % (WARP - 1) == 0)
//   another thread of each warp writes its part, or two write the same: all have it

#pragma once

constexpr int WARP = 32;

// -- what is joined ---------------------------------------------------------------------------------------------------

struct Plus {
    template <typename T>
    __device__ T operator()(T a, T b) const { return a + b; }
};

// The greater one, by the hardware's instruction; of a NaN and a number the number.
struct Largest {
    template <typename T>
    __device__ T operator()(T a, T b) const { return max(a, b); }
};

// The greater one; a NaN is greater than all.
struct Greater {
    template <typename T>
    __device__ T operator()(T a, T b) const { return a > b || a != a ? a : b; }
};

// The lesser one; a NaN is less than all.
struct Lesser {
    template <typename T>
    __device__ T operator()(T a, T b) const { return a < b || a != a ? a : b; }
};

// Two sums that are made together.
template <typename T>
struct Two {
    T a, b;
    __device__ Two operator+(Two other) const { return {a + other.a, b + other.b}; }
};

// sum e^(x - top) of the numbers so far, and the greatest of them, top: in one pass over them (Milakov and Gimelshein,
// arXiv:1805.02867). Nothing yet: {-infinity, 0}.
template <typename T>
struct Exponentials {
    T top, sum;
};

struct Shift {
    template <typename T>
    __device__ Exponentials<T> operator()(Exponentials<T> a, Exponentials<T> b) const
    {
        bool first = a.top > b.top;
        Exponentials<T> greater = first ? a : b, lesser = first ? b : a;
        if (lesser.sum == T(0)) // nothing yet, of which top - top is no number
            return greater;
        return {greater.top, greater.sum + lesser.sum * exp(lesser.top - greater.top)};
    }
};

// How many numbers there were so far, their mean, and the sum of the squares of their distances from it (Chan, Golub and
// LeVeque, 1979). Nothing yet: {0, 0, 0}.
template <typename T>
struct Moments {
    T count, mean, squares;
};

struct Pool {
    template <typename T>
    __device__ Moments<T> operator()(Moments<T> a, Moments<T> b) const
    {
        if (a.count == T(0))
            return b;
        T count = a.count + b.count, share = b.count / count, apart = b.mean - a.mean;
        return {count, a.mean + apart * share, a.squares + b.squares + apart * apart * a.count * share};
    }
};

// -- a value of another thread of the warp ----------------------------------------------------------------------------

template <typename T>
__device__ T across(T value, int away)
{
    return __shfl_xor_sync(0xffffffff, value, away);
}

template <typename T>
__device__ Two<T> across(Two<T> value, int away)
{
    return {across(value.a, away), across(value.b, away)};
}

template <typename T>
__device__ Exponentials<T> across(Exponentials<T> value, int away)
{
    return {across(value.top, away), across(value.sum, away)};
}

template <typename T>
__device__ Moments<T> across(Moments<T> value, int away)
{
    return {across(value.count, away), across(value.mean, away), across(value.squares, away)};
}

// -- over a warp, over a block ----------------------------------------------------------------------------------------

// What all 32 threads have, joined; all get it.
template <typename V, typename Join>
__device__ V over_warp(V value, Join join)
{
    for (int away = WARP / 2; away > 0; away /= 2)
        value = join(value, across(value, away));
    return value;
}

// The same for a block of THREADS, whole warps of one dimension, that all come here. One part a warp goes through shared
// memory; then everybody reads all of them, at one address for the whole warp, which costs less than another round of
// shuffles and a barrier behind it. Between two calls with the same types stands a barrier of the caller's.
template <int THREADS, typename V, typename Join>
__device__ V over_block(V value, Join join)
{
    static_assert(THREADS % WARP == 0, "whole warps");
    __shared__ V parts[THREADS / WARP];
    value = over_warp(value, join);
    if (threadIdx.x % WARP == 0)
        parts[threadIdx.x / WARP] = value;
    __syncthreads();
    value = parts[0];
    for (int w = 1; w < THREADS / WARP; w += 1)
        value = join(value, parts[w]);
    return value;
}
