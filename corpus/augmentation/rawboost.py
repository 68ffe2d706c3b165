"""RawBoost's three kinds of noise (Tak, Kamble, Patino, Todisco & Evans, ICASSP 2022), with its parameters as defaults.

A notch filter, in all three steps the same: several band-stop FIR filters (Hamming window) one after the other, their
centres, widths and lengths drawn anew, scaled so that the largest gain is the one asked for.
"""

from typing import Annotated

import numpy as np
from scipy import fft

from corpus.audio import SAMPLE_RATE
from corpus.augmentation.additive import Decibels, mixed
from corpus.augmentation.parameters import Between, Range, WholeRange, peak, uniform, whole

Bands = Annotated[int, Between(1, 20)]
Hertz = Annotated[Range, Between(1, 8000, "Hz")]
Taps = Annotated[WholeRange, Between(3, 500, "taps")]
Gain = Annotated[Range, Between(-60, 60, "dB")]


def rawboost_convolutive(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    orders: Annotated[int, Between(1, 10)] = 5,
    bands: Bands = 5,
    centre: Hertz = (20, 8000),
    width: Hertz = (100, 1000),
    taps: Taps = (10, 100),
    gain: Gain = (0, 0),
    nonlinear_gain: Gain = (-20, -5),
) -> np.ndarray:
    """Linear and non-linear convolutive noise: the sum over powers 1 … `orders` of the samples, each through a notch
    filter of its own, at `gain` for the first and `nonlinear_gain` for the others; then without its mean.
    """
    normal = at_most_one(samples)
    filters = [notch_filter(random, bands, centre, width, taps, nonlinear_gain if i else gain) for i in range(orders)]
    longest = max(len(b) for b in filters)
    size = fft.next_fast_len(len(samples) + longest - 1, real=True)
    spectrum, power = 0, np.ones_like(normal)
    for b in filters:
        power = power * normal
        centred = np.pad(b, ((longest - len(b)) // 2,) * 2)  # all lengths are odd: one delay for all
        spectrum = spectrum + fft.rfft(power, size) * fft.rfft(centred, size)
    summed = fft.irfft(spectrum, size)[longest // 2 :][: len(samples)]
    return at_most_one(summed - summed.mean(dtype=np.float64).astype(np.float32))


def rawboost_impulsive(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    share: Annotated[float, Between(0, 100, "percent")] = 10.0,
    gain: Annotated[float, Between(0, 10)] = 2.0,
) -> np.ndarray:
    """Impulsive signal-dependent noise: up to `share` percent of the samples, at random places, become x + gain·f·x.

    f is the product of two numbers uniform in [-1, 1].
    """
    count = int(len(samples) * uniform(random, (0, share)) / 100)
    places = random.choice(len(samples), count, replace=False, shuffle=False)
    factor = random.uniform(-1, 1, count) * random.uniform(-1, 1, count)
    changed = samples.copy()
    changed[places] += (gain * factor * samples[places]).astype(np.float32)
    return at_most_one(changed)


def rawboost_stationary(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    snr: Decibels = (10, 40),
    bands: Bands = 5,
    centre: Hertz = (20, 8000),
    width: Hertz = (100, 1000),
    taps: Taps = (10, 100),
) -> np.ndarray:
    """Stationary signal-independent noise: white noise through a notch filter, added at a signal-to-noise ratio."""
    b = notch_filter(random, bands, centre, width, taps, (0, 0))
    white = random.standard_normal(len(samples), np.float32)
    size = fft.next_fast_len(len(samples) + len(b) - 1, real=True)
    coloured = fft.irfft(fft.rfft(white, size) * fft.rfft(b, size), size)[len(b) // 2 :][: len(samples)]
    return mixed(samples, [coloured], [uniform(random, snr)])


def notch_filter(
    random: np.random.Generator, bands: int, centre: Range, width: Range, taps: WholeRange, gain: Range
) -> np.ndarray:
    """(odd,) float32 coefficients of `bands` random band-stop filters one after the other, their largest gain drawn."""
    parts = []
    for _ in range(bands):
        middle, around, count = uniform(random, centre), uniform(random, width), whole(random, taps)
        parts.append(band_stop(count | 1, middle - around / 2, middle + around / 2))
    length = sum(len(part) - 1 for part in parts) + 1
    size = fft.next_fast_len(max(length, 1024), real=True)
    spectrum = np.prod([fft.rfft(part, size) for part in parts], axis=0)
    scale = 10 ** (uniform(random, gain) / 20) / np.abs(spectrum).max()
    return (scale * fft.irfft(spectrum, size)[:length]).astype(np.float32)


def band_stop(taps: int, low: float, high: float) -> np.ndarray:
    """(taps,) float64 linear-phase FIR without the band from `low` to `high` Hz, of gain 1 at 0 Hz; taps is odd."""
    low, high = max(low, 0.001), min(high, SAMPLE_RATE / 2 - 0.001)
    n = np.arange(taps) - taps // 2
    band = [2 * f / SAMPLE_RATE * np.sinc(2 * f / SAMPLE_RATE * n) for f in (low, high)]
    kept = ((n == 0) - band[1] + band[0]) * np.hamming(taps)
    return kept / kept.sum()


def at_most_one(samples: np.ndarray) -> np.ndarray:
    """(T,) float32, scaled down where the largest magnitude is above 1."""
    loudest = peak(samples)
    return samples / np.float32(loudest) if loudest > 1 else samples
