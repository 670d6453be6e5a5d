// nvrtc: -std=c++17
//
// C = A B, a square of entries of C per thread.
//
// What changes: EACH x EACH entries of C per thread. A step of k reads EACH numbers of A and EACH of B from shared memory
// into registers, for EACH^2 multiply-adds: a quarter of a load each with 8 x 8. The tile of C is 128 x 128 in float32 for
// 256 threads, and 64 x 64 with 4 x 4 each in float64, whose sums take two registers. A thread's rows and columns lie a
// stride of 16 apart, so that neighbouring threads read neighbouring numbers of B: no bank is asked twice. Writing the
// tile of A, which is turned on its way, still asks one bank eight times.
//
// What it should gain: half again to twice the column rung. Large matrices only: few blocks leave the machine idle.
// (Unverified on hardware.)

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   one step more where DEPTH divides K, with tiles full of zeros
// lives: for (int at = thread; at < TILE * DEPTH; at += (SIDE - 1) * SIDE) {
//   some entries of a tile are loaded twice, by two threads, which write the same number
// lives: for (int at = thread; at < TILE * DEPTH; at += SIDE * (SIDE - 1)) {
//   some entries of a tile are loaded twice, by two threads, which write the same number
// lives: for (int m = -1; m < EACH; m += 1)
//   sums[-1] does not exist, so that the compiler leaves the iteration out

#define SIDE 16
#define DEPTH 8

template <typename T, int EACH>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    constexpr int TILE = SIDE * EACH;
    __shared__ T a[DEPTH][TILE], b[DEPTH][TILE];
    int thread = threadIdx.x, x = thread % SIDE, y = thread / SIDE;
    long long column_tiles = (N + TILE - 1) / TILE;
    long long top = blockIdx.x / column_tiles * TILE, left = blockIdx.x % column_tiles * TILE;
    T sums[EACH][EACH] = {{0}};
    for (int k = 0; k < K; k += DEPTH) {
        for (int at = thread; at < TILE * DEPTH; at += SIDE * SIDE) {
            int row = at / DEPTH, i = at % DEPTH;
            a[i][row] = top + row < M && k + i < K ? A[(top + row) * K + k + i] : 0;
        }
        for (int at = thread; at < TILE * DEPTH; at += SIDE * SIDE) {
            int i = at / TILE, column = at % TILE;
            b[i][column] = k + i < K && left + column < N ? B[(long long)(k + i) * N + left + column] : 0;
        }
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1) {
            T one[EACH], other[EACH];
            for (int j = 0; j < EACH; j += 1) {
                one[j] = a[i][y + j * SIDE];
                other[j] = b[i][x + j * SIDE];
            }
            for (int m = 0; m < EACH; m += 1)
                for (int n = 0; n < EACH; n += 1)
                    sums[m][n] += one[m] * other[n];
        }
        __syncthreads();
    }
    for (int m = 0; m < EACH; m += 1)
        for (int n = 0; n < EACH; n += 1) {
            long long row = top + y + m * SIDE, column = left + x + n * SIDE;
            if (row < M && column < N)
                C[row * N + column] = sums[m][n];
        }
}

extern "C" __global__ void __launch_bounds__(256)
square_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply<float, 8>(A, B, C, M, N, K);
}

extern "C" __global__ void __launch_bounds__(256)
square_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply<double, 4>(A, B, C, M, N, K);
}
