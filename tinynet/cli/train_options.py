"""The options of ``tinynet train``. What those that are left out become is in ``train_settings.py``."""

from tinynet.cli.parser import Parser, add_backend, add_data_dir, choice, number, part, sizes
from tinynet.cli.recipe import ACTIVATIONS, LOSSES
from tinynet.data import DATASETS
from tinynet.training.precision import PRECISIONS

OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw")
INITS = ("normal", "scaled-normal", "xavier", "he", "pytorch")
SCHEDULES = ("constant", "step", "exponential", "cosine", "warmup", "plateau")
POSITIVE = number(float, 0, above=True)


def threads(text: str) -> int | str:
    """A type for ``add_argument``: how many threads, or auto."""
    return "auto" if text == "auto" else int(number(int, 1)(text))


EXAMPLE = """\
  tinynet train                                            784-16-16-10 on the digits that come with tinynet
  tinynet train --model 784-30-10 --activation sigmoid --report report.html
  tinynet train moons --model 2-16-16-2 --epochs 100
  tinynet train mnist --model 784-30-10 --activation sigmoid --loss quadratic --init normal \\
      --optimizer sgd --lr 3 --batch-size 10 --epochs 30   Nielsen's network, as his chapter 1 trains it"""


def parser() -> Parser:
    """Data, network, training, engine, files: a group each."""
    p = Parser(
        "train",
        "[DATASET] [options]",
        "Train a network and save it. Without any option: the digits, in seconds.",
        EXAMPLE,
    )
    _data(p)
    _network(p)
    _training(p)
    _files(p)
    return p


# fmt: off
def _data(p: Parser) -> None:
    group = p.add_argument_group("data")
    add = group.add_argument
    add("dataset", nargs="?", default="digits", type=choice("data set", list(DATASETS)), metavar="DATASET",
        help=f"one of {', '.join(DATASETS)} (default: digits)")
    add("--n", type=number(int, 1), metavar="N",
        help="how many examples: a formula's set is made with N (default: 1000, a fifth of them for testing); of "
             "others the first N training examples are used (default: all)")
    add("--noise", type=number(float), metavar="SIGMA", help="the noise of a formula's set (default: its own)")
    add_data_dir(group)
    add("--validation", type=part, metavar="PART",
        help="hold out a part of the training set, a fraction (0.1) or a number of examples (1000), and measure on it "
             "after each epoch; or test: measure on the test set, as Nielsen's book does (default: none)")


def _network(p: Parser) -> None:
    add = p.add_argument_group("network").add_argument
    add("--model", type=sizes, metavar="SIZES",
        help="units in each layer, inputs first (default: two layers of 16 between what the data need, "
             "784-16-16-10 for digits)")
    add("--activation", type=choice("activation", list(ACTIVATIONS)), default="relu", metavar="NAME",
        help=f"between the layers: {', '.join(ACTIVATIONS)} (default: relu)")
    add("--init", type=choice("initialisation", INITS), metavar="NAME",
        help="initial weights: normal (weights and biases N(0, 1)), scaled-normal (weights over √inputs), xavier, he, "
             "pytorch (default: he; with sigmoid and tanh xavier)")
    add("--loss", type=choice("loss", list(LOSSES)), metavar="NAME",
        help=f"{', '.join(LOSSES)} (default: cross-entropy; mse where the data are numbers). binary-cross-entropy is "
             "the cost of Nielsen's chapter 3, hinge tells two classes apart")


def _training(p: Parser) -> None:
    group = p.add_argument_group("training")
    add = group.add_argument
    add("--optimizer", type=choice("optimizer", OPTIMIZERS), default="sgd", metavar="NAME",
        help=f"{', '.join(OPTIMIZERS)} (default: sgd)")
    add("--lr", type=POSITIVE, metavar="RATE",
        help="learning rate (default: what suits optimizer, activation and loss: 0.1 for sgd with relu)")
    add("--momentum", type=number(float), metavar="MU", help="for momentum and nesterov (default: 0.9)")
    add("--epochs", type=number(int), metavar="N",
        help="how often to go through the data (default: 30; 200 for a formula's set)")
    add("--batch-size", type=number(int, 1), default=10, metavar="N", help="examples a step (default: 10)")
    add("--l2", type=number(float), metavar="LAMBDA",
        help="Nielsen's λ: adds λ/2n Σ w² to the cost (default: 0; on pictures, with sgd and no --lr, what suits the "
             "activation: 20 for relu)")
    add("--schedule", type=choice("schedule", SCHEDULES), metavar="NAME",
        help="how the rate changes: constant, step (times F every N epochs), exponential (times F each epoch), cosine "
             "(to 0), warmup (N epochs up, then cosine), plateau (times F after N epochs without progress) "
             "(default: cosine; with --lr constant)")
    add("--schedule-factor", type=POSITIVE, metavar="F",
        help="F above (default: step 0.1, exponential 0.95, plateau 0.5)")
    add("--schedule-epochs", type=number(int, 1), metavar="N",
        help="N above (default: step a third and warmup a tenth of all, plateau 5)")
    add("--clip-norm", type=POSITIVE, metavar="NORM", help="hold the norm of the whole gradient to this (default: off)")
    add("--patience", type=number(int, 1), metavar="N",
        help="stop after N epochs without a better validation loss, and keep the best weights (default: off)")
    add("--seed", type=number(int), default=0, metavar="N",
        help="for initial weights, order, splits, made data (default: 0)")
    add_backend(group)
    add("--memory-limit", metavar="SIZE",
        help="take no more of a GPU's memory: 4GB, 512MiB, 50%% (default: all of it, or $CUPY_GPU_MEMORY_LIMIT, which "
             "is CuPy's own: bytes or a percentage)")
    add("--dtype", type=choice("element type", ("float32", "float64")), default="float32", metavar="TYPE",
        help="float32 or float64 (default: float32)")
    add("--precision", type=choice("precision", PRECISIONS), default="float32", metavar="NAME",
        help="what a step computes in: float32, tf32 (on a GPU), or bfloat16 or float16 with weights of float32 "
             "(default: float32)")
    add("--threads", type=threads, default="auto", metavar="N",
        help="cut each batch into N parts, a thread each; auto tries what is fastest. A number of threads gives the "
             "same result every time (default: auto)")
    add("--no-capture", action="store_true", help="run every step afresh instead of recording one and replaying it")


def _files(p: Parser) -> None:
    add = p.add_argument_group("files").add_argument
    add("--save", metavar="PATH", help="the model's file (default: runs/DATASET.safetensors)")
    add("--no-save", action="store_true", help="keep no model, and no checkpoint unless --checkpoint names one")
    add("--checkpoint", metavar="PATH",
        help="where the run is kept after each epoch and on Ctrl-C (default: beside the model, "
             "DATASET.checkpoint.safetensors)")
    add("--checkpoint-every", type=number(int, 1), metavar="N", help="keep it every N steps as well (default: off)")
    add("--resume", metavar="PATH",
        help="go on with a run that was kept, exactly, with its own settings; only --epochs may be another")
    add("--report", metavar="PATH", help="write a page with curves, confusion matrix, mistakes and weights (.html)")
    add("--history", metavar="PATH", help="write each epoch's numbers (.json) or the curves (.png, .svg, .pdf)")
    add("--quiet", action="store_true", help="print the result alone")
# fmt: on
