"""Which bin a score falls into, and which number a float is when all floats are counted in their order."""

from typing import NamedTuple

import numba
import numpy as np

BINS = 1 << 13
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
        bins = np.arange(1, BINS)
        low, high = np.full(BINS - 1, -LARGEST_KEY), np.full(BINS - 1, LARGEST_KEY + 1)
        while (low < high).any():
            middle = (low + high) // 2
            inside = self(floats_of(np.minimum(middle, LARGEST_KEY))) >= bins
            low, high = np.where(inside, low, np.minimum(middle + 1, high)), np.where(inside, middle, high)
        return np.concatenate([[-LARGEST_KEY], low])


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
    top = np.float32(BINS - 1)
    for k in range(len(bins)):
        bins[k] = np.int32(min(max((scores[k] - to.low) * to.scale, np.float32(0)), top))


@numba.njit(nogil=True, cache=True)
def key_of(bits):
    """The key of one float, given its bits as an int32."""
    key = np.int64(bits)
    return key if key >= 0 else -(key & 0x7FFFFFFF)
