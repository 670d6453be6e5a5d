// What the rungs of Gibbs sampling share: how one unit is drawn (kernels/rbm/spec.py).

#pragma once

#include "philox.cuh"

// No overflow: e^-x may be infinite, and 1 / infinity is 0.
template <typename T>
__device__ T probability(T x)
{
    return T(1) / (T(1) + exp(-x));
}

// Of a block's four words, without an array, which would lie in memory.
__device__ inline unsigned word_of(uint4 words, int which)
{
    unsigned low = which & 1 ? words.y : words.x, high = which & 1 ? words.w : words.z;
    return which & 2 ? high : low;
}

// 1 with a probability of p, else 0.
template <typename T>
__device__ T draw(unsigned word, T p)
{
    return T(unit_float32(word)) < p ? T(1) : T(0);
}
