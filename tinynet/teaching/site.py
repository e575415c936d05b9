"""Writing pages: one lesson with what belongs to it, or the whole course as a folder that opens from the disk.

Must not know the terminal: what is going on is told to whoever asked.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tinynet.files import ready_folder, write_bytes
from tinynet.teaching.lesson import Lesson
from tinynet.teaching.made import MadeLesson, Told, make
from tinynet.teaching.page import course_page, lesson_page


def write_lesson(made: MadeLesson, path: str | os.PathLike[str], course: Sequence[Lesson] = ()) -> list[Path]:
    """Write a lesson's page, and beside it the page to walk through, where it has one. Returns the files.

    Raises:
        FileError: the place cannot be written to.
    """
    path = Path(path)
    written = []
    walk = f"{path.stem}-walk.html" if made.lesson.walk else ""
    if made.lesson.walk:
        written.append(made.lesson.walk().save(path.with_name(walk)))
    page = lesson_page(made, course, walk)
    return [write_bytes(path, page.encode()), *written]


def write_site(
    course: Sequence[Lesson],
    folder: str | os.PathLike[str],
    seed: int = 0,
    begins: Callable[[Lesson], Told | None] = lambda lesson: None,
    ended: Callable[[MadeLesson], None] = lambda made: None,
) -> Path:
    """Run every lesson and write its page; the first page, ``index.html``, last. Returns that.

    Args:
        course: the lessons, in order.
        folder: where to; made where it is missing. Pages of an earlier time are written over, nothing is deleted.
        seed: of the runs in which chance plays a part.
        begins: called before each lesson; what it returns is told of each run.
        ended: called after each lesson.

    Raises:
        FileError: the folder cannot be written to.
    """
    folder = ready_folder(folder)
    for lesson in course:
        made = make(lesson, seed, told=begins(lesson))
        write_lesson(made, folder / f"{lesson.name}.html", course)
        ended(made)
    return write_bytes(folder / "index.html", course_page(course).encode())
