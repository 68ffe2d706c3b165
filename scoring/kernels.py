"""The compiled loops over the scores of a tile.

Each score costs two steps: a loop that the compiler turns into vector instructions finds the bins of a row of scores,
and a second one increments the counts. They are kept apart, and bins unsigned (no check for a negative index), for
speed alone: one loop for both takes twice the time.
"""

from typing import NamedTuple

import numba
import numpy as np

from scoring.bins import to_bins

SMALL = 8192  # a block of fewer trials is added score by score, a larger one bin by bin


class Segments(NamedTuple):
    """Stretches of the sorted list whose trials weigh the same: one system each, or all systems of one size."""

    starts: np.ndarray  # (G + 1,) int64
    of: np.ndarray  # (N,) int32, the segment of each row
    ends: np.ndarray  # (N,) int64, where the system of each row ends
    own: np.ndarray  # (G,) float64, what a target trial weighs
    between: np.ndarray  # (G,) float64, whose product over the two ends is what a non-target trial weighs


class Tables(NamedTuple):
    """The histograms that one thread fills. Row 0 of a pair is non-target trials, row 1 target ones."""

    pooled: np.ndarray  # (2, BINS) int64
    macro: np.ndarray  # (2, BINS) float64
    pairs: np.ndarray  # (P, bins) float64, of each pair of segments i <= j; P is 0 where none are wanted
    shift: int  # of a bin to one of these
    block: np.ndarray  # (2, BINS) int32, the histogram of one block of trials
    bins: np.ndarray  # (columns of a tile,) uint16


@numba.njit(nogil=True, cache=True)
def extremes(tile, row, column):
    """The lowest and the highest score above the diagonal of a tile whose corner is (row, column)."""
    low, high = np.float32(np.inf), np.float32(-np.inf)
    for r in range(tile.shape[0]):
        for c in range(max(0, row + r + 1 - column), tile.shape[1]):
            low, high = min(low, tile[r, c]), max(high, tile[r, c])
    return low, high


@numba.njit(nogil=True, cache=True)
def normalise_tile(tile, row, column, scale, shift):
    """Score normalisation in place, for a tile whose corner is (row, column)."""
    rows, columns = tile.shape
    for r in range(rows):
        for c in range(columns):
            p, q = scale[row + r] + scale[column + c], shift[row + r] + shift[column + c]
            tile[r, c] = tile[r, c] * p - q


@numba.njit(nogil=True, cache=True)
def _count_line(line, to, bins, histogram):
    """Count a line of scores, and leave their bins in `bins`."""
    to_bins(line, to, bins[: len(line)])
    for k in range(len(line)):
        histogram[bins[k]] += np.int32(1)


@numba.njit(nogil=True, cache=True)
def _add_line(bins, histogram, target, weight, pair, tables):
    """Move the few trials of a line from the histogram of their block to the others, score by score."""
    for k in range(len(bins)):
        b = bins[k]
        histogram[b] = 0
        tables.pooled[target, b] += 1
        tables.macro[target, b] += weight
        if pair >= 0:
            tables.pairs[pair, b >> tables.shift] += 1


@numba.njit(nogil=True, cache=True)
def _add_block(histogram, target, weight, pair, tables):
    """Add the histogram of a block of trials to the others, bin by bin, and empty it."""
    pooled, macro = tables.pooled[target], tables.macro[target]
    for b in range(len(histogram)):
        pooled[b] += histogram[b]
    for b in range(len(histogram)):
        macro[b] += weight * histogram[b]
    if pair >= 0:
        for b in range(len(histogram)):
            tables.pairs[pair, b >> tables.shift] += histogram[b]
    histogram[:] = 0


@numba.njit(nogil=True, cache=True)
def _count_block(tile, row, column, block, segments, weights, pair, to, tables):
    """Count the trials of one pair of segments: rows and columns of the list as `block` says.

    The columns of a row's own system are next to it, so its target trials come first and then the non-target ones.
    """
    r, r_end, c, c_end = block
    large, targets = (r_end - r) * (c_end - c) > SMALL, False
    for x in range(r, r_end):
        start = max(c, x + 1)  # above the diagonal
        if start >= c_end:
            break
        line = tile[x - row]
        split = min(max(segments.ends[x], start), c_end)
        for target, begin, end in ((1, start, split), (0, split, c_end)):
            if begin == end:
                continue
            histogram = tables.block[target]
            _count_line(line[begin - column : end - column], to, tables.bins, histogram)
            targets |= target == 1
            if not large:
                _add_line(tables.bins[: end - begin], histogram, target, weights[target], pair, tables)
    if large:
        _add_block(tables.block[0], 0, weights[0], pair, tables)
        if targets:
            _add_block(tables.block[1], 1, weights[1], pair, tables)


@numba.njit(nogil=True, cache=True)
def count_tile(tile, row, column, segments, to, tables):
    """Count the scores above the diagonal of a tile whose corner is (row, column).

    The list is sorted, so a tile falls into blocks of one pair of segments each, and within a block there is nothing to
    look up.
    """
    rows, columns = tile.shape
    count, r = len(segments.starts) - 1, row
    while r < row + rows:
        i = segments.of[r]
        r_end = min(segments.starts[i + 1], row + rows)
        c = max(column, r + 1)
        while c < column + columns:
            j = segments.of[c]
            c_end = min(segments.starts[j + 1], column + columns)
            pair = i * count - i * (i - 1) // 2 + j - i if len(tables.pairs) else -1
            weights = (segments.between[i] * segments.between[j], segments.own[i])
            _count_block(tile, row, column, (r, r_end, c, c_end), segments, weights, pair, to, tables)
            c = c_end
        r = r_end
