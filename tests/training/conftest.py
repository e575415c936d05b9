"""Lets the files of this folder share ``runs.py``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
