"""Features without complex numbers: Fourier transforms as convolutions, which every runtime computes.

A spectrum is linear in the waveform, so the transform of the unit vectors is all there is to know of it.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from models._fbank import FULL_SCALE, HOP, WINDOW, KaldiFbank


def kernel(spectrum: Tensor) -> Tensor:
    """Complex spectra (samples, bins) of the unit vectors to a convolution's weight (2 bins, 1, samples), float32."""
    return torch.cat([spectrum.real, spectrum.imag], dim=1).T[:, None].float().contiguous()


def power(waveform: Tensor, weight: Tensor, hop: int) -> Tensor:
    """Waveform (B, T) to its power spectrum (B, F, bins)."""
    real, imaginary = F.conv1d(waveform[:, None], weight, stride=hop).square().chunk(2, dim=1)
    return (real + imaginary).transpose(1, 2)


class RealMel(nn.Module):
    """What a `MelSpectrogram` of torchaudio computes, (B, T) to (B, n_mels, F), not centred, power 2."""

    def __init__(self, mel: MelSpectrogram):
        super().__init__()
        self.hop = mel.hop_length
        margin = mel.n_fft - mel.win_length
        window = F.pad(mel.spectrogram.window.double(), (margin // 2, margin - margin // 2))
        self.register_buffer("fourier_kernel", kernel(torch.fft.rfft(torch.diag(window))))
        self.register_buffer("mel_weights", mel.mel_scale.fb.clone())

    @staticmethod
    def covers(module: nn.Module) -> bool:
        """Whether this is a spectrogram that is computed here."""
        if not isinstance(module, MelSpectrogram):
            return False
        given = module.spectrogram
        return (given.power, given.normalized, given.center, given.onesided, given.pad) == (2, False, False, True, 0)

    def forward(self, waveform: Tensor) -> Tensor:
        """(B, T) to (B, n_mels, F)."""
        return (power(waveform, self.fourier_kernel, self.hop) @ self.mel_weights).transpose(1, 2)


class RealFbank(KaldiFbank):
    """What `KaldiFbank` computes, (B, T) to (B, 80, F)."""

    def __init__(self, fbank: KaldiFbank):
        super().__init__(fbank.name)
        exact = copy.deepcopy(fbank).double()
        self.register_buffer("fourier_kernel", kernel(exact.spectrum(torch.eye(WINDOW, dtype=torch.float64))))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T) to (B, 80, F)."""
        return self.log_bands(power(self.extended(x * FULL_SCALE, lengths), self.fourier_kernel, HOP))


def with_real_features(encoder: nn.Module) -> nn.Module:
    """A copy of an encoder, in evaluation mode, whose spectrograms are convolutions."""
    encoder = copy.deepcopy(encoder).eval()
    for name, module in list(encoder.named_modules()):
        if RealMel.covers(module) or isinstance(module, KaldiFbank):
            parent, _, child = name.rpartition(".")
            real = RealFbank(module) if isinstance(module, KaldiFbank) else RealMel(module)
            setattr(encoder.get_submodule(parent), child, real)
    return encoder
