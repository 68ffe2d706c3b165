"""A frozen speech model's early layers, pooled over time: mean and deviation of each feature, then a small network.

That early layers of a speech model tell real speech from generated best is found by El Kheir et al., "Comprehensive
layer-wise analysis of SSL models for audio deepfake detection", Findings of NAACL 2025; that they tell generators apart
best, too, is assumed here. Nothing of the speech model is trained: for that there is Wav2Vec2AASIST.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from models._padding import by_size
from models._ssl import SSLFrontEnd, chosen_layers
from models._ssl_weights import XLS_R_300M, load
from settings.errors import ConfigError


class MainModel(nn.Module):
    """Waveform to embedding.

    Parameters
    ----------
    ssl_path : str
        speech model of transformers: hub id or local folder
    ssl_init : str
        pretrained, or random weights (benchmarks, checkpoints that carry all weights; asks no network)
    ssl_layers : str
        hidden states to use: a learned mix of several layers, as 1-5, above which none is kept; or the number of one,
        last, or weighted (a learned mix of all)
    ssl_normalize : bool
        zero mean and unit variance per utterance, which XLS-R was trained with
    hidden : int
        units of a layer with ReLU between pooling and embedding; 0: none, and the embedding is linear
    """

    mb_per_minute = 1400  # of an utterance embedded in one piece
    weights_follow = {"ssl_init": "random"}  # options to build it with where a checkpoint brings all weights

    def __init__(
        self,
        nOut: int,
        *,
        ssl_path: str = XLS_R_300M,
        ssl_init: Literal["pretrained", "random"] = "pretrained",
        ssl_layers: str = "1-5",
        ssl_normalize: bool = True,
        hidden: int = 0,
    ):
        if hidden < 0:
            raise ConfigError(f"--hidden {hidden}: 0 or more units")
        super().__init__()
        speech_model = load(ssl_path, pretrained=ssl_init == "pretrained")
        layers = chosen_layers(ssl_layers, speech_model.config.num_hidden_layers, ssl_path)
        self.ssl_model = SSLFrontEnd(speech_model, layers=layers, normalize=ssl_normalize, freeze_all=True)
        width = 2 * self.ssl_model.width
        self.bn = nn.BatchNorm1d(width)  # a few features of a speech model are a hundred times the others
        self.head = nn.Linear(width, nOut)
        if hidden:
            self.head = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, nOut))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (B, T) float32 at 16 kHz to embeddings (B, nOut).

        `lengths` (B,) int64: the valid samples of each row of a zero-padded batch. The result is then what one
        utterance at a time gives. Raises DataError on audio that is too short for a frame.
        """
        self.ssl_model.check_length(x.shape[1] if lengths is None else int(lengths.min()), 1, "SSLPooling")
        if lengths is None:
            return self.embed(self.ssl_model(x))
        if self.ssl_model.padding_safe:
            states, frames = self.ssl_model(x, lengths), self.ssl_model.frames(lengths)
            return by_size(lambda states, n: self.embed(states[:, : n[0]]), frames, states, frames)
        return by_size(lambda x, n: self.embed(self.ssl_model(x[:, : n[0]])), lengths, x, lengths)

    def embed(self, states: Tensor) -> Tensor:
        """Hidden states (B, F, width) to embeddings (B, nOut): mean | deviation over time, normalised, and the head."""
        states = states.float()
        mean = states.mean(dim=1)
        variance = (states - mean[:, None]).square().mean(dim=1)
        return self.head(self.bn(torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=1)))

    def compile(self, **options: object) -> None:
        """torch.compile of the speech model, part by part."""
        self.ssl_model.compile(**options)

    def parameter_groups(self) -> list[dict]:
        """All that is ever trained, in one group: what stays frozen takes no optimiser memory."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]
