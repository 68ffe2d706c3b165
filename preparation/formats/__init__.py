"""Foreign protocols to lists: one small reader a form, all giving `lists.UtteranceList`.

A reader is a module with `recognise(source)`, true where a file or folder is of its form, and `read(source)`. Genuine
speech has the label BONAFIDE, for the caller to drop or keep.
"""

from pathlib import Path

from corpus.lists import UtteranceList
from preparation.formats import add2023, asvspoof5, asvspoof2019, folders, mlaad_tree, plain, stopa
from preparation.formats.rows import BONAFIDE
from settings.errors import DataError

__all__ = ["BONAFIDE", "READERS", "read", "recognise"]

READERS = {  # in this order recognised: what is most particular first
    "mlaad": mlaad_tree,
    "asvspoof5": asvspoof5,
    "stopa": stopa,
    "asvspoof2019": asvspoof2019,
    "add2023": add2023,
    "list": plain,
    "folders": folders,
}


def recognise(source: str | Path) -> str:
    """The name of the form that a file or folder is of. Raises DataError where it is missing or of none."""
    source = Path(source)
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    for name, reader in READERS.items():
        if reader.recognise(source):
            return name
    raise DataError(f"{source}: the form is not recognised; name it with --format ({', '.join(READERS)})")


def read(source: str | Path, form: str | None = None) -> UtteranceList:
    """The list of a file or folder, in the form named, else recognised. Raises DataError with every broken line."""
    return READERS[form or recognise(source)].read(Path(source))
