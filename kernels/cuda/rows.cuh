// Rows of numbers: in the registers of a warp, or passed over by a block; in accesses of 16 bytes where they may be.

// lives: for (int e = 0; e <= EACH; e += WIDE)
//   EACH stands for no number of a row, as no row is longer than WARP * EACH
// lives: for (int c = threadIdx.x * WIDE; c < -1 + columns; c += THREADS * WIDE) {
//   the same: c and columns are multiples of WIDE
// lives: for (int at = threadIdx.x * WIDE; at < -1 + columns; at += THREADS * WIDE) {
//   the same: at and columns are multiples of WIDE
// lives: for (int at = threadIdx.x * WIDE; at < columns; at += (THREADS - 1) * WIDE) {
//   some numbers are made and written twice, and are the same
// lives: for (int at = threadIdx.x * WIDE; at < columns; at += THREADS * (WIDE - 1)) {
//   some numbers are made and written twice, and are the same
// lives: for (int at = threadIdx.x; at < columns; at += (THREADS - 1))
//   some numbers are made and written twice, and are the same

#pragma once

#include "pack.cuh"
#include "warp.cuh"

#define INFINITE __int_as_float(0x7f800000)

// A row of at most WARP * EACH numbers in the registers of a warp, EACH a thread. Where the row is read in packs of 16 bytes a
// thread has packs that lie WARP packs apart, else numbers that lie WARP apart: neighbours read neighbours either way.
template <typename T, int EACH, bool PACKS>
struct Row {
    static constexpr int WIDE = PACKS ? Pack<T>::COUNT : 1;
    static_assert(EACH % WIDE == 0, "whole packs");
    T v[EACH];

    // Where number e of this thread stands in the row.
    static __device__ int column(int e) { return (e / WIDE * WARP + (int)threadIdx.x % WARP) * WIDE + e % WIDE; }

    // Behind the end of the row stands `outside`.
    __device__ void load(const T *row, int columns, T outside)
    {
#pragma unroll
        for (int e = 0; e < EACH; e += WIDE)
            if constexpr (PACKS) {
                if (column(e) < columns) {
                    Pack<T> pack = get(row + column(e));
                    for (int w = 0; w < WIDE; w += 1)
                        v[e + w] = pack.v[w];
                } else
                    for (int w = 0; w < WIDE; w += 1)
                        v[e + w] = outside;
            } else
                v[e] = column(e) < columns ? row[column(e)] : outside;
    }

    __device__ void store(T *row, int columns) const
    {
#pragma unroll
        for (int e = 0; e < EACH; e += WIDE)
            if (column(e) < columns) {
                if constexpr (PACKS) {
                    Pack<T> pack;
                    for (int w = 0; w < WIDE; w += 1)
                        pack.v[w] = v[e + w];
                    put(row + column(e), pack);
                } else
                    row[column(e)] = v[e];
            }
    }
};

// use(number, column) of every number of a row, shared out among THREADS threads.
template <int THREADS, typename T, typename Use>
__device__ void each_of(const T *row, int columns, Use use)
{
    constexpr int WIDE = Pack<T>::COUNT;
    if (in_packs(row, columns)) {
        for (int c = threadIdx.x * WIDE; c < columns; c += THREADS * WIDE) {
            Pack<T> pack = get(row + c);
            for (int w = 0; w < WIDE; w += 1)
                use(pack.v[w], c + w);
        }
    } else
        for (int c = threadIdx.x; c < columns; c += THREADS)
            use(row[c], c);
}

// to[column] = make(number, column) of every number of a row; `to` came from the allocator, so that its rows begin at multiples of
// 16 bytes wherever their length allows it.
template <int THREADS, typename T, typename Make>
__device__ void map(const T *row, T *to, int columns, Make make)
{
    constexpr int WIDE = Pack<T>::COUNT;
    if (in_packs(row, columns)) {
        for (int at = threadIdx.x * WIDE; at < columns; at += THREADS * WIDE) {
            Pack<T> pack = get(row + at);
            for (int w = 0; w < WIDE; w += 1)
                pack.v[w] = make(pack.v[w], at + w);
            put(to + at, pack);
        }
    } else
        for (int at = threadIdx.x; at < columns; at += THREADS)
            to[at] = make(row[at], at);
}
