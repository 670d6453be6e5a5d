// What generated elementwise kernels (kernels/pointwise.py) are made of: accesses of any width, and the functions that CUDA
// has under no name of its own, with the results of kernels/elementary.py.

// lives: parts[thread / (32 - 1)] = value;
//   the same: thread is a multiple of 32 below 256
// lives: return x > T(0) ? larger : e * larger;
//   both are 1/2 at 0

#pragma once

// -- accesses ---------------------------------------------------------------------------------------------------------

template <int BYTES> struct Word;
template <> struct Word<1> { typedef unsigned char type; };
template <> struct Word<2> { typedef unsigned short type; };
template <> struct Word<4> { typedef unsigned type; };
template <> struct Word<8> { typedef uint2 type; };
template <> struct Word<16> { typedef uint4 type; };

// WIDE numbers side by side.
template <typename T, int WIDE>
struct alignas(sizeof(T) * WIDE) Few {
    T v[WIDE];
};

// They, in one access: they begin at a multiple of their size.
template <int WIDE, typename T>
__device__ __forceinline__ Few<T, WIDE> get(const T *from)
{
    typedef typename Word<sizeof(T) * WIDE>::type W;
    Few<T, WIDE> few;
    *reinterpret_cast<W *>(few.v) = *reinterpret_cast<const W *>(from);
    return few;
}

template <int WIDE, typename T>
__device__ __forceinline__ void put(T *to, Few<T, WIDE> few)
{
    typedef typename Word<sizeof(T) * WIDE>::type W;
    // said aloud: the compiler may cut a plain assignment into several stores
    __stwb(reinterpret_cast<W *>(to), *reinterpret_cast<const W *>(few.v));
}

// -- sums -------------------------------------------------------------------------------------------------------------

// Of what the THREADS threads of a block have, in a fixed order; thread 0 gets it. `thread` counts them, along x first.
template <int THREADS, typename T>
__device__ T over_threads(T value, int thread)
{
    __shared__ T parts[THREADS / 32];
    for (int away = 16; away > 0; away >>= 1)
        value += __shfl_down_sync(0xffffffff, value, away);
    if (thread % 32 == 0)
        parts[thread / 32] = value;
    __syncthreads();
    if (thread == 0)
        for (int warp = 1; warp < THREADS / 32; warp += 1)
            value += parts[warp];
    __syncthreads(); // the next sum writes parts again
    return value;
}

// -- functions --------------------------------------------------------------------------------------------------------

template <typename T> __device__ __forceinline__ T infinity();
template <> __device__ __forceinline__ float infinity<float>() { return __int_as_float(0x7f800000); }
template <> __device__ __forceinline__ double infinity<double>() { return __longlong_as_double(0x7ff0000000000000); }

template <typename T> __device__ __forceinline__ T not_a_number();
template <> __device__ __forceinline__ float not_a_number<float>() { return __int_as_float(0x7fc00000); }
template <> __device__ __forceinline__ double not_a_number<double>() { return __longlong_as_double(0x7ff8000000000000); }

// 1 / (1 + e^-x), from e^-|x|: nothing overflows, and small results keep their digits.
template <typename T>
__device__ __forceinline__ T sigmoid(T x)
{
    T e = exp(-fabs(x)), larger = T(1) / (T(1) + e);
    return x >= T(0) ? larger : e * larger;
}

// log(e^x + e^y).
template <typename T>
__device__ __forceinline__ T logaddexp(T x, T y)
{
    T larger = x > y ? x : y;
    return x != y ? larger + log1p(exp(-fabs(x - y))) : x + T(0.6931471805599453);
}

// x - y floor(x / y), of the sign of y: Python's.
template <typename T>
__device__ __forceinline__ T modulo(T x, T y)
{
    T rest = fmod(x, y);
    if (rest == T(0))
        return copysign(T(0), y);
    return (rest < T(0)) != (y < T(0)) ? rest + y : rest;
}

// floor(x / y) of the exact quotient: Python's.
template <typename T>
__device__ __forceinline__ T floor_quotient(T x, T y)
{
    T rest = fmod(x, y), quotient = (x - rest) / y;
    if (y == T(0))
        return x / y;
    if (rest != T(0) && (rest < T(0)) != (y < T(0)))
        quotient -= T(1);
    if (quotient == T(0))
        return copysign(T(0), x / y);
    T whole = floor(quotient);
    return quotient - whole > T(0.5) ? whole + T(1) : whole;
}
