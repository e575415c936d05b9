"""The form of a lesson: a question, then experiments, each predicted, run, drawn and checked.

Everything that a lesson claims is a function of ``run``, which runs the experiment and remembers what came out:
``run(depth=8)`` is the result at that setting, all else as the experiment has it. So no number stands in a lesson that
the engine did not compute. Must not know how a lesson is shown.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from threadpoolctl import threadpool_limits

from tinynet.errors import ArgumentError, did_you_mean
from tinynet.explain.notation import MINUS

Setting = dict[str, Any]
FRAMES = 150  # the most pictures behind one experiment's sliders
LAST = 10_000  # the place of a lesson that was given none


def written(number: float, shown: str) -> str:
    """A number as ``format`` has it, with a true minus sign; 0 as 0, and powers of ten only where they save room."""
    text = format(number, shown)
    if number == 0:
        return "0%" if "%" in shown else "0"
    if "e" in text and 1e-3 <= abs(float(text)) < 10_000:
        text = f"{float(text):,.6g}"
    return text.replace("-", MINUS)


@dataclass(frozen=True)
class Slider:
    """A knob of an experiment: numbers in rising order are a slider, words are buttons.

    Args:
        name: the parameter of the experiment that it sets; where it starts is the parameter's default.
        values: what it can be set to, the default among them.
        says: its label; the name where not given.
    """

    name: str
    values: Sequence[Any]
    says: str = ""

    @property
    def label(self) -> str:
        """What stands beside it."""
        return self.says or self.name

    @property
    def is_range(self) -> bool:
        """Whether its values are numbers."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


@dataclass(frozen=True)
class Check:
    """A number that the lesson stands for: measured where the lesson is read, and held by a test over several seeds.

    Args:
        name: for the lesson's own sentences: ``"… {ratio} times …"``.
        says: what it is, with its unit.
        value: ``value(run)`` is the number.
        low, high: it lies between them, with every seed; equal where it is exact.
        shown: how it is written, as for ``format``.
        published: what a publication gives for it, for comparison.
    """

    name: str
    says: str
    value: Callable[["Run"], float]
    low: float
    high: float
    shown: str = ".3g"
    published: str = ""

    def holds(self, number: float) -> bool:
        """Whether a measured number lies where it should."""
        return self.low <= number <= self.high

    def written(self, number: float) -> str:
        """A number as the lesson writes it."""
        return written(number, self.shown)

    @property
    def bounds(self) -> str:
        """Where it must lie, in words, with as many digits as tell the two apart."""
        low, high = self.written(self.low), self.written(self.high)
        if self.low == self.high:
            return f"exactly {low}"
        if math.isinf(self.high):
            return f"at least {low}"
        if math.isinf(self.low):
            return f"at most {high}"
        for digits in range(1, 17):
            if low != high:
                break
            low, high = (written(bound, f".{digits}g") for bound in (self.low, self.high))
        return f"between {low} and {high}"


@dataclass(frozen=True)
class Choice:
    """A prediction out of a few answers.

    Args:
        question: what is asked before anything is shown.
        options: the answers.
        right: ``right(run)`` is the index of the one that came true.
        because: said afterwards; ``{name}`` is the number of the check with that name.
    """

    question: str
    options: Sequence[str]
    right: Callable[["Run"], int]
    because: str


@dataclass(frozen=True)
class Number:
    """A prediction of a number.

    Args:
        question: what is asked before anything is shown, with the unit.
        right: ``right(run)`` is the number that came out.
        margin: how far off a prediction still counts as right.
        because: said afterwards; ``{name}`` is the number of the check with that name.
        shown: how it is written, as for ``format``.
    """

    question: str
    right: Callable[["Run"], float]
    margin: float
    because: str
    shown: str = ",.6g"

    def written(self, number: float) -> str:
        """A number as the lesson writes it."""
        return written(number, self.shown)


@dataclass(frozen=True)
class Experiment:
    """One thing tried on the engine.

    Args:
        run: the experiment: a function of its sliders and, where chance plays a part, of ``seed``, every parameter with
            a default. Its source is shown, so it is short and uses the public names only.
        draw: ``draw(figure, result, **setting)`` draws a result on a matplotlib figure and returns the sentence that
            says what is to be seen. It is also what those read who do not see the picture.
        predict: what the learner is asked first.
        checks: the numbers that the lesson stands for.
        sliders: the parameters that the reader can move.
        says: what is done, and why; paragraphs, with `code` between backticks.
        title: a heading, where a lesson has several experiments.
        size: of the picture in inches; a phone shows five of them across.
    """

    run: Callable[..., Any]
    draw: Callable[..., str]
    predict: Choice | Number
    checks: Sequence[Check]
    sliders: Sequence[Slider] = ()
    says: str = ""
    title: str = ""
    size: tuple[float, float] = (5.0, 3.0)

    def __post_init__(self) -> None:
        name = getattr(self.run, "__name__", repr(self.run))
        bare = [p.name for p in self._parameters.values() if p.default is p.empty]
        if bare:
            raise ArgumentError(f"{name}: every parameter needs a default, to start from; {', '.join(bare)} has none.")
        if not self.checks:
            raise ArgumentError(f"{name}: an experiment checks at least one number; checks=() is empty.")
        for slider in self.sliders:
            if slider.name not in self._parameters:
                raise ArgumentError(
                    f"Slider({slider.name!r}): {name} has no parameter of that name, but "
                    f"{', '.join(self._parameters) or 'none'}."
                )
            if self.setting[slider.name] not in slider.values:
                raise ArgumentError(
                    f"Slider({slider.name!r}): {name} starts at {self.setting[slider.name]!r}, which is not among its "
                    f"values {list(slider.values)}."
                )
        if self.frames > FRAMES:
            raise ArgumentError(f"{name}: its sliders have {self.frames} settings together; {FRAMES} is the most.")

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.run).parameters

    @cached_property
    def setting(self) -> Setting:
        """Where it starts: the default of every parameter but the seed."""
        return {name: p.default for name, p in self._parameters.items() if name != "seed"}

    @property
    def has_seed(self) -> bool:
        """Whether chance plays a part."""
        return "seed" in self._parameters

    @property
    def frames(self) -> int:
        """How many settings its sliders have together."""
        return math.prod(len(slider.values) for slider in self.sliders)


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Args:
        title: a few words.
        question: what the reader will be able to answer.
        idea: what must be known to predict; paragraphs, with `code` between backticks.
        experiments: what is tried, in order.
        change: what to try next, each a sentence; best with a command that does it.
        engine: the lines of tinynet that did it: ``"value.py: Value.backward"``.
        sources: where the idea comes from: ``"Title: https://…"``, or only a title.
        walk: an explanation to walk through number by number, where one fits: ``lambda: tn.explain(loss)``.
        number: its place in the course; the last where not given.
        seeds: with which the tests run it.
    """

    title: str
    question: str
    idea: str
    experiments: Sequence[Experiment]
    change: Sequence[str]
    engine: Sequence[str]
    sources: Sequence[str]
    walk: Callable[[], Any] | None = None
    number: int = LAST
    seeds: Sequence[int] = (0, 1, 2)

    def __post_init__(self) -> None:
        if not self.experiments:
            raise ArgumentError(f"Lesson {self.title!r}: a lesson has at least one experiment.")
        names = [check.name for experiment in self.experiments for check in experiment.checks]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ArgumentError(f"Lesson {self.title!r}: two checks are called {', '.join(sorted(twice))}.")

    @property
    def name(self) -> str:
        """Its name on the command line: that of its file."""
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def command(self) -> str:
        """What stands after `tinynet learn` to run it: its name, or the file that it is in."""
        return self.name if self.module.startswith("tinynet.") else f"{self.module.rpartition('.')[2]}.py"

    @property
    def numbered(self) -> bool:
        """Whether it has a place in the course."""
        return self.number != LAST

    @property
    def module(self) -> str:
        """The module that holds its experiments."""
        return str(self.experiments[0].run.__module__)

    def parameters(self) -> list[str]:
        """Every parameter that can be set."""
        return list(dict.fromkeys(name for experiment in self.experiments for name in experiment.setting))


class Run:
    """An experiment with a seed: ``run(depth=8)`` is its result at that setting, computed once, on one core.

    Args:
        experiment: what is run.
        seed: where chance plays a part.
        base: what is set otherwise than the experiment has it.
        told: called after each run that was really made.
    """

    def __init__(
        self, experiment: Experiment, seed: int = 0, base: Setting | None = None, told: Callable[[], None] | None = None
    ) -> None:
        self.experiment, self.seed, self.told = experiment, seed, told
        self.base = experiment.setting | (base or {})
        self._results: dict[tuple[Any, ...], Any] = {}

    def __call__(self, **setting: Any) -> Any:
        """The result at a setting."""
        for name in setting:
            if name not in self.base:
                raise ArgumentError(
                    f"{self.experiment.run.__name__} has no parameter {name!r}{did_you_mean(name, self.base)}"
                )
        whole = self.base | setting
        key = tuple(whole.values())
        if key not in self._results:
            seed = {"seed": self.seed} if self.experiment.has_seed else {}
            with threadpool_limits(1):  # the same sums on any number of cores
                self._results[key] = self.experiment.run(**whole, **seed)
            if self.told:
                self.told()
        return self._results[key]

    def measure(self) -> dict[str, float]:
        """Every checked number, by its name."""
        return {check.name: float(check.value(self)) for check in self.experiment.checks}
