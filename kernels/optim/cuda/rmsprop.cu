// nvrtc: -std=c++17 -fmad=false
//
// RMSprop, centered and with momentum where they are asked for: `rmsprop_` of the card (kernels/optim/spec.py).
//
// What changes, to one kernel for each operation: as in adam.cu, one reading and one writing. A moment that the options leave out
// is neither read nor written.
//
// What to expect: the speed of memory, 20 to 36 bytes an element of float32. (Unverified on hardware.)

#include "steps.cuh"

template <typename T>
struct RmsProp {
    static constexpr int STATES = 3, SHARED = 8;
    T lr, old, fresh, eps, mu, l2, sign;
    bool centered;

    static __device__ void prepare(T *shared, const double *scalars, float, float *, int)
    {
        double alpha = scalars[1];
        shared[0] = T(scalars[0]), shared[1] = T(alpha), shared[2] = T(1.0 - alpha), shared[3] = T(scalars[2]);
        shared[4] = T(scalars[3]), shared[5] = T(scalars[4]), shared[6] = T(scalars[6]), shared[7] = T(scalars[5]);
    }

    __device__ RmsProp(const T *shared)
        : lr(shared[0]), old(shared[1]), fresh(shared[2]), eps(shared[3]), mu(shared[4]), l2(shared[5]), sign(shared[6]),
          centered(shared[7] != T(0))
    {
    }

    __device__ bool uses(int state) const { return state == 0 || (state == 1 ? centered : mu != T(0)); }

    __device__ void operator()(T &p, T g, T *state) const
    {
        T d = descent(p, g, l2, sign), v = old * state[0] + fresh * d * d, spread = v;
        state[0] = v;
        if (centered) {
            T a = state[1] + fresh * (d - state[1]);
            state[1] = a;
            spread = v - a * a;
        }
        T u = d / (sqrt(spread) + eps);
        if (mu != T(0)) {
            u = mu * state[2] + u;
            state[2] = u;
        }
        p = p - lr * u;
    }
};

extern "C" __global__ void
rmsprop_prepare_float32(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, float *shared)
{
    prepare<RmsProp<float>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void
rmsprop_prepare_float64(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, double *shared)
{
    prepare<RmsProp<double>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void __launch_bounds__(256)
rmsprop_step_float32(const Piece *pieces, float *moments, long long elements, const float *shared)
{
    step<RmsProp<float>>(pieces, moments, elements, shared);
}

extern "C" __global__ void __launch_bounds__(256)
rmsprop_step_float64(const Piece *pieces, double *moments, long long elements, const double *shared)
{
    step<RmsProp<double>>(pieces, moments, elements, shared);
}
