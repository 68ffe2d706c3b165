"""Lists as this project reads them anyway: CSV with path and model_name, or voxceleb_trainer's two columns."""

from pathlib import Path

from corpus.lists import UtteranceList, read_list, separator_of
from preparation.formats.rows import first_cells, first_line

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au")


def recognise(source: Path) -> bool:
    cells = first_cells(source)
    return bool(separator_of(first_line(source))) or (len(cells) >= 2 and cells[-1].lower().endswith(AUDIO))


def read(source: Path) -> UtteranceList:
    return read_list(source)
