"""What a channel does without adding anything: band limits, level, silence cut off."""

from typing import Annotated

import numpy as np
import soxr

from corpus import filters
from corpus.audio import SAMPLE_RATE
from corpus.augmentation.parameters import Between, Range, fitted, uniform


def lowpass(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    cutoff: Annotated[Range, Between(200, 7900, "Hz")] = (2000.0, 7500.0),
) -> np.ndarray:
    """Nothing left at a random cut-off and above, by a linear-phase filter."""
    return filters.lowpass(samples, uniform(random, cutoff))


def resample(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    rate: Annotated[Range, Between(2000, 15900, "Hz")] = (6000.0, 15000.0),
) -> np.ndarray:
    """Brought to a lower sampling rate (whole Hz) and back: a band limit with a resampler's own edge."""
    low = round(uniform(random, rate))
    there = soxr.resample(samples, SAMPLE_RATE, low, quality="HQ")
    return fitted(soxr.resample(there, low, SAMPLE_RATE, quality="HQ"), len(samples))


def gain(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    decibels: Annotated[Range, Between(-60, 40, "dB")] = (-12.0, 6.0),
) -> np.ndarray:
    """Louder or quieter. Nothing is clipped: samples may pass 1."""
    return samples * np.float32(10 ** (uniform(random, decibels) / 20))


def trim_silence(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:  # noqa: ARG001 as the other kinds
    """Silence at both ends of the crop removed, the rest repeated to length."""
    return np.resize(filters.trim_silence(samples), len(samples))
