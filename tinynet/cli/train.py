"""``tinynet train``: a network from nothing to a file, and what to do with it next."""

import argparse
import json
import shlex
import sys
from typing import Any

import numpy as np

from tinynet import nn, random
from tinynet.cli.engine import choose, device, limit_memory
from tinynet.cli.parser import UsageError
from tinynet.cli.recipe import SYNTHETIC, Recipe, check_fit
from tinynet.cli.rules import describe_schedule, initialise, make_optimizer, make_schedule
from tinynet.cli.train_options import parser
from tinynet.cli.train_settings import RUN, command, settle, settle_files
from tinynet.data import Dataset, load
from tinynet.errors import CheckpointError
from tinynet.training import Callback, EarlyStopping, Trainer, checkpoint

DONE, FAILED, INTERRUPTED = 0, 1, 130
__all__ = ["parser", "run"]


class Settings(Callback):
    """Keeps the settings in the checkpoint, so that ``--resume`` needs nothing but the file."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = json.dumps(settings)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """This run's own settings stay: they were made from the saved ones."""


def run(args: argparse.Namespace) -> int:
    """Train, save, measure, and say what comes next."""
    if args.resume:
        args = _take_up(args)
    settle_files(args)
    train, test = load_data(args.dataset, args.n, args.noise, args.seed, args.data_dir)
    settle(args, train)
    backend, why = choose(args.backend)
    args.backend = backend.name
    limit_memory(backend, args.memory_limit)
    settings = {key: getattr(args, key) for key in ("dataset", *RUN, "save")}
    recipe = Recipe(args.model, args.activation, args.loss, args.dataset, _data_options(args), train.classes, settings)
    check_fit(recipe, train, args.dataset)
    held_out = None
    if args.validation == "test":
        held_out = test
    elif args.validation:
        held_out, train = train.split(args.validation, seed=args.seed)

    random.manual_seed(args.seed)
    model = recipe.model()
    initialise(model, args.init)
    model.to(backend, dtype=args.dtype)
    trainer = Trainer(
        model,
        recipe.cost(),
        make_optimizer(args),
        metrics=["accuracy"] if train.classes else [],
        schedule=make_schedule(args),
        l2=args.l2,
        clip_norm=args.clip_norm,
        capture=not args.no_capture,
        threads=args.threads,
        precision=args.precision,
        callbacks=[*([EarlyStopping(args.patience)] if args.patience else []), Settings(settings)],
    )
    say = (lambda text: None) if args.quiet else print
    say(_opening(args, train, test, held_out, model, f"{backend.name}, {_numbers(args)}, on {device(backend)}", why))
    with np.errstate(over="ignore", invalid="ignore"):  # the trainer says so when a loss is not finite
        history = trainer.fit(
            train,
            validation=held_out,
            epochs=args.epochs,
            batch_size=args.batch_size,
            seed=args.seed,
            checkpoint=args.checkpoint,
            checkpoint_every=args.checkpoint_every,
            resume=args.resume or False,
            progress=not args.quiet,
        )
    if history.stopped == "interrupted":
        if args.checkpoint:
            print(f"Go on with it:  tinynet train --resume {shlex.quote(args.checkpoint)}")
        return INTERRUPTED
    if history.stopped == "the loss is not finite":
        print(f"tinynet: no model is saved. Try a smaller rate than --lr {args.lr:g}.", file=sys.stderr)
        return FAILED
    result = trainer.evaluate(test)
    say("")
    print(_result(result, test, sum(history["seconds"])))
    if args.save:
        checkpoint.save(model, args.save, about=recipe.about() | {"result": result})
        say(f"The model is in {args.save}.")
    if args.history:
        say(f"The history is in {history.save(args.history)}.")
    if args.report:
        from tinynet.training.report import write_report

        told = {"command": command(args)} | settings
        say(f"The report is in {write_report(args.report, trainer, train, test, told)}.")
    say(_next(args, len(test), bool(test.classes)))
    return DONE


def _take_up(args: argparse.Namespace) -> argparse.Namespace:
    """The same words read again with a kept run's settings as the defaults; other settings are refused."""
    kept = kept_settings(args.resume)
    args.parser.set_defaults(**kept)
    again: argparse.Namespace = args.parser.parse_args(args.words)
    different = [key for key in ("dataset", *RUN) if key != "epochs" and getattr(again, key) != kept[key]]
    if different:
        there = ", ".join(f"{key.replace('_', '-')} {kept[key]}" for key in different)
        raise UsageError(
            f"--resume {args.resume}: that run has its own settings ({there}). Leave these options out, or start a new "
            "run."
        )
    if again.epochs != kept["epochs"] and again.schedule in ("cosine", "warmup"):
        raise UsageError(
            f"--epochs {again.epochs}: the rate of that run falls to 0 in epoch {kept['epochs']}, as its "
            f"{again.schedule} schedule planned. Start a new run with more epochs, or one with --schedule constant."
        )
    again.save = None if again.no_save else again.save
    again.no_save = again.save is None
    return again


def kept_settings(path: str) -> dict[str, Any]:
    """The settings in a checkpoint. Raises CheckpointError where there are none."""
    _, about = checkpoint.read(path)
    for callback in about.get("trainer", {}).get("callbacks", []):
        if callback["class"] == Settings.__name__:
            settings: dict[str, Any] = json.loads(callback["state"]["settings"])
            return {"precision": "float32"} | settings | {"model": tuple(settings["model"])}
    raise CheckpointError(
        f"Resuming from {path}: it is not a run of `tinynet train`. Name a .checkpoint.safetensors file that it wrote."
    )


# --- the data ---------------------------------------------------------------------------------------------------------


def load_data(
    name: str, n: int | None = None, noise: float | None = None, seed: int = 0, directory: str | None = None
) -> tuple[Dataset, Dataset]:
    """(train, test) of a data set, by the options that several commands share."""
    formula = name in SYNTHETIC
    if noise is not None and not formula:
        raise UsageError(f"--noise is for sets made from a formula ({', '.join(SYNTHETIC)}); {name} is as it is.")
    if directory is not None and (formula or name == "digits"):
        raise UsageError(f"--data-dir is for mnist and fashion-mnist; {name} needs no files of yours.")
    if formula:
        return load(name, n=n or 1000, seed=seed, **({} if noise is None else {"noise": noise}))
    train, test = load(name, **({} if directory is None else {"directory": directory}))
    if n is not None and n > len(train):
        raise UsageError(f"--n {n}: {name} has {len(train):,} training examples. Ask for no more.")
    return (train if n is None else train.take(n)), test


def _data_options(args: argparse.Namespace) -> dict[str, Any]:
    """What makes the same test set again."""
    if args.dataset not in SYNTHETIC:
        return {}
    return {"n": args.n or 1000, "seed": args.seed} | ({} if args.noise is None else {"noise": args.noise})


# --- the words --------------------------------------------------------------------------------------------------------


def _opening(
    args: argparse.Namespace,
    train: Dataset,
    test: Dataset,
    held_out: Dataset | None,
    model: nn.Module,
    engine: str,
    why: str,
) -> str:
    parameters = sum(p.size for p in model.parameters())
    parts = f"{len(train):,} examples to train on"
    if held_out is not None:
        parts += "" if held_out is test else f", {len(held_out):,} to validate"
    kinds = f"{len(train.classes)} classes" if train.classes else "numbers"
    steps = f"{args.optimizer}, rate {args.lr:g} {describe_schedule(args)}"
    epochs = f"{args.epochs} epoch{'' if args.epochs == 1 else 's'}"
    extras = f", L2 λ = {args.l2:g}" if args.l2 else ""
    extras += f", gradient norm at most {args.clip_norm:g}" if args.clip_norm else ""
    rows = {
        "data": f"{args.dataset}: {parts}, {len(test):,} to test; {int(np.prod(train.x.shape[1:]))} inputs, {kinds}",
        "model": f"{'-'.join(map(str, args.model))}, {args.activation}, {parameters:,} parameters, {args.init} weights",
        "loss": args.loss + extras,
        "steps": f"{steps}; {epochs} in batches of {args.batch_size}",
        "engine": engine + (f" ({why})" if why else ""),
    }
    return "\n".join(f"{name:<8}{text}" for name, text in rows.items()) + "\n"


def _numbers(args: argparse.Namespace) -> str:
    """What weights are stored in, and what is computed in where that is something else."""
    other = {"float32": "", "tf32": ", products in TF32 on a GPU"}
    return args.dtype + other.get(args.precision, f", products in {args.precision}")


def _result(result: dict[str, float], test: Dataset, seconds: float) -> str:
    took = f"after {seconds:.1f} s of training"
    if "accuracy" not in result:
        return f"Test loss {result['loss']:.4g}, {took}."
    right = round(result["accuracy"] * len(test))
    return f"Test accuracy {result['accuracy']:.2%} ({right:,} of {len(test):,}), loss {result['loss']:.4f}, {took}."


def _next(args: argparse.Namespace, tests: int, classes: bool) -> str:
    """Commands that work from here."""
    rows = []
    if args.save:
        path = shlex.quote(args.save)
        place = f" --data-dir {shlex.quote(args.data_dir)}" if args.data_dir else ""
        rows += [(f"tinynet evaluate {path}{place}", "class by class" if classes else "on the test set")]
        rows += [(f"tinynet predict {path} {min(7, tests - 1)}{place}", "one test example, looked at")]
    if not args.report:
        rows.append((f"tinynet train {args.dataset} --report runs/{args.dataset}.html", "a page to look at"))
    if args.dataset == "digits":
        rows.append(("tinynet train --model 784-100-10", "a wider network"))
        rows.append(("tinynet train mnist --epochs 10", "all 60,000 digits; 11 MB to download if not here"))
    else:
        rows.append((f"tinynet data {args.dataset}", "the data themselves"))
    wide = max(len(row[0]) for row in rows)
    return "\nTry next:\n" + "\n".join(f"  {line:<{wide}}   {what}" for line, what in rows)
