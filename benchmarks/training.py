"""A training step of ThinResNet34 taken apart, beside voxceleb_trainer's step. Run: python -m benchmarks.training

The baseline has the same layers, written here as that trainer runs them: float32, eager, contiguous tensors, Adam. Both
sides are measured in turn in the same process, so that a busy machine slows both. Times are the best of the repeats.
"""

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch

from audio import AudioFiles
from config import from_values
from DatasetLoader import RandomSampler, TrainLoader, crop_samples
from devices import find_device, half_precision
from lists import read_list
from SpeakerNet import ModelTrainer, SpeakerNet

ROOT = Path(__file__).parent.parent
SYSTEMS = 24


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


def trainer(device: torch.device, ours: bool) -> ModelTrainer:
    """Ours as the trainer runs it with --mixedprec, or the baseline."""
    values = {"train_list": "-", "nOut": 50, "mixedprec": ours, "warmup_epochs": 0, "device": device.type}
    made = ModelTrainer(SpeakerNet(config := from_values(values), SYSTEMS), config, device, [None])
    if not ours:
        made.net.to(memory_format=torch.contiguous_format)
    made.net.train()
    return made


def step(made: ModelTrainer, batch, parts: Parts) -> None:
    """What `ModelTrainer.step` does, with a lap after each part."""
    net = made.net
    waveforms, labels = batch.waveforms.to(made.device), batch.labels.to(made.device)
    features = net.encoder.features
    mel = features(waveforms)
    parts.lap("features")
    net.encoder.features = lambda x: mel  # noqa: ARG005 made above
    made.optimizer.zero_grad()
    with torch.autocast(made.device.type, dtype=made.half, enabled=made.half is not None):
        loss, _ = net(waveforms, labels)
    parts.lap("forward")
    del net.encoder.features
    loss.backward()
    parts.lap("backward")
    made.optimizer.step()
    parts.lap("optimiser")


def measure(device: torch.device, batch_size: int, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of every part of one step, ours and the baseline's, each the best whole step of the repeats."""
    table = read_list(ROOT / "data_lists/demo/train.csv")
    audio = AudioFiles(table.files(ROOT / "data/demo"), keep_bytes=1 << 30)
    lengths, _ = audio.lengths(2)
    labels = np.arange(len(table)) % SYSTEMS
    loader = TrainLoader(audio, lengths, labels, RandomSampler(labels, batch_size), crop_samples(200), 1, 2)
    sides = {"voxceleb_trainer's": trainer(device, ours=False), "ours": trainer(device, ours=True)}
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeats + 1):  # the first round warms up
        for name, made in sides.items():
            parts = Parts(device)
            batch = next(loader.epoch(0))
            parts.lap("data")
            step(made, batch, parts)
            if name not in best or sum(parts.seconds.values()) < sum(best[name].values()):
                best[name] = parts.seconds
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = find_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
    print(f"batches of {options.batch_size} crops of 2 s; half precision: {half_precision(device)}")
    rows = measure(device, options.batch_size, options.repeats)
    columns = ["data", "features", "forward", "backward", "optimiser"]
    print(f"{'milliseconds':<20}" + "".join(f"{c:>11}" for c in columns) + f"{'step':>11}{'utt/s':>9}")
    for side, seconds in rows.items():
        total = sum(seconds.values())
        cells = "".join(f"{1000 * seconds[c]:11.1f}" for c in columns)
        print(f"{side:<20}{cells}{1000 * total:11.1f}{options.batch_size / total:9.1f}")
    ratio = sum(rows["voxceleb_trainer's"].values()) / sum(rows["ours"].values())
    print(f"ours is {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
