"""Tiny speech models in the forms of the large ones, random and seeded: what the tests of Wav2Vec2AASIST run over."""

from pathlib import Path

import torch
import transformers

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LIKE_XLS_R = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
LIKE_BASE = {"feat_extract_norm": "group"}
CLASSES = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
    "hubert": (transformers.HubertConfig, transformers.HubertModel),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
}
MAKES = [(family, make) for family in CLASSES for make in ("like_xls_r", "like_base")]


def save_tiny(path: Path, family: str = "wav2vec2", make: str = "like_xls_r") -> str:
    """A tiny model of that family and make, saved by transformers in the folder `path`; returns the folder's name."""
    kind, network = CLASSES[family]
    torch.manual_seed(1)
    network(kind(**SMALL, **(LIKE_XLS_R if make == "like_xls_r" else LIKE_BASE))).save_pretrained(path)
    return str(path)


def waves(*shape: int) -> torch.Tensor:
    """Noise (B, T) with a small offset."""
    return 0.1 * torch.randn(*shape) + 0.02


def without_dropout(model: torch.nn.Module) -> torch.nn.Module:
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    for layer in model.ssl_model.model.encoder.layers:
        layer.attention.dropout = 0.0
    return model
