"""A multi-part archive unpacked with 7-Zip into one folder: all of it or nothing, and nothing outside."""

import logging
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from corpus.lists import outside
from settings.errors import DataError
from settings.text import bulleted, for_terminal

log = logging.getLogger(__name__)

PROGRAMS = ("7zz", "7z", "7za")  # the names it goes by
MISSING = (
    "7-Zip is needed to unpack the multi-part archive, and none of 7zz, 7z and 7za is here. Install it (Debian, Ubuntu:"
    " apt install 7zip or p7zip-full; macOS: brew install sevenzip; Windows: 7-zip.org) and run the same command again:"
    " what is downloaded stays"
)
MOST_MEMBERS = 1_000_000  # MLAADv5 has 163,000
MOST_RATIO = 20  # of the unpacked size to the packed one; of speech it is below 3
ALWAYS_FINE = 1 << 28  # bytes unpacked, whatever the ratio
ALMOST_FULL = 1 << 20  # bytes left: what 7-Zip calls an error is then the disk's


@dataclass
class Member:
    """One file of an archive, as 7-Zip lists it."""

    path: str
    size: int = 0
    link: bool = False


def seven_zip() -> str:
    """The 7-Zip program. Raises DataError that says how to get it."""
    found = next((path for path in map(shutil.which, PROGRAMS) if path), None)
    if not found:
        raise DataError(MISSING)
    return found


def unpack(archive: Path, out: Path) -> list[str]:
    """Unpack into the folder `out`; the names that stand in it afterwards.

    Raises
    ------
    DataError
        7-Zip is missing or finds the archive damaged; the archive is a bomb, or larger than what the disk has left; a
        member leads outside or is a link; or `out` holds one of the archive's names already. Nothing is left in `out`
        then.
    """
    program = seven_zip()
    number, size = checked_members(program, archive)
    free = shutil.disk_usage(out).free
    if size > free:
        raise DataError(f"{archive}: {size:,} bytes to unpack, and the disk has room for {free:,}")
    log.info("unpacking %s: %s files, %.1f GB", archive.name, f"{number:,}", size / 1e9)
    work = out / ".unpacking"
    shutil.rmtree(work, ignore_errors=True)  # what a killed run left
    work.mkdir(parents=True)
    try:
        extract(program, archive, work)
        strays = [str(path.relative_to(work)) for path in work.rglob("*") if path.is_symlink()]
        if strays:
            raise DataError(bulleted(f"{archive}: {len(strays)} links refused", strays))
        names = sorted(path.name for path in work.iterdir())
        there = [name for name in names if (out / name).exists()]
        if there:
            raise DataError(f"{out} holds {', '.join(there)} already: move that away to unpack {archive.name} again")
        for name in names:
            (work / name).rename(out / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return names


def checked_members(program: str, archive: Path) -> tuple[int, int]:
    """How many files an archive holds, and their bytes unpacked, by its own listing; nothing is unpacked.

    Raises DataError where a member leads outside the folder or is a link, or there is more than any corpus has.
    """
    packed = sum(path.stat().st_size for path in archive.parent.glob(f"{archive.stem}.*") if path.is_file())
    wrong, number, size = [], 0, 0
    for member in listed(program, archive):
        number, size = number + 1, size + member.size
        if number > MOST_MEMBERS or size > max(ALWAYS_FINE, MOST_RATIO * packed):
            unpacked = f"{number:,} files and {size:,} bytes or more"
            raise DataError(f"{archive}: refused, it unpacks to {unpacked} from {packed:,}: no archive of speech does")
        if why := outside(member.path, allow=False):
            wrong.append(for_terminal(why))
        elif member.link:
            wrong.append(f"{for_terminal(member.path)} is a link")
    if wrong:
        raise DataError(bulleted(f"{archive}: {len(wrong)} members refused, nothing is unpacked", wrong))
    return number, size


def listed(program: str, archive: Path) -> Iterator[Member]:
    """The members of an archive, read as 7-Zip prints them: however many there are, few are in memory at a time."""
    command = [program, "l", "-slt", "-ba", str(archive)]
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    member, other = None, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, **quiet) as process:
        try:
            for line in process.stdout:
                key, _, value = line.rstrip("\n").partition(" = ")
                if key == "Path":
                    if member:
                        yield member
                    member = Member(value)
                elif member and key == "Size":
                    member.size = int(value) if value.isascii() and value.isdecimal() else 0
                elif member and key in ("Symbolic Link", "Hard Link"):
                    member.link |= bool(value)
                elif member and key == "Attributes":
                    member.link |= " l" in f" {value}"
                elif len(other) < 100:
                    other.append(line)
        except GeneratorExit:  # the caller has seen enough
            process.kill()
            raise
    if process.returncode > 0:
        raise DataError(f"{archive}: 7-Zip fails ({last_words(other)})")
    if member:
        yield member


def extract(program: str, archive: Path, work: Path) -> None:
    """Unpack all into the folder `work`. Raises DataError with 7-Zip's last words where it fails."""
    command = [program, "x", "-y", "-bd", f"-o{work}", str(archive)]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        free = shutil.disk_usage(work).free
        if free < ALMOST_FULL:
            raise DataError(f"{archive}: the disk is full ({free:,} bytes are left below {work.parent})")
        raise DataError(f"{archive}: 7-Zip fails ({last_words((done.stderr + done.stdout).splitlines())})")


def last_words(lines: list[str]) -> str:
    """What 7-Zip says of why it failed."""
    said = [line.strip() for line in lines if line.strip().startswith(("ERROR: ", "Missing volume", "CRC Failed"))]
    return for_terminal("; ".join(said[:3])) or "a part is missing or damaged"
