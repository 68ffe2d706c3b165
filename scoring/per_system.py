"""The EER of each system, exactly: its target trials against the trials between it and any other."""

from dataclasses import dataclass

import numpy as np

from scoring.bins import LARGEST_KEY, floats_of
from scoring.counts import Counts, Groups, Ranges
from scoring.embeddings import Utterances
from scoring.passes import PassOptions, count_ranges
from tuneThreshold import Curve, Point, equal_error

ROOM = 1 << 21  # cells of all systems: 32 MB


@dataclass
class Search:
    """The search for one system's equal-error point, in a range of numbers that becomes narrower pass by pass.

    First for the score at which false acceptance passes false rejection. Should the threshold above it be the better
    one, whose rates are known by then, then for the least score that is higher.

    Attributes
    ----------
    trials : (2,) its non-target and target trials
    first, last : keys of the range
    accepted : (2,) trials with a score above the range
    higher : keys of the range that holds the least score above this one; None where there is none
    rates : those of the point, where only its threshold is still sought
    point : the answer, once it is known
    """

    trials: np.ndarray
    first: int
    last: int
    accepted: np.ndarray
    higher: tuple[int, int] | None = None
    rates: tuple[float, float] | None = None
    point: Point | None = None

    def narrow(self, histogram: np.ndarray, lowest: np.ndarray) -> None:
        """Go on in one cell: of a (2, C) histogram whose cells begin with the keys `lowest` (C + 1,)."""
        occupied = np.flatnonzero(histogram.any(axis=0))[::-1]
        if self.rates:
            place = len(occupied) - 1
        else:
            accepted = self.accepted[:, None] + histogram[:, occupied].cumsum(axis=1)
            fpr, hit_rate = accepted / self.trials[:, None]
            place = int(np.argmax(fpr >= 1 - hit_rate))
            if place:
                self.accepted = accepted[:, place - 1]
                self.higher = (int(lowest[occupied[place - 1]]), int(lowest[occupied[place - 1] + 1]) - 1)
        self.first, self.last = int(lowest[occupied[place]]), int(lowest[occupied[place] + 1]) - 1
        if self.first == self.last:
            self._settle(histogram[:, occupied[place]])

    def _settle(self, here: np.ndarray) -> None:
        """Take the only number that is left, at which there are so many trials: (2,)."""
        value = floats_of(np.array([self.first]))[0]
        if self.rates:
            self.point = Point(float(value), *self.rates)
            return
        thresholds = np.array([np.nextafter(value, np.float32(np.inf)), value])
        false_alarms, hits = np.stack([self.accepted, self.accepted + here], axis=1)
        best = equal_error(Curve(thresholds, hits, false_alarms, int(self.trials[1]), int(self.trials[0])))
        if best.threshold == float(value) or self.higher is None:
            self.point = best
        else:
            self.rates, (self.first, self.last) = (best.fpr, best.fnr), self.higher


def by_system(
    listed: Utterances, counts: Counts, groups: Groups, *, options: PassOptions, title: str = "by system"
) -> tuple[list[Point | None], int]:
    """The equal-error point of each system.

    Parameters
    ----------
    listed : the utterances
    counts : of a pass that counted `groups`
    options, title : of the passes

    Returns
    -------
    (S,) points, None for a system with one utterance, which has no target trial; and how many passes it took
    """
    lowest = np.append(counts.to.lowest_keys()[:: 1 << groups.shift], LARGEST_KEY + 1)
    searches = [_search(histogram.astype(np.int64), lowest) for histogram in _own_histograms(counts.groups, groups)]
    cells, passes = max(ROOM // (2 * len(searches)), 2), 0
    while any(search and search.point is None for search in searches):
        ranges = Ranges(*np.array([_range(search, cells) for search in searches]).T, cells)
        own = count_ranges(listed, ranges, options=options, title=title)
        passes += 1
        for search, shift, histogram in zip(searches, ranges.shift.tolist(), own, strict=True):
            if search and search.point is None:
                begins = search.first + (np.arange(cells + 1) << shift)
                search.narrow(histogram, np.minimum(begins, search.last + 1))
    return [search and search.point for search in searches], passes


def _search(histogram: np.ndarray, lowest: np.ndarray) -> Search | None:
    """The search that a system's histogram (2, bins) begins; None for a system without target trials."""
    if not histogram[1].any():
        return None
    search = Search(histogram.sum(axis=1), int(lowest[0]), int(lowest[-1]) - 1, np.zeros(2, np.int64))
    search.narrow(histogram, lowest)
    return search


def _own_histograms(histograms: np.ndarray, groups: Groups) -> np.ndarray:
    """(S, 2, bins) non-target and target trials of each system."""
    systems = groups.systems
    if not groups.pairs:
        return np.stack([histograms[systems : 2 * systems], histograms[:systems]], axis=1)
    own = np.zeros((systems, 2, groups.bins))
    for (first, second), histogram in zip(np.column_stack(np.triu_indices(systems)), histograms, strict=True):
        if first == second:
            own[first, 1] = histogram
        else:
            own[first, 0] += histogram
            own[second, 0] += histogram
    return own


def _range(search: Search | None, cells: int) -> tuple[int, int, int]:
    """First and last key of a system's range, and how large its cells must be; an empty one where nothing is sought."""
    if search is None or search.point:
        return 1, 0, 0
    size = search.last - search.first + 1
    return search.first, search.last, max(0, (-(-size // cells) - 1).bit_length())
