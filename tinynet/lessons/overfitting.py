"""Overfitting: a network can learn its examples by heart; weight decay and dropout make it learn what they share."""

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider


def train(digits, units, epochs, l2, dropout, seed):
    """So many digits to learn, 1,000 others to be tried on after each epoch; l2 is λ."""
    tn.manual_seed(seed)
    few, others = data.digits()[0].take(digits), data.digits()[1]
    hidden, out = nn.Linear(784, units), nn.Linear(units, 10)
    model = nn.Sequential(hidden, nn.Sigmoid(), nn.Dropout(dropout), out)
    nn.init.initialise(model, "normal", "normal")
    loss, rule = nn.BCEWithLogitsLoss("batchmean"), optim.SGD(lr=0.5)
    trainer = tn.Trainer(model, loss, rule, metrics=["accuracy"], l2=l2, threads=1)
    history = trainer.fit(few, others, epochs, 10, seed=seed, progress=False)
    squares = (hidden.weight**2).sum() + (out.weight**2).sum()
    return history, 100 * trainer.evaluate(few)["accuracy"], squares.item()


def decay(l2=0.0, units=30, epochs=20, seed=0):
    """1,000 digits, with weight decay."""
    return train(1000, units, epochs, l2, 0.0, seed)


def leave_out(dropout=0.0, digits=300, units=100, epochs=30, seed=0):
    """Fewer digits and more units, some of which are left out at each step."""
    return train(digits, units, epochs, 0.0, dropout, seed)


def draw_history(figure, history):
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    for axes, name in ((left, "accuracy"), (right, "loss")):
        axes.plot(epochs, history[name], label="training")
        axes.plot(epochs, history["val_" + name], label="others")
        axes.set(xlabel="epoch", title="cost" if name == "loss" else name)
    left.set(ylim=(0, 1.02))
    right.set(yscale="log", ylim=(0.03, 30))
    right.legend(loc="upper right")


def draw_decay(figure, result, l2, units, epochs):
    history, known, squares = result
    draw_history(figure, history)
    return (
        f"λ = {l2:g}: after {epochs} epochs {known:.1f} % of the training digits are right and {unseen(result):.1f} % "
        f"of the others; their cost is {history['val_loss'][-1]:.2f}. The squared weights add up to {squares:,.0f}."
    )


def draw_leave_out(figure, result, dropout, digits, units, epochs):
    history, known, _ = result
    draw_history(figure, history)
    return (
        f"Dropout {dropout:g}: {100 * history['accuracy'][-1]:.1f} % of the {digits} training digits are right in the "
        f"last of {epochs} epochs, while it learns; then, with all units, {known:.1f} % of them and "
        f"{unseen(result):.1f} % of the others."
    )


def unseen(result):
    return 100 * result[0]["val_accuracy"][-1]


LESSON = Lesson(
    number=12,
    title="Overfitting",
    question="A network is right on every example it was trained on. Why is that bad news, and what helps?",
    idea="""What counts is how a network does on examples it has never seen. The first one here has 23,860 weights and
biases and learns from 1,000 digits, so it can fit each of them for reasons that hold for no other. Two remedies make
that harder.

Weight decay adds the squares of all weights w to the cost; n is the number of training examples:

    cost + λ/(2n) · Σ w²

So every step shrinks every weight a little, and only what many examples ask for stays large. Dropout leaves hidden
units out by chance at every training step, so that none can rely on a certain other.""",
    experiments=[
        Experiment(
            title="Learned by heart",
            says="""Nielsen's experiment: 784 pixels, 30 hidden sigmoids, 10 outputs, rate 0.5, batches of 10, weights
from the standard normal distribution; the cost is the cross-entropy, largest where a wrong answer is sure. He trains
for 400 epochs (passes over the digits) with λ = 0.1 and tries 10,000 other digits; here it is 20 epochs and 1,000. A
step takes the share λ·rate/n of each weight away, so a larger λ does in few epochs what a small one does in many: move
it to 1 to see what he saw. The curves `training` are means taken during each epoch, while the network still learns;
the others are tried after it. So in the first epochs `training` can be the worse.""",
            run=decay, draw=draw_decay, size=(5, 2.8),
            sliders=[Slider("l2", (0.0, 0.1, 0.3, 1.0, 3.0, 10.0), "λ")],
            predict=Number(
                "With λ = 0 it gets nearly all of its 1,000 digits right in the end. How many % of 1,000 others?",
                right=lambda run: unseen(run()), margin=4, shown=".1f",
                because="""{known} % of its own, {plain} % of the others: the difference was learned by heart. With λ =
1 the squared weights add up to a {shrunk}th of what they were, and {decayed} % of the others are right, learned from
the same digits. λ = 10 is too much: even of the training digits only {held} % are right.""",
            ),
            checks=[
                Check("known", "λ = 0: training digits right, %", lambda run: run()[1], 98, 100, ".1f"),
                Check("plain", "λ = 0: others right, %", lambda run: unseen(run()), 80, 86, ".1f",
                      "82.27 % after 400 epochs"),
                Check("decayed", "λ = 1: others right, %", lambda run: unseen(run(l2=1.0)), 85, 90, ".1f",
                      "87.1 % with λ = 0.1 after 400 epochs"),
                Check("shrunk", "sum of squared weights, λ 0 over λ 1", lambda run: run()[2] / run(l2=1.0)[2],
                      6, 8, ".0f"),
                Check("held", "λ = 10: training digits right, %", lambda run: run(l2=10.0)[1], 80, 95, ".0f"),
            ],
        ),
        Experiment(
            title="Leave units out",
            says="""Now 300 digits and 100 hidden units: even easier to learn by heart. A dropout of 0.5 sets each
hidden unit to 0 with probability 0.5 at every step, and doubles the others to make up for it. When the network is
tried, all units take part.""",
            run=leave_out, draw=draw_leave_out, size=(5, 2.8),
            sliders=[Slider("dropout", (0.0, 0.2, 0.5, 0.8))],
            predict=Choice(
                "Half of the hidden units, drawn anew, missing at every step: what becomes of the 1,000 others?",
                ("fewer are right: half a network learned", "as many as before", "a few % more are right"),
                right=lambda run: 1 + (unseen(run(dropout=0.5)) > unseen(run()) + 2)
                - (unseen(run(dropout=0.5)) < unseen(run()) - 2),
                because="""Without dropout {whole} % of the others are right, with it {halves} %. Each unit has to be of
use in ever new company, and in the end it is as if many half networks voted. The training digits are right in both
cases, to {sure} % and {still} %, once all units take part.""",
            ),
            checks=[
                Check("whole", "no dropout: others right, %", lambda run: unseen(run()), 69, 77, ".1f"),
                Check("halves", "dropout 0.5: others right, %", lambda run: unseen(run(dropout=0.5)), 75.5, 84, ".1f"),
                Check("sure", "no dropout: training digits right, %", lambda run: run()[1], 99, 100, ".1f"),
                Check("still", "dropout 0.5: training digits right, %", lambda run: run(dropout=0.5)[1],
                      97, 100, ".1f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn overfitting --set epochs=400`: Nielsen's 400 epochs, a few minutes. Where is the best λ now?",
        "`tinynet reproduce nielsen-few` and `tinynet reproduce nielsen-few-regularised`: the published pair itself.",
        "`tinynet learn overfitting --set digits=1000`: does dropout still help as much, with more to learn from?",
    ],
    engine=["training/steps.py: Steps._update", "nn/dropout.py: Dropout", "nn/dropout.py: kept"],
    sources=["Nielsen, Neural Networks and Deep Learning, chapter 3: http://neuralnetworksanddeeplearning.com/chap3.html",
             "Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (2014)"],
)  # fmt: skip
