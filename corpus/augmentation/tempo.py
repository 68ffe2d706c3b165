"""Played faster or slower: duration, pitch and formants change together."""

from typing import Annotated

import numpy as np
import soxr

from corpus.audio import SAMPLE_RATE
from corpus.augmentation.parameters import Between

Factors = Annotated[tuple[float, ...], Between(0.5, 2)]


def speed(samples: np.ndarray, random: np.random.Generator, *, factors: Factors = (0.9, 1.1)) -> np.ndarray:
    """Played at one of several speeds, under the same label. (T,) becomes (T / factor,): the crop reads more for it."""
    return played(samples, factors[int(random.integers(len(factors)))])


def played(samples: np.ndarray, factor: float) -> np.ndarray:
    """(T / factor,) float32: the samples at `factor` times their speed, by band-limited resampling (sox "speed")."""
    return soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, quality="HQ")
