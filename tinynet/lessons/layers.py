"""Layers: 784-16-16-10 counted, written three ways, and what its hidden units look for once trained."""

import itertools
import math

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider
from tinynet.teaching.pictures import tiles


def network(width=16, hidden=2):
    """784 pixels, hidden layers of sigmoid neurons, 10 outputs."""
    sizes, layers = [784] + [width] * hidden + [10], []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.Sigmoid()]
    return nn.Sequential(*layers)


def count(width=16, hidden=2):
    """Each layer's shape (neurons, inputs), how many weights, and how many biases."""
    parts = network(width, hidden)[::2]  # every second one is the sigmoid
    return [(part.weight.shape, part.weight.size, part.bias.size) for part in parts]


def draw_count(figure, result, width, hidden):
    axes = figure.subplots()
    axes.barh(range(len(result)), [total([layer]) for layer in result], alpha=0.4)
    for i, ((after, before), _, biases) in enumerate(result):
        axes.text(1.3, i, f"{after} × {before} + {biases}", va="center")
    axes.grid(visible=False)
    axes.set(xscale="log", xlim=(1, 200_000), ylim=(3.6, -0.6), xlabel="numbers to learn")
    axes.set_yticks(range(len(result)), [*(f"hidden {i + 1}" for i in range(hidden)), "output"])
    name = "-".join(["784", *[str(width)] * hidden, "10"])
    return f"{name}: {total(result):,} numbers to learn; by layer: {', '.join(f'{total([row]):,}' for row in result)}."


def total(result):
    return sum(weights + biases for _, weights, biases in result)


def sums(a, layers):
    """Numbers alone, neuron by neuron: aⱼ = σ(Σₖ wⱼₖ aₖ + bⱼ)."""
    for W, b in layers:
        z = [sum(w * x for w, x in zip(row, a)) + bj for row, bj in zip(W.tolist(), b)]
        a = [1 / (1 + math.exp(-x)) for x in z]
    return a


def matrices(a, layers):
    """A line a layer: a = σ(W a + b)."""
    for W, b in layers:
        a = 1 / (1 + np.exp(-(W @ a + b)))
    return a


def three_ways(digit=3, kind="float64", seed=0):
    """The ten answers to one digit: as sums, as matrices, and by the model itself."""
    tn.manual_seed(seed)
    model = network().to(dtype=kind)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    layers = [(part.weight.numpy(), part.bias.numpy()) for part in model[::2]]
    _, test = data.digits()
    x = test.x[test.y == digit][0].astype(kind)
    return np.array([sums(x.tolist(), layers), matrices(x, layers), model(x).numpy()])


def draw_three_ways(figure, result, digit, kind):
    axes = figure.subplots()
    for row, marker, size, name in zip(result, "osx", (15, 9, 4), ("sums", "matrices", "model")):
        axes.plot(row, marker, markersize=size, fillstyle="none", label=name)
    axes.set(ylim=(-0.1, 1.35), xlabel="output neuron", ylabel="its answer", title=f"a {digit} in {kind}")
    axes.set_xticks(range(10))
    axes.legend(ncols=3, loc="upper center")
    return f"The ten answers to a {digit}, untrained, three ways in {kind}: they differ by at most {apart(result):.1g}."


def apart(*results):
    return max(float((result.max(0) - result.min(0)).max()) for result in results)


def all_digits(run, kind):
    return apart(*(run(digit=digit, kind=kind) for digit in range(10)))


def hidden_units(epochs=4, seed=0):
    """Train on 6,000 digits: the first hidden layer's weights and answers."""
    tn.manual_seed(seed)
    model = network()
    train, test = data.digits()
    trainer = tn.Trainer(model, nn.QuadraticCost(), optim.SGD(lr=3.0), threads=1)
    if epochs:
        trainer.fit(train, epochs=epochs, batch_size=10, seed=seed, progress=False)
    a = model[1](model[0](test.x)).numpy()
    on = np.array([a[test.y == digit].mean(0) > 0.5 for digit in range(10)])
    right = model.predict(test.x).numpy().argmax(1) == test.y
    return model[0].weight.numpy().reshape(16, 28, 28), on, right.mean()


def draw_hidden_units(figure, result, epochs):
    images, on, accuracy = result
    tiles(figure, list(images), [named(answers) for answers in on.T], columns=4, sign=True)
    return (
        f"After {epochs} passes over 6,000 digits, {100 * accuracy:.1f} % of 1,000 others are read correctly. A "
        "square is one unit's 784 weights: where orange, ink switches it on, where blue, off. Above, the digits it "
        f"answers with more than ½ on average: {on.sum(0).mean():.1f} of ten for the average unit."
    )


def named(answers):
    few, rest = (" ".join(map(str, np.flatnonzero(which))) for which in (answers, ~answers))
    return "on: " + ((few or "none") if answers.sum() < 7 else f"all but {rest}" if rest else "all")


def alike(result):
    return np.corrcoef(result[0][:, :, 1:].ravel(), result[0][:, :, :-1].ravel())[0, 1]


LESSON = Lesson(
    number=3,
    title="Layers",
    question="What is a layer, how many numbers does it hold, and what do its neurons look for?",
    idea="""A layer is a row of neurons that all see the same inputs a. Neuron j has a weight for each input, row j of
the table W, and a bias bⱼ. All together they answer

    a′ = σ(W a + b),   σ(z) = 1 / (1 + e⁻ᶻ)

W has the shape (neurons, inputs), and a′ is what the next layer sees. 784-16-16-10 is a network into which 28 × 28
pixels go; two hidden layers of 16 neurons follow, then ten outputs, one for each digit.""",
    experiments=[
        Experiment(
            title="Count them",
            says="Every neuron has a weight for each of its inputs, and one bias.",
            run=count, draw=draw_count, size=(5, 2.5),
            sliders=[Slider("width", (8, 16, 32, 128), "neurons in a hidden layer"),
                     Slider("hidden", (1, 2, 3), "hidden layers")],
            predict=Number("How many weights and biases has 784-16-16-10?", lambda run: total(run()), 0,
                           because="""784·16 + 16·16 + 16·10 = {weights} weights, and a bias for each of the 16 + 16 +
10 neurons: {all} numbers. Nearly all are in the first layer, which sees the pixels."""),
            checks=[
                Check("all", "parameters", lambda run: total(run()), 13_002, 13_002, ",.0f", "13,002, 3Blue1Brown"),
                Check("weights", "weights", lambda run: sum(row[1] for row in run()), 12_960, 12_960, ",.0f"),
            ],
        ),
        Experiment(
            title="One network, written three ways",
            says="""As sums, neuron by neuron; as products of a table and a row of numbers, a layer at a time; and as
the model's own code, `nn.Linear` and `nn.Sigmoid`. All three get the same weights, drawn at random. float64 carries
about 16 digits, float32 about 7.""",
            run=three_ways, draw=draw_three_ways,
            sliders=[Slider("digit", (0, 1, 3, 5, 8)), Slider("kind", ("float64", "float32"), "numbers")],
            predict=Choice(
                "In float64: how well will the three agree?",
                ("to the last bit", "all but the last of 16 digits", "to about six digits", "to about three digits"),
                right=lambda run: int(np.digitize(all_digits(run, "float64"), (1e-300, 1e-13, 1e-5))),
                because="""They are the same mathematics. But 784 products are added up in another order, and each sum
is rounded: over all ten digits they differ by at most {double} in float64,
by {single} in float32. For learning, either is enough.""",
            ),
            checks=[
                Check("double", "float64: largest difference over all ten digits",
                      lambda run: all_digits(run, "float64"), 1e-17, 1e-14, ".0g"),
                Check("single", "float32: largest difference over all ten digits",
                      lambda run: all_digits(run, "float32"), 1e-9, 1e-5, ".0g"),
            ],
        ),
        Experiment(
            title="What do hidden units look for?",
            says="""One would hope: units of the first hidden layer find strokes, the second puts them together, the
output names the digit. Train it, then look at each of the 16 first units.""",
            run=hidden_units, draw=draw_hidden_units, size=(5, 5.2),
            sliders=[Slider("epochs", (0, 1, 2, 4, 8), "passes over the digits")],
            predict=Choice(
                "Once trained, how many of the ten digits switch an average unit of the first hidden layer on?",
                ("one: each finds its digit", "two or three", "four to six", "nearly all"),
                right=lambda run: int(np.digitize(run()[1].sum(0).mean(), (1.5, 4, 6.1))),
                because="""{on}: no unit stands for a digit, and strokes are hard to find. Each is a broad blotch
(the correlation of neighbouring weights is {smooth}, where 1 is alike and 0 unrelated; before
training {noise}) which parts some digits from others; 16 such questions together tell
ten digits apart, {accuracy} % of the time.""",
            ),
            checks=[
                Check("on", "digits that switch a unit on, mean", lambda run: run()[1].sum(0).mean(), 4, 6, ".1f"),
                Check("smooth", "correlation of neighbouring weights", lambda run: alike(run()), 0.75, 0.9, ".2f"),
                Check("noise", "correlation of neighbouring weights, before training", lambda run: alike(run(epochs=0)),
                      -0.05, 0.05, ".2f"),
                Check("accuracy", "test digits read correctly, %", lambda run: 100 * run()[2], 85, 94, ".1f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn layers --set width=30 hidden=1`: how many numbers has Nielsen's 784-30-10?",
        "`tinynet learn layers --set epochs=20`: do strokes appear with patience?",
        "`tinynet learn layers --seed 1`: other blotches, as good an answer. Does a single unit mean anything?",
    ],
    engine=["nn/linear.py: linear", "nn/linear.py: WeightedSum.forward", "nn/containers.py: Sequential.forward"],
    sources=["3Blue1Brown, But what is a neural network?: https://www.3blue1brown.com/lessons/neural-networks",
             "M. Nielsen, Neural Networks and Deep Learning, chapter 1: http://neuralnetworksanddeeplearning.com/chap1.html"],
)  # fmt: skip
