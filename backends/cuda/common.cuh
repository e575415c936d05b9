// What every source begins with. No header is included, so that NVRTC compiles it wherever it runs.
//
// `T` is how numbers lie in memory (float, double, half_t, bfloat_t), `wide` what they are computed in: float for both
// kinds of half. `I` is an integer type, of classes or rows.

#ifndef CUDA_ON_CPU
#define DYNAMIC_SHARED(type, name)                                   \
    extern __shared__ __align__(16) unsigned char dynamic_shared[];  \
    type* name = (type*)dynamic_shared

__device__ __forceinline__ float half_to_float(unsigned short bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}
__device__ __forceinline__ unsigned short float_to_half(float x) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
#endif

struct half_t { unsigned short bits; };
struct bfloat_t { unsigned short bits; };

template <class X> struct Wide { typedef X type; };
template <> struct Wide<half_t> { typedef float type; };
template <> struct Wide<bfloat_t> { typedef float type; };

template <class X> __device__ __forceinline__ X widened(X x) { return x; }
__device__ __forceinline__ float widened(half_t x) { return half_to_float(x.bits); }
__device__ __forceinline__ float widened(bfloat_t x) { return __uint_as_float((unsigned)x.bits << 16); }

template <class X, class W> __device__ __forceinline__ void narrowed(X* place, W x) { *place = (X)x; }
template <class W> __device__ __forceinline__ void narrowed(half_t* place, W x) { place->bits = float_to_half((float)x); }
template <class W> __device__ __forceinline__ void narrowed(bfloat_t* place, W x) {
    unsigned bits = __float_as_uint((float)x);
    bool nan = (bits & 0x7fffffffu) > 0x7f800000u;  // rounding would turn some into infinity
    place->bits = nan ? (unsigned short)(bits >> 16 | 64) : (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#ifdef T
typedef Wide<T>::type wide;
#endif

#define EVERY_LANE 0xffffffffu
#define INFINITE (__int_as_float(0x7f800000))

// The largest of NumPy's reductions: nan wins over every number, as it does there.
template <class X> __device__ __forceinline__ X larger(X x, X y) { return x > y || x != x ? x : y; }
template <class X> __device__ __forceinline__ X smaller(X x, X y) { return x < y || x != x ? x : y; }

struct Sum {
    template <class X> static __device__ __forceinline__ X join(X x, X y) { return x + y; }
};
struct Largest {
    template <class X> static __device__ __forceinline__ X join(X x, X y) { return larger(x, y); }
};

// What the 32 lanes of a warp have, joined; every lane gets the result.
template <class Join, class X> __device__ __forceinline__ X warp_joined(X x) {
    for (int step = 16; step > 0; step /= 2) x = Join::join(x, __shfl_xor_sync(EVERY_LANE, x, step));
    return x;
}

// What all threads of a one-dimensional block have, joined; every thread gets the result. The block is a whole number of
// warps. `room` is shared memory for 32 numbers; it may be used again after the next barrier.
template <class Join, class X> __device__ __forceinline__ X block_joined(X x, X none, X* room) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = warp_joined<Join>(x);
    __syncthreads();
    if (lane == 0) room[warp] = x;
    __syncthreads();
    return warp_joined<Join>(lane < warps ? room[lane] : none);
}

// The same for teams of 1, 2, 4 … 32 lanes of a warp that lie side by side, or of a whole block where `team` is larger.
template <class Join, class X> __device__ __forceinline__ X team_joined(X x, X none, X* room, int team) {
    if (team > 32) return block_joined<Join>(x, none, room);
    for (int step = team / 2; step > 0; step /= 2) x = Join::join(x, __shfl_xor_sync(EVERY_LANE, x, step));
    return x;
}

// Whether this block is the last of the launch to come here; it then sees what the others wrote before they came. All
// threads of a one-dimensional grid call it. `come` is 0 before the launch, and again after it.
__device__ __forceinline__ bool last_to_come(unsigned* come) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicInc(come, gridDim.x - 1) == gridDim.x - 1;
        __threadfence();
    }
    __syncthreads();
    return last;
}

// A number to divide by without a division: x / d is x * magic >> shift, for x below 2^31. The host packs d and magic
// into one number (module.py, divisor); `Divisor::of` finds them here, for those who divide often enough.
struct Divisor {
    unsigned d, magic;
    int shift;
    __device__ __forceinline__ Divisor(unsigned long long packed)
        : d((unsigned)packed), magic((unsigned)(packed >> 32)), shift(63 - __clz((int)(d - 1))) {}
    static __device__ __forceinline__ Divisor of(int d) {
        Divisor known((unsigned long long)d);
        known.magic = (unsigned)(((1ull << known.shift) + d - 1) / d);
        return known;
    }
    __device__ __forceinline__ int over(int x) const {
        return (int)((unsigned long long)(unsigned)x * magic >> shift);
    }
};
