"""What a pass over all trials counts and keeps: plain tables, whichever machinery fills them."""

from dataclasses import dataclass

import numpy as np

from scoring.bins import BINS, Bins
from scoring.kernels import Wanted, places_in


@dataclass(frozen=True)
class Groups:
    """Which histograms of systems a pass keeps beside those of the whole list.

    Either one for each pair of systems i <= j, in the order of the upper triangle; or, where these would be too many,
    three for each system: first of all systems' target trials, then of the trials between each and any other, then of
    the macro weights of the latter.
    """

    systems: int
    bins: int  # of each histogram; 0: none kept
    pairs: bool

    @property
    def count(self) -> int:
        """How many histograms."""
        if not self.bins:
            return 0
        return self.systems * (self.systems + 1) // 2 if self.pairs else 3 * self.systems


NO_GROUPS = Groups(0, 0, False)
GROUP_MEMORY = 24 << 20  # bytes, for each thread


def groups_for(systems: int) -> Groups:
    """The finest histograms of so many systems that the memory allows, of pairs if these can be of use."""
    for pairs, coarsest in ((True, 256), (False, 64)):
        bins = BINS // 4
        while bins > coarsest and Groups(systems, bins, pairs).count * bins * 8 > GROUP_MEMORY:
            bins //= 2
        if Groups(systems, bins, pairs).count * bins * 8 <= GROUP_MEMORY:
            break
    return Groups(systems, bins, pairs)


@dataclass
class Counts:
    """What one pass over all trials saw. Row 0 of a table is non-target trials, row 1 target ones.

    Attributes
    ----------
    to : the bins
    pooled : (2, BINS) int64, every trial counting once
    macro : (2, BINS) float64, every system's target trials weighing the same in total, and every pair of systems'
        non-target trials
    groups : (G, bins) float64, see `Groups`
    scores : (W,) float32, those that fell into wanted bins
    runs : (R, 3) int32, of every run of scores of one pair of systems how many there are, and the two systems
    complete : whether there was room for all of these
    """

    to: Bins
    pooled: np.ndarray
    macro: np.ndarray
    groups: np.ndarray
    scores: np.ndarray
    runs: np.ndarray
    complete: bool

    def histogram(self, curve: str) -> np.ndarray:
        """(2, BINS) what the trials count on the curve "pooled" or "macro"."""
        return self.pooled if curve == "pooled" else self.macro

    def kept_in(self, bins: np.ndarray) -> "Kept":
        """The scores kept in some bins."""
        marks = np.zeros(BINS, np.uint8)
        marks[bins] = 1
        places = places_in(self.scores, self.to, marks)
        run = np.searchsorted(np.cumsum(self.runs[:, 0], dtype=np.int64), places, side="right")
        order = np.argsort(-self.scores[places])
        scores = self.scores[places[order]]
        run = run[order]
        return Kept(scores, self.to(scores), self.runs[:, 1][run], self.runs[:, 2][run])


@dataclass(frozen=True)
class Kept:
    """(K,) scores, falling; the bins they are in, and the two systems of each."""

    scores: np.ndarray
    bins: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def part(self, chosen: slice | np.ndarray) -> "Kept":
        """Those of a slice or a (K,) mask."""
        return Kept(self.scores[chosen], self.bins[chosen], self.first[chosen], self.second[chosen])

    def within(self, bins: np.ndarray) -> "Kept":
        """Those in some bins."""
        return self.part(np.isin(self.bins, bins))


def want(bins: np.ndarray, systems: int) -> Wanted:
    """Scores in the bins of a (BINS,) mask, of any trial."""
    bins = np.asarray(bins, np.uint8)
    return Wanted(bins, np.zeros(systems, np.int64), np.full(systems, -1, np.int64), bins.copy())


def macro_weights(sizes: np.ndarray) -> np.ndarray:
    """(2, S) float64: a target trial of system i weighs [1, i], a trial of systems i and j [0, i] * [0, j].

    A system's target trials then weigh 1 in total, and so do the trials of each pair of systems.
    """
    own = sizes * (sizes - 1) / 2
    return np.stack([1 / sizes, np.divide(1, own, out=np.zeros(len(sizes)), where=own > 0)])
