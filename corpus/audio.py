"""Any audio file to mono 16 kHz float32 samples, whole or crops of it; and the audio of a whole list."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from corpus.decoding import MAX_SECONDS, SAMPLE_RATE, AudioError, collected, opened, promised_samples
from settings.errors import DataError

IN_FLIGHT = int(MAX_SECONDS * SAMPLE_RATE)  # samples that threads hold for one reader: an hour's file, or many shorter


def load_audio(path: str | Path) -> np.ndarray:
    """The whole file as (T,) float32 at 16 kHz: channels averaged, then resampled band-limited (soxr, "HQ").

    Whatever libsndfile reads will do: wav of any sample format, flac, ogg vorbis and opus, mp3, .... Memory is that of
    the result and of a block.

    Raises
    ------
    AudioError
        As `opened`.
    """
    with opened(path) as file:
        return collected(file.blocks_at_16_khz(), file.promised_at_16_khz)


def load_crops(path: str | Path, starts: np.ndarray, length: int) -> np.ndarray:
    """(n, length) float32: `length` samples from each of `starts` (n,) on, to the last bit those of `load_audio`.

    Only they are read where the file allows it (16 kHz and uncompressed, or FLAC); else all that is before them too, of
    which no more than a block is kept.

    Raises
    ------
    AudioError
        As `opened`, as far as the file is read; or it ends before a crop does.
    """
    crops = np.empty((len(starts), length), np.float32)
    with opened(path) as file:
        if file.seeks:
            for crop, start in zip(crops, starts.tolist(), strict=True):
                crop[:] = file.at(start, length)
            return crops
        end, needed = 0, int(starts.max()) + length
        for block in file.blocks_at_16_khz():
            begin, end = end, end + len(block)
            for crop, start in zip(crops, starts.tolist(), strict=True):
                first, last = max(start, begin), min(start + length, end)
                if first < last:
                    crop[first - start : last - start] = block[first - begin : last - begin]
            if end > needed:  # not where they are equal: what ends there is checked as a whole file is
                return crops
        if end < needed:
            raise AudioError(f"ends after {end} samples, and had {needed} before")
    return crops


def measured_length(path: str | Path) -> int:
    """Samples of a file at 16 kHz, after a look at all of it by blocks. Raises AudioError as `load_audio`."""
    with opened(path) as file:
        return sum(map(len, file.blocks_at_16_khz()))


def cut(samples: np.ndarray, start: int, length: int) -> np.ndarray:
    """(length,) samples from `start`; audio shorter than that is repeated to length, never padded with zeros."""
    return samples[start : start + length] if len(samples) >= length else np.resize(samples, length)


def size_of(path: str | Path) -> int:
    """Bytes of a file; -1 where there is none any more."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1


@dataclass
class AudioMemory:
    """Room for decoded audio, in bytes, that several lists share."""

    room: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, size: int) -> bool:
        """Whether there was room for so much, which is now taken."""
        with self.lock:
            fits = size <= self.room
            self.room -= size if fits else 0
            return fits

    def give(self, size: int) -> None:
        """What was taken is free again."""
        with self.lock:
            self.room += size


class AudioFiles:
    """The audio of a list, read on demand and kept in memory while it fits.

    Parameters
    ----------
    paths : sequence of str
        Files, in the list's order; `read(i)` gives the i-th.
    memory : AudioMemory
        Decoded audio that finds no room there is read again each time. None: nothing is kept.
    """

    def __init__(self, paths: Sequence[str | Path], memory: AudioMemory | None = None):
        self.paths = paths
        self.memory = memory or AudioMemory()
        self.kept: dict[int, np.ndarray] = {}
        self.measured = np.zeros(len(paths), np.int64)  # samples of each file when it was first read, 0 before
        self.sizes = np.zeros(len(paths), np.int64)  # and its bytes

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Sequence[int]) -> "AudioFiles":
        """The audio of these rows, in this order, with what is known and kept of it."""
        taken = copy(self)
        taken.paths = [self.paths[row] for row in rows]
        taken.kept = {new: self.kept[row] for new, row in enumerate(rows) if row in self.kept}
        taken.measured, taken.sizes = self.measured[rows], self.sizes[rows]
        return taken

    def source(self, index: int) -> str | Path:
        """The file that an utterance is read from."""
        return self.paths[index]

    def load(self, index: int) -> np.ndarray:
        """(T,) float32, read anew."""
        return load_audio(self.paths[index])

    def load_crops(self, index: int, starts: np.ndarray, length: int) -> np.ndarray:
        """(n, length) float32 of it, read anew."""
        return load_crops(self.paths[index], starts, length)

    def measure(self, index: int) -> int:
        """Samples of it, read anew."""
        return measured_length(self.paths[index])

    def read(self, index: int) -> np.ndarray:
        """(T,) float32 at 16 kHz, not to be written to where it is kept.

        Raises DataError as `load_audio`, and where the length is not what it was before.
        """
        samples = self.kept.get(index)
        if samples is None:
            samples = self.load(index)
            self.note(index, len(samples))
            self.keep(index, samples)
        return samples

    def length(self, index: int) -> int:
        """Samples of an utterance, after a look at all of it, and kept where it fits. Raises DataError as `read`."""
        if index in self.kept:
            return len(self.kept[index])
        size = 4 * promised_samples(self.source(index))
        if not self.memory.take(size):
            found = self.measure(index)
            self.note(index, found)
            return found
        try:
            samples = self.load(index)
        finally:
            self.memory.give(size)
        self.note(index, len(samples))
        self.keep(index, samples)
        return len(samples)

    def note(self, index: int, length: int) -> None:
        """What is known of a file from now on. Raises DataError where something else is known."""
        before = self.measured[index]
        if before and before != length:
            raise DataError(f"{self.paths[index]}: has changed; it had {before} samples and has {length}")
        self.measured[index], self.sizes[index] = length, size_of(self.source(index))

    def keep(self, index: int, samples: np.ndarray) -> None:
        """Keep it where it fits."""
        if self.memory.take(samples.nbytes):
            samples.setflags(write=False)
            self.kept[index] = samples

    def forget(self) -> None:
        """Let go of what is kept, so that other lists find room."""
        self.memory.give(sum(samples.nbytes for samples in self.kept.values()))
        self.kept = {}

    def gather(self, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """(B, length) float32: `length` samples of utterance rows[b] from starts[b] on; see `cut`."""
        crops = np.empty((len(rows), length), np.float32)
        for row in dict.fromkeys(rows.tolist()):  # each file once
            places = np.flatnonzero(rows == row)
            crops[places] = self.crops(row, starts[places], length)
        return crops

    def crops(self, index: int, starts: np.ndarray, length: int) -> np.ndarray:
        """(n, length) float32 of one utterance, from `starts` (n,) on.

        Of a file that is not kept and finds no room, nothing else is held. Raises DataError as `read`.
        """
        known = int(self.measured[index])
        if index in self.kept or known < length or 4 * known <= self.memory.room:
            samples = self.read(index)
            return np.stack([cut(samples, start, length) for start in starts.tolist()])
        before, now = self.sizes[index], size_of(self.source(index))
        if now != before:
            raise DataError(f"{self.paths[index]}: has changed; it had {before} bytes and has {now}")
        return self.load_crops(index, starts, length)

    def lengths(self, threads: int, description: str = "reading audio") -> tuple[np.ndarray, dict[int, str]]:
        """Read every file once, with a progress bar: samples (N,) int64, and what is wrong with which file."""
        lengths, wrong = np.zeros(len(self), np.int64), {}

        def measure(index: int) -> None:
            try:
                lengths[index] = self.length(index)
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

    def length(self, index: int) -> int:
        """Its samples."""
        return len(self.waveforms[index])
