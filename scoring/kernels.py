"""The compiled loops over the scores of a tile.

Each score costs two steps: a loop that the compiler turns into vector instructions finds the bins of a row of scores,
and a second one increments the counts. They are kept apart, and bins unsigned (no check for a negative index), for
speed alone: one loop for both takes twice the time.
"""

from typing import NamedTuple

import numba
import numpy as np

from scoring.bins import key_of, to_bins

SMALL = 8192  # a block of fewer trials is added score by score, a larger one bin by bin


class Segments(NamedTuple):
    """Stretches of the sorted list whose trials weigh the same: one system each, or all systems of one size."""

    starts: np.ndarray  # (G + 1,) int64
    of: np.ndarray  # (N,) int32, the segment of each row
    ends: np.ndarray  # (N,) int64, where the system of each row ends
    own: np.ndarray  # (G,) float64, what a target trial weighs
    between: np.ndarray  # (G,) float64, whose product over the two ends is what a non-target trial weighs


class Windows(NamedTuple):
    """Stretches of numbers that are counted finely, in cells of 2 ** shift neighbouring floats."""

    slots: np.ndarray  # (BINS + 1,) int64, the windows in bin b are slots[b] to slots[b + 1]
    first: np.ndarray  # (W,) int64, the key of the lowest number
    last: np.ndarray  # (W,) int64
    shift: np.ndarray  # (W,) int64
    offset: np.ndarray  # (W,) int64, of the first cell in the table
    marks: np.ndarray  # (BINS,) uint8, whether a bin has a window


class Tables(NamedTuple):
    """The histograms that one thread fills. Row 0 of a pair is non-target trials, row 1 target ones."""

    pooled: np.ndarray  # (2, BINS) int64
    macro: np.ndarray  # (2, BINS) float64
    pairs: np.ndarray  # (P, bins) float64, of each pair of segments i <= j; P is 0 where none are wanted
    shift: int  # of a bin to one of these
    block: np.ndarray  # (2, BINS) int32, the histogram of one block of trials
    bins: np.ndarray  # (columns of a tile,) uint16
    scores: np.ndarray  # (trials of a tile + columns,) float32, those in windows
    weights: np.ndarray  # (trials of a tile + columns,) float64, what they weigh; below 0 for a target trial


class Cells(NamedTuple):
    """The cells of all windows."""

    pooled: np.ndarray  # (2, C) int64
    macro: np.ndarray  # (2, M, 2) float64, of the first M cells: the sum, and what rounding has taken from it


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
def _count_line(line, to, marks, bins, histogram, kept, n):
    """Count a line of scores, and write those in windows to `kept`, without a branch. Returns how many it holds."""
    to_bins(line, to, bins[: len(line)])
    if len(marks):
        for k in range(len(line)):
            b = bins[k]
            histogram[b] += np.int32(1)
            kept[n] = line[k]
            n += marks[b]
    else:
        for k in range(len(line)):
            histogram[bins[k]] += np.int32(1)
    return n


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
def _count_block(tile, row, column, block, segments, weights, pair, to, marks, tables, n):
    """Count the trials of one pair of segments: rows and columns of the list as `block` says. Returns as `_count_line`.

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
            histogram, before = tables.block[target], n
            n = _count_line(line[begin - column : end - column], to, marks, tables.bins, histogram, tables.scores, n)
            tables.weights[before:n] = -weights[1] if target else weights[0]
            targets |= target == 1
            if not large:
                _add_line(tables.bins[: end - begin], histogram, target, weights[target], pair, tables)
    if large:
        _add_block(tables.block[0], 0, weights[0], pair, tables)
        if targets:
            _add_block(tables.block[1], 1, weights[1], pair, tables)
    return n


@numba.njit(nogil=True, cache=True)
def count_tile(tile, row, column, segments, to, marks, tables):
    """Count the scores above the diagonal of a tile whose corner is (row, column).

    The list is sorted, so a tile falls into blocks of one pair of segments each, and within a block there is nothing to
    look up. Returns how many scores lie in windows; `tables.scores` and `tables.weights` hold them.
    """
    rows, columns = tile.shape
    count, n, r = len(segments.starts) - 1, 0, row
    while r < row + rows:
        i = segments.of[r]
        r_end = min(segments.starts[i + 1], row + rows)
        c = max(column, r + 1)
        while c < column + columns:
            j = segments.of[c]
            c_end = min(segments.starts[j + 1], column + columns)
            pair = i * count - i * (i - 1) // 2 + j - i if len(tables.pairs) else -1
            weights = (segments.between[i] * segments.between[j], segments.own[i])
            n = _count_block(tile, row, column, (r, r_end, c, c_end), segments, weights, pair, to, marks, tables, n)
            c = c_end
        r = r_end
    return n


@numba.njit(nogil=True, cache=True)
def count_cells(scores, weights, to, windows, cells):
    """Count scores into the cells of the windows that they lie in. `weights` as in `Tables`."""
    bits, bins = scores.view(np.int32), np.empty(4096, np.uint16)
    for start in range(0, len(scores), len(bins)):
        part = scores[start : start + len(bins)]
        to_bins(part, to, bins[: len(part)])
        for k in range(len(part)):
            key, weight = key_of(bits[start + k]), weights[start + k]
            target = 1 if weight < 0 else 0
            for w in range(windows.slots[bins[k]], windows.slots[bins[k] + 1]):
                if windows.first[w] <= key <= windows.last[w]:
                    cell = windows.offset[w] + ((key - windows.first[w]) >> windows.shift[w])
                    cells.pooled[target, cell] += 1
                    if cell < cells.macro.shape[1]:
                        _add_precisely(cells.macro[target, cell], abs(weight))


@numba.njit(nogil=True, cache=True)
def _add_precisely(total, weight):
    """Add to a sum, and what the rounding takes away to its second part: a million equal weights lose nothing.

    Knuth, The Art of Computer Programming, volume 2, 4.2.2, theorem B.
    """
    old = total[0]
    new = old + weight
    part = new - old
    total[0] = new
    total[1] += (old - (new - part)) + (weight - part)
