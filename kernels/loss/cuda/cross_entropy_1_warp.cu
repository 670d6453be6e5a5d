// nvrtc: -std=c++17
//
// softmax_cross_entropy, the loss with its gradient, of at most 1024 classes: one warp for each row.
//
// What it does: a row of logits is read once into the registers of a warp, which makes its softmax by shuffles (as in
// softmax_2_warp.cu), takes the loss from it, and writes the gradient; the exponentials serve both. The mean divides by
// the sum of the targets' weights, which a launch before this one adds up; one behind it adds up the losses. Three
// blocks of four warps share a multiprocessor when rows are long, and have 48 KiB of logits under way.
//
// What it should gain: a logit moves in and its gradient out, and nothing else that counts, where log_softmax, nll and
// their gradients would move it seven times. (Unverified on hardware.)

// lives: for (int c = threadIdx.x % WARP; c < classes; c += (WARP - 1))
//   some places are written twice, with the same number

#include "targets.cuh"

#define WARPS 4

template <int EACH, bool PACKS, typename T>
__device__ void one_row(
    const T *x, long long target, T hit, const T *weight, T factor, T *loss, T *gradient, int classes, T smoothing)
{
    using Numbers = Row<T, EACH, PACKS>;
    Numbers z; // logits, then less the greatest, then e^ of it, then the gradient
    z.load(x, classes, -INFINITE);
    T top = -INFINITE, sum = 0, smooth = 0, all = 0;
    for (int e = 0; e < EACH; e += 1)
        top = max(top, z.v[e]);
    top = over_warp(top, Largest());
    for (int e = 0; e < EACH; e += 1) {
        int c = Numbers::column(e);
        z.v[e] -= top;
        if (smoothing > T(0) && c < classes) {
            T w = weight ? weight[c] : T(1);
            smooth += w * z.v[e];
            all += w;
        }
        z.v[e] = exp(z.v[e]);
        sum += z.v[e];
    }
    sum = over_warp(sum, Plus());
    T shift = log(sum), sharp = hit * (T(1) - smoothing), share = smoothing / classes;
    T log_p = is_class(target, classes) ? x[target] - top - shift : T(0);
    if (smoothing > T(0)) {
        all = over_warp(all, Plus());
        smooth = over_warp(smooth, Plus()) - shift * all;
    }
    T by_p = (sharp + share * all) / sum;
    for (int e = 0; e < EACH; e += 1) {
        int c = Numbers::column(e);
        T w = smoothing > T(0) && c < classes && weight ? weight[c] : T(1);
        z.v[e] = (z.v[e] * by_p - (c == target ? sharp : T(0)) - share * w) * factor;
    }
    z.store(gradient, classes);
    if (threadIdx.x % WARP == 0)
        *loss = -sharp * log_p - share * smooth;
}

template <int EACH, typename T>
__device__ void cross_entropy(
    const T *x, const long long *target, const T *weight, const T *norm, T *losses, T *gradient, long long rows,
    int classes, long long ignored, T smoothing)
{
    long long row = (long long)blockIdx.x * WARPS + threadIdx.x / WARP, t;
    if (row >= rows)
        return;
    x += row * classes;
    gradient += row * classes;
    t = target[row];
    T sum = norm ? norm[0] : T(1);
    if (t == ignored || sum == T(0)) {
        for (int c = threadIdx.x % WARP; c < classes; c += WARP)
            gradient[c] = T(0);
        if (threadIdx.x % WARP == 0)
            losses[row] = T(0);
        return;
    }
    T hit = weight_of(t, weight, classes, ignored), factor = T(1) / sum;
    if (in_packs(x, classes))
        one_row<EACH, true>(x, t, hit, weight, factor, losses + row, gradient, classes, smoothing);
    else
        one_row<EACH, false>(x, t, hit, weight, factor, losses + row, gradient, classes, smoothing);
}

extern "C" __global__ void __launch_bounds__(128, 8)
entropy_warp_float32_4(
    const float *x, const long long *target, const float *weight, const float *norm, float *losses, float *gradient,
    long long rows,
    int classes, long long ignored, float smoothing)
{
    cross_entropy<4>(x, target, weight, norm, losses, gradient, rows, classes, ignored, smoothing);
}

extern "C" __global__ void __launch_bounds__(128, 3)
entropy_warp_float32_32(
    const float *x, const long long *target, const float *weight, const float *norm, float *losses, float *gradient,
    long long rows,
    int classes, long long ignored, float smoothing)
{
    cross_entropy<32>(x, target, weight, norm, losses, gradient, rows, classes, ignored, smoothing);
}

extern "C" __global__ void __launch_bounds__(128, 5)
entropy_warp_float64_4(
    const double *x, const long long *target, const double *weight, const double *norm, double *losses,
    double *gradient, long long rows,
    int classes, long long ignored, double smoothing)
{
    cross_entropy<4>(x, target, weight, norm, losses, gradient, rows, classes, ignored, smoothing);
}

extern "C" __global__ void __launch_bounds__(128, 2)
entropy_warp_float64_32(
    const double *x, const long long *target, const double *weight, const double *norm, double *losses,
    double *gradient, long long rows,
    int classes, long long ignored, double smoothing)
{
    cross_entropy<32>(x, target, weight, norm, losses, gradient, rows, classes, ignored, smoothing);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_warp_weigh_float32(
    const long long *target, const float *weight, float *to, long long rows, int classes, long long ignored)
{
    weigh(target, weight, to, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_warp_add_float32(const float *numbers, const float *norm, float *to, long long count)
{
    add(numbers, norm, to, count);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_warp_weigh_float64(
    const long long *target, const double *weight, double *to, long long rows, int classes, long long ignored)
{
    weigh(target, weight, to, rows, classes, ignored);
}

extern "C" __global__ void __launch_bounds__(THREADS)
entropy_warp_add_float64(const double *numbers, const double *norm, double *to, long long count)
{
    add(numbers, norm, to, count);
}
