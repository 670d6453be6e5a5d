// Tiles of two matrices, step by step along K into shared memory, by cp.async (sm_80).
//
// A copy goes from global to shared memory without a register between, and the thread that asks for it does not wait. So
// STAGES - 1 steps are on their way while one is computed with: the time that memory takes is covered, by one barrier a
// step. Where a matrix ends, a copy is told to read fewer bytes, and writes zeros for the rest: nothing is tested later.
//
// An operand is given by strides, so that transposed, sliced and reversed matrices need no copy of their own. `ALONG_K` says
// which way its numbers lie side by side, and its tile keeps that order, in pieces of 16 bytes:
//
//     ALONG_K   [TILE][DEPTH]   A as it is, B transposed; a piece goes along K
//     else      [DEPTH][TILE]   B as it is, A transposed; a piece goes along rows of A, columns of B
//
// Pieces are shuffled (an exclusive or of their place) so that neither writing nor reading them asks a bank twice, without
// padding: 8 threads that read the same k of 8 neighbours reach 8 different groups of 4 banks.

// lives: T v[TILE * (DEPTH + 1)];
//   room that nobody uses
// lives: constexpr int WIDE = Pack<T>::COUNT, PIECES = DEPTH / (WIDE + 1), ROWS = 8 / PIECES;
//   another shuffle: right, but banks are asked twice, which tests/simt/test_gemm.py counts
// lives: constexpr int WIDE = Pack<T>::COUNT, PIECES = DEPTH / WIDE, ROWS = 8 / (PIECES + 1);
//   another shuffle
// lives: return v + (first + outer) * DEPTH + (k / (WIDE - 1) ^ outer / ROWS % PIECES) * WIDE + k % WIDE;
//   the same for k = 0 and k = WIDE, and where DEPTH is 8 there is no other
// lives: return v + (first + outer) * DEPTH + (k / WIDE ^ outer / ROWS % (PIECES - 1)) * WIDE + k % WIDE;
//   another shuffle
// lives: for (int at = threadIdx.x; at < TILE * DEPTH / WIDE; at += (THREADS + 1)) {
//   where a tile has THREADS pieces, no thread comes to a second
// lives: int steps = (A.depth + DEPTH - 1) / (DEPTH - 1);
//   further steps, of zeros
// lives: if (step <= steps) {
//   one step more is copied, of zeros that nobody computes with
// lives: for (int step = 0; step <= STAGES - 1; step += 1)
//   a step is copied twice into its place before anybody reads it

#pragma once

#include "pack.cuh"

template <typename T, bool ALONG_K, int TILE, int DEPTH>
struct alignas(16) Tile {
    T v[TILE * DEPTH];

    // Where the number of row (column) first + outer at k is kept, with the others of its piece behind it. `first` is a
    // multiple of 32. 8 rows further down a piece lies 8 DEPTH further on, 32 columns further right 32.
    __device__ T *at(int first, int outer, int k)
    {
        constexpr int WIDE = Pack<T>::COUNT, PIECES = DEPTH / WIDE, ROWS = 8 / PIECES; // rows of pieces in all 32 banks
        if (ALONG_K)
            return v + (first + outer) * DEPTH + (k / WIDE ^ outer / ROWS % PIECES) * WIDE + k % WIDE;
        return v + k * TILE + first + (sizeof(T) == 4 ? outer ^ k / 4 * 8 : outer);
    }
};

// The last `BYTES - bytes` are zero.
template <int BYTES>
__device__ void copy_async(void *to, const void *from, int bytes)
{
    unsigned there = (unsigned)__cvta_generic_to_shared(to);
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(there), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(there), "l"(from), "n"(BYTES), "r"(bytes)
                     : "memory");
}

// A matrix [outers, depth], A or B turned around, by strides. `whole`: its pieces begin at multiples of 16 bytes.
template <typename T, bool ALONG_K>
struct View {
    const T *data;
    long long outer, k;
    int outers, depth;
    bool whole;

    __device__ View(const T *data, long long outer, long long k, int outers, int depth)
        : data(data), outer(outer), k(k), outers(outers), depth(depth)
    {
        bool aligned = (size_t)data % sizeof(Pack<T>) == 0;
        whole = aligned && (ALONG_K ? k : outer) == 1 && (ALONG_K ? outer : k) % Pack<T>::COUNT == 0;
    }

    // A thread's share of the tile that begins at row (column) `first` and at k = `begin`.
    template <int THREADS, int TILE, int DEPTH>
    __device__ void copy(Tile<T, ALONG_K, TILE, DEPTH> &tile, int first, int begin) const
    {
        constexpr int WIDE = Pack<T>::COUNT, IN_A_ROW = (ALONG_K ? DEPTH : TILE) / WIDE; // pieces side by side
#pragma unroll
        for (int at = threadIdx.x; at < TILE * DEPTH / WIDE; at += THREADS) {
            int i = ALONG_K ? at / IN_A_ROW : at % IN_A_ROW * WIDE;
            int j = ALONG_K ? at % IN_A_ROW * WIDE : at / IN_A_ROW;
            int rows = outers - first - i, columns = depth - begin - j; // of the matrix, from here on
            int inside = rows > 0 && columns > 0 ? min(WIDE, ALONG_K ? columns : rows) : 0;
            T *to = tile.at(0, i, j);
            const T *from = data + ((long long)first + i) * outer + ((long long)begin + j) * k;
            if (whole) {
                copy_async<16>(to, from, inside * (int)sizeof(T));
            } else {
#pragma unroll 1
                for (int w = 0; w < WIDE; w += 1)
                    copy_async<sizeof(T)>(to + w, from + w * (ALONG_K ? k : outer), (w < inside) * (int)sizeof(T));
            }
        }
    }
};

// compute(a, b) for the tiles of A at row `top` and of B at column `left`, of every step, in the order of K.
template <int THREADS, int STAGES, typename T, bool A_ALONG, bool B_ALONG, int ROWS, int COLUMNS, int DEPTH, typename F>
__device__ void each_step(Tile<T, A_ALONG, ROWS, DEPTH> (&a)[STAGES], Tile<T, B_ALONG, COLUMNS, DEPTH> (&b)[STAGES],
                          const View<T, A_ALONG> &A, const View<T, B_ALONG> &B, int top, int left, F compute)
{
    int steps = (A.depth + DEPTH - 1) / DEPTH;
    auto copy = [&](int step) {
        if (step < steps) {
            A.template copy<THREADS>(a[step % STAGES], top, step * DEPTH);
            B.template copy<THREADS>(b[step % STAGES], left, step * DEPTH);
        }
        asm volatile("cp.async.commit_group;"); // also an empty one, so that groups and steps keep pace
    };
    for (int step = 0; step < STAGES - 1; step += 1)
        copy(step);
    for (int step = 0; step < steps; step += 1) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory"); // this step's copies by this thread have come,
        __syncthreads(); // by all others too, and nobody reads the step before any more: its place is free
        copy(step + STAGES - 1);
        compute(a[step % STAGES], b[step % STAGES]);
    }
}
