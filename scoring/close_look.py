"""What becomes of the scores that a pass looks at closely: few are kept as they are, many are counted into cells."""

from collections.abc import Iterable

import numpy as np

from scoring.bins import LARGEST_KEY, Bins, floats_of
from scoring.counts import FineCounts, no_fine_counts
from scoring.kernels import Segments
from scoring.kernels_fine import Cells, Spans, Windows, count_cells, find_inside

MOST_SPANS = 8  # each costs a comparison for every trial
LINE = 1 << 16  # kept scores that are looked through at once


def spans_over(first: np.ndarray, last: np.ndarray) -> Spans:
    """At most `MOST_SPANS` spans that hold given stretches of keys, and between these no more than they must.

    Parameters
    ----------
    first, last : (W,) int64, the least and the greatest key of each stretch, `first` rising
    """
    if not len(first):
        return Spans(np.zeros(0, np.float32), np.zeros(0, np.float32))
    last = np.maximum.accumulate(last)
    between = first[1:] - last[:-1]
    apart = np.flatnonzero(between > 1)
    breaks = np.sort(apart[np.argsort(-between[apart], kind="stable")][: MOST_SPANS - 1])
    return Spans(floats_of(first[np.append(0, breaks + 1)]), floats_of(last[np.append(breaks, len(last) - 1)]))


class CountedCells:
    """Scores counted into the cells of windows.

    Attributes
    ----------
    spans : where the windows lie
    """

    def __init__(self, segments: Segments, to: Bins, windows: Windows, cells: tuple[int, int]):
        self.spans = spans_over(windows.first, windows.last)
        self._how = segments, to, windows
        self._cells = Cells(np.zeros((2, cells[0]), np.int64), np.zeros((2, cells[1], 2)))

    def add(self, scores: np.ndarray, pairs: np.ndarray) -> None:
        """Count (T,) float32 scores of (T,) int32 pairs of segments (see `name_pairs`); some may be in no window."""
        count_cells(scores, pairs, *self._how, self._cells)

    def counts(self) -> FineCounts:
        """The cells."""
        return FineCounts(self._cells.pooled, self._cells.macro.sum(axis=2))


class KeptScores:
    """The scores that lie in chosen bins, while there is room for them: what is asked of these bins needs no more pass.

    Attributes
    ----------
    bins : (BINS,) bool, the chosen ones
    spans : where they lie
    complete : whether there was room for all
    """

    def __init__(self, segments: Segments, bins: np.ndarray, lowest: np.ndarray, room: int):
        chosen, ends = np.flatnonzero(bins), np.append(lowest[1:], LARGEST_KEY + 1) - 1
        self.bins, self.spans, self.complete = bins, spans_over(lowest[chosen], ends[chosen]), True
        self._segments, self._lowest = segments, lowest
        self._scores, self._pairs, self._count = np.empty(room, np.float32), np.empty(room, np.int32), 0

    def add(self, scores: np.ndarray, pairs: np.ndarray) -> None:
        """Keep (T,) float32 scores of (T,) int32 pairs of segments (see `name_pairs`)."""
        end = self._count + len(scores)
        if end > len(self._scores):
            self.complete = False
            return
        self._scores[self._count : end], self._pairs[self._count : end] = scores, pairs
        self._count = end

    def counts(self) -> FineCounts:
        """No cells: what is needed is counted later, see `counted`."""
        return no_fine_counts()

    def holds(self, keys: Iterable[int]) -> bool:
        """Whether every score in the bins of these keys has been kept."""
        return self.complete and bool(self.bins[np.searchsorted(self._lowest, list(keys), side="right") - 1].all())

    def counted(self, to: Bins, windows: Windows, cells: tuple[int, int]) -> FineCounts:
        """What a pass would count in these windows."""
        fine = CountedCells(self._segments, to, windows, cells)
        found, places, flags = (
            np.empty(LINE + 1, np.float32),
            np.empty(LINE + 1, np.int32),
            np.zeros(LINE + 8, np.uint8),
        )
        for start in range(0, self._count, LINE):
            line = slice(start, min(start + LINE, self._count))
            n = find_inside(self._scores[None, line], -1, 0, fine.spans, flags, found, places)  # a tile of one row
            fine.add(found[:n], self._pairs[line][places[:n]])
        return fine.counts()
