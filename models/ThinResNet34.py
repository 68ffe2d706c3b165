"""Thin ResNet-34: squeeze-excitation residual blocks over log-mel bands, a quarter of the usual filters.

voxceleb_trainer's `ResNetSE34L`, whose checkpoints load here: parameters carry the same names. About 1.4 M parameters.
"""

import math
from typing import Literal

import torch
from torch import nn
from torchaudio.transforms import MelSpectrogram

from models._fbank import BANDS, RECIPES, KaldiFbank
from models._padding import by_size, reflected
from models._real_features import real_features

FILTERS = (16, 32, 64, 128)
BLOCKS = (3, 4, 6, 3)
STRIDES = (1, 2, 2, 1)
N_FFT, HOP = 512, 160  # samples


class SqueezeExcitation(nn.Module):
    """Channels weighted by a gate computed from their own means (Hu et al., 2018; reduction 8)."""

    def __init__(self, channels: int):
        super().__init__()
        reduced = channels // 8
        self.fc = nn.Sequential(nn.Linear(channels, reduced), nn.ReLU(), nn.Linear(reduced, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, bands, F) to the same."""
        return x * self.fc(mean_over_places(x))[:, :, None, None]


def mean_over_places(x: torch.Tensor) -> torch.Tensor:
    """(B, channels, bands, F) to the mean over bands and time (B, channels), as a matrix product.

    So is its gradient then, and in the layout of `x`. That of `Tensor.mean` has no layout of its own, and to add it to
    the others takes a tenth of a training step on a CPU.
    """
    if torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling():  # which says that it exports
        return x.mean(dim=(2, 3))  # a graph for any number of places, and without a gradient
    rows = x.permute(0, 2, 3, 1).flatten(1, 2)  # no copy, channels last
    places = rows.shape[1]
    weight = 2.0 ** -int(math.log2(places))  # exact in half precision, where a plain sum could overflow
    return torch.bmm(rows.new_full((len(rows), 1, places), weight), rows)[:, 0] / (weight * places)


class Block(nn.Module):
    """Two 3×3 convolutions and a shortcut. ReLU stands before the first normalisation, as the ancestor has it."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.se = SqueezeExcitation(channels)
        self.downsample = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels_in, bands, F) to (B, channels, bands / stride, F / stride)."""
        out = self.bn1(self.conv1(x).relu())
        out = self.se(self.bn2(self.conv2(out)))
        return (out + self.downsample(x)).relu()


class MainModel(nn.Module):
    """The encoder: waveform (B, T) float32 at 16 kHz to embedding (B, nOut).

    Parameters
    ----------
    nOut : int
        Dimension of the embedding.
    encoder_type : str
        Pooling over time: SAP, attention-weighted mean (Cai et al., 2018), or ASP, also deviation (Okabe et al., 2018).
    n_mels : int
        Mel bands, 0 to 8 kHz.
    log_input : bool
        Logarithm of the mel energies.
    features : str
        What the network sees: mel, the ancestor's bands, or Kaldi's 80 log-mel filter banks, which runtimes of speaker
        models compute themselves: fbank80 as sherpa-onnx does, fbank80_hamming as wespeaker does.
    """

    mb_per_minute = 50  # of an utterance embedded in one piece

    def __init__(
        self,
        nOut: int,
        *,
        encoder_type: Literal["SAP", "ASP"] = "SAP",
        n_mels: int = 40,
        log_input: bool = True,
        features: Literal["mel", "fbank80", "fbank80_hamming"] = "mel",
    ):
        if features in RECIPES:
            if n_mels not in (40, BANDS) or not log_input:
                raise ValueError(f"--features {features} has {BANDS} bands and a logarithm: no --n_mels, --log_input")
            n_mels = BANDS
        if not 8 <= n_mels <= 257:  # three strides halve them; more than there are frequencies tell nothing
            raise ValueError(f"n_mels is {n_mels}, and it must lie between 8 and 257")
        super().__init__()
        self.encoder_type, self.log_input = encoder_type, log_input
        if features in RECIPES:
            self.torchfb = KaldiFbank(features)
        else:
            self.torchfb = MelSpectrogram(
                16_000,
                N_FFT,
                win_length=400,
                hop_length=HOP,
                n_mels=n_mels,
                window_fn=torch.hamming_window,
                center=False,
            )
        self.compiled_features: tuple[nn.Module, ...] = ()  # not a part of the network: its state is `torchfb`'s
        self.instancenorm = nn.InstanceNorm1d(n_mels)
        self.conv1 = nn.Conv2d(1, FILTERS[0], 7, stride=(2, 1), padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(FILTERS[0])
        channels_in = (FILTERS[0], *FILTERS)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            stage(*shape) for shape in zip(channels_in, FILTERS, BLOCKS, STRIDES, strict=False)
        )
        width = FILTERS[-1]
        self.sap_linear = nn.Linear(width, width)
        self.attention = nn.Parameter(nn.init.xavier_normal_(torch.empty(width, 1)))
        self.fc = nn.Linear(2 * width if encoder_type == "ASP" else width, nOut)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def compile(self, **options: object) -> None:
        """As any module's. Complex numbers, of which a compiler makes nothing faster, give way to products.

        The features are then equal within rounding.
        """
        self.compiled_features = (real_features(self.torchfb).to(self.fc.weight.device),)
        super().compile(**options)

    def features(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Waveform (B, T) to normalised log-mel bands (B, 1, n_mels, F) in float32; F = T // 160 + 1 with mel.

        With `lengths` (B,), rows end there; all must make the same number of frames.
        """
        compiled = self.compiled_features and torch.compiler.is_dynamo_compiling()
        bands = self.compiled_features[0] if compiled else self.torchfb
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            if isinstance(self.torchfb, KaldiFbank):
                return self.normalised(bands(x.float(), lengths))
            mel = bands(reflected(x.float(), N_FFT // 2, lengths)) + 1e-6
            return self.normalised(mel.log() if self.log_input else mel)

    def normalised(self, bands: torch.Tensor) -> torch.Tensor:
        """Bands (B, n_mels, F) to zero mean and unit variance over time, (B, 1, n_mels, F): what the network sees."""
        return self.instancenorm(bands)[:, None]

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """Frames (B, F, width) to (B, width), or (B, 2 width) with ASP."""
        weight = (self.sap_linear(x).tanh() @ self.attention).softmax(dim=1)  # (B, F, 1)
        mean = (x * weight).sum(dim=1)
        if self.encoder_type == "SAP":
            return mean
        variance = (x.square() * weight).sum(dim=1) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=1)  # rounding can push it below zero

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T) to (B, nOut).

        `lengths` (B,) int64: the valid samples of each row of a zero-padded batch. The result is then what one
        utterance at a time gives: the network runs once for each number of frames.
        """
        if lengths is None:
            return self.embed(self.features(x))
        frames = self.torchfb.count(lengths) if isinstance(self.torchfb, KaldiFbank) else lengths // HOP
        return by_size(lambda x, lengths: self.embed(self.features(x, lengths)), frames, x, lengths)

    def embed(self, mel: torch.Tensor) -> torch.Tensor:
        """(B, 1, n_mels, F) to (B, nOut)."""
        x = self.bn1(self.conv1(mel)).relu()
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # (B, 128, n_mels / 8, F / 4)
        return self.fc(self.pool(x.mean(dim=2).transpose(1, 2)))


def stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    """`blocks` residual blocks; the first changes shape."""
    rest = (Block(channels, channels, 1) for _ in range(blocks - 1))
    return nn.Sequential(Block(channels_in, channels, stride), *rest)
