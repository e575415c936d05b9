"""Convolution: a few weights laid on every place of a picture; how far they step; what it spares, and what it keeps."""

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider
from tinynet.teaching.pictures import signed, tiles

FILTERS = {
    "vertical edges": [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]],
    "horizontal edges": [[-1, -1, -1], [0, 0, 0], [1, 1, 1]],
    "blur": [[1 / 9, 1 / 9, 1 / 9]] * 3,
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
}


def by_hand(filter="vertical edges", column=15, row=9, digit=254):
    """out[i, j] = Σ w[m, n] · image[i + m, j + n], in loops; and by the engine."""
    image, w = data.digits(flat=False)[0].x[digit, 0], np.array(FILTERS[filter])
    out = np.zeros((26, 26))
    for i, j in np.ndindex(26, 26):
        for m, n in np.ndindex(3, 3):
            out[i, j] += w[m, n] * image[i + m, j + n]
    engine = nn.functional.conv2d(image[None, None], w[None, None])
    return image, w, out, engine.numpy()[0, 0]


def draw_by_hand(figure, result, filter, column, row, digit):
    (image, w, out, _), axes = result, figure.subplots(2, 2, height_ratios=(2, 1))
    window = image[row : row + 3, column : column + 3]
    axes[0, 0].imshow(image)
    axes[0, 0].plot(column + 1, row + 1, "s", color="C1", markersize=17, fillstyle="none")
    axes[0, 1].imshow(out, extent=(0.5, 26.5, 26.5, 0.5), cmap=signed(), vmin=-4, vmax=4)
    axes[0, 1].plot(column + 1, row + 1, "s", color="C2", markersize=8, fillstyle="none")
    axes[0, 1].set(xlim=(-0.5, 27.5), ylim=(27.5, -0.5))
    for panel, numbers, sign in zip(axes[1], (window, w), ("×", f"= {out[row, column]:.2g}".replace("-", "−"))):
        most = abs(numbers).max() or 1
        panel.imshow(numbers, cmap=signed(), vmin=-2 * most, vmax=2 * most)
        panel.text(2.8, 1, sign, va="center", size=13).set_in_layout(False)
        for (m, n), number in np.ndenumerate(numbers):
            panel.text(n, m, f"{number:.2g}".replace("-", "−"), ha="center", va="center", color="#06285c")
    for panel, title in zip(axes.flat, ("a window on the digit", "all the sums", "its pixels", f"times {filter}")):
        panel.set_axis_off()
        panel.set_title(title)
    added = " + ".join(f"{x:.2g}" for x in (window * w).ravel() if x) or "0"
    return f"Row {row}, column {column}: {added} = {out[row, column]:.2g}. Blue is below 0.".replace("-", "−")


def slide(window="filter", stride=2, padding=0, size=3, digit=21):
    """Vertical edges, or the largest or mean of each window; ⌊(n + 2p − k) / s⌋ + 1."""
    image, F = data.digits(flat=False)[0].x[digit], nn.functional
    if window == "filter":
        edges = np.tile(np.linspace(-1, 1, size), (1, 1, size, 1))
        out = F.conv2d(image, edges, stride=stride, padding=padding)
    else:
        pool = {"max": F.max_pool2d, "mean": F.avg_pool2d}[window]
        out = pool(image, size, stride, padding)
    return out.numpy()[0], (28 + 2 * padding - size) // stride + 1, image[0]


def draw_slide(figure, result, window, stride, padding, size, digit):
    (out, n, image), (left, right) = result, figure.subplots(1, 2)
    (x, y), most = np.meshgrid(*2 * [size / 2 - padding + stride * np.arange(n)]), size if window == "filter" else 1
    left.imshow(image, extent=(0, 28, 28, 0))
    left.plot(x.ravel(), y.ravel(), ".", color="C1", markersize=2)
    right.imshow(out, extent=(0, n, n, 0), cmap=signed(), vmin=-most, vmax=most)
    name = {"filter": "filter's sums", "max": "maxima", "mean": "means"}[window]
    for panel, title in ((left, "middles of the windows"), (right, f"{name}, {n} × {n}")):
        panel.set(xlim=(-1.5, 29.5), ylim=(29.5, -1.5), title=title)
        panel.set_axis_off()
    return f"⌊(28 + 2·{padding} − {size}) / {stride}⌋ + 1 = {n}, so {n} × {n} numbers; the largest is {out.max():.2g}."


def count(side=100):
    """Nodes of a feature map, weights of a fully connected one, numbers of a filter."""
    shared, node = nn.Conv2d(1, 1, 5), nn.Linear(side * side, 1)
    nodes = shared(tn.zeros(1, 1, side, side)).size
    return nodes, node.weight.size, sum(p.size for p in shared.parameters())


def draw_count(figure, result, side):
    axes, (nodes, weights, shared) = figure.subplots(), result
    names, numbers = ["all nodes, full", "one node, full", "all nodes, shared"], [nodes * weights, weights, shared]
    axes.bar_label(axes.barh(names, numbers, color=["C0", "C0", "C1"]), fmt="{:,.0f}", padding=3)
    axes.set(xscale="log", xlim=(1, 1e14), xlabel="numbers to learn")
    return f"{side} × {side} pixels, {nodes:,} nodes: {numbers[0]:,} weights fully connected, {shared} numbers shared."


def moved(shift=2, digit=0, seed=0):
    """Accuracy on digits moved left, right, up, down; learned from unmoved ones."""
    train, test = data.digits(flat=False)
    tn.manual_seed(seed)
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10))
    cnn = nn.Sequential(
        *(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 8, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(8 * 4 * 4, 10)),
    )
    moves = [np.roll(test.x, s, axis) for s in (-shift, shift) for axis in (2, 3)]
    few, loss, right = train.take(2000), nn.CrossEntropyLoss(), []
    for model in (mlp, cnn):
        trainer = tn.Trainer(model, loss, optim.Adam(lr=0.005), threads=1)
        trainer.fit(few, epochs=3, batch_size=20, seed=seed, progress=False)
        named = [model.predict(x).numpy().argmax(1) for x in moves]
        right.append(np.mean(named == test.y))
    images = [np.roll(test.x[digit], s, 2) for s in (0, shift)]
    return right, [tn.feature_maps(cnn, image) for image in images]


def draw_moved(figure, result, shift, digit):
    (mlp, cnn), (here, there) = result
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2))
    axes, filters, maps = above.subplots(), here.filters["0"][:, 0], np.maximum(there["0"][0], 0)
    axes.bar_label(axes.barh(["MLP", "CNN"], [100 * mlp, 100 * cnn], color=["C0", "C1"]), fmt="{:.0f} %", padding=3)
    axes.set(xlim=(0, 115), xticks=(0, 50, 100), title=f"right, digits moved by {shift}")
    images = [here.input[0, 0], *filters / abs(filters).max(), there.input[0, 0], *maps / maps.max()]
    tiles(below, images, ["digit", *["filter"] * 4, "moved", *["its map"] * 4], columns=5, sign=True)
    seen = "Below: a digit, four filters of the CNN, the digit moved right, what each makes of it."
    return f"Moved by {shift}: named correctly by the MLP {100 * mlp:.0f} %, by the CNN {100 * cnn:.0f} %. {seen}"


LESSON = Lesson(
    number=15,
    title="Convolution",
    question="What does a network gain by laying the same few weights on every place of a picture?",
    idea="""A filter is a small square of weights, w[m, n] in row m and column n. It is laid on a picture, each weight
is multiplied by the pixel under it, and the products are added up: one number. It does so at every place, and the
numbers make a new picture, the feature map, which says where the filter's pattern is.

    out[i, j] = Σ w[m, n] · image[i + m, j + n]""",
    experiments=[
        Experiment(title="By hand", run=by_hand, draw=draw_by_hand, size=(5, 4.6),
            says="A digit, 28 × 28 pixels from 0 to 1, and four filters of 3 × 3. Move the window over the stroke.",
            sliders=[Slider("filter", list(FILTERS)), Slider("column", (13, 15, 17, 19), "column of the window")],
            predict=Number("The filter for vertical edges lies within thick ink, and all nine pixels are 1. The sum?",
                           lambda run: run(column=17)[2][9, 17], 0,
                           because="""The left column counts −1 and the right one +1: what is equally bright cancels. So
{inside} within the stroke, and {edge} at its left edge. The engine's `conv2d` gives the loops' maps, to {same}."""),
            checks=[
                Check("inside", "sum with vertical edges, column 17", lambda run: run(column=17)[2][9, 17], 0, 0),
                Check("edge", "sum with vertical edges, column 15", lambda run: run()[2][9, 15], 3, 3),
                Check("same", "loops less engine, at most",
                      lambda run: max(abs(run(filter=f)[2] - run(filter=f)[3]).max() for f in FILTERS), 0, 1e-5, ".1g"),
            ]),
        Experiment(title="Stride, padding, pooling", run=slide, draw=draw_slide, size=(5, 2.7),
            says="""The stride s is how far the window moves, the padding p a border of zeros. Pooling has no weights:
it keeps the largest pixel of each window, or their mean. For n pixels a side, windows of k, and ⌊ ⌋ rounding down:

    n′ = ⌊(n + 2p − k) / s⌋ + 1""",
            sliders=[Slider("window", ("filter", "max", "mean"), "in each window"), Slider("stride", (1, 2, 3)),
                     Slider("padding", (0, 1))],
            predict=Number("28 pixels a side, windows of 5, stride 2, no padding. How many pixels a side has the map?",
                           lambda run: len(run(size=5)[0]), 0,
                           because="""⌊(28 − 5) / 2⌋ + 1 = {side}; the last column is left over. The formula held in
{formula} of 24 settings. In windows of 4, the brightest of this thin stroke is {most} by the max and {mean} by the
mean: one says that the stroke is there, the other how much of the window it fills."""),
            checks=[
                Check("side", "windows of 5, stride 2", lambda run: len(run(size=5)[0]), 12, 12),
                Check("formula", "settings in which the formula holds", lambda run: sum(
                    run(size=k, stride=s, padding=p)[0].shape == 2 * (run(size=k, stride=s, padding=p)[1],)
                    for k in (3, 5) for s in (1, 2, 3, 4) for p in (0, 1, 2)), 24, 24),
                Check("most", "windows of 4: largest maximum", lambda run: run(window="max", size=4, stride=4)[0].max(),
                      0.98, 1),
                Check("mean", "windows of 4: largest mean", lambda run: run(window="mean", size=4, stride=4)[0].max(),
                      0.7, 0.8, ".2f"),
            ]),
        Experiment(title="Counted", run=count, draw=draw_count, size=(5, 2),
            says="A node connected to every pixel has a weight for each. The nodes of a feature map share one filter.",
            sliders=[Slider("side", (28, 50, 100, 200), "pixels a side")],
            predict=Number("100 × 100 pixels, a filter of 5 × 5 with a bias. How many numbers are learned for its map?",
                           lambda run: run()[2], 0,
                           because="{shared}, for all {nodes} nodes. Fully connected, each has {node} weights."),
            checks=[
                Check("shared", "a shared 5 × 5 filter", lambda run: run()[2], 26, 26),
                Check("nodes", "nodes of its map", lambda run: run()[0], 9216, 9216, ",.0f"),
                Check("node", "weights of a fully connected node", lambda run: run()[1], 10_000, 10_000, ",.0f"),
            ]),
        Experiment(title="A shift of a pixel or two", run=moved, draw=draw_moved, size=(5, 4.4),
            says="""Two networks learn from 2,000 digits in the middle of their pictures: a fully connected one (MLP),
and one of two convolutions, each followed by max pooling (CNN), with a tenth of its numbers. Then new digits are moved
aside.""",
            sliders=[Slider("shift", (0, 1, 2, 3, 4), "moved by pixels")],
            predict=Choice("New digits are moved by 2 pixels. Which network gets more of them wrong than before?",
                           ("neither", "only the MLP", "both, the MLP more"),
                           lambda run: sum(np.subtract(run(shift=0)[0], run()[0]) > (0.25, 0.05)),
                           because="""The MLP loses {mlp} %, the CNN {cnn} %: the MLP {ratio} times as many.
What a filter has learned in one place it knows in all: the maps move along with the digit (differences: {along}),
and pooling forgets a pixel of the move. But the last layer is fully connected."""),
            checks=[
                Check("mlp", "MLP: loses (%)", lambda run: 100 * (run(shift=0)[0][0] - run()[0][0]), 27, 39, ".0f"),
                Check("cnn", "CNN: loses (%)", lambda run: 100 * (run(shift=0)[0][1] - run()[0][1]), 8, 24, ".0f"),
                Check("ratio", "what the MLP loses, over what the CNN loses",
                      lambda run: np.divide(*np.subtract(run(shift=0)[0], run()[0])), 1.4, 3.5, ".1f"),
                Check("along", "the moved digit's map less the moved map",
                      lambda run: abs(run()[1][1]["0"][..., 2:] - run()[1][0]["0"][..., :-2]).max(), 0, 1e-6, ".1g"),
            ]),
    ],
    change=[
        "`tinynet learn convolution --set size=7 digit=5`: what does a large pool leave of a digit?",
        "`tinynet learn convolution --set shift=6`: is there a shift at which the CNN guesses as well?",
        "In `moved`, replace `nn.MaxPool2d` by `nn.AvgPool2d`. Does it matter?",
    ],
    engine=["nn/conv.py: _conv2d", "nn/conv.py: conv2d", "nn/pool.py: _max_pool2d"],
    sources=["Y. LeCun et al., Gradient-based learning applied to document recognition (1998)",
             "M. Nielsen, Neural Networks and Deep Learning, ch. 6: http://neuralnetworksanddeeplearning.com/chap6.html",
             "V. Dumoulin and F. Visin, A guide to convolution arithmetic (2016): https://arxiv.org/abs/1603.07285"],
)  # fmt: skip
