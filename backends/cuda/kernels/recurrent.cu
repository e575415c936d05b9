// Recurrences. `forward` and `backward` go along all steps in one launch; `forward_step` and `backward_step` take one
// step, around a product that comes from elsewhere. kernels/recurrent.py says what the arrays are, recurrent_plan.py
// what is chosen when.
//
// No sequence knows of another, so a block takes ROWS of them through all steps, and no block waits for another. A step
// multiplies these few rows by all of w_hh, G H² numbers; what that costs is to bring them to the multipliers. So each
// thread reads its share once and keeps it, KEPT fours in registers and the others in shared memory. An LSTM of 128
// units has 256 KB of weights. The L2 of an H100 gives a multiprocessor 64 bytes a cycle: 4,096 cycles a step to read
// them anew. Kept, 176 KB in registers cost nothing, and 80 KB in shared memory, at 128 bytes a cycle, 640 cycles, in
// which the 512 of multiplying for a row pass as well.
//
// A unit has LANES neighbouring lanes of a warp. Forwards each of them takes every LANES-th four of the state for all
// gates of the unit; backwards two units share their lanes, and each lane takes a part of the sums for both. Shuffles
// add up what they have, so that lane g holds gate g, whose curve or slope it works out. What other units need goes
// through shared memory, in two places in turn, which leaves one barrier a step.

#ifndef KIND
#define KIND 2  // 0 tanh, 1 relu, 2 LSTM, 3 GRU
#endif
#ifndef WIDTH
#define WIDTH 32  // units that there is room for: `hidden` of them, or a few more
#define LANES 4
#define ROWS 1
#define KEPT 22
#endif
#define THREADS ((WIDTH * LANES + 31) / 32 * 32)

struct alignas(4 * sizeof(wide)) Four { wide at[4]; };

// --- cells -----------------------------------------------------------------------------------------------------------
//
// A unit has GATES sums over the state and as many over the input, SAVED numbers for the way back, and STATES parts of
// the state. `forward` gets this lane's two sums and moves h and c on; it returns what the lane saves, and what it
// writes to `other`. `backward` gets what was saved and what arrives; it returns dL/d(the lane's sum), and sets `past`,
// what a step leaves to the one before beside the product. ROLES lanes have something to do; APART: see `backward`.

struct Stored { wide saved, other; };

template <class Any> struct Met { wide saved[Any::SAVED], arriving[Any::STATES], previous; bool padded; };

// What a lane of the same unit has.
__device__ __forceinline__ wide of_lane(wide x, int lane) { return __shfl_sync(EVERY_LANE, x, lane, LANES); }

template <bool RELU> struct Plain {
    static const int GATES = 1, SAVED = 1, STATES = 1, ROLES = 1, APART = 0;

    static __device__ __forceinline__ Stored forward(wide product, wide fed, int, bool padded, wide& h, wide&) {
        wide sum = product + fed, slope;
        if (!padded) h = RELU ? larger(sum, (wide)0) : tanh(sum);
        slope = RELU ? (h > 0 ? (wide)1 : h) : 1 - h * h;
        return {padded ? 0 * slope : slope, h};
    }
    static __device__ __forceinline__ T* other(int, T* states, T*, int, int) { return states; }
    static __device__ __forceinline__ wide backward(const Met<Plain>& met, int, wide& h, wide&, wide& past) {
        h += met.arriving[0];
        past = met.padded ? h : 0;
        return h * met.saved[0];
    }
};

struct Lstm {  // the gates i, f, g, o
    static const int GATES = 4, SAVED = 6, STATES = 2, ROLES = 4, APART = 0;

    static __device__ __forceinline__ Stored forward(wide product, wide fed, int gate, bool padded, wide& h, wide& c) {
        wide scale = gate == 2 ? (wide)1 : (wide)0.5;  // σ(x) = ½ tanh(½ x) + ½: one curve for all lanes
        wide own = scale * tanh(scale * (product + fed)) + (1 - scale);
        wide added = of_lane(own, 0) * of_lane(own, 2);
        wide next = of_lane(own, 1) * c + added, bent = tanh(next), out = of_lane(own, 3) * bent;
        wide before = c;
        if (!padded) h = out, c = next;
        return {own, gate == 0 ? before : gate == 1 ? bent : gate == 2 ? h : c};
    }
    static __device__ __forceinline__ T* other(int gate, T* states, T* saved, int size, int part) {
        return gate < 2 ? saved + (4 + gate) * size : states + (gate - 2) * part;
    }
    static __device__ __forceinline__ wide backward(const Met<Lstm>& met, int gate, wide& h, wide& c, wide& past) {
        wide i = met.saved[0], f = met.saved[1], g = met.saved[2], o = met.saved[3], before = met.saved[4];
        wide bent = met.saved[5], kept = met.padded ? 0 : 1;
        h += met.arriving[0];
        c += met.arriving[1] + h * (o - o * bent * bent) * kept;
        wide own = gate == 0 ? i : gate == 1 ? f : o, slope = gate == 2 ? 1 - g * g : own - own * own;
        wide rate = (gate == 0 ? g : gate == 1 ? before : gate == 2 ? i : bent) * slope * kept;
        wide d = (gate == 3 ? h : c) * rate;
        past = met.padded ? h : 0;
        c *= met.padded ? (wide)1 : f;
        return d;
    }
};

struct Gru {  // the gates r, z; q, the candidate's sum over the state; n, the candidate. Lane 2 has q and n's input
    static const int GATES = 3, SAVED = 4, STATES = 1, ROLES = 4, APART = 1;

    static __device__ __forceinline__ Stored forward(wide product, wide fed, int gate, bool padded, wide& h, wide&) {
        wide own = gate < 2 ? (wide)0.5 * tanh((wide)0.5 * (product + fed)) + (wide)0.5 : product;
        wide r = of_lane(own, 0), z = of_lane(own, 1), q = of_lane(own, 2);
        wide n = tanh(of_lane(fed, 2) + r * q);
        if (!padded) h = n + z * (h - n);
        return {gate == 3 ? n : own, h};
    }
    static __device__ __forceinline__ T* other(int gate, T* states, T*, int, int) { return gate ? 0 : states; }
    static __device__ __forceinline__ wide backward(const Met<Gru>& met, int gate, wide& h, wide&, wide& past) {
        wide r = met.saved[0], z = met.saved[1], q = met.saved[2], n = met.saved[3], kept = met.padded ? 0 : 1;
        h += met.arriving[0];
        wide by_n = (1 - n * n) * (1 - z) * kept, by_q = by_n * r;
        wide by_r = by_q * (1 - r) * q, by_z = (met.previous - n) * z * (1 - z) * kept;
        past = h * (met.padded ? (wide)1 : z);
        return h * (gate == 0 ? by_r : gate == 1 ? by_z : gate == 2 ? by_q : by_n);
    }
};

#if KIND < 2
typedef Plain<KIND == 1> Cell;
#elif KIND == 2
typedef Lstm Cell;
#else
typedef Gru Cell;
#endif

// What the way back needs of a place, which is one of `size` in each part of each step.
__device__ __forceinline__ Met<Cell> met_at(
    const T* saved, const T* g, int g_part, const T* previous, int place, int size, bool padded
) {
    Met<Cell> met;
    #pragma unroll
    for (int i = 0; i < Cell::SAVED; i++) met.saved[i] = widened(saved[i * size + place]);
    #pragma unroll
    for (int i = 0; i < Cell::STATES; i++) met.arriving[i] = widened(g[i * g_part]);
    met.previous = widened(previous[place]);
    met.padded = padded;
    return met;
}

// Write what a lane has on the way back to its place in a line of the sums over the input, and over the state.
template <class X> __device__ __forceinline__ void put(
    wide d, int gate, int line, int unit, int hidden, X* d_input, X* d_state
) {
    const int first = line * Cell::GATES, column = !Cell::APART || gate < 2 ? gate : gate == 3 ? 2 : -1;
    if (column >= 0) narrowed(&d_input[(first + column) * hidden + unit], d);
    if (Cell::APART && gate < Cell::GATES) narrowed(&d_state[(first + gate) * hidden + unit], d);
}

// --- products with weights that stay ---------------------------------------------------------------------------------

// A thread's part of OUTPUTS sums over a vector of LENGTH numbers: every SLICES-th four of them.
template <int OUTPUTS, int SLICES, int LENGTH> struct Product {
    static const int CHUNKS = (LENGTH + 4 * SLICES - 1) / (4 * SLICES), ITEMS = CHUNKS * OUTPUTS;
    static const int FOURS = CHUNKS * SLICES;  // of a vector, zeros at its end
    static const int HELD = KEPT < ITEMS ? KEPT : ITEMS;
    Four held[HELD > 0 ? HELD : 1];
    Four* others;

    // Read `weight(output, place in the vector)`, once.
    template <class Weight> __device__ __forceinline__ void load(Four* room, int slice, Weight weight) {
        others = room + threadIdx.x;
        #pragma unroll
        for (int item = 0; item < ITEMS; item++) {
            Four four;
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                four.at[i] = weight(item % OUTPUTS, (item / OUTPUTS * SLICES + slice) * 4 + i);
            }
            if (item < HELD) held[item < HELD ? item : 0] = four;
            else others[(item - HELD) * THREADS] = four;
        }
    }
    __device__ __forceinline__ void add(const Four* vectors, int slice, wide (&sums)[ROWS][OUTPUTS]) const {
        #pragma unroll
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            Four x[ROWS];
            #pragma unroll
            for (int row = 0; row < ROWS; row++) x[row] = vectors[row * FOURS + chunk * SLICES + slice];
            #pragma unroll
            for (int output = 0; output < OUTPUTS; output++) {
                const int item = chunk * OUTPUTS + output;
                Four w = item < HELD ? held[item < HELD ? item : 0] : others[(item - HELD) * THREADS];
                #pragma unroll
                for (int row = 0; row < ROWS; row++) {
                    #pragma unroll
                    for (int i = 0; i < 4; i++) sums[row][output] += w.at[i] * x[row].at[i];
                }
            }
        }
    }
};

// The whole sums of a unit's gates, from its lanes' parts of them: that of gate g for lane g of every four.
template <int GATES> __device__ __forceinline__ wide by_lane(const wide (&sums)[GATES], int lane) {
    wide own = sums[0];
    if constexpr (GATES > 1) {
        wide fourth = GATES == 4 ? sums[GATES - 1] : 0;
        bool late = lane & 2, odd = lane & 1;
        wide even_one = (late ? sums[2] : sums[0]) + __shfl_xor_sync(EVERY_LANE, late ? sums[0] : sums[2], 2);
        wide odd_one = (late ? fourth : sums[1]) + __shfl_xor_sync(EVERY_LANE, late ? sums[1] : fourth, 2);
        own = (odd ? odd_one : even_one) + __shfl_xor_sync(EVERY_LANE, odd ? even_one : odd_one, 1);
    }
    #pragma unroll
    for (int step = LANES / 2; step >= (GATES > 1 ? 4 : 1); step /= 2) own += __shfl_xor_sync(EVERY_LANE, own, step);
    return own;
}

// The whole sum of this unit, where its lanes and its neighbour's have parts of the sums of both.
__device__ __forceinline__ wide by_unit(const wide (&sums)[2], bool second) {
    wide own = (second ? sums[1] : sums[0]) + __shfl_xor_sync(EVERY_LANE, second ? sums[0] : sums[1], LANES);
    #pragma unroll
    for (int step = LANES / 2; step >= 1; step /= 2) own += __shfl_xor_sync(EVERY_LANE, own, step);
    return own;
}

// --- all steps -------------------------------------------------------------------------------------------------------

// Which unit and lane a thread is, and which rows its block has. Threads without a unit and rows beyond the batch
// follow the last of them, since barriers and shuffles take everyone, and write nothing. 32 bits count every place.
struct Seat {
    int batch, hidden, unit = threadIdx.x / LANES, lane = threadIdx.x % LANES;
    int gate = lane % Cell::ROLES, first = blockIdx.x * ROWS;
    bool writes = unit < hidden && lane < Cell::ROLES;
    __device__ __forceinline__ Seat(int batch, int hidden) : batch(batch), hidden(hidden) {
        if (unit >= hidden) unit = hidden - 1;
    }
    __device__ __forceinline__ bool there(int i) const { return first + i < batch; }
    __device__ __forceinline__ int row(int i) const { return there(i) ? first + i : batch - 1; }
    __device__ __forceinline__ int place(int i, int columns, int column) const {
        return (row(i) * columns + column) * hidden + unit;
    }
};

__device__ __forceinline__ wide or_zero(const T* x, int i) { return x ? widened(x[i]) : (wide)0; }

extern "C" __global__ void __launch_bounds__(THREADS, 1) forward(
    const wide* input, const T* w, const T* b_ih, const T* b_hh, const T* h_0, const T* c_0, const bool* mask,
    int mask_step, int mask_row, T* states, T* saved, int steps, int batch, int hidden
) {
    typedef Product<Cell::GATES, LANES, WIDTH> Weights;
    const int VECTOR = Weights::FOURS * 4;
    DYNAMIC_SHARED(Four, room);
    Seat seat(batch, hidden);
    Weights weights;
    weights.load(room + 2 * ROWS * Weights::FOURS, seat.lane, [&](int gate, int k) {
        bool real = threadIdx.x / LANES < hidden && k < hidden;
        return real ? widened(w[(gate * hidden + seat.unit) * hidden + k]) : (wide)0;
    });
    for (int i = threadIdx.x; i < 2 * ROWS * VECTOR; i += THREADS) {
        int row = i / VECTOR, unit = i % VECTOR;
        bool given = row < ROWS && seat.there(row) && unit < hidden;
        ((wide*)room)[i] = given ? widened(h_0[(seat.first + row) * hidden + unit]) : (wide)0;
    }
    const int size = batch * hidden, from = seat.gate < Cell::GATES ? seat.gate : 0;
    const wide b_input = or_zero(b_ih, from * hidden + seat.unit), b_state = or_zero(b_hh, from * hidden + seat.unit);
    wide h[ROWS], c[ROWS], ahead[ROWS];
    #pragma unroll
    for (int i = 0; i < ROWS; i++) {
        h[i] = widened(h_0[seat.place(i, 1, 0)]);
        c[i] = or_zero(c_0, seat.place(i, 1, 0));
        ahead[i] = input[seat.place(i, Cell::GATES, from)];
    }
    T* other = Cell::other(seat.gate, states, saved, size, steps * size);
    const int other_step = Cell::STATES == 2 && seat.gate < 2 ? Cell::SAVED * size : size;
    saved += seat.gate * size;
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        wide given[ROWS], sums[ROWS][Cell::GATES] = {};
        bool padded[ROWS];
        #pragma unroll
        for (int i = 0; i < ROWS; i++) {
            given[i] = ahead[i] + b_input;
            padded[i] = mask && !mask[step * mask_step + seat.row(i) * mask_row];
            int later = step + 1 < steps ? step + 1 : step;  // on its way meanwhile
            ahead[i] = input[later * Cell::GATES * size + seat.place(i, Cell::GATES, from)];
        }
        weights.add(room + (step & 1) * ROWS * Weights::FOURS, seat.lane, sums);
        wide* next = (wide*)room + (~step & 1) * ROWS * VECTOR;
        #pragma unroll
        for (int i = 0; i < ROWS; i++) {
            wide product = by_lane(sums[i], seat.lane) + b_state;
            Stored stored = Cell::forward(product, given[i], seat.gate, padded[i], h[i], c[i]);
            if (seat.writes && seat.lane == 0) next[i * VECTOR + seat.unit] = h[i];
            if (seat.writes && seat.there(i)) {
                narrowed(&saved[step * Cell::SAVED * size + seat.place(i, 1, 0)], stored.saved);
                if (other) narrowed(&other[step * other_step + seat.place(i, 1, 0)], stored.other);
            }
        }
        __syncthreads();
    }
}

// `d_input` (T, B, GATES H) is dL/d(sums over the input), `d_state` (T, B, GATES H) over the state where these are
// others; `before` (T, B, H) the states that steps start from. `totals` is, for each block, what its rows and steps of
// d_input add up to, GATES H numbers, and after all of these the same of d_state.
extern "C" __global__ void __launch_bounds__(THREADS, 1) backward(
    const T* g, int g_part, int g_step, int g_row, int g_unit, const T* states, const T* saved, const T* w,
    const T* h_0, const bool* mask, int mask_step, int mask_row, T* d_input, T* d_state, T* before, T* d_h, T* d_c,
    wide* totals, int steps, int batch, int hidden
) {
    typedef Product<2, 2 * LANES, Cell::GATES * WIDTH> Weights;
    const int VECTOR = Weights::FOURS * 4;
    DYNAMIC_SHARED(Four, room);
    Seat seat(batch, hidden);
    const int slice = threadIdx.x % (2 * LANES), pair = threadIdx.x / (2 * LANES);
    Weights weights;
    weights.load(room + 2 * ROWS * Weights::FOURS, slice, [&](int second, int sum) {
        int unit = 2 * pair + second;
        return unit < hidden && sum < Cell::GATES * hidden ? widened(w[sum * hidden + unit]) : (wide)0;
    });
    for (int i = threadIdx.x; i < 2 * ROWS * VECTOR; i += THREADS) ((wide*)room)[i] = 0;
    const int size = batch * hidden;
    wide h[ROWS] = {}, c[ROWS] = {}, past[ROWS], total = 0;
    Met<Cell> ahead[ROWS];
    auto meet = [&](int step, int i) {
        return met_at(
            saved + step * Cell::SAVED * size, g + step * g_step + seat.row(i) * g_row + seat.unit * g_unit, g_part,
            step ? states + (step - 1) * size : h_0, seat.place(i, 1, 0), size,
            mask && !mask[step * mask_step + seat.row(i) * mask_row]);
    };
    #pragma unroll
    for (int i = 0; i < ROWS; i++) ahead[i] = meet(steps - 1, i);
    __syncthreads();
    for (int step = steps - 1; step >= 0; step--) {
        Four* now = room + (step & 1) * ROWS * Weights::FOURS;
        #pragma unroll
        for (int i = 0; i < ROWS; i++) {
            wide d = Cell::backward(ahead[i], seat.gate, h[i], c[i], past[i]);
            if (!seat.writes) continue;
            if (seat.gate < Cell::GATES) ((wide*)now)[i * VECTOR + seat.gate * hidden + seat.unit] = d;
            if (!seat.there(i)) continue;
            if (seat.lane == 0) narrowed(&before[step * size + seat.place(i, 1, 0)], ahead[i].previous);
            put(d, seat.gate, step * batch + seat.row(i), seat.unit, hidden, d_input, d_state);
            total += d;
        }
        __syncthreads();
        wide sums[ROWS][2] = {};
        #pragma unroll
        for (int i = 0; i < ROWS; i++) ahead[i] = meet(step ? step - 1 : 0, i);  // on its way meanwhile
        weights.add(now, slice, sums);
        #pragma unroll
        for (int i = 0; i < ROWS; i++) h[i] = by_unit(sums[i], threadIdx.x / LANES & 1) + past[i];
    }
    if (!seat.writes) return;
    put(total, seat.gate, blockIdx.x, seat.unit, hidden, totals, totals + gridDim.x * Cell::GATES * hidden);
    #pragma unroll
    for (int i = 0; i < ROWS; i++) if (seat.lane == 0 && seat.there(i)) {
        narrowed(&d_h[seat.place(i, 1, 0)], h[i]);
        if (Cell::STATES == 2) narrowed(&d_c[seat.place(i, 1, 0)], c[i]);
    }
}

// --- one step --------------------------------------------------------------------------------------------------------

// Which unit of which row a thread belongs to, ROLES of them to each; and its place among B H.
struct Desk {
    int size, gate = threadIdx.x % Cell::ROLES, place, row, unit;
    bool there;
    __device__ __forceinline__ Desk(int batch, int hidden) : size(batch * hidden) {
        long long at = (blockIdx.x * (long long)blockDim.x + threadIdx.x) / Cell::ROLES;
        there = at < size;
        place = there ? at : size - 1;
        row = place / hidden;
        unit = place % hidden;
    }
};

// From `product`, h w_hhᵀ (B, GATES H), and `input`, the step's x w_ihᵀ.
extern "C" __global__ void forward_step(
    const wide* product, const wide* input, const T* b_ih, const T* b_hh, const T* h_0, const T* c_0,
    const bool* mask, int mask_row, T* states, int part, T* saved, int batch, int hidden
) {
    Desk desk(batch, hidden);
    int from = desk.gate < Cell::GATES ? desk.gate : 0, column = from * hidden + desk.unit;
    int sum = desk.row * Cell::GATES * hidden + column;
    wide h = widened(h_0[desk.place]), c = or_zero(c_0, desk.place);
    Stored stored = Cell::forward(
        product[sum] + or_zero(b_hh, column), input[sum] + or_zero(b_ih, column), desk.gate,
        mask && !mask[desk.row * mask_row], h, c);
    if (!desk.there) return;
    T* other = Cell::other(desk.gate, states, saved, desk.size, part);
    narrowed(&saved[desk.gate * desk.size + desk.place], stored.saved);
    if (other) narrowed(&other[desk.place], stored.other);
}

// From `product`, what the sums of the step after lead back to h, null at the last step. `past` and `d_c` (B, H) are
// carried from step to step.
extern "C" __global__ void backward_step(
    const wide* product, const T* g, int g_part, int g_row, int g_unit, const T* saved, const T* previous,
    const bool* mask, int mask_row, T* d_input, T* d_state, T* before, wide* past, wide* d_c, int batch, int hidden
) {
    Desk desk(batch, hidden);
    Met<Cell> met = met_at(
        saved, g + desk.row * g_row + desk.unit * g_unit, g_part, previous, desk.place, desk.size,
        mask && !mask[desk.row * mask_row]);
    wide *left = past + desk.place, *cell = d_c + desk.place;
    wide h = product ? product[desk.place] + *left : (wide)0, c = product && d_c ? *cell : (wide)0, rest;
    wide d = Cell::backward(met, desk.gate, h, c, rest);
    __syncwarp();  // the lanes of a unit have all read what the first of them overwrites
    if (!desk.there) return;
    put(d, desk.gate, desk.row, desk.unit, hidden, d_input, d_state);
    if (desk.gate) return;
    narrowed(&before[desk.place], met.previous);
    *left = rest;
    if (d_c) *cell = c;
}
