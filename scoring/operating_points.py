"""What can be asked of a curve, and which of its points must be known to answer.

Each operating point knows three things. `read` takes the answer from a curve. `needed` takes the curve at the lowest
scores of cells, each of which stands for all scores in its cell, and returns the points whose cells must be looked into
for `read` to give the answer of the whole curve. `expected` takes that curve of a random sample, and returns the points
in whose cells the answer of all trials lies but for bad luck.
"""

from dataclasses import dataclass

import numpy as np

from scoring.bins import keys_of
from tuneThreshold import (
    TIE,
    Curve,
    Point,
    at_false_acceptance,
    at_threshold,
    detection_costs,
    equal_error,
    min_detection_cost,
)

SIGMAS = 4  # of the sampling error, within which a sample's answer is trusted


@dataclass(frozen=True)
class MinCost:
    """The least detection cost, and where it is."""

    cost: float
    point: Point


def _spread(rate: np.ndarray, draws: int) -> np.ndarray:
    """Standard error of a rate measured by `draws` trials, never quite zero."""
    return np.sqrt(rate * (1 - rate) / draws) + 1 / draws


def _and_above(index: int) -> np.ndarray:
    """The point of this index, and the one above, the next threshold; index 0 is above all scores."""
    return np.arange(max(index - 1, 1), index + 1)


@dataclass(frozen=True)
class EqualError:
    """Where false acceptance meets false rejection."""

    curve: str = "pooled"

    def read(self, curve: Curve) -> Point:
        return equal_error(curve)

    def needed(self, points: Curve) -> np.ndarray:
        return _and_above(int(np.argmax(points.fpr >= points.fnr - TIE)))

    def expected(self, points: Curve, draws: int) -> np.ndarray:
        error = SIGMAS * np.hypot(_spread(points.fpr, draws), _spread(points.fnr, draws))
        return np.abs(points.fpr - points.fnr) <= error


@dataclass(frozen=True)
class FalseAcceptance:
    """The lowest threshold whose false acceptance rate is at most `wanted`."""

    wanted: float
    curve: str = "pooled"

    def read(self, curve: Curve) -> Point:
        return at_false_acceptance(curve, self.wanted)

    def needed(self, points: Curve) -> np.ndarray:
        above = points.fpr > self.wanted
        return _and_above(int(np.argmax(above)) if above.any() else len(above) - 1)

    def expected(self, points: Curve, draws: int) -> np.ndarray:
        return np.abs(points.fpr - self.wanted) <= SIGMAS * _spread(points.fpr, draws)


@dataclass(frozen=True)
class AtThreshold:
    """The rates at a given threshold."""

    threshold: float
    curve: str = "pooled"

    def read(self, curve: Curve) -> Point:
        return at_threshold(curve, self.threshold)

    def needed(self, points: Curve) -> np.ndarray:
        return _and_above(self._place(points))

    def expected(self, points: Curve, draws: int) -> np.ndarray:  # noqa: ARG002
        return np.arange(len(points.thresholds)) == self._place(points)

    def _place(self, points: Curve) -> int:
        """The point whose cell holds the threshold, or else the next one below it."""
        with np.errstate(over="ignore"):
            below = points.thresholds <= keys_of(np.array([self.threshold], np.float32))[0]
        return int(np.argmax(below)) if below.any() else len(below) - 1


@dataclass(frozen=True)
class LeastCost:
    """The least detection cost over all thresholds."""

    p_target: float
    c_miss: float = 1.0
    c_fa: float = 1.0
    curve: str = "pooled"

    def read(self, curve: Curve) -> MinCost:
        return MinCost(*min_detection_cost(curve, self.p_target, self.c_miss, self.c_fa))

    def _costs(self, fnr: np.ndarray, fpr: np.ndarray) -> np.ndarray:
        return detection_costs(fnr, fpr, self.p_target, self.c_miss, self.c_fa)

    def needed(self, points: Curve) -> np.ndarray:
        """Inside a cell no cost is below that of its lowest miss rate with its lowest false acceptance rate."""
        fnr, fpr = points.fnr, points.fpr
        least = self._costs(fnr, fpr).min() + 2 * TIE
        chosen = np.flatnonzero(self._costs(fnr[1:], fpr[:-1]) <= least) + 1
        rejecting_all = self._costs(fnr[:1], fpr[:1])[0] <= least
        return np.union1d(chosen, [1]) if rejecting_all else chosen

    def expected(self, points: Curve, draws: int) -> np.ndarray:
        cost = self._costs(points.fnr, points.fpr)
        best = int(np.argmin(cost))
        error = self._costs(*(_spread(np.abs(rate - rate[best]), draws) for rate in (points.fnr, points.fpr)))
        return cost - cost[best] <= SIGMAS * error


OperatingPoint = EqualError | FalseAcceptance | AtThreshold | LeastCost
