"""Saving, notebooks, and the package that can be called."""

import subprocess
import sys

import pytest

import tinynet as tn
from tinynet import Value
from tinynet.errors import ArgumentError, FileError


@pytest.fixture
def loss():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    return (a * b + 10).tanh()


@pytest.mark.tiny
def test_the_package_is_callable(loss):
    from tinynet.explain import Drawing, Explanation, draw, explain

    assert isinstance(tn.explain(loss), Explanation)
    assert isinstance(tn.draw(loss), Drawing)
    assert (tn.draw, tn.explain.call) == (draw, explain)


def test_every_format(loss, tmp_path):
    explained, drawing = tn.explain(loss), tn.draw(loss)
    begins = {
        ".svg": "<svg ", ".dot": "digraph", ".mmd": "flowchart LR", ".html": "<!DOCTYPE html>", ".txt": "", ".md": "",
    }  # fmt: skip
    more = {".json": '{"format":"tinynet trace"', ".py": "#", ".tex": "\\begin{align*}"}
    for shown, known in ((explained, begins | more), (drawing, begins)):
        for ending, begin in known.items():
            path = shown.save(str(tmp_path / f"Graph{ending.upper()}"))
            assert path.read_text(encoding="utf-8").startswith(begin)
    assert explained.save(tmp_path / "a.txt").read_text(encoding="utf-8") == str(explained) + "\n"
    page = explained.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<ol>" in page and page.count("<script") == page.count("</script>") == 3
    assert "d out/d a = d out/d v1 × d v1/d a = 0.00134095 × −3 = −0.00402285" in page
    assert "<td>−0.00402285</td>" in page
    assert not any(
        request in page.replace("http://www.w3.org/2000/svg", "") for request in ("http://", "https://", "src=", "url(")
    )
    assert sorted(path.name for path in tmp_path.iterdir() if "tmp" in path.name) == []


def test_unknown_endings_are_refused_before_anything_is_written(loss, tmp_path):
    for name in ("a.png", "a", "a.svg.gz"):
        with pytest.raises(ArgumentError, match=r"\.svg, \.dot, \.mmd, \.html, \.txt, \.md, \.json, \.py, \.tex"):
            tn.explain(loss).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_missing_or_in_the_way(loss, tmp_path):
    tn.explain(loss).save(tmp_path / "none" / "a.svg")
    assert (tmp_path / "none" / "a.svg").read_text().startswith("<svg")
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(FileError, match=r"b\.svg"):
        tn.draw(loss).save(tmp_path / "b.svg")


def test_a_failed_write_leaves_the_old_file(loss, tmp_path, monkeypatch):
    path = tmp_path / "a.svg"
    path.write_text("old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(FileError, match="No space left"):
        tn.draw(loss).save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.svg"]
    assert path.read_text() == "old"


def test_notebooks(loss):
    explained = tn.explain(loss)
    assert explained._repr_html_().startswith("<iframe srcdoc=") and "<svg " in explained._repr_html_()
    assert 'sandbox="allow-scripts allow-forms"' in explained._repr_html_()
    assert "so far −0.00402285" in explained._repr_html_()
    assert explained._repr_svg_ is None
    assert tn.draw(loss)._repr_svg_().startswith("<svg ")
    assert not hasattr(tn.draw(loss), "_repr_html_")


def test_an_explanation_is_a_record(loss):
    explained = tn.explain(loss)
    before = str(explained), explained.svg()
    loss.parents[0].data = 100.0
    loss.backward()
    assert (str(explained), explained.svg()) == before


def test_markdown_holds_text_as_text():
    text = tn.explain(Value(2.0, label="*w* | <b>") * 3).markdown()
    assert "\\*w\\* \\| \\<b\\> = 2" in text


def test_only_the_standard_library_is_needed():
    code = (
        "import sys; from tinynet.value import Value; import tinynet.explain as e; e.explain(Value(2.0) * 3).html();"
        "print([name for name in ('numpy', 'matplotlib', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
