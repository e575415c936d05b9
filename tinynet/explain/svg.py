"""The picture: every value a box with its name, number and gradient, every operation a circle, as one SVG.

The style is that of Andrej Karpathy's micrograd drawings. The colours are Okabe and Ito's, which colour-blind readers
can tell apart, and nothing is said by colour alone. Must not know how gradients are found or where things stand.
"""

from dataclasses import dataclass
from html import escape

from tinynet.explain.layout import Box, Point, layout
from tinynet.explain.notation import clip, columns, counted, number
from tinynet.explain.trace import Node, nearest
from tinynet.explain.words import forward_sentence

MARGIN, LINE, CHARACTER = 16.0, 17.0, 7.4  # of the picture; of a row of text; of a fixed-width character at 12 px
ROUND, LABEL = 28.0, 18  # an operation's height; the longest label in a box, in characters
SIGNS = {"*": "×", "-": "−"}

STYLE = """
.tinynet-graph{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.tinynet-graph .ground{fill:#fff}
.tinynet-graph text{fill:#1f2328;text-anchor:middle;dominant-baseline:central;white-space:pre}
.tinynet-graph .note{text-anchor:start}
.tinynet-graph .name{font-weight:700}
.tinynet-graph .value{fill:#f6f8fa;stroke:#57606a}
.tinynet-graph .leaf{fill:#e7f2fa;stroke:#0072b2}
.tinynet-graph .result{fill:#fdf0e2;stroke:#b34700;stroke-width:2.5}
.tinynet-graph .operation{fill:#fff;stroke:#57606a}
.tinynet-graph .edge{fill:none;stroke:#57606a}
.tinynet-graph .cut{stroke-dasharray:3 3}
.tinynet-graph .head{fill:#57606a}
@media (prefers-color-scheme:dark){
.tinynet-graph .ground{fill:#0d1117}
.tinynet-graph text{fill:#e6edf3}
.tinynet-graph .value{fill:#1c2128;stroke:#8b949e}
.tinynet-graph .leaf{fill:#10273a;stroke:#56b4e9}
.tinynet-graph .result{fill:#33230b;stroke:#e69f00}
.tinynet-graph .operation{fill:#0d1117;stroke:#8b949e}
.tinynet-graph .edge{stroke:#8b949e}
.tinynet-graph .head{fill:#8b949e}
}
""".strip().replace("\n", "")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A box or a circle of the picture: the node it shows, or whose operation it shows."""

    node: Node
    is_operation: bool

    @property
    def rows(self) -> list[str]:
        """The lines of text inside."""
        if self.is_operation:
            return [sign(self.node)]
        label = [] if self.node.nameless else [clip(self.node.name, LABEL)]
        return [*label, f"data {number(self.node.value)}", f"grad {number(self.node.gradient)}"]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        width = max(columns(row) for row in self.rows) * CHARACTER
        if self.is_operation:
            return max(ROUND, width + 16), ROUND
        return width + 22, len(self.rows) * LINE + 10


def sign(node: Node) -> str:
    """The sign of the operation that made a node: ×, +, tanh."""
    primitive = node.primitive
    return clip(SIGNS.get(primitive.symbol, primitive.symbol) if primitive else "?", LABEL)


def left_out(nodes: list[Node], shown: list[Node]) -> str:
    """What a picture of ``shown`` does not show; empty where it shows everything."""
    if len(nodes) == len(shown):
        return ""
    missing = f"{len(nodes) - len(shown):,} more left out (limit= shows more)"
    return f"The {len(shown):,} values nearest {nodes[-1].name}; {missing}."


def describe(nodes: list[Node]) -> str:
    """The picture in one sentence, for those who do not see it."""
    operations = sum(bool(node.parents) for node in nodes)
    return f"The graph of {nodes[-1].name}: {counted(len(nodes), 'value')}, {counted(operations, 'operation')}."


def to_svg(nodes: list[Node], limit: int | None) -> str:
    """The graph as one self-contained SVG element, of at most ``limit`` values."""
    shown = nearest(nodes, limit)
    note = left_out(nodes, shown)
    drawn, edges = _parts(shown)
    places = layout([part.size for part in drawn], edges)
    cut = 0.0 if len(shown) == len(nodes) else 24.0
    width = max(places.width + 2 * MARGIN + cut, columns(note) * CHARACTER + 2 * MARGIN)
    height = places.height + 2 * MARGIN + (LINE + 8 if note else 0)
    title = escape(describe(nodes))
    kept = {node.id for node in shown}
    body = [_arrow(route) for route in places.routes]
    body += [_stub(box) for part, box in zip(drawn, places.boxes) if _is_cut(part, kept)]
    body += [_shape(part, box, nodes[-1]) for part, box in zip(drawn, places.boxes)]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tinynet-graph" role="img" aria-label="{title}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<title>{title}</title>",
        f"<desc>{escape('; '.join(forward_sentence(node) for node in shown[-40:]))}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{width:.0f}" height="{height:.0f}"/>',
        f'<g transform="translate({MARGIN + cut:.0f} {MARGIN:.0f})">',
        *body,
        "</g>",
        *([f'<text class="note" x="{MARGIN:.0f}" y="{height - MARGIN:.1f}">{escape(note)}</text>'] if note else []),
        "</svg>",
    ]
    return "\n".join(lines)


def _parts(shown: list[Node]) -> tuple[list[Drawn], list[tuple[int, int]]]:
    """What is drawn, each after what leads to it, and the arrows by index."""
    drawn: list[Drawn] = []
    edges: list[tuple[int, int]] = []
    index: dict[int, int] = {}
    for node in shown:
        if node.parents:
            edges += [(index[x.id], len(drawn)) for x in node.parents if x.id in index]
            edges.append((len(drawn), len(drawn) + 1))
            drawn.append(Drawn(node, True))
        index[node.id] = len(drawn)
        drawn.append(Drawn(node, False))
    return drawn, edges


def _is_cut(part: Drawn, kept: set[int]) -> bool:
    return part.is_operation and any(x.id not in kept for x in part.node.parents)


def _shape(part: Drawn, box: Box, root: Node) -> str:
    """A box or a circle with its text, and its sentence as a tooltip."""
    kind = "value result" if part.node is root else "value" if part.node.parents else "value leaf"
    radius = ROUND / 2 if part.is_operation else 7
    top = box.y - (len(part.rows) - 1) * LINE / 2
    texts = [
        f'<text class="{"name" if i < len(part.rows) - 2 else "row"}" x="{box.x:.1f}" y="{top + i * LINE:.1f}">'
        f"{escape(row)}</text>"
        for i, row in enumerate(part.rows)
    ]
    return (
        f"<g><title>{escape(forward_sentence(part.node))}</title>"
        f'<rect class="{"operation" if part.is_operation else kind}" x="{box.x - box.width / 2:.1f}" '
        f'y="{box.y - box.height / 2:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:g}"/>'
        f"{''.join(texts)}</g>"
    )


def _arrow(route: list[Point]) -> str:
    """A line through the points, curved wherever it changes its height, with an arrowhead at its end."""
    (x, y), *rest = route
    path = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        middle = (x + to_x) / 2
        curve = f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        path.append(f"H{to_x:.1f}" if to_y == y else curve)
        x, y = to_x, to_y
    return f'<path class="edge" d="{"".join(path)}"/><path class="head" d="M{x:.1f} {y:.1f}l-7 -3.5v7z"/>'


def _stub(box: Box) -> str:
    """A dashed line from below, for the arrows that were left out."""
    x, y = box.x - box.width / 2, box.y + box.height / 2
    return f'<path class="edge cut" d="M{x - 14:.1f} {y + 6:.1f}L{x + ROUND / 2:.1f} {box.y:.1f}"/>'
