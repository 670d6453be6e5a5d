// nvrtc: -std=c++17 -fmad=false
//
// Adam, AdamW and AMSGrad: `adam_` of the card (kernels/optim/spec.py).
//
// What changes: the dozen operations of the formula happen in registers, between one reading of parameter, gradient and moments
// and one writing of all but the gradient. The bias corrections, two powers, are computed once a parameter and not once an
// element. AMSGrad's third moment costs traffic only where it is asked for.
//
// What to expect: the speed of memory, 28 bytes an element of float32 (36 with AMSGrad); operation by operation they would be
// over 100. (Unverified on hardware.)

// lives: w = state[2] >= v || state[2] != state[2] ? state[2] : v;
//   the same number, where both are equal

#include "steps.cuh"

template <typename T>
struct Adam {
    static constexpr int STATES = 3, SHARED = 10;
    T kept, rate, scale, eps, l2, sign, new1, old2, new2;
    bool amsgrad;

    static __device__ void prepare(T *shared, const double *scalars, float t, float *, int)
    {
        double lr = scalars[0], beta1 = scalars[1], beta2 = scalars[2], decay = scalars[5];
        shared[0] = T(1.0 - lr * decay);
        shared[1] = T(lr / (1.0 - power(beta1, t)));
        shared[2] = T(1.0 / sqrt(1.0 - power(beta2, t)));
        shared[3] = T(scalars[3]), shared[4] = T(scalars[4]), shared[5] = T(scalars[6]);
        shared[6] = T(1.0 - beta1), shared[7] = T(beta2), shared[8] = T(1.0 - beta2);
        shared[9] = T(scalars[7]);
    }

    __device__ Adam(const T *shared)
        : kept(shared[0]), rate(shared[1]), scale(shared[2]), eps(shared[3]), l2(shared[4]), sign(shared[5]), new1(shared[6]),
          old2(shared[7]), new2(shared[8]), amsgrad(shared[9] != T(0))
    {
    }

    __device__ bool uses(int state) const { return state != 2 || amsgrad; }

    __device__ void operator()(T &p, T g, T *state) const
    {
        T x = p * kept, d = descent(x, g, l2, sign);
        T m = state[0] + new1 * (d - state[0]), v = old2 * state[1] + new2 * d * d, w = v;
        state[0] = m, state[1] = v;
        if (amsgrad) {
            w = state[2] > v || state[2] != state[2] ? state[2] : v; // a NaN passes, whichever is one
            state[2] = w;
        }
        p = x - rate * (m / (sqrt(w) * scale + eps));
    }
};

extern "C" __global__ void
adam_prepare_float32(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, float *shared)
{
    prepare<Adam<float>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void
adam_prepare_float64(
    const long long *rows, int count, float *numbers, int parameters, const double *scalars, double *shared)
{
    prepare<Adam<double>>(rows, count, numbers, parameters, scalars, shared);
}

extern "C" __global__ void __launch_bounds__(256)
adam_step_float32(const Piece *pieces, float *moments, long long elements, const float *shared)
{
    step<Adam<float>>(pieces, moments, elements, shared);
}

extern "C" __global__ void __launch_bounds__(256)
adam_step_float64(const Piece *pieces, double *moments, long long elements, const double *shared)
{
    step<Adam<double>>(pieces, moments, elements, shared);
}
