"""The words that lessons use without stopping to explain them, each in a sentence. Must not know lessons."""

import re

WORDS = {
    "Value": "a number that remembers how it was computed; backward() then tells what each input does to it (.grad)",
    "Tensor": "an array of numbers that remembers the same, all of them at once",
    "backward": "works out the gradient, from the result back to every input, by the chain rule",
    "gradient": "how much the result grows for each unit by which a number grows; for one number, the slope",
    "weight": "a number that is learned, by which an input is multiplied",
    "bias": "a number that is learned and added",
    "activation": "the function that a unit's sum goes through (sigmoid, tanh, ReLU), and what comes out",
    "cost": "one number for how wrong the answers are; also called loss",
    "loss": "one number for how wrong the answers are; also called cost",
    "learning rate": "by which the gradient is multiplied to make a step",
    "SGD": "stochastic gradient descent: steps against the gradient, each from a few examples",
    "Adam": "a rule for steps: running means of gradients and of their squares give every number its own pace",
    "epoch": "one pass over all training examples",
    "batch": "the examples that one step looks at",
    "logit": "a network's last number for a class, before it is made a share",
    "cross-entropy": "minus the logarithm of the share that the right class was given",
    "float64": "numbers with about 16 digits; float32 has about 7",
    "float32": "numbers with about 7 digits; float64 has about 16",
    "Trainer": "runs the training: batches, steps, measuring",
    "seed": "where chance starts from: the same seed, the same run",
}


def used(text: str) -> dict[str, str]:
    """The words that occur in a text, in the order of the glossary."""
    return {word: told for word, told in WORDS.items() if re.search(rf"\b{re.escape(word)}(s|es)?\b", text)}
