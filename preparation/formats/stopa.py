"""STOPA protocols: the attack, AA01 to AA13, is the system. Two forms are in use.

With a header that names `Filename` and `ATK` (the trial protocols: a file stands there once for every hypothesis, and
once in the list), and without, in ASVspoof 2019's five columns: `LA_0087 LA_T_AA12_p267_p307_266.wav - AA12 spoof`. The
files lie in TEE/wav, EET/wav and Trials/wav of the unpacked archive; a protocol's folder, or its name, says which.
Written after published code that reads these files, not after the files themselves.
"""

import re
from pathlib import Path

from corpus.lists import UtteranceList
from preparation.formats.rows import by_columns, first_cells, lines, table
from settings.errors import DataError

ATTACK = re.compile(r"AA\d\d")
PARTS = ("TEE", "EET", "Trials")


def recognise(source: Path) -> bool:
    cells = [cell.lower() for cell in separated(" ".join(first_cells(source)))]
    headed = "filename" in cells and "atk" in cells
    return headed or (len(cells) == 5 and bool(ATTACK.fullmatch(cells[3].upper())))


def read(source: Path) -> UtteranceList:
    folder = part_of(source)
    header = [cell.lower() for cell in separated(next(iter(lines(source)), ""))]
    if "filename" not in header or "atk" not in header:
        return by_columns(source, 5, lambda cells: pick(cells, folder))
    name, attack = header.index("filename"), header.index("atk")
    rows, broken = {}, []
    for line, text in enumerate(lines(source)[1:], 2):
        cells = separated(text)
        if not cells:
            continue
        if len(cells) != len(header) or not ATTACK.fullmatch(cells[attack]):
            broken.append(f"{source} line {line}: not the header's {len(header)} columns with an attack AA..")
            continue
        rows.setdefault((cells[name], cells[attack]), line)
    return table(source, ((line, f"{folder}/{file}", atk, "", "") for (file, atk), line in rows.items()), broken)


def pick(cells: list[str], folder: str) -> tuple[str, str] | str:
    if not ATTACK.fullmatch(cells[3]):
        return f"{cells[3]} is no attack of STOPA"
    return f"{folder}/{cells[1]}", cells[3]


def separated(text: str) -> list[str]:
    """The cells of a line, between commas, tabs or blanks."""
    return re.split(r"\s*[,;\t]\s*|\s+", text.strip()) if text.strip() else []


def part_of(source: Path) -> str:
    """The folder of the audio that a protocol belongs to."""
    words = re.split(r"[/\\_.\-]", str(source).lower())
    found = [part for part in PARTS if part.lower() in words]
    if not found:
        raise DataError(
            f"{source}: is this protocol of TEE, EET or Trials? Leave it in the archive's folder of that name"
        )
    return f"{found[-1]}/wav"
