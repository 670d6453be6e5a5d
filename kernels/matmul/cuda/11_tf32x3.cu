// nvrtc: -std=c++17
//
// C = A B on the tensor cores, as exact as in float32: three products in TF32.
//
// What changes: each number is split into a large part that TF32 holds and a small one that it holds of the rest, together
// 21 bits of float32's 23 behind the point. Of the four products of parts the three that matter are multiplied. The sums of
// 16 products are made on the tensor cores, which cut off what float32 would round; those sums are added up by the float32
// units, so that the error does not grow with K (Ootomo and Yokota, arXiv:2203.03341). Held to the operation's own
// tolerance. Numbers must be finite: the rest of an infinite one is no number, and neither is what comes of it.
//
// What it should gain: a third of what the TF32 rung's multiplier does, minus the splitting: against float32 units at most
// 2.7 times as much on an A100, and by this instruction 1.6 times on an H100. A thread takes 194 registers, so that one
// block has a multiprocessor. (Unverified on hardware.)
//
// lives: return v + (first + outer) * DEPTH + (k / WIDE ^ outer / (ROWS - 1) % PIECES) * WIDE + k % WIDE;
//   another shuffle
// lives: for (int i = -1; i < (ALONG_K ? 1 : 4); i += 1)
//   from[-1] does not exist, so that the compiler leaves the iteration out
// lives: if (N % 2 == 0 && column < -1 + N) {
//   the same: column and N are even
// lives: if (column + 1 < -1 + N)
//   the same: N is odd here, and column + 1 too

#include "tensor.cuh"

TENSOR(tf32x3_nn_float32, Tf32x3, true, false, 1)
TENSOR(tf32x3_nt_float32, Tf32x3, true, true, 1)
TENSOR(tf32x3_tn_float32, Tf32x3, false, false, 1)
TENSOR(tf32x3_tt_float32, Tf32x3, false, true, 1)
