"""LaTeX: read back as mathematics it must be the formula, and no label may become a command."""

import math
import re
from functools import reduce

import pytest
import support  # noqa: F401 - registers how random tests are drawn
from hypothesis import assume, given
from hypothesis import strategies as st

from tinynet import Value
from tinynet import primitives as p
from tinynet.errors import ArgumentError, DomainError
from tinynet.explain.latex import figure, name, to_latex
from tinynet.explain.notation import clean
from tinynet.explain.trace import trace
from tinynet.primitives import Primitive

SMALL = r"""\begin{align*}
a &= 2 \\
b &= -3 \\
v_{1} &= a \cdot b = 2 \cdot (-3) = -6 \\
v_{2} &= v_{1} + 10 = -6 + 10 = 4 \\
L &= \tanh(v_{2}) = \tanh(4) = 0.999329 \\
\frac{\partial L}{\partial L} &= 1 \\
\frac{\partial L}{\partial v_{2}} &\mathrel{+}= \frac{\partial L}{\partial L} \cdot (1 - L \cdot L) = 1 \cdot (1 - 0.999329 \cdot 0.999329) = 0.00134095 \\
\frac{\partial L}{\partial v_{1}} &\mathrel{+}= \frac{\partial L}{\partial v_{2}} \cdot 1 = 0.00134095 \cdot 1 = 0.00134095 \\
\frac{\partial L}{\partial 10} &\mathrel{+}= \frac{\partial L}{\partial v_{2}} \cdot 1 = 0.00134095 \cdot 1 = 0.00134095 \\
\frac{\partial L}{\partial a} &\mathrel{+}= \frac{\partial L}{\partial v_{1}} \cdot b = 0.00134095 \cdot (-3) = -0.00402285 \\
\frac{\partial L}{\partial b} &\mathrel{+}= \frac{\partial L}{\partial v_{1}} \cdot a = 0.00134095 \cdot 2 = 0.0026819
\end{align*}"""  # noqa: E501 - rows of LaTeX


def leaf(x=2.0, label="x"):
    return Value(x, label=label)


@pytest.mark.tiny
def test_the_two_line_example():
    loss = (leaf(2.0, "a") * leaf(-3.0, "b") + 10).tanh()
    loss.label = "L"
    assert to_latex(trace(loss)) == SMALL


X, Y = leaf(2.0, "x"), leaf(-3.0, "y")
LOCAL = r"\frac{\partial \mathrm{out}}{\partial \mathrm{out}} \cdot "


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "formula", "local"),
    [
        (lambda: X / Y, r"\frac{x}{y} = \frac{2}{-3}", r"\frac{1}{y}"),
        (lambda: X**3, r"x^{3} = 2^{3}", r"(3 \cdot x^{2})"),
        (lambda: Y**2, r"y^{2} = (-3)^{2}", r"(2 \cdot y)"),
        (lambda: leaf(1.5e20, "x") ** 1, r"x^{1} = (1.5 \times 10^{20})^{1}", "x^{0}"),
        (lambda: X**-0.5, r"x^{-0.5} = 2^{-0.5}", r"(-0.5 \cdot x^{-1.5})"),
        (lambda: X - Y, r"x - y = 2 - (-3)", "1"),
        (lambda: Y - X, r"y - x = -3 - 2", "1"),
        (lambda: -X, "-x", "(-1)"),
        (lambda: X.exp(), r"\exp(x) = \exp(2)", r"\mathrm{out}"),
        (lambda: X.log(), r"\ln(x) = \ln(2)", r"\frac{1}{x}"),
        (lambda: X.sqrt(), r"\sqrt{x} = \sqrt{2}", r"\frac{1}{2 \cdot \mathrm{out}}"),
        (lambda: X.cos(), r"\cos(x) = \cos(2)", r"(-\sin(x))"),
        (lambda: X.sigmoid(), r"\sigma(x) = \sigma(2)", r"(\mathrm{out} \cdot (1 - \mathrm{out}))"),
        (lambda: X.relu(), r"\operatorname{relu}(x) = \operatorname{relu}(2)", r"[\mathrm{out} > 0]"),
        (lambda: abs(Y), r"\left|y\right| = \left|-3\right|", r"\operatorname{sign}(y)"),
        (lambda: p.maximum(X, Y), r"\max(x, y) = \max(2, -3)", r"\frac{1 + \operatorname{sign}(x - y)}{2}"),
        (lambda: X.clip(-math.inf, 5),
         r"\operatorname{clip}(x, \mathrm{low} = -\infty, \mathrm{high} = 5) = "
         r"\operatorname{clip}(2, \mathrm{low} = -\infty, \mathrm{high} = 5)", r"[\mathrm{out} = x]"),
        (lambda: X.leaky_relu(0.1),
         r"\operatorname{leaky\_relu}(x, \mathrm{slope} = 0.1) = \operatorname{leaky\_relu}(2, \mathrm{slope} = 0.1)",
         r"\left(\begin{cases} 1 & \text{if } x > 0 \\ 0.1 & \text{else} \end{cases}\right)"),
    ],
)  # fmt: skip
def test_formulas(make, formula, local):
    text = to_latex(trace(make()))
    assert f"\\mathrm{{out}} &= {formula} = " in text
    assert f"&\\mathrel{{+}}= {LOCAL}{local} = 1 \\cdot " in text


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (2.0, "2"), (-0.5, "-0.5"), (1.5e-7, r"1.5 \times 10^{-7}"), (-1e20, r"-1 \times 10^{20}"), (-0.0, "0"),
        (math.inf, r"\infty"), (-math.inf, r"-\infty"), (math.nan, r"\mathrm{nan}"),
    ],
)  # fmt: skip
def test_numbers(x, text):
    assert figure(x)[0] == text


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("a", "a"), ("v12", "v_{12}"), ("w_2", "w_{2}"), ("loss", r"\mathrm{loss}"), ("loss_2", r"\mathrm{loss}_{2}"),
        ("hidden_size", r"\mathrm{hidden\_size}"), ("my loss", r"\text{(my loss)}"), ("50%", r"\text{50\%}"),
        (r"\input{x}", r"\text{\textbackslash{}input\{x\}}"), ("}$$&#", r"\text{(\}\$\$\&\#)}"), ("α", r"\text{α}"),
        ("a^b", r"\text{(a\textasciicircum{}b)}"), ("\u2068مرحبا\u2069", r"\text{مرحبا}"), ("", r"\text{}"),
    ],
)  # fmt: skip
def test_names(label, text):
    assert name(label) == text


# --- no label becomes a command ---------------------------------------------------------------------------------------

TEXT = {
    r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\textbar{}": "|", r"\ldots{}": "…", **{f"\\{c}": c for c in "{}$&#%_"},
}  # fmt: skip
COMMANDS = {
    r"\begin", r"\end", r"\cdot", r"\frac", r"\partial", r"\mathrel", r"\mathrm", r"\text", r"\\", r"\_", r"\times",
    r"\infty", r"\sigma",
}  # fmt: skip
LABELS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="\\{}$&#%_^~<>|[]*'\"`-− \n\x00aA1\u2068\u2069م", max_size=8),
    st.sampled_from([r"\input{/etc/passwd}", r"\end{align*}\write18{x}", "^^5cdef", r"}\\[9cm]{", "%", "9" * 10_000]),
)


def read_text(text):
    """What TeX would print of the inside of \\text{…}; fails at any special sign that is not escaped."""
    printed = ""
    while text:
        escape = next((x for x in TEXT if text.startswith(x)), "")
        assert escape or text[0] not in "\\{}$&#%_^~", f"unescaped: {text!r}"
        printed += TEXT[escape] if escape else text[0]
        text = text[len(escape) or 1 :]
    return printed


@given(LABELS)
def test_a_name_is_printed_as_it_is(label):
    text = name(label)
    if text.startswith(r"\text{"):
        printed = read_text(text.removeprefix(r"\text{").removesuffix("}"))
        label = re.sub("[\u2068\u2069]", "", label).replace("−", "-")
        assert printed in (label, f"({label})")
    else:
        assert re.fullmatch(r"[A-Za-z](_\{[0-9]+\})?|\\mathrm\{([A-Za-z0-9]|\\_)+\}(_\{[0-9]+\})?", text)


@given(LABELS, LABELS)
def test_labels_change_nothing_but_names(one, two):
    def written(one, two):
        c = leaf(2.0, one) * leaf(3.0, two)
        c.label = one
        return to_latex(trace((c + leaf()).sigmoid() * 1e-9))

    assume(clean(one) and clean(two))
    text = written(one, two)
    assert balanced(text)
    assert text.count("\n") == written("p", "q").count("\n")
    texts = r"\\text\{((?:\\[a-z]+\{\}|\\[^a-z]|[^\\{}])*)\}"
    for inside in re.findall(texts, text):
        read_text(inside)
    rest = re.sub(texts, "", text)
    assert set(re.findall(r"\\(?:[A-Za-z]+|.)", rest, re.DOTALL)) <= COMMANDS
    assert not re.search(r"(?<!\\)[$#%~]", rest)
    assert all(c.isprintable() or c in "\n\u200c\u200d" for c in text)


def balanced(text):
    text = re.sub(r"\\[{}\\]", "", text)
    depth = 0
    for c in text:
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    for opens, closes in [(r"\\left\b", r"\\right\b"), (r"\\begin\{", r"\\end\{")]:
        assert len(re.findall(opens, text)) == len(re.findall(closes, text))
    return depth == 0


# --- read back as mathematics -----------------------------------------------------------------------------------------

FUNCTIONS = {row: getattr(p, row).number for row in ("relu", "erf", "softplus", "sign", "clip", "leaky_relu")} | {
    "exp": p.exp.number, "ln": p.log.number, "sin": math.sin, "cos": math.cos, "tanh": math.tanh, "sqrt": math.sqrt,
    "sigma": p.sigmoid.number, "max": max, "min": min, "abs": abs, "where": p.where.number,
}  # fmt: skip


def as_python(text):
    """A formula of LaTeX as Python, with every bracket that LaTeX's layout stands for."""
    text = text.replace(r"\mathrm{out}", "out")
    text = re.sub(r"\\begin\{cases\} (.*?) & \\text\{if \} (.*?) \\\\ (.*?) & \\text\{else\} \\end\{cases\}",
                  lambda m: rf"\where({m[2].replace('=', '==')}, {m[1]}, {m[3]})", text)  # fmt: skip
    text = re.sub(r"\\left\|(.*?)\\right\|", r"\\abs(\1)", text)
    text = re.sub(r"\\mathrm\{(\w+)\} = ", r"\1 <- ", text)  # the name of a parameter
    text = re.sub(r"\[([^\]]*)\]", lambda m: "(" + re.sub(r" = ", " == ", m[1]) + ")", text)
    text = text.replace(r"\neq", "!=").replace(r"\geq", ">=").replace(r"\leq", "<=").replace("<-", "=")
    text = re.sub(r"\\operatorname\{([a-z_\\]+)\}", lambda m: "\\" + m[1].replace("\\_", "_"), text)
    text = text.replace(r"\left", "").replace(r"\right", "").replace(r"\cdot", "*").replace(r"\times", "*")
    text = text.replace("\\infty", "math.inf")
    text = re.sub(r"([a-z])_\{(\d+)\}", r"\1\2", text)
    while r"\frac" in text or "^{" in text or r"\sqrt{" in text:  # from the inside out
        before = text
        text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", text)
        text = re.sub(r"\^\{([^{}]*)\}", r"**(\1)", text)
        text = re.sub(r"\\sqrt\{([^{}]*)\}", r"\\sqrt(\1)", text)
        assert text != before, text
    return text.replace("\\", "")


BINARY = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x**y,
    p.maximum, p.minimum, lambda x, y: p.where(p.greater(x, y), x, y), p.less_equal, p.equal,
]  # fmt: skip
UNARY = [
    lambda x: x**2, lambda x: x**-1.5, lambda x: 2 - x, lambda x: 2**x, lambda x: -x, lambda x: x * -3,
    lambda x: x.leaky_relu(0.1), lambda x: x.clip(-1.0, 1.0), lambda x: abs(x), p.sign,
    *[(lambda x, name=name: getattr(x, name)())
      for name in ["exp", "log", "sqrt", "sin", "cos", "erf", "tanh", "sigmoid", "relu", "softplus"]],
]  # fmt: skip
NUMBERS = st.floats(-3, 3).map(lambda x: round(x, 2))


@given(NUMBERS, NUMBERS, st.sampled_from([*BINARY, *UNARY]))
def test_formulas_read_back_are_the_numbers(a, b, operation):
    x, y = leaf(a, "x"), leaf(b, "y")
    try:
        walk = trace(operation(x, y) if operation in BINARY else operation(x))
    except (DomainError, OverflowError):
        return
    rows = to_latex(walk).split(" \\\\\n")
    made = next(row for row in rows if row.startswith(r"\mathrm{out} &="))
    names = {node.name: node.value for node in walk.nodes if not node.nameless}
    for side in sides(made.partition("&= ")[2]):
        check(side, names, walk.root.value)
    for row, step in zip([row for row in rows if "mathrel" in row], walk.steps, strict=True):
        product, *_ = sides(row.partition(r"\mathrel{+}= ")[2].removesuffix("\n\\end{align*}"))
        if product != "0":
            assert product.startswith(LOCAL)
            check(product.removeprefix(LOCAL), names, step.local)


def sides(text):
    """An equation's sides; the equals signs inside brackets and cases are none of its own."""
    found, depth = [""], 0
    for token in re.split(r"(\\[a-z]+|[()\[\]{}]| = )", text):
        depth += (token in ("(", "[", "{", r"\begin")) - (token in (")", "]", "}", r"\end"))
        if token == " = " and not depth:
            found.append("")
        else:
            found[-1] += token
    return found


def check(text, names, expected):
    value = eval(as_python(text), FUNCTIONS | {"math": math}, names)
    assert value == pytest.approx(expected, rel=1e-4, abs=1e-9), f"{text} read as {as_python(text)} at {names}"


CHAINS = """
(a + b) * c; a - (b - c); a - b - c; a / (b * c); (a / b) / c; a / (b / c); a ** (b + c); (a ** b) ** 2; (a * c) ** 2
(-a) ** 2; -(a ** 2); -(a + b); -(a * b); a - (-b); a * (-b); a ** -b; (a / c) ** 2; a * (b > c); a * (c > b); -(-a)
p.tanh(a) ** 2 - p.where(a > b, c, 1); p.where(c, b, a) * 2; (1 + p.sign(a - b)) / 2 * c; p.exp(a / c) * p.sqrt(a) ** 3
2 ** a ** c; a + b * c - a * -2; (a - b) / (a + b); 1e-20 * a ** 1e-5 * b; (1e20 + a) ** 2; a + -(b * c); p.abs(b) ** a
"""


@pytest.mark.parametrize("written", CHAINS.strip().replace("\n", "; ").split("; "))
def test_brackets_stand_where_latex_needs_them(written):
    rule = eval(f"lambda g, out, a, b, c: {written}", {"p": p})
    odd = Primitive("odd", lambda *xs: 1.0, rule, rule, rule)
    walk = trace(Value.apply(odd, leaf(2.0, "a"), leaf(-3.0, "b"), leaf(0.5, "c")))
    text = to_latex(walk)
    row = next(row for row in text.split("\n") if "mathrel" in row)
    named, plugged = sides(row.partition(r"\mathrel{+}= ")[2].removesuffix(r" \\"))[:2]
    assert balanced(text)
    for side in (named.removeprefix(LOCAL), plugged):
        value = eval(as_python(side), FUNCTIONS | {"math": math}, {"a": 2.0, "b": -3.0, "c": 0.5})
        assert value == pytest.approx(walk.steps[0].local, rel=1e-4), side
    assert not re.search(r"[-+] ?-|\\cdot -", row)  # no sign follows a sign


# --- what is left out, what cannot be said ----------------------------------------------------------------------------

DEEP = [  # more brackets than Python reads, more terms than it or we can stack
    lambda x: reduce(lambda y, _: x - y, range(500), x),
    lambda x: reduce(lambda y, _: y + x, range(4_000), x),
    lambda x: reduce(lambda y, _: y + x, range(1_500), x),
]


def test_the_limit_says_what_was_left_out():
    x = leaf()
    for _ in range(300):
        x = (x * x).sin()
    text = to_latex(trace(x))
    assert text.count(r"\mathrel") == 200
    assert r"\mathrm{out} &= \sin(" in text
    assert r"&\text{\ldots{} 401 earlier values left out; limit= shows more}" in text
    assert r"&\text{\ldots{} 700 further steps left out; limit= shows more}" in text
    assert to_latex(trace(x), limit=None).count(r"\mathrel") == 900
    assert to_latex(trace(x), limit=1).count(r"\mathrel") == 1
    with pytest.raises(ArgumentError, match="limit="):
        to_latex(trace(x), limit=0)


@pytest.mark.parametrize("rule", DEEP)
def test_a_formula_beyond_the_parser_is_a_number(rule):
    text = to_latex(trace(Value.apply(Primitive("deep", lambda x: x, lambda g, out, x: rule(x)), leaf())))
    assert rf"&\mathrel{{+}}= {LOCAL}{rule(2.0):g} = " in text


def test_what_has_no_formula_is_a_number():
    odd = Primitive("odd", math.fabs, lambda g, out, x: g * math.fabs(x))
    assert r"&\mathrel{+}= \frac{\partial \mathrm{out}}{\partial \mathrm{out}} \cdot 2 = 1 \cdot 2 = 2" in to_latex(
        trace(Value.apply(odd, leaf()))
    )
    for op in ("}\\x", "a b", "=", "lambda", "", "\n"):
        text = to_latex(trace(Value(4.0, (leaf(),), op)))
        assert r"\mathrm{out} &= 4 \\" in text
        assert (r"&\mathrel{+}= 0" in text) == bool(op)
    x = leaf()
    y = x * 3
    x.data = 5.0
    assert r"= 5 \cdot 3 = 6 \quad \text{(from inputs that were changed since)} \\" in to_latex(trace(y))


def test_mathtext_reads_it():
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    x = leaf(1.5, "x")
    walk = trace(((x / 2 + leaf(-2e-9, "w_1")).sigmoid() * x**-2 + x.sqrt().log() - x.relu()).tanh())
    for row in to_latex(walk).split("\n")[1:-1]:
        text = row.removesuffix(r" \\").replace("&", "").replace(r"\mathrel{+}", "+")
        parser.parse(f"${text}$")
