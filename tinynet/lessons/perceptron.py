"""The perceptron: a decision by weighing evidence, the rule by which it learns, and the one thing it cannot do."""

import numpy as np

import tinynet as tn
from tinynet import Tensor
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider
from tinynet.teaching.pictures import signed

GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NAND": [1, 1, 1, 0], "XOR": [0, 1, 1, 0]}
CORNERS = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def surf(waves=1, crowd=0, sharks=1):
    """Good waves count 5, an empty beach 2, no sharks 4: go if the sum is above 3."""
    x, w, b = Tensor([waves, crowd, sharks]), Tensor([5.0, 2.0, 4.0]), -3.0
    z = (w * x).sum() + b
    return z.item(), z.item() > 0


def draw_surf(figure, result, waves, crowd, sharks):
    axes, (z, go) = figure.subplots(), result
    parts = [5 * waves, 2 * crowd, 4 * sharks, -3, z]
    names = ["good waves", "empty beach", "no sharks", "bias", "sum"]
    axes.barh(names, parts, color=["C0"] * 3 + ["C4", "C1"])
    axes.axvline(0, color="gray", linewidth=1)
    axes.set(xlim=(-4, 12), xlabel="what each adds")
    axes.invert_yaxis()
    return f"5·{waves} + 2·{crowd} + 4·{sharks} − 3 = {z:g}, so the perceptron says {'go' if go else 'stay'}."


def learn(gate="NAND", passes=20, seed=0):
    """After each mistake, w ← w + (target − answer) · x, and b as if its x were 1."""
    tn.manual_seed(seed)
    w, b = tn.rand(2), tn.rand(1)
    history = []
    for _ in range(passes):
        mistakes = 0
        for x, target in zip(CORNERS, GATES[gate]):
            answer = int(((w * x).sum() + b).item() > 0)
            w, b = w + (target - answer) * x, b + (target - answer)
            mistakes += answer != target
        history.append(np.array([*w.numpy(), b.item(), mistakes]))
    return history


def draw_learn(figure, result, gate, passes):
    left, right = figure.subplots(1, 2)
    (w1, w2, b, mistakes), grid = result[-1], np.linspace(-0.5, 1.5, 60)
    side = w1 * grid[None, :] + w2 * grid[::-1, None] + b > 0
    left.imshow(side, extent=(-0.5, 1.5, -0.5, 1.5), cmap=signed(), vmin=-1, vmax=2, alpha=0.3)
    for (x, y), target in zip(CORNERS.numpy(), GATES[gate]):
        left.plot(x, y, "o" if target else "X", color="C1" if target else "C0", markersize=10)
    left.set(aspect="equal", xlabel="first input", ylabel="second input", title=gate)
    right.plot(range(1, passes + 1), [row[3] for row in result], "o-", markersize=3)
    right.set(ylim=(-0.2, 4.2), xlabel="pass over the four corners", title="mistakes")
    return (
        f"{gate}: circles should be 1 and crosses 0; the shaded half-planes are the perceptron's answers after "
        f"{passes} passes. Mistakes in the last pass: {mistakes:.0f} of 4."
    )


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
            sliders=[Slider("waves", (0, 1), "good waves"), Slider("crowd", (0, 1), "empty beach"),
                     Slider("sharks", (0, 1), "no sharks")],
            predict=Number("The weights are 5, 2 and 4, the bias −3. What is the sum?", lambda run: run()[0], 0,
                           because="5·1 + 2·0 + 4·1 − 3 = {sum}, which is above 0: go."),
            checks=[
                Check("sum", "waves 1, beach 0, sharks 1: the sum", lambda run: run()[0], 6, 6),
                Check("go", "of the eight mornings, go on", lambda run: sum(
                    run(waves=a, crowd=b, sharks=c)[1] for a in (0, 1) for b in (0, 1) for c in (0, 1)), 6, 6),
            ],
        ),
        Experiment(
            title="Let it learn, and find what it cannot",
            says="""NAND is 0 only where both inputs are 1; by hand, the weights −2 and −2 and the bias 3 do it. Can the
learning rule find such weights by itself? It changes nothing while the answer is right.""",
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
                Check("nand", "NAND: mistakes in pass 20", lambda run: wrong_at_the_end(run, "NAND"), 0, 0),
                Check("and_or", "AND and OR: the same",
                      lambda run: wrong_at_the_end(run, "AND") + wrong_at_the_end(run, "OR"), 0, 0),
                Check("xor", "XOR: the same", lambda run: wrong_at_the_end(run, "XOR"), 1, 4),
            ],
        ),
    ],
    change=[
        "`tinynet learn perceptron --set passes=200 gate=XOR`: does patience help?",
        "In `surf`, how low must the bias be before we only go on perfect mornings?",
    ],
    engine=["primitives.py: mul", "primitives.py: sum"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, 1: http://neuralnetworksanddeeplearning.com/chap1.html",
             "F. Rosenblatt, The Perceptron, Psychological Review 65 (1958)",
             "M. Minsky and S. Papert, Perceptrons (1969)"],
)  # fmt: skip
