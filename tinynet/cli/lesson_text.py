"""A lesson in the terminal: what is asked before, and what came out after. Must not run anything."""

import math
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tinynet.teaching.lesson import Choice, Lesson
from tinynet.teaching.made import MadeLesson
from tinynet.teaching.source import engine_lines, experiment_source

WIDEST = 96  # columns of prose, in a terminal that has them


def contents(course: Sequence[Lesson]) -> str:
    """Every lesson with its question, as wide as the terminal is."""
    width = max(len(lesson.name) for lesson in course)
    console, begin = Console(), " " * (width + 7)
    rows = [
        textwrap.fill(
            lesson.question,
            max(console.width, len(begin) + 30),
            initial_indent=f"{_place(lesson)}  {lesson.name:<{width}}  ",
            subsequent_indent=begin,
        )
        for lesson in course
    ]
    return "\n".join([*rows, "", "tinynet learn NAME runs one; --open shows its page; --site DIR builds all pages."])


def _place(lesson: Lesson) -> str:
    return f"{lesson.number:>3}" if lesson.numbered else "  ·"


def told_before(console: Console, lesson: Lesson) -> None:
    """The title and the question."""
    console.print(f"\n[bold]{escape(lesson.title)}[/bold]\n{escape(_wrapped(console, lesson.question))}\n")


def ask(console: Console, made: MadeLesson, index: int, asks: bool) -> None:
    """What is done and how, and the prediction: asked for and marked, or only shown with its answer."""
    experiment, answer = made.experiments[index].experiment, made.experiments[index].answer
    if index == 0:
        console.print(escape(_wrapped(console, made.idea)))
    console.print(f"\n[bold]{escape(experiment.title or 'The experiment')}[/bold]")
    if made.says[index].strip():
        console.print(escape(_wrapped(console, made.says[index])))
    above = [earlier.experiment.run for earlier in made.experiments[:index]]
    code = Syntax("", "python", background_color="default").highlight(experiment_source(experiment.run, above))
    console.print(Text("\n").append_text(code), soft_wrap=True)  # so that it can be copied, however narrow it is here
    asked = experiment.predict
    console.print(f"\n[bold]Predict:[/bold] {escape(_wrapped(console, asked.question, 9).lstrip())}")
    if isinstance(asked, Choice):
        for i, option in enumerate(asked.options, 1):
            console.print(f"  {i}  {escape(option)}")
        said = _read(console, f"1 to {len(asked.options)}, or Enter to see", asked.options) if asks else None
        right = asked.options[int(answer)]
        told = "" if said is None else "Right. " if said == int(answer) + 1 else "Not so. "
    else:
        said = _read(console, "a number, or Enter to see", None) if asks else None
        right = asked.written(answer)
        told = "" if said is None else "Right. " if abs(said - answer) <= asked.margin * (1 + 1e-9) else "Not so. "
    console.print(f"  [bold]{told}[/bold]It is: {escape(right)}")


def _read(console: Console, prompt: str, options: Sequence[str] | None) -> float | None:
    """A number that the reader types, or the words of an option; None for an empty line or the end of the input."""
    most = None if options is None else len(options)
    while True:
        try:
            text = console.input(f"  Your prediction ({prompt}): ").strip().replace(",", "").replace("−", "-")
        except EOFError:
            console.print()
            return None
        if not text:
            return None
        meant = [i for i, option in enumerate(options or (), 1) if option.lower().startswith(text.lower())]
        try:
            said = float(meant[0] if len(meant) == 1 else text)
        except ValueError:
            said = math.nan
        if math.isfinite(said) and (most is None or said in range(1, most + 1)):
            return said
        console.print(f"  {escape(text)} is not {'a number' if most is None else f'a number from 1 to {most}'}.")


def told_after(console: Console, made_lesson: MadeLesson, index: int) -> None:
    """What the picture shows, why, and the checked numbers."""
    made = made_lesson.experiments[index]
    shows = _wrapped(console, f"The picture on the page: {made.first.says}")
    console.print(f"\n{escape(shows)}\n\n{escape(_wrapped(console, made_lesson.because[index]))}\n")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("checked", "measured", "must be"):
        table.add_column(head)
    for check in made.experiment.checks:
        number = made.numbers[check.name]
        says = check.says + (f" (published: {check.published})" if check.published else "")
        mark = "[green]✓[/green]" if check.holds(number) else "[red]✗[/red]"
        table.add_row(escape(says), f"{escape(check.written(number))} {mark}", escape(check.bounds))
    console.print(table)


def told_at_the_end(console: Console, made: MadeLesson) -> None:
    """What to change, and where to read on."""
    lesson = made.lesson
    console.print("\n[bold]Change it[/bold]")
    for change in made.change:
        console.print(f"  · {escape(_wrapped(console, change, 4).lstrip())}")
    console.print("[bold]The lines that did it[/bold]")
    for place in lesson.engine:
        found = engine_lines(place)
        console.print(f"  · {escape(str(found.file))}:{found.line}  {escape(found.what)}", soft_wrap=True)
    console.print("[bold]Where this comes from[/bold]")
    for source in lesson.sources:
        console.print(f"  · {escape(source)}", soft_wrap=True)
    console.print()


def _wrapped(console: Console, text: str, indent: int = 0) -> str:
    """Paragraphs for a terminal; what is indented stands as it is."""
    parts = []
    for part in text.strip("\n").split("\n\n"):
        if part.startswith("    "):
            parts.append(part)
        else:
            begin, width = " " * indent, min(WIDEST, console.width)
            parts.append(textwrap.fill(" ".join(part.split()), width, initial_indent=begin, subsequent_indent=begin))
    return "\n\n".join(parts)
