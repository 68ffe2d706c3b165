"""Covariance within systems, every system weighing the same, shrunk so that few data do not make noise of it."""

from dataclasses import dataclass

import numpy as np

from settings.errors import ScoringError


def ledoit_wolf(rows: np.ndarray) -> np.ndarray:
    """The second moment of rows, drawn towards a multiple of the identity as far as its own noise demands.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (Journal of Multivariate
    Analysis, 2004), equations 8 to 14, for rows whose mean is known to be zero.

    Parameters
    ----------
    rows : (N, D) float64

    Returns
    -------
    (D, D) float64, positive definite unless all rows are zero
    """
    count, dimensions = rows.shape
    moment = rows.T @ rows / count
    level = np.trace(moment) / dimensions
    target = level * np.eye(dimensions)
    apart = np.square(moment - target).sum()
    noise = (np.square(np.square(rows).sum(axis=1)).sum() / count - np.square(moment).sum()) / count
    share = min(noise / apart, 1.0) if apart > 0 else 1.0
    return (1 - share) * moment + share * target


@dataclass(frozen=True)
class Spread:
    """How utterances differ within systems, and systems among each other.

    Attributes
    ----------
    mean : (D,) float64, of the systems' means
    within : (D, D) float64, shrunk covariance of utterances of a system
    systems : (S, D) float64, the systems' means less `mean`
    counts : (S,) int64, utterances of each
    """

    mean: np.ndarray
    within: np.ndarray
    systems: np.ndarray
    counts: np.ndarray


def spread(rows: np.ndarray, labels: np.ndarray) -> Spread:
    """Measure it, every system weighing the same.

    An utterance of a system with n weighs 1 / (n - 1), so that each system gives its unbiased covariance, and all of
    them count alike; systems with one utterance say nothing about `within`.

    Parameters
    ----------
    rows : (N, D) of any real dtype
    labels : (N,) system of each

    Raises
    ------
    ScoringError
        For fewer than two systems, or none with utterances that differ.
    """
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ScoringError(f"a back-end is learned from 2 systems or more, not {len(names)}")
    counts = np.bincount(codes)
    means = np.zeros((len(names), rows.shape[1]))
    np.add.at(means, codes, rows)
    means /= counts[:, None]
    use = counts[codes] > 1
    apart = (rows - means[codes])[use] * np.sqrt(1 / (counts[codes][use] - 1))[:, None]
    if not apart.any():
        raise ScoringError("a back-end needs a system with utterances that differ; every one here is alike or alone")
    within = ledoit_wolf(apart) * (len(apart) / (counts > 1).sum())
    mean = means.mean(axis=0)
    return Spread(mean, within, means - mean, counts)
