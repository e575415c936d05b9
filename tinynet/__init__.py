"""tinynet."""

from pathlib import Path as _Path

__version__ = "0.1.0"

# A checkout whose git writes the link tinynet/backends as a text file still finds the folder beside this one.
if not _Path(__file__).with_name("backends").is_dir():
    __path__.append(str(_Path(__file__).resolve().parents[1]))
