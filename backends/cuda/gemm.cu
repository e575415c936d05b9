// Small products of matrices, out = x y + b: x (m, k), y (k, n), out (m, n), with any strides, and b along n, or null.
// gridDim.z counts the products of a stack. Strides are counted in elements, and no matrix is copied to suit. Where
// there is room for them, the sums along the rows of x are stored too: a bias's gradient beside its weight's.
//
// What becomes of a result is FINISHED; a product with a chain of operations behind it brings its own, and parameters
// after the last (epilogue.py).

#define TILE 32
#define ROWS_APART 8  // a block of 256 threads is 8 rows of 32

#ifndef FINISHED
#define FINISHED(row, column, result) narrowed(out + blockIdx.z * out_next + row * out_down + column * out_right, result)
#endif

// A warp for each number of the result: its lanes share the k terms. For long sums and few results.
extern "C" __global__ void gemm_by_warps(
    const T* __restrict__ x, const T* __restrict__ y, const T* __restrict__ b, T* __restrict__ out,
    int m, int n, int k, long long x_down, long long x_right, long long y_down, long long y_right,
    long long out_down, long long out_right, long long x_next, long long y_next, long long out_next,
    T* __restrict__ row_sums /* more */
) {
    long long place = blockIdx.x * (long long)(blockDim.x / 32) + threadIdx.x / 32;
    if (place >= (long long)m * n) return;  // a whole warp
    long long row = place / n, column = place % n;
    const T* left = x + blockIdx.z * x_next + row * x_down;
    const T* right = y + blockIdx.z * y_next + column * y_right;
    wide sum = 0, row_sum = 0;
    for (int i = threadIdx.x % 32; i < k; i += 32) {
        wide one = widened(left[i * x_right]);
        sum += one * widened(right[i * y_down]);
        row_sum += one;
    }
    sum = warp_joined<Sum>(sum);
    if (row_sums && column == 0) row_sum = warp_joined<Sum>(row_sum);
    if (threadIdx.x % 32 == 0) {
        if (row_sums && column == 0) narrowed(row_sums + row, row_sum);
        if (b) sum += widened(b[column]);
        FINISHED(row, column, sum);
    }
}

// A block of 256 threads for each 32 by 32 results: both matrices pass through shared memory, 32 terms at a time.
// Neighbouring threads read along whichever direction a matrix lies together in.
extern "C" __global__ void __launch_bounds__(256) gemm_by_tiles(
    const T* __restrict__ x, const T* __restrict__ y, const T* __restrict__ b, T* __restrict__ out,
    int m, int n, int k, long long x_down, long long x_right, long long y_down, long long y_right,
    long long out_down, long long out_right, long long x_next, long long y_next, long long out_next,
    T* __restrict__ row_sums /* more */
) {
    __shared__ wide left[TILE][TILE + 1];   // [row][term]
    __shared__ wide right[TILE][TILE + 1];  // [term][column]
    int tiles = (n + TILE - 1) / TILE;
    int first_row = blockIdx.x / tiles * TILE, first_column = blockIdx.x % tiles * TILE;
    int lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
    x += blockIdx.z * x_next;
    y += blockIdx.z * y_next;
    wide sums[TILE / ROWS_APART] = {}, row_sum = 0;
    bool adds = row_sums && first_column == 0 && threadIdx.x < TILE;  // the row threadIdx.x of x
    for (int start = 0; start < k; start += TILE) {
        for (int i = line; i < TILE; i += ROWS_APART) {
            int row = x_right == 1 ? i : lane, term = x_right == 1 ? lane : i;
            bool inside = first_row + row < m && start + term < k;
            left[row][term] = inside ? widened(x[(first_row + row) * x_down + (start + term) * x_right]) : (wide)0;
            term = y_right == 1 ? i : lane;
            int column = y_right == 1 ? lane : i;
            inside = first_column + column < n && start + term < k;
            right[term][column] =
                inside ? widened(y[(start + term) * y_down + (first_column + column) * y_right]) : (wide)0;
        }
        __syncthreads();
        for (int term = 0; term < TILE; term++)
            for (int i = 0; i < TILE / ROWS_APART; i++)
                sums[i] += left[line + i * ROWS_APART][term] * right[term][lane];
        for (int term = 0; adds && term < TILE; term++) row_sum += left[threadIdx.x][term];
        __syncthreads();
    }
    if (adds && first_row + threadIdx.x < m) narrowed(row_sums + first_row + threadIdx.x, row_sum);
    int column = first_column + lane;
    if (column >= n) return;
    wide added = b ? (wide)widened(b[column]) : (wide)0;
    for (int i = 0; i < TILE / ROWS_APART; i++) {
        int row = first_row + line + i * ROWS_APART;
        if (row < m) FINISHED(row, column, sums[i] + added);
    }
}
