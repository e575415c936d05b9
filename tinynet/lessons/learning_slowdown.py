"""Costs and learning slowdown: a neuron that is badly wrong, under quadratic cost and under cross-entropy."""

import numpy as np

import tinynet as tn
from tinynet import Value, data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

COSTS = {
    "quadratic": lambda a, y: (a - y) ** 2 / 2,
    "cross-entropy": lambda a, y: -(y * a.log() + (1 - y) * (1 - a).log()),
}


def neuron(weight=2.0, bias=2.0, lr=0.15, epochs=300):
    """One sigmoid neuron, input 1, target 0: its output a and dC/dw, epoch by epoch."""
    history = {}
    for name, cost in COSTS.items():
        w, b, rows = Value(weight), Value(bias), []
        for _ in range(epochs + 1):
            a = (w * 1.0 + b).sigmoid()
            w.grad = b.grad = 0.0
            cost(a, 0.0).backward()
            rows.append((a.data, w.grad))
            w.data -= lr * w.grad
            b.data -= lr * b.grad
        history[name] = np.array(rows)
    return history


def draw_neuron(figure, result, weight, bias, lr, epochs):
    left, right = figure.subplots(1, 2, sharex=True)
    for name, rows in result.items():
        every = slice(None, None, max(1, epochs // 150))
        left.plot(range(epochs + 1)[every], rows[every, 0])
        right.plot(range(epochs + 1)[every], rows[every, 1], label=name)
    left.set(ylim=(0, 1.03), xlabel="epoch", title="output, wanted: 0")
    right.set(ylim=(0, 1.03), xlabel="epoch", title="slope ∂C/∂w")
    figure.legend(loc="outside upper center", ncols=2)
    (quadratic, cross), early = result.values(), min(50, epochs)
    return (
        f"w = {weight:g} and b = {bias:g} at the start: output {quadratic[0, 0]:.2f}, wanted 0. Slope there: "
        f"{quadratic[0, 1]:.3f} under quadratic cost, {cross[0, 1]:.3f} under cross-entropy. Output after {early} "
        f"epochs: {quadratic[early, 0]:.2f} and {cross[early, 0]:.2f}; after {epochs}: {quadratic[-1, 0]:.2f} and "
        f"{cross[-1, 0]:.2f}."
    )


LOSSES = {
    "quadratic": nn.QuadraticCost(),
    "cross-entropy": nn.BCEWithLogitsLoss("batchmean"),  # of logits, before σ
}


def digits(lr=0.5, start="normal", passes=6, seed=0):
    """Accuracy on 1,000 other digits after each pass over 1,000, under both costs."""
    train, test = (part.take(1000) for part in data.digits())
    accuracy = {}
    for name in COSTS:
        tn.manual_seed(seed)
        model = nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10))
        nn.init.initialise(model, weights=start, biases="normal")
        outputs = model(train.x).sigmoid().numpy()
        if name == "quadratic":
            model.append(nn.Sigmoid())
        trainer = tn.Trainer(model, LOSSES[name], optim.SGD(lr=lr), ["accuracy"], threads=1)
        before = trainer.evaluate(test)["accuracy"]
        history = trainer.fit(train, test, passes, 10, progress=False, seed=seed)
        accuracy[name] = [before, *history["val_accuracy"]]
    return accuracy, (outputs * (1 - outputs) < 0.05).mean()


def draw_digits(figure, result, lr, start, passes):
    axes, (accuracy, flat) = figure.subplots(), result
    for name, values in accuracy.items():
        axes.plot(range(passes + 1), np.multiply(values, 100), "o-", label=name)
    axes.set(ylim=(0, 100), xlabel="passes over 1,000 digits", ylabel="% of 1,000 others read correctly")
    figure.legend(loc="outside upper center", ncols=2)
    ends = ", ".join(f"{100 * values[-1]:.1f} % under {name}" for name, values in accuracy.items())
    return (
        f"Starting weights {start}, learning rate {lr:g}. At the start {100 * flat:.0f} % of the outputs lie where "
        f"the sigmoid is nearly flat (slope below 0.05). After {passes} passes: {ends}."
    )


def below_half(rows):
    return int(np.argmax(rows[:, 0] < 0.5))


def moved(result):
    return result["quadratic"][0, 0] - result["quadratic"][50, 0]


def mild(run):
    return run(weight=0.6, bias=0.9)


def lead(run, start):
    accuracy = run(start=start)[0]
    return 100 * (accuracy["cross-entropy"][-1] - accuracy["quadratic"][-1])


def walk():
    w, b = Value(2.0, label="w"), Value(2.0, label="b")
    a = (w * 1.0 + b).sigmoid()
    cost = COSTS["quadratic"](a, 0.0)
    a.label, cost.label = "a", "C"
    return tn.explain(cost)


LESSON = Lesson(
    number=8,
    title="Costs and learning slowdown",
    question="Do we learn fastest when we are most wrong? What has the cost to do with it?",
    idea="""A sigmoid neuron with one input x gives a = σ(wx + b), where σ(z) = 1 / (1 + e⁻ᶻ). The input is 1 and the
output y that is wanted is 0. A cost says how wrong a is; two are in use:

    quadratic cost    C = ½ (a − y)²
    cross-entropy     C = −[y ln a + (1 − y) ln(1 − a)]

Gradient descent lowers w and b by the learning rate times the slopes ∂C/∂w and ∂C/∂b.""",
    experiments=[
        Experiment(
            title="The badly wrong neuron",
            says="""Start it with w = b = 2, and it is badly wrong: its output is {bad}. Start it with w = 0.6 and b
= 0.9, and it is less wrong: {mild}. The learning rate is 0.15, an epoch is one step.""",
            run=neuron,
            draw=draw_neuron,
            size=(5, 3.1),
            sliders=[Slider("weight", (-1.0, 0.6, 1.0, 2.0, 3.0), "w at the start"),
                     Slider("bias", (0.0, 0.9, 2.0, 3.0), "b at the start")],
            predict=Choice(
                "Under quadratic cost: which of the two gets further towards 0 in its first 50 epochs?",
                ("the badly wrong one: its error is larger", "the less wrong one", "both about as far"),
                right=lambda run: 1 if moved(mild(run)) > 2 * moved(run()) else 0,
                because="""The less wrong one moves by {mild_moved}, the badly wrong one by {bad_moved}. Under
quadratic cost the slope ∂C/∂w is (a − y) σ′(z) x, where z = wx + b, and at z = 4 the sigmoid is so flat (σ′ =
{flat}) that little of the error comes through. Under cross-entropy σ′ cancels and the slope is (a − y) x: largest
at the very start, in epoch {cross_steepest}, whereas under quadratic cost it is largest in epoch {steepest}. The
badly wrong neuron is below 0.5 after {bad_epochs} epochs under quadratic cost and after {cross_epochs} under
cross-entropy. Another learning rate stretches these curves and hardly changes their shapes.""",
            ),
            checks=[
                Check("bad", "w = b = 2: output at the start", lambda run: run()["quadratic"][0, 0],
                      0.9819, 0.9821, ".2f", published="0.98"),
                Check("mild", "w = 0.6, b = 0.9: output at the start", lambda run: mild(run)["quadratic"][0, 0],
                      0.8175, 0.8177, ".2f", published="0.82"),
                Check("bad_end", "w = b = 2, quadratic cost: output after 300 epochs",
                      lambda run: run()["quadratic"][-1, 0], 0.2027, 0.203, ".2f", published="0.20"),
                Check("mild_end", "w = 0.6, b = 0.9, quadratic cost: output after 300 epochs",
                      lambda run: mild(run)["quadratic"][-1, 0], 0.0939, 0.0941, ".2f", published="0.09"),
                Check("bad_moved", "w = b = 2, quadratic cost: fall of the output in 50 epochs",
                      lambda run: moved(run()), 0.006, 0.0062, ".3f"),
                Check("mild_moved", "w = 0.6, b = 0.9, quadratic cost: fall of the output in 50 epochs",
                      lambda run: moved(mild(run)), 0.43, 0.431, ".3f"),
                Check("flat", "w = b = 2: slope under quadratic cost over that under cross-entropy, which is σ′(4)",
                      lambda run: run()["quadratic"][0, 1] / run()["cross-entropy"][0, 1], 0.01766, 0.01767, ".4f"),
                Check("steepest", "w = b = 2, quadratic cost: epoch of the largest slope",
                      lambda run: run()["quadratic"][:, 1].argmax(), 215, 215, ".0f"),
                Check("cross_steepest", "w = b = 2, cross-entropy: epoch of the largest slope",
                      lambda run: run()["cross-entropy"][:, 1].argmax(), 0, 0, ".0f"),
                Check("bad_epochs", "w = b = 2, quadratic cost: epochs until the output is below 0.5",
                      lambda run: below_half(run()["quadratic"]), 232, 232, ".0f"),
                Check("cross_epochs", "w = b = 2, cross-entropy: epochs until the output is below 0.5",
                      lambda run: below_half(run()["cross-entropy"]), 17, 17, ".0f"),
            ],
        ),
        Experiment(
            title="On digits",
            says="""784 pixels, 30 hidden units, 10 outputs learn 1,000 digits in batches of 10. The weights start from
the standard normal distribution (typical size 1): 30 of them add up to large sums (logits, of which σ makes the
outputs), and many outputs are badly wrong at once. After six passes at learning rate 0.5, {quadratic} % of 1,000 other
digits are read correctly under quadratic cost, {cross} % under cross-entropy.""",
            run=digits,
            draw=draw_digits,
            sliders=[Slider("start", ("normal", "scaled-normal"), "starting weights"),
                     Slider("lr", (0.1, 0.5, 1.0, 3.0), "learning rate")],
            predict=Choice(
                "Start from small weights instead (scaled-normal: divided by the root of the number of inputs). What "
                "becomes of the lead of cross-entropy?",
                ("it stays about as large", "little of it is left", "quadratic cost gets ahead"),
                right=lambda run: int(lead(run, "scaled-normal") < 0.25 * lead(run, "normal")),
                because="""From {lead} points it falls to {small}. What quadratic cost suffers from is flat
sigmoids, and with small weights few outputs start where they are flat ({at_rest} %, against {saturated} %). A
larger step helps too: at learning rate 3, from the large weights, quadratic cost gets to {tuned} %. So costs are
best compared at the learning rate that suits each; cross-entropy is less particular about where it starts.""",
            ),
            checks=[
                Check("quadratic", "large weights, quadratic cost: accuracy after 6 passes, %",
                      lambda run: 100 * run()[0]["quadratic"][-1], 20, 55, ".1f"),
                Check("cross", "large weights, cross-entropy: accuracy after 6 passes, %",
                      lambda run: 100 * run()[0]["cross-entropy"][-1], 74, 84, ".1f"),
                Check("lead", "large weights: lead of cross-entropy, points", lambda run: lead(run, "normal"),
                      27, 58, ".1f"),
                Check("small", "small weights: lead of cross-entropy, points", lambda run: lead(run, "scaled-normal"),
                      1, 9, ".1f"),
                Check("saturated", "large weights: outputs with a slope of σ below 0.05 at the start, %",
                      lambda run: 100 * run()[1], 25, 70, ".0f"),
                Check("at_rest", "small weights: outputs with a slope of σ below 0.05 at the start, %",
                      lambda run: 100 * run(start="scaled-normal")[1], 0, 15, ".0f"),
                Check("tuned", "large weights, quadratic cost at learning rate 3: accuracy after 6 passes, %",
                      lambda run: 100 * run(lr=3.0)[0]["quadratic"][-1], 54, 84, ".1f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn learning-slowdown --set weight=4.0 bias=4.0`: how long is it stuck now? And `lr=5.0`?",
        "`tinynet learn learning-slowdown --set passes=20`: does quadratic cost catch up?",
    ],
    engine=["primitives.py: sigmoid", "primitives.py: log", "nn/regression.py: QuadraticCost",
            "nn/losses.py: BCEWithLogitsLoss"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, chapter 3: http://neuralnetworksanddeeplearning.com/chap3.html"],
    walk=walk,
)  # fmt: skip
