// nvrtc: -std=c++17
//
// A recurrent net, all steps in one launch: W_hh stays on the multiprocessors.
//
// What changes: a block owns a few units for the whole sequence and reads its part of W_hh once: of each row a lane holds 8
// bytes in registers, or 64 where rows are long, and what is left lies in shared memory. At each step it multiplies the state of all sequences with
// that, does the gates of its units, writes their state, and waits until every other block has done so. Memory then moves
// the state alone, [B, H] to each block, and no more a W_hh at every step; and there is nothing to launch.
//
// A warp has ROWS rows of W_hh, a lane every 32nd number of them, and 4 sequences at a time: a number of the state, read
// through the first-level cache, which the block's warps share, serves ROWS multiply-adds. The 16 sums of a warp are
// added over its lanes by halves: at each of four exchanges a lane keeps half of the sums it has, and gives the others
// away, so that 16 shuffles do what 80 would. Forward a warp has all gates of a unit (of a plain net: four units), and H
// products each; backward one gate of four units, and the gates' sums meet in shared memory.
//
// The blocks wait for each other at one counter in memory: each adds 1 behind a fence and looks until all have, step by step
// further on, so that nobody needs to set it back. They must all be on the GPU at once, so the launch is a cooperative one.
// It is refused where a part of W_hh is larger than the shared memory that the plan allows, or blocks are more than a
// large GPU holds.
//
// What it should gain: a step costs the multiplications, the exchange of the state through the second-level cache and the
// barrier, about a microsecond, in place of reading W_hh (16 MB with 1024 units) and a launch: several times the step
// rung with few sequences. With many, a product in larger tiles is better. (Unverified on hardware.)

#include "cells.cuh"

#define WARP 32
#define CHUNK 32   // sequences whose sums are in shared memory at a time
#define TOGETHER 4 // of those, sequences that a warp multiplies with at once
#define ROWS 4     // sums of a sequence that a warp may have

// What the block's units are, forward and backward: 8 where there are several gates, one for each of 8 warps; else 32.
template <typename Cell>
struct Share {
    static constexpr int UNITS = Cell::GATES > 1 ? 8 : 32;                       // of a block
    static constexpr int FORWARD_ROWS = Cell::GATES > 1 ? Cell::GATES : ROWS;    // of a warp
    static constexpr int BACKWARD_WARPS = UNITS / ROWS * Cell::GATES;            // 8 or 6
    static constexpr int FORWARD_WARPS = UNITS * Cell::GATES / FORWARD_ROWS;     // 8
};

// lives: *waiting = __int_as_float(0x7fffffff);
//   because a NaN becomes 0 as a whole number
// lives: for (int first = 0; first <= B; first += CHUNK) {
//   because the round more has no sequences

// That, and nobody waits yet.
template <typename T>
__device__ void begin(const T *h0, const T *c0, T *h, T *c, T *cells, unsigned *waiting, int count)
{
    begin(h0, c0, h, c, cells, count);
    if (blockIdx.x == 0 && threadIdx.x == 0)
        *waiting = 0;
}

// All blocks come here, for the `target / gridDim.x`th time.
__device__ inline void wait_for_all(unsigned *waiting, unsigned target)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        atomicAdd(waiting, 1u);
        while (*(volatile unsigned *)waiting < target)
            ;
        __threadfence();
    }
    __syncthreads();
}

// lives: for (int i = 0; i <= half; i += 1) {
//   because sums[half] is not used any more
// lives: for (int i = -1; i < half; i += 1) {
//   because sums[-1] does not exist, so that the compiler leaves the iteration out

// 16 sums over the lanes: lane 2 i and lane 2 i + 1 get sum i.
template <typename T>
__device__ T add_up(T (&sums)[TOGETHER * ROWS])
{
    int lane = threadIdx.x % WARP;
    for (int half = 8; half > 0; half /= 2) {
        bool upper = lane & 2 * half;
        for (int i = 0; i < half; i += 1) {
            T kept = upper ? sums[i + half] : sums[i], given = upper ? sums[i] : sums[i + half];
            sums[i] = kept + __shfl_xor_sync(0xffffffff, given, 2 * half);
        }
    }
    return sums[0] + __shfl_xor_sync(0xffffffff, sums[0], 1);
}

// lives: for (int r = 0; r <= COUNT; r += 1)
//   because kept[COUNT] does not exist, so that the compiler leaves the iteration out
// lives: for (int n = -1; n < TOGETHER; n += 1) {
//   because rows[-1] does not exist either
// lives: for (int n = 0; n < -1 + CHUNK && first + n < B; n += TOGETHER) {
//   because n is a multiple of TOGETHER, and so is CHUNK
// lives: for (int n = 0; n < CHUNK && first + n <= B; n += TOGETHER) {
//   because the round more has no sequences

// A warp's part of W_hh: COUNT rows of H numbers, lane by lane.
template <int COUNT, int KEPT, typename T>
struct Part {
    T kept[COUNT][KEPT];
    T *more; // [COUNT, H - KEPT * 32] in shared memory; a lane reads what it wrote
    int H;

    // at(r, k): the number itself, or zero
    template <typename At>
    __device__ void load(T *shared, int columns, At at)
    {
        H = columns;
        more = shared + (long long)(threadIdx.x / WARP) * COUNT * max(H - KEPT * WARP, 0);
        for (int r = 0; r < COUNT; r += 1) {
            for (int i = 0; i < KEPT; i += 1) {
                int k = threadIdx.x % WARP + i * WARP;
                kept[r][i] = k < H ? at(r, k) : T(0);
            }
            for (int k = KEPT * WARP + threadIdx.x % WARP; k < H; k += WARP)
                more[r * (H - KEPT * WARP) + k - KEPT * WARP] = at(r, k);
        }
    }

    // sums[n ROWS + r] of rows n (nothing: zeros) of the state with rows r.
    __device__ void multiply(const T *const (&rows)[TOGETHER], T (&sums)[TOGETHER * ROWS]) const
    {
        for (int i = 0; i < KEPT; i += 1) {
            int k = threadIdx.x % WARP + i * WARP;
            for (int n = 0; n < TOGETHER; n += 1) {
                T h = rows[n] && k < H ? rows[n][k] : T(0);
                for (int r = 0; r < COUNT; r += 1)
                    sums[n * ROWS + r] += kept[r][i] * h;
            }
        }
#pragma unroll 2
        for (int k = KEPT * WARP + threadIdx.x % WARP; k < H; k += WARP)
            for (int n = 0; n < TOGETHER; n += 1) {
                T h = rows[n] ? rows[n][k] : T(0);
                for (int r = 0; r < COUNT; r += 1)
                    sums[n * ROWS + r] += more[r * (H - KEPT * WARP) + k - KEPT * WARP] * h;
            }
    }

    // The same for sequences `first` and on of B, CHUNK at most, into sums[b - first, warp, r].
    template <int WARPS, typename Rows>
    __device__ void all(const Rows &left, int skip, int first, int B, T (&sums)[CHUNK][WARPS][ROWS]) const
    {
        int lane = threadIdx.x % WARP;
#pragma unroll 1
        for (int n = 0; n < CHUNK && first + n < B; n += TOGETHER) {
            const T *rows[TOGETHER];
            for (int i = 0; i < TOGETHER; i += 1) {
                rows[i] = first + n + i < B ? left.row(first + n + i) : nullptr;
                if (rows[i])
                    rows[i] += skip;
            }
            T part[TOGETHER * ROWS] = {0};
            multiply(rows, part);
            T sum = add_up(part);
            if (lane % 2 == 0)
                sums[n + lane / (2 * ROWS)][threadIdx.x / WARP][lane / 2 % ROWS] = sum;
        }
    }
};

template <typename Cell, int BYTES, typename T>
__device__ void forward(const Forward<T> &arrays, const T *weights, const T *bias, unsigned *waiting)
{
    constexpr int WARPS = Share<Cell>::FORWARD_WARPS, COUNT = Share<Cell>::FORWARD_ROWS, UNITS = Share<Cell>::UNITS;
    extern __shared__ __align__(16) unsigned char memory[];
    __shared__ T sums[CHUNK][WARPS][ROWS];
    int H = arrays.H, B = arrays.walk.B, warp = threadIdx.x / WARP, start = blockIdx.x * UNITS;
    Part<COUNT, BYTES / sizeof(T), T> part;
    part.load(reinterpret_cast<T *>(memory), H, [&](int r, int k) {
        int row = warp * COUNT + r, j = start + row / Cell::GATES; // rows go gate by gate of a unit
        return j < H ? weights[((long long)(row % Cell::GATES) * H + j) * H + k] : T(0);
    });
    for (int s = 0; s < arrays.walk.T; s += 1) {
        if (s > 0)
            wait_for_all(waiting, s * gridDim.x);
#pragma unroll 1
        for (int first = 0; first < B; first += CHUNK) {
            if (first)
                __syncthreads(); // nobody reads the last chunk's sums any more
            part.all(Before<T>{arrays.walk, arrays.h0, arrays.output, H, s}, 0, first, B, sums);
            __syncthreads();
#pragma unroll 1
            for (int at = threadIdx.x; at < CHUNK * UNITS; at += WARPS * WARP) {
                int b = first + at / UNITS, unit = at % UNITS, j = start + unit;
                if (b < B && j < H) {
                    T m[Cell::GATES];
                    for (int g = 0; g < Cell::GATES; g += 1) {
                        int row = unit * Cell::GATES + g;
                        m[g] = sums[b - first][row / COUNT][row % COUNT] + (bias ? bias[g * H + j] : T(0));
                    }
                    arrays.template finish<Cell>(s, b, j, m);
                }
            }
        }
    }
}

template <typename Cell, int BYTES, typename T>
__device__ void backward(const Backward<T> &arrays, const T *weights, unsigned *waiting)
{
    constexpr int WARPS = Share<Cell>::BACKWARD_WARPS, UNITS = Share<Cell>::UNITS, GATES = Cell::GATES;
    extern __shared__ __align__(16) unsigned char memory[];
    __shared__ T sums[CHUNK][WARPS][ROWS];
    int H = arrays.H, B = arrays.walk.B, warp = threadIdx.x / WARP, start = blockIdx.x * UNITS;
    int gate = warp % GATES;
    Part<ROWS, BYTES / sizeof(T), T> part;
    part.load(reinterpret_cast<T *>(memory), H, [&](int r, int k) {
        int j = start + warp / GATES * ROWS + r;
        return j < H ? weights[((long long)gate * H + k) * H + j] : T(0);
    });
    for (int s = arrays.walk.T - 1; s >= -1; s -= 1) { // step -1 is that before all: dh becomes the gradient of h0
        if (s + 1 < arrays.walk.T)
            wait_for_all(waiting, (arrays.walk.T - 1 - s) * gridDim.x);
        AtStep<T> behind = {arrays.walk, Cell::TWO ? arrays.dm : arrays.da, GATES * H, s + 1};
#pragma unroll 1
        for (int first = 0; first < B; first += CHUNK) {
            if (first)
                __syncthreads(); // nobody reads the last chunk's sums any more
            part.all(behind, gate * H, first, B, sums);
            __syncthreads();
#pragma unroll 1
            for (int at = threadIdx.x; at < CHUNK * UNITS; at += WARPS * WARP) {
                int b = first + at / UNITS, unit = at % UNITS, j = start + unit;
                if (b < B && j < H) {
                    T through = 0;
                    for (int g = 0; g < GATES; g += 1)
                        through += sums[b - first][unit / ROWS * GATES + g][unit % ROWS];
                    if (s < 0)
                        arrays.dh[(long long)b * H + j] += through;
                    else
                        arrays.template finish<Cell>(s, b, j, through);
                }
            }
        }
    }
}

// -- entries -----------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(256, 1)
begin_float32(const float *h0, const float *c0, float *h, float *c, float *cells, unsigned *waiting, int count)
{
    begin(h0, c0, h, c, cells, waiting, count);
}

extern "C" __global__ void __launch_bounds__(256, 1)
begin_float64(const double *h0, const double *c0, double *h, double *c, double *cells, unsigned *waiting, int count)
{
    begin(h0, c0, h, c, cells, waiting, count);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_forward_8_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<LSTM, 8>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_forward_8_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<LSTM, 8>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_forward_64_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<LSTM, 64>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_forward_64_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<LSTM, 64>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
gru_forward_8_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<GRU, 8>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
gru_forward_8_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<GRU, 8>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
gru_forward_64_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<GRU, 64>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
gru_forward_64_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<GRU, 64>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_forward_8_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<TANH, 8>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_forward_8_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<TANH, 8>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_forward_64_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<TANH, 64>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_forward_64_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<TANH, 64>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_forward_8_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<RELU, 8>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_forward_8_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<RELU, 8>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_forward_64_float32(FORWARD(float), const float *w, const float *bias, unsigned *waiting)
{
    forward<RELU, 64>(FORWARD_OF(float), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_forward_64_float64(FORWARD(double), const double *w, const double *bias, unsigned *waiting)
{
    forward<RELU, 64>(FORWARD_OF(double), w, bias, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_backward_8_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<LSTM, 8>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_backward_8_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<LSTM, 8>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_backward_64_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<LSTM, 64>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
lstm_backward_64_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<LSTM, 64>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(192, 1)
gru_backward_8_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<GRU, 8>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(192, 1)
gru_backward_8_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<GRU, 8>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(192, 1)
gru_backward_64_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<GRU, 64>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(192, 1)
gru_backward_64_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<GRU, 64>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_backward_8_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<TANH, 8>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_backward_8_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<TANH, 8>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_backward_64_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<TANH, 64>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_tanh_backward_64_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<TANH, 64>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_backward_8_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<RELU, 8>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_backward_8_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<RELU, 8>(BACKWARD_OF(double), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_backward_64_float32(BACKWARD(float), const float *w, unsigned *waiting)
{
    backward<RELU, 64>(BACKWARD_OF(float), w, waiting);
}

extern "C" __global__ void __launch_bounds__(256, 1)
rnn_relu_backward_64_float64(BACKWARD(double), const double *w, unsigned *waiting)
{
    backward<RELU, 64>(BACKWARD_OF(double), w, waiting);
}
