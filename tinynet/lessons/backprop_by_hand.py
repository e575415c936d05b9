"""Backprop by hand: slopes multiply along a path, and paths add up; so the order must be topological."""

import numpy as np

import tinynet as tn
from tinynet import Value
from tinynet.teaching import Check, Experiment, Lesson, Number, Slider
from tinynet.teaching.pictures import PAPER


def tree(a):
    b = 2 * a
    return b, 3 * b


def doubled(a):
    b = a + a
    return b, b + b


def forked(a):
    b, c = tree(a)
    return b, c, b + c


GRAPHS = {
    "b = 2a, c = 3b": tree,
    "b = a + a, c = b + b": doubled,
    "b = 2a, c = 3b, d = b + c": forked,
}
TREE, DOUBLED, FORKED = GRAPHS
WAYS = ("once", "every time", "in turn", "topological")
BOX = {"boxstyle": "round", "fc": PAPER, "ec": "gray"}


def forward(w, b, x, y):
    """One neuron a layer: z = w·a + b and a = σ(z), from a₀ = x; then C = (a₃ − y)²."""
    a = [Value(x, label="x")]
    for k in (1, 2, 3):
        a.append((w[k] * a[k - 1] + b[k]).sigmoid())
    return a, (a[3] - y) ** 2


def one_weight(weight=1, x=1.0, y=0.0, seed=0):
    """dC/dw of one weight: by hand, by the engine, and by nudging that weight."""
    rng = np.random.default_rng(seed)
    w, b = ([Value(v, label=name) for v in rng.normal(0, 1, 4)] for name in "wb")
    a, cost = forward(w, b, x, y)
    cost.backward()
    factors = [2 * (a[3].data - y)]  # dC/da₃
    for k in range(3, weight - 1, -1):
        factors.append(a[k].data * (1 - a[k].data))  # da/dz
        factors.append(w[k].data if k > weight else a[k - 1].data)  # on to a, or to w
    costs = []
    for nudge in (1e-5, -1e-5):
        nudged = [v.data + nudge * (k == weight) for k, v in enumerate(w)]
        costs.append(forward(nudged, b, x, y)[1].data)
    return factors, w[weight].grad, (costs[0] - costs[1]) / 2e-5, (w, b, a, cost)


def draw_one_weight(figure, result, weight, x, y):
    factors, grad, nudged, (w, b, a, cost) = result
    axes = figure.add_subplot(frameon=False, xticks=[], yticks=[], xlim=(-1.5, 1.5), ylim=(7.4, -0.4))
    nodes = [(0, 0, "C", cost), (0, 7, "x", a[0])]
    for k, sub in zip((1, 2, 3), "₁₂₃"):
        nodes += [(0, 7 - 2 * k, "a" + sub, a[k]), (0, 8 - 2 * k, "z" + sub, a[k].parents[0])]
        nodes += [(-1, 9 - 2 * k, "w" + sub, w[k]), (1, 9 - 2 * k, "b" + sub, b[k])]
    for at, row, name, value in nodes:
        on = value is w[weight] if at else 0 < row < len(factors)
        axes.plot([0, at], [max(row - 1, 0), row], color="C1" if on else "gray", linewidth=4 if on else 1, zorder=0)
        axes.text(at, row, f"{name} = {value.data:.3g}", ha="center", va="center", bbox=BOX)
        x, y, side = (-0.62, row - 0.57, "right") if at else (0.06, row - 0.42, "left")
        axes.text(x, y, f"× {factors[row - 1]:.3g}" if on else "", color="C1", ha=side, va="center")
    product = " · ".join(f"{factor:.3g}" for factor in factors)
    name = f"dC/dw{'₀₁₂₃'[weight]}"
    return f"{name} = {product} = {np.prod(factors):.4g}; {grad:.4g} by the engine, {nudged:.4g} by a nudge."


def links(node):
    """What a Value was computed from, each with its slope, by the engine's rules."""
    inputs = [x.data for x in node.parents]
    rules = node.primitive.rules if inputs else ()
    return [(x, rule(1.0, node.data, *inputs)) for x, rule in zip(node.parents, rules)]


def hand_on(graph=DOUBLED, way="once"):
    """Hand gradients on by the engine's rules, in one order or another."""
    a = Value(1.0)
    values = [a, *GRAPHS[graph](a)]  # each comes after all that it is computed from
    values[-1].grad, queue, seen, log = 1.0, [values[-1]], set(), []

    def visit(node):
        for i, (x, slope) in enumerate(links(node)):
            x.grad += node.grad * slope
            log.append((node, x, i, node.grad * slope))
            if way == "every time" or (way == "once" and x not in seen):
                visit(x)
            elif x not in seen:
                queue.append(x)
            seen.add(x)

    for node in reversed(values) if way == "topological" else queue:
        visit(node)
    arrived = [v.grad for v in values]
    values[-1].zero_grad()
    values[-1].backward()  # the engine's own
    return values, log, arrived, [v.grad for v in values]


def draw_hand_on(figure, result, graph, way):
    values, log, arrived, right = result
    axes = figure.add_subplot(frameon=False, xticks=[], yticks=[], xlim=(-0.4, len(values) - 0.6), ylim=(-0.9, 1.1))
    at, t = {value: i for i, value in enumerate(values)}, np.linspace(0, 1, 20)
    steps = [(at[node], at[x], i, share) for node, x, i, share in log if x in at]
    for start, end, i, _ in steps:
        told = [f"{n}: +{step[3]:g}" for n, step in enumerate(steps, 1) if step[:3] == (start, end, i)]
        bend = 0.75 if start - end > 1 else 0.4 - 0.8 * i if graph == DOUBLED else 0
        axes.plot(start + (end - start) * t, 4 * bend * t * (1 - t), color="gray", linewidth=1, zorder=0)
        axes.text((start + end) / 2, bend, "\n".join(told), ha="center", va="center", bbox=BOX | {"ec": "none"})
    for i, (name, got, due) in enumerate(zip("abcd", arrived, right)):
        color, words = ("C0", f"{got:g}") if got == due else ("C1", f"{got:g}, not {due:g}")
        axes.text(i, 0, name, ha="center", va="center", bbox=BOX | {"boxstyle": "circle", "ec": color, "lw": 2})
        axes.text(i, -0.7, words, ha="center", color=color)
    order = ", ".join(f"{'abcd'[start]} hands {'abcd'[end]} {share:g}" for start, end, _, share in steps)
    return f"{graph}, {way}: {order}. In the end a has {arrived[0]:g}; right is {right[0]:g}."


def every_path(node, g=1.0):
    """Hand each share g on by itself as it arrives. How many hand-overs that takes."""
    node.grad += g
    return sum(1 + every_path(x, g * slope) for x, slope in links(node))


def ladder(doublings=10):
    """v + v again and again: slope and hand-overs, by every path and by the engine."""
    values = [Value(1.0)]
    for _ in range(doublings):
        values.append(values[-1] + values[-1])
    steps, slope = every_path(values[-1]), values[0].grad
    values[-1].zero_grad()
    values[-1].backward()
    return slope, steps, values[0].grad, sum(len(v.parents) for v in values)


def draw_ladder(figure, result, doublings):
    axes, (slope, steps, same, few) = figure.subplots(), result
    axes.barh(["topological", "every path"], [few, steps], color=["C0", "C1"])
    axes.set(xscale="log", xlim=(1, 100_000), xlabel="hand-overs")
    return f"{doublings} doublings: {slope:,.0f} by every path, {steps:,} hand-overs; {same:,.0f} by the engine, {few}."


LESSON = Lesson(
    number=5, title="Backprop by hand",
    question="How does a weight deep inside learn what it does to the cost, and why does the order matter?",
    idea="""A chain of neurons: z = w·a + b, a = σ(z) = 1 / (1 + e⁻ᶻ), and so on; the cost is C = (a₃ − y)², y the
right answer. A nudge is passed on along the chain, multiplied at each link by that link's slope: the chain rule. So a
slope is a product, and its factors can be read off:

    dC/da₃ = 2·(a₃ − y),  da/dz = a·(1 − a)
    dz/dw = a before,     dz/da before = w""",
    experiments=[
        Experiment(
            title="The chain-rule tree",
            says="Three layers of one neuron, random weights, x = 1, y = 0. Which way leads from C to a weight?",
            run=one_weight, draw=draw_one_weight, size=(5, 5), sliders=[Slider("weight", (1, 2, 3), "weight in layer")],
            predict=Number("How many slopes are multiplied to give dC/dw₁?", lambda run: len(run()[0]), 0,
                           because="""{factors}: one from C to a₃, then two a layer. Each σ is a factor of 1/4 at most:
the first layers are mostly told less. The engine found the same product; a nudge agrees to within {nudge} of it."""),
            checks=[
                Check("factors", "factors of dC/dw₁", lambda run: len(run()[0]), 7, 7),
                Check("hand", "by hand against engine: relative difference",
                      lambda run: abs(np.prod(run()[0]) / run()[1] - 1), 0, 1e-12),
                Check("nudge", "by a nudge against engine: relative difference",
                      lambda run: abs(run()[2] / run()[1] - 1), 0, 1e-6, ".0g"),
            ],
        ),
        Experiment(
            title="When a number is used twice",
            says="""Then several paths lead back to it, and their slopes add up: `grad +=`. When may it hand its
gradient on? Four ways:

    once         at the first arrival
    every time   at each, all that it holds
    in turn      first come, first served
    topological  after all that used it

The last is to walk back through the order of computing.""",
            run=hand_on, draw=draw_hand_on, size=(5, 2.6),
            sliders=[Slider("graph", list(GRAPHS)), Slider("way", WAYS, "hands on")],
            predict=Number('c = b + b and b = a + a, so c is 4a. Handing on by the way "once": what gradient does a '
                           "get?", lambda run: run()[2][0], 0, because="""{once}: b hands on the first 1 that it gets;
the second comes too late. "every time" makes it {every}: the first 1 goes on twice. "in turn" is right here by
luck; the third graph gives {turn} for {fork}. Only "topological" is always right: the engine walks so.
Where nothing is used twice, all agree."""),
            checks=[
                Check("once", "c = b + b, b = a + a, once: a", lambda run: run()[2][0], 2, 2),
                Check("every", "every time: a", lambda run: run(way="every time")[2][0], 6, 6),
                Check("turn", "third graph, in turn: a", lambda run: run(graph=FORKED, way="in turn")[2][0], 2, 2),
                Check("fork", "third graph, the engine: a", lambda run: run(graph=FORKED)[3][0], 8, 8),
                Check("right", "first graph, all ways; all graphs, topological: wrong", lambda run: sum(
                    run(graph=g, way=way)[2] != run(graph=g)[3] for g in GRAPHS for way in WAYS
                    if way == "topological" or g == TREE), 0, 0),
            ],
        ),
        Experiment(
            title="Right, but path by path",
            says="A fifth way: each share is handed on by itself as it arrives. No share is lost, or sent twice.",
            run=ladder, draw=draw_ladder, size=(5, 1.9), sliders=[Slider("doublings", (1, 2, 4, 6, 8, 10, 12, 14))],
            predict=Number("Ten doublings: the engine hands on 20 times. And every path?", lambda run: run()[1], 500,
                           because="""{paths}, and each doubling more doubles it. Both say {slope}, the engine in {few}:
each link is walked once, however many paths lead over it. That makes backpropagation cheap."""),
            checks=[
                Check("paths", "hand-overs by every path", lambda run: run()[1], 2046, 2046, ",.0f"),
                Check("few", "hand-overs by the engine", lambda run: run()[3], 20, 20),
                Check("slope", "slope by every path", lambda run: run()[0], 1024, 1024, ",.0f"),
                Check("same", "slope by the engine", lambda run: run()[2], 1024, 1024, ",.0f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn backprop-by-hand --set y=1`: which factors change? And `doublings=18`: how long is the wait?",
        '`tinynet explain "(a + a) * (a + a)" a=3 --open`, then press Wrong order.',
    ],
    engine=["graph.py: backward_order", "value.py: Value.backward", "value.py: Value._backward"],
    sources=["3Blue1Brown, Backpropagation calculus: https://www.3blue1brown.com/lessons/backpropagation-calculus"],
    walk=lambda: tn.explain(one_weight()[-1][-1]),
)  # fmt: skip
