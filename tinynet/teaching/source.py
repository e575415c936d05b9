"""Source that is shown: an experiment with all that it needs from its file, and the lines of the engine that did it.

Read, never imported: places are found in the syntax tree. Must not know pages.
"""

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tinynet
from tinynet.errors import ArgumentError

HOME = Path(tinynet.__file__).parent


@dataclass(frozen=True)
class Excerpt:
    """Some lines of a file: its path from the folder that holds tinynet and on this machine, what they are, and the
    number of the first."""

    path: str
    file: Path
    what: str
    line: int
    text: str


def experiment_source(function: Callable[..., Any], above: Sequence[Callable[..., Any]] = ()) -> str:
    """A function's source, and before it the imports, constants and functions of its file that it needs.

    What is shown can be run as it stands. What was shown with the functions ``above`` it is not shown again, but named.
    """
    module = inspect.getmodule(function)
    assert module is not None
    text = inspect.getsource(module)
    body = ast.parse(text).body
    needed, known = _needed(body, function.__name__), set[str]()
    for other in above:
        known |= _needed(body, other.__name__)
    parts: list[str] = []
    again, was = [], ""
    for node in body:
        names = [name for name in _names(node) if name in needed]
        new = [name for name in names if name not in known or name == function.__name__]
        if isinstance(node, ast.Import | ast.ImportFrom):
            shown, kind = _narrowed(node, set(new)), "import"
        else:
            again += [name for name in names if name not in new]
            shown, kind = _lines(text, node), "def" if isinstance(node, ast.FunctionDef | ast.ClassDef) else "name"
        if new:
            parts.append(("\n\n" if "def" in (kind, was) else "\n" if kind != was else "") if was else "")
            parts.append(shown + "\n")
            was = kind
    return (f"# with {', '.join(again)} from above\n" if again else "") + "".join(parts).rstrip()


def _needed(body: list[ast.stmt], name: str) -> set[str]:
    """A name and every name of the same file that its definition uses, directly or not."""
    defined = {name: node for node in body for name in _names(node)}
    needed, todo = {name}, [name]
    while todo:
        node = defined[todo.pop()]
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & defined.keys()
        todo += used - needed
        needed |= used
    return needed


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return []


def _narrowed(node: ast.stmt, used: set[str]) -> str:
    """An import with only the names that are used."""
    assert isinstance(node, ast.Import | ast.ImportFrom)
    names = [alias for alias in node.names if (alias.asname or alias.name).partition(".")[0] in used]
    narrowed = ast.Import(names) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, names, node.level)
    return ast.unparse(narrowed)


def _lines(text: str, node: ast.stmt) -> str:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def engine_lines(place: str) -> Excerpt:
    """The lines that a lesson points to.

    Args:
        place: ``"value.py: Value.backward"``: a file of tinynet, and a class, function, method or constant in it.

    Raises:
        ArgumentError: there is no such file, or nothing of that name in it.
    """
    file, _, what = (part.strip() for part in place.partition(":"))
    path = HOME / file
    if not path.is_file():
        path = HOME.parent / file  # backends stand beside the package in a checkout
    if not path.is_file() or not what:
        raise ArgumentError(f"{place!r}: there is no such file in tinynet. Write it as 'value.py: Value.backward'.")
    text = path.read_text(encoding="utf-8")
    nodes: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for name in what.split("."):
        found = next((node for node in nodes if name in _names(node)), None)
        if found is None:
            raise ArgumentError(f"{place!r}: {file} has no {what}.")
        nodes = getattr(found, "body", [])
    assert found is not None
    excerpt = _lines(text, found)
    return Excerpt(f"tinynet/{file}", path, what, found.lineno, excerpt)
