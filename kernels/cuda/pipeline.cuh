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

// What a thread brings of a matrix, step by step: the same pieces of every tile.
template <int THREADS, typename T, bool ALONG_K, int TILE, int DEPTH>
struct Copier {
    static constexpr int WIDE = Pack<T>::COUNT, IN_A_ROW = (ALONG_K ? DEPTH : TILE) / WIDE; // pieces side by side
    static constexpr int EACH = TILE * DEPTH / WIDE / THREADS, APART = THREADS / IN_A_ROW;  // rows of them
    static_assert(EACH * THREADS * WIDE == TILE * DEPTH && APART * IN_A_ROW == THREADS, "as many pieces for each thread");

    const T *here;
    long long apart, ahead, side; // in numbers: to the thread's next piece, the next step's, a piece's next number
    int outer, k;                 // of the thread's first piece
    int outers, depth;            // how much of the matrix there is from here on
    bool whole;                   // pieces begin at multiples of 16 bytes

    // A [outers, depth], or B turned around, by strides; of tiles that begin at row (column) `first`.
    __device__ Copier(const T *data, long long outer_stride, long long k_stride, int rows, int columns, long long first)
    {
        int row = threadIdx.x / IN_A_ROW, piece = threadIdx.x % IN_A_ROW * WIDE;
        outer = ALONG_K ? row : piece;
        k = ALONG_K ? piece : row;
        here = data + (first + outer) * outer_stride + k * k_stride;
        apart = APART * (ALONG_K ? outer_stride : k_stride);
        ahead = DEPTH * k_stride;
        side = ALONG_K ? k_stride : outer_stride;
        outers = rows - (int)first - outer;
        depth = columns - k;
        whole = side == 1 && (ALONG_K ? outer_stride : k_stride) % WIDE == 0 && (size_t)data % 16 == 0;
    }

    // This step's pieces; the next call is for the next step.
    __device__ void copy(Tile<T, ALONG_K, TILE, DEPTH> &tile, int step)
    {
        const T *here = this->here + step * ahead;
        int depth = this->depth - step * DEPTH;
#pragma unroll
        for (int i = 0; i < EACH; i += 1) {
            int inside = ALONG_K ? (i * APART < outers ? depth : 0) : (i * APART < depth ? outers : 0);
            T *to = ALONG_K ? tile.at(0, outer + i * APART, k) : tile.at(0, outer, k + i * APART);
            const T *from = here + i * apart;
            if (whole) {
                copy_async<16>(to, from, max(0, min(WIDE, inside)) * (int)sizeof(T));
            } else {
#pragma unroll 1
                for (int w = 0; w < WIDE; w += 1)
                    copy_async<sizeof(T)>(to + w, from + w * side, w < inside ? sizeof(T) : 0);
            }
        }
    }
};

// compute(a, b) for the tiles of every step, in the order of K.
template <int STAGES, typename A, typename B, typename TileA, typename TileB, typename F>
__device__ void each_step(TileA (&a)[STAGES], TileB (&b)[STAGES], A &from_a, B &from_b, int steps, F compute)
{
    auto copy = [&](int step) {
        if (step < steps) {
            from_a.copy(a[step % STAGES], step);
            from_b.copy(b[step % STAGES], step);
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
