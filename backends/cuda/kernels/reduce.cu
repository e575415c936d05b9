// Sums, largest and smallest numbers over some dimensions of an array, in an order that is the same every time.
//
// An array is seen as at most two dimensions that stay (`kept`) by at most two that go (`gone`), each with its stride.
// A long reduction over few results is cut into chunks, one for each row of the grid, whose results are reduced again.

enum { SUM, LARGEST, SMALLEST };

struct View {
    long long kept1, kept_step0, kept_step1;        // the result's place is (k / kept1, k % kept1)
    long long gone, gone1, gone_step0, gone_step1;  // how many numbers go into one result, and how they lie
};

__device__ __forceinline__ wide joined(int how, wide x, wide y) {
    return how == SUM ? x + y : how == LARGEST ? larger(x, y) : smaller(x, y);
}
__device__ __forceinline__ wide nothing(int how) { return how == SUM ? 0 : how == LARGEST ? -INFINITE : INFINITE; }

// What one thread finds among the numbers first, first + step, … below last of one result.
__device__ __forceinline__ wide found(const T* x, int how, View v, long long k, long long first, long long last, int step) {
    const T* start = x + k / v.kept1 * v.kept_step0 + k % v.kept1 * v.kept_step1;
    wide total = nothing(how);
    if (v.gone == v.gone1) {
        for (long long i = first; i < last; i += step) total = joined(how, total, widened(start[i * v.gone_step1]));
    } else {
        for (long long i = first; i < last; i += step)
            total = joined(how, total, widened(start[i / v.gone1 * v.gone_step0 + i % v.gone1 * v.gone_step1]));
    }
    return total;
}

__device__ __forceinline__ View viewed(long long kept1, long long kept_step0, long long kept_step1, long long gone,
                                       long long gone1, long long gone_step0, long long gone_step1) {
    View v = {kept1, kept_step0, kept_step1, gone, gone1, gone_step0, gone_step1};
    return v;
}

// Neighbouring results lie beside each other: a warp reads a row of 32 of them, the warps of a block take turns in rows.
extern "C" __global__ void across(const T* x, wide* part, T* out, int how, long long kept, long long chunk, long long kept1,
                                  long long kept_step0, long long kept_step1, long long gone, long long gone1,
                                  long long gone_step0, long long gone_step1) {
    __shared__ wide room[32][33];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    long long k = blockIdx.x * 32ll + lane, first = blockIdx.y * chunk, last = min(first + chunk, gone);
    View v = viewed(kept1, kept_step0, kept_step1, gone, gone1, gone_step0, gone_step1);
    wide total = nothing(how);
    if (k < kept) total = found(x, how, v, k, first + warp, last, warps);
    room[warp][lane] = total;
    __syncthreads();
    for (int half = warps / 2; half > 0; half /= 2) {
        if (warp < half) room[warp][lane] = joined(how, room[warp][lane], room[warp + half][lane]);
        __syncthreads();
    }
    if (warp == 0 && k < kept) {
        if (part) part[blockIdx.y * kept + k] = room[0][lane];
        else narrowed(&out[k], room[0][lane]);
    }
}

// The numbers of a result lie beside each other: a warp for each result.
extern "C" __global__ void along(const T* x, wide* part, T* out, int how, long long kept, long long chunk, long long kept1,
                                 long long kept_step0, long long kept_step1, long long gone, long long gone1,
                                 long long gone_step0, long long gone_step1) {
    int lane = threadIdx.x % 32;
    long long k = blockIdx.x * (long long)(blockDim.x / 32) + threadIdx.x / 32;
    if (k >= kept) return;
    View v = viewed(kept1, kept_step0, kept_step1, gone, gone1, gone_step0, gone_step1);
    wide total = found(x, how, v, k, lane, gone, 32);
    for (int step = 16; step > 0; step /= 2) total = joined(how, total, __shfl_xor_sync(EVERY_LANE, total, step));
    if (lane == 0) {
        if (part) part[k] = total;
        else narrowed(&out[k], total);
    }
}

// The same where results are few and long: a block for each chunk of each.
extern "C" __global__ void along_blocks(const T* x, wide* part, T* out, int how, long long kept, long long chunk,
                                        long long kept1, long long kept_step0, long long kept_step1, long long gone,
                                        long long gone1, long long gone_step0, long long gone_step1) {
    __shared__ wide room[32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    long long k = blockIdx.x, first = blockIdx.y * chunk, last = min(first + chunk, gone);
    View v = viewed(kept1, kept_step0, kept_step1, gone, gone1, gone_step0, gone_step1);
    wide total = found(x, how, v, k, first + threadIdx.x, last, blockDim.x);
    for (int step = 16; step > 0; step /= 2) total = joined(how, total, __shfl_xor_sync(EVERY_LANE, total, step));
    if (lane == 0) room[warp] = total;
    __syncthreads();
    if (warp > 0) return;
    total = lane < warps ? room[lane] : nothing(how);
    for (int step = 16; step > 0; step /= 2) total = joined(how, total, __shfl_xor_sync(EVERY_LANE, total, step));
    if (lane == 0) {
        if (part) part[blockIdx.y * kept + k] = total;
        else narrowed(&out[k], total);
    }
}
