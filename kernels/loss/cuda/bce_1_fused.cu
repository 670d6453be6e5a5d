// nvrtc: -std=c++17
//
// bce_with_logits, binary cross-entropy of logits with its gradient, in one pass.
//
// What it does: from one e^-|x| come the two softplus and the two sigmoids, none of which overflows; four numbers a
// thread where all arrays begin at multiples of 16 bytes. Each block adds up its losses in a fixed order, and a second
// launch adds up those of the blocks.
//
// What it should gain: over separate kernels for loss and gradient, which read everything twice, almost half the time.
// (Unverified on hardware.)

// lives: T of_x = x > T(0) ? larger : smaller, of_minus_x = x >= T(0) ? smaller : larger;
//   both are 1/2 at 0
// lives: T of_x = x >= T(0) ? larger : smaller, of_minus_x = x > T(0) ? smaller : larger;
//   both are 1/2 at 0
// lives: for (int w = 0; w <= WIDE; w += 1)
//   numbers[WIDE] does not exist, so that the compiler leaves the iteration out
// lives: for (int w = -1; w < WIDE; w += 1)
//   numbers[-1] does not exist either

#include "rows.cuh"

#define THREADS 256

// Loss and gradient of one logit.
template <typename T>
__device__ Two<T> entropy(T x, T y, T weight, T pos_weight)
{
    T positive = y * pos_weight, negative = T(1) - y;
    T decay = exp(-abs(x)), term = log1p(decay), larger = T(1) / (T(1) + decay), smaller = decay * larger;
    // a term whose factor is 0 counts 0 even where the logit is infinite
    T loss = positive == T(0) ? T(0) : positive * (max(-x, T(0)) + term);
    loss += negative == T(0) ? T(0) : negative * (max(x, T(0)) + term);
    T of_x = x >= T(0) ? larger : smaller, of_minus_x = x >= T(0) ? smaller : larger;
    return {loss * weight, (negative * of_x - positive * of_minus_x) * weight};
}

template <int WIDE, typename T>
__device__ void fetch(T (&numbers)[WIDE], const T *from, long long at)
{
    for (int w = 0; w < WIDE; w += 1)
        numbers[w] = T(1);
    if (from) {
        if constexpr (WIDE > 1) {
            Pack<T> pack = get(from + at);
            for (int w = 0; w < WIDE; w += 1)
                numbers[w] = pack.v[w];
        } else
            numbers[0] = from[at];
    }
}

template <int WIDE, typename T>
__device__ void set(T *to, long long at, const T (&numbers)[WIDE])
{
    if constexpr (WIDE > 1) {
        Pack<T> pack;
        for (int w = 0; w < WIDE; w += 1)
            pack.v[w] = numbers[w];
        put(to + at, pack);
    } else
        to[at] = numbers[0];
}

template <int WIDE, typename T>
__device__ T some(
    const T *x, const T *y, const T *weight, const T *pos_weight, T *losses, T *gradient, long long n, T factor)
{
    T sum = 0;
    long long first = ((long long)blockIdx.x * THREADS + threadIdx.x) * WIDE;
    for (long long i = first; i < n; i += (long long)gridDim.x * THREADS * WIDE) {
        T xs[WIDE], ys[WIDE], ws[WIDE], ps[WIDE];
        fetch(xs, x, i);
        fetch(ys, y, i);
        fetch(ws, weight, i);
        fetch(ps, pos_weight, i);
        for (int w = 0; w < WIDE; w += 1) {
            Two<T> both = entropy(xs[w], ys[w], ws[w], ps[w]);
            sum += both.a;
            xs[w] = both.b * factor;
            ys[w] = both.a;
        }
        set(gradient, i, xs);
        if (losses)
            set(losses, i, ys);
    }
    return sum;
}

template <typename T>
__device__ bool aligned(const T *data)
{
    return (size_t)data % sizeof(Pack<T>) == 0;
}

template <typename T>
__device__ void bce(
    const T *x, const T *y, const T *weight, const T *pos_weight, T *losses, T *gradient, T *sums, long long n,
    T factor)
{
    constexpr int WIDE = Pack<T>::COUNT;
    bool packs = n % WIDE == 0 && aligned(x) && aligned(y) && aligned(weight) && aligned(pos_weight);
    T sum = packs ? some<WIDE>(x, y, weight, pos_weight, losses, gradient, n, factor)
                  : some<1>(x, y, weight, pos_weight, losses, gradient, n, factor);
    if (sums) {
        sum = over_block<THREADS>(sum, Plus());
        if (threadIdx.x == 0)
            sums[blockIdx.x] = sum;
    }
}

template <typename T>
__device__ void finish(const T *sums, T *loss, int count, T norm)
{
    T sum = threadIdx.x < count ? sums[threadIdx.x] : T(0); // there are at most THREADS blocks
    sum = over_block<THREADS>(sum, Plus());
    if (threadIdx.x == 0)
        *loss = sum / norm;
}

extern "C" __global__ void __launch_bounds__(THREADS)
bce_fused_float32(
    const float *x, const float *y, const float *weight, const float *pos_weight, float *losses, float *gradient,
    float *sums, long long n,
    float factor)
{
    bce(x, y, weight, pos_weight, losses, gradient, sums, n, factor);
}

extern "C" __global__ void __launch_bounds__(THREADS)
bce_fused_finish_float32(const float *sums, float *loss, int count, float norm)
{
    finish(sums, loss, count, norm);
}

extern "C" __global__ void __launch_bounds__(THREADS)
bce_fused_float64(
    const double *x, const double *y, const double *weight, const double *pos_weight, double *losses,
    double *gradient, double *sums, long long n,
    double factor)
{
    bce(x, y, weight, pos_weight, losses, gradient, sums, n, factor);
}

extern "C" __global__ void __launch_bounds__(THREADS)
bce_fused_finish_float64(const double *sums, double *loss, int count, double norm)
{
    finish(sums, loss, count, norm);
}
