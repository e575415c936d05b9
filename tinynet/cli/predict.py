"""``tinynet predict``: one picture or one test example, and what a saved network makes of it."""

import argparse
import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynet.cli.engine import choose
from tinynet.cli.evaluate import test_set
from tinynet.cli.parser import Parser, UsageError, add_backend, add_data_dir, choice
from tinynet.cli.pictures import bar, read_image, side, text_art
from tinynet.cli.recipe import Recipe, open_model
from tinynet.data import DATASETS, Dataset
from tinynet.explain.feature_maps import feature_maps

EXAMPLE = """\
  tinynet predict runs/digits.safetensors 7               the eighth test example (they count from 0)
  tinynet predict runs/digits.safetensors 7 --maps 7.png  with a picture of what each layer makes of it
  tinynet predict runs/digits.safetensors my-seven.png    a digit of your own, drawn or photographed"""


def parser() -> Parser:
    """The options."""
    p = Parser(
        "predict", "MODEL IMAGE|INDEX [options]", "Ask a saved network about one test example or one picture.", EXAMPLE
    )
    p.add_argument("model", metavar="MODEL", help="a file that `tinynet train` saved")
    p.add_argument(
        "what", metavar="IMAGE|INDEX", help="a picture file (PNG, JPEG, PGM …), or the number of a test example"
    )
    p.add_argument(
        "--dataset",
        type=choice("data set", list(DATASETS)),
        metavar="NAME",
        help="whose test set the number counts in (default: its own)",
    )
    add_data_dir(p)
    p.add_argument(
        "--invert",
        action=argparse.BooleanOptionalAction,
        help="make dark on light into light on dark, like the training digits (default: seen from the border)",
    )
    p.add_argument(
        "--maps",
        metavar="PATH",
        help="save a picture of what each layer makes of it (.png, .svg or .pdf; or a folder, for a picture a layer)",
    )
    add_backend(p)
    p.add_argument("--json", action="store_true", help="print the answer as JSON")
    return p


def run(args: argparse.Namespace) -> int:
    """Look at one input, ask the network, print what it says."""
    recipe, model = open_model(args.model)
    model.to(choose(args.backend)[0])
    truth: Any = None
    note = ""
    if args.what.lstrip("-").isdigit():
        test = test_set(recipe, args.dataset or recipe.dataset, args.data_dir)
        x, truth = _example(test, int(args.what))
        title = f"test example {args.what} of {args.dataset or recipe.dataset}"
    else:
        size = side(recipe.sizes[0])
        if size is None:
            raise UsageError(
                f"this network takes {recipe.sizes[0]} numbers, not a picture; give the number of a test example: "
                f"tinynet predict {args.model} 0"
            )
        image, inverted = read_image(args.what, size, args.invert)
        x, title = image.reshape(-1).astype(np.float32), args.what
        note = "dark on light, so inverted (--no-invert leaves it)" if inverted and args.invert is None else ""
    if args.maps:
        saved = feature_maps(model, x[None]).save(args.maps)
        print(f"Saved {saved}.", file=sys.stderr if args.json else sys.stdout)
    outputs = model.predict(x[None]).numpy()
    if recipe.classes is None:
        return _tell_numbers(args, title, x, outputs[0], truth)
    return _tell_class(args, recipe, title, note, x, recipe.confidences(outputs)[0], truth)


def _example(test: Dataset, index: int) -> tuple[NDArray[Any], Any]:
    if not 0 <= index < len(test):
        raise UsageError(f"there is no test example {index}; they are 0 to {len(test) - 1:,}.")
    return test[index]


def _tell_numbers(args: argparse.Namespace, title: str, x: Any, outputs: Any, truth: Any) -> int:
    if args.json:
        print(json.dumps({"input": x.tolist(), "prediction": outputs.tolist(), "true": truth.tolist()}))
        return 0
    print(title + "\n")
    for what, values in (("input", x), ("prediction", outputs), ("true", truth)):
        print(f"{what:<12}" + ", ".join(f"{v:.4g}" for v in values.ravel()))
    return 0


def _tell_class(
    args: argparse.Namespace, recipe: Recipe, title: str, note: str, x: NDArray[Any], sure: NDArray[Any], truth: Any
) -> int:
    classes = recipe.classes or ()
    answer = int(sure.argmax())
    if args.json:
        told = {"class": classes[answer], recipe.measure: dict(zip(classes, map(float, sure)))}
        print(json.dumps(told | ({} if truth is None else {"true": classes[int(truth)]})))
        return 0
    print(title + (f" ({note})" if note else ""))
    size = side(len(x))
    print("\n" + (text_art(x.reshape(size, size)) if size else "input  " + ", ".join(f"{v:.4g}" for v in x)) + "\n")
    wide = max(len(name) for name in classes)
    shown = sure if recipe.measure != "score" else 0.5 + sure / (2 * max(1.0, float(np.abs(sure).max())))
    for i, (name, s, part) in enumerate(zip(classes, sure, shown)):
        number = f"{s:7.2%}" if recipe.measure == "probability" else f"{s:7.3f}"
        print(f"{name:>{wide}}  {number}  {bar(float(part)):<24}{'  ←' if i == answer else ''}".rstrip())
    verdict = ""
    if truth is not None:
        verdict = " That is right." if int(truth) == answer else f" In truth it is {classes[int(truth)]}."
    print(f"\nIt is {classes[answer]}, says the network ({recipe.measure} {sure[answer]:.3f}).{verdict}")
    return 0
