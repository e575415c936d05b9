"""Tensor: an array that remembers how it was made, as Value is a number that does.

It holds an array of some backend, asks the backend's kernels to compute, and walks the same graph with the same rules
as Value to find gradients. It never touches an array library itself: that is what ``backend.launch`` is for.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinynet.backend import Array, Backend
from tinynet.dispatch import COMPLAINTS, explain, together
from tinynet.errors import BackendMismatch, DomainError, GradientError, ShapeError, TinynetError, TypeMismatch
from tinynet.fused import Fused, assembled, sum_to
from tinynet.graph import backward_order
from tinynet.host import HostExchange, host_array
from tinynet.modes import mode, no_grad, refuse_while_recording, switched
from tinynet.precision import autocasted
from tinynet.primitives import Primitive, gather
from tinynet.program import VIEWS
from tinynet.registry import get_backend
from tinynet.staleness import recordings


class Tensor(HostExchange):
    """An array of numbers on a backend, and the gradient of the last ``backward()`` with respect to it.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [[2.0, 4.0], [6.0, 8.0]]

    Args:
        data: numbers, nested sequences of them, a NumPy array or a Tensor, always copied; or, on the scalar backend,
            Values, which stay themselves and get their gradients.
        dtype: the element type by name; Python floats become ``float32``, a NumPy array keeps its own.
        backend: a backend or its name; the default one (``numpy``) where not given.
        requires_grad: whether gradients with respect to this tensor are wanted.
        label: a name for messages and drawings.

    Attributes:
        data: the backend's array.
        grad: d(result)/d(this tensor), a Tensor of the same shape, filled in by ``result.backward()``; None before.
        parents, primitive: the tensors and the row of the formula sheet that it was made from.
    """

    data: Array
    backend: Backend
    requires_grad: bool = False
    grad: "Tensor | None" = None
    label: str = ""
    primitive: Primitive | None = None
    parents: tuple["Tensor", ...] = ()
    inputs: tuple[Any, ...] = ()  # the parents, and whatever else went in
    params: dict[str, Any] = {}
    saved: tuple["Tensor", ...] = ()  # what a fused kernel kept for its gradient rules
    retains_grad = False
    made = changed = 0  # when it was computed, and when last overwritten in place, by the clock of changes
    hooks: tuple[Callable[["Tensor"], "Tensor | None"], ...] = ()

    __array_ufunc__ = None  # `ndarray * tensor` is the tensor's business

    def __init__(
        self,
        data: Any,
        dtype: str | None = None,
        *,
        backend: str | Backend | None = None,
        requires_grad: bool = False,
        label: str = "",
    ) -> None:
        self.backend = get_backend(backend)
        if isinstance(data, (np.ndarray, Tensor)):
            refuse_while_recording("a Tensor was made from an array inside the step; pass it as an argument")
        host = host_array(data, dtype, self.backend.default_dtype)
        self.data = self.backend.array(host, dtype)
        if mode.recorder is not None:  # the step may change it in place: let each replay make it anew
            self.data = self.backend.launch("copy", self.data)
        self.requires_grad = False
        if requires_grad or host.dtype == object:  # Values want their gradients
            self.requires_grad_()
        self.label = label

    @staticmethod
    def of(array: Array, backend: Backend) -> "Tensor":
        """A Tensor around an array of that backend, without a copy."""
        out = _new(Tensor)
        out.data, out.backend = array, backend
        return out

    @classmethod
    def like(cls, data: Any, other: "Tensor") -> "Tensor":
        """The data as a Tensor on the same backend as ``other``; data that lies on the host moves only to a host."""
        if isinstance(data, Tensor):
            return data
        if not other.backend.is_host and isinstance(data, np.ndarray):
            raise BackendMismatch(
                f"a NumPy array met a tensor on {other.backend.name}. Move it first: "
                f"Tensor(array, backend={other.backend.name!r})."
            )
        host = host_array(data, None, other.dtype if other.is_floating_point() else other.backend.default_dtype)
        return Tensor(data, None if host.dtype == object else host.dtype.name, backend=other.backend)

    @staticmethod
    def apply(primitive: Primitive, *inputs: Any, **params: Any) -> Any:
        """Apply a row of the formula sheet to Tensors and numbers, and remember it if a gradient will be wanted."""
        if mode.autocast:
            inputs = autocasted(primitive.name, inputs, mode.autocast)
        backend, inputs, arrays, wanting = together(primitive.name, inputs)
        if isinstance(primitive, Fused) and not (mode.fused and primitive.name in backend.kernels):
            return primitive.reference(*inputs, **params)
        parents = tuple(wanting) if wanting and mode.remember and primitive.differentiable else ()
        if parents and backend.differentiates:  # its arrays remember by themselves what these tensors have forgotten
            held = [isinstance(x, Tensor) and not x.requires_grad for x in inputs]
            arrays = [backend.constant(array) if hold else array for hold, array in zip(held, arrays)]
        try:
            result = backend.launch(primitive.name, *arrays, **params)
        except COMPLAINTS as error:
            explain(error, primitive.name, inputs, params)
        saved: tuple[Tensor, ...] = ()
        if isinstance(result, tuple):
            several = tuple([Tensor.of(array, backend) for array in result])
            if not primitive.differentiable:
                return several  # a kernel that finds several gradients at once
            result, saved = result[0], several[1:]
        out = _new(Tensor)
        out.data, out.backend = result, backend
        if parents:
            out.requires_grad, out.primitive, out.parents = True, primitive, parents
            out.inputs, out.params, out.saved, out.made = inputs, params, saved, _changes[0]
        return out

    _pair = apply

    # --- backpropagation ----------------------------------------------------------------------------------------------

    def backward(self, gradient: "Tensor | None" = None, create_graph: bool = False) -> None:
        """Add d(this)/d(leaf) to ``grad`` of every leaf that this tensor was computed from and that requires it.

        Args:
            gradient: dL/d(this) from further on, of this tensor's shape; 1 for a tensor with one element.
            create_graph: let the gradients be differentiated in their turn (second derivatives).

        Raises:
            GradientError: nothing here requires a gradient, or the tensor has many elements and no ``gradient``.
            ShapeError: the gradient's shape is not this tensor's.
        """
        if not self.requires_grad:
            raise GradientError(
                "backward() found nothing to differentiate: no tensor with requires_grad=True led here. Was it "
                "computed inside no_grad(), or detached?"
            )
        if gradient is None:
            if self.size != 1:
                raise GradientError(
                    f"backward() starts from one number; this tensor has shape {self.shape}. Reduce it first, by "
                    ".mean() or .sum(), or pass gradient=."
                )
            gradient = Tensor.of(self.backend.full(self.shape, 1.0, self.dtype), self.backend)
        elif gradient.shape != self.shape:
            raise ShapeError(f"backward(gradient=) needs the tensor's own shape {self.shape}; got {gradient.shape}.")
        if self.backend.differentiates:
            self._backward_inside(gradient, create_graph)
            return
        arrived = {self: gradient}
        taken: dict[Tensor, Any] = {}  # from a tensor its parts' gradients, which are put in place all at once
        with switched(remember=create_graph, autocast=None):
            for node in backward_order(self):
                g = arrived.pop(node, None)
                if node in taken:
                    g = assembled(node, taken.pop(node), g)
                if g is None:
                    continue
                if node.hooks:
                    g = node._hooked(g)
                if (primitive := node.primitive) is None:
                    node._accumulate(g, create_graph)
                    continue
                if node.retains_grad:
                    node.grad = g
                if create_graph and primitive.once:
                    raise GradientError(
                        f"the fused {primitive.name} can be differentiated once. For second derivatives compute "
                        "the loss inside `with tn.reference():`."
                    )
                if primitive is gather and len(node.inputs) == 1:
                    taken.setdefault(node.inputs[0], []).append((g, node.params["index"]))
                    continue
                for x, share in node._shares(primitive, g):
                    if share.data.shape != x.data.shape:  # x was broadcast: the one place where that is undone
                        share = Tensor.apply(sum_to, share, shape=x.shape)
                    if share.data.dtype != x.data.dtype:  # x met a wider type
                        share = share.to(dtype=x.dtype)
                    arrived[x] = arrived[x] + share if x in arrived else share

    def _shares(self, primitive: Primitive, g: "Tensor") -> Iterator[tuple["Tensor", "Tensor"]]:
        """Each input that wants a gradient and its share of g, by the rules of the operation that made this tensor."""
        given = (g, self, *self.inputs, *self.saved)
        try:
            jointly = primitive.jointly and primitive.jointly(*given, **self.params)
            for i, x in enumerate(self.inputs):
                if not isinstance(x, Tensor):
                    continue
                if x.changed > self.made:
                    raise GradientError(
                        f"an input of {primitive.name}, {x.shape}, was changed in place after it was used: "
                        "its gradient would be wrong. Compute the result anew before backward()."
                    )
                if x.requires_grad:
                    rule = None if jointly else primitive.rule(i)
                    share = rule(*given, **self.params) if rule else jointly and jointly[i]
                    if share is not None:
                        yield x, share
        except (ArithmeticError, ValueError) as error:  # from a plain number among the inputs, as in (-2.0) ** x
            if isinstance(error, TinynetError):
                raise
            raise DomainError(f"{primitive.name} has no slope there: {error}. Keep its input in its domain.") from error

    def _backward_inside(self, gradient: "Tensor", create_graph: bool) -> None:
        """Backward where arrays differentiate themselves: only leaves and watched tensors are asked for."""
        if create_graph:
            raise GradientError(f"on {self.backend.name} gradients are numbers: no second derivatives. Use 'numpy'.")
        wanted = [x for x in backward_order(self) if x.primitive is None or x.retains_grad or x.hooks]
        for x in wanted:
            if x.primitive is not None and x.primitive.name in VIEWS:
                raise GradientError(
                    f"on {self.backend.name} the result of {x.primitive.name} holds the very Values that it was made "
                    "from. Watch the gradient of what comes before it or after it."
                )
        found = self.backend.gradients(self.data, gradient.data, [x.data for x in wanted])
        with no_grad():
            for x, array in zip(wanted, found):
                g = x._hooked(arrived := Tensor.of(array, self.backend))
                if g is not arrived and x.primitive is not None:
                    raise GradientError(f"on {self.backend.name} a hook inside the graph may not replace the gradient.")
                if x.primitive is None:
                    x._accumulate(g, False)
                elif x.retains_grad:
                    x.grad = g

    def _hooked(self, g: "Tensor") -> "Tensor":
        """The gradient that arrived, or what the hooks replace it with."""
        for hook in self.hooks:
            refuse_while_recording("a tensor has a hook, which is Python")
            replaced = hook(g)
            g = g if replaced is None else replaced
        return g

    def _accumulate(self, g: "Tensor", create_graph: bool) -> None:
        """Add an arriving gradient to a leaf's, in place where nothing remembers the place."""
        if mode.recorder is not None:
            mode.recorder.accumulates(self, self.grad)
        before = self.grad
        if create_graph or (before is not None and before.requires_grad):
            g = g.to(dtype=self.dtype)
            self.grad = g if before is None else before + g
        elif before is not None:
            before.add_(g)
        else:  # copied: the same array may be on its way to another leaf
            self.grad = self._first(g)

    def _first(self, g: "Tensor") -> "Tensor":
        """Room for a gradient, holding g."""
        return Tensor.of(self.backend.launch("copy", g.data, dtype=self.dtype), self.backend)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None
        self.backend.forget_gradients(self.data)
        if mode.recorder is not None:
            mode.recorder.forgets(self)

    def requires_grad_(self, wanted: bool = True) -> "Tensor":
        """Ask for gradients with respect to this tensor, or no longer."""
        if wanted and not self.is_floating_point():
            raise TypeMismatch(
                f"only floating-point tensors have gradients; this one is {self.dtype}. Use .to('float32')."
            )
        if wanted != self.requires_grad:
            recordings.outdate()
        self.requires_grad = wanted
        return self

    def retain_grad(self) -> None:
        """Keep ``grad`` of this tensor although it is not a leaf."""
        self.retains_grad = True

    def register_hook(self, hook: Callable[["Tensor"], "Tensor | None"]) -> Callable[[], None]:
        """Call ``hook(gradient)`` when the gradient arrives here; what it returns replaces it. Returns its remover."""
        recordings.outdate()
        self.hooks = (*self.hooks, hook)
        return lambda: setattr(self, "hooks", tuple(h for h in self.hooks if h is not hook))

    def detach(self) -> "Tensor":
        """The same array, with no memory of how it was made."""
        return Tensor.of(self.data, self.backend)

    def _overwrite(self, kernel: str, *inputs: Any) -> "Tensor":
        if self.primitive is not None or (self.requires_grad and mode.remember):
            raise GradientError(
                f"{kernel}_ would change in place a tensor that a gradient needs. Use `with tn.no_grad():`."
            )
        _, inputs, arrays, _ = together(kernel, inputs)
        try:
            self.backend.launch(kernel, *arrays, out=self.data)
        except COMPLAINTS as error:
            explain(error, kernel, inputs, {"out": self.data})
        self.overwritten()
        return self

    def overwritten(self) -> None:
        """Note that the numbers in this tensor have changed: what was computed from them can no longer go backward."""
        _changes[0] += 1
        self.changed = _changes[0]


_new = Tensor.__new__
_changes = [0]
