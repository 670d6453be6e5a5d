// nvrtc: -std=c++17 -fmad=false
//
// AdaGrad: `adagrad_` of the card (kernels/optim/spec.py).
//
// What changes, to one kernel for each operation: as in adam.cu, one reading and one writing; the decayed learning rate is
// computed once a parameter.
//
// What to expect: the speed of memory, 20 bytes an element of float32. (Unverified on hardware.)

#include "steps.cuh"

template <typename T>
struct AdaGrad {
    static constexpr int STATES = 1, SHARED = 4;
    T rate, eps, l2, sign;

    static __device__ void prepare(T *shared, const double *scalars, float t, float *, int)
    {
        double lr = scalars[0], decay = scalars[1];
        shared[0] = T(lr / (1.0 + ((double)t - 1.0) * decay));
        shared[1] = T(scalars[2]), shared[2] = T(scalars[3]), shared[3] = T(scalars[4]);
    }

    __device__ AdaGrad(const T *shared) : rate(shared[0]), eps(shared[1]), l2(shared[2]), sign(shared[3]) {}

    __device__ bool uses(int) const { return true; }

    __device__ void operator()(T &p, T g, T *state) const
    {
        T d = descent(p, g, l2, sign), v = state[0] + d * d;
        state[0] = v;
        p = p - rate * d / (sqrt(v) + eps);
    }
};

extern "C" __global__ void
adagrad_prepare_float32(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, float *shared)
{
    prepare<AdaGrad<float>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void
adagrad_prepare_float64(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, double *shared)
{
    prepare<AdaGrad<double>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void __launch_bounds__(256)
adagrad_step_float32(const Piece *pieces, float *moments, long long elements, const float *shared)
{
    step<AdaGrad<float>>(pieces, moments, elements, shared);
}

extern "C" __global__ void __launch_bounds__(256)
adagrad_step_float64(const Piece *pieces, double *moments, long long elements, const double *shared)
{
    step<AdaGrad<double>>(pieces, moments, elements, shared);
}
