"""Points from a file of a person's own: three numbers a line, the coordinates and the class.

Must not know what becomes of them.
"""

import csv
import math
from pathlib import Path

from tinynet.errors import DataError

LARGEST_FILE = 1_000_000  # bytes
FORM = "Each line has two coordinates and a class, 0 or 1, such as 0.5,-1.25,1; a first line of names may stand above."


def read_points(path: str) -> tuple[list[list[float]], list[int]]:
    """The points of a CSV file, and their classes.

    Raises:
        DataError: the file is missing, too large, or a line is no point; the message names the line.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"Reading {path}: there is no such file, and no data set of that name. {FORM}")
    if file.stat().st_size > LARGEST_FILE:
        raise DataError(f"Reading {path}: it has more than {LARGEST_FILE:,} bytes, too much to play with.")
    try:
        rows = [*csv.reader(file.read_text(encoding="utf-8-sig").splitlines(), skipinitialspace=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Reading {path}: this is no text of that form ({error}). {FORM}") from error
    points: list[list[float]] = []
    labels: list[int] = []
    for line, row in enumerate(rows, 1):
        cells = [_number(cell) for cell in row]
        if not row or (line == 1 and len(row) == 3 and None in cells):
            continue
        numbers = [x for x in cells if x is not None]
        if len(row) != 3 or len(numbers) != 3 or numbers[2] not in (0, 1):
            raise DataError(f"Reading {path}, line {line}: got {','.join(row)!r:.60}. {FORM}")
        points.append(numbers[:2])
        labels.append(int(numbers[2]))
    if not points:
        raise DataError(f"Reading {path}: there is no point in it. {FORM}")
    return points, labels


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
