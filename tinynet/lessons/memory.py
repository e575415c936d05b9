"""Recurrence and memory: a state carried along, how far back it hears, and how gates make it hear further."""

import numpy as np

import tinynet as tn
from tinynet import Tensor, Value, data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider

W = (-1.5, -0.9, 0.0, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0)


def echo(x, w, steps):
    """h = tanh(x + w h₋₁), a Value a step; x is followed by zeros."""
    states = [x.tanh()]
    for _ in range(steps - 1):
        states.append((w * states[-1]).tanh())
    return states


def unroll(w=1.5, steps=20):
    """The states, and the slopes of the last by w and by x: by hand, by nn.RNN."""
    x, weight = Value(1.0), Value(w)
    states = echo(x, weight, steps)
    states[-1].backward()
    by_hand = [*[h.data for h in states], weight.grad, x.grad]

    rnn = nn.RNN(1, 1, bias=False).to(dtype="float64")
    rnn.load_state_dict({"weight_ih_l0": np.eye(1), "weight_hh_l0": np.eye(1) * w})
    row = Tensor(np.eye(steps)[:, :1], requires_grad=True)  # 1, 0, 0, …
    out = rnn(row)[0]
    out[-1].sum().backward()
    slopes = rnn.weight_hh_l0.grad.numpy()[0, 0], row.grad.numpy()[0, 0]
    return np.array(by_hand), np.array([*out.numpy()[:, 0], *slopes])


def draw_unroll(figure, result, w, steps):
    axes, states = figure.subplots(), result[1][:steps]
    axes.vlines(range(1, steps + 1), 0, states, color="C0")
    axes.plot(range(1, steps + 1), states, "o", markersize=5)
    axes.set(ylim=(-1.05, 1.05), xlabel="step", ylabel="state h", xticks=range(1, steps + 1, max(1, steps // 7)))
    return (
        f"w = {w:g}: the state is {states[0]:.2g} after step 1, which saw the 1, and {states[-1]:.2g} after step "
        f"{steps}. The slope of the last state with respect to that 1 is {result[1][-1]:.1g}."
    )


def reach(forget=0, scale=1.0, lags=60, seed=0):
    """√mean gradient² of the last state by the input 0, 1, 2, … steps before."""
    heard = {}
    for name, kind in {"RNN": nn.RNN, "LSTM": nn.LSTM}.items():
        tn.manual_seed(seed)
        layer = kind(1, 32)
        with tn.no_grad():
            layer.weight_hh_l0.mul_(scale)
            if kind is nn.LSTM:
                layer.bias_hh_l0[32:64].add_(forget)  # the forget gates come second
        x = (tn.rand(lags + 1, 20, 1) * 2 - 1).requires_grad_()
        layer(x)[0][-1].sum().backward()
        heard[name] = np.sqrt((x.grad.numpy() ** 2).mean((1, 2)))[::-1]
    return heard


def share(heard, kind, back=40):
    return heard[kind][back] / heard[kind][0]


def draw_reach(figure, result, forget, scale, lags):
    axes = figure.subplots()
    for (kind, heard), line in zip(result.items(), ("-", "--")):
        axes.plot(heard, line, label=kind)
    axes.set(yscale="log", ylim=(1e-18, 1e7), xlim=(0, lags), xlabel="steps before the end", ylabel="gradient")
    axes.legend(loc="upper left", ncols=2)
    back = lags * 2 // 3
    rnn, lstm = share(result, "RNN", back), share(result, "LSTM", back)
    return (
        f"Forget bias +{forget:g}, recurrent weights × {scale:g}. Gradient {back} steps back, over that of the "
        f"last input: RNN {rnn:.1g}, LSTM {lstm:.1g}. The scale is logarithmic."
    )


def marked(n, length, chance):
    """Rows of numbers in ±1, one of the first six marked; the target is that number."""
    x = np.zeros((length, n, 2), np.float32)
    x[:, :, 0] = chance.uniform(-1, 1, (length, n))
    places, rows = chance.integers(0, 6, n), np.arange(n)
    x[places, rows, 1] = 1
    return x, x[places, rows, :1]


def remember(steps=250, lag=40, seed=0):
    """An LSTM of 4 units learns to say the marked number at the end of the row."""
    tn.manual_seed(seed)
    chance = np.random.default_rng(seed)
    lstm, head, loss = nn.LSTM(2, 4), nn.Linear(4, 1), nn.MSELoss()
    with tn.no_grad():  # to begin with, let little in and forget little
        *_, bias = lstm.parameters()
        bias.add_(Tensor([-5.0] * 4 + [5.0] * 4 + [0.0] * 8))
    optimizer = optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.04)

    def train_step(x, y):
        optimizer.zero_grad()
        loss(head(lstm(x)[0][-1]), y).backward()
        optimizer.step()

    step = tn.capture(train_step)
    for _ in range(steps):
        step(*marked(32, lag, chance))
    x, y = marked(500, lag, chance)
    states = lstm(Tensor(x))[0]
    return x, y, head(states[-1]).numpy(), states.numpy(), lstm


def look(result):
    """By hand i, f, g, o, c and h of every step: those of the unit whose cell goes most with the number, upright."""
    x, y, said, states, lstm = result
    w, u, b, b_2 = [p.numpy() for p in lstm.parameters()]
    h, c, steps = np.zeros(states.shape[1:]), np.zeros(states.shape[1:]), []
    for row in x:
        sums = row @ w.T + h @ u.T + b + b_2
        i, f, o = (1 / (1 + np.exp(-sums[:, 4 * k : 4 * k + 4])) for k in (0, 1, 3))
        g = np.tanh(sums[:, 8:12])
        c = f * c + i * g
        h = o * np.tanh(c)
        steps.append((i, f, g, o, c, h))
    seen, fits, mark = np.array(steps), ((c - c.mean(0)).T @ y)[:, 0], x[:, :, 1]
    unit, apart = np.argmax(abs(fits)), abs(seen[:, 5] - states).max()
    i, f, o = (seen[:, k, :, unit] for k in (0, 1, 3))
    at, after = mark > 0, mark.cumsum(0) - mark > 0
    numbers = {"at": i[at].mean(), "after": i[after].mean(), "forget": f[after].mean(), "output": o[after].mean()}
    error = np.sqrt(((said - y) ** 2).mean())
    signs = np.where(np.isin(range(6), (2, 4, 5)), np.sign(fits[unit]), 1)  # of g, c and h
    return seen[..., unit] * signs[:, None], numbers | {"error": error, "apart": apart}


def draw_remember(figure, result, steps, lag):
    (x, y, *_), (seen, numbers) = result, look(result)
    left, right = figure.subplots(1, 2)
    rows = np.flatnonzero(x[4, :, 1])
    rows = rows[np.argsort(y[rows, 0])][np.linspace(0, len(rows) - 1, 5).astype(int)]
    time, kinds = range(1, lag + 1), {1: "C0-f, forget", 0: "C1-i, input", 3: "C2:o, output"}
    for part, name in kinds.items():
        left.plot(time, seen[:, part, rows[-1]], name[:3], label=name[3:])
    left.plot(time, seen[:, 2, rows[-1]], ".", color="gray", markersize=4, label="g, new")
    told = np.ptp(seen[-1, 4, rows]) > 0.6
    for row in rows:
        right.plot(time, seen[:, 4, row], "C5", linewidth=1.4)
        number = f"{y[row, 0]:.1f}".replace("-", "−") if told else ""
        right.text(lag + 1, seen[-1, 4, row], number, va="center", fontsize=8.5, clip_on=True)
    left.set(ylim=(-1.05, 1.05), xlabel="step", title="gates, one row")
    right.set(ylim=(-1.6, 1.6), xlim=(0, lag * 1.2), xlabel="step", title="cell c, five rows")
    figure.legend(loc="outside lower center", ncols=4, handlelength=1.4, columnspacing=1)
    return (
        f"{steps} steps of training; rows that are marked at step 5, and the number to remember beside each. Over 500 "
        f"rows the input gate is {numbers['at']:.2f} at the mark and {numbers['after']:.2g} after it, the forget gate "
        f"{numbers['forget']:.4f} after it; what leaks in through i makes the cell drift a "
        f"little. Error at the end, root mean square: {numbers['error']:.2f}."
    )


class Forecaster(nn.Module):
    """Reads differences from the mean of the past, and writes such."""

    def __init__(self):
        self.reader, self.head = nn.LSTM(1, 24, batch_first=True), nn.Linear(24, 24)

    def forward(self, x):
        """(n, 48, 1) -> (n, 24)."""
        mean = x.mean(1, keepdim=True)
        return self.head(self.reader(x - mean)[0][:, -1]) + mean.squeeze(2)


def forecast(epochs=8, days=40, seed=0):
    """48 hours in, the next 24 out; trained on the first 3/4 of the days."""
    series = data.seasonal(24 * days, noise=0.2, seed=seed)
    parts = np.split(series, [24 * (3 * days // 4)])
    train, test = (data.windows(part, past=48, ahead=24) for part in parts)
    tn.manual_seed(seed)
    model, adam = Forecaster(), optim.Adam(lr=0.01)
    trainer = tn.Trainer(model, nn.MSELoss(), adam, clip_norm=1.0, threads=1)
    trainer.fit(train, epochs=epochs, batch_size=32, seed=seed, progress=False)
    said, past = model.predict(test.x).numpy(), test.x[:, :, 0]
    guesses = {"network": said, "last value": past[:, -1:], "day before": past[:, 24:]}
    errors = {name: np.sqrt(((g - test.y) ** 2).mean(0)) for name, g in guesses.items()}
    return past, test.y, said, errors


def overall(result, name):
    return np.sqrt((result[3][name] ** 2).mean())


def draw_forecast(figure, result, epochs, days):
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    (past, y, said, errors), hours = result, range(1, 25)
    left.plot(range(-47, 25), [*past[50], *y[50]], color="gray", linewidth=1)
    left.plot(hours, said[50], "C1")
    left.set(xlabel="hour", title="measured, forecast", xticks=(-48, -24, 0, 24))
    left.set_ylim(past[50].min() - 0.8, past[50].max() + 0.8)
    for (name, values), line in zip(errors.items(), ("C1-", "C0--", "C2-.")):
        right.plot(hours, values, line, label=name)
    right.axhline(0.2, color="gray", linestyle=":", label="noise")
    right.set(ylim=(0, 1.7), xlabel="hours ahead", title="error", xticks=(1, 12, 24))
    figure.legend(loc="outside lower center", ncols=4, handlelength=1.5, columnspacing=1)
    network, last, before = (overall(result, name) for name in errors)
    return (
        f"After {epochs} epochs the error over all 24 hours is {network:.2f}; as the last value it is {last:.2f}, "
        f"as the same hour a day before {before:.2f}."
    )


LESSON = Lesson(
    number=17,
    title="Recurrence and memory",
    question="How can a network remember what came before, how far back, and what makes it remember longer?",
    idea="""A recurrent network reads a sequence one step at a time and carries a state h along. At each step the new
state is made from the input x and the state before, h₋₁, always with the same weights:

    h = f(x, h₋₁),    here h = tanh(x + w h₋₁)

Written out step after step it is an ordinary network, as deep as the sequence is long, whose layers share their
weights. So backpropagation needs nothing new, and the trouble of deep networks is met again: gradients that vanish.""",
    experiments=[
        Experiment(
            title="One state, written out",
            says="""One unit, one weight w. The first input is 1, all others are 0: what becomes of that 1? The steps
are made by hand with `Value`s, then by `nn.RNN`. States and slopes of the two differ by {same} at most.""",
            run=unroll,
            draw=draw_unroll,
            size=(5, 2.5),
            sliders=[Slider("w", W)],
            predict=Choice(
                "With w = 1.5, each step multiplies the state by 1.5 and takes the tanh. After 20 steps it is",
                ("all but 0", "much as it was", "many times larger"),
                right=lambda run: int(np.digitize(run(w=1.5)[1][19] / run(w=1.5)[1][0], (0.1, 10))),
                because="""It is {kept}: it stays where the growing and the tanh balance. With w = 0.5 it is {faded}:
forgotten. But look at the slope with respect to the first input, {slope}: had that been 0.9 or 0.7, the last state
would hardly differ. Only the sign is remembered, and so flat a slope tells training nothing.""",
            ),
            checks=[
                Check("same", "by hand against `nn.RNN`, all nine w: largest difference",
                      lambda run: max(np.abs(np.subtract(*run(w=w))).max() for w in W), -np.inf, 1e-12, ".0e"),
                Check("kept", "w = 1.5: state after 20 steps", lambda run: run(w=1.5)[1][19], 0.858, 0.859),
                Check("faded", "w = 0.5: state after 20 steps", lambda run: run(w=0.5)[1][19], 1e-6, 2e-6, ".2g"),
                Check("slope", "w = 1.5: slope of that state, first input", lambda run: run(w=1.5)[1][-1],
                      1.3e-8, 1.4e-8, ".2g"),
            ],
        ),
        Experiment(
            title="How far back it hears",
            says="""Now 32 units, random inputs, fresh weights, no training. How much the last state moves with an
input some steps before is what training has to go by. An LSTM carries a second state along, the cell c; on its way
there is no weight and no tanh, only a product with a forget gate f, a sigmoid, so between 0 and 1:

    c = f c₋₁ + i g

The forget bias is a number added to what goes into that sigmoid.""",
            run=reach,
            draw=draw_reach,
            sliders=[Slider("forget", (0, 1, 3, 5), "forget bias of the LSTM, plus"),
                     Slider("scale", (1.0, 2.0, 3.0), "recurrent weights, times")],
            predict=Choice(
                "Fresh weights. Whose gradient 40 steps back is more than a thousandth of the last input's?",
                ("neither's", "the RNN's", "the LSTM's", "both"),
                right=lambda run: int(share(run(), "RNN") > 1e-3) + 2 * int(share(run(), "LSTM") > 1e-3),
                because="""The RNN's is {rnn} of it, the LSTM's {lstm}: fresh forget gates stand near ½, and ½ to the
power of 40 is next to nothing. With 3 added to their bias they stand near 0.95, and it is {open}. An RNN has no such
gate: with 3 times the recurrent weights it is {exploding}.""",
            ),
            checks=[
                Check("rnn", "RNN: gradient 40 steps back, over the last input's", lambda run: share(run(), "RNN"),
                      1e-13, 1e-6, ".1g"),
                Check("lstm", "LSTM: gradient 40 steps back, over the last input's", lambda run: share(run(), "LSTM"),
                      1e-11, 1e-5, ".1g"),
                Check("open", "LSTM, forget bias +3: gradient 40 steps back, over the last input's",
                      lambda run: share(run(forget=3), "LSTM"), 0.03, 10, ".2g"),
                Check("exploding", "RNN, weights × 3: gradient 40 steps back, over the last input's",
                      lambda run: share(run(scale=3.0), "RNN"), 0.02, 1000, ".4g"),
            ],
        ),
        Experiment(
            title="Gates over a long lag",
            says="""Rows of 40 random numbers between −1 and 1. One of the first six is marked, by a 1 in a second
input; at the end of the row the network must say it. The LSTM has four units. Each has three gates, sigmoids of the
input and the state: f, how much of the cell stays; i, how much of a new value g (a tanh) comes in; o, how much shows:

    c = f c₋₁ + i g,    h = o tanh(c)

It starts with +5 on the bias of f and −5 on that of i. The picture shows one unit: the one whose cell goes most with
the number; where it keeps the number upside down, g and c are drawn with the sign changed. Its gates are worked out by
hand from the weights; the h that follows is `nn.LSTM`'s to within {hand}.""",
            run=remember,
            draw=draw_remember,
            size=(5, 3.3),
            sliders=[Slider("steps", (0, 40, 80, 120, 250), "steps of training")],
            predict=Choice(
                "While that unit waits for the end of the row, which of its gates is nearest to 1, wide open?",
                ("the input gate", "the forget gate", "the output gate"),
                right=lambda run: int(np.argmax([look(run())[1][name] for name in ("after", "forget", "output")])),
                because="""The forget gate: open, it keeps. It is {forget} on average, so that little of the cell is
lost in 35 steps. The input gate is {ratio} times as open at the mark as after it, which was learned. The error is
{recall}; always saying 0 would have 1/√3 ≈ 0.58.""",
            ),
            checks=[
                Check("recall", "error at the end (root mean square)", lambda run: look(run())[1]["error"],
                      0, 0.08, ".2f"),
                Check("forget", "forget gate after the mark", lambda run: look(run())[1]["forget"], 0.995, 1, ".4f"),
                Check("ratio", "input gate at the mark, over that after it",
                      lambda run: look(run())[1]["at"] / look(run())[1]["after"], 10, 300, ".3g"),
                Check("hand", "by hand against `nn.LSTM`: largest difference", lambda run: look(run())[1]["apart"],
                      -np.inf, 1e-5, ".0e"),
            ],
        ),
        Experiment(
            title="A forecast",
            says="""Hourly measurements with a daily and a weekly rhythm, a trend, and noise of 0.2 (standard
deviation) that nobody can foresee. An LSTM reads 48 hours, and its last state becomes the next 24, all at once. Two
guesses that cost nothing to compare with: as the last value; as the same hour a day before.""",
            run=forecast,
            draw=draw_forecast,
            size=(5, 3.3),
            sliders=[Slider("epochs", (0, 1, 2, 4, 8))],
            predict=Choice(
                "After 8 epochs, over all 24 hours, what is the forecast's error (root mean square)?",
                ("under 0.2", "0.2 to 0.43", "over 0.43"),
                right=lambda run: int(np.digitize(overall(run(), "network"), (0.2, 0.43))),
                because="""It is {network}, and 0.2 is the least that can be had. The last value errs by {last}; the
same hour a day before by {yesterday}, for it carries the noise of two measurements and knows nothing of the week.""",
            ),
            checks=[
                Check("network", "error of the network", lambda run: overall(run(), "network"), 0.25, 0.42, ".2f"),
                Check("last", "as the last value", lambda run: overall(run(), "last value"), 1.05, 1.35, ".2f"),
                Check("yesterday", "as the same hour a day before", lambda run: overall(run(), "day before"),
                      0.43, 0.58, ".2f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn memory --set forget=8`: can a forget gate be too open?",
        "`tinynet learn memory --set lag=80`: twice the row to wait through. And with `steps=500` as well?",
        "In `remember`, take `nn.RNN` for `nn.LSTM` and leave out the bias: what is the error then?",
    ],
    engine=["nn/cells.py: rnn_step", "nn/cells.py: lstm_step", "nn/recurrent.py: _unrolled",
            "backends/kernels/recurrent.py: rnn_grad"],
    sources=["J. Elman, Finding structure in time, Cognitive Science 14 (1990)",
             "S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997)",
             "F. Gers, J. Schmidhuber and F. Cummins, Learning to forget: continual prediction with LSTM (2000)"],
    walk=lambda: tn.explain(echo(Value(1.0, label="x"), Value(0.9, label="w"), 4)[-1]),
)  # fmt: skip
