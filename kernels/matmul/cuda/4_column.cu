// nvrtc: -std=c++17
//
// C = A B, a column of 8 entries of C per thread.
//
// What changes: a thread computes 8 entries, one below the other, and keeps their sums in registers. A number of B is read
// from shared memory once for 8 multiply-adds, so that a multiply-add costs 9/8 loads instead of 2. The tile of C is
// 64 x 64 for 512 threads; a step goes 8 deep, and each thread loads one number of A and one of B.
//
// What it should gain: two to three times the tiled rung, which waits for shared memory. (Unverified on hardware.)

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   one step more where DEPTH divides K, with tiles full of zeros

#define ROWS 64
#define COLUMNS 64
#define DEPTH 8
#define EACH 8

template <typename T>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    __shared__ T a[ROWS][DEPTH], b[DEPTH][COLUMNS];
    int thread = threadIdx.x;
    long long column_tiles = (N + COLUMNS - 1) / COLUMNS;
    long long top = blockIdx.x / column_tiles * ROWS, left = blockIdx.x % column_tiles * COLUMNS;
    int x = thread % COLUMNS, y = thread / COLUMNS * EACH; // the thread's part of C: column x, rows from y
    int a_row = thread / DEPTH, a_k = thread % DEPTH;      // what it loads of A
    int b_k = thread / COLUMNS, b_column = thread % COLUMNS; // and of B
    T sums[EACH] = {0};
    for (int k = 0; k < K; k += DEPTH) {
        a[a_row][a_k] = top + a_row < M && k + a_k < K ? A[(top + a_row) * K + k + a_k] : 0;
        b[b_k][b_column] = k + b_k < K && left + b_column < N ? B[(long long)(k + b_k) * N + left + b_column] : 0;
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1) {
            T other = b[i][x];
            for (int j = 0; j < EACH; j += 1)
                sums[j] += a[y + j][i] * other;
        }
        __syncthreads();
    }
    for (int j = 0; j < EACH; j += 1)
        if (top + y + j < M && left + x < N)
            C[(top + y + j) * N + left + x] = sums[j];
}

extern "C" __global__ void __launch_bounds__(512)
column_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}

extern "C" __global__ void __launch_bounds__(512)
column_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply(A, B, C, M, N, K);
}
