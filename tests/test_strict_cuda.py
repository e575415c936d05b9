"""The stand-in's CUDA side is strict: kernels mean on the CPU what they mean on a card, and what bites there fails."""

import numpy as np
import pytest
import strict_cuda
import strict_cupy as xp

from tinynet.backends.cuda.module import defined, source

pytestmark = pytest.mark.skipif(not strict_cuda.compilable, reason="g++ is not installed")

KERNELS = (
    defined({"T": "float32"})
    + source("common.cuh").split("// What the 32 lanes")[0]
    + """
extern "C" __global__ void twice(const T* x, T* out, long long n) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) out[i] = 2 * x[i];
}
extern "C" __global__ void beyond(T* out, int n) { if (threadIdx.x == 0) out[n] = 1; }
extern "C" __global__ void block_sum(const T* x, T* out) {
    __shared__ T room[64];
    room[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (int step = 32; step > 0; step /= 2) {
        if (threadIdx.x < step) room[threadIdx.x] += room[threadIdx.x + step];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[0] = room[0];
}
extern "C" __global__ void torn(T* out) {
    __shared__ T room[64];
    room[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = room[63 - threadIdx.x];
}
extern "C" __global__ void unmet(T* out) { if (threadIdx.x < 8) __syncthreads(); out[0] = 1; }
extern "C" __global__ void gone(T* out) { if (threadIdx.x < 8) return; __syncthreads(); out[0] = 1; }
extern "C" __global__ void lanes(const T* x, T* out) {
    T sum = x[threadIdx.x];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    out[threadIdx.x] = sum;
}
"""
)


@pytest.fixture
def x():
    return xp.asarray(np.arange(64, dtype="float32"))


def kernel(name):
    return xp.RawModule(code=KERNELS).get_function(name)


def run(name, grid, block, *args, **kwargs):
    kernel(name)((grid,), (block,), args, **kwargs)


def test_threads_of_many_blocks(x):
    out = xp.empty(64, "float32")
    run("twice", 7, 10, x, out, np.int64(64))
    np.testing.assert_array_equal(out.get(), 2 * x.get())


def test_barriers_and_shuffles(x):
    out = xp.empty(64, "float32")
    run("block_sum", 1, 64, x, out)
    assert out.get()[0] == 2016
    run("lanes", 1, 64, x, out)
    np.testing.assert_array_equal(out.get(), np.repeat([496.0, 1520.0], 32))


def test_a_missing_barrier_shows(x):
    found = []
    for _ in range(5):
        out = xp.empty(64, "float32")
        run("torn", 1, 64, out)
        found.append((out.get() == np.arange(63, -1, -1)).all())
    assert not all(found)


@pytest.mark.parametrize("name", ["unmet", "gone"])
def test_a_barrier_that_some_threads_miss(x, name):
    with pytest.raises(AssertionError, match=r"barrier|returned already"):
        run(name, 1, 64, x)


def test_a_write_outside_is_found():
    out = xp.empty(5, "float32")
    with pytest.raises(AssertionError, match="outside an array of 20 bytes"):
        run("beyond", 1, 32, out, np.int32(5))


@pytest.mark.parametrize(
    "args",
    [
        (np.int32(64),),
        (64,),
        (np.int64(64), np.int64(1)),
        (np.float32(64),),
    ],
)
def test_arguments_are_those_that_the_kernel_declares(x, args):
    with pytest.raises(AssertionError, match="twice"):
        run("twice", 1, 64, x, xp.empty(64, "float32"), *args)


def test_an_array_of_another_type_is_refused(x):
    with pytest.raises(AssertionError, match=r"argument 1 \(float\*\).*float64"):
        run("twice", 1, 64, x, xp.empty(64, "float64"), np.int64(64))


def test_sizes_that_no_card_takes_are_refused(x):
    for grid, block in ((0, 32), (1, 2048), (1, 0)):
        with pytest.raises(AssertionError):
            run("lanes", grid, block, x, x)
    with pytest.raises(AssertionError, match="shared"):
        run("lanes", 1, 32, x, x, shared_mem=50_000)


def test_the_room_that_a_kernel_may_have_is_its_functions(x):
    """CuPy loads a source once: whoever asks for its kernel again has the same function, and sets the same limit."""
    first, again, other = kernel("block_sum"), kernel("block_sum"), kernel("lanes")
    first.max_dynamic_shared_size_bytes = 60_000
    assert again.max_dynamic_shared_size_bytes == 60_000
    assert other.max_dynamic_shared_size_bytes == 48 << 10
    again.max_dynamic_shared_size_bytes = 50_000
    with pytest.raises(AssertionError, match="60000 bytes shared"):
        first((1,), (64,), (x, x), shared_mem=60_000)
    with pytest.raises(AssertionError, match="shared"):
        first.max_dynamic_shared_size_bytes = 228 << 10


def test_a_source_that_is_no_cuda():
    with pytest.raises(RuntimeError, match="CompileException"):
        xp.RawModule(code='extern "C" __global__ void f() { nonsense; }').get_function("f")
    with pytest.raises(RuntimeError, match="cudaErrorSymbolNotFound"):
        kernel("missing")


# --- capture ----------------------------------------------------------------------------------------------------------


def test_a_captured_graph_does_the_work_when_it_is_launched(x):
    out, total = xp.zeros(64, "float32"), xp.zeros((), "float32")

    def work():
        run("twice", 1, 64, x, out, np.int64(64))
        made = xp.exp(out * 0) + out  # temporaries
        xp.add(total, made.sum(), out=total)
        out[0] = 7

    graph = strict_cuda.captured(work)
    assert total.get() == 0
    assert (out.get() == 0).all()
    for i in range(1, 4):
        graph.launch()
        assert total.get() == i * (2 * 2016 + 64)
    x *= 2
    graph.launch()
    assert out.get()[1] == 4


@pytest.mark.parametrize(
    "work, error",
    [
        (lambda x: x.get(), NotImplementedError),
        (lambda x: float(x[0]), NotImplementedError),
        (lambda x: xp.matmul(x, x), NotImplementedError),
        (lambda x: x @ x, NotImplementedError),
        (lambda x: xp.asarray(np.zeros(3)), NotImplementedError),
        (lambda x: x.set(np.zeros(64, "float32")), NotImplementedError),
    ],
)
def test_what_a_stream_cannot_capture(x, work, error):
    with pytest.raises(error):
        strict_cuda.captured(lambda: work(x))
    x.get()  # the capture is over


def test_temporaries_of_a_graph_come_from_a_pool_of_its_own(x):
    stream = xp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(AssertionError, match="pool of its own"):
            x + x
        stream.end_capture()


def test_types_are_settled_before_a_source():
    assert defined({"T": "float16", "I": "uint8"}) == "#define T half_t\n#define I unsigned char\n"
