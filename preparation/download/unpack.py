"""A multi-part archive unpacked with 7-Zip into one folder: all of it or nothing, and nothing outside."""

import shutil
import subprocess
from pathlib import Path

from corpus.lists import outside
from settings.errors import DataError
from settings.text import bulleted

PROGRAMS = ("7zz", "7z", "7za")  # the names it goes by
MISSING = (
    "7-Zip is needed to unpack the multi-part archive, and none of 7zz, 7z and 7za is here. Install it (Debian, Ubuntu:"
    " apt install 7zip or p7zip-full; macOS: brew install sevenzip; Windows: 7-zip.org) and run the same command again:"
    " what is downloaded stays"
)


def seven_zip() -> str:
    """The 7-Zip program. Raises DataError that tells how to get it."""
    found = next((path for path in map(shutil.which, PROGRAMS) if path), None)
    if not found:
        raise DataError(MISSING)
    return found


def unpack(archive: Path, out: Path) -> list[str]:
    """Unpack into the folder `out`; the names that stand in it afterwards.

    Raises
    ------
    DataError
        7-Zip is missing or finds the archive damaged; a member leads outside or is a link; or `out` holds one of the
        archive's names already. Nothing is left in `out` then.
    """
    program = seven_zip()
    refuse_strays(archive, run(program, "l", "-slt", "-ba", str(archive)))
    work = out / ".unpacking"
    shutil.rmtree(work, ignore_errors=True)  # what a killed run left
    work.mkdir(parents=True)
    try:
        run(program, "x", "-y", "-bd", f"-o{work}", str(archive))
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


def run(*command: str) -> str:
    """What 7-Zip prints. Raises DataError with its last words where it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        told = (line.strip() for line in (done.stderr + done.stdout).splitlines())
        said = [line for line in told if line.startswith(("ERROR: ", "Missing volume", "CRC Failed"))]
        reason = "; ".join(said[:3]) or "a part is missing or damaged"
        raise DataError(f"{command[-1]}: 7-Zip fails ({reason})")
    return done.stdout


def refuse_strays(archive: Path, listing: str) -> None:
    """Raises DataError where a member's name leads outside the folder, or a member is a link."""
    wrong, path = [], ""
    for line in listing.splitlines():
        key, _, value = line.partition(" = ")
        path = value if key == "Path" else path
        if key == "Path" and (why := outside(value, allow=False)):
            wrong.append(why)
        elif (key in ("Symbolic Link", "Hard Link") and value) or (key == "Attributes" and " l" in f" {value}"):
            wrong.append(f"{path} is a link")
    if wrong:
        raise DataError(bulleted(f"{archive}: {len(wrong)} members refused, nothing is unpacked", wrong))
