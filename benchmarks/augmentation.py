"""What every kind of augmentation costs a crop, and a page to hear and see each. Run: python -m benchmarks.augmentation

Prints microseconds a crop of 2 s on one thread (least and median over crops), how many times as many crops several
threads change in the same time, what each recipe of configs/augmentation costs a batch, and what copies cost a second
of audio. --page FILE writes one HTML file with sound and spectrogram of every kind instead.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.augmentation_page import page
from benchmarks.machine import machine
from corpus.audio import SAMPLE_RATE, load_audio
from corpus.augmentation.chain import MUSAN, Augmentation
from corpus.augmentation.folders import AudioFolder
from corpus.augmentation.kinds import KINDS, known_kind, parameters
from corpus.augmentation.recipe import CLASSIC, read_recipe
from corpus.augmentation.reverberation import shoebox
from corpus.copies import VOCODERS, check_copy, copied
from corpus.lists import read_list
from engine.atomic_files import write_text
from engine.parallel import in_order, usable_cores
from settings.errors import ConfigError

CROP = 200 * 160 + 240
BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", default="data_lists/demo/train.csv")
    parser.add_argument("--path", default="data/demo")
    parser.add_argument("--musan_path", help="default: speech of the list, and noise made here")
    parser.add_argument("--rir_path", help="default: rooms simulated here")
    parser.add_argument("--crops", type=int, default=64, help="crops to measure each kind with (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--page", type=Path, help="write this HTML file, and measure nothing")
    options = parser.parse_args()
    table = read_list(options.list)
    files = table.files(options.path)[:: max(1, len(table) // 40)]
    with tempfile.TemporaryDirectory() as folder:
        musan = options.musan_path or made_musan(Path(folder) / "musan", files)
        rirs = options.rir_path or made_rirs(Path(folder) / "rirs")
        kinds = usable_kinds(musan, rirs)
        if options.page:
            write_text(options.page, page(files[0], kinds, usable_copies()))
            print(f"written: {options.page}")
            return
        print(machine(None))
        crops = np.stack([np.resize(load_audio(files[i % len(files)]), CROP) for i in range(options.crops)])
        measure_kinds(kinds, crops, options.threads)
        measure_recipes(crops, musan, rirs, options.threads)
        measure_copies(load_audio(files[0]))


def usable_kinds(musan: str, rirs: str) -> dict[str, Callable]:
    """Every kind that can be used here, with its folder."""
    folders = {kind: f"{musan}/{name}" for kind, name in MUSAN.items()} | {"reverb": rirs}
    found = {}
    for kind in KINDS:
        try:
            function = known_kind(kind)
        except ConfigError as error:
            print(f"skipped: {error}")
            continue
        given = {"path": AudioFolder(folders[kind])} if "path" in parameters(kind) else {}
        found[kind] = partial(function, **given)
    return found


def usable_copies() -> list[str]:
    names = []
    for name in (*VOCODERS, "speed0.9", "speed1.1"):
        try:
            check_copy(name)
        except ConfigError as error:
            print(f"skipped: {error}")
            continue
        names.append(name)
    return names


def measure_kinds(kinds: dict[str, Callable], crops: np.ndarray, threads: int) -> None:
    """A line for each kind."""
    print(f"\n{'a crop of 2 s':24}{'least':>10}{'median':>10}   us, one thread; times as many with {threads} threads")
    for kind, change in kinds.items():
        change(crops[0], np.random.default_rng(0))  # caches of filters and tables
        spent = []
        began = time.perf_counter()
        for i, crop in enumerate(crops):
            random, start = np.random.default_rng(i), time.perf_counter()
            change(crop, random)
            spent.append((time.perf_counter() - start) * 1e6)
        alone = time.perf_counter() - began
        began = time.perf_counter()
        list(in_order(lambda i: change(crops[i], np.random.default_rng(i)), range(len(crops)), threads))  # noqa: B023
        together = time.perf_counter() - began
        print(f"{kind:24}{min(spent):10.0f}{np.median(spent):10.0f}{alone / together:12.2f}")


def measure_recipes(crops: np.ndarray, musan: str, rirs: str, threads: int) -> None:
    """A line for each recipe that comes along and changes crops."""
    print(f"\n{'a recipe':24}{'us a crop':>10}   one thread; ms a batch of {BATCH} for {threads} threads")
    for path in sorted(CLASSIC.parent.glob("*.yaml")):
        try:
            recipe = read_recipe(path)
        except ConfigError as error:  # a package that one of its copies needs is not installed
            print(f"{path.stem:24} not measured: {error}")
            continue
        if not recipe.chain:
            continue
        made = Augmentation(recipe, musan, rirs)
        given = np.resize(crops, (2 * BATCH, made.reads(CROP)))
        began = time.perf_counter()
        made.batch(given, CROP, np.arange(2 * BATCH), np.zeros(2 * BATCH, np.int64), 1, 0)
        alone = (time.perf_counter() - began) / (2 * BATCH)
        print(f"{path.stem:24}{alone * 1e6:10.0f}{alone * BATCH / threads * 1e3:12.1f}")


def measure_copies(samples: np.ndarray) -> None:
    """A line for each copy."""
    print(f"\n{'a copy':24}{'ms':>10}   a second of audio")
    for name in usable_copies():
        spent = []
        for _ in range(3):
            began = time.perf_counter()
            copied(samples, name)
            spent.append(time.perf_counter() - began)
        print(f"{name:24}{min(spent) * 1e3 / (len(samples) / SAMPLE_RATE):10.1f}")


def made_musan(folder: Path, files: list[str]) -> str:
    """A folder in MUSAN's layout: speech of the list, chords for music, coloured noise."""
    random = np.random.default_rng(0)
    t = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    for kind in ("noise", "music", "speech"):
        (folder / kind).mkdir(parents=True)
    for number, path in enumerate(files[1:11]):
        soundfile.write(folder / f"speech/{number}.wav", load_audio(path), SAMPLE_RATE)
        chord = sum(np.sin(2 * np.pi * f * t) for f in 110 * 2 ** (random.choice(24, 4) / 12)) / 8
        soundfile.write(folder / f"music/{number}.wav", chord * (1 - t % 1), SAMPLE_RATE)
        noise = np.cumsum(random.standard_normal(t.size)) if number % 2 else random.standard_normal(t.size)
        soundfile.write(folder / f"noise/{number}.wav", noise / np.abs(noise).max() / 2, SAMPLE_RATE)
    return str(folder)


def made_rirs(folder: Path) -> str:
    """A folder of ten simulated rooms."""
    folder.mkdir()
    for number in range(10):
        random = np.random.default_rng(number)
        size = random.uniform([3, 3, 2.5], [9, 8, 4])
        response = shoebox(size, *random.uniform(0.5, size - 0.5, (2, 3)), random.uniform(0.2, 0.8), random)
        soundfile.write(folder / f"{number}.wav", response / np.abs(response).max() * 0.9, SAMPLE_RATE)
    return str(folder)


if __name__ == "__main__":
    main()
