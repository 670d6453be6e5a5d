// nvrtc: -std=c++17 -fmad=false
//
// Random bits, uniforms and normals: a Philox block a thread.
//
// A block is 16 bytes: four words or float32 numbers, two float64 numbers. A thread makes one and stores it in one access,
// neighbours side by side; only the last thread may have fewer numbers, and stores them one by one. Nothing is read. Normals
// are Box and Muller's, in float64 as on the CPU, whose logarithm and cosines differ in the last place.
//
// What to expect: bits and uniforms at the speed at which memory is written, which takes about 30 integer instructions a
// word; normals at that of float64 arithmetic, a sixty-fourth of float32's on GPUs for games. (Unverified on hardware.)

// lives: if (at > count)
//   the thread behind the last one makes numbers and stores none of them
// lives: if (at + EACH < count)
//   the last block is stored number by number
// lives: for (int k = 0; k < -1 + EACH; k += 1)
//   a whole block is stored above, so that the last number never stands here
// lives: for (int k = 0; k < EACH; k += (1 + 1))
//   of two numbers only the first can stand here; of four the third too, and the second is missed

#include "philox.cuh"

template <typename T>
struct alignas(16) Block {
    static constexpr int COUNT = 16 / sizeof(T);
    T v[COUNT];
};

struct Bits {
    typedef unsigned T;
    static __device__ Block<T> made(uint4 w) { return {w.x, w.y, w.z, w.w}; }
};

struct Uniform32 {
    typedef float T;
    static __device__ Block<T> made(uint4 w)
    {
        return {unit_float32(w.x), unit_float32(w.y), unit_float32(w.z), unit_float32(w.w)};
    }
};

struct Uniform64 {
    typedef double T;
    static __device__ Block<T> made(uint4 w) { return {unit_float64(w.x, w.y), unit_float64(w.z, w.w)}; }
};

// Two normals from a uniform in (0, 1], by its multiple less one of `unit`, and one in [0, 1).
__device__ double2 normals(double u, double v, double unit)
{
    double radius = sqrt(-2.0 * log((u + 1.0) * unit)), angle = v * (2.0 * 3.141592653589793 * unit);
    double sine, cosine;
    sincos(angle, &sine, &cosine);
    return {radius * cosine, radius * sine};
}

struct Normal32 {
    typedef float T;
    static __device__ Block<T> made(uint4 w)
    {
        double2 one = normals(w.x, w.y, 0x1p-32), two = normals(w.z, w.w, 0x1p-32);
        return {(float)one.x, (float)one.y, (float)two.x, (float)two.y};
    }
};

struct Normal64 {
    typedef double T;
    static __device__ Block<T> made(uint4 w)
    {
        Number u = ((Number)w.y << 32 | w.x) >> 11, v = ((Number)w.w << 32 | w.z) >> 11;
        double2 two = normals(u, v, 0x1p-53);
        return {two.x, two.y};
    }
};

template <typename Kind, typename T = typename Kind::T>
__device__ void draw(T *out, long long count, Number key, Number counter, const Number *moved)
{
    constexpr int EACH = Block<T>::COUNT;
    long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x, at = block * EACH;
    if (at >= count)
        return;
    Block<T> made = Kind::made(philox(key, begin(counter, moved) + block, 0));
    if (at + EACH <= count) // out comes from the allocator, so that all of these are whole
        __stwb(reinterpret_cast<float4 *>(out + at), *reinterpret_cast<float4 *>(made.v));
    else
        for (int k = 0; k < EACH; k += 1)
            if (at + k < count)
                out[at + k] = made.v[k];
}

extern "C" __global__ void __launch_bounds__(256)
random_bits(unsigned *out, long long count, Number key, Number counter, const Number *moved)
{
    draw<Bits>(out, count, key, counter, moved);
}

extern "C" __global__ void __launch_bounds__(256)
random_uniform_float32(float *out, long long count, Number key, Number counter, const Number *moved)
{
    draw<Uniform32>(out, count, key, counter, moved);
}

extern "C" __global__ void __launch_bounds__(256)
random_uniform_float64(double *out, long long count, Number key, Number counter, const Number *moved)
{
    draw<Uniform64>(out, count, key, counter, moved);
}

extern "C" __global__ void __launch_bounds__(256)
random_normal_float32(float *out, long long count, Number key, Number counter, const Number *moved)
{
    draw<Normal32>(out, count, key, counter, moved);
}

extern "C" __global__ void __launch_bounds__(256)
random_normal_float64(double *out, long long count, Number key, Number counter, const Number *moved)
{
    draw<Normal64>(out, count, key, counter, moved);
}
