"""Two runs compared: what moved beyond noise, what may not be compared, and files that are none."""

import copy
import json

import pytest

from tinynet.bench.compare import comparison, differences, load, moves
from tinynet.errors import FileError

pytestmark = pytest.mark.tiny


def timed(median, spread=0.02):
    return {"median_s": median, "low_s": median * (1 - spread), "high_s": median * (1 + spread)}


@pytest.fixture
def old():
    machine = {"processor": "P", "cores": 2, "system": "S", "blas": "B", "blas_kernels": None}
    results = {"tinynet numpy": timed(1e-3), "JAX jit": timed(2e-3), "PyTorch eager": {"error": "E"}}
    return {
        "format": 1, "began": "2026-01-01T00:00:00Z", "machine": machine, "versions": {"numpy": "2.0", "jax": "1"},
        "contenders": [{"name": "tinynet numpy", "role": "tinynet"}, {"name": "JAX jit", "role": "peer"}],
        "workloads": [{"name": "mlp", "what": "4-3-2, ReLU, batch 5", "batch": 5, "results": results}],
    }  # fmt: skip


def changed(old, **medians):
    new = copy.deepcopy(old)
    for name, result in medians.items():
        new["workloads"][0]["results"][{"ours": "tinynet numpy", "jax": "JAX jit"}[name]] = result
    return new


@pytest.mark.parametrize(
    ("after", "moved"),
    [
        (timed(1.2e-3), True),  # 20 % slower, quartiles apart
        (timed(0.8e-3), True),
        (timed(1.2e-3, spread=0.2), False),  # the same, within its spread
        (timed(1.045e-3, spread=0.001), False),  # apart, yet 4.5 % only
        (timed(1e-3), False),
    ],
)
def test_the_rule(old, after, moved):
    found = {move.contender: move for move in moves(old, changed(old, ours=after))}
    assert set(found) == {"tinynet numpy", "JAX jit"}  # what failed in either run is left out
    assert found["tinynet numpy"].moved is moved and not found["JAX jit"].moved
    assert found["tinynet numpy"].ratio == pytest.approx(after["median_s"] / 1e-3)


def test_in_words(old):
    text = comparison(old, changed(old, ours=timed(5e-4)))
    assert "mlp, tinynet numpy: faster, 1 → 0.5 ms, 0.50× the time" in text and "beside" not in text
    assert "1 of 2 figures did not move" in text and "other versions" not in text


def test_a_machine_that_is_slower_as_a_whole_is_no_move(old):
    text = comparison(old, changed(old, ours=timed(1.2e-3), jax=timed(2.4e-3)))
    assert "2 of 2 figures did not move" in text
    text = comparison(old, changed(old, ours=timed(0.6e-3), jax=timed(2.4e-3)))
    assert "mlp, tinynet numpy: faster, 1 → 0.6 ms, 0.50× the time beside peers that took 1.20×" in text


def test_a_machine_that_is_much_slower_leaves_no_verdict(old):
    text = comparison(old, changed(old, ours=timed(1e-3), jax=timed(6e-3)))
    assert "mlp: no verdict, since the peers took 3.00× the time" in text and "faster" not in text


def test_peers_of_other_versions_say_nothing_of_the_machine(old):
    new = changed(old, ours=timed(3e-3), jax=timed(6e-3))
    new["versions"]["jax"] = "2"
    assert [(move.drift, move.moved) for move in moves(old, new)] == [(1.0, True), (1.0, True)]
    new["versions"] = old["versions"] | {"tinynet": "another"}
    assert [move.drift for move in moves(old, new)] == [3.0, 3.0]


def test_another_machine_is_not_compared(old):
    new = changed(old, ours=timed(5e-4))
    new["machine"]["cores"] = 8
    text = comparison(old, new)
    assert text.startswith("Not compared") and "cores: 2 before, 8 now" in text and "faster" not in text


def test_other_versions_are_said(old):
    new = changed(old)
    new["versions"] = {"numpy": "2.1", "torch": "3"}
    text = comparison(old, new)
    assert differences(old, new)[0] == []
    for line in ("numpy: 2.0 before, 2.1 now", "jax: 1 before, absent now", "torch: absent before, 3 now"):
        assert line in text


def test_nothing_in_common(old):
    assert "no contender was measured" in comparison(old, {**old, "workloads": []})


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        (None, "No such file"),
        (b"{", "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[1]", "no result of `tinynet bench`"),
        (b'{"a": 1}', "no result of `tinynet bench`"),
        (b'{"format": 99}', "format 99, and this version reads 1"),
        (b'{"format": 1}', "damaged"),
    ],
)
def test_files_that_are_none(tmp_path, content, meant):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=meant):
        load(path)


def test_a_good_file(tmp_path, old):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    assert load(path) == old


@pytest.mark.parametrize(("key", "other"), [("name", "another"), ("what", "4-9-2, ReLU, batch 5"), ("batch", 6)])
def test_another_network_or_batch_is_not_compared(old, key, other):
    new = changed(old)
    new["workloads"][0][key] = other
    assert moves(old, new) == []


@pytest.mark.parametrize("low", ["0.001", 0, -1e-3, True, None, float("nan"), float("inf"), []])
def test_a_time_that_is_none_is_refused(tmp_path, old, low):
    path = tmp_path / "old.json"
    old["workloads"][0]["results"]["JAX jit"]["low_s"] = low
    path.write_text(json.dumps(old))
    with pytest.raises(FileError, match=r"damaged .*low_s is "):
        load(path)


@pytest.mark.parametrize(
    ("where", "key"), [("workloads", "name"), ("workloads", "what"), ("contenders", "name"), ("contenders", "role")]
)
@pytest.mark.parametrize("value", [None, "", ["mlp"], {}])
def test_a_name_that_is_none_is_refused(tmp_path, old, where, key, value):
    path = tmp_path / "old.json"
    old[where][0][key] = value
    path.write_text(json.dumps(old))
    with pytest.raises(FileError, match=rf"damaged .*{key} is .*must be words"):
        load(path)


def test_a_file_without_a_time_is_refused(tmp_path, old):
    path = tmp_path / "old.json"
    del old["workloads"][0]["results"]["JAX jit"]["low_s"]
    path.write_text(json.dumps(old))
    with pytest.raises(FileError, match=r"damaged .*low_s"):
        load(path)
