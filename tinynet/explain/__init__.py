"""Backpropagation shown: in words and numbers (``explain``), and as a picture (``draw``).

The walk is data (``trace.py``); words, picture, exports and page each read it. Nothing here changes a Value, and
nothing needs more than the standard library.
"""

import sys

from tinynet.callable_module import CallableModule
from tinynet.explain.displays import Drawing, Explanation, draw, explain

call = explain
sys.modules[__name__].__class__ = CallableModule

__all__ = ["explain", "draw", "Explanation", "Drawing", "call"]
