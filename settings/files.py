"""Files that others may have written, read without trust: regular files, bounded in size; JSON of plain values."""

import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from settings.errors import ConfigError, UserError
from settings.text import for_terminal, shown, unusable

LARGEST_JSON = 1 << 26  # bytes; an epoch's row has about 400, and results with all curves have a megabyte


@contextmanager
def open_regular(path: str | Path, error: type[UserError] = ConfigError) -> Iterator[BinaryIO]:
    """A regular file, open for reading. Raises `error` where it is missing, or a device or pipe, never waited for."""
    if unusable(str(path)):
        raise error(f"the path {shown(str(path))} {unusable(str(path))}")
    try:
        with open(path, "rb", opener=without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # of what is open, so that it is what is read
                raise error(f"{path}: not a file")
            yield file
    except OSError as mistake:
        raise error(f"{path}: {mistake.strerror or mistake}") from None


def read_bytes(path: str | Path, most: int, error: type[UserError] = ConfigError) -> bytes:
    """The content of a regular file. Raises `error` as `open_regular`, and where it is longer than `most`."""
    with open_regular(path, error) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise error(f"{path}: larger than {most:,} bytes, which no such file is")
    return content


def without_waiting(path: str, flags: int) -> int:
    """Open a pipe too at once, which would else wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_text(path: str | Path, most: int, error: type[UserError] = ConfigError) -> str:
    """The same as text in UTF-8, a byte order mark removed. Raises `error` where it is something else."""
    try:
        return read_bytes(path, most, error).decode("utf-8-sig")
    except UnicodeDecodeError as mistake:
        raise error(f"{path}: not UTF-8 text (byte {mistake.start})") from None


def parse_json(text: str, place: str) -> object:
    """The value of JSON text: finite numbers, no key twice. Raises ConfigError, which `place` begins."""

    def finite(number: str) -> float:
        value = float(number)
        return value if math.isfinite(value) else refuse(number)

    def refuse(number: str) -> NoReturn:
        raise ValueError(f"{number[:20]} is no finite number")

    def once(pairs: list[tuple[str, object]]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is given twice")
        return dict(pairs)

    try:
        return json.loads(text, parse_float=finite, parse_constant=refuse, object_pairs_hook=once)
    except RecursionError:
        raise ConfigError(f"{place}: nested too deeply") from None
    except ValueError as mistake:
        raise ConfigError(f"{place}: not JSON ({for_terminal(str(mistake))})") from None


def read_json(path: str | Path) -> dict:
    """The object of a JSON file. Raises ConfigError where it is missing, or holds anything else."""
    value = parse_json(read_text(path, LARGEST_JSON), str(path))
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected an object, {{...}}, not {shown(value)}")
    return value


def read_json_lines(path: str | Path) -> list[dict]:
    """The objects of a file with one on each line. Raises ConfigError with the file and the line."""
    rows = []
    for line, text in enumerate(read_text(path, LARGEST_JSON).split("\n"), 1):
        if not text.strip():
            continue
        row = parse_json(text, f"{path} line {line}")
        if not isinstance(row, dict):
            raise ConfigError(f"{path} line {line}: expected an object, {{...}}, not {shown(row)}")
        rows.append(row)
    return rows
