"""Rules that give each parameter a step length of its own: Adagrad, RMSprop, Adam, AdamW."""

from collections.abc import Iterable

from tinynet.optim.optimizer import Optimizer
from tinynet.parameter import Parameter
from tinynet.tensor import Tensor


class Adagrad(Optimizer):
    """s ← s + g², w ← w - lr · g / (√s + ε). Source: Duchi, Hazan and Singer, 2011."""

    memory = ("sum",)

    def __init__(
        self, params: Iterable[Parameter] | None = None, lr: float = 1e-2, weight_decay: float = 0.0, eps: float = 1e-10
    ) -> None:
        self.eps = self._checked("eps", eps)
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], lr: Tensor) -> None:
        """Steps shrink along directions that have moved much."""
        s = state["sum"].add_(g * g)
        w.sub_(lr * g / (s.sqrt() + self.eps))


class RMSprop(Optimizer):
    """s ← α s + (1 - α) g², w ← w - lr · g / (√s + ε); with momentum, v ← μ v + g / (√s + ε), w ← w - lr · v.

    Source: Tieleman and Hinton, Coursera lecture 6.5, 2012, in PyTorch's form.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | None = None,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        self.alpha = self._checked("alpha", alpha, below=1)
        self.eps = self._checked("eps", eps)
        self.momentum = self._checked("momentum", momentum)
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    @property
    def memory(self) -> tuple[str, ...]:  # type: ignore[override]
        """The running mean square and, with momentum, the running step."""
        return ("square", "momentum") if self.momentum else ("square",)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], lr: Tensor) -> None:
        """The gradient over its running root mean square."""
        s = state["square"].mul_(self.alpha).add_(g * g * (1 - self.alpha))
        step = g / (s.sqrt() + self.eps)
        if self.momentum:
            step = state["momentum"].mul_(self.momentum).add_(step)
        w.sub_(lr * step)


class Adam(Optimizer):
    """m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g², w ← w - lr · m̂ / (√v̂ + ε), m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ).

    Source: Kingma and Ba, *Adam: a method for stochastic optimization*, 2015.
    """

    memory = ("mean", "square")
    counts_steps = True

    def __init__(
        self,
        params: Iterable[Parameter] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.betas = (self._checked("beta1", betas[0], below=1), self._checked("beta2", betas[1], below=1))
        self.eps = self._checked("eps", eps)
        super().__init__(params, lr=lr, weight_decay=weight_decay)

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], lr: Tensor) -> None:
        """The running mean of the gradient over its running root mean square, both corrected for their start at 0."""
        b1, b2 = self.betas
        m = state["mean"].mul_(b1).add_(g * (1 - b1))
        v = state["square"].mul_(b2).add_(g * g * (1 - b2))
        t = state["step"]
        w.sub_(m * (lr / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + self.eps))


class AdamW(Adam):
    """Adam with the decay apart from the gradient: w ← w - lr · λ w, then Adam's step.

    Source: Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | None = None,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def decay(self, w: Tensor, g: Tensor, lr: Tensor) -> Tensor:
        """Shrink the parameters themselves; the gradient stays as it is."""
        w.sub_(w * (lr * self.weight_decay))
        return g
