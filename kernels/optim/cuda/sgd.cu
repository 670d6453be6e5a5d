// nvrtc: -std=c++17 -fmad=false
//
// Stochastic gradient descent with momentum, Nesterov's and weight decay: `sgd_` of the card (kernels/optim/spec.py).
//
// What changes, to one small kernel for each operation of the formula and each parameter: one launch for all, in which each
// number moves once; without momentum parameter and gradient are read and the parameter written, with it its average as well.
//
// What to expect: the speed of memory, 12 or 20 bytes an element of float32; for models of a few thousand parameters the time of
// two launches. (Unverified on hardware.)

#include "steps.cuh"

template <typename T>
struct Sgd {
    static constexpr int STATES = 1, SHARED = 7;
    T lr, mu, damped, l2, sign;
    bool nesterov, first;

    static __device__ void prepare(T *shared, const double *scalars, float t, float *, int)
    {
        double lr = scalars[0], mu = scalars[1], dampening = scalars[2], l2 = scalars[3], nesterov = scalars[4];
        shared[0] = T(lr), shared[1] = T(mu), shared[2] = T(1.0 - dampening), shared[3] = T(l2), shared[4] = T(scalars[5]);
        shared[5] = T(nesterov != 0.0), shared[6] = T(t == 1.0f);
    }

    __device__ Sgd(const T *shared)
        : lr(shared[0]), mu(shared[1]), damped(shared[2]), l2(shared[3]), sign(shared[4]), nesterov(shared[5] != T(0)),
          first(shared[6] != T(0))
    {
    }

    __device__ bool uses(int) const { return mu != T(0); }

    __device__ void operator()(T &p, T g, T *state) const
    {
        T d = descent(p, g, l2, sign);
        if (mu != T(0)) {
            T b = first ? d : mu * state[0] + damped * d;
            state[0] = b;
            d = nesterov ? d + mu * b : b;
        }
        p = p - lr * d;
    }
};

extern "C" __global__ void
sgd_prepare_float32(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, float *shared)
{
    prepare<Sgd<float>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void
sgd_prepare_float64(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, double *shared)
{
    prepare<Sgd<double>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void __launch_bounds__(256)
sgd_step_float32(const Piece *pieces, float *moments, long long elements, const float *shared)
{
    step<Sgd<float>>(pieces, moments, elements, shared);
}

extern "C" __global__ void __launch_bounds__(256)
sgd_step_float64(const Piece *pieces, double *moments, long long elements, const double *shared)
{
    step<Sgd<double>>(pieces, moments, elements, shared);
}
