"""Saved embeddings: an .npz file to a checked table, and back."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.embedding_file import SavedEmbeddings, read_embeddings, write_embeddings
from engine.diagnostics import COLLAPSED, mean_cosine
from settings.errors import DataError


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
        repeats, cosine, found = len(self) - len(set(self.paths)), mean_cosine(self.vectors), []
        if repeats:
            found.append(f"note: {repeats} rows repeat the path of another row, and are as near as can be to it")
        if cosine > COLLAPSED and len(self) > 1:
            found.append(
                f"warning: the embeddings are nearly equal (mean cosine {cosine:.5f}), as where training has collapsed "
                "or hardly begun: what follows rests on small differences"
            )
        return found

    def take(self, rows: np.ndarray) -> "Embeddings":
        """The utterances of `rows` (M,) int, in that order."""
        columns = (self.systems, self.paths, self.languages, self.conditions)
        return Embeddings(self.vectors[rows], *([column[row] for row in rows] for column in columns))


def read(path: str | Path) -> Embeddings:
    """The embeddings of an .npz file, as `--save_embeddings` writes it. Raises DataError as `read_embeddings`."""
    saved = read_embeddings(path)
    missing = [name for name in ("labels", "paths") if getattr(saved, name) is None]
    if missing:
        raise DataError(f"{path}: no array {' and '.join(missing)} in it")
    columns = (saved.labels, saved.paths, saved.languages, saved.conditions)
    unknown = [""] * len(saved)
    return Embeddings(saved.embeddings, *(unknown if column is None else column.tolist() for column in columns))


def write(path: str | Path, embeddings: Embeddings) -> None:
    """An .npz file that `read` reads."""
    columns = (embeddings.systems, embeddings.paths, embeddings.languages, embeddings.conditions)
    write_embeddings(path, SavedEmbeddings(embeddings.vectors, *map(np.array, columns)))
