// CUDA C++ as g++ understands it: kernels run on the CPU, block after block, every thread of a block a fiber.
//
// What a GPU leaves undefined ends in an error here: a barrier that some threads of a block never reach, a shuffle that
// some lanes never join. Between barriers threads run one after the other in an order that changes from launch to
// launch, so that a missing barrier shows as a wrong number sooner or later.

#undef _FORTIFY_SOURCE  // which would refuse to jump from one stack to another
#include <setjmp.h>
#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static
#define __constant__ static const
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define CUDA_ON_CPU

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;
typedef unsigned long long cuda_mask;

// --- fibers ----------------------------------------------------------------------------------------------------------

extern "C" void* malloc(unsigned long);
extern "C" void* memset(void*, int, unsigned long);

namespace shim {

const int MOST = 1024;          // threads of a block
const unsigned long STACK = 1 << 16;
enum State { READY, AT_BLOCK, AT_WARP, DONE };

// A fiber begins by its context, and goes on from where it left by a jump, which asks the system for nothing. It lives
// as long as the library: at the end of a block it waits for the next one.
struct Fiber { ucontext_t context; jmp_buf left; State state; char* stack; bool begun; unsigned long long given; };

static Fiber fibers[MOST];
static ucontext_t scheduler;
static jmp_buf home;
static int count, current;
static const char* failure;
static void (*kernel)(void**);
static void** arguments;
static unsigned long long seed = 88172645463325252ull;
static unsigned char shared_memory[1 << 18] __attribute__((aligned(16)));

inline void place(int i) {
    threadIdx.x = i % blockDim.x;
    threadIdx.y = i / blockDim.x % blockDim.y;
    threadIdx.z = i / (blockDim.x * blockDim.y);
}

__attribute__((noinline)) static void leave(Fiber& fiber) {
    if (!_setjmp(fiber.left)) _longjmp(home, 1);
}

static void body() {
    for (;;) {
        kernel(arguments);
        fibers[current].state = DONE;
        leave(fibers[current]);
    }
}

__attribute__((noinline)) static void resume(Fiber& fiber) {
    if (fiber.begun) _longjmp(fiber.left, 1);
    if (!fiber.stack) fiber.stack = (char*)malloc(STACK);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = STACK;
    makecontext(&fiber.context, body, 0);
    fiber.begun = true;
    swapcontext(&scheduler, &fiber.context);
}

__attribute__((noinline)) static void run(Fiber& fiber) {
    if (!_setjmp(home)) resume(fiber);
}

inline void wait(State why) {
    int me = current;
    fibers[me].state = why;
    leave(fibers[me]);
}

inline unsigned next_random() {
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
    return (unsigned)(seed >> 33);
}

// Let go whoever waits for a barrier that everyone concerned has reached; false where nobody can go on.
inline bool release() {
    bool moved = false, block = true;
    for (int i = 0; i < count; i++) block = block && (fibers[i].state == AT_BLOCK || fibers[i].state == DONE);
    if (block) {
        for (int i = 0; i < count; i++) if (fibers[i].state == AT_BLOCK) {
            fibers[i].state = READY; moved = true;
        }
        for (int i = 0; moved && i < count; i++) if (fibers[i].state == DONE)
            failure = "__syncthreads(): some threads of the block have returned already";
    }
    for (int w = 0; w < count; w += 32) {
        int end = w + 32 < count ? w + 32 : count;
        bool all = true;
        for (int i = w; i < end; i++) all = all && fibers[i].state == AT_WARP;
        for (int i = w; all && i < end; i++) { fibers[i].state = READY; moved = true; }
    }
    return moved;
}

inline void run_block() {
    static int order[MOST];
    for (int i = 0; i < count; i++) {
        fibers[i].begun = fibers[i].begun && fibers[i].state == DONE;  // what an error left in the middle begins anew
        fibers[i].state = READY;
        order[i] = i;
    }
    for (int i = count - 1; i > 0; i--) { int j = next_random() % (i + 1), k = order[i]; order[i] = order[j]; order[j] = k; }
    for (;;) {
        bool ran = false, done = true;
        for (int i = 0; i < count; i++) {
            int me = order[i];
            if (fibers[me].state != READY) continue;
            current = me;
            place(me);
            run(fibers[me]);
            ran = true;
        }
        for (int i = 0; i < count; i++) done = done && fibers[i].state == DONE;
        if (done || failure) return;
        if (!release() && !ran) {
            failure = "a barrier or a shuffle that some threads never reach";
            return;
        }
    }
}

inline void run_plain() {  // a kernel without barriers needs no fibers
    for (int i = 0; i < count; i++) { place(i); kernel(arguments); }
}

inline const char* launch(void (*call)(void**), void** given, const unsigned* grid, const unsigned* block, bool fibers) {
    kernel = call; arguments = given; failure = 0;
    gridDim.x = grid[0]; gridDim.y = grid[1]; gridDim.z = grid[2];
    blockDim.x = block[0]; blockDim.y = block[1]; blockDim.z = block[2];
    count = block[0] * block[1] * block[2];
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++) {
                memset(shared_memory, 0xff, sizeof shared_memory);  // nan, as long as nobody wrote there
                if (fibers) run_block(); else run_plain();
                if (failure) return failure;
            }
    return 0;
}

template <class X> inline unsigned long long as_bits(X x) {
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &x, sizeof x);
    return bits;
}

// Every lane lays its number down, waits for the others, takes another's, and waits until all have taken.
template <class X> inline X exchange(X x, int from) {
    int me = current, first = me / 32 * 32, last = first + 31 < count ? first + 31 : count - 1;
    fibers[me].given = as_bits(x);
    wait(AT_WARP);
    unsigned long long bits = from >= 0 && first + from <= last ? fibers[first + from].given : fibers[me].given;
    wait(AT_WARP);
    X taken;
    __builtin_memcpy(&taken, &bits, sizeof taken);
    return taken;
}

inline int lane() { return current % 32; }

inline unsigned ballot(bool vote) {
    int me = current, first = me / 32 * 32;
    fibers[me].given = vote;
    wait(AT_WARP);
    unsigned votes = 0;
    for (int i = first; i < first + 32 && i < count; i++) votes |= (unsigned)fibers[i].given << (i - first);
    wait(AT_WARP);
    return votes;
}

}  // namespace shim

#define DYNAMIC_SHARED(type, name) type* name = (type*)shim::shared_memory

inline void __syncthreads() { shim::wait(shim::AT_BLOCK); }
inline void __syncwarp(unsigned = 0xffffffffu) { shim::wait(shim::AT_WARP); }
template <class X> inline X __shfl_sync(unsigned, X x, int from, int width = 32) {
    return shim::exchange(x, shim::lane() / width * width + from % width);
}
template <class X> inline X __shfl_xor_sync(unsigned, X x, int mask, int = 32) {
    return shim::exchange(x, shim::lane() ^ mask);
}
template <class X> inline X __shfl_down_sync(unsigned, X x, int step, int width = 32) {
    int from = shim::lane() + step;
    return shim::exchange(x, from / width == shim::lane() / width ? from : -1);
}
template <class X> inline X __shfl_up_sync(unsigned, X x, int step, int width = 32) {
    int from = shim::lane() - step;
    return shim::exchange(x, from >= shim::lane() / width * width ? from : -1);
}

inline unsigned __ballot_sync(unsigned, int vote) { return shim::ballot(vote); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

// --- memory and numbers ----------------------------------------------------------------------------------------------

template <class X> inline X atomicAdd(X* place, X x) { X before = *place; *place += x; return before; }
template <class X> inline X atomicMax(X* place, X x) { X before = *place; if (x > before) *place = x; return before; }
inline unsigned atomicInc(unsigned* place, unsigned most) {
    unsigned before = *place;
    *place = before >= most ? 0 : before + 1;
    return before;
}
template <class X> inline X __ldg(const X* place) { return *place; }
inline void __threadfence() {}
inline void __threadfence_block() {}

inline float __uint_as_float(unsigned bits) { float x; __builtin_memcpy(&x, &bits, 4); return x; }
inline float __int_as_float(int bits) { float x; __builtin_memcpy(&x, &bits, 4); return x; }
inline unsigned __float_as_uint(float x) { unsigned bits; __builtin_memcpy(&bits, &x, 4); return bits; }
inline double __longlong_as_double(long long bits) { double x; __builtin_memcpy(&x, &bits, 8); return x; }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }

#define ONE(name) inline float name##f(float x) { return __builtin_##name##f(x); } \
                  inline double name(double x) { return __builtin_##name(x); } \
                  inline float name(float x) { return __builtin_##name##f(x); }
ONE(exp) ONE(expm1) ONE(log) ONE(log1p) ONE(sqrt) ONE(sin) ONE(cos) ONE(tanh) ONE(erf) ONE(fabs) ONE(floor) ONE(ceil)
#undef ONE
#define TWO(name) inline float name##f(float x, float y) { return __builtin_##name##f(x, y); } \
                  inline double name(double x, double y) { return __builtin_##name(x, y); } \
                  inline float name(float x, float y) { return __builtin_##name##f(x, y); }
TWO(pow) TWO(fmax) TWO(fmin) TWO(copysign) TWO(fmod)
#undef TWO
inline float fmaf(float x, float y, float z) { return x * y + z; }
inline double fma(double x, double y, double z) { return x * y + z; }
inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / __builtin_sqrt(x); }
inline float __expf(float x) { return __builtin_expf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline bool isnan(float x) { return x != x; }
inline bool isnan(double x) { return x != x; }
inline int min(int x, int y) { return x < y ? x : y; }
inline int max(int x, int y) { return x > y ? x : y; }
inline long long min(long long x, long long y) { return x < y ? x : y; }
inline long long max(long long x, long long y) { return x > y ? x : y; }
inline float min(float x, float y) { return __builtin_fminf(x, y); }
inline float max(float x, float y) { return __builtin_fmaxf(x, y); }
inline double min(double x, double y) { return __builtin_fmin(x, y); }
inline double max(double x, double y) { return __builtin_fmax(x, y); }

// Half floats as the GPU's own instructions convert them.
inline float half_to_float(unsigned short bits) { _Float16 x; __builtin_memcpy(&x, &bits, 2); return (float)x; }
inline unsigned short float_to_half(float x) {
    _Float16 y = (_Float16)x;
    unsigned short bits;
    __builtin_memcpy(&bits, &y, 2);
    return bits;
}
