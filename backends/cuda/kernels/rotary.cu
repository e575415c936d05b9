// Rotary positions: pairs of numbers turned by an angle that grows with the position.

// x is a stack of (length, 2 half), entry s of it s / inner outer steps and s % inner inner steps from the start; the
// pairs are (x_i, x_i+half). A thread finds the angle of a position and a pair once, in double precision, since it may
// be many turns, and turns that pair in every entry of the stack that gridDim.y leaves to it.
extern "C" __global__ void rotary(
    const T* x, T* out, int length, int half, long long stack, long long inner, long long x_outer, long long x_inner,
    long long x_row, long long x_step, long long out_outer, long long out_inner, long long out_row, long long out_step,
    long long offset, double slower, int turn
) {
    long long place = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (place >= (long long)length * half) return;
    long long row = place / half, i = place % half;
    double angle = (double)(row + offset) * exp((double)i * slower);
    wide along = (wide)cos(angle), across = (wide)(sin(angle) * turn);
    x += row * x_row + i * x_step;
    out += row * out_row + i * out_step;
    for (long long s = blockIdx.y; s < stack; s += gridDim.y) {
        const T* from = x + s / inner * x_outer + s % inner * x_inner;
        T* to = out + s / inner * out_outer + s % inner * out_inner;
        wide a = widened(from[0]), b = widened(from[half * x_step]);
        narrowed(&to[0], a * along - b * across);
        narrowed(&to[half * out_step], a * across + b * along);
    }
}
