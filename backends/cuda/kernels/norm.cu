// Normalisation: zero mean and unit variance of every group of numbers, and its gradients.
//
// x lies as (outer, groups, inner), a group being all numbers with one middle index: rows, (1, rows, width), or the
// channels of images, (batch, channels, pixels). A team of threads works at a group (lanes of a warp, or a whole block
// where `team` is larger), each thread at every team-th of its numbers. w and b have a number for each group, for each
// place inside one, or one for all: their strides along groups and along `inner` say which. `inner` comes packed,
// as Divisor takes it.

// The group that a team works at, or the first team's where there are no more (see rows.cu), and where its numbers are.
struct Group {
    long long number, groups;
    Divisor inner;
    int lane, size;
    bool there;
    __device__ Group(long long first, long long groups, int outer, unsigned long long inner_packed, int team)
        : groups(groups), inner(inner_packed), size(outer * (int)inner.d) {
        number = first + threadIdx.x / team;
        lane = threadIdx.x % team;
        there = number < groups;
        if (!there) number = first;
    }
    __device__ long long place(int i) const {
        int line = inner.over(i);
        return (line * groups + number) * inner.d + (i - line * (int)inner.d);
    }
};

extern "C" __global__ void normalise(
    const T* x, const T* w, const T* b, T* out, T* mean, T* variance, long long groups, int outer,
    unsigned long long inner, int w_group, int w_inner, int b_group, int b_inner, double eps, int team
) {
    __shared__ wide room[32];
    int teams = blockDim.x / team;
    for (long long first = (long long)blockIdx.x * teams; first < groups; first += (long long)gridDim.x * teams) {
        Group group(first, groups, outer, inner, team);
        wide sum = 0, squares = 0;
        for (int i = group.lane; i < group.size; i += team) sum += widened(x[group.place(i)]);
        wide middle = team_joined<Sum>(sum, (wide)0, room, team) / group.size;
        for (int i = group.lane; i < group.size; i += team) {
            wide apart = widened(x[group.place(i)]) - middle;
            squares += apart * apart;
        }
        wide spread = team_joined<Sum>(squares, (wide)0, room, team) / group.size;
        wide scale = (wide)1 / sqrt(spread + (wide)eps);
        for (int i = group.lane; group.there && i < group.size; i += team) {
            long long place = group.place(i);
            wide made = (widened(x[place]) - middle) * scale;
            if (w) made *= widened(w[group.number * w_group + i * w_inner]);
            if (b) made += widened(b[group.number * b_group + i * b_inner]);
            narrowed(&out[place], made);
        }
        if (group.there && group.lane == 0) {
            narrowed(&mean[group.number], middle);
            narrowed(&variance[group.number], spread);
        }
    }
}

// The gradient of x, and of w: where w has a number for each group, that is one of the sums that x needs anyway. Where
// it has one for each place, every team adds up the shares of its groups in shared memory, `teams` rows of `inner`
// numbers, and every block writes its sum to a row of `parts`, which `rows_added` adds up.
extern "C" __global__ void normalise_grad(
    const T* g, const T* x, const T* w, const T* mean, const T* variance, T* towards_x, T* towards_w, void* parts,
    long long groups, int outer, unsigned long long inner, int w_group, int w_inner, double eps, int team
) {
    DYNAMIC_SHARED(wide, shares);
    __shared__ wide room[32];
    int teams = blockDim.x / team;
    int places = (int)(unsigned)inner;
    wide* mine = shares + threadIdx.x / team * places;  // a thread keeps to its own places in there
    for (int i = threadIdx.x % team; parts && i < places; i += team) mine[i] = 0;
    for (long long first = (long long)blockIdx.x * teams; first < groups; first += (long long)gridDim.x * teams) {
        Group group(first, groups, outer, inner, team);
        wide middle = widened(mean[group.number]);
        wide scale = (wide)1 / sqrt(widened(variance[group.number]) + (wide)eps);
        wide sum = 0, product = 0;
        for (int i = group.lane; i < group.size; i += team) {
            long long place = group.place(i);
            wide arrives = widened(g[place]), share = arrives * (widened(x[place]) - middle) * scale;
            if (parts && group.there) mine[i] += share;
            wide weight = w && w_inner ? widened(w[i]) : (wide)1;
            sum += arrives * weight;
            product += share * weight;
        }
        sum = team_joined<Sum>(sum, (wide)0, room, team);
        product = team_joined<Sum>(product, (wide)0, room, team);
        wide average = sum / group.size, slope = product / group.size;
        wide factor = w && !w_inner ? widened(w[group.number * w_group]) * scale : scale;
        for (int i = group.lane; group.there && i < group.size; i += team) {
            long long place = group.place(i);
            wide weight = w && w_inner ? widened(w[i]) : (wide)1;
            wide normal = (widened(x[place]) - middle) * scale;
            narrowed(&towards_x[place], (widened(g[place]) * weight - average - normal * slope) * factor);
        }
        if (towards_w && group.there && group.lane == 0) narrowed(&towards_w[group.number], product);
    }
    if (!parts) return;
    __syncthreads();
    for (int i = threadIdx.x; i < places; i += blockDim.x) {
        wide total = 0;
        for (int t = 0; t < teams; t++) total += shares[t * places + i];
        ((wide*)parts)[(long long)blockIdx.x * places + i] = total;
    }
}

// The sum of rows. A block takes 32 columns, each of its warps every so many rows; one warp adds up what they have.
extern "C" __global__ void rows_added(const void* parts, T* out, int rows, int columns) {
    __shared__ wide room[32][33];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32, column = blockIdx.x * 32 + lane;
    wide sum = 0;
    for (int row = warp; row < rows && column < columns; row += warps) {
        sum += ((const wide*)parts)[(long long)row * columns + column];
    }
    room[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || column >= columns) return;
    for (int other = 1; other < warps; other++) sum += room[other][lane];
    narrowed(&out[column], sum);
}
