// Random numbers by counting: number i of call n is a hash of (seed, n, i), the same as the other backends draw.

// Spreads every bit over all bits. Source: C. Wellons, hash-prospector, 2018, lowbias32.
__device__ __forceinline__ unsigned mixed(unsigned bits) {
    bits = (bits ^ bits >> 16) * 0x7FEB352Du;
    bits = (bits ^ bits >> 15) * 0x846CA68Bu;
    return bits ^ bits >> 16;
}

// Below 1 also where rounding would reach it.
template <class X, class W> __device__ __forceinline__ W held_below_one(W x, const X*) { return x; }
__device__ __forceinline__ float held_below_one(float x, const half_t*) { return smaller(x, 0.99951171875f); }
__device__ __forceinline__ float held_below_one(float x, const bfloat_t*) { return smaller(x, 0.99609375f); }

// Multiples of 2^-24 in [0, 1). `state` is (seed, calls so far): when the last block comes to the end, all have read
// it, and the call is counted.
extern "C" __global__ void uniform(long long* state, T* out, unsigned* finished, unsigned count) {
    volatile long long* kept = state;
    unsigned seed = (unsigned)kept[0];
    long long call = kept[1];
    unsigned first = mixed((unsigned)call * 2u * 0x9E3779B9u + seed);
    unsigned second = mixed(((unsigned)call * 2u + 1u) * 0x9E3779B9u + seed);
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        wide number = (wide)(mixed(mixed(i ^ first) ^ second) >> 8) * (wide)5.9604644775390625e-8;
        narrowed(&out[i], held_below_one(number, out));
    }
    if (last_to_come(finished) && threadIdx.x == 0) kept[1] = call + 1;
}
