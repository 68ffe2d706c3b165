"""Paths in a config start from its project, so that it means the same wherever one stands.

The project is the nearest folder above the file with a trainSpeakerNet.py or a pyproject.toml. A path that is not there
but in the current folder is taken from there, and a note says so. Paths on a command line start from the current
folder, as everywhere, and so do those of a config that lies in no project.
"""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from settings.options import run_options
from settings.text import for_terminal

log = logging.getLogger(__name__)

MARKS = ("trainSpeakerNet.py", "pyproject.toml")
NO_PATHS = ("", "true", "false")  # what an option that takes a file may say instead


def project_of(file: str | Path) -> Path | None:
    """The project that a file lies in; None where it lies in none."""
    folders = Path(file).resolve().parents
    return next((folder for folder in folders if any((folder / mark).is_file() for mark in MARKS)), None)


def found_from(file: str | Path, path: str, place: str = "") -> str:
    """A path that stands in a file, as the current folder has it: unchanged where that is the project, or none is.

    `place` begins a note on a path that the current folder has too, or it alone; without, there is none.
    """
    project = project_of(file)
    if Path(path).is_absolute() or project in (None, Path().resolve()):
        return path
    there = project / path
    if not exists(path):
        return str(there)
    alone, same = not exists(there), there.resolve() == Path(path).resolve()
    if place and not same:
        what = "taken from the current folder, since there is none in" if alone else "not the current folder's, but of"
        log.warning("note: %s", for_terminal(f"{place}: {path}: {what} {project}, where paths in this file start"))
    return path if alone else str(there)


def located(values: dict, file: str | Path, places: dict[str, str] | None = None) -> dict:
    """Option to value, as they stand in a file, with their paths as the current folder has them.

    `places`: where each stands, to begin notes.
    """

    def change(name: str, path: str) -> str:
        found = found_from(file, path, (places or {}).get(name, ""))
        return found if name in run_paths() or exists(found) else path  # a plug-in's may be a name on a hub

    return with_paths(values, change)


def portable(values: dict, file: str | Path) -> dict:
    """Option to value of this process, as they have to stand in a file: absolute where a relative path would move."""
    if project_of(file) == Path().resolve():
        return values

    def change(name: str, path: str) -> str:
        return str(Path(path).resolve()) if name in run_paths() or exists(path) else path

    return with_paths(values, change)


def with_paths(values: dict, change: Callable[[str, str], str]) -> dict:
    """The values, of which `change(name, path)` gives those that are paths anew."""

    def changed(name: str, value: object) -> object:
        return change(name, value) if isinstance(value, str) and value.lower() not in NO_PATHS else value

    found = dict(values)
    for name in filter(is_path, values):
        value = values[name]
        found[name] = [changed(name, item) for item in value] if isinstance(value, list) else changed(name, value)
    return found


def same_value(name: str, one: object, other: object) -> bool:
    """Whether two values of an option are the same; paths, where they lead to the same place."""
    first, second = (with_paths({name: value}, lambda _, path: str(Path(path).resolve())) for value in (one, other))
    return one == other or first == second


def exists(path: str | Path) -> bool:
    """Whether there is such a file or folder."""
    try:
        return Path(path).exists()
    except OSError:  # a name longer than any file's
        return False


def is_path(name: object) -> bool:
    """Whether an option names files or folders. A plug-in's does where its name says so: `ssl_path`."""
    return isinstance(name, str) and (name in run_paths() or name.endswith("_path"))


@cache
def run_paths() -> set[str]:
    """The run-wide options that name files or folders."""
    return {option.name for option in run_options() if option.path}
