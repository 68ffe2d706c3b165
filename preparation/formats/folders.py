"""A folder of audio without any list: a folder for each system, or MLAAD's fake/<language>/<system>/."""

from pathlib import Path

from corpus.lists import UtteranceList
from preparation.formats.plain import AUDIO
from preparation.formats.rows import table
from settings.errors import DataError


def recognise(source: Path) -> bool:
    return source.is_dir()


def read(source: Path) -> UtteranceList:
    """Every audio file below the folder, sorted. Raises DataError where some lie in no system's folder."""
    depth = 2 if (source / "fake").is_dir() else 0  # of the system's folder
    rows, stray = [], []
    for file in sorted(path for path in source.rglob("*") if path.suffix.lower() in AUDIO):
        parts = file.relative_to(source).parts
        if any(part.startswith(".") for part in parts):
            continue  # what macOS and editors leave behind
        if len(parts) < depth + 2 or (depth and parts[0] != "fake"):
            stray.append(f"{file}: not in a folder of a system")
        else:
            rows.append((len(rows) + 1, "/".join(parts), parts[depth], "", ""))
    if not rows and not stray:
        raise DataError(f"{source}: no audio files below it ({', '.join(AUDIO)})")
    return table(source, rows, stray)
