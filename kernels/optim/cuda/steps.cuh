// A step of an optimizer on all parameters of a group, in two launches whatever their number.
//
// `prepare`, a thread for each parameter that has a gradient, counts the step and computes from count and scalars, in float64,
// the few numbers that all elements of the parameter share. `step`, a block for each piece of at most 2048 elements, moves
// these. Both find their work in tables of addresses, and count, scalars and learning rate stand in memory, so that the two
// launches can be captured and replayed. Everything is read once and written once.
//
// -fmad=false in the files that include this: every operation rounds by itself, as on the CPU, whose bits come out.

// lives: int count = (int)piece.count, few = whole ? count / (EACH + 1) * EACH : 0;
//   fewer go in accesses of 16 bytes, and the more one by one
// lives: for (int i = threadIdx.x * EACH; i < -1 + few; i += THREADS * EACH) {
//   the same: i and few are multiples of EACH
// lives: for (int k = -1; k < STATES; k += 1)
//   there is no state -1, so that the compiler leaves the iteration out
// lives: for (int k = 0; k <= STATES; k += 1)
//   there is no state STATES, so that the compiler leaves the iteration out

#pragma once

constexpr int THREADS = 256;

// A row of the table: where elements of a parameter, their gradients (addresses) and their state (in each row of the moments)
// begin, how many they are, and the parameter's number.
struct Piece {
    long long param, grad, offset, count, row;
};

template <typename T>
struct alignas(16) Few {
    static constexpr int COUNT = 16 / sizeof(T);
    T v[COUNT];
};

template <typename T>
__device__ __forceinline__ Few<T> get(const T *from)
{
    Few<T> few;
    *reinterpret_cast<float4 *>(few.v) = *reinterpret_cast<const float4 *>(from);
    return few;
}

template <typename T>
__device__ __forceinline__ void put(T *to, Few<T> few)
{
    __stwb(reinterpret_cast<float4 *>(to), *reinterpret_cast<const float4 *>(few.v));
}

// base^n, correct to the last place (but for one case in millions), as the CPU's is: by squaring, in pairs of numbers whose
// sum has twice the digits.
__device__ double2 times(double2 a, double2 b)
{
    double high = a.x * b.x, low = fma(a.x, b.x, -high) + (a.x * b.y + a.y * b.x), sum = high + low;
    return {sum, low - (sum - high)};
}

__device__ double power(double base, double n)
{
    double2 result = {1.0, 0.0}, square = {base, 0.0};
    for (unsigned left = (unsigned)n; left > 0; left >>= 1) {
        if (left & 1)
            result = times(result, square);
        square = times(square, square);
    }
    return result.x;
}

// `rows`: the parameters that have a gradient. `numbers` [., parameters]: the first row counts steps.
template <typename Step, typename T>
__device__ void prepare(const long long *rows, int count, float *numbers, int parameters, const double *scalars, T *shared)
{
    int place = blockIdx.x * blockDim.x + threadIdx.x;
    if (place >= count)
        return;
    long long row = rows[place];
    float t = numbers[row] + 1.0f;
    numbers[row] = t;
    Step::prepare(shared + row * Step::SHARED, scalars, t, numbers + row, parameters);
}

template <typename Step, typename T>
__device__ void step(const Piece *pieces, T *moments, long long elements, const T *shared)
{
    constexpr int EACH = Few<T>::COUNT, STATES = Step::STATES;
    Piece piece = pieces[blockIdx.x];
    Step move(shared + piece.row * Step::SHARED);
    T *p = reinterpret_cast<T *>(piece.param), *m = moments + piece.offset;
    const T *g = reinterpret_cast<const T *>(piece.grad);
    // how far any of them is from a multiple of 16 bytes
    bool whole = (((size_t)p | (size_t)g | (size_t)m | elements * sizeof(T)) & 15) == 0;
    int count = (int)piece.count, few = whole ? count / EACH * EACH : 0;
    #pragma unroll 1 // of two float64 numbers and three moments each it would take more registers than there are
    for (int i = threadIdx.x * EACH; i < few; i += THREADS * EACH) {
        Few<T> x = get(p + i), d = get(g + i), s[STATES];
        for (int k = 0; k < STATES; k += 1)
            if (move.uses(k))
                s[k] = get(m + k * elements + i);
        for (int w = 0; w < EACH; w += 1) {
            T state[STATES];
            for (int k = 0; k < STATES; k += 1)
                state[k] = s[k].v[w];
            move(x.v[w], d.v[w], state);
            for (int k = 0; k < STATES; k += 1)
                s[k].v[w] = state[k];
        }
        put(p + i, x);
        for (int k = 0; k < STATES; k += 1)
            if (move.uses(k))
                put(m + k * elements + i, s[k]);
    }
    #pragma unroll 1
    for (int i = few + threadIdx.x; i < count; i += THREADS) {
        T x = p[i], state[STATES];
        for (int k = 0; k < STATES; k += 1)
            if (move.uses(k))
                state[k] = m[k * elements + i];
        move(x, g[i], state);
        p[i] = x;
        for (int k = 0; k < STATES; k += 1)
            if (move.uses(k))
                m[k * elements + i] = state[k];
    }
}

// d = sign g + l2 x.
template <typename T>
__device__ __forceinline__ T descent(T x, T g, T l2, T sign)
{
    T d = sign * g;
    return l2 != T(0) ? d + l2 * x : d;
}
