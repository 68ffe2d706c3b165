"""Embeddings and labels, checked and made ready: unit rows, sorted by system."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from settings.errors import ScoringError
from settings.text import enumerated

CHUNK = 512  # rows converted at once: a memory-mapped array is never in memory twice


@dataclass(frozen=True)
class Utterances:
    """A list of utterances, ready to be paired.

    Attributes
    ----------
    rows : (N, D) float32, of length one, sorted by system and within a system in the order given
    order : (N,) where each row stood in the arrays handed in
    systems : (S,) their names, those of the fewest utterances first: systems of one size, whose trials weigh the same,
        stand together
    starts : (S + 1,) int64, the rows of system s are starts[s] to starts[s + 1]
    scale, shift : (N,) float32 or None. With them (score normalisation) the score of rows i and j is not their product
        p, but p * (scale[i] + scale[j]) - (shift[i] + shift[j])
    """

    rows: np.ndarray
    order: np.ndarray
    systems: np.ndarray
    starts: np.ndarray
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None

    @property
    def sizes(self) -> np.ndarray:
        """(S,) int64, utterances of each system."""
        return np.diff(self.starts)

    @property
    def codes(self) -> np.ndarray:
        """(N,) int32, the system of each row."""
        return np.repeat(np.arange(len(self.systems), dtype=np.int32), self.sizes)

    def trials(self) -> tuple[int, int]:
        """How many target and non-target trials there are."""
        pairs = len(self.rows) * (len(self.rows) - 1) // 2
        targets = int((self.sizes * (self.sizes - 1) // 2).sum())
        return targets, pairs - targets

    def subset(self, keep: np.ndarray) -> "Utterances":
        """The utterances of a (N,) mask over the sorted rows, as a list of their own."""
        order, systems, starts = _sorted(self.systems[self.codes[keep]])
        rows = np.flatnonzero(keep)[order]
        return Utterances(
            rows=self.rows[rows],
            order=self.order[rows],
            systems=systems,
            starts=starts,
            scale=None if self.scale is None else self.scale[rows],
            shift=None if self.shift is None else self.shift[rows],
        )


def _sorted(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The order of (N,) labels by system, the (S,) systems by size and then by name, and their (S + 1,) starts."""
    systems, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    by_size = np.argsort(sizes, kind="stable")
    place = np.empty(len(systems), np.int64)
    place[by_size] = np.arange(len(systems))
    starts = np.concatenate([[0], np.cumsum(sizes[by_size])]).astype(np.int64)
    return np.argsort(place[codes], kind="stable"), systems[by_size], starts


def utterances(embeddings: np.ndarray, labels: Sequence, names: Sequence | None = None) -> Utterances:
    """Check embeddings and labels, and make them ready to be paired.

    Parameters
    ----------
    embeddings : (N, D) of any real dtype, in memory or memory-mapped
    labels : (N,) system of each utterance, text or integers
    names : (N,) what an error calls each utterance, for example its path; by default its number

    Raises
    ------
    ScoringError
        For shapes that do not fit, fewer than two utterances, or an embedding that is NaN, infinite or all zero.
    """
    if len(embeddings) < 2:
        raise ScoringError(f"a trial needs two utterances, and there is {len(embeddings)}")
    labels = column(labels, "labels", len(embeddings))
    order, systems, starts = _sorted(labels)
    return Utterances(unit_rows(embeddings, names, order), order, systems, starts)


def column(values: Sequence, what: str, length: int) -> np.ndarray:
    """One value for each utterance, as a (N,) array of text or integers; a missing one is an error."""
    values = np.asarray(values)
    if values.shape != (length,):
        raise ScoringError(f"{what} must name one value for each of {length} utterances; its shape is {values.shape}")
    if values.dtype.kind == "O":
        missing = [i for i, value in enumerate(values) if value is None or value != value]
        if missing:
            raise ScoringError(f"{what}: utterance {missing[0]} has none ({len(missing)} such)")
        values = values.astype(str)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    if values.dtype.kind not in "Uiub":
        raise ScoringError(f"{what} must be text or integers, not {values.dtype}")
    return values


def unit_rows(embeddings: np.ndarray, names: Sequence | None = None, order: np.ndarray | None = None) -> np.ndarray:
    """Embeddings brought to length one.

    Parameters
    ----------
    embeddings : (N, D) of any real dtype, in memory or memory-mapped
    names : (N,) what an error calls each utterance
    order : (N,) the order in which to take the rows

    Returns
    -------
    (N, D) float32: each row divided by its length in float64, then rounded once. Neither tiny nor huge values overflow.

    Raises
    ------
    ScoringError
        Naming every utterance (up to a readable number) whose embedding is NaN, infinite or all zero.
    """
    embeddings = embeddings if isinstance(embeddings, np.ndarray) else np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] == 0:
        raise ScoringError(f"embeddings must be a table (utterances, dimensions), not of shape {embeddings.shape}")
    if embeddings.dtype.kind not in "fiub":
        raise ScoringError(f"embeddings must be real numbers, not {embeddings.dtype}")
    order = np.arange(len(embeddings)) if order is None else order
    rows = np.empty(embeddings.shape, np.float32)
    bad = []
    for start in range(0, len(order), CHUNK):
        taken = order[start : start + CHUNK]
        chunk = embeddings[taken].astype(np.float64)
        largest = np.abs(chunk).max(axis=1)  # NaN stays NaN
        wrong = ~np.isfinite(largest) | (largest == 0)
        bad.extend(int(row) for row in taken[wrong])
        largest[wrong] = 1
        np.ldexp(chunk, -np.frexp(largest)[1][:, None], out=chunk)  # a power of two: exact, and squares cannot overflow
        length = np.sqrt(np.einsum("nd,nd->n", chunk, chunk))
        length[wrong] = 1
        rows[start : start + CHUNK] = np.where(wrong[:, None], 0, chunk / length[:, None])
    if bad:
        raise ScoringError(_culprits(embeddings, sorted(bad), names))
    return rows


def _culprits(embeddings: np.ndarray, bad: list[int], names: Sequence | None) -> str:
    """The sentence about the embeddings that have no direction."""

    def fault(row: np.ndarray) -> str:
        return "NaN" if np.isnan(row).any() else "infinite" if np.isinf(row).any() else "all zero"

    culprits = [
        f"{f'utterance {row}' if names is None else names[row]} ({fault(np.asarray(embeddings[row]))})" for row in bad
    ]
    return f"embeddings without a direction cannot be scored: {enumerated(culprits)}"
