"""Files written whole: whoever reads one finds the old content or the new, never half of it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from settings.errors import ConfigError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success flush it to disk and rename it, on failure remove it.

    The folder is made where it is missing. Raises ConfigError where the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success rename it to `path`, on failure remove it.

    Raises ConfigError where `path` holds something already, or cannot be written.
    """
    path = Path(path).absolute()
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"{path} is there already: name a new folder, or remove it")
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for file in (file for file in temporary.rglob("*") if file.is_file()):
                with file.open("rb+") as opened:
                    os.fsync(opened.fileno())
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None


def link_or_copy(source: Path, path: Path) -> None:
    """Let `path` be what `source` is now: a hard link, which costs nothing, or a copy where there are none."""
    with atomic_write(path) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def write_text(path: str | Path, text: str) -> None:
    """`text` as UTF-8, whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
