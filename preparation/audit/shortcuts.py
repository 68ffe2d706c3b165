"""How far one number of a file (its sampling rate, its loudness, ...) gives away its system.

A classifier that sees that number and nothing else is fitted on four fifths of the files and asked about the last
fifth, in turn. Every system weighs the same, so that guessing is right in 1 of C cases. It only looks up, in the
value's bin, the system most frequent there: what it can do, a network can do too, without having learnt anything.
"""

from dataclasses import dataclass

import numpy as np

FOLDS = 5
MOST_BINS = 50
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

    Files without a value (NaN) are left out.
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
        guess = look_up(values[train], label[train], values[test], len(classes))
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


def look_up(known: np.ndarray, label: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """(len(asked),) the system most frequent among the known values of the same bin, each system weighing the same."""
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MOST_BINS + 1)[1:]))
    weight = 1 / np.bincount(label, minlength=classes)
    frequent = np.zeros((len(edges) + 1, classes))
    np.add.at(frequent, (np.searchsorted(edges, known), label), weight[label])
    filled = np.flatnonzero(frequent.any(axis=1))
    best = frequent.round(9).argmax(axis=1)  # of equals the first, whatever the rounding
    bins = np.searchsorted(edges, asked)
    nearest = filled[np.abs(bins[:, None] - filled).argmin(axis=1)]  # an empty bin answers as the nearest that is not
    return best[nearest]
