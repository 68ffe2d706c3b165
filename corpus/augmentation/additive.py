"""Sound added at a signal-to-noise ratio: noise, music and babble from folders, and noise made here.

Kinds, ratios and counts are voxceleb_trainer's, which took them from the Kaldi recipes for MUSAN (Snyder et al., 2015).
"""

from typing import Annotated

import numpy as np
from scipy import fft

from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.parameters import Between, Range, WholeRange, uniform, whole

Decibels = Annotated[Range, Between(-30, 100, "dB")]
Count = Annotated[WholeRange, Between(1, 20, "files")]


def noise(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    path: AudioFolder,
    snr: Decibels = (0, 15),
    files: Count = (1, 1),
) -> np.ndarray:
    """Noise from a folder (MUSAN's noise/)."""
    return with_files(samples, random, path, snr, files)


def music(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    path: AudioFolder,
    snr: Decibels = (5, 15),
    files: Count = (1, 1),
) -> np.ndarray:
    """Music from a folder (MUSAN's music/)."""
    return with_files(samples, random, path, snr, files)


def babble(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    path: AudioFolder,
    snr: Decibels = (13, 20),
    files: Count = (3, 7),
) -> np.ndarray:
    """Several people talking at once, from a folder of speech (MUSAN's speech/)."""
    return with_files(samples, random, path, snr, files)


def coloured_noise(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    snr: Decibels = (5, 30),
    slope: Annotated[Range, Between(-3, 3)] = (0.0, 2.0),
) -> np.ndarray:
    """Gaussian noise whose power falls as 1/f^slope: white 0, pink 1, brown 2. Needs no files."""
    spectrum = fft.rfft(random.standard_normal(len(samples), np.float32))
    bins = np.arange(len(spectrum), dtype=np.float32)
    spectrum[0] = 0
    spectrum[1:] *= bins[1:] ** (-uniform(random, slope) / 2)
    return mixed(samples, [fft.irfft(spectrum, len(samples))], [uniform(random, snr)])


def with_files(
    samples: np.ndarray, random: np.random.Generator, folder: AudioFolder, snr: Range, files: WholeRange
) -> np.ndarray:
    """Samples with several files' segments added, each file at a ratio of its own, no file twice while they last."""
    count = whole(random, files)
    chosen = random.choice(len(folder), count, replace=count > len(folder))
    segments = [folder.segment(int(index), len(samples), random) for index in chosen]
    return mixed(samples, segments, [uniform(random, snr) for _ in segments])


def mixed(samples: np.ndarray, added: list[np.ndarray], snrs: list[float]) -> np.ndarray:
    """(T,) float32: samples with each of `added` (T,), scaled to its ratio in dB of mean powers.

    Where samples or what is added are silent there is no such ratio, and nothing is added.
    """
    power, total = mean_power(samples), samples.astype(np.float64)
    for sound, snr in zip(added, snrs, strict=True):
        if power and (own := mean_power(sound)):
            total += np.sqrt(power / own * 10 ** (-snr / 10)) * sound
    return total.astype(np.float32)


def mean_power(samples: np.ndarray) -> float:
    exact = samples.astype(np.float64)
    return float(exact @ exact / len(exact))
