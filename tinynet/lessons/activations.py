"""Activations: a curve is made of bent pieces, one a hidden unit; without the bend, all there is are straight lines."""

import numpy as np

import tinynet as tn
from tinynet import Tensor, Value, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

ACTIVATIONS = {"softplus": nn.Softplus, "relu": nn.ReLU, "none": nn.Sequential}  # empty
DOSES = np.linspace(0, 1, 25).reshape(25, 1)
EFFECTS = np.exp(-(((DOSES - 0.5) / 0.2) ** 2))  # a hump: only the middle doses work
FINE = np.linspace(0, 1, 201).reshape(201, 1)


def effect(dose):
    """Two softplus units with given weights, each scaled, and their sum with a bias."""
    first = (dose * -34.4 + 2.14).softplus() * -1.30
    second = (dose * -2.52 + 1.29).softplus() * 2.28
    return first, second, first + second - 0.58


def squiggle(dose=0.5):
    """Each unit's share, their sum, and how steep the sum is at this dose."""
    dose = Value(dose, label="dose")
    first, second, total = effect(dose)
    total.backward()
    return first.data, second.data, total.data, dose.grad


def draw_squiggle(figure, result, dose):
    axes, (first, second, total, slope) = figure.subplots(), result
    curves, names = effect(Tensor(FINE[::2])), ("first unit", "second unit", "sum with bias")
    for curve, name, colour, width in zip(curves, names, ("C0", "C2", "C1"), (1.3, 1.3, 3)):
        axes.plot(FINE[::2], curve.numpy(), color=colour, linewidth=width, label=name)
    near = np.array([-0.25, 0.25])
    axes.plot(dose + near, total + slope * near, "--", color="C3")
    axes.plot([dose] * 3, [first, second, total], "o", color="C3")
    axes.set(xlim=(-0.03, 1.03), ylim=(-3.2, 4), xlabel="dose", ylabel="effect")
    axes.legend(loc="upper right")
    first, second, total, slope = (f"{round(number, 2) + 0.0:.2f}".replace("-", "−") for number in result)
    return (
        f"At dose {dose:g} the first unit gives {first}, the second {second}; with the bias −0.58 that makes {total}. "
        f"The dashed line has the slope that backpropagation finds there, {slope}."
    )


def train(units, activation, steps):
    """One hidden layer whose bends start anywhere among the doses, and 25 points."""
    hidden, out = nn.Linear(1, units), nn.Linear(units, 1)
    w = nn.init.uniform_(hidden.weight, -20, 20)
    hidden.bias.load_(-w[:, 0] * tn.rand(units))  # so w·dose + b is 0 at some dose
    model = nn.Sequential(hidden, ACTIVATIONS[activation](), out)
    trainer = tn.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.1), threads=1)
    for _ in range(steps):
        loss = trainer.train_on_batch(DOSES, EFFECTS)
    return loss.item() ** 0.5, model(FINE).numpy(), (model[:-1](FINE) * out.weight).numpy()


def fit(units=4, activation="softplus", steps=1000, starts=3, seed=0):
    """The best of a few starts: its error, its curve, the units' shares."""
    tn.manual_seed(seed)
    runs = [train(units, activation, steps) for _ in range(starts)]
    return min(runs, key=lambda run: run[0])


def draw_fit(figure, result, units, activation, steps, starts):
    axes, (error, curve, shares) = figure.subplots(), result
    axes.plot(FINE, shares, color="C0", linewidth=0.9)
    axes.plot(FINE, curve, color="C1", linewidth=3)
    axes.plot(DOSES, EFFECTS, "o", color="C2", markersize=4)
    axes.set(xlim=(-0.03, 1.03), ylim=(-1.6, 2.1), xlabel="dose", ylabel="effect")
    who = f"{units} hidden unit{'s' if units > 1 else ''}, {'no activation' if activation == 'none' else activation}"
    return (
        f"{who}. Thin lines: each unit's share, some of it beyond the picture. Thick: their sum with a bias. It misses "
        f"the points by {error:.3f} (root mean square)."
    )


def miss(run, units, activation):
    return run(units=units, activation=activation)[0]


LESSON = Lesson(
    number=10,
    title="Activations bend the line",
    question="Weights and biases make straight lines only. Where do a network's curves come from?",
    idea="""A hidden unit multiplies its input by a weight and adds a bias. That gives a number z, which lies on a
straight line. Then an activation bends the line:

    softplus(z) = ln(1 + eᶻ)
    relu(z) = z where z is above 0, else 0

Softplus bends smoothly, ReLU in a corner. Weight and bias say where along the input the bend lies and how sharp it is.
The output unit scales each bent piece, turns it over where its weight is negative, and adds them all up.""",
    experiments=[
        Experiment(
            title="Two bent pieces make a squiggle",
            says="""A medicine works in the middle dose only: its effect should be 0 at dose 0, 1 at dose 0.5 and 0 at
dose 1. Two softplus units do it, with the weights of StatQuest's example. The first unit's share only rises with the
dose, the second's only falls.""",
            run=squiggle, draw=draw_squiggle, size=(5, 3.2),
            sliders=[Slider("dose", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))],
            predict=Choice(
                "One share only rises, the other only falls. What does their sum do as the dose grows?",
                ("only rises", "only falls", "falls, then rises", "rises, then falls"),
                right=lambda run: {"++": 0, "--": 1, "-+": 2, "+-": 3}["".join(
                    "+" if run(dose=dose + 0.5)[2] > run(dose=dose)[2] else "-" for dose in (0.0, 0.5))],
                because="""The effect is {low} at dose 0, {middle} at 0.5 and {high} at 1. On the left the first share
is still steep and wins; once it is flat, the falling one takes over. Their bends lie at different doses: that is all it
takes. Between the three doses nothing was asked of the curve, and at 0.1 it is up at {top}. Its slope at 0.5, in the
middle of the second bend, is {slope}.""",
            ),
            checks=[
                Check("low", "effect at dose 0", lambda run: run(dose=0.0)[2], -0.03, 0.03, ".2f"),
                Check("middle", "effect at dose 0.5", lambda run: run(dose=0.5)[2], 1.0, 1.06, ".2f"),
                Check("high", "effect at dose 1", lambda run: run(dose=1.0)[2], -0.03, 0.03, ".2f"),
                Check("top", "effect at dose 0.1", lambda run: run(dose=0.1)[2], 2.15, 2.2, ".2f"),
                Check("slope", "slope at dose 0.5", lambda run: run(dose=0.5)[3], -2.93, -2.9, ".2f"),
            ],
        ),
        Experiment(
            title="Let it find its own pieces",
            says="""25 points on a hump, one hidden layer, and gradient descent to move the bends. What it finds depends
on where it starts, so three starts are tried and the best is shown. `Adam` is gradient descent that divides each
number's step by the usual size of its gradient. The error is the root mean square: the root of the mean of the squared
misses. `none` leaves the activation out.""",
            run=fit, draw=draw_fit, size=(5, 3.2),
            sliders=[Slider("units", (1, 2, 3, 4, 8), "hidden units"), Slider("activation", list(ACTIVATIONS))],
            predict=Choice(
                "Without any activation, how many hidden units does it take to follow the hump?",
                ("3", "8", "25, one a point", "no number is enough"),
                right=lambda run: next((i for i, units in enumerate((3, 8, 25))
                                        if miss(run, units, "none") < 0.9 * miss(run, 1, "none")), 3),
                because="""Straight lines add up to a straight line: one unit without activation misses by
{none1}, eight by {none8}, as the best straight line does. With a bend in every unit, more units follow better:
softplus misses by {soft1} with one and {soft8} with eight, ReLU by {relu1} and {relu8}. One bend alone cannot go
up and down again.""",
            ),
            checks=[
                Check("none1", "one unit, no activation: error", lambda run: miss(run, 1, "none"), 0.352, 0.355, ".3f"),
                Check("none8", "eight units, no activation: error", lambda run: miss(run, 8, "none"),
                      0.352, 0.355, ".3f"),
                Check("soft1", "one softplus unit: error", lambda run: miss(run, 1, "softplus"), 0.3, 0.32, ".3f"),
                Check("soft8", "eight softplus units: error", lambda run: miss(run, 8, "softplus"), 0, 0.03, ".3f"),
                Check("relu1", "one ReLU: error", lambda run: miss(run, 1, "relu"), 0.3, 0.32, ".3f"),
                Check("relu8", "eight ReLUs: error", lambda run: miss(run, 8, "relu"), 0, 0.03, ".3f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn activations --set units=2 starts=1 --seed 3`: one start only. Which seeds get stuck?",
        "`tinynet learn activations --set units=30`: is more always better? Set `steps=5000` too.",
        "In `effect`, write `.relu()` for `.softplus()`. Which numbers would you change to get the hump back?",
    ],
    engine=["primitives.py: softplus", "primitives.py: relu", "nn/activations.py: Softplus", "nn/linear.py: linear"],
    sources=["J. Starmer, StatQuest: Neural Networks, Inside the Black Box: https://www.youtube.com/watch?v=CqOfi41LfDw",
             "J. Starmer, StatQuest: Neural Networks, ReLU In Action: https://www.youtube.com/watch?v=68BZ5f7P94E"],
    walk=lambda: tn.explain(effect(Value(0.5, label="dose"))[2]),
)  # fmt: skip
