"""The lessons, a file each, and how one is found: by its name, its number, or as a file of the reader's own.

A file here that defines ``LESSON`` is a lesson; nothing else needs to be told of it. What lessons are made of stands in
``tinynet/teaching/``.
"""

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path

from tinynet.errors import ArgumentError, FileError, did_you_mean
from tinynet.teaching import Lesson


def names() -> list[str]:
    """Every lesson's name, in the order of the alphabet; nothing is imported."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def course() -> list[Lesson]:
    """Every lesson, in the order of the course."""
    found = [_of(importlib.import_module(f"{__name__}.{name.replace('-', '_')}")) for name in names()]
    return sorted(found, key=lambda lesson: (lesson.number, lesson.name))


def find(which: str) -> Lesson:
    """The lesson with that name or number, or in that file.

    Raises:
        ArgumentError: there is none; or the file defines no ``LESSON``.
        FileError: there is no such file, or Python cannot read it.
    """
    if which.endswith(".py"):
        return _from_file(Path(which))
    if which.isdecimal():
        lessons = {lesson.number: lesson for lesson in course()}
        if int(which) not in lessons:
            raise ArgumentError(f"there is no lesson {which}; they are {min(lessons)} to {max(lessons)}.")
        return lessons[int(which)]
    name = which.replace("_", "-")
    if name not in names():
        raise ArgumentError(
            f"there is no lesson {which!r}{did_you_mean(name, names())} `tinynet learn` lists them; a lesson of your "
            "own is given as a file, my_lesson.py."
        )
    return _of(importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def _from_file(path: Path) -> Lesson:
    if not path.is_file():
        raise FileError(f"{path}: {'that is a folder' if path.is_dir() else 'there is no such file'}.")
    if not path.stem.isidentifier():
        raise ArgumentError(f"{path}: name it as Python names a module: letters, digits and _, as in my_lesson.py.")
    name = f"lesson.{path.stem}"  # no module of that name is in the way
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where inspect looks for the source of what is in it
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing is left beside the reader's file
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        own = str(path.resolve())
        inside = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
        line = error.lineno if isinstance(error, SyntaxError) else inside[-1] if inside else None
        where = f"{path}, line {line}" if line else str(path)
        raise FileError(f"{where}: {type(error).__name__}: {getattr(error, 'msg', error)}") from error
    finally:
        sys.dont_write_bytecode = writes
    return _of(module)


def _of(module: object) -> Lesson:
    lesson = getattr(module, "LESSON", None)
    if not isinstance(lesson, Lesson):
        raise ArgumentError(f"{getattr(module, '__file__', module)}: it defines no LESSON = Lesson(…).")
    return lesson
