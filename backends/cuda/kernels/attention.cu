// Attention, softmax(scale · q kᵀ + mask) v, and its gradients.
//
// Small heads take one launch, `attention`, and one back, `attention_grad`. A block of 8 warps keeps 16 rows of one
// matrix in shared memory (`own`), two a warp, and meets the rows of others 64 at a time (`tile`): two of these are a
// lane's where rows are multiplied with rows, a column is where rows are added up. Rows lie 4 numbers more than a
// multiple of 32 apart, so that lanes which read four numbers at once, each of another row, meet different banks. Three
// blocks are to find room on a multiprocessor, which is what decides where there are a few hundred of them in all.
//
// Large heads take products of matrices, and between these one launch for the rows of the softmax, `attention_softmax`,
// or of its gradient, `attention_softmax_grad`.
//
// A stack of matrices has two dimensions, `outer` and `inner`; strides count elements, and those of columns are 1 but
// in masks.

#define WARPS 8
#define MINE 2  // rows of a warp
#define ROWS 16
#define TILE 64
#define SLOT 68    // a row of a tile's weights
#define WIDEST 4  // columns of a lane, so 128 in all

struct alignas(16) Four { wide x[4]; };

// One matrix of a stack.
struct Rows {
    const T* first;
    long long step;
    int count, columns;
};

__device__ __forceinline__ int pitch(int columns) { return (columns + 31) / 32 * 32 + 4; }

__device__ __forceinline__ Rows rows_of(
    const T* x, long long outer, long long inner, long long row, int batch, int inners, int count, int columns
) {
    return {x + batch / inners * outer + batch % inners * inner, row, count, columns};
}

__device__ __forceinline__ T* place_of(T* x, long long outer, long long inner, int batch, int inners) {
    return x + batch / inners * outer + batch % inners * inner;
}

// COUNT rows, from one on, into shared memory, zeros where the matrix has ended: a warp a row, all of them under way
// at once.
template <int COUNT>
__device__ __forceinline__ void laid(wide* place, Rows x, int first, wide scale = 1) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, apart = pitch(x.columns);
#pragma unroll 1
    for (int column = lane; column < apart - 4; column += 32) {
        wide taken[COUNT / WARPS];
#pragma unroll
        for (int i = 0; i < COUNT / WARPS; i++) {
            int row = first + warp + i * WARPS;
            bool inside = row < x.count && column < x.columns;
            taken[i] = inside ? widened(x.first[row * x.step + column]) * scale : (wide)0;
        }
#pragma unroll
        for (int i = 0; i < COUNT / WARPS; i++) place[(warp + i * WARPS) * apart + column] = taken[i];
    }
}

// The products of a warp's rows of `own` with a lane's rows of `tile`, lane and lane + 32.
__device__ __forceinline__ void multiplied(const wide* own, const wide* tile, int columns, wide (&sums)[MINE][2]) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, apart = pitch(columns);
    own += warp * MINE * apart;
    tile += lane * apart;
    for (int column = 0; column < columns; column += 4) {
        Four theirs[2], mine[MINE];
        for (int j = 0; j < 2; j++) theirs[j] = *(const Four*)(tile + 32 * j * apart + column);
        for (int i = 0; i < MINE; i++) mine[i] = *(const Four*)(own + i * apart + column);
        for (int i = 0; i < MINE; i++)
            for (int j = 0; j < 2; j++)
                for (int n = 0; n < 4; n++) sums[i][j] += mine[i].x[n] * theirs[j].x[n];
    }
}

// Added to `sums`: the rows of `tile`, each times its factor, for a warp's two rows of factors and a lane's columns.
__device__ __forceinline__ void added_up(
    const wide* factors, int apart, const wide* tile, int columns, wide (&sums)[MINE][WIDEST]
) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, below = pitch(columns);
    factors += warp * MINE * apart;
    tile += lane;
    for (int row = 0; row < TILE; row += 4) {
        Four share[MINE];
        for (int i = 0; i < MINE; i++) share[i] = *(const Four*)(factors + i * apart + row);
#pragma unroll
        for (int c = 0; c < WIDEST; c++) {
            if (32 * c >= columns) break;
            for (int n = 0; n < 4; n++) {
                wide x = tile[(row + n) * below + 32 * c];
                for (int i = 0; i < MINE; i++) sums[i][c] += share[i].x[n] * x;
            }
        }
    }
}

// A warp's two rows into a matrix, from row `first` on.
__device__ __forceinline__ void stored(
    T* place, long long step, int first, int count, int columns, wide scale, const wide (&sums)[MINE][WIDEST]
) {
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int i = 0; i < MINE; i++) {
        int row = first + warp * MINE + i;
#pragma unroll
        for (int c = 0; c < WIDEST; c++)
            if (row < count && lane + 32 * c < columns)
                narrowed(&place[row * step + lane + 32 * c], sums[i][c] * scale);
    }
}

// The lowest finite number: what a row's largest score is at least, so that a row of -inf becomes zeros, not nan.
__device__ __forceinline__ wide lowest() {
    return (wide)(sizeof(wide) == 8 ? -1.7976931348623157e308 : -3.4028234663852886e38);
}

// What is added to a score: -inf where a key is hidden.
__device__ __forceinline__ wide added(const bool* shown, const T* bias, long long at) {
    if (shown) return shown[at] ? (wide)0 : -(wide)INFINITE;
    return bias ? widened(bias[at]) : (wide)0;
}

// A warp turns a row of scores into their softmax and writes it down; what `keep` leaves out is 0 in the row alone.
__device__ __forceinline__ void softmax(wide* row, int count, const bool* keep, T* weights, int keys) {
    int lane = threadIdx.x % 32;
    wide peak = lowest(), total = 0;
#pragma unroll 2
    for (int key = lane; key < count; key += 32) peak = larger(peak, row[key]);
    peak = warp_joined<Largest>(peak);
#pragma unroll 2
    for (int key = lane; key < count; key += 32) total += row[key] = exp(row[key] - peak);
    total = warp_joined<Sum>(total);
    wide share = 1 / (total == 0 ? (wide)1 : total);
#pragma unroll 2
    for (int key = lane; key < max(count, keys); key += 32) {
        wide weight = key < count ? row[key] * share : (wide)0;
        if (key < keys) narrowed(&weights[key], weight);
        if (key < count) row[key] = keep && key < keys && !keep[key] ? weight * 0 : weight;
    }
}

// A block for 16 queries of one head. Scores of all keys lie in shared memory; keys that `causal` hides are not read.
extern "C" __global__ void __launch_bounds__(256, 3) attention(
    const T* q, long long q_outer, long long q_inner, long long q_row,
    const T* k, long long k_outer, long long k_inner, long long k_row,
    const T* v, long long v_outer, long long v_inner, long long v_row,
    const bool* shown, const T* bias,
    long long mask_outer, long long mask_inner, long long mask_row, long long mask_key,
    const bool* keep, T* result, long long result_outer, long long result_inner, long long result_row, T* weights,
    int inners, int queries, int keys, int d, int e, int causal, double scale
) {
    DYNAMIC_SHARED(wide, room);
    int tiles = (queries + ROWS - 1) / ROWS, batch = blockIdx.x / tiles;
    int first = (tiles - 1 - blockIdx.x % tiles) * ROWS;  // the last queries, which see most, begin
    int seen = causal ? min(keys, first + ROWS) : keys, apart = (keys + TILE - 1) / TILE * TILE + 4;
    int lane = threadIdx.x % 32, mine = threadIdx.x / 32 * MINE;
    Rows of_q = rows_of(q, q_outer, q_inner, q_row, batch, inners, queries, d);
    Rows of_k = rows_of(k, k_outer, k_inner, k_row, batch, inners, keys, d);
    Rows of_v = rows_of(v, v_outer, v_inner, v_row, batch, inners, keys, e);
    long long mask = batch / inners * mask_outer + batch % inners * mask_inner;
    long long before = (long long)batch * queries;
    wide *own = room, *tile = own + ROWS * pitch(d), *scores = tile + TILE * pitch(max(d, e));

    laid<ROWS>(own, of_q, first, (wide)scale);
    for (int start = 0; start < seen; start += TILE) {
        laid<TILE>(tile, of_k, start);
        __syncthreads();
        wide sums[MINE][2] = {};
        multiplied(own, tile, d, sums);
        for (int i = 0; i < MINE; i++)
            for (int j = 0; j < 2; j++) {
                int query = first + mine + i, key = start + lane + 32 * j;
                bool hidden = key >= keys || query >= queries || (causal && key > query);
                wide more = hidden ? -(wide)INFINITE : added(shown, bias, mask + query * mask_row + key * mask_key);
                scores[(mine + i) * apart + key] = hidden ? more : sums[i][j] + more;
            }
        __syncthreads();
    }
#pragma unroll 1
    for (int i = 0; i < MINE; i++) {
        long long row = before + first + mine + i;
        if (first + mine + i >= queries) break;
        int count = (seen + TILE - 1) / TILE * TILE;
        softmax(scores + (mine + i) * apart, count, keep ? keep + row * keys : keep, weights + row * keys, keys);
    }
    wide means[MINE][WIDEST] = {};
    for (int start = 0; start < seen; start += TILE) {
        laid<TILE>(tile, of_v, start);
        __syncthreads();
        added_up(scores + start, apart, tile, e, means);
        __syncthreads();
    }
    T* place = place_of(result, result_outer, result_inner, batch, inners);
    stored(place, result_row, first, queries, e, 1, means);
}

// Σ g · result along COUNT rows, eight lanes a row.
template <int COUNT>
__device__ __forceinline__ void row_sums(wide* sums, Rows g, Rows result, int first) {
    int part = threadIdx.x % 8;
    for (int i = threadIdx.x / 8; i < COUNT; i += WARPS * 4) {
        int row = first + i;
        wide sum = 0;
        if (row < g.count)
            for (int column = part; column < g.columns; column += 8)
                sum += widened(g.first[row * g.step + column]) * widened(result.first[row * result.step + column]);
        for (int step = 4; step > 0; step /= 2) sum += __shfl_xor_sync(EVERY_LANE, sum, step);
        if (part == 0) sums[i] = sum;
    }
}

// What a block of `attention_grad` adds up, with ds = softmax · (g vᵀ - Σ g result). By keys: 16 rows of softmaxᵀ g
// (`means`) and of dsᵀ q (`slopes`); `near` is v, `far` g, `wanted` q. By queries: 16 rows of ds k (`slopes`), and of
// `ds`, if it is given; `near` is g, `far` v, `wanted` k. They meet the rows of the last two from `begin` to `end`.
template <bool BY_KEYS>
__device__ __forceinline__ void differentiated(
    Rows g, Rows result, Rows near, Rows far, Rows wanted, const bool* keep, const T* weights, T* ds,
    int first, int begin, int end, wide* room, wide (&means)[MINE][WIDEST], wide (&slopes)[MINE][WIDEST]
) {
    int lane = threadIdx.x % 32, mine = threadIdx.x / 32 * MINE;
    int queries = BY_KEYS ? far.count : near.count, keys = BY_KEYS ? near.count : far.count;
    wide *own = room, *tile = own + ROWS * pitch(g.columns);
    wide *shares = tile + TILE * pitch(max(g.columns, wanted.columns)), *turned = shares + ROWS * SLOT;
    wide* sums_of_g = turned + ROWS * SLOT;

    laid<ROWS>(own, near, first);
    if (!BY_KEYS) row_sums<ROWS>(sums_of_g, g, result, first);
    for (int start = begin; start < end; start += TILE) {
        laid<TILE>(tile, far, start);
        if (BY_KEYS) row_sums<TILE>(sums_of_g, g, result, start);
        for (int i = threadIdx.x; i < ROWS * TILE; i += WARPS * 32) {  // the weights, read along their rows
            int row = BY_KEYS ? i % ROWS : i / TILE, column = BY_KEYS ? i / ROWS : i % TILE;
            int query = BY_KEYS ? start + column : first + row, key = BY_KEYS ? first + row : start + column;
            bool inside = query < queries && key < keys;
            long long at = (long long)query * keys + key;
            shares[row * SLOT + column] = inside ? widened(weights[at]) : (wide)0;
            turned[row * SLOT + column] = inside && keep && !keep[at] ? 0 : 1;
        }
        __syncthreads();
        wide sums[MINE][2] = {};
        multiplied(own, tile, g.columns, sums);
        for (int i = 0; i < MINE; i++)
            for (int j = 0; j < 2; j++) {
                int row = mine + i, column = lane + 32 * j, at = row * SLOT + column;
                wide weight = shares[at], kept = turned[at];
                wide slope = weight * (sums[i][j] * kept - sums_of_g[BY_KEYS ? column : row]);
                shares[at] = weight * kept;
                turned[at] = slope;
                if (!BY_KEYS && ds && first + row < queries && start + column < keys)
                    narrowed(&ds[(long long)(first + row) * keys + start + column], slope);
            }
        __syncwarp();
        if (BY_KEYS) added_up(shares, SLOT, tile, g.columns, means);
        __syncthreads();
        laid<TILE>(tile, wanted, start);
        __syncthreads();
        added_up(turned, SLOT, tile, wanted.columns, slopes);
        __syncthreads();
    }
    for (int i = 0; !BY_KEYS && ds && i < MINE && first + mine + i < queries; i++)  // keys later than all tiles
        for (int key = (end + TILE - 1) / TILE * TILE + lane; key < keys; key += 32)
            narrowed(&ds[(long long)(first + mine + i) * keys + key], (wide)0);
}

// A block for 16 keys of a head finds their rows of dk and dv, one for 16 queries theirs of dq and `ds`. Each
// computes the scores' gradients that it needs anew: no block waits for another, and every sum has one order.
extern "C" __global__ void __launch_bounds__(256, 3) attention_grad(
    const T* g, long long g_outer, long long g_inner, long long g_row,
    const T* result, long long result_outer, long long result_inner, long long result_row,
    const T* q, long long q_outer, long long q_inner, long long q_row,
    const T* k, long long k_outer, long long k_inner, long long k_row,
    const T* v, long long v_outer, long long v_inner, long long v_row,
    const bool* keep, const T* weights,
    T* dq, long long dq_outer, long long dq_inner, long long dq_row,
    T* dk, long long dk_outer, long long dk_inner, long long dk_row,
    T* dv, long long dv_outer, long long dv_inner, long long dv_row,
    T* ds, int inners, int queries, int keys, int d, int e, int causal, double scale
) {
    DYNAMIC_SHARED(wide, room);
    int of_keys = (keys + ROWS - 1) / ROWS, tiles = of_keys + (queries + ROWS - 1) / ROWS;
    int batch = blockIdx.x / tiles, which = blockIdx.x % tiles;
    Rows of_g = rows_of(g, g_outer, g_inner, g_row, batch, inners, queries, e);
    Rows of_result = rows_of(result, result_outer, result_inner, result_row, batch, inners, queries, e);
    Rows of_q = rows_of(q, q_outer, q_inner, q_row, batch, inners, queries, d);
    Rows of_k = rows_of(k, k_outer, k_inner, k_row, batch, inners, keys, d);
    Rows of_v = rows_of(v, v_outer, v_inner, v_row, batch, inners, keys, e);
    long long before = (long long)batch * queries * keys;
    keep = keep ? keep + before : keep;
    weights += before;
    wide means[MINE][WIDEST] = {}, slopes[MINE][WIDEST] = {};
    if (which < of_keys) {
        int first = which * ROWS, begin = causal ? first / TILE * TILE : 0;  // earlier queries do not see these keys
        differentiated<true>(
            of_g, of_result, of_v, of_g, of_q, keep, weights, (T*)0, first, begin, queries, room, means, slopes);
        stored(place_of(dv, dv_outer, dv_inner, batch, inners), dv_row, first, keys, e, 1, means);
        stored(place_of(dk, dk_outer, dk_inner, batch, inners), dk_row, first, keys, d, (wide)scale, slopes);
    } else {
        int first = (tiles - 1 - which) * ROWS, end = causal ? min(keys, first + ROWS) : keys;
        ds = ds ? ds + before : ds;
        differentiated<false>(
            of_g, of_result, of_g, of_v, of_k, keep, weights, ds, first, 0, end, room, means, slopes);
        stored(place_of(dq, dq_outer, dq_inner, batch, inners), dq_row, first, queries, d, (wide)scale, slopes);
    }
}

// A block turns a row of scores into softmax(scale · scores + mask). `scores`, numbers as wide as they are computed
// with, may be `weights` itself. `kept`, if given, gets the weights without those that `keep` leaves out.
extern "C" __global__ void attention_softmax(
    const void* scores, const bool* shown, const T* bias,
    long long mask_outer, long long mask_inner, long long mask_row, long long mask_key,
    const bool* keep, T* weights, T* kept, int inners, int queries, int keys, int causal, double scale
) {
    __shared__ wide room[32];
    int query = blockIdx.x % queries, batch = blockIdx.x / queries, seen = causal ? min(keys, query + 1) : keys;
    long long first = (long long)blockIdx.x * keys;
    long long mask = batch / inners * mask_outer + batch % inners * mask_inner + query * mask_row;
    const wide* row = (const wide*)scores + first;
    wide peak = lowest(), total = 0;
    for (int key = threadIdx.x; key < seen; key += blockDim.x)
        peak = larger(peak, row[key] * (wide)scale + added(shown, bias, mask + key * mask_key));
    peak = block_joined<Largest>(peak, lowest(), room);
    for (int key = threadIdx.x; key < seen; key += blockDim.x)
        total += exp(row[key] * (wide)scale + added(shown, bias, mask + key * mask_key) - peak);
    total = block_joined<Sum>(total, (wide)0, room);
    wide share = 1 / (total == 0 ? (wide)1 : total);
    for (int key = threadIdx.x; key < keys; key += blockDim.x) {
        wide weight = 0;
        if (key < seen) weight = exp(row[key] * (wide)scale + added(shown, bias, mask + key * mask_key) - peak) * share;
        narrowed(&weights[first + key], weight);
        if (kept) narrowed(&kept[first + key], keep[first + key] ? weight : weight * 0);
    }
}

// A block turns a row of g vᵀ (`towards`, wide, which may be `ds` itself) into the scores' gradient, times `scale`.
// `kept`, if given, gets the weights without those that `keep` leaves out.
extern "C" __global__ void attention_softmax_grad(
    const T* g, long long g_outer, long long g_inner, long long g_row,
    const T* result, long long result_outer, long long result_inner, long long result_row,
    const bool* keep, const T* weights, const void* towards, T* ds, T* kept,
    int inners, int queries, int keys, int e, double scale
) {
    __shared__ wide room[32];
    int query = blockIdx.x % queries, batch = blockIdx.x / queries;
    long long first = (long long)blockIdx.x * keys;
    const T* g_here = rows_of(g, g_outer, g_inner, g_row, batch, inners, queries, e).first + query * g_row;
    const T* result_here =
        rows_of(result, result_outer, result_inner, result_row, batch, inners, queries, e).first + query * result_row;
    wide sum = 0;
    for (int column = threadIdx.x; column < e; column += blockDim.x)
        sum += widened(g_here[column]) * widened(result_here[column]);
    sum = block_joined<Sum>(sum, (wide)0, room);
    for (int key = threadIdx.x; key < keys; key += blockDim.x) {
        wide weight = widened(weights[first + key]), stays = keep && !keep[first + key] ? 0 : 1;
        wide slope = weight * (((const wide*)towards)[first + key] * stays - sum) * (wide)scale;
        narrowed(&ds[first + key], slope);
        if (kept) narrowed(&kept[first + key], weight * stays);
    }
}
