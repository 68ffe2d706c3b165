"""Copies of the train utterances as new classes: each once more at another speed, through a vocoder, or a codec.

wespeaker has speeds as classes of their own; with few systems to train on, copies are systems too. In a list a copy is
a row of its own: its path is `path@copy`, its system `system@copy`. Development and test lists have none.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from corpus import vocoders
from corpus.audio import AudioFiles, cut, load_audio
from corpus.augmentation import codecs
from corpus.augmentation.tempo import played
from corpus.decoding import MIN_SECONDS, SAMPLE_RATE
from corpus.lists import UtteranceList
from settings.errors import ConfigError, DataError
from settings.text import shown, suggestion

VOCODERS = {"griffinlim": vocoders.griffinlim, "mel": vocoders.mel, "world": vocoders.world}
NUMBERED = re.compile(r"(speed|opus|mp3_)(\d+(?:\.\d+)?)")  # the number is a factor, or a rate in kbit/s
BOUNDS = {"speed": (0.5, 2), "opus": (6, 256), "mp3_": (8, 160)}
MARK = "@"


def check_copy(name: object) -> None:
    """Raises ConfigError where no copy has this name, or its package is not installed."""
    if name == "world":
        vocoders.pyworld_module()
    if not is_copy(name):
        near = suggestion(str(name), [*VOCODERS, "speed0.9", "speed1.1", "opus16", "mp3_16"])
        numbered = ", ".join(f"{kind}N with N from {low:g} to {high}" for kind, (low, high) in BOUNDS.items())
        raise ConfigError(f"no copy {shown(name)}{near}; there is {', '.join(VOCODERS)}, {numbered}")


def is_copy(name: object) -> bool:
    """Whether a copy has this name. A number is written as shortly as can be, so that no copy has two names."""
    if not isinstance(name, str):
        return False
    found = NUMBERED.fullmatch(name)
    if not found or name == "speed1" or f"{float(found[2]):g}" != found[2]:
        return name in VOCODERS
    low, high = BOUNDS[found[1]]
    return low <= float(found[2]) <= high


def copied(samples: np.ndarray, copy: str) -> np.ndarray:
    """(T,) float32 to its copy, of the same length except for another speed. A function of the samples alone."""
    if copy in VOCODERS:
        return VOCODERS[copy](samples)
    kind, number = NUMBERED.fullmatch(copy).groups()
    if kind == "speed":
        return played(samples, float(number))
    coder = codecs.opus if kind == "opus" else codecs.mp3
    return coder(samples, np.random.default_rng(0), kbps=(float(number),) * 2)


def split_copy(path: str) -> tuple[str, str]:
    """The source's path and the copy's name ('' for none) of a path in an expanded list."""
    source, mark, name = path.rpartition(MARK)
    return (source, name) if mark and is_copy(name) else (path, "")


def load(path: str | Path) -> np.ndarray:
    """(T,) float32 at 16 kHz of a file, or of `file@copy`. Raises DataError as `load_audio`, or too short."""
    source, copy = split_copy(str(path))
    samples = load_audio(source)
    if not copy:
        return samples
    made = copied(samples, copy)
    if len(made) < MIN_SECONDS * SAMPLE_RATE:
        raise DataError(f"{path}: {len(made) / SAMPLE_RATE:.3f} s long; at least {MIN_SECONDS} s is needed")
    return made


class FilesAndCopies(AudioFiles):
    """The audio of a list in which copies stand, too. A copy is always made whole, as its source is changed."""

    def source(self, index: int) -> str:
        """The file that an utterance or a copy is read from."""
        return split_copy(str(self.paths[index]))[0]

    def load(self, index: int) -> np.ndarray:
        """(T,) float32, read and made anew."""
        return load(self.paths[index])

    def load_crops(self, index: int, starts: np.ndarray, length: int) -> np.ndarray:
        """(n, length) float32 of it, read and made anew."""
        if self.source(index) == str(self.paths[index]):
            return super().load_crops(index, starts, length)
        samples = self.load(index)
        return np.stack([cut(samples, start, length) for start in starts.tolist()])

    def measure(self, index: int) -> int:
        """Samples of it, read and made anew."""
        if self.source(index) == str(self.paths[index]):
            return super().measure(index)
        return len(self.load(index))


def with_copies(table: UtteranceList, copies: Sequence[str], classes: str = "system") -> UtteranceList:
    """The list followed by itself once for each copy.

    Parameters
    ----------
    table : UtteranceList
        Of N rows.
    copies : sequence of str
    classes : str
        "system": every system's copy is a class, `system@copy`; "copy": all systems' copies are one, `@copy`.

    Returns
    -------
    UtteranceList
        Of N · (1 + copies) rows.
    """
    columns = {name: list(getattr(table, name)) for name in ("paths", "systems", "languages", "conditions", "lines")}
    for copy in copies:
        columns["paths"] += [f"{path}{MARK}{copy}" for path in table.paths]
        columns["systems"] += [f"{system if classes == 'system' else ''}{MARK}{copy}" for system in table.systems]
        for name in ("languages", "conditions", "lines"):
            columns[name] += getattr(table, name)
    return replace(table, **columns)


def counted(real: Sequence[str], pseudo: Sequence[str]) -> str:
    """The classes in words.

    Examples
    --------
    >>> counted(["a", "b"], []), counted(["a", "b"], ["a@mel", "b@mel"])
    ('2 systems', '2 systems and 2 classes of copies')
    """
    copies = f" and {len(pseudo)} {'class' if len(pseudo) == 1 else 'classes'} of copies"
    return f"{len(real)} systems" + (copies if pseudo else "")


def class_names(table: UtteranceList) -> tuple[list[str], list[str]]:
    """The real systems, sorted, and the copies' classes, sorted: in this order they are the class labels."""
    rows = zip(table.paths, table.systems, strict=True)
    pseudo = {system for path, system in rows if split_copy(path)[1]}
    return sorted(set(table.systems) - pseudo), sorted(pseudo)
