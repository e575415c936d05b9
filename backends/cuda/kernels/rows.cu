// Rows of numbers: softmax, its logarithm, and cross-entropy with its slope.
//
// A team works at a row: 1 to 32 lanes of a warp that lie side by side, or the whole block where `team` is larger. Each
// thread takes every team-th number. The row is read three times, for its largest number, for its sum, and for the
// result; after the first time it lies in the cache.

// The row that a team works at, and whether there is one: a team without works at the first team's row, since the
// lanes of a warp join what they have all together, and keeps the result to itself.
struct Turn {
    long long row;
    int lane;
    bool there;
    __device__ Turn(long long first, long long rows, int team) {
        row = first + threadIdx.x / team;
        lane = threadIdx.x % team;
        there = row < rows;
        if (!there) row = first;
    }
};

// The largest number of a row, and the sum of e^(x - largest).
__device__ __forceinline__ void weighed(
    const T* x, long long step, int length, int lane, int team, wide* room, wide* peak, wide* sum
) {
    wide largest = -INFINITE, total = 0;
    for (int i = lane; i < length; i += team) largest = larger(largest, widened(x[i * step]));
    largest = team_joined<Largest>(largest, (wide)-INFINITE, room, team);
    for (int i = lane; i < length; i += team) total += exp(widened(x[i * step]) - largest);
    *peak = largest;
    *sum = team_joined<Sum>(total, (wide)0, room, team);
}

// e^x / Σ e^x, or its logarithm, of every row. Row r of groups of `inner` rows begins at r / inner outer steps and
// r % inner inner steps; its numbers lie a step apart.
extern "C" __global__ void softmax(
    const T* x, T* out, long long rows, int length, long long inner, long long x_outer, long long x_inner,
    long long x_step, long long out_outer, long long out_inner, long long out_step, int team, int logarithm
) {
    __shared__ wide room[32];
    int teams = blockDim.x / team;
    for (long long first = (long long)blockIdx.x * teams; first < rows; first += (long long)gridDim.x * teams) {
        Turn turn(first, rows, team);
        const T* from = x + turn.row / inner * x_outer + turn.row % inner * x_inner;
        T* to = out + turn.row / inner * out_outer + turn.row % inner * out_inner;
        wide peak, sum;
        weighed(from, x_step, length, turn.lane, team, room, &peak, &sum);
        wide log_sum = log(sum);
        for (int i = turn.lane; turn.there && i < length; i += team) {
            wide above = widened(from[i * x_step]) - peak;
            narrowed(&to[i * out_step], logarithm ? above - log_sum : exp(above) / sum);
        }
    }
}

// -log softmax(x)[target] of every row, into `losses`, or the mean of these, into `mean`; and softmax(x) - one-hot,
// into `slope`, times the number in `scale`, if any. Classes that do not exist are counted in `strays` and taken modulo.
// For the mean every block adds up its own rows, and the last to finish the sums of the blocks, always in the same order;
// `sums` has room for one of each.
extern "C" __global__ void softmax_cross_entropy(
    const T* x, const I* target, const T* scale, T* losses, T* mean, T* slope, void* sums, unsigned* finished,
    unsigned long long* strays, long long rows, int classes, long long x_row, long long x_step, long long slope_row,
    long long slope_step, int team
) {
    __shared__ wide room[32];
    int teams = blockDim.x / team;
    wide mine = 0, factor = scale ? widened(*scale) : (wide)1;
    for (long long first = (long long)blockIdx.x * teams; first < rows; first += (long long)gridDim.x * teams) {
        Turn turn(first, rows, team);
        const T* from = x + turn.row * x_row;
        long long given = target[turn.row], chosen = given;
        if (given < 0 || given >= classes) chosen = (given % classes + classes) % classes;
        wide peak, sum;
        weighed(from, x_step, classes, turn.lane, team, room, &peak, &sum);
        wide loss = log(sum) - (widened(from[chosen * x_step]) - peak);
        for (int i = turn.lane; turn.there && i < classes; i += team) {
            wide share = i == chosen ? expm1(-loss) : exp(widened(from[i * x_step]) - peak) / sum;
            narrowed(&slope[turn.row * slope_row + i * slope_step], share * factor);
        }
        if (turn.there && turn.lane == 0) {
            if (chosen != given) atomicAdd(strays, 1ull);
            if (losses) narrowed(&losses[turn.row], loss);
            mine += loss;
        }
    }
    if (!mean) return;
    mine = block_joined<Sum>(mine, (wide)0, room);
    if (threadIdx.x == 0) ((volatile wide*)sums)[blockIdx.x] = mine;
    if (!last_to_come(finished)) return;
    wide total = 0;
    for (int i = threadIdx.x; i < gridDim.x; i += blockDim.x) total += ((volatile wide*)sums)[i];
    total = block_joined<Sum>(total, (wide)0, room);
    if (threadIdx.x == 0) narrowed(mean, total / rows);
}
