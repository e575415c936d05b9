"""Embeddings: each letter a point that is learned; letters that act alike move together."""

import numpy as np

import tinynet as tn
from tinynet import Tensor, data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Number, Slider

NAMES = """
aaron abigail ada adam agnes aidan alan albert alex alice alina amelia amir amy ana
andrea andrew angela anita anna anton antonia arthur asha astrid aurora ava barbara
beatrice ben benjamin bernard bianca boris brian bruno carla carlos carmen carol
caroline catherine cecilia celia charles charlotte chloe christina clara claudia clement
colin connor cora cyril daisy daniel daphne david deborah denis diana diego dina dominic
dora doris edith edward elena eleanor eli elias elisa elizabeth ella ellen elsa emil
emily emma enzo eric erika ernest esther ethan eva evelyn fatima felix fiona flora
florence frances frank freya gabriel george gerard gina gloria grace greta hannah harold
harriet harry hector helen helena henry hugo ian ida ines ingrid irene iris isaac isabel
ivan ivy jacob james jan jane jasmine jason jean jennifer jessica joan joel john jonas
jonathan jose joseph josephine joyce judith julia julian juliet karen karl kate kevin
kira laila lara laura leah lena leo leon leonard leyla lily linda lisa louis louise
lucas lucy luna lydia maggie manuel marco margaret maria marina mark marta martha martin
mary matilda matteo matthew maya melissa mia michael michelle mila mina miriam mohamed
mona monica nadia naomi natalie nathan nelson nicholas nicole nina noah nora norman
octavia olga oliver olivia omar oscar otto pablo pamela patricia paul paula pauline
peter philip quentin rachel raphael rebecca rita robert roberta robin roland rosa rose
ruben ruth ryan sabine sally samir samuel sandra sara sebastian selma sharon sheila
silvia simon sofia sonia sophie stefan stella susan sven sylvia tania teresa theo
theodore thomas tim tina toby tom ursula valentina valerie vanessa vera victor victoria
vincent viola violet virginia vivian walter wanda wendy william xavier yara yasmin yusuf
yvonne zara zoe
""".split()
VOWELS = "aeiou"
LETTERS = data.Characters("abcdefghijklmnopqrstuvwxyz", boundary=".")  # . is number 0


def look_up(word="anna", seed=0):
    """A letter's row of the table: by its number, and as a product with a one-hot."""
    tn.manual_seed(seed)
    numbers = Tensor(LETTERS.encode(word))
    table = nn.Embedding(27, 2)
    one_hot = nn.functional.one_hot(numbers, 27).to(dtype="float32")
    both = []
    for rows in (table(numbers), one_hot @ table.weight):
        table.zero_grad()
        rows.sum().backward()
        both.append((rows.numpy(), table.weight.grad.numpy()))
    return one_hot.numpy(), both


def draw_look_up(figure, result, word):
    one_hot, ((_, gradient), _) = result
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(len(word), 4))
    above.imshow(one_hot, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
    above.set_yticks(range(len(word)), list(word))
    below.bar(range(27), gradient[:, 0])
    below.set_xticks(range(27), LETTERS.itos, fontsize=8.5)
    below.set(ylim=(0, max(3.2, gradient.max() + 0.2)), ylabel="gradient")
    used = ", ".join(f"{LETTERS.itos[i]} {gradient[i, 0]:.0f}" for i in np.flatnonzero(gradient[:, 0]))
    return (
        f"Above, {word} as one-hot vectors: a row for each of its {len(word)} letters, with its one 1. Below, "
        f"the gradient of the table's rows: {used}, all others 0."
    )


def learn(steps=400, width=2, seed=0):
    """From three letters of a name the next; a letter is a point of `width` numbers."""
    tn.manual_seed(seed)
    chance = np.random.default_rng(seed)
    examples = data.next_character(NAMES, 3, LETTERS)
    table, loss = nn.Embedding(27, width), nn.CrossEntropyLoss()
    hidden = nn.Linear(3 * width, 20), nn.Tanh()
    model = nn.Sequential(table, nn.Flatten(), *hidden, nn.Linear(20, 27))
    optimizer = optim.Adam(model.parameters(), lr=0.05)

    def train_step(x, y):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    step = tn.capture(train_step)
    for _ in range(steps):
        step(*examples[chance.integers(len(examples), size=100)])
    return table.weight.numpy(), loss(model(Tensor(examples.x)), examples.y).item()


def distances(points):
    """From each of the 26 letters to each: (26, 26), in the order of the alphabet."""
    return np.linalg.norm(points[1:, None] - points[None, 1:], axis=2)


def nearest(points, letter):
    """The other letters, the nearest first."""
    order = np.argsort(distances(points)[LETTERS.stoi[letter] - 1])
    return [LETTERS.itos[i + 1] for i in order if LETTERS.itos[i + 1] != letter]


def vowels(result):
    """The mean distance of two vowels, over that of a vowel and a consonant."""
    apart, is_vowel = distances(result[0]), np.array([letter in VOWELS for letter in LETTERS.itos[1:]])
    return apart[is_vowel][:, is_vowel].sum() / 20 / apart[is_vowel][:, ~is_vowel].mean()


def alphabet(result):
    """The mean distance of neighbours in the alphabet, over that of any two letters."""
    apart = distances(result[0])
    return np.diag(apart, 1).mean() / (apart.sum() / (26 * 25))


def draw_learn(figure, result, steps, width):
    axes, (points, loss) = figure.subplots(), result
    shown = (points[:, :2] - points[:, :2].min(0)) / np.ptp(points[:, :2], axis=0)
    for _ in range(60):  # letters that would overlap are pushed apart
        between = shown[:, None] - shown
        far = np.linalg.norm(between, axis=2) + np.eye(27)
        shown = shown + (between * np.maximum(0.025 / far - 0.5, 0)[..., None]).sum(1)
    for letter, place in zip(LETTERS.itos, shown):
        look = ("C1", "bold") if letter in VOWELS else ("gray" if letter == "." else "C0", "normal")
        letter = letter.replace(".", "●")
        axes.text(*place, letter, color=look[0], weight=look[1], size=13, ha="center", va="center", clip_on=True)
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), aspect="equal")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    near = "; ".join(f"{letter}: {', '.join(nearest(points, letter)[:3])}" for letter in "aeiounr")
    return (
        f"After {steps} steps, loss {loss:.2f}. Vowels are orange, consonants blue, a name's end a grey dot; where "
        f"letters would overlap they are moved apart. Two "
        f"vowels lie {vowels(result):.2f} times as far apart as a vowel and a consonant. Nearest to {near}."
    )


LESSON = Lesson(
    number=18,
    title="Embeddings",
    question="How does a network take in what is no number, and what does it make of it?",
    idea="""A letter is no number. That j is number 10 and k number 11 does not make them alike, and z is not 26 times
a. An embedding gives every letter (or word, or product) a row of a table, a few numbers that start by chance and are
learned like any weight. With two numbers a row is a point in the plane: what the network learns can be seen.""",
    experiments=[
        Experiment(
            title="A row of a table",
            says="""`nn.Embedding(27, 2)` is a table: 26 letters and a dot for "the name begins or ends here", two
numbers each. To look up a row is to multiply with a one-hot vector, all 0 but one 1 (the two differ by {same}), only
without the multiplying. The loss here is the sum of all numbers looked up, so that each look-up has the gradient 1.""",
            run=look_up,
            draw=draw_look_up,
            sliders=[Slider("word", ("anna", "zoe", "bob", "elizabeth"))],
            predict=Number("The word is anna. How many of the 27 rows get a gradient other than 0?",
                           lambda run: int(run()[1][0][1].any(1).sum()), 0,
                           because="""{rows}: a and n. Each was looked up twice, and gradients of whatever is used
twice add up: {twice}. The other 25 rows stay as they are; a step costs no more with a table of a million rows."""),
            checks=[
                Check("rows", "anna: rows with a gradient", lambda run: run()[1][0][1].any(1).sum(), 2, 2),
                Check("twice", "anna: gradient of the row a", lambda run: run()[1][0][1][1, 0], 2, 2),
                Check("same", "rows and gradients against the product: largest difference",
                      lambda run: max(abs(a - b).max() for a, b in zip(*run()[1])), 0, 0),
            ],
        ),
        Experiment(
            title="Letters of names as points",
            says="""The task: from three letters of a first name, say the next one (after `.an`, n is likely). Each
letter becomes its point, the three points go through a layer of 20 tanh units, and 27 scores come out. The points
start at random, and nobody says what a vowel is. The plane is turned and stretched differently after every start, so
it has no names for its axes.""",
            run=learn,
            draw=draw_learn,
            size=(5, 4.6),
            sliders=[Slider("steps", (0, 25, 50, 100, 200, 400), "steps of training")],
            predict=Choice(
                "What will lie together after 400 steps?",
                ("nothing in particular", "neighbours in the alphabet", "the vowels"),
                right=lambda run: 2 if vowels(run()) < 0.75 else int(alphabet(run()) < 0.75),
                because="""The vowels: two of them lie {ratio} times as far apart as a vowel and a consonant; before
training it was {before}. After a vowel mostly comes a consonant, after a consonant a vowel, so what helps with one
vowel helps with the others: points that ask for the same answers are pushed the same way. Neighbours in the alphabet
stay as far apart as any two letters ({alphabet} times).""",
            ),
            checks=[
                Check("ratio", "two vowels over vowel and consonant, mean distances", lambda run: vowels(run()),
                      0.25, 0.65, ".2f"),
                Check("before", "two vowels over vowel and consonant, before training",
                      lambda run: vowels(run(steps=0)), 0.66, 1.3, ".2f"),
                Check("alphabet", "neighbours in the alphabet over any two letters", lambda run: alphabet(run()),
                      0.85, 1.15, ".2f"),
                Check("near", "vowels, of five, whose nearest letter is a vowel",
                      lambda run: sum(nearest(run()[0], letter)[0] in VOWELS for letter in VOWELS), 3, 5),
                Check("loss", "loss; guessing among 27 has ln 27 = 3.30", lambda run: run()[1], 2, 2.5, ".2f"),
            ],
        ),
    ],
    change=[
        "`tinynet learn embeddings --set width=5`: the loss falls. What can a picture of two of five numbers not show?",
        "`tinynet learn embeddings --set steps=3000`: does it go on, or is the order made early?",
        "`tinynet learn embeddings --set word=mississippi`: which row learns most?",
        "With makemore's `names.txt` in `$TINYNET_DATA`, `NAMES = data.names()` has 32,033.",
    ],
    engine=["nn/embedding.py: _embedding", "nn/embedding.py: Embedding.forward",
            "backends/kernels/embedding.py: embedding_grad"],
    sources=["Y. Bengio, R. Ducharme, P. Vincent and C. Jauvin, A neural probabilistic language model, JMLR 3 (2003)",
             "A. Karpathy, makemore: https://github.com/karpathy/makemore",
             "T. Mikolov and others, Efficient estimation of word representations in vector space (2013): https://arxiv.org/abs/1301.3781"],
)  # fmt: skip
