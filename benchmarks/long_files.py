"""What files of an hour cost in memory. Run: python -m benchmarks.long_files [--minutes 58] [--folder F]

Four files of one kind (44.1 kHz stereo) are read by four threads, for each of: reading a list, a batch of train crops,
building a cache, reading whole utterances and crops of them to evaluate, and `identify`. Each runs in a process of its
own; printed is by how much its peak (VmHWM) passed what it had when everything was imported. Linux only.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

FILES = THREADS = 4
RATE = 44_100
KINDS = {"flac": "PCM_16", "wav": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
TASKS = ("list", "crops", "cache", "filtered cache", "whole", "eval_frames", "identify")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=58.0)
    parser.add_argument("--folder", help="where the files are written, and found again (default: a temporary one)")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child, Path(options.folder), options.kinds[0])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{options.minutes:g} min, {RATE} Hz stereo, {FILES} files, {THREADS} threads: MB above the start")
        print(f"{'':16}" + "".join(f"{kind:>8}" for kind in options.kinds))
        for kind in options.kinds:
            write_files(folder, kind, options.minutes)
        for task in options.tasks:
            print(f"{task:16}", end="", flush=True)
            for kind in options.kinds:
                argv = [sys.executable, "-m", "benchmarks.long_files", "--child", task]
                argv += ["--folder", str(folder), "--kinds", kind]
                done = subprocess.run(argv, capture_output=True, text=True)
                print(f"{done.stdout.strip() or f'exit {done.returncode}':>8}", end="", flush=True)
            print()


def write_files(folder: Path, kind: str, minutes: float) -> None:
    """FILES names of one file: noise whose loudness goes up and down."""
    first = folder / f"0.{kind}"
    if not first.exists():
        random, seconds = np.random.default_rng(0), np.arange(60 * RATE) / RATE
        swell = 0.2 * (1.1 + np.sin(2 * np.pi * seconds / 5))[:, None]
        with soundfile.SoundFile(first, "w", RATE, 2, subtype=KINDS[kind]) as file:
            for left in np.arange(minutes, 0, -1):
                minute = random.uniform(-0.5, 0.5, (60 * RATE, 2)) * swell
                for second in np.split(minute[: round(60 * min(left, 1)) * RATE], round(60 * min(left, 1))):
                    file.write(second)  # libsndfile's Vorbis encoder takes no more at once
    for number in range(1, FILES):
        if not (path := folder / f"{number}.{kind}").exists():
            os.link(first, path)
    with (folder / f"{kind}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "model_name"], *([f"{n}.{kind}", f"s{n % 2}"] for n in range(FILES))])


def child(task: str, folder: Path, kind: str) -> None:
    """One task on the files of a kind; prints by how many MB its peak passed the start."""
    import torch

    from corpus.build_cache import build_cache
    from corpus.crops import crop_samples
    from corpus.eval_loader import EvalLoader
    from corpus.filters import AudioFilters
    from corpus.lists import read_list
    from DatasetLoader import open_list
    from identification.recordings import embed_files
    from settings.options import Config
    from SpeakerNet import SpeakerNet, TracingModel

    torch.set_num_threads(1)
    config = Config(nDataLoaderThread=THREADS, audio_memory=0.1, nOut=32)
    listed, crop = str(folder / f"{kind}.csv"), crop_samples(config.max_frames)
    if task in ("crops", "whole", "eval_frames"):
        from corpus.audio import AudioMemory

        data = open_list(config, listed, str(folder), AudioMemory(0))
    model = TracingModel(SpeakerNet(config, 2), config, torch.device("cpu"), ["s0", "s1"], [])
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = peak()
    if task == "list":
        open_list(config, listed, str(folder))
    elif task == "crops":
        from DatasetLoader import RandomSampler, TrainLoader

        labels = np.arange(FILES) % 2
        loader = TrainLoader(data.audio, data.lengths, labels, RandomSampler(labels, 1), crop, 0, THREADS)
        list(loader.epoch(0))
    elif "cache" in task:
        filters = AudioFilters(4000, True, True) if "filtered" in task else AudioFilters()
        with tempfile.TemporaryDirectory(dir=folder) as out:
            build_cache(out, read_list(listed), folder, THREADS, filters)
    elif task in ("whole", "eval_frames"):
        frames = 200 if task == "eval_frames" else 0
        for batch in EvalLoader(data.audio, data.lengths, frames, 10, THREADS):
            del batch  # before the next is asked for, as evaluation does
    else:
        list(embed_files(model, [str(folder / f"{n}.{kind}") for n in range(FILES)], THREADS))
    print(f"{(peak() - before) / 1e6:.0f}")


def peak() -> int:
    """Bytes of resident memory at most since the start, or since the peak was forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
