"""The compiled loops that count the scores of a tile for each system on its own."""

import numba
import numpy as np

from scoring.bins import key_of, to_bins


@numba.njit(nogil=True, cache=True)
def count_marginals(tile, row, column, systems, segments, to, shift, bins, marginals):
    """Count the scores above the diagonal of a tile for either of their systems.

    Once by rows and once by columns, so that the counts of one system are complete before those of the next begin.

    Parameters
    ----------
    tile : (rows, columns) float32, whose corner is (row, column)
    systems, segments : `scoring.kernels.Segments` of one system each, and of systems that weigh the same
    to, shift : bins, and how much coarser those of `marginals` are
    bins : (rows, columns of a whole tile) uint16, working memory
    marginals : (3, S, bins) float64: target trials of each system, trials between it and any other, their macro weight
    """
    rows, columns = tile.shape
    for r in range(rows):
        start = max(0, row + r + 1 - column)
        to_bins(tile[r, start:], to, bins[r, start:columns])
    other = np.zeros(marginals.shape[2], np.int32)
    own = np.zeros(marginals.shape[2], np.int32)
    r = row
    while r < row + rows:
        i = systems.of[r]
        r_end = min(systems.starts[i + 1], row + rows)
        c = max(column, r + 1)
        while c < column + columns:
            group = segments.of[c]
            c_end = min(segments.starts[group + 1], column + columns)
            for x in range(r, r_end):
                start = max(c, x + 1)
                split = min(max(systems.ends[x], start), max(c_end, start))
                for y in range(start, split):
                    own[bins[x - row, y - column] >> shift] += np.int32(1)
                for y in range(split, c_end):
                    other[bins[x - row, y - column] >> shift] += np.int32(1)
            _add(marginals, i, other, systems.between[i] * segments.between[group])
            c = c_end
        for b in range(len(own)):
            marginals[0, i, b] += own[b]
        own[:] = 0
        r = r_end
    c = column
    while c < column + columns:
        j = systems.of[c]
        c_end = min(systems.starts[j + 1], column + columns)
        r = row
        while r < min(row + rows, systems.starts[j]):  # rows below are of the same system or lie beneath the diagonal
            group = segments.of[r]
            r_end = min(segments.starts[group + 1], row + rows, systems.starts[j])
            for x in range(r, r_end):
                for y in range(c, c_end):
                    other[bins[x - row, y - column] >> shift] += np.int32(1)
            _add(marginals, j, other, systems.between[j] * segments.between[group])
            r = r_end
        c = c_end


@numba.njit(nogil=True, cache=True)
def _add(marginals, system, counted, weight):
    """Add trials between a system and others, which all weigh the same, and empty their histogram."""
    for b in range(len(counted)):
        marginals[1, system, b] += counted[b]
        marginals[2, system, b] += weight * counted[b]
        counted[b] = 0


@numba.njit(nogil=True, cache=True)
def keep_own(tile, row, column, low, high, scores, places):
    """Write the scores above the diagonal of a tile that lie in the range of either end, and their places in the tile.

    Parameters
    ----------
    low, high : (N,) float32, the range of the system of each row of the list
    scores, places : (trials of a tile + 1,) float32 and int32, written to

    Returns how many.
    """
    rows, columns = tile.shape
    n = 0
    lows, highs = low[column : column + columns], high[column : column + columns]
    for r in range(rows):
        line, lowest, highest = tile[r], low[row + r], high[row + r]
        for c in range(max(0, row + r + 1 - column), columns):
            score = line[c]
            scores[n], places[n] = score, r * columns + c
            n += ((score >= lowest) & (score <= highest)) | ((score >= lows[c]) & (score <= highs[c]))
    return n


@numba.njit(nogil=True, cache=True)
def count_own(scores, places, columns, row, column, codes, first, last, shift, counts):
    """Count scores into the cells of the ranges of their systems.

    Parameters
    ----------
    scores, places : as `keep_own` wrote them, of a tile of so many columns, whose corner is (row, column)
    codes : (N,) int32, the system of each row of the list
    first, last, shift : (S,) int64, keys of each system's range and the size of its cells, 2 ** shift floats
    counts : (S, 2, cells) int64, non-target and target trials
    """
    bits = scores.view(np.int32)
    for k in range(len(scores)):
        key = key_of(bits[k])
        i, j = codes[row + places[k] // columns], codes[column + places[k] % columns]
        target = 1 if i == j else 0
        if first[i] <= key <= last[i]:
            counts[i, target, (key - first[i]) >> shift[i]] += 1
        if i != j and first[j] <= key <= last[j]:
            counts[j, target, (key - first[j]) >> shift[j]] += 1
