"""MD5 sums as md5sum writes and checks them, each file read once for as long as it does not change."""

import hashlib
import json
import re
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from engine.atomic_files import write_text
from settings.errors import ConfigError, DataError
from settings.files import read_json, read_text

LINE = re.compile(r"\\?([0-9a-fA-F]{32}) [ *](.+)")
CHUNK = 1 << 20
LARGEST = 1 << 24  # bytes of a file of sums


def read_sums(path: Path) -> dict[str, str]:
    """File name to MD5, of a file as md5sum writes it. Raises DataError where a line is something else."""
    sums = {}
    for line, text in enumerate(read_text(path, LARGEST, DataError).splitlines(), 1):
        found = LINE.fullmatch(text.strip())
        if found:
            sums[PurePosixPath(found[2]).name] = found[1].lower()
        elif text.strip():
            raise DataError(f"{path} line {line}: no MD5 sum and file name; remove the file and fetch it again")
    return sums


class Verifier:
    """Checks files of one folder against their sums, and remembers in .verified.json which it has read.

    That file saves reading hundreds of gigabytes again, and is only as good as the folder: who can write there can
    forge it. What is unpacked is therefore read once more, unless this very process has read it.
    """

    def __init__(self, folder: Path):
        self.notes = folder / ".verified.json"
        self.read_now: dict[str, list] = {}
        try:
            self.known = read_json(self.notes)
        except ConfigError:  # none yet, or damaged: the files are read again
            self.known = {}

    def check(self, path: Path, expected: str, remembered: bool = True) -> bool:
        """Whether the file was read for it. `remembered`: what an earlier run has read need not be.

        Raises DataError where the file has another sum; it is then set aside as NAME.wrong.
        """
        status = path.stat()
        note = [status.st_size, status.st_mtime_ns, expected]
        if self.read_now.get(path.name) == note:
            return True
        if remembered and self.known.get(path.name) == note:
            return False
        found = md5(path)
        if found != expected:
            aside = path.with_name(f"{path.name}.wrong")
            path.replace(aside)
            raise DataError(f"{path}: MD5 {found}, published is {expected}; set aside as {aside.name}, run again")
        self.known[path.name] = self.read_now[path.name] = note
        write_text(self.notes, json.dumps(self.known))
        return True


def md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    bar = tqdm(
        desc=f"checking {path.name}", total=path.stat().st_size, unit="B", unit_scale=True, leave=False, disable=None
    )
    with bar, path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
