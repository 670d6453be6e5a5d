// nvrtc: -std=c++17
//
// softmax_cross_entropy, the loss with its gradient, of any number of classes: one block for each row.
//
// What changes: a row that is too long for the registers of a warp is passed over twice by a block: for its greatest
// logit and the sum of the exponentials together (as in softmax_3_online.cu), with what smoothing needs; then for the
// gradient.
//
// What it should gain: vocabularies of any size, at 3 transfers of a logit, of which the second is often a hit in the
// caches. (Unverified on hardware.)

// lives: for (int c = threadIdx.x; c < classes; c += (THREADS - 1))
//   some places are written twice, with the same number
// lives: T w = smoothing >= T(0) && weight ? weight[c] : T(1);
//   without smoothing w is multiplied by 0

#include "targets.cuh"

template <typename T>
__device__ void cross_entropy(
    const T *x, const long long *target, const T *weight, const T *norm, T *losses, T *gradient, int classes,
    long long ignored, T smoothing)
{
    long long row = blockIdx.x, t = target[row];
    x += row * classes;
    gradient += row * classes;
    T sum = norm ? norm[0] : T(1);
    if (t == ignored || sum == T(0)) {
        for (int c = threadIdx.x; c < classes; c += THREADS)
            gradient[c] = T(0);
        if (threadIdx.x == 0)
            losses[row] = T(0);
        return;
    }
    Exponentials<T> all = {-INFINITE, T(0)};
    each_of<THREADS>(x, classes, [&](T number, int) { all = Shift()(all, Exponentials<T>{number, T(1)}); });
    all = over_block<THREADS>(all, Shift());
    T top = all.top, shift = log(all.sum), scale = T(1) / all.sum;
    T sharp = weight_of(t, weight, classes, ignored) * (T(1) - smoothing), share = smoothing / classes;
    Two<T> smooth = {T(0), T(0)};
    if (smoothing > T(0)) {
        each_of<THREADS>(x, classes, [&](T number, int c) {
            T w = weight ? weight[c] : T(1);
            smooth = smooth + Two<T>{w * (number - top - shift), w};
        });
        smooth = over_block<THREADS>(smooth, Plus());
    }
    T by_p = (sharp + share * smooth.b) * scale, factor = T(1) / sum;
    map<THREADS>(x, gradient, classes, [&](T number, int c) {
        T w = smoothing > T(0) && weight ? weight[c] : T(1);
        return (exp(number - top) * by_p - (c == t ? sharp : T(0)) - share * w) * factor;
    });
    if (threadIdx.x == 0) {
        T log_p = is_class(t, classes) ? x[t] - top - shift : T(0);
        losses[row] = -sharp * log_p - share * smooth.a;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_block_float32(
    const float *x, const long long *target, const float *weight, const float *norm, float *losses, float *gradient,
    int classes,
    long long ignored, float smoothing)
{
    cross_entropy(x, target, weight, norm, losses, gradient, classes, ignored, smoothing);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_block_float64(
    const double *x, const long long *target, const double *weight, const double *norm, double *losses,
    double *gradient, int classes,
    long long ignored, double smoothing)
{
    cross_entropy(x, target, weight, norm, losses, gradient, classes, ignored, smoothing);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_block_weigh_float32(
    const long long *target, const float *weight, float *to, long long rows, int classes, long long ignored)
{
    weigh(target, weight, to, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_block_add_float32(const float *numbers, const float *norm, float *to, long long count)
{
    add(numbers, norm, to, count);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_block_weigh_float64(
    const long long *target, const double *weight, double *to, long long rows, int classes, long long ignored)
{
    weigh(target, weight, to, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_block_add_float64(const double *numbers, const double *norm, double *to, long long count)
{
    add(numbers, norm, to, count);
}
