"""A lesson that was run: every number measured, every picture drawn, its sentences filled in.

Separate so that a page, a terminal and a test show or look at the same thing. Must not know how it is shown.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinynet.errors import ArgumentError, did_you_mean
from tinynet.teaching.lesson import Experiment, Lesson, Run, Setting, Slider
from tinynet.teaching.pictures import Picture, picture

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Made:
    """An experiment that was run.

    Attributes:
        experiment: what was run.
        sliders: what can be moved, with what the reader set added to the values.
        start: where the sliders stand.
        frames: a picture for each setting of the sliders, the last slider fastest.
        numbers: of each check, by its name.
        answer: of the prediction: an index for a choice, or the number.
    """

    experiment: Experiment
    sliders: list[Slider]
    start: Setting
    frames: list[Picture]
    numbers: dict[str, float]
    answer: float

    @property
    def places(self) -> list[int]:
        """Where each slider stands, as an index into its values."""
        return [list(slider.values).index(self.start[slider.name]) for slider in self.sliders]

    @property
    def first(self) -> Picture:
        """The picture that is shown first."""
        at = 0
        for slider, place in zip(self.sliders, self.places):
            at = at * len(slider.values) + place
        return self.frames[at]

    def holds(self) -> bool:
        """Whether every checked number lies where the lesson says."""
        return all(check.holds(self.numbers[check.name]) for check in self.experiment.checks)


@dataclass(frozen=True)
class MadeLesson:
    """A lesson that was run, and its sentences with the measured numbers in them."""

    lesson: Lesson
    seed: int
    experiments: list[Made]
    idea: str
    says: list[str]
    because: list[str]
    change: list[str]

    def holds(self) -> bool:
        """Whether every checked number lies where the lesson says."""
        return all(made.holds() for made in self.experiments)


def make(lesson: Lesson, seed: int = 0, settings: Setting | None = None, told: Told | None = None) -> MadeLesson:
    """Run a lesson.

    Args:
        lesson: what is run.
        seed: of the runs in which chance plays a part.
        settings: parameters set otherwise than the lesson has them. The checks and the predictions are about the
            lesson's own settings all the same.
        told: called after each run with how many were made and how many there will be, about.

    Raises:
        ArgumentError: no experiment has a parameter of that name; or a sentence names a check that there is not.
    """
    settings = settings or {}
    for name in settings:
        if name not in lesson.parameters():
            raise ArgumentError(
                f"{lesson.name}: there is nothing called {name!r} to set{did_you_mean(name, lesson.parameters())} "
                f"It has {', '.join(lesson.parameters()) or 'nothing to set'}."
            )
    total = sum(experiment.frames for experiment in lesson.experiments)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if told:
            told(done, max(total, done))

    made = [_made(i, experiment, seed, settings, one_more) for i, experiment in enumerate(lesson.experiments)]
    numbers = {c.name: c.written(m.numbers[c.name]) for m in made for c in m.experiment.checks}

    def filled(sentence: str) -> str:
        try:
            return sentence.format_map(numbers)
        except (KeyError, ValueError, IndexError) as error:
            raise ArgumentError(
                f"{lesson.name}: the sentence {sentence[:60]!r}… names {error}, and the checks are "
                f"{', '.join(numbers)}. A brace that is meant as one is written twice."
            ) from error

    return MadeLesson(
        lesson,
        seed,
        made,
        filled(lesson.idea),
        [filled(m.experiment.says) for m in made],
        [filled(m.experiment.predict.because) for m in made],
        [filled(sentence) for sentence in lesson.change],
    )


def _made(index: int, experiment: Experiment, seed: int, settings: Setting, told: Callable[[], None]) -> Made:
    changed = {name: value for name, value in settings.items() if name in experiment.setting}
    own = Run(experiment, seed, told=told)
    run = Run(experiment, seed, changed, told) if changed else own
    sliders = [_with(slider, run.base[slider.name]) for slider in experiment.sliders]
    frames = []
    for place, values in enumerate(itertools.product(*(slider.values for slider in sliders))):
        setting = run.base | dict(zip((slider.name for slider in sliders), values))
        try:
            draw = partial(experiment.draw, result=run(**setting), **setting)
            frames.append(picture(draw, experiment.size, f"{index}-{place}"))
        except Exception as error:
            if not changed:
                raise
            what = ", ".join(f"{name}={value}" for name, value in changed.items())
            raise ArgumentError(f"it cannot run with {what}: {type(error).__name__}: {error}") from error
    return Made(experiment, sliders, run.base, frames, own.measure(), float(experiment.predict.right(own)))


def _with(slider: Slider, value: Any) -> Slider:
    """The slider with one more value, in its place among numbers and last among words."""
    if value in slider.values:
        return slider
    values = [*slider.values, value]
    added = Slider(slider.name, values, slider.says)
    return Slider(slider.name, sorted(values), slider.says) if added.is_range else added
