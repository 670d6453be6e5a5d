// nvrtc: -std=c++17
//
// C = A B, one thread for each entry of C.
//
// Matrices are row-major: A [M, K], B [K, N], C [M, N]; every size is taken, 0 included.
//
// What it does: a warp's 32 threads stand one below the other, in 32 rows and one column of C. So each load of A fetches 32
// numbers that lie K apart, each in a sector of its own, of which an eighth is used; the store of C is as scattered.
// Every number of A is read N times and every one of B M times from global memory.
//
// What to expect: a small part of what the machine can do; the next rung exchanges two words and should be several times
// as fast. (Unverified on hardware.)

#define ROWS 32
#define COLUMNS 8

template <typename T>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    long long column_tiles = (N + COLUMNS - 1) / COLUMNS;
    long long row = blockIdx.x / column_tiles * ROWS + threadIdx.x;
    long long column = blockIdx.x % column_tiles * COLUMNS + threadIdx.y;
    if (row < M && column < N) {
        T sum = 0;
        for (int k = 0; k < K; k += 1)
            sum += A[row * K + k] * B[(long long)k * N + column];
        C[row * N + column] = sum;
    }
}

extern "C" __global__ void naive_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}

extern "C" __global__ void naive_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}
