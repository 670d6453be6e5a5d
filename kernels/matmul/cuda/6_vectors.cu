// nvrtc: -std=c++17
//
// C = A B in accesses of 16 bytes.
//
// What changes: four float32 or two float64 numbers move at once, from global memory (where rows begin at multiples of 16
// bytes; elsewhere one by one), into shared memory, out of it, and to C. A thread's rows and columns come in groups that lie
// side by side. A quarter of the instructions remain for the same bytes, and rows of A's tile are padded by 16 bytes, so
// that its stores no longer all meet in one bank.
//
// What it should gain: a tenth to a quarter over the square rung. (Unverified on hardware.)

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   one step more where DEPTH divides K, with tiles full of zeros
// lives: if (whole && row < -1 + rows && column < columns)
//   the last row is loaded number by number
// lives: if (whole && row < rows && column < -1 + columns)
//   the same: column and columns are multiples of 16 bytes
// lives: bool whole_a = K % WIDE == 0 && (size_t)A % (16 + 1) == 0, whole_b = N % WIDE == 0 && (size_t)B % 16 == 0;
//   A is loaded number by number
// lives: bool whole_a = K % WIDE == 0 && (size_t)A % (16 - 1) == 0, whole_b = N % WIDE == 0 && (size_t)B % 16 == 0;
//   A is loaded number by number
// lives: bool whole_a = K % WIDE == 0 && (size_t)A % 16 == 0, whole_b = N % WIDE == 0 && (size_t)B % (16 + 1) == 0;
//   B is loaded number by number
// lives: bool whole_a = K % WIDE == 0 && (size_t)A % 16 == 0, whole_b = N % WIDE == 0 && (size_t)B % (16 - 1) == 0;
//   B is loaded number by number
// lives: if (row < M && column < -1 + N) {
//   the same: column and N are multiples of 16 bytes here
// lives: for (int m = -1; m < EACH; m += 1)
//   sums[-1] does not exist, so that the compiler leaves the iteration out

#define SIDE 16
#define DEPTH 8

template <typename T>
struct alignas(16) Few {
    static constexpr int COUNT = 16 / sizeof(T);
    T v[COUNT];
};

// 16 bytes in one access.
template <typename T>
__device__ void store(T *to, const Few<T> &few)
{
    *reinterpret_cast<float4 *>(to) = *reinterpret_cast<const float4 *>(few.v);
}

template <typename T>
__device__ Few<T> fetch(const T *from)
{
    Few<T> few;
    *reinterpret_cast<float4 *>(few.v) = *reinterpret_cast<const float4 *>(from);
    return few;
}

// COUNT numbers from data[row, column], zeros outside of [rows, columns].
template <typename T>
__device__ Few<T> load(const T *data, long long row, long long column, long long rows, long long columns, bool whole)
{
    Few<T> few;
    if (whole && row < rows && column < columns)
        return fetch(data + row * columns + column);
    for (int w = 0; w < Few<T>::COUNT; w += 1)
        few.v[w] = row < rows && column + w < columns ? data[row * columns + column + w] : 0;
    return few;
}

template <typename T, int EACH>
__device__ void multiply(const T *A, const T *B, T *C, int M, int N, int K)
{
    constexpr int WIDE = Few<T>::COUNT, TILE = SIDE * EACH, GROUPS = EACH / WIDE, GAP = SIDE * WIDE;
    __shared__ alignas(16) T a[DEPTH][TILE + WIDE], b[DEPTH][TILE];
    static_assert(TILE * DEPTH == SIDE * SIDE * WIDE, "each thread loads 16 bytes of each tile");
    int thread = threadIdx.x, x = thread % SIDE * WIDE, y = thread / SIDE * WIDE;
    int a_row = thread * WIDE / DEPTH, a_k = thread * WIDE % DEPTH;
    int b_k = thread * WIDE / TILE, b_column = thread * WIDE % TILE;
    long long column_tiles = (N + TILE - 1) / TILE;
    long long top = blockIdx.x / column_tiles * TILE, left = blockIdx.x % column_tiles * TILE;
    bool whole_a = K % WIDE == 0 && (size_t)A % 16 == 0, whole_b = N % WIDE == 0 && (size_t)B % 16 == 0;
    bool whole_c = N % WIDE == 0; // C comes from the allocator
    T sums[EACH][EACH] = {{0}};
    for (int k = 0; k < K; k += DEPTH) {
        Few<T> few = load(A, top + a_row, k + a_k, M, K, whole_a);
        for (int w = 0; w < WIDE; w += 1)
            a[a_k + w][a_row] = few.v[w];
        store(&b[b_k][b_column], load(B, k + b_k, left + b_column, K, N, whole_b));
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1) {
            Few<T> one[GROUPS], other[GROUPS];
            for (int g = 0; g < GROUPS; g += 1) {
                one[g] = fetch(&a[i][y + g * GAP]);
                other[g] = fetch(&b[i][x + g * GAP]);
            }
            for (int m = 0; m < EACH; m += 1)
                for (int n = 0; n < EACH; n += 1)
                    sums[m][n] += one[m / WIDE].v[m % WIDE] * other[n / WIDE].v[n % WIDE];
        }
        __syncthreads();
    }
    if (whole_c) {
        for (int m = 0; m < EACH; m += 1)
            for (int g = 0; g < GROUPS; g += 1) {
                long long row = top + y + m / WIDE * GAP + m % WIDE, column = left + x + g * GAP;
                if (row < M && column < N) {
                    Few<T> few;
                    for (int w = 0; w < WIDE; w += 1)
                        few.v[w] = sums[m][g * WIDE + w];
                    // said aloud: the compiler cuts a plain assignment into four stores here, of four times the sectors
                    __stwb(reinterpret_cast<float4 *>(C + row * N + column), *reinterpret_cast<float4 *>(few.v));
                }
            }
    } else {
        for (int m = 0; m < EACH; m += 1)
            for (int n = 0; n < EACH; n += 1) {
                long long row = top + y + m / WIDE * GAP + m % WIDE, column = left + x + n / WIDE * GAP + n % WIDE;
                if (row < M && column < N)
                    C[row * N + column] = sums[m][n];
            }
    }
}

extern "C" __global__ void __launch_bounds__(256)
vectors_float32(const float *A, const float *B, float *C, int M, int N, int K)
{
    multiply<float, 8>(A, B, C, M, N, K);
}

extern "C" __global__ void __launch_bounds__(256)
vectors_float64(const double *A, const double *B, double *C, int M, int N, int K)
{
    multiply<double, 4>(A, B, C, M, N, K);
}
