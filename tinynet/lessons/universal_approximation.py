"""Universal approximation: one hidden layer can follow any curve, by bumps placed by hand, or learned."""

import numpy as np

import tinynet as tn
from tinynet import nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

WIDTHS = (2, 4, 8, 16, 32, 64)
X = ((np.arange(200) + 0.5) / 200).reshape(200, 1)
SQUARE = np.stack(np.meshgrid(X[::10], X[::10]), axis=2).reshape(400, 2)


def wave(x):
    """The curve of Nielsen's chapter 4, for x between 0 and 1."""
    return 0.2 + 0.4 * x**2 + 0.3 * x * np.sin(15 * x) + 0.05 * np.cos(50 * x)


def hills(x, y):
    """A landscape over the square."""
    return 0.5 + 0.5 * np.sin(9 * x) * np.cos(6 * y + 2 * x)


def place(bumps=5, steep=1000.0):
    """No training: a bump is a steep sigmoid that switches on and one that switches off."""
    edges = np.linspace(0, 1, bumps + 1)
    heights = wave((edges[:-1] + edges[1:]) / 2)
    edges[0], edges[-1] = -1, 2  # the first is on already, the last stays on
    hidden, out = nn.Linear(1, 2 * bumps), nn.Linear(2 * bumps, 1, bias=False)
    hidden.weight.load_(steep)
    hidden.bias.load_(-steep * np.repeat(edges, 2)[1:-1])
    out.weight.load_(np.stack([heights, -heights], axis=1).reshape(1, -1))
    output = nn.Sequential(hidden, nn.Sigmoid(), out)(X).numpy()
    return output, np.sqrt(np.mean((output - wave(X)) ** 2))


def draw_place(figure, result, bumps, steep):
    axes, (output, miss) = figure.subplots(), result
    axes.plot(X, wave(X), color="C0", label="the curve")
    axes.plot(X, output, color="C1", label="the network")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="x", ylabel="height")
    axes.legend(loc="upper left")
    return (
        f"{bumps} bump{'s' if bumps > 1 else ''} from {2 * bumps} hidden units with weights of {steep:,g}: the network "
        f"misses the curve by {miss:.3f} (root mean square)."
    )


def widen(points, heights, steep, width, steps, seed):
    """Networks of 2, 4, 8 … units, their steps scattered by chance, trained."""
    tn.manual_seed(seed)
    errors = {}
    for units in [*(fewer for fewer in WIDTHS if fewer < width), width]:
        hidden, out = nn.Linear(points.shape[1], units), nn.Linear(units, 1)
        w = nn.init.normal_(hidden.weight, std=steep)
        hidden.bias.load_(-(w * tn.rand(*w.shape)).sum(1))  # a step passes some point
        model, rule = nn.Sequential(hidden, nn.Sigmoid(), out), optim.Adam(lr=0.05)
        trainer = tn.Trainer(model, nn.MSELoss(), rule, threads=1)
        for i in range(steps):
            rule.lr = 0.05 * (1 - i / steps)
            loss = trainer.train_on_batch(points, heights)
        errors[units] = loss.item() ** 0.5
    return errors, model(points).numpy()


def curve(width=16, steps=1000, seed=0):
    """200 points of the curve: the error by width, and what the widest network says."""
    return widen(X, wave(X), 60.0, width, steps, seed)


def surface(width=16, steps=1000, seed=0):
    """The same for 400 points of a square: two inputs."""
    return widen(SQUARE, hills(SQUARE[:, :1], SQUARE[:, 1:]), 15.0, width, steps, seed)


def draw_errors(axes, errors):
    axes.plot(list(errors), list(errors.values()), "o-", color="C3", markersize=4)
    axes.set(xscale="log", yscale="log", xlim=(1.8, 72), ylim=(0.003, 0.4), xlabel="hidden units", ylabel="error")
    axes.set_xticks(WIDTHS)
    listed = ", ".join(f"{error:.3f} with {units}" for units, error in errors.items())
    return f"Error (root mean square) by hidden units: {listed}."


def draw_curve(figure, result, width, steps):
    (top, bottom), (errors, output) = figure.subplots(2, 1, height_ratios=(3, 2)), result
    top.plot(X, wave(X), color="C0", label="the curve")
    top.plot(X, output, color="C1", label=f"{width} hidden units")
    top.set(xlim=(0, 1), ylim=(0, 1), xlabel="x", ylabel="height")
    top.legend(loc="upper left")
    return draw_errors(bottom, errors)


def draw_surface(figure, result, width, steps):
    (errors, output), axes = result, figure.subplot_mosaic("AB;CC", height_ratios=(3, 2))
    for name, heights, title in (("A", hills(*SQUARE.T), "the landscape"), ("B", output, f"{width} units")):
        axes[name].imshow(heights.reshape(20, 20), cmap="viridis", vmin=0, vmax=1, origin="lower", extent=(0, 1) * 2)
        axes[name].set(title=title, xticks=(0, 1), yticks=(0, 1), xlabel="x", ylabel="y")
    return draw_errors(axes["C"], errors)


def error(run, width):
    return run(width=64)[0][width]


LESSON = Lesson(
    number=13,
    title="Universal approximation",
    question="Can one hidden layer follow any curve, and what does it cost?",
    idea="""A sigmoid σ(wx + b), σ(z) = 1 / (1 + e⁻ᶻ), with a large weight w is a step, from 0 to 1 or from 1 to 0. It
lies where wx + b is 0, at x = −b/w. Two of them make a bump of height h, up at s and down again at t:

    h · σ(w(x − s)) − h · σ(w(x − t))

So a hidden layer of sigmoids can build any skyline, and a skyline with enough houses follows any curve that has no
breaks. Gradient descent has to find it too.""",
    experiments=[
        Experiment(
            title="Placed by hand",
            says="""The weights are written down: two hidden units a bump, each bump as high as the curve in its middle.
The curve is the one of Nielsen's chapter 4, a slow wave with a fine ripple. The error is the root mean square: the root
of the mean of the squared misses.""",
            run=place, draw=draw_place,
            sliders=[Slider("bumps", (1, 2, 3, 5, 10, 20, 40)), Slider("steep", (30.0, 100.0, 1000.0), "weight")],
            predict=Choice(
                "From 20 bumps to 40, with weights of 1,000: what becomes of the error?",
                ("it stays", "it falls to about half", "it falls to a tenth or less", "it is 0"),
                right=lambda run: 3 - int(np.searchsorted((0, 0.2, 0.7), run(bumps=40)[1] / run(bumps=20)[1])),
                because="""Bumps half as wide miss by half as much: {twenty} with 20, {forty} with 40, and so on. The
error can be made as small as you like, but is never 0. And the steps must be steep: with weights of 30 they are wider
than the bumps, and even 80 bumps miss by {blunt}.""",
            ),
            checks=[
                Check("twenty", "20 bumps: error", lambda run: run(bumps=20)[1], 0.032, 0.035, ".3f"),
                Check("forty", "40 bumps: error", lambda run: run(bumps=40)[1], 0.014, 0.017, ".3f"),
                Check("blunt", "80 bumps, weights of 30: error", lambda run: run(bumps=80, steep=30.0)[1],
                      0.045, 0.051, ".3f"),
            ],
        ),
        Experiment(
            title="Learned",
            says="""Now the steps start anywhere, and gradient descent moves them: the same curve, 200 points, 1,000
training steps, with 2, 4, 8 … hidden units. `Adam` is gradient descent that divides each number's step by the usual
size of its gradient.""",
            run=curve, draw=draw_curve, size=(5, 4.2),
            sliders=[Slider("width", WIDTHS, "hidden units")],
            predict=Choice(
                "By hand, 16 hidden units make 8 bumps. Next to their error, how large is that of 16 learned units?",
                ("larger: chance knows less than we do", "about the same", "less than half"),
                right=lambda run: 2 if (part := error(run, 16) / place(8)[1]) < 0.5 else int(part < 1.1),
                because="""8 bumps by hand miss by {hand}, 16 learned units by {sixteen}. Each finds a place and a
steepness that suit the curve, so that slopes are followed by slopes, not by stairs. 2 units miss by {two}, 32 by
{thirtytwo}.""",
            ),
            checks=[
                Check("two", "2 units: error", lambda run: error(run, 2), 0.07, 0.17, ".3f"),
                Check("sixteen", "16 units: error", lambda run: error(run, 16), 0.015, 0.037, ".3f"),
                Check("thirtytwo", "32 units: error", lambda run: error(run, 32), 0.004, 0.024, ".3f"),
                Check("hand", "8 bumps by hand: error", lambda run: place(8)[1], 0.08, 0.1, ".3f"),
            ],
        ),
        Experiment(
            title="A landscape",
            says="""Two inputs, x and y, and a height over each point of a square, bright where it is high. A hidden
unit is now a step along a whole line. Out of such steps Nielsen builds towers, with a second hidden layer. They are
not built here: there is one hidden layer, and it learns from 400 points.""",
            run=surface, draw=draw_surface, size=(5, 4.6),
            sliders=[Slider("width", WIDTHS, "hidden units")],
            predict=Choice(
                "From 2 to 64 units in the one hidden layer, how does the error fall?",
                ("hardly: a surface needs two hidden layers", "to about half", "to less than a fifth"),
                right=lambda run: int(np.searchsorted((-0.75, -0.2), -error(run, 64) / error(run, 2))),
                because="""From {flat} to {fine}: one hidden layer is enough for any number of inputs (Cybenko, 1989).
But more inputs ask for more units: 8 miss this landscape by {eight}.""",
            ),
            checks=[
                Check("flat", "2 units: error", lambda run: error(run, 2), 0.18, 0.27, ".3f"),
                Check("eight", "8 units: error", lambda run: error(run, 8), 0.045, 0.15, ".3f"),
                Check("fine", "64 units: error", lambda run: error(run, 64), 0.01, 0.04, ".3f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn universal-approximation --set steep=5`: what do bumps of weights 5 look like?",
        "`tinynet learn universal-approximation --set steps=100`: can it not, or has it not learned it yet?",
        "In `widen`, write `nn.ReLU()` for `nn.Sigmoid()`: what are the pieces now?",
    ],
    engine=["primitives.py: sigmoid", "nn/linear.py: linear", "nn/regression.py: MSELoss"],
    sources=["Nielsen, Neural Networks and Deep Learning, chapter 4: http://neuralnetworksanddeeplearning.com/chap4.html",
             "G. Cybenko, Approximation by superpositions of a sigmoidal function (1989)"],
)  # fmt: skip
