"""Cosines: between systems on average, with look-alikes side by side, and the nearest neighbours of an utterance."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from analysis.embeddings import Embeddings
from settings.errors import DataError
from settings.text import for_terminal


def mean_cosines(embeddings: Embeddings) -> np.ndarray:
    """(C, C) float64 mean cosine over all pairs of utterances of two systems; within one system, of two different ones.

    NaN on the diagonal of a system with one utterance.
    """
    labels, unit = embeddings.labels(), embeddings.unit().astype(np.float64)
    counts = np.bincount(labels).astype(np.float64)
    sums = np.zeros((len(counts), unit.shape[1]))
    np.add.at(sums, labels, unit)
    means = sums @ sums.T / np.outer(counts, counts)
    # Of n² pairs within a system n are an utterance with itself, of cosine 1.
    with np.errstate(invalid="ignore", divide="ignore"):
        np.fill_diagonal(means, ((sums**2).sum(axis=1) - counts) / (counts * (counts - 1)))
    return means


def clustering(cosines: np.ndarray) -> np.ndarray | None:
    """scipy's linkage (C − 1, 4) by 1 − mean cosine, average linkage, leaves in the best order; None for one system."""
    if len(cosines) < 2:
        return None
    distance = 1 - (cosines + cosines.T) / 2
    np.fill_diagonal(distance, 0)
    return linkage(squareform(np.maximum(distance, 0), checks=False), "average", optimal_ordering=True)


def order(tree: np.ndarray | None) -> np.ndarray:
    """(C,) int: the systems in the order of the tree's leaves."""
    return np.zeros(1, np.int64) if tree is None else leaves_list(tree)


def look_alikes(cosines: np.ndarray, systems: list[str], most: int = 10) -> list[str]:
    """Sentences on the pairs of systems that lie nearest, the nearest first, with how alike each is to itself."""
    first, second = np.triu_indices(len(systems), 1)
    nearest = np.argsort(-cosines[first, second], kind="stable")[:most]
    pairs = zip(first[nearest], second[nearest], strict=True)
    within = cosines.diagonal()
    names = [for_terminal(system) for system in systems]
    return [
        f"{names[a]} and {names[b]}: mean cosine {cosines[a, b]:.3f} (within {within[a]:.3f} and {within[b]:.3f})"
        for a, b in pairs
    ]


@dataclass(frozen=True)
class Neighbours:
    """Of Q utterances (`queries`, rows) the k nearest: `rows` (Q, k) int64, `cosines` (Q, k) float32, falling."""

    queries: np.ndarray
    rows: np.ndarray
    cosines: np.ndarray


def neighbours(embeddings: Embeddings, queries: np.ndarray, k: int, progress=iter, block: int = 1024) -> Neighbours:
    """The k nearest utterances by cosine, the query itself left out; fewer where the list has no more.

    Parameters
    ----------
    queries : (Q,) int rows of the embeddings
    block : int
        Queries compared at once: memory stays at block · N.
    """
    unit, k = embeddings.unit(), min(k, len(embeddings) - 1)
    if k < 1:
        raise DataError("an utterance alone has no neighbours")
    rows, cosines = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for start in progress(range(0, len(queries), block)):
        part = queries[start : start + block]
        cosine = unit[part] @ unit.T
        cosine[np.arange(len(part)), part] = -np.inf
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        value = np.take_along_axis(cosine, near, axis=1)
        by_cosine = np.argsort(-value, axis=1, kind="stable")
        rows[start : start + block] = np.take_along_axis(near, by_cosine, axis=1)
        cosines[start : start + block] = np.take_along_axis(value, by_cosine, axis=1)
    return Neighbours(queries, rows, cosines)


def matching(embeddings: Embeddings, patterns: list[str]) -> np.ndarray:
    """Rows (Q,) int64 whose path is one of `patterns`, ends in it after a slash, or matches it as a shell pattern.

    Raises DataError naming every pattern that matches nothing.
    """
    found, unmatched = set(), []
    for pattern in patterns:
        pattern = pattern.removeprefix("./")
        rows = [i for i, path in enumerate(embeddings.paths) if fits(path, pattern)]
        found.update(rows)
        if not rows:
            unmatched.append(pattern)
    if unmatched:
        example = embeddings.paths[0]
        raise DataError(f"no utterance's path matches {', '.join(unmatched)} (a path here is {for_terminal(example)})")
    return np.array(sorted(found), np.int64)


def fits(path: str, pattern: str) -> bool:
    return path == pattern or path.endswith("/" + pattern) or fnmatchcase(path, pattern)
