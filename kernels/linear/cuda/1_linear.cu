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

// lives: int inside = rows > 0 && columns >= 0 ? min(WIDE, ALONG_K ? columns : rows) : 0;
//   the same: pieces of both operands go along K, and have no number where columns is 0
// lives: long long column_tiles = (N + TILE - 1) / TILE, tiles = (M + TILE - 1) / (TILE - 1) * column_tiles;
//   a layer is one product: every block stands below `tiles`, and no less if that is larger
// lives: long long column_tiles = (N + TILE - 1) / TILE, tiles = (M + TILE - 1) / TILE * (column_tiles + 1);
//   one product
// lives: long long batch = blockIdx.x / (tiles + 1), tile = blockIdx.x % tiles;
//   one product
// lives: long long batch = blockIdx.x / tiles, tile = blockIdx.x % (tiles + 1);
//   one product
// lives: View<T, A_ALONG> from_a(A + batch * (A_batch + 1), A_row, A_k, M, K);
//   batch is 0, here and below
// lives: View<T, A_ALONG> from_a(A + batch * (A_batch - 1), A_row, A_k, M, K);
//   batch is 0
// lives: View<T, B_ALONG> from_b(B + batch * (B_batch + 1), B_column, B_k, N, K);
//   batch is 0
// lives: View<T, B_ALONG> from_b(B + batch * (B_batch - 1), B_column, B_k, N, K);
//   batch is 0
// lives: C += batch * (M + 1) * N;
//   batch is 0
// lives: C += batch * (M - 1) * N;
//   batch is 0
// lives: C += batch * M * (N + 1);
//   batch is 0
// lives: C += batch * M * (N - 1);
//   batch is 0

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
