// nvrtc: -std=c++17
//
// A recurrent net whose gates are one launch a step.
//
// What it does: W_ih x + b_ih is one product for all steps at once. Then each step is two launches: the product W_hh h +
// b_hh, and one thread for each unit of each sequence, which does the arithmetic of all its gates in registers, where a
// kernel for each operation would write and read them ten times. Backward the same way round: the gates' gradients, then
// their product with W_hh; the gradients of the weights and of x are one product each, when all steps are done.
//
// The products go through tiles in shared memory, EACH x EACH entries per thread, EACH = 2 where a step has few rows and 4
// over whole sequences. Their matrices are asked for rows, and may answer that one is nothing (a sequence that has ended),
// so that padding is never multiplied: it may be infinite.
//
// What it should gain: several times over a launch for each operation, as long as a step is small: the time of a step is
// then that of its launches, and there are 2 instead of 15. (Unverified on hardware.)

#include "cells.cuh"

#define SIDE 16
#define DEPTH 16
#define THREADS 256

// -- products ----------------------------------------------------------------------------------------------------------

template <typename T>
struct Plain {
    const T *data;
    long long width;

    __device__ const T *row(int r) const
    {
        return data + r * width;
    }
};

// Rows (t, b) of a sequence [T, B, width] up to each one's end.
template <typename T>
struct Inside {
    Walk walk;
    const T *data;
    long long width;

    __device__ const T *row(int r) const
    {
        return r / walk.B < walk.length(r % walk.B) ? data + r * width : nullptr;
    }
};

// Rows (t, b): the state before the step that reads time t.
template <typename T>
struct Earlier {
    Walk walk;
    const T *h0, *output;
    int H;

    __device__ const T *row(int r) const
    {
        int time = r / walk.B, b = r % walk.B, end = walk.length(b);
        int s = walk.reverse && time < end ? end - 1 - time : time;
        return Before<T>{walk, h0, output, H, s}.row(b);
    }
};

// A tile of a matrix, turned so that k goes down. ACROSS: k runs along its rows; otherwise down its rows.
template <bool ACROSS, int TILE, typename T, typename Matrix>
__device__ void load(T (&tile)[DEPTH][TILE + 1], const Matrix &matrix, int first, int count, int k, int K)
{
    static_assert(TILE * DEPTH % THREADS == 0, "as many numbers for each thread");
    for (int round = 0; round < TILE * DEPTH / THREADS; round += 1) {
        int at = threadIdx.x + round * THREADS;
        int n = ACROSS ? at / DEPTH : at % TILE, i = ACROSS ? at % DEPTH : at / TILE;
        const T *row = first + n < count && k + i < K ? matrix.row(ACROSS ? first + n : k + i) : nullptr;
        tile[i][n] = row ? row[ACROSS ? k + i : first + n] : T(0);
    }
}

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   because the round more adds zeros

// C [M, N] = A B, plus a bias [N] for each row where there is one, or added to what C holds.
template <int EACH, bool A_ACROSS, bool B_ACROSS, typename T, typename A, typename B>
__device__ void multiply(const A &left, const B &right, T *C, const T *bias, bool more, int M, int N, int K)
{
    constexpr int TILE = SIDE * EACH;
    __shared__ T a[DEPTH][TILE + 1], b[DEPTH][TILE + 1];
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, tiles = (N + TILE - 1) / TILE;
    int top = blockIdx.x / tiles * TILE, start = blockIdx.x % tiles * TILE;
    T sums[EACH][EACH] = {{0}};
    for (int k = 0; k < K; k += DEPTH) {
        load<A_ACROSS, TILE>(a, left, top, M, k, K);
        load<B_ACROSS, TILE>(b, right, start, N, k, K);
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1) {
            T one[EACH], other[EACH];
            for (int j = 0; j < EACH; j += 1) {
                one[j] = a[i][y + j * SIDE];
                other[j] = b[i][x + j * SIDE];
            }
            for (int m = 0; m < EACH; m += 1)
                for (int n = 0; n < EACH; n += 1)
                    sums[m][n] += one[m] * other[n];
        }
        __syncthreads();
    }
    for (int m = 0; m < EACH; m += 1)
        for (int n = 0; n < EACH; n += 1) {
            int row = top + y + m * SIDE, column = start + x + n * SIDE;
            if (row < M && column < N) {
                T *c = C + (long long)row * N + column;
                *c = sums[m][n] + (bias ? bias[column] : more ? *c : T(0));
            }
        }
}

// The sums of all rows, added in a fixed order; the same into a second array where there is one.
template <typename T>
__device__ void sum_rows(const T *data, T *result, T *second, int rows, int columns)
{
    __shared__ T parts[THREADS / 32][32];
    int x = threadIdx.x % 32, y = threadIdx.x / 32, column = blockIdx.x * 32 + x;
    T sum = 0;
    if (column < columns)
        for (int row = y; row < rows; row += THREADS / 32)
            sum += data[(long long)row * columns + column];
    parts[y][x] = sum;
    __syncthreads();
    if (y == 0 && column < columns) {
        for (int i = 1; i < THREADS / 32; i += 1)
            sum += parts[i][x];
        result[column] = sum;
        if (second)
            second[column] = sum;
    }
}

// -- gates -------------------------------------------------------------------------------------------------------------

template <typename Cell, typename T>
__device__ void forward(const Forward<T> &arrays, const T *m, int s)
{
    int at = blockIdx.x * THREADS + threadIdx.x, b = at / arrays.H, j = at % arrays.H;
    if (b < arrays.walk.B) {
        T part[Cell::GATES];
        for (int g = 0; g < Cell::GATES; g += 1)
            part[g] = m[((long long)b * Cell::GATES + g) * arrays.H + j];
        arrays.template finish<Cell>(s, b, j, part);
    }
}

template <typename Cell, typename T>
__device__ void backward(const Backward<T> &arrays, int s)
{
    int at = blockIdx.x * THREADS + threadIdx.x, b = at / arrays.H, j = at % arrays.H;
    if (b < arrays.walk.B)
        arrays.template finish<Cell>(s, b, j, T(0));
}

// -- entries -----------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS, 2)
begin_float32(const float *h0, const float *c0, float *h, float *c, float *cells, int count)
{
    begin(h0, c0, h, c, cells, count);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
begin_float64(const double *h0, const double *c0, double *h, double *c, double *cells, int count)
{
    begin(h0, c0, h, c, cells, count);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
input_product_float32(const float *x, const float *w, const float *bias, float *pre, int M, int N, int K)
{
    multiply<4, true, true>(Plain<float>{x, K}, Plain<float>{w, K}, pre, bias, false, M, N, K);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
input_product_float64(const double *x, const double *w, const double *bias, double *pre, int M, int N, int K)
{
    multiply<4, true, true>(Plain<double>{x, K}, Plain<double>{w, K}, pre, bias, false, M, N, K);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
state_product_float32(SEQUENCES, const float *h0, const float *output, const float *w, const float *bias, float *m, int
                      H, int N, int s)
{
    multiply<2, true, true>(Before<float>{WALK, h0, output, H, s}, Plain<float>{w, H}, m, bias, false, B, N, H);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
state_product_float64(SEQUENCES, const double *h0, const double *output, const double *w, const double *bias, double *m,
                      int H, int N, int s)
{
    multiply<2, true, true>(Before<double>{WALK, h0, output, H, s}, Plain<double>{w, H}, m, bias, false, B, N, H);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
state_gradient_float32(SEQUENCES, const float *dm, const float *w, float *dh, int H, int K, int s)
{
    multiply<2, true, false, float>(AtStep<float>{WALK, dm, K, s}, Plain<float>{w, H}, dh, nullptr, true, B, H, K);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
state_gradient_float64(SEQUENCES, const double *dm, const double *w, double *dh, int H, int K, int s)
{
    multiply<2, true, false, double>(AtStep<double>{WALK, dm, K, s}, Plain<double>{w, H}, dh, nullptr, true, B, H, K);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
input_gradient_float32(const float *da, const float *w, float *dx, int M, int N, int K)
{
    multiply<4, true, false, float>(Plain<float>{da, K}, Plain<float>{w, N}, dx, nullptr, false, M, N, K);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
input_gradient_float64(const double *da, const double *w, double *dx, int M, int N, int K)
{
    multiply<4, true, false, double>(Plain<double>{da, K}, Plain<double>{w, N}, dx, nullptr, false, M, N, K);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
input_weights_float32(SEQUENCES, const float *da, const float *x, float *dw, int M, int N)
{
    multiply<4, false, false, float>(Plain<float>{da, M}, Inside<float>{WALK, x, N}, dw, nullptr, false, M, N, T_ * B);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
input_weights_float64(SEQUENCES, const double *da, const double *x, double *dw, int M, int N)
{
    multiply<4, false, false, double>(Plain<double>{da, M}, Inside<double>{WALK, x, N}, dw, nullptr, false, M, N, T_ *
        B);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
state_weights_float32(SEQUENCES, const float *dm, const float *h0, const float *output, float *dw, int M, int H)
{
    multiply<4, false, false, float>(Plain<float>{dm, M}, Earlier<float>{WALK, h0, output, H}, dw, nullptr, false, M, H,
        T_ * B);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
state_weights_float64(SEQUENCES, const double *dm, const double *h0, const double *output, double *dw, int M, int H)
{
    multiply<4, false, false, double>(Plain<double>{dm, M}, Earlier<double>{WALK, h0, output, H}, dw, nullptr, false, M,
        H, T_ * B);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
sum_rows_float32(const float *data, float *result, float *second, int rows, int columns)
{
    sum_rows(data, result, second, rows, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
sum_rows_float64(const double *data, double *result, double *second, int rows, int columns)
{
    sum_rows(data, result, second, rows, columns);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lstm_forward_float32(FORWARD(float), const float *m, int s)
{
    forward<LSTM>(FORWARD_OF(float), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lstm_forward_float64(FORWARD(double), const double *m, int s)
{
    forward<LSTM>(FORWARD_OF(double), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gru_forward_float32(FORWARD(float), const float *m, int s)
{
    forward<GRU>(FORWARD_OF(float), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gru_forward_float64(FORWARD(double), const double *m, int s)
{
    forward<GRU>(FORWARD_OF(double), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) rnn_tanh_forward_float32(FORWARD(float), const float *m, int s)
{
    forward<TANH>(FORWARD_OF(float), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_tanh_forward_float64(FORWARD(double), const double *m, int s)
{
    forward<TANH>(FORWARD_OF(double), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) rnn_relu_forward_float32(FORWARD(float), const float *m, int s)
{
    forward<RELU>(FORWARD_OF(float), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_relu_forward_float64(FORWARD(double), const double *m, int s)
{
    forward<RELU>(FORWARD_OF(double), m, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lstm_backward_float32(BACKWARD(float), int s)
{
    backward<LSTM>(BACKWARD_OF(float), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lstm_backward_float64(BACKWARD(double), int s)
{
    backward<LSTM>(BACKWARD_OF(double), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gru_backward_float32(BACKWARD(float), int s)
{
    backward<GRU>(BACKWARD_OF(float), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gru_backward_float64(BACKWARD(double), int s)
{
    backward<GRU>(BACKWARD_OF(double), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) rnn_tanh_backward_float32(BACKWARD(float), int s)
{
    backward<TANH>(BACKWARD_OF(float), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) rnn_tanh_backward_float64(BACKWARD(double), int s)
{
    backward<TANH>(BACKWARD_OF(double), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) rnn_relu_backward_float32(BACKWARD(float), int s)
{
    backward<RELU>(BACKWARD_OF(float), s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) rnn_relu_backward_float64(BACKWARD(double), int s)
{
    backward<RELU>(BACKWARD_OF(double), s);
}
