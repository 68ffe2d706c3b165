"""The self-supervised front-end: waveforms to the hidden states of a wav2vec 2.0, HuBERT or WavLM model."""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models._ssl_weights import SAMPLE_RATE
from settings.errors import ConfigError, DataError

VARIANCE_FLOOR = 1e-7  # of the published feature extractors
MASK_SPAN = 10  # frames that one mask hides (wav2vec 2.0, section 3.1)


def standardised(wave: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Waveforms (B, T) at zero mean and unit variance over their first `lengths` (B,) samples; the rest stays zero."""
    if lengths is None:
        return F.layer_norm(wave, wave.shape[-1:], eps=VARIANCE_FLOOR)
    valid = torch.arange(wave.shape[1], device=wave.device) < lengths.unsqueeze(1)
    count = lengths.unsqueeze(1).to(wave.dtype)
    centred = (wave - (wave * valid).sum(1, keepdim=True) / count) * valid
    return centred / (centred.square().sum(1, keepdim=True) / count + VARIANCE_FLOOR).sqrt()


def span_mask(shape: tuple[int, int], share: float, device: torch.device) -> Tensor:
    """Frames (B, F) to hide, bool: each begins a span of MASK_SPAN with chance share / MASK_SPAN, as in SpecAugment.

    Drawn from the generator that dropout uses; spans may overlap, so that a little less than `share` is hidden.
    """
    begins = (torch.rand(shape, device=device) < share / MASK_SPAN).float()
    return F.max_pool1d(F.pad(begins, (MASK_SPAN - 1, 0)), MASK_SPAN, stride=1).bool()


def chosen_layers(layers: str, available: int, path: str) -> range:
    """The hidden states that --ssl_layers names: 0 is what enters the first transformer layer, n the n-th one's output.

    "last", "weighted" (all of them), a number or two, "1-5". Raises ConfigError where the model has no such layers.
    """
    if layers in ("last", "weighted"):
        return range(available if layers == "last" else 0, available + 1)
    named = re.fullmatch(r"(\d+)(?:-(\d+))?", layers, re.ASCII)
    first, last = (int(named[1]), int(named[2] or named[1])) if named else (0, 0)
    if not 1 <= first <= last <= available:
        known = f"last, weighted, or a layer of {path} from 1 to {available}, or several, as 1-{available}"
        raise ConfigError(f"--ssl_layers {layers}: {known}")
    return range(first, last + 1)


class SSLFrontEnd(nn.Module):
    """A speech model of transformers as a front-end.

    `model`: from `_ssl_weights.load`. `layers`: from `chosen_layers`; several are mixed by learned weights, and no
    transformer layer above the last of them is kept. `mask`: share of frames hidden in training. `freeze_cnn`,
    `freeze_all`: what is never trained. Frozen parts keep no graph and run as in evaluation.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        layers: range,
        normalize: bool = True,
        mask: float = 0.0,
        freeze_cnn: bool = False,
        freeze_all: bool = False,
        grad_checkpointing: bool = False,
    ):
        super().__init__()
        self.model = model
        self.normalize = normalize
        self.mask = mask
        self.frozen = freeze_all  # for now; `MainModel.on_epoch` may lift it
        self.layer_weights = nn.Parameter(torch.zeros(len(layers))) if len(layers) > 1 else None
        self.cut(layers[-1])
        self.set_masking()
        self.set_gradients(freeze_cnn, freeze_all)
        if grad_checkpointing:
            renamed = hasattr(model, "activation_checkpointing_enable")  # the older name warns where the newer exists
            (model.activation_checkpointing_enable if renamed else model.gradient_checkpointing_enable)()

    def cut(self, count: int) -> None:
        """Keep `count` transformer layers. The norm that closes a pre-norm transformer belongs to its last layer."""
        encoder = self.model.encoder
        if count < len(encoder.layers) and self.model.config.do_stable_layer_norm:
            encoder.layer_norm = nn.Identity()
        encoder.layers = encoder.layers[:count]
        self.model.config.num_hidden_layers = count

    def without_cut_layers(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state of the whole speech model without what `cut` took away."""
        own = self.model.state_dict()
        return {name: t for name, t in state.items() if name in own or not name.startswith("encoder.layer")}

    def set_masking(self) -> None:
        """Masks are drawn here or not at all; their embedding learns only where they are."""
        self.model.config.apply_spec_augment = self.mask > 0
        if self.mask:
            if not hasattr(self.model, "masked_spec_embed"):
                self.model.masked_spec_embed = nn.Parameter(torch.rand(self.model.config.hidden_size))
            self.model._mask_hidden_states = self.masked
        if hasattr(self.model, "masked_spec_embed"):
            self.model.masked_spec_embed.requires_grad_(self.mask > 0)

    def masked(self, hidden: Tensor, mask_time_indices: Tensor | None = None, attention_mask: object = None) -> Tensor:  # noqa: ARG002
        """Frames (B, F, width) with the learned embedding where the mask (B, F) is set.

        In place of transformers' own, which lists the frames of the mask, and for that waits for the GPU.
        """
        if mask_time_indices is None:
            return hidden
        return torch.where(mask_time_indices.unsqueeze(2), self.model.masked_spec_embed.to(hidden.dtype), hidden)

    def set_gradients(self, freeze_cnn: bool, freeze_all: bool) -> None:
        """Frozen parameters ask for no gradient, and the waveform for none in any case.

        The feature extractor of transformers declares its input to require a gradient whenever it trains, and so drags
        the backward pass through every convolution, frozen or not. `_requires_grad` is its own switch for that.
        """
        self.model.feature_extractor._requires_grad = False
        if freeze_all:
            self.model.requires_grad_(False)
        elif freeze_cnn:
            self.model.feature_extractor.requires_grad_(False)

    def compile(self, **options: object) -> None:
        """torch.compile of the convolutions and of one transformer layer, whose code all layers share."""
        for part in (self.model.feature_extractor, *self.model.encoder.layers):
            part.compile(**options)

    def train(self, mode: bool = True) -> "SSLFrontEnd":
        """As any module's; while frozen, the model stays in evaluation mode: no dropout, no masks."""
        super().train(mode)
        self.model.train(mode and not self.frozen)
        return self

    @property
    def width(self) -> int:
        """Features of a frame."""
        return self.model.config.hidden_size

    @property
    def padding_safe(self) -> bool:
        """Whether an utterance may be padded and masked. Group normalisation (wav2vec2-base) counts the padding in, and
        WavLM in transformers gives torch masks of two types, which torch is about to refuse.
        """
        return self.model.config.feat_extract_norm == "layer" and self.model.config.model_type != "wavlm"

    def frames(self, samples: Tensor | int) -> Tensor | int:
        """Frames that so many samples make."""
        for kernel, stride in zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    def check_length(self, samples: int, frames: int, model: str) -> None:
        """DataError on audio too short for the frames that `model` needs."""
        least = self.samples(frames)
        if samples < least:
            raise DataError(
                f"an utterance of {samples} samples ({samples / SAMPLE_RATE:.3f} s) is too short for {model}, "
                f"which needs {least} ({least / SAMPLE_RATE:.3f} s): take it off the list, or score by --eval_frames"
            )

    def samples(self, frames: int) -> int:
        """The fewest samples that make so many frames."""
        config = self.model.config
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            frames = (frames - 1) * stride + kernel
        return frames

    def forward(self, wave: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (B, T), of which the first `lengths` (B,) samples count, to hidden states (B, F, width)."""
        if self.normalize:
            wave = standardised(wave, lengths)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states = self.hidden_states(wave, lengths)
        if self.layer_weights is None:
            return states[-1]
        weights = self.layer_weights.softmax(0)
        return sum(weight * state for weight, state in zip(weights, states[-len(weights) :], strict=True))

    def hidden_states(self, wave: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
        """Input and output of every transformer layer, or the last output alone, each (B, F, width)."""
        valid = None
        if lengths is not None:
            valid = (torch.arange(wave.shape[1], device=wave.device) < lengths.unsqueeze(1)).long()
        hidden = None
        if self.mask and self.model.training:
            hidden = span_mask((wave.shape[0], self.frames(wave.shape[1])), self.mask, wave.device)
        every = self.layer_weights is not None
        output = self.model(wave, attention_mask=valid, mask_time_indices=hidden, output_hidden_states=every)
        # transformers 5 lists the last layer's output before the closing norm: the normed one stands in for it.
        return (*output.hidden_states[:-1], output.last_hidden_state) if every else (output.last_hidden_state,)

    def depth(self, name: str) -> int:
        """How deep a parameter of `model` sits: 0 before the transformer, n in its n-th layer."""
        parts = name.split(".")
        if parts[:2] == ["encoder", "layers"]:
            return int(parts[2]) + 1
        closing = self.model.config.do_stable_layer_norm and parts[:2] == ["encoder", "layer_norm"]
        return len(self.model.encoder.layers) if closing else 0
