"""ASVspoof 5 protocols (train, dev.track_1, eval.track_1): `T_4850 T_0000000000 F - - - AC3 A05 spoof -`, no header.

Columns: speaker, file, gender, codec, its quality, its seed, attack tag, attack label, key, one unused. The attack
label is the system. The archives unpack to flac_T, flac_D and flac_E_eval.
"""

import re
from pathlib import Path

from corpus.lists import UtteranceList
from preparation.formats.rows import BONAFIDE, by_columns, first_cells

FOLDERS = {"T": "flac_T", "D": "flac_D", "E": "flac_E_eval"}
FILE = re.compile(r"([TDE])_\d+")
KEYS = ("spoof", BONAFIDE)


def recognise(source: Path) -> bool:
    cells = first_cells(source)
    return len(cells) == 10 and bool(FILE.fullmatch(cells[1])) and cells[8] in KEYS


def read(source: Path) -> UtteranceList:
    return by_columns(source, 10, pick)


def pick(cells: list[str]) -> tuple[str, str] | str:
    file, attack, key = cells[1], cells[7], cells[8]
    name = FILE.fullmatch(file)
    if not name:
        return f"{file} is no file name of ASVspoof 5"
    if key not in KEYS or (attack in ("-", BONAFIDE)) != (key == BONAFIDE):
        return f"attack {attack} and key {key} do not go together"
    return f"{FOLDERS[name[1]]}/{file}.flac", BONAFIDE if key == BONAFIDE else attack
