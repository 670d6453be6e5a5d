// C = finish(A B) in the float32 or float64 units: tiles by cp.async, a square of C per thread, in warp tiles.
//
// 8 warps lie 4 down and 2 across the block's tile, the lanes of each 4 down and 8 across its own, and a thread has
// EACH x EACH entries: 128 x 128 in float32, 64 x 64 in float64. C is row-major. The batch's matrices lie a stride apart.

// lives: for (int j = -1; j < PERIOD; j += 1)
//   from[-1] does not exist, so that the compiler leaves the iteration out
// lives: for (int k = 0; k < -1 + DEPTH; k += WIDE) {
//   the same: k and DEPTH are multiples of WIDE
// lives: if (!B_ALONG && N % WIDE == 0 && column < -1 + N) {
//   the same: column and N are multiples of WIDE

#pragma once

#include "pipeline.cuh"

// Nothing is done to a product.
struct Plain {
    template <typename T>
    __device__ T operator()(T sum, long long) const
    {
        return sum;
    }
};

// The j-th row of A (column of B) of lane `lane` of LANES: in groups of 16 bytes where those lie side by side.
template <typename T, bool ALONG_K, int LANES>
__device__ int outer_of(int lane, int j)
{
    constexpr int WIDE = Pack<T>::COUNT;
    return ALONG_K ? j * LANES + lane : (j / WIDE * LANES + lane) * WIDE + j % WIDE;
}

// A piece's worth of k of a lane's rows (columns), 16 bytes at a time: use(i, j, value) with k + i and the j-th of them.
template <int LANES, int EACH, typename T, bool ALONG_K, int TILE, int DEPTH, typename F>
__device__ void each_number(Tile<T, ALONG_K, TILE, DEPTH> &tile, int first, int lane, int k, F use)
{
    constexpr int WIDE = Pack<T>::COUNT, PERIOD = ALONG_K ? 8 / LANES : 1; // few addresses, and constants from there
    const T *from[PERIOD];
    for (int j = 0; j < PERIOD; j += 1)
        from[j] = tile.at(first, ALONG_K ? j * LANES + lane : lane * WIDE, k);
    for (int j = 0; j < EACH; j += ALONG_K ? 1 : WIDE)
        for (int i = 0; i < WIDE; i += ALONG_K ? WIDE : 1) {
            Pack<T> pack = get(ALONG_K ? from[j % PERIOD] + j / PERIOD * (8 * DEPTH) : from[0] + i * TILE + j * LANES);
            for (int w = 0; w < WIDE; w += 1)
                use(ALONG_K ? w : i, ALONG_K ? j : j + w, pack.v[w]);
        }
}

template <int EACH, bool A_ALONG, bool B_ALONG, typename T, typename Finish>
__device__ void gemm(const T *A, long long A_batch, long long A_row, long long A_k, const T *B, long long B_batch,
                     long long B_k, long long B_column, T *C, int M, int N, int K, Finish finish)
{
    constexpr int WIDE = Pack<T>::COUNT, STAGES = 4, DEPTH = 8, TILE = 16 * EACH;
    __shared__ Tile<T, A_ALONG, TILE, DEPTH> a[STAGES];
    __shared__ Tile<T, B_ALONG, TILE, DEPTH> b[STAGES];
    long long column_tiles = (N + TILE - 1) / TILE, tiles = (M + TILE - 1) / TILE * column_tiles;
    long long batch = blockIdx.x / tiles, tile = blockIdx.x % tiles;
    int top = tile / column_tiles * TILE, left = tile % column_tiles * TILE;
    int warp = threadIdx.x / 32, y = threadIdx.x % 32 / 8, x = threadIdx.x % 8;
    int row0 = warp % 4 * (4 * EACH), column0 = warp / 4 * (8 * EACH);
    T sums[EACH][EACH] = {{0}};
    View<T, A_ALONG> from_a(A + batch * A_batch, A_row, A_k, M, K);
    View<T, B_ALONG> from_b(B + batch * B_batch, B_column, B_k, N, K);
    each_step<256>(a, b, from_a, from_b, top, left, [&](auto &a_tile, auto &b_tile) {
#pragma unroll 1 // both pieces at once would take more registers than two blocks have
        for (int k = 0; k < DEPTH; k += WIDE) {
            T one[WIDE][EACH];
            each_number<4, EACH>(a_tile, row0, y, k, [&](int i, int m, T value) { one[i][m] = value; });
            each_number<8, EACH>(b_tile, column0, x, k, [&](int i, int n, T value) {
                for (int m = 0; m < EACH; m += 1)
                    sums[m][n] += one[i][m] * value;
            });
        }
    });
    C += batch * M * N;
    for (int m = 0; m < EACH; m += 1) {
        long long row = top + row0 + outer_of<T, A_ALONG, 4>(y, m);
        if (row < M)
            for (int n = 0; n < EACH; n += B_ALONG ? 1 : WIDE) {
                long long column = left + column0 + outer_of<T, B_ALONG, 8>(x, n);
                // C comes from the allocator, so that its rows begin at 16 bytes
                if (!B_ALONG && N % WIDE == 0 && column < N) {
                    Pack<T> pack;
                    for (int w = 0; w < WIDE; w += 1)
                        pack.v[w] = finish(sums[m][n + w], column + w);
                    put(C + row * N + column, pack);
                } else {
                    for (int w = 0; w < (B_ALONG ? 1 : WIDE); w += 1)
                        if (column + w < N)
                            C[row * N + column + w] = finish(sums[m][n + w], column + w);
                }
            }
    }
}
