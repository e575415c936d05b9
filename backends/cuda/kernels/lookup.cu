// Rows of a table that numbers name: looked up, and added up in their places.
//
// `I` is the type of the numbers. One below 0 counts from the end where `least` is below 0. What names no row is
// counted in `strays` and taken modulo.

#define MOST 512  // threads of a block of add_rows

// The row that a number names.
__device__ __forceinline__ long long named(long long number, long long rows) {
    return number >= 0 && number < rows ? number : (number % rows + rows) % rows;
}

// out[i] = table[index[i]]; rows are `words` of the type T long, whatever they mean. A team of threads, 1 to a whole
// block, copies a row.
extern "C" __global__ void take_rows(
    const void* table, const I* index, void* out, unsigned long long* strays, long long count, long long rows,
    long long words, long long least, int team
) {
    int teams = blockDim.x / team, lane = threadIdx.x % team;
    long long i = (long long)blockIdx.x * teams + threadIdx.x / team;
    for (; i < count; i += (long long)gridDim.x * teams) {
        long long number = index[i];
        if (lane == 0 && (number < least || number >= rows)) atomicAdd(strays, 1ull);
        const T* from = (const T*)table + named(number, rows) * words;
        T* to = (T*)out + i * words;
        for (long long word = lane; word < words; word += team) to[word] = from[word];
    }
}

// out[r] = the sum of the rows g[i] with index[i] = r, added up in an order that nothing but the sizes decides.
//
// A block is there for one row of the table, blockIdx.x itself, and for `lanes` columns; it reads the whole index and
// lists the places where its row is named. The threads of a column take the places in turn and join what they have at
// the end. Where the table has far more rows than the index numbers, `by_place` is set: out holds zeros already, and a
// block is there for the row that its place in the index names, unless an earlier place does.
extern "C" __global__ void add_rows(
    const T* g, const I* index, T* out, long long count, long long rows, long long columns, int lanes, int by_place
) {
    __shared__ int listed[MOST], votes[MOST / 32];
    __shared__ wide room[MOST];
    int lane = threadIdx.x % lanes, part = threadIdx.x / lanes, parts = blockDim.x / lanes;
    int warp = threadIdx.x / 32;
    long long row = by_place ? named(index[blockIdx.x], rows) : blockIdx.x;
    long long column = (long long)blockIdx.y * lanes + lane;
    wide sum = 0;
    for (long long first = 0; first < count; first += blockDim.x) {
        long long mine = first + threadIdx.x;
        bool here = mine < count && named(index[mine], rows) == row;
        unsigned vote = __ballot_sync(EVERY_LANE, here);
        if (threadIdx.x % 32 == 0) votes[warp] = __popc(vote);
        __syncthreads();
        int found = 0, ahead = __popc(vote & ((1u << threadIdx.x % 32) - 1));
        for (int other = 0; other < blockDim.x / 32; other++) {
            if (other == warp) ahead += found;
            found += votes[other];
        }
        if (here) listed[ahead] = threadIdx.x;
        __syncthreads();
        if (by_place && found && first + listed[0] < blockIdx.x) return;  // the whole block
        for (int i = part; i < found && column < columns; i += parts) {
            sum += widened(g[(first + listed[i]) * columns + column]);
        }
    }
    room[threadIdx.x] = sum;
    __syncthreads();
    if (part > 0 || column >= columns) return;
    for (int other = 1; other < parts; other++) sum += room[other * lanes + lane];
    narrowed(&out[row * columns + column], sum);
}
