"""A list's audio decoded once: one file of 16-bit samples and their index, from which a crop is one read.

NAME.cache holds the samples of every file of NAME.csv (int16, little-endian, in the list's order), then the index
(JSON), then a footer: the index's length and CRC-32, and MAGIC. So one rename makes the whole cache valid at once.

A sample is the integer times the file's scale: 1/32768 where the audio has 16 bits, so that nothing is lost; else the
peak is brought to 32767, so that nothing is clipped and rounding stays below 1/65534 of the peak.
"""

import json
import stat
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from corpus.copies import split_copy
from corpus.decoding import LOUDEST, SAMPLE_RATE
from corpus.filters import AudioFilters
from corpus.lists import UtteranceList, located
from corpus.sample_file import SAMPLE, SampleFile
from engine.parallel import in_order
from settings.errors import DataError, UserError
from settings.text import bulleted, shown

MAGIC = b"TRACING\1"  # the last byte is raised whenever the same audio would give other bytes
FOOTER = struct.Struct("<QI8s")
BLOCK = 1 << 20  # samples read at once
GONE = (-1, 0)  # the stamp of a file that is not there


@dataclass(frozen=True)
class Entry:
    """One source file in the cache: its size in bytes and mtime in ns when read, where its samples lie (counted in
    samples), their scale, and, where it cannot be used, why.
    """

    path: str
    size: int
    mtime: int
    offset: int
    length: int
    scale: float
    wrong: str = ""
    crc: int = -1

    @property
    def stamp(self) -> tuple[int, int]:
        return self.size, self.mtime


def stamp(path: str | Path) -> tuple[int, int]:
    """Size and mtime (ns): what gives a changed source file away. GONE where there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return GONE
    return status.st_size, status.st_mtime_ns


def source_file(name: str, root: str | Path) -> str:
    """The file below `root` that a row of a list, perhaps a copy, is made of."""
    return located(root, split_copy(name)[0])


def recipe(filters: AudioFilters) -> dict:
    """What, besides the source file, decides the samples."""
    return {"sample_rate": SAMPLE_RATE, **filters.settings()}


def cache_path(directory: str | Path, source: str | Path) -> Path:
    """DIR/NAME.cache for the list NAME.csv."""
    return Path(directory) / f"{Path(source).stem}.cache"


@dataclass
class CacheFile:
    """A finished cache: its samples, and its entries by path."""

    path: Path
    recipe: dict
    samples: SampleFile
    entries: dict[str, Entry]


def read_cache(path: Path) -> CacheFile:
    """Open a finished cache. Raises DataError where it is missing, damaged, or not a cache."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a regular file")
        size = status.st_size
        with path.open("rb") as file:
            if size < FOOTER.size:
                raise DataError(f"{path}: not a cache; build it again")
            file.seek(size - FOOTER.size)
            length, checksum, magic = FOOTER.unpack(file.read())
            start = size - FOOTER.size - length
            if magic != MAGIC or start < 0:
                raise DataError(f"{path}: not a cache, or cut short; remove it and build it again")
            file.seek(start)
            text = file.read(length)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    if zlib.crc32(text) != checksum:
        raise DataError(f"{path}: its index is damaged; remove it and build it again")
    try:
        settings, entries = parsed_index(text)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        raise DataError(f"{path}: its index makes no sense; remove it and build it again") from None
    total = sum(entry.length for entry in entries)
    if start != total * SAMPLE.itemsize or any(entry.offset + entry.length > total for entry in entries):
        raise DataError(f"{path}: its index and its {start} bytes of samples disagree; remove it and build it again")
    return CacheFile(path, settings, SampleFile(path), {entry.path: entry for entry in entries})


def parsed_index(text: bytes) -> tuple[dict, list[Entry]]:
    """Recipe and entries of an index. What is no index raises one of the errors that `read_cache` waits for."""
    index = json.loads(text)
    entries = [checked_entry(row) for row in zip(*index["entries"], strict=True)]
    return dict(index["recipe"]), entries


def checked_entry(row: Iterable) -> Entry:
    """An entry of its values. Raises TypeError or ValueError where no entry has them."""
    entry = Entry(*row)
    for value, field in zip(vars(entry).values(), fields(Entry), strict=True):
        if type(value) is not field.type:
            raise TypeError(entry)
    if entry.offset < 0 or entry.length < (not entry.wrong) or not 0 <= entry.scale <= LOUDEST:
        raise ValueError(entry)
    return entry


def index_bytes(settings: dict, entries: list[Entry]) -> bytes:
    """Index and footer, as they end a cache."""
    rows = [[getattr(entry, name) for entry in entries] for name in Entry.__dataclass_fields__]
    text = json.dumps({"recipe": settings, "entries": rows}, separators=(",", ":")).encode()
    return text + FOOTER.pack(len(text), zlib.crc32(text), MAGIC)


class CachedAudio:
    """The audio of a list, read from its cache: what `AudioFiles` offers, and whole batches of crops.

    Parameters
    ----------
    samples : SampleFile
    entries : list of Entry
        One for each row of the list, in its order.
    filters : AudioFilters
        What was done to the audio when the cache was built.
    """

    def __init__(self, samples: SampleFile, entries: list[Entry], filters: AudioFilters | None = None):
        self.filters = filters or AudioFilters()
        self.samples = samples
        self.offset = np.array([entry.offset for entry in entries], np.int64)
        self.length = np.array([entry.length for entry in entries], np.int64)
        self.scale = np.array([entry.scale for entry in entries], np.float32)
        self.crc = np.array([entry.crc for entry in entries], np.int64)  # -1 where it was checked, or is not known
        self.paths = [entry.path for entry in entries]
        self.wrong = {row: entry.wrong for row, entry in enumerate(entries) if entry.wrong}

    def __len__(self) -> int:
        return len(self.offset)

    def take(self, rows: Sequence[int]) -> "CachedAudio":
        """The audio of these rows, in this order."""
        taken = copy(self)
        taken.offset, taken.length, taken.scale = self.offset[rows], self.length[rows], self.scale[rows]
        taken.crc, taken.paths = self.crc[rows], [self.paths[row] for row in rows]
        taken.wrong = {new: self.wrong[row] for new, row in enumerate(rows) if row in self.wrong}
        return taken

    def read(self, index: int) -> np.ndarray:
        """(T,) float32 at 16 kHz. Raises DataError where the file could not be used when the cache was built."""
        samples = np.empty(self.length[index], np.float32)
        for begin, block in self.blocks(index):
            np.multiply(block, self.scale[index], out=samples[begin : begin + len(block)], dtype=np.float32)
        return samples

    def raw(self, index: int) -> np.ndarray:
        """(T,) int16, to be multiplied by `scale[index]`. Raises DataError as `read`."""
        samples = np.empty(self.length[index], np.int16)
        for begin, block in self.blocks(index):
            samples[begin : begin + len(block)] = block
        return samples

    def blocks(self, index: int) -> Iterator[tuple[int, np.ndarray]]:
        """An utterance in parts: where in it one begins, and its samples (n,) int16.

        Raises DataError as `read`, and at the end, before anybody can use them, where they have changed.
        """
        if index in self.wrong:
            raise DataError(self.wrong[index])
        offset, length, checksum = int(self.offset[index]), int(self.length[index]), 0
        for begin in range(0, length, BLOCK):
            block = self.samples[offset + begin : offset + min(begin + BLOCK, length)]
            checksum = zlib.crc32(block.data, checksum) if self.crc[index] >= 0 else checksum
            yield begin, block
        if self.crc[index] >= 0:
            if checksum != self.crc[index]:
                raise DataError(
                    f"{self.samples.path}: the samples of {self.paths[index]} have changed on the disk: "
                    "remove the cache and build it again"
                )
            self.crc[index] = -1

    def lengths(self, threads: int = 1, description: str = "") -> tuple[np.ndarray, dict[int, str]]:  # noqa: ARG002
        """Samples of each utterance (N,) int64, and what is wrong with which row. Known, hence at once."""
        return self.length.copy(), dict(self.wrong)

    def forget(self) -> None:
        """Nothing: what is read from a cache is not kept."""

    def gather(self, rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """(B, length) float32: `length` samples of utterance rows[b] from starts[b] on; shorter ones are repeated.

        Parameters
        ----------
        rows, starts : (B,) int64
        length : int

        Raises
        ------
        ValueError
            A crop begins too late to fit.
        """
        lengths = self.length[rows]
        if np.any((starts < 0) | (starts > np.maximum(lengths - length, 0))):
            raise ValueError("a crop reaches beyond its utterance")
        crops = np.empty((len(rows), length), np.float32)
        begins = self.offset[rows] + starts
        for crop, row, begin, enough in zip(crops, rows.tolist(), begins.tolist(), lengths >= length, strict=True):
            if self.crc[row] >= 0:
                deque(self.blocks(row), maxlen=0)  # the first use of an utterance looks at all of it
            if enough:
                crop[:] = self.samples[begin : begin + length]
                crop *= self.scale[row]
            else:
                crop[:] = np.resize(self.read(row), length)
        return crops


def filters_of(cache: CacheFile) -> AudioFilters:
    """What was done to the audio of a cache. Raises DataError where it is not known here."""
    settings = dict(cache.recipe)
    try:
        known = settings.pop("sample_rate") == SAMPLE_RATE
        filters = AudioFilters(**settings)
    except (KeyError, TypeError, UserError):
        known = False
    if not known:
        raise DataError(f"{cache.path} was built with {shown(cache.recipe)}: this version cannot; build it again")
    return filters


def open_cache(directory: str | Path, table: UtteranceList, root: str | Path, threads: int = 8) -> CachedAudio:
    """The cached audio of a list, filtered as the cache was built, after a look at every source file below `root`.

    Where none of the source files is there (a cache taken to another machine), the cache is believed.

    Raises
    ------
    DataError
        No cache of the list is in `directory`, or it is stale: it lacks files of the list, or source files have changed
        since. The message gives the command that mends it.
    """
    path = cache_path(directory, table.source)
    mend = f"run: python dataprep.py cache {table.source} --path {root} --out {directory}"
    copies = dict.fromkeys(filter(None, (split_copy(name)[1] for name in table.paths)))
    mend += " --copies " + " ".join(copies) if copies else ""
    if not path.exists():
        raise DataError(f"{directory} holds no cache of {table.source} (no {path.name}); {mend}")
    cache = read_cache(path)
    filters = filters_of(cache)
    mend += f" {filters}" if filters else ""
    names = list(dict.fromkeys(table.paths))
    sources = [source_file(name, root) for name in names]
    now = dict(zip(names, in_order(stamp, sources, threads, ahead=64), strict=True))
    absent = sum(found == GONE for found in now.values())
    stale = [f"{name}: not in the cache" for name in names if name not in cache.entries]
    if absent < len(names):
        stale += [
            f"{name}: {'no longer there' if now[name] == GONE else 'changed since'}"
            for name in names
            if name in cache.entries and cache.entries[name].stamp != now[name]
        ]
    if stale:
        raise DataError(bulleted(f"{path} is stale in {len(stale)} of {len(names)} files; {mend}", stale))
    return CachedAudio(cache.samples, [cache.entries[name] for name in table.paths], filters)
