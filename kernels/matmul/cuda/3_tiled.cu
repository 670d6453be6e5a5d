// nvrtc: -std=c++17
//
// C = A B through tiles in shared memory.
//
// What changes: a block of 16 x 16 threads loads a tile of A and one of B into shared memory, together and coalesced,
// and each number there serves 16 threads. Global memory is read 16 times less often. Outside of the matrices the tiles
// are filled with zeros, so that the inner loop needs no test.
//
// Two barriers a step: nobody reads a tile before all have written their part, and nobody overwrites it before all have
// read it.
//
// What it should gain: what the caches did not already give, about half again; now each multiply-add waits for two loads
// from shared memory, which the next rungs save. (Unverified on hardware.)

// lives: for (int k = 0; k <= K; k += TILE) {
//   one step more where TILE divides K, with tiles full of zeros

#define TILE 16

template <typename T>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    __shared__ T a[TILE][TILE], b[TILE][TILE];
    int x = threadIdx.x, y = threadIdx.y;
    long long column_tiles = (N + TILE - 1) / TILE;
    long long row = blockIdx.x / column_tiles * TILE + y;
    long long column = blockIdx.x % column_tiles * TILE + x;
    T sum = 0;
    for (int k = 0; k < K; k += TILE) {
        a[y][x] = row < M && k + x < K ? A[row * K + k + x] : 0;
        b[y][x] = k + y < K && column < N ? B[(long long)(k + y) * N + column] : 0;
        __syncthreads();
        for (int i = 0; i < TILE; i += 1)
            sum += a[y][i] * b[i][x];
        __syncthreads();
    }
    if (row < M && column < N)
        C[row * N + column] = sum;
}

extern "C" __global__ void tiled_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}

extern "C" __global__ void tiled_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}
