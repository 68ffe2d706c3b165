"""Adaptive score normalisation: how much more alike two utterances are than each is to its nearest strangers.

The adaptive s-norm of Matejka et al., "Analysis of score normalization in multilingual speaker recognition"
(Interspeech 2017), its variant AS-norm1, where each utterance's cohort is the strangers most alike to it:

    score'(i, j) = ((score(i, j) - mean_i) / std_i + (score(i, j) - mean_j) / std_j) / 2

with mean_i and std_i of the `top` highest cosines between utterance i and the cohort.
"""

from dataclasses import replace

import numpy as np

from scoring.choices import TOP
from scoring.embeddings import Utterances, unit_rows
from settings.errors import ScoringError

ROWS = 1024  # scored against the cohort at once


def cohort_statistics(rows: np.ndarray, cohort: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the highest scores of each row against a cohort.

    Parameters
    ----------
    rows : (N, D) float32 of length one
    cohort : (M, D) embeddings
    top : how many of the cohort count; at most M are used

    Returns
    -------
    mean, std : (N,) float64 each; std is that of the numbers at hand (divided by their count)
    """
    if top < 2:
        raise ScoringError(f"score normalisation needs the 2 or more highest scores against the cohort, not {top}")
    cohort = unit_rows(cohort)
    if cohort.shape[1] != rows.shape[1]:
        raise ScoringError(f"the cohort has {cohort.shape[1]} dimensions, the embeddings {rows.shape[1]}")
    if len(cohort) < 2:
        raise ScoringError(f"a cohort needs 2 utterances or more, not {len(cohort)}")
    top = min(top, len(cohort))
    mean, std = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), ROWS):
        scores = rows[start : start + ROWS] @ cohort.T
        highest = np.partition(scores, len(cohort) - top, axis=1)[:, -top:].astype(np.float64)
        mean[start : start + ROWS], std[start : start + ROWS] = highest.mean(axis=1), highest.std(axis=1)
    return mean, std


def normalised(listed: Utterances, cohort: np.ndarray, top: int = TOP) -> Utterances:
    """The same utterances, their trials scored with adaptive s-norm.

    Raises
    ------
    ScoringError
        Where the scores of an utterance against its cohort are all equal, so that nothing can be normalised.
    """
    mean, std = cohort_statistics(listed.rows, cohort, top)
    flat = np.flatnonzero(std < 1e-7)
    if len(flat):
        raise ScoringError(
            f"the highest cohort scores of {len(flat)} utterances are all equal (the first is number"
            f" {int(listed.order[flat].min())}): a cohort must be of different utterances"
        )
    scale, shift = 0.5 / std, 0.5 * mean / std
    return replace(listed, scale=scale.astype(np.float32), shift=shift.astype(np.float32))
