"""A ThinResNet34 as a state that voxceleb_trainer's `ResNetSE34L` loads."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torchaudio.transforms import MelSpectrogram

from settings.errors import ConfigError

if TYPE_CHECKING:
    from SpeakerNet import TracingModel


def write_state(model: "TracingModel", path: Path) -> None:
    """The encoder's parameters as `__S__.NAME`, which its `loadParameters` reads.

    Raises ConfigError where the model is none that ResNetSE34L could be.
    """
    if model.config.model != "ThinResNet34" or not isinstance(model.encoder.torchfb, MelSpectrogram):
        raise ConfigError("voxceleb_trainer's ResNetSE34L is a ThinResNet34 with --features mel, and this is none")
    torch.save({f"__S__.{name}": value.cpu() for name, value in model.encoder.state_dict().items()}, path)


def options_for_it(model: "TracingModel") -> str:
    """What to train or score it with there."""
    options = {"model": "ResNetSE34L", "nOut": model.config.nOut} | model.config.model_options
    return " ".join(f"--{name} {options[name]}" for name in ("model", "nOut", "encoder_type", "n_mels", "log_input"))
