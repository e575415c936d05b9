"""Nudges: what one picture of a digit wants from every weight, and how the wishes of many become one gradient."""

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider, pictures


def network(passes, seed):
    """784-16-16-10 sigmoids, after so many passes over 1,000 digits; and the digits."""
    tn.manual_seed(seed)
    layers = [nn.Linear(784, 16), nn.Sigmoid(), nn.Linear(16, 16), nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(16, 10), nn.Sigmoid())
    train = data.digits()[0].take(1000)
    trainer = tn.Trainer(model, nn.QuadraticCost(), optim.SGD(lr=3.0), threads=1)
    trainer.fit(train, epochs=passes, batch_size=10, progress=False, seed=seed)
    return model, train


def wish(model, x, y):
    """Minus the gradient of the cost, ½ Σ (output − target)², for each weight and bias."""
    for parameter in model.parameters():
        parameter.zero_grad()
    nn.QuadraticCost()(model(x), y).backward()
    return [-parameter.grad.numpy() for parameter in model.parameters()]


def one_picture(digit=2, passes=0, seed=0):
    """The first picture of a digit, the last hidden layer, the outputs, and the wishes."""
    model, train = network(passes, seed)
    x, y = train.subset(train.y == digit)[:1]
    active, outputs = model[:4](x).numpy()[0], model(x).numpy()[0]
    return x.reshape(28, 28), active, outputs, wish(model, x, y)


def draw_one(figure, result, digit, passes):
    above, below = figure.subfigures(2, 1, height_ratios=(5, 2))
    left, right = above.subplots(1, 2, sharey=True, width_ratios=(2, 3))
    image, _, outputs, (first, *_, weights, biases) = result
    left.barh(range(10), biases, color=["C1" if wanted > 0 else "C0" for wanted in biases])
    left.set(xlim=(-0.19, 0.19), ylabel="output", title="10 biases", yticks=range(10), xticks=(-0.1, 0, 0.1))
    right.imshow(weights, cmap=pictures.signed(), vmin=-0.1, vmax=0.1, aspect="auto")
    right.set(title="160 weights", xlabel="from hidden unit", xticks=range(0, 16, 5))
    right.grid(False)
    units = np.argsort(-result[3][1])[[0, 1, -2, -1]]
    titles = ["the picture", *(f"for unit {unit}" for unit in units)]
    pictures.tiles(below, [image * np.abs(first).max(), *first[units].reshape(4, 28, 28)], titles, sign=True)
    others = np.delete(biases, digit)
    return (
        f"What a picture of a {digit} wishes: orange is to be raised, blue to be lowered. Above, the last layer: "
        f"output {digit} is {outputs[digit]:.2f} and should be 1; the wish for its bias is {biases[digit]:+.3f}. The "
        f"other nine should be 0: {others.min():+.3f} to {others.max():+.3f}. Below, the 784 weights into four units "
        "of the first hidden layer, the two that should rise most and the two that should fall most: each time the "
        "picture itself, the wishes adding up to "
        f"{', '.join(f'{first[unit].sum():+.2f}' for unit in units)}."
    ).replace("-", "−")


def average(n=100, passes=3, seed=0):
    """The wishes of n pictures one by one, their average, and that of n as one batch."""
    model, train = network(passes, seed)
    each = [wish(model, train.x[i : i + 1], train.y[i : i + 1]) for i in range(n)]
    mean = [np.mean(wishes, axis=0) for wishes in zip(*each)]
    return each, mean, wish(model, train.x[:n], train.y[:n])


def draw_average(figure, result, n, passes):
    unit = np.argmax(np.abs(result[0][0][0]).max(1))
    singles, (mean, batch) = ([w[0][unit].reshape(28, 28) for w in ws] for ws in (result[0][:3], result[1:]))
    most, finer = np.abs(singles).max(), np.abs(mean).max()
    titles = [f"average of {n}", "−gradient", "difference", "picture 1", "picture 2", "picture 3"]
    images = [image / finer for image in (mean, batch, mean - batch)] + [image / most for image in singles]
    pictures.tiles(figure, images, titles, columns=3, sign=True)
    return (
        f"The 784 weights into one hidden unit. Above, the average wish of {n} pictures, minus the gradient of those "
        f"{n} as one batch, and the difference: over all 13,002 numbers at most "
        f"{f'{apart(result):.1g}'.replace('-', '−')}. Below, the "
        f"wishes of single pictures, in colours {most / finer:.1f} times less sensitive. A single wish is "
        f"{shorter(result):.1f} times as long as the average."
    )


def off(result):
    image, active, _, wishes = result
    products = (np.outer(wishes[1], image), wishes[0]), (np.outer(wishes[5], active), wishes[4])
    return max(np.abs(product - wanted).max() for product, wanted in products)


def apart(result):
    return max(np.abs(a - b).max() for a, b in zip(*result[1:]))


def shorter(result):
    *each, mean = [np.sqrt(sum((part**2).sum() for part in wishes)) for wishes in (*result[0], result[1])]
    return np.mean(each) / mean


LESSON = Lesson(
    number=6,
    title="Nudges",
    question="What does one picture want from each weight, and what has that to do with the gradient?",
    idea="""A network of 784 inputs (the pixels), two layers of 16 hidden units and 10 outputs has 13,002 weights and
biases. It is shown a picture. The output of the right digit should be 1, the other nine 0; the cost C is half the sum
of the squared errors. What this picture wishes for a weight w is minus the slope of its cost:

    wish = −∂C/∂w

Above 0: raise this weight, and the cost falls. A larger wish: the same nudge makes it fall more.""",
    experiments=[
        Experiment(
            title="What one picture wants",
            says="""A picture of a 2 is shown to a network that has learned nothing yet. Backpropagation finds all
its wishes in one sweep: for the bias of each output, for the 16 weights into each output (a row an output, a column
a hidden unit), and for the 784 weights into each unit of the first hidden layer, one a pixel, which are drawn as an
image.""",
            run=one_picture,
            draw=draw_one,
            size=(5, 3.9),
            sliders=[Slider("digit", tuple(range(10)), "a picture of")],
            predict=Choice(
                "The wishes for the 784 weights into one unit of the first layer, as an image: what does it look like?",
                ("specks, as if by chance", "an average 2", "an edge or a stroke", "this picture, or its negative"),
                right=lambda run: 3 if off(run()) < 1e-6 else 0,
                because="""A weight's wish is the wish of the unit that it leads into (its bias's wish), times what
comes through the weight; the largest difference in both layers shown is {product}. Into the first layer comes the
picture, so each image is the picture times a number, and the weights of the {white} pixels without ink are asked
for nothing. In the last layer each row is the 16 activations times the bar on its left. Wanting to go up: {up}
output of ten.""",
            ),
            checks=[
                Check("product", "unit's wish × what comes in, against the weight's wish: largest difference",
                      lambda run: off(run()), 0, 2e-8, ".1g"),
                Check("white", "pixels whose weights into all 16 units get no wish",
                      lambda run: (run()[3][0] == 0).all(0).sum(), 605, 605, ".0f"),
                Check("up", "outputs whose bias should rise", lambda run: (run()[3][5] > 0).sum(), 1, 1),
            ],
        ),
        Experiment(
            title="The average of many wishes",
            says="""Every picture wishes for itself. Now n pictures are shown one at a time, to a network after 3
passes, and their wishes are averaged. Then the n are shown as one batch, whose cost is the average of their costs,
and the engine is asked once for its gradient.""",
            run=average,
            draw=draw_average,
            size=(5, 3.7),
            sliders=[Slider("n", (1, 2, 3, 10, 30, 100), "pictures")],
            predict=Choice(
                "The average of 100 wishes, beside minus the gradient of the batch of 100: how do they differ?",
                ("not at all, up to rounding", "by about a tenth: chance falls like 1/√100", "by a factor of 100"),
                right=lambda run: 0 if apart(run()) < 1e-6 else 1,
                because="""The slope of an average is the average of the slopes: of 13,002 numbers, the largest
difference is {apart}. And the pictures do not agree: a single wish is {shorter} times as long as what 100 of them
want together.""",
            ),
            checks=[
                Check("apart", "100 pictures: average wish and minus the gradient, largest difference",
                      lambda run: apart(run()), 0, 2e-8, ".1g"),
                Check("shorter", "100 pictures: how many times as long as their average wish a single one is",
                      lambda run: shorter(run()), 2, 12, ".1f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn nudges --set passes=20`: most pictures are read correctly now. Which wishes are left?",
        "In `average`, take the pictures of one digit only. Do they agree more?",
    ],
    engine=["nn/linear.py: linear", "nn/linear.py: rows_product", "nn/regression.py: QuadraticCost"],
    sources=["3Blue1Brown, Backpropagation, intuitively: https://www.3blue1brown.com/lessons/backpropagation",
             "M. Nielsen, Neural Networks and Deep Learning, chapter 2: http://neuralnetworksanddeeplearning.com/chap2.html"],
)  # fmt: skip
