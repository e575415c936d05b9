"""``tinynet learn``: lessons, each an experiment to predict, run, see and change."""

import argparse
import sys
import time
import webbrowser
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tinynet.cli.lesson_text import ask, contents, told_after, told_at_the_end, told_before
from tinynet.cli.parser import Parser, UsageError, number
from tinynet.errors import did_you_mean
from tinynet.files import ready_folder, write_bytes
from tinynet.lessons import course, find
from tinynet.teaching.lesson import Lesson
from tinynet.teaching.made import MadeLesson, make
from tinynet.teaching.site import write_lesson, write_site

EXAMPLE = """\
  tinynet learn                                    the list
  tinynet learn perceptron
  tinynet learn 14 --open                          with its page in a browser
  tinynet learn vanishing-gradients --set depth=20 activation=tanh
  tinynet learn perceptron --copy mine.py          its code, to change
  tinynet learn mine.py                            one of your own
  tinynet learn --site site --open                 all of them, as pages that need no network"""
DIFFERENT = 3


def parser() -> Parser:
    """The options."""
    p = Parser(
        "learn",
        "[LESSON] [options]",
        "List the lessons; run one, and write its page; or build all pages.\n"
        "A lesson asks, lets you predict, runs an experiment on the engine and shows what came out.",
        EXAMPLE,
    )
    p.add_argument("lesson", nargs="?", metavar="LESSON", help="its name, its number, or a file of your own: mine.py")
    p.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="change what the lesson sets: depth=20")
    p.add_argument("--seed", type=number(int), default=0, metavar="N", help="where chance plays a part (default: 0)")
    p.add_argument("--save", metavar="PATH", help="where its page goes (default: LESSON.html in this folder)")
    p.add_argument("--copy", metavar="PATH", help="write its code to a file of your own, to change: mine.py")
    p.add_argument("--site", metavar="DIR", help="build the pages of all lessons into this folder")
    p.add_argument("--open", action="store_true", help="show the page in a browser")
    p.add_argument("--no-questions", action="store_true", help="do not ask for predictions; a pipe is never asked")
    return p


def run(args: argparse.Namespace) -> int:
    """The list, one lesson, or the site."""
    if args.site is not None:
        if args.lesson or args.set or args.save or args.copy:
            raise UsageError("--site builds every lesson as it is: leave out LESSON, --set, --save and --copy.")
        return _site(args)
    if args.lesson is None:
        if args.set or args.save or args.open or args.copy:
            raise UsageError("which lesson? `tinynet learn` lists them; --site builds them all.")
        print(contents(course()))
        return 0
    lesson = find(args.lesson)
    if args.copy is not None:
        return _copy(lesson, Path(args.copy))
    settings = _settings(lesson, args.set)
    path = Path(args.save or f"{lesson.name}.html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--save takes a name that ends in .html; got {args.save}.")
    ready_folder(path.parent)  # known before the lesson runs, not after
    console = Console(highlight=False)
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not args.no_questions
    told_before(console, lesson)
    with _progress() as progress:
        task = progress.add_task(lesson.title, total=None)
        made = make(lesson, args.seed, settings, lambda done, total: progress.update(task, completed=done, total=total))
    for i in range(len(made.experiments)):
        ask(console, made, i, asks)
        told_after(console, made, i)
    return _end(console, made, path, args.open)


def _end(console: Console, made: MadeLesson, path: Path, show: bool) -> int:
    told_at_the_end(console, made)
    for file in write_lesson(made, path):
        print(f"Saved {file}.")
    if not show:
        print(f"The pictures are on the page: open {path}, or say --open.")
    else:
        webbrowser.open(path.resolve().as_uri())
    if not made.holds():
        print(f"tinynet: {made.lesson.name}: a checked number is not where it must be.", file=sys.stderr)
        return DIFFERENT
    return 0


def _copy(lesson: Lesson, path: Path) -> int:
    """The lesson's own file, for the reader to change."""
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise UsageError(f"--copy takes a name such as mine.py: letters, digits and _; got {path}.")
    if path.exists():
        raise UsageError(f"--copy: {path} is there already; choose another name.")
    source = Path(str(sys.modules[lesson.module].__file__))
    write_bytes(path, source.read_bytes())
    print(f"Saved {path}. Change it, then: tinynet learn {path}")
    return 0


def _site(args: argparse.Namespace) -> int:
    """All pages, a line a lesson."""
    lessons, wrong, began = course(), [], time.perf_counter()
    with _progress() as progress:
        task = progress.add_task("", total=None)
        start = began

        def begins(lesson: Lesson) -> Any:
            nonlocal start
            start = time.perf_counter()
            progress.update(task, description=lesson.title, completed=0, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        def ended(made: MadeLesson) -> None:
            verdict = "" if made.holds() else "   a checked number is not where it must be"
            wrong.extend([] if made.holds() else [made.lesson.name])
            seconds = time.perf_counter() - start
            progress.console.print(f"{made.lesson.name:<28} {seconds:5.1f} s{verdict}")

        first = write_site(lessons, args.site, args.seed, begins, ended)
    print(f"{len(lessons)} lessons in {time.perf_counter() - began:.0f} s. Open {first} in a browser.")
    if args.open:
        webbrowser.open(first.resolve().as_uri())
    if wrong:
        print(f"tinynet: checked numbers are not where they must be: {', '.join(wrong)}.", file=sys.stderr)
    return DIFFERENT if wrong else 0


def _progress() -> Progress:
    """A bar while a lesson runs; nothing of it stays."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(highlight=False), transient=True)


def _settings(lesson: Lesson, words: list[str]) -> dict[str, Any]:
    """``depth=20 activation=tanh`` as values of the kinds that the lesson's own have."""
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, such as depth=20; got {word!r}.")
        known = lesson.parameters()
        if name not in known:
            raise UsageError(
                f"{lesson.name} has nothing called {name!r} to set{did_you_mean(name, known)} "
                f"It has {', '.join(known) or 'nothing to set'}."
            )
        own = next(e.setting[name] for e in lesson.experiments if name in e.setting)
        settings[name] = _value(name, text, own)
        for slider in (slider for e in lesson.experiments for slider in e.sliders if slider.name == name):
            if not slider.is_range and settings[name] not in slider.values:
                raise UsageError(f"--set {name} takes {', '.join(map(str, slider.values))}; got {text!r}.")
    return settings


def _value(name: str, text: str, own: Any) -> Any:
    """A value of the same kind as the lesson's own."""
    if isinstance(own, bool):
        if text.lower() not in ("true", "false"):
            raise UsageError(f"--set {name} takes true or false; got {text!r}.")
        return text.lower() == "true"
    kind = type(own) if isinstance(own, int | float) else str
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"--set {name} takes {what}, such as {own}; got {text!r}.") from None
