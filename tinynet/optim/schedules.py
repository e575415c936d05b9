"""Schedules: how the learning rate changes from epoch to epoch, in PyTorch's names.

A schedule belongs to an optimiser and is stepped once an epoch (or once a batch, if you so choose):
``schedule = StepLR(optimizer, step_size=10)``; a Trainer takes ``schedule=StepLR(step_size=10)`` and binds it itself.
"""

import math
from typing import Any

from tinynet.errors import ArgumentError, TypeMismatch
from tinynet.optim.optimizer import Optimizer


class Schedule:
    """The base of every schedule. A subclass says by which factor the starting rate is multiplied after t steps.

    Attributes:
        moving: the names of the attributes that steps change; the others are settings.
    """

    moving: tuple[str, ...] = ("steps", "base_lr")

    def __init__(self, optimizer: Optimizer | None = None) -> None:
        self.steps = 0
        self.base_lr = 0.0
        self.optimizer = optimizer
        if optimizer is not None:
            self.bind(optimizer)

    def bind(self, optimizer: Optimizer) -> "Schedule":
        """Steer this optimiser; its present rate is the starting rate."""
        if not isinstance(optimizer, Optimizer):
            raise TypeMismatch(
                f"{type(self).__name__} steers an optimiser; got {optimizer!r:.60}. Name the other arguments: "
                "StepLR(step_size=10)."
            )
        self.optimizer, self.base_lr, self.steps = optimizer, optimizer.lr, 0
        self._apply()
        return self

    def factor(self, t: int) -> float:
        """What the starting rate is multiplied by after t steps."""
        raise NotImplementedError

    def step(self, metric: float | None = None) -> float:
        """Go one step on; returns the new rate. ``metric`` is for ReduceLROnPlateau."""
        self.steps += 1
        self._apply()
        assert self.optimizer is not None
        return self.optimizer.lr

    def _apply(self) -> None:
        if self.optimizer is None:
            raise ArgumentError(f"{type(self).__name__} steers no optimiser yet: bind(optimizer) first.")
        self.optimizer.lr = self.base_lr * self.factor(self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, as plain numbers."""
        return {k: v for k, v in vars(self).items() if k != "optimizer"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there.

        Raises:
            ArgumentError: it belongs to another kind of schedule; nothing has been changed then.
        """
        if state.keys() != self.state_dict().keys():
            raise ArgumentError(
                f"this state does not fit {type(self).__name__}: it holds {', '.join(state) or 'nothing'}."
            )
        vars(self).update(state)
        if self.optimizer is not None:
            self.optimizer.lr = self._rate()

    def _rate(self) -> float:
        return self.base_lr * self.factor(self.steps)


class ConstantLR(Schedule):
    """lr stays as it is."""

    def factor(self, t: int) -> float:
        """1."""
        return 1.0


class StepLR(Schedule):
    """lr · γ^⌊t / step_size⌋: a fall every step_size steps."""

    def __init__(self, optimizer: Optimizer | None = None, step_size: int = 10, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise ArgumentError(f"StepLR(step_size={step_size}): it must be at least 1.")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """γ^⌊t / step_size⌋."""
        return float(self.gamma ** (t // self.step_size))


class ExponentialLR(Schedule):
    """lr · γᵗ."""

    def __init__(self, optimizer: Optimizer | None = None, gamma: float = 0.95) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """γᵗ."""
        return float(self.gamma**t)


class CosineAnnealingLR(Schedule):
    """From lr down to eta_min along half a cosine in T_max steps, and back up after.

    Source: Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017.
    """

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        T_max: int = 10,
        eta_min: float = 0.0,
    ) -> None:
        if T_max < 1:
            raise ArgumentError(f"CosineAnnealingLR(T_max={T_max}): it must be at least 1.")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """η_min + (1 - η_min) (1 + cos(π t / T_max)) / 2, in parts of the starting rate."""
        low = self.eta_min / self.base_lr if self.base_lr else 0.0
        return low + (1 - low) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class WarmupLR(Schedule):
    """A linear rise from lr · start_factor to lr in warmup_steps steps, then another schedule, if one is given."""

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        warmup_steps: int = 5,
        start_factor: float = 0.1,
        then: Schedule | None = None,
    ) -> None:
        if warmup_steps < 1:
            raise ArgumentError(f"WarmupLR(warmup_steps={warmup_steps}): it must be at least 1.")
        if isinstance(then, ReduceLROnPlateau):
            raise ArgumentError("WarmupLR(then=ReduceLROnPlateau(…)): what follows a warm-up sees no metric.")
        self.warmup_steps, self.start_factor, self._then = warmup_steps, start_factor, then
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """The rise; after it, the other schedule counted from its own start."""
        if t < self.warmup_steps:
            return self.start_factor + (1 - self.start_factor) * t / self.warmup_steps
        if self._then is None:
            return 1.0
        self._then.base_lr = self.base_lr
        return self._then.factor(t - self.warmup_steps)

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, as plain numbers."""
        return {k: v for k, v in super().state_dict().items() if k != "_then"}


class ReduceLROnPlateau(Schedule):
    """lr · γ whenever a metric that should fall has not fallen for more than ``patience`` steps.

    Args:
        factor: γ.
        patience: how many steps without improvement are borne.
        threshold: by how much, relative to the best so far, a fall counts.
        min_lr: where to stop.
    """

    moving = ("steps", "base_lr", "best", "bad", "reduction")

    def __init__(
        self,
        optimizer: Optimizer | None = None,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau(factor={factor}): it must lie between 0 and 1.")
        self.gamma, self.patience, self.threshold, self.min_lr = factor, patience, threshold, min_lr
        self.best, self.bad, self.reduction = math.inf, 0, 1.0
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """The product of the reductions so far."""
        return max(self.reduction, self.min_lr / self.base_lr if self.base_lr else 0.0)

    def step(self, metric: float | None = None) -> float:
        """Judge the metric; reduce the rate if patience is at an end."""
        if metric is None:
            raise ArgumentError("ReduceLROnPlateau.step(metric) needs a number to watch, such as the validation loss.")
        if metric < self.best * (1 - self.threshold) if self.best < math.inf else metric < math.inf:
            self.best, self.bad = metric, 0
        else:
            self.bad += 1
        if self.bad > self.patience:
            self.reduction, self.bad = self.reduction * self.gamma, 0
        return super().step()
