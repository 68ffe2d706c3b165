"""MLAAD's own metadata: fake/<language>/<system>/meta.csv, with `|` between the columns and nothing quoted.

Used are the columns path (from MLAAD's folder, or a bare file name), model_name, and language, where there is one.
"""

from pathlib import Path, PurePosixPath

from corpus.lists import UtteranceList
from preparation.formats.rows import lines, table
from settings.errors import DataError

METADATA = "fake/*/*/meta.csv"


def root_of(source: Path) -> Path:
    """MLAAD's folder, where it or the `fake` in it was named."""
    return source.resolve().parent if source.name == "fake" and source.is_dir() else source


def recognise(source: Path) -> bool:
    return source.is_dir() and any(root_of(source).glob(METADATA))


def read(source: Path) -> UtteranceList:
    """The rows of all meta.csv files, one after the other; their paths start from the folder that holds `fake`."""
    root = root_of(source)
    files = sorted(root.glob(METADATA))
    if not files:
        raise DataError(f"{source}: no {METADATA} in it")
    rows, broken = [], []
    for file in files:
        text = lines(file)
        header = [cell.strip() for cell in text[0].split("|")] if text else []
        missing = [name for name in ("path", "model_name") if name not in header]
        if missing:
            broken.append(f"{file}: no column {' and '.join(missing)}")
            continue
        for line, content in enumerate(text[1:], 2):
            cells = content.split("|")
            if not content.strip():
                continue
            if len(cells) != len(header):
                broken.append(f"{file} line {line}: {len(cells)} cells where the header has {len(header)}")
                continue
            row = dict(zip(header, cells, strict=True))
            folder = file.parent.relative_to(root).as_posix()
            rows.append((line, placed(row["path"].strip(), folder), row["model_name"], row.get("language", ""), ""))
    return table(source, rows, broken)


def placed(path: str, folder: str) -> str:
    """A path as it stands in meta.csv, from MLAAD's folder on."""
    path = path.removeprefix("./")
    return path if PurePosixPath(path).parts[:1] == ("fake",) or not path else f"{folder}/{path}"
