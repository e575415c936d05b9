"""What tests of CUDA kernels share: types, arrays that lie in other ways, how many launches a piece of work takes."""

import importlib.util

import numpy as np
from strict_cuda import captured

HALVES = ["float16"]
if importlib.util.find_spec("ml_dtypes"):
    import ml_dtypes  # noqa: F401  # makes the name known to NumPy

    HALVES.append("bfloat16")
TYPES = ["float32", "float64", *HALVES]

LAYOUTS = {
    "row by row": np.ascontiguousarray,
    "column by column": np.asfortranarray,
    "with gaps": lambda x: np.repeat(x, 2, -1)[..., ::2],
}


def there(backend, host):
    """A device array that lies as the host array does."""
    nearest = min((s for n, s in zip(host.shape, host.strides) if n > 1), default=0)
    if nearest == 2 * host.itemsize:
        return backend.array(np.repeat(host, 2, -1))[..., ::2]
    order = sorted(range(host.ndim), key=lambda i: -host.strides[i])
    return backend.array(host.transpose(order)).transpose(np.argsort(order).tolist())


def in_type(backend, x, dtype):
    """An array of a type on the device, and its numbers in float64 on the host."""
    array = backend.array(x, dtype)
    return array, backend.numpy(array).astype("float64")


def same(backend, found, expected, dtype, tolerance, what=""):
    """Fail unless a device array has a shape, a type and, to a tolerance, numbers."""
    found = backend.numpy(found)
    assert found.shape == expected.shape
    assert found.dtype.name == dtype
    np.testing.assert_allclose(found.astype("float64"), expected, tolerance, tolerance, err_msg=what)


def launches(work):
    """How many things the work asks of the stand-in's device; it is captured, not carried out."""
    return len(captured(work).work)
