// Sums down columns of a matrix [rows, columns] whose rows lie side by side in memory, by blocks of WARP x TALL threads.
//
// Neighbours in a warp stand in neighbouring columns, so that they read together; the TALL warps of a block share the rows out
// among themselves, and blockIdx.y shares them out among blocks, whose parts another launch joins. No atomics: the order is
// that of the sizes alone, and the bits are the same each time.

#pragma once

#include "warp.cuh"

constexpr int TALL = 8;

__device__ long long this_column()
{
    return (long long)blockIdx.x * WARP + threadIdx.x;
}

// take(first), take(first + 1), ... before last, joined; all TALL threads of a column get it. All threads of a block come here,
// those of no column with last = first.
template <typename V, typename Take, typename Join>
__device__ V down(V none, long long first, long long last, Take take, Join join)
{
    __shared__ V parts[TALL][WARP];
    V value = none;
    for (long long i = first + threadIdx.y; i < last; i += TALL)
        value = join(value, take(i));
    parts[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    value = parts[0][threadIdx.x];
    for (int y = 1; y < TALL; y += 1)
        value = join(value, parts[y][threadIdx.x]);
    return value;
}
