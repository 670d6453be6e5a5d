// Accesses of 16 bytes: four float32 or two float64 numbers move in one instruction.

#pragma once

template <typename T>
struct alignas(16) Pack {
    static constexpr int COUNT = 16 / sizeof(T);
    T v[COUNT];
};

// Both at an address that is a multiple of 16 bytes.
template <typename T>
__device__ Pack<T> get(const T *from)
{
    Pack<T> pack;
    *reinterpret_cast<float4 *>(pack.v) = *reinterpret_cast<const float4 *>(from);
    return pack;
}

template <typename T>
__device__ void put(T *to, Pack<T> pack)
{
    // said aloud: the compiler may cut a plain assignment into four stores
    __stwb(reinterpret_cast<float4 *>(to), *reinterpret_cast<const float4 *>(pack.v));
}

// Whether rows of some length that begin here all begin at multiples of 16 bytes.
template <typename T>
__device__ bool in_packs(const T *data, int columns)
{
    return columns % Pack<T>::COUNT == 0 && (size_t)data % sizeof(Pack<T>) == 0;
}
