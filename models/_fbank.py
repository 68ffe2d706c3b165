"""Kaldi's log-mel filter banks: what runtimes of speaker models compute before they ask a network anything.

Povey et al., "The Kaldi speech recognition toolkit", ASRU 2011; `feat/feature-window.cc` and `feat/mel-computations.cc`
define every number here.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

BANDS = 80
WINDOW, HOP, N_FFT = 400, 160, 512  # samples at 16 kHz
FULL_SCALE = 32_768  # Kaldi's waveforms are 16-bit integers
FLOOR = torch.finfo(torch.float32).eps  # of a band's energy
PREEMPHASIS = 0.97
LOWEST = 20.0  # Hz


class Recipe(NamedTuple):
    """What two runtimes do differently. `centred`: frames at the ends are filled with a mirror image, not left out."""

    window: str
    highest: float  # Hz
    centred: bool


RECIPES = {
    "fbank80": Recipe("povey", 7_600.0, centred=True),  # sherpa-onnx, k2
    "fbank80_hamming": Recipe("hamming", 8_000.0, centred=False),  # wespeaker
}


class KaldiFbank(nn.Module):
    """Waveform (B, T) at 16 kHz, full scale 1, to 80 log-mel bands (B, 80, F). `recipe`: a name in RECIPES."""

    def __init__(self, recipe: str):
        super().__init__()
        self.name, self.recipe = recipe, RECIPES[recipe]
        self.register_buffer("window", window(self.recipe.window).float(), persistent=False)
        self.register_buffer("mel_weights", mel_filters(self.recipe.highest).float(), persistent=False)

    def count(self, samples: Tensor | int) -> Tensor | int:
        """Frames of so many samples."""
        return (samples + HOP // 2) // HOP if self.recipe.centred else (samples - WINDOW) // HOP + 1

    def extended(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (B, T), which end at `lengths` (B,), all of one number of frames, with all that the frames cover.

        Where they are centred that is the mirror image of either end, too, each edge sample twice.
        """
        count = self.count(x.shape[1] if lengths is None else lengths[0].item())
        if not self.recipe.centred:
            return x[:, : (count - 1) * HOP + WINDOW]
        before, end = (WINDOW - HOP) // 2, x.shape[1] if lengths is None else lengths[:, None]
        place = torch.arange(-before, count * HOP + before, device=x.device)
        place = torch.where(place < 0, -1 - place, place)
        place = torch.where(place < end, place, 2 * end - 1 - place)
        return x.gather(1, place.expand(x.shape[0], -1))

    def spectrum(self, frames: Tensor) -> Tensor:
        """Frames (..., 400) to their complex spectrum (..., 256), 0 Hz to below 8 kHz. It is linear in the frames."""
        frames = frames - frames.mean(dim=-1, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - PREEMPHASIS * previous) * self.window.to(frames.dtype)
        return torch.fft.rfft(frames, N_FFT)[..., :-1]

    def log_bands(self, power: Tensor) -> Tensor:
        """Power spectrum (B, F, 256) to (B, 80, F)."""
        return (power @ self.mel_weights).clamp(min=FLOOR).log().transpose(1, 2)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T) to (B, 80, F); rows end at `lengths` (B,), and all must make the same number of frames."""
        frames = self.extended(x * FULL_SCALE, lengths).unfold(1, WINDOW, HOP)
        return self.log_bands(self.spectrum(frames).abs().square())


def window(name: str) -> Tensor:
    """(400,) float64, symmetric: Hamming's, or Povey's, which is Hann's to the power of 0.85."""
    cosine = torch.cos(2 * math.pi * torch.arange(WINDOW, dtype=torch.float64) / (WINDOW - 1))
    return 0.54 - 0.46 * cosine if name == "hamming" else (0.5 - 0.5 * cosine) ** 0.85


def mel_filters(highest: float) -> Tensor:
    """(256, 80) float64: triangles of equal width, and straight sides, on the mel scale."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127 * (1 + hertz / 700).log()

    bins = mel(torch.arange(N_FFT // 2, dtype=torch.float64) * 16_000 / N_FFT)[:, None]
    lowest, top = mel(torch.tensor([LOWEST, highest], dtype=torch.float64))
    edges = lowest + (top - lowest) * torch.arange(BANDS + 2, dtype=torch.float64) / (BANDS + 1)
    width = edges[1] - edges[0]
    return torch.minimum((bins - edges[:-2]) / width, (edges[2:] - bins) / width).clamp(min=0)
