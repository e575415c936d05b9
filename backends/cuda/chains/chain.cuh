// What the kernels of chains use beside common.cuh.

template <class X> __device__ __forceinline__ float rounded(float x) {
    X y;
    narrowed(&y, x);
    return widened(y);
}
