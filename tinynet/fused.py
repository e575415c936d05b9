"""Fused primitives: the same mathematics twice, once to be read and once to be fast."""

from typing import Any

from tinynet import primitives as p
from tinynet.primitives import Primitive, Rule


class Fused(Primitive):
    """A reference made of plain primitives, which people read, and one kernel, for speed.

    A backend that has no kernel of this name runs the reference (so does everything inside ``with tn.reference():``),
    and one test, generated for every entry of ``Fused.registry``, holds the two together, values and gradients.

    Args:
        name: the kernel's name.
        reference: ``reference(*inputs, **params)`` in Tensor operators.
        rules: as for Primitive; after the inputs a rule is also handed the ``saved`` arrays.
        saves: how many arrays the kernel returns after its result, kept for the gradient rules.
        once: its gradient cannot be differentiated in its turn, because a rule is a kernel without rules, or looks at
            what was saved.
        jointly: instead of rules, one for all inputs, where their gradients share most of the work: it returns a
            gradient, or None, for each.
    """

    registry: dict[str, "Fused"] = {}

    def __init__(
        self,
        name: str,
        reference: Rule,
        *rules: Rule | None,
        saves: int = 0,
        once: bool = False,
        jointly: Rule | None = None,
    ) -> None:
        super().__init__(name, None, *rules)
        self.reference, self.saves, self.once, self.jointly = reference, saves, once or saves > 0, jointly
        Fused.registry[name] = self


def _sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    new = x.ndim - len(shape)
    return p.sum(x, axis=tuple(i for i, n in enumerate(x.shape) if i < new or n != shape[i - new])).reshape(shape)


sum_to = Fused("sum_to", _sum_to, lambda g, out, x, shape: g.broadcast_to(x.shape))
"""What was broadcast from a shape, added up to that shape again: the gradient of broadcasting."""


def _assembled(x: Any, *parts: Any, indices: tuple[Any, ...]) -> Any:
    first, *others = [p.scatter_add(part, index=index, shape=x.shape) for part, index in zip(parts, indices)]
    for other in others:
        first = first + other
    return first


assemble = Fused(
    "assemble",
    _assembled,
    jointly=lambda g, out, x, *parts, indices: (None, *[p.gather(g, index=index) for index in indices]),
)
"""Parts in their places in an array like x, zeros elsewhere, what meets added up: the gradient of basic indexing."""


def assembled(x: Any, parts: list[tuple[Any, Any]], g: Any) -> Any:
    """The gradient of x from those of its parts, each with its index, and what else arrived (or None)."""
    gradients, indices = zip(*parts)
    if len(parts) == 1:
        whole = p.scatter_add(*gradients, index=indices[0], shape=x.shape)
    else:
        whole = assemble(x, *gradients, indices=indices)
    return whole if g is None else g + whole
