"""Vanishing gradients: the deeper a network of sigmoids, the less its first layers are told."""

import numpy as np

import tinynet as tn
from tinynet import data, nn
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def gradient_norms(depth=5, activation="sigmoid", width=30, seed=0):
    """The norm of the loss's gradient with respect to each hidden layer's weights, on 1,000 digits, before training."""
    tn.manual_seed(seed)
    layers = []
    for i in range(depth):
        layers += [nn.Linear(width if i else 784, width), ACTIVATIONS[activation]()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    train, _ = data.digits()
    nn.CrossEntropyLoss()(model(train.x[:1000]), train.y[:1000]).backward()
    hidden = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return [float(np.linalg.norm(layer.weight.grad.numpy())) for layer in hidden]


def draw(figure, result, depth, activation, width):
    axes = figure.subplots()
    axes.bar(range(1, depth + 1), result)
    axes.set(yscale="log", ylim=(1e-9, 10), xlabel="hidden layer, the first sees the digit", ylabel="gradient norm")
    axes.set_xticks(range(1, depth + 1))
    return (
        f"{depth} hidden layers of {width} {activation} units. Gradient norm: {result[0]:.2g} in the first, "
        f"{result[-1]:.2g} in the last, on a scale where each line is a factor of ten."
    )


LESSON = Lesson(
    number=14,
    title="Vanishing gradients",
    question="Why did deep networks of sigmoids hardly learn, and what did ReLU change?",
    idea="""Backpropagation multiplies: on its way back through a layer, the gradient is multiplied by that layer's weights
and by the slope of its activation. The sigmoid is nowhere steeper than 1/4.""",
    experiments=[
        Experiment(
            run=gradient_norms,
            draw=draw,
            sliders=[Slider("depth", (1, 2, 3, 5, 8, 12), "hidden layers"), Slider("activation", list(ACTIVATIONS))],
            predict=Choice(
                "Five hidden layers of sigmoids, fresh weights, 1,000 digits. Which hidden layer gets the largest gradient?",
                ("the first", "the middle one", "the last", "all about the same"),
                right=lambda run: (0, 0, 1, 2, 2)[int(np.argmax(run()))],
                because="The first layer's gradient is {ratio} of the last's: it learns that much more slowly.",
            ),
            checks=[
                Check("ratio", "five sigmoid layers: gradient norm of the first over the last",
                      lambda run: run()[0] / run()[-1], 2e-4, 6e-3, ".2g"),
                Check("relu", "five ReLU layers: the same", lambda run: run(activation="relu")[0] / run(activation="relu")[-1],
                      0.1, 10, ".2g"),
            ],
        )
    ],
    change=["`tinynet learn vanishing-gradients --set depth=20`: how many layers until the first hears nothing at all?"],
    engine=["primitives.py: sigmoid", "primitives.py: relu", "tensor.py: Tensor.backward"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, chapter 5: http://neuralnetworksanddeeplearning.com/chap5.html"],
)  # fmt: skip
