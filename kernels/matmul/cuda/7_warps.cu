// nvrtc: -std=c++17
//
// C = A B in warp tiles.
//
// What changes: which thread computes what. In the rungs before, a warp's 32 threads lie 16 across and 2 down: a step of k
// reads 16 x 8 different numbers of B and 2 x 8 of A for a warp. Here each of the 8 warps has a tile of its own, 32 x 64 of
// the block's 128 x 128, and its threads lie 8 across and 4 down: 64 numbers of B and 32 of A, two thirds as many, for the
// same multiply-adds. The block's tile is cut as the machine is: blocks on multiprocessors, warps on its four schedulers,
// threads in registers. Accesses of 16 bytes are served by 8 threads at a time, which now ask for 8 neighbouring places of
// B and one of A.
//
// What it should gain: a tenth over the vectors rung on large matrices, where shared memory is the limit (78 to 85 and 94
// of cuBLAS's 100 in Boehm's ladder, siboehm.com/articles/22/CUDA-MMM, with tuned sizes). (Unverified on hardware.)

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   one step more where DEPTH divides K, with tiles full of zeros
// lives: if (whole && row < -1 + rows && column < columns)
//   the last row is loaded number by number
// lives: if (whole && row < rows && column < -1 + columns)
//   the same: column and columns are multiples of 16 bytes
// lives: if (row < -1 + M && N % WIDE == 0 && column < N)
//   the last row is stored number by number
// lives: if (row < M && N % WIDE == 0 && column < -1 + N)
//   the same: column and N are multiples of 16 bytes
#include "pack.cuh"

#define DEPTH 8
#define DOWN 4 // lanes of a warp
#define ACROSS 8
#define WARPS_DOWN 4
#define WARPS_ACROSS 2

// COUNT numbers from data[row, column], zeros outside of [rows, columns].
template <typename T>
__device__ Pack<T> load(const T *data, long long row, long long column, long long rows, long long columns, bool whole)
{
    if (whole && row < rows && column < columns)
        return get(data + row * columns + column);
    Pack<T> pack;
    for (int w = 0; w < Pack<T>::COUNT; w += 1)
        pack.v[w] = row < rows && column + w < columns ? data[row * columns + column + w] : 0;
    return pack;
}

// To shared memory.
template <typename T>
__device__ void keep(T *to, const Pack<T> &pack)
{
    *reinterpret_cast<float4 *>(to) = *reinterpret_cast<const float4 *>(pack.v);
}

template <typename T, int EACH>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    constexpr int WIDE = Pack<T>::COUNT, TILE = WARPS_DOWN * DOWN * EACH, GROUPS = EACH / WIDE;
    static_assert(TILE == WARPS_ACROSS * ACROSS * EACH && TILE * DEPTH == 256 * WIDE, "16 bytes of each tile per thread");
    __shared__ alignas(16) T a[DEPTH][TILE + WIDE], b[DEPTH][TILE];
    int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    int y = warp / WARPS_ACROSS * (DOWN * EACH) + lane / ACROSS * WIDE;
    int x = warp % WARPS_ACROSS * (ACROSS * EACH) + lane % ACROSS * WIDE;
    int a_row = thread * WIDE / DEPTH, a_k = thread * WIDE % DEPTH;
    int b_k = thread * WIDE / TILE, b_column = thread * WIDE % TILE;
    long long column_tiles = (N + TILE - 1) / TILE;
    long long top = blockIdx.x / column_tiles * TILE, left = blockIdx.x % column_tiles * TILE;
    bool whole_a = in_packs(A, K), whole_b = in_packs(B, N);
    T sums[EACH][EACH] = {{0}};
    for (int k = 0; k < K; k += DEPTH) {
        Pack<T> pack = load(A, top + a_row, k + a_k, M, K, whole_a);
        for (int w = 0; w < WIDE; w += 1)
            a[a_k + w][a_row] = pack.v[w];
        keep(&b[b_k][b_column], load(B, k + b_k, left + b_column, K, N, whole_b));
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1) {
            Pack<T> one[GROUPS], other[GROUPS];
            for (int g = 0; g < GROUPS; g += 1) {
                one[g] = get(&a[i][y + g * (DOWN * WIDE)]);
                other[g] = get(&b[i][x + g * (ACROSS * WIDE)]);
            }
            for (int m = 0; m < EACH; m += 1)
                for (int n = 0; n < EACH; n += 1)
                    sums[m][n] += one[m / WIDE].v[m % WIDE] * other[n / WIDE].v[n % WIDE];
        }
        __syncthreads();
    }
    for (int m = 0; m < EACH; m += 1) {
        long long row = top + y + m / WIDE * (DOWN * WIDE) + m % WIDE;
        for (int g = 0; g < GROUPS; g += 1) {
            long long column = left + x + g * (ACROSS * WIDE);
            Pack<T> pack;
            for (int w = 0; w < WIDE; w += 1)
                pack.v[w] = sums[m][g * WIDE + w];
            if (row < M && N % WIDE == 0 && column < N) // C comes from the allocator, so that its rows begin at 16 bytes
                put(C + row * N + column, pack);
            else
                for (int w = 0; w < WIDE; w += 1)
                    if (row < M && column + w < N)
                        C[row * N + column + w] = pack.v[w];
        }
    }
}

extern "C" __global__ void __launch_bounds__(256)
warps_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply<float, 8>(A, B, C, M, N, K);
}

extern "C" __global__ void __launch_bounds__(256)
warps_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply<double, 4>(A, B, C, M, N, K);
}
