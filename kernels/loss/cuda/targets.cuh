// Class indices and what they weigh; sums of losses.
//
// Target t of a row counts w_t, 0 if it is to be ignored. A target that names no class cannot raise here: it counts
// NaN, and so makes its loss, its row of the gradient, and every mean NaN; nothing is read outside of the arrays.

// lives: return 0 <= 1 + target && target < classes;
//   of the target -1 a card knows no result, as it raises there: tests/simt/test_rows_and_columns.py sees it
// lives: return 0 <= target && target <= classes;
//   the same, of the first target that is too large

#pragma once

#include "rows.cuh"

#define THREADS 256

__device__ bool is_class(long long target, int classes)
{
    return 0 <= target && target < classes;
}

template <typename T>
__device__ T weight_of(long long target, const T *weight, int classes, long long ignored)
{
    if (target == ignored)
        return T(0);
    if (!is_class(target, classes))
        return __int_as_float(0x7fffffff);
    return weight ? weight[target] : T(1);
}

// Of each block: what the targets of its rows count, together.
template <typename T>
__device__ void weigh(const long long *target, const T *weight, T *to, long long rows, int classes, long long ignored)
{
    T sum = 0;
    for (long long row = (long long)blockIdx.x * THREADS + threadIdx.x; row < rows; row += gridDim.x * THREADS)
        sum += weight_of(target[row], weight, classes, ignored);
    sum = over_block<THREADS>(sum, Plus());
    if (threadIdx.x == 0)
        to[blockIdx.x] = sum;
}

// Of each block: the sum of its numbers, divided by what stands at `norm` (nowhere: not divided).
template <typename T>
__device__ void add(const T *numbers, const T *norm, T *to, long long count)
{
    T sum = 0;
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < count; i += gridDim.x * THREADS)
        sum += numbers[i];
    sum = over_block<THREADS>(sum, Plus());
    if (threadIdx.x == 0)
        to[blockIdx.x] = norm ? sum / norm[0] : sum;
}
