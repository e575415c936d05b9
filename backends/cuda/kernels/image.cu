// Images, (batch, channels, height, width) without gaps: pooling, and the columns that convolutions multiply.
//
// A *plane* is one channel of one image. `rows` and `columns` count the windows that fit into it. Every result is
// written by one thread, which gathers what it needs: no sum depends on who comes first.

// One direction of a sliding window: pixels, windows, and the taps of a window.
struct Side {
    Divisor size, count, stride, dilation;
    int taps, before;  // before: the border at this side's beginning

    __device__ __forceinline__ Side(
        unsigned long long pixels, unsigned long long windows, unsigned long long step, unsigned long long apart,
        int taps, int before
    ) : size(pixels), count(windows), stride(step), dilation(apart), taps(taps), before(before) {}

    __device__ __forceinline__ bool inside(int pixel) const { return (unsigned)pixel < size.d; }
    __device__ __forceinline__ int pixel(int window, int tap) const {
        return window * (int)stride.d - before + tap * (int)dilation.d;
    }
    // The first and the last of the windows that may hold a pixel, and which tap of a window it is, or -1.
    __device__ __forceinline__ int first(int pixel) const {
        int beyond = pixel + before - (int)dilation.d * (taps - 1) + (int)stride.d - 1;
        return beyond > 0 ? stride.over(beyond) : 0;
    }
    __device__ __forceinline__ int last(int pixel) const {
        return min(stride.over(pixel + before), (int)count.d - 1);
    }
    __device__ __forceinline__ int tap(int pixel, int window) const {
        int there = pixel + before - window * (int)stride.d, tap = dilation.over(there);
        return tap * (int)dilation.d == there ? tap : -1;
    }
};

// Where a number stands: its plane, and its row and column there.
struct Spot {
    int plane, row, column;
    __device__ __forceinline__ Spot(int index, Divisor height, Divisor width) {
        int line = width.over(index);
        plane = height.over(line);
        row = line - plane * (int)height.d;
        column = index - line * (int)width.d;
    }
};

#define EACH(index, total) \
    for (unsigned index = blockIdx.x * blockDim.x + threadIdx.x; index < total; index += gridDim.x * blockDim.x)

// --- pooling ---------------------------------------------------------------------------------------------------------

// The largest number of each window, or the sum; a thread for each. Beyond the image lies -infinity, or nothing.
template <bool LARGEST>
__device__ __forceinline__ void pooled(const T* x, T* out, unsigned total, Side down, Side across) {
    EACH(index, total) {
        Spot at(index, down.count, across.count);
        const T* plane = x + at.plane * (long long)(down.size.d * across.size.d);
        wide found = LARGEST ? (wide)-INFINITE : (wide)0;
        for (int i = 0; i < down.taps; i++) {
            int y = down.pixel(at.row, i);
            if (!down.inside(y)) continue;
            for (int j = 0; j < across.taps; j++) {
                int x = across.pixel(at.column, j);
                if (!across.inside(x)) continue;
                wide value = widened(plane[y * (int)across.size.d + x]);
                found = LARGEST ? larger(found, value) : found + value;
            }
        }
        narrowed(&out[index], found);
    }
}

extern "C" __global__ void max_pool2d(
    const T* x, T* out, unsigned total,
    unsigned long long height, unsigned long long width, unsigned long long rows, unsigned long long columns,
    unsigned long long stride_down, unsigned long long stride_across,
    unsigned long long dilation_down, unsigned long long dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    Side down(height, rows, stride_down, dilation_down, kernel_rows, top);
    Side across(width, columns, stride_across, dilation_across, kernel_columns, left);
    pooled<true>(x, out, total, down, across);
}

extern "C" __global__ void sum_pool2d(
    const T* x, T* out, unsigned total,
    unsigned long long height, unsigned long long width, unsigned long long rows, unsigned long long columns,
    unsigned long long stride_down, unsigned long long stride_across,
    unsigned long long dilation_down, unsigned long long dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    Side down(height, rows, stride_down, dilation_down, kernel_rows, top);
    Side across(width, columns, stride_across, dilation_across, kernel_columns, left);
    pooled<false>(x, out, total, down, across);
}

// Whether no earlier tap of a window holds the same number as tap (i, j).
__device__ __forceinline__ bool is_first(
    const T* plane, wide value, int row, int column, int i, int j, Side down, Side across
) {
    for (int a = 0; a <= i; a++) {
        int y = down.pixel(row, a), end = a == i ? j : across.taps;
        for (int b = 0; b < end; b++) {
            int x = across.pixel(column, b);
            bool inside = down.inside(y) && across.inside(x);
            wide other = inside ? (wide)widened(plane[y * (int)across.size.d + x]) : (wide)-INFINITE;
            if (other == value) return false;
        }
    }
    return true;
}

// For each pixel, a thread: the sum of g over the windows whose first largest number it is.
extern "C" __global__ void max_pool2d_grad(
    const T* g, const T* x, const T* largest, T* out, unsigned total,
    unsigned long long height, unsigned long long width, unsigned long long rows, unsigned long long columns,
    unsigned long long stride_down, unsigned long long stride_across,
    unsigned long long dilation_down, unsigned long long dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    Side down(height, rows, stride_down, dilation_down, kernel_rows, top);
    Side across(width, columns, stride_across, dilation_across, kernel_columns, left);
    EACH(index, total) {
        Spot at(index, down.size, across.size);
        const T* plane = x + at.plane * (long long)(down.size.d * across.size.d);
        wide value = widened(x[index]), sum = 0;
        int first = across.first(at.column), last = across.last(at.column);
        for (int row = down.first(at.row); row <= down.last(at.row); row++) {
            int i = down.tap(at.row, row);
            for (int column = first; i >= 0 && column <= last; column++) {
                int j = across.tap(at.column, column);
                int window = (at.plane * (int)down.count.d + row) * (int)across.count.d + column;
                if (j >= 0 && widened(largest[window]) == value
                    && is_first(plane, value, row, column, i, j, down, across))
                    sum += widened(g[window]);
            }
        }
        narrowed(&out[index], sum);
    }
}

// For each pixel, a thread: the sum of g over the windows that it lies in.
extern "C" __global__ void sum_pool2d_grad(
    const T* g, T* out, unsigned total,
    unsigned long long height, unsigned long long width, unsigned long long rows, unsigned long long columns,
    unsigned long long stride_down, unsigned long long stride_across,
    unsigned long long dilation_down, unsigned long long dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    Side down(height, rows, stride_down, dilation_down, kernel_rows, top);
    Side across(width, columns, stride_across, dilation_across, kernel_columns, left);
    EACH(index, total) {
        Spot at(index, down.size, across.size);
        wide sum = 0;
        int first = across.first(at.column), last = across.last(at.column);
        for (int row = down.first(at.row); row <= down.last(at.row); row++) {
            bool held = down.tap(at.row, row) >= 0;
            for (int column = first; held && column <= last; column++)
                if (across.tap(at.column, column) >= 0)
                    sum += widened(g[(at.plane * (int)down.count.d + row) * (int)across.count.d + column]);
        }
        narrowed(&out[index], sum);
    }
}

// --- columns ---------------------------------------------------------------------------------------------------------

// Every window as a column. A thread writes the taps of one window in one plane; neighbouring threads, whose windows
// are neighbours, write side by side. Images, channels and taps begin so far apart in the result.
extern "C" __global__ void columns_of_windows(
    const T* x, T* out, unsigned total, unsigned long long channels,
    long long image_apart, long long channel_apart, long long tap_apart,
    unsigned long long height, unsigned long long width, unsigned long long rows, unsigned long long columns,
    unsigned long long stride_down, unsigned long long stride_across,
    unsigned long long dilation_down, unsigned long long dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    Side down(height, rows, stride_down, dilation_down, kernel_rows, top);
    Side across(width, columns, stride_across, dilation_across, kernel_columns, left);
    Divisor each(channels);
    EACH(index, total) {
        Spot at(index, down.count, across.count);
        int image = each.over(at.plane), channel = at.plane - image * (int)each.d;
        const T* plane = x + at.plane * (long long)(down.size.d * across.size.d);
        T* place = out + image * image_apart + channel * channel_apart + at.row * (int)across.count.d + at.column;
        for (int i = 0; i < kernel_rows; i++)
            for (int j = 0; j < kernel_columns; j++, place += tap_apart) {
                int y = down.pixel(at.row, i), x = across.pixel(at.column, j);
                if (down.inside(y) && across.inside(x)) *place = plane[y * (int)across.size.d + x];
                else narrowed(place, (wide)0);
            }
    }
}

// The other way round: every pixel of an image, a thread each, is the sum of what its windows' columns hold for it, and
// the bias of its channel, if there is one. taps: (planes, taps, windows).
extern "C" __global__ void windows_from_columns(
    const T* taps, const T* b, T* out, unsigned total, unsigned long long channels,
    unsigned long long height, unsigned long long width, unsigned long long rows, unsigned long long columns,
    unsigned long long stride_down, unsigned long long stride_across,
    unsigned long long dilation_down, unsigned long long dilation_across,
    int kernel_rows, int kernel_columns, int top, int left
) {
    Side down(height, rows, stride_down, dilation_down, kernel_rows, top);
    Side across(width, columns, stride_across, dilation_across, kernel_columns, left);
    Divisor each(channels);
    int windows = down.count.d * across.count.d;
    EACH(index, total) {
        Spot at(index, down.size, across.size);
        const T* plane = taps + at.plane * ((long long)kernel_rows * kernel_columns * windows);
        wide sum = b ? (wide)widened(b[at.plane - each.over(at.plane) * (int)each.d]) : (wide)0;
        int first = across.first(at.column), last = across.last(at.column);
        for (int row = down.first(at.row); row <= down.last(at.row); row++) {
            int i = down.tap(at.row, row);
            for (int column = first; i >= 0 && column <= last; column++) {
                int j = across.tap(at.column, column);
                if (j < 0) continue;
                int window = row * (int)across.count.d + column;
                sum += widened(plane[(i * kernel_columns + j) * (long long)windows + window]);
            }
        }
        narrowed(&out[index], sum);
    }
}

// The bias of its channel, added to each number in place.
extern "C" __global__ void add_to_channels(
    T* out, const T* b, unsigned total, unsigned long long pixels, unsigned long long channels
) {
    Divisor plane(pixels), each(channels);
    EACH(index, total) {
        int channel = plane.over(index);
        channel -= each.over(channel) * (int)each.d;
        narrowed(&out[index], (wide)(widened(out[index]) + widened(b[channel])));
    }
}
