"""Signals that the tests of augmentation make for themselves."""

import numpy as np
import soundfile

RATE = 16_000


def voice(length: int = 32_240, seed: int = 0) -> np.ndarray:
    """(length,) float32: harmonics of a gliding pitch in syllables, with a little breath, peak below 1."""
    random = np.random.default_rng(seed)
    t = np.arange(length) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t + seed)) / RATE
    tone = sum(np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 30))
    syllables = 0.05 + np.square(np.sin(2 * np.pi * 1.7 * t))
    return (0.2 * tone * syllables + 0.005 * random.standard_normal(length)).astype(np.float32)


def sine(frequency: float, length: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(length) / RATE)).astype(np.float32)


def level(samples: np.ndarray, low: float, high: float) -> float:
    """Decibels of the power of (T,) between two frequencies in Hz."""
    power = np.square(np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(len(samples)))))
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return 10 * np.log10(power[(frequency >= low) & (frequency < high)].sum() + 1e-30)


def strongest(samples: np.ndarray) -> float:
    """The frequency in Hz of the highest line in a spectrum."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


def delay(before: np.ndarray, after: np.ndarray) -> int:
    """Samples by which `after` comes late: cross-correlation between 1 and 3.4 kHz, where no high-pass bends phases."""
    size = 2 * len(before)
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    band = (frequency > 1000) & (frequency < 3400)
    found = np.fft.irfft(np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size)) * band)
    return int((np.argmax(found) + len(before)) % size - len(before))


def musan(folder, files: int = 8, seconds: float = 3.0) -> str:
    """A folder in MUSAN's layout with noise of its own in every file."""
    for kind in ("noise", "music", "speech"):
        (folder / kind / "part").mkdir(parents=True)
        for number in range(files):
            sound = 0.1 * np.random.default_rng([number, len(kind)]).standard_normal(int(seconds * RATE))
            soundfile.write(folder / kind / "part" / f"{number}.wav", sound, RATE)
    return str(folder)


def rirs(folder, files: int = 3) -> str:
    """A folder of exponentially decaying noise, 20 ms late."""
    folder.mkdir()
    for number in range(files):
        random = np.random.default_rng(number)
        tail = random.standard_normal(4000) * np.exp(-np.arange(4000) / 500) * 0.1
        tail[0] = 1
        soundfile.write(folder / f"{number}.wav", np.concatenate([np.zeros(320), tail]) * 0.9, RATE)
    return str(folder)
