"""Results to files; writes are atomic."""

import csv
from pathlib import Path

import numpy as np

from engine.atomic_files import atomic_write
from settings.errors import ConfigError
from settings.text import for_csv


def folder(path: str | Path) -> Path:
    """The folder, made where it is not there yet. Raises ConfigError where it cannot be."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {path}: {error.strerror}") from None
    return Path(path)


def write_bytes(path: Path, content: bytes) -> None:
    """A picture."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_rows(path: Path, rows: list[list]) -> None:
    """A CSV file."""
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def write_matrix(path: Path, matrix: np.ndarray, names: list[str], corner: str) -> None:
    """A square matrix as CSV with the names on both sides."""
    names = [for_csv(name) for name in names]
    rows = [[name, *row] for name, row in zip(names, matrix.tolist(), strict=True)]
    write_rows(path, [[corner, *names], *rows])
