"""Scores of how sure a system is one of those trained on. All of them are higher for known systems.

`msp`         maximum softmax probability. Hendrycks and Gimpel, "A baseline for detecting misclassified and
              out-of-distribution examples in neural networks" (ICLR 2017).
`energy`      T log Σ exp(logit / T). Liu et al., "Energy-based out-of-distribution detection" (NeurIPS 2020).
`sme`         the same of softmax probabilities instead of logits. Klein, Tak and Khoury, "Open-set source tracing of
              audio deepfake systems" (Interspeech 2025).
`nsd`         log Σ exp(logit) of the utterance, times the mean over the train list of theirs times their cosine to it.
              Xie et al., "Generalized source tracing" (Interspeech 2024); NSD.py of the official baseline for MLAADv5.
`centroid`    cosine to the nearest mean of a train system.
`knn`         cosine to the k-th nearest train utterance. Sun et al., "Out-of-distribution detection with deep nearest
              neighbors" (ICML 2022).
`mahalanobis` minus the squared distance to the nearest train system, in the covariance within systems (shrunk, systems
              weighing the same). Lee et al., "A simple unified framework for detecting out-of-distribution samples and
              adversarial attacks" (NeurIPS 2018).

The first four need the logits that `--save_embeddings` keeps of a loss with class weights.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.special import logsumexp, softmax

from scoring.choices import OF_LOGITS
from scoring.choices import OPENSET_SCORES as NAMES
from scoring.embeddings import unit_rows
from scoring.shrinkage import spread
from settings.errors import ScoringError

AT_ONCE = 1024  # rows compared with the whole train list at once


@dataclass(frozen=True)
class Settings:
    """`temperature` of `energy` and `sme` (theirs is not published), `neighbours` (k) of `knn`."""

    temperature: float = 1.0
    neighbours: int = 10


@dataclass(frozen=True)
class Known:
    """The train list, as the scores need it.

    Attributes
    ----------
    systems : (S,) sorted; with logits, the order of their columns
    rows : (N, D) float32 of length one
    codes : (N,) int64, the system of each row
    guide : (D,) float64 mean of logsumexp times row, of `nsd`; None without logits
    """

    systems: np.ndarray
    rows: np.ndarray
    codes: np.ndarray
    guide: np.ndarray | None


def known(embeddings: np.ndarray, labels: np.ndarray, logits: np.ndarray | None) -> Known:
    """Prepare a train list: embeddings (N, D), labels (N,), logits (N, C) or None."""
    systems, codes = np.unique(labels, return_inverse=True)
    rows = unit_rows(embeddings)
    if logits is not None and logits.shape[1] != len(systems):
        raise ScoringError(
            f"the logits are of {logits.shape[1]} systems and the train list has {len(systems)}:"
            " open-set scores need the list that the model was trained on"
        )
    guide = None if logits is None else logsumexp(logits.astype(np.float64), axis=1) @ rows / len(rows)
    return Known(systems, rows, codes, guide)


@dataclass(frozen=True)
class Scored:
    """(N,) float64 scores, higher for known systems, and (N,) the train system that each utterance is most like."""

    scores: np.ndarray
    nearest: np.ndarray


def score(
    name: str, train: Known, embeddings: np.ndarray, logits: np.ndarray | None, settings: Settings = Settings()
) -> Scored:
    """Score utterances: embeddings (N, D), logits (N, C) where the score needs them.

    Raises
    ------
    ScoringError
        For an unknown name, logits that are missing or not finite, settings out of range.
    """
    if name not in NAMES:
        raise ScoringError(f"no open-set score {name}: {', '.join(NAMES)}")
    if not settings.temperature > 0:
        raise ScoringError(f"the temperature must be above 0, not {settings.temperature}")
    rows = unit_rows(embeddings)
    if name not in OF_LOGITS:
        return {"centroid": _centroid, "knn": _knn, "mahalanobis": _mahalanobis}[name](train, rows, settings)
    if logits is None or train.guide is None:
        raise ScoringError(f"{name} needs logits, and a file has none: its loss has no class weights, or is not known")
    if not np.isfinite(logits).all():
        raise ScoringError("a logit is NaN or infinite")
    logits = logits.astype(np.float64)
    scores = {
        "msp": lambda: softmax(logits, axis=1).max(axis=1),
        "energy": lambda: energy(logits, settings.temperature),
        "sme": lambda: energy(softmax(logits, axis=1), settings.temperature),
        "nsd": lambda: nsd(rows, logits, train.guide),
    }[name]()
    return Scored(scores, train.systems[logits.argmax(axis=1)])


def energy(values: np.ndarray, temperature: float) -> np.ndarray:
    """(N,) minus the free energy of (N, C) values."""
    return temperature * logsumexp(values / temperature, axis=1)


def nsd(rows: np.ndarray, logits: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """(N,) as published: conf · mean_i(conf_i cos(row, row_i)), where the mean, being linear, is taken beforehand."""
    return logsumexp(logits, axis=1) * (rows @ guide)


def _centroid(train: Known, rows: np.ndarray, settings: Settings) -> Scored:  # noqa: ARG001 all are called alike
    means = np.zeros((len(train.systems), train.rows.shape[1]))
    np.add.at(means, train.codes, train.rows)
    cosines = rows @ unit_rows(means).T
    return Scored(cosines.max(axis=1).astype(np.float64), train.systems[cosines.argmax(axis=1)])


def _knn(train: Known, rows: np.ndarray, settings: Settings) -> Scored:
    """The nearest system is that of most of the k neighbours; of several, the one with the nearest neighbour."""
    k = min(settings.neighbours, len(train.rows))
    if k < 1:
        raise ScoringError(f"knn needs 1 neighbour or more, not {settings.neighbours}")
    scores, nearest = np.empty(len(rows)), np.empty(len(rows), np.int64)
    for start in range(0, len(rows), AT_ONCE):
        cosines = rows[start : start + AT_ONCE] @ train.rows.T
        found = np.argpartition(cosines, len(train.rows) - k, axis=1)[:, -k:]
        near = np.take_along_axis(cosines, found, axis=1)
        scores[start : start + AT_ONCE] = near.min(axis=1)
        votes = np.zeros((len(cosines), len(train.systems)))
        np.add.at(votes, (np.arange(len(cosines))[:, None], train.codes[found]), 1)
        best = np.full(votes.shape, -np.inf)
        np.maximum.at(best, (np.arange(len(cosines))[:, None], train.codes[found]), near)
        nearest[start : start + AT_ONCE] = (votes + 1e-3 * best).argmax(axis=1)  # a cosine settles equal votes
    return Scored(scores, train.systems[nearest])


def _mahalanobis(train: Known, rows: np.ndarray, settings: Settings) -> Scored:  # noqa: ARG001
    found = spread(train.rows.astype(np.float64), train.codes)
    root = linalg.cholesky(found.within, lower=True)
    centres = linalg.solve_triangular(root, (found.systems + found.mean).T, lower=True).T
    points = linalg.solve_triangular(root, rows.astype(np.float64).T, lower=True).T
    squares = np.square(points).sum(axis=1)[:, None] - 2 * points @ centres.T + np.square(centres).sum(axis=1)
    return Scored(-squares.min(axis=1), train.systems[squares.argmin(axis=1)])
