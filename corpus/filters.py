"""Audio made poorer on purpose, to ask what a network listens to: band, edge silence, loudness. A cache applies them.

Each filter takes and gives (T,) float32 at 16 kHz, and is a function of the samples alone.
"""

from dataclasses import asdict, dataclass, fields
from functools import lru_cache

import numpy as np
from scipy import signal

from corpus.decoding import MIN_SECONDS, SAMPLE_RATE
from settings.errors import ConfigError

HOP = SAMPLE_RATE // 100  # 10 ms: how finely silence is located
SILENCE_DB = 40.0  # below the loudest 10 ms of a file: no speech sound is that weak for long
LOUDNESS = -23.0  # LUFS, EBU R 128's target
TAPS = 513  # of the low-pass: 80 dB down within 160 Hz
LOWPASS_BLOCK = 220 * 4768  # samples filtered at once: whole blocks of scipy's FFT for so many taps, so no bit moves


@dataclass(frozen=True)
class AudioFilters:
    """What is done to every utterance after decoding. `lowpass` is in Hz, 0 for none."""

    lowpass: float = 0.0
    trim_silence: bool = False
    loudness_norm: bool = False

    def __post_init__(self):
        if type(self.lowpass) not in (int, float) or not {type(self.trim_silence), type(self.loudness_norm)} == {bool}:
            raise TypeError(self)
        if self.lowpass and not 100 <= self.lowpass < SAMPLE_RATE / 2:
            raise ConfigError(f"--lowpass {self.lowpass:g}: between 100 and {SAMPLE_RATE // 2} Hz, or 0 for none")

    def __bool__(self) -> bool:
        return self != AudioFilters()

    @classmethod
    def of_checkpoint(cls, state: dict) -> "AudioFilters":
        """What a checkpoint's training audio had passed. Earlier versions kept it among the options."""
        old, names = state.get("config", {}), [field.name for field in fields(cls)]
        try:
            return cls(**state.get("filters", {n: old[n] for n in names if n in old}))
        except TypeError:
            raise ConfigError("not a checkpoint of this trainer, or tampered with (see its filters)") from None

    def settings(self) -> dict:
        """Name to value, for results, checkpoints and caches to record."""
        return asdict(self)

    def __str__(self) -> str:
        """As the options of dataprep.py cache: "--lowpass 4000 --trim_silence"; "no filters" where there are none."""
        words = [f"--lowpass {self.lowpass:g}"] * bool(self.lowpass)
        words += [f"--{name}" for name in ("trim_silence", "loudness_norm") if getattr(self, name)]
        return " ".join(words) or "no filters"

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """(T,) float32 to (T' <= T,) float32: trimmed, then low-passed, then brought to one loudness."""
        if self.trim_silence:
            samples = trim_silence(samples)
        if self.lowpass:
            samples = lowpass(samples, self.lowpass)
        if self.loudness_norm:
            samples = loudness_norm(samples)
        return samples


def lowpass(samples: np.ndarray, cutoff: float) -> np.ndarray:
    """Nothing at `cutoff` Hz and above is left (80 dB down), what is 160 Hz below it is untouched. No delay."""
    taps, filtered = lowpass_taps(cutoff), np.zeros(len(samples) + TAPS - 1, np.float32)
    for part in parts(len(samples), LOWPASS_BLOCK):
        response = signal.oaconvolve(samples[part], taps, mode="full")
        filtered[part.start : part.start + len(response)] += response
    return filtered[TAPS // 2 :][: len(samples)]


def parts(length: int, size: int) -> list[slice]:
    """Slices of `size`, which together are `length`, the last of them longer: an hour in bounded memory."""
    ends = [*range(size, length - size + 1, size), length]
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


@lru_cache(maxsize=4)
def lowpass_taps(cutoff: float) -> np.ndarray:
    """(TAPS,) float32 linear-phase filter whose stop band begins at `cutoff`."""
    beta = signal.kaiser_beta(80.0)
    width = (80.0 - 7.95) / (2.285 * (TAPS - 1)) * SAMPLE_RATE / (2 * np.pi)  # Kaiser's formula
    return signal.firwin(TAPS, max(cutoff - width / 2, 20.0), window=("kaiser", beta), fs=SAMPLE_RATE).astype(
        np.float32
    )


def trim_silence(samples: np.ndarray) -> np.ndarray:
    """The samples without the silence before and after the speech; unchanged where hardly anything would be left."""
    start, end = speech_span(samples)
    return samples[start:end] if end - start >= MIN_SECONDS * SAMPLE_RATE else samples


def speech_span(samples: np.ndarray) -> tuple[int, int]:
    """Where sound begins and ends, in samples, to 10 ms: the first and last frame within SILENCE_DB of the loudest.

    A file without any sound, all zero, spans nothing: (0, 0).
    """
    whole = len(samples) // HOP * HOP
    frames = samples[:whole].reshape(-1, HOP)
    energy = np.concatenate([np.square(frames[part]).mean(axis=1) for part in parts(len(frames), 1 << 13)])
    if not energy.size or energy.max() == 0:
        return 0, 0
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-SILENCE_DB / 10))
    end = (loud[-1] + 1) * HOP
    return int(loud[0]) * HOP, len(samples) if end == whole else int(end)


def loudness_norm(samples: np.ndarray) -> np.ndarray:
    """The samples scaled to LOUDNESS; unchanged where they are too quiet to have one. Peaks may pass 1."""
    measured = loudness(samples)
    return samples if measured is None else samples * np.float32(10 ** ((LOUDNESS - measured) / 20))


def loudness(samples: np.ndarray) -> float | None:
    """Integrated loudness in LUFS (ITU-R BS.1770-4, one channel), None below its absolute gate of -70 LUFS.

    What is shorter than the standard's block of 400 ms counts as one block. torchaudio's `loudness` is no substitute:
    its filters are approximate (0.28 dB off on speech at 16 kHz), it fails below 400 ms, and it is slow.
    """
    step = int(0.1 * SAMPLE_RATE)
    sums = energy_sums(samples, step)
    if len(samples) < 4 * step:
        power = sums[-1:] / len(samples)
    else:
        sums = sums[: len(samples) // step + 1]
        power = (sums[4:] - sums[:-4]) / (4 * step)
    power = power[power > lufs_to_power(-70.0)]
    if not power.size:
        return None
    power = power[power > power.mean() / 10]  # the relative gate, 10 dB below
    return float(-0.691 + 10 * np.log10(power.mean()))


def energy_sums(samples: np.ndarray, step: int) -> np.ndarray:
    """(K,) float64: the K-weighted energy up to every `step` samples of (T,), 0 first, and up to the last of them."""
    sos, sums = k_weighting(SAMPLE_RATE), [np.zeros(1)]
    state, total = np.zeros((len(sos), 2)), 0.0
    for part in parts(len(samples), step << 9):
        weighted, state = signal.sosfilt(sos, samples[part].astype(np.float64), zi=state)
        running = np.cumsum(np.append(total, np.square(weighted)))
        total = running[-1]
        sums.append(running[step::step])
    return np.concatenate([*sums, [total]])


def lufs_to_power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


@lru_cache(maxsize=4)
def k_weighting(rate: int) -> np.ndarray:
    """(2, 6) the biquads of BS.1770 at any sampling rate, as scipy's `sos`: the head's shelf, then the high-pass.

    The standard tabulates them at 48 kHz only; these analogue parameters give its table there.
    """
    k = np.tan(np.pi * 1681.974450955533 / rate)
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    norm = 1 + k / q + k * k
    b = np.array([high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k])
    shelf = np.concatenate([b, [norm, 2 * (k * k - 1), 1 - k / q + k * k]]) / norm
    k, q = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    norm = 1 + k / q + k * k
    a = np.array([norm, 2 * (k * k - 1), 1 - k / q + k * k]) / norm
    return np.stack([shelf, np.concatenate([[1.0, -2.0, 1.0], a])])
