"""What convolutional networks are for: one answer for a picture (a class, a number, an action), or for each place."""

import numpy as np

import tinynet as tn
from tinynet import data, nn, optim
from tinynet.teaching import Check, Choice, Experiment, Lesson, Slider
from tinynet.teaching.pictures import tiles


def network(*last):
    """Two convolutions, each of which halves the picture, and the last layers."""
    first = nn.Conv2d(1, 8, 5, stride=2, padding=2)
    second = nn.Conv2d(8, 16, 3, stride=2, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *last)


def train(model, loss, x, y, seed, batch=20, rate=0.005):
    """Four epochs of Adam: the same for every task."""
    trainer = tn.Trainer(model, loss, optim.Adam(lr=rate), threads=1)
    trainer.fit((x, y), epochs=4, batch_size=batch, seed=seed, progress=False)


def classify(seed):
    """Which digit? A score for each of ten, cross-entropy."""
    known, new = data.digits(flat=False)
    model = network(nn.Flatten(), nn.Linear(16 * 7 * 7, 10))
    train(model, nn.CrossEntropyLoss(), known.x[:1500], known.y[:1500], seed)
    named = model.predict(new.x).numpy().argmax(1)
    return new.x, named, new.y, np.mean(named == new.y), np.mean(new.y == 0)


def regress(seed):
    """How many metres left of the middle is the car? One number, squared error."""
    old, new = data.Road(rocks=0, seed=seed), data.Road(rocks=0, seed=seed + 100)
    cars, others = old.states(1500, seed=seed), new.states(500, seed=seed)
    left = lambda road, cars: cars[:, 1] - road.middle(cars[:, 0])
    y, true, views = left(old, cars), left(new, others), new.view(others)
    model = network(nn.Flatten(), nn.Linear(16 * 6 * 6, 1))
    train(model, nn.MSELoss(), old.view(cars), y[:, None], seed)
    read = model.predict(views).numpy()[:, 0]
    return views, read, true, abs(read - true).mean(), abs(y.mean() - true).mean()


def control(seed):
    """By how many degrees to steer? One number, squared error; then it drives."""
    old, new = data.Road(rocks=0, seed=seed), data.Road(rocks=0, seed=seed + 100)
    cars = old.states(1500, seed=seed)
    drivers = old.drivers(cars).mean()[:, None]
    model = network(nn.Flatten(), nn.Linear(16 * 6 * 6, 1))
    train(model, nn.MSELoss(), old.view(cars), drivers / 20, seed)
    steer = lambda cars: 20 * model.predict(new.view(cars)).numpy()[:, 0]
    ways = drive(new, steer), drive(new, lambda cars: np.zeros(10))
    metres = [np.any(np.diff(way, axis=0), axis=2).sum(0).mean() for way in ways]
    cars = ways[0][20::40, 0]
    return new.view(cars), steer(cars), new.drivers(cars).mean(), *metres, new, ways


def drive(road, steer):
    """Ten cars go 200 steps of a metre; one that has a wheel off the road stops."""
    x = np.linspace(0, 1500, 10)
    way = [np.stack([x, road.middle(x), road.direction(x)], axis=1)]
    for _ in range(200):
        moved = road.move(way[-1], steer(way[-1]))
        way.append(np.where(road.crashed(way[-1])[:, None], way[-1], moved))
    return np.array(way)


def whole(task="classification", seed=0):
    """Pictures, answers, what was right, the score, the score of a guess."""
    tn.manual_seed(seed)
    tasks = {"classification": classify, "regression": regress, "control": control}
    return tasks[task](seed)


def draw_whole(figure, result, task):
    pictures, answers, right, score, guess, *driven = result
    above, below = figure.subfigures(2, 1) if driven else (figure, None)
    form = ".1f" if task == "regression" else ".0f"
    titles = [f"{a:{form}} ({b:{form}})".replace("-", "−") for a, b in zip(answers, right)]
    tiles(above, [picture[0] for picture in pictures[: 5 if driven else 10]], titles, columns=5)
    if driven:
        axes, (road, ways), x = below.subplots(), driven, np.arange(-10, 210)
        axes.fill_between(x, road.middle(x) - 4, road.middle(x) + 4, color="gray", alpha=0.3, linewidth=0)
        for way, form in zip(ways, ("C1-", "C0X--")):
            axes.plot(*way[:, 0, :2].T, form, markevery=[-1])
        axes.set_xlabel("metres")
    return {
        "classification": "Named (and true): {:.0f} % of new digits are named correctly; always saying 0, {:.0f} %.",
        "regression": "Metres left, as read (and true): {:.2f} m off on average; always the mean, {:.2f} m.",
        "control": "Degrees left (a driver's). Ten cars drive {:.0f} m of 200 (orange); straight on {:.0f} (blue)",
    }[task].format(*np.multiply((score, guess), 100 if task == "classification" else 1))


def segment(sizes, seed):
    """Which pixels belong to the digit? Two scores for each pixel, cross-entropy."""
    known, new = data.digits(flat=False)
    iou = lambda found, true: (found & true).sum() / (found | true).sum()
    few = data.scenes(known, 200, size=40, clutter=0, noise=0.5, seed=seed)
    first, second = nn.Conv2d(1, 8, 5, padding=2), nn.Conv2d(8, 2, 5, padding=2)
    model, digit = nn.Sequential(first, nn.ReLU(), second), few.masks.clip(0, 1)
    train(model, nn.CrossEntropyLoss(), few.images, digit, seed, batch=5, rate=0.01)
    for size in sizes:
        test = data.scenes(new, 100, size=size, clutter=0, noise=0.5, seed=seed + 100)
        found, ink = model.predict(test.images).numpy().argmax(1) > 0, test.masks > 0
        bright = max(iou(test.images[:, 0] > t, ink) for t in np.linspace(0.1, 0.9, 17))
        yield test.images[:, 0], found, iou(found, ink), bright


def detect(sizes, seed):
    """Which digit, and where? Ten scores for every 4 × 4 pixels, cross-entropy."""
    known, new = data.digits(flat=False)
    few = data.scenes(known, 1000, size=40, clutter=2, seed=seed)
    column, row = few.boxes.reshape(-1, 2, 2).mean(1).astype(int).T // 4
    model = network(nn.Conv2d(16, 10, 5, padding=2), nn.Flatten())
    target = 100 * few.labels[:, 0] + 10 * row + column
    train(model, nn.CrossEntropyLoss(), few.images, target, seed, rate=0.01)
    for size in sizes:
        test = data.scenes(new, 200, size=size, clutter=2, seed=seed + 100)
        best = model.predict(test.images).numpy().argmax(1)
        digit, row, column = np.unravel_index(best, (10, size // 4, size // 4))
        place = 4 * np.stack([column, row], axis=1) + 2
        middle, true = test.boxes.reshape(-1, 2, 2).mean(1), test.labels[:, 0]
        hits = (abs(place - middle).max(1) <= 4) & (digit == true)
        guessed = (abs(size / 2 - middle).max(1) <= 4) & (true == 1)
        yield test.images[:, 0], (place, digit, true), hits.mean(), guessed.mean()


def places(search="detection", large=80, seed=0):
    """Learned from 40 × 40 pixels, tried on those and more: no layer knows a size."""
    tn.manual_seed(seed)
    tasks = {"segmentation": segment, "detection": detect}
    return list(tasks[search]((40, large), seed))


def draw_places(figure, result, search, large):
    shown, titles, outlines = [], [], search == "segmentation"
    for images, found, *_ in result:
        shown += [images[0], found[0], images[2], found[2]] if outlines else [*images[:4]]
        titles += ["picture", "found"] * 2 if outlines else [f"{named} ({true})" for named, true in zip(*found[1:])][:4]
    tiles(figure, shown, titles, columns=4)
    (_, found, score, guess), (_, other, far, worse) = result
    for i, axes in enumerate([] if outlines else figure.axes):
        place, side = (other[0][i - 4], large) if i > 3 else (found[0][i], 40)
        axes.plot(*place, "s", color="C1", markersize=1600 / side, fillstyle="none")
    what = "IoU of what was found (the brightest pixels)" if outlines else "Found and named (always a 1 in the middle)"
    return f"{what}: above, 40 × 40, {score:.2f} ({guess:.2f}); below, {large} × {large}, {far:.2f} ({worse:.2f})."


LESSON = Lesson(
    number=16,
    title="What convolutional networks are for",
    question="A class, a number, an action, an outline, a place: what must change from one task to another?",
    idea="""A convolution lays small filters on every place of a picture. A network of them (CNN) makes feature maps,
which say what is where; its last layer makes the answer. The loss is cross-entropy for a choice (minus the
logarithm of the probability given to the right one), squared error for a number.

    one answer:   convolutions → Linear → a few numbers
    each place:   convolutions → convolution → a map""",
    experiments=[
        Experiment(title="One answer for a picture", run=whole, draw=draw_whole, size=(5, 3),
            says="""Classification: which digit is it? Regression: how many metres left of its road's middle is a car
that drives upwards, seen from above? Control: by how many degrees to steer it? The same two convolutions for each.""",
            sliders=[Slider("task", ("classification", "regression", "control"))],
            predict=Choice("It learns to steer from 1,500 views of a road. How far does it drive on a new road?",
                           ("it leaves the road at once", "about half of 200 metres", "all 200 metres"),
                           lambda run: int(np.digitize(run(task="control")[3], (60, 180))),
                           because="""It drives {drives} metres, and straight on {straight}. It learned a driver's angle
for a view: a regression again. Of the digits, {named} % are named correctly; the place on the road is {off} m wrong on
average."""),
            checks=[
                Check("named", "digits named correctly (%; a guess: 10)", lambda run: 100 * run()[3], 88, 96, ".0f"),
                Check("off", "regression: metres off", lambda run: run(task="regression")[3], 0.03, 0.2, ".2f"),
                Check("drives", "metres driven of 200", lambda run: run(task="control")[3], 180, 200),
                Check("straight", "metres straight on", lambda run: run(task="control")[4], 10, 60, ".0f"),
            ]),
        Experiment(title="An answer for each place", run=places, draw=draw_places, size=(5, 3.2),
            says="""Segmentation: which pixels are a digit's, in strong noise? Measured as the intersection over union
(IoU): the pixels both found and true, as a part of those found or true. Detection: which digit, and where, among pieces
of others? Found is one that is named correctly, with its middle at most 4 pixels off either way.""",
            sliders=[Slider("search", ("segmentation", "detection"), "task")],
            predict=Choice("They learned from pictures of 40 × 40 pixels. How does detection do on 80 × 80?",
                           ("it cannot take them", "it finds a quarter as many", "it finds about as many"),
                           lambda run: 1 + int(run()[1][2] > 0.8 * run()[0][2]),
                           because="""It finds {large} % there, {found} % at 40 × 40. A filter works alike at every
place; and the same two pieces of other digits have more room, so they cover the digit less often. Segmentation
reaches an IoU of {iou}, the best threshold of brightness {bright}."""),
            checks=[
                Check("found", "detection: found at 40 × 40 (%)", lambda run: 100 * run()[0][2], 60, 87, ".0f"),
                Check("large", "detection: found at 80 × 80 (%)", lambda run: 100 * run()[1][2], 66, 92, ".0f"),
                Check("iou", "segmentation: IoU", lambda run: run(search="segmentation")[0][2], 0.68, 0.82, ".2f"),
                Check("bright", "best threshold of brightness: IoU", lambda run: run(search="segmentation")[0][3],
                      0.28, 0.36, ".2f"),
            ]),
    ],
    change=["`tinynet learn what-cnns-are-for --set large=160`: how large may a picture be?",
            "In `segment`, leave out the first convolution: what can one layer of filters find?",
            "`tinynet tasks` trains larger models for these tasks; `tinynet tasks steering` goes round rocks."],
    engine=["nn/conv.py: conv2d", "nn/losses.py: CrossEntropyLoss", "nn/regression.py: MSELoss"],
    sources=["D. Pomerleau, ALVINN: an autonomous land vehicle in a neural network (1989)",
             "J. Long et al., Fully convolutional networks for semantic segmentation: https://arxiv.org/abs/1411.4038"],
)  # fmt: skip
