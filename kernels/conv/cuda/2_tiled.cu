// nvrtc: -std=c++17
//
// Convolution through shared memory: what a tile of the result reads, and the filters.
//
// What changes: a block computes a tile of 32 x 8 positions of one image for FILTERS filters. For each channel it loads
// the part of the image that the tile reads, padding and all, and those filters' entries into shared memory; the inner loop has no
// test left. A thread holds the sums of one position and FILTERS filters in registers, so that a number of the image is read from
// shared memory once for FILTERS multiply-adds, and an entry, the same for all threads of a warp, in one access for all.
// Global memory is read once for 256 FILTERS sums. Images have two dimensions, or one; the part must fit.
//
// What it should gain: several times the direct rung, while the filter is small; a multiply-add still costs more than a load from
// shared memory, which the implicit product brings to a quarter. (Unverified on hardware.)
// lives: for (int i = threadIdx.y; i < high; i += (DOWN - 1))
//   some rows are loaded twice, by two threads, which write the same numbers
// lives: for (int j = threadIdx.x; j < wide; j += (ACROSS - 1)) {
//   some columns are loaded twice
// lives: for (int at = thread; at < taps(s) * FILTERS; at += (ACROSS - 1) * DOWN) {
//   some entries are loaded twice
// lives: for (int at = thread; at < taps(s) * FILTERS; at += ACROSS * (DOWN - 1)) {
//   some entries are loaded twice
// lives: entries[at] = filter + f < s.filters ? w[f * s.channels * taps(s) + entry] : __int_as_float(0x7fffffff);
//   the sums of filters that are not there are never stored

#include "shape.cuh"

#define ACROSS 32
#define DOWN 8
#define FILTERS 8

// Dynamic shared memory: the part of the image, high x wide, then [entry, filter].
extern __shared__ double memory[];

template <typename T>
__device__ void forward(const T *x, const T *w, T *y, const Shape &s, int high, int wide)
{
    T *image = reinterpret_cast<T *>(memory), *entries = image + high * wide;
    int across = (s.w.out + ACROSS - 1) / ACROSS, down = (s.h.out + DOWN - 1) / DOWN;
    int blocks = (s.filters + FILTERS - 1) / FILTERS, rest = blockIdx.x;
    int left = rest % across * ACROSS, top = rest / across % down * DOWN;
    rest = rest / across / down;
    int filter = rest % blocks * FILTERS, group = rest / blocks % s.groups, b = rest / blocks / s.groups;
    int column = left * s.w.stride - s.w.padding, row = top * s.h.stride - s.h.padding; // where the part begins
    int thread = threadIdx.y * ACROSS + threadIdx.x;
    x += ((long long)b * s.groups + group) * s.channels * plane(s);
    w += ((long long)group * s.filters + filter) * s.channels * taps(s);
    T sums[FILTERS] = {0};
    for (int c = 0; c < s.channels; c += 1) {
        __syncthreads();
        for (int i = threadIdx.y; i < high; i += DOWN)
            for (int j = threadIdx.x; j < wide; j += ACROSS) {
                bool there = inside(row + i, s.h.size) && inside(column + j, s.w.size);
                image[i * wide + j] = there ? x[(row + i) * s.w.size + column + j] : 0;
            }
        for (int at = thread; at < taps(s) * FILTERS; at += ACROSS * DOWN) {
            int f = at % FILTERS, entry = at / FILTERS;
            entries[at] = filter + f < s.filters ? w[f * s.channels * taps(s) + entry] : 0;
        }
        __syncthreads();
        const T *entry = entries;
        for (int kh = 0; kh < s.h.kernel; kh += 1) {
            int i = threadIdx.y * s.h.stride + kh * s.h.dilation, j = threadIdx.x * s.w.stride;
            for (int kw = 0; kw < s.w.kernel; kw += 1, entry += FILTERS) {
                T number = image[i * wide + j + kw * s.w.dilation];
                for (int f = 0; f < FILTERS; f += 1)
                    sums[f] += entry[f] * number;
            }
        }
        x += plane(s);
        w += taps(s);
    }
    int j = top + threadIdx.y, k = left + threadIdx.x;
    y += (((long long)b * s.groups + group) * s.filters + filter) * places(s);
    if (j < s.h.out && k < s.w.out)
        for (int f = 0; f < FILTERS; f += 1)
            if (filter + f < s.filters)
                y[(f * s.h.out + j) * s.w.out + k] = sums[f];
}

extern "C" __global__ void __launch_bounds__(256, 4)
tiled_forward_float32(const float *x, const float *w, float *y, Shape s, int high, int wide)
{
    forward(x, w, y, s, high, wide);
}

extern "C" __global__ void __launch_bounds__(256, 4)
tiled_forward_float64(const double *x, const double *w, double *y, Shape s, int high, int wide)
{
    forward(x, w, y, s, high, wide);
}
