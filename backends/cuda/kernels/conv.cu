// Convolution as a product of matrices whose right one is never in memory: a block reads the part of an image that it
// needs, as columns, into shared memory, and multiplies it there.
//
// A block of 256 threads makes a tile of 8 TALL by BROAD results, DEPTH terms at a time. It is four groups of 64
// threads; a group covers 8 TALL by 32 results, TALL by 4 a thread. Where the tile is narrower than four groups, SHARES
// of them take turns at the terms, and what they found is added up at the end, in a fixed order.
//
// Three products have this form; x is gathered in each, weights or g lie as they are:
//     the result         channels × pixels    terms: inputs × taps    w · x
//     the input's slope  channels × pixels    terms: inputs × taps    w · g, windows the other way round
//     the weights'       channels × taps      terms: pixels           g · x

#ifndef TALL
#define TALL 4
#endif
#ifndef BROAD
#define BROAD 32
#endif
#define HIGH (8 * TALL)
#define SHARES (128 / BROAD)
#define DEPTH (BROAD == 128 ? 16 : 32)
#define TURNS (DEPTH / 8)         // terms that a thread fetches at a time
#define LINES ((HIGH + 31) / 32)  // rows
#define STRIPS (BROAD / 32)       // columns
#define NOWHERE (-(1 << 29))      // as a row of an image: outside, whatever is added

// One direction. Pixel p of the results sees, at tap t, row `first + step * p + turn * t` of the image.
struct Line {
    int first, step, turn;
    int taps, tap, taps_apart;        // tap t is row `tap + taps_apart * t` of the kernel
    int pixels, pixel, pixels_apart;  // pixel p is row `pixel + pixels_apart * p` of the result
};

// Of a convolution.
__device__ __forceinline__ Line along(int count, int kernel, int stride, int before, int dilation) {
    Line line = {-before, stride, dilation, kernel, 0, 1, count, 0, 1};
    return line;
}

// Of its transpose: result row y gets tap i of row q of the image where y + before = q stride + i dilation. Rows with
// the same remainder by the stride, a *phase*, have the same taps, evenly apart.
__device__ __forceinline__ Line across(int phase, int size, int kernel, int stride, int before, int dilation) {
    int tap = 0, apart = 1;
    while (tap < kernel && (phase + before - tap * dilation) % stride) tap++;
    while (apart * dilation % stride) apart++;
    Line line = {(phase + before - tap * dilation) / stride, 1, -(apart * dilation / stride)};
    line.taps = tap < kernel ? (kernel - tap + apart - 1) / apart : 0;
    line.tap = tap;
    line.taps_apart = apart;
    line.pixels = (size - phase + stride - 1) / stride;
    line.pixel = phase;
    line.pixels_apart = stride;
    return line;
}

// A pixel, or a tap, as both sides of the product need it: where it begins in the image, how far down and across that
// is, and where the other matrix, or the result, has it. A pixel's and a tap's add up.
struct alignas(16) Place { int offset, down, across, other; };

__device__ __forceinline__ Place nowhere() {
    Place place = {0, NOWHERE, NOWHERE, -1};
    return place;
}

// Pixel p of so many images, `image` numbers of x apart and `result` of the result, or of g.
struct Pixels {
    Line down, across;
    Divisor all, row;
    int count, image, width, result, columns;
    __device__ __forceinline__ Pixels(
        Line down, Line across, int batch, int image, int width, int result, int columns
    ) : down(down), across(across), all(Divisor::of(max(down.pixels * across.pixels, 1))),
        row(Divisor::of(max(across.pixels, 1))), count(batch * down.pixels * across.pixels),
        image(image), width(width), result(result), columns(columns) {}
    __device__ __forceinline__ Place operator()(int p, int end) const {
        if (p >= end) return nowhere();
        int n = all.over(p), rest = p - n * (int)all.d, u = row.over(rest), v = rest - u * (int)row.d;
        Place place = {n * image, down.first + down.step * u, across.first + across.step * v, n * result};
        place.offset += place.down * width + place.across;
        place.other += (down.pixel + down.pixels_apart * u) * columns + across.pixel + across.pixels_apart * v;
        return place;
    }
};

// Tap k of all input channels' taps; a channel begins `channel` numbers of the weights after the one before.
struct Taps {
    Line down, across;
    Divisor all, row;
    int count, plane, width, channel, columns;
    __device__ __forceinline__ Taps(
        Line down, Line across, int inputs, int plane, int width, int channel, int columns
    ) : down(down), across(across), all(Divisor::of(max(down.taps * across.taps, 1))),
        row(Divisor::of(max(across.taps, 1))), count(inputs * down.taps * across.taps),
        plane(plane), width(width), channel(channel), columns(columns) {}
    __device__ __forceinline__ Place operator()(int k, int end) const {
        if (k >= end) return nowhere();
        int c = all.over(k), rest = k - c * (int)all.d, i = row.over(rest), j = rest - i * (int)row.d;
        Place place = {c * plane, down.turn * i, across.turn * j, c * channel};
        place.offset += place.down * width + place.across;
        place.other += (down.tap + down.taps_apart * i) * columns + across.tap + across.taps_apart * j;
        return place;
    }
};

union alignas(16) Room {
    struct { wide left[DEPTH][HIGH + 4], right[DEPTH][BROAD + 4]; } tiles;
    wide sums[SHARES][HIGH][BROAD];
};

struct alignas(16) Four { wide n[4]; };  // read at once

// The row of a thread's r-th results, where `lane` is which of 8 it is: fours side by side first, then single ones.
__device__ __forceinline__ int row_of(int r, int lane) {
    return r < TALL / 4 * 4 ? r / 4 * 32 + lane * 4 + r % 4 : TALL / 4 * 32 + (r - TALL / 4 * 4) * 8 + lane;
}

// The tile left · right, where right[term][column] is the image at both their places, and left[row][term] stands
// `apart` numbers after the row before. `write(row, column's other, sum)` is told the results.
// ALONG: neighbouring terms, not columns, are neighbours in the image.
template <bool ALONG, class Columns, class Terms, class Write>
__device__ __forceinline__ void tile(
    const T* x, int height, int width, const T* left, int apart, int high, const Columns& column, int broad,
    const Terms& term, int first, int last, Write write
) {
    __shared__ Room room;
    __shared__ Place terms[2][DEPTH];
    __shared__ int targets[BROAD];
    int thread = threadIdx.x, group = thread / 64, share = group % SHARES;
    int lane = thread % 64 / 8, my_across = group / SHARES * 32 + thread % 8 * 4;  // of my results
    int my_row = thread / 8, my_term = thread % 8;                                    // that I fetch
    int my_column = ALONG ? thread / 8 : thread % 32, my_depth = ALONG ? thread % 8 : thread / 32;

    int fetched = min(high, HIGH);
    Place mine[STRIPS];
    for (int s = 0; s < STRIPS; s++) mine[s] = column(blockIdx.x * BROAD + my_column + 32 * s, broad);
    if (thread < BROAD) targets[thread] = column(blockIdx.x * BROAD + thread, broad).other;

    auto note = [&](int turn, int start) {
        if (thread < DEPTH) terms[turn][thread] = term(start + thread, last);
    };
    wide next_left[TURNS][LINES], next_right[TURNS][STRIPS];  // on their way while the tile before is multiplied
    auto fetch = [&](int turn) {
#pragma unroll
        for (int t = 0; t < TURNS; t++) {
            int at = terms[turn][my_term + 8 * t].other;
#pragma unroll
            for (int l = 0; l < LINES; l++) {
                int row = my_row + 32 * l;
                next_left[t][l] = at >= 0 && row < fetched ? (wide)widened(left[row * apart + at]) : (wide)0;
            }
            Place there = terms[turn][my_depth + 8 * t];
#pragma unroll
            for (int s = 0; s < STRIPS; s++) {
                bool inside = (unsigned)(mine[s].down + there.down) < (unsigned)height
                    && (unsigned)(mine[s].across + there.across) < (unsigned)width;
                next_right[t][s] = inside ? (wide)widened(x[mine[s].offset + there.offset]) : (wide)0;
            }
        }
    };
    auto store = [&]() {
#pragma unroll
        for (int t = 0; t < TURNS; t++) {
#pragma unroll
            for (int l = 0; l < LINES; l++)
                if (my_row + 32 * l < HIGH) room.tiles.left[my_term + 8 * t][my_row + 32 * l] = next_left[t][l];
#pragma unroll
            for (int s = 0; s < STRIPS; s++)
                room.tiles.right[my_depth + 8 * t][my_column + 32 * s] = next_right[t][s];
        }
    };
    wide sums[TALL][4] = {};
    auto multiply = [&](int k) {
        Four a[(TALL + 3) / 4], b = *(const Four*)&room.tiles.right[k][my_across];
#pragma unroll
        for (int r = 0; r < TALL; r++) {
            const wide* here = &room.tiles.left[k][row_of(r, lane)];
            if (r >= TALL / 4 * 4) a[r / 4].n[r % 4] = *here;
            else if (r % 4 == 0) a[r / 4] = *(const Four*)here;
        }
#pragma unroll
        for (int r = 0; r < TALL; r++)
#pragma unroll
            for (int c = 0; c < 4; c++) sums[r][c] += a[r / 4].n[r % 4] * b.n[c];
    };

    note(0, first);
    note(1, first + DEPTH);
    __syncthreads();
    fetch(0);
    for (int start = first, turn = 0; start < last; start += DEPTH, turn ^= 1) {
        store();
        __syncthreads();
        if (start + DEPTH < last) {
            fetch(turn ^ 1);
#pragma unroll
            for (int k = 0; k < DEPTH / SHARES; k++) multiply(share + SHARES * k);
        } else {
#pragma unroll 1
            for (int k = share; k < last - start; k += SHARES) multiply(k);
        }
        __syncthreads();
        note(turn, start + 2 * DEPTH);
    }
#pragma unroll
    for (int r = 0; r < TALL; r++)
#pragma unroll
        for (int c = 0; c < 4; c++) room.sums[share][row_of(r, lane)][my_across + c] = sums[r][c];
    __syncthreads();
    for (int place = thread; place < HIGH * BROAD; place += 256) {
        int row = place / BROAD, c = place % BROAD;
        if (row >= high || targets[c] < 0) continue;
        wide sum = 0;
        for (int s = 0; s < SHARES; s++) sum += room.sums[s][row][c];
        write(row, targets[c], sum);
    }
}

// A convolution with its bias, or the transpose of one. Channels are counted by group. A block in z for each group, and
// for each phase of a transpose.
extern "C" __global__ void __launch_bounds__(256) convolve(
    const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ out,
    int batch, int groups, int inputs, int outputs, int height, int width, int rows, int columns,
    int stride_down, int stride_across, int dilation_down, int dilation_across,
    int kernel_rows, int kernel_columns, int top, int left, int transposed
) {
    int group = blockIdx.z % groups, phase = blockIdx.z / groups;
    Line down = along(rows, kernel_rows, stride_down, top, dilation_down);
    Line beside = along(columns, kernel_columns, stride_across, left, dilation_across);
    if (transposed) {
        down = across(phase / stride_across, rows, kernel_rows, stride_down, top, dilation_down);
        beside = across(phase % stride_across, columns, kernel_columns, stride_across, left, dilation_across);
    }
    int kernel = kernel_rows * kernel_columns, image = height * width, result = rows * columns;
    Pixels pixels(down, beside, batch, groups * inputs * image, width, groups * outputs * result, columns);
    if (blockIdx.x * BROAD >= pixels.count) return;  // phases differ by a row
    Taps taps(down, beside, inputs, image, width, transposed ? outputs * kernel : kernel, kernel_columns);
    int first = blockIdx.y * HIGH, apart = transposed ? kernel : inputs * kernel;
    T* target = out + (group * outputs + first) * result;
    const T* bias = b ? b + group * outputs + first : b;
    tile<false>(
        x + group * inputs * image, height, width, w + group * outputs * inputs * kernel + first * apart, apart,
        outputs - first, pixels, pixels.count, taps, 0, taps.count,
        [&](int row, int place, wide sum) {
            narrowed(&target[row * result + place], bias ? sum + (wide)widened(bias[row]) : sum);
        }
    );
}

// The slope of the weights: g · x, summed over pixels. A block in z for each group, and for each `depth` pixels; with
// several of these the sums are stored as `wide` in `parts`, one of them behind the other, for `sum_of_parts`.
extern "C" __global__ void __launch_bounds__(256) convolved_weights(
    const T* __restrict__ g, const T* __restrict__ x, T* __restrict__ out, void* __restrict__ parts, int depth,
    int batch, int groups, int inputs, int outputs, int height, int width, int rows, int columns,
    int stride_down, int stride_across, int dilation_down, int dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    int group = blockIdx.z % groups, part = blockIdx.z / groups;
    Line down = along(rows, kernel_rows, stride_down, top, dilation_down);
    Line beside = along(columns, kernel_columns, stride_across, left, dilation_across);
    int kernel = kernel_rows * kernel_columns, image = height * width, result = rows * columns;
    Pixels pixels(down, beside, batch, groups * inputs * image, width, groups * outputs * result, columns);
    Taps taps(down, beside, inputs, image, width, kernel, kernel_columns);
    int first = blockIdx.y * HIGH, start = part * depth, end = min(start + depth, pixels.count);
    int target = (group * outputs + first) * taps.count;
    wide* sums = (wide*)parts + (long long)part * groups * outputs * taps.count;
    tile<true>(
        x + group * inputs * image, height, width, g + (group * outputs + first) * result, result, outputs - first,
        taps, taps.count, pixels, start, end,
        [&](int row, int place, wide sum) {
            if (parts) sums[target + row * taps.count + place] = sum;
            else narrowed(&out[target + row * taps.count + place], sum);
        }
    );
}

// The sums of so many parts. A block makes 32 of them: 8 threads share the parts of each.
extern "C" __global__ void sum_of_parts(const void* parts, T* out, int many, int count) {
    __shared__ wide shares[8][32];
    int lane = threadIdx.x % 32, share = threadIdx.x / 32, index = blockIdx.x * 32 + lane;
    wide sum = 0;
    for (int part = share; index < count && part < many; part += 8)
        sum += ((const wide*)parts)[(long long)part * count + index];
    shares[share][lane] = sum;
    __syncthreads();
    if (share > 0 || index >= count) return;
    for (int i = 1; i < 8; i++) sum += shares[i][lane];
    narrowed(&out[index], sum);
}
