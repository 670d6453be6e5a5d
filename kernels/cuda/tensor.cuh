// C = A B of float32 matrices on the tensor cores: 128 x 128 of C per block, 64 x 32 per warp, tiles by cp.async.
//
// `Mode` says what becomes of a float32 number: how it is rounded for the multiplier, and by which instructions 16 x 16 of A
// and 16 x 8 of B are multiplied. A thread reads four numbers side by side along K, k = 4t ... 4t + 3, of each of its rows
// and columns: one access of 16 bytes where a tile goes along K. (ldmatrix would bring the same numbers in as many accesses,
// but transposes only numbers of 16 bits.)
#pragma once

#include "mma.cuh"
#include "pipeline.cuh"

struct Tf32 {
    struct Numbers {
        unsigned v[4];
    };

    static __device__ Numbers of(const Pack<float> &x)
    {
        return {round_tf32(x.v[0]), round_tf32(x.v[1]), round_tf32(x.v[2]), round_tf32(x.v[3])};
    }

    // c += A B: rows g and g + 8 of A, column g of B.
    static __device__ void multiply(float (&c)[4], const Numbers &a, const Numbers &below, const Numbers &b)
    {
        mma_tf32(c, a.v[0], below.v[0], a.v[1], below.v[1], b.v[0], b.v[1]);
        mma_tf32(c, a.v[2], below.v[2], a.v[3], below.v[3], b.v[2], b.v[3]);
    }
};

// x = big + small, each of TF32: 21 bits behind the point of float32's 23. Of a b = big big + big small + small big + small
// small the last is below float32's own rounding, and is left out.
struct Tf32x3 {
    struct Numbers {
        Tf32::Numbers big, small;
    };

    static __device__ Numbers of(const Pack<float> &x)
    {
        Numbers numbers;
        numbers.big = Tf32::of(x);
        Pack<float> rest;
        for (int i = 0; i < 4; i += 1)
            rest.v[i] = x.v[i] - __uint_as_float(numbers.big.v[i]);
        numbers.small = Tf32::of(rest);
        return numbers;
    }

    // The tensor cores' own additions cut where float32 rounds, and over a long K that would show: a step's 16 products are
    // summed there, the steps here.
    static __device__ void multiply(float (&c)[4], const Numbers &a, const Numbers &below, const Numbers &b)
    {
        float sum[4] = {0};
        Tf32::multiply(sum, a.small, below.small, b.big);
        Tf32::multiply(sum, a.big, below.big, b.small);
        Tf32::multiply(sum, a.big, below.big, b.big);
        for (int i = 0; i < 4; i += 1)
            c[i] += sum[i];
    }
};

struct Bf16 {
    struct Numbers {
        unsigned v[2];
    };

    static __device__ Numbers of(const Pack<float> &x)
    {
        return {round_bf16(x.v[0], x.v[1]), round_bf16(x.v[2], x.v[3])};
    }

    static __device__ void multiply(float (&c)[4], const Numbers &a, const Numbers &below, const Numbers &b)
    {
        mma_bf16(c, a.v[0], below.v[0], a.v[1], below.v[1], b.v[0], b.v[1]);
    }
};

// Four numbers along K of rows (columns) first + 8 i + g: few addresses, and constants from there.
template <bool ALONG_K, int TILE, int DEPTH>
struct Fours {
    const float *from[ALONG_K ? 1 : 4];

    __device__ Fours(Tile<float, ALONG_K, TILE, DEPTH> &tile, int first, int g, int k)
    {
        for (int i = 0; i < (ALONG_K ? 1 : 4); i += 1)
            from[i] = tile.at(first, i * 8 + g, k);
    }

    __device__ Pack<float> operator[](int i) const
    {
        if (ALONG_K)
            return get(from[0] + i * (8 * DEPTH));
        const float *here = from[i % 4] + i / 4 * 32;
        return {here[0], here[TILE], here[2 * TILE], here[3 * TILE]};
    }
};

template <typename Mode, bool A_ALONG, bool B_ALONG>
__device__ void tensor_gemm(const float *A, long long A_batch, long long A_row, long long A_k, const float *B,
                            long long B_batch, long long B_k, long long B_column, float *C, int M, int N, int K)
{
    constexpr int STAGES = 3, DEPTH = 16, TILE = 128, DOWN = 4, ACROSS = 4; // of 16 x 8 each, for a warp
    __shared__ Tile<float, A_ALONG, TILE, DEPTH> a[STAGES];
    __shared__ Tile<float, B_ALONG, TILE, DEPTH> b[STAGES];
    long long column_tiles = (N + TILE - 1) / TILE, tiles = (M + TILE - 1) / TILE * column_tiles;
    long long batch = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    int top = tile / column_tiles * TILE, left = tile % column_tiles * TILE;
    int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    int row0 = warp / 4 * (16 * DOWN), column0 = warp % 4 * (8 * ACROSS);
    float sums[DOWN][ACROSS][4] = {{{0}}};
    View<float, A_ALONG> from_a(A + batch * A_batch, A_row, A_k, M, K);
    View<float, B_ALONG> from_b(B + batch * B_batch, B_column, B_k, N, K);
    each_step<256>(a, b, from_a, from_b, top, left, [&](auto &a_tile, auto &b_tile) {
        Fours columns(b_tile, column0, g, t * 4);
        Fours rows(a_tile, row0, g, t * 4);
        typename Mode::Numbers other[ACROSS];
        for (int n = 0; n < ACROSS; n += 1)
            other[n] = Mode::of(columns[n]);
        for (int m = 0; m < DOWN; m += 1) {
            auto one = Mode::of(rows[2 * m]), below = Mode::of(rows[2 * m + 1]);
            for (int n = 0; n < ACROSS; n += 1)
                Mode::multiply(sums[m][n], one, below, other[n]);
        }
    });
    C += batch * M * N;
    for (int m = 0; m < DOWN; m += 1)
        for (int half = 0; half < 2; half += 1) {
            long long row = top + row0 + m * 16 + half * 8 + g;
            if (row < M)
                for (int n = 0; n < ACROSS; n += 1) {
                    long long column = left + column0 + n * 8 + t * 2;
                    float2 pair = {sums[m][n][half * 2], sums[m][n][half * 2 + 1]};
                    // C comes from the allocator, so that its rows begin at 8 bytes
                    if (N % 2 == 0 && column < N) {
                        __stwb(reinterpret_cast<float2 *>(C + row * N + column), pair);
                    } else {
                        if (column < N)
                            C[row * N + column] = pair.x;
                        if (column + 1 < N)
                            C[row * N + column + 1] = pair.y;
                    }
                }
        }
}

#define TENSOR(NAME, MODE, A_ALONG, B_ALONG, BLOCKS)                                                                   \
    extern "C" __global__ void __launch_bounds__(256, BLOCKS)                                                          \
    NAME(const float *A, long long A_batch, long long A_row, long long A_k, const float *B, long long B_batch,         \
         long long B_k, long long B_column, float *C, int M, int N, int K)                                             \
    {                                                                                                                  \
        tensor_gemm<MODE, A_ALONG, B_ALONG>(A, A_batch, A_row, A_k, B, B_batch, B_k, B_column, C, M, N, K);            \
    }
