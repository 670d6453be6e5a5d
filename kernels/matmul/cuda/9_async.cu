// nvrtc: -std=c++17
//
// C = A B, three steps of K on their way into shared memory while one is computed with.
//
// What changes: numbers go from global to shared memory by cp.async, past the registers, and nobody waits for them to be
// asked for. Four pairs of tiles lie in a ring: one is computed with, three are on their way, so that memory has the time of
// three steps to answer, and a step has one barrier. The registers that the staged rung kept for what comes are free: 128
// for a thread are enough, and two blocks share a multiprocessor. Tiles keep the order of memory, in pieces of 16 bytes that
// are shuffled so that no bank is asked twice (pipeline.cuh), where the rungs before turn A's tile on its way.
//
// And it is the product that an engine needs: each operand comes with strides, so that a transposed one (the gradients of a
// product) needs no copy, in entries for either order of either operand, n or t; a batch of products is one launch.
//
// What it should gain: what the staged rung still waits for memory, and for a second block; the most where K is long.
// (Unverified on hardware.)

#include "gemm.cuh"

#define ENTRY(NAME, T, EACH, A_ALONG, B_ALONG)                                                                         \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                               \
    NAME(const T *A, long long A_batch, long long A_row, long long A_k, const T *B, long long B_batch, long long B_k,  \
         long long B_column, T *C, int M, int N, int K)                                                                \
    {                                                                                                                  \
        gemm<EACH, A_ALONG, B_ALONG>(A, A_batch, A_row, A_k, B, B_batch, B_k, B_column, C, M, N, K, Plain());          \
    }

ENTRY(async_nn_float32, float, 8, true, false)
ENTRY(async_nt_float32, float, 8, true, true)
ENTRY(async_tn_float32, float, 8, false, false)
ENTRY(async_tt_float32, float, 8, false, true)
ENTRY(async_nn_float64, double, 4, true, false)
ENTRY(async_nt_float64, double, 4, true, true)
ENTRY(async_tn_float64, double, 4, false, false)
ENTRY(async_tt_float64, double, 4, false, true)
