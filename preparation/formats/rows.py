"""What the readers share: the lines of a text file, and rows to a checked table."""

from collections.abc import Iterable
from pathlib import Path

from corpus.lists import UtteranceList, language_of, outside
from settings.errors import DataError
from settings.files import read_text
from settings.text import bulleted, shown, unusable

BONAFIDE = "bonafide"
LARGEST = 1 << 28  # bytes of a protocol; ASVspoof 5 has 180,000 lines, 10 MB
SPLITS = {"train": "train", "trn": "train", "dev": "dev", "eval": "test", "test": "test", "trl": "test"}


def lines(source: Path) -> list[str]:
    """The lines of a UTF-8 file. Raises DataError where there is no such file or it is something else."""
    return read_text(source, LARGEST, DataError).splitlines()


def first_cells(source: Path) -> list[str]:
    """The words of the first line that has any; [] for a folder, for what is no text, and for an empty file."""
    return first_line(source).split()


def first_line(source: Path) -> str:
    """The first line that is not blank; '' where there is none."""
    if not source.is_file():
        return ""
    with source.open("rb") as file:
        head = file.read(65_536).decode("utf-8-sig", "replace")
    return next((line for line in head.splitlines() if line.strip()), "")


def table(source: Path, rows: Iterable[tuple], broken: list[str] | None = None) -> UtteranceList:
    """Rows of (line, path, system, language, condition) as a list; an empty language is taken from the path.

    Raises
    ------
    DataError
        Lines are `broken`, a path leaves the folder, a path or system is empty, or there are no rows.
    """
    broken, kept = list(broken or []), []
    for line, path, system, language, condition in rows:
        path, system = path.strip().removeprefix("./"), system.strip()
        wrong = outside(path, allow=False) or ("" if path and system else "the path or the system is empty")
        wrong = wrong or next(
            (f"{shown(cell)} {unusable(cell)}" for cell in (path, system, language) if unusable(cell)), ""
        )
        if wrong:
            broken.append(f"{source} line {line}: {wrong}")
        else:
            kept.append((path, system, language.strip() or language_of(path), condition, line))
    if broken:
        raise DataError(bulleted(f"{source}: {len(broken)} lines cannot be used", broken))
    if not kept:
        raise DataError(f"{source}: no utterances")
    paths, systems, languages, conditions, numbers = (list(column) for column in zip(*kept, strict=True))
    return UtteranceList(str(source), paths, systems, languages, conditions, numbers)


def by_columns(source: Path, width: int, pick) -> UtteranceList:
    """A headerless file of `width` columns between blanks; `pick(cells)` gives (path, system), or what is wrong."""
    rows, broken = [], []
    for line, text in enumerate(lines(source), 1):
        cells = text.split()
        if not cells:
            continue
        found = pick(cells) if len(cells) == width else f"{len(cells)} columns where {width} are expected"
        if isinstance(found, str):
            broken.append(f"{source} line {line}: {found}")
        else:
            rows.append((line, *found, "", ""))
    return table(source, rows, broken)


def split_of(source: Path) -> str:
    """train, dev or test, by the name of a protocol file; else the name itself."""
    words = source.stem.lower().replace("-", ".").replace("_", ".").split(".")
    return next((SPLITS[word] for word in words if word in SPLITS), source.stem)
