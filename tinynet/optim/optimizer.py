"""Optimizer: what every update rule shares.

A rule is written once, for one flat array of all parameters (``parameter.py``); this file lays the parameters out,
keeps each rule's memory beside them, and lets the learning rate be changed between steps, recorded or not.
"""

from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any

from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError, CaptureError, GradientError, TypeMismatch
from tinynet.functions import full, zeros
from tinynet.modes import mode, no_grad, refuse_while_recording
from tinynet.parameter import FlatParameters, Parameter, flatten
from tinynet.staleness import recordings
from tinynet.tensor import Tensor


class Optimizer:
    """The base of every update rule. A subclass writes ``update``.

    Args:
        params: the parameters to update; left out, a Trainer supplies its model's.
        lr: the learning rate, the length of a step.
        weight_decay: adds weight_decay · w to the gradient of every parameter (L2 penalty weight_decay/2 ‖w‖²).

    Raises:
        ArgumentError: a hyperparameter outside its range, or no parameters.
        TypeMismatch: something among the parameters is none.
    """

    memory: tuple[str, ...] = ()  # the names of the arrays that the rule keeps, each as long as the parameters
    counts_steps = False  # whether the rule also keeps ``step``, the number of steps taken

    def __init__(self, params: Iterable[Parameter] | None = None, *, lr: float, weight_decay: float = 0.0) -> None:
        self._flats: list[FlatParameters] = []
        self._states: list[dict[str, Tensor]] = []
        self._rates: list[Tensor] = []
        self._parameters: list[Parameter] = []
        self._settled = -1  # the version of what steps are made of, when the parameters were last seen to lie in place
        self._lr = 0.0
        self.lr = lr
        self.weight_decay = self._checked("weight_decay", weight_decay)
        if params is not None:
            self.bind(params)

    def _checked(self, name: str, value: Any, below: float = float("inf")) -> float:
        if not isinstance(value, Real) or not 0 <= float(value) < below:
            bound = "" if below == float("inf") else f" and below {below:g}"
            raise ArgumentError(f"{type(self).__name__}({name}={value!r}): it must be a number of at least 0{bound}.")
        return float(value)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], lr: Tensor) -> None:
        """Change the parameters w in place, given their gradient g, this rule's memory and the learning rate."""
        raise NotImplementedError

    def bind(self, params: Iterable[Parameter]) -> "Optimizer":
        """Take charge of these parameters, with nothing remembered yet."""
        given = list(params) if isinstance(params, Iterable) else [params]
        for parameter in given:
            if not isinstance(parameter, Parameter):
                raise TypeMismatch(
                    f"{type(self).__name__} takes Parameters, such as model.parameters(); got "
                    f"{type(parameter).__name__}. Make a tensor one by Parameter(tensor); give a group with settings "
                    "of its own its own optimiser."
                )
        if not given:
            raise ArgumentError(f"{type(self).__name__} got no parameters. Does the model have trainable layers?")
        self._parameters, self._flats, self._states = list(dict.fromkeys(given)), [], []
        self.lay_out()
        return self

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters it updates."""
        return tuple(self._parameters)

    @property
    def flats(self) -> tuple[FlatParameters, ...]:
        """The flat arrays in which the trained parameters lie."""
        return tuple(self._flats)

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """What an update works on, by name, for a printed program: the flat arrays, the rate, the memory."""
        for flat, state, rate in zip(self._flats, self._states, self._rates):
            yield from (("parameters", flat.data), ("gradients", flat.grad), ("lr", rate), *state.items())

    @property
    def bound(self) -> bool:
        """Whether it has parameters to update."""
        return bool(self._parameters)

    @property
    def lr(self) -> float:
        """The learning rate; set it at any time, recorded steps follow."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        value = self._checked("lr", value)
        refuse_while_recording("the learning rate was set inside the step")
        self._lr = value
        for rate in self._rates:
            rate.load_(value)

    def lay_out(self) -> None:
        """Lay the trained parameters side by side, and the memory beside them, keeping what is remembered.

        ``step()`` does this by itself once the model has moved or parameters were frozen or freed; only a step that is
        being recorded cannot.
        """
        remembered = self.state_dict()["memory"] if self._flats else {}
        self._flats = flatten(p for p in self._parameters if p.requires_grad)
        self._rates, self._states = [], []
        for flat in self._flats:
            backend, shape = flat.data.backend, flat.data.shape
            dtype = "float32" if flat.data.dtype in HALVES else flat.data.dtype  # they count to 2,048, or to 256
            self._rates.append(full((), self._lr, dtype, backend))
            memory = {name: zeros(shape, dtype=dtype, backend=backend) for name in self.memory}
            self._states.append(memory | ({"step": full((), 0.0, dtype, backend)} if self.counts_steps else {}))
        self._remember(remembered)

    def _laid_out(self) -> bool:
        """Whether all trained parameters, and no others, still lie side by side with the memory that the rule wants."""
        lying = [p for flat in self._flats for p in flat.parameters]
        return (
            all([flat.intact() for flat in self._flats])
            and all([p.requires_grad for p in lying])
            and len(lying) == sum([p.requires_grad for p in self._parameters])
            and all(name in state for state in self._states for name in self.memory)
        )

    def settle(self) -> None:
        """Lay the parameters out anew where they do not lie as they should.

        Raises:
            CaptureError: they do not, and a step is being recorded.
        """
        if self._settled != recordings.version and not self._laid_out():
            if mode.recorder is not None:
                raise CaptureError(
                    f"{type(self).__name__}.step(): the model moved, or parameters were frozen or freed, since the "
                    "optimiser laid them out. Call its lay_out() before the captured step."
                )
            self.lay_out()
        self._settled = recordings.version

    def step(self) -> None:
        """Update every trained parameter once, from the gradients that ``backward()`` left.

        A parameter that ``backward()`` did not reach counts as having gradient 0: weight decay and what the rule
        remembers still move it.

        Raises:
            GradientError: there are no parameters, or none of them has a gradient.
            CaptureError: the model moved or was frozen in part, and the step is being recorded.
        """
        rule = type(self).__name__
        if not self._parameters:
            raise GradientError(f"{rule}.step(): no parameters. Pass model.parameters(), or use a Trainer.")
        if all([p.grad is None for p in self._parameters]):
            raise GradientError(f"{rule}.step(): no parameter has a gradient. Call loss.backward() first.")
        self.settle()
        with no_grad():
            for flat, state, rate in zip(self._flats, self._states, self._rates):
                g = flat.gather_grad().to(dtype=rate.dtype)
                if self.weight_decay:
                    g = self.decay(flat.data, g, rate)
                if self.counts_steps:
                    state["step"].add_(1)
                self.update(flat.data, g, state, rate)
                for parameter in flat.parameters:
                    parameter.overwritten()

    def decay(self, w: Tensor, g: Tensor, lr: Tensor) -> Tensor:
        """The gradient with the L2 penalty's share."""
        return g + self.weight_decay * w

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self._parameters:
            parameter.zero_grad()

    # --- saving -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The learning rate, and the memory as ``{"0.momentum": tensor, …}``, numbered as the parameters are."""
        memory: dict[str, Tensor] = {}
        order = {parameter: i for i, parameter in enumerate(self._parameters)}
        for flat, state in zip(self._flats, self._states):
            start = 0
            for parameter in flat.parameters:
                for name in state.keys() & set(self.memory):
                    memory[f"{order[parameter]}.{name}"] = state[name].narrow(0, start, parameter.size)
                if self.counts_steps:
                    memory[f"{order[parameter]}.step"] = state["step"]
                start += parameter.size
        return {"lr": self._lr, "memory": memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what ``state_dict`` gave, for the same parameters.

        Raises:
            ArgumentError: it belongs to another rule or other parameters; nothing has been changed then.
        """
        own = self.state_dict()["memory"]
        given = state["memory"]
        if own.keys() != given.keys() or any(own[k].size != getattr(given[k], "size", -1) for k in own):
            raise ArgumentError(
                f"this state does not fit {type(self).__name__} with {len(self._parameters)} parameters: it holds "
                f"{', '.join(list(given)[:6]) or 'nothing'}{' …' if len(given) > 6 else ''}."
            )
        self.lr = state["lr"]
        self._remember(given)

    def _remember(self, memory: dict[str, Any]) -> None:
        for name, place in self.state_dict()["memory"].items():
            if name in memory:
                place.load_(memory[name])

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name != "lr":
            recordings.outdate()  # a recorded step holds the old hyperparameter
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_settled": -1}  # a copy's parameters lie elsewhere

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}(lr={self._lr:g}{', ' + settings if settings else ''})"
