"""The house as DESIGN has it: imports go down the floors, nothing runs at import, every file says what it is."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

ROOMS = {
    0: "plugins options config_sources config files audio filters cache cache_building parallel lists utils devices "
    "device_audio distributed progress steps signals health board checkpoints experiment scoring tuneThreshold trials",
    1: "models loss optim DatasetLoader",
    2: "SpeakerNet evaluation resuming training",
    3: "trainSpeakerNet dataprep sweep analyse formats audit download analysis sweeping",
}
FLOOR = {name: floor for floor, names in ROOMS.items() for name in names.split()}
TRACKED = subprocess.run(
    ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()
SOURCES = [path for path in TRACKED if not path.startswith(("tests/", "benchmarks/"))]


def imported(path: str) -> set[str]:
    """The rooms that a file imports."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found & FLOOR.keys()


def room(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("path", SOURCES)
def test_every_file_has_a_floor_and_imports_nothing_above_it(path):
    assert room(path) in FLOOR, f"{path}: give the room a floor here and a line in the README's map"
    above = {other for other in imported(path) if FLOOR[other] > FLOOR[room(path)]}
    assert not above, f"{path} imports upwards: {above}"


def test_commands_never_import_each_other():
    for command in ("trainSpeakerNet", "dataprep", "sweep", "analyse"):
        if f"{command}.py" in SOURCES:
            assert not imported(f"{command}.py") & ({"trainSpeakerNet", "dataprep", "sweep", "analyse"} - {command})


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
    code = "import logging, SpeakerNet, training, evaluation; assert not logging.getLogger().handlers"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_readme_maps_every_top_level_file():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = sorted({path for path in TRACKED if "/" not in path and f"`{path}`" not in text})
    assert not missing, f"README.md has no line for {missing}"
