"""A training step of ThinResNet34 taken apart, beside voxceleb_trainer's step. Run: python -m benchmarks.training

The baseline has the same layers as that trainer runs them: float32, eager, contiguous tensors, torch's plain Adam. Each
change on the way from there to ours is measured too. All are measured in turn in the same process, so that a busy
machine slows all; times are the best of the repeats. Then whole epochs of both ends, as the trainer runs them.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import machine
from corpus.audio import AudioFiles, AudioMemory
from corpus.crops import crop_samples
from corpus.gpu_audio import GpuAudio
from corpus.lists import read_list
from corpus.samplers import BalancedSampler, RandomSampler
from DatasetLoader import Batch, TrainLoader
from engine.devices import find_device, half_precision
from engine.progress import Progress
from models import ThinResNet34
from models.ThinResNet34 import mean_over_places
from settings.resolve import from_values
from SpeakerNet import ModelTrainer, SpeakerNet, TracingModel

ROOT = Path(__file__).parent.parent
SYSTEMS = 24
FIRST, LAST = "voxceleb_trainer's", "ours: + fused Adam"
CHANGES = {  # channels last, half precision, the mean of squeeze-excitation as a product, fused optimiser
    FIRST: (False, False, False, False),
    "+ channels last": (True, False, False, False),
    "+ half precision": (True, True, False, False),
    "+ means as products": (True, True, True, False),
    LAST: (True, True, True, True),
}


class Parts:
    """The seconds of each part of a step, summed up by `lap`."""

    def __init__(self, device: torch.device):
        self.device, self.seconds = device, {}
        self.began = time.perf_counter()

    def lap(self, name: str) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[name] = now - self.began
        self.began = now


def new_model(device: torch.device, **values) -> TracingModel:
    """A network of random weights with these options of the trainer."""
    given = {"train_list": "-", "nOut": 50, "warmup_epochs": 0, "device": device.type}
    config = from_values(given | values)
    return TracingModel(SpeakerNet(config, SYSTEMS), config, device, [], [])


def trainer(device: torch.device, name: str, loader=(None,)) -> ModelTrainer:
    """The trainer, with what was changed since voxceleb_trainer's step or without."""
    channels_last, half, _, fused = CHANGES[name]
    made = ModelTrainer(new_model(device, mixedprec=half), loader)
    if not channels_last:
        made.net.to(memory_format=torch.contiguous_format)
    if not fused:
        made.optimizer = torch.optim.Adam(made.parameters, lr=made.config.lr)
    made.net.train()
    return made


def step(made: ModelTrainer, batch, parts: Parts) -> None:
    """`ModelTrainer.step`, with a lap wherever torch's hooks say that one of its parts has ended."""
    encoder = made.net.encoder
    features = encoder.features

    def timed_features(waveforms: torch.Tensor) -> torch.Tensor:
        mel = features(waveforms)
        parts.lap("features")
        return mel

    encoder.features = timed_features
    hooks = [
        made.net.register_forward_hook(lambda *_: parts.lap("forward")),
        made.optimizer.register_step_pre_hook(lambda *_: parts.lap("backward")),
    ]
    made.step(batch, made.config.lr)
    parts.lap("optimiser")
    for hook in hooks:
        hook.remove()
    del encoder.features


def take_means(name: str) -> None:
    """How squeeze-excitation takes its means from now on."""
    plain = lambda x: x.mean(dim=(2, 3))  # noqa: E731
    ThinResNet34.mean_over_places = mean_over_places if CHANGES[name][2] else plain


def make_loader(
    batch_size: int,
    batches: int,
    *,
    frames: int = 200,
    per_system: int = 1,
    threads: int = 2,
    device: torch.device | None = None,
    on_device: bool = False,
) -> TrainLoader:
    """The demo's speech, in memory, as often as the batches ask for it.

    Batches for a GPU (`device`) are in page-locked memory, or cut on the device that holds the audio (`on_device`).
    """
    table = read_list(ROOT / "data_lists/demo/train.csv")
    files = table.files(ROOT / "data/demo")
    rows = np.arange(batch_size * batches)
    audio = AudioFiles([files[row % len(files)] for row in rows], AudioMemory(1 << 32))
    lengths, _ = audio.lengths(threads)
    labels = rows % SYSTEMS
    sampler = RandomSampler(labels, batch_size)
    if per_system > 1:
        sampler = BalancedSampler(labels, batch_size // per_system, per_system, [str(n) for n in range(SYSTEMS)])
    pin = device if device and device.type == "cuda" else None
    if on_device:
        audio = GpuAudio(audio, lengths, device)
    return TrainLoader(audio, lengths, labels, sampler, crop_samples(frames), 1, threads, pin=pin)


def measure(device: torch.device, loader: TrainLoader, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of every part of one step, with each change, the best whole step of the repeats."""
    sides = {name: trainer(device, name) for name in CHANGES}
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeats + 1):  # the first round warms up
        for name, made in sides.items():
            take_means(name)
            parts = Parts(device)
            batch = next(loader.epoch(0))
            parts.lap("data")
            step(made, batch, parts)
            if name not in best or sum(parts.seconds.values()) < sum(best[name].values()):
                best[name] = parts.seconds
    return best


def arithmetic(made: ModelTrainer, batch) -> float:
    """Floating-point operations of one utterance, forward and backward, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        step(made, Batch(batch.waveforms[:2], batch.labels[:2], None), Parts(made.device))
    return counter.get_total_flops() / 2


def roof(device: torch.device, kind: torch.dtype, size: int = 4096) -> float:
    """Floating-point operations a second of square matrix products, the best of a few: what the machine can do."""
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = math.inf
    for _ in range(4):
        parts = Parts(device)
        a @ b
        parts.lap("product")
        best = min(best, parts.seconds["product"])
    return 2 * size**3 / best


def epoch(made: ModelTrainer) -> dict:
    """The metrics of a whole epoch."""
    progress = Progress()
    made.begin_epoch(0)
    for batch in made.loader.epoch(0):
        made.train_step(batch, progress)
    made.end_epoch(progress)
    return progress.row()


def epochs(device: torch.device, loader: TrainLoader) -> dict[str, dict]:
    """The metrics of a whole epoch of either end."""
    rows = {}
    for name in (FIRST, LAST):
        take_means(name)
        rows[name] = epoch(trainer(device, name, loader))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epoch_batches", type=int, default=10, help="batches of the epochs")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = find_device(options.device)
    print(machine(device))
    print(f"batches of {options.batch_size} crops of 2 s; half precision: {half_precision(device)}")
    loader = make_loader(options.batch_size, options.epoch_batches)
    rows = measure(device, loader, options.repeats)
    columns = ["data", "features", "forward", "backward", "optimiser"]
    print(f"{'milliseconds':<20}" + "".join(f"{c:>11}" for c in columns) + f"{'step':>11}{'utt/s':>9}")
    for side, seconds in rows.items():
        total = sum(seconds.values())
        cells = "".join(f"{1000 * seconds[c]:11.1f}" for c in columns)
        print(f"{side:<20}{cells}{1000 * total:11.1f}{options.batch_size / total:9.1f}")
    print(f"ours is {sum(rows[FIRST].values()) / sum(rows[LAST].values()):.2f} times as fast")
    made, kind = trainer(device, LAST), half_precision(device) or torch.float32
    flops, most = arithmetic(made, next(loader.epoch(0))), roof(device, kind)
    done = flops * options.batch_size / sum(rows[LAST].values())
    print(
        f"{flops / 1e9:.2f} GFLOP an utterance; {done / 1e9:.0f} GFLOP/s, {done / most:.0%} of {most / 1e9:.0f} GFLOP/s"
    )
    print(f"in {kind} matrix products of 4096 on this machine")
    found = epochs(device, loader)
    for side, row in found.items():
        rate, waited = row["utterances_per_s"], row["data_wait"]
        print(f"an epoch of {len(loader)} batches, {side}: {rate:.1f} utt/s, waiting for data {waited:.1%}")
    ratio = found[LAST]["utterances_per_s"] / found[FIRST]["utterances_per_s"]
    print(f"ours is {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
