"""Shared by all tests: where helpers are found, and which tests need something that may be absent."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def _gpu() -> str:
    import tinynet as tn

    usable, reason = tn.backends()["cupy"]
    return "" if usable else reason


def pytest_collection_modifyitems(items):
    """Skip, and say why, what needs a card, PyTorch, onnx or the full MNIST files."""
    reasons = {
        "torch": "" if importlib.util.find_spec("torch") else "PyTorch is not installed",
        "onnx": "" if importlib.util.find_spec("onnx") else "the onnx package is not installed",
        "mnist": "" if os.environ.get("TINYNET_DATA") else "TINYNET_DATA is not set: no full MNIST",
        "gpu": _gpu() if any(item.get_closest_marker("gpu") for item in items) else "",
    }
    for item in items:
        for marker, reason in reasons.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
