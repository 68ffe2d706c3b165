"""A curve as far as it is known: numbers cut into cells, and how many trials have a score in each."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scoring.bins import LARGEST_KEY, floats_of
from scoring.kernels_fine import Windows
from tuneThreshold import Curve


@dataclass(frozen=True)
class CurveCells:
    """Float32 numbers in cells of neighbours; together they hold every score.

    Attributes
    ----------
    lower, upper : (K,) int64, the keys of the least and the greatest number of each cell, rising
    counts : (2, K) non-target and target trials with a score in the cell: int64, or float64 where trials are weighed
    trials : target and non-target trials in all
    """

    lower: np.ndarray
    upper: np.ndarray
    counts: np.ndarray
    trials: tuple[int, int]

    @cached_property
    def points(self) -> Curve:
        """The curve at the lowest score of each occupied cell, and above all; its thresholds are keys `lower`."""
        occupied = np.flatnonzero(self.counts[0] + self.counts[1])[::-1]
        # weights are added up in long double: a hundred thousand roundings would show in the 11th digit
        exact = np.int64 if self.counts.dtype == np.int64 else np.longdouble
        false_alarms, hits = (
            np.concatenate([[0], np.cumsum(kind[occupied], dtype=exact)]).astype(self.counts.dtype)
            for kind in self.counts
        )
        return Curve(np.concatenate([[LARGEST_KEY + 1], self.lower[occupied]]), hits, false_alarms, *self.trials)

    def last(self, lower: np.ndarray) -> np.ndarray:
        """(T,) int64, the key of the greatest number of the cells that begin with (T,) keys."""
        return self.upper[np.searchsorted(self.lower, lower)]

    def refined(self, windows: Windows, counts: np.ndarray, needed: np.ndarray) -> "CurveCells":
        """The same with those cells divided that are windows and begin with one of the keys `needed`.

        `counts` (2, C) are those of the cells of the windows. Where there are no such cells it is the very same.
        """
        if not len(windows.first):
            return self
        place = np.minimum(np.searchsorted(self.lower, windows.first), len(self.lower) - 1)
        whole = (self.lower[place] == windows.first) & (self.upper[place] == windows.last)
        sizes = ((windows.last - windows.first) >> windows.shift) + 1
        whole &= (windows.last > windows.first) & np.isin(windows.first, needed)
        mine = np.flatnonzero(whole & (windows.offset + sizes <= counts.shape[1]))  # some are not counted with weights
        if not len(mine):
            return self
        begins, ends = windows.offset[mine], (windows.offset + sizes)[mine]
        occupied = [  # mostly few
            begin + np.flatnonzero(counts[0, begin:end] + counts[1, begin:end])
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        ]
        window, cell = np.repeat(mine, [len(cells) for cells in occupied]), np.concatenate(occupied)
        first = windows.first[window] + ((cell - windows.offset[window]) << windows.shift[window])
        last = np.minimum(first + (1 << windows.shift[window]) - 1, windows.last[window])
        kept = np.ones(len(self.lower), bool)
        kept[place[mine]] = False
        lower = np.concatenate([self.lower[kept], first])
        upper = np.concatenate([self.upper[kept], last])
        both = np.concatenate([self.counts[:, kept], counts[:, cell]], axis=1)
        order = np.argsort(lower, kind="stable")
        return CurveCells(lower[order], upper[order], both[:, order], self.trials)


def of_bins(lowest: np.ndarray, counts: np.ndarray, trials: tuple[int, int]) -> CurveCells:
    """Bins as cells: `lowest` (BINS,) are the keys of their least numbers. Bins that no number falls into are none."""
    ends = np.append(lowest[1:], LARGEST_KEY + 1) - 1
    holding = ends >= lowest
    return CurveCells(lowest[holding], ends[holding], counts[:, holding], trials)


def curve_at(points: Curve, chosen: np.ndarray) -> Curve:
    """The curve at chosen points, cells of one number each, and above all scores.

    Its thresholds are these numbers, and the next above the highest of them.
    """
    values = floats_of(points.thresholds[chosen])
    above = np.nextafter(values.max(initial=-np.inf), np.float32(np.inf), dtype=np.float32)
    rows = np.concatenate([[0], chosen])
    return Curve(
        np.concatenate([[above], values]),
        points.hits[rows],
        points.false_alarms[rows],
        points.targets,
        points.nontargets,
    )
