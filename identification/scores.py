"""Scores of utterances against the systems of a bank, and which of its files are nearest."""

from dataclasses import dataclass

import numpy as np

from identification.bank import NEIGHBOURS, Bank
from scoring.backends import mapped
from scoring.embeddings import unit_rows


@dataclass(frozen=True)
class Prepared:
    """A bank as its scorer needs it.

    Attributes
    ----------
    bank : Bank
    means : (S, K) float64, the systems' mean points; of length one unless the back-end is `plda`
    rows : (R, K) float32 of length one, the kept utterances
    starts : (S + 1,) int64, where each system's rows begin
    """

    bank: Bank
    means: np.ndarray
    rows: np.ndarray
    starts: np.ndarray


def prepare(bank: Bank) -> Prepared:
    """Map a bank through its back-end, once."""
    backend = bank.backend
    means = (bank.sums / bank.counts[:, None] - backend.mean) @ backend.matrix
    means = means if backend.name == "plda" else unit_rows(means).astype(np.float64)
    order = np.argsort(bank.owners, kind="stable")
    assert (order == np.arange(len(order))).all(), "a bank keeps its rows by system"
    starts = np.searchsorted(bank.owners, np.arange(len(bank.systems) + 1))
    return Prepared(bank, means, unit_rows(mapped(backend, bank.rows)), starts)


def against(prepared: Prepared, embeddings: np.ndarray) -> np.ndarray:
    """(N, S) float64 scores of embeddings (N, D) against every system; higher is more alike."""
    bank = prepared.bank
    points = mapped(bank.backend, embeddings)
    if bank.scorer == "plda":
        return _plda(points.astype(np.float64), prepared.means, bank.counts, bank.backend.between)
    points = unit_rows(points)
    if bank.scorer == "centroid":
        return points.astype(np.float64) @ prepared.means.T
    return _nearest_mean(points @ prepared.rows.T, prepared.starts)


def _nearest_mean(cosines: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(N, S) means of the `NEIGHBOURS` highest of (N, R) cosines to the rows of each system."""
    sizes = np.diff(starts)
    if (sizes == sizes[0]).all():  # thousands of systems at once
        k = min(NEIGHBOURS, int(sizes[0]))
        own = cosines.reshape(len(cosines), len(sizes), -1)
        return np.partition(own, own.shape[2] - k, axis=2)[:, :, -k:].mean(axis=2, dtype=np.float64)
    scores = np.empty((len(cosines), len(sizes)))
    for system, (start, size) in enumerate(zip(starts[:-1], sizes, strict=True)):
        own, k = cosines[:, start : start + size], min(NEIGHBOURS, int(size))
        scores[:, system] = np.partition(own, size - k, axis=1)[:, -k:].mean(axis=1)
    return scores


def _plda(points: np.ndarray, means: np.ndarray, counts: np.ndarray, between: np.ndarray) -> np.ndarray:
    """(N, S) log-likelihood ratios: of the system from which n points with this mean are, against another.

    Given them, a point of the system is normal around n p / (n p + 1) times their mean, with variance
    1 + p / (n p + 1), where p is the variance between systems and 1 that within.
    """
    grown = counts[:, None] * between
    centres, variance = means * grown / (grown + 1), 1 + between / (grown + 1)
    ratios = (np.log1p(between) - np.log(variance)).sum(axis=1) - (centres**2 / variance).sum(axis=1)
    squares = points**2
    return (ratios + (squares / (1 + between)).sum(axis=1)[:, None] - squares @ (1 / variance).T) / 2 + points @ (
        centres / variance
    ).T


def nearest(prepared: Prepared, embedding: np.ndarray, count: int) -> list[tuple[str, str, float]]:
    """The `count` kept utterances most like one embedding (D,): path, system, cosine; the most alike first."""
    point = unit_rows(mapped(prepared.bank.backend, embedding[None]))[0]
    cosines = prepared.rows @ point
    order = np.argsort(-cosines, kind="stable")[:count]
    bank = prepared.bank
    return [(bank.paths[row], bank.systems[bank.owners[row]], float(cosines[row])) for row in order]
