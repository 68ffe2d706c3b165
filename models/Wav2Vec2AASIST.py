"""Wav2Vec2 XLS-R 300M (or another wav2vec 2.0, HuBERT or WavLM model), fine-tuned, with an AASIST back-end.

Babu et al., "XLS-R: Self-supervised Cross-lingual Speech Representation Learning at Scale", Interspeech 2022; for the
back-end see `_aasist.py`.
"""

import logging
from typing import Literal

import torch
from torch import Tensor

from models._aasist import AASIST
from models._padding import by_size
from models._ssl import SSLFrontEnd, chosen_layers
from models._ssl_cache import HiddenStateCache
from models._ssl_weights import XLS_R_300M, from_fairseq, load
from settings.errors import ConfigError

log = logging.getLogger(__name__)


class MainModel(AASIST):
    """Waveform to embedding. The back-end's modules stand at the top, under the names of the published model.

    Parameters
    ----------
    ssl_path : str
        speech model of transformers: hub id or local folder
    ssl_init : str
        pretrained, or random weights (benchmarks, checkpoints that carry all weights; asks no network)
    ssl_layers : str
        hidden states to use: last, weighted (a learned mix of all), the number of a layer, above which none is kept, or
        two numbers, as 1-5, for a learned mix of these
    ssl_normalize : bool
        zero mean and unit variance per utterance (checkpoints of SSL_Anti-spoofing were trained without)
    ssl_mask : float
        share of frames masked in training, 0 to 1 (SpecAugment)
    freeze_cnn : bool
        do not train the convolutional front
    freeze_ssl : bool
        train the back-end only
    ssl_cache : str
        folder that keeps a frozen speech model's hidden states on disk; pays where the same crops come again
    crop_cycle : int
        epochs after which the trainer draws the same crops again, for ssl_cache (0: never)
    ssl_freeze_epochs : int
        epochs at the start in which only the back-end is trained
    ssl_lr_scale : float
        learning rate of the speech model, as a multiple of lr
    ssl_layer_decay : float
        factor on the learning rate from each transformer layer to the one below it
    grad_checkpointing : bool
        recompute the speech model's layers in the backward pass: less memory, more time
    """

    mb_per_minute = 1400  # of an utterance embedded in one piece
    weights_follow = {"ssl_init": "random"}  # options to build it with where a checkpoint brings all weights

    def __init__(
        self,
        nOut: int,
        *,
        ssl_path: str = XLS_R_300M,
        ssl_init: Literal["pretrained", "random"] = "pretrained",
        ssl_layers: str = "last",
        ssl_normalize: bool = True,
        ssl_mask: float = 0.0,
        freeze_cnn: bool = False,
        freeze_ssl: bool = False,
        ssl_cache: str = "",
        crop_cycle: int = 0,
        ssl_freeze_epochs: int = 0,
        ssl_lr_scale: float = 1.0,
        ssl_layer_decay: float = 1.0,
        grad_checkpointing: bool = False,
    ):
        check_ranges(ssl_mask, ssl_freeze_epochs, ssl_lr_scale, ssl_layer_decay, crop_cycle)
        if ssl_cache and (not freeze_ssl or not (ssl_layers == "last" or ssl_layers.isdecimal())):
            raise ConfigError("--ssl_cache needs --freeze_ssl, and --ssl_layers last or a number")
        speech_model = load(ssl_path, pretrained=ssl_init == "pretrained")
        layers = chosen_layers(ssl_layers, speech_model.config.num_hidden_layers, ssl_path)
        super().__init__(speech_model.config.hidden_size, nOut)
        self.ssl_model = SSLFrontEnd(
            speech_model,
            layers=layers,
            normalize=ssl_normalize,
            mask=ssl_mask,
            freeze_cnn=freeze_cnn,
            freeze_all=freeze_ssl,
            grad_checkpointing=grad_checkpointing,
        )
        self.cache = HiddenStateCache(ssl_cache, self.ssl_model) if ssl_cache else None
        self.freeze_ssl = freeze_ssl
        self.ssl_freeze_epochs = ssl_freeze_epochs
        self.ssl_lr_scale = ssl_lr_scale
        self.ssl_layer_decay = ssl_layer_decay
        self.on_epoch(0)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (B, T) float32 at 16 kHz to embeddings (B, nOut).

        `lengths` (B,) int64: the valid samples of each row of a zero-padded batch. The result is then what one
        utterance at a time gives: the back-end, whose pooling sees every frame, runs once per number of frames, and the
        front-end once per length where its normalisation would see the padding. Raises DataError on audio that makes
        fewer than three frames.
        """
        samples = x.shape[1] if lengths is None else int(lengths.min())
        self.ssl_model.check_length(samples, self.min_frames, "Wav2Vec2AASIST")
        if lengths is None or bool((lengths == x.shape[1]).all()):  # without a mask attention takes the fastest kernel
            return self.embed(self.hidden(x))
        if self.ssl_model.padding_safe:
            states, frames = self.hidden(x, lengths), self.ssl_model.frames(lengths)
            return by_size(lambda states, n: self.embed(states[:, : n[0]]), frames, states, frames)
        return by_size(lambda x, n: self.embed(self.hidden(x[:, : n[0]])), lengths, x, lengths)

    def hidden(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Hidden states (B, F, width) of waveforms (B, T), from the cache where there is one."""
        return (self.cache or self.ssl_model)(x, lengths)

    def compile(self, **options: object) -> None:
        """torch.compile, part by part: the speech model's convolutions, one of its layers for all, the back-end."""
        self.ssl_model.compile(**options)
        self.embed = torch.compile(self.embed, **options)

    def on_epoch(self, epoch: int) -> None:
        """Called before training epoch `epoch`, counted from 0: freezes the speech model, or sets it free."""
        self.ssl_model.frozen = self.freeze_ssl or epoch < self.ssl_freeze_epochs
        self.train(self.training)

    def parameter_groups(self) -> list[dict]:
        """Groups {"params", "lr_scale"} of all that is ever trained: what stays frozen takes no optimiser memory.

        The back-end has scale 1, the speech model ssl_lr_scale * ssl_layer_decay ** (layers above).
        """
        by_scale = {}
        speech_model = {id(p): name for name, p in self.ssl_model.model.named_parameters()}
        layers = len(self.ssl_model.model.encoder.layers)
        for parameter in self.parameters():
            scale = 1.0
            if id(parameter) in speech_model:
                above = layers - self.ssl_model.depth(speech_model[id(parameter)])
                scale = self.ssl_lr_scale * self.ssl_layer_decay**above
            if parameter.requires_grad:
                by_scale.setdefault(scale, []).append(parameter)
        return [{"params": parameters, "lr_scale": scale} for scale, parameters in by_scale.items()]

    def convert_state_dict(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state of SSL_Anti-spoofing's model as one of ours; a state of ours comes back as it is.

        Its speech model has fairseq's names. Transformer layers that --ssl_layers cuts off are left out, and so is its
        last layer, which separates two classes: ours stays as it is, and a warning says so.
        """
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
        speech = "ssl_model.model."
        if f"{speech}post_extract_proj.weight" not in state:
            return state
        theirs = {name.removeprefix(speech): tensor for name, tensor in state.items() if name.startswith(speech)}
        back_end = {name: tensor for name, tensor in state.items() if not name.startswith((speech, "out_layer."))}
        log.warning("the checkpoint's last layer is left out: the embedding's is new, and must be trained")
        new_layer = {f"out_layer.{name}": tensor for name, tensor in self.out_layer.state_dict().items()}
        kept = {
            speech + name: tensor for name, tensor in self.ssl_model.without_cut_layers(from_fairseq(theirs)).items()
        }
        return back_end | kept | new_layer


def check_ranges(mask: float, freeze_epochs: int, lr_scale: float, layer_decay: float, crop_cycle: int) -> None:
    """ConfigError that names every option out of its range."""
    mistakes = [
        f"--{name} {value:g}: {rule}"
        for name, value, rule, right in (
            ("ssl_mask", mask, "a share, from 0 to below 1", 0 <= mask < 1),
            ("ssl_freeze_epochs", freeze_epochs, "0 or more epochs", freeze_epochs >= 0),
            ("crop_cycle", crop_cycle, "0 or more epochs", crop_cycle >= 0),
            ("ssl_lr_scale", lr_scale, "above 0 (to train none of it, --freeze_ssl)", lr_scale > 0),
            ("ssl_layer_decay", layer_decay, "above 0, at most 1", 0 < layer_decay <= 1),
        )
        if not right
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
