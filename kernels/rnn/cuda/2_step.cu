// nvrtc: -std=c++17
//
// A recurrent net, a step in one launch.
//
// What changes: product and gates are one kernel. A block has 16 sequences and 16 units, and a thread one of each: it sums
// the products of all gates of its unit in registers, and there they are when the gates need them. Nothing of W_hh h goes
// through memory, and a step is one launch instead of two. Backward a step begins with what the step behind it left, dm W_hh,
// of which a thread sums one number; so it ends with one launch more, for the gradient of h0.
//
// The tiles lie in shared memory with k along their rows, and are read 16 bytes at a time: for each WIDE numbers of the
// state one load, and one for each gate. Rows are padded by 16 bytes, so that 8 threads that read together, from 8 rows, ask
// different banks. The tiles of the next k are on their way through registers while these are computed with.
//
// What it should gain: up to twice the pointwise rung where launches are most of the time. With few sequences the machine
// stays half empty: 32 sequences of 1024 units are 128 blocks, and each reads its part of W_hh again at every step. That
// part could stay where it is: the next rung. (Unverified on hardware.)

#include "cells.cuh"
#include "pack.cuh"

#define SIDE 16
#define DEPTH 32
#define THREADS 256
#define EACH 2 // numbers of a tile that a thread loads

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   because the round more adds zeros
// lives: for (int n = -1; n < EACH; n += 1) {
//   because rows[-1] does not exist, so that the compiler leaves the iteration out
// lives: for (int n = 0; n <= EACH; n += 1) {
//   because next_h[EACH] does not exist either
// lives: for (int g = -1; g < COUNT; g += 1) {
//   because next_w[-1] does not exist either

// Sums over k < K of left.row(b)[k] times COUNT numbers of `weights`, for the thread's sequence b = top + y and unit
// j = first + x. ACROSS: those of gate g stand at [g H + j, k]. Otherwise there is one, at [k, j].
template <int COUNT, bool ACROSS, typename T, typename Rows>
__device__ void dot(const Rows &left, const T *weights, T (&sums)[COUNT], int top, int first, int B, int H, int K)
{
    constexpr int WIDE = Pack<T>::COUNT;
    static_assert(SIDE * DEPTH == THREADS * EACH, "EACH numbers of a tile per thread");
    __shared__ alignas(16) T h[2][SIDE][DEPTH + WIDE], w[2][COUNT][SIDE][DEPTH + WIDE];
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, down = threadIdx.x / DEPTH, across = threadIdx.x % DEPTH;
    const T *rows[EACH];
    for (int n = 0; n < EACH; n += 1) {
        int b = top + down + n * (SIDE / EACH);
        rows[n] = b < B ? left.row(b) : nullptr;
    }
    T next_h[EACH], next_w[COUNT][EACH];
    auto fetch = [&](int k) {
        for (int n = 0; n < EACH; n += 1) {
            next_h[n] = rows[n] && k + across < K ? rows[n][k + across] : T(0);
            int j = first + (ACROSS ? down + n * (SIDE / EACH) : x), at = k + (ACROSS ? across : y + n * SIDE);
            for (int g = 0; g < COUNT; g += 1) {
                long long place = ACROSS ? ((long long)g * H + j) * K + at : (long long)at * H + j;
                next_w[g][n] = j < H && at < K ? weights[place] : T(0);
            }
        }
    };
    fetch(0);
    int buffer = 0;
    for (int k = 0; k < K; k += DEPTH) {
        for (int n = 0; n < EACH; n += 1) {
            int unit = ACROSS ? down + n * (SIDE / EACH) : x, at = ACROSS ? across : y + n * SIDE;
            h[buffer][down + n * (SIDE / EACH)][across] = next_h[n];
            for (int g = 0; g < COUNT; g += 1)
                w[buffer][g][unit][at] = next_w[g][n];
        }
        __syncthreads();
        fetch(k + DEPTH);
        for (int i = 0; i < DEPTH; i += WIDE) {
            Pack<T> one = get(&h[buffer][y][i]);
            for (int g = 0; g < COUNT; g += 1) {
                Pack<T> other = get(&w[buffer][g][x][i]);
                for (int v = 0; v < WIDE; v += 1)
                    sums[g] += one.v[v] * other.v[v];
            }
        }
        buffer = !buffer; // the other one was read before the barrier of this round
    }
}

template <typename Cell, typename T>
__device__ void forward(const Forward<T> &arrays, const T *weights, const T *bias, int s)
{
    int H = arrays.H, B = arrays.walk.B, tiles = (H + SIDE - 1) / SIDE;
    int top = blockIdx.x / tiles * SIDE, first = blockIdx.x % tiles * SIDE;
    T sums[Cell::GATES] = {0};
    dot<Cell::GATES, true>(Before<T>{arrays.walk, arrays.h0, arrays.output, H, s}, weights, sums, top, first, B, H, H);
    int b = top + threadIdx.x / SIDE, j = first + threadIdx.x % SIDE;
    if (b < B && j < H) {
        for (int g = 0; g < Cell::GATES; g += 1)
            sums[g] += bias ? bias[g * H + j] : T(0);
        arrays.template finish<Cell>(s, b, j, sums);
    }
}

// Step -1 is that before all steps: dh becomes the gradient of h0.
template <typename Cell, typename T>
__device__ void backward(const Backward<T> &arrays, const T *weights, int s)
{
    int H = arrays.H, B = arrays.walk.B, tiles = (H + SIDE - 1) / SIDE, width = Cell::GATES * H;
    int top = blockIdx.x / tiles * SIDE, first = blockIdx.x % tiles * SIDE;
    T sums[1] = {0};
    AtStep<T> behind = {arrays.walk, Cell::TWO ? arrays.dm : arrays.da, width, s + 1};
    dot<1, false>(behind, weights, sums, top, first, B, H, width);
    int b = top + threadIdx.x / SIDE, j = first + threadIdx.x % SIDE;
    if (b < B && j < H) {
        if (s < 0)
            arrays.dh[(long long)b * H + j] += sums[0];
        else
            arrays.template finish<Cell>(s, b, j, sums[0]);
    }
}

// -- entries -----------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS, 2)
lstm_forward_float32(FORWARD(float), const float *w, const float *bias, int s)
{
    forward<LSTM>(FORWARD_OF(float), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
lstm_forward_float64(FORWARD(double), const double *w, const double *bias, int s)
{
    forward<LSTM>(FORWARD_OF(double), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
gru_forward_float32(FORWARD(float), const float *w, const float *bias, int s)
{
    forward<GRU>(FORWARD_OF(float), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
gru_forward_float64(FORWARD(double), const double *w, const double *bias, int s)
{
    forward<GRU>(FORWARD_OF(double), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_tanh_forward_float32(FORWARD(float), const float *w, const float *bias, int s)
{
    forward<TANH>(FORWARD_OF(float), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_tanh_forward_float64(FORWARD(double), const double *w, const double *bias, int s)
{
    forward<TANH>(FORWARD_OF(double), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_relu_forward_float32(FORWARD(float), const float *w, const float *bias, int s)
{
    forward<RELU>(FORWARD_OF(float), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_relu_forward_float64(FORWARD(double), const double *w, const double *bias, int s)
{
    forward<RELU>(FORWARD_OF(double), w, bias, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lstm_backward_float32(BACKWARD(float), const float *w, int s)
{
    backward<LSTM>(BACKWARD_OF(float), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) lstm_backward_float64(BACKWARD(double), const double *w, int s)
{
    backward<LSTM>(BACKWARD_OF(double), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gru_backward_float32(BACKWARD(float), const float *w, int s)
{
    backward<GRU>(BACKWARD_OF(float), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) gru_backward_float64(BACKWARD(double), const double *w, int s)
{
    backward<GRU>(BACKWARD_OF(double), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_tanh_backward_float32(BACKWARD(float), const float *w, int s)
{
    backward<TANH>(BACKWARD_OF(float), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_tanh_backward_float64(BACKWARD(double), const double *w, int s)
{
    backward<TANH>(BACKWARD_OF(double), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_relu_backward_float32(BACKWARD(float), const float *w, int s)
{
    backward<RELU>(BACKWARD_OF(float), w, s);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
rnn_relu_backward_float64(BACKWARD(double), const double *w, int s)
{
    backward<RELU>(BACKWARD_OF(double), w, s);
}
