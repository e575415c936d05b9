"""The perceptron: a decision by weighing evidence, the rule by which it learns, and the one thing it cannot do."""

import numpy as np

import tinynet as tn
from tinynet import Tensor
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider
from tinynet.teaching.pictures import signed

GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NAND": [1, 1, 1, 0], "XOR": [0, 1, 1, 0]}
CORNERS = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def surf(waves=1, empty=0, no_sharks=1, bias=-3.0):
    """Good waves count 5, an empty beach 2, no sharks 4; they must outweigh the bias."""
    x, w = Tensor([waves, empty, no_sharks]), Tensor([5.0, 2.0, 4.0])
    z = (w * x).sum() + bias
    return z.item(), z.item() > 0


def draw_surf(figure, result, waves, empty, no_sharks, bias):
    axes, (z, go) = figure.subplots(), result
    parts = [5 * waves, 2 * empty, 4 * no_sharks, bias, z]
    names = ["good waves", "empty beach", "no sharks", "bias", "sum"]
    axes.barh(names, parts, color=["C0"] * 3 + ["C4", "C1"])
    axes.axvline(0, color="gray", linewidth=1)
    axes.set(xlim=(min(-4, bias - 1), 12), xlabel="what each adds")
    axes.invert_yaxis()
    b = f"{'+' if bias > 0 else '−'} {abs(bias):g}"
    return f"5·{waves} + 2·{empty} + 4·{no_sharks} {b} = {z:g}: the perceptron says {'go' if go else 'stay'}."


def answer(w, b, x):
    """1 if w₁x₁ + w₂x₂ + b > 0, else 0."""
    return int(((w * x).sum() + b).item() > 0)


def learn(gate="NAND", passes=20, seed=0):
    """After each mistake, w ← w + (target − answer) · x, and b as if its x were 1."""
    tn.manual_seed(seed)
    w, b = tn.rand(2), tn.rand(1)
    history = []
    for _ in range(passes):
        mistakes = 0
        for x, target in zip(CORNERS, GATES[gate]):
            wrong = target - answer(w, b, x)
            w, b = w + wrong * x, b + wrong
            mistakes += wrong != 0
        history.append(np.array([*w.numpy(), b.item(), mistakes]))
    return history


def draw_learn(figure, result, gate, passes):
    left, right = figure.subplots(1, 2)
    (w1, w2, b, mistakes), grid = result[-1], np.linspace(-0.5, 1.5, 200)
    side = w1 * grid[None, :] + w2 * grid[::-1, None] + b > 0
    left.imshow(side, extent=(-0.5, 1.5, -0.5, 1.5), cmap=signed(), vmin=-1, vmax=2, alpha=0.3)
    for (x, y), target in zip(CORNERS.numpy(), GATES[gate]):
        left.plot(x, y, "o" if target else "X", color="C1" if target else "C0", markersize=10)
    left.set(aspect="equal", xlabel="first input", ylabel="second input", title=gate)
    right.plot(range(1, passes + 1), [row[3] for row in result], "o-", markersize=3)
    right.set(ylim=(-0.2, 4.2), xlabel="pass over the four corners", title="mistakes", box_aspect=1)
    return (
        f"{gate}: circles should be 1 and crosses 0; the shaded half-planes are the perceptron's answers after "
        f"{passes} passes (the weights change after each mistake; the picture shows the last ones). Mistakes in the "
        f"last pass: {mistakes:.0f} of 4."
    )


def right_by_hand():
    """How many of NAND's four answers the weights −2, −2 and the bias 3 give."""
    return sum(answer(Tensor([-2.0, -2.0]), 3, x) == target for x, target in zip(CORNERS, GATES["NAND"]))


def wrong_at_the_end(run, gate):
    return run(gate=gate)[-1][3]


LESSON = Lesson(
    number=1,
    title="The perceptron",
    question="How can weights and a threshold decide, how are they learned, and what can they never decide?",
    idea="""A perceptron multiplies each input by a weight, adds a bias, and says 1 if the sum is above 0, else 0:

    answer = 1 if w₁x₁ + w₂x₂ + … + b > 0 else 0

A large weight is evidence that counts much; the bias says how easily it says yes.""",
    experiments=[
        Experiment(
            title="Weigh the evidence",
            says="Shall we go surfing? The waves are good (1), the beach is crowded (0), no shark was seen (1).",
            run=surf,
            draw=draw_surf,
            size=(5, 2.4),
            sliders=[Slider("waves", (0, 1), "good waves"), Slider("empty", (0, 1), "empty beach"),
                     Slider("no_sharks", (0, 1), "no sharks")],
            predict=Number("The weights are 5, 2 and 4, the bias −3. What is the sum?", lambda run: run()[0], 0,
                           because="{sum}, above 0: go. A bias of −3 means: evidence of more than 3 is needed."),
            checks=[
                Check("sum", "waves 1, beach 0, sharks 1: the sum", lambda run: run()[0], 6, 6),
                Check("go", "of the eight mornings, go on", lambda run: sum(
                    run(waves=a, empty=b, no_sharks=c)[1] for a in (0, 1) for b in (0, 1) for c in (0, 1)), 6, 6),
            ],
        ),
        Experiment(
            title="Let it learn, and find what it cannot",
            says="""NAND is 0 only where both inputs are 1; by hand, the weights −2 and −2 and the bias 3 give
{hand} of 4 right answers. Can the learning rule find such weights by itself? It changes nothing
while the answer is right.""",
            run=learn,
            draw=draw_learn,
            sliders=[Slider("gate", list(GATES), "what it should learn"), Slider("passes", (1, 2, 3, 5, 8, 12, 20))],
            predict=Choice(
                "Of AND, OR, NAND and XOR, which will it still get wrong after 20 passes?",
                ("none", "NAND", "XOR", "NAND and XOR"),
                right=lambda run: {(): 0, ("NAND",): 1, ("XOR",): 2}.get(
                    tuple(gate for gate in GATES if wrong_at_the_end(run, gate)), 3),
                because="""No straight line parts XOR's ones from its zeros, so it goes on making mistakes ({xor} in the
last pass) however long it learns. NAND it learns ({nand}), and out of NANDs every computer can be built: what one
perceptron cannot, a network of them can.""",
            ),
            checks=[
                Check("hand", "NAND with the weights −2, −2 and the bias 3: right answers", lambda run: right_by_hand(),
                      4, 4),
                Check("nand", "NAND: mistakes in pass 20", lambda run: wrong_at_the_end(run, "NAND"), 0, 0),
                Check("and_or", "AND and OR: mistakes in pass 20, together",
                      lambda run: wrong_at_the_end(run, "AND") + wrong_at_the_end(run, "OR"), 0, 0),
                Check("xor", "XOR: mistakes in pass 20", lambda run: wrong_at_the_end(run, "XOR"), 1, 4),
            ],
        ),
    ],
    change=[
        "`tinynet learn perceptron --set passes=200 gate=XOR`: does patience help?",
        "`tinynet learn perceptron --set bias=-10`: which mornings are good enough now? And with −8?",
    ],
    engine=["primitives.py: mul", "primitives.py: sum"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, 1: http://neuralnetworksanddeeplearning.com/chap1.html",
             "F. Rosenblatt, The Perceptron, Psychological Review 65 (1958)",
             "M. Minsky and S. Papert, Perceptrons (1969)"],
)  # fmt: skip
