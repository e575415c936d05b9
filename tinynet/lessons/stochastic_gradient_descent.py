"""Stochastic gradient descent: full batch, mini-batch or one example at a time, noise against cost."""

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider


def network(seed):
    tn.manual_seed(seed)
    return nn.Sequential(nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10))


def race(lr=0.1, passes=1, seed=0):
    """For batches of 1, 10, 100 and all 1,000: the loss over all after so many updates."""
    train, curves = data.digits()[0].take(1000), {}
    for size in (1, 10, 100, 1000):
        model = network(seed)
        trainer = tn.Trainer(model, nn.CrossEntropyLoss(), optim.SGD(lr=lr), threads=1)
        curves[size] = {0: trainer.evaluate(train)["loss"]}
        loader, updates = data.DataLoader(train, batch_size=size, seed=seed), 0
        for _ in range(passes):
            for x, y in loader:
                trainer.train_on_batch(x, y)
                updates += 1
                if updates in (1, 2, 3, 5) or updates * size % 100 == 0:
                    curves[size][updates] = trainer.evaluate(train)["loss"]
    return curves


def draw_race(figure, result, lr, passes):
    left, right = figure.subplots(1, 2, sharey=True)
    for size, curve in result.items():
        updates, losses = np.array(list(curve.items())).T
        left.plot(updates * size, losses, marker="o" if size == 1000 else "", markersize=4)
        right.plot(updates[1:], losses[1:], marker=".", markersize=4, label=f"{size:,}")
    left.set(xlabel="examples looked at", ylabel="loss over all 1,000", ylim=(0, 3.5))
    left.set_xticks([0, 500 * passes, 1000 * passes])
    right.set(xlabel="updates", xscale="log")
    figure.legend(loc="outside upper center", ncols=4, title="examples a batch")
    ends = ", ".join(f"{curve[max(curve)]:.2f} for {size:,}" for size, curve in result.items())
    return (
        f"Learning rate {lr:g}, {passes} pass{'es' * (passes > 1)} over 1,000 digits, by batches of four sizes: on "
        f"the left the loss against the examples looked at, on the right against the updates. Loss at the end: {ends} "
        "examples a batch."
    )


def gradient(model, x, y):
    """The gradient of a batch's mean loss: 23,860 numbers in a row."""
    for parameter in model.parameters():
        parameter.zero_grad()
    nn.CrossEntropyLoss()(model(x), y).backward()
    return np.concatenate([p.grad.numpy().ravel() for p in model.parameters()])


def noise(batch_size=10, draws=50, seed=0):
    """Random batches: how far each gradient goes along the true one (1: as far), and its
    distance from it in lengths of the true one: the root of the mean of the squares."""
    model, train = network(seed), data.digits()[0].take(1000)
    true, chance, found = gradient(model, *train[:]), np.random.default_rng(seed), {}
    for size in sorted({1, batch_size}):
        batches = [train[chance.integers(1000, size=size)] for _ in range(draws)]
        gradients = np.array([gradient(model, *batch) for batch in batches])
        off = np.sqrt(((gradients - true) ** 2).sum(1).mean()) / np.linalg.norm(true)
        found[size] = gradients @ true / (true @ true), off
    return found


def draw_noise(figure, result, batch_size, draws):
    left, right = figure.subplots(1, 2)
    alone, (along, off) = result[1][1], result[batch_size]
    left.hist(np.clip(along, -4, 6), np.arange(-4, 6.1, 0.5), weights=np.full(draws, 100 / draws))
    left.axvline(1, color="C1")
    left.set(xlim=(-4, 6), ylim=(0, 70), xlabel="along the true gradient", ylabel="% of batches")
    sizes = np.array([1, 1000])
    right.plot(sizes, alone / np.sqrt(sizes), "--", color="gray")
    right.plot(batch_size, off, "o", markersize=9)
    right.set(xscale="log", yscale="log", ylim=(0.2, 15), xlabel="examples a batch", title="noise, and 1/√n (dashed)")
    return (
        f"{draws} batches of {batch_size}. On the left, how far their gradients go along the true one, which is at 1: "
        f"from {along.min():.1f} to {along.max():.1f}, on average {along.mean():.2f}; {100 * (along < 0).mean():.0f} "
        f"% go the wrong way. On the right the noise: {off:.2f} lengths of the true gradient, at {batch_size} times "
        f"the arithmetic of a single example, whose noise is {alone:.2f}; that over √{batch_size} is "
        f"{alone / batch_size**0.5:.2f}."
    ).replace("-", "−")


def end(curves):
    return {size: curve[max(curve)] for size, curve in curves.items()}


LESSON = Lesson(
    number=7,
    title="Stochastic gradient descent",
    question="Why learn from a few examples at a time, when all of them together give the true gradient?",
    idea="""The loss of a network is the mean over all examples. So is its gradient, and one step of gradient descent
needs all of them. Stochastic gradient descent takes a few instead, a batch of n examples, drawn by chance:

    w ← w − learning rate · mean of the n gradients

Then it takes the next n. Once every example has been looked at, a pass (an epoch) is over. With n = 1 the examples
come one at a time; n = all is full batch; what lies between is called mini-batch.""",
    experiments=[
        Experiment(
            title="A race",
            says="""Four networks of 784 pixels, 30 hidden units and 10 outputs start from the same weights and look
once at each of 1,000 digits, all at learning rate 0.1. One updates its weights after each digit, the others after 10,
after 100 and after all 1,000. The loss is the cross-entropy, −ln of the right digit's share; guessing has 2.3.""",
            run=race,
            draw=draw_race,
            size=(5, 3.4),
            sliders=[Slider("lr", (0.03, 0.1, 0.3, 1.0, 3.0), "learning rate")],
            predict=Choice(
                "Each has looked at every digit once. Which has the lowest loss over the 1,000?",
                ("one at a time", "10 at a time", "100 at a time", "all 1,000: its gradient is exact"),
                right=lambda run: list(end(run()).values()).index(min(end(run()).values())),
                because="""One at a time ends at {one}, the full batch at {all}: 1,000 updates, each in a poor
direction, against a single one in the right direction. While steps are short an update is worth about the same
whatever the batch: after 10 updates, 10 and 100 a batch differ by {same}. But look at learning rate 1: now single
examples throw the weights about, and one at a time ends at {one_fast}, 10 at a time at {ten_fast}. Larger batches
bear larger steps.""",
            ),
            checks=[
                Check("one", "learning rate 0.1: loss at the end, one at a time", lambda run: end(run())[1],
                      0.35, 0.7, ".2f"),
                Check("all", "learning rate 0.1: loss at the end, all at once", lambda run: end(run())[1000],
                      2.28, 2.36, ".2f"),
                Check("same", "learning rate 0.1: loss after 10 updates, batches of 10 less batches of 100",
                      lambda run: run()[10][10] - run()[100][10], -0.02, 0.06, ".3f"),
                Check("one_fast", "learning rate 1: loss at the end, one at a time", lambda run: end(run(lr=1.0))[1],
                      0.8, 5, ".2f"),
                Check("ten_fast", "learning rate 1: loss at the end, 10 at a time", lambda run: end(run(lr=1.0))[10],
                      0.4, 0.7, ".2f"),
            ],
        ),
        Experiment(
            title="Noise",
            says="""How good is the direction that a batch gives? At the start of training, 50 batches are drawn by
chance, and the gradient of each is compared with the true one, that of all 1,000 digits. Noise is how far off they
are: the root of the mean of the squared distances (root mean square), in lengths of the true gradient.""",
            run=noise,
            draw=draw_noise,
            sliders=[Slider("batch_size", (1, 3, 10, 30, 100, 300), "examples a batch")],
            predict=Number(
                "Batches of 100 instead of single examples: how many times smaller is the noise?",
                lambda run: float(run(batch_size=1)[1][1] / run(batch_size=100)[100][1]), 1.5,
                because="""Ten times, not a hundred: noise falls like 1/√n (measured: n to the power {slope}). A
single example is {alone} lengths of the true gradient off, and {uphill} % of them point the wrong way; on average
they are right all the same, and batches of 10 go {mean} as far as the true gradient. So a hundred times the
arithmetic buys a tenth of the noise: past some size, more updates are the better bargain. Libraries compute many
rows side by side, which makes batches of ten to a few hundred cheaper than their arithmetic says.""",
                shown=".3g",
            ),
            checks=[
                Check("slope", "noise against n, from 1 to 100: the power of n", lambda run: np.polyfit(
                    np.log([1, 10, 100]), np.log([run(batch_size=n)[n][1] for n in (1, 10, 100)]), 1)[0],
                    -0.53, -0.47, ".2f"),
                Check("alone", "noise of single examples, in lengths of the true gradient",
                      lambda run: run(batch_size=1)[1][1], 6.5, 16, ".1f"),
                Check("uphill", "single examples whose gradient points the wrong way, %",
                      lambda run: 100 * (run(batch_size=1)[1][0] < 0).mean(), 15, 55, ".0f"),
                Check("mean", "batches of 10: how far along the true gradient, on average",
                      lambda run: run()[10][0].mean(), 0.75, 1.25, ".2f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn stochastic-gradient-descent --set passes=5`: does the order of the four change with patience?",
        "`tinynet learn stochastic-gradient-descent --set batch_size=1000`: some digits are drawn twice. Still noise?",
        "In `race`, give each size its own best learning rate. Who wins by examples, who by updates?",
    ],
    engine=["optim/sgd.py: SGD.update", "data/loader.py: DataLoader.order", "nn/losses.py: softmax_cross_entropy"],
    sources=["M. Nielsen, Neural Networks and Deep Learning, chapter 1: http://neuralnetworksanddeeplearning.com/chap1.html",
             "H. Robbins and S. Monro, A Stochastic Approximation Method, Annals of Mathematical Statistics 22 (1951)",
             "L. Bottou, F. Curtis and J. Nocedal, Optimization Methods for Large-Scale Machine Learning (2016): "
             "https://arxiv.org/abs/1606.04838"],
)  # fmt: skip
