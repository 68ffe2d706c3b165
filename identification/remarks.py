"""What in a recording weakens an answer about it."""

import numpy as np

from corpus.audio import SAMPLE_RATE

SHORT = 1.0  # seconds
TELEPHONE = 4000.0  # Hz
BAND_DB = -50.0  # power above that frequency, in relation to all, below which there is no sound to speak of
FULL_SCALE, CLIPPED = 0.999, 1e-3  # a sample at full scale, and the share of them that counts as clipping
QUIET_DB, SILENT_DB = -60.0, -50.0  # of the whole file to full scale; of a frame to the loudest frame
FRAME = SAMPLE_RATE // 50
BLOCK = FRAME << 12  # samples looked at together: an hour in bounded memory


def remarks(samples: np.ndarray) -> list[str]:
    """Sentences about (T,) float32 samples at 16 kHz; none where nothing is conspicuous."""
    found = []
    seconds = len(samples) / SAMPLE_RATE
    if seconds < SHORT:
        found.append(f"only {seconds:.2f} s long: under {SHORT:g} s there is little to trace")
    blocks = [samples[begin : begin + BLOCK] for begin in range(0, len(samples), BLOCK)]
    peak = max(float(np.abs(block).max()) for block in blocks)
    power = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks) / len(samples)
    if power == 0 or 10 * np.log10(power) < QUIET_DB:
        return [*found, "silent, or nearly so: whatever is answered means nothing"]
    top = max(FULL_SCALE, FULL_SCALE * peak)
    if sum(np.count_nonzero(np.abs(block) >= top) for block in blocks) > CLIPPED * len(samples):
        found.append("clipped: loud parts are cut off, which is not the system's doing")
    if band_share(samples) < BAND_DB:
        found.append("no sound above 4 kHz: telephone bandwidth hides what systems differ in")
    level = np.concatenate([frame_power(block) for block in blocks])
    if level.size and (level < level.max() * 10 ** (SILENT_DB / 10)).mean() > 0.5:
        found.append("more than half of it is silence")
    return found


def frame_power(samples: np.ndarray) -> np.ndarray:
    """(F,) float64 mean square of each whole frame of (T,) samples."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return np.square(frames, dtype=np.float64).mean(axis=1)


def band_share(samples: np.ndarray) -> float:
    """Power above `TELEPHONE` in relation to all, in dB, of the mean spectrum of Hann-windowed frames."""
    size = 512
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    spectrum = np.zeros(size // 2 + 1)
    for start in range(0, len(frames), 4096):  # an hour's spectrum in bounded memory
        windowed = frames[start : start + 4096] * np.hanning(size).astype(np.float32)
        spectrum += np.square(np.abs(np.fft.rfft(windowed, axis=1))).sum(axis=0)
    above = np.fft.rfftfreq(size, 1 / SAMPLE_RATE) > TELEPHONE + 100
    return float(10 * np.log10(max(spectrum[above].sum() / spectrum.sum(), 1e-20)))
