// nvrtc: -std=c++17
//
// add_slices_, y[l, at[k], s] += alpha values[l, k, s] one k after another: the gradient of an embedding (lead = 1), and the same
// bits each time.
//
// What it does: float atomics would add in whatever order they arrive. Here a block owns a strip of the rows of y, and nobody else writes
// them. It reads all of `at`, 256 places at a time, notes those that lie in its strip in their order (a vote within each warp, then a
// sum over the warps before), and adds the slices it noted, each thread in columns of its own. So a place is summed
// up in the order of k, as on the CPU. A place outside of y raises on the CPU; here it belongs to no strip and is left out.
//
// What it should gain: over sorting the places first, a launch and its memory: as many blocks as a GPU keeps at work read `at` once each,
// mostly from the second-level cache. Worst where most places are the same, which one block then adds alone.
// (Unverified on hardware.)

// lives: for (int start = 0; start <= length; start += THREADS) {
//   one round more, without places, where THREADS divides their number

#define THREADS 256
#define WARPS 8
#define WARP 32

template <typename T>
__device__ void add_slices(
    T *y, const long long *at, const T *values, int size, int length, int step, int strip, T alpha)
{
    __shared__ int noted[THREADS], counts[WARPS];
    __shared__ long long places[THREADS];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    long long first = (long long)blockIdx.x * strip, last = min(first + strip, (long long)size);
    y += (long long)blockIdx.y * size * step;
    values += (long long)blockIdx.y * length * step;
    for (int start = 0; start < length; start += THREADS) {
        int k = start + threadIdx.x;
        long long place = k < length ? at[k] : -1LL - size;
        if (place < 0)
            place += size;
        bool mine = place >= first && place < last;
        unsigned votes = __ballot_sync(0xffffffff, mine);
        if (lane == 0)
            counts[warp] = __popc(votes);
        __syncthreads(); // and all have added what was noted in the round before
        int before = 0, all = 0;
        for (int w = 0; w < WARPS; w += 1) {
            before += w < warp ? counts[w] : 0;
            all += counts[w];
        }
        if (mine) {
            int n = before + __popc(votes & ((1u << lane) - 1));
            noted[n] = k;
            places[n] = place;
        }
        __syncthreads();
        for (int s = threadIdx.x; s < step; s += THREADS)
            for (int n = 0; n < all; n += 1)
                y[places[n] * step + s] += alpha * values[(long long)noted[n] * step + s];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
add_slices_strips_float32(
    float *y, const long long *at, const float *values, int size, int length, int step, int strip, float alpha)
{
    add_slices(y, at, values, size, length, step, strip, alpha);
}

extern "C" __global__ void __launch_bounds__(THREADS)
add_slices_strips_float64(
    double *y, const long long *at, const double *values, int size, int length, int step, int strip, double alpha)
{
    add_slices(y, at, values, size, length, step, strip, alpha);
}
