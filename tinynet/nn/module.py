"""Module: a piece of a model. It holds parameters and other modules, and says how inputs become an output.

Knows Tensor and Parameter; knows nothing of backends beyond moving to one, and of training nothing at all.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from tinynet.backend import Backend
from tinynet.dtypes import DTYPES, FLOATS, HALVES
from tinynet.errors import ArgumentError, CaptureError, TypeMismatch
from tinynet.functions import cat
from tinynet.modes import mode, no_grad, refuse_while_recording
from tinynet.nn.anomaly import examine, watch_gradient
from tinynet.nn.summary import Summary, summarise
from tinynet.parameter import Parameter
from tinynet.registry import get_backend
from tinynet.staleness import recordings
from tinynet.tensor import Tensor

Hook = Callable[..., Any]


class Module:
    """The base of every layer and model. A subclass makes its parts in ``__init__`` and writes ``forward``.

    >>> class Affine(Module):
    ...     def __init__(self):
    ...         self.slope = Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.slope

    Parameters and modules are found among the attributes, in the order in which they were set; other tensors count as
    part of the state when named with ``register_buffer``.

    Attributes:
        training: True while training, False in evaluation: dropout and batch normalisation behave differently.
    """

    _training = True
    name = ""
    _buffers: tuple[str, ...] = ()
    _forward_hooks: tuple[Hook, ...] = ()
    _gradient_hooks: tuple[Hook, ...] = ()

    def __setattr__(self, key: str, value: Any) -> None:
        if isinstance(value, Module):
            vars(value).setdefault("name", key)
        if key not in ("training", "_training"):  # the mode is watched where it is looked at
            if key in vars(self):
                refuse_while_recording(f"{type(self).__name__}.{key} was set inside the step")
            if hasattr(self, key) or isinstance(value, Module | Tensor):
                recordings.outdate()
        super().__setattr__(key, value)

    def __delattr__(self, key: str) -> None:
        recordings.outdate()
        super().__delattr__(key)

    @property
    def training(self) -> bool:
        """Whether the module is in training mode; a step that looks at this is recorded anew for the other mode."""
        if mode.recorder is not None:
            mode.recorder.looks_at(self, self._training)
        return self._training

    @training.setter
    def training(self, wanted: bool) -> None:
        self._training = wanted

    def forward(self, *inputs: Any) -> Any:
        """Compute the output. Called through ``module(...)``, which converts host data and runs the hooks."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it computes: write its forward(self, ...).")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """``forward``, with lists and NumPy arrays moved to where the parameters are, and the hooks run."""
        given = [x if isinstance(x, Tensor) else self._admit(x) for x in inputs]
        if given and given[0] is None and not any(True for _ in self.children()):
            raise TypeMismatch(f"{self.described()} needs a tensor; got NoneType. Does what is before it return one?")
        if (anomaly := mode.anomaly) and (self.own_parameters() or not any(True for _ in self.children())):
            examine(self.described(), "its input", given)
        output = self.forward(*given, **options)
        if self._forward_hooks or self._gradient_hooks:
            output = self._run_hooks(inputs, output)
        if anomaly:
            examine(self.described(), "its output", output)
            watch_gradient(self.described(), output)
        return output

    def _admit(self, x: Any) -> Any:
        """A model's input comes from the host: lists and NumPy arrays move to where the parameters are."""
        if isinstance(x, list | tuple) and any(isinstance(part, Tensor) for part in x):
            return x  # a state of several parts
        if isinstance(x, Tensor) or not (isinstance(x, list | tuple) or hasattr(x, "__array__")):
            return x
        here = next(self.parameters(), None)
        tensor = Tensor(x) if here is None else admitted(x, here)
        tensor.backend.label(tensor.data, "x")
        return tensor

    def predict(self, x: Any, batch_size: int = 1000) -> Tensor:
        """The outputs for many examples, in evaluation mode, with nothing remembered.

        Args:
            x: (examples, …), on the host or anywhere.
            batch_size: how many go through the model at a time.
        """
        with self.evaluating(), no_grad():
            parts = [self(x[i : i + batch_size]) for i in range(0, max(len(x), 1), batch_size)]
        return parts[0] if len(parts) == 1 else cat(parts)

    # --- what it consists of ------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules directly inside, by name."""
        return ((name, part) for name, part in vars(self).items() if isinstance(part, Module))

    def children(self) -> Iterator["Module"]:
        """The modules directly inside."""
        return (part for part in vars(self).values() if isinstance(part, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all inside it, each by its dotted name."""
        yield prefix, self
        for name, part in self.named_children():
            yield from part.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator["Module"]:
        """This module and all inside it."""
        return (part for _, part in self.named_modules())

    def _named(self, wanted: Callable[["Module", str, Any], bool]) -> Iterator[tuple[str, Any]]:
        for prefix, module in self.named_modules():
            for name, part in vars(module).items():
                if wanted(module, name, part):
                    yield (f"{prefix}.{name}" if prefix else name), part

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter by its dotted name, once, even where two modules share it."""
        seen = set()
        for name, part in self._named(lambda _, __, part: isinstance(part, Parameter)):
            if part not in seen:
                seen.add(part)
                yield name, part

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter, once."""
        return (part for _, part in self.named_parameters())

    def own_parameters(self) -> list[Parameter]:
        """The parameters that this module holds itself, not in the modules inside it."""
        return [part for part in vars(self).values() if isinstance(part, Parameter)]

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Hold a tensor that is state but not trained (a running mean): saved with the model, moved with it."""
        if not isinstance(tensor, Tensor):
            raise TypeMismatch(
                f"register_buffer({name!r}, …) holds a Tensor; got {type(tensor).__name__}: {tensor!r:.60}."
            )
        self._buffers = tuple(dict.fromkeys([*self._buffers, name]))
        setattr(self, name, tensor)

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every buffer by its dotted name."""
        return self._named(lambda module, name, _: name in module._buffers)

    def summary(self, input_shape: int | tuple[int, ...] | None = None) -> Summary:
        """Each layer with its output shape and number of parameters; print it.

        Args:
            input_shape: one example's shape, without the batch; found from the first layer where that is possible.

        Raises:
            ArgumentError: the model does not take that shape.
        """
        return summarise(self, input_shape)

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Every parameter and buffer by its dotted name; a shared one under each of its names."""
        state = self._named(lambda module, name, part: isinstance(part, Parameter) or name in module._buffers)
        return {name: part.detach() for name, part in state}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Overwrite parameters and buffers with tensors or arrays of the same names and shapes.

        Args:
            state: as ``state_dict`` gives it; arrays exported from PyTorch fit as they are.
            strict: refuse names that are missing or unknown.

        Raises:
            ArgumentError: names or shapes differ. It lists every difference.
            TypeMismatch: something in it holds no numbers. Nothing has been changed in either case.
        """
        own = self.state_dict()
        arrays = {name: Tensor(array, backend="numpy") for name, array in state.items()}  # refused, if no numbers
        differences = [f"missing     {name} {own[name].shape}" for name in own if strict and name not in arrays]
        differences += [f"unexpected  {name} {arrays[name].shape}" for name in arrays if strict and name not in own]
        differences += [
            f"shape       {name}: the model has {own[name].shape}, the state {arrays[name].shape}"
            for name in own
            if name in arrays and arrays[name].shape != own[name].shape
        ]
        if differences:
            raise ArgumentError(f"this state does not fit {type(self).__name__}:\n  " + "\n  ".join(differences))
        with no_grad():
            for name in own.keys() & arrays.keys():
                own[name].load_(arrays[name])

    def to(self, backend: "str | Backend | None" = None, dtype: str | None = None) -> Self:
        """Move parameters, gradients and buffers to another backend or element type. Shared parameters stay shared.

        Buffers of integers keep their type. Everything is converted before anything is changed, so a move that fails
        changes nothing.

        Raises:
            BackendUnavailable: that backend cannot run here; the message says why and what to do.
            TypeMismatch: the element type is not a floating-point one.
        """
        if backend in DTYPES:  # model.to("float64")
            backend, dtype = None, str(backend)
        if dtype is not None and dtype not in FLOATS:
            raise TypeMismatch(f"a model computes in {', '.join(FLOATS)}; got to(dtype={dtype!r}).")
        target = None if backend is None else get_backend(backend)

        def converted(tensor: Tensor) -> Tensor:
            return tensor.to(target, dtype if tensor.is_floating_point() else None)

        with no_grad():
            parts = dict.fromkeys([*self.parameters(), *(b for _, b in self.named_buffers())])
            moved = {part: converted(part.detach()) for part in parts}
            gradients = {part: converted(part.grad) for part in parts if part.grad is not None}
            for part, tensor in moved.items():
                if tensor.data is part.data:
                    continue
                part.grad = gradients.get(part)
                if isinstance(part, Parameter):
                    part.move(tensor.data, tensor.backend)
                else:
                    part.data, part.backend = tensor.data, tensor.backend
        for name, parameter in self.named_parameters():
            parameter.backend.label(parameter.data, name)
        return self

    def train(self, training: bool = True) -> Self:
        """Behave as in training (or, with False, as in evaluation)."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self) -> Self:
        """Behave as in evaluation."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Inside the ``with`` block behave as in evaluation; after it each module as before."""
        before = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for module, training in before:
                module.training = training

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def requires_grad_(self, wanted: bool = True) -> Self:
        """Train these parameters, or hold them still."""
        for parameter in self.parameters():
            parameter.requires_grad_(wanted)
        recordings.outdate()
        return self

    # --- hooks --------------------------------------------------------------------------------------------------------

    def register_forward_hook(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook(module, inputs, output)`` after each forward; what it returns replaces the output.

        Returns a function that removes the hook. While hooks are registered, steps are not recorded.
        """
        return self._register("_forward_hooks", hook)

    def register_gradient_hook(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook(module, gradient)`` when the gradient of the loss with respect to the output arrives.

        Returns a function that removes the hook.
        """
        return self._register("_gradient_hooks", hook)

    def _register(self, kind: str, hook: Hook) -> Callable[[], None]:
        setattr(self, kind, (*getattr(self, kind), hook))
        recordings.outdate()

        def remove() -> None:
            setattr(self, kind, tuple(h for h in getattr(self, kind) if h is not hook))
            recordings.outdate()

        return remove

    def _run_hooks(self, inputs: tuple[Any, ...], output: Any) -> Any:
        if mode.recorder is not None:
            raise CaptureError(
                f"{self.described()} has hooks, which are Python and cannot be replayed. Remove them, or run without "
                "capture."
            )
        for hook in self._forward_hooks:
            changed = hook(self, inputs, output)
            output = output if changed is None else changed
        if self._gradient_hooks:
            if not isinstance(output, Tensor):
                raise TypeMismatch(
                    f"a gradient hook needs a module that returns one tensor; {self.described()} returned "
                    f"{type(output).__name__}."
                )
            if output.requires_grad:
                for hook in self._gradient_hooks:
                    output.register_hook(lambda g, hook=hook: hook(self, g))  # type: ignore[misc]
        return output

    # --- showing ------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The arguments that tell this module from another of its class."""
        return ""

    def __repr__(self) -> str:
        inside, parts = self.extra_repr(), [f"({name}): {part!r}" for name, part in self.named_children()]
        if parts:
            inside = "\n".join(("", *([inside] if inside else []), *parts)).replace("\n", "\n  ") + "\n"
        return f"{type(self).__name__}({inside})"

    def described(self) -> str:
        """How an error message names this layer: ``Linear(128, 10) "classifier"``."""
        return f"{type(self).__name__}({self.extra_repr()})" + (f' "{self.name}"' if self.name else "")


def admitted(x: Any, like: Tensor) -> Tensor:
    """Data from the host as a tensor on another's backend; floats in the other's element type."""
    tensor = Tensor(x, backend=like.backend)
    if tensor.is_floating_point() and tensor.dtype != like.dtype:
        tensor = Tensor(x, like.dtype, backend=like.backend)  # not by way of float32: a Python float keeps its digits
    return tensor


def floating(x: Tensor, weight: Tensor | None = None) -> Tensor:
    """The numbers in the element type of a layer's weights; without these, integers (pixels, say) as usual floats."""
    own, wanted = x.dtype, x.dtype if weight is None else weight.dtype
    if mode.autocast and own in HALVES:
        return x  # it came out of one product, and may go into the next
    if wanted not in FLOATS:
        wanted = own if own in FLOATS else x.backend.default_dtype
    return x if own == wanted else x.to(dtype=wanted)
