"""Expressions written by a person, computed on Values: ``c = a*b; (c + 10).tanh()``.

The text is parsed by ``ast`` and walked here, node by node; only what stands in the tables below can happen, so nothing
that is typed can reach Python. Errors show the place. Must not know how a result is shown.
"""

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinynet import primitives as p
from tinynet.cli.parser import Parser, UsageError
from tinynet.errors import DomainError, did_you_mean
from tinynet.value import Value

DEEPEST, LONGEST = 100, 20_000

OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Value]] = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y,
    ast.Pow: lambda x, y: x**y,
}
FUNCTIONS: dict[str, Callable[..., Value]] = {
    name: getattr(Value, name)
    for name in ["tanh", "sigmoid", "relu", "leaky_relu", "softplus", "exp", "log", "sqrt", "sin", "cos", "erf", "abs"]
} | {"max": lambda x, y: Value.apply(p.maximum, x, y), "min": lambda x, y: Value.apply(p.minimum, x, y)}
WORDS = {  # what people write, and what it is called here
    ast.BitXor: "powers are written with **: x**2, not x^2",
    ast.FloorDiv: "whole-number division has no slope; write /",
    ast.Mod: "a remainder has no slope; there are + - * / and **",
    ast.MatMult: "there are single numbers here; write *",
}


class ExpressionParser(Parser):
    """An expression may begin with a minus sign, which argparse would take for an option."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As every command has it."""
        return super().parse_args([f" {w}" if re.match(r"-(?!-|h$)", w) else w for w in args or []], namespace)


def read_variables(words: Sequence[str]) -> dict[str, float]:
    """``a=2 b=-3`` as numbers by name. Raises ``UsageError`` where a word is none."""
    found: dict[str, float] = {}
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name.isidentifier():
            raise UsageError(
                f"after the expression come numbers for its names, such as a=2; got {word!r}. Is the expression in "
                "quotes?"
            )
        if name in found:
            raise UsageError(f"{name} is given twice. Give it once.")
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f"{name}= takes a number, such as {name}=2; got {text!r}.") from None
        if abs(found[name]) == float("inf") or found[name] != found[name]:
            raise UsageError(f"{name}= takes a finite number; got {text!r}.")
    return found


class Expression:
    """A text and the variables it may use.

    Args:
        text: expressions and assignments, separated by ``;`` or by lines; the last one is the result.
        variables: the numbers that names stand for.
    """

    def __init__(self, text: str, variables: Mapping[str, float]) -> None:
        self.lines = [line.strip() for line in text.strip().splitlines()]
        self.names = {name: Value(number, label=name) for name, number in variables.items()}
        self.given, self.used = set(self.names), set[str]()

    def value(self) -> Value:
        """Compute it; the graph behind the result is labelled with the names.

        Raises:
            UsageError: it cannot be read; the message shows where and what to write instead.
            DomainError: a function was asked for a value where it has none.
        """
        body = self._parse()
        result: Value | None = None
        for i, statement in enumerate(body):
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                if not isinstance(target, ast.Name):
                    raise self._wrong(target, "a result is given one name: c = a*b")
                result = self._visit(statement.value)
                if not result.label and target.id not in self.given:
                    result.label = target.id
                if target.id in self.given:
                    raise self._wrong(target, f"{target.id} has a number already; take another name for this")
                self.names[target.id] = result
            elif isinstance(statement, ast.Expr):
                if i < len(body) - 1:
                    raise self._wrong(statement, "this result goes nowhere: give it a name (c = …), or put it last")
                result = self._visit(statement.value)
            else:
                raise self._wrong(statement, "there are expressions and assignments here, such as c = a*b; c + 10")
        if result is None:
            raise UsageError('there is no expression. For example: tinynet explain "a*b + 10" a=2 b=-3')
        return result

    # --- reading ------------------------------------------------------------------------------------------------------

    def _parse(self) -> list[ast.stmt]:
        text = "\n".join(self.lines)
        if len(text) > LONGEST:
            raise UsageError(f"the expression has {len(text):,} characters; at most {LONGEST:,} are read.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except SyntaxError as error:
            raise self._wrong_syntax(error) from None
        except (RecursionError, MemoryError):
            raise self._too_deep() from None
        except ValueError as error:
            raise UsageError(f"the expression cannot be read: {error}.") from error
        level: list[ast.AST] = [tree]
        for _ in range(DEEPEST + 3):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
        if level:
            raise self._too_deep()
        return tree.body

    def _too_deep(self) -> UsageError:
        return UsageError(
            f"the expression is nested more than {DEEPEST} deep (a sum of many terms is, too). Write it in steps: "
            "c = …; d = c + …; …"
        )

    def _wrong_syntax(self, error: SyntaxError) -> UsageError:
        row = (error.lineno or 1) - 1
        line = self.lines[row] if row < len(self.lines) else ""
        at = (error.offset or 1) - 1
        what = (error.msg or "it cannot be read").partition(". Perhaps")[0]
        if "decimal literal" in what or (at and line[at - 1 : at + 1].isalnum() and what == "invalid syntax"):
            what += "; multiplication is written with *: 2*a"
        if "parentheses" in what and "too many" in what:
            return self._too_deep()
        return UsageError(self._marked(line, min(at, len(line)), 1, what))

    def _wrong(self, node: ast.AST, what: str) -> UsageError:
        return UsageError(self._place(node, what))

    def _place(self, node: ast.AST, what: str) -> str:
        line = self.lines[node.lineno - 1]  # type: ignore[attr-defined]
        start = len(line.encode()[: node.col_offset].decode())  # type: ignore[attr-defined]
        same = node.end_lineno == node.lineno  # type: ignore[attr-defined]
        end = len(line.encode()[: node.end_col_offset].decode()) if same else len(line)  # type: ignore[attr-defined]
        return self._marked(line, start, max(end - start, 1), what)

    @staticmethod
    def _marked(line: str, start: int, length: int, what: str) -> str:
        first = max(start - 50, 0)  # a long line is shown around the place
        shown, length = line[first : first + 100], min(length, 100 - (start - first))
        return f"{what}{'' if what.endswith('?') else '.'}\n\n  {shown}\n  {' ' * (start - first)}{'^' * length}"

    # --- computing ----------------------------------------------------------------------------------------------------

    def _visit(self, node: ast.expr) -> Value:
        try:
            if isinstance(node, ast.BinOp):
                return self._binary(node)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
                number = _literal(node)
                if number is not None:
                    return Value(number)
                operand = self._visit(node.operand)
                return -operand if isinstance(node.op, ast.USub) else operand
            if isinstance(node, ast.Constant):
                return Value(self._number(node))
            if isinstance(node, ast.Name):
                return self._name(node)
            if isinstance(node, ast.Call):
                return self._call(node)
        except DomainError as error:
            if "\n" in str(error):
                raise  # the place is in it
            raise DomainError(self._place(node, str(error).rstrip("."))) from None
        raise self._wrong(
            node, "this is no arithmetic. There are numbers, names, + - * / **, and " + ", ".join(FUNCTIONS)
        )

    def _binary(self, node: ast.BinOp) -> Value:
        operator = OPERATORS.get(type(node.op))
        if operator is None:
            raise self._wrong(node, WORDS.get(type(node.op), "there are the operators + - * / and **"))
        x = self._visit(node.left)
        if isinstance(node.op, ast.Pow) and (number := _literal(node.right)) is not None:
            return operator(x, int(number) if number.is_integer() and abs(number) < 1000 else number)
        return operator(x, self._visit(node.right))

    def _number(self, node: ast.Constant) -> float:
        number = _literal(node)
        if number is None:
            raise self._wrong(
                node, f"numbers are real and finite; {type(node.value).__name__} is of another kind or too large"
            )
        return number

    def _name(self, node: ast.Name) -> Value:
        if node.id in self.names:
            self.used.add(node.id)
            return self.names[node.id]
        if node.id in FUNCTIONS:
            raise self._wrong(node, f"{node.id} is a function: write {node.id}(x)")
        hint = did_you_mean(node.id, [*self.names, *(FUNCTIONS if len(node.id) > 2 else [])])
        hint = hint if len(hint) > 1 else f". Give it after the expression: {node.id}=2"
        raise self._wrong(node, f"there is no number for {node.id}{hint}")

    def _call(self, node: ast.Call) -> Value:
        if isinstance(node.func, ast.Attribute):
            name, given = node.func.attr, [node.func.value, *node.args]
        elif isinstance(node.func, ast.Name):
            name, given = node.func.id, list(node.args)
        else:
            raise self._wrong(node.func, "only functions can be called; write * for multiplication")
        if name not in FUNCTIONS:
            place = node.func if isinstance(node.func, ast.Name) else node
            raise self._wrong(
                place, f"there is no function {name}{did_you_mean(name, FUNCTIONS)} There are {', '.join(FUNCTIONS)}"
            )
        if node.keywords:
            raise self._wrong(node.keywords[0], "functions here take no named arguments")
        wanted = 2 if name in ("max", "min") else 1
        if len(given) != wanted and not (name == "leaky_relu" and len(given) == 2):
            raise self._wrong(node, f"{name} takes {wanted} argument{'s' if wanted > 1 else ''}; got {len(given)}")
        if name == "leaky_relu" and len(given) == 2:
            slope = _literal(given[1])
            if slope is None:
                raise self._wrong(given[1], "the slope of leaky_relu is a plain number, such as 0.01")
            return FUNCTIONS[name](self._visit(given[0]), slope)
        return FUNCTIONS[name](*[self._visit(x) for x in given])


def _literal(node: ast.expr) -> float | None:
    """The number that stands there, with its signs; None where it is no real finite number."""
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign *= -1.0 if isinstance(node.op, ast.USub) else 1.0
        node = node.operand
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return None
    try:
        number = sign * float(node.value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
