"""What grows with the data and with the systems. Run: python -m benchmarks.growth

Lists of 1, 4 and 16 times MLAADv5's 11,100 train utterances and 24 to 2,400 systems, made up; the caches are real files
of the real format, with silence of 3 to 7 s for audio (and so as holes, which take no room on the disk). The lists to
score have 4,500 utterances (10^7 trials) and multiples of 12,000; --only_scores --utterances 447300 scores 10^11 alone.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import machine
from corpus.cache import CachedAudio, Entry, index_bytes, read_cache, recipe
from corpus.crops import crop_samples, crop_starts
from corpus.filters import AudioFilters
from corpus.lists import read_list
from corpus.sample_file import SAMPLE
from corpus.samplers import BalancedSampler, RandomSampler
from scoring.embeddings import Utterances, utterances
from scoring.exact import solve
from scoring.histograms import each_tile
from scoring.operating_points import EqualError, LeastCost
from settings.plugins import load

UTTERANCES, DEV, FEW = 11_100, 12_000, 4_500


def timed(work: Callable) -> tuple[float, object]:
    began = time.perf_counter()
    made = work()
    return time.perf_counter() - began, made


def made_up(folder: Path, count: int, systems: int) -> tuple[Path, Path]:
    """A list of `count` utterances and its cache."""
    lengths = np.random.default_rng(0).integers(48_000, 112_000, count)
    offsets = np.cumsum(lengths) - lengths
    paths = [f"fake/en/system-{row % systems:04d}/{row:07d}.wav" for row in range(count)]
    rows = [f"./{path},system-{row % systems:04d}" for row, path in enumerate(paths)]
    (folder / "list.csv").write_text("\n".join(["path,model_name", *rows]) + "\n", encoding="utf-8")
    entries = [
        Entry(path, 1, 1, int(offset), int(length), 1 / 32768)
        for path, offset, length in zip(paths, offsets, lengths, strict=True)
    ]
    with (folder / "list.cache").open("wb") as file:
        file.truncate(int(lengths.sum()) * SAMPLE.itemsize)
        file.seek(0, 2)
        file.write(index_bytes(recipe(AudioFilters()), entries))
    return folder / "list.csv", folder / "list.cache"


def opened(path: Path, paths: list[str]) -> CachedAudio:
    cache = read_cache(path)
    return CachedAudio(cache.samples, [cache.entries[name] for name in paths])


def data(count: int, systems: int) -> None:
    """One line: the list read, its cache opened, an epoch planned by either sampler, a batch of 128 crops."""
    with tempfile.TemporaryDirectory() as folder:
        listed, cached = made_up(Path(folder), count, systems)
        reading, table = timed(lambda: read_list(listed))
        opening, audio = timed(lambda: opened(cached, table.paths))
        classes = table.classes()
        labels, (lengths, _) = table.labels(classes), audio.lengths()
        shuffling, plan = timed(lambda: RandomSampler(labels, 128).plan(1, 0))
        balancing, _ = timed(lambda: BalancedSampler(labels, 24, 4, classes).plan(1, 0))
        length = crop_samples(200)
        drawing, starts = timed(lambda: crop_starts(lengths, plan, length, 1, 0))
        for _ in range(2):  # the first reads from the disk
            gathering, _ = timed(
                lambda: [audio.gather(*pair, length) for pair in zip(plan[:80], starts[:80], strict=True)]
            )
    print(
        f"{count:>10,}{len(classes):>9,}{reading:>10.2f}{opening:>10.2f}{1000 * shuffling:>10.1f}"
        f"{1000 * balancing:>10.1f}{1000 * drawing:>10.1f}{1e6 * gathering / 80 / 128:>10.1f}",
        flush=True,
    )


def losses(systems: int) -> None:
    """One line: value and gradient of each classification loss, a batch of 128 embeddings of 512."""
    cells = []
    for name in ("softmax", "amsoftmax", "aamsoftmax"):
        loss = load("loss", name)(512, systems)
        x, label = torch.randn(128, 512, requires_grad=True), torch.arange(128) % systems
        times = [timed(lambda loss=loss, x=x, label=label: loss(x, label)[0].backward())[0] for _ in range(6)]
        cells.append(f"{1000 * min(times):>12.2f}")
    print(f"{systems:>10,}" + "".join(cells), flush=True)


def scores(count: int, systems: int) -> None:
    """One line: all pairs beside the block matrix products alone in the same minute, and the memory that they take."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, systems, count)
    embeddings = generator.standard_normal((count, 50), dtype=np.float32)
    embeddings += 0.5 * generator.standard_normal((systems, 50), dtype=np.float32)[labels]
    listed, trials = utterances(embeddings, labels), count * (count - 1) // 2
    repeats = 15 if trials < 1e8 else 3 if trials < 2e9 else 1
    rates = [EqualError("pooled"), EqualError("macro")]
    solve(utterances(embeddings[:2500], np.arange(2500) % 7), rates)  # compiled code is loaded once
    alone = min(timed(lambda: products(listed))[0] for _ in range(repeats))
    runs = []
    memory = grown_by(lambda: runs.extend(timed(lambda: solve(listed, rates)) for _ in range(repeats)))
    seconds, solved = min(runs, key=lambda run: run[0])
    print(
        f"{count:>10,}{systems:>9,}{trials:>18,}{alone:>12.3f}{seconds:>10.3f}{seconds / trials * 1e9:>12.2f}"
        f"{seconds / alone:>8.2f}{solved.passes:>8}{memory:>8.0f}",
        end="",
        flush=True,
    )
    if trials < 2e9:
        least = [*rates, LeastCost(0.05)]
        seconds, solved = min((timed(lambda: solve(listed, least)) for _ in range(repeats)), key=lambda run: run[0])
        print(f"{seconds:>12.3f}{seconds / alone:>8.2f}{solved.passes:>8}", end="")
    print(flush=True)


def grown_by(work: Callable) -> float:
    """MB that this process holds at most during the work beyond what it held before; NaN where Linux does not say."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not reset.exists():
        work()
        return float("nan")

    def peak() -> float:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1000

    reset.write_text("5")
    before = peak()
    work()
    return peak() - before


def products(listed: Utterances) -> None:
    """The matrix products of all tiles, and nothing else."""
    each_tile(listed, lambda lock: lambda tile, row, column: None)  # noqa: ARG005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16], help="of the data")
    parser.add_argument("--systems", type=int, nargs="+", default=[24, 240, 2400])
    parser.add_argument(
        "--utterances",
        type=int,
        nargs="+",
        help="of the lists to score, instead",
    )
    parser.add_argument("--only_scores", action="store_true", help="leave out data and losses")
    options = parser.parse_args()
    print(machine())
    if not options.only_scores:
        data_and_losses(options)
    print(
        "\nutterances  systems            trials  products s     EER s  s per 10^9   times  passes      MB"
        "  min. cost s   times  passes"
    )
    for count in options.utterances or [FEW, *(times * DEV for times in options.times)]:
        scores(count, options.systems[0])
    for systems in [] if options.utterances else options.systems[1:]:
        scores(DEV, systems)


def data_and_losses(options: argparse.Namespace) -> None:
    """Both tables."""
    print("utterances  systems    list s   cache s random ms   bal. ms  crops ms   µs/crop")
    for times in options.times:
        data(times * UTTERANCES, options.systems[0])
    for systems in options.systems[1:]:
        data(max(options.times) * UTTERANCES, systems)
    print("\n   systems  softmax ms       am ms      aam ms")
    for systems in options.systems:
        losses(systems)


if __name__ == "__main__":
    main()
