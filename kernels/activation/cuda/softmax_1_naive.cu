// nvrtc: -std=c++17
//
// softmax and log_softmax along a dimension of x [outer, n, inner], one thread for each line of n numbers.
//
// What it does: three passes over a line, for its greatest number, for the sum of e^(x - greatest), for the results. Lines side
// by side in memory (inner > 1) are read together by neighbouring threads; of rows (inner = 1) each thread reads its own, n
// numbers away from its neighbour's, and an eighth of each sector is used.
//
// What to expect: near the speed of memory down columns when there are enough of them, as the second and third pass mostly
// hit the caches; far from it along rows, which the next rungs are for. (Unverified on hardware.)

#define INFINITE __int_as_float(0x7f800000)

template <bool LOG, typename T>
__device__ void softmax(const T *x, T *y, long long lines, int n, int inner)
{
    long long line = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (line >= lines)
        return;
    long long start = line / inner * inner * n + line % inner;
    x += start;
    y += start;
    T top = -INFINITE, sum = 0;
    for (int i = 0; i < n; i += 1)
        top = max(top, x[(long long)i * inner]);
    for (int i = 0; i < n; i += 1)
        sum += exp(x[(long long)i * inner] - top);
    T factor = T(1) / sum, shift = log(sum);
    for (int i = 0; i < n; i += 1) {
        T z = x[(long long)i * inner] - top;
        y[(long long)i * inner] = LOG ? z - shift : exp(z) * factor;
    }
}

extern "C" __global__ void softmax_naive_float32(const float *x, float *y, long long lines, int n, int inner)
{
    softmax<false>(x, y, lines, n, inner);
}

extern "C" __global__ void softmax_naive_float64(const double *x, double *y, long long lines, int n, int inner)
{
    softmax<false>(x, y, lines, n, inner);
}

extern "C" __global__ void log_softmax_naive_float32(const float *x, float *y, long long lines, int n, int inner)
{
    softmax<true>(x, y, lines, n, inner);
}

extern "C" __global__ void log_softmax_naive_float64(const double *x, double *y, long long lines, int n, int inner)
{
    softmax<true>(x, y, lines, n, inner);
}
