"""A folder of audio to draw from: noise, music, speech, room impulse responses."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from corpus.decoding import MAX_RATE, RATES, SAMPLE_RATE, check_values, plain
from engine.parallel import in_order
from settings.errors import ConfigError, DataError
from settings.text import bulleted

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".sph"}


class AudioFolder:
    """All audio files below a folder, in the order of their names.

    Parameters
    ----------
    path : path
        Looked through with its subfolders. Files with other suffixes than SUFFIXES are no audio.

    Raises
    ------
    ConfigError
        There is no such folder, or no audio below it.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_dir():
            raise ConfigError(f"no folder {path}")
        found = [file for file in self.path.rglob("*") if file.suffix.lower() in SUFFIXES]
        self.names = sorted(file.relative_to(self.path).as_posix() for file in found)
        if not self.names:
            raise ConfigError(f"no audio below {path} ({', '.join(sorted(SUFFIXES))})")

    def __len__(self) -> int:
        return len(self.names)

    def check(self, threads: int) -> None:
        """Look at every file's header. Raises DataError that names all files that cannot be used."""
        wrong = [found for found in in_order(self.trouble, range(len(self)), threads, ahead=64) if found]
        if wrong:
            raise DataError(bulleted(f"{self.path}: {len(wrong)} of {len(self)} files cannot be used", wrong))

    def trouble(self, index: int) -> str:
        """What keeps a file from being used; '' where nothing does."""
        try:
            self.opened(index).close()
        except DataError as error:
            return str(error)
        return ""

    def opened(self, index: int) -> soundfile.SoundFile:
        """A file, opened. Raises DataError where it is missing, no audio, empty, or of no usable rate."""
        path = self.path / self.names[index]
        try:
            file = soundfile.SoundFile(path)
        except (OSError, soundfile.SoundFileError, TypeError) as error:
            raise DataError(f"{path}: cannot be read as audio ({plain(error)})") from None
        if not RATES[0] <= file.samplerate <= max(RATES[1], MAX_RATE) or file.frames <= 0:
            file.close()
            raise DataError(f"{path}: {file.frames} samples at {file.samplerate} Hz are no sound")
        return file

    def segment(self, index: int, length: int, random: np.random.Generator) -> np.ndarray:
        """(length,) float32 at 16 kHz from a random place of a file, channels averaged; a shorter file is repeated."""
        with self.opened(index) as file:
            needed = -(-length * file.samplerate // SAMPLE_RATE)
            start = int(random.integers(0, max(file.frames - needed, 0), endpoint=True))
            samples = self.block(file, index, start, min(needed, file.frames)).mean(axis=1, dtype=np.float32)
            return np.resize(at_16_khz(samples, file.samplerate), length)

    def beginning(self, index: int, length: int) -> np.ndarray:
        """(at most length,) float32 at 16 kHz: how a file begins, of its first channel (an average would comb)."""
        with self.opened(index) as file:
            needed = -(-length * file.samplerate // SAMPLE_RATE)
            block = self.block(file, index, 0, min(needed, file.frames))
            return at_16_khz(np.ascontiguousarray(block[:, 0]), file.samplerate)[:length]

    def block(self, file: soundfile.SoundFile, index: int, start: int, frames: int) -> np.ndarray:
        """(frames, channels) float32. Raises DataError where the file does not hold what its header says."""
        try:
            file.seek(start)
            block = file.read(frames, dtype="float32", always_2d=True)
            if len(block) < frames:
                raise DataError(f"truncated: {frames} samples from {start} on are not there")
            check_values(block, start)
        except (soundfile.SoundFileError, DataError) as error:
            raise DataError(f"{self.path / self.names[index]}: {plain(error)}") from None
        return block


def at_16_khz(samples: np.ndarray, rate: int) -> np.ndarray:
    """(T,) float32 of `rate` Hz, resampled band-limited where that is another rate."""
    return samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")
