"""Which bin a score falls into, and which number a float is when all floats are counted in their order."""

from typing import NamedTuple

import numba
import numpy as np

BINS = 1 << 13
NEAR = 32  # keys: mostly no further lies the border of a bin from where arithmetic puts it
LARGEST_KEY = int(np.float32(np.finfo(np.float32).max).view(np.int32))


class Bins(NamedTuple):
    """A rising map of scores to bins of equal width: bin = (score - low) * scale.

    Scores beyond the ends fall into the outermost bins, and equal scores into one.
    """

    low: np.float32
    scale: np.float32

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """(T,) float32 scores to (T,) uint16 bins."""
        bins = np.empty(len(scores), np.uint16)
        to_bins(np.ascontiguousarray(scores, np.float32), self, bins)
        return bins

    def centres(self) -> np.ndarray:
        """(BINS,) float64, the middle of each bin."""
        return float(self.low) + (np.arange(BINS) + 0.5) / float(self.scale)

    def lowest_keys(self) -> np.ndarray:
        """(BINS,) int64, the key of the least float that falls into each bin or above, by bisection."""
        lowest = np.full(BINS, -LARGEST_KEY)
        _find_borders(self, lowest)
        return lowest


def spanning(low: float, high: float) -> Bins:
    """Bins from `low` to `high`, and a little beyond."""
    margin = 0.02 * (high - low) + 1e-6
    return Bins(np.float32(low - margin), np.float32(BINS / (high - low + 2 * margin)))


def keys_of(scores: np.ndarray) -> np.ndarray:
    """(T,) int64 keys of (T,) float32 scores: neighbouring floats have neighbouring keys; 0 and -0 are key 0."""
    bits = np.ascontiguousarray(scores, np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & 0x7FFFFFFF))


def floats_of(keys: np.ndarray) -> np.ndarray:
    """(T,) float32 of (T,) keys."""
    size = np.abs(keys).astype(np.int32).view(np.float32)
    return np.where(keys < 0, -size, size)


@numba.njit(nogil=True, cache=True)
def to_bins(scores, to, bins):
    """Bins of the scores, to `bins`. Written so that the compiler makes vectors of it."""
    for k in range(len(bins)):
        bins[k] = _bin_of(scores[k], to)


@numba.njit(nogil=True, cache=True)
def _bin_of(score, to):
    return np.int32(min(max((score - to.low) * to.scale, np.float32(0)), np.float32(BINS - 1)))


@numba.njit(nogil=True, cache=True)
def key_of(bits):
    """The key of one float, given its bits as an int32."""
    key = np.int64(bits)
    return key if key >= 0 else -(key & 0x7FFFFFFF)


@numba.njit(nogil=True, cache=True)
def _find_borders(to, lowest):
    """Write the key of the least float of each bin but the first, by bisection about where arithmetic puts it."""
    bits = np.zeros(1, np.int32)
    for b in range(1, BINS):
        bits.view(np.float32)[0] = np.float64(to.low) + b / np.float64(to.scale)
        low, high = key_of(bits[0]) - NEAR, key_of(bits[0]) + NEAR
        if _is_in(low, b, to, bits):
            low = -LARGEST_KEY
        if not _is_in(high, b, to, bits):
            high = LARGEST_KEY + 1
        while low < high:
            middle = (low + high) // 2
            if _is_in(middle, b, to, bits):
                high = middle
            else:
                low = middle + 1
        lowest[b] = low


@numba.njit(nogil=True, cache=True)
def _is_in(key, b, to, bits):
    """Whether the float of a key falls into bin b or above."""
    bits[0] = min(abs(key), LARGEST_KEY)
    size = bits.view(np.float32)[0]
    return _bin_of(-size if key < 0 else size, to) >= b
