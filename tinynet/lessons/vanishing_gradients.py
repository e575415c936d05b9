"""Vanishing gradients: the deeper a network of sigmoids, the less its first layers are told."""

import math

import numpy as np

import tinynet as tn
from tinynet import Tensor, Value, data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def slopes(activation="sigmoid", times=1):
    """f(f(… f(x))) for x from −8 to 8, and its slopes by backpropagation."""
    x = Tensor(np.linspace(-8, 8, 161), requires_grad=True)
    y = x
    for _ in range(times):
        y = ACTIVATIONS[activation]()(y)
    y.sum().backward()
    return x.numpy(), y.numpy(), x.grad.numpy()


def draw_slopes(figure, result, activation, times):
    axes, (x, y, slope) = figure.subplots(), result
    axes.plot(x, y, "--", color="gray", label="value")
    axes.plot(x, slope, color="C1", label="slope")
    axes.set(ylim=(-1.1, 1.6), xlabel="x", title=f"{activation}: {times}, one after the other")
    axes.legend(loc="upper left", ncols=2)
    return f"{activation}, {times}×: its slope is nowhere above {slope.max():.3g}, and at x = 8 it is {slope[-1]:.2g}."


def network(depth, activation, width, start):
    """Hidden layers of one width; weights normal, with variance start / inputs."""
    layers = []
    for i in range(depth):
        layers += [nn.Linear(width if i else 784, width), ACTIVATIONS[activation]()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    linear = [layer for layer in model.children() if isinstance(layer, nn.Linear)]
    for layer in linear:
        nn.init.normal_(layer.weight, std=math.sqrt(start / layer.in_features))
    return model, [layer.weight for layer in linear[:-1]]


def gradient_norms(depth=8, start=2, width=30, seed=0):
    """‖∂loss/∂W‖ of each hidden layer before any training, on 1,000 digits."""
    train, _ = data.digits()
    norms = {}
    for activation in ACTIVATIONS:
        tn.manual_seed(seed)
        model, weights = network(depth, activation, width, start)
        nn.CrossEntropyLoss()(model(train.x[:1000]), train.y[:1000]).backward()
        norms[activation] = [float(np.linalg.norm(w.grad.numpy())) for w in weights]
    return norms


def draw_norms(figure, result, depth, start, width):
    axes = figure.subplots()
    for (name, norms), form in zip(result.items(), ("o-", "s-", "^-")):
        axes.plot(range(1, depth + 1), norms, form, label=name, markersize=5)
    axes.set(yscale="log", ylim=(1e-11, max(1e3, *result["relu"])), xlim=(0.5, max(12, depth) + 0.5))
    axes.set(ylabel="norm of the gradient", xlabel="hidden layer (1, the first, sees the digit)")
    figure.legend(loc="outside upper center", ncols=3)
    each = "; ".join(f"{name} {norms[0]:.3g} and {norms[-1]:.3g}" for name, norms in result.items())
    return f"Hidden layers: {depth}, of {width} units. Norm of the gradient in the first and in the last: {each}."


def learned(depth=5, rate=0.1, epochs=5, width=30, seed=0):
    """The test accuracy after each epoch; how far each W moved, ‖W − W₀‖ / ‖W₀‖."""
    train, test = data.digits()
    few, results = train.take(2000), {}
    for activation in ("sigmoid", "relu"):
        tn.manual_seed(seed)
        model, weights = network(depth, activation, width, start=2)
        first = [w.numpy().copy() for w in weights]
        loss, optimizer = nn.CrossEntropyLoss(), optim.SGD(lr=rate)
        trainer = tn.Trainer(model, loss, optimizer, metrics=["accuracy"], threads=1)
        trainer.fit(few, test, epochs, batch_size=10, seed=seed, progress=False)
        size = np.linalg.norm
        moved = [size(w.numpy() - w0) / size(w0) for w, w0 in zip(weights, first)]
        results[activation] = trainer.history["val_accuracy"], moved
    return results


def draw_learned(figure, result, depth, rate, epochs, width):
    left, right = figure.subplots(1, 2)
    for (name, (accuracy, moved)), form, color in zip(result.items(), ("o-", "^-"), ("C0", "C2")):
        left.plot(range(1, epochs + 1), [100 * a for a in accuracy], form, color=color, markersize=4, label=name)
        right.plot(range(1, depth + 1), moved, form, color=color, markersize=4)
    left.axhline(10, color="gray", linestyle=":")
    left.set(ylim=(0, 100), xlabel="epoch", title="test accuracy (%)")
    right.set(yscale="log", ylim=(1e-4, 10), xlim=(0.5, max(8, depth) + 0.5), xlabel="hidden layer", title="moved by")
    figure.legend(loc="outside upper center", ncols=2)
    (sigmoid, still), (relu, moved) = result.values()
    return (
        f"Hidden layers: {depth}; epochs: {epochs}. With sigmoids {100 * sigmoid[-1]:.0f} % of test digits are right, "
        f"with ReLU {100 * relu[-1]:.0f} %; guessing (dotted) gives 10 %. The first layer's weights moved by "
        f"{still[0]:.2g} and {moved[0]:.2g} times their size."
    )


LESSON = Lesson(
    number=14,
    title="Vanishing gradients",
    question="Why did deep networks of sigmoids hardly learn, and what did ReLU change?",
    idea="""A weight learns from its gradient, the slope of the loss with respect to it. Backpropagation finds it going
back from the loss: each layer multiplies what passes by its weights w and by the slope f′ of its activation f.

    one layer back:   gradient · w · f′

The activations here are the sigmoid 1 / (1 + e⁻ˣ), tanh, and ReLU, which is max(x, 0).""",
    experiments=[
        Experiment(
            title="How steep is it?",
            says="First the slope f′ alone, and of several f, one after the other: a deep network with all weights 1.",
            run=slopes,
            draw=draw_slopes,
            sliders=[Slider("activation", list(ACTIVATIONS)), Slider("times", (1, 2, 3, 5, 8), "one after the other")],
            predict=Number("The sigmoid climbs from 0 to 1. What is its slope where it is steepest?",
                           lambda run: run()[2].max(), 0.01,
                           because="""Its slope is σ(x)(1 − σ(x)), which is never above {bound}. Five in a row pass on
{five} at most, less than 0.25⁵. ReLU's slope is 1 wherever x is above 0, and five of them still have {relu_five}; below
0, nothing passes."""),
            checks=[
                Check("bound", "sigmoid: the largest slope", lambda run: run()[2].max(), 0.25, 0.25),
                Check("five", "five sigmoids: the largest slope", lambda run: run(times=5)[2].max(), 6e-4, 0.25**5,
                      ".2g"),
                Check("relu_five", "five ReLUs: the largest slope",
                      lambda run: run(activation="relu", times=5)[2].max(), 1, 1),
            ],
        ),
        Experiment(
            title="The gradient, layer by layer",
            says="""Layers of 30 units, before any training. A layer's gradient has a number for each weight; its norm
is the root of the sum of their squares. All three networks start from the same weights, drawn with variance `start` /
inputs: 2 is meant for ReLU (He et al.), 0.33 is about what `nn.Linear` does by itself.""",
            run=gradient_norms,
            draw=draw_norms,
            sliders=[Slider("depth", (1, 2, 3, 5, 8, 12), "hidden layers"), Slider("start", (0.33, 1, 2, 4))],
            predict=Choice(
                "Eight hidden layers of sigmoids. How large is the first layer's gradient beside that of the last?",
                ("larger: it has the most weights", "about as large", "about an eighth", "about a thousandth"),
                right=lambda run: int(np.digitize(run()["sigmoid"][-1] / run()["sigmoid"][0], (0.5, 2, 100))),
                because="""It is {sigmoid} of the last's: each layer on the way leaves {factor} of it. With ReLU the
first layer's is {relu} times the last's (a unit there has 784 weights, elsewhere 30), and the others are much alike.
But the weights count too: started with 0.33, the norm in the first of twelve ReLU layers is only {small}.""",
            ),
            checks=[
                Check("sigmoid", "8 sigmoids: gradient norm of the first over the last",
                      lambda run: run()["sigmoid"][0] / run()["sigmoid"][-1], 5e-4, 1.5e-3, ".1g"),
                Check("factor", "8 sigmoids: what each layer leaves, from the last back to the second",
                      lambda run: (run()["sigmoid"][1] / run()["sigmoid"][-1]) ** (1 / 6), 0.28, 0.36, ".2f"),
                Check("relu", "8 ReLUs: gradient norm of the first over the last",
                      lambda run: run()["relu"][0] / run()["relu"][-1], 1, 9, ".2g"),
                Check("small", "12 ReLUs, start 0.33: gradient norm of the first",
                      lambda run: run(depth=12, start=0.33)["relu"][0], 0, 2e-4, ".5f"),
            ],
        ),
        Experiment(
            title="What it costs",
            says="""Training on 2,000 digits, five epochs in batches of 10, at the same learning rate. On the right, how
far each layer's weights W moved, as a part of their size at the start.""",
            run=learned,
            draw=draw_learned,
            sliders=[Slider("depth", (1, 2, 3, 4, 5, 8), "hidden layers")],
            predict=Choice(
                "One hidden layer of sigmoids reads most new digits correctly. How many do five such layers read?",
                ("more than one layer", "about as many", "about half of them", "about 10 %, as by guessing"),
                right=lambda run: int(np.digitize(-run()["sigmoid"][0][-1], (-0.9, -0.7, -0.2))),
                because="""One layer of sigmoids gets {one} % right, five get {deep} %: the layers far from the loss
hardly moved, the first by {still} of its size. With ReLU, five layers get {relu_deep} %, and the first
moved by {moved}.""",
            ),
            checks=[
                Check("one", "1 sigmoid layer: right (%)", lambda run: 100 * run(depth=1)["sigmoid"][0][-1],
                      85, 92, ".0f"),
                Check("deep", "5 sigmoid layers: right (%)", lambda run: 100 * run()["sigmoid"][0][-1], 9, 15, ".0f"),
                Check("relu_deep", "5 ReLU layers: right (%)", lambda run: 100 * run()["relu"][0][-1], 75, 95, ".0f"),
                Check("still", "5 sigmoid layers: first moved", lambda run: run()["sigmoid"][1][0], 0.01, 0.1, ".2f"),
                Check("moved", "5 ReLU layers: first moved", lambda run: run()["relu"][1][0], 0.6, 1.8, ".1f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn vanishing-gradients --set epochs=30`: do five layers of sigmoids only need patience?",
        "`tinynet learn vanishing-gradients --set rate=0.5`: or larger steps? What do those do to ReLU?",
        "`tinynet learn vanishing-gradients --set start=16`: can large weights make up for small slopes?",
    ],
    engine=["primitives.py: sigmoid", "primitives.py: relu", "tensor.py: Tensor.backward"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, ch. 5: http://neuralnetworksanddeeplearning.com/chap5.html",
             "X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks (2010)",
             "K. He et al., Delving deep into rectifiers (2015): https://arxiv.org/abs/1502.01852"],
    walk=lambda: tn.explain(Value(0.5, label="x").sigmoid().sigmoid().sigmoid()),
)  # fmt: skip
