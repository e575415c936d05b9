"""Optimisers, schedules and initial weights by the names that the command line has for them."""

import argparse

from tinynet import nn, optim


def make_optimizer(args: argparse.Namespace) -> optim.Optimizer:
    """The update rule that was asked for."""
    if args.optimizer in ("sgd", "momentum", "nesterov"):
        return optim.SGD(lr=args.lr, momentum=args.momentum or 0.0, nesterov=args.optimizer == "nesterov")
    kinds = {"rmsprop": optim.RMSprop, "adagrad": optim.Adagrad, "adam": optim.Adam, "adamw": optim.AdamW}
    rule: optim.Optimizer = kinds[args.optimizer](lr=args.lr)
    return rule


def make_schedule(args: argparse.Namespace) -> optim.Schedule | None:
    """How the learning rate changes; a constant one needs nothing."""
    factor, epochs, end = args.schedule_factor, args.schedule_epochs, max(args.epochs, 1)
    if args.schedule == "step":
        return optim.StepLR(step_size=epochs, gamma=factor)
    if args.schedule == "exponential":
        return optim.ExponentialLR(gamma=factor)
    if args.schedule == "cosine":
        return optim.CosineAnnealingLR(T_max=end)
    if args.schedule == "warmup":
        return optim.WarmupLR(warmup_steps=epochs, then=optim.CosineAnnealingLR(T_max=max(end - epochs, 1)))
    if args.schedule == "plateau":
        return optim.ReduceLROnPlateau(factor=factor, patience=epochs)
    return None


def initialise(model: nn.Module, how: str) -> None:
    """Draw the initial weights; ``pytorch`` is how layers start by themselves."""
    if how != "pytorch":
        nn.init.initialise(model, how, "normal" if how.endswith("normal") else "zeros")


def describe_schedule(args: argparse.Namespace) -> str:
    """The schedule in words."""
    factor, epochs = args.schedule_factor, args.schedule_epochs
    return {
        "constant": "constant",
        "step": f"times {factor:g} every {epochs} epochs" if factor else "",
        "exponential": f"times {factor:g} each epoch" if factor else "",
        "cosine": "down to 0 along a cosine",
        "warmup": f"up for {epochs} epochs, then down to 0 along a cosine",
        "plateau": f"times {factor:g} after {epochs} epochs without progress" if factor else "",
    }[args.schedule]
