"""A model as a Hugging Face folder: model.safetensors, config.json and a model card."""

import json
from pathlib import Path

from huggingface_hub import ModelCard, PyTorchModelHubMixin, snapshot_download
from safetensors.torch import save
from torch import Tensor, nn

from engine import checkpoints, model_folder
from engine.atomic_files import write_text
from exporting.card import LIBRARY, PIPELINE, TAGS, Card
from models._ssl_weights import XLS_R_300M
from settings.options import run_options
from SpeakerNet import TracingModel, load_model


class HubModel(
    nn.Module,
    PyTorchModelHubMixin,
    library_name=LIBRARY,
    tags=list(TAGS),
    pipeline_tag=PIPELINE,
):
    """A trained model with `from_pretrained`, `save_pretrained` and `push_to_hub`.

    `from_pretrained` takes a folder or a name on the hub, and is as strict as `load_model`, which is what it calls.
    """

    def __init__(self, model: TracingModel):
        super().__init__()
        self.model, self.encoder, self.loss = model, model.net.encoder, model.net.loss
        self.card: Card | None = None

    def forward(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, T) float32 at 16 kHz to embeddings (B, D)."""
        return self.encoder(waveforms)

    def _save_pretrained(self, save_directory: Path) -> None:
        """The weights, and all that `load_model` needs to know besides."""
        tensors = {name: value.cpu().clone().contiguous() for name, value in self.state_dict().items()}  # no views
        (save_directory / model_folder.WEIGHTS).write_bytes(save(tensors, {"format": "pt"}))  # readable as any file
        private = {
            o.name for o in run_options() if o.may_change and not o.audio
        }  # where it was trained, on which paths
        options = {name: value for name, value in self.model.config.flat().items() if name not in private}
        ssl = {}
        if options.get("ssl_path", XLS_R_300M) != XLS_R_300M:
            write_ssl_config(self.encoder, save_directory / "ssl")
            options["ssl_path"] = "./ssl"
            ssl = {"ssl_sha256": model_folder.checksum(save_directory / model_folder.SSL_CONFIG)}
        about = ssl | {
            "format": checkpoints.FORMAT,
            "options": options | ({"ssl_cache": ""} if "ssl_cache" in options else {}),
            "classes": self.model.classes,
            "copies": self.model.copies,
            "languages": self.model.languages,
            "sha256": model_folder.checksum(save_directory / model_folder.WEIGHTS),
        }
        about["digest"] = model_folder.digest(about)
        write_text(save_directory / model_folder.CONFIG, json.dumps(about, indent=2, ensure_ascii=False) + "\n")

    def generate_model_card(self, *args: object, **kwargs: object) -> ModelCard:
        """The card of `export.py`, or the hub's plain one."""
        return ModelCard(self.card.text()) if self.card else super().generate_model_card(*args, **kwargs)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        map_location: str = "cpu",
    ) -> "HubModel":
        if not Path(model_id).is_dir():
            model_id = snapshot_download(
                model_id,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
                allow_patterns=model_folder.FILES,
            )
        return cls(load_model(model_id, map_location)).eval()


def write_ssl_config(encoder: nn.Module, folder: Path) -> None:
    """The speech model's configuration, from which it is built before its weights come.

    Where layers were cut off it says one more than are left: the cut, and what it does to the norm, is then repeated.
    """
    config = encoder.ssl_model.model.config.__class__.from_dict(encoder.ssl_model.model.config.to_dict())
    if isinstance(encoder.ssl_model.model.encoder.layer_norm, nn.Identity):
        config.num_hidden_layers += 1
    config.save_pretrained(folder)
