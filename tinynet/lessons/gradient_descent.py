"""Gradient descent: downhill in steps of slope × learning rate; too small, good, too large; and where one starts."""

import numpy as np

from tinynet import Value, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

POINTS = [(0.5, 1.4), (2.3, 1.9), (2.9, 3.2)]
STARTS = (-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75)

X, Y = np.array(POINTS).T
BEST_W, BEST_B = np.polyfit(X, Y, 1)  # by algebra


def descend(cost, start, rate):
    """Steps of slope × rate, until one is below 0.001 or 1,000 are done."""
    path = [start]
    for _ in range(1000):
        here = [Value(x) for x in path[-1]]
        cost(*here).backward()  # each grad is now the slope of the cost
        steps = [x.grad * rate for x in here]
        path.append([x.data - step for x, step in zip(here, steps)])
        if max(abs(step) for step in steps) < 0.001:
            break
    return np.array(path)


def squares(b, w):
    """The cost of the line b + w·x: Σ (y − (b + w·x))² over the points."""
    return sum((y - (b + w * x)) ** 2 for x, y in POINTS)


def intercept(rate=0.1):
    """The intercept b alone, from 0; the line's slope is held at w = 0.64."""
    return descend(lambda b: squares(b, 0.64), [0.0], rate)


def draw_intercept(figure, result, rate):
    left, right = figure.subplots(1, 2)
    path, x, b = seen(result)[:, 0], np.array([0.0, 3.5]), np.linspace(-0.6, 2.5, 60)
    for i, at in enumerate(path[:6]):
        left.plot(x, at + 0.64 * x, color="C1", alpha=0.25 + 0.1 * i, linewidth=1.2)
    left.plot(X, Y, "o", color="C0")
    left.set(xlim=(0, 3.5), ylim=(-1, 5), xlabel="x", title="the first five steps")
    right.plot(b, squares(b, 0.64), color="gray")
    right.plot(path, squares(path, 0.64), "o-", color="C1", markersize=3, linewidth=1)
    right.set(xlim=(-0.6, 2.5), ylim=(0, 9), xlabel="intercept b", title="cost")
    return f"Learning rate {rate:g}: {told(result, 'b')} The best is {np.mean(Y - 0.64 * X):.3f}."


def told(result, *names):
    steps, last = len(result) - 1, np.abs(result[-1] - result[-2]).max()
    where = ", ".join(f"{name} = {x:.3f}" for name, x in zip(names, result[-1])).replace("-", "−")
    end = f"It ends at {where}." if np.abs(result[-1]).max() < 1000 else "It flies away."
    return f"{steps:,} step{'s' * (steps > 1)}, the last {'' if last < 0.001 else 'not '}below 0.001. {end}"


def seen(result):
    """The steps up to one that has left every picture."""
    beyond = ~(np.abs(result).max(1) < 20)
    return result[: min(300, int(np.argmax(beyond)) if beyond.any() else 300)]


def both(line_rate=0.01):
    """Intercept b and slope w together, from the line 0 + 1·x."""
    return descend(squares, [0.0, 1.0], line_rate)


def draw_both(figure, result, line_rate):
    axes, path = figure.subplots(), seen(result)
    b, w = np.meshgrid(np.linspace(-1, 2.5, 60), np.linspace(-0.5, 2, 60))
    axes.contour(b, w, squares(b, w), levels=[0.5, 1, 2, 4, 8, 16, 32], colors="gray", linewidths=0.8)
    axes.plot(*path.T, "o-", color="C1", markersize=3, linewidth=1)
    axes.plot(BEST_B, BEST_W, "X", color="C2", markersize=9)
    axes.set(xlim=(-1, 2.5), ylim=(-0.5, 2), xlabel="intercept b", ylabel="slope w")
    return (
        f"Learning rate {line_rate:g}: {told(result, 'b', 'w')} The cost is the same along each gray ring, least at "
        f"the cross, b = {BEST_B:.3f}, w = {BEST_W:.3f}."
    )


def hills(w):
    """A curve with two valleys, the left one deeper."""
    return (w * w - 1) ** 2 + 0.3 * w


def two_valleys(start=1.75, valley_rate=0.05):
    """Down the curve (w² − 1)² + 0.3·w from a start."""
    return descend(hills, [start], valley_rate)


def draw_two_valleys(figure, result, start, valley_rate):
    axes, path, w = figure.subplots(), seen(result)[:, 0], np.linspace(-1.9, 1.9, 200)
    axes.plot(w, hills(w), color="gray")
    axes.plot(path, hills(path), "o-", color="C1", markersize=4, linewidth=1)
    axes.plot(start, hills(start), "s", color="C0", markersize=9)
    axes.set(xlim=(-1.9, 1.9), ylim=(-0.6, 6), xlabel="w", ylabel="cost")
    return f"From w = {start:g} (the square), learning rate {valley_rate:g}: {told(result, 'w')}"


def by_the_engine():
    b, w = Value(0.0), Value(1.0)
    return optim.gradient_descent(lambda: squares(b, w), [b, w], lr=0.01).steps, b.data, w.data


LESSON = Lesson(
    number=4,
    title="Gradient descent",
    question="How does one find the bottom of a valley by feeling only the slope underfoot?",
    idea="""A cost says how wrong a model is: here the sum of the squared distances of three points from a line. The
slope of the cost says which way is up, and how steeply. Gradient descent goes the other way, again and again:

    step = slope × learning rate
    new = old − step

Near the bottom the slope is small, and so is the step. It stops at a step below 0.001, or after 1,000 steps.""",
    experiments=[
        Experiment(
            title="One number: too small, good, too large",
            says="""The points (0.5, 1.4), (2.3, 1.9), (2.9, 3.2); the line y = b + 0.64·x, whose height b is to be
found. `backward()` gives the slope of the cost.""",
            run=intercept, draw=draw_intercept, size=(5, 2.8),
            sliders=[Slider("rate", (0.0001, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.33, 0.34, 0.4), "learning rate")],
            predict=Choice(
                "Which learning rate gets there in the fewest steps?",
                ("0.01", "0.1", "0.3", "0.4"),
                right=lambda run: int(np.argmin([len(run(rate=r)) for r in (0.01, 0.1, 0.3, 0.4)])),
                because="""0.1: the first slope is {first}, a tenth of which is the first step, and after {good} it is
there, at b = {end}. 0.01 needs {slow}. At 0.3 every step leaps across the bottom, and it takes {leaps}; at 0.4 each
leap ends higher than it began, and b grows to a number of {far} digits. Too small is no better: 0.0001 stops after step
{few}, which is below 0.001.""",
            ),
            checks=[
                Check("first", "slope at b = 0", lambda run: -run()[1, 0] / 0.1, -5.705, -5.703, ".2f",
                      "−5.7, StatQuest"),
                Check("end", "rate 0.1: b ends at", lambda run: run()[-1, 0], 0.95, 0.951, ".3f", "0.95, StatQuest"),
                Check("good", "rate 0.1: steps", lambda run: len(run()) - 1, 8, 8),
                Check("slow", "rate 0.01: steps", lambda run: len(run(rate=0.01)) - 1, 67, 67),
                Check("leaps", "rate 0.3: steps", lambda run: len(run(rate=0.3)) - 1, 35, 35),
                Check("few", "rate 0.0001: steps", lambda run: len(run(rate=0.0001)) - 1, 1, 1),
                Check("far", "rate 0.4: digits of b, in the end",
                      lambda run: len(f"{-run(rate=0.4)[-1, 0]:.0f}"), 147, 147),
            ],
        ),
        Experiment(
            title="Two numbers at once",
            says="Now the slope w of the line is learned too: two slopes of the cost, two steps, one learning rate.",
            run=both, draw=draw_both,
            sliders=[Slider("line_rate", (0.0003, 0.001, 0.003, 0.01, 0.03, 0.06, 0.065, 0.1), "learning rate")],
            predict=Choice(
                "For b alone 0.1 was a good learning rate. And for b and w together?",
                ("as good", "too small", "too large"),
                right=lambda run: 2 if len(run(line_rate=0.1)) > 1000 else int(len(run(line_rate=0.1)) > 9),
                because="""The valley is steep across and nearly flat along. The rate must suit its steepest direction:
at 0.1 the tenth step is at b = {away}. Then it is slow in the flat one: at 0.01 it takes {steps} steps, and the rule
stops it at b = {b}, while the best is {best_b}. A small step need not mean that one has arrived.""",
            ),
            checks=[
                Check("away", "rate 0.1: b after 10 steps", lambda run: run(line_rate=0.1)[10, 0], -60.1, -60, ".1f"),
                Check("steps", "rate 0.01: steps", lambda run: len(run()) - 1, 207, 207),
                Check("b", "rate 0.01: where b ends", lambda run: run()[-1, 0], 0.862, 0.863, ".3f"),
                Check("best_b", "the best b", lambda run: BEST_B, 0.948, 0.949, ".3f", "0.95, StatQuest"),
                Check("same", "tinynet's `optim.gradient_descent`: difference in steps, b and w", lambda run: np.abs(
                    np.subtract(by_the_engine(), (len(run()) - 1, *run()[-1]))).max(), 0, 1e-12, ".0g"),
            ],
        ),
        Experiment(
            title="Two valleys",
            says="A cost need not be one bowl. This curve has two valleys, and the left one is deeper.",
            run=two_valleys, draw=draw_two_valleys,
            sliders=[Slider("start", STARTS, "start at w"), Slider("valley_rate", (0.05, 0.2, 0.25), "learning rate")],
            predict=Choice(
                "From w = 1.75, high up on the right, with a learning rate of 0.05: where does it end?",
                ("in the deeper valley, left", "in the nearer valley, right", "on the hill between them"),
                right=lambda run: 1 if run()[-1, 0] > 0.5 else 0 if run()[-1, 0] < -0.5 else 2,
                because="""At {right}, where the cost is {high}; the left valley goes down to {low}. It knows the slope
where it stands, and nothing of what lies beyond the hill. Of eight starts, w = −1.75,
−1.25 and so on to 1.75, {deeper} find the deeper valley. (With a rate of 0.2 it jumps the hill, to {jumped}.)""",
            ),
            checks=[
                Check("right", "from 1.75: w in the end", lambda run: run()[-1, 0], 0.960, 0.966, ".2f"),
                Check("high", "from 1.75: cost there", lambda run: hills(run()[-1, 0]), 0.29, 0.30, ".2f"),
                Check("low", "from −1.75: cost there", lambda run: hills(run(start=-1.75)[-1, 0]), -0.31, -0.3, ".2f"),
                Check("jumped", "from 1.75, rate 0.2: w in the end", lambda run: run(valley_rate=0.2)[-1, 0],
                      -1.04, -1.03, ".2f"),
                Check("deeper", "of the starts −1.75, −1.25 … 1.75, end in the deeper valley",
                      lambda run: sum(run(start=s)[-1, 0] < -0.5 for s in STARTS), 4, 4),
            ],
        ),
    ],
    change=[
        "`tinynet learn gradient-descent --set rate=0.1666667`: the first step lands at the bottom. Why at this rate?",
        "`tinynet learn gradient-descent --set line_rate=0.0611`: and at 0.061? Where is the edge?",
        "`tinynet learn gradient-descent --set start=0.0754`: balanced on the hill. Does it count as arrived?",
    ],
    engine=["value.py: Value.backward", "primitives.py: sub", "optim/sgd.py: gradient_descent"],
    sources=["J. Starmer, StatQuest: Gradient Descent, Step-by-Step (2019)"],
)  # fmt: skip
