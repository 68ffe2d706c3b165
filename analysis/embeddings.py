"""Saved embeddings: an .npz file to a checked table, and back."""

import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from corpus.lists import language_of
from engine.atomic_files import atomic_write
from settings.errors import DataError
from settings.text import bulleted

NEEDED, OPTIONAL = ("embeddings", "labels", "paths"), ("languages", "conditions")


@dataclass(frozen=True)
class Embeddings:
    """N utterances and what is known of each.

    Attributes
    ----------
    vectors : (N, D) float32
    systems, paths, languages, conditions : N texts each; an unknown language or condition is ''
    """

    vectors: np.ndarray
    systems: list[str]
    paths: list[str]
    languages: list[str]
    conditions: list[str]

    def __len__(self) -> int:
        return len(self.systems)

    def classes(self) -> list[str]:
        """The systems, sorted: the order of the class labels."""
        return sorted(set(self.systems))

    def labels(self) -> np.ndarray:
        """(N,) int64 index of each utterance's system in `classes()`."""
        index = {name: i for i, name in enumerate(self.classes())}
        return np.array([index[name] for name in self.systems], np.int64)

    def counts(self) -> Counter:
        """System to number of utterances."""
        return Counter(self.systems)

    def unit(self) -> np.ndarray:
        """(N, D) float32 vectors scaled to length 1. Raises DataError where one is all zeros: it has no direction."""
        length = np.linalg.norm(self.vectors.astype(np.float64), axis=1)
        if not length.all():
            raise DataError(f"{self.paths[int(np.argmin(length))]}: its embedding is all zeros, so it has no cosine")
        return (self.vectors / length[:, None]).astype(np.float32)

    def remarks(self) -> list[str]:
        """Sentences on what an analysis cannot repair and its reader should know."""
        repeats = len(self) - len(set(self.paths))
        return [f"note: {repeats} rows repeat the path of another row, and are as near as can be to it"] * bool(repeats)

    def take(self, rows: np.ndarray) -> "Embeddings":
        """The utterances of `rows` (M,) int, in that order."""
        columns = (self.systems, self.paths, self.languages, self.conditions)
        return Embeddings(self.vectors[rows], *([column[row] for row in rows] for column in columns))


def read(path: str | Path) -> Embeddings:
    """The embeddings of an .npz file, as `--save_embeddings` writes it.

    Raises
    ------
    DataError
        The file is missing, is no .npz, lacks an array, or its arrays do not agree or hold NaN. Nothing in it is
        executed: arrays of Python objects are refused.
    """
    try:
        with Path(path).open("rb") as opened, np.load(zip_only(opened), allow_pickle=False) as file:
            missing = [name for name in NEEDED if name not in file]
            if missing:
                raise DataError(
                    f"{path}: no array {' and '.join(missing)} in it (it holds {', '.join(file) or 'none'})"
                )
            arrays = {name: file[name] for name in (*NEEDED, *OPTIONAL) if name in file}
            strange = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
            if strange:  # numpy gives the bytes of whatever is no array
                raise DataError(f"{path}: {', '.join(strange)} in it is no array")
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        what = "it holds Python objects, which are not read" if "allow_pickle" in str(error) else "not an .npz file"
        raise DataError(f"{path}: {what}") from None
    return checked(arrays, str(path))


def zip_only(file: BinaryIO) -> BinaryIO:
    """The file itself. Raises BadZipFile where it is no zip, which numpy would take for an array or a pickle."""
    if not zipfile.is_zipfile(file):
        raise zipfile.BadZipFile
    file.seek(0)
    return file


def checked(arrays: dict[str, np.ndarray], source: str) -> Embeddings:
    """The table of an .npz file's arrays. A language that is not given is read off a path in MLAAD's layout."""
    vectors = arrays["embeddings"]
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not vectors.size:
        raise DataError(f"{source}: embeddings must be (N, D) numbers, not {vectors.shape} of {vectors.dtype}")
    wrong = [f"{name} {a.shape}" for name, a in arrays.items() if name != "embeddings" and a.shape != vectors.shape[:1]]
    if wrong:
        raise DataError(f"{source}: {len(vectors)} embeddings, but {', '.join(wrong)}")
    texts = {name: [str(item) for item in a] for name, a in arrays.items() if name != "embeddings"}
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        culprits = [texts["paths"][i] for i in bad]
        raise DataError(bulleted(f"{source}: {len(bad)} embeddings hold NaN or infinity", culprits))
    return Embeddings(
        vectors.astype(np.float32, copy=False),
        texts["labels"],
        texts["paths"],
        texts.get("languages") or [language_of(path) for path in texts["paths"]],
        texts.get("conditions") or [""] * len(vectors),
    )


def write(path: str | Path, embeddings: Embeddings) -> None:
    """An .npz file that `read` reads."""
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            embeddings=embeddings.vectors,
            labels=np.array(embeddings.systems),
            paths=np.array(embeddings.paths),
            languages=np.array(embeddings.languages),
            conditions=np.array(embeddings.conditions),
        )
