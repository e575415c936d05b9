"""Losses: one number that says how wrong a batch of predictions is. Here those of classification; ``regression.py`` has
the others.

Each takes (prediction, target). A list or array as target moves to where the prediction is. ``reduction`` says what
becomes of the examples' losses: ``"mean"`` over all elements, ``"sum"``, ``"batchmean"`` (the sum over each example's
elements, the mean over examples), or ``"none"``.
"""

import math
from collections.abc import Sequence
from typing import Any

from tinynet import primitives as p
from tinynet.dtypes import HALVES
from tinynet.errors import ArgumentError, ShapeError, TypeMismatch
from tinynet.functions import arange, ones, where
from tinynet.fused import Fused
from tinynet.modes import mode
from tinynet.nn.activations import log_softmax
from tinynet.nn.module import Module, admitted
from tinynet.tensor import Tensor

REDUCTIONS = ("mean", "sum", "batchmean", "none")


class Loss(Module):
    """The base of every loss: what a target may be, and how examples are reduced to one number.

    Attributes:
        threshold: above which a single output means class 1.
        separable: whether the loss of a batch is the mean, or the sum, of its examples' losses, as threads want it.
        dim: the dimension of a prediction along which its classes lie.
    """

    threshold = 0.5
    dim = 1  # where the classes lie
    separable = True

    def __init__(self, reduction: str = "mean") -> None:
        if not isinstance(reduction, str):
            raise TypeMismatch(
                f"{type(self).__name__}(reduction={type(reduction).__name__}): make the loss first, then call it: "
                f"{type(self).__name__}()(prediction, target)."
            )
        if reduction not in REDUCTIONS:
            raise ArgumentError(f"{type(self).__name__}({reduction=}): choose one of {', '.join(REDUCTIONS)}.")
        self.reduction = reduction

    def __call__(self, prediction: Any, target: Any) -> Any:
        """The loss of a batch: ``forward``, with the target looked at and moved to where the prediction is."""
        prediction = prediction if isinstance(prediction, Tensor) else Tensor(prediction)
        if not prediction.is_floating_point():
            prediction = prediction.to(dtype=prediction.backend.default_dtype)
        elif mode.autocast and prediction.dtype in HALVES:
            prediction = prediction.to(dtype="float32")
        if not isinstance(target, Tensor) or (target.backend.is_host and mode.recorder is None):
            self.check_target(prediction, target)
        if not isinstance(target, Tensor):
            target = admitted(target, prediction)
        if target.is_floating_point():
            target = target.to(dtype=prediction.dtype)
        return super().__call__(prediction, target)

    def classes(self, prediction: Tensor) -> Tensor:
        """The class that each row of a prediction stands for: its largest output, or, for a single one, above 0.5."""
        if prediction.ndim == 2 and prediction.shape[1] > 1:
            return prediction.argmax(1)
        return (prediction > self.threshold).to(dtype="int64").reshape(-1)

    def target_classes(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The classes that a target names: as numbers, as one-hot rows, or, for a single output, as sides -1 and 1."""
        if target.ndim == 2 and target.shape[1] > 1:
            return target.argmax(1)
        single = prediction.ndim < 2 or prediction.shape[1] == 1
        return (target > 0).to(dtype="int64").reshape(-1) if single else target.reshape(-1)

    def counted(self, target: Tensor) -> Tensor | None:
        """Which parts of a target count, where the loss leaves some out; None where all do."""
        return None

    def check_target(self, prediction: Tensor, target: Any) -> None:
        """Refuse a class that the prediction has no output for, while looking is cheap: on the host, not recorded."""
        shape = prediction.shape
        known = shape[self.dim] if len(shape) > 1 else 1
        if known < 2 or getattr(target, "ndim", 1) != len(shape) - 1:
            return
        target = _looked_at(target)
        if target.ndim == len(shape) - 1 and not target.is_floating_point():
            counts, classes = self.counted(target), target.numpy()
            classes = classes if counts is None else classes[counts.numpy()]
            from_zero = classes.view(f"u{classes.itemsize}")  # in which a number below 0 is a very large one
            if classes.size and from_zero.max() >= known:
                raise ArgumentError(
                    f"{type(self).__name__} got classes {classes.min()} … {classes.max()}; a model with {known} "
                    f"outputs knows classes 0 … {known - 1}."
                )

    def _reduce(self, losses: Tensor, prediction: Tensor) -> Tensor:
        if self.reduction == "none":
            return losses
        if self.reduction == "mean":
            return losses.mean()
        examples = prediction.shape[0] if prediction.ndim else 1
        return losses.sum() if self.reduction == "sum" else losses.sum() / max(examples, 1)

    def _matched(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The target in the prediction's shape: classes as one-hot rows, a vector as a column."""
        if target.shape == prediction.shape:
            return target.to(dtype=prediction.dtype)
        if prediction.ndim == 2 and target.ndim == 1 and len(target) == len(prediction):
            if not target.is_floating_point() and prediction.shape[1] > 1:
                return _one_hot(target, prediction)
            if prediction.shape[1] == 1:
                return target.unsqueeze(1).to(dtype=prediction.dtype)
        raise ShapeError(
            f"{type(self).__name__} needs a target of the prediction's shape {prediction.shape}, or one class a row; "
            f"got {target.shape} {target.dtype}. Class numbers are integers: y.astype(int)."
        )

    def extra_repr(self) -> str:
        """The reduction, where it is not the mean."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


def _softmax_cross_entropy(x: Tensor, target: Tensor, mean: bool) -> Tensor:
    losses = -log_softmax(x, dim=-1)[arange(len(x), backend=x.backend), target]
    return losses.mean() if mean else losses


softmax_cross_entropy = Fused(
    "softmax_cross_entropy",
    _softmax_cross_entropy,
    lambda g, out, x, target, slope, mean: slope * (g / len(x) if mean else g.unsqueeze(1)),
    None,
    saves=1,
)


class CrossEntropyLoss(Loss):
    """-log softmax(x)[class], on logits: the model ends without a Softmax.

    Shapes: prediction (batch, classes) or, with a class for each pixel or step, (batch, classes, …); target (batch, …)
    integers below classes, or probabilities in the prediction's own shape.

    Args:
        label_smoothing: ε in 0 … 1; the target becomes (1 - ε) · target + ε / classes.
        weight: a number for each class, by which its losses count; a mean over class numbers divides by their sum.
        ignore_index: a class number that does not count, such as padding. None leaves nothing out (PyTorch: -100).
        dim: where the classes lie: 1, or -1 for (batch, steps, classes) as language models give them.

    Raises:
        ArgumentError: a class number outside 0 … classes - 1, where the target can be looked at: on the host, outside a
            recorded step.
    """

    def __init__(
        self,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        weight: Sequence[float] | None = None,
        ignore_index: int | None = None,
        dim: int = 1,
    ) -> None:
        super().__init__(reduction)
        if not isinstance(label_smoothing, int | float) or not 0 <= label_smoothing <= 1:
            raise ArgumentError(f"CrossEntropyLoss({label_smoothing=}): it is a number between 0 and 1.")
        if dim not in (1, -1):
            raise ArgumentError(f"CrossEntropyLoss({dim=}): classes lie in dimension 1 or -1.")
        if ignore_index is not None and not hasattr(ignore_index, "__index__"):
            raise ArgumentError(f"CrossEntropyLoss({ignore_index=}): it is a class number.")
        self.label_smoothing, self.ignore_index = label_smoothing, ignore_index
        if dim != self.dim:  # to set what has a value already would outdate every recorded step
            self.dim = dim
        try:
            self.weight = None if weight is None else tuple(float(w) for w in weight)
        except (TypeError, ValueError):
            raise TypeMismatch(f"CrossEntropyLoss(weight=) is a number for each class; got {weight!r:.60}.") from None

    @property
    def separable(self) -> bool:  # type: ignore[override]
        """Not where a mean divides by what the examples of a batch weigh together."""
        return self.reduction != "mean" or (self.weight is None and self.ignore_index is None)

    def classes(self, prediction: Tensor) -> Tensor:
        """The class with the largest output, for each example, pixel or step."""
        return prediction.argmax(self.dim)

    def target_classes(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The classes that a target names, as numbers or as probabilities."""
        return target if target.ndim < prediction.ndim else target.argmax(self.dim)

    def counted(self, target: Tensor) -> Tensor | None:
        """All but ``ignore_index``."""
        return None if self.ignore_index is None or target.is_floating_point() else target != self.ignore_index

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, classes, …), (batch, …) or (batch, classes, …) -> one number."""
        every = prediction.shape
        if len(every) < 2:
            raise ShapeError(f"CrossEntropyLoss needs logits (batch, classes); got {every}.")
        logits, count = self._rows(prediction), every[self.dim]
        shape = (every[0], *every[2:]) if self.dim == 1 else every[:-1]
        if self.weight is not None and len(self.weight) != count:
            raise ShapeError(f"CrossEntropyLoss(weight=) has {len(self.weight)} numbers for {count} classes.")
        given = target.shape
        if given == every:
            smooth = self.label_smoothing
            wanted = self._rows(target).to(dtype=logits.dtype) * (1 - smooth) + smooth / count
            losses, share = self._against(logits, wanted), None
        elif given == shape and not target.is_floating_point():
            losses, share = self._against_classes(logits, target if len(given) == 1 else target.reshape(-1))
            if not losses.ndim:
                return losses
        else:
            last = " For classes in the last dimension: CrossEntropyLoss(dim=-1)." if len(every) > 2 else ""
            raise ShapeError(
                f"CrossEntropyLoss got predictions {every} and targets {given} {target.dtype}; it "
                f"needs classes {shape}, integers: y.astype(int), or probabilities {every}."
                + (last if self.dim == 1 else "")
            )
        if self.reduction == "mean" and share is not None:
            return losses.mean() / share.mean()  # as sums, but within the range of a float16
        return self._reduce(losses.reshape(shape), prediction)

    def _rows(self, x: Tensor) -> Tensor:
        """(batch, classes, …) -> (all examples, pixels or steps, classes)."""
        if self.dim == 1 and x.ndim > 2:
            x = x.permute(0, *range(2, x.ndim), 1)
        return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])

    def _against(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Each row's loss against what is wanted of each class, (rows, classes)."""
        wanted = wanted if self.weight is None else wanted * self._weights(logits)
        return -(wanted * log_softmax(logits, dim=-1)).sum(1)

    def _against_classes(self, logits: Tensor, classes: Tensor) -> tuple[Tensor, Tensor | None]:
        """Each row's loss against a class number, and how much the row counts; None where all count alike. In the
        usual case, a mean over rows that all count alike, this mean at once."""
        classes = classes.to(dtype="int64") if classes.dtype == "bool" else classes  # as an index, bools choose rows
        counts = self.counted(classes)
        if counts is not None:
            classes = where(counts, classes, 0)
        alike = counts is None and self.weight is None and not self.label_smoothing
        if alike and self.reduction == "mean" and classes.size:
            return softmax_cross_entropy(logits, classes, mean=True), None
        losses, share = softmax_cross_entropy(logits, classes, mean=False), None
        if self.weight is not None:
            share = self._weights(logits)[classes]
            losses = losses * share
        if self.label_smoothing:
            every = self._against(logits, ones(1, dtype=logits.dtype, backend=logits.backend))
            losses = losses * (1 - self.label_smoothing) + every * (self.label_smoothing / logits.shape[1])
        if counts is not None:
            losses, counts = where(counts, losses, 0), counts.to(dtype=losses.dtype)
            share = counts if share is None else share * counts
        return losses, share

    def _weights(self, logits: Tensor) -> Tensor:
        return Tensor(list(self.weight or ()), logits.dtype, backend=logits.backend)


class BCEWithLogitsLoss(Loss):
    """-[y log σ(x) + (1 - y) log(1 - σ(x))] = softplus(x) - x y, on logits: the model ends without a Sigmoid.

    Shapes: prediction and target alike; classes are taken as one-hot rows. With ``reduction="batchmean"`` it is the
    cross-entropy cost of Nielsen's chapter 3.
    """

    threshold = 0.0

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, …), (batch, …) -> one number."""
        return self._reduce(prediction.softplus() - prediction * self._matched(prediction, target), prediction)


class BCELoss(Loss):
    """-[y log a + (1 - y) log(1 - a)] on probabilities 0 < a < 1, as they come out of a Sigmoid.

    Logarithms are held above -100, as in PyTorch. BCEWithLogitsLoss is the safer form.
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch, …), (batch, …) -> one number."""
        tiny = {"float16": 6.2e-5, "float64": 3.720075976020836e-44}.get(prediction.dtype, 1.2e-38)  # e^-100, or least
        target = self._matched(prediction, target)
        yes, no = (Tensor.apply(p.maximum, a, tiny).log() for a in (prediction, 1 - prediction))
        return self._reduce(-(target * yes + (1 - target) * no), prediction)


class HingeLoss(Loss):
    """max(0, 1 - y s) for a score s and a side y of -1 or 1 (0 counts as -1): the loss of support vector machines.

    Shapes: prediction (batch,) or (batch, 1); target (batch,) or (batch, 1).
    """

    threshold = 0.0

    def check_target(self, prediction: Tensor, target: Any) -> None:
        """Refuse what is no side, while looking is cheap."""
        odd = [x for x in _looked_at(target).reshape(-1).tolist() if x not in (-1, 0, 1)]
        if odd:
            raise TypeMismatch(f"HingeLoss needs targets of -1 and 1, or of 0 and 1; got {odd[0]!r}.")

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(batch,), (batch,) -> one number."""
        if target.size != prediction.size:
            raise ShapeError(f"HingeLoss needs a target for each score; got {target.shape} for {prediction.shape}.")
        target = target.to(dtype=prediction.dtype).reshape(prediction.shape)
        side = (target > 0).to(dtype=prediction.dtype) * 2 - 1
        return self._reduce((1 - side * prediction).relu(), prediction)


def l2_penalty(model: Module, weight: float) -> Any:
    """λ/2 Σ w² over a model's weights (not its biases), to be added to a loss."""
    return sum((w * w).sum() for w in model.parameters() if w.ndim > 1) * (weight / 2)


def _one_hot(classes: Tensor, prediction: Tensor) -> Tensor:
    """(rows,) class numbers -> (rows, classes) of 0 and 1, in the prediction's element type."""
    columns = arange(prediction.shape[1], backend=classes.backend)
    known = columns[classes.to(dtype="int64")]  # a class that does not exist is noticed here
    return (known.unsqueeze(1) == columns).to(dtype=prediction.dtype)


def _looked_at(target: Any) -> Tensor:
    return target if isinstance(target, Tensor) else Tensor(target, backend="numpy")
