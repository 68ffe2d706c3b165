"""ADD 2023 track 3 label files: `ADD2023_T3_T_00000000.wav 5`, no header. The class is the system.

The class is kept as the number that it is (`class_5`): which number means genuine speech is for the challenge's own
description to say. The files lie in wav/ beside the label file. Written after published code that reads these files.
"""

import re
from pathlib import Path

from corpus.lists import UtteranceList
from preparation.formats.rows import first_cells, lines, table

FILE = re.compile(r"ADD2023_T3[\w.]*_\d+(\.wav)?")


def recognise(source: Path) -> bool:
    cells = first_cells(source)
    return 2 <= len(cells) <= 3 and bool(FILE.fullmatch(cells[0])) and cells[-1].isdigit()


def read(source: Path) -> UtteranceList:
    rows, broken = [], []
    for line, text in enumerate(lines(source), 1):
        cells = text.split()
        if not cells:
            continue
        if not 2 <= len(cells) <= 3 or not FILE.fullmatch(cells[0]) or not cells[-1].isdigit():
            broken.append(f"{source} line {line}: expected a file name and the number of a class")
            continue
        name = cells[0] if cells[0].endswith(".wav") else f"{cells[0]}.wav"
        rows.append((line, f"{source.resolve().parent.name}/wav/{name}", f"class_{cells[-1]}", "", ""))
    return table(source, rows, broken)
