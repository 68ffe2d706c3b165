"""The house as DESIGN has it: imports go down the floors, nothing runs at import, every file says what it is."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = (  # from the core up; DatasetLoader, models and loss stand on one floor, as do a command's own packages
    "settings utils",
    "engine tuneThreshold",
    "corpus scoring",
    "models loss DatasetLoader",
    "SpeakerNet",
    "evaluation",
    "preparation sweeping analysis identification exporting",
    "trainSpeakerNet score dataprep sweep analyse identify export",
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}
COMMANDS = FLOORS[-1].split()
TRACKED = subprocess.run(
    ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
SOURCES = [path for path in TRACKED if not path.startswith(("tests/", "benchmarks/", "docs/"))]
TEST_PATHS = [path.removeprefix("tests/") for path in TRACKED if path.startswith("tests/")]


def imported(path: str) -> set[str]:
    """The modules of this project that a file imports, as dotted names: packages, or files of them."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if room(name) in FLOOR}


def room(name: str) -> str:
    """The top-level room of a file's path or of a module's dotted name."""
    return name.removesuffix(".py").replace("/", ".").split(".")[0]


@pytest.mark.parametrize("path", SOURCES)
def test_every_file_imports_from_floors_below_its_own_room_alone(path):
    assert room(path) in FLOOR, f"{path}: give the room a floor here and a line in the README's map"
    others = {name for name in imported(path) if room(name) != room(path)}
    wrong = sorted(name for name in others if FLOOR[room(name)] >= FLOOR[room(path)])
    assert not wrong, f"{path} imports upwards or sideways: {wrong}"


def test_no_import_goes_in_a_circle():
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in SOURCES}
    graph = {name: (imported(path) & modules.keys()) - {name} for name, path in modules.items()}
    graph = {name: {to for to in into if not name.startswith(f"{to}.")} for name, into in graph.items()}
    graph["scoring.histograms"].discard("scoring.histograms_torch")  # the one circle that is left, at call time only
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports go in a circle: {' -> '.join(error.args[1])}")


def test_at_most_twelve_files_stand_at_top_level():
    assert len([path for path in SOURCES if "/" not in path]) <= 12


@pytest.mark.parametrize("path", TEST_PATHS)
def test_no_test_file_is_longer_than_300_lines(path):
    lines = len((ROOT / "tests" / path).read_text(encoding="utf-8").splitlines())
    assert lines <= 300, f"{path} has {lines} lines: split it by what it knows"


def test_the_folders_of_tests_are_those_of_the_code():
    code, tests = ({Path(path).parent for path in paths if "/" in path} for paths in (SOURCES, TEST_PATHS))
    assert not (strange := sorted(map(str, tests - code))), f"tests of nothing: {strange}"
    without = sorted({str(path) for path in code if len(path.parts) == 1} - {path.parts[0] for path in tests})
    assert not without, f"without tests: {without}"


@pytest.mark.parametrize("path", TRACKED)
def test_every_file_opens_by_saying_what_it_is(path):
    assert ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))), path


@pytest.mark.parametrize("path", SOURCES)
def test_importing_runs_nothing(path):
    allowed = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
        ast.AugAssign,
        ast.If,
    )
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        assert isinstance(node, allowed) or is_docstring, f"{path} line {node.lineno}"


def test_libraries_leave_logging_and_threads_alone_when_imported():
    code = "import logging, SpeakerNet, evaluation; assert not logging.getLogger().handlers"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_readme_maps_every_top_level_file():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = sorted({path for path in TRACKED if "/" not in path and f"`{path}`" not in text})
    assert not missing, f"README.md has no line for {missing}"
