"""Features without complex numbers: Fourier transforms as products with a matrix, which everything computes.

A spectrum is linear in the waveform, so the transform of the unit vectors is all there is to know of it. Exported
graphs have it as a convolution; compiled ones as a product of matrices, which training never rounds to TF32.
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
    if torch.compiler.is_dynamo_compiling():
        spectrum = waveform.unfold(1, weight.shape[2], hop) @ weight[:, 0].T  # (B, F, 2 bins)
    else:
        spectrum = F.conv1d(waveform[:, None], weight, stride=hop).transpose(1, 2)
    real, imaginary = spectrum.square().chunk(2, dim=2)
    return real + imaginary


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


def real_features(module: nn.Module) -> nn.Module | None:
    """What computes the same as a spectrogram without complex numbers; None of another module."""
    if isinstance(module, KaldiFbank):
        return RealFbank(module)
    return RealMel(module) if RealMel.covers(module) else None


class RealFbank(KaldiFbank):
    """What `KaldiFbank` computes, (B, T) to (B, 80, F)."""

    def __init__(self, fbank: KaldiFbank):
        super().__init__(fbank.name)
        exact = copy.deepcopy(fbank).double()
        self.register_buffer("fourier_kernel", kernel(exact.spectrum(torch.eye(WINDOW, dtype=torch.float64))))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(B, T) to (B, 80, F)."""
        return self.log_bands(power(self.extended(x * FULL_SCALE, lengths), self.fourier_kernel, HOP))
