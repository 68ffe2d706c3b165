"""Lists as this project reads them anyway: CSV with path and model_name, or voxceleb_trainer's two columns."""

from pathlib import Path

from corpus.lists import UtteranceList, read_list
from preparation.formats.rows import first_cells

AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au")


def recognise(source: Path) -> bool:
    cells = first_cells(source)
    header = {cell.strip() for cell in " ".join(cells).split(",")}
    return {"path", "model_name"} <= header or (len(cells) >= 2 and cells[-1].lower().endswith(AUDIO))


def read(source: Path) -> UtteranceList:
    return read_list(source)
