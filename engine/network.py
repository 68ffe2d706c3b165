"""Encoder and loss as one network."""

import torch
from torch import nn

from engine.distributed import all_gather_with_grad
from settings import plugins
from settings.options import Config
from utils import LegacyTorchSemantics


class SpeakerNet(nn.Module):
    """Encoder and loss, found by name.

    Parameters
    ----------
    config : Config
    nClasses : int
        Number of train systems.
    weights_follow : bool
        A checkpoint will fill the encoder: what it would fetch to start from (its `weights_follow`) is not needed.
    """

    def __init__(self, config: Config, nClasses: int, weights_follow: bool = False):
        super().__init__()
        given, everything = {"nOut": config.nOut, "nClasses": nClasses}, config.flat()
        loss = plugins.load("loss", config.trainfunc)
        model = plugins.load("models", config.model)
        known = getattr(model, "weights_follow", {}) if weights_follow else {}
        self.encoder = plugins.build(model, given, config.model_options | known, everything)
        self.loss = plugins.build(loss, given, config.loss_options, everything)
        self.per_system = config.nPerSpeaker if config.sampler == "balanced" else 1
        self.legacy_loss = plugins.takes_any_keyword(loss)  # written for voxceleb_trainer, and for its torch
        self.mixes = hasattr(self.loss, "mix")  # learns from mixed waveforms, too, which belong to no one system
        self.takes_groups = not self.mixes and (not self.legacy_loss or plugins.utterances_needed(loss) > 1)

    def forward(self, waveforms: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms (B, T) and labels (B,), group-major, to the loss and the accuracy in percent, both scalars.

        Where several processes train together, B is this one's part, and the loss is that of the whole batch.
        """
        if self.mixes:
            waveforms, labels = self.loss.mix(waveforms, labels)
        x, labels = all_gather_with_grad(self.encoder(waveforms)), all_gather_with_grad(labels)
        if self.takes_groups and self.per_system > 1:
            x, labels = x.unflatten(0, (-1, self.per_system)), labels[:: self.per_system]
        if not self.legacy_loss:
            return self.loss(x, labels)
        with LegacyTorchSemantics(x.device):
            loss, accuracy = self.loss(x.float(), labels)
        return loss, torch.as_tensor(accuracy, dtype=torch.float32, device=x.device).reshape(())
