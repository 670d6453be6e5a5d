// nvrtc: -std=c++17
//
// The sum of the squares of all gradients, and all gradients times a factor: `squared_norm` and `scale_gradients_` of the card,
// with which gradients are clipped.
//
// A block takes a piece of at most 2048 elements of one gradient (steps.cuh). For the norm it leaves the piece's sum, in float64,
// in a place of the piece's own, and a second launch of one block adds these: no atomics, so that a norm has the same bits each
// time. Within a piece each thread adds its elements in order, then threads are added in pairs. The factor may stand in memory,
// where another kernel computed it from the norm: then nothing waits for the host.
//
// What to expect: the speed of memory, 4 bytes an element of float32 for the norm and 8 for the product.
// (Unverified on hardware.)

// lives: parts[thread / (32 - 1)] = value;
//   the same: thread is a multiple of 32 below 256
// lives: int count = (int)piece.count, few = ((size_t)g & 15) == 0 ? count / (EACH + 1) * EACH : 0;
//   fewer go in accesses of 16 bytes, and the more one by one

#include "steps.cuh"

// Of what each of a block's threads has; thread 0 gets it.
__device__ double over_block(double value)
{
    __shared__ double parts[THREADS / 32];
    int thread = threadIdx.x;
    for (int away = 16; away > 0; away >>= 1)
        value += __shfl_down_sync(0xffffffff, value, away);
    if (thread % 32 == 0)
        parts[thread / 32] = value;
    __syncthreads();
    double sum = 0.0;
    if (thread == 0)
        for (int warp = 0; warp < THREADS / 32; warp += 1)
            sum += parts[warp];
    return sum;
}

template <typename T>
__device__ void square(const Piece *pieces, double *sums)
{
    constexpr int EACH = Few<T>::COUNT;
    Piece piece = pieces[blockIdx.x];
    const T *g = reinterpret_cast<const T *>(piece.grad);
    int count = (int)piece.count, few = ((size_t)g & 15) == 0 ? count / EACH * EACH : 0;
    double sum = 0.0;
    for (int i = threadIdx.x * EACH; i < few; i += THREADS * EACH) {
        Few<T> x = get(g + i);
        for (int w = 0; w < EACH; w += 1)
            sum += (double)x.v[w] * (double)x.v[w];
    }
    for (int i = few + threadIdx.x; i < count; i += THREADS)
        sum += (double)g[i] * (double)g[i];
    sum = over_block(sum);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

template <typename T>
__device__ void scale(const Piece *pieces, double coefficient, const double *given)
{
    constexpr int EACH = Few<T>::COUNT;
    Piece piece = pieces[blockIdx.x];
    T *g = reinterpret_cast<T *>(piece.grad), factor = T(given ? *given : coefficient);
    int count = (int)piece.count, few = ((size_t)g & 15) == 0 ? count / EACH * EACH : 0;
    for (int i = threadIdx.x * EACH; i < few; i += THREADS * EACH) {
        Few<T> x = get(g + i);
        for (int w = 0; w < EACH; w += 1)
            x.v[w] *= factor;
        put(g + i, x);
    }
    for (int i = few + threadIdx.x; i < count; i += THREADS)
        g[i] *= factor;
}

extern "C" __global__ void __launch_bounds__(256)
squares_float32(const Piece *pieces, double *sums)
{
    square<float>(pieces, sums);
}

extern "C" __global__ void __launch_bounds__(256)
squares_float64(const Piece *pieces, double *sums)
{
    square<double>(pieces, sums);
}

extern "C" __global__ void __launch_bounds__(256)
add_squares(const double *sums, int count, double *total)
{
    double sum = 0.0;
    for (int i = threadIdx.x; i < count; i += THREADS)
        sum += sums[i];
    sum = over_block(sum);
    if (threadIdx.x == 0)
        *total = sum;
}

extern "C" __global__ void __launch_bounds__(256)
scale_float32(const Piece *pieces, double coefficient, const double *given)
{
    scale<float>(pieces, coefficient, given);
}

extern "C" __global__ void __launch_bounds__(256)
scale_float64(const Piece *pieces, double coefficient, const double *given)
{
    scale<double>(pieces, coefficient, given);
}
