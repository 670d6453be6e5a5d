// nvrtc: -std=c++17
//
// Convolution as a product of matrices that are never made (implicit GEMM; Chetlur et al., "cuDNN", arXiv:1410.0759).
//
// A group's forward is Y [F, B P] = W [F, C K] X [C K, B P], where P positions and K filter entries count over all
// dimensions, and a column of X (im2col) holds what one position reads. The gradients are products too:
//
//     input    dX [C, B D H W] = W' [C, F K] G [F K, B D H W]     a column: what reads one number, by filter and entry
//     weight   dW [F, C K]     = G [F, B P] X' [B P, C K]
//
// What changes: the product is that of the matmul ladder's fifth rung, a tile of 64 x 128 sums for 256 threads, 4 x 8 of them
// in each one's registers (64 x 64 and 4 x 4 in float64). A row and a column of the matrices are turned into the place of a
// number when a tile is loaded, by multiplications with divisors found on the host; what lies in the padding is zero.
// A number that is loaded serves 64 or 128 sums instead of one.
//
// What it should gain: ten times the direct rung and more. It spends about a fifth of its instructions on indices, input with a
// stride multiplies mostly zeros, and weight leaves the machine idle where filters are few, because its long sums
// are not split. (Unverified on hardware.)

// lives: for (int k = 0; k <= K; k += DEPTH) {
//   one step more where DEPTH divides K, with tiles full of zeros
// lives: for (int m = -1; m < ROWS; m += 1)
//   sums[-1] does not exist, so that the compiler leaves the iteration out
// lives: for (int at = thread; at <= HIGH * DEPTH; at += SIDE * SIDE) {
//   one number more is written into the four columns behind the tile, which are there for the banks alone
// lives: for (int at = thread; at <= WIDE * DEPTH; at += SIDE * SIDE) {
//   the same, of weight
// lives: for (int at = thread; at < HIGH * DEPTH; at += (SIDE - 1) * SIDE) {
//   some entries of a tile are loaded twice, by two threads, which write the same number
// lives: for (int at = thread; at < HIGH * DEPTH; at += SIDE * (SIDE - 1)) {
//   some entries of a tile are loaded twice, by two threads, which write the same number
// lives: for (int at = thread; at < WIDE * DEPTH; at += (SIDE - 1) * SIDE) {
//   some entries of a tile are loaded twice, by two threads, which write the same number
// lives: for (int at = thread; at < WIDE * DEPTH; at += SIDE * (SIDE - 1)) {
//   some entries of a tile are loaded twice, by two threads, which write the same number

#include "shape.cuh"
#include "index.cuh"

#define SIDE 16
#define DEPTH 8

// left(m, k) and right(k, n) give the numbers of the two matrices, store(m, n, sum) takes the result's. Columns of the right one
// lie side by side in memory, or, with DOWN, its rows do.
template <typename T, int ROWS, int COLUMNS, typename Product>
__device__ void multiply(const Product &product, int M, int N, int K)
{
    constexpr int HIGH = SIDE * ROWS, WIDE = SIDE * COLUMNS;
    __shared__ T a[DEPTH][HIGH + 4], b[DEPTH][WIDE + 4];
    int thread = threadIdx.x, x = thread % SIDE, y = thread / SIDE;
    int row_tiles = (M + HIGH - 1) / HIGH;
    int top = blockIdx.x % row_tiles * HIGH, left = blockIdx.x / row_tiles * WIDE;
    T sums[ROWS][COLUMNS] = {{0}};
    for (int k = 0; k < K; k += DEPTH) {
        for (int at = thread; at < HIGH * DEPTH; at += SIDE * SIDE) {
            int m = at / DEPTH, i = at % DEPTH;
            a[i][m] = top + m < M && k + i < K ? product.left(top + m, k + i) : 0;
        }
        for (int at = thread; at < WIDE * DEPTH; at += SIDE * SIDE) {
            int n = Product::DOWN ? at / DEPTH : at % WIDE, i = Product::DOWN ? at % DEPTH : at / WIDE;
            b[i][n] = left + n < N && k + i < K ? product.right(k + i, left + n) : 0;
        }
        __syncthreads();
        for (int i = 0; i < DEPTH; i += 1) {
            T one[ROWS], other[COLUMNS];
            for (int m = 0; m < ROWS; m += 1)
                one[m] = a[i][y + m * SIDE];
            for (int n = 0; n < COLUMNS; n += 1)
                other[n] = b[i][x + n * SIDE];
            for (int m = 0; m < ROWS; m += 1)
                for (int n = 0; n < COLUMNS; n += 1)
                    sums[m][n] += one[m] * other[n];
        }
        __syncthreads();
    }
    for (int n = 0; n < COLUMNS; n += 1)
        for (int m = 0; m < ROWS; m += 1)
            if (top + y + m * SIDE < M && left + x + n * SIDE < N)
                product.store(top + y + m * SIDE, left + x + n * SIDE, sums[m][n]);
}

// The number that position (i, j, k) reads with entry (kd, kh, kw) from an image's channel; 0 in the padding.
template <typename T>
__device__ T read(const T *x, const Shape &s, int i, int j, int k, int kd, int kh, int kw)
{
    int d = i * s.d.stride - s.d.padding + kd * s.d.dilation;
    int h = j * s.h.stride - s.h.padding + kh * s.h.dilation;
    int v = k * s.w.stride - s.w.padding + kw * s.w.dilation;
    bool there = inside(d, s.d.size) && inside(h, s.h.size) && inside(v, s.w.size);
    return there ? x[(d * s.h.size + h) * s.w.size + v] : 0;
}

template <typename T>
struct Forward {
    static constexpr bool DOWN = false;
    const T *x, *w;
    T *y;
    const Shape &s;
    const Index &index;
    int group = blockIdx.y;

    __device__ T left(int o, int k) const
    {
        return w[((long long)group * s.filters + o) * s.channels * taps(s) + k];
    }

    __device__ T right(int c, int b) const
    {
        int kw = digit(c, index.kernel.w), kh = digit(c, index.kernel.h), kd = digit(c, index.kernel.d);
        int k = digit(b, index.out.w), j = digit(b, index.out.h), i = digit(b, index.out.d);
        return read(x + (((long long)b * s.groups + group) * s.channels + c) * plane(s), s, i, j, k, kd, kh, kw);
    }

    __device__ void store(int o, int b, T sum) const
    {
        int k = digit(b, index.out.w), j = digit(b, index.out.h), i = digit(b, index.out.d);
        y[(((long long)b * s.groups + group) * s.filters + o) * places(s) + (i * s.h.out + j) * s.w.out + k] = sum;
    }
};

// The output that reads number j with filter entry k, or -1.
__device__ inline int reader(const Axis &a, int j, int k)
{
    int from = j + a.padding - k * a.dilation;
    return from % a.stride == 0 && inside(from / a.stride, a.out) ? from / a.stride : -1;
}

template <typename T>
struct Input {
    static constexpr bool DOWN = false;
    const T *g, *w;
    T *dx;
    const Shape &s;
    const Index &index;
    int group = blockIdx.y;

    __device__ T left(int c, int o) const
    {
        int kw = digit(o, index.kernel.w), kh = digit(o, index.kernel.h), kd = digit(o, index.kernel.d);
        const T *entries = w + (((long long)group * s.filters + o) * s.channels + c) * taps(s);
        return entries[(kd * s.h.kernel + kh) * s.w.kernel + kw];
    }

    __device__ T right(int o, int b) const
    {
        int kw = digit(o, index.kernel.w), kh = digit(o, index.kernel.h), kd = digit(o, index.kernel.d);
        int v = digit(b, index.size.w), h = digit(b, index.size.h), d = digit(b, index.size.d);
        int i = reader(s.d, d, kd), j = reader(s.h, h, kh), k = reader(s.w, v, kw);
        const T *from = g + (((long long)b * s.groups + group) * s.filters + o) * places(s);
        return i >= 0 && j >= 0 && k >= 0 ? from[(i * s.h.out + j) * s.w.out + k] : 0;
    }

    __device__ void store(int c, int b, T sum) const
    {
        int v = digit(b, index.size.w), h = digit(b, index.size.h), d = digit(b, index.size.d);
        T *to = dx + (((long long)b * s.groups + group) * s.channels + c) * plane(s);
        to[(d * s.h.size + h) * s.w.size + v] = sum;
    }
};

template <typename T>
struct Weight {
    static constexpr bool DOWN = true;
    const T *g, *x;
    T *dw;
    const Shape &s;
    const Index &index;
    int group = blockIdx.y;

    __device__ T left(int o, int b) const
    {
        int k = digit(b, index.out.w), j = digit(b, index.out.h), i = digit(b, index.out.d);
        const T *from = g + (((long long)b * s.groups + group) * s.filters + o) * places(s);
        return from[(i * s.h.out + j) * s.w.out + k];
    }

    __device__ T right(int b, int c) const
    {
        int k = digit(b, index.out.w), j = digit(b, index.out.h), i = digit(b, index.out.d);
        int kw = digit(c, index.kernel.w), kh = digit(c, index.kernel.h), kd = digit(c, index.kernel.d);
        return read(x + (((long long)b * s.groups + group) * s.channels + c) * plane(s), s, i, j, k, kd, kh, kw);
    }

    __device__ void store(int o, int k, T sum) const
    {
        dw[((long long)group * s.filters + o) * s.channels * taps(s) + k] = sum;
    }
};

template <typename T, int COLUMNS>
__device__ void forward(const T *x, const T *w, T *y, const Shape &s, const Index &index)
{
    multiply<T, 4, COLUMNS>(Forward<T>{x, w, y, s, index}, s.filters, s.batch * places(s), s.channels * taps(s));
}

template <typename T, int COLUMNS>
__device__ void input(const T *g, const T *w, T *dx, const Shape &s, const Index &index)
{
    multiply<T, 4, COLUMNS>(Input<T>{g, w, dx, s, index}, s.channels, s.batch * plane(s), s.filters * taps(s));
}

template <typename T, int COLUMNS>
__device__ void weight(const T *g, const T *x, T *dw, const Shape &s, const Index &index)
{
    multiply<T, 4, COLUMNS>(Weight<T>{g, x, dw, s, index}, s.filters, s.channels * taps(s), s.batch * places(s));
}

extern "C" __global__ void __launch_bounds__(256, 2)
implicit_forward_float32(const float *x, const float *w, float *y, Shape s, Index index)
{
    forward<float, 8>(x, w, y, s, index);
}

extern "C" __global__ void __launch_bounds__(256, 2)
implicit_forward_float64(const double *x, const double *w, double *y, Shape s, Index index)
{
    forward<double, 4>(x, w, y, s, index);
}

extern "C" __global__ void __launch_bounds__(256, 2)
implicit_input_float32(const float *g, const float *w, float *dx, Shape s, Index index)
{
    input<float, 8>(g, w, dx, s, index);
}

extern "C" __global__ void __launch_bounds__(256, 2)
implicit_input_float64(const double *g, const double *w, double *dx, Shape s, Index index)
{
    input<double, 4>(g, w, dx, s, index);
}

extern "C" __global__ void __launch_bounds__(256, 2)
implicit_weight_float32(const float *g, const float *x, float *dw, Shape s, Index index)
{
    weight<float, 8>(g, x, dw, s, index);
}

extern "C" __global__ void __launch_bounds__(256, 2)
implicit_weight_float64(const double *g, const double *x, double *dw, Shape s, Index index)
{
    weight<double, 4>(g, x, dw, s, index);
}
