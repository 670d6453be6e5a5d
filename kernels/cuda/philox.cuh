// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC 2011), for the kernels that draw: kernels/random/spec.py says which word
// belongs to which number. A block of four words depends on its number alone, so each thread makes its own, and the bits are
// the CPU's. 20 products of 32 x 32 bits and 40 xors for 16 bytes: with some 30 integer operations a word this is below
// what memory takes to write it.

#pragma once

typedef unsigned long long Number; // of 64 bits

// The four words of block `number` under `key`; `retry` is asked again by who rejected them.
__device__ __forceinline__ uint4 philox(Number key, Number number, unsigned retry)
{
    uint4 c = {(unsigned)number, (unsigned)(number >> 32), retry, 0u};
    unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
    for (int round = 0; round < 10; round += 1) {
        Number p0 = (Number)0xD2511F53u * c.x, p1 = (Number)0xCD9E8D57u * c.z;
        c = {(unsigned)(p1 >> 32) ^ c.y ^ k0, (unsigned)p1, (unsigned)(p0 >> 32) ^ c.w ^ k1, (unsigned)p0};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

// One of the 2^24 multiples of 2^-24 in [0, 1).
__device__ __forceinline__ float unit_float32(unsigned word)
{
    return (word >> 8) * 0x1p-24f;
}

// One of the 2^53 multiples of 2^-53 in [0, 1).
__device__ __forceinline__ double unit_float64(unsigned low, unsigned high)
{
    return (((Number)high << 32 | low) >> 11) * 0x1p-53;
}

// The block from which a draw begins: `counter`, moved on by what stands in memory, so that a captured launch draws other
// numbers each time it is replayed. Null: not moved.
__device__ __forceinline__ Number begin(Number counter, const Number *moved)
{
    return moved ? counter + *moved : counter;
}
