"""Shared by all tests: where helpers are found, which need something that may be absent, parts of a run, garbage."""

import gc
import importlib.util
import os
import signal
import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; what is started would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
gc.set_threshold(10_000)  # numbers of the scalar backend by the million: looked through less often


def pytest_addoption(parser):
    parser.addoption("--share", metavar="I/N", help="run the I-th of N parts of the tests, for N runs side by side")
    parser.addoption("--claims", metavar="FOLDER", help="leave out files that runs with the same folder have begun")


@pytest.hookimpl(trylast=True)  # after -m and -k have chosen
def pytest_collection_modifyitems(config, items):
    """With ``--share 2/8``, every eighth test from the second on."""
    if share := config.getoption("--share"):
        number, _, count = share.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise pytest.UsageError(f"--share takes I/N, such as 2/8, where I is from 1 to N; got {share!r}.")
        first, step = int(number) - 1, int(count)
        config.hook.pytest_deselected(items=[item for i, item in enumerate(items) if i % step != first])
        items[:] = items[first::step]


def pytest_runtestloop(session):
    """With ``--claims``, pytest's own loop over what this run claims, so that runs side by side end together."""
    folder = session.config.getoption("--claims")
    if not folder or session.testsfailed or session.config.option.collectonly:
        return None
    from side_by_side import claimed

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mine = claimed(session.items, folder)
    item = next(mine, None)
    while item is not None:
        following = next(mine, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


def pytest_collection_finish():
    """The tests themselves are no garbage: whoever collects garbage need not look at them, thousands of times."""
    gc.collect()
    gc.freeze()


@cache
def absent(marker: str) -> str:
    """Why what a marker asks for is not here; empty where it is."""
    if marker == "gpu":
        import tinynet as tn

        usable, reason = tn.backends()["cupy"]
        return "" if usable else reason
    if marker == "mnist":
        return "" if os.environ.get("TINYNET_DATA") else "TINYNET_DATA is not set: no full MNIST"
    if marker == "browser":
        from browser.chromium import chromium

        if not importlib.util.find_spec("playwright"):
            return "Playwright is not installed: pip install 'tinynet-engine[browser]'"
        return "" if chromium() else "there is no Chromium: install one, or run `playwright install chromium`"
    module, name = {"torch": ("torch", "PyTorch"), "onnx": ("onnx", "the onnx package")}[marker]
    return "" if importlib.util.find_spec(module) else f"{name} is not installed"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip what needs a card, a browser, PyTorch, onnx or MNIST: from here, so that equal reasons are one line."""
    for marker in ("gpu", "torch", "onnx", "mnist", "browser"):
        if item.get_closest_marker(marker) and (reason := absent(marker)):
            pytest.skip(reason)
