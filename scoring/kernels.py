"""The compiled loops that count the scores of a tile.

Each score costs two steps: a loop that the compiler turns into vector instructions finds the bins of a row of scores,
and a second one increments the counts. They are kept apart, and bins unsigned (no check for a negative index), for
speed alone: one loop for both takes twice the time.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from scoring.bins import BINS, to_bins

SMALL = 8192  # a block of fewer trials is added score by score, a larger one bin by bin


class Wanted(NamedTuple):
    """The bins whose scores a pass keeps: those of any trial, and those of the trials of one system only."""

    bins: np.ndarray  # (BINS,) uint8, 0 or 1
    first: np.ndarray  # (S,) int64, of each system's own range of bins
    last: np.ndarray  # (S,) int64, below `first` where a system wants none
    marks: np.ndarray  # (BINS,) uint8, as `bins`, and a system's own range while its trials are counted


class Tables(NamedTuple):
    """The histograms that one thread fills, and its working memory."""

    pooled: np.ndarray  # (2, BINS) int64
    macro: np.ndarray  # (2, BINS) float64
    groups: np.ndarray  # (G, bins) float64
    kind: int  # of groups: 0 none, 1 pairs of systems, 2 systems
    group_shift: int
    block: np.ndarray  # (BINS,) int32, the histogram of one block of trials
    bins: np.ndarray  # (columns of a tile,) uint16
    kept: np.ndarray  # (room,) float32
    runs: np.ndarray  # (blocks of a tile, 3) int32


@numba.njit(nogil=True, cache=True)
def places_in(scores, to, marks):
    """(K,) int64 places of the scores that fall into marked bins, rising."""
    bins, places, n = np.empty(4096, np.uint16), np.empty(len(scores), np.int64), 0
    for start in range(0, len(scores), len(bins)):
        part = scores[start : start + len(bins)]
        to_bins(part, to, bins[: len(part)])
        for k in range(len(part)):
            places[n] = start + k
            n += marks[bins[k]]
    return places[:n].copy()


@numba.njit(nogil=True, cache=True)
def lowest_in(scores, to):
    """(BINS,) float32, the lowest score in each bin; infinity where there is none."""
    bins, lowest = np.empty(4096, np.uint16), np.full(BINS, np.float32(np.inf))
    for start in range(0, len(scores), len(bins)):
        part = scores[start : start + len(bins)]
        to_bins(part, to, bins[: len(part)])
        for k in range(len(part)):
            lowest[bins[k]] = min(lowest[bins[k]], part[k])
    return lowest


@numba.njit(nogil=True, cache=True)
def normalise_tile(tile, row, column, scale, shift):
    """Score normalisation in place, for a tile whose corner is (row, column)."""
    rows, columns = tile.shape
    for r in range(rows):
        for c in range(columns):
            p, q = scale[row + r] + scale[column + c], shift[row + r] + shift[column + c]
            tile[r, c] = tile[r, c] * p - q


@numba.njit(nogil=True, cache=True)
def _groups_of(i, j, systems, kind):
    """The one or two histograms of systems that count a trial of systems i <= j; -1 for none."""
    if kind == 1:
        return i * systems - i * (i - 1) // 2 + j - i, -1
    if kind == 2:
        return (i, -1) if i == j else (systems + i, systems + j)
    return -1, -1


@numba.njit(nogil=True, cache=True)
def _add_block(tables, target, weight, one, other, weighed):
    """Add the histogram of one block of trials to those of the list and of its systems, and empty it.

    Where there are two histograms `one` and `other`, those `weighed` rows further take the weight of the trials.
    """
    block, pooled, macro, groups = tables.block, tables.pooled[target], tables.macro[target], tables.groups
    for b in range(len(block)):
        pooled[b] += block[b]
    for b in range(len(block)):
        macro[b] += weight * block[b]
    if one >= 0:
        for b in range(BINS):
            groups[one, b >> tables.group_shift] += block[b]
    if other >= 0:
        for b in range(BINS):
            groups[other, b >> tables.group_shift] += block[b]
            groups[one + weighed, b >> tables.group_shift] += weight * block[b]
            groups[other + weighed, b >> tables.group_shift] += weight * block[b]
    block[:] = 0


@numba.njit(nogil=True, cache=True)
def _add_scores(bins, tables, target, weight, one, other, weighed):
    """Move a few trials from the histogram of their block to the others, without going through all of it."""
    block, pooled, macro, groups = tables.block, tables.pooled[target], tables.macro[target], tables.groups
    for k in range(len(bins)):
        b = bins[k]
        block[b] = 0
        pooled[b] += 1
        macro[b] += weight
        if one >= 0:
            groups[one, b >> tables.group_shift] += 1
        if other >= 0:
            groups[other, b >> tables.group_shift] += 1
            groups[one + weighed, b >> tables.group_shift] += weight
            groups[other + weighed, b >> tables.group_shift] += weight


@numba.njit(nogil=True, cache=True)
def _count(bins, block):
    """Count into the histogram of a block."""
    for k in range(len(bins)):
        block[bins[k]] += np.int32(1)


@numba.njit(nogil=True, cache=True)
def _count_and_keep(scores, bins, block, wanted, kept):
    """Count into the histogram of a block, and write the scores in wanted bins to `kept`, without a branch.

    Returns how many were kept.
    """
    n = 0
    for k in range(len(bins)):
        b = bins[k]
        block[b] += np.int32(1)
        kept[n] = scores[k]
        n += wanted[b]
    return n


@numba.njit(nogil=True, cache=True)
def _mark_own(wanted, system, marked):
    """Mark the bins that one system wants of its own trials, or take these marks back."""
    for b in range(wanted.first[system], wanted.last[system] + 1):
        wanted.marks[b] = 1 if marked else wanted.bins[b]


@numba.njit(nogil=True, cache=True)
def _count_block(scores, columns, origin, block, to, tables, wanted, n, target, weight, one, other, weighed):
    """Count the trials of one pair of systems in a tile: rows and columns of the list as `block` says.

    Returns how many scores are kept by now; -1 once none is to be kept, or there is no room for more.
    """
    (row, column), (r, r_end, c, c_end) = origin, block
    large = (r_end - r) * (c_end - c) > SMALL
    histogram, kept, marks = tables.block, tables.kept, wanted.marks
    for x in range(r, r_end):
        start = max(c, x + 1)  # above the diagonal
        if start >= c_end:
            break
        line = scores[(x - row) * columns + start - column : (x - row) * columns + c_end - column]
        bins = tables.bins[: len(line)]
        to_bins(line, to, bins)
        if n >= 0 and n + len(line) > len(kept):
            n = -1
        if n >= 0:
            n += _count_and_keep(line, bins, histogram, marks, kept[n:])
        else:
            _count(bins, histogram)
        if not large:
            _add_scores(bins, tables, target, weight, one, other, weighed)
    if large:
        _add_block(tables, target, weight, one, other, weighed)
    return n


@numba.njit(nogil=True, cache=True)
def count_tile(tile, row, column, starts, codes, weights, to, tables, wanted, n):
    """Count the scores above the diagonal of one tile, whose corner is (row, column).

    The list is sorted by system, so a tile falls into blocks of one pair of systems each, and within a block there is
    nothing to look up. Wanted scores are appended to `tables.kept`, which holds n (-1: keep none); `tables.runs` takes
    how many each block kept, and its systems. Returns how many scores are kept by now and how many runs were written.
    """
    scores = tile.reshape(-1)
    rows, columns = tile.shape
    run, r = 0, row
    while r < row + rows:
        i = codes[r]
        r_end = min(starts[i + 1], row + rows)
        c = max(column, r + 1)
        while c < column + columns:
            j = codes[c]
            c_end = min(starts[j + 1], column + columns)
            target = 1 if i == j else 0
            weight = weights[1, i] if i == j else weights[0, i] * weights[0, j]
            systems = len(starts) - 1
            one, other = _groups_of(i, j, systems, tables.kind)
            before, block = n, (r, r_end, c, c_end)
            _mark_own(wanted, i, True)
            _mark_own(wanted, j, True)
            n = _count_block(
                scores, columns, (row, column), block, to, tables, wanted, n, target, weight, one, other, systems
            )
            _mark_own(wanted, i, False)
            _mark_own(wanted, j, False)
            if n > before:
                tables.runs[run, 0], tables.runs[run, 1], tables.runs[run, 2] = n - before, i, j
                run += 1
            c = c_end
        r = r_end
    return n, run
