// nvrtc: -std=c++17
//
// Convolution as it is written, one thread for each number of the result.
//
// x [B, G C, D, H, W] are the images, w [G F, C, KD, KH, KW] the filters, y [B, G F, PD, PH, PW] the result, with G groups of
// C channels and F filters. All sizes, strides, paddings, dilations and groups are taken.
//
// What it does: neighbours in a warp are neighbours in a row of the result, so that their loads of an image lie side by side
// (a stride apart) and they read the same filter. forward walks over channels and filter entries; input, its transpose, over
// filters and entries, and keeps those that some output read this number with: i S - P + k D = j has a whole i; weight walks
// over all images and positions, and has as many threads as the filters have numbers, which are few.
//
// What to expect: each image number is read F KD KH KW times, each filter number once per position, mostly from the caches, and a
// multiply-add costs two loads. A few hundredths of what the machine can do; weight far less, because it
// leaves most of the machine idle. (Unverified on hardware.)

#include "shape.cuh"

#define BLOCK 256

// The numbers of a flat index, last axis first.
__device__ inline int digit(long long &rest, int size)
{
    int found = rest % size;
    rest /= size;
    return found;
}

template <typename T>
__device__ void forward(const T *x, const T *w, T *y, const Shape &s)
{
    long long at = blockIdx.x * (long long)BLOCK + threadIdx.x, rest = at;
    int k = digit(rest, s.w.out), j = digit(rest, s.h.out), i = digit(rest, s.d.out);
    int o = digit(rest, s.groups * s.filters);
    if (rest >= s.batch)
        return;
    x += (rest * s.groups + o / s.filters) * s.channels * plane(s);
    w += (long long)o * s.channels * taps(s);
    T sum = 0;
    for (int c = 0; c < s.channels; c += 1, x += plane(s))
        for (int kd = 0; kd < s.d.kernel; kd += 1) {
            int d = i * s.d.stride - s.d.padding + kd * s.d.dilation;
            for (int kh = 0; kh < s.h.kernel; kh += 1) {
                int h = j * s.h.stride - s.h.padding + kh * s.h.dilation;
                for (int kw = 0; kw < s.w.kernel; kw += 1, w += 1) {
                    int v = k * s.w.stride - s.w.padding + kw * s.w.dilation;
                    if (inside(d, s.d.size) && inside(h, s.h.size) && inside(v, s.w.size))
                        sum += *w * x[(d * s.h.size + h) * s.w.size + v];
                }
            }
        }
    y[at] = sum;
}

// The output that reads number j with filter entry k, or -1.
__device__ inline int reader(const Axis &a, int j, int k)
{
    int from = j + a.padding - k * a.dilation;
    return from % a.stride == 0 && inside(from / a.stride, a.out) ? from / a.stride : -1;
}

template <typename T>
__device__ void input(const T *g, const T *w, T *dx, const Shape &s)
{
    long long at = blockIdx.x * (long long)BLOCK + threadIdx.x, rest = at;
    int v = digit(rest, s.w.size), h = digit(rest, s.h.size), d = digit(rest, s.d.size);
    int channel = digit(rest, s.groups * s.channels);
    if (rest >= s.batch)
        return;
    int group = channel / s.channels, c = channel % s.channels;
    g += (rest * s.groups + group) * s.filters * places(s);
    w += ((long long)group * s.filters * s.channels + c) * taps(s);
    T sum = 0;
    for (int o = 0; o < s.filters; o += 1, g += places(s), w += s.channels * taps(s)) {
        const T *entry = w;
        for (int kd = 0; kd < s.d.kernel; kd += 1) {
            int i = reader(s.d, d, kd);
            for (int kh = 0; kh < s.h.kernel; kh += 1) {
                int j = reader(s.h, h, kh);
                for (int kw = 0; kw < s.w.kernel; kw += 1, entry += 1) {
                    int k = reader(s.w, v, kw);
                    if (i >= 0 && j >= 0 && k >= 0)
                        sum += *entry * g[(i * s.h.out + j) * s.w.out + k];
                }
            }
        }
    }
    dx[at] = sum;
}

template <typename T>
__device__ void weight(const T *g, const T *x, T *dw, const Shape &s)
{
    long long at = blockIdx.x * (long long)BLOCK + threadIdx.x, rest = at;
    int kw = digit(rest, s.w.kernel), kh = digit(rest, s.h.kernel), kd = digit(rest, s.d.kernel);
    int c = digit(rest, s.channels), group = rest / s.filters;
    if (group >= s.groups)
        return;
    g += rest * places(s);
    x += ((long long)group * s.channels + c) * plane(s);
    T sum = 0;
    for (int b = 0; b < s.batch; b += 1) {
        const T *from = g;
        for (int i = 0; i < s.d.out; i += 1) {
            int d = i * s.d.stride - s.d.padding + kd * s.d.dilation;
            for (int j = 0; j < s.h.out; j += 1) {
                int h = j * s.h.stride - s.h.padding + kh * s.h.dilation;
                for (int k = 0; k < s.w.out; k += 1, from += 1) {
                    int v = k * s.w.stride - s.w.padding + kw * s.w.dilation;
                    if (inside(d, s.d.size) && inside(h, s.h.size) && inside(v, s.w.size))
                        sum += *from * x[(d * s.h.size + h) * s.w.size + v];
                }
            }
        }
        g += (long long)s.groups * s.filters * places(s);
        x += (long long)s.groups * s.channels * plane(s);
    }
    dw[at] = sum;
}

extern "C" __global__ void direct_forward_float32(const float *x, const float *w, float *y, Shape s)
{
    forward(x, w, y, s);
}

extern "C" __global__ void direct_forward_float64(const double *x, const double *w, double *y, Shape s)
{
    forward(x, w, y, s);
}

extern "C" __global__ void direct_input_float32(const float *g, const float *w, float *dx, Shape s)
{
    input(g, w, dx, s);
}

extern "C" __global__ void direct_input_float64(const double *g, const double *w, double *dx, Shape s)
{
    input(g, w, dx, s);
}

extern "C" __global__ void direct_weight_float32(const float *g, const float *x, float *dw, Shape s)
{
    weight(g, x, dw, s);
}

extern "C" __global__ void direct_weight_float64(const double *g, const double *x, double *dw, Shape s)
{
    weight(g, x, dw, s);
}
