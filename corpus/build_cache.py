"""Build a list's cache: decode what is new or changed, copy the rest, go on after a kill, and end with the same bytes.

While it is built, samples go to .NAME.part and, after they have reached the disk, one line for each finished file to
.NAME.journal. A build that starts again keeps what the journal vouches for. The end is one rename.
"""

import json
import logging
import os
import time
import zlib
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from corpus.audio import IN_FLIGHT
from corpus.cache import (
    BLOCK,
    GONE,
    CacheFile,
    Entry,
    cache_path,
    checked_entry,
    index_bytes,
    read_cache,
    recipe,
    source_file,
    stamp,
)
from corpus.copies import load
from corpus.decoding import promised_samples
from corpus.filters import AudioFilters
from corpus.lists import UtteranceList, located
from corpus.sample_file import SAMPLE
from engine.locks import Locked, hold
from engine.parallel import in_order
from settings.errors import ConfigError, DataError

log = logging.getLogger(__name__)
FLUSH_SECONDS = 2.0  # between two steps of the journal: the most work that a kill can cost


@dataclass
class Built:
    """What a build did: files decoded, taken from the cache before, taken from an interrupted build; samples in the
    whole cache; and the files that cannot be used, with why.
    """

    path: Path
    decoded: int
    copied: int
    resumed: int
    samples: int
    wrong: dict[str, str]


def build_cache(
    directory: str | Path, table: UtteranceList, root: str | Path, threads: int, filters: AudioFilters | None = None
) -> Built:
    """Bring the cache of a list up to date; without a change nothing is written.

    Raises
    ------
    ConfigError
        No file of the list is below `root`, the folder cannot be written, the disk is full (what is done is kept), or
        another build of this cache runs.
    """
    filters = filters or AudioFilters()
    path = cache_path(directory, table.source)
    names = list(dict.fromkeys(table.paths))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold(path.with_name(f".{path.stem}.lock")):
            stamps = list(in_order(stamp, [source_file(name, root) for name in names], threads, ahead=64))
            if all(found == GONE for found in stamps):
                raise ConfigError(f"no file of {table.source} is below {root}: is --path right? Nothing is written")
            before = finished_before(path, filters)
            if before and unchanged(before, names, stamps, str(root), filters):
                return summary(path, list(before.entries.values()), decoded=0, resumed=0)
            return build(path, names, stamps, str(root), before, threads, filters)
    except Locked as locked:
        raise ConfigError(f"{directory}: another build of this cache is running, {locked}") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def finished_before(path: Path, filters: AudioFilters) -> CacheFile | None:
    """The cache that an earlier build left, if it is whole and made in the same way."""
    if not path.exists():
        return None
    try:
        cache = read_cache(path)
    except DataError as error:
        log.warning("%s; building it anew", error)
        return None
    return cache if cache.recipe == recipe(filters) else None


def unchanged(before: CacheFile, names: list[str], stamps: list[tuple], root: str, filters: AudioFilters) -> bool:
    """True where every file is as it was, in the list's order. What could not be used is tried again: disks recover."""
    entries = list(before.entries.values())
    same = [(entry.path, entry.stamp) for entry in entries] == list(zip(names, stamps, strict=True))
    return same and all(decode(entry.path, root, filters)[0].wrong == entry.wrong for entry in entries if entry.wrong)


def build(path: Path, names, stamps, root: str, before: CacheFile | None, threads: int, filters: AudioFilters) -> Built:
    """Write the cache anew, from the journal's beginning, the cache before and the source files, in this order."""
    settings = recipe(filters)
    with Part(path, settings) as part:
        part.resume(names, stamps)
        old = before.entries if before else {}

        def samples_of(row: int) -> tuple[Entry, np.ndarray]:
            known = old.get(names[row])
            if known and known.stamp == stamps[row] and not known.wrong:
                samples = before.samples[known.offset : known.offset + known.length]
                if known.crc in (-1, zlib.crc32(samples.data)):
                    return known, samples
            return decode(names[row], root, filters)

        def samples_in(row: int) -> int:
            known = old.get(names[row])
            return known.length if known else promised_samples(source_file(names[row], root))

        todo = range(len(part.entries), len(names))
        ahead = in_order(samples_of, todo, threads, weigh=samples_in, most=IN_FLIGHT)
        bar = tqdm(total=len(names), initial=todo.start, desc=path.name, unit="file", leave=False, disable=None)
        decoded = 0
        with bar:
            for row, (entry, samples) in zip(todo, ahead, strict=True):
                part.append(entry, samples)
                del samples
                decoded += entry is not old.get(names[row])
                bar.update()
        part.finish()
    return summary(path, part.entries, decoded, todo.start)


def decode(name: str, root: str, filters: AudioFilters) -> tuple[Entry, np.ndarray]:
    """A file's entry (its offset still 0) and samples (T,) int16; T is 0 where it cannot be used."""
    file = source_file(name, root)
    size, mtime = stamp(file)  # before reading: a file that changes meanwhile is stale
    try:
        samples, scale = quantise(filters.apply(load(located(root, name))))
    except DataError as error:
        size, mtime = (size, mtime) if stamp(file) != GONE else GONE
        return Entry(name, size, mtime, 0, 0, 1.0, str(error)), np.empty(0, SAMPLE)
    return Entry(name, size, mtime, 0, len(samples), scale), samples


def quantise(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """(T,) float32 to (T,) int16 and the scale that brings them back: 1/32768 where that is exact."""
    scale, parts = np.float32(1 / 32768), [slice(begin, begin + BLOCK) for begin in range(0, len(samples), BLOCK)]
    if not all(has_16_bits(samples[part]) for part in parts):
        peak = max(np.abs(samples[part]).max() for part in parts)
        scale = max(np.float32(peak / 32767), np.finfo(np.float32).tiny)
    integers = np.empty(len(samples), SAMPLE)
    for part in parts:
        integers[part] = np.rint(samples[part] / scale)
    return integers, float(scale)


def has_16_bits(samples: np.ndarray) -> bool:
    """Whether all of (T,) float32 are whole multiples of 1/32768 that int16 can hold."""
    exact = samples * np.float32(32768)
    rounded = np.rint(exact)
    return np.array_equal(exact, rounded) and np.abs(rounded + 0.5).max(initial=0) < 32768


class Part:
    """The cache in the making: samples in .NAME.part, and in .NAME.journal a line for each file that is safe."""

    def __init__(self, path: Path, settings: dict):
        self.path, self.settings = path, settings
        self.part, self.journal = (path.with_name(f".{path.stem}.{kind}") for kind in ("part", "journal"))
        self.entries: list[Entry] = []
        self.unsafe: list[Entry] = []
        self.flushed = time.monotonic()
        self.written = 0  # samples

    def __enter__(self) -> "Part":
        for file in (self.part, self.journal):
            file.touch()
        self.samples_file, self.journal_file = self.part.open("rb+"), self.journal.open("rb+")
        return self

    def __exit__(self, *error: object) -> None:
        self.samples_file.close()
        self.journal_file.close()

    def resume(self, names: list[str], stamps: list[tuple]) -> None:
        """Keep what an interrupted build has done of this list, up to the first file that is another or has changed."""
        room = self.part.stat().st_size // SAMPLE.itemsize
        kept_bytes = 0
        lines = self.journal_file.read().splitlines(keepends=True)
        if lines and parsed(lines[0]) == self.settings:
            kept_bytes = len(lines[0])
            for line, name, now in zip(lines[1:], names, stamps, strict=False):
                entry = parsed_entry(line)
                if not entry or (entry.path, entry.stamp) != (name, now):
                    break
                if entry.offset != self.written or entry.offset + entry.length > room:
                    break
                if zlib.crc32(self.samples_file.read(entry.length * SAMPLE.itemsize)) != entry.crc:
                    break
                self.entries.append(entry)
                self.written += entry.length
                kept_bytes += len(line)
        self.journal_file.truncate(kept_bytes)
        self.journal_file.seek(kept_bytes)
        if not kept_bytes:
            self.journal_file.write(journal_line(self.settings))
        self.samples_file.truncate(self.written * SAMPLE.itemsize)
        self.samples_file.seek(self.written * SAMPLE.itemsize)

    def append(self, entry: Entry, samples: np.ndarray) -> None:
        """Add a file behind the others."""
        entry = replace(entry, offset=self.written, crc=zlib.crc32(samples.data))
        self.samples_file.write(samples.data)
        self.written += entry.length
        self.entries.append(entry)
        self.unsafe.append(entry)
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Samples to the disk first, then the lines that vouch for them."""
        self.samples_file.flush()
        os.fsync(self.samples_file.fileno())
        self.journal_file.writelines(journal_line(astuple(entry)) for entry in self.unsafe)
        self.journal_file.flush()
        self.unsafe, self.flushed = [], time.monotonic()

    def finish(self) -> None:
        """Add the index, and put the file in its place with one rename."""
        self.flush()
        self.samples_file.write(index_bytes(self.settings, self.entries))
        self.samples_file.flush()
        os.fsync(self.samples_file.fileno())
        self.part.replace(self.path)
        self.journal.unlink()


def journal_line(value: object) -> bytes:
    """A line of the journal: JSON, and its CRC-32."""
    text = json.dumps(value).encode()
    return b"%b %08x\n" % (text, zlib.crc32(text))


def parsed_entry(line: bytes) -> Entry | None:
    """The entry in a line of the journal; None where there is none."""
    try:
        return checked_entry(parsed(line))
    except (TypeError, ValueError):
        return None


def parsed(line: bytes) -> object:
    """What a line of the journal holds; None where a kill has torn it, or a disk has damaged it."""
    text = line[: -len(" 00000000\n")]
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if line == journal_line(value) else None


def summary(path: Path, entries: list[Entry], decoded: int, resumed: int) -> Built:
    wrong = {entry.path: entry.wrong for entry in entries if entry.wrong}
    total = sum(entry.length for entry in entries)
    return Built(path, decoded, len(entries) - decoded - resumed, resumed, total, wrong)
