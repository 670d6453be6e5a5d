// nvrtc: -std=c++17
//
// y = f(x w^T + b), a linear layer and the activation behind it in one launch.
//
// The product is the matmul ladder's async rung, in the order nt: x [rows, I] and w [O, I] both along I, with any strides.
//
// What changes: what is done to an entry of y before it is stored, while it is in a register: the bias of its column is
// added, and relu, sigmoid or tanh is taken.
//
// What it should gain: y is written once, where a product, a sum and an activation write it three times and read it twice:
// most of their time where I is small. (Unverified on hardware.)

#include "gemm.cuh"

struct None {
    template <typename T>
    static __device__ T of(T x) { return x; }
};

struct Relu {
    template <typename T>
    static __device__ T of(T x) { return x < T(0) ? T(0) : x; } // of what is no number, that
};

struct Sigmoid {
    template <typename T>
    static __device__ T of(T x) { return T(1) / (T(1) + exp(-x)); }
};

struct Tanh {
    template <typename T>
    static __device__ T of(T x) { return tanh(x); }
};

// b[O] with a stride, or nullptr.
template <typename T, typename Activation>
struct Bias {
    const T *b;
    long long stride;

    __device__ T operator()(T sum, long long column) const
    {
        return Activation::of(b ? sum + b[column * stride] : sum);
    }
};

#define ENTRY(NAME, T, EACH, ACTIVATION)                                                                               \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                               \
    NAME(const T *x, long long x_row, long long x_k, const T *w, long long w_row, long long w_k, const T *b,           \
         long long b_stride, T *y, int rows, int outputs, int inputs)                                                  \
    {                                                                                                                  \
        Bias<T, ACTIVATION> finish = {b, b_stride};                                                                    \
        gemm<EACH, true, true>(x, 0, x_row, x_k, w, 0, w_k, w_row, y, rows, outputs, inputs, finish);                  \
    }

ENTRY(linear_float32, float, 8, None)
ENTRY(linear_relu_float32, float, 8, Relu)
ENTRY(linear_sigmoid_float32, float, 8, Sigmoid)
ENTRY(linear_tanh_float32, float, 8, Tanh)
ENTRY(linear_float64, double, 4, None)
