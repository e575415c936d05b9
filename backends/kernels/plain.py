"""The kernels that every backend must have: functions of one element, choices, copies, reductions, shapes, indexing."""

import math
from typing import Any

from tinynet.backends.kernels.register import Array, kernel, ones
from tinynet.primitives import ARRAY

SMALL = 4096  # elements up to which a call's own time counts most

# --- functions of one element -----------------------------------------------------------------------------------------


@kernel
def pow(xp: Any, x: Array, y: Array, out: Array = None) -> Array:
    """x^y; the exponents that networks use most are multiplications and roots, which are many times faster."""
    if isinstance(y, int) or (isinstance(y, float) and x.dtype.kind == "f"):
        if y == 2:
            return xp.multiply(x, x, out=out)
        if y == 1:
            return copy(xp, x, out=out)
        if y == 0.5:
            return xp.sqrt(x, out=out)
    return xp.power(x, y, out=out)


@kernel
def relu(xp: Any, x: Array, out: Array = None) -> Array:
    """max(0, x)."""
    if xp.__name__ == "numpy" and x.dtype.kind == "f" and x.size > SMALL:
        return x.clip(0, math.inf, out=out)  # in a quarter of the time that maximum takes with a number
    return xp.maximum(x, 0, out=out)


@kernel
def leaky_relu(xp: Any, x: Array, slope: float, out: Array = None) -> Array:
    """x where positive, slope · x elsewhere."""
    return where(xp, x > 0, x, x * slope, out=out)


@kernel
def sigmoid(xp: Any, x: Array, out: Array = None) -> Array:
    """1 / (1 + e^-x), with -x held below the largest power of e that the dtype can hold."""
    out = xp.asarray(xp.multiply(x, -1.0, out=out))  # floats whatever x is; an array though NumPy's 0-d results are not
    xp.minimum(out, {2: 11.0, 4: 88.0, 8: 709.0}[out.dtype.itemsize], out=out)
    xp.exp(out, out=out)
    xp.add(out, 1, out=out)
    return xp.divide(1, out, out=out)


@kernel
def softplus(xp: Any, x: Array, out: Array = None) -> Array:
    """ln(1 + e^x) = ln(e^0 + e^x)."""
    return xp.logaddexp(x, 0, out=out)


# Rational approximations of the error function on [0, 0.84375), [0.84375, 1.25) and beyond, exact to the last digits of
# a double. Source: Sun Microsystems, fdlibm, s_erf.c (1993). Highest power first.
_ERF = (
    ((-2.37630166566501626084e-05, -5.77027029648944159157e-03, -2.84817495755985104766e-02,
      -3.25042107247001499370e-01, 1.28379167095512558561e-01),
     (-3.96022827877536812320e-06, 1.32494738004321644526e-04, 5.08130628187576562776e-03,
      6.50222499887672944485e-02, 3.97917223959155352819e-01, 1.0)),
    ((-2.16637559486879084300e-03, 3.54783043256182359371e-02, -1.10894694282396677476e-01, 3.18346619901161753674e-01,
      -3.72207876035701323847e-01, 4.14856118683748331666e-01, -2.36211856075265944077e-03),
     (1.19844998467991074170e-02, 1.36370839120290507362e-02, 1.26171219808761642112e-01, 7.18286544141962662868e-02,
      5.40397917702171048937e-01, 1.06420880400844228286e-01, 1.0)),
    ((-9.81432934416914548592e00, -8.12874355063065934246e01, -1.84605092906711035994e02, -1.62396669462573470355e02,
      -6.23753324503260060396e01, -1.05586262253232909814e01, -6.93858572707181764372e-01, -9.86494403484714822705e-03),
     (-6.04244152148580987438e-02, 6.57024977031928170135e00, 1.08635005541779435134e02, 4.29008140027567833386e02,
      6.45387271733267880336e02, 4.34565877475229228821e02, 1.37657754143519042600e02, 1.96512716674392571292e01, 1.0)),
)  # fmt: skip


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    """A quotient of two polynomials, by Horner's rule."""
    above, below = (x * 0.0 + polynomial[0] for polynomial in coefficients)
    for c in coefficients[0][1:]:
        above = above * x + c
    for c in coefficients[1][1:]:
        below = below * x + c
    return above / below


@kernel
def erf(xp: Any, x: Array, out: Array = None) -> Array:
    """The error function, 2/√π ∫₀ˣ e^(-t²) dt."""
    size = xp.absolute(x)
    near = xp.minimum(size, 0.84375)
    middle = xp.clip(size, 0.84375, 1.25) - 1.0
    far = xp.clip(size, 1.25, 6.0)
    small = near + near * _ratio(_ERF[0], near * near)
    medium = 8.45062911510467529297e-01 + _ratio(_ERF[1], middle)
    large = 1.0 - xp.exp(_ratio(_ERF[2], 1.0 / (far * far)) - far * far - 0.5625) / far
    positive = xp.where(size < 0.84375, small, xp.where(size < 1.25, medium, large))
    return xp.multiply(positive, xp.sign(x), out=out)


# --- choices and copies -----------------------------------------------------------------------------------------------


@kernel
def where(xp: Any, condition: Array, x: Array, y: Array, out: Array = None) -> Array:
    """x where the condition holds, y elsewhere."""
    if out is None:
        return xp.where(condition, x, y)
    xp.copyto(out, y)
    xp.copyto(out, x, where=xp.asarray(condition, bool))
    return out


@kernel
def clip(xp: Any, x: Array, low: float, high: float, out: Array = None) -> Array:
    """x held between low and high."""
    return xp.clip(x, low, high, out=out)


@kernel
def copy(xp: Any, x: Array, dtype: str | None = None, out: Array = None) -> Array:
    """The same elements elsewhere, broadcast and converted to fit ``out``."""
    out = xp.empty(x.shape, dtype or x.dtype) if out is None else out
    xp.copyto(out, x, casting="unsafe")
    return out


@kernel
def cast(xp: Any, x: Array, dtype: str, out: Array = None) -> Array:
    """The same elements in another type."""
    return copy(xp, x, dtype, out=out)


# --- reductions: the reduced dimensions stay, with size 1 -------------------------------------------------------------


@kernel
def sum(xp: Any, x: Array, axis: tuple[int, ...], out: Array = None) -> Array:
    """The sum over the dimensions ``axis``; half floats, which count to 2,048, are added up in float32."""
    if x.dtype == xp.float16:
        return copy(xp, xp.sum(x, axis=axis, keepdims=True, dtype="float32"), "float16", out=out)
    if xp.__name__ == "numpy" and adds_as_product(x, axis):
        return _rows_added(xp, x, len(axis), (*[1] * len(axis), *x.shape[len(axis) :]), out)
    if xp.__name__ == "numpy":
        return xp.add.reduce(x, axis, None, out, True)  # without the Python that xp.sum begins with
    return xp.sum(x, axis=axis, keepdims=True, out=out)


def adds_as_product(x: Array, axis: tuple[int, ...]) -> bool:
    """Whether rows are added up by a product with ones: half of the time of NumPy's sum, a quarter in a replay."""
    columns = x.shape[len(axis) :]
    whole = x.flags.c_contiguous or (x.ndim == 2 and x.flags.f_contiguous)
    plain = x.size > 0 and x.dtype.kind == "f" and whole
    return plain and axis == tuple(range(len(axis))) and math.prod(columns) >= 8


def _rows_added(xp: Any, x: Array, leading: int, shape: tuple[int, ...], out: Array) -> Array:
    """The sum over the leading dimensions, in a shape."""
    rows = x if x.ndim == 2 and leading == 1 else x.reshape(math.prod(x.shape[:leading]), -1)
    each = ones(xp, len(rows), x.dtype)
    if out is not None and out.flags.c_contiguous:
        each.dot(rows, out=out.reshape(-1))
        return out
    total = each.dot(rows).reshape(shape)
    return total if out is None else copy(xp, total, out=out)


def reduced(shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The dimensions of a shape that were broadcast from another, and what it is with those at size 1."""
    new = len(shape) - len(to)
    if shape[new:] == to:
        return tuple(range(new)), (*[1] * new, *to)
    axes = tuple([i for i, n in enumerate(shape) if i < new or n != to[i - new]])
    return axes, (*[1] * new, *to)


@kernel
def sum_to(xp: Any, x: Array, shape: tuple[int, ...], out: Array = None) -> Array:
    """What was broadcast from a shape, added up to that shape again."""
    axes, kept = reduced(x.shape, shape)
    if xp.__name__ == "numpy" and x.dtype != xp.float16 and adds_as_product(x, axes):
        return _rows_added(xp, x, len(axes), shape, out)
    if out is not None and out.flags.c_contiguous:
        sum(xp, x, axes, out=out.reshape(kept))
        return out
    total = sum(xp, x, axes).reshape(shape)
    return total if out is None else copy(xp, total, out=out)


@kernel
def max(xp: Any, x: Array, axis: tuple[int, ...], out: Array = None) -> Array:
    """The largest element over the dimensions ``axis``."""
    return xp.max(x, axis=axis, keepdims=True, out=out)


@kernel
def min(xp: Any, x: Array, axis: tuple[int, ...], out: Array = None) -> Array:
    """The smallest element over the dimensions ``axis``."""
    return xp.min(x, axis=axis, keepdims=True, out=out)


# --- shape: views where that is possible ------------------------------------------------------------------------------


@kernel
def reshape(xp: Any, x: Array, shape: tuple[int, ...], out: Array = None) -> Array:
    """The same elements in another shape."""
    view = x.reshape(shape)
    return view if out is None else copy(xp, view, out=out)


@kernel
def transpose(xp: Any, x: Array, axes: tuple[int, ...], out: Array = None) -> Array:
    """The dimensions in another order."""
    view = x.transpose(axes)
    return view if out is None else copy(xp, view, out=out)


@kernel
def broadcast_to(xp: Any, x: Array, shape: tuple[int, ...], out: Array = None) -> Array:
    """The same elements, repeated along dimensions of size 1 and along new leading ones."""
    view = xp.broadcast_to(x, shape)
    return view if out is None else copy(xp, view, out=out)


@kernel
def concatenate(xp: Any, *xs: Array, axis: int, out: Array = None) -> Array:
    """Arrays one behind the other along a dimension they have."""
    return xp.concatenate(xs, axis=axis, out=out)


def _index(index: tuple[Any, ...], arrays: tuple[Array, ...]) -> tuple[Any, ...]:
    """The index with its arrays back in their places; ``...`` at the end keeps the result an array."""
    rest = iter(arrays)
    full = tuple(next(rest) if part is ARRAY else part for part in index)
    return full if arrays or Ellipsis in index else (*full, Ellipsis)


@kernel
def gather(xp: Any, x: Array, *arrays: Array, index: tuple[Any, ...], out: Array = None) -> Array:
    """x[index]: a view for slices and integers, a copy where the index holds arrays."""
    found = x[_index(index, arrays)]
    return found if out is None else copy(xp, found, out=out)


@kernel
def take(xp: Any, x: Array, rows: Array, out: Array = None) -> Array:
    """The rows x[rows], by numbers that are known to be there: a device does not look."""
    return xp.take(x, rows, axis=0, out=out)


@kernel
def scatter_add(
    xp: Any, g: Array, *arrays: Array, index: tuple[Any, ...], shape: tuple[int, ...], out: Array = None
) -> Array:
    """Zeros of the given shape, plus g at the index; what falls on the same place adds up."""
    out = xp.empty(shape, g.dtype) if out is None else out
    out.fill(0)
    if arrays:
        xp.add.at(out, _index(index, arrays), g)
    else:
        out[_index(index, ())] = g
    return out


@kernel
def assemble(xp: Any, x: Array, *parts: Array, indices: tuple[Any, ...], out: Array = None) -> Array:
    """Parts at their indices in an array laid out like x, zeros elsewhere; what falls on the same place adds up."""
    out = xp.empty_like(x, dtype=parts[0].dtype) if out is None else out
    rows = {index[0] for index in indices if len(index) == 1 and type(index[0]) is int}
    if len(indices) == len(x) and rows == set(range(len(x))):  # each of them once
        for part, (row,) in zip(parts, indices):
            xp.copyto(out[row, ...], part)
        return out
    out.fill(0)
    for part, index in zip(parts, indices):
        out[_index(index, ())] += part
    return out
