"""ASVspoof 2019 LA countermeasure protocols: `LA_0079 LA_T_1138215 - A01 spoof`, no header. The attack is the system.

Columns: speaker, file, environment (physical access only), attack (`-` for genuine speech), key. The files are
ASVspoof2019_LA_train/flac/LA_T_1138215.flac and so on, below the database's folder LA.
"""

import re
from pathlib import Path

from corpus.lists import UtteranceList
from preparation.formats.rows import BONAFIDE, by_columns, first_cells

FOLDERS = {"T": "ASVspoof2019_LA_train", "D": "ASVspoof2019_LA_dev", "E": "ASVspoof2019_LA_eval"}
FILE = re.compile(r"LA_([TDE])_\d+")


def recognise(source: Path) -> bool:
    cells = first_cells(source)
    return len(cells) == 5 and bool(FILE.fullmatch(cells[1])) and cells[4] in ("spoof", BONAFIDE)


def read(source: Path) -> UtteranceList:
    return by_columns(source, 5, pick)


def pick(cells: list[str]) -> tuple[str, str] | str:
    _, file, _, attack, key = cells
    name = FILE.fullmatch(file)
    if not name:
        return f"{file} is no file name of ASVspoof 2019 LA"
    if key not in ("spoof", BONAFIDE) or (attack == "-") != (key == BONAFIDE):
        return f"attack {attack} and key {key} do not go together"
    return f"{FOLDERS[name[1]]}/flac/{file}.flac", BONAFIDE if key == BONAFIDE else attack
