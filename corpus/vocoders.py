"""Utterances taken apart and synthesised again, as the last stage of a speech generator would: Griffin-Lim, mel, WORLD.

Each takes (T,) float32 at 16 kHz and gives the same, as a function of the samples alone.
"""

import zlib
from functools import lru_cache

import numpy as np
from scipy import fft

from corpus.audio import SAMPLE_RATE
from settings.errors import ConfigError

WINDOW, HOP = 1024, 256
ITERATIONS = 16
BANDS = 80


def griffinlim(samples: np.ndarray) -> np.ndarray:
    """The magnitudes of a short-time Fourier transform kept, their phases found anew (Griffin & Lim, 1984)."""
    return with_magnitude(np.abs(stft(samples)), len(samples), random_phase(samples))


def mel(samples: np.ndarray) -> np.ndarray:
    """The magnitudes averaged in 80 mel bands, spread again by the pseudo-inverse, and given phases by Griffin-Lim."""
    bands = np.abs(stft(samples)) @ mel_filters().T
    return with_magnitude(np.maximum(bands @ inverse_mel_filters().T, 0), len(samples), random_phase(samples))


def world(samples: np.ndarray) -> np.ndarray:
    """F0, spectral envelope and aperiodicity, and speech made of them (WORLD: DIO, CheapTrick, D4C; Morise, 2016)."""
    pyworld = pyworld_module()
    exact = samples.astype(np.float64)
    f0, times = pyworld.dio(exact, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(exact, f0, times, SAMPLE_RATE)
    aperiodicity = pyworld.d4c(exact, f0, times, SAMPLE_RATE)
    made = pyworld.synthesize(f0, envelope, aperiodicity, SAMPLE_RATE)[: len(samples)]
    return np.pad(made, (0, len(samples) - len(made))).astype(np.float32)


def pyworld_module():
    """pyworld. Raises ConfigError where it is not installed."""
    try:
        import pyworld
    except ImportError:
        raise ConfigError("the copy world needs pyworld: pip install -r requirements-augment.txt") from None
    return pyworld


def random_phase(samples: np.ndarray) -> np.random.Generator:
    """The generator of an utterance's first phases: its own, and always the same."""
    return np.random.default_rng(zlib.crc32(samples.tobytes()))


def with_magnitude(
    magnitude: np.ndarray, length: int, random: np.random.Generator, iterations: int = ITERATIONS
) -> np.ndarray:
    """(length,) float32 whose transform has nearly the magnitudes (F, WINDOW // 2 + 1); phases start at random.

    Griffin-Lim without momentum: each iteration synthesises, transforms, and keeps of that the phases.
    """
    angles = random.uniform(0, 2 * np.pi, magnitude.shape).astype(np.float32)
    spectrum = magnitude * np.exp(1j * angles)
    for _ in range(iterations):
        again = stft(istft(spectrum, length))
        spectrum = magnitude * again / np.maximum(np.abs(again), np.float32(1e-16))
    return istft(spectrum, length)


@lru_cache(maxsize=1)
def hann() -> np.ndarray:
    """(WINDOW,) float32, periodic."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def stft(samples: np.ndarray) -> np.ndarray:
    """(F, WINDOW // 2 + 1) complex64 of (T,): frames every HOP samples, the first centred on sample 0, edges reflected.

    F is 1 + T // HOP; T has to be above WINDOW // 2.
    """
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return fft.rfft(frames * hann())


def istft(spectrum: np.ndarray, length: int) -> np.ndarray:
    """(length,) float32 of (F, WINDOW // 2 + 1): the least-squares inverse, frames weighted by their windows."""
    frames = fft.irfft(spectrum, WINDOW).astype(np.float32) * hann()
    parts = WINDOW // HOP
    summed = np.zeros((len(frames) + parts - 1, HOP), np.float32)
    weight = np.zeros_like(summed)
    square = np.square(hann()).reshape(parts, HOP)
    for part, block in enumerate(frames.reshape(-1, parts, HOP).swapaxes(0, 1)):
        summed[part : part + len(frames)] += block
        weight[part : part + len(frames)] += square[part]
    inside = slice(WINDOW // 2, WINDOW // 2 + length)
    return summed.ravel()[inside] / np.maximum(weight.ravel()[inside], np.float32(1e-8))


@lru_cache(maxsize=1)
def mel_filters() -> np.ndarray:
    """(BANDS, WINDOW // 2 + 1) float32 triangles, evenly spaced on the HTK mel scale from 0 to 8 kHz."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    frequency = np.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    rising = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


@lru_cache(maxsize=1)
def inverse_mel_filters() -> np.ndarray:
    """(WINDOW // 2 + 1, BANDS) float32 pseudo-inverse."""
    return np.linalg.pinv(mel_filters().astype(np.float64)).astype(np.float32)
