// nvrtc: -std=c++17
//
// softmax and log_softmax along rows of any length, one block for each row.
//
// What changes: a row too long for registers is passed over twice instead of three times. The sum is made together with the
// greatest number: when a greater one is found, what was summed so far is multiplied by e^(old - new) (Milakov and
// Gimelshein, arXiv:1805.02867). The parts of the threads are joined the same way.
//
// What it should gain: a third of the naive rung's reads, all coalesced and of 16 bytes; where a row is longer than the caches
// keep, 3 transfers of a number instead of 4. (Unverified on hardware.)

#include "rows.cuh"

#define THREADS 256

template <bool LOG, typename T>
__device__ void softmax(const T *x, T *y, int columns)
{
    x += (long long)blockIdx.x * columns;
    y += (long long)blockIdx.x * columns;
    Exponentials<T> all = {-INFINITE, T(0)};
    each_of<THREADS>(x, columns, [&](T number, int) { all = Shift()(all, Exponentials<T>{number, T(1)}); });
    all = over_block<THREADS>(all, Shift());
    T top = all.top, factor = T(1) / all.sum, shift = log(all.sum);
    map<THREADS>(x, y, columns, [&](T number, int) { return LOG ? number - top - shift : exp(number - top) * factor; });
}

extern "C" __global__ void __launch_bounds__(THREADS)
softmax_online_float32(const float *x, float *y, int columns)
{
    softmax<false>(x, y, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS)
softmax_online_float64(const double *x, double *y, int columns)
{
    softmax<false>(x, y, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS)
log_softmax_online_float32(const float *x, float *y, int columns)
{
    softmax<true>(x, y, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS)
log_softmax_online_float64(const double *x, double *y, int columns)
{
    softmax<true>(x, y, columns);
}
