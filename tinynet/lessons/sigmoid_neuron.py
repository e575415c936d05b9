"""The sigmoid neuron: a small change in, a small change out. A step gives nothing or all, and nobody can learn so."""

import numpy as np

from tinynet import Tensor, Value, data, nn
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider
from tinynet.teaching.pictures import tiles

ANSWERS = {"step": nn.Step(), "sigmoid": nn.Sigmoid()}


def turn_up(nudge=0.1, k=1.0):
    """Turn w up from 0 to 2; z = 4w − 4; the answers of a step and of σ(k·z)."""
    rows = []
    for i in range(round(2 / nudge) + 1):
        w = Value(i * nudge)
        z = w * 4 - 4
        a = (k * z).sigmoid()
        a.backward()  # w.grad is now the slope da/dw: how much a changes per unit of w
        rows.append((w.item(), float(z > 0), a.item(), w.grad))
    return np.array(rows)


def draw_turn_up(figure, result, nudge, k):
    left, right = figure.subplots(1, 2, sharey=True)
    w, step, sigmoid, slope = result.T
    for answer, colour, marker, name in ((step, "C1", "s", "step"), (sigmoid, "C0", "o", "sigmoid")):
        left.plot(w, answer, marker, color=colour, markersize=3, label=name)
        right.plot(w[1:], np.diff(answer), marker, color=colour, markersize=3)
    left.set(xlim=(-0.05, 2.05), ylim=(-0.05, 1.05), xlabel="weight w", title="answer")
    right.set(xlim=(-0.05, 2.05), xlabel="weight w", title="change by one nudge")
    left.legend(loc=(0.0, 0.7))
    return (
        f"{len(w) - 1} nudges of {nudge:g}. The step's answer changes in {np.count_nonzero(np.diff(step))} of them, by "
        f"{largest(result, 1):g}. The sigmoid's, with k = {k:g}, changes in all, by {largest(result, 2):.2g} at most; "
        f"its slope da/dw is {slope.max():.2g} in the middle and {slope[0]:.1g} at w = 0."
    )


def largest(result, column):
    return np.diff(result[:, column]).max()


def nudge_each(answer="sigmoid", by=0.01, seed=0):
    """Is it a 3? What a nudge of each weight does to the cost, mean (a − t)²."""
    train, _ = data.digits()
    x = Tensor(train.x[:500], dtype="float64")
    t = Tensor((train.y[:500] == 3) * 1.0)
    start = np.random.default_rng(seed).normal(0, 0.1, 784)
    w = Tensor(start, requires_grad=answer == "sigmoid")  # a step has no slope to give

    def cost(z):
        return ((ANSWERS[answer](z) - t) ** 2).mean()

    z = x @ w
    before = cost(z)
    if answer == "sigmoid":
        before.backward()
    slopes = w.grad.numpy() if answer == "sigmoid" else np.zeros(784)
    z = z.detach()  # to nudge weight i is to add nudge · input i
    changes = [(cost(z + by * x[:, i]) - before).item() for i in range(784)]
    inked = x.numpy().max(0) > 0
    return np.array(changes), by * slopes, inked


def draw_nudge_each(figure, result, answer, by):
    changes, told, _ = result
    tiles(figure, [changes.reshape(28, 28), told.reshape(28, 28)], ["change of the cost", "slope × nudge"], sign=True)
    return (
        f"Every pixel is a weight of the {answer} neuron, nudged by {by:g}. Orange: the cost rose; blue: it fell; "
        f"{np.abs(changes).max():.2g} at most. Of the weights that see ink, {100 * noticed(result):.0f} % "
        f"changed it. On the right: {'as backpropagation tells it' if told.any() else 'a step has slope 0 everywhere'}."
    )


def noticed(result):
    changes, _, inked = result
    return np.mean(np.abs(changes[inked]) > 1e-12)


LESSON = Lesson(
    number=2,
    title="The sigmoid neuron",
    question="Why does a neuron that is to learn answer with a number between 0 and 1, and not with yes or no?",
    idea="""A neuron weighs its inputs and adds a bias: z = w₁x₁ + w₂x₂ + … + b. The perceptron answers 1 if z is above
0, else 0: a step. A sigmoid neuron answers with

    a = σ(z) = 1 / (1 + e⁻ᶻ)

which is near 0 for z far below 0, ½ at z = 0, near 1 far above: a step with its edge worn smooth. Its slope da/dz is
a·(1 − a). To learn is to change weights a little, see whether the answer got better, and go on from there.""",
    experiments=[
        Experiment(
            title="A small change in",
            says="""One input, x = 4, and the bias −4. The weight w is turned up in equal nudges. `w.grad` is the slope
da/dw, found by backpropagation: how much a changes per unit of w. A small nudge should change a by slope × nudge.

Multiplying weight and bias by k makes the edge k times as sharp: with k without end, the sigmoid is the step.""",
            run=turn_up,
            draw=draw_turn_up,
            size=(5, 2.7),
            sliders=[Slider("nudge", (0.01, 0.05, 0.1, 0.2), "size of one nudge"),
                     Slider("k", (1.0, 3.0, 10.0, 30.0), "sharpness k")],
            predict=Choice(
                "Make the nudges ten times smaller. The largest change that one of them makes in the step's answer is…",
                ("no smaller", "somewhat smaller", "ten times smaller", "zero"),
                right=lambda run: int(np.digitize(largest(run(), 1) / max(largest(run(nudge=0.01), 1), 1e-9),
                                                  (1.1, 9, 11))),
                because="""However small the nudges, one of them takes the step all the way from 0 to {jump}, and
the others do nothing. The sigmoid's largest change goes from {coarse} to {fine}: small in, small out. And its
slope said beforehand what each of these nudges would do, {wrong} off at worst. Sharpen it, and the slope grows at
the edge and dies beside it (at w = 0, from {beside} to {gone}); a step's is 0 wherever it has one, and tells a
learner nothing.""",
            ),
            checks=[
                Check("jump", "step, nudges of 0.01: largest change", lambda run: largest(run(nudge=0.01), 1), 1, 1),
                Check("coarse", "sigmoid, nudges of 0.1: largest change", lambda run: largest(run(), 2), 0.098, 0.1),
                Check("fine", "sigmoid, nudges of 0.01: largest change", lambda run: largest(run(nudge=0.01), 2),
                      0.0099, 0.01, ".2g"),
                Check("wrong", "nudges of 0.01: slope × nudge minus the change of the sigmoid, at worst",
                      lambda run: np.abs(np.diff(run(nudge=0.01)[:, 2]) - 0.01 * run(nudge=0.01)[:-1, 3]).max(),
                      7e-5, 8e-5, ".1g"),
                Check("beside", "k = 1: slope at w = 0", lambda run: run()[0, 3], 0.070, 0.071, ".2g"),
                Check("gone", "k = 30: slope at w = 0", lambda run: run(k=30.0)[0, 3], 0, 1e-49, ".0g"),
            ],
        ),
        Experiment(
            title="784 weights, and which way to turn each",
            says="""One neuron sees 500 digits of 28 × 28 pixels, a weight for each pixel, drawn at random. It is
to say t = 1 for a 3, and t = 0 for all others; its cost is the mean of (a − t)². Each weight in turn is nudged
and put back.""",
            run=nudge_each,
            draw=draw_nudge_each,
            size=(5, 2.8),
            sliders=[Slider("answer", ("sigmoid", "step"), "neuron"), Slider("by", (0.001, 0.01, 0.1, 1.0), "nudge")],
            predict=Choice(
                "Of the weights that ever see ink, how many change the step neuron's cost when nudged by 0.001?",
                ("hardly any", "about half", "all"),
                right=lambda run: int(np.digitize(noticed(run(answer="step", by=0.001)), (0.15, 0.9))),
                because="""{few} % of them: a digit is hardly ever so near the edge that this tips it. The others say
nothing about which way they should be turned. The sigmoid neuron's cost answers to {all} % of them, and one backward
pass gives all these answers together, wrong by {agree} % of the largest at worst. Nearly all is orange:
to raise a weight raises every answer, and most digits are no 3. The slider shows the first digits
that larger nudges tip, one outline upon another.""",
            ),
            checks=[
                Check("few", "step, nudged by 0.001: weights that see ink and change the cost, %",
                      lambda run: 100 * noticed(run(answer="step", by=0.001)), 0, 12, ".2g"),
                Check("all", "sigmoid, nudged by 0.001: weights that see ink and change the cost, %",
                      lambda run: 100 * noticed(run(by=0.001)), 100, 100),
                Check("agree", "sigmoid, nudged by 0.01: slope × nudge minus the change, % of the largest",
                      lambda run: 100 * np.abs(run()[0] - run()[1]).max() / np.abs(run()[0]).max(), 0, 1, ".1g"),
            ],
        ),
    ],
    change=[
        "`tinynet learn sigmoid-neuron --set k=100`: is it a step yet?",
        "`tinynet learn sigmoid-neuron --set answer=step by=0.3`: how large must the nudges be until the step neuron's "
        "picture looks like the sigmoid's?",
    ],
    engine=["primitives.py: sigmoid", "nn/activations.py: Step", "value.py: Value._backward"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, chapter 1: http://neuralnetworksanddeeplearning.com/chap1.html"],
)  # fmt: skip
