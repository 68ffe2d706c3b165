"""The audio of a whole list in a device's memory, and crops cut there: nothing is read or copied during an epoch."""

from collections.abc import Iterable

import numpy as np
import torch
from tqdm import tqdm

from corpus.audio import AudioFiles
from corpus.cache import CachedAudio

SHARE = 0.5  # of the memory that is free: the rest is the network's


class GpuAudio:
    """What `gather` of `AudioFiles` and `CachedAudio` gives, as a tensor on the device, equal to the last bit.

    Parameters
    ----------
    audio : AudioFiles or CachedAudio
        Read once, here. A cache's 16-bit samples stay 16-bit.
    lengths : (N,) int64
        Samples of each utterance.
    device : torch.device
    """

    def __init__(self, audio: AudioFiles | CachedAudio, lengths: np.ndarray, device: torch.device):
        cached = isinstance(audio, CachedAudio)
        self.samples = torch.empty(int(lengths.sum()), dtype=torch.int16 if cached else torch.float32, device=device)
        self.scale = torch.from_numpy(audio.scale if cached else np.ones(len(lengths), np.float32)).to(device)
        self.lengths = torch.from_numpy(lengths).to(device)
        self.offsets = self.lengths.cumsum(0) - self.lengths
        begin = 0
        for row in progress(range(len(lengths)), str(device)):
            raw = audio.raw(row) if cached else audio.read(row)
            self.samples[begin : begin + len(raw)] = torch.tensor(raw)
            begin += len(raw)

    def upload(self, indices: np.ndarray) -> torch.Tensor:
        """Whole numbers to the device. From page-locked memory, so that the stream that computes does not wait."""
        tensor = torch.from_numpy(indices)
        if self.samples.is_cuda:
            tensor = tensor.pin_memory()
        return tensor.to(self.samples.device, non_blocking=True)

    def gather(self, rows: torch.Tensor, starts: torch.Tensor, length: int) -> torch.Tensor:
        """(B, length) float32 on the device: crops of utterances `rows` (B,), `starts` (B,), both int64 there.

        Shorter utterances repeat.
        """
        within = starts[:, None] + torch.arange(length, device=self.samples.device)
        within = within % self.lengths[rows, None]  # only an utterance shorter than a crop is passed its end
        return self.samples[self.offsets[rows, None] + within].float() * self.scale[rows, None]


def progress(rows: Iterable[int], device: str) -> Iterable[int]:
    return tqdm(rows, f"audio to {device}", unit="file", leave=False, disable=None)


def fits(lengths: np.ndarray, cached: bool, device: torch.device) -> bool:
    """Whether a list takes no more than SHARE of what is free on a GPU. Never on a CPU, which has it already."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return int(lengths.sum()) * (2 if cached else 4) <= SHARE * free
