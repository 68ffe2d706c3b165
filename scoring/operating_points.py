"""What can be asked of a curve, and in which bins of its histogram, or of a sample's, the answer must lie.

Each question knows three things. `read` takes the answer from a curve. `bins` takes the curve at the borders of the
bins, where every bin is one threshold, and returns `BinsNeeded`: whose scores must be known for `read` to give the
answer of the whole curve. `expected` takes that curve of a random sample, and returns the bins in which the answer of
all trials lies but for bad luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scoring.bins import Bins
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


def _spread(rate: np.ndarray, draws: int) -> np.ndarray:
    """Standard error of a rate told by `draws` trials, never quite zero."""
    return np.sqrt(rate * (1 - rate) / draws) + 1 / draws


class BinsNeeded(NamedTuple):
    """Bins, as indices of the points of a curve: those of which all scores are needed, or the lowest score alone."""

    all: np.ndarray
    lowest: np.ndarray


def _and_above(index: int) -> BinsNeeded:
    """The bin of this index, and of the occupied one above, the next threshold; index 0 is above all bins."""
    return BinsNeeded(np.arange(index, index + (index >= 1)), np.arange(max(index - 1, 1), index))


@dataclass(frozen=True)
class EqualError:
    """Where false acceptance meets false rejection."""

    curve: str = "pooled"

    def read(self, curve: Curve) -> Point:
        return equal_error(curve)

    def bins(self, edges: Curve, to: Bins) -> BinsNeeded:  # noqa: ARG002
        return _and_above(int(np.argmax(edges.fpr >= edges.fnr - TIE)))

    def expected(self, edges: Curve, to: Bins, draws: int) -> np.ndarray:  # noqa: ARG002
        error = SIGMAS * np.hypot(_spread(edges.fpr, draws), _spread(edges.fnr, draws))
        return np.abs(edges.fpr - edges.fnr) <= error


@dataclass(frozen=True)
class FalseAcceptance:
    """The lowest threshold whose false acceptance rate is at most `wanted`."""

    wanted: float
    curve: str = "pooled"

    def read(self, curve: Curve) -> Point:
        return at_false_acceptance(curve, self.wanted)

    def bins(self, edges: Curve, to: Bins) -> BinsNeeded:  # noqa: ARG002
        above = edges.fpr > self.wanted
        return _and_above(int(np.argmax(above)) if above.any() else len(above) - 1)

    def expected(self, edges: Curve, to: Bins, draws: int) -> np.ndarray:  # noqa: ARG002
        return np.abs(edges.fpr - self.wanted) <= SIGMAS * _spread(edges.fpr, draws)


@dataclass(frozen=True)
class AtThreshold:
    """The rates at a given threshold."""

    threshold: float
    curve: str = "pooled"

    def read(self, curve: Curve) -> Point:
        return at_threshold(curve, self.threshold)

    def bins(self, edges: Curve, to: Bins) -> BinsNeeded:
        own = int(to(np.array([self.threshold], np.float32))[0])
        below = edges.thresholds <= own
        return _and_above(int(np.argmax(below)) if below.any() else len(below) - 1)

    def expected(self, edges: Curve, to: Bins, draws: int) -> np.ndarray:  # noqa: ARG002
        return edges.thresholds == to(np.array([self.threshold], np.float32))[0]


@dataclass(frozen=True)
class LeastCost:
    """The least detection cost over all thresholds."""

    p_target: float
    c_miss: float = 1.0
    c_fa: float = 1.0
    curve: str = "pooled"

    def read(self, curve: Curve) -> tuple[float, Point]:
        return min_detection_cost(curve, self.p_target, self.c_miss, self.c_fa)

    def _costs(self, fnr: np.ndarray, fpr: np.ndarray) -> np.ndarray:
        return detection_costs(fnr, fpr, self.p_target, self.c_miss, self.c_fa)

    def bins(self, edges: Curve, to: Bins) -> BinsNeeded:  # noqa: ARG002
        """Inside a bin no cost is below that of its lowest miss rate together with its lowest false acceptance rate."""
        fnr, fpr = edges.fnr, edges.fpr
        least = self._costs(fnr, fpr).min() + 2 * TIE
        bound = self._costs(fnr[1:], fpr[:-1])
        chosen = np.flatnonzero(bound <= least) + 1
        rejecting_all = self._costs(fnr[:1], fpr[:1])[0] <= least
        return BinsNeeded(np.union1d(chosen, [1]) if rejecting_all else chosen, np.arange(0))

    def expected(self, edges: Curve, to: Bins, draws: int) -> np.ndarray:  # noqa: ARG002
        cost = self._costs(edges.fnr, edges.fpr)
        best = int(np.argmin(cost))
        error = self._costs(*(_spread(np.abs(rate - rate[best]), draws) for rate in (edges.fnr, edges.fpr)))
        return cost - cost[best] <= SIGMAS * error


OperatingPoint = EqualError | FalseAcceptance | AtThreshold | LeastCost
