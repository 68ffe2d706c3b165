"""The open-set step of the official MLAADv5 baseline, its convention reproduced step by step.

piotrkawa/audio-deepfake-source-tracing (scripts/ood_detector.py, src/models/NSD.py): the positive class is "unknown",
and an utterance is taken for it where NSD is HIGH, although NSD is high for known systems. Arrays are padded with rows
of zeros to whole batches, and these count: in the mean over train, and as known utterances (class 0) of score 0 in dev
and test. EER is that of dev; test is classified at dev's threshold.
"""

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import roc_curve

from scoring.embeddings import unit_rows

BATCH = 128


def padded(count: int) -> int:
    """Rows of zeros after `count` utterances."""
    return -count % BATCH


def scores(rows: np.ndarray, logits: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """(N + padding,) NSD of (N, D) rows of length one, then the zeros of the padding."""
    found = logsumexp(logits, axis=1) * (rows @ guide)
    return np.concatenate([found, np.zeros(padded(len(rows)))])


def as_published(
    train: tuple[np.ndarray, np.ndarray],
    dev: tuple[np.ndarray, np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> dict:
    """What the baseline prints.

    Parameters
    ----------
    train : embeddings (N, D), logits (N, C)
    dev, test : the same, and (N,) bool whether the system is known

    Returns
    -------
    dict of plain numbers: `dev_eer` (a fraction) with its `threshold`; of test, padding included, `accuracy`,
    `macro_f1`, and recall of both classes
    """
    rows, logits = unit_rows(train[0]), train[1].astype(np.float64)
    guide = logsumexp(logits, axis=1) @ rows / (len(rows) + padded(len(rows)))
    found = []
    for embeddings, own, known in (dev, test):
        values = scores(unit_rows(embeddings), own.astype(np.float64), guide)
        found.append((values, np.concatenate([~known, np.zeros(padded(len(known)), bool)])))
    (dev_scores, dev_unknown), (test_scores, test_unknown) = found
    fpr, tpr, thresholds = roc_curve(dev_unknown, dev_scores)
    at = int(np.argmin(np.abs(fpr - (1 - tpr))))
    said = test_scores > thresholds[at]
    f1 = [
        2 * (said[true] == value).sum() / max(1, (said == value).sum() + true.sum())
        for value, true in ((True, test_unknown), (False, ~test_unknown))
    ]
    return {
        "positive": "unknown",
        "higher_score_means": "unknown",
        "threshold_from": "dev",
        "padding": {"train": padded(len(rows)), "dev": padded(len(dev[2])), "test": padded(len(test[2]))},
        "dev_eer": float(fpr[at]),
        "threshold": float(thresholds[at]),
        "accuracy": float((said == test_unknown).mean()),
        "macro_f1": float(np.mean(f1)),
        "unknown_recall": float(said[test_unknown].mean()),
        "known_recall": float((~said[~test_unknown]).mean()),
    }
