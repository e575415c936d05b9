"""The house's one rule: who may import whom. Arrows point down, no circle, and nothing is imported needlessly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tinynet

HOME = Path(tinynet.__file__).parent
FLOORS = [  # top to bottom: a file may import from floors below its own, and from its own package
    {"__main__"},
    {"cli"},
    {"play"},
    {"lessons"},
    {"teaching"},
    {"bench"},
    {"tasks"},
    {"reproduce"},
    {"training"},
    {"explain", "checks"},
    {"data"},
    {"sharding"},
    {"nn", "optim"},
    {"recording"},
    {"parameter"},
    {"functions"},
    {"tensor"},
    {"dispatch"},
    {"host"},
    {"neuron"},
    {"array_operators", "value"},
    {"operators", "registry"},
    {"random"},
    {"program"},
    {"listing", "passes"},
    {"backend"},
    {"fused", "precision"},
    {"graph", "primitives", "callable_module"},
    {"dtypes", "files", "memory", "staleness", "modes", "replaying"},
    {"errors"},
]
FLOOR = {name: height for height, floor in enumerate(FLOORS) for name in floor}
STANDARD_LIBRARY_ONLY = {
    "fused",
    "value",
    "primitives",
    "graph",
    "operators",
    "neuron",
    "errors",
    "files",
    "staleness",
    "modes",
    "replaying",
    "memory",
    "callable_module",
}


def imports(path: Path) -> set[str]:
    """The modules that a file imports when it is loaded: TYPE_CHECKING blocks and function bodies aside."""
    found = set()
    todo = list(ast.parse(path.read_text()).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                f"{node.module}.{alias.name}" if node.module == "tinynet" else node.module for alias in node.names
            }
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            todo += node.body + node.orelse
        elif isinstance(node, ast.Try | ast.With):
            todo += node.body
    return found


def modules() -> dict[str, Path]:
    files = {*HOME.rglob("*.py"), *(HOME / "bench").rglob("*.py")}  # bench is a link in a checkout
    files = {p for p in files if "backends" not in p.parts and not p.name.startswith("test_")} - {HOME / "__init__.py"}
    return {".".join(p.relative_to(HOME).with_suffix("").parts): p for p in files}


def room(name: str) -> str:
    first = name.removeprefix("tinynet.").partition(".")[0]
    return (tinynet._HOME.get(first) or first).partition(".")[0]  # a public name stands where it comes from


@pytest.mark.tiny
def test_imports_point_down():
    for name, path in modules().items():
        here = room(name)
        assert here in FLOOR, f"{path} stands on no floor: add it to FLOORS"
        for imported in imports(path):
            if imported.startswith("tinynet.") and imported != "tinynet.__version__":
                there = room(imported)
                assert there == here or FLOOR[there] > FLOOR[here], f"{name} may not import {imported}"


@pytest.mark.tiny
def test_backends_see_the_contract_and_the_formula_sheet_only():
    allowed = {
        "backends",
        "backend",
        "program",
        "passes",
        "modes",
        "precision",
        "dtypes",
        "errors",
        "memory",
        "primitives",
        "value",
        "registry",
        "callable_module",
    }
    for path in (HOME / "backends").rglob("*.py"):
        for imported in imports(path):
            if imported.startswith("tinynet."):
                assert room(imported) in allowed, f"{path.name} may not import {imported}"


@pytest.mark.tiny
def test_nothing_but_the_backends_imports_an_array_library_but_numpy():
    for name, path in modules().items():
        if not name.startswith(("bench.peers.", "bench.epoch_torch")):  # each is there to run its library
            for imported in imports(path):
                assert imported.partition(".")[0] not in {"cupy", "cupyx", "torch", "jax"}, f"{name} imports {imported}"


@pytest.mark.tiny
def test_layers_and_optimisers_touch_no_array_module():
    for name, path in modules().items():
        if room(name) in {"nn", "optim"}:
            assert "numpy" not in imports(path), f"{name} imports numpy: say it in Tensor operators"


@pytest.mark.tiny
@pytest.mark.parametrize("name", sorted(STANDARD_LIBRARY_ONLY))
def test_the_scalar_engine_needs_the_standard_library_only(name):
    for imported in imports(HOME / f"{name}.py"):
        top = imported.partition(".")[0]
        assert top == "tinynet" or top in sys.stdlib_module_names, f"{name} imports {imported}"
        assert top != "tinynet" or room(imported) in STANDARD_LIBRARY_ONLY


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {module.partition(".")[0] for module in done.stdout.split()}


def test_value_is_imported_without_numpy():
    assert not {"numpy", "rich", "matplotlib"} & loaded_by("import tinynet.value; tinynet.Value(2.0)")


@pytest.mark.tiny
def test_the_public_names_are_written_out():
    assert tinynet.__all__ == sorted(tinynet._HOME)
    assert all(getattr(tinynet, name) is not None for name in tinynet.__all__)


def test_import_tinynet_loads_nothing_heavy():
    heavy = {"numpy", "rich", "matplotlib", "safetensors", "cupy", "torch"}
    assert not heavy & loaded_by("import tinynet")


def test_using_tensors_and_layers_loads_numpy_alone():
    code = "import tinynet as tn; tn.nn.Linear(2, 1)(tn.Tensor([[1.0, 2.0]])).sum().backward()"
    assert not {"rich", "matplotlib", "safetensors", "cupy", "torch", "hypothesis"} & loaded_by(code)


def test_the_heart_is_readable_in_one_sitting():
    heart = ["value.py", "primitives.py", "graph.py", "tensor.py", "backend.py", "program.py"]
    lines = {name: len((HOME / name).read_text().splitlines()) for name in heart}
    assert sum(lines.values()) <= 1000, lines


def test_no_file_holds_two_themes():
    for path in [*modules().values(), *(HOME / "backends").rglob("*.py")]:
        assert len(path.read_text().splitlines()) <= 400, (
            f"{path.name} is past 400 lines: a second theme wants to move out"
        )
