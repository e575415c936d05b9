"""Where a learner stands in backpropagation, and the answers given: the state of ``tinynet explain --step``.

A ``Walk`` is the place, a ``Quiz`` the answers of ``--predict``. Must not know keys, lines or terminals.
"""

from math import isfinite
from typing import NamedTuple

from tinynet.cli.expressions import Expression
from tinynet.cli.parser import UsageError
from tinynet.errors import DomainError
from tinynet.explain.hints import from_digits, rule_of
from tinynet.explain.notation import number
from tinynet.explain.trace import Node, Step, Trace
from tinynet.explain.words import slope

CLOSE = 0.01  # an answer's relative tolerance: two digits show that the rule is understood


class Walk:
    """Where one stands: so many values are computed, so many gradients handed on.

    Attributes:
        values: the nodes that are computed one by one; a constant is known from the start.
        seed: the position of d out/d out = 1, after those of the values and before those of the steps.
        position: from 1 to ``last``.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.values = [node for node in trace.nodes if not node.nameless]
        self.seed = len(self.values) + 1
        self.last = self.seed + len(trace.steps)
        self.position = 1

    def go(self, position: int) -> None:
        """Go there, or as near as there is a position."""
        self.position = min(max(position, 1), self.last)

    @property
    def step(self) -> Step | None:
        """The step of the chain rule at hand."""
        return self.trace.steps[self.position - self.seed - 1] if self.position > self.seed else None

    @property
    def at_hand(self) -> list[Node]:
        """The node at hand; in a step of the chain rule, the one that hands on and the one that receives."""
        if self.step:
            return [self.step.node, self.step.parent]
        return [self.values[self.position - 1] if self.position < self.seed else self.trace.root]

    def value(self, node: Node) -> float | None:
        """Its value, once computed."""
        computed = self.position >= self.seed or node.id <= self.values[self.position - 1].id
        return node.value if computed or node.nameless else None

    def gradients(self, revealed: bool = True) -> dict[int, float]:
        """The gradients so far, by the node's id: with what the step at hand adds, or without."""
        if self.position < self.seed:
            return {}
        done = self.trace.steps[: self.position - self.seed - (not revealed)]
        return {self.trace.root.id: 1.0} | {step.parent.id: step.total for step in done}


class Reply(NamedTuple):
    """What is said to an answer, and whether it was right; None where it is shown."""

    text: str
    right: bool | None = False


class Quiz:
    """The answers: how often each step was answered wrong, and which were right at first try."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.wrong: dict[int, int] = {}
        self.at_first: dict[int, bool] = {}

    def is_question(self, position: int) -> bool:
        """Whether something is left to be answered there; nobody can type what is not finite."""
        i = position - self.walk.seed - 1
        return i >= 0 and position not in self.at_first and isfinite(self.walk.trace.steps[i].contribution)

    @property
    def score(self) -> str:
        """So many right at first try; of all that is asked."""
        left = sum(map(self.is_question, range(self.walk.last + 1)))
        more = f", {left} not answered." if left else "."
        return f"Right at first try: {sum(self.at_first.values())} of {len(self.at_first) + left}{more}"

    def answer(self, text: str) -> Reply:
        """Mark an answer to the question at hand; an empty one asks for the solution."""
        step, at = self.walk.step, self.walk.position
        assert step
        tries, x = self.wrong.get(at, 0), _computed(text)
        if x is None and not text and tries >= 2:
            self.at_first[at] = False
            return Reply("Shown, and not counted as right.", right=None)
        if x is None:
            point = ", with a point for the decimals" if "," in text else ""
            what = "That cannot be computed. " if text else ""
            return Reply(f"{what}Type a number{point}: -0.75, -3/4 or 0.5*3. Then Enter.")
        if any(_near(x, right) for right in (step.contribution, from_digits(step))):
            self.at_first[at] = not tries
            return Reply("Right.", right=True)
        self.wrong[at] = tries + 1
        if _near(x, step.total):
            hint = "That is the new running total. Asked is only what this step adds to it: upstream × local."
        else:
            sign = _near(-x, step.contribution)
            hint = f"{'Right but for its sign' if sign else 'Not quite'}. {_hint(step)}"
        return Reply(hint + (" Enter shows it." if tries else " Try again."))


# --- the answers ------------------------------------------------------------------------------------------------------


def _computed(text: str) -> float | None:
    """The number that was typed, or that its arithmetic gives; None where there is none."""
    try:
        x = Expression(text.replace("−", "-").replace("×", "*").replace("·", "*"), {}).value().data
    except (UsageError, DomainError):
        return None
    return x if isfinite(x) else None


def _near(x: float, right: float) -> bool:
    return abs(x - right) <= CLOSE * abs(right) or number(x) == number(right)


def link(step: Step) -> str:
    """``d c/d a``, the slope that a step multiplies by; with the input's number where ``a`` is several of them."""
    place = f" (input {step.i + 1})" if step.node.parents.count(step.parent) > 1 else ""
    return slope(step.node.name, step.parent.name) + place


def _hint(step: Step) -> str:
    rule, _ = rule_of(step.node.primitive)
    local = f"{link(step)} = {step.formula.printed()}" if step.formula is not None else link(step)
    return f"{rule[:1].upper()}{rule[1:]}: {local}; times what arrives, {number(step.upstream)}."
