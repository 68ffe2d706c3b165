"""Words for likelihood ratios, from a table that anyone can edit."""

import csv
from dataclasses import dataclass
from pathlib import Path

from settings.errors import DataError
from settings.files import read_text

LARGEST = 1 << 20  # bytes
TABLE = Path(__file__).parent / "verbal_scale.csv"


@dataclass(frozen=True)
class Scale:
    """Rising log10 ratios, and the words from each upwards."""

    source: str
    levels: list[float]
    words: list[str]

    def of(self, log10_lr: float) -> str:
        """The words for a ratio's size, whichever proposition it supports.

        Examples
        --------
        >>> Scale("", [0.0, 1.0], ["no support", "support"]).of(-1.5)
        'support'
        """
        return [word for level, word in zip(self.levels, self.words, strict=True) if level <= abs(log10_lr)][-1]

    def sentence(self, log10_lr: float, first: str, second: str) -> str:
        """What a ratio says of two propositions: never that one of them is so."""
        words = self.of(log10_lr)
        if words == self.words[0]:
            return f"supports neither {first} nor {second} (log10 LR {log10_lr:+.2f}: {words})"
        one, other = (first, second) if log10_lr > 0 else (second, first)
        return f"supports {one} over {other} (log10 LR {log10_lr:+.2f}: {words})"


def read_scale(path: str | Path = TABLE) -> Scale:
    """Read a table `log10_lr,words`; `# Source:` says where it is from. Raises DataError for other files."""
    lines = read_text(path, LARGEST, DataError).splitlines()
    source = " ".join(line.removeprefix("# Source:").strip() for line in lines if line.startswith("# Source:"))
    try:
        rows = list(csv.DictReader(line for line in lines if line.strip() and not line.startswith("#")))
        levels, words = [float(row["log10_lr"]) for row in rows], [row["words"].strip() for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error):
        raise DataError(f"{path}: a verbal scale has the columns log10_lr,words, the first of them numbers") from None
    if not levels or levels[0] != 0 or any(a >= b for a, b in zip(levels, levels[1:], strict=False)) or not all(words):
        raise DataError(f"{path}: the ratios of a verbal scale start with 0 and rise, and each has words")
    return Scale(source, levels, words)
