// nvrtc: -std=c++17
//
// C = A B on the tensor cores in bfloat16: matrices of float32 whose numbers are rounded to 7 bits behind the point on the
// way into the multiplier; sums and C are float32. For who asks for it: it is wrong by up to 8 thousandths of the largest
// entry, and nobody gets it unasked.
//
// What changes: two numbers fit a register and one instruction, mma.m16n8k16, is 2048 multiply-adds, twice TF32's. Numbers
// are rounded after they were read from shared memory, so that A and B are the same arrays as on every other rung and no
// copy of them is made. It also means that memory and shared memory move float32: matrices that are kept in bfloat16 would
// need half of it, and a kernel of their own.
//
// What it should gain: over the TF32 rung what the multiplier was the limit of, less than twice; the more, the larger the
// matrices. (Unverified on hardware.)
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

TENSOR(bf16_nn_float32, Bf16, true, false, 2)
TENSOR(bf16_nt_float32, Bf16, true, true, 2)
TENSOR(bf16_tn_float32, Bf16, false, false, 2)
TENSOR(bf16_tt_float32, Bf16, false, true, 1)
