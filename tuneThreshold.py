"""Error rates from scores: the ancestor's three functions, and the curve that every other number is read from.

A trial is accepted at threshold t when its score is >= t. Every distinct score is a threshold, and so is one above the
highest, which accepts nothing. Rates are fractions, except the EER of `tuneThresholdfromScore`, which is in percent as
voxceleb_trainer's users expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from settings.errors import ScoringError

TIE = 1e-12  # weighted rates are sums of floats: thresholds this close to equally good are so, and the highest wins


@dataclass(frozen=True)
class Curve:
    """Trials accepted at each threshold.

    Attributes
    ----------
    thresholds : (T,) float, falling
    hits : (T,) int64 or float64, target trials accepted (or their weight)
    false_alarms : (T,) int64 or float64, non-target trials accepted (or their weight)
    targets, nontargets : int or float, how many (or how much weight) there are in all

    Integer counts are compared exactly, without a rounding; weights within `TIE`.
    """

    thresholds: np.ndarray
    hits: np.ndarray
    false_alarms: np.ndarray
    targets: int | float
    nontargets: int | float

    @property
    def fpr(self) -> np.ndarray:
        """(T,) false acceptance rate at each threshold."""
        return self.false_alarms / self.nontargets

    @property
    def fnr(self) -> np.ndarray:
        """(T,) false rejection rate at each threshold."""
        return (self.targets - self.hits) / self.targets


@dataclass(frozen=True)
class Point:
    """One threshold, and the rates there."""

    threshold: float
    fpr: float
    fnr: float

    @property
    def eer(self) -> float:
        """The rate reported for an equal-error point: the worse of the two."""
        return max(self.fpr, self.fnr)


def point_at(curve: Curve, index: int) -> Point:
    """The curve's `index`-th threshold with its rates, as plain floats."""
    return Point(
        float(curve.thresholds[index]),
        float(curve.false_alarms[index] / curve.nontargets),
        float((curve.targets - curve.hits[index]) / curve.targets),
    )


def curve_of(scores: Sequence[float], labels: Sequence[int]) -> Curve:
    """Every threshold of a list of trials.

    Parameters
    ----------
    scores : (T,) real numbers
    labels : (T,) 1 for a target trial, 0 for a non-target one

    Returns
    -------
    Curve, with one above the highest score (infinity) first, then every distinct score, falling.

    Raises
    ------
    ScoringError
        For a score that is not a number, a label other than 0 and 1, or trials of one kind only.

    Examples
    --------
    >>> curve = curve_of([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0])
    >>> curve.thresholds
    array([inf, 0.9, 0.8, 0.7, 0.1])
    >>> curve.fpr
    array([0. , 0. , 0.5, 0.5, 1. ])
    """
    scores, is_target = _checked(scores, labels)
    order = np.argsort(-scores, kind="stable")
    scores, is_target = scores[order], is_target[order]
    last_of_tie = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    hits = np.cumsum(is_target, dtype=np.int64)[last_of_tie]
    return Curve(
        thresholds=np.concatenate([[np.inf], scores[last_of_tie]]),
        hits=np.concatenate([[0], hits]),
        false_alarms=np.concatenate([[0], last_of_tie + 1 - hits]),
        targets=int(hits[-1]),
        nontargets=int(len(scores) - hits[-1]),
    )


def _checked(scores: Sequence[float], labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (T,) as float and labels (T,) as bool, or a ScoringError that says what is wrong with them."""
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ScoringError(f"scores and labels must be two lists of one length, not {scores.shape} and {labels.shape}")
    if scores.dtype.kind not in "fiub":
        raise ScoringError(f"scores must be real numbers, not {scores.dtype}")
    scores = scores if scores.dtype.kind == "f" else scores.astype(np.float64)
    if np.isnan(scores).any():
        raise ScoringError(f"score {int(np.flatnonzero(np.isnan(scores))[0])} is NaN")
    if not np.isin(labels, (0, 1)).all():
        raise ScoringError("labels must be 1 (target) or 0 (non-target)")
    is_target = labels.astype(bool)
    if is_target.all() or not is_target.any():
        missing = "non-target" if len(labels) and is_target.all() else "target"
        raise ScoringError(f"no {missing} trial among {len(labels)}: error rates need both kinds")
    return scores, is_target


def equal_error(curve: Curve) -> Point:
    """Where false acceptance meets false rejection.

    The threshold with least |FNR - FPR|; of several, the highest. `Point.eer` is max(FPR, FNR) there.
    """
    if curve.hits.dtype.kind == "f":
        gap = np.abs(curve.fnr - curve.fpr)
        return point_at(curve, int(np.argmax(gap <= gap.min() + TIE)))
    hits, false_alarms = curve.hits, curve.false_alarms
    if int(curve.targets) * int(curve.nontargets) >= 2**62:  # Python's integers, where 64 bits would overflow
        hits, false_alarms = hits.astype(object), false_alarms.astype(object)
    gap = np.abs((curve.targets - hits) * curve.nontargets - false_alarms * curve.targets)
    return point_at(curve, int(np.argmin(gap)))


def at_false_acceptance(curve: Curve, wanted: float) -> Point:
    """The lowest threshold whose false acceptance rate is at most `wanted`: most hits at that price."""
    return point_at(curve, int(np.flatnonzero(curve.fpr <= wanted)[-1]))


def at_threshold(curve: Curve, threshold: float) -> Point:
    """The rates when exactly the scores >= `threshold` are accepted."""
    accepted = np.flatnonzero(curve.thresholds >= threshold)
    if not len(accepted):  # above every score, and above the curve's own first threshold
        return Point(float(threshold), 0.0, 1.0)
    return Point(float(threshold), *_rates(point_at(curve, int(accepted[-1]))))


def _rates(point: Point) -> tuple[float, float]:
    return point.fpr, point.fnr


def min_detection_cost(curve: Curve, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> tuple[float, Point]:
    """The least normalised detection cost over all thresholds, and where; of several, the highest threshold."""
    cost = detection_costs(curve.fnr, curve.fpr, p_target, c_miss, c_fa)
    best = int(np.argmax(cost <= cost.min() + TIE))
    return float(cost[best]), point_at(curve, best)


def detection_costs(fnr: np.ndarray, fpr: np.ndarray, p_target: float, c_miss: float, c_fa: float) -> np.ndarray:
    """Detection costs, normalised: over the cost of the better of accepting all and rejecting all.

    Equations 2 to 4 of NIST's SRE 2016 evaluation plan.
    """
    return (c_miss * p_target * fnr + c_fa * (1 - p_target) * fpr) / min(c_miss * p_target, c_fa * (1 - p_target))


def tuneThresholdfromScore(
    scores: Sequence[float],
    labels: Sequence[int],
    target_fa: Sequence[float],
    target_fr: Sequence[float] | None = None,
) -> tuple[list[list[float]], float, np.ndarray, np.ndarray]:
    """Thresholds at wanted error rates, the EER, and the whole curve: voxceleb_trainer's call.

    Parameters
    ----------
    scores : (T,) real numbers
    labels : (T,) 1 for a target trial, 0 for a non-target one
    target_fa : false acceptance rates, fractions; may be empty
    target_fr : false rejection rates, fractions

    Returns
    -------
    tuned : a list [threshold, false acceptance, false rejection] for each of `target_fr`, then each of `target_fa`:
        the nearest there is, at the highest such threshold
    eer : in PERCENT
    fpr, fnr : (thresholds,) fractions, at thresholds falling from infinity. Every distinct score is a threshold, where
        voxceleb_trainer dropped some and so moved the EER.

    Examples
    --------
    >>> tuned, eer, fpr, fnr = tuneThresholdfromScore([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0], [0.5])
    >>> tuned, eer
    ([[0.8, 0.5, 0.5]], 50.0)
    """
    curve = curve_of(scores, labels)
    fpr, fnr = curve.fpr, curve.fnr
    wanted = [(fnr, rate) for rate in (() if target_fr is None else target_fr)] + [(fpr, rate) for rate in target_fa]
    nearest = [point_at(curve, int(np.argmin(np.abs(rates - rate)))) for rates, rate in wanted]
    tuned = [[point.threshold, point.fpr, point.fnr] for point in nearest]
    return tuned, equal_error(curve).eer * 100, fpr, fnr


def ComputeErrorRates(scores: Sequence[float], labels: Sequence[int]) -> tuple[list[float], list[float], list[float]]:
    """Error rates when the scores up to and including each one are rejected: voxceleb_trainer's call.

    Parameters
    ----------
    scores : (T,) real numbers
    labels : (T,) 1 for a target trial, 0 for a non-target one

    Returns
    -------
    fnrs, fprs, thresholds : three lists of T, the thresholds rising. Equal scores are rejected together, where
        voxceleb_trainer distinguished them by their place in the list and so allowed rates that no threshold gives.

    Examples
    --------
    >>> ComputeErrorRates([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0])
    ([0.0, 0.5, 0.5, 1.0], [0.5, 0.5, 0.0, 0.0], [0.1, 0.7, 0.8, 0.9])
    """
    scores, is_target = _checked(scores, labels)
    order = np.argsort(scores, kind="stable")
    thresholds, is_target = scores[order], is_target[order]
    last_of_tie = np.searchsorted(thresholds, thresholds, side="right") - 1
    misses = np.cumsum(is_target)[last_of_tie]
    rejected = last_of_tie + 1 - misses
    targets = int(is_target.sum())
    nontargets = len(is_target) - targets
    return (misses / targets).tolist(), (1 - rejected / nontargets).tolist(), thresholds.tolist()


def ComputeMinDcf(
    fnrs: Sequence[float],
    fprs: Sequence[float],
    thresholds: Sequence[float],
    p_target: float,
    c_miss: float,
    c_fa: float,
) -> tuple[float, float]:
    """The least normalised detection cost and its threshold, from `ComputeErrorRates`: voxceleb_trainer's call.

    Parameters
    ----------
    fnrs, fprs, thresholds : three lists of one length
    p_target, c_miss, c_fa : prior of a target trial, and what a miss and a false alarm cost

    Returns
    -------
    min_dcf, threshold : two floats; of several thresholds, the first

    Examples
    --------
    >>> ComputeMinDcf([0.0, 0.5, 1.0], [1.0, 0.0, 0.0], [0.1, 0.2, 0.3], 0.5, 1, 1)
    (0.5, 0.2)
    """
    check_costs(p_target, c_miss, c_fa)
    cost = detection_costs(np.asarray(fnrs, np.float64), np.asarray(fprs, np.float64), p_target, c_miss, c_fa)
    if not len(cost):
        raise ScoringError("no threshold to choose from: the lists of error rates are empty")
    best = int(np.argmin(cost))
    return float(cost[best]), float(thresholds[best])


def check_costs(p_target: float, c_miss: float, c_fa: float) -> None:
    """Raise a ScoringError for a prior outside (0, 1) or a cost that is not above 0."""
    if not 0 < p_target < 1:
        raise ScoringError(f"p_target is the prior of a target trial and must lie between 0 and 1, not {p_target}")
    for name, cost in (("c_miss", c_miss), ("c_fa", c_fa)):
        if not 0 < cost < float("inf"):
            raise ScoringError(f"{name} must be a cost above 0, not {cost}")
