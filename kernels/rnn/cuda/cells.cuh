// What the rungs of the recurrent nets share: where a step stands in its sequence, the arithmetic of one unit's gates, and
// what entries are given.

#pragma once

// Step s of sequence b reads and writes at time(s, b); the states of sequence b at all times stand in output [T, B, H].
struct Walk {
    const long long *lengths; // [B], or nothing: all are T
    int T, B, reverse;

    __device__ int length(int b) const
    {
        return lengths ? (int)lengths[b] : T;
    }

    // -1 behind the sequence's own end.
    __device__ int time(int s, int b) const
    {
        int end = length(b);
        return s >= end ? -1 : reverse ? end - 1 - s : s;
    }

    // Whether step s is a sequence's last.
    __device__ bool last(int s, int b) const
    {
        return s + 1 == length(b);
    }
};

// Row b: what stands in data [T, B, width] at step s; nothing (and so zeros) behind the end.
template <typename T>
struct AtStep {
    Walk walk;
    const T *data;
    long long width;
    int s;

    __device__ const T *row(int b) const
    {
        int time = walk.time(s, b);
        return time < 0 ? nullptr : data + ((long long)time * walk.B + b) * width;
    }
};

// Row b: the state before step s, which is h0 or stands in output; nothing behind the end.
template <typename T>
struct Before {
    Walk walk;
    const T *h0, *output;
    int H, s;

    __device__ const T *row(int b) const
    {
        int time = walk.time(s, b);
        if (time < 0)
            return nullptr;
        if (s == 0)
            return h0 + (long long)b * H;
        return output + ((long long)(walk.reverse ? time + 1 : time - 1) * walk.B + b) * H;
    }
};

// -- functions ---------------------------------------------------------------------------------------------------------

__device__ inline float sigmoid(float x)
{
    return __frcp_rn(1 + expf(-x)); // exp may be infinite: then 0
}

__device__ inline double sigmoid(double x)
{
    return __drcp_rn(1 + exp(-x));
}

// The accurate one: its error is held to a few units in the last place, tanh.approx's is 2^-11.
__device__ inline float hyperbolic(float x)
{
    return tanhf(x);
}

__device__ inline double hyperbolic(double x)
{
    return tanh(x);
}

// -- cells -------------------------------------------------------------------------------------------------------------
//
// a = W_ih x + b_ih and m = W_hh h + b_hh, gate by gate. forward takes them, h and c before the step, and gives h after
// it; c it changes, and what the backward reads again it saves. backward takes the gradient dh of h after the step and
// gives da, dm and the part of the gradient of h before the step that does not pass through W_hh; dc, which is that of c
// after the step, it makes that of c before it.

struct LSTM { // a, m: i, f, g, o
    static constexpr int GATES = 4, SAVED = 4;
    static constexpr bool CELL = true, TWO = false; // has a cell; dm is another than da

    template <typename T>
    static __device__ T forward(const T (&a)[GATES], const T (&m)[GATES], T, T &c, T (&saved)[4])
    {
        T i = sigmoid(a[0] + m[0]), f = sigmoid(a[1] + m[1]), g = hyperbolic(a[2] + m[2]), o = sigmoid(a[3] + m[3]);
        c = f * c + i * g;
        saved[0] = i;
        saved[1] = f;
        saved[2] = g;
        saved[3] = o;
        return o * hyperbolic(c);
    }

    template <typename T>
    static __device__ T backward(T dh, T, T, T c_before, T c_after, const T (&saved)[4], T &dc, T (&da)[GATES],
                                 T (&dm)[GATES])
    {
        T i = saved[0], f = saved[1], g = saved[2], o = saved[3], squashed = hyperbolic(c_after);
        T total = dc + dh * o * (1 - squashed * squashed);
        da[0] = dm[0] = total * g * i * (1 - i);
        da[1] = dm[1] = total * c_before * f * (1 - f);
        da[2] = dm[2] = total * i * (1 - g * g);
        da[3] = dm[3] = dh * squashed * o * (1 - o);
        dc = total * f;
        return 0;
    }
};

struct GRU { // a, m: r, z, n; saved: n, r, z and m of n
    static constexpr int GATES = 3, SAVED = 4;
    static constexpr bool CELL = false, TWO = true;

    template <typename T>
    static __device__ T forward(const T (&a)[GATES], const T (&m)[GATES], T h, T &, T (&saved)[4])
    {
        T r = sigmoid(a[0] + m[0]), z = sigmoid(a[1] + m[1]), n = hyperbolic(a[2] + r * m[2]);
        saved[0] = n;
        saved[1] = r;
        saved[2] = z;
        saved[3] = m[2];
        return n + z * (h - n);
    }

    template <typename T>
    static __device__ T backward(T dh, T h, T, T, T, const T (&saved)[4], T &, T (&da)[GATES], T (&dm)[GATES])
    {
        T n = saved[0], r = saved[1], z = saved[2], dn = dh * (1 - z) * (1 - n * n);
        da[0] = dm[0] = dn * saved[3] * r * (1 - r);
        da[1] = dm[1] = dh * (h - n) * z * (1 - z);
        da[2] = dn;
        dm[2] = dn * r;
        return dh * z;
    }
};

template <bool RELU>
struct RNN {
    static constexpr int GATES = 1, SAVED = 0;
    static constexpr bool CELL = false, TWO = false;

    template <typename T>
    static __device__ T forward(const T (&a)[GATES], const T (&m)[GATES], T, T &, T (&)[4])
    {
        T sum = a[0] + m[0];
        return !RELU ? hyperbolic(sum) : sum > T(0) || sum != sum ? sum : T(0); // relu(NaN) is NaN
    }

    template <typename T>
    static __device__ T backward(T dh, T, T after, T, T, const T (&)[4], T &, T (&da)[GATES], T (&dm)[GATES])
    {
        da[0] = dm[0] = !RELU ? dh * (1 - after * after) : after > T(0) ? dh : T(0);
        return 0;
    }
};

// lives: return !RELU ? hyperbolic(sum) : sum >= T(0) || sum != sum ? sum : T(0);
//   because relu(0) is 0 either way

typedef RNN<false> TANH;
typedef RNN<true> RELU;

// -- one unit of one sequence at one step ------------------------------------------------------------------------------

template <typename T>
struct Forward {
    Walk walk;
    const T *h0, *pre;                      // pre [T, B, GATES H]: W_ih x + b_ih, by time
    T *output, *gates, *cells, *hn, *cn; // gates [T, B, 4, H] and cells [T + 1, B, H] are saved, by step
    int H;

    template <typename Cell>
    __device__ void finish(int s, int b, int j, const T (&m)[Cell::GATES]) const
    {
        int time = walk.time(s, b);
        long long step = (long long)s * walk.B + b, next = step + walk.B; // step s + 1
        T saved[4] = {0}, c = Cell::CELL ? cells[step * H + j] : 0;
        if (time < 0) {
            output[step * H + j] = 0; // padding, of time s in either direction
        } else {
            long long now = (long long)time * walk.B + b;
            T a[Cell::GATES];
            for (int g = 0; g < Cell::GATES; g += 1)
                a[g] = pre[(now * Cell::GATES + g) * H + j];
            T h = Cell::TWO ? Before<T>{walk, h0, output, H, s}.row(b)[j] : 0;
            h = Cell::forward(a, m, h, c, saved);
            output[now * H + j] = h;
            if (walk.last(s, b)) {
                hn[(long long)b * H + j] = h;
                if (Cell::CELL)
                    cn[(long long)b * H + j] = c;
            }
        }
        for (int g = 0; g < Cell::SAVED; g += 1)
            gates[(step * Cell::SAVED + g) * H + j] = saved[g];
        if (Cell::CELL)
            cells[next * H + j] = c;
    }
};

template <typename T>
struct Backward {
    Walk walk;
    const T *g_output, *h0, *output, *gates, *cells; // g_output may be nothing
    T *dh, *dc, *da, *dm;                            // dh, dc [B, H]; da, dm [T, B, GATES H], by time
    int H;

    // dh [b, j] is the gradient of h behind step s, but for what comes through W_hh; afterwards, of h before it.
    template <typename Cell>
    __device__ void finish(int s, int b, int j, T through) const
    {
        int time = walk.time(s, b);
        long long unit = (long long)b * H + j, step = (long long)s * walk.B + b;
        long long now = time < 0 ? step : (long long)time * walk.B + b;
        T da_[Cell::GATES] = {0}, dm_[Cell::GATES] = {0}, total = dh[unit] + through;
        if (time >= 0) {
            T saved[4], h = 0, after = 0, before = 0, c = 0, cell = Cell::CELL ? dc[unit] : 0;
            for (int g = 0; g < Cell::SAVED; g += 1)
                saved[g] = gates[(step * Cell::SAVED + g) * H + j];
            if (Cell::CELL) {
                before = cells[step * H + j];
                c = cells[(step + walk.B) * H + j];
            } else if (Cell::TWO) {
                h = Before<T>{walk, h0, output, H, s}.row(b)[j];
            } else {
                after = output[now * H + j];
            }
            if (g_output)
                total += g_output[now * H + j];
            total = Cell::backward(total, h, after, before, c, saved, cell, da_, dm_);
            if (Cell::CELL)
                dc[unit] = cell;
        }
        dh[unit] = total;
        for (int g = 0; g < Cell::GATES; g += 1) {
            da[(now * Cell::GATES + g) * H + j] = da_[g];
            if (Cell::TWO)
                dm[(now * Cell::GATES + g) * H + j] = dm_[g];
        }
    }
};

// -- before all steps ---------------------------------------------------------------------------------------------------

// h and c become h0 and c0, or zeros where there are none; c0 is also the first of the cells that are saved.
template <typename T>
__device__ void begin(const T *h0, const T *c0, T *h, T *c, T *cells, int count)
{
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) {
        h[at] = h0 ? h0[at] : T(0);
        if (c)
            c[at] = c0 ? c0[at] : T(0);
        if (cells)
            cells[at] = c0[at];
    }
}

// -- parameters of entries ---------------------------------------------------------------------------------------------

#define SEQUENCES const long long *lengths, int T_, int B, int reverse
#define WALK Walk{lengths, T_, B, reverse}
#define FORWARD(T) SEQUENCES, const T *h0, const T *pre, T *output, T *gates, T *cells, T *hn, T *cn, int H
#define FORWARD_OF(T) Forward<T>{WALK, h0, pre, output, gates, cells, hn, cn, H}
#define BACKWARD_READS(T) const T *g_output, const T *h0, const T *output, const T *gates, const T *cells
#define BACKWARD(T) SEQUENCES, BACKWARD_READS(T), T *dh, T *dc, T *da, T *dm, int H
#define BACKWARD_OF(T) Backward<T>{WALK, g_output, h0, output, gates, cells, dh, dc, da, dm, H}
