"""The name of each rule of the formula sheet, and the hint that goes with it, for those who compute along.

Separate because the page and the terminal must name a rule alike. A hint says what to do, not what comes out. Must not
know how anything is shown.
"""

from tinynet.explain.symbols import Symbol, Variable
from tinynet.explain.trace import Step
from tinynet.primitives import Primitive

RULES: dict[str, tuple[str, str]] = {
    "add": ("the sum rule", "A sum hands what arrives to each of its terms, unchanged."),
    "sub": ("the sum rule", "The first term gets what arrives, the second the same with its sign turned."),
    "mul": ("the product rule", "Each factor gets what arrives times the other factor."),
    "div": ("the quotient rule", "Divide what arrives by the divisor; the divisor gets minus that, times the result."),
    "neg": ("the sign rule", "A minus sign turns the sign of what arrives."),
    "pow": ("the power rule", "The exponent comes down as a factor, and the power is one less: y · x^(y − 1)."),
    "exp": ("the derivative of exp", "The exponential is its own derivative: multiply by the result."),
    "log": ("the derivative of log", "The slope of the logarithm is 1 / x: divide by the input."),
    "sqrt": ("the derivative of the square root", "Divide by twice the result."),
    "sin": ("the derivative of sine", "Multiply by the cosine of the input."),
    "cos": ("the derivative of cosine", "Multiply by minus the sine of the input."),
    "abs": ("the derivative of |x|", "Multiply by the sign of the input."),
    "erf": ("the derivative of erf", "Multiply by 2/√π · e^(−x²)."),
    "tanh": ("the derivative of tanh", "Multiply by 1 − result²."),
    "sigmoid": ("the derivative of the sigmoid", "Multiply by result · (1 − result)."),
    "relu": ("the derivative of ReLU", "Where the result is above 0 everything passes; elsewhere nothing does."),
    "leaky_relu": ("the derivative of the leaky ReLU", "Above 0 everything passes; below it, the slope times that."),
    "softplus": ("the derivative of softplus", "Multiply by the sigmoid of the input."),
    "maximum": ("the rule of the larger one", "The larger input gets everything, the other nothing; equals share."),
    "minimum": ("the rule of the smaller one", "The smaller input gets everything, the other nothing; equals share."),
    "clip": ("the rule of clipping", "Inside the bounds everything passes; outside nothing does."),
    "where": ("the rule of a choice", "What was chosen gets everything, the other nothing."),
}  # fmt: skip
CHAIN = ("the chain rule", "Multiply what arrives by the local derivative.")


def rule_of(primitive: Primitive | None) -> tuple[str, str]:
    """The rule's name, and a hint."""
    return RULES.get(primitive.name if primitive else "", CHAIN)


def from_digits(step: Step) -> float:
    """What a step hands on by the numbers as they are shown, to six digits: all that somebody who computes along has.

    Where a function is flat that is another number: 1 − result² of a tanh that is shown as 1.
    """
    rule = step.node.primitive and step.node.primitive.rule(step.i)
    shown = [float(f"{x:g}") for x in (step.upstream, step.node.value, *[x.value for x in step.node.parents])]
    try:
        return float(rule(*shown)) if rule else step.contribution
    except (ValueError, ArithmeticError, TypeError):
        return step.contribution


def templates(primitive: Primitive, inputs: int) -> tuple[Symbol, list[Symbol | None]]:
    """How an operation and its local derivatives are written, with the variables ``0``, ``1`` … for its inputs and
    ``out`` for its result; None for a derivative that cannot be written out."""
    xs = [Symbol(Variable(str(i), 0.0)) for i in range(inputs)]
    out = Symbol(Variable("out", 0.0))
    derivatives: list[Symbol | None] = []
    for i in range(inputs):
        rule = primitive.rule(i)
        try:
            derivatives.append(Symbol.of(rule(1.0, out, *xs)) if rule else Symbol(0.0))
        except (TypeError, AttributeError):
            derivatives.append(None)
    return Symbol.apply(primitive, *xs), derivatives
