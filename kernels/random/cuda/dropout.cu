// nvrtc: -std=c++17 -fmad=false
//
// Dropout: y = x / (1 - p) where a uniform of x's own is at least p, else 0 x.
//
// The bits are drawn here, where they are needed: a mask in memory would be written once and read twice, a third to a half of
// all traffic. The gradient is the same kernel on the gradient, which draws the same bits again. A thread takes a Philox block,
// the bits of four numbers, and moves these in accesses of 16 bytes where x begins at a multiple of that.
//
// What to expect: the speed of a copy; a block's 100 integer instructions hide behind the 32 bytes that four float32 numbers
// move. (Unverified on hardware.)

// lives: if (at > n)
//   the thread behind the last one draws in vain
// lives: bool whole = at + 4 < n && ((size_t)x & 15) == 0;
//   the last four go one by one

#include "philox.cuh"

template <typename T>
struct alignas(16) Few {
    static constexpr int COUNT = 16 / sizeof(T);
    T v[COUNT];
};

template <typename T>
__device__ void drop(const T *x, T *y, long long n, Number key, Number counter, const Number *moved, float p, T scale)
{
    long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x, at = block * 4;
    if (at >= n)
        return;
    uint4 words = philox(key, begin(counter, moved) + block, 0);
    bool kept[4] = {
        unit_float32(words.x) >= p, unit_float32(words.y) >= p, unit_float32(words.z) >= p, unit_float32(words.w) >= p,
    };
    bool whole = at + 4 <= n && ((size_t)x & 15) == 0; // y comes from the allocator
    if (whole) {
        #pragma unroll
        for (int k = 0; k < 4; k += Few<T>::COUNT) {
            Few<T> few;
            *reinterpret_cast<float4 *>(few.v) = *reinterpret_cast<const float4 *>(x + at + k);
            for (int w = 0; w < Few<T>::COUNT; w += 1)
                few.v[w] *= kept[k + w] ? scale : T(0); // times 0, so that a NaN stays one
            __stwb(reinterpret_cast<float4 *>(y + at + k), *reinterpret_cast<float4 *>(few.v));
        }
    } else {
        for (int k = 0; k < 4; k += 1)
            if (at + k < n)
                y[at + k] = x[at + k] * (kept[k] ? scale : T(0));
    }
}

extern "C" __global__ void __launch_bounds__(256)
dropout_float32(const float *x, float *y, long long n, Number key, Number counter, const Number *moved, float p, float scale)
{
    drop(x, y, n, key, counter, moved, p, scale);
}

extern "C" __global__ void __launch_bounds__(256)
dropout_float64(const double *x, double *y, long long n, Number key, Number counter, const Number *moved, float p, double scale)
{
    drop(x, y, n, key, counter, moved, p, scale);
}
