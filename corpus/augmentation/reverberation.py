"""Speech in a room: by a recorded impulse response, or by one simulated for the crop."""

from functools import lru_cache
from typing import Annotated

import numpy as np
from scipy import signal

from corpus.audio import SAMPLE_RATE
from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.parameters import Between, Range, fitted, uniform

SOUND = 343.0  # m/s, at 20 °C
EARLY = 0.05  # s: until then every reflection is computed, after it they are so dense that noise stands for them
FROM_WALL = 0.3  # m that talker and microphone keep from every wall


def reverb(samples: np.ndarray, random: np.random.Generator, *, path: AudioFolder) -> np.ndarray:
    """Convolved with a room impulse response from a folder, at unit energy, without its delay."""
    return convolved(samples, path.beginning(int(random.integers(len(path))), 4 * SAMPLE_RATE))


def room(
    samples: np.ndarray,
    random: np.random.Generator,
    *,
    rt60: Annotated[Range, Between(0.05, 3, "s")] = (0.1, 0.8),
    side: Annotated[Range, Between(1, 50, "m")] = (3.0, 10.0),
    height: Annotated[Range, Between(1, 20, "m")] = (2.5, 4.0),
) -> np.ndarray:
    """Convolved with the impulse response of a shoebox room, new for every crop; needs no files.

    `rt60` is the time in which the sound decays by 60 dB.
    """
    size = np.array([uniform(random, side), uniform(random, side), uniform(random, height)])
    talker, microphone = random.uniform(FROM_WALL, size - FROM_WALL, (2, 3))
    return convolved(samples, shoebox(size, talker, microphone, uniform(random, rt60), random))


def convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """(T,) float32: samples through an impulse response (R,) of unit energy, its highest peak at time 0."""
    energy = np.linalg.norm(response.astype(np.float64))
    if not energy:
        return samples.copy()
    response = (response / energy).astype(np.float32)
    delay = int(np.abs(response).argmax())
    return fitted(signal.oaconvolve(samples, response)[delay:], len(samples))


def shoebox(
    size: np.ndarray, talker: np.ndarray, microphone: np.ndarray, rt60: float, random: np.random.Generator
) -> np.ndarray:
    """(R,) float64 impulse response at 16 kHz of a room `size` (3,) in m.

    To EARLY by image sources (Allen & Berkley, 1979), each rounded to a sample; the walls' reflection is that of
    Eyring's formula for `rt60`. After it Gaussian noise with the images' mean power: at time t there are 4πc³t²/V of
    them a second, each of amplitude 1/(4πct) times the decay, so that a sample has c/(4πV·rate)·exp(−6 ln(10) t/rt60).
    """
    volume = float(size.prod())
    surface = 2 * float(size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    reflection = np.exp(-0.161 * volume / (surface * rt60) / 2)  # of amplitude: sqrt(1 - absorption)
    distance, bounces = image_sources(size, talker, microphone, EARLY * SOUND)
    places = np.rint(distance / SOUND * SAMPLE_RATE).astype(np.int64)
    early = int(EARLY * SAMPLE_RATE)
    response = np.zeros(max(int(rt60 * SAMPLE_RATE), early + 1))
    response[: early + 1] = np.bincount(places, reflection**bounces / (4 * np.pi * distance), early + 1)
    late = np.arange(early + 1, len(response)) / SAMPLE_RATE
    power = SOUND / (4 * np.pi * volume * SAMPLE_RATE) * np.exp(-6 * np.log(10) * late / rt60)
    response[early + 1 :] = np.sqrt(power) * random.standard_normal(len(late))
    return signal.sosfilt(high_pass(), response)


@lru_cache(maxsize=1)
def high_pass() -> np.ndarray:
    """Above 50 Hz, as Allen & Berkley have it: all images are positive, and their sum would hold a constant."""
    return signal.butter(2, 50, "highpass", fs=SAMPLE_RATE, output="sos")


def image_sources(
    size: np.ndarray, talker: np.ndarray, microphone: np.ndarray, farthest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (I,) in m of all image sources no farther than `farthest`, and how often each has bounced (I,)."""
    squares, counts = [], []
    for length, source, ear in zip(size, talker, microphone, strict=True):
        most = int(np.ceil(farthest / (2 * length))) + 1
        n, mirrored = np.meshgrid(np.arange(-most, most + 1), [0, 1])
        squares.append(np.square((1 - 2 * mirrored) * source + 2 * n * length - ear).ravel())
        counts.append((np.abs(n - mirrored) + np.abs(n)).ravel())
    distance = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
    bounces = counts[0][:, None, None] + counts[1][:, None] + counts[2]
    near = distance <= farthest
    return np.maximum(distance[near], 0.01), bounces[near]
