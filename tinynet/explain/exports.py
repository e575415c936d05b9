"""The graph as text: DOT for Graphviz, Mermaid for Markdown pages, and an indented tree for a terminal.

Separate from the picture because here another program decides where things stand. Must not know files.
"""

from tinynet.explain.notation import number
from tinynet.explain.svg import left_out, sign
from tinynet.explain.trace import Node, nearest
from tinynet.explain.words import forward_sentence

DEEPEST = 12  # levels of indentation before the tree goes on from the margin


def to_dot(nodes: list[Node], limit: int | None) -> str:
    """The graph in Graphviz's language; ``dot -Tsvg`` draws it."""
    shown = nearest(nodes, limit)
    note = left_out(nodes, shown)
    lines = ["digraph tinynet {", "  rankdir=LR;", '  node [fontname="monospace", fontsize=11];']
    if note:
        lines.append(f"  label={_dot_string([note])};")
    kept = {node.id for node in shown}
    for node in shown:
        bold = ", penwidth=2" if node is nodes[-1] else ""
        lines.append(f"  v{node.id} [shape=box, style=rounded{bold}, label={_dot_string(_rows(node))}];")
        if node.parents:
            lines.append(f"  o{node.id} [shape=ellipse, label={_dot_string([sign(node)])}];")
            lines.append(f"  o{node.id} -> v{node.id};")
            lines += [f"  v{parent.id} -> o{node.id};" for parent in node.parents if parent.id in kept]
    return "\n".join([*lines, "}", ""])


def to_mermaid(nodes: list[Node], limit: int | None) -> str:
    """The graph in Mermaid's language, which GitHub and many notebooks draw inside Markdown."""
    shown = nearest(nodes, limit)
    note = left_out(nodes, shown)
    lines = ["flowchart LR"]
    if note:
        lines.append(f'  note["{_mermaid_text(note)}"]')
    kept = {node.id for node in shown}
    for node in shown:
        rows = "<br/>".join(map(_mermaid_text, _rows(node)))
        lines.append(f'  v{node.id}["{rows}"]')
        if node.parents:
            lines.append(f'  o{node.id}(("{_mermaid_text(sign(node))}"))')
            lines += [f"  v{parent.id} --> o{node.id}" for parent in node.parents if parent.id in kept]
            lines.append(f"  o{node.id} --> v{node.id}")
    return "\n".join([*lines, ""])


def to_tree(nodes: list[Node], limit: int | None) -> str:
    """The graph as an indented tree, the result at the top; what is used more than once is spelt out once."""
    shown = nearest(nodes, limit)
    kept, written = {node.id for node in shown}, set[int]()
    roots = [nodes[-1]]
    lines: list[str] = []
    for root in roots:  # grows: a branch that is too deep goes on from the margin
        pending = [(root, "", "", 0)]
        while pending:
            node, before, below, depth = pending.pop()
            again = node.id in written and bool(node.parents)
            deeper = not again and depth == DEEPEST and bool(node.parents)
            if again or deeper:
                lines.append(f"{before}{node.name}  ({'see above' if again else 'goes on below'})")
                roots += [node] if deeper and node not in roots else []
                continue
            written.add(node.id)
            lines.append(f"{before}{forward_sentence(node)}  (grad {number(node.gradient)})")
            parents = [x for x in dict.fromkeys(node.parents) if x.id in kept]
            for i, parent in reversed(list(enumerate(parents))):
                last = i == len(parents) - 1
                corner, line = ("└─ ", "   ") if last else ("├─ ", "│  ")
                pending.append((parent, below + corner, below + line, depth + 1))
    return "\n".join([*lines, *filter(None, [left_out(nodes, shown)])])


def _rows(node: Node) -> list[str]:
    label = [] if node.nameless else [node.name]
    return [*label, f"data {number(node.value)}", f"grad {number(node.gradient)}"]


def _dot_string(rows: list[str]) -> str:
    r"""In DOT a backslash begins an escape and ``&`` an entity; ``\n`` begins a new row."""
    escaped = [row.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for row in rows]
    return '"' + "\\n".join(escaped) + '"'


def _mermaid_text(text: str) -> str:
    """Every sign that Mermaid, Markdown or HTML could take for its own, as a character code."""
    plain = " .−×"
    return "".join(c if ord(c) > 127 or c.isalnum() or c in plain else f"#{ord(c)};" for c in text)
