"""A list file to a table: which utterance is of which system, in which language, under which condition.

Two forms are read: CSV with a header that has `path` and `model_name` (the official protocol's; `language` and
`condition` where given; commas, semicolons or tabs between), and voxceleb_trainer's two columns, `label path`.
"""

import csv
import io
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from engine.atomic_files import write_text
from settings.errors import DataError
from settings.files import open_regular, read_bytes
from settings.text import bulleted, shown, unusable

log = logging.getLogger(__name__)

LARGEST = 1 << 30  # bytes of a list
COLUMNS = ("path", "model_name", "language", "condition")  # the first two are needed
SEPARATORS = ",;\t"
OTHER_NAMES = {  # what people call those columns, so that a wrong header is known for one
    *("file", "filename", "file_name", "filepath", "audio", "wav", "utterance", "utt", "label", "system", "model"),
    *("speaker", "class", "attack", "source", "lang"),
}


@dataclass(frozen=True)
class UtteranceList:
    """A list as a table, N rows. `lines` are their line numbers in `source`; an unknown language or condition is ''."""

    source: str
    paths: list[str]
    systems: list[str]
    languages: list[str]
    conditions: list[str]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.paths)

    def files(self, root: str | Path) -> list[str]:
        """The paths below the folder `root`; absolute ones as they are."""
        return [located(root, path) for path in self.paths]

    def classes(self) -> list[str]:
        """The systems, sorted: the order of the class labels."""
        return sorted(set(self.systems))

    def labels(self, classes: list[str]) -> np.ndarray:
        """(N,) int64 index of each row's system in `classes`. Raises DataError where a system is none of them."""
        index = {name: i for i, name in enumerate(classes)}
        unknown = [i for i, name in enumerate(self.systems) if name not in index]
        if unknown:
            raise DataError(bulleted(f"{len(unknown)} rows of unknown systems", [self.place(i) for i in unknown]))
        return np.array([index[name] for name in self.systems], np.int64)

    def take(self, rows: list[int]) -> "UtteranceList":
        """The list of these rows, in this order."""
        columns = ("paths", "systems", "languages", "conditions", "lines")
        return replace(self, **{name: [getattr(self, name)[row] for row in rows] for name in columns})

    def without_repeats(self) -> "UtteranceList":
        """The list without the rows whose path stands before them."""
        return self.take(first_of_each(self.paths).tolist())

    def place(self, row: int) -> str:
        return f"{self.source} line {self.lines[row]}: {self.paths[row]} ({self.systems[row]})"


def located(root: str | Path, path: str) -> str:
    """A list's path below the folder that its paths start from; an absolute one as it is."""
    return path if PurePath(path).is_absolute() else f"{root}/{path}"


def check_root(root: str | Path, paths: Sequence[str]) -> None:
    """Raises DataError, one for all lists, where the folder that relative paths start from does not exist."""
    if not Path(root).is_dir() and not all(PurePath(path).is_absolute() for path in paths):
        raise DataError(f"{root}: no such folder, where the lists' paths should start (--path, --train_path)")


def read_list(path: str | Path, allow_outside: bool = False) -> UtteranceList:
    """The table of a list file.

    Raises
    ------
    DataError
        The file is missing, empty, not UTF-8, lacks a column, has a broken line, or names a path outside its folder
        (absolute, or with `..`) without `allow_outside`. Every broken line is named, up to a readable number.
    """
    table = parse_list(read_bytes(path, LARGEST, DataError), str(path), allow_outside)
    warn_of_repeats(table)
    return table


def parse_list(content: bytes, source: str, allow_outside: bool = False) -> UtteranceList:
    """The same of a list's content, without a word on repeats; `source` names it in messages."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 text (byte {error.start})") from None
    if not text.strip():
        raise DataError(f"{source}: the list is empty")
    separator = separator_of(text.lstrip().split("\n", 1)[0])
    rows = csv_rows(text, source, separator) if separator else two_column_rows(text)
    paths, systems, languages, conditions, lines, broken = [], [], [], [], [], []
    for line, row in rows:
        wrong = row if isinstance(row, str) else unfit(row, allow_outside)
        if wrong:
            broken.append(f"{source} line {line}: {wrong}")
            continue
        name, system, language, condition = row
        name = name.removeprefix("./")
        for column, cell in ((paths, name), (systems, system), (lines, line), (conditions, condition)):
            column.append(cell)
        languages.append(language or language_of(name))
    if broken:
        raise DataError(bulleted(f"{source}: {len(broken)} lines cannot be used", broken))
    if not paths:
        raise DataError(f"{source}: the list has a header and no rows")
    return UtteranceList(source, paths, systems, languages, conditions, lines)


def write_list(table: UtteranceList, path: str | Path) -> None:
    """Write path, model_name, language, condition as CSV, whole or not at all. Raises ConfigError as `write_text`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(table.paths, table.systems, table.languages, table.conditions, strict=True))
    write_text(path, text.getvalue())


def separator_of(line: str) -> str:
    """What separates the columns that a list's first line names: comma, semicolon or tab; '' where it names none.

    A header is a line of words (no paths) of which one at least is a column's name, or what people call it instead.
    """
    best, found = 0, ""
    for separator in SEPARATORS:
        cells = [cell.strip().strip('"').lower() for cell in line.split(separator)]
        named = sum(cell in COLUMNS or cell in OTHER_NAMES for cell in cells)
        if all(re.fullmatch(r"[^/\\.]*", cell) for cell in cells) and named > best:
            best, found = named, separator
    return found


def csv_rows(text: str, source: str, separator: str):
    """(line, (path, system, language, condition)), or (line, what is wrong with it), for each row below the header."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    header = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                columns = [header.index(c) if c in header else None for c in COLUMNS]
                missing = [c for c in COLUMNS[:2] if c not in header]
                if missing or len(set(header)) < len(header):
                    what = f"no column {' and '.join(missing)}" if missing else "a column is named twice"
                    seen = shown(separator.join(header))
                    raise DataError(f"{source} line {reader.line_num}: {what} in the header {seen}")
                continue
            row = tuple("" if i is None or i >= len(cells) else cells[i].strip() for i in columns)
            if len(cells) != len(header):
                yield reader.line_num, f"{len(cells)} cells where the header has {len(header)}"
            elif not row[0] or not row[1]:
                yield reader.line_num, "the path is empty" if not row[0] else "the model_name is empty"
            else:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{source} line {reader.line_num}: {error}") from None


def two_column_rows(text: str):
    """The same for lines of `label path`; a path may hold spaces, a label may not."""
    for line, content in enumerate(text.split("\n"), 1):
        cells = content.strip().split(maxsplit=1)
        if len(cells) == 1:
            yield line, "expected 'label path', or a CSV file whose first line names the columns path,model_name"
        elif cells and cells[0] in ("0", "1") and len(cells[1].split()) == 2:
            yield line, "this is a trial (label path path), not an utterance: it belongs in a trial list"
        elif cells:
            yield line, (cells[1], cells[0], "", "")


def trial_paths(path: str | Path) -> list[str]:
    """The paths of a trial list, lines of 'label path path' with label 1 or 0, each once; none of any other file."""
    paths: dict[str, None] = {}
    try:
        with open_regular(path, DataError) as file, io.TextIOWrapper(file, encoding="utf-8-sig") as text:
            for words in map(str.split, text):
                if words and (len(words) != 3 or words[0] not in ("0", "1")):
                    return []
                paths |= dict.fromkeys(word.removeprefix("./") for word in words[1:])
    except (DataError, UnicodeDecodeError):  # whoever reads it as a list has more to say
        return []
    return list(paths)


def unfit(row: tuple[str, ...], allow_outside: bool) -> str:
    """What is wrong with a row's path, system, language or condition; '' where nothing is."""
    for column, cell in zip(COLUMNS, row, strict=True):
        if unusable(cell):
            return f"the {column} {unusable(cell)}: {shown(cell)}"
    name = row[0].removeprefix("./")
    return outside(name, allow_outside) if name else "the path is empty"


def outside(path: str, allow: bool) -> str:
    """What is wrong with a path that leaves the folder it belongs to; '' where nothing is."""
    pure = PurePosixPath(path.replace("\\", "/"))
    if not allow and (pure.is_absolute() or ".." in pure.parts):
        return f"{path} leaves the data folder"
    return ""


def language_of(path: str) -> str:
    """The folder after `fake/` in MLAAD's layout, '' elsewhere."""
    folders = PurePosixPath(path).parts[:-1]
    after = folders.index("fake") + 1 if "fake" in folders else len(folders)
    return folders[after] if after < len(folders) else ""


def first_of_each(paths: Sequence[str]) -> np.ndarray:
    """(K,) rising rows whose path did not occur before."""
    return np.sort(np.unique(np.asarray(paths), return_index=True)[1])


def warn_of_repeats(table: UtteranceList) -> None:
    """Warn of paths listed twice, and of one path under two systems. Nothing is repaired."""
    repeated = {path: n for path, n in Counter(table.paths).items() if n > 1}
    if not repeated:
        return
    rows = sum(repeated.values()) - len(repeated)
    first = next(iter(repeated))
    log.warning("%s: %d rows repeat a path listed before, the first %s", table.source, rows, first)
    systems: dict[str, set] = {}
    for path, system in zip(table.paths, table.systems, strict=True):
        if path in repeated:
            systems.setdefault(path, set()).add(system)
    torn = [f"{path}: {', '.join(sorted(of))}" for path, of in systems.items() if len(of) > 1]
    if torn:
        log.warning("%s", bulleted(f"{table.source}: {len(torn)} paths stand under more than one system", torn))
