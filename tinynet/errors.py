"""Every error tinynet raises on purpose, in one small tree.

    TinynetError
    ├── ShapeError            shapes that do not fit together         (also a ValueError)
    ├── TypeMismatch          a value of the wrong type or dtype      (also a TypeError)
    ├── ArgumentError         an argument outside what is allowed     (also a ValueError)
    ├── DomainError           log of a non-positive number, 0 ** -1   (also an ArithmeticError, a ValueError)
    ├── NonFiniteError        nan or inf, inside tn.detect_anomaly()  (also an ArithmeticError)
    ├── GradientError         backward where there is nothing to walk (also a RuntimeError)
    ├── BackendError          anything about an engine                (also a RuntimeError)
    │   ├── BackendUnavailable    it cannot run here: the reason and the fix
    │   ├── BackendMismatch       arrays of two backends met in one operation
    │   ├── DeviceMemoryError     a device has no room               (also a MemoryError)
    │   └── KernelMissing         the backend lacks a required kernel
    ├── CaptureError          a step that cannot be recorded and replayed (also a RuntimeError)
    └── FileError             a file that is missing, damaged or of another kind (also an OSError)
        ├── DataError             a data set
        └── CheckpointError       saved weights or a saved training run

Each message has three parts: what was tried, what arrived, what to do. Each class is also the builtin that a caller
would already be catching. This file knows nothing of the rest.
"""

from collections.abc import Iterable


class TinynetError(Exception):
    """The root: ``except TinynetError`` catches everything that tinynet raises on purpose."""


class ShapeError(TinynetError, ValueError):
    """Shapes that do not fit together."""


class TypeMismatch(TinynetError, TypeError):
    """A value of the wrong type or dtype."""


class ArgumentError(TinynetError, ValueError):
    """An argument outside what is allowed."""


class DomainError(TinynetError, ArithmeticError, ValueError):
    """A function was asked for a value where it has none."""


class NonFiniteError(TinynetError, ArithmeticError):
    """A number that is not finite, where a layer was asked to look for one."""


class GradientError(TinynetError, RuntimeError):
    """A gradient was asked for where none can be had."""


class BackendError(TinynetError, RuntimeError):
    """Anything about an engine."""


class BackendUnavailable(BackendError):
    """The backend exists and cannot run here."""


class BackendMismatch(BackendError):
    """Arrays of two backends met in one operation."""


class DeviceMemoryError(BackendError, MemoryError):
    """A device has no room for an array.

    Attributes:
        fits: the largest batch that was found to fit, where a trainer has tried; 0 where it has not, or none did.
    """

    fits = 0


class KernelMissing(BackendError):
    """A backend lacks a kernel that every backend must have."""


class CaptureError(TinynetError, RuntimeError):
    """A step that cannot be recorded and replayed."""


class FileError(TinynetError, OSError):
    """A file that is missing, damaged or of another kind."""


class DataError(FileError):
    """A data set that cannot be read."""


class CheckpointError(FileError):
    """Saved weights or a saved training run that cannot be used."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not among ``known``: the nearest one, if one is near."""
    import difflib

    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f". Did you mean {near[0]}?" if near else "."
