"""An audio file block by block: checked while it is read, averaged to one channel, resampled as it comes."""

import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

from settings.errors import DataError

SAMPLE_RATE = 16_000
MIN_SECONDS = 0.1  # shorter than any phone: nothing to trace
MAX_SECONDS = 3600.0  # one file's worth of memory stays bounded, whatever its header claims
MAX_RATE = 48_000  # of a file of MAX_SECONDS; one of a higher rate may be shorter only, since it takes as much memory
LOUDEST = 2.0**31  # full scale of 32-bit integers kept as floats; a spectrum's squares of much more overflow
RATES = (2_000, 768_000)
BLOCK_VALUES = 1 << 20
SEEKING = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "FLAC"}  # forms in which any sample can be gone to
PLAIN = {"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"}  # if it is one of these


class AudioError(DataError):
    """An audio file that cannot be used; `kind` is the word for why."""

    kind = "unreadable"


class Missing(AudioError):
    """No such file."""

    kind = "missing"


class Empty(AudioError):
    """A file of no bytes."""

    kind = "empty"


class Truncated(AudioError):
    """A file that ends before its audio does."""

    kind = "truncated"


class TooShort(AudioError):
    """Shorter than MIN_SECONDS."""

    kind = "too short"


class TooLong(AudioError):
    """Longer than MAX_SECONDS."""

    kind = "too long"


class NotSound(AudioError):
    """NaN, infinity, or numbers beyond LOUDEST among the samples."""

    kind = "not sound"


@contextmanager
def opened(path: str | Path) -> Iterator["AudioFile"]:
    """An audio file, open, which every AudioError of the block names.

    Raises
    ------
    AudioError
        One of its kinds: the file is missing, is no audio, is empty, truncated, holds NaN or numbers beyond LOUDEST, is
        shorter than MIN_SECONDS, longer than MAX_SECONDS, or has a sampling rate outside RATES.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise AudioError("not a file")
        if path.stat().st_size == 0:
            raise Empty("the file is empty")
        with soundfile.SoundFile(path) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                raise AudioError(f"a sampling rate of {file.samplerate} Hz is not speech")
            yield AudioFile(path, file)
    except FileNotFoundError as error:
        hint = " (the path has backslashes: write / between folders)" if "\\" in str(path) else ""
        raise Missing(f"{path}: {error.strerror}{hint}") from None
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from None
    except (soundfile.SoundFileError, TypeError) as error:
        raise AudioError(f"{path}: cannot be read as audio ({plain(error)})") from None
    except AudioError as error:
        raise type(error)(f"{path}: {error}") from None


class AudioFile:
    """An open audio file, read once from its beginning, or at any place of it where it `seeks`.

    Parameters
    ----------
    path : Path
    file : soundfile.SoundFile
    """

    def __init__(self, path: Path, file: soundfile.SoundFile):
        self.path, self.file, self.rate = path, file, file.samplerate
        self.most = int(MAX_SECONDS * min(self.rate, MAX_RATE))  # samples

    @property
    def promised(self) -> int:
        """Samples of each channel, as the header has it, which is not to be trusted."""
        return max(0, min(self.file.frames, self.most))

    @property
    def promised_at_16_khz(self) -> int:
        return -(-self.promised * SAMPLE_RATE // self.rate)

    @property
    def seeks(self) -> bool:
        """Whether `at` gives, to the last bit, what reading from the beginning gives."""
        return self.rate == SAMPLE_RATE and self.file.format in SEEKING and self.file.subtype in PLAIN

    def blocks(self) -> Iterator[np.ndarray]:
        """The file as blocks (T,) float32 at its own rate. Raises AudioError where it proves to be unfit."""
        length, file = 0, self.file
        while len(block := file.read(max(1, BLOCK_VALUES // file.channels), dtype="float32", always_2d=True)):
            check_values(block, length)
            length += len(block)
            if length > self.most:
                raise TooLong(f"longer than {self.most / self.rate / 60:.0f} minutes at {self.rate} Hz: cut it up")
            yield mono(block)
        if length < file.frames or chunk_cut_short(file.extra_info) or stream_without_end(self.path):
            raise Truncated(f"truncated after {length} samples")
        if length < MIN_SECONDS * self.rate:
            raise TooShort(f"{length / self.rate:.3f} s long; at least {MIN_SECONDS} s is needed")

    def blocks_at_16_khz(self) -> Iterator[np.ndarray]:
        """The same at 16 kHz, band-limited (soxr, "HQ"): to the last bit what resampling the whole at once gives."""
        if self.rate == SAMPLE_RATE:
            yield from self.blocks()
            return
        stream = soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        for block in self.blocks():
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)

    def at(self, start: int, length: int) -> np.ndarray:
        """(length,) float32 from sample `start` on, of a file that `seeks`."""
        self.file.seek(start)
        block = self.file.read(length, dtype="float32", always_2d=True)
        if len(block) < length:
            raise Truncated(f"truncated after {start + len(block)} samples")
        check_values(block, start)
        return mono(block)


def mono(block: np.ndarray) -> np.ndarray:
    """(T, channels) float32 to their mean (T,)."""
    return block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]


def collected(blocks: Iterable[np.ndarray], expected: int) -> np.ndarray:
    """Blocks (T,) joined, in one piece of memory where they are no longer than `expected`."""
    samples, length = np.empty(expected, np.float32), 0
    for block in blocks:
        if length + len(block) > len(samples):
            samples = np.concatenate([samples[:length], np.empty(max(length, len(block)), np.float32)])
        samples[length : length + len(block)] = block
        length += len(block)
    return samples[:length]


def decode(path: str | Path) -> tuple[np.ndarray, int]:
    """(T,) float32 mono samples at the file's own rate, and that rate. Raises AudioError as `opened`."""
    with opened(path) as file:
        return collected(file.blocks(), file.promised), file.rate


def promised_samples(path: str | Path) -> int:
    """Samples at 16 kHz that a file's header promises; 0 where it cannot be read, which whoever reads it finds."""
    try:
        with opened(path) as file:
            return file.promised_at_16_khz
    except AudioError:
        return 0


def check_values(block: np.ndarray, first: int) -> None:
    """Raises DataError where a value of (T, channels), whose first row is sample `first`, can be no sound."""
    with np.errstate(invalid="ignore"):  # a signalling NaN raises the flag
        if np.abs(block).max() <= LOUDEST:
            return
        sample = first + int(np.flatnonzero(~(np.abs(block) <= LOUDEST).all(axis=1))[0])
    raise NotSound(f"sample {sample} is NaN, infinite or beyond all sound")


def chunk_cut_short(libsndfile_log: str) -> bool:
    """True where libsndfile noted that the samples' chunk (wav, aiff, au) reaches beyond the file's end.

    A program that writes into a pipe puts a placeholder of 2 or 4 GiB there, which is no sign of a cut.
    """
    noted = re.search(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", libsndfile_log, re.MULTILINE)
    return bool(noted) and int(noted[2]) < int(noted[1]) < 0x7FFF_0000


def stream_without_end(path: Path) -> bool:
    """True for an Ogg file whose last page is cut or lacks the end-of-stream flag (RFC 3533, section 6)."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - 2 * 65_307))  # the largest page, twice
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4:
        return True
    segments = page[27 : 27 + page[26]]
    return len(page) < 27 + page[26] + sum(segments)


def plain(error: Exception) -> str:
    """What the library says, without the path, which the caller adds."""
    return getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
