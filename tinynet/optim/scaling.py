"""Loss scaling: small gradients survive a half float's range when the loss, and so every gradient, is first made large.

The scale, and how many steps it has stood, lie beside the parameters and are changed there: no step waits for a number,
and a recorded one repeats all of it.
"""

from typing import Any

from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError, GradientError, TypeMismatch
from tinynet.functions import full, minimum, where
from tinynet.modes import no_grad, switched
from tinynet.optim.optimizer import Optimizer
from tinynet.staleness import recordings
from tinynet.tensor import Tensor

LARGEST = 3.4028234663852886e38  # of a float32


class GradScaler:
    """Scales the loss by a power of 2 that is as large as gradients allow, for training in float16.

    >>> scaler.scale(loss).backward()
    >>> scaler.step(optimizer)      # nothing is updated where a gradient is infinite or not a number
    >>> scaler.update()             # then the scale is halved; after 2,000 good steps it is doubled

    Args:
        init_scale: where the scale starts.
        growth_factor: what it is multiplied by after ``growth_interval`` steps without an overflow.
        backoff_factor: what it is multiplied by after one with an overflow.
        growth_interval: how many good steps in a row let it grow.
        enabled: with False everything is done as if there were no scaler.

    Raises:
        ArgumentError: a factor or an interval outside its range.

    Source: P. Micikevicius et al., *Mixed precision training*, 2018; PyTorch's ``torch.amp.GradScaler``.
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not (init_scale > 0 and growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
            raise ArgumentError(
                f"GradScaler({init_scale=}, {growth_factor=}, {backoff_factor=}, {growth_interval=}): the scale is "
                "above 0, it grows by a factor above 1, falls by one between 0 and 1, after one step at least."
            )
        self.growth_factor, self.backoff_factor = float(growth_factor), float(backoff_factor)
        self.growth_interval, self.enabled = int(growth_interval), enabled
        self._state: tuple[Tensor, Tensor] | None = None  # the scale, and how many good steps it has stood
        self._start = float(init_scale), 0.0
        self._finite: dict[Optimizer, Tensor] = {}  # since the last update, whose gradients were looked at

    def scale(self, loss: Any) -> Any:
        """The loss times the scale; of a list or tuple of losses each."""
        if isinstance(loss, list | tuple):
            return type(loss)(self.scale(each) for each in loss)
        if not self.enabled:
            return loss
        return loss * self._placed(loss)[0]

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide an optimiser's gradients by the scale now, for what looks at them before ``step``, such as clipping.

        Where one of them is infinite or not a number, all become 0: the step will be left out.

        Raises:
            GradientError: this was done since the last ``update``, or no loss was scaled.
            TypeMismatch: the parameters are half floats themselves, which are too coarse for small steps.
        """
        if not self.enabled:
            return
        if optimizer in self._finite:
            raise GradientError("unscale_() was called twice for this optimiser. Call update() after step().")
        if self._state is None:
            raise GradientError("there is no scale yet: call scaler.scale(loss).backward() first.")
        optimizer.settle()
        finite: Any = None
        with no_grad():
            inverse = 1 / self._state[0]
            for flat in optimizer.flats:
                if flat.data.dtype in HALVES:
                    raise TypeMismatch(
                        f"a GradScaler updates parameters of float32; these are {flat.data.dtype}. Keep the model in "
                        "float32 and compute inside tn.autocast()."
                    )
                g = flat.gather_grad()
                fine = (g.abs() <= LARGEST).amin()
                g.copy_(where(fine, g * inverse.to(dtype=g.dtype), 0.0))
                for parameter in flat.parameters:
                    if parameter.grad is not None:
                        parameter.grad = parameter.grad_place
                finite = fine if finite is None else minimum(finite, fine)
        self._finite[optimizer] = finite

    def step(self, optimizer: Optimizer) -> None:
        """``optimizer.step()`` on unscaled gradients; where one overflowed, parameters and memory stay as they are."""
        if not self.enabled:
            optimizer.step()
            return
        if optimizer not in self._finite:
            self.unscale_(optimizer)
        finite = self._finite[optimizer]
        changed = [t for name, t in optimizer.named_tensors() if name not in ("gradients", "lr")]
        before = [Tensor.of(t.backend.launch("copy", t.data), t.backend) for t in changed]
        optimizer.step()
        with no_grad():
            for tensor, old in zip(changed, before):
                tensor.copy_(where(finite, tensor, old))

    def update(self) -> None:
        """Change the scale by what the gradients were like since the last update.

        Raises:
            GradientError: no optimiser has stepped since.
        """
        if not self.enabled:
            return
        if not self._finite or self._state is None:
            raise GradientError("update() comes after step(optimizer): there is nothing to judge the scale by.")
        scale, steps = self._state
        finite, *others = self._finite.values()
        self._finite = {}
        with no_grad():
            for other in others:
                finite = minimum(finite, other)
            count = where(finite, steps + 1, 0.0)
            grown = count >= self.growth_interval
            larger = scale * where(grown, self.growth_factor, 1.0)
            scale.copy_(where(finite, where(larger <= LARGEST, larger, scale), scale * self.backoff_factor))
            steps.copy_(where(grown, 0.0, count))

    # --- state --------------------------------------------------------------------------------------------------------

    def get_scale(self) -> float:
        """The scale. On a GPU this waits for it to finish."""
        return self._now()[0] if self.enabled else 1.0

    def state_dict(self) -> dict[str, Any]:
        """The scale, how many good steps it has stood, and the settings."""
        scale, steps = self._now()
        return {
            "scale": scale,
            "growth_factor": self.growth_factor,
            "backoff_factor": self.backoff_factor,
            "growth_interval": self.growth_interval,
            "_growth_tracker": int(steps),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        for name in ("growth_factor", "backoff_factor", "growth_interval"):
            if getattr(self, name) != state[name]:
                setattr(self, name, state[name])
        self._start = float(state["scale"]), float(state["_growth_tracker"])
        self._finite = {}
        for tensor, number in zip(self._state or (), self._start):
            tensor.load_(number)

    def _now(self) -> tuple[float, float]:
        return (float(self._state[0]), float(self._state[1])) if self._state else self._start

    def _placed(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        """The state where the loss is: made there at first, and moved there when the model moved. It is no part of a
        step that is being recorded, but found there by it."""
        if self._state is None or self._state[0].backend is not loss.backend:
            with switched(recorder=None):
                scale, steps = (full((), number, "float32", loss.backend) for number in self._now())
            self._state = scale, steps
            recordings.outdate()
        return self._state

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            recordings.outdate()  # a recorded step holds the old setting
        super().__setattr__(name, value)
