"""ITU-T Recommendation G.711: 16-bit samples to 8 bits and back, by its formulas, μ-law and A-law."""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=2)
def through(law: str) -> np.ndarray:
    """(65536,) int16: what each 16-bit sample, from -32768 on, is after coding and decoding by `law` (mulaw, alaw)."""
    encode, decode = (mulaw_encode, mulaw_decode) if law == "mulaw" else (alaw_encode, alaw_decode)
    return decode(encode(np.arange(-32768, 32768))).astype(np.int16)


def mulaw_encode(samples: np.ndarray) -> np.ndarray:
    """(T,) 16-bit integers to codes 0 … 255: sign, three bits of segment, four of mantissa, all inverted."""
    magnitude = np.minimum(np.abs(samples), 32635) + 132
    segment = top_bit(magnitude) - 7
    code = segment << 4 | (magnitude >> (segment + 3)) & 15
    return ~(code | np.where(samples < 0, 128, 0)) & 255


def mulaw_decode(codes: np.ndarray) -> np.ndarray:
    """Codes to 16-bit integers, each the middle of its interval."""
    inverted = ~codes & 255
    magnitude = ((((inverted & 15) << 3) + 132) << (inverted >> 4 & 7)) - 132
    return np.where(inverted & 128, -magnitude, magnitude)


def alaw_encode(samples: np.ndarray) -> np.ndarray:
    """(T,) 16-bit integers to codes 0 … 255: sign, segment, mantissa, every even bit inverted.

    Negative values are first inverted bit by bit, as the recommendation's tables have it.
    """
    magnitude = np.where(samples < 0, ~samples, samples) >> 4
    segment = np.maximum(top_bit(magnitude) - 3, 0)
    mantissa = magnitude >> np.maximum(segment - 1, 0) & 15
    return (segment << 4 | mantissa | np.where(samples < 0, 0, 128)) ^ 0x55


def alaw_decode(codes: np.ndarray) -> np.ndarray:
    """Codes to 16-bit integers, each the middle of its interval."""
    plain = codes ^ 0x55
    segment, mantissa = plain >> 4 & 7, plain & 15
    magnitude = np.where(segment, ((mantissa << 4) + 264) << np.maximum(segment - 1, 0), (mantissa << 4) + 8)
    return np.where(plain & 128, magnitude, -magnitude)


def top_bit(values: np.ndarray) -> np.ndarray:
    """The place of the highest bit of whole numbers, 0 for 1, -1 for 0."""
    return np.frexp(values)[1].astype(np.int64) - 1
