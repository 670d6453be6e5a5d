// What a convolution is asked for, in one structure: launches.py packs it.

#pragma once

// One of depth, height and width.
struct Axis {
    int size, out, kernel, stride, padding, dilation;
};

// channels and filters are those of one group.
struct Shape {
    int batch, groups, channels, filters;
    Axis d, h, w;
};

// Numbers of one channel, of one filter's output, of one channel's filter.
__device__ inline int plane(const Shape &s) { return s.d.size * s.h.size * s.w.size; }
__device__ inline int places(const Shape &s) { return s.d.out * s.h.out * s.w.out; }
__device__ inline int taps(const Shape &s) { return s.d.kernel * s.h.kernel * s.w.kernel; }

// Whether 0 <= i < size, in one comparison: a negative i is a large unsigned one.
__device__ inline bool inside(int i, int size) { return (unsigned)i < (unsigned)size; }
