// nvrtc: -std=c++17
//
// Block Gibbs sampling, a layer in one launch: the units are drawn where their sums are made.
//
// What it does: sums of W come in tiles of 32 chains and 64 units through shared memory, 2 chains and 4 units per thread.
// A thread then turns its sums into probabilities and draws the units: the four units of one chain are those of one block
// of the random generator, so each thread makes two blocks, in registers, of which no word is lost. Probabilities and
// random numbers are never in memory; a product, a sigmoid, a generator and a comparison of their own would write and read
// each of them.
//
// What it should gain: for large layers what a product in such tiles takes, with the rest hidden in it; for small ones a
// quarter of the launches. Chains are one after the other and each step waits for a launch: the next rung.
// (Unverified on hardware.)

#include "pack.cuh"
#include "units.cuh"

#define SIDE 16
#define DEPTH 32
#define THREADS 256
#define DOWN 2 // chains of a thread, SIDE apart
#define WIDE 4 // units of a thread, side by side: those of a random block

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   because the round more adds zeros
// lives: if (n < N && j <= U) {
//   because the loop over its units is then of none

// units[n, j] of the next layer, drawn with probability p = sigmoid(bias[n, j] + sum_k given[n, k] weight of (j, k)), and p
// where it is asked for. ACROSS: the weight stands at [j, k]; else at [k, j].
template <bool ACROSS, typename T>
__device__ void layer(const T *given, const T *weight, const T *bias, T *units, T *mean, int N, int U, int K, Number key,
                      Number counter)
{
    constexpr int CHAINS = SIDE * DOWN, UNITS = SIDE * WIDE;
    __shared__ T a[DEPTH][CHAINS + 1];
    __shared__ alignas(16) T b[DEPTH][UNITS + WIDE]; // read 16 bytes at a time
    static_assert(CHAINS * DEPTH % THREADS == 0 && UNITS * DEPTH % THREADS == 0, "as many numbers for each thread");
    int x = threadIdx.x % SIDE, y = threadIdx.x / SIDE, tiles = (U + UNITS - 1) / UNITS;
    int top = blockIdx.x / tiles * CHAINS, first = blockIdx.x % tiles * UNITS;
    T sums[DOWN][WIDE] = {{0}};
    for (int k = 0; k < K; k += DEPTH) {
        for (int round = 0; round < CHAINS * DEPTH / THREADS; round += 1) {
            int at = threadIdx.x + round * THREADS, n = at / DEPTH, i = at % DEPTH;
            a[i][n] = top + n < N && k + i < K ? given[(long long)(top + n) * K + k + i] : T(0);
        }
        for (int round = 0; round < UNITS * DEPTH / THREADS; round += 1) {
            int at = threadIdx.x + round * THREADS;
            int j = ACROSS ? at / DEPTH : at % UNITS, i = ACROSS ? at % DEPTH : at / UNITS;
            long long place = ACROSS ? (long long)(first + j) * K + k + i : (long long)(k + i) * U + first + j;
            b[i][j] = first + j < U && k + i < K ? weight[place] : T(0);
        }
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1)
            for (int w = 0; w < WIDE; w += Pack<T>::COUNT) {
                Pack<T> few = get(&b[i][x * WIDE + w]);
                for (int m = 0; m < DOWN; m += 1)
                    for (int v = 0; v < Pack<T>::COUNT; v += 1)
                        sums[m][w + v] += a[i][y + m * SIDE] * few.v[v];
            }
        __syncthreads();
    }
    for (int m = 0; m < DOWN; m += 1) {
        int n = top + y + m * SIDE, j = first + x * WIDE;
        if (n < N && j < U) {
            uint4 words = philox(key, counter + (Number)n * ((U + 3) / 4) + j / 4, 0);
            for (int w = 0; w < WIDE && j + w < U; w += 1) {
                long long at = (long long)n * U + j + w;
                T p = probability(bias[at] + sums[m][w]);
                units[at] = draw(word_of(words, w), p);
                if (mean)
                    mean[at] = p;
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
hidden_float32(const float *given, const float *weight, const float *bias, float *units, float *mean, int N, int U, int
               K, Number key, Number counter)
{
    layer<true>(given, weight, bias, units, mean, N, U, K, key, counter);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
hidden_float64(const double *given, const double *weight, const double *bias, double *units, double *mean, int N, int U,
               int K, Number key, Number counter)
{
    layer<true>(given, weight, bias, units, mean, N, U, K, key, counter);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
visible_float32(const float *given, const float *weight, const float *bias, float *units, float *mean, int N, int U, int
                K, Number key, Number counter)
{
    layer<false>(given, weight, bias, units, mean, N, U, K, key, counter);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
visible_float64(const double *given, const double *weight, const double *bias, double *units, double *mean, int N, int
                U, int K, Number key, Number counter)
{
    layer<false>(given, weight, bias, units, mean, N, U, K, key, counter);
}
