"""Any audio file to mono 16 kHz float32 samples, whole or not at all."""

import re
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from settings.errors import DataError

SAMPLE_RATE = 16_000
MIN_SECONDS = 0.1  # shorter than any phone: nothing to trace
MAX_SECONDS = 3600.0  # one file's worth of memory stays bounded, whatever its header claims
MAX_RATE = 48_000  # of a file of MAX_SECONDS; one of a higher rate may be shorter only, since it takes as much memory
LOUDEST = 2.0**31  # full scale of 32-bit integers kept as floats; a spectrum's squares of much more overflow
RATES = (2_000, 768_000)
BLOCK_VALUES = 1 << 20


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


def load_audio(path: str | Path) -> np.ndarray:
    """The whole file as (T,) float32 at 16 kHz: channels averaged, then resampled band-limited (soxr, "HQ").

    Whatever libsndfile reads will do: wav of any sample format, flac, ogg vorbis and opus, mp3, ....

    Raises
    ------
    AudioError
        As `decode`.
    """
    samples, rate = decode(Path(path))
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")
    return np.ascontiguousarray(samples, dtype=np.float32)


def decode(path: Path) -> tuple[np.ndarray, int]:
    """(T,) float32 mono samples at the file's own rate, and that rate. By blocks: a header is not to be trusted.

    Raises
    ------
    AudioError
        One of its kinds: the file is missing, is no audio, is empty, truncated, holds NaN or numbers beyond LOUDEST, is
        shorter than MIN_SECONDS, longer than MAX_SECONDS, or has a sampling rate outside RATES. The message names it.
    """
    try:
        return decode_blocks(path)
    except FileNotFoundError as error:
        hint = " (the path has backslashes: write / between folders)" if "\\" in str(path) else ""
        raise Missing(f"{path}: {error.strerror}{hint}") from None
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from None
    except (soundfile.SoundFileError, TypeError) as error:
        raise AudioError(f"{path}: cannot be read as audio ({plain(error)})") from None
    except AudioError as error:
        raise type(error)(f"{path}: {error}") from None


def decode_blocks(path: Path) -> tuple[np.ndarray, int]:
    """The same, with messages that do not name the file, and the libraries' own exceptions."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise AudioError("not a file")
    if path.stat().st_size == 0:
        raise Empty("the file is empty")
    with soundfile.SoundFile(path) as file:
        rate, promised = file.samplerate, file.frames
        if not RATES[0] <= rate <= RATES[1]:
            raise AudioError(f"a sampling rate of {rate} Hz is not speech")
        mono, length, most = [], 0, MAX_SECONDS * min(rate, MAX_RATE)
        while len(block := file.read(max(1, BLOCK_VALUES // file.channels), dtype="float32", always_2d=True)):
            check_values(block, length)
            mono.append(block.mean(axis=1, dtype=np.float32) if file.channels > 1 else block[:, 0])
            length += len(block)
            if length > most:
                raise TooLong(f"longer than {most / rate / 60:.0f} minutes at {rate} Hz: cut it up")
        if length < promised or chunk_cut_short(file.extra_info) or stream_without_end(path):
            raise Truncated(f"truncated after {length} samples")
    samples = np.concatenate(mono) if mono else np.empty(0, np.float32)
    if length < MIN_SECONDS * rate:
        raise TooShort(f"{length / rate:.3f} s long; at least {MIN_SECONDS} s is needed")
    return samples, rate


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


def cut(samples: np.ndarray, start: int, length: int) -> np.ndarray:
    """(length,) samples from `start`; audio shorter than that is repeated to length, never padded with zeros."""
    return samples[start : start + length] if len(samples) >= length else np.resize(samples, length)


@dataclass
class AudioMemory:
    """Room for decoded audio, in bytes, that several lists share."""

    room: int = 0


class AudioFiles:
    """The audio of a list, read on demand and kept in memory while it fits.

    Parameters
    ----------
    paths : sequence of str
        Files, in the list's order; `read(i)` gives the i-th.
    memory : AudioMemory
        Decoded audio that finds no room there is read again each time. None: nothing is kept.
    load : function of a path to (T,) float32
        What reads them; see `corpus/copies.py` for another.
    """

    def __init__(self, paths: Sequence[str | Path], memory: AudioMemory | None = None, load: Callable = load_audio):
        self.paths = paths
        self.memory = memory or AudioMemory()
        self.load = load
        self.kept: dict[int, np.ndarray] = {}
        self.measured = np.zeros(len(paths), np.int64)  # samples of each file when it was first read, 0 before

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Sequence[int]) -> "AudioFiles":
        """The audio of these rows, in this order, with what is known and kept of it."""
        taken = AudioFiles([self.paths[row] for row in rows], self.memory, self.load)
        taken.kept = {new: self.kept[row] for new, row in enumerate(rows) if row in self.kept}
        taken.measured = self.measured[rows]
        return taken

    def read(self, index: int) -> np.ndarray:
        """(T,) float32 at 16 kHz. Raises DataError as `load_audio`, and where the length is not what it was before."""
        samples = self.kept.get(index)
        if samples is None:
            samples = self.load(self.paths[index])
            before = self.measured[index]
            if before and before != len(samples):
                raise DataError(f"{self.paths[index]}: has changed; it had {before} samples and has {len(samples)}")
            self.measured[index] = len(samples)
            if samples.nbytes <= self.memory.room:
                self.memory.room -= samples.nbytes
                self.kept[index] = samples
        return samples

    def forget(self) -> None:
        """Let go of what is kept, so that other lists find room."""
        self.memory.room += sum(samples.nbytes for samples in self.kept.values())
        self.kept = {}

    def gather(self, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """(B, length) float32: `length` samples of utterance rows[b] from starts[b] on; see `cut`."""
        pairs = zip(rows.tolist(), starts.tolist(), strict=True)
        return np.stack([cut(self.read(row), start, length) for row, start in pairs])

    def lengths(self, threads: int, description: str = "reading audio") -> tuple[np.ndarray, dict[int, str]]:
        """Read every file once, with a progress bar: samples (N,) int64, and what is wrong with which file."""
        lengths, wrong = np.zeros(len(self), np.int64), {}

        def measure(index: int) -> None:
            try:
                lengths[index] = len(self.read(index))
            except DataError as error:
                wrong[index] = str(error)

        with ThreadPoolExecutor(threads) as pool:
            list(
                tqdm(
                    pool.map(measure, range(len(self))), description, len(self), unit="file", leave=False, disable=None
                )
            )
        return lengths, dict(sorted(wrong.items()))


class Waveforms(AudioFiles):
    """Waveforms in memory as a list's audio."""

    def __init__(self, waveforms: Sequence[np.ndarray]):
        super().__init__([f"waveform {i}" for i in range(len(waveforms))])
        self.waveforms = waveforms

    def read(self, index: int) -> np.ndarray:
        """(T,) float32."""
        return np.ascontiguousarray(self.waveforms[index], np.float32)
