// nvrtc: -std=c++17
//
// C = A B on the tensor cores in TF32: float32 whose numbers are rounded to 10 bits behind the point when they are
// multiplied. For who asks for it: a thousandth of the largest entry is what may be wrong, and nobody gets it unasked.
//
// What changes: who multiplies. One instruction of a warp, mma.m16n8k8, is 1024 multiply-adds, which the float32 units take
// 32 instructions for; sums stay in float32. Each warp has 64 x 32 of C in 4 x 4 such squares. A thread brings four numbers
// along K of each of its rows and columns, in one access of 16 bytes, and shares them out to two instructions: which k is
// which does not matter, if A and B agree. Tiles come as in the async rung, 16 deep and three at a time.
//
// What it should gain: an A100 multiplies 8 times as many numbers in TF32 as in float32, an H100 by this instruction about
// 5 times as many; memory and shared memory do not get faster, so that a part of that remains. (Unverified on hardware.)
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

TENSOR(tf32_nn_float32, Tf32, true, false, 2)
TENSOR(tf32_nt_float32, Tf32, true, true, 2)
TENSOR(tf32_tn_float32, Tf32, false, false, 2)
TENSOR(tf32_tt_float32, Tf32, false, true, 2)
