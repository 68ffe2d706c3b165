"""One audio file to a row of facts: what it is, how it sounds, what is wrong with it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile
import soxr

from corpus.decoding import SAMPLE_RATE, AudioError, decode, plain
from corpus.filters import loudness, speech_span

EDGE_DB = 55.0  # below the strongest frequency: where the band ends
FRAME_SECONDS = 0.032
MOST_FRAMES = 1_000  # of one file that the spectrum looks at, evenly spaced
FULL_SCALE = 0.999


@dataclass(frozen=True)
class Facts:
    """A file, measured. Where it cannot be used, `problem` is its kind, `detail` the reason, and the rest is empty.

    `rate` is the file's own, in Hz; `bandwidth` in Hz, at that rate; `loudness` in LUFS (NaN: silent) and `leading`,
    `trailing` silence in s, of the 16 kHz signal that training gets; `content` identifies the decoded samples.
    """

    problem: str = ""
    detail: str = ""
    form: str = ""
    rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    peak: float = 0.0
    clipped: bool = False
    bandwidth: float = 0.0
    loudness: float = np.nan
    leading: float = 0.0
    trailing: float = 0.0
    content: str = ""

    @property
    def silent(self) -> bool:
        return not self.problem and np.isnan(self.loudness)


def measure(path: str | Path) -> Facts:
    """The facts of one file. Nothing is raised: a problem is a fact."""
    path = Path(path)
    try:
        samples, rate = decode(path)
        info = soundfile.info(path)
    except AudioError as error:
        return Facts(error.kind, str(error))
    except (soundfile.SoundFileError, OSError) as error:  # the file has gone meanwhile
        return Facts(AudioError.kind, f"{path}: {plain(error)}")
    heard = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ") if rate != SAMPLE_RATE else samples
    begin, end = speech_span(heard)
    level = loudness(heard)
    magnitude = np.abs(samples)
    return Facts(
        form=f"{info.format} {info.subtype}",
        rate=rate,
        channels=info.channels,
        seconds=len(samples) / rate,
        peak=float(magnitude.max()),
        clipped=clipped(magnitude),
        bandwidth=bandwidth(samples, rate),
        loudness=np.nan if level is None else level,
        leading=begin / SAMPLE_RATE,
        trailing=(len(heard) - end) / SAMPLE_RATE,
        content=hashlib.blake2b(samples.data, digest_size=16, salt=rate.to_bytes(4, "little")).hexdigest(),
    )


def clipped(magnitude: np.ndarray) -> bool:
    """True where three samples in a row are at full scale: no speech does that by itself."""
    at_top = magnitude >= FULL_SCALE
    return bool((at_top[:-2] & at_top[1:-1] & at_top[2:]).any())


def bandwidth(samples: np.ndarray, rate: int) -> float:
    """Where the band of (T,) float32 ends, in Hz: the highest frequency within EDGE_DB of the strongest.

    Looked for in a spectrum that holds, at each frequency, the power that one frame in twenty exceeds, so that a few
    fricatives suffice to show a wide band, and neither a click nor the noise between words does.
    """
    size = max(64, round(rate * FRAME_SECONDS) // 2 * 2)
    if len(samples) < size:
        samples = np.resize(samples, size)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::size]
    if len(frames) > MOST_FRAMES:
        frames = frames[np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int)]
    window = np.blackman(size).astype(np.float32)
    power = np.square(np.abs(scipy.fft.rfft(frames * window, axis=1)))
    rank = min(int(len(power) * 0.95), len(power) - 1)
    held = np.convolve(np.partition(power, rank, axis=0)[rank], np.full(5, 0.2), mode="same")
    if held.max() == 0:
        return 0.0
    last = np.flatnonzero(held >= held.max() * 10 ** (-EDGE_DB / 10))[-1]
    return float(last * rate / size)
