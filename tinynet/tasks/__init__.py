"""Tasks: small worked models, each with its data, its loss, an honest baseline to beat, and a picture.

    from tinynet.tasks import detection
    result = detection.run()       # trains; print(result) is a table, result.figure a picture

One file a task, each to be read from top to bottom and copied: ``run(quick=False, seed=0, progress=True)`` gives a
``Result``. They use what any user can import. ``tinynet tasks`` runs them from the command line.
"""

from tinynet.tasks.result import Result, Score

__all__ = ["TASKS", "Result", "Score"]

TASKS = {
    "regression": "a curve through noisy points",
    "binary": "which of two half moons a point belongs to",
    "multiclass": "which digit a picture shows",
    "segmentation": "which pixels belong to a digit, and to which",
    "detection": "which digit is hidden in a scene, and where",
    "steering": "how to steer a car, where two ways are right",
    "labelling": "which letters of a Roman numeral are taken away",
    "characters": "which character comes next",
    "forecasting": "the next day of a series of measurements",
}
"""Every task, which is a module of this package, in a line."""
