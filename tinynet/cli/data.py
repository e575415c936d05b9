"""``tinynet data``: which data sets there are, and what one looks like."""

import argparse
from typing import Any, NamedTuple

import numpy as np

from tinynet.cli.parser import Parser, UsageError, add_data_dir, choice, number
from tinynet.cli.pictures import bar, beside, side, text_art
from tinynet.cli.recipe import SYNTHETIC
from tinynet.cli.train import load_data
from tinynet.data import DATASETS, Dataset
from tinynet.data.files import find, places

EXAMPLE = """\
  tinynet data                                     the list
  tinynet data digits --save-picture digits.png
  tinynet data moons --noise 0.2"""


class About(NamedTuple):
    """A data set in a line: examples, one example's shape, classes, where it comes from."""

    examples: str
    shape: str
    classes: str
    source: str


ABOUT = {
    "digits": About("6,000 + 1,000", "784 (28×28)", "10", "a tenth of MNIST, comes with tinynet"),
    "mnist": About("60,000 + 10,000", "784 (28×28)", "10", "handwritten digits, LeCun, Cortes and Burges"),
    "fashion-mnist": About("60,000 + 10,000", "784 (28×28)", "10", "pictures of clothes, Zalando Research"),
    "moons": About("any", "2", "2", "formula: two interleaved half circles"),
    "spirals": About("any", "2", "3", "formula: arms of a spiral"),
    "circles": About("any", "2", "2", "formula: a circle around a circle"),
    "xor": About("any", "2", "2", "formula: exclusive or"),
    "line": About("any", "1", "a number", "formula: points about a straight line"),
    "sine": About("any", "1", "a number", "formula: points about a sine"),
}
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def parser() -> Parser:
    """The options."""
    p = Parser(
        "data", "[NAME] [options]", "List the data sets, or show one: its size, its classes, a few examples.", EXAMPLE
    )
    p.add_argument(
        "dataset",
        nargs="?",
        type=choice("data set", list(DATASETS)),
        metavar="NAME",
        help=f"one of {', '.join(DATASETS)}",
    )
    p.add_argument("--n", type=number(int, 1), metavar="N", help="as for train: how many examples to make, or to use")
    p.add_argument("--noise", type=number(float), help="as for train: the noise of a formula's set")
    p.add_argument(
        "--seed", type=number(int), default=0, metavar="N", help="as for train: of a formula's set (default: 0)"
    )
    add_data_dir(p)
    p.add_argument(
        "--save-picture",
        metavar="PATH",
        help="write a picture of a hundred examples, or of all points (.png, .svg, .pdf)",
    )
    return p


def run(args: argparse.Namespace) -> int:
    """The list, or one data set."""
    if args.dataset is None:
        if args.save_picture:
            raise UsageError("--save-picture needs the name of a data set: tinynet data digits --save-picture grid.png")
        _list()
        return 0
    if args.save_picture and not args.save_picture.endswith((".png", ".svg", ".pdf")):
        raise UsageError(f"--save-picture takes a name that ends in .png, .svg or .pdf; got {args.save_picture}.")
    train, test = load_data(args.dataset, args.n, args.noise, args.seed, args.data_dir)
    about = ABOUT[args.dataset]
    print(f"{args.dataset}: {about.source}\n")
    print(
        f"{len(train):,} training and {len(test):,} test examples; each {about.shape}, {train.x.dtype}, from "
        f"{train.x.min():.3g} to {train.x.max():.3g}\n"
    )
    if train.classes:
        print(_counts(train, test))
    if side(int(np.prod(train.x.shape[1:]))) and train.classes:
        print("\n" + _gallery(train))
    else:
        _rows(train)
    if args.save_picture:
        from tinynet.files import write_bytes

        print(f"\nSaved {write_bytes(args.save_picture, _picture(train, args.save_picture.rpartition('.')[2]))}.")
    return 0


def _list() -> None:
    rows = [("name", "train + test", "inputs", "classes", "from", "here?")]
    rows += [(name, *ABOUT[name], _presence(name)) for name in DATASETS if name in ABOUT]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths)), row[5]]).rstrip())
    print("\n`tinynet data NAME` shows one. Files are looked for in $TINYNET_DATA and in the cache.")


def _presence(name: str) -> str:
    if name == "digits" or name in SYNTHETIC:
        return "yes"
    found = [find([file, f"{file}.gz", f"{file}.xz"], places(name)) for file in FILES]
    if all(found):
        return f"yes, in {found[0].parent}" if found[0] else "yes"
    some = f"{sum(map(bool, found))} of 4 files; " if any(found) else ""
    return f"no; {some}it is downloaded when first used, or set TINYNET_DATA"


def _counts(train: Dataset, test: Dataset) -> str:
    classes = train.classes or ()
    numbers = [np.bincount(part.y, minlength=len(classes)) for part in (train, test)]
    wide, most = max(5, *map(len, classes)), max(int(numbers[0].max()), 1)
    lines = [f"{'class':<{wide}}  training   test"]
    lines += [f"{c:<{wide}}  {a:>8,}  {b:>5,}  {bar(a / most, 20)}" for c, a, b in zip(classes, *numbers)]
    return "\n".join(lines)


def _gallery(train: Dataset) -> str:
    """The first example of each class, at half the size so that five stand in a line."""
    classes = train.classes or ()
    size = side(int(np.prod(train.x.shape[1:]))) or 1
    tiles = []
    for k in range(len(classes)):
        of_class = np.flatnonzero(train.y == k)
        if len(of_class):
            image = train.x[of_class[0]].reshape(size, size)
            if size % 2 == 0:
                image = image.reshape(size // 2, 2, size // 2, 2).mean(axis=(1, 3))
            tiles.append(text_art(image) + f"\n{classes[k]}")
    width = size // 2
    return "\n\n".join(beside(tiles[i : i + 5], width) for i in range(0, len(tiles), 5))


def _rows(train: Dataset) -> None:
    print("\nthe first few:")
    for x, y in zip(train.x[:5], train.y[:5]):
        target = train.classes[int(y)] if train.classes else ", ".join(f"{v:.3f}" for v in np.ravel(y))
        print(f"  {', '.join(f'{v:7.3f}' for v in np.ravel(x))}  ->  {target}")


def _picture(train: Dataset, kind: str) -> bytes:
    """A hundred pictures, ten of each class in a row where there are so many; or the points in the plane."""
    import io

    from matplotlib.figure import Figure

    size = side(int(np.prod(train.x.shape[1:])))
    figure: Any = Figure(figsize=(6, 6 if size else 4.2), layout="constrained")
    axes = figure.subplots()
    if size:
        order = np.argsort(train.y, kind="stable")
        chosen = order[np.linspace(0, len(train) - 1, 100).astype(int)]
        tiles = train.x[chosen].reshape(10, 10, size, size)
        axes.imshow(tiles.transpose(0, 2, 1, 3).reshape(10 * size, 10 * size), cmap="gray_r", interpolation="nearest")
        axes.set_axis_off()
    else:
        flat = train.x.reshape(len(train), -1)
        for k, name in enumerate(train.classes or ("",)):
            rows = train.y == k if train.classes else slice(None)
            other = flat[rows, 1] if flat.shape[1] > 1 else np.ravel(train.y)
            axes.scatter(flat[rows, 0], other, s=12, marker="os^Dv*"[k % 6], label=name)
        axes.set(xlabel="x₁" if flat.shape[1] > 1 else "x", ylabel="x₂" if flat.shape[1] > 1 else "y")
        if train.classes:
            axes.legend(title="class", frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format=kind, dpi=150)
    return out.getvalue()
