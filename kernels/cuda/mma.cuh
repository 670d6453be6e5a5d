// The tensor cores' instruction for a warp (sm_80), and what rounds numbers for it: all inline PTX of the products.
//
//     D = A B + C   A 16 x k, B k x 8, C and D 16 x 8 in float32
//
// With g = lane / 4 and t = lane % 4, a thread holds of A rows g and g + 8, of B column g, of C and D rows g and g + 8 and
// columns 2t and 2t + 1. Which k it holds does not matter, as long as it is the same of A and of B: their order in a sum is
// free. (PTX ISA, "Matrix fragments for mma.m16n8k8" and "mma.m16n8k16".)
#pragma once

// The nearest number of 10 bits behind the point (TF32), as float32's bits.
__device__ unsigned round_tf32(float x)
{
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// The nearest numbers of 7 bits behind the point (bfloat16); `low` in the lower half.
__device__ unsigned round_bf16(float low, float high)
{
    unsigned bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

// d += a b, k = 8: a is (g, k0), (g + 8, k0), (g, k1), (g + 8, k1), b is k0, k1.
__device__ void mma_tf32(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// d += a b, k = 16: the same with two bfloat16 numbers in each.
__device__ void mma_bf16(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
