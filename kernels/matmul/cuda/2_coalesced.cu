// nvrtc: -std=c++17
//
// C = A B, one thread for each entry of C; neighbours in a warp are neighbours in a row.
//
// What changes: threadIdx.x goes along the columns of C instead of its rows. A warp's loads of B are then 32 numbers that
// lie side by side, 4 sectors of 32 bytes in float32 instead of 32, its load of A is one number for all, and its store
// is whole again.
//
// What it should gain: several times the naive rung, because a sixth or less of the sectors is moved. Each number is still
// read as often as before, now mostly from the caches. (Unverified on hardware.)

#define ROWS 8
#define COLUMNS 32

template <typename T>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    long long column_tiles = (N + COLUMNS - 1) / COLUMNS;
    long long row = blockIdx.x / column_tiles * ROWS + threadIdx.y;
    long long column = blockIdx.x % column_tiles * COLUMNS + threadIdx.x;
    if (row < M && column < N) {
        T sum = 0;
        for (int k = 0; k < K; k += 1)
            sum += A[row * K + k] * B[(long long)k * N + column];
        C[row * N + column] = sum;
    }
}

extern "C" __global__ void coalesced_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}

extern "C" __global__ void coalesced_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}
