"""Memory: held now, and held at most since."""

import sys

import numpy as np
import pytest

from tinynet.bench import memory

pytestmark = pytest.mark.tiny


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells")
def test_a_peak_is_seen_and_forgotten():
    assert memory.forget()
    before = memory.resident()
    block = np.ones(10_000_000)  # 80 MB
    assert memory.resident() - before == pytest.approx(80, abs=8)
    del block
    assert memory.resident() - before < 8
    assert memory.peak() - before == pytest.approx(80, abs=8)
    assert memory.forget() and memory.peak() - before < 8


def test_elsewhere_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    monkeypatch.setattr(memory, "CLEAR", tmp_path / "missing" / "clear_refs")
    assert memory.resident() is None and memory.peak() is None and not memory.forget()
