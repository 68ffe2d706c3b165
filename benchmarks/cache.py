"""How fast a cache is built and read, beside plain decoding. Run: python -m benchmarks.cache LIST --path DIR

Prints files/s and MB/s (of 16-bit samples) for decoding alone and for building, then microseconds a training crop: from
the cache, from 32-bit samples already in memory, and by decoding the file.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np

from corpus.audio import load_audio
from corpus.build_cache import build_cache
from corpus.cache import CachedAudio, open_cache
from corpus.lists import read_list
from engine.parallel import in_order, usable_cores

CROP = 200 * 160 + 240
BATCH = 128
REPEATS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list")
    parser.add_argument("--path", required=True)
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    table = read_list(options.list)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{platform.processor() or platform.machine()}, {usable_cores()} cores, load before {load}; {len(table)} files"
    )
    for path in table.files(options.path):  # so that no run has to wait for the disk alone
        Path(path).read_bytes()
    for threads in (1, options.threads):
        began = time.perf_counter()
        samples = sum(in_order(lambda path: len(load_audio(path)), table.files(options.path), threads))
        tell(f"decoding alone, {threads} threads", len(table), samples, time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as out:
        for what in ("building", "building again, nothing changed"):
            began = time.perf_counter()
            built = build_cache(out, table, options.path, options.threads)
            tell(f"{what}, {options.threads} threads", len(table), built.samples, time.perf_counter() - began)
        began = time.perf_counter()
        cached = open_cache(out, table, options.path)
        print(f"{'opening, every source file looked at':44}{(time.perf_counter() - began) * 1e3:9.1f} ms")
        crops(cached, table.files(options.path))


def tell(what: str, files: int, samples: int, seconds: float) -> None:
    print(f"{what:44}{files / seconds:9.0f} files/s {2 * samples / seconds / 1e6:9.1f} MB/s {seconds:8.2f} s")


def crops(cached: CachedAudio, files: list[str]) -> None:
    """Microseconds a crop, least and median over batches."""
    lengths = cached.lengths()[0]
    random = np.random.default_rng(0)
    batches = []
    for _ in range(REPEATS):
        rows = random.integers(0, len(cached), BATCH)
        starts = (random.random(BATCH) * (np.maximum(lengths[rows] - CROP, 0) + 1)).astype(np.int64)
        batches.append((rows, starts))
    memory = {int(row): cached.read(int(row)) for rows, _ in batches for row in rows}

    def from_memory(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        return np.stack([cut(memory[row], start) for row, start in zip(rows.tolist(), starts.tolist(), strict=True)])

    def by_decoding(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        pairs = zip(rows.tolist(), starts.tolist(), strict=True)
        return np.stack([cut(load_audio(files[row]), start) for row, start in pairs])

    gather = {"cache": lambda rows, starts: cached.gather(rows, starts, CROP), "memory": from_memory}
    for name, read, count in [*((n, f, REPEATS) for n, f in gather.items()), ("decoding", by_decoding, 2)]:
        spent = []
        for rows, starts in batches[:count]:
            began = time.perf_counter()
            read(rows, starts)
            spent.append((time.perf_counter() - began) / BATCH * 1e6)
        print(f"{'a crop of 2 s from ' + name:44}{min(spent):9.1f} us least {np.median(spent):9.1f} us median")


def cut(samples: np.ndarray, start: int) -> np.ndarray:
    return samples[start : start + CROP] if len(samples) >= CROP else np.resize(samples, CROP)


if __name__ == "__main__":
    main()
