"""Softmax and argmax: one answers in shades and can be trained, the other decides and cannot."""

import numpy as np

from tinynet import Tensor, nn
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

PLACES = (-2.0, 0.0, 0.5, 0.9, 1.1, 1.5, 2.0, 3.0, 5.0)
COSTS = {"softmax": "cross-entropy of softmax", "argmax": "the share of points that argmax mistakes"}


def softmax(logits, temperature=1.0):
    """exp(z/T) / Σ exp(z/T): positive numbers that add up to 1."""
    return nn.functional.softmax(logits / temperature, dim=-1)


def argmax(logits):
    """1 for the largest logit, 0 for the others."""
    return nn.functional.one_hot(Tensor(logits).argmax(-1), 3)


def nudged(function, numbers, by=1e-6):
    """(f(x + by) − f(x − by)) / 2 by, for each x in turn: the slope as found by trying."""
    slopes = np.zeros(numbers.shape)
    for place in np.ndindex(numbers.shape):
        nudge = np.zeros(numbers.shape)
        nudge[place] = by
        slopes[place] = (function(numbers + nudge) - function(numbers - nudge)) / (2 * by)
    return slopes


def answers(logit=2.0, temperature=1.0):
    """Softmax and argmax of three logits, and how the first output depends on each logit."""
    z = np.array([logit, 1.0, 0.0])
    x = Tensor(z, requires_grad=True)
    shares = softmax(x, temperature)
    shares[0].backward()
    return {
        "softmax": shares.numpy(),
        "argmax": argmax(z).numpy(),
        "engine": x.grad.numpy(),
        "engine, argmax": x.argmax(0).requires_grad,
        "nudged": nudged(lambda z: softmax(z, temperature)[0].item(), z),
        "nudged, argmax": nudged(lambda z: argmax(z)[0].item(), z),
    }


def draw_answers(figure, result, logit, temperature):
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    left.bar(np.arange(3) - 0.2, result["softmax"], 0.4, label="softmax")
    left.bar(np.arange(3) + 0.2, result["argmax"], 0.4, label="argmax")
    left.set(ylim=(0, 1.05), xticks=range(3), xticklabels=[f"A\n{logit:g}", "B\n1", "C\n0"], xlabel="class, logit")
    path = np.linspace(-4, 6, 81)
    rows = np.stack([path, np.ones(81), np.zeros(81)], 1)
    right.plot(path, softmax(rows, temperature).numpy()[:, 0])
    right.plot(path, argmax(rows).numpy()[:, 0], drawstyle="steps-post")
    right.plot([logit, logit], [result["softmax"][0], result["argmax"][0]], "o", color="gray")
    right.set(ylim=(-0.05, 1.05), xlabel="logit of A", title="output of A")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    shares, slope = " + ".join(f"{share:.3f}" for share in result["softmax"]), result["engine"][0]
    return (
        f"Logits {logit:g}, 1 and 0 at temperature {temperature:g}. Softmax: {shares} = "
        f"{result['softmax'].sum():.3f}. Argmax: {'ABC'[result['argmax'].argmax()]}. Slope of A's output by A's "
        f"logit: {slope:.4f} for softmax (by trying: {result['nudged'][0]:.4f}), {result['nudged, argmax'][0]:.4f} for "
        "argmax."
    )


def shifted(shift=1000.0):
    """Softmax of 2, 1 and 0 with the same number added to each, and by the bare formula."""
    z = Tensor([2.0, 1.0, 0.0]) + shift
    with np.errstate(all="ignore"):
        bare = z.exp() / z.exp().sum()
    return softmax(z).numpy(), bare.numpy()


def draw_shifted(figure, result, shift):
    axes, (shares, bare) = figure.subplots(), result
    axes.bar(np.arange(3) - 0.2, shares, 0.4, label="softmax")
    axes.bar(np.arange(3) + 0.2, np.nan_to_num(bare), 0.4, label="the bare formula")
    for i in np.flatnonzero(np.isnan(bare)):
        axes.text(i + 0.2, 0.02, "nan", ha="center", color="C1")
    axes.set(ylim=(0, 1.05), xticks=range(3), xticklabels=[f"{z + shift:g}" for z in (2, 1, 0)], xlabel="logit")
    figure.legend(loc="outside upper center", ncols=2)
    return (
        f"Logits {2 + shift:g}, {1 + shift:g} and {shift:g}. Softmax: "
        f"{', '.join(f'{share:.3f}' for share in shares)}. The formula as it stands, eᶻ / Σ eᶻ: "
        f"{', '.join(f'{share:.3f}' for share in bare)}."
    )


def points(seed):
    """Three clouds of 30 points, each point as (x, y, 1), and their classes."""
    chance, classes = np.random.default_rng(seed), np.repeat(np.arange(3), 30)
    centres = np.array([[0.0, 1.2], [-1.1, -0.7], [1.1, -0.7]])
    places = centres[classes] + 0.5 * chance.standard_normal((90, 2))
    return np.column_stack([places, np.ones(90)]), classes


def mistaken(weights, x, classes):
    """The share of points whose largest logit is not that of their class."""
    return float((Tensor(x @ weights.T).argmax(1).numpy() != classes).mean())


def train(cost="softmax", steps=20, seed=0):
    """Gradient descent on 3 × 3 weights, each a step of 1 × slope; the weights on the way."""
    (x, classes), path = points(seed), []
    weights = np.random.default_rng(seed + 100).uniform(-1, 1, (3, 3))
    for _ in range(steps):
        path.append(weights)
        if cost == "softmax":
            w = Tensor(weights, requires_grad=True)
            nn.CrossEntropyLoss()(Tensor(x) @ w.T, classes).backward()
            slopes = w.grad.numpy()
        else:
            slopes = nudged(lambda w: mistaken(w, x, classes), weights)
        weights = weights - slopes
    return x, classes, [*path, weights]


def draw_train(figure, result, cost, steps):
    left, right = figure.subplots(1, 2)
    (x, classes, path), grid = result, np.linspace(-2.6, 2.6, 53)
    plane = np.stack([*np.meshgrid(grid, grid), np.ones((53, 53))], -1)
    named = (plane @ path[-1].T).argmax(-1)
    for i in range(3):
        left.contourf(grid, grid, named == i, levels=(0.5, 1.5), colors=[f"C{i}"], alpha=0.25)
        left.plot(*x[classes == i, :2].T, "o^s"[i], color=f"C{i}", markersize=3)
    left.set(aspect="equal", title="decided by argmax", xticks=(), yticks=())
    wrong = [100 * mistaken(weights, x, classes) for weights in path]
    right.plot(wrong, "o-", markersize=3, color="gray")
    right.set(xlim=(-1, max(21, steps + 1)), ylim=(0, 100), xlabel="step", title="% of points mistaken")
    return (
        "Three clouds of points; the colour of the ground is the class that the largest logit names. Cost: "
        f"{COSTS[cost]}. Mistaken at the start: {wrong[0]:.0f} %; after {steps} steps: {wrong[-1]:.0f} %. The weight "
        f"that moved most moved by {np.abs(path[-1] - path[0]).max():.2f}."
    )


def end(run, cost):
    x, classes, path = run(cost=cost)
    return 100 * mistaken(path[-1], x, classes), np.abs(path[-1] - path[0]).max()


LESSON = Lesson(
    number=9,
    title="Softmax and argmax",
    question="A network gives a number for each class. Why is it trained through softmax, when argmax decides?",
    idea="""The last layer gives a number for each class, its logit z; any number. Two ways to make an answer of them:

    argmax     1 for the largest logit, 0 for the others
    softmax    exp(zᵢ/T) / Σ exp(zⱼ/T), where exp(z) is eᶻ

Softmax makes positive shares that add up to 1. The temperature T is 1 in training. Gradient descent needs to know
how the answer changes when a logit changes by very little.""",
    experiments=[
        Experiment(
            title="Move one logit",
            says="""Three classes, A, B and C; B's logit is 1, C's is 0, and A's can be moved, at 2 to begin with.
The slopes are found twice: by the engine's `backward`, and by trying a millionth more and a millionth less.""",
            run=answers,
            draw=draw_answers,
            size=(5, 3.1),
            sliders=[Slider("logit", PLACES, "logit of A"),
                     Slider("temperature", (0.1, 1.0, 3.0))],
            predict=Choice(
                "The logits are 2, 1 and 0. B's is raised a little. What becomes of A's share of the softmax?",
                ("nothing: it is another logit", "it falls", "it rises"),
                right=lambda run: 1 if run()["engine"][1] < -0.01 else 2 if run()["engine"][1] > 0.01 else 0,
                because="""The shares add up to {sum}, so what B gains the others lose: A's share has the slope
{own} by its own logit and {other} by B's. Engine and trying agree to {agree}. Argmax has the slope {hard} wherever
the slider stands, and jumps where A overtakes B; the engine has no gradient for it. At temperature 0.1 softmax all
but decides, too, and its slope is down to {cold}.""",
            ),
            checks=[
                Check("sum", "sum of the three shares", lambda run: run()["softmax"].sum(),
                      1 - 1e-12, 1 + 1e-12, ".6f"),
                Check("own", "slope of A's share by A's logit", lambda run: run()["engine"][0], 0.2226, 0.2228, ".4f"),
                Check("other", "slope of A's share by B's logit", lambda run: run()["engine"][1],
                      -0.1629, -0.1627, ".4f"),
                Check("agree", "engine and trying, at nine places of A's logit: largest difference", lambda run: max(
                    np.abs(run(logit=z)["engine"] - run(logit=z)["nudged"]).max() for z in PLACES), 0, 1e-8, ".0e"),
                Check("hard", "argmax, at nine places of A's logit: largest slope found by trying", lambda run: max(
                    np.abs(run(logit=z)["nudged, argmax"]).max() for z in PLACES), 0, 0, ".0f"),
                Check("asks", "whether the engine has a gradient for argmax (1: yes)",
                      lambda run: run()["engine, argmax"], 0, 0, ".0f"),
                Check("cold", "temperature 0.1: slope of A's share by A's logit",
                      lambda run: run(temperature=0.1)["engine"][0], 4.5e-4, 4.6e-4, ".5f"),
            ],
        ),
        Experiment(
            title="Add a number to all",
            says="""Logits may be any numbers. What if they are large? The same number is added to each of 2, 1 and
0.""",
            run=shifted,
            draw=draw_shifted,
            sliders=[Slider("shift", (-1000.0, -10.0, 0.0, 10.0, 50.0, 100.0, 1000.0), "added to each logit")],
            predict=Choice(
                "1,000 is added to each logit: 1,002, 1,001 and 1,000. What becomes of the softmax?",
                ("all shares become nearly 1/3", "the largest becomes nearly 1", "nothing changes", "it overflows"),
                right=lambda run: 2 if np.abs(run()[0] - run(shift=0.0)[0]).max() < 1e-6 else 3,
                because="""Above and below the line stands the same factor e¹⁰⁰⁰, which cancels: the largest change is
{same}. Only differences of logits count. The bare formula computes e¹⁰⁰⁰ first, which no floating-point number holds,
and {nan} of 3 shares come out as nan, not a number. The engine takes the largest logit off first: the largest power is
then e⁰ = 1.""",
            ),
            checks=[
                Check("same", "1,000 added: largest change of a share",
                      lambda run: np.abs(run()[0] - run(shift=0.0)[0]).max(), 0, 0, ".0f"),
                Check("nan", "the bare formula: shares that are not a number",
                      lambda run: np.isnan(run()[1]).sum(), 3, 3, ".0f"),
            ],
        ),
        Experiment(
            title="Train through one, then through the other",
            says="""A classifier with nine weights, started by chance, 20 steps. Its cost is the cross-entropy of
its softmax, −ln of the right class's share, with the engine's gradient; or the share of points that argmax gets
wrong. For that one the engine has no gradient, so each weight is nudged and the mistakes are counted again.""",
            run=train,
            draw=draw_train,
            sliders=[Slider("cost", ("softmax", "argmax")), Slider("steps", (0, 1, 2, 5, 10, 20))],
            predict=Choice(
                "20 steps down the slope of argmax's mistakes, found by nudging: what happens?",
                ("it learns as well, since that is what counts", "it learns, but more slowly", "no weight moves"),
                right=lambda run: 2 if end(run, "argmax")[1] == 0 else 1,
                because="""A nudge of a millionth turns no point's answer round, so the number of mistakes stays as
it is: every slope is 0, the weights move by {unmoved}, and {argmax} % are mistaken as at the start. Through softmax
each point says how much better its share could be, right or wrong, and {softmax} % are mistaken at the end.
Afterwards argmax may decide: the largest share belongs to the largest logit.""",
            ),
            checks=[
                Check("unmoved", "argmax: how far the weight that moved most has moved",
                      lambda run: end(run, "argmax")[1], 0, 0, ".0f"),
                Check("argmax", "argmax: points mistaken after 20 steps, %", lambda run: end(run, "argmax")[0],
                      20, 95, ".0f"),
                Check("softmax", "softmax: points mistaken after 20 steps, %", lambda run: end(run, "softmax")[0],
                      0, 7, ".1f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn softmax --set logit=1.0`: A and B draw level. Which slope does trying find for argmax there?",
        "`tinynet learn softmax --set temperature=100.0`: what is left of the answer?",
        "In `train`, nudge by 0.1 and not by a millionth. Does argmax learn now, and would it with 13,002 weights?",
    ],
    engine=["nn/activations.py: _softmax", "nn/activations.py: softmax", "primitives.py: argmax",
            "nn/losses.py: softmax_cross_entropy"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, chapter 3: http://neuralnetworksanddeeplearning.com/chap3.html",
             "J. Bridle, Probabilistic Interpretation of Feedforward Classification Network Outputs (1990)"],
)  # fmt: skip
