"""Which bin a score falls into: a map that keeps the order of the scores, and equal scores together."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

BINS = 1 << 13
LARGEST_KEY = int(np.float32(np.finfo(np.float32).max).view(np.int32))


class Bins(NamedTuple):
    """A rising map of scores to bins: by value, or by the bits of the float where values are too dense for that.

    By value, bin = (score - low) * scale. By bits, bin = (bits - first) >> shift, with the bits in the order of the
    floats. Either way scores beyond the ends fall into the outermost bins, and equal scores into one.
    """

    low: np.float32
    scale: np.float32
    first: int = 0
    shift: int = -1  # -1: by value

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """(T,) float32 scores to (T,) uint16 bins."""
        bins = np.empty(len(scores), np.uint16)
        to_bins(np.ascontiguousarray(scores, np.float32), self, bins)
        return bins

    def inside(self, bins: np.ndarray) -> np.ndarray:
        """(K,) bool, which bins do not merely stand for all scores beyond the ends."""
        return (bins > 0) & (bins < BINS - 1) if self.shift >= 0 else np.ones(len(bins), bool)

    def zoom(self, bin_: int) -> Bins:
        """Bins by bits that divide one bin of these, between an outermost one below it and one above."""
        first, last = self._lowest_key(bin_), self._lowest_key(bin_ + 1) - 1
        shift = 0
        while (last - first) >> shift >= BINS - 2:
            shift += 1
        return Bins(self.low, self.scale, first - (1 << shift), shift)

    def values(self, bins: np.ndarray) -> np.ndarray:
        """(K,) float32, the numbers that bins of one key each stand for."""
        assert self.shift == 0, "a bin of several keys has no one value"
        return _floats(self.first + np.asarray(bins, np.int64))

    def _lowest_key(self, bin_: int) -> int:
        """The least key whose float falls into this bin or above, by bisection."""
        low, high = -LARGEST_KEY, LARGEST_KEY + 1
        while low < high:
            middle = (low + high) // 2
            if self(_floats(np.array([middle])))[0] >= bin_:
                high = middle
            else:
                low = middle + 1
        return low


def _floats(keys: np.ndarray) -> np.ndarray:
    """(K,) float32 of keys, which count floats up from 0 and down from it."""
    size = np.abs(keys).astype(np.int32).view(np.float32)
    return np.where(keys < 0, -size, size)


@numba.njit(nogil=True, cache=True)
def to_bins(scores, to, bins):
    """Bins of the scores, to `bins`. Written so that the compiler makes vectors of it."""
    if to.shift < 0:
        top = np.float32(BINS - 1)
        for k in range(len(bins)):
            bins[k] = np.int32(min(max((scores[k] - to.low) * to.scale, np.float32(0)), top))
        return
    bits = scores.view(np.int32)
    for k in range(len(bins)):
        key = np.int64(bits[k])
        key = key if key >= 0 else -(key & 0x7FFFFFFF)  # the order of the floats; -0 and 0 are one
        bins[k] = min(max((key - to.first) >> to.shift, 0), BINS - 1)
