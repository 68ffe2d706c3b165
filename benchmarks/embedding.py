"""How fast a whole list is embedded, one utterance at a time and in padded batches. Run: python -m benchmarks.embedding

The speech of data/demo, every file cut to a length of its own, so that hardly two are alike, as in a real corpus; with
ThinResNet34 in float32. Both ways are reported with the largest difference between their embeddings.
"""

import argparse
import time

import numpy as np
import torch

from benchmarks.machine import machine
from benchmarks.training import ROOT
from corpus.audio import AudioFiles, AudioMemory
from corpus.eval_loader import EvalLoader
from corpus.lists import read_list
from engine.devices import find_device
from engine.embedding import embed_batches
from settings.resolve import from_values
from SpeakerNet import SpeakerNet


class Uneven(AudioFiles):
    """The files, each cut to a length drawn for it, from a second up."""

    def lengths(self, *args) -> tuple[np.ndarray, dict[int, str]]:
        whole, wrong = super().lengths(*args)
        least = np.minimum(whole, 16_000)
        self.ends = np.random.default_rng(0).integers(least, whole + 1)
        return self.ends, wrong

    def read(self, index: int) -> np.ndarray:
        """(T,) float32, all of it until the lengths are drawn."""
        samples = super().read(index)
        return samples[: self.ends[index]] if hasattr(self, "ends") else samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=512, help="utterances")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device = find_device(options.device)
    files = read_list(ROOT / "data_lists/demo/test.csv").files(ROOT / "data/demo")
    audio = Uneven([files[row % len(files)] for row in range(options.count)], AudioMemory(1 << 34))
    lengths, _ = audio.lengths(2)
    config = from_values({"train_list": "-", "nOut": 50, "device": device.type})
    torch.manual_seed(0)
    encoder = SpeakerNet(config, 24).encoder.to(device=device, memory_format=torch.channels_last)
    print(machine(device))
    print(f"{len(lengths)} utterances of {len(np.unique(lengths))} lengths, {lengths.sum() / 16_000 / 60:.1f} minutes")
    found = {}
    for name, padded in (("one at a time", False), ("padded batches", True)):
        loader = EvalLoader(audio, lengths, 0, 1, 2, padded)
        if not padded:
            loader.most_samples = 1
        if device.type == "cuda":
            embed_batches(encoder, loader, config.nOut, device)  # warms up
        began = time.perf_counter()
        found[name] = embed_batches(encoder, loader, config.nOut, device)
        seconds = time.perf_counter() - began
        print(f"{name:<16}{seconds:8.1f} s {len(lengths) / seconds:9.1f} utterances/s")
    print(f"largest difference {np.abs(np.subtract(*found.values())).max():.1e}")


if __name__ == "__main__":
    main()
