// nvrtc: -std=c++17
//
// Block Gibbs sampling, all steps in one launch: W stays in shared memory.
//
// What changes: chains do not meet, so a block takes 4 of them through all steps, without a word to the other blocks. It
// reads W once, into shared memory, rows padded to an odd length: then threads that stand one below the other ask different
// banks, and so do those that stand side by side, and the one copy serves both directions. A thread has a unit, in all 4
// chains: a weight is read once for four multiply-adds, and the units of the four chains lie side by side, so that they are
// one load, the same for the whole warp.
//
// Four threads side by side need the four words of each of four random blocks, one for each chain. Each makes one block, and
// they hand the words round: in round r a thread takes from the r-th behind it the word of its own unit, and gives the r-th
// before it that of its. Nobody makes a block twice.
//
// What it should gain: many times the fused rung for small layers, where a step of that is two launches and reads W again:
// here a step is two barriers of the block. W must fit: 88 visible and 150 hidden units do in float32, 784 and 500 do not.
// (Unverified on hardware.)

#include "pack.cuh"
#include "units.cuh"

#define CHAINS 4
#define THREADS 256

// lives: for (int first = 0; first <= U; first += THREADS) {
//   because the round more has no unit
// lives: for (int r = 0; r <= CHAINS; r += 1) {
//   because the round more is the first again
// lives: for (int r = -1; r < CHAINS; r += 1) {
//   because the round more is the last again
// lives: T sum = c & 2 ? (c & 1 ? sums[3] : sums[2]) : (c & 1 ? sums[1] : sums[0]), p = __int_as_float(0x7fffffff);
//   because a unit of a chain that is none is 0 either way: no number is less than NaN
// lives: for (int at = threadIdx.x; at < H * D; at += (THREADS - 1))
//   because some are copied twice, by two threads, which write the same
// lives: for (int at = threadIdx.x; at < CHAINS * D; at += (THREADS - 1)) {
//   because some are copied twice
// lives: for (int at = threadIdx.x; at < CHAINS * D; at += (THREADS - 1))
//   because some are copied twice
// lives: for (int at = threadIdx.x; at < CHAINS * H; at += (THREADS - 1))
//   because some are copied twice

// The units of the next layer, of the block's chains from `top` on. weight of unit j and given unit k: at j down + k across.
template <typename T>
__device__ void layer(const T (*given)[CHAINS], const T *weight, int down, int across, const T *bias, T (*units)[CHAINS],
                      T *mean, int top, int N, int U, int K, Number key, Number counter)
{
    int lane = threadIdx.x % 4; // of the four that share their random blocks
    for (int first = 0; first < U; first += THREADS) { // whole warps come here: they exchange words
        int j = first + threadIdx.x;
        T sums[CHAINS] = {0};
        if (j < U)
            for (int k = 0; k < K; k += 1) {
                T w = weight[j * down + k * across];
                for (int c = 0; c < CHAINS; c += Pack<T>::COUNT) {
                    Pack<T> few = get(&given[k][c]);
                    for (int v = 0; v < Pack<T>::COUNT; v += 1)
                        sums[c + v] += w * few.v[v];
                }
            }
        uint4 words = philox(key, counter + (Number)(top + lane) * ((U + 3) / 4) + j / 4, 0);
        for (int r = 0; r < CHAINS; r += 1) {
            unsigned word = __shfl_sync(0xffffffff, word_of(words, (lane - r) & 3), (lane + r) & 3, 4);
            int c = (lane + r) & 3, n = top + c;
            if (j < U) {
                T sum = c & 2 ? (c & 1 ? sums[3] : sums[2]) : (c & 1 ? sums[1] : sums[0]), p = 0;
                if (n < N) {
                    long long at = (long long)n * U + j;
                    p = probability(bias[at] + sum);
                    if (mean)
                        mean[at] = p;
                }
                units[j][c] = draw(word, p);
            }
        }
    }
}

template <typename T>
__device__ void gibbs(const T *v0, const T *weight, const T *b, const T *c, T *v, T *mean, T *h, int N, int D, int H,
                      int steps, Number key, Number counter)
{
    extern __shared__ __align__(16) unsigned char memory[];
    T(*visible)[CHAINS] = reinterpret_cast<T(*)[CHAINS]>(memory), (*hidden)[CHAINS] = visible + D;
    T *kept = reinterpret_cast<T *>(hidden + H);
    int top = blockIdx.x * CHAINS, row = D | 1;
    for (int at = threadIdx.x; at < H * D; at += THREADS)
        kept[at / D * row + at % D] = weight[at];
    for (int at = threadIdx.x; at < CHAINS * D; at += THREADS) {
        int n = top + at / D;
        visible[at % D][at / D] = n < N ? v0[(long long)n * D + at % D] : T(0);
    }
    Number blocks_h = (Number)N * ((H + 3) / 4), blocks_v = (Number)N * ((D + 3) / 4);
    for (int s = 0; s < steps; s += 1) {
        __syncthreads();
        layer<T>(visible, kept, row, 1, c, hidden, nullptr, top, N, H, D, key, counter);
        counter += blocks_h;
        __syncthreads();
        layer<T>(hidden, kept, 1, row, b, visible, s + 1 == steps ? mean : nullptr, top, N, D, H, key, counter);
        counter += blocks_v;
    }
    __syncthreads();
    for (int at = threadIdx.x; at < CHAINS * D; at += THREADS)
        if (top + at / D < N)
            v[(long long)top * D + at] = visible[at % D][at / D];
    for (int at = threadIdx.x; at < CHAINS * H; at += THREADS)
        if (top + at / H < N)
            h[(long long)top * H + at] = hidden[at % H][at / H];
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
chains_float32(const float *v0, const float *weight, const float *b, const float *c, float *v, float *mean, float *h,
               int N, int D, int H, int steps, Number key, Number counter)
{
    gibbs(v0, weight, b, c, v, mean, h, N, D, H, steps, key, counter);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
chains_float64(const double *v0, const double *weight, const double *b, const double *c, double *v, double *mean, double
               *h, int N, int D, int H, int steps, Number key, Number counter)
{
    gibbs(v0, weight, b, c, v, mean, h, N, D, H, steps, key, counter);
}
