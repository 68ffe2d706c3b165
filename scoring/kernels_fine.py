"""The compiled loops over the few scores that are looked at closely: found in a tile, and counted into cells."""

from typing import NamedTuple

import numba
import numpy as np

from scoring.bins import key_of, to_bins


class Spans(NamedTuple):
    """The stretches of scores that a pass looks at closely, both ends included."""

    low: np.ndarray  # (K,) float32
    high: np.ndarray  # (K,) float32


class Windows(NamedTuple):
    """Stretches of numbers that are counted finely, in cells of 2 ** shift neighbouring floats."""

    slots: np.ndarray  # (BINS + 1,) int64, the windows in bin b are slots[b] to slots[b + 1]
    first: np.ndarray  # (W,) int64, the key of the lowest number
    last: np.ndarray  # (W,) int64
    shift: np.ndarray  # (W,) int64
    offset: np.ndarray  # (W,) int64, of the first cell in the table
    marks: np.ndarray  # (BINS,) uint8, whether a bin has a window


class Cells(NamedTuple):
    """The cells of all windows. Row 0 of a pair is non-target trials, row 1 target ones."""

    pooled: np.ndarray  # (2, C) int64
    macro: np.ndarray  # (2, M, 2) float64, of the first M cells: the sum, and what rounding has taken from it


@numba.njit(nogil=True, cache=True)
def find_inside(tile, row, column, spans, flags, scores, places):
    """Write the scores above the diagonal of a tile that lie in a span, and their places in the tile.

    A loop that the compiler turns into vector instructions marks the scores of a line, a byte each. Then eight marks
    are looked at in one step; mostly none is set, and where one is, their places are written without a branch.

    Parameters
    ----------
    tile : (rows, columns) float32, whose corner is (row, column)
    flags : (columns of a whole tile + 8,) uint8, working memory
    scores, places : (trials of a tile + 1,) float32 and int32, written to

    Returns how many.
    """
    rows, columns = tile.shape
    n, eights = np.uint64(0), flags.view(np.uint64)  # unsigned, as in `scoring.kernels`
    for r in range(rows):
        start = max(0, row + r + 1 - column)
        if start >= columns:
            break
        line = tile[r, start:]
        _mark(line, spans.low[0], spans.high[0], flags)
        for span in range(1, len(spans.low)):
            _mark_too(line, spans.low[span], spans.high[span], flags)
        flags[len(line) : len(line) + 7] = 0
        for eight in range(np.uint64((len(line) + 7) // 8)):
            marks = eights[eight]
            if marks:
                place = r * columns + start + np.int64(8 * eight)
                for k in range(8):
                    places[n] = place + k
                    n += marks >> np.uint64(8 * k) & np.uint64(1)
    flat = tile.reshape(-1)
    for k in range(n):
        scores[k] = flat[places[k]]
    return n


@numba.njit(nogil=True, cache=True)
def _mark(line, low, high, flags):
    for c in range(len(line)):
        flags[c] = (line[c] >= low) & (line[c] <= high)


@numba.njit(nogil=True, cache=True)
def _mark_too(line, low, high, flags):
    for c in range(len(line)):
        flags[c] |= (line[c] >= low) & (line[c] <= high)


@numba.njit(nogil=True, cache=True)
def name_pairs(places, columns, row, column, segments):
    """Replace places in a tile of so many columns by the segments i and j of the trials there.

    As i * segments + j, by which `count_cells` knows what the trial weighs; as -1 - i where it is a target trial.
    """
    count = len(segments.own)
    for k in range(len(places)):
        first, second = row + places[k] // columns, column + places[k] % columns
        i = segments.of[first]
        places[k] = -1 - i if second < segments.ends[first] else i * count + segments.of[second]


@numba.njit(nogil=True, cache=True)
def _weight(pair, segments):
    """What a trial weighs, of the pair of segments that `name_pairs` has named."""
    if pair < 0:
        return segments.own[-1 - pair]
    return segments.between[pair // len(segments.own)] * segments.between[pair % len(segments.own)]


@numba.njit(nogil=True, cache=True)
def count_cells(scores, pairs, segments, to, windows, cells):
    """Count scores, of trials that `name_pairs` has named, into the cells of the windows that they lie in."""
    bits, bins = scores.view(np.int32), np.empty(4096, np.uint16)
    for start in range(0, len(scores), len(bins)):
        part = scores[start : start + len(bins)]
        to_bins(part, to, bins[: len(part)])
        for k in range(len(part)):
            if not windows.marks[bins[k]]:
                continue
            key, pair = key_of(bits[start + k]), pairs[start + k]
            target = 1 if pair < 0 else 0
            for w in range(windows.slots[bins[k]], windows.slots[bins[k] + 1]):
                if windows.first[w] <= key <= windows.last[w]:
                    cell = windows.offset[w] + ((key - windows.first[w]) >> windows.shift[w])
                    cells.pooled[target, cell] += 1
                    if cell < cells.macro.shape[1]:
                        _add_precisely(cells.macro[target, cell], _weight(pair, segments))


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
