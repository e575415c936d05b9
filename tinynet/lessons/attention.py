"""Attention: by hand on three words, blind to order without positions, at work in a small GPT, and writing."""

import numpy as np

import tinynet as tn
from tinynet import Tensor, Value, data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider
from tinynet.teaching.pictures import signed

SENTENCE = ("cat", "drinks", "milk")
KEYS = [[2.0, 0.0], [0.0, 0.0], [0.0, 2.0]]  # is it a doer? is it a thing?
QUERIES = [[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]  # drinks looks for a doer
VALUES = [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]


def attend(query, keys, values):
    """softmax(q·k / √2), and the mean of the values with these weights."""
    scores = [(query[0] * k[0] + query[1] * k[1]) / 2**0.5 for k in keys]
    total = sum(s.exp() for s in scores)
    weights = [s.exp() / total for s in scores]
    mean = [sum(w * v[i] for w, v in zip(weights, values)) for i in (0, 1)]
    return weights, mean


def by_hand(sharp=1.0):
    """Three words look at each other: number by number, then by the engine."""
    queries = [[q * sharp for q in row] for row in QUERIES]
    q, k, v = ([[Value(n) for n in row] for row in m] for m in (queries, KEYS, VALUES))
    weights, means = zip(*[attend(query, k, v) for query in q])
    means[1][0].backward()  # slopes of the first number that drinks gets
    hand = [[n.data for n in row] for row in means]
    hand_slopes = [[n.grad for n in row] for row in k]

    keys = Tensor(KEYS, dtype="float64", requires_grad=True)
    out = nn.functional.scaled_dot_product_attention(queries, keys, VALUES)
    out[1, 0].backward()
    apart = [abs(out.numpy() - hand), abs(keys.grad.numpy() - hand_slopes)]
    return np.array([[w.data for w in row] for row in weights]), np.array(hand), np.max(apart)


def grid(axes, weights, across, down):
    """Attention weights as ink: who looks (down) at whom (across)."""
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(len(down)), down)
    axes.grid(False)


def draw_by_hand(figure, result, sharp):
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    weights, means, _ = result
    for axes, numbers, names in ((left, weights, SENTENCE), (right, means, ("doer", "thing"))):
        grid(axes, numbers, names, SENTENCE)
        for (i, j), number in np.ndenumerate(numbers):
            axes.text(j, i, f"{number:.2f}", ha="center", va="center", color="#fafafa" if number > 0.6 else "#06285c")
    left.set_title("weights: row looks at column")
    right.set_title("what each gets")
    return (
        f"Queries times {sharp:g}. The weights of cat, drinks, milk: "
        + "; ".join(f"{word}: {', '.join(f'{w:.2f}' for w in row)}" for word, row in zip(SENTENCE, weights))
        + f". So drinks gets {means[1, 0]:.2f} of a doer and {means[1, 1]:.2f} of a thing."
    )


def order(positions="none", seed=0):
    """What attention makes of `dog bites man` and of `man bites dog`."""
    tn.manual_seed(seed)
    words = nn.Embedding(3, 16)
    attention = nn.MultiheadAttention(16, 2, batch_first=True)
    waves = nn.SinusoidalPositions(16, batch_first=True)
    outs = []
    for sentence in ([0, 1, 2], [2, 1, 0]):
        x = words(Tensor([sentence]))
        x = waves(x) if positions == "waves" else x
        outs.append(attention(x, x, x)[0][0].numpy())
    return outs, waves(tn.zeros(1, 40, 16))[0].numpy()


def differ(result):
    """The largest difference of a word's vector between the two sentences."""
    (one, other), _ = result
    return abs(one - other[::-1]).max()


def draw_order(figure, result, positions):
    (one, other), waves = result
    above, below = figure.subplots(2, 1)
    if positions == "waves":
        above.imshow(waves.T, cmap=signed(), vmin=-1, vmax=1, aspect="auto")
    else:
        above.text(20, 7.5, "nothing is added", ha="center", va="center", size=12)
    above.set(xlim=(-0.5, 39.5), ylim=(15.5, -0.5))
    above.set(title="added to the word at each position", xlabel="position", ylabel="number")
    above.grid(False)
    below.plot(one[1], "o", markersize=9, fillstyle="none", label="dog bites man")
    below.plot(other[1], "x", markersize=6, label="man bites dog")
    below.set(ylim=(-0.9, 0.9), title="the 16 numbers of bites, after attention", xticks=[])
    figure.legend(loc="outside lower center", ncols=2)
    return (
        f"Positions: {positions}. A word's vector differs between the two sentences by {differ(result):.1g} at most"
        + (": the crosses lie in the circles." if positions == "none" else ". Each row of the map is a wave.")
    )


def fit(gpt, batch, steps, first=0):
    """Adam on "which token is next", at the places from `first` on; the losses."""
    loss, optimizer = nn.CrossEntropyLoss(), optim.Adam(gpt.parameters(), lr=0.01)

    def train_step(rows):
        optimizer.zero_grad()
        logits = gpt(rows[:, :-1])[:, first:].reshape(-1, gpt.vocab_size)
        cost = loss(logits, rows[:, first + 1 :].reshape(-1))
        cost.backward()
        optimizer.step()
        return cost

    step = tn.capture(train_step)
    return [step(batch()).item() for _ in range(steps)]


def reverse(steps=120, seed=0):
    """A GPT with two heads learns to write six letters backwards: cabfde>edfbac"""
    tn.manual_seed(seed)
    chance = np.random.default_rng(seed)

    def batch(n=32):
        letters = chance.integers(1, 9, (n, 6))  # 1 is a, …; 0 is >
        return np.hstack([letters, np.zeros((n, 1), int), letters[:, ::-1]])

    gpt = nn.GPT(vocab_size=9, block_size=12, n_layer=1, n_head=2, n_embd=32)
    fit(gpt, batch, steps, first=6)
    chance = np.random.default_rng(99)  # letters that are new to it
    rows = batch(200)
    right = gpt(Tensor(rows[:, :-1])).numpy()[:, 6:].argmax(2) == rows[:, 7:]
    return rows, right.mean(), look(gpt, Tensor(rows[:, :-1]))


def look(gpt, tokens):
    """softmax(q kᵀ / √d) of both heads, each token seeing itself and those before."""
    body, (n, length) = gpt.transformer, tokens.shape
    block = body.h[0]
    qkv = block.attn.c_attn(block.ln_1(body.wpe(body.wte(tokens))))
    q, k, _ = qkv.reshape(n, length, 3, 2, 16).permute(2, 0, 3, 1, 4)
    scores = (q @ k.mT).numpy() / 16**0.5
    powers = np.exp(scores) * np.tri(length)
    return powers / powers.sum(-1, keepdims=True)


def on_the_letter(result):
    """The mean weight on the letter that must be written next."""
    return np.mean([result[2][:, :, 6 + t, 5 - t] for t in range(6)])


def draw_reverse(figure, result, steps):
    rows, right, weights = result
    shown = next(i for i, row in enumerate(rows) if len(set(row[:6])) == 6)
    tokens = [">abcdefgh"[i] for i in rows[shown]]
    for i, axes in enumerate(figure.subplots(1, 2)):
        grid(axes, weights[shown, i, 6:], tokens[:12], [f"{tokens[t]} → {tokens[t + 1]}" for t in range(6, 12)])
        axes.set(title=f"head {i + 1}", aspect="auto")
    looks = weights.mean(0)[:, 6:].argmax(2)
    alike = "Both heads look most at the same places" if (looks[0] == looks[1]).all() else "The heads differ"
    return (
        f"After {steps} steps {100 * right:.0f} % of the letters are right. Rows: where the network stands, and what "
        f"must come next; columns: where it looks. On the letter to come is {on_the_letter(result):.2f} of a head's "
        f"weight. {alike}."
    )


NUMBERS = [data.in_words(n) for n in range(1000)]  # zero … nine hundred and ninety-nine
LETTERS = data.Characters(NUMBERS, boundary="\n")


def write(steps=300, seed=0):
    """A GPT reads 500 of the numbers below 1,000 in words, and writes 40."""
    tn.manual_seed(seed)
    chance = np.random.default_rng(seed)
    seen = chance.permutation(NUMBERS)[:500]
    width = max(map(len, NUMBERS)) + 2
    rows = np.array([LETTERS.encode(f"\n{word}".ljust(width, "\n")) for word in seen])
    gpt = nn.GPT(len(LETTERS), block_size=width, n_layer=1, n_head=2, n_embd=32)
    losses = fit(gpt, lambda: rows[chance.integers(0, 500, 16)], steps)
    starts = np.zeros((40, 1), int)  # forty line breaks
    text = gpt.generate(starts, width - 1, temperature=0.5, seed=seed).numpy()
    return losses, [LETTERS.decode(row[1:]).split("\n")[0] for row in text], set(seen)


def share(result, new=False):
    """How many of those written are numbers; with ``new``, numbers that it never read."""
    _, written, seen = result
    return np.mean([word in NUMBERS and not (new and word in seen) for word in written])


def draw_write(figure, result, steps):
    losses, written, seen = result
    axes = figure.subplots()
    for i, word in enumerate(written[:10]):
        colour, mark = ("C1", "✗") if word not in NUMBERS else ("C0", " ") if word in seen else ("C2", "new")
        axes.text(0.14, 1 - i / 10, word, color=colour, va="top", size=12)
        axes.text(0, 1 - i / 10, mark, color=colour, va="top", size=12)
    axes.set_axis_off()
    loss = f"loss {np.mean(losses[-10:]):.2f}, " if losses else ""
    ok, new = (100 * share(result, unread) for unread in (False, True))
    return (
        f"After {steps} steps, {loss}of 40 lines {ok:.0f} % are numbers, {new:.0f} % numbers that it never read "
        f"(green, new; orange ✗: no number). The first: {', '.join(written[:4])}."
    )


LESSON = Lesson(
    number=19,
    title="Attention",
    question="How does a word find the other words that matter to it, and how does that make a machine write?",
    idea="""In a sequence every element is a vector, a row of numbers. In attention each makes three vectors of its
own: a query q, what it looks for; a key k, what it is; a value v, what it hands over. The product q·k says how well a
key fits a query. Softmax makes the scores of one query into weights that add up to 1, and what the element gets is
the mean of all values with these weights:

    out = softmax(q kᵀ / √d) v

d is how many numbers a query has; dividing by √d keeps the scores small when d is large.""",
    experiments=[
        Experiment(
            title="Three words, by hand",
            says=""""cat drinks milk". Keys and values say two things of each word: is it a doer, is it a thing? The
query of "drinks" is (2, 0): it looks for a doer. That of "cat" is (0, 0), that of "milk" (1, 1). A factor makes all
queries sharper or blunter. Each number is worked out with `Value`s, then by the engine; results and slopes of the two
differ by {same} at most.""",
            run=by_hand,
            draw=draw_by_hand,
            size=(5, 2.7),
            sliders=[Slider("sharp", (0.0, 0.5, 1.0, 2.0, 4.0), "queries, times")],
            predict=Choice(
                "With all queries at 0 (times 0) nobody looks for anything. What does a word get?",
                ("zeros", "its own value", "the mean of all three values"),
                right=lambda run: int(np.argmin([abs(run(sharp=0.0)[1] - m).max() for m in (
                    np.zeros((3, 2)), np.array(VALUES), np.mean(VALUES, 0))])),
                because="""The mean: all scores are 0, and softmax makes equal scores equal weights, {equal} each.
Attention always hands over something. With the query as it is, "drinks" looks at "cat" with {cat}; four times as
sharp, with {sharp}.""",
            ),
            checks=[
                Check("same", "by hand against the engine, five settings: largest difference", lambda run: max(
                    run(sharp=s)[2] for s in (0.0, 0.5, 1.0, 2.0, 4.0)), -np.inf, 1e-12, ".0e"),
                Check("equal", "queries × 0: each weight", lambda run: run(sharp=0.0)[0].max(), 0.3333, 0.3334, ".4f"),
                Check("cat", "drinks: weight on cat", lambda run: run()[0][1, 0], 0.894, 0.895, ".3f"),
                Check("sharp", "drinks, queries × 4: weight on cat", lambda run: run(sharp=4.0)[0][1, 0],
                      0.9999, 1, ".5f"),
            ],
        ),
        Experiment(
            title="What is lost without positions",
            says="""A mean has no order. So two sentences of the same words are put through one attention layer with
random weights, once as they are and once with positions added: to each word's vector a row of numbers that only
depends on where it stands. These are sines and cosines, each pair slower than the one before, as the hands of a clock
are.""",
            run=order,
            draw=draw_order,
            size=(5, 4.2),
            sliders=[Slider("positions", ("none", "waves"))],
            predict=Choice(
                "Without positions: how far does the vector of bites differ between the two sentences?",
                ("not at all", "a little", "altogether"),
                right=lambda run: int(np.digitize(differ(run()), (1e-5, 0.5))),
                because="""By {none}, which is rounding: shuffle the words and the results are shuffled with them,
nothing else. Who bites whom cannot be known. With the waves added it differs by {waves}. How two rows of the waves
fit each other depends only on how far apart they are (to within {shift}), so "the word before" looks alike
everywhere.""",
            ),
            checks=[
                Check("none", "no positions: largest difference", lambda run: differ(run()), -np.inf, 2e-6, ".0e"),
                Check("waves", "waves: largest difference", lambda run: differ(run(positions="waves")),
                      0.05, 1.5, ".2f"),
                Check("shift", "waves: product of rows 3 apart, smallest to largest", lambda run: np.ptp(
                    (run()[1][3:] * run()[1][:-3]).sum(1)), -np.inf, 1e-5, ".0e"),
            ],
        ),
        Experiment(
            title="Heads",
            says="""Several attentions side by side are called heads: each has weights of its own for q, k and v. Here
a GPT of one layer and two heads is given six random letters and a `>`, and learns to write them backwards, a letter
at a time. It never sees what comes after the place where it stands. Each row of a picture is such a place, and shows
where that head looks.""",
            run=reverse,
            draw=draw_reverse,
            size=(5, 2.3),
            sliders=[Slider("steps", (0, 10, 20, 30, 40, 120), "steps of training")],
            predict=Choice(
                "The first letter after `>` is written. To write the second, where must a head look?",
                ("the first", "the second", "the last but one", "the last"),
                right=lambda run: {0: 0, 1: 1, 4: 2, 5: 3}[int(run()[2].mean((0, 1))[7].argmax())],
                because="""At the last but one. That was never said: positions are in the queries and keys, and the
loss did the rest. After training {on} of a head's weight is on the letter to be written, before it {before}; {right} %
of all letters are right.""",
            ),
            checks=[
                Check("right", "letters that are right (%)", lambda run: 100 * run()[1], 97, 100, ".0f"),
                Check("on", "weight on the letter that is next, mean of both heads", lambda run: on_the_letter(run()),
                      0.8, 1, ".2f"),
                Check("before", "before training: weight on the letter that is next",
                      lambda run: on_the_letter(run(steps=0)), 0.08, 0.13, ".2f"),
            ],
        ),
        Experiment(
            title="A small GPT that writes",
            says="""The same network, one layer and two heads, 32 numbers wide. It reads 500 of the thousand numbers
from `zero` to `nine hundred and ninety-nine`, letter by letter, and learns to say which letter comes next. To write,
a letter is drawn by these probabilities, added to the text, and so on to the end of the line.""",
            run=write,
            draw=draw_write,
            size=(5, 3.4),
            sliders=[Slider("steps", (0, 25, 50, 100, 200, 300), "steps of training")],
            predict=Choice(
                "It has read half of all numbers. How many of the lines it writes are numbers that it never read?",
                ("none: it repeats", "some", "nearly all"),
                right=lambda run: int(np.digitize(share(run(), True), (0.05, 0.8))),
                because="""{new} % of them, where {ok} % are numbers at all. It has not learned 500 lines by heart but
how such words are made; what it writes it has partly never seen. The loss has come from {start} (22 letters, ln 22 =
3.09) to {loss} a letter.""",
            ),
            checks=[
                Check("ok", "of 40 lines, numbers (%)", lambda run: 100 * share(run()), 80, 100, ".0f"),
                Check("new", "of 40 lines, numbers that it never read (%)", lambda run: 100 * share(run(), True),
                      15, 70, ".0f"),
                Check("start", "loss of the first step", lambda run: run()[0][0], 2.9, 3.3, ".2f"),
                Check("loss", "mean loss of the last 10", lambda run: np.mean(run()[0][-10:]), 0.15, 0.35, ".2f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn attention --set sharp=-1`: look for the opposite. Who is looked at now?",
        "`tinynet learn attention --set steps=1000`: does the writer get better, or only surer? And how many are new?",
        "In `fit`, take `lr=0.1`; in `reverse`, take `n_head=1`: one head is enough, why?",
    ],
    engine=["nn/attention.py: _weights", "nn/attention.py: _mean", "nn/positions.py: SinusoidalPositions",
            "nn/gpt.py: CausalSelfAttention"],
    sources=["A. Vaswani and others, Attention is all you need (2017): https://arxiv.org/abs/1706.03762",
             "3Blue1Brown, Attention in transformers, step by step: https://www.3blue1brown.com/lessons/attention",
             "A. Karpathy, nanoGPT: https://github.com/karpathy/nanoGPT"],
    walk=lambda: tn.explain(attend([Value(2.0, label="q"), Value(0.0)], KEYS, VALUES)[1][0]),
)  # fmt: skip
