"""How far one number of a file (its sampling rate, its loudness, ...) gives away its system.

A classifier that sees that number and nothing else is fitted on four fifths of the files and asked about the last
fifth, in turn. Every system weighs the same, so that guessing is right in 1 of C cases. It cuts the numbers at
thresholds into a few intervals and names one system in each: what it can do, a network can do too, without having
learnt anything.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.tree import DecisionTreeClassifier

FOLDS = 5
MOST_INTERVALS = 50
LEAST_IN_INTERVAL = 5  # files: fewer are no rule
FEWEST = 2 * FOLDS  # utterances of a system, for it to be looked at
ALONE = 0.8  # recall and precision from which on a number finds a system by itself
SUSPICIOUS = 2.0  # times chance: the accuracy from which on a number is a shortcut


@dataclass(frozen=True)
class Shortcut:
    """What one number does: `accuracy` (fraction, systems weighing the same) against `chance`, over `systems` systems,
    and `alone`: (system, recall, precision) for each that the number finds by itself.
    """

    accuracy: float
    chance: float
    systems: int
    alone: tuple[tuple[str, float, float], ...]

    @property
    def suspicious(self) -> bool:
        return self.accuracy >= SUSPICIOUS * self.chance or bool(self.alone)


def predictability(values: np.ndarray, systems: list[str]) -> Shortcut | None:
    """How well `values` (N,) float predict `systems` (N). None where fewer than two systems have FEWEST utterances.

    Files without a value (NaN) are skipped.
    """
    values, names = np.asarray(values, float), np.asarray(systems)
    keep = np.isfinite(values)
    classes, counts = np.unique(names[keep], return_counts=True)
    classes = classes[counts >= FEWEST]
    if len(classes) < 2:
        return None
    keep &= np.isin(names, classes)
    values, label = values[keep], np.searchsorted(classes, names[keep])
    fold = folds(label)
    confusion = np.zeros((len(classes), len(classes)))
    for number in range(FOLDS):
        train, test = fold != number, fold == number
        guess = fit_thresholds(values[train], label[train], values[test])
        np.add.at(confusion, (label[test], guess), 1)
    share = confusion / confusion.sum(axis=1, keepdims=True)
    recall = np.diagonal(share)
    precision = recall / np.maximum(share.sum(axis=0), 1e-12)
    alone = [
        (str(classes[c]), float(recall[c]), float(precision[c]))
        for c in np.argsort(-recall)
        if recall[c] >= ALONE and precision[c] >= ALONE
    ]
    return Shortcut(float(recall.mean()), 1 / len(classes), len(classes), tuple(alone))


def folds(label: np.ndarray) -> np.ndarray:
    """(N,) the fold of each file: a system's files are dealt out in an order that does not follow the list's."""
    shuffled = np.random.default_rng(0).permutation(len(label))
    order = shuffled[np.argsort(label[shuffled], kind="stable")]
    fold = np.empty(len(label), int)
    fold[order] = np.arange(len(label)) % FOLDS
    return fold


def fit_thresholds(values: np.ndarray, label: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(len(asked),) the system of each value's interval, of the intervals that separate the known values best."""
    tree = DecisionTreeClassifier(
        max_leaf_nodes=MOST_INTERVALS, min_samples_leaf=LEAST_IN_INTERVAL, class_weight="balanced", random_state=0
    )
    shares = tree.fit(values[:, None], label).predict_proba(asked[:, None])
    return tree.classes_[shares.round(9).argmax(axis=1)]  # of equals the first, whatever the rounding
