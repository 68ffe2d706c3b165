"""What a pass over all trials is to count, and what it counted: plain tables, whichever machinery fills them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scoring.bins import BINS, Bins
from scoring.embeddings import Utterances
from scoring.kernels import Segments
from scoring.kernels_fine import Windows

GROUP_MEMORY = 24 << 20  # bytes, for each thread
MOST_CELLS = 1 << 16  # of one window: a bin has fewer floats, but around zero, where they lie densest


class Groups(NamedTuple):
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

    @property
    def shift(self) -> int:
        """Of a bin of the list to one of these."""
        return (BINS // self.bins).bit_length() - 1 if self.bins else 0


NO_GROUPS = Groups(0, 0, False)


def groups_for(systems: int) -> Groups:
    """The finest histograms of so many systems that the memory allows, of pairs if these can be of use."""
    for pairs, coarsest in ((True, 256), (False, 64)):
        bins = BINS // 4
        while bins > coarsest and Groups(systems, bins, pairs).count * bins * 8 > GROUP_MEMORY:
            bins //= 2
        if Groups(systems, bins, pairs).count * bins * 8 <= GROUP_MEMORY:
            break
    return Groups(systems, bins, pairs)


class FineCounts(NamedTuple):
    """The cells of the windows, one after the other. Row 0 of a table is non-target trials, row 1 target ones."""

    pooled: np.ndarray  # (2, C) int64
    macro: np.ndarray  # (2, M) float64, of the first M cells


def no_fine_counts() -> FineCounts:
    """Of no windows."""
    return FineCounts(np.zeros((2, 0), np.int64), np.zeros((2, 0)))


@dataclass
class Counts:
    """What one pass over all trials counted. Row 0 of a table is non-target trials, row 1 target ones.

    Attributes
    ----------
    to : the bins
    pooled : (2, BINS) int64, every trial counting once
    macro : (2, BINS) float64, every system's target trials weighing the same in total, and every pair of systems'
        non-target trials
    groups : (G, bins) float64, see `Groups`
    fine : the cells of the windows
    """

    to: Bins
    pooled: np.ndarray
    macro: np.ndarray
    groups: np.ndarray
    fine: FineCounts

    def histogram(self, curve: str) -> np.ndarray:
        """(2, BINS) what the trials count on the curve "pooled" or "macro"."""
        return self.pooled if curve == "pooled" else self.macro


class Ranges(NamedTuple):
    """A range of numbers for each system, and the cells of 2 ** shift neighbouring floats that divide it."""

    first: np.ndarray  # (S,) int64, keys; above `last` where a system has none
    last: np.ndarray  # (S,) int64
    shift: np.ndarray  # (S,) int64
    cells: int


def macro_weights(sizes: np.ndarray) -> np.ndarray:
    """(2, S) float64: a target trial of system i weighs [1, i], a trial of systems i and j [0, i] * [0, j].

    A system's target trials then weigh 1 in total, and so do the trials of each pair of systems.
    """
    own = sizes * (sizes - 1) / 2
    return np.stack([1 / sizes, np.divide(1, own, out=np.zeros(len(sizes)), where=own > 0)])


def segments_of(listed: Utterances, by_system: bool) -> Segments:
    """The stretches of a list that count alike: its systems, or all systems of one size, which stand together."""
    last = np.append(np.diff(listed.sizes) > 0, True) if not by_system else np.ones(len(listed.sizes), bool)
    starts = np.concatenate([[0], listed.starts[1:][last]]).astype(np.int64)
    between, own = macro_weights(listed.sizes[last])
    of = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    return Segments(starts, of, np.repeat(listed.starts[1:], listed.sizes), own, between)


def no_windows() -> Windows:
    """Nothing to be counted finely."""
    none = np.zeros(0, np.int64)
    return Windows(np.zeros(BINS + 1, np.int64), none, none, none, none, np.zeros(0, np.uint8))


def windows_in(
    lowest: np.ndarray, stretches: np.ndarray, weighed: np.ndarray, room: int, weighed_room: int
) -> tuple[Windows, int, int]:
    """Windows of given stretches, in cells as small as there is room for.

    Parameters
    ----------
    lowest : (BINS,) int64, the least key of each bin
    stretches : (W, 2) int64, the first and the last key of each, within one bin, rising
    weighed : (W,) bool, whether the macro weights of its trials are needed, too
    room, weighed_room : how many cells there may be, and how many of them with weights

    Returns
    -------
    the windows, the number of their cells, and that of their cells with weights, which come first
    """
    if not len(stretches):
        return no_windows(), 0, 0
    first, last = stretches.T
    shift = np.zeros(len(first), np.int64)
    for kind, most in ((weighed, weighed_room), (~weighed, room - weighed_room)):
        shift[kind] = _shifts(last[kind] - first[kind] + 1, most)
    cells = ((last - first) >> shift) + 1
    offset = np.empty(len(first), np.int64)
    order = np.argsort(~weighed, kind="stable")
    offset[order] = np.cumsum(cells[order]) - cells[order]
    bin_ = np.searchsorted(lowest, first, side="right") - 1
    slots = np.searchsorted(bin_, np.arange(BINS + 1))
    windows = Windows(slots, first, last, shift, offset, (np.diff(slots) > 0).astype(np.uint8))
    return windows, int(cells.sum()), int(cells[weighed].sum())


def _shifts(sizes: np.ndarray, room: int) -> np.ndarray:
    """How coarse the cells of stretches of so many numbers must be; what small ones leave of the room, others get."""
    shifts, left = np.zeros(len(sizes), np.int64), room
    for done, place in enumerate(np.argsort(sizes)):
        share, size = min(left // (len(sizes) - done), MOST_CELLS), int(sizes[place])
        shift = max(0, (-(-size // max(share, 2)) - 1).bit_length())
        shifts[place] = shift
        left -= ((size - 1) >> shift) + 1
    return shifts
